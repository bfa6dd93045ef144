// SPDX-License-Identifier: GPL-2.0
/*
 * IVRING_FENCE: a member has all CPUs pass a barrier. What that is for shows
 * lane_sleep.c.
 */
#include "ivring_test.h"

#define CALLERS	4
#define ROUNDS	200
#define LATE_MS	1000

FIXTURE(fence) {
	struct vm vm;
};

FIXTURE_SETUP(fence)
{
	ASSERT_EQ(0, vm_create(&self->vm, 2, 8, 4096));
}

FIXTURE_TEARDOWN(fence)
{
	vm_close(&self->vm);
}

/* By members only, and there is no argument that could be wrong. */
TEST_F(fence, who)
{
	struct ivring_create create = create_args(2, 8, 4096);
	int fd = dev_open();

	EXPECT_EQ(-ENOTCONN, dev_ioctl(fd, IVRING_FENCE, NULL));
	EXPECT_EQ(0, dev_ioctl(fd, IVRING_CREATE, &create));
	EXPECT_EQ(-ENOTCONN, dev_ioctl(fd, IVRING_FENCE, NULL));
	close(fd);
	EXPECT_EQ(0, dev_ioctl(self->vm.fd, IVRING_FENCE, NULL));
	EXPECT_EQ(0, dev_ioctl(self->vm.fd, IVRING_FENCE, (void *)-1UL));
}

/* Sends back what it gets. */
static void echo(const struct vm *to)
{
	struct ivring_item item;
	struct vm me;

	if (vm_join(&me, to->fd))
		_exit(1);
	for (;;) {
		if (dev_wait(me.fd, 0, IVRING_DEADLINE_NEVER, NULL))
			_exit(2);
		while (vm_take(&me, &item))
			if (vm_send(&me, to->id, to->generation, item.cookie))
				_exit(3);
	}
}

/* However many call it all the time, others get on. */
TEST_F(fence, storm)
{
	__u64 worst = 0, time;
	struct ivring_item item;
	pid_t pid[CALLERS + 1];
	__u64 i;
	int c;

	pid[CALLERS] = child_fork();
	if (!pid[CALLERS])
		echo(&self->vm);
	ASSERT_TRUE(SOON(vm_generation(&self->vm, 1) == 1));
	for (c = 0; c < CALLERS; c++) {
		pid[c] = child_fork();
		while (!pid[c])
			if (dev_ioctl(self->vm.fd, IVRING_FENCE, NULL))
				_exit(1);
	}
	for (i = 0; i < ROUNDS; i++) {
		time = now();
		ASSERT_EQ(0, vm_send(&self->vm, 1, 1, i));
		ASSERT_EQ(0, dev_wait(self->vm.fd, 0, in_ms(LATE_MS * slowness), NULL));
		ASSERT_TRUE(vm_take(&self->vm, &item));
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

TEST_HARNESS_MAIN
