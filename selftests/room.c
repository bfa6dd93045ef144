// SPDX-License-Identifier: GPL-2.0
/*
 * A full inbox: senders wait for room, and the reader calls ROOM, or only goes to sleep.
 */
#include <sys/epoll.h>
#include <sys/time.h>

#include "ivring_test.h"

#define ENTRIES	4

FIXTURE(room) {
	struct member a;	/* sends to b, whose inbox is full */
	struct member b;
};

FIXTURE_SETUP(room)
{
	int i;

	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, ENTRIES, 4096));
	for (i = 0; i < ENTRIES; i++)
		ASSERT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, i));
}

FIXTURE_TEARDOWN(room)
{
	member_close_pair(&self->a, &self->b);
}

/* Start a process that sends @cookie, waits for room, and exits with the error. */
static pid_t sender(const struct member *from, const struct member *to, __u64 cookie)
{
	pid_t pid = child_fork();

	if (!pid)
		_exit(-member_send_wait(from, to->id, to->generation, cookie,
					IVRING_DEADLINE_NEVER));
	return pid;
}

static bool sender_waits(const struct member *to)
{
	return SOON(LOAD(&to->inbox->room_wanted));
}

TEST_F(room, deadline)
{
	struct ivring_stats before = member_stats(&self->b);
	__u64 start = now();

	EXPECT_EQ(-ETIMEDOUT, member_send_wait(&self->a, self->b.id,
					       self->b.generation, 9, 0));
	EXPECT_EQ(-ETIMEDOUT, member_send_wait(&self->a, self->b.id,
					       self->b.generation, 9, 1));
	EXPECT_EQ(-ETIMEDOUT, member_send_wait(&self->a, self->b.id,
					       self->b.generation, 9, start));
	EXPECT_GT(SEC, now() - start);

	start = now();
	EXPECT_EQ(-ETIMEDOUT, member_send_wait(&self->a, self->b.id,
					       self->b.generation, 9, start + 50 * MSEC));
	EXPECT_LE(50 * MSEC, now() - start);
	EXPECT_GT(2 * SEC, now() - start);

	EXPECT_EQ(ENTRIES, member_pending(&self->b));
	EXPECT_EQ(before.items_in, member_stats(&self->b).items_in);
	EXPECT_EQ(before.full + 4, member_stats(&self->b).full);
}

/*
 * A call that does not sleep does not ask for a notification: room_at is written before
 * each sleep, and keeps its value.
 */
TEST_F(room, past_deadline)
{
	__u32 before = LOAD(&self->b.inbox->room_at);
	const __u64 past[] = { 0, 1, 1000, now() };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(past); i++) {
		EXPECT_EQ(-ETIMEDOUT, member_send_wait(&self->a, self->b.id, self->b.generation,
						       9, past[i]));
		EXPECT_EQ(before, LOAD(&self->b.inbox->room_at));
		EXPECT_EQ(-ETIMEDOUT, dev_flush(self->a.fd, self->b.id, self->b.generation,
						self->b.start + ENTRIES - 1, past[i]));
		EXPECT_EQ(before, LOAD(&self->b.inbox->room_at));
		EXPECT_EQ(0, LOAD(&self->b.inbox->room_wanted));
	}
	EXPECT_EQ(-ETIMEDOUT, member_send_wait(&self->a, self->b.id, self->b.generation, 9,
					       in_ms(20)));
	EXPECT_NE(before, LOAD(&self->b.inbox->room_at));
}

/* If there is room the call does not wait, for any deadline. */
TEST_F(room, deadline_unneeded)
{
	struct ivring_item item;

	ASSERT_TRUE(member_take(&self->b, &item));
	EXPECT_EQ(0, member_send_wait(&self->a, self->b.id, self->b.generation, 9, 1));
	ASSERT_TRUE(member_take(&self->b, &item));
	EXPECT_EQ(0, member_send_wait(&self->a, self->b.id, self->b.generation, 9,
				      IVRING_DEADLINE_NEVER));
	EXPECT_EQ(0, LOAD(&self->b.inbox->room_wanted));
}

/* A part of the batch was in the inbox at the deadline. */
TEST_F(room, deadline_in_a_batch)
{
	struct ivring_item item, items[3] = { 0 };
	struct ivring_enqueue e = enqueue_args(self->b.id, self->b.generation, items, 3);
	__u64 start = now();

	ASSERT_TRUE(member_take(&self->b, &item));
	e.flags = IVRING_ENQUEUE_WAIT;
	e.deadline = start + 50 * MSEC;
	EXPECT_EQ(0, dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e));
	EXPECT_LE(50 * MSEC, now() - start);
	EXPECT_EQ(1, e.done);
	EXPECT_EQ(self->b.start + ENTRIES + 1, e.position);
}

static void nothing(int signal)
{
}

/* Signals that restart the call do not extend its deadline. */
TEST_F(room, deadline_under_signals)
{
	struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	struct itimerval every = { { 0, 10000 }, { 0, 10000 } }, off = { 0 };
	__u64 start = now();

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	EXPECT_EQ(-ETIMEDOUT, member_send_wait(&self->a, self->b.id,
					       self->b.generation, 9, start + 100 * MSEC));
	setitimer(ITIMER_REAL, &off, NULL);
	EXPECT_LE(100 * MSEC, now() - start);
	EXPECT_GT(5 * SEC, now() - start);
}

TEST_F(room, signal)
{
	struct sigaction action = { .sa_handler = nothing };
	pid_t pid;

	sigaction(SIGUSR1, &action, NULL);
	pid = sender(&self->a, &self->b, 9);
	ASSERT_TRUE(sender_waits(&self->b));
	kill(pid, SIGUSR1);
	EXPECT_EQ(EINTR, child_wait(pid));

	pid = sender(&self->a, &self->b, 9);
	ASSERT_TRUE(sender_waits(&self->b));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(pid));
	EXPECT_EQ(ENTRIES, member_pending(&self->b));
}

TEST_F(room, signal_that_restarts)
{
	struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	struct ivring_item item;
	pid_t pid;

	sigaction(SIGUSR1, &action, NULL);
	pid = sender(&self->a, &self->b, 9);
	ASSERT_TRUE(sender_waits(&self->b));
	kill(pid, SIGUSR1);
	usleep(50000);
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	ASSERT_TRUE(member_take(&self->b, &item));
	EXPECT_EQ(0, member_ring_back(&self->b));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(9, self->b.inbox->item[0].cookie);
}

/*
 * Items that are in the inbox when the signal comes stay there, are reported, and are not
 * sent again.
 */
TEST_F(room, signal_in_a_batch)
{
	struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	struct ivring_item item, items[3] = { 0 };
	struct ivring_enqueue e = enqueue_args(self->b.id, self->b.generation, items, 3);
	pid_t pid;

	ASSERT_TRUE(member_take(&self->b, &item));
	sigaction(SIGUSR1, &action, NULL);
	e.flags = IVRING_ENQUEUE_WAIT;
	e.deadline = IVRING_DEADLINE_NEVER;
	pid = child_fork();
	if (!pid) {
		if (dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e))
			_exit(100);
		_exit(e.done);
	}
	ASSERT_TRUE(sender_waits(&self->b));
	kill(pid, SIGUSR1);
	EXPECT_EQ(1, child_wait(pid));
	EXPECT_EQ(ENTRIES, member_pending(&self->b));
	EXPECT_TRUE(ring_holds(self->b.inbox, ENTRIES, self->b.start + ENTRIES));
}

TEST_F(room, ring_back)
{
	struct ivring_item item;
	pid_t pid;

	/* No task waits, so the call has no effect. */
	EXPECT_EQ(0, dev_room(self->b.fd, IVRING_ID_ANY));
	EXPECT_EQ(0, member_stats(&self->b).room);

	pid = sender(&self->a, &self->b, 9);
	ASSERT_TRUE(sender_waits(&self->b) && child_sleeps(pid));
	ASSERT_TRUE(member_take(&self->b, &item));
	EXPECT_EQ(0, dev_room(self->b.fd, IVRING_ID_ANY));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, LOAD(&self->b.inbox->room_wanted));
	EXPECT_EQ(1, member_stats(&self->b).room);
	EXPECT_EQ(ENTRIES, member_pending(&self->b));
}

/* Some senders wait for room and others for progress: the nearest position is asked for first. */
TEST_F(room, positions)
{
	__u32 near = self->b.start + 1, far = self->b.start + 3;
	struct ivring_item item;
	pid_t pid[2];

	pid[1] = child_fork();
	if (!pid[1])
		_exit(-dev_flush(self->a.fd, self->b.id, self->b.generation, far,
				 IVRING_DEADLINE_NEVER));
	ASSERT_TRUE(sender_waits(&self->b));
	EXPECT_EQ(far, LOAD(&self->b.inbox->room_at));
	pid[0] = sender(&self->a, &self->b, 9);
	ASSERT_TRUE(SOON(LOAD(&self->b.inbox->room_at) == near));
	ASSERT_TRUE(member_take(&self->b, &item));
	EXPECT_EQ(0, member_ring_back(&self->b));
	EXPECT_EQ(0, child_wait(pid[0]));
	ASSERT_TRUE(SOON(LOAD(&self->b.inbox->room_wanted) &&
			 LOAD(&self->b.inbox->room_at) == far));
	ASSERT_TRUE(member_take(&self->b, &item));
	EXPECT_EQ(0, member_ring_back(&self->b));
	EXPECT_EQ(1, LOAD(&self->b.inbox->room_wanted));
	ASSERT_TRUE(member_take(&self->b, &item));
	EXPECT_EQ(0, member_ring_back(&self->b));
	EXPECT_EQ(0, child_wait(pid[1]));
}

TEST_F(room, not_attached)
{
	int fd = dev_open();

	EXPECT_EQ(-ENOTCONN, dev_room(fd, IVRING_ID_ANY));
	close(fd);
}

/* A batch is many times as large as the ring. */
TEST_F(room, batch)
{
	enum { COUNT = 101 };
	struct ivring_item item, items[COUNT] = { 0 };
	struct ivring_enqueue e = enqueue_args(self->b.id, self->b.generation,
					       items, COUNT);
	__u64 end = in_ms(20000);
	int i, read = 0;
	pid_t pid;

	for (i = 0; i < COUNT; i++)
		items[i].cookie = ENTRIES + i;
	e.flags = IVRING_ENQUEUE_WAIT;
	e.deadline = IVRING_DEADLINE_NEVER;
	pid = child_fork();
	if (!pid) {
		if (dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e) ||
		    e.position != self->b.start + ENTRIES + COUNT)
			_exit(200);
		_exit(e.done);
	}
	while (read < ENTRIES + COUNT && now() < end) {
		if (!member_take(&self->b, &item))
			continue;
		ASSERT_EQ(read++, item.cookie);
		ASSERT_EQ(0, member_ring_back(&self->b));
	}
	EXPECT_EQ(ENTRIES + COUNT, read);
	EXPECT_EQ(COUNT, child_wait(pid));
}

/* Every waiting sender gets its turn. */
TEST_F(room, many_senders)
{
	enum { SENDERS = 8 };
	__u64 end = in_ms(20000);
	struct ivring_item item;
	int i, read = 0, seen = 0;
	pid_t pid[SENDERS];

	for (i = 0; i < SENDERS; i++)
		pid[i] = sender(&self->a, &self->b, 1 << i);
	ASSERT_TRUE(sender_waits(&self->b));
	while (read < ENTRIES + SENDERS && now() < end) {
		if (!member_take(&self->b, &item))
			continue;
		if (read++ >= ENTRIES)
			seen |= item.cookie;
		ASSERT_EQ(0, member_ring_back(&self->b));
	}
	EXPECT_EQ((1 << SENDERS) - 1, seen);
	for (i = 0; i < SENDERS; i++)
		EXPECT_EQ(0, child_wait(pid[i]));
}

/* How a reader that never calls IVRING_IOC_ROOM looks for items. */

static int look_wait(struct member *member)
{
	return dev_wait(member->fd, 0, in_ms(5000), NULL);
}

static int look_wait_briefly(struct member *member)
{
	int ret = dev_wait(member->fd, 0, 0, NULL);

	return ret == -ETIMEDOUT ? 0 : ret;
}

static int look_poll(struct member *member)
{
	struct pollfd p = { .fd = member->fd, .events = POLLIN };

	return poll(&p, 1, 5000) == 1 ? 0 : -1;
}

static int look_poll_briefly(struct member *member)
{
	return dev_poll(member->fd, POLLIN) & ~POLLIN;
}

static int look_epoll(struct member *member)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epfd = epoll_create1(0), ret;

	epoll_ctl(epfd, EPOLL_CTL_ADD, member->fd, &event);
	ret = epoll_wait(epfd, &event, 1, 5000);
	close(epfd);
	return ret == 1 ? 0 : -1;
}

FIXTURE(forgetful) {
	struct member a;
	struct member b;
};

FIXTURE_VARIANT(forgetful) {
	int (*look)(struct member *member);
};

FIXTURE_VARIANT_ADD(forgetful, wait) { .look = look_wait };
FIXTURE_VARIANT_ADD(forgetful, wait_briefly) { .look = look_wait_briefly };
FIXTURE_VARIANT_ADD(forgetful, poll) { .look = look_poll };
FIXTURE_VARIANT_ADD(forgetful, poll_briefly) { .look = look_poll_briefly };
FIXTURE_VARIANT_ADD(forgetful, epoll) { .look = look_epoll };

FIXTURE_SETUP(forgetful)
{
	room_setup(_metadata, (void *)self, NULL);
}

FIXTURE_TEARDOWN(forgetful)
{
	room_teardown(_metadata, (void *)self, NULL);
}

/* The reader empties its inbox and goes to sleep: its senders continue. */
TEST_F(forgetful, reader)
{
	struct ivring_item item;
	pid_t pid;
	int i;

	pid = sender(&self->a, &self->b, 9);
	ASSERT_TRUE(sender_waits(&self->b) && child_sleeps(pid));
	for (i = 0; i < ENTRIES; i++)
		ASSERT_TRUE(member_take(&self->b, &item));
	EXPECT_EQ(0, variant->look(&self->b));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_TRUE(member_take(&self->b, &item));
	EXPECT_EQ(9, item.cookie);
	EXPECT_EQ(1, member_stats(&self->b).room);
}

TEST_HARNESS_MAIN
