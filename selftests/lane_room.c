// SPDX-License-Identifier: GPL-2.0
/*
 * A sender waits for progress in its lane: IVRING_FLUSH_LANE, the words by which the sender
 * asks for a notification, and IVRING_IOC_ROOM.
 */
#include <sched.h>
#include <sys/resource.h>

#include "ivring_test.h"
#include "lane.h"
#include "timed.h"

#define ENTRIES	64

FIXTURE(lane_room) {
	struct member a;	/* has filled its lane to b */
	struct member b;
	struct lane_out out;
	struct lane_in in;
	__u32 start;		/* first index of the lane */
};

FIXTURE_SETUP(lane_room)
{
	int i;

	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, 8, 4096));
	ASSERT_EQ(0, lane_connect(&self->out, &self->in, &self->a, &self->b, ENTRIES));
	self->start = -ENTRIES;
	for (i = 0; i < ENTRIES; i++)
		ASSERT_EQ(0, lane_send(&self->out, i));
	member_see_members(&self->b);
}

FIXTURE_TEARDOWN(lane_room)
{
	lane_unmap(&self->out, &self->a);
	member_close_pair(&self->a, &self->b);
}

static bool take(const struct lane_in *in, int count)
{
	struct ivring_item item;

	while (count--)
		if (!lane_take(in, &item))
			return false;
	return true;
}

/* Start a process that waits until the reader is at @position, and exits with the error. */
static pid_t flusher(const struct lane_out *out, __u32 position)
{
	pid_t pid = child_fork();

	if (!pid)
		_exit(-lane_flush(out, position, IVRING_DEADLINE_NEVER));
	return pid;
}

static bool is_asked(const struct lane_out *out, __u32 position)
{
	return SOON(LOAD(&out->ring->room_wanted) && LOAD(&out->ring->room_at) == position);
}

/* How many times the children that have ended went to sleep. */
static long sleeps(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return usage.ru_nvcsw;
}

TEST_F(lane_room, ask)
{
	int read, count;

	for (read = 0; read <= 3; read++) {
		for (count = 0; count <= ENTRIES; count++)
			EXPECT_EQ(count <= read ? 0 : -ETIMEDOUT,
				  lane_flush(&self->out, self->start + count, 0));
		ASSERT_TRUE(take(&self->in, 1));
	}
	/* A call that does not sleep does not ask for a notification. */
	EXPECT_EQ(0, LOAD(&self->out.ring->room_wanted));
}

/* A position outside the next round of the ring has been read, however long ago. */
TEST_F(lane_room, ask_about_old_ones)
{
	static const __u32 age[] = {
		1, ENTRIES, 1000, 0x7fffffff, 0x80000000, 0x80000001,
		-(ENTRIES + 1),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(age); i++)
		EXPECT_EQ(0, lane_flush(&self->out, self->start - age[i], 0));
}

TEST_F(lane_room, deadline)
{
	__u64 start = now();

	EXPECT_EQ(-ETIMEDOUT, lane_flush(&self->out, self->start + 1, 1));
	EXPECT_EQ(-ETIMEDOUT, lane_flush(&self->out, self->start + 1, start));
	EXPECT_GT(SEC, now() - start);
	start = now();
	EXPECT_EQ(-ETIMEDOUT, lane_flush(&self->out, self->start + 1, start + 50 * MSEC));
	EXPECT_LE(50 * MSEC, now() - start);
	EXPECT_GT(2 * SEC, now() - start);
}

/* The call asks for a position, returns when that has been read, and withdraws the request. */
/* Nothing may be written to where the receiver looks for waiting senders. */
TEST_F(lane_room, past_deadline)
{
	const __u64 past[] = { 0, 1, 1000, now() };
	unsigned int i;

	while (lane_send(&self->out, 0) >= 0)
		;
	STORE(&self->out.ring->room_at, 4711);
	for (i = 0; i < ARRAY_SIZE(past); i++)
		EXPECT_EQ(-ETIMEDOUT, lane_flush(&self->out, self->out.next, past[i]));
	EXPECT_EQ(4711, LOAD(&self->out.ring->room_at));
	EXPECT_EQ(-ETIMEDOUT, lane_flush(&self->out, self->out.next, in_ms(20)));
	EXPECT_NE(4711, LOAD(&self->out.ring->room_at));
}

TEST_F(lane_room, ring_back)
{
	pid_t pid;

	/* No task waits, so the call has no effect. */
	EXPECT_EQ(0, dev_room(self->b.fd, self->a.id));
	EXPECT_EQ(0, member_stats(&self->b).room);

	pid = flusher(&self->out, self->start + 3);
	ASSERT_TRUE(is_asked(&self->out, self->start + 3) && child_sleeps(pid));
	/* The call is about another ring. */
	EXPECT_EQ(0, dev_room(self->b.fd, IVRING_ID_ANY));
	EXPECT_EQ(-ENOENT, dev_room(self->b.fd, self->b.id));
	EXPECT_EQ(1, LOAD(&self->out.ring->room_wanted));
	ASSERT_TRUE(take(&self->in, 3));
	EXPECT_EQ(0, lane_ring_back(&self->in));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, LOAD(&self->out.ring->room_wanted));
	EXPECT_EQ(1, member_stats(&self->b).room);
	EXPECT_EQ(0, member_stats(&self->a).room);
}

/* After a notification that comes too early the call asks again. */
TEST_F(lane_room, ring_back_early)
{
	pid_t pid = flusher(&self->out, self->start + 2);

	ASSERT_TRUE(is_asked(&self->out, self->start + 2));
	ASSERT_TRUE(take(&self->in, 1));
	EXPECT_EQ(0, dev_room(self->b.fd, self->a.id));
	ASSERT_TRUE(is_asked(&self->out, self->start + 2));
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	ASSERT_TRUE(take(&self->in, 1));
	EXPECT_EQ(0, lane_ring_back(&self->in));
	EXPECT_EQ(0, child_wait(pid));
}

/*
 * A sender that waits for half a ring is woken once, even if the reader looks at its rings
 * meanwhile.
 */
TEST_F(lane_room, woken_once)
{
	pid_t pid = flusher(&self->out, self->start + ENTRIES / 2);
	long before = sleeps();
	int i;

	ASSERT_TRUE(is_asked(&self->out, self->start + ENTRIES / 2) && child_sleeps(pid));
	for (i = 1; i < ENTRIES / 2; i++) {
		ASSERT_TRUE(take(&self->in, 1));
		ASSERT_EQ(0, lane_ring_back(&self->in));
		if (i % 4 == 1)
			ASSERT_EQ(0, dev_wait(self->b.fd, 0, 0, NULL));
		if (i % 4 == 3)
			ASSERT_EQ(POLLIN, dev_poll(self->b.fd, POLLIN));
		usleep(1000);
	}
	EXPECT_EQ(0, member_stats(&self->b).room);
	ASSERT_TRUE(take(&self->in, 1));
	ASSERT_EQ(0, lane_ring_back(&self->in));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(1, member_stats(&self->b).room);
	/* Tasks sleep for other reasons too, but not this often. */
	EXPECT_GT(10, sleeps() - before);
}

/* The nearest of several positions is asked for first. */
TEST_F(lane_room, two_flushers)
{
	__u32 near = self->start + 2, far = self->start + 5;
	pid_t pid[2];

	pid[1] = flusher(&self->out, far);
	ASSERT_TRUE(is_asked(&self->out, far));
	pid[0] = flusher(&self->out, near);
	ASSERT_TRUE(is_asked(&self->out, near));
	ASSERT_TRUE(take(&self->in, 2));
	EXPECT_EQ(0, lane_ring_back(&self->in));
	EXPECT_EQ(0, child_wait(pid[0]));
	ASSERT_TRUE(is_asked(&self->out, far));
	ASSERT_TRUE(take(&self->in, 3));
	EXPECT_EQ(0, lane_ring_back(&self->in));
	EXPECT_EQ(0, child_wait(pid[1]));
}

static void nothing(int signal)
{
}

TEST_F(lane_room, signal)
{
	struct sigaction action = { .sa_handler = nothing };
	pid_t pid;

	sigaction(SIGUSR1, &action, NULL);
	pid = flusher(&self->out, self->start + 1);
	ASSERT_TRUE(is_asked(&self->out, self->start + 1));
	kill(pid, SIGUSR1);
	EXPECT_EQ(EINTR, child_wait(pid));
	EXPECT_EQ(0, dev_room(self->b.fd, self->a.id));

	action.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &action, NULL);
	pid = flusher(&self->out, self->start + 1);
	ASSERT_TRUE(is_asked(&self->out, self->start + 1));
	kill(pid, SIGUSR1);
	usleep(50000);
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(pid));
}

/* The reader will not read any more: every waiting call fails. */
TEST_F(lane_room, receiver_closes)
{
	pid_t pid[3];
	int i;

	for (i = 0; i < 3; i++)
		pid[i] = flusher(&self->out, self->start + 2 + i);
	ASSERT_TRUE(is_asked(&self->out, self->start + 2));
	usleep(20000);
	EXPECT_EQ(0, lane_close(&self->in));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(ECONNRESET, child_wait(pid[i]));
}

/* A reader does not call ROOM, but looks at its rings. Its sender continues. */

FIXTURE(forgetful) {
	struct member a;
	struct member b;
	struct lane_out out;
	struct lane_in in;
	__u32 start;
};

FIXTURE_VARIANT(forgetful) {
	const struct way *way;
};

FIXTURE_VARIANT_ADD(forgetful, wait) { &way_wait };
FIXTURE_VARIANT_ADD(forgetful, poll) { &way_poll };
FIXTURE_VARIANT_ADD(forgetful, select) { &way_select };
FIXTURE_VARIANT_ADD(forgetful, epoll) { &way_epoll_level };

FIXTURE_SETUP(forgetful)
{
	lane_room_setup(_metadata, (void *)self, NULL);
}

FIXTURE_TEARDOWN(forgetful)
{
	lane_room_teardown(_metadata, (void *)self, NULL);
}

TEST_F(forgetful, empties)
{
	struct sleeper s = { .member = &self->b };
	pid_t pid = flusher(&self->out, self->out.next);

	ASSERT_EQ(0, variant->way->open(&s));
	ASSERT_TRUE(is_asked(&self->out, self->out.next) && child_sleeps(pid));
	ASSERT_TRUE(take(&self->in, ENTRIES));
	EXPECT_EQ(0, variant->way->sleep(&s, 20));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(1, member_stats(&self->b).room);
}

/* The lane is full again when the reader looks. */
TEST_F(forgetful, has_read_half)
{
	struct sleeper s = { .member = &self->b };
	pid_t pid = flusher(&self->out, self->start + ENTRIES / 2);

	ASSERT_EQ(0, variant->way->open(&s));
	ASSERT_TRUE(is_asked(&self->out, self->start + ENTRIES / 2));
	ASSERT_TRUE(take(&self->in, ENTRIES / 2));
	while (lane_send(&self->out, 9) >= 0)
		;
	EXPECT_EQ(1, variant->way->sleep(&s, 5000));
	EXPECT_EQ(0, child_wait(pid));
}

/* No wakeup is lost in the direction from the reader to the sender. */

FIXTURE(race) {
	struct member member;
	__u64 seed;
};

FIXTURE_VARIANT(race) {
	const struct way *forgets;	/* how a reader that never calls ROOM sleeps; or NULL */
};

FIXTURE_VARIANT_ADD(race, ring_back) { .forgets = NULL };
FIXTURE_VARIANT_ADD(race, forgets_but_waits) { .forgets = &way_wait };
FIXTURE_VARIANT_ADD(race, forgets_but_polls) { .forgets = &way_poll };

FIXTURE_SETUP(race)
{
	ASSERT_EQ(0, member_create(&self->member, 2, 2, 4096));
	self->seed = rng_seed();
}

FIXTURE_TEARDOWN(race)
{
	member_close(&self->member);
}

#define LAST	UINT64_MAX	/* a cookie */

/* Fill the lane again and again, and wait for a random amount of room. */
static void fill_and_flush(struct member *to, int count)
{
	__u64 enough = now() + 4 * SEC;
	struct lane_out lane;
	struct member me;
	int i, ret;

	if (member_join(&me, to->fd) || lane_open(&lane, &me, to, 4))
		_exit(10);
	for (i = 0; i < count && now() < enough; i++) {
		while ((ret = lane_send(&lane, i)) == -EAGAIN)
			if (lane_flush(&lane, lane.next - rng_below(4), in_ms(LATE_MS)))
				_exit(11);
		if (ret < 0)
			_exit(12);
	}
	while ((ret = lane_send(&lane, LAST)) == -EAGAIN)
		sched_yield();
	_exit(lane_flush(&lane, lane.next, in_ms(LATE_MS)) ? 13 : 0);
}

TEST_F(race, no_lost_wakeup)
{
	struct sleeper s = { .member = &self->member };
	struct ivring_item item = { 0 };
	struct lane_in lane;
	int read = 0;
	pid_t pid;

	pid = child_fork_reseeded();
	if (!pid)
		fill_and_flush(&self->member, 3000);
	ASSERT_TRUE(SOON(LOAD(&self->member.lanes->lane[1].generation)));
	ASSERT_EQ(0, lane_accept(&lane, &self->member, 1));
	while (item.cookie != LAST) {
		if (!variant->forgets || !rng_below(4))
			let_it_wait(lane.ring);
		spin_random(12);
		if (lane_take(&lane, &item)) {
			if (item.cookie != LAST)
				ASSERT_EQ(read++, item.cookie);
			if (!variant->forgets)
				ASSERT_EQ(0, lane_ring_back(&lane));
		} else if (variant->forgets) {
			ASSERT_EQ(1, variant->forgets->sleep(&s, SLEEP_MS));
		}
	}
	/* The sender may wait for the last item. */
	EXPECT_EQ(0, dev_room(self->member.fd, 1));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_LT(read / 50, member_stats(&self->member).room);
	TH_LOG("seed %#llx, ROOM had an effect %llu times for %d items", self->seed,
	       member_stats(&self->member).room, read);
}

TEST_HARNESS_MAIN
