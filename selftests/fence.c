// SPDX-License-Identifier: GPL-2.0
/*
 * IVRING_IOC_FENCE: a member makes all CPUs pass a barrier. lane_sleep.c tests what that is
 * used for.
 */
#include <linux/membarrier.h>
#include <sys/syscall.h>

#include "ivring_test.h"

#define CALLERS	4
#define ROUNDS	200
#define LATE_MS	1000
#define CALLS	100		/* per caller */
#define ROUND_US	50

FIXTURE(fence) {
	struct member member;
};

FIXTURE_SETUP(fence)
{
	ASSERT_EQ(0, member_create(&self->member, 2, 8, 4096));
}

FIXTURE_TEARDOWN(fence)
{
	member_close(&self->member);
}

/* Only members may call it. It has no argument that could be wrong. */
TEST_F(fence, who)
{
	struct ivring_create create = create_args(2, 8, 4096);
	int fd = dev_open();

	EXPECT_EQ(-ENOTCONN, dev_ioctl(fd, IVRING_IOC_FENCE, NULL));
	EXPECT_EQ(0, dev_ioctl(fd, IVRING_IOC_CREATE, &create));
	EXPECT_EQ(-ENOTCONN, dev_ioctl(fd, IVRING_IOC_FENCE, NULL));
	close(fd);
	EXPECT_EQ(0, dev_ioctl(self->member.fd, IVRING_IOC_FENCE, NULL));
	EXPECT_EQ(0, dev_ioctl(self->member.fd, IVRING_IOC_FENCE, (void *)-1UL));
}

/* Send back every byte that is received. */
static void echo(const struct member *to)
{
	struct ivring_item item;
	struct member me;

	if (member_join(&me, to->fd))
		_exit(1);
	for (;;) {
		if (dev_wait(me.fd, 0, IVRING_DEADLINE_NEVER, NULL))
			_exit(2);
		while (member_take(&me, &item))
			if (member_send(&me, to->id, to->generation, item.cookie))
				_exit(3);
	}
}

/* Others make progress while any number of tasks call it all the time. */
TEST_F(fence, storm)
{
	__u64 worst = 0, time;
	struct ivring_item item;
	pid_t pid[CALLERS + 1];
	__u64 i;
	int c;

	pid[CALLERS] = child_fork();
	if (!pid[CALLERS])
		echo(&self->member);
	ASSERT_TRUE(SOON(member_generation(&self->member, 1) == 1));
	for (c = 0; c < CALLERS; c++) {
		pid[c] = child_fork();
		while (!pid[c])
			if (dev_ioctl(self->member.fd, IVRING_IOC_FENCE, NULL))
				_exit(1);
	}
	for (i = 0; i < ROUNDS; i++) {
		time = now();
		ASSERT_EQ(0, member_send(&self->member, 1, 1, i));
		ASSERT_EQ(0, dev_wait(self->member.fd, 0, in_ms(LATE_MS * slowness), NULL));
		ASSERT_TRUE(member_take(&self->member, &item));
		ASSERT_EQ(i, item.cookie);
		time = now() - time;
		if (time > worst)
			worst = time;
	}
	TH_LOG("the slowest of %d round trips took %llu us", ROUNDS, worst / 1000);
	for (c = 0; c <= CALLERS; c++) {
		kill(pid[c], SIGKILL);
		EXPECT_EQ(-SIGKILL, child_wait(pid[c]));
	}
}

/*
 * It takes microseconds even if RCU expedites nothing, when a grace period takes
 * milliseconds. membarrier() waits for such a grace period.
 */

FIXTURE(fence_rcu_normal) {
	struct member member;
};

FIXTURE_SETUP(fence_rcu_normal)
{
	ASSERT_EQ(0, member_create(&self->member, 2, 8, 4096));
	if (set_rcu_normal(true))
		SKIP(return, "rcu_normal cannot be set");
}

FIXTURE_TEARDOWN(fence_rcu_normal)
{
	set_rcu_normal(false);
	member_close(&self->member);
}

static int grace_period(int fd)
{
	return syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) ? -errno : 0;
}

static int fence(int fd)
{
	return dev_ioctl(fd, IVRING_IOC_FENCE, NULL);
}

static int compare(const void *a, const void *b)
{
	__u64 left = *(const __u64 *)a, right = *(const __u64 *)b;

	return (left > right) - (left < right);
}

/*
 * The time that all but a few of the quickest calls take at least, so that other work on
 * the machine does not count. 0 is an error.
 */
static __u64 quick_time(int (*call)(int fd), int fd)
{
	__u64 time[CALLS];
	int i;

	for (i = 0; i < CALLS; i++) {
		usleep(100);
		time[i] = now();
		if (call(fd))
			return 0;
		time[i] = now() - time[i];
	}
	qsort(time, CALLS, sizeof(*time), compare);
	return time[CALLS / 10];
}

TEST_F(fence_rcu_normal, takes_no_grace_period)
{
	__u64 slow = quick_time(grace_period, -1), quick;

	if (!slow)
		SKIP(return, "membarrier() is not available to compare with");
	quick = quick_time(fence, self->member.fd);
	TH_LOG("a fence takes %llu us, a grace period %llu us", quick / 1000, slow / 1000);
	EXPECT_LT(0, quick);
	EXPECT_GT(slow / 4, quick);
}

#define TRACING	"/sys/kernel/tracing/"

static int tell(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_APPEND | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return good ? 0 : -errno;
}

/* How often all CPUs were interrupted since the probe was set. */
static long long rounds(void)
{
	FILE *file = fopen(TRACING "kprobe_profile", "r");
	long long hits = -1;

	if (file && fscanf(file, " ivring_round %lld", &hits) != 1)
		hits = -1;
	if (file)
		fclose(file);
	return hits;
}

/* The CPUs are interrupted at most once in ROUND_US, however many tasks call it all the time. */
TEST_F(fence_rcu_normal, is_limited)
{
	pid_t pid[CALLERS];
	long long count;
	int c, calls;
	__u64 time;

	if (tell(TRACING "kprobe_events", "p:ivring_round on_each_cpu_cond_mask") ||
	    tell(TRACING "events/kprobes/ivring_round/enable", "1"))
		SKIP(return, "no kprobe counts the interrupts");
	time = now();
	for (c = 0; c < CALLERS; c++) {
		pid[c] = child_fork();
		if (!pid[c]) {
			for (calls = 0; calls < CALLS; calls++)
				if (fence(self->member.fd))
					_exit(1);
			_exit(0);
		}
	}
	for (c = 0; c < CALLERS; c++)
		EXPECT_EQ(0, child_wait(pid[c]));
	count = rounds();
	time = (now() - time) / 1000;
	TH_LOG("%d fences interrupted all CPUs %lld times in %llu us", CALLERS * CALLS, count, time);
	EXPECT_LE(CALLS, count);
	EXPECT_GE(time / ROUND_US + 1, count);
	EXPECT_EQ(0, tell(TRACING "events/kprobes/ivring_round/enable", "0"));
	EXPECT_EQ(0, tell(TRACING "kprobe_events", "-:ivring_round"));
}

TEST_HARNESS_MAIN
