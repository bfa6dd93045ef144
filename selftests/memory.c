// SPDX-License-Identifier: GPL-2.0
/*
 * The limits on the memory of areas of one user, and of all users together, without a
 * memory cgroup. Needs root, to act as several users and to set the limits.
 */
#include "ivring_test.h"
#include "lane.h"
#include "users.h"

#define PARAMETERS	"/sys/module/ivring/parameters/"
#define USER_LIMIT	PARAMETERS "user_memory_mib"
#define TOTAL_LIMIT	PARAMETERS "total_memory_mib"

enum { ONE = 1001, ANOTHER = 1002 };

#define MIB	(1 << 20)
#define OUTBOX	MIB		/* a member takes a little more */

FIXTURE(memory) {
	unsigned long user, total;	/* limits before the test */
	struct member member[16];
	int region;
};

static unsigned long limit(const char *path)
{
	unsigned long mib = 0;
	FILE *f = fopen(path, "r");

	if (f && fscanf(f, "%lu", &mib) != 1)
		mib = 0;
	if (f)
		fclose(f);
	return mib;
}

static void set_limit(const char *path, unsigned long mib)
{
	FILE *f = fopen(path, "w");

	if (!f || fprintf(f, "%lu", mib) < 0 || fclose(f))
		abort();
}

FIXTURE_SETUP(memory)
{
	if (geteuid())
		SKIP(return, "needs root");
	no_members(self->member, ARRAY_SIZE(self->member));
	self->user = limit(USER_LIMIT);
	self->total = limit(TOTAL_LIMIT);
	self->region = -1;
	ASSERT_LT(0, self->user);
	ASSERT_LT(self->user, self->total);
}

FIXTURE_TEARDOWN(memory)
{
	leave_all(self->member, ARRAY_SIZE(self->member));
	close(self->region);
	if (self->total) {
		set_limit(USER_LIMIT, self->user);
		set_limit(TOTAL_LIMIT, self->total);
	}
}

/* Create a region of 64 slots. */
static int create(uid_t uid, __u64 outbox)
{
	return create_as(uid, 64, outbox);
}

/* The defaults are an eighth and a half of the machine's memory. */
TEST_F(memory, defaults)
{
	unsigned long mib = sysconf(_SC_PHYS_PAGES) / (MIB / PAGE);

	EXPECT_LE(mib / 8 - 1, self->user);
	EXPECT_LE(self->user, mib / 8 + 1);
	EXPECT_LE(mib / 2 - 1, self->total);
	EXPECT_LE(self->total, mib / 2 + 1);
}

TEST_F(memory, of_one_user)
{
	struct member *member = self->member, more;
	struct snapshot before;
	int i;

	set_limit(USER_LIMIT, 4);
	self->region = create(ONE, OUTBOX);
	ASSERT_LE(0, self->region);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, join_as(&member[i], ONE, self->region));
	before = member_snapshot(member);
	EXPECT_EQ(-ENOBUFS, join_as(&more, ONE, self->region));
	EXPECT_EQ(-ENOBUFS, join_as(&more, ONE, self->region));
	EXPECT_UNCHANGED(before, member);
	/* Other users have their own limit, and a user with CAP_SYS_RESOURCE has none. */
	for (; i < 6; i++)
		EXPECT_EQ(0, join_as(&member[i], ANOTHER, self->region));
	EXPECT_EQ(-ENOBUFS, join_as(&more, ANOTHER, self->region));
	for (; i < 12; i++)
		EXPECT_EQ(0, join_as(&member[i], 0, self->region));
	/* Memory that is released can be used again. */
	for (i = 0; i < 100; i++) {
		leave(&member[0]);
		ASSERT_EQ(0, join_as(&member[0], ONE, self->region));
	}
	EXPECT_EQ(-ENOBUFS, join_as(&more, ONE, self->region));
	/* The limit can be changed at any time. */
	set_limit(USER_LIMIT, 5);
	EXPECT_EQ(0, join_as(&member[12], ONE, self->region));
	set_limit(USER_LIMIT, 0);
	EXPECT_EQ(-ENOBUFS, create(ONE, OUTBOX));
}

TEST_F(memory, of_a_lane)
{
	struct member *member = self->member;

	self->region = create(ONE, 4096);
	ASSERT_LE(0, self->region);
	ASSERT_EQ(0, join_as(&member[0], ONE, self->region));
	ASSERT_EQ(0, join_as(&member[1], ONE, self->region));
	set_limit(USER_LIMIT, 4);
	become(ONE);
	/* The size is 4 MiB and a page. */
	EXPECT_EQ(-ENOBUFS, dev_open_lane(member[0].fd, member[1].id, member[1].generation,
					  IVRING_MAX_LANE_ENTRIES));
	EXPECT_EQ(-ENOENT, dev_doorbell(member[0].fd, member[1].id, member[1].generation));
	EXPECT_EQ(0, dev_open_lane(member[0].fd, member[1].id, member[1].generation,
				   IVRING_MAX_LANE_ENTRIES / 2));
	become(0);
}

/* A failed CREATE gives its memory back. */
TEST_F(memory, of_failed_calls)
{
	struct ivring_create c = create_args(64, 2, 4 * MIB);
	int fd, i;

	set_limit(USER_LIMIT, 4);
	fd = dev_open();
	c.flags = IVRING_CREATE_ATTACH;
	become(ONE);
	for (i = 0; i < 3000; i++)
		ASSERT_EQ(-ENOBUFS, dev_ioctl(fd, IVRING_IOC_CREATE, &c));
	c.outbox_bytes = 2 * MIB;
	EXPECT_EQ(0, dev_ioctl(fd, IVRING_IOC_CREATE, &c));
	become(0);
	close(fd);
}

TEST_F(memory, of_all_users)
{
	struct member *member = self->member, more;
	int i;

	set_limit(TOTAL_LIMIT, 6);
	self->region = create(ONE, OUTBOX);
	ASSERT_LE(0, self->region);
	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, join_as(&member[i], 2000 + i, self->region));
	EXPECT_EQ(-ENOBUFS, join_as(&more, 3000, self->region));
	EXPECT_EQ(-ENOBUFS, join_as(&more, ONE, self->region));
	EXPECT_EQ(0, join_as(&member[5], 0, self->region));
	leave(&member[0]);
	EXPECT_EQ(-ENOBUFS, join_as(&more, 3000, self->region));
	leave(&member[5]);
	EXPECT_EQ(0, join_as(&member[0], 3000, self->region));
}

/* Pages that a peer still maps are charged to the user that created them. */
TEST_F(memory, that_a_peer_maps)
{
	struct member *member = self->member, more;
	const __u8 *outbox;
	__u32 id;

	self->region = create(ANOTHER, 2 * MIB);
	ASSERT_LE(0, self->region);
	ASSERT_EQ(0, join_as(&member[0], ANOTHER, self->region));
	set_limit(USER_LIMIT, 3);
	ASSERT_EQ(0, join_as(&member[1], ONE, self->region));
	id = member[1].id;
	outbox = member_peer_outbox(&member[0], id);
	ASSERT_NE(MAP_FAILED, outbox);
	leave(&member[1]);
	EXPECT_EQ(-ENOBUFS, join_as(&more, ONE, self->region));
	/* A part of the outbox counts as all of it, wherever the mapping was moved. */
	ASSERT_EQ(0, munmap((char *)outbox + PAGE, PAGE));
	outbox = mremap((void *)outbox, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	ASSERT_NE(MAP_FAILED, outbox);
	EXPECT_EQ(-ENOBUFS, join_as(&more, ONE, self->region));
	/* member[0] still maps the rest. */
	leave(&member[0]);
	munmap((void *)outbox, PAGE);
	EXPECT_EQ(-ENOBUFS, join_as(&more, ONE, self->region));
}

/* The same when every part is unmapped. */
TEST_F(memory, that_no_peer_maps_any_more)
{
	struct member *member = self->member, more;
	const __u8 *outbox;
	pid_t pid;
	int i;

	self->region = create(ANOTHER, 2 * MIB);
	ASSERT_LE(0, self->region);
	ASSERT_EQ(0, join_as(&member[0], ANOTHER, self->region));
	set_limit(USER_LIMIT, 3);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, join_as(&member[1], ONE, self->region));
		pid = child_fork();
		if (!pid) {
			/* The region area is not inherited, so the generation is not read there. */
			outbox = member_map_view(&member[0], member[1].id, member[1].generation,
						 member[1].outbox_size, IVRING_MAP_OUTBOX);
			if (outbox == MAP_FAILED)
				_exit(1);
			/* The mapping is split in three, of which one part is unmapped. */
			munmap((char *)outbox + PAGE, PAGE);
			close(member[1].fd);
			_exit(0);
		}
		EXPECT_EQ(0, child_wait(pid));
		EXPECT_EQ(-ENOBUFS, join_as(&more, ONE, self->region));
		leave(&member[1]);
	}
}

TEST_HARNESS_MAIN
