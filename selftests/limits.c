// SPDX-License-Identifier: GPL-2.0
/*
 * The limits for one user, and that other users keep their shares. Needs root, to act as
 * several users. memcg.c tests limits of memory.
 */
#include <sched.h>
#include <sys/resource.h>

#include "ivring_test.h"
#include "lane.h"
#include "users.h"

enum { OWNER = 1000, STRANGER = 1001, ANOTHER = 1002 };

#define MAX_REGIONS	256		/* that one user can hold */

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

/* Create a region with small outboxes. */
static int create(uid_t uid, __u32 slots)
{
	return create_as(uid, slots, 4096);
}

/* A region of another user counts for the user that holds it, and not for its owner. */
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

/* A region that a user holds many times counts once. */
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

/*
 * A user can take half of the slots of another user's region, rounded up, not counting the
 * slot that is reserved for the creator.
 */
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
		/* The remaining slots are for other users, among them root, or for the owner. */
		for (; n < cases[i].slots; n++, member++)
			EXPECT_EQ(0, join_as(member, n == 4 ? ANOTHER : n == 5 ? 0 : OWNER,
					  self->region));
		EXPECT_EQ(-ENOSPC, join_as(&more, STRANGER, self->region));
		EXPECT_EQ(-ENOSPC, join_as(&more, OWNER, self->region));

		/* The slot of a member that leaves can be taken again. */
		member_close(&self->member[0]);
		EXPECT_EQ(0, join_as(&self->member[0], OWNER, self->region));
		leave_all(self->member, cases[i].slots);

		/* The owner may take all slots. */
		for (n = 0; n < cases[i].slots; n++)
			EXPECT_EQ(0, join_as(&self->member[n], OWNER, self->region));
		leave_all(self->member, cases[i].slots);
		close(self->region);
	}
	self->region = -1;
}

/* The creator can always attach, however many other members there are. */
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
		/* No slot is reserved while the creator has a member. */
		if (slots > 1) {
			member_close(&self->member[0]);
			EXPECT_EQ(0, join_as(&self->member[0], ANOTHER, self->region));
		}
		/* A slot is reserved again when the creator has none. */
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

/* A user is the same user in a user namespace, also as root of that namespace. */
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
		SKIP(return, "user namespaces are not available");
	EXPECT_EQ(EDQUOT, ret);
}

/*
 * Make this process a user in a namespace that @uid creates, where the numbers of @map
 * exist. Return 0, or the number of the step that failed.
 */
static int become_in_namespace(uid_t uid, const char *map, uid_t inside)
{
	/* This works with any number that the process has in the PID namespace of /proc. */
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

/*
 * Return what joining the region returns to that user, or -EPERM if such namespaces cannot
 * be created.
 */
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

/* Subordinate numbers, and nested namespaces, belong to the same user. */
TEST_F(limits, subordinate_users)
{
	static const char map[] = "0 1001 1\n1 100000 10";
	int ret;

	self->region = create(OWNER, 4);
	ASSERT_LE(0, self->region);
	ASSERT_EQ(0, join_as(&self->member[0], STRANGER, self->region));
	ret = join_in_namespace(self->region, STRANGER, map, 5);
	if (ret == -EPERM)
		SKIP(return, "user namespaces are not available");
	EXPECT_EQ(0, ret);
	ASSERT_EQ(0, join_as(&self->member[1], STRANGER, self->region));
	EXPECT_EQ(-EDQUOT, join_in_namespace(self->region, STRANGER, map, 0));
	EXPECT_EQ(-EDQUOT, join_in_namespace(self->region, STRANGER, map, 5));
	EXPECT_EQ(0, join_as(&self->member[2], ANOTHER, self->region));
}

/* A container that root has created is one user, for any users inside, and is not root. */
TEST_F(limits, containers)
{
	static const char map[] = "0 200000 10", other[] = "0 300000 10";
	struct member *member = self->member;
	int region = create(0, 4), ret;

	ASSERT_LE(0, region);
	self->region = region;
	ret = join_in_namespace(region, 0, map, 0);
	if (ret == -EPERM)
		SKIP(return, "user namespaces are not available");
	EXPECT_EQ(0, ret);
	/* From outside that is the user that is root inside. */
	ASSERT_EQ(0, join_as(&member[0], 200000, region));
	ASSERT_EQ(0, join_as(&member[1], 200000, region));
	EXPECT_EQ(-EDQUOT, join_in_namespace(region, 0, map, 0));
	EXPECT_EQ(-EDQUOT, join_in_namespace(region, 0, map, 7));
	EXPECT_EQ(0, join_in_namespace(region, 0, other, 7));
}

/*
 * All lanes that one user can open to a member do not prevent another user from opening a
 * lane to it.
 */
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
