// SPDX-License-Identifier: GPL-2.0
/*
 * IVRING_IOC_DOORBELL: an idle member is woken for items in a lane, and for nothing else.
 * Only a member that rings without a reason pays for that.
 */
#include <sched.h>
#include <sys/eventfd.h>

#include "ivring_test.h"
#include "lane.h"

#define ENTRIES	8

FIXTURE(lane_doorbell) {
	struct member a;	/* sends to b */
	struct member b;
	struct lane_out out;
	struct lane_in in;
};

FIXTURE_SETUP(lane_doorbell)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, 8, 4096));
	ASSERT_EQ(0, lane_connect(&self->out, &self->in, &self->a, &self->b, ENTRIES));
}

FIXTURE_TEARDOWN(lane_doorbell)
{
	lane_unmap(&self->out, &self->a);
	lane_close(&self->in);
	member_close_pair(&self->a, &self->b);
}

static void put(struct lane_out *out)
{
	lane_push(out, &(struct ivring_item) { 0 });
}

static pid_t sleeper(const struct member *member)
{
	pid_t pid = child_fork();

	if (!pid)
		_exit(-dev_wait(member->fd, 0, IVRING_DEADLINE_NEVER, NULL));
	return pid;
}

/* An idle receiver is rung once, and a busy receiver is not rung. */
TEST_F(lane_doorbell, states)
{
	static const __u32 busy[] = { IVRING_BUSY, IVRING_BUSY_UNFENCED, 99, 0xffffffff };
	struct ivring_stats before = member_stats(&self->b);
	unsigned int i;

	put(&self->out);
	for (i = 0; i < ARRAY_SIZE(busy); i++) {
		STORE(&self->b.area->state, busy[i]);
		EXPECT_EQ(0, lane_doorbell(&self->out));
		EXPECT_EQ(busy[i], member_state(&self->b));
	}
	EXPECT_EQ(before.rung, member_stats(&self->b).rung);
	EXPECT_EQ(before.suppressed + i, member_stats(&self->b).suppressed);
	STORE(&self->b.area->state, IVRING_IDLE);
	EXPECT_EQ(1, lane_doorbell(&self->out));
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
	EXPECT_EQ(0, lane_doorbell(&self->out));
	EXPECT_EQ(before.rung + 1, member_stats(&self->b).rung);
	EXPECT_EQ(0, member_stats(&self->a).pointless);
	EXPECT_EQ(0, member_stats(&self->b).items_in);
}

/* Only the items in the caller's own lane count. */
TEST_F(lane_doorbell, pointless)
{
	struct ivring_stats before = member_stats(&self->b);
	struct ivring_item item;
	struct lane_out other;
	struct member c;

	ASSERT_EQ(0, member_join(&c, self->a.fd));
	ASSERT_EQ(0, lane_open(&other, &c, &self->b, ENTRIES));
	before = member_stats(&self->b);
	put(&other);
	STORE(&self->b.area->state, IVRING_IDLE);
	EXPECT_EQ(0, lane_doorbell(&self->out));
	EXPECT_EQ(IVRING_IDLE, member_state(&self->b));
	EXPECT_EQ(1, member_stats(&self->a).pointless);
	EXPECT_EQ(1, lane_doorbell(&other));
	EXPECT_EQ(0, member_stats(&c).pointless);

	put(&self->out);
	STORE(&self->b.area->state, IVRING_IDLE);
	EXPECT_EQ(1, lane_doorbell(&self->out));
	ASSERT_TRUE(lane_take(&self->in, &item));
	STORE(&self->b.area->state, IVRING_IDLE);
	EXPECT_EQ(0, lane_doorbell(&self->out));
	EXPECT_EQ(IVRING_IDLE, member_state(&self->b));
	EXPECT_EQ(2, member_stats(&self->a).pointless);
	EXPECT_EQ(before.rung + 2, member_stats(&self->b).rung);
	EXPECT_EQ(before.suppressed, member_stats(&self->b).suppressed);
	EXPECT_EQ(0, member_stats(&self->b).pointless);
	lane_unmap(&other, &c);
	member_close(&c);
}

/*
 * Many doorbells without a reason: the receiver goes on sleeping, and its counters do not
 * change.
 */
TEST_F(lane_doorbell, flood)
{
	enum { FLOOD = 100000 };
	int efd = eventfd(0, EFD_NONBLOCK), i;
	pid_t pid = sleeper(&self->b);
	struct ivring_stats before;
	__u64 count;

	ASSERT_EQ(0, dev_eventfd(self->b.fd, efd));
	/* The kernel counts the sleep after it has stored IDLE. */
	ASSERT_TRUE(SOON(member_stats(&self->b).waits == 1));
	before = member_stats(&self->b);
	for (i = 0; i < FLOOD; i++)
		ASSERT_EQ(0, lane_doorbell(&self->out));
	EXPECT_EQ(FLOOD, member_stats(&self->a).pointless);
	EXPECT_EQ(0, memcmp(&before, &(struct ivring_stats[]) { member_stats(&self->b) },
			    sizeof(before)));
	EXPECT_EQ(IVRING_IDLE, member_state(&self->b));
	EXPECT_EQ(-1, read(efd, &count, sizeof(count)));
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));

	/* This doorbell has a reason. */
	EXPECT_EQ(1, lane_send(&self->out, 1));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(sizeof(count), read(efd, &count, sizeof(count)));
	EXPECT_EQ(1, count);
	EXPECT_EQ(0, member_stats(&self->b).spurious);
	EXPECT_EQ(1, member_stats(&self->b).waits);
	close(efd);
}

/* Sleeping tasks find items in a lane as they find items in the inbox. */
TEST_F(lane_doorbell, found_at_once)
{
	struct ivring_item item;
	__u32 events;

	EXPECT_EQ(0, dev_poll(self->b.fd, POLLIN | POLLRDNORM));
	put(&self->out);
	EXPECT_EQ(POLLIN | POLLRDNORM, dev_poll(self->b.fd, POLLIN | POLLRDNORM));
	EXPECT_EQ(0, dev_wait(self->b.fd, 0, 0, &events));
	EXPECT_EQ(IVRING_EVENT_ITEMS, events);
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
	ASSERT_TRUE(lane_take(&self->in, &item));
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, 0, 0, &events));
	EXPECT_EQ(0, dev_poll(self->b.fd, POLLIN | POLLRDNORM));
	/* Items that a member sends do not wake that member. */
	put(&self->out);
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->a.fd, 0, 0, &events));
}

/* WAIT with IVRING_WAIT_ARMED sleeps until the doorbell has rung, even if the rings hold items. */
TEST_F(lane_doorbell, wait_armed)
{
	__u32 events = 77;
	__u64 start;
	pid_t pid;

	/* The state is not IDLE, so there is nothing to wait for. */
	EXPECT_EQ(0, dev_wait(self->b.fd, IVRING_WAIT_ARMED, IVRING_DEADLINE_NEVER,
			      &events));
	EXPECT_EQ(0, events);
	STORE(&self->b.area->state, IVRING_IDLE);
	start = now();
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, IVRING_WAIT_ARMED,
				       start + 50 * MSEC, NULL));
	EXPECT_LE(50 * MSEC, now() - start);
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));

	/* The doorbell rang between arming and the call. */
	STORE(&self->b.area->state, IVRING_IDLE);
	EXPECT_EQ(1, lane_send(&self->out, 1));
	EXPECT_EQ(0, dev_wait(self->b.fd, IVRING_WAIT_ARMED, IVRING_DEADLINE_NEVER,
			      &events));
	EXPECT_EQ(0, events);

	/* The doorbell rings during the call. */
	ASSERT_TRUE(lane_take(&self->in, &(struct ivring_item) { 0 }));
	STORE(&self->b.area->state, IVRING_IDLE);
	pid = child_fork();
	if (!pid) {
		if (dev_wait(self->b.fd, IVRING_WAIT_ARMED | IVRING_WAIT_MEMBERS,
			     IVRING_DEADLINE_NEVER, &events))
			_exit(100);
		_exit(events);
	}
	usleep(50000);
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	EXPECT_EQ(1, lane_send(&self->out, 1));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
}

/*
 * A member that has left marks its area for good, so that a sender that only writes its
 * lane learns about it.
 */
TEST_F(lane_doorbell, dead_receiver)
{
	static const __u32 states[] = {
		IVRING_BUSY, IVRING_IDLE, IVRING_BUSY_UNFENCED, IVRING_DELAYED, 99,
	};
	struct member member, next;
	struct lane_out out;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		ASSERT_EQ(0, member_join_slot(&member, self->a.fd, 3));
		ASSERT_EQ(0, lane_open(&out, &self->a, &member, ENTRIES));
		STORE(&member.area->state, states[i]);
		member_close(&member);
		EXPECT_EQ(IVRING_GONE, LOAD(&out.area->state));
		EXPECT_EQ(-EPIPE, lane_send(&out, 1));
		EXPECT_EQ(-EPIPE, lane_send(&out, 2));
		ASSERT_EQ(0, member_join_slot(&next, self->a.fd, 3));
		EXPECT_EQ(IVRING_GONE, LOAD(&out.area->state));
		EXPECT_EQ(-ESTALE, lane_send(&out, 3));
		EXPECT_EQ(IVRING_BUSY, member_state(&next));
		member_close(&next);
		EXPECT_EQ(-ESTALE, lane_send(&out, 4));
		lane_unmap(&out, &self->a);
	}
}

/* The end of a sender rings the doorbell. Items that it has written can still be read. */
TEST_F(lane_doorbell, dead_sender)
{
	struct ivring_item item;
	struct lane_out out;
	struct lane_in in;
	__u32 events;
	struct member member;
	pid_t pid;

	ASSERT_EQ(0, member_join(&member, self->a.fd));
	ASSERT_EQ(0, lane_open(&out, &member, &self->b, ENTRIES));
	ASSERT_EQ(0, lane_accept(&in, &self->b, member.id));
	member_see_members(&self->b);
	pid = child_fork();
	if (!pid) {
		close(member.fd);
		if (dev_wait(self->b.fd, IVRING_WAIT_MEMBERS, IVRING_DEADLINE_NEVER,
			     &events))
			_exit(100);
		_exit(events);
	}
	ASSERT_TRUE(SOON(member_state(&self->b) == IVRING_IDLE));
	/* The sender ends after it has written an item and before it rings. */
	put(&out);
	lane_unmap(&out, &member);
	member_close(&member);
	EXPECT_EQ(IVRING_EVENT_MEMBERS | IVRING_EVENT_ITEMS, child_wait(pid));
	EXPECT_TRUE(lane_take(&in, &item));
	EXPECT_EQ(0, lane_close(&in));
}

/* A receiver with many lanes, so that looking at all of them takes a while. */

#define SENDERS	63

FIXTURE(lane_doorbells) {
	struct member to;
	struct member from[SENDERS];
	struct lane_out out[SENDERS];
};

FIXTURE_SETUP(lane_doorbells)
{
	int i;

	ASSERT_EQ(0, member_create(&self->to, SENDERS + 1, 8, 4096));
	for (i = 0; i < SENDERS; i++) {
		ASSERT_EQ(0, member_join(&self->from[i], self->to.fd));
		ASSERT_EQ(0, lane_open(&self->out[i], &self->from[i], &self->to, ENTRIES));
	}
}

FIXTURE_TEARDOWN(lane_doorbells)
{
	int i;

	for (i = 0; i < SENDERS; i++) {
		lane_unmap(&self->out[i], &self->from[i]);
		member_close(&self->from[i]);
	}
	member_close(&self->to);
}

static void read_all(const struct member *member, const struct lane_out *out, const struct member *from)
{
	member->area->lane[from->id].consumer = out->next;
}

/* There is one doorbell, however many senders there are. */
TEST_F(lane_doorbells, one)
{
	int round, i, rung, woken = 0;
	pid_t pid;

	for (round = 1; round <= 20; round++) {
		pid = sleeper(&self->to);
		ASSERT_TRUE(SOON(member_state(&self->to) == IVRING_IDLE));
		for (i = rung = 0; i < SENDERS; i++) {
			put(&self->out[i]);
			rung += lane_notify(&self->out[i]);
		}
		ASSERT_GE(1, rung);
		woken += rung;
		ASSERT_EQ(0, child_wait(pid));
		for (i = 0; i < SENDERS; i++)
			read_all(&self->to, &self->out[i], &self->from[i]);
	}
	/* A few tasks may have found their item before they slept. */
	EXPECT_LT(0, woken);
	EXPECT_LT(0, member_stats(&self->to).waits);
	EXPECT_GE(20, member_stats(&self->to).waits);
	EXPECT_EQ(0, member_stats(&self->to).spurious);
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* A doorbell between the look at the lane and the sleep is not spurious. */
TEST_F(lane_doorbells, between_look_and_sleep)
{
	enum { ROUNDS = 2000 };
	__u64 seed = rng_seed(), end = now() + 3 * SEC;
	__u32 *turn = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int round, i, rung = 0;
	pid_t pid;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "needs two CPUs");
	ASSERT_NE(MAP_FAILED, turn);
	pid = child_fork();
	run_on(pid ? 0 : 1);
	for (round = 0; !pid; round += 2) {
		while (LOAD(turn) != round)
			continue;
		if (dev_wait(self->to.fd, 0, IVRING_DEADLINE_NEVER, NULL))
			_exit(1);
		STORE(turn, round + 1);
	}
	for (round = 0; round < 2 * ROUNDS && now() < end; round += 2) {
		i = rng_below(SENDERS);
		while (member_state(&self->to) != IVRING_IDLE)
			continue;
		spin_random(12);
		put(&self->out[i]);
		rung += lane_notify(&self->out[i]);
		/* The item stays until no task can ring for it any more. */
		ASSERT_TRUE(SOON(LOAD(turn) == round + 1));
		read_all(&self->to, &self->out[i], &self->from[i]);
		STORE(turn, round + 2);
	}
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(pid));
	EXPECT_LT(0, rung);
	EXPECT_EQ(0, member_stats(&self->to).spurious);
	TH_LOG("seed %#llx: %d of %d sends rang", seed, rung, round / 2);
}

TEST_HARNESS_MAIN
