// SPDX-License-Identifier: GPL-2.0
/*
 * A receiver is stopped, or killed while it is stopped. Its senders get an error or time
 * out, and can serve others. When it continues, no item is lost.
 */
#include "ivring_test.h"
#include "ways.h"

#define ENTRIES		8
#define SLOT		2		/* of the receiver that is stopped */
#define LATE_MS		5000

FIXTURE(stopped) {
	struct member member;	/* sends */
	struct member other;	/* is served meanwhile */
	struct lane_out out;	/* to the receiver that is stopped */
	pid_t pid;
};

FIXTURE_VARIANT(stopped) {
	const struct way *way;	/* how the receiver sleeps; or NULL */
};

FIXTURE_VARIANT_ADD(stopped, wait) { &way_wait };
FIXTURE_VARIANT_ADD(stopped, wait_armed) { &way_wait_armed };
FIXTURE_VARIANT_ADD(stopped, poll) { &way_poll };
FIXTURE_VARIANT_ADD(stopped, epoll_edge) { &way_epoll_edge };
FIXTURE_VARIANT_ADD(stopped, eventfd) { &way_eventfd };
FIXTURE_VARIANT_ADD(stopped, uring_multishot) { &way_uring_multishot };
FIXTURE_VARIANT_ADD(stopped, awake) { NULL };

static struct lane_in in;

/* The receiver stays a member until this pipe has no writing end. */
static int stay[2];

static bool more_in_lane(void)
{
	return lane_pending(&in);
}

/*
 * Read ENTRIES items of the inbox and then ENTRIES items of the lane, which are sent while
 * the process is stopped, and check their order. The exit status is 0, or says what went
 * wrong.
 */
static void receive(struct member *member, const struct way *way)
{
	struct sleeper s = { .member = member, .more = more_in_lane };
	__u64 inbox = 0, lane = 0;
	struct ivring_item item;
	int ret;

	if (way && way->open(&s))
		_exit(20);
	while (inbox < ENTRIES || lane < ENTRIES) {
		if (member_take(member, &item)) {
			if (item.cookie != inbox++ || member_ring_back(member))
				_exit(21);
			continue;
		}
		if (lane_take(&in, &item)) {
			if (item.cookie != lane++ || lane_ring_back(&in))
				_exit(22);
			continue;
		}
		ret = way ? way->sleep(&s, 4 * LATE_MS) : 1;
		/* poll(), select() and epoll return EINTR when the process continues. */
		if (ret == 0 || (ret < 0 && ret != -EINTR && errno != EINTR))
			_exit(23);
	}
	close(stay[1]);
	_exit(read(stay[0], &item, sizeof(item)));
}

FIXTURE_SETUP(stopped)
{
	struct member to = { .id = SLOT, .generation = 1 };
	struct uring ring;
	int status;

	if (variant->way == &way_uring_multishot && uring_open(&ring))
		SKIP(return, "io_uring is not available");
	ASSERT_EQ(0, member_create(&self->member, 4, ENTRIES, 4096));
	ASSERT_EQ(0, member_join(&self->other, self->member.fd));
	ASSERT_EQ(0, pipe(stay));
	self->pid = child_fork();
	if (!self->pid) {
		struct member member;

		if (member_join_slot(&member, self->member.fd, SLOT))
			_exit(10);
		close(self->member.fd);
		close(self->other.fd);
		member_see_members(&member);
		if (!SOON(member.lanes->lane[0].generation) || lane_accept(&in, &member, 0))
			_exit(11);
		/* A receiver that never sleeps is stopped while its state is BUSY. */
		receive(&member, variant->way);
	}
	ASSERT_TRUE(SOON(member_generation(&self->member, SLOT) == 1));
	ASSERT_EQ(0, lane_open(&self->out, &self->member, &to, ENTRIES));
	ASSERT_TRUE(SOON(!variant->way || LOAD(&self->out.area->state) == IVRING_IDLE));
	usleep(10000);
	ASSERT_EQ(0, kill(self->pid, SIGSTOP));
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
}

FIXTURE_TEARDOWN(stopped)
{
	kill(self->pid, SIGKILL);
	lane_unmap(&self->out, &self->member);
	member_close(&self->other);
	member_close(&self->member);
}

static int send(const struct member *member, __u64 cookie)
{
	return member_send(member, SLOT, 1, cookie);
}

/* The other receiver gets its items at once. */
static bool serves(struct member *member, struct member *other)
{
	static __u64 cookie;
	struct ivring_item item = { 0 };

	return !member_send(member, other->id, other->generation, ++cookie) &&
	       member_take(other, &item) && item.cookie == cookie;
}

/* Fill the inbox and the lane. A call that does not ask to wait does not wait. */
static bool fill(struct member *member, struct member *other, struct lane_out *out)
{
	__u64 start = now();
	int i;

	for (i = 0; i < ENTRIES; i++) {
		if (send(member, i) || lane_send(out, i) < 0 || !serves(member, other))
			return false;
		/* Doorbells do no harm. */
		if (lane_doorbell(out) < 0)
			return false;
	}
	return send(member, i) == -EAGAIN && lane_full(out) && now() - start < LATE_MS * MSEC;
}

/* Senders that wait for it return at their deadline. */
TEST_F(stopped, sender_goes_on)
{
	__u32 position = self->member.start + ENTRIES;
	__u64 start;

	ASSERT_TRUE(fill(&self->member, &self->other, &self->out));
	start = now();
	EXPECT_EQ(-ETIMEDOUT, member_send_wait(&self->member, SLOT, 1, 9, start + 30 * MSEC));
	EXPECT_TRUE(serves(&self->member, &self->other));
	EXPECT_EQ(-ETIMEDOUT, dev_flush(self->member.fd, SLOT, 1, position,
					start + 60 * MSEC));
	EXPECT_TRUE(serves(&self->member, &self->other));
	EXPECT_EQ(-ETIMEDOUT, lane_flush(&self->out, self->out.next, start + 90 * MSEC));
	EXPECT_TRUE(serves(&self->member, &self->other));
	EXPECT_LE(90 * MSEC, now() - start);
	EXPECT_GT(LATE_MS * MSEC, now() - start);

	/* When it continues it finds every item. */
	ASSERT_EQ(0, kill(self->pid, SIGCONT));
	EXPECT_EQ(0, dev_flush(self->member.fd, SLOT, 1, position, in_ms(LATE_MS)));
	close(stay[1]);
	EXPECT_EQ(0, child_wait(self->pid));
}

/* It never continues, and senders wait for it without a deadline. */
TEST_F(stopped, killed)
{
	pid_t pid[3];
	int i;

	ASSERT_TRUE(fill(&self->member, &self->other, &self->out));
	for (i = 0; i < 3; i++) {
		pid[i] = child_fork();
		if (!pid[i] && i == 0)
			_exit(-member_send_wait(&self->member, SLOT, 1, 9, IVRING_DEADLINE_NEVER));
		if (!pid[i] && i == 1)
			_exit(-dev_flush(self->member.fd, SLOT, 1, self->member.start + 1,
					 IVRING_DEADLINE_NEVER));
		if (!pid[i])
			_exit(-lane_flush(&self->out, self->out.next,
					  IVRING_DEADLINE_NEVER));
	}
	ASSERT_TRUE(SOON(LOAD(&self->out.ring->room_wanted)));
	usleep(20000);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, waitpid(pid[i], NULL, WNOHANG));
	kill(self->pid, SIGKILL);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(EPIPE, child_wait(pid[i]));
	EXPECT_EQ(-EPIPE, send(&self->member, 9));
	EXPECT_EQ(-EPIPE, lane_doorbell(&self->out));
	EXPECT_TRUE(serves(&self->member, &self->other));
}

TEST_HARNESS_MAIN
