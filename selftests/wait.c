// SPDX-License-Identifier: GPL-2.0
/*
 * IVRING_IOC_WAIT: which events end it, and each of its errors. sleep.c tests that no
 * wakeup is lost.
 */
#include "ivring_test.h"

FIXTURE(wait) {
	struct member a;	/* sends to b, which sleeps */
	struct member b;
};

FIXTURE_SETUP(wait)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, 8, 4096));
	member_see_members(&self->b);
}

FIXTURE_TEARDOWN(wait)
{
	member_close_pair(&self->a, &self->b);
}

static int send(struct member *from, struct member *to)
{
	return member_send(from, to->id, to->generation, 1);
}

/*
 * Start a process that waits, and exits with the events, or with 100 plus the error. It
 * does not hold the file @other.
 */
static pid_t sleeper_without(int other, struct member *member, __u32 flags, __u64 deadline)
{
	pid_t pid = child_fork();
	__u32 events;
	int ret;

	if (pid)
		return pid;
	close(other);
	ret = dev_wait(member->fd, flags, deadline, &events);
	_exit(ret ? 100 - ret : events);
}

static pid_t sleeper(struct member *member, __u32 flags, __u64 deadline)
{
	return sleeper_without(-1, member, flags, deadline);
}

static bool sleeps(struct member *member)
{
	return SOON(member_state(member) == IVRING_IDLE);
}

TEST_F(wait, nothing)
{
	__u64 start = now();

	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, 0, 0, NULL));
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, 0, 1, NULL));
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, IVRING_WAIT_MEMBERS, start, NULL));
	EXPECT_GT(SEC, now() - start);
	start = now();
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, IVRING_WAIT_MEMBERS,
				       start + 50 * MSEC, NULL));
	EXPECT_LE(50 * MSEC, now() - start);
	EXPECT_GT(2 * SEC, now() - start);
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
}

TEST_F(wait, items)
{
	struct ivring_item item;
	__u32 events;

	/* There is an item already. */
	ASSERT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(0, dev_wait(self->b.fd, 0, 0, &events));
	EXPECT_EQ(IVRING_EVENT_ITEMS, events);
	EXPECT_EQ(0, dev_wait(self->b.fd, IVRING_WAIT_MEMBERS,
			      IVRING_DEADLINE_NEVER, &events));
	EXPECT_EQ(IVRING_EVENT_ITEMS, events);
	EXPECT_EQ(0, member_stats(&self->b).waits);
	/* The item stays until it has been read. */
	EXPECT_TRUE(member_take(&self->b, &item));
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, 0, 0, &events));
}

TEST_F(wait, item_comes)
{
	static const __u64 deadlines[] = {
		IVRING_DEADLINE_NEVER, IVRING_DEADLINE_NEVER - 1,
		1ULL << 63, (1ULL << 63) - 1,
	};
	struct ivring_item item;
	unsigned int i;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(deadlines); i++) {
		pid = sleeper(&self->b, 0, deadlines[i]);
		ASSERT_TRUE(sleeps(&self->b));
		ASSERT_EQ(0, send(&self->a, &self->b));
		EXPECT_EQ(IVRING_EVENT_ITEMS, child_wait(pid));
		EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
		EXPECT_TRUE(member_take(&self->b, &item));
	}
	/* One of the tasks may have found its item before it slept. */
	EXPECT_LT(0, member_stats(&self->b).waits);
	EXPECT_GE(i, member_stats(&self->b).waits);
	EXPECT_EQ(i, member_stats(&self->b).rung);
	EXPECT_EQ(0, member_stats(&self->b).spurious);
}

/* Events of a member are counted when they happen, not when the call returns. */
TEST_F(wait, counts_while_it_sleeps)
{
	struct member c;
	pid_t pid;

	STORE(&self->b.area->members_wanted, 1);
	pid = sleeper(&self->b, 0, IVRING_DEADLINE_NEVER);
	EXPECT_TRUE(SOON(member_stats(&self->b).waits == 1));
	ASSERT_EQ(0, member_join(&c, self->a.fd));
	EXPECT_TRUE(SOON(member_stats(&self->b).waits == 2));
	EXPECT_EQ(1, member_stats(&self->b).spurious);
	member_close(&c);
	EXPECT_TRUE(SOON(member_stats(&self->b).waits == 3));
	EXPECT_EQ(2, member_stats(&self->b).spurious);
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	ASSERT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(IVRING_EVENT_ITEMS, child_wait(pid));
	EXPECT_EQ(3, member_stats(&self->b).waits);
	EXPECT_EQ(2, member_stats(&self->b).spurious);
}

/*
 * A call that only looks, because its deadline has passed, has not slept and is not counted
 * as a sleep.
 */
TEST_F(wait, does_not_count_a_look)
{
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, 0, 0, NULL));
	STORE(&self->b.area->state, IVRING_IDLE);
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, IVRING_WAIT_ARMED, 0, NULL));
	EXPECT_EQ(0, member_stats(&self->b).waits);
	EXPECT_EQ(0, member_stats(&self->b).spurious);
}

/* So are the items that a sender has sent while the same call still waits for room. */
TEST_F(wait, counts_items_of_a_send_that_waits)
{
	struct ivring_item items[12] = { 0 }, item;
	struct ivring_enqueue e = enqueue_args(self->b.id, self->b.generation, items, 12);
	pid_t pid = child_fork();
	int i;

	e.flags = IVRING_ENQUEUE_WAIT;
	e.deadline = IVRING_DEADLINE_NEVER;
	if (!pid)
		_exit(dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e) || e.done != 12);
	EXPECT_TRUE(SOON(member_stats(&self->b).full == 1));
	EXPECT_TRUE(SOON(member_stats(&self->a).items_out == 8));
	EXPECT_EQ(8, member_stats(&self->b).items_in);
	for (i = 0; i < 4; i++)
		EXPECT_TRUE(member_take(&self->b, &item));
	EXPECT_EQ(0, member_ring_back(&self->b));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(12, member_stats(&self->a).items_out);
}

TEST_F(wait, members)
{
	__u32 events;
	struct member c;
	pid_t pid;

	pid = sleeper(&self->b, IVRING_WAIT_MEMBERS, IVRING_DEADLINE_NEVER);
	ASSERT_TRUE(sleeps(&self->b));
	ASSERT_EQ(0, member_join(&c, self->a.fd));
	EXPECT_EQ(IVRING_EVENT_MEMBERS, child_wait(pid));
	/* The changes stay until the member has seen them. */
	EXPECT_EQ(0, dev_wait(self->b.fd, IVRING_WAIT_MEMBERS, 0, &events));
	EXPECT_EQ(IVRING_EVENT_MEMBERS, events);
	member_see_members(&self->b);
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, IVRING_WAIT_MEMBERS, 0, &events));

	pid = sleeper_without(c.fd, &self->b, IVRING_WAIT_MEMBERS,
			      IVRING_DEADLINE_NEVER);
	ASSERT_TRUE(sleeps(&self->b));
	member_close(&c);
	EXPECT_EQ(IVRING_EVENT_MEMBERS, child_wait(pid));

	/* Both events at once. */
	ASSERT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(0, dev_wait(self->b.fd, IVRING_WAIT_MEMBERS, 0, &events));
	EXPECT_EQ(IVRING_EVENT_MEMBERS | IVRING_EVENT_ITEMS, events);
	EXPECT_EQ(0, dev_wait(self->b.fd, 0, 0, &events));
	EXPECT_EQ(IVRING_EVENT_ITEMS, events);
}

/* The member has asked for changes, but the task has not. So the task is woken and sleeps again. */
TEST_F(wait, spurious)
{
	struct member c;
	pid_t pid;

	STORE(&self->b.area->members_wanted, 1);
	pid = sleeper(&self->b, 0, IVRING_DEADLINE_NEVER);
	ASSERT_TRUE(sleeps(&self->b));
	ASSERT_EQ(0, member_join(&c, self->a.fd));
	ASSERT_TRUE(sleeps(&self->b));
	usleep(50000);
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	ASSERT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(IVRING_EVENT_ITEMS, child_wait(pid));
	EXPECT_EQ(1, member_stats(&self->b).spurious);
	member_close(&c);
}

static void nothing(int signal)
{
}

TEST_F(wait, signal)
{
	struct sigaction action = { .sa_handler = nothing };
	pid_t pid;

	sigaction(SIGUSR1, &action, NULL);
	pid = sleeper(&self->b, 0, IVRING_DEADLINE_NEVER);
	ASSERT_TRUE(sleeps(&self->b));
	kill(pid, SIGUSR1);
	EXPECT_EQ(100 + EINTR, child_wait(pid));
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));

	action.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &action, NULL);
	pid = sleeper(&self->b, 0, IVRING_DEADLINE_NEVER);
	ASSERT_TRUE(sleeps(&self->b));
	kill(pid, SIGUSR1);
	usleep(50000);
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	ASSERT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(IVRING_EVENT_ITEMS, child_wait(pid));

	/* The task can be killed, even if other signals cannot interrupt it. */
	EXPECT_TRUE(member_take(&self->b, &(struct ivring_item) { 0 }));
	pid = sleeper(&self->b, 0, IVRING_DEADLINE_NEVER);
	ASSERT_TRUE(sleeps(&self->b));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(pid));
}

/* The end of one sleep leaves no other task asleep while the state is BUSY. */
TEST_F(wait, two_sleepers)
{
	struct pollfd p = { .fd = self->b.fd, .events = POLLIN };
	pid_t pid = sleeper(&self->b, 0, IVRING_DEADLINE_NEVER);

	ASSERT_TRUE(sleeps(&self->b));
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, 0, in_ms(20), NULL));
	ASSERT_TRUE(sleeps(&self->b));
	ASSERT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(IVRING_EVENT_ITEMS, child_wait(pid));

	/* The other task polls. */
	EXPECT_TRUE(member_take(&self->b, &(struct ivring_item) { 0 }));
	pid = child_fork();
	if (!pid)
		_exit(poll(&p, 1, -1) == 1 ? p.revents : 100);
	ASSERT_TRUE(sleeps(&self->b));
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, 0, in_ms(20), NULL));
	ASSERT_TRUE(sleeps(&self->b));
	ASSERT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(POLLIN, child_wait(pid));
}

TEST_F(wait, returns_busy)
{
	/* The state was IDLE before the call. */
	STORE(&self->b.area->state, IVRING_IDLE);
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, 0, 0, NULL));
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
	ASSERT_EQ(0, send(&self->a, &self->b));
	STORE(&self->b.area->state, IVRING_IDLE);
	EXPECT_EQ(0, dev_wait(self->b.fd, 0, 0, NULL));
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
}

/* With a deadline in the past, the call neither sleeps nor counts a sleep. */
TEST_F(wait, past_deadline)
{
	struct ivring_stats before = member_stats(&self->a);
	const __u64 past[] = { 0, 1, 1000, now() };
	unsigned int i;

	member_see_members(&self->a);
	for (i = 0; i < ARRAY_SIZE(past); i++) {
		EXPECT_EQ(-ETIMEDOUT, dev_wait(self->a.fd, 0, past[i], NULL));
		EXPECT_EQ(IVRING_BUSY, member_state(&self->a));
		STORE(&self->a.area->state, IVRING_IDLE);
		EXPECT_EQ(-ETIMEDOUT, dev_wait(self->a.fd, IVRING_WAIT_ARMED, past[i], NULL));
		EXPECT_EQ(IVRING_BUSY, member_state(&self->a));
	}
	EXPECT_EQ(before.waits, member_stats(&self->a).waits);
	EXPECT_EQ(before.spurious, member_stats(&self->a).spurious);
}

TEST_F(wait, errors)
{
	struct snapshot before;
	struct ivring_create c = create_args(1, 2, 4096);
	char *fenced = fenced_pages(1);
	int bit, fd;

	ASSERT_EQ(0, send(&self->a, &self->b));
	before = member_snapshot(&self->a);
	for (bit = 0; bit < 32; bit++)
		if (~(IVRING_WAIT_MEMBERS | IVRING_WAIT_ARMED) & 1U << bit)
			EXPECT_EQ(-EINVAL, dev_wait(self->b.fd, 1U << bit, 0, NULL));
	EXPECT_EQ(-EFAULT, dev_ioctl(self->b.fd, IVRING_IOC_WAIT, NULL));
	EXPECT_EQ(-EFAULT, dev_ioctl(self->b.fd, IVRING_IOC_WAIT, KERNEL_ADDRESS));
	EXPECT_EQ(-EFAULT, dev_ioctl(self->b.fd, IVRING_IOC_WAIT, unmapped_address()));
	EXPECT_EQ(-EFAULT, dev_ioctl(self->b.fd, IVRING_IOC_WAIT, fenced + PAGE - 8));
	mprotect(fenced, PAGE, PROT_READ);
	EXPECT_EQ(-EFAULT, dev_ioctl(self->b.fd, IVRING_IOC_WAIT, fenced));
	EXPECT_UNCHANGED(before, &self->a);

	fd = dev_open();
	EXPECT_EQ(-ENOTCONN, dev_wait(fd, 0, 0, NULL));
	ASSERT_EQ(0, dev_ioctl(fd, IVRING_IOC_CREATE, &c));
	EXPECT_EQ(-ENOTCONN, dev_wait(fd, 0, IVRING_DEADLINE_NEVER, NULL));
	close(fd);
}

TEST_HARNESS_MAIN
