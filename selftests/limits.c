// SPDX-License-Identifier: GPL-2.0
/*
 * What one user can have at most, and that others have theirs all the same. Needs
 * root, to be different users. Memory: memcg.c.
 */
#include <sched.h>
#include <sys/resource.h>

#include "ivring_test.h"
#include "lane.h"
#include "users.h"

enum { OWNER = 1000, STRANGER = 1001, ANOTHER = 1002 };

#define MAX_REGIONS	256		/* that one user holds */

FIXTURE(limits) {
	struct member member[MAX_REGIONS + 8];
	int region;
};

FIXTURE_SETUP(limits)
{
	struct rlimit files;

	if (geteuid())
		SKIP(return, "needs root");
	no_members(self->member, ARRAY_SIZE(self->member));
	self->region = -1;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

FIXTURE_TEARDOWN(limits)
{
	leave_all(self->member, ARRAY_SIZE(self->member));
	close(self->region);
}

/* A region with small outboxes. */
static int create(uid_t uid, __u32 slots)
{
	return create_as(uid, slots, 4096);
}

/* Who keeps regions of others is counted for them, and not those others. */
TEST_F_TIMEOUT(limits, regions_of_others, 100)
{
	int i, fd;

	for (i = 0; i < MAX_REGIONS; i++) {
		fd = create(OWNER, 2);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, join_as(&self->member[i], STRANGER, fd));
		close(fd);
	}
	self->region = create(OWNER, 4);
	ASSERT_LE(0, self->region);
	EXPECT_EQ(-EMFILE, create(STRANGER, 2));
	EXPECT_EQ(-EMFILE, join_as(&self->member[i], STRANGER, self->region));
	EXPECT_EQ(0, join_as(&self->member[i], ANOTHER, self->region));
	EXPECT_EQ(0, join_as(&self->member[i + 1], OWNER, self->region));
	fd = create(ANOTHER, 2);
	EXPECT_LE(0, fd);
	close(fd);

	member_close(&self->member[0]);
	EXPECT_EQ(0, join_as(&self->member[0], STRANGER, self->region));
	EXPECT_EQ(-EMFILE, create(STRANGER, 2));
}

/* One that he holds many times is one. */
TEST_F_TIMEOUT(limits, one_region, 100)
{
	int i, fd;

	self->region = create(OWNER, IVRING_MAX_SLOTS);
	ASSERT_LE(0, self->region);
	for (i = 0; i < MAX_REGIONS + 1; i++)
		EXPECT_EQ(0, join_as(&self->member[i], STRANGER, self->region));
	fd = create(STRANGER, 2);
	EXPECT_LE(0, fd);
	close(fd);
}

/* Half of the slots of another's region, rounded up, but for the one that is the creator's. */
TEST_F(limits, slots)
{
	static const struct {
		int slots, share;
	} cases[] = { { 1, 0 }, { 2, 1 }, { 3, 2 }, { 8, 4 } };
	struct snapshot before;
	struct member *member, more;
	unsigned int i;
	int n;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		self->region = create(OWNER, cases[i].slots);
		ASSERT_LE(0, self->region);
		for (n = 0, member = self->member; n < cases[i].share; n++, member++)
			EXPECT_EQ(0, join_as(member, STRANGER, self->region));
		if (n)
			before = member_snapshot(&self->member[0]);
		EXPECT_EQ(-EDQUOT, join_as(&more, STRANGER, self->region));
		EXPECT_EQ(-EDQUOT, join_slot_as(&more, STRANGER, self->region,
					     cases[i].slots - 1));
		EXPECT_EQ(-EINVAL, join_slot_as(&more, STRANGER, self->region, cases[i].slots));
		if (n) {
			EXPECT_EQ(-EBUSY, join_slot_as(&more, STRANGER, self->region, 0));
			EXPECT_UNCHANGED(before, &self->member[0]);
		}
		/* The others, and root is one of them, have the rest; or the owner has. */
		for (; n < cases[i].slots; n++, member++)
			EXPECT_EQ(0, join_as(member, n == 4 ? ANOTHER : n == 5 ? 0 : OWNER,
					  self->region));
		EXPECT_EQ(-ENOSPC, join_as(&more, STRANGER, self->region));
		EXPECT_EQ(-ENOSPC, join_as(&more, OWNER, self->region));

		/* One that is left can be had again. */
		member_close(&self->member[0]);
		EXPECT_EQ(0, join_as(&self->member[0], OWNER, self->region));
		leave_all(self->member, cases[i].slots);

		/* All of them are the owner's. */
		for (n = 0; n < cases[i].slots; n++)
			EXPECT_EQ(0, join_as(&self->member[n], OWNER, self->region));
		leave_all(self->member, cases[i].slots);
		close(self->region);
	}
	self->region = -1;
}

/* However many others there are, the creator can always attach. */
TEST_F(limits, slot_of_the_creator)
{
	int slots, i;
	struct member *member, own, more;

	for (slots = 1; slots <= 8; slots++) {
		self->region = create(OWNER, slots);
		ASSERT_LE(0, self->region);
		for (i = 0, member = self->member; i < slots - 1; i++, member++)
			EXPECT_EQ(0, join_as(member, 2000 + i, self->region));
		EXPECT_EQ(-EDQUOT, join_as(&more, ANOTHER, self->region));
		EXPECT_EQ(-EDQUOT, join_as(&more, 0, self->region));
		EXPECT_EQ(-EDQUOT, join_slot_as(&more, ANOTHER, self->region, slots - 1));
		EXPECT_EQ(0, join_as(&own, OWNER, self->region));
		EXPECT_EQ(-ENOSPC, join_as(&more, ANOTHER, self->region));
		/* With one of its own, the creator has none kept for it. */
		if (slots > 1) {
			member_close(&self->member[0]);
			EXPECT_EQ(0, join_as(&self->member[0], ANOTHER, self->region));
		}
		/* And without one it has again. */
		member_close(&own);
		EXPECT_EQ(-EDQUOT, join_as(&more, STRANGER, self->region));
		EXPECT_EQ(0, join_as(&own, OWNER, self->region));
		member_close(&own);
		leave_all(self->member, slots - 1);
		close(self->region);
	}
	self->region = -1;
}

static int join_one(int region)
{
	struct member member;

	return join_as(&member, STRANGER, region);
}

TEST_F(limits, race_for_slots)
{
	int i;

	for (i = 0; i < 20; i++) {
		self->region = create(OWNER, 8);
		ASSERT_LE(0, self->region);
		ASSERT_EQ(4, race(join_one, self->region, -EDQUOT));
		close(self->region);
	}
	self->region = -1;
}

/* In a user namespace, where he may call himself root, he is the same user. */
TEST_F(limits, user_namespace)
{
	struct member member;
	pid_t pid;
	int ret;

	self->region = create(OWNER, 4);
	ASSERT_LE(0, self->region);
	ASSERT_EQ(0, join_as(&self->member[0], STRANGER, self->region));
	pid = child_fork();
	if (!pid) {
		if (setgroups(0, NULL) || setuid(STRANGER))
			_exit(1);
		prctl(PR_SET_DUMPABLE, 1);
		if (unshare(CLONE_NEWUSER))
			_exit(2);
		ret = open("/proc/self/uid_map", O_WRONLY);
		if (write(ret, "0 1001 1", 8) != 8 || geteuid())
			_exit(3);
		if (member_join(&member, self->region))
			_exit(4);
		_exit(-member_join(&member, self->region));
	}
	ret = child_wait(pid);
	if (ret == 2)
		SKIP(return, "no user namespaces here");
	EXPECT_EQ(EDQUOT, ret);
}

/*
 * What a process becomes: a user in a namespace that @uid has made, in which the numbers of
 * @map exist. 0, or which step failed.
 */
static int become_in_namespace(uid_t uid, const char *map, uid_t inside)
{
	/* By any number that the process has in the PID namespace of /proc. */
	int self = open("/proc/self", O_PATH), start[2], fd;
	pid_t pid;
	char c;

	if (pipe(start))
		return 1;
	pid = child_fork();
	if (!pid) {
		/* Root writes the map, as newuidmap does. */
		(void)!read(start[0], &c, 1);
		fd = openat(self, "uid_map", O_WRONLY);
		_exit(write(fd, map, strlen(map)) != (ssize_t)strlen(map));
	}
	if (setgroups(0, NULL) || setresuid(uid, uid, uid))
		return 1;
	prctl(PR_SET_DUMPABLE, 1);
	if (unshare(CLONE_NEWUSER))
		return 2;
	if (write(start[1], "", 1) != 1 || child_wait(pid))
		return 3;
	return setresuid(inside, inside, inside) ? 3 : 0;
}

/* What joining the region returns to that user; -EPERM if there are no such namespaces. */
static int join_in_namespace(int region, uid_t uid, const char *map, uid_t inside)
{
	pid_t pid = child_fork();
	struct member member;
	int ret;

	if (!pid) {
		ret = become_in_namespace(uid, map, inside);
		_exit(ret ? 200 + ret : -member_join(&member, region));
	}
	ret = child_wait(pid);
	return ret == 202 ? -EPERM : -ret;
}

/* With subordinate numbers, and in namespaces within namespaces, it is the same user. */
TEST_F(limits, subordinate_users)
{
	static const char map[] = "0 1001 1\n1 100000 10";
	int ret;

	self->region = create(OWNER, 4);
	ASSERT_LE(0, self->region);
	ASSERT_EQ(0, join_as(&self->member[0], STRANGER, self->region));
	ret = join_in_namespace(self->region, STRANGER, map, 5);
	if (ret == -EPERM)
		SKIP(return, "no user namespaces here");
	EXPECT_EQ(0, ret);
	ASSERT_EQ(0, join_as(&self->member[1], STRANGER, self->region));
	EXPECT_EQ(-EDQUOT, join_in_namespace(self->region, STRANGER, map, 0));
	EXPECT_EQ(-EDQUOT, join_in_namespace(self->region, STRANGER, map, 5));
	EXPECT_EQ(0, join_as(&self->member[2], ANOTHER, self->region));
}

/* A container that root has made is one user, whoever it has in it, and not root. */
TEST_F(limits, containers)
{
	static const char map[] = "0 200000 10", other[] = "0 300000 10";
	struct member *member = self->member;
	int region = create(0, 4), ret;

	ASSERT_LE(0, region);
	self->region = region;
	ret = join_in_namespace(region, 0, map, 0);
	if (ret == -EPERM)
		SKIP(return, "no user namespaces here");
	EXPECT_EQ(0, ret);
	/* From outside it is the user who is root in there. */
	ASSERT_EQ(0, join_as(&member[0], 200000, region));
	ASSERT_EQ(0, join_as(&member[1], 200000, region));
	EXPECT_EQ(-EDQUOT, join_in_namespace(region, 0, map, 0));
	EXPECT_EQ(-EDQUOT, join_in_namespace(region, 0, map, 7));
	EXPECT_EQ(0, join_in_namespace(region, 0, other, 7));
}

/* All the lanes that one user can open to a member keep no other from opening his. */
TEST_F(limits, lanes)
{
	struct member *victim = &self->member[0], *other = &self->member[1], *member;
	struct lane_out out;
	struct lane_in in;
	int i;

	self->region = create(OWNER, 32);
	ASSERT_LE(0, self->region);
	ASSERT_EQ(0, join_as(victim, OWNER, self->region));
	ASSERT_EQ(0, join_as(other, ANOTHER, self->region));
	for (i = 0, member = &self->member[2]; i < 16; i++, member++) {
		ASSERT_EQ(0, join_as(member, STRANGER, self->region));
		ASSERT_EQ(0, dev_open_lane(member->fd, victim->id, victim->generation,
					   IVRING_MIN_LANE_ENTRIES));
		EXPECT_EQ(-EBUSY, dev_open_lane(member->fd, victim->id, victim->generation,
						IVRING_MAX_LANE_ENTRIES));
	}
	ASSERT_EQ(0, lane_open(&out, other, victim, 8));
	ASSERT_EQ(0, lane_accept(&in, victim, other->id));
	EXPECT_EQ(0, lane_send(&out, 1));
	EXPECT_EQ(1, lane_pending(&in));
	EXPECT_EQ(0, dev_open_lane(victim->fd, other->id, other->generation, 8));
	EXPECT_EQ(0, lane_close(&in));
	lane_unmap(&out, other);
}

TEST_HARNESS_MAIN
