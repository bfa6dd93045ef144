// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of a member is charged to its memory cgroup. At the limit of the cgroup the
 * call fails, and no process is killed. Needs root and cgroup v2.
 */
#include <sys/mount.h>
#include <sys/stat.h>

#include "ivring_test.h"
#include "lane.h"

#define MIB	(1LL << 20)
#define OUTBOX	(16 * MIB)
#define LARGE	(64 * MIB)
#define SPACE	(2 * MIB)	/* less than the largest inbox or lane */

FIXTURE(memcg) {
	char root[32];
	char group[64];
	pid_t member;		/* a process in the group */
	int call, result;
};

static int write_file(const char *dir, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return write_text(path, text);
}

/* Return the number in a file of the group, or on its line for @key; -1 if there is none. */
static long long number(const char *group, const char *file, const char *key)
{
	long long value = -1;
	char path[128];
	char name[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", group, file);
	f = fopen(path, "r");
	if (!f)
		return -1;
	if (!key) {
		if (fscanf(f, "%lld", &value) != 1)
			value = -1;
	} else {
		while (fscanf(f, "%63s %lld", name, &value) == 2 && strcmp(name, key))
			value = -1;
	}
	fclose(f);
	return value;
}

/* Bytes charged to the group. */
static long long charged(const char *group)
{
	return number(group, "memory.current", NULL);
}

/* The part of them that the kernel has allocated for areas. */
static long long vmalloced(const char *group)
{
	return number(group, "memory.stat", "vmalloc");
}

/* Let the group have @more bytes than it has now, or any number if @more is -1. */
static int set_limit(const char *group, long long more)
{
	char text[32];

	if (more < 0)
		return write_file(group, "memory.max", "max");
	snprintf(text, sizeof(text), "%lld", charged(group) + more);
	return write_file(group, "memory.max", text);
}

FIXTURE_SETUP(memcg)
{
	strcpy(self->root, "/tmp/ivring.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->root));
	snprintf(self->group, sizeof(self->group), "%s/ivring-test", self->root);
	self->member = 0;
	if (mount("none", self->root, "cgroup2", 0, NULL) ||
	    write_file(self->root, "cgroup.subtree_control", "+memory") ||
	    mkdir(self->group, 0700))
		SKIP(return, "the memory controller of cgroup v2 is not available");
}

FIXTURE_TEARDOWN(memcg)
{
	if (self->member > 0) {
		close(self->call);
		EXPECT_EQ(0, child_wait(self->member));
	}
	rmdir(self->group);
	umount(self->root);
	rmdir(self->root);
}

/* Start a process in the group that calls functions until it is told to end. */
static pid_t enter(const char *group, int *call, int *result)
{
	int calls[2], results[2], ret;
	int (*function)(void);
	pid_t pid;

	if (pipe(calls) || pipe(results))
		return -1;
	pid = child_fork();
	if (!pid) {
		close(calls[1]);
		ret = write_file(group, "cgroup.procs", "0");
		while (write(results[1], &ret, sizeof(ret)) == sizeof(ret) &&
		       read(calls[0], &function, sizeof(function)) == sizeof(function))
			ret = function();
		_exit(0);
	}
	close(calls[0]);
	close(results[1]);
	*call = calls[1];
	*result = results[0];
	return read(results[0], &ret, sizeof(ret)) == sizeof(ret) && !ret ? pid : -1;
}

#define ENTER()									\
	do {									\
		self->member = enter(self->group, &self->call, &self->result);	\
		ASSERT_LT(0, self->member);					\
	} while (0)

/* Return the result of @function in that process. A process that is killed has no result. */
static int call_in(int call, int result, int (*function)(void))
{
	int ret;

	if (write(call, &function, sizeof(function)) != sizeof(function) ||
	    read(result, &ret, sizeof(ret)) != sizeof(ret))
		return -EPIPE;
	return ret;
}

#define CALL(function)	call_in(self->call, self->result, function)

/* Files and members of that process, and functions that it calls. */
static struct member mine, other;
static int file = -1;

static int create_member(void)
{
	return member_create(&mine, 2, 8, OUTBOX);
}

static int join(void)
{
	return member_join(&mine, other.fd);
}

static int touch(void)
{
	memset(mine.outbox, 1, mine.outbox_size);
	return 0;
}

static int leave(void)
{
	member_close(&mine);
	return 0;
}

static int open_lane(void)
{
	return dev_open_lane(mine.fd, other.id, other.generation, IVRING_MAX_LANE_ENTRIES);
}

static int open_small_lane(void)
{
	return dev_open_lane(mine.fd, other.id, other.generation, 2);
}

static int close_lane(void)
{
	return dev_close_lane(mine.fd, other.id, other.generation);
}

/* Create the largest region and its first member in one call. */
static int create_large(void)
{
	struct ivring_create c = create_args(IVRING_MAX_SLOTS, IVRING_MAX_INBOX_ENTRIES, LARGE);

	if (file < 0)
		file = dev_open();
	c.flags = IVRING_CREATE_ATTACH;
	return dev_ioctl(file, IVRING_IOC_CREATE, &c);
}

/* Attach a file that other processes have too. */
static int attach_file(void)
{
	struct ivring_attach a = attach_args(other.fd, 1);

	return dev_ioctl(file, IVRING_IOC_ATTACH, &a);
}

static int is_attached(void)
{
	return dev_ioctl(file, IVRING_IOC_FENCE, NULL);
}

/* Return 1 if the process holds a region. */
static int has_region(void)
{
	struct ivring_info info;
	int ret = dev_ioctl(file, IVRING_IOC_INFO, &info);

	return ret == -ENXIO ? 0 : ret ? ret : 1;
}

static int attach_large(void)
{
	struct ivring_attach a = attach_args(other.fd, IVRING_ID_ANY);

	if (file < 0)
		file = dev_open();
	return dev_ioctl(file, IVRING_IOC_ATTACH, &a);
}

/*
 * Send as many items as one call can, wait for them and read them. None of these calls may
 * allocate.
 */
static int talk(void)
{
	static struct ivring_item items[IVRING_MAX_BATCH];
	struct ivring_enqueue e = enqueue_args(mine.id, mine.generation, items,
					       IVRING_MAX_BATCH);
	__u32 events;
	int i, ret;

	for (i = 0; i < 100; i++) {
		ret = dev_ioctl(mine.fd, IVRING_IOC_ENQUEUE, &e);
		if (ret || e.done != IVRING_MAX_BATCH)
			return ret ? ret : -EAGAIN;
		ret = dev_wait(mine.fd, 0, in_ms(1000), &events);
		if (ret || events != IVRING_EVENT_ITEMS)
			return ret ? ret : -ENODATA;
		STORE(&mine.area->inbox_consumer, e.position);
		if (dev_wait(mine.fd, 0, in_ms(1), &events) != -ETIMEDOUT)
			return -EBUSY;
	}
	return 0;
}

static int create_talker(void)
{
	return member_create(&mine, 2, IVRING_MAX_BATCH, 4096);
}

TEST_F(memcg, attach)
{
	long long before, stat;

	ENTER();
	before = charged(self->group);
	stat = vmalloced(self->group);
	ASSERT_LE(0, before);
	ASSERT_EQ(0, CALL(create_member));
	/* The areas are charged at once, and pages of the outbox when they are touched. */
	EXPECT_GT(before + MIB, charged(self->group));
	ASSERT_EQ(0, CALL(touch));
	/* A part of the charge may have been made in advance. */
	EXPECT_LE(before + OUTBOX * 3 / 4, charged(self->group));
	EXPECT_GT(before + OUTBOX + MIB, charged(self->group));
	ASSERT_EQ(0, CALL(leave));
	EXPECT_TRUE(SOON(charged(self->group) < before + OUTBOX / 4));
	if (stat >= 0)
		EXPECT_TRUE(SOON(vmalloced(self->group) < stat + MIB));
}

/* Attaching takes less than 100 KiB, whatever the size of the outbox. */
TEST_F(memcg, attach_with_a_large_outbox)
{
	long long before;

	ASSERT_EQ(0, member_create(&other, 4, 8, IVRING_MAX_OUTBOX_BYTES));
	file = dev_open();
	ENTER();
	ASSERT_EQ(0, set_limit(self->group, 100 << 10));
	before = charged(self->group);
	ASSERT_EQ(0, CALL(attach_file));
	EXPECT_GE(before + (100 << 10), charged(self->group));
	member_close(&other);
}

/* Map the outbox of the member in slot 1 as the member @other. */
static const __u8 *outbox_of_the_group(__u64 size)
{
	return member_map_view(&other, 1, member_generation(&other, 1), size, IVRING_MAP_OUTBOX);
}

static bool is_zero(const __u8 *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size; i += PAGE)
		if (LOAD(&bytes[i]))
			return false;
	return true;
}

/* Pages that only a reader has touched are charged to the member whose outbox it is. */
TEST_F(memcg, touched_by_a_reader)
{
	const __u8 *outbox;
	long long before;

	ASSERT_EQ(0, member_create(&other, 2, 8, OUTBOX));
	file = dev_open();
	ENTER();
	before = charged(self->group);
	ASSERT_EQ(0, CALL(attach_file));
	outbox = outbox_of_the_group(OUTBOX);
	ASSERT_NE(MAP_FAILED, outbox);
	EXPECT_TRUE(is_zero(outbox, OUTBOX));
	EXPECT_LE(before + OUTBOX * 3 / 4, charged(self->group));
	/* Afterwards this is the cgroup of a member that has ended. */
	munmap((void *)outbox, OUTBOX);
	member_close(&other);
	close(file);
	file = -1;
}

/* If the member's cgroup has no memory left, the reader's is charged. No process is killed. */
TEST_F(memcg, touched_by_a_reader_at_limit)
{
	const __u8 *outbox;

	ASSERT_EQ(0, member_create(&other, 2, 8, OUTBOX));
	file = dev_open();
	ENTER();
	ASSERT_EQ(0, CALL(attach_file));
	ASSERT_EQ(0, set_limit(self->group, SPACE));
	outbox = outbox_of_the_group(OUTBOX);
	ASSERT_NE(MAP_FAILED, outbox);
	EXPECT_TRUE(is_zero(outbox, OUTBOX));
	EXPECT_EQ(0, number(self->group, "memory.events", "oom"));
	EXPECT_EQ(0, number(self->group, "memory.events", "oom_kill"));
	EXPECT_EQ(0, CALL(is_attached));
	munmap((void *)outbox, OUTBOX);
	member_close(&other);
	close(file);
	file = -1;
}

/* The cgroup is gone, and its member is still attached by the descriptor of another process. */
TEST_F(memcg, touched_after_the_group)
{
	const __u8 *outbox;

	ASSERT_EQ(0, member_create(&other, 2, 8, OUTBOX));
	file = dev_open();
	ENTER();
	ASSERT_EQ(0, CALL(attach_file));
	close(self->call);
	EXPECT_EQ(0, child_wait(self->member));
	self->member = 0;
	ASSERT_TRUE(SOON(!rmdir(self->group)));
	outbox = outbox_of_the_group(OUTBOX);
	ASSERT_NE(MAP_FAILED, outbox);
	EXPECT_TRUE(is_zero(outbox, OUTBOX));
	munmap((void *)outbox, OUTBOX);
	member_close(&other);
	close(file);
	file = -1;
}

/* A lane is charged to the member that opens it, until it is released. */
TEST_F(memcg, lane)
{
	const long long size = lane_size(IVRING_MAX_LANE_ENTRIES);
	long long before;
	struct member b;

	ASSERT_EQ(0, member_create(&mine, 2, 8, 4096));
	ASSERT_EQ(0, member_join(&b, mine.fd));
	other = b;
	ENTER();
	before = charged(self->group);
	ASSERT_LE(0, before);
	ASSERT_EQ(0, CALL(open_lane));
	/* A part of the charge was made in advance. */
	EXPECT_LE(before + size * 3 / 4, charged(self->group));

	/* A sender releases a closed lane when it opens the next. */
	EXPECT_EQ(0, dev_close_lane(b.fd, mine.id, mine.generation));
	EXPECT_EQ(0, CALL(open_small_lane));
	EXPECT_TRUE(SOON(charged(self->group) < before + size / 4));

	/* The lanes to a member are not charged to it. */
	ASSERT_EQ(0, dev_open_lane(b.fd, mine.id, mine.generation, IVRING_MAX_LANE_ENTRIES));
	EXPECT_GT(before + size / 4, charged(self->group));
	member_close(&b);
	member_close(&mine);
}

/* Other members with lanes to a member that has left do not keep the charge for that member. */
TEST_F(memcg, dead_receiver)
{
	long long before;

	ASSERT_EQ(0, member_create(&other, 2, 8, OUTBOX));
	ENTER();
	before = charged(self->group);
	ASSERT_LE(0, before);
	ASSERT_EQ(0, CALL(join));
	ASSERT_EQ(0, CALL(touch));
	EXPECT_LE(before + OUTBOX * 3 / 4, charged(self->group));
	ASSERT_EQ(0, dev_open_lane(other.fd, 1, member_generation(&other, 1), 2));
	ASSERT_EQ(0, CALL(leave));
	EXPECT_TRUE(SOON(charged(self->group) < before + OUTBOX / 4));

	/* Nor do they keep the charge for a lane that it had closed before. */
	ASSERT_EQ(0, CALL(join));
	ASSERT_EQ(0, CALL(touch));
	EXPECT_LE(before + OUTBOX * 3 / 4, charged(self->group));
	ASSERT_EQ(0, dev_open_lane(other.fd, 1, member_generation(&other, 1), 2));
	ASSERT_EQ(0, CALL(close_lane));
	ASSERT_EQ(-ECONNRESET, dev_doorbell(other.fd, 1, member_generation(&other, 1)));
	ASSERT_EQ(0, CALL(leave));
	EXPECT_TRUE(SOON(charged(self->group) < before + OUTBOX / 4));
	member_close(&other);
}

#define EXPECT_NOBODY_KILLED()							\
	do {									\
		EXPECT_EQ(0, number(self->group, "memory.events", "oom"));	\
		EXPECT_EQ(0, number(self->group, "memory.events", "oom_kill"));	\
		EXPECT_LT(0, number(self->group, "memory.events", "max"));	\
	} while (0)

TEST_F(memcg, create_at_limit)
{
	long long before;
	int i;

	ENTER();
	ASSERT_EQ(0, set_limit(self->group, SPACE));
	before = charged(self->group);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(-ENOMEM, CALL(create_large));
		ASSERT_EQ(0, CALL(has_region));
	}
	EXPECT_NOBODY_KILLED();
	EXPECT_TRUE(SOON(charged(self->group) < before + SPACE / 2));
	ASSERT_EQ(0, set_limit(self->group, -1));
	EXPECT_EQ(0, CALL(create_large));
	EXPECT_EQ(1, CALL(has_region));
}

TEST_F(memcg, attach_at_limit)
{
	struct snapshot before;
	int i;

	ASSERT_EQ(0, member_create(&other, 2, IVRING_MAX_INBOX_ENTRIES, LARGE));
	ENTER();
	ASSERT_EQ(0, set_limit(self->group, SPACE));
	before = member_snapshot(&other);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(-ENOMEM, CALL(attach_large));
		ASSERT_EQ(0, CALL(has_region));
	}
	EXPECT_NOBODY_KILLED();
	EXPECT_UNCHANGED(before, &other);
	ASSERT_EQ(0, set_limit(self->group, -1));
	EXPECT_EQ(0, CALL(attach_large));
	EXPECT_EQ(1, member_generation(&other, 1));
	member_close(&other);
}

TEST_F(memcg, open_lane_at_limit)
{
	struct member b;
	__u32 changes;
	int i;

	ASSERT_EQ(0, member_create(&mine, 2, 8, 4096));
	ASSERT_EQ(0, member_join(&b, mine.fd));
	other = b;
	ENTER();
	ASSERT_EQ(0, set_limit(self->group, SPACE));
	changes = LOAD(&b.lanes->changes);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-ENOMEM, CALL(open_lane));
	EXPECT_NOBODY_KILLED();
	EXPECT_EQ(changes, LOAD(&b.lanes->changes));
	EXPECT_EQ(0, b.lanes->lane[mine.id].generation);
	EXPECT_EQ(-ENOENT, dev_doorbell(mine.fd, b.id, b.generation));
	/* A smaller area fits. */
	EXPECT_EQ(0, CALL(open_small_lane));
	EXPECT_EQ(0, dev_close_lane(b.fd, mine.id, mine.generation));
	ASSERT_EQ(0, set_limit(self->group, -1));
	EXPECT_EQ(0, CALL(open_lane));
	member_close(&b);
	member_close(&mine);
}

/* Members that are attached already go on although no memory is left. */
TEST_F(memcg, send_at_limit)
{
	ENTER();
	ASSERT_EQ(0, CALL(create_talker));
	ASSERT_EQ(0, CALL(talk));
	ASSERT_EQ(0, set_limit(self->group, 0));
	ASSERT_EQ(0, CALL(talk));
	EXPECT_EQ(0, number(self->group, "memory.events", "oom_kill"));
}

TEST_HARNESS_MAIN
