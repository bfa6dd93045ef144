// SPDX-License-Identifier: GPL-2.0
/*
 * IVRING_IOC_CREATE: what it creates, and each error of the call. A failed call leaves the
 * file without a region and takes no name.
 */
#include <sched.h>

#include "ivring_test.h"

FIXTURE(create) {
	int fd;
};

FIXTURE_SETUP(create)
{
	self->fd = dev_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(create)
{
	close(self->fd);
}

static const struct ivring_create good = {
	.slots = 4,
	.inbox_entries = 8,
	.outbox_bytes = 4096,
	.mode = 0600,
	.name = "create-test",
};

static int create(int fd, const struct ivring_create *c)
{
	return dev_ioctl(fd, IVRING_IOC_CREATE, c);
}

/* Expect that @c is refused with @error and has no effect. */
static bool refused(int fd, int error, const struct ivring_create *c)
{
	struct ivring_attach by_name = attach_args(-1, IVRING_ID_ANY);
	struct ivring_info info;
	int other, ret;

	if (create(fd, c) != -error || dev_ioctl(fd, IVRING_IOC_INFO, &info) != -ENXIO)
		return false;
	memcpy(by_name.name, good.name, sizeof(by_name.name));
	other = dev_open();
	ret = dev_ioctl(other, IVRING_IOC_ATTACH, &by_name);
	close(other);
	return ret == -ENOENT;
}

TEST_F(create, geometry)
{
	struct ivring_info info;

	ASSERT_EQ(0, create(self->fd, &good));
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_INFO, &info));
	EXPECT_EQ(4, info.slots);
	EXPECT_EQ(8, info.inbox_entries);
	EXPECT_EQ(4096, info.outbox_bytes);
	EXPECT_EQ(0600, info.mode);
	EXPECT_EQ(geteuid(), info.uid);
	EXPECT_EQ(getegid(), info.gid);
	EXPECT_EQ(0, info.attached);
	EXPECT_EQ(IVRING_ID_ANY, info.id);
	EXPECT_EQ(0, info.generation);
	EXPECT_EQ(0, memcmp(info.name, good.name, sizeof(info.name)));
}

TEST_F(create, slots)
{
	static const __u32 bad[] = {
		0, IVRING_MAX_SLOTS + 1, 65536, 0x40000000, 0x80000000, 0xffffffff,
	};
	struct ivring_create c = good;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		c.slots = bad[i];
		EXPECT_TRUE(refused(self->fd, EINVAL, &c))
			TH_LOG("slots %u", bad[i]);
	}
}

TEST_F(create, inbox_entries)
{
	static const __u32 bad[] = {
		0, 1, 3, 12, 65535, 65537, 2 * IVRING_MAX_INBOX_ENTRIES,
		0x40000000, 0x80000000, 0xffffffff,
	};
	struct ivring_create c = good;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		c.inbox_entries = bad[i];
		EXPECT_TRUE(refused(self->fd, EINVAL, &c))
			TH_LOG("inbox_entries %u", bad[i]);
	}
}

TEST_F(create, outbox_bytes)
{
	static const __u64 bad[] = {
		0, 1, 64, 2048, 4095, 4097, 12288, 65535,
		IVRING_MAX_OUTBOX_BYTES - 4096, IVRING_MAX_OUTBOX_BYTES + 1,
		2 * IVRING_MAX_OUTBOX_BYTES, 1ULL << 32, (1ULL << 32) + 4096,
		1ULL << 63, UINT64_MAX,
	};
	struct ivring_create c = good;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		c.outbox_bytes = bad[i];
		EXPECT_TRUE(refused(self->fd, EINVAL, &c))
			TH_LOG("outbox_bytes %llu", bad[i]);
	}
}

TEST_F(create, flags)
{
	struct ivring_create c = good;
	int bit;

	for (bit = 1; bit < 32; bit++) {
		c.flags = 1U << bit;
		EXPECT_TRUE(refused(self->fd, EINVAL, &c));
	}
}

/* One call creates both the region and its member 0, or neither. */
TEST_F(create, and_attach)
{
	struct ivring_create c = good;
	struct ivring_info info;
	int other = dev_open();

	c.flags = IVRING_CREATE_ATTACH;
	ASSERT_EQ(0, create(self->fd, &c));
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_INFO, &info));
	EXPECT_EQ(0, info.id);
	EXPECT_EQ(1, info.generation);
	EXPECT_EQ(1, info.attached);

	EXPECT_EQ(-EEXIST, create(other, &c));
	EXPECT_EQ(-ENXIO, dev_ioctl(other, IVRING_IOC_INFO, &info));
	EXPECT_EQ(-EBUSY, create(self->fd, &c));
	close(other);
}

/* If the member is refused, the region is refused too, and its name cannot be found. */
TEST_F(create, and_attach_fails)
{
	struct ivring_create c = good;
	struct member member;
	int i, other;

	ASSERT_EQ(0, create(self->fd, &good));
	c.flags = IVRING_CREATE_ATTACH;
	other = dev_open();
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(-EEXIST, create(other, &c));
		ASSERT_EQ(-ENOTCONN, dev_wait(other, 0, 0, NULL));
	}
	/* The file can still become a member, with generation 1. */
	c.name[0] = 'x';
	ASSERT_EQ(0, create(other, &c));
	ASSERT_EQ(0, member_map(&member, other));
	EXPECT_EQ(1, member.generation);
	member_close(&member);
}

/* Fields about the member need the flag that creates one. */
TEST_F(create, flags_of_the_member)
{
	struct ivring_create c = good;
	struct member member;

	c.flags = IVRING_CREATE_NO_LANES;
	EXPECT_TRUE(refused(self->fd, EINVAL, &c));
	c.flags |= IVRING_CREATE_ATTACH;
	ASSERT_EQ(0, create(self->fd, &c));
	ASSERT_EQ(0, member_map(&member, dup(self->fd)));
	EXPECT_EQ(0, LOAD(&member.area->max_lane_entries));
	member_close(&member);
}

#define JOINS	20000

/*
 * A process that finds the region also finds member 0 in it. Here that process runs
 * whenever the scheduler interrupts the creator.
 */
TEST_F(create, and_attach_before_it_is_found)
{
	const struct sched_param fifo = { .sched_priority = 10 };
	struct ivring_create c = good;
	struct ivring_attach a;
	struct ivring_member_info v;
	__u64 end = in_ms(10000);
	int joins = 0, fd, ret;
	cpu_set_t one;
	pid_t pid;

	rng_seed();
	c.flags = IVRING_CREATE_ATTACH;
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
	pid = child_fork();
	while (!pid) {
		fd = dev_open();
		create(fd, &c);
		usleep(200);
		close(fd);
	}
	if (sched_setscheduler(0, SCHED_FIFO, &fifo))
		SKIP(return, "SCHED_FIFO is not permitted");
	while (joins < JOINS && now() < end) {
		fd = dev_open();
		a = attach_args(-1, 1);
		memcpy(a.name, c.name, sizeof(a.name));
		ret = dev_ioctl(fd, IVRING_IOC_ATTACH, &a);
		if (!ret) {
			v = (struct ivring_member_info) { .id = 0 };
			ASSERT_EQ(0, dev_ioctl(fd, IVRING_IOC_MEMBER_INFO, &v));
			/* The member may have left by now. */
			ASSERT_LE(1, v.generation);
			joins++;
		}
		close(fd);
		ASSERT_TRUE(!ret || ret == -ENOENT);
		usleep(rng_below(60));
	}
	EXPECT_LE(100, joins);
	kill(pid, SIGKILL);
	child_wait(pid);
}

TEST_F(create, mode)
{
	struct ivring_create c = good;
	int bit;

	for (bit = 9; bit < 32; bit++) {
		c.mode = 0600 | 1U << bit;
		EXPECT_TRUE(refused(self->fd, EINVAL, &c));
	}

	/* A mode needs a name. */
	memset(c.name, 0, sizeof(c.name));
	c.mode = 0600;
	EXPECT_TRUE(refused(self->fd, EINVAL, &c));
}

TEST_F(create, name)
{
	struct ivring_create c = good;
	int i;

	memset(c.name, 'n', sizeof(c.name));
	EXPECT_TRUE(refused(self->fd, EINVAL, &c));

	c = good;
	c.name[sizeof(c.name) - 1] = 'n';
	EXPECT_TRUE(refused(self->fd, EINVAL, &c));
	c = good;
	c.name[strlen((char *)good.name) + 1] = 'n';
	EXPECT_TRUE(refused(self->fd, EINVAL, &c));

	/* Bytes follow an empty name. */
	c = create_args(4, 8, 4096);
	c.name[1] = 'n';
	EXPECT_TRUE(refused(self->fd, EINVAL, &c));

	c = good;
	c.name[0] = '/';
	EXPECT_TRUE(refused(self->fd, EINVAL, &c));
	c = good;
	c.name[3] = '/';
	EXPECT_TRUE(refused(self->fd, EINVAL, &c));

	/* Try the longest name, and every byte that a name may contain. */
	memset(c.name, 0, sizeof(c.name));
	memset(c.name, 'n', sizeof(c.name) - 1);
	EXPECT_EQ(0, create(self->fd, &c));
	for (i = 1; i < 256; i++) {
		int fd = dev_open();

		memset(c.name, 0, sizeof(c.name));
		c.name[0] = i;
		EXPECT_EQ(i == '/' ? -EINVAL : 0, create(fd, &c))
			TH_LOG("byte %d", i);
		close(fd);
	}
}

TEST_F(create, pointer)
{
	char *fenced = fenced_pages(1);
	struct ivring_info info;
	void *partly = fenced + PAGE - sizeof(good) + 1;

	memcpy(partly, &good, sizeof(good) - 1);
	EXPECT_TRUE(refused(self->fd, EFAULT, NULL));
	EXPECT_TRUE(refused(self->fd, EFAULT, KERNEL_ADDRESS));
	EXPECT_TRUE(refused(self->fd, EFAULT, unmapped_address()));
	EXPECT_TRUE(refused(self->fd, EFAULT, partly));

	/* An argument that ends at the end of its page is accepted. */
	memcpy(partly - 1, &good, sizeof(good));
	EXPECT_EQ(0, create(self->fd, partly - 1));
	EXPECT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_INFO, &info));
}

TEST_F(create, limits)
{
	struct ivring_create smallest = create_args(1, IVRING_MIN_INBOX_ENTRIES,
						    IVRING_MIN_OUTBOX_BYTES);
	struct ivring_create largest = create_args(IVRING_MAX_SLOTS,
						   IVRING_MAX_INBOX_ENTRIES,
						   IVRING_MAX_OUTBOX_BYTES);
	int other = dev_open();

	EXPECT_EQ(0, create(self->fd, &smallest));
	EXPECT_EQ(0, create(other, &largest));
	close(other);
}

TEST_F(create, twice)
{
	struct ivring_create c = create_args(2, 16, 8192);
	struct ivring_info before, after;

	ASSERT_EQ(0, create(self->fd, &good));
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_INFO, &before));
	EXPECT_EQ(-EBUSY, create(self->fd, &c));
	EXPECT_EQ(-EBUSY, create(self->fd, &good));
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_INFO, &after));
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
}

TEST_F(create, attached_file)
{
	struct ivring_create c = create_args(2, 16, 8192);
	struct snapshot before;
	struct member member;

	ASSERT_EQ(0, create(self->fd, &good));
	ASSERT_EQ(0, member_join(&member, self->fd));
	before = member_snapshot(&member);
	EXPECT_EQ(-EBUSY, create(member.fd, &c));
	EXPECT_UNCHANGED(before, &member);
}

TEST_F(create, name_taken)
{
	struct ivring_create c = good;
	struct ivring_info info;
	int other = dev_open();

	ASSERT_EQ(0, create(self->fd, &good));
	EXPECT_EQ(-EEXIST, create(other, &good));
	EXPECT_EQ(-ENXIO, dev_ioctl(other, IVRING_IOC_INFO, &info));

	/* Names with a common prefix are different names. */
	c.name[strlen((char *)c.name)] = 'x';
	EXPECT_EQ(0, create(other, &c));
	close(other);

	/* The name is released with the last descriptor, and not earlier. */
	other = dup(self->fd);
	close(self->fd);
	self->fd = dev_open();
	EXPECT_EQ(-EEXIST, create(self->fd, &good));
	close(other);
	EXPECT_EQ(0, create(self->fd, &good));
}

TEST_F(create, many_without_name)
{
	struct ivring_create c = create_args(1, 2, 4096);
	int other = dev_open();

	EXPECT_EQ(0, create(self->fd, &c));
	EXPECT_EQ(0, create(other, &c));
	close(other);
}

static int create_on_new_file(int fd)
{
	return create(dev_open(), &good);
}

static int create_on_this_file(int fd)
{
	struct ivring_create c = create_args(1, 2, 4096);

	return create(fd, &c);
}

/* Exactly one of several creates at the same moment succeeds. */
TEST_F(create, race)
{
	int i;

	for (i = 0; i < 10; i++) {
		int fd = dev_open();

		EXPECT_EQ(1, race(create_on_new_file, -1, -EEXIST));
		EXPECT_EQ(1, race(create_on_this_file, fd, -EBUSY));
		close(fd);
	}
}

TEST_HARNESS_MAIN
