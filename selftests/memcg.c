// SPDX-License-Identifier: GPL-2.0
/*
 * What a VM makes is charged to its memory cgroup. Needs root and cgroup v2.
 */
#include <sys/mount.h>
#include <sys/stat.h>

#include "ivring_test.h"
#include "lane.h"

#define OUTBOX	(16ULL << 20)

FIXTURE(memcg) {
	char root[32];
	char group[64];
};

static int write_file(const char *dir, const char *file, const char *text)
{
	char path[128];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* Bytes charged to the group. */
static long long charged(const char *group)
{
	long long bytes = -1;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/memory.current", group);
	f = fopen(path, "r");
	if (f && fscanf(f, "%lld", &bytes) != 1)
		bytes = -1;
	if (f)
		fclose(f);
	return bytes;
}

FIXTURE_SETUP(memcg)
{
	strcpy(self->root, "/tmp/ivring.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->root));
	snprintf(self->group, sizeof(self->group), "%s/ivring-test", self->root);
	if (mount("none", self->root, "cgroup2", 0, NULL) ||
	    write_file(self->root, "cgroup.subtree_control", "+memory") ||
	    mkdir(self->group, 0700))
		SKIP(return, "no memory controller of cgroup v2 here");
}

FIXTURE_TEARDOWN(memcg)
{
	rmdir(self->group);
	umount(self->root);
	rmdir(self->root);
}

TEST_F(memcg, attach)
{
	long long before, during;
	int ready[2], end[2];
	struct vm vm;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(end));
	pid = child_fork();
	if (!pid) {
		if (write_file(self->group, "cgroup.procs", "0") ||
		    write(ready[1], "r", 1) != 1 || read(end[0], &c, 1) != 1 ||
		    vm_create(&vm, 2, 8, OUTBOX) ||
		    write(ready[1], "a", 1) != 1 || read(end[0], &c, 1) != 1)
			_exit(1);
		vm_close(&vm);
		_exit(write(ready[1], "c", 1) != 1 || read(end[0], &c, 1) != 1);
	}
	ASSERT_EQ(1, read(ready[0], &c, 1));
	before = charged(self->group);
	ASSERT_LE(0, before);
	ASSERT_EQ(1, write(end[1], "1", 1));
	ASSERT_EQ(1, read(ready[0], &c, 1));
	during = charged(self->group);
	EXPECT_LE(before + (long long)OUTBOX, during);
	ASSERT_EQ(1, write(end[1], "2", 1));
	ASSERT_EQ(1, read(ready[0], &c, 1));
	EXPECT_TRUE(SOON(charged(self->group) < during - (long long)OUTBOX * 3 / 4));
	ASSERT_EQ(1, write(end[1], "3", 1));
	EXPECT_EQ(0, child_wait(pid));
}

/* A lane is charged to who opens it, for as long as it is there. */
TEST_F(memcg, lane)
{
	const long long size = lane_size(IVRING_MAX_LANE_ENTRIES);
	int ready[2], end[2];
	long long before;
	struct vm a, b;
	pid_t pid;
	char c;

	ASSERT_EQ(0, vm_create(&a, 2, 8, 4096));
	ASSERT_EQ(0, vm_join(&b, a.fd));
	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(end));
	pid = child_fork();
	if (!pid) {
		if (write_file(self->group, "cgroup.procs", "0") ||
		    write(ready[1], "r", 1) != 1 || read(end[0], &c, 1) != 1 ||
		    dev_open_lane(a.fd, b.id, b.generation, IVRING_MAX_LANE_ENTRIES))
			_exit(1);
		_exit(write(ready[1], "o", 1) != 1 || read(end[0], &c, 1) != 1);
	}
	ASSERT_EQ(1, read(ready[0], &c, 1));
	before = charged(self->group);
	ASSERT_LE(0, before);
	ASSERT_EQ(1, write(end[1], "1", 1));
	ASSERT_EQ(1, read(ready[0], &c, 1));
	/* Some of it was charged in advance. */
	EXPECT_LE(before + size * 3 / 4, charged(self->group));

	/* The sender lets go of a closed one when it opens the next. */
	EXPECT_EQ(0, dev_close_lane(b.fd, a.id, a.generation));
	EXPECT_EQ(0, dev_open_lane(a.fd, b.id, b.generation, 2));
	EXPECT_TRUE(SOON(charged(self->group) < before + size / 4));
	ASSERT_EQ(1, write(end[1], "2", 1));
	EXPECT_EQ(0, child_wait(pid));
	vm_close(&b);
	vm_close(&a);
}

TEST_HARNESS_MAIN
