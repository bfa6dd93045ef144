// SPDX-License-Identifier: GPL-2.0
/*
 * The module can be unloaded and loaded, but not while it is in use, and leaves nothing
 * behind. Needs root. IVRING_MODULE names the file. The module is loaded at the start.
 */
#include <sched.h>
#include <sys/syscall.h>

#include "ivring_test.h"
#include "lane.h"

FIXTURE(module) {
	int fd;
};

static int load(void)
{
	int fd = open(getenv("IVRING_MODULE"), O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = syscall(__NR_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return ret;
}

static int unload(void)
{
	return syscall(__NR_delete_module, "ivring", O_NONBLOCK) ? -errno : 0;
}

/* How many traces of the module exist: four while it is loaded. */
static int traces(void)
{
	static const char *const path[] = {
		DEVICE, DEBUGFS_MEMBERS, "/sys/module/ivring", "/sys/class/misc/ivring",
	};
	unsigned int i;
	int found = 0;

	for (i = 0; i < ARRAY_SIZE(path); i++)
		found += !access(path[i], F_OK);
	return found;
}

FIXTURE_SETUP(module)
{
	if (!getenv("IVRING_MODULE") || geteuid())
		SKIP(return, "needs root and IVRING_MODULE");
	self->fd = dev_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(4, traces());
}

FIXTURE_TEARDOWN(module)
{
	close(self->fd);
	if (access("/sys/module/ivring", F_OK))
		EXPECT_EQ(0, load());
}

#define EXPECT_REFUSED()						\
do {									\
	EXPECT_EQ(-EWOULDBLOCK, unload());				\
	EXPECT_EQ(4, traces());						\
} while (0)

#define EXPECT_UNLOADS()						\
do {									\
	EXPECT_EQ(0, unload());						\
	EXPECT_EQ(0, traces());						\
} while (0)

TEST_F(module, open_file)
{
	EXPECT_REFUSED();
	close(self->fd);
	EXPECT_UNLOADS();
	EXPECT_EQ(-ENOENT, dev_open());
	EXPECT_EQ(-ENOENT, unload());
}

TEST_F(module, mapping)
{
	struct member member;

	ASSERT_EQ(0, member_create(&member, 2, 8, 4096));
	close(self->fd);
	EXPECT_REFUSED();
	close(member.fd);
	EXPECT_REFUSED();
	munmap((void *)member.region, member.region_size);
	munmap((void *)member.inbox, member.inbox_size);
	EXPECT_REFUSED();
	*member.outbox = 1;
	munmap(member.area, member.area_size);
	/* The member has left, but its memory is mapped. */
	EXPECT_REFUSED();
	*member.outbox = 2;
	munmap(member.outbox, member.outbox_size);
	EXPECT_UNLOADS();
}

TEST_F(module, view)
{
	struct member member;
	int view;

	ASSERT_EQ(0, member_create(&member, 2, 8, 4096));
	view = member_view(&member, member.id, member.generation);
	ASSERT_LE(0, view);
	member_close(&member);
	close(self->fd);
	EXPECT_REFUSED();
	close(view);
	EXPECT_UNLOADS();
}

TEST_F(module, named_region)
{
	struct ivring_create c = create_args(2, 8, 4096);
	struct ivring_attach a = attach_args(-1, IVRING_ID_ANY);

	c.mode = 0600;
	strcpy((char *)c.name, "module-test");
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_CREATE, &c));
	EXPECT_REFUSED();
	close(self->fd);
	EXPECT_UNLOADS();
	ASSERT_EQ(0, load());
	self->fd = dev_open();
	memcpy(a.name, c.name, sizeof(a.name));
	EXPECT_EQ(-ENOENT, dev_ioctl(self->fd, IVRING_IOC_ATTACH, &a));
}

/* A task of another process sleeps in the module. */
TEST_F(module, sleeper)
{
	struct member member;
	pid_t pid;

	ASSERT_EQ(0, member_create(&member, 2, 8, 4096));
	close(self->fd);
	pid = child_fork();
	if (!pid) {
		dev_wait(member.fd, 0, IVRING_DEADLINE_NEVER, NULL);
		_exit(1);
	}
	ASSERT_TRUE(SOON(member_state(&member) == IVRING_IDLE));
	member_close(&member);
	EXPECT_REFUSED();
	kill(pid, SIGKILL);
	child_wait(pid);
	EXPECT_UNLOADS();
}

/* Read the list of members all the time. */
TEST_F(module, debugfs)
{
	int fd = open(DEBUGFS_MEMBERS, O_RDONLY);
	char byte;

	close(self->fd);
	ASSERT_LE(0, fd);
	EXPECT_EQ(1, read(fd, &byte, 1));
	EXPECT_REFUSED();
	EXPECT_EQ(1, read(fd, &byte, 1));
	close(fd);
	EXPECT_UNLOADS();
}

TEST_F(module, many_times)
{
	struct ivring_item item;
	struct member a, b;
	int i;

	close(self->fd);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, unload());
		ASSERT_EQ(0, traces());
		ASSERT_EQ(0, load());
		ASSERT_EQ(4, traces());
		ASSERT_EQ(0, member_create(&a, 4, 8, 65536));
		ASSERT_EQ(0, member_join(&b, a.fd));
		EXPECT_EQ(0, member_send(&a, b.id, b.generation, i));
		EXPECT_EQ(0, dev_wait(b.fd, 0, 0, NULL));
		EXPECT_TRUE(member_take(&b, &item));
		EXPECT_EQ(i, item.cookie);
		member_close(&a);
		member_close(&b);
	}
}

/* No lane and no timer of a delayed doorbell outlives the module. */
TEST_F(module, lanes_and_delays)
{
	struct lane_out out;
	struct member a, b;
	int i;

	close(self->fd);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, member_create(&a, 4, 8, 4096));
		ASSERT_EQ(0, member_join(&b, a.fd));
		ASSERT_EQ(0, lane_open(&out, &a, &b, 64));
		STORE(&b.area->wake_items, 8);
		STORE(&b.area->wake_delay_us, i < 10 ? 200000 : 500 * i);
		STORE(&b.area->state, IVRING_IDLE);
		EXPECT_EQ(0, lane_send(&out, 1));
		EXPECT_EQ(1, member_stats(&b).delayed);
		member_close(i % 2 ? &a : &b);
		lane_unmap(&out, &a);
		member_close(i % 2 ? &b : &a);
		EXPECT_UNLOADS();
		ASSERT_EQ(0, load());
	}
	usleep(200000);
}

/* Other processes try to use the module all the time. */
TEST_F(module, under_use)
{
	__u64 end = in_ms(20000 * slowness);
	/* A slow kernel has as many chances to hit the race in fewer rounds. */
	int wanted = slowness > 1 ? 5 : 20;
	int i, unloaded = 0;
	struct member member;
	pid_t pid[3];

	close(self->fd);
	for (i = 0; i < 3; i++) {
		pid[i] = child_fork();
		if (pid[i])
			continue;
		for (;;) {
			if (!member_create(&member, 2, 8, 4096)) {
				member_send(&member, member.id, member.generation, 1);
				dev_poll(member.fd, POLLIN);
				member_close(&member);
			}
			usleep(1000);
		}
	}
	/* The module is unused only now and then, so on a busy machine this may take long. */
	while (unloaded < wanted && now() < end) {
		int ret = unload();

		if (ret == -EWOULDBLOCK) {
			sched_yield();
			continue;
		}
		ASSERT_EQ(0, ret);
		unloaded++;
		end = in_ms(20000 * slowness);
		usleep(1000);
		ASSERT_EQ(0, load());
		usleep(1000);
	}
	for (i = 0; i < 3; i++) {
		kill(pid[i], SIGKILL);
		EXPECT_EQ(-SIGKILL, child_wait(pid[i]));
	}
	if (unloaded < wanted)
		SKIP(return, "the module was in use at every attempt to unload it");
}

TEST_HARNESS_MAIN
