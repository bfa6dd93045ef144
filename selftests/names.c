// SPDX-License-Identifier: GPL-2.0
/*
 * Names, and the users that can attach by them: owner, group and others, as with a file.
 * Needs root, to act as several users.
 */
#include <grp.h>
#include <sys/resource.h>

#include "ivring_test.h"

#define OWNER		1000
#define GROUP		1001
#define STRANGER	65534

#define MAX_REGIONS	256		/* of one user */

static const char name[IVRING_NAME_SIZE] = "names-test";

FIXTURE(names) {
	int fd;
};

FIXTURE_SETUP(names)
{
	if (geteuid())
		SKIP(return, "needs root");
	self->fd = -1;
}

FIXTURE_TEARDOWN(names)
{
	close(self->fd);
}

/* Act as another user and group for the time being. */
static void become(uid_t uid, gid_t gid)
{
	if (setgroups(0, NULL) || setegid(gid) || seteuid(uid))
		abort();
}

static void become_root(void)
{
	if (seteuid(0) || setegid(0))
		abort();
}

/* Create a region of OWNER and GROUP. */
static int create(const char *n, __u32 mode)
{
	struct ivring_create c = create_args(4, 2, 4096);
	int fd, ret;

	become(OWNER, GROUP);
	c.mode = mode;
	snprintf((char *)c.name, sizeof(c.name), "%s", n);
	fd = dev_open();
	ret = dev_ioctl(fd, IVRING_IOC_CREATE, &c);
	become_root();
	if (ret)
		close(fd);
	return ret ? ret : fd;
}

/* Return what attaching by name returns to a process of that user. */
static int attach(uid_t uid, gid_t gid, gid_t other_group)
{
	struct ivring_attach a = attach_args(-1, IVRING_ID_ANY);
	pid_t pid = fork();

	if (!pid) {
		memcpy(a.name, name, sizeof(a.name));
		if (setgroups(1, &other_group) || setgid(gid) || setuid(uid))
			_exit(255);
		_exit(-dev_ioctl(dev_open(), IVRING_IOC_ATTACH, &a));
	}
	return -child_wait(pid);
}

TEST_F(names, mode)
{
	static const struct {
		__u32 mode;
		int owner, group, others;
	} cases[] = {
		{ 0000, -EACCES, -EACCES, -EACCES },
		{ 0600, 0, -EACCES, -EACCES },
		{ 0060, -EACCES, 0, -EACCES },
		{ 0006, -EACCES, -EACCES, 0 },
		{ 0660, 0, 0, -EACCES },
		{ 0606, 0, -EACCES, 0 },
		{ 0666, 0, 0, 0 },
		{ 0777, 0, 0, 0 },
		/* A user needs the right to read and the right to write. */
		{ 0444, -EACCES, -EACCES, -EACCES },
		{ 0222, -EACCES, -EACCES, -EACCES },
		{ 0111, -EACCES, -EACCES, -EACCES },
		{ 0642, 0, -EACCES, -EACCES },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		self->fd = create(name, cases[i].mode);
		ASSERT_LE(0, self->fd);
		EXPECT_EQ(cases[i].owner, attach(OWNER, GROUP, GROUP))
			TH_LOG("mode %03o", cases[i].mode);
		EXPECT_EQ(cases[i].owner, attach(OWNER, STRANGER, STRANGER))
			TH_LOG("mode %03o", cases[i].mode);
		EXPECT_EQ(cases[i].group, attach(STRANGER, GROUP, STRANGER))
			TH_LOG("mode %03o", cases[i].mode);
		EXPECT_EQ(cases[i].group, attach(STRANGER, STRANGER, GROUP))
			TH_LOG("mode %03o", cases[i].mode);
		EXPECT_EQ(cases[i].others, attach(STRANGER, STRANGER, STRANGER))
			TH_LOG("mode %03o", cases[i].mode);
		/* Root has all rights, as with a file. */
		EXPECT_EQ(0, attach(0, 0, 0));
		close(self->fd);
	}
	self->fd = -1;
}

TEST_F(names, refusal_changes_nothing)
{
	struct snapshot before;
	struct member member;

	self->fd = create(name, 0600);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, member_join(&member, self->fd));
	before = member_snapshot(&member);
	EXPECT_EQ(-EACCES, attach(STRANGER, STRANGER, STRANGER));
	EXPECT_UNCHANGED(before, &member);
	member_close(&member);
}

TEST_F(names, owner)
{
	struct ivring_member_info v = { 0 };
	struct ivring_info info;
	struct member member, root;
	int ret;

	self->fd = create(name, 0640);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_INFO, &info));
	EXPECT_EQ(OWNER, info.uid);
	EXPECT_EQ(GROUP, info.gid);
	EXPECT_EQ(0640, info.mode);
	EXPECT_STREQ(name, (char *)info.name);

	become(STRANGER, STRANGER);
	ret = member_join_slot(&member, self->fd, 0);
	become_root();
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, member_join_slot(&root, self->fd, 1));
	ASSERT_EQ(0, dev_ioctl(root.fd, IVRING_IOC_MEMBER_INFO, &v));
	EXPECT_EQ(STRANGER, v.uid);
	member_close(&member);
	member_close(&root);
}

/* A process that holds a descriptor needs no name and no rights. */
TEST_F(names, descriptor_is_enough)
{
	struct member member;
	int ret;

	self->fd = create(name, 0000);
	ASSERT_LE(0, self->fd);
	become(STRANGER, STRANGER);
	ret = member_join(&member, self->fd);
	become_root();
	ASSERT_EQ(0, ret);
	member_close(&member);
	/* The creator attaches without the name. */
	ASSERT_EQ(0, member_attach(&member, self->fd, -1, IVRING_ID_ANY));
	member_unmap(&member);
}

/* The first region with a name keeps it until the region is destroyed. */
TEST_F(names, taken)
{
	struct ivring_create c = create_args(4, 2, 4096);
	struct member member;
	int fd;

	self->fd = create(name, 0666);
	ASSERT_LE(0, self->fd);
	memcpy(c.name, name, sizeof(name));
	fd = dev_open();
	EXPECT_EQ(-EEXIST, dev_ioctl(fd, IVRING_IOC_CREATE, &c));

	/* A member keeps the region, and its name, after the creator has left. */
	ASSERT_EQ(0, member_join(&member, self->fd));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(-EEXIST, dev_ioctl(fd, IVRING_IOC_CREATE, &c));
	EXPECT_EQ(0, attach(STRANGER, STRANGER, STRANGER));
	member_close(&member);
	EXPECT_EQ(-ENOENT, attach(STRANGER, STRANGER, STRANGER));
	EXPECT_EQ(0, dev_ioctl(fd, IVRING_IOC_CREATE, &c));
	close(fd);
}

TEST_F(names, limit)
{
	int fd[MAX_REGIONS], other, i;
	struct rlimit files;
	char n[32];

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &files));
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	for (i = 0; i < MAX_REGIONS; i++) {
		snprintf(n, sizeof(n), "names-test-%d", i);
		fd[i] = create(i % 2 ? n : "", i % 2 ? 0600 : 0);
		ASSERT_LE(0, fd[i]);
	}
	EXPECT_EQ(-EMFILE, create("", 0));
	EXPECT_EQ(-EMFILE, create(name, 0600));
	EXPECT_EQ(-ENOENT, attach(0, 0, 0));

	/* The other user's regions are not affected. */
	become(STRANGER, STRANGER);
	other = dev_open();
	EXPECT_EQ(0, dev_ioctl(other, IVRING_IOC_CREATE,
			       &(struct ivring_create) {
				       .slots = 1,
				       .inbox_entries = 2,
				       .outbox_bytes = 4096 }));
	become_root();
	close(other);

	close(fd[0]);
	fd[0] = create(name, 0600);
	EXPECT_LE(0, fd[0]);
	EXPECT_EQ(-EMFILE, create("", 0));
	for (i = 0; i < MAX_REGIONS; i++)
		close(fd[i]);
	self->fd = create("", 0);
	EXPECT_LE(0, self->fd);
}

TEST_HARNESS_MAIN
