// SPDX-License-Identifier: GPL-2.0
/*
 * Several tasks poll and wait through one file. After any action of one of them, the others are
 * woken for the next item.
 */
#include "ivring_test.h"
#include "ways.h"

#define DELAY	(500 * MSEC)
#define LATE	(3 * SEC)
#define LATE_MS	5000

FIXTURE(sharing) {
	struct member a;	/* sends to b */
	struct member b;
};

FIXTURE_VARIANT(sharing) {
	const struct way *way;	/* how the first task of b sleeps */
};

FIXTURE_VARIANT_ADD(sharing, wait) { &way_wait };
FIXTURE_VARIANT_ADD(sharing, wait_members) { &way_wait_members };
FIXTURE_VARIANT_ADD(sharing, wait_armed) { &way_wait_armed };
FIXTURE_VARIANT_ADD(sharing, poll) { &way_poll };
FIXTURE_VARIANT_ADD(sharing, select) { &way_select };
FIXTURE_VARIANT_ADD(sharing, epoll_level) { &way_epoll_level };
FIXTURE_VARIANT_ADD(sharing, epoll_edge) { &way_epoll_edge };
FIXTURE_VARIANT_ADD(sharing, eventfd) { &way_eventfd };
FIXTURE_VARIANT_ADD(sharing, uring) { &way_uring };
FIXTURE_VARIANT_ADD(sharing, uring_multishot) { &way_uring_multishot };

FIXTURE_SETUP(sharing)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, 64, 4096));
	member_see_members(&self->b);
}

FIXTURE_TEARDOWN(sharing)
{
	member_close_pair(&self->a, &self->b);
}

/* What other tasks do with the file meanwhile. Returns 0, or a number that names the error. */

static int poll_for_members(int fd)
{
	return dev_poll(fd, POLLPRI);
}

static int poll_for_nothing(int fd)
{
	return dev_poll(fd, 0);
}

static int select_exceptions(int fd)
{
	struct timeval zero = { 0 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	return select(fd + 1, NULL, NULL, &set, &zero);
}

static int add_to_epoll(int fd)
{
	struct epoll_event event = { .events = EPOLLPRI };
	int epfd = epoll_create1(0), ret;

	ret = epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) ? -errno :
	      epoll_wait(epfd, &event, 1, 0);
	close(epfd);
	return ret;
}

static int wait_a_while(int fd)
{
	return dev_wait(fd, 0, in_ms(20), NULL) + ETIMEDOUT;
}

static int only_look(int fd)
{
	return dev_wait(fd, 0, 0, NULL) + ETIMEDOUT;
}

static int wait_though_not_armed(int fd)
{
	int ret = dev_wait(fd, IVRING_WAIT_ARMED, in_ms(20), NULL);

	/* The call may find that another task has armed. */
	return ret && ret != -ETIMEDOUT;
}

/*
 * Start another task with the files while the first one sleeps. It calls each function of
 * @others during a delay if @delay is set, or else before the item comes.
 */
static int other_task(const struct member *a, const struct member *b, bool delay,
		      int (*const others[])(int fd), __u64 *sent)
{
	/* A child has no mappings. */
	const struct ivring_member_area *area =
		member_map_view(a, b->id, b->generation, a->area_size, IVRING_MAP_MEMBER);
	int i;

	if (area == MAP_FAILED || !SOON(LOAD(&area->state) == IVRING_IDLE))
		return 1;
	usleep(20000);
	*sent = now();
	if (delay && member_send(a, b->id, b->generation, 1))
		return 2;
	for (i = 0; others[i]; i++) {
		if (delay && LOAD(&area->state) != IVRING_DELAYED)
			return 3;
		if (others[i](b->fd))
			return 10 + i;
	}
	if (delay)
		return LOAD(&area->state) == IVRING_DELAYED ? 0 : 4;
	usleep(20000);
	*sent = now();
	return member_send(a, b->id, b->generation, 1) ? 5 : 0;
}

/* How long the first task sleeps after the item was sent; 0 on failure. */
static __u64 sleep_meanwhile(struct __test_metadata *_metadata, struct member *a, struct member *b,
			     const struct way *way, bool delay, int (*const others[])(int fd))
{
	__u64 *sent = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	__u64 end = now() + LATE_MS * MSEC;
	struct sleeper s = { .member = b };
	struct ivring_item item;
	__u64 slept = 0;
	pid_t pid;
	int ret;

	ret = way->open(&s);
	if (ret == -ENOSYS || ret == -EPERM)
		SKIP(return LATE - 1, "io_uring is not available");
	EXPECT_EQ(0, ret);
	pid = child_fork();
	if (!pid)
		_exit(other_task(a, b, delay, others, sent));
	/* A task that waits for the doorbell may be woken without a reason, and waits again. */
	do
		ret = way->sleep(&s, LATE_MS);
	while (ret == 1 && !member_pending(b) && now() < end);
	EXPECT_EQ(1, ret);
	if (member_take(b, &item))
		slept = now() - *sent;
	EXPECT_EQ(0, child_wait(pid));
	munmap(sent, PAGE);
	return slept;
}

/* A task that asks for something else does not end a delay, and every delay ends. */
TEST_F(sharing, delay_and_pollers)
{
	static int (*const others[])(int) = {
		poll_for_members, poll_for_nothing, select_exceptions, add_to_epoll, NULL,
	};
	__u64 slept;

	STORE(&self->b.area->wake_items, 8);
	STORE(&self->b.area->wake_delay_us, DELAY / 1000);
	slept = sleep_meanwhile(_metadata, &self->a, &self->b, variant->way, true, others);
	EXPECT_LE(DELAY, slept);
	EXPECT_GT(LATE, slept);
}

/*
 * The task that ends a WAIT leaves no other task asleep while the state is BUSY, including
 * tasks that sleep on the eventfd.
 */
TEST_F(sharing, end_of_wait)
{
	static int (*const others[][2])(int) = {
		{ wait_a_while, NULL }, { only_look, NULL }, { wait_though_not_armed, NULL },
	};
	unsigned int i;
	__u64 slept;

	for (i = 0; i < ARRAY_SIZE(others); i++) {
		slept = sleep_meanwhile(_metadata, &self->a, &self->b, variant->way, false,
					others[i]);
		EXPECT_LT(0, slept) TH_LOG("%u", i);
		EXPECT_GT(LATE, slept) TH_LOG("%u", i);
		dev_eventfd(self->b.fd, -1);
		STORE(&self->b.area->state, IVRING_BUSY);
	}
}

FIXTURE(sharing_delay) {
	struct member a;
	struct member b;
};

FIXTURE_SETUP(sharing_delay)
{
	sharing_setup(_metadata, (void *)self, NULL);
}

FIXTURE_TEARDOWN(sharing_delay)
{
	sharing_teardown(_metadata, (void *)self, NULL);
}

/* A task goes to sleep during a delay, and is woken at its end too. */
TEST_F(sharing_delay, second_sleeper)
{
	struct ivring_item item;
	pid_t pid;
	int i;

	STORE(&self->b.area->wake_items, 8);
	STORE(&self->b.area->wake_delay_us, DELAY / 1000);
	for (i = 0; i < 2; i++) {
		STORE(&self->b.area->state, IVRING_IDLE);
		ASSERT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, 1));
		ASSERT_EQ(IVRING_DELAYED, member_state(&self->b));
		/* The first task has read the item, and does not set the state to BUSY. */
		ASSERT_TRUE(member_take(&self->b, &item));
		pid = child_fork();
		if (!pid) {
			struct pollfd p = { .fd = self->b.fd, .events = POLLIN };

			if (i)
				_exit(-dev_wait(self->b.fd, 0, in_ms(LATE_MS), NULL));
			_exit(poll(&p, 1, LATE_MS) != 1);
		}
		usleep(DELAY / 1000 / 4);
		EXPECT_EQ(IVRING_DELAYED, member_state(&self->b));
		ASSERT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, 1));
		EXPECT_EQ(IVRING_DELAYED, member_state(&self->b));
		EXPECT_EQ(0, child_wait(pid));
		ASSERT_TRUE(member_take(&self->b, &item));
	}
	EXPECT_EQ(2, member_stats(&self->b).delayed);
	EXPECT_EQ(2, member_stats(&self->b).rung);
}

/* Start another task with the same file that sleeps until it is killed. */
static void sleep_by(int fd, bool by_poll)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (;;)
		if (by_poll)
			poll(&p, 1, -1);
		else
			dev_wait(fd, 0, IVRING_DEADLINE_NEVER, NULL);
}

/*
 * One armed task works for a while between its sleeps, and another one sleeps. If nothing
 * is sent, they do not wake each other.
 */
TEST_F(sharing_delay, sleepers_do_not_wake_each_other)
{
	struct member *b = &self->b;
	int i, woken, ret;
	pid_t pid;

	for (i = 0; i < 2; i++) {
		STORE(&b->area->state, IVRING_BUSY);
		pid = child_fork();
		if (!pid)
			sleep_by(b->fd, i);
		ASSERT_TRUE(SOON(member_state(b) == IVRING_IDLE));
		for (woken = 0; woken < 20; woken++) {
			STORE(&b->area->state, IVRING_IDLE);
			FULL_BARRIER();
			ASSERT_FALSE(member_pending(b));
			ret = dev_wait(b->fd, IVRING_WAIT_ARMED, in_ms(500), NULL);
			if (ret)
				break;
			STORE(&b->area->state, IVRING_BUSY);
			usleep(20000);
		}
		EXPECT_EQ(-ETIMEDOUT, ret);
		EXPECT_GT(5, woken);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

TEST_HARNESS_MAIN
