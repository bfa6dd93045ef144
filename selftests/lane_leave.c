// SPDX-License-Identifier: GPL-2.0
/*
 * One end of a lane is killed at any point of its program, and another member takes its slot. The
 * other end is notified, no item that was written is lost, and a new lane can be opened.
 */
#include <sched.h>

#include "ivring_test.h"
#include "lane.h"

#define ENTRIES	8
#define SLOT	2
#define LATE_MS	5000		/* a notification that comes later is lost */

FIXTURE(lane_leave) {
	struct member member;	/* stays attached */
	__u64 seed;
};

FIXTURE_SETUP(lane_leave)
{
	ASSERT_EQ(0, member_create(&self->member, 4, 8, 4096));
	self->seed = rng_seed();
}

FIXTURE_TEARDOWN(lane_leave)
{
	member_close(&self->member);
}

/* Start a member in SLOT, in a process that does not keep the members of this process alive. */
static void join_alone(struct member *me, const struct member *other)
{
	if (member_join_slot(me, other->fd, SLOT))
		_exit(1);
	close(other->fd);
}

/* Read in every way, until the process is killed. */
static void receive(const struct member *from)
{
	struct ivring_item item;
	struct lane_in in;
	struct member me;

	join_alone(&me, from);
	while (lane_accept(&in, &me, from->id))
		dev_wait(me.fd, 0, now() + MSEC, NULL);
	for (;;) {
		switch (rng_below(6)) {
		case 0:
			dev_wait(me.fd, rng_below(4) & IVRING_WAIT_MEMBERS,
				 now() + rng_below(1000000), NULL);
			break;
		case 1:
			dev_poll(me.fd, POLLIN);
			break;
		case 2:
			STORE(&me.area->state, rng_below(2) ? IVRING_IDLE :
			      IVRING_BUSY_UNFENCED);
			break;
		case 3:
			STORE(&me.area->wake_items, rng_below(4));
			STORE(&me.area->wake_delay_us, rng_below(1000));
			break;
		default:
			while (lane_take(&in, &item) && rng_below(8))
				;
			lane_ring_back(&in);
		}
	}
}

/* Send until a call reports that the receiver has left. */
static int send_to_the_end(struct lane_out *out)
{
	__u64 end = in_ms(LATE_MS);
	int ret = 0, i;

	for (i = 0; now() < end; i++) {
		ret = lane_send(out, i);
		if (ret == -EAGAIN && rng_below(2))
			ret = lane_flush(out, out->next - rng_below(ENTRIES),
					 now() + rng_below(5000000));
		if (ret < 0 && ret != -EAGAIN && ret != -ETIMEDOUT)
			return ret;
		if (ret == -EAGAIN)
			sched_yield();
	}
	return -ETIME;
}

TEST_F(lane_leave, receiver)
{
	__u64 end = now() + 3 * SEC;
	struct lane_out out;
	struct member to;
	int lives, ret;
	pid_t pid, ringer;

	for (lives = 0; now() < end || lives <= 5; lives++) {
		rng_below(1);
		pid = child_fork();
		if (!pid)
			receive(&self->member);
		ASSERT_TRUE(SOON(member_generation(&self->member, SLOT) == 2 * lives + 1));
		to = (struct member) { .id = SLOT, .generation = 2 * lives + 1 };
		ret = lane_open(&out, &self->member, &to, ENTRIES);
		ASSERT_EQ(0, ret);
		out.unfenced = lives % 2;
		/* Doorbells from others must not make the member look alive. */
		ringer = child_fork();
		if (!ringer) {
			usleep(rng_below(1 << rng_below(13)));
			kill(pid, SIGKILL);
			while (member_send(&self->member, SLOT, to.generation, 1) != -EPIPE)
				;
			_exit(0);
		}
		ret = send_to_the_end(&out);
		ASSERT_EQ(-EPIPE, ret) TH_LOG("life %d", lives);
		ASSERT_EQ(-SIGKILL, child_wait(pid));
		ASSERT_EQ(0, child_wait(ringer));
		ASSERT_EQ(IVRING_GONE, LOAD(&out.area->state));
		ret = lane_flush(&out, LOAD(&out.end->consumer) + 1, IVRING_DEADLINE_NEVER);
		ASSERT_EQ(-EPIPE, ret);
		lane_unmap(&out, &self->member);
	}
	TH_LOG("seed %#llx: %d processes", self->seed, lives);
}

/* Open a lane and send until the process is killed. */
static void transmit(const struct member *to)
{
	struct lane_out out = { 0 };
	struct member me;
	int i, ret;

	join_alone(&me, to);
	if (lane_open(&out, &me, to, ENTRIES))
		_exit(2);
	for (i = 0;;) {
		ret = lane_send(&out, i);
		if (ret >= 0)
			i++;
		else if (ret != -EAGAIN)
			_exit(3);
		else if (rng_below(2))
			lane_flush(&out, out.next - rng_below(ENTRIES), in_ms(1000));
	}
}

/* Read all items of the lane; true if they are in order. */
static bool receive_some(const struct lane_in *in, __u64 *read)
{
	struct ivring_item item;

	while (lane_take(in, &item))
		if (item.cookie != (*read)++)
			return false;
	return !lane_ring_back(in);
}

TEST_F(lane_leave, sender)
{
	__u64 end = now() + 3 * SEC, last = now() + 3 * SEC * slowness, read, total = 0;
	struct lane_in in;
	int lives, ret, status, opened = 0, left = 0;
	__u32 generation;
	pid_t pid, killer;

	for (lives = 0; now() < end || (now() < last && (opened <= 5 || total <= lives)); lives++) {
		/* The process may be killed before it has attached. */
		generation = member_generation(&self->member, SLOT) + 1;
		rng_below(1);
		pid = child_fork();
		if (!pid)
			transmit(&self->member);
		killer = child_fork();
		if (!killer) {
			usleep(slowness * rng_below(1 << rng_below(14)));
			kill(pid, SIGKILL);
			_exit(0);
		}
		read = 0;
		in.ring = NULL;
		while (!waitpid(pid, &status, WNOHANG)) {
			bool joined = member_generation(&self->member, SLOT) == generation;

			member_see_members(&self->member);
			if (!in.ring)
				lane_accept(&in, &self->member, SLOT);
			if (in.ring)
				ASSERT_TRUE(receive_some(&in, &read));
			ret = dev_wait(self->member.fd, IVRING_WAIT_MEMBERS,
				       joined ? in_ms(LATE_MS) : now() + MSEC, NULL);
			ASSERT_TRUE(!ret || (!joined && ret == -ETIMEDOUT));
		}
		ASSERT_TRUE(WIFSIGNALED(status));
		ASSERT_EQ(0, child_wait(killer));
		/* All items that were written are there. */
		if (!in.ring)
			lane_accept(&in, &self->member, SLOT);
		if (in.ring) {
			ASSERT_EQ(generation, in.generation);
			left += !!lane_pending(&in);
			ASSERT_TRUE(receive_some(&in, &read));
			ASSERT_EQ(0, lane_pending(&in));
			ASSERT_EQ(0, lane_close(&in));
			opened++;
		}
		/* Nothing of the member is left. */
		ASSERT_EQ(0, self->member.lanes->lane[SLOT].generation);
		ret = dev_wait(self->member.fd, 0, 0, NULL);
		ASSERT_EQ(-ETIMEDOUT, ret);
		total += read;
	}
	EXPECT_LT(5, opened);
	EXPECT_LT(lives, total);
	TH_LOG("seed %#llx: %d processes, %d lanes, %llu items, %d left items behind",
	       self->seed, lives, opened, total, left);
}

/*
 * The same without processes, to make it frequent: one end attaches and leaves while the
 * other makes every call.
 */
static void come_and_go(const struct member *other)
{
	struct lane_out out;
	struct lane_in in;
	struct member me;

	for (;;) {
		if (member_join_slot(&me, other->fd, SLOT))
			_exit(1);
		in.ring = NULL;
		if (rng_below(2) && !lane_open(&out, &me, other, ENTRIES)) {
			lane_send(&out, 1);
			lane_unmap(&out, &me);
		}
		STORE(&me.area->state, rng_below(2));
		if (rng_below(2)) {
			lane_accept(&in, &me, other->id);
			if (rng_below(2) && in.generation)
				dev_close_lane(me.fd, other->id, in.generation);
		}
		spin_random(14);
		if (in.ring)
			munmap((void *)in.ring, lane_size(in.entries));
		member_close(&me);
	}
}

TEST_F(lane_leave, calls_meanwhile)
{
	__u64 end = now() + 3 * SEC, calls = 0;
	const struct ivring_lane_info *info = &self->member.lanes->lane[SLOT];
	__u32 generation, lanes = 0;
	struct member next;
	int ret = 0;
	pid_t pid;
	void *p;

	pid = child_fork();
	if (!pid)
		come_and_go(&self->member);
	while (now() < end || lanes <= 10 || member_generation(&self->member, SLOT) <= 100) {
		generation = member_generation(&self->member, SLOT) | 1;
		switch (rng_below(5)) {
		case 0:
			ret = dev_open_lane(self->member.fd, SLOT, generation, ENTRIES);
			lanes += !ret;
			break;
		case 1:
			ret = dev_doorbell(self->member.fd, SLOT, generation);
			break;
		case 2:
			ret = dev_flush_lane(self->member.fd, SLOT, generation, -ENTRIES + 1,
					     now() + rng_below(100000));
			break;
		case 3:
			ret = dev_close_lane(self->member.fd, SLOT, LOAD(&info->generation));
			break;
		case 4:
			p = dev_map(self->member.fd, PAGE, PROT_READ,
				    rng_below(2) ? IVRING_MAP_LANE_TO(SLOT) :
						   IVRING_MAP_LANE_FROM(SLOT));
			if (p != MAP_FAILED)
				munmap(p, PAGE);
			break;
		}
		calls++;
		ASSERT_TRUE(ret >= 0 || ret == -EINVAL || ret == -EPIPE || ret == -ESTALE ||
			    ret == -ENOENT || ret == -EBUSY || ret == -ECONNRESET ||
			    ret == -ETIMEDOUT) TH_LOG("%d", ret);
	}
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(pid));
	generation = member_generation(&self->member, SLOT);
	TH_LOG("seed %#llx: %u generations, %llu calls, %u lanes", self->seed,
	       generation, calls, lanes);

	/* After that, the next member can open a lane. */
	if (LOAD(&info->generation))
		EXPECT_EQ(0, dev_close_lane(self->member.fd, SLOT, info->generation));
	ASSERT_EQ(0, member_join_slot(&next, self->member.fd, SLOT));
	EXPECT_EQ(0, dev_open_lane(self->member.fd, SLOT, next.generation, ENTRIES));
	EXPECT_EQ(0, dev_open_lane(next.fd, self->member.id, self->member.generation, ENTRIES));
	member_close(&next);
}

TEST_HARNESS_MAIN
