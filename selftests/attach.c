// SPDX-License-Identifier: GPL-2.0
/*
 * IVRING_IOC_ATTACH: how a file becomes a member, and each error of the call. A failed call
 * leaves the region and the file as they were.
 */
#include "ivring_test.h"

#define SLOTS	4

FIXTURE(attach) {
	struct member member;	/* of a named region */
	int fd;			/* not attached */
	struct snapshot before;
};

static const char name[IVRING_NAME_SIZE] = "attach-test";

FIXTURE_SETUP(attach)
{
	struct ivring_create c = create_args(SLOTS, 8, 4096);
	int fd = dev_open();

	c.mode = 0600;
	memcpy(c.name, name, sizeof(name));
	ASSERT_EQ(0, dev_ioctl(fd, IVRING_IOC_CREATE, &c));
	ASSERT_EQ(0, member_attach(&self->member, fd, -1, 1));
	self->fd = dev_open();
	ASSERT_LE(0, self->fd);
	self->before = member_snapshot(&self->member);
}

FIXTURE_TEARDOWN(attach)
{
	close(self->fd);
	member_close(&self->member);
}

static int attach(int fd, const struct ivring_attach *a)
{
	return dev_ioctl(fd, IVRING_IOC_ATTACH, a);
}

static struct ivring_attach by_name(const char *n)
{
	struct ivring_attach a = attach_args(-1, IVRING_ID_ANY);

	strncpy((char *)a.name, n, sizeof(a.name));
	return a;
}

#define EXPECT_REFUSED(error, fd, a)				\
do {								\
	struct ivring_info __info;				\
								\
	EXPECT_EQ(-(error), attach(fd, a));			\
	EXPECT_EQ(-ENXIO, dev_ioctl(fd, IVRING_IOC_INFO, &__info));	\
	EXPECT_UNCHANGED(self->before, &self->member);		\
} while (0)

TEST_F(attach, any_slot)
{
	struct ivring_attach a = attach_args(self->member.fd, IVRING_ID_ANY);
	struct ivring_info info;

	a.generation = 0xdeadbeef;	/* output only, so the kernel must ignore it */
	ASSERT_EQ(0, attach(self->fd, &a));
	EXPECT_LT(a.id, SLOTS);
	EXPECT_NE(1, a.id);
	EXPECT_EQ(1, a.generation % 2);
	EXPECT_EQ(a.generation, member_generation(&self->member, a.id));
	EXPECT_NE(self->before.members, member_changes_word(&self->member));
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_INFO, &info));
	EXPECT_EQ(a.id, info.id);
	EXPECT_EQ(a.generation, info.generation);
	EXPECT_EQ(2, info.attached);
}

TEST_F(attach, wanted_slot)
{
	struct ivring_attach a = attach_args(self->member.fd, 3);

	ASSERT_EQ(0, attach(self->fd, &a));
	EXPECT_EQ(3, a.id);
	EXPECT_EQ(1, a.generation);
}

TEST_F(attach, by_name)
{
	struct ivring_attach a = by_name(name);

	EXPECT_EQ(0, attach(self->fd, &a));
	EXPECT_LT(a.id, SLOTS);
}

TEST_F(attach, own_region)
{
	struct ivring_create c = create_args(2, 2, 4096);
	struct ivring_attach a = attach_args(-1, IVRING_ID_ANY);

	/* A file attaches to the region that it has created itself, if it has created one. */
	EXPECT_REFUSED(ENXIO, self->fd, &a);
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_CREATE, &c));
	a.region_fd = self->member.fd;
	EXPECT_EQ(-EBUSY, attach(self->fd, &a));
	a = by_name(name);
	EXPECT_EQ(-EBUSY, attach(self->fd, &a));
	EXPECT_UNCHANGED(self->before, &self->member);
	/* Passing the file's own descriptor is the same as passing none. */
	a = attach_args(self->fd, 1);
	EXPECT_EQ(0, attach(self->fd, &a));
	EXPECT_EQ(1, a.id);
}

TEST_F(attach, fresh_areas)
{
	struct member member;
	size_t i;

	ASSERT_EQ(0, member_join(&member, self->member.fd));
	EXPECT_EQ(-8, (int)member.area->inbox_consumer);
	EXPECT_EQ(IVRING_MAX_LANE_ENTRIES, member.area->max_lane_entries);
	/* Every other field is zero. */
	member.area->inbox_consumer = 0;
	member.area->max_lane_entries = 0;
	for (i = 0; i < member.area_size; i++)
		if (((char *)member.area)[i])
			break;
	EXPECT_EQ(member.area_size, i);
	for (i = 0; i < member.inbox_size; i++)
		if (((const char *)member.inbox)[i])
			break;
	EXPECT_EQ(member.inbox_size, i);
	EXPECT_EQ(IVRING_MAGIC, member.region->magic);
	EXPECT_EQ(IVRING_API_VERSION, member.region->version);
	EXPECT_EQ(SLOTS, member.region->slots);
	EXPECT_EQ(8, member.region->inbox_entries);
	EXPECT_EQ(4096, member.region->outbox_bytes);
	for (i = 0; i < ARRAY_SIZE(member.region->reserved); i++)
		EXPECT_EQ(0, member.region->reserved[i]);
	member_close(&member);
}

TEST_F(attach, flags)
{
	struct ivring_attach a = attach_args(self->member.fd, IVRING_ID_ANY);
	int bit;

	for (bit = 0; bit < 32; bit++) {
		a.flags = 1U << bit;
		if (a.flags & (IVRING_ATTACH_PROCESS | IVRING_ATTACH_NO_LANES))
			continue;
		EXPECT_REFUSED(EINVAL, self->fd, &a);
	}
}

TEST_F(attach, slot)
{
	static const __u32 bad[] = { SLOTS, SLOTS + 1, 0x10001, 0x7fffffff, 0xfffffffe };
	struct ivring_attach a = attach_args(self->member.fd, 0);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		a.id = bad[i];
		EXPECT_REFUSED(EINVAL, self->fd, &a);
	}
	a.id = 1;
	EXPECT_REFUSED(EBUSY, self->fd, &a);
}

TEST_F(attach, no_slot)
{
	struct ivring_attach a = attach_args(self->member.fd, IVRING_ID_ANY);
	struct member member[SLOTS - 1];
	int i;

	for (i = 0; i < SLOTS - 1; i++)
		ASSERT_EQ(0, member_join(&member[i], self->member.fd));
	self->before = member_snapshot(&self->member);
	EXPECT_REFUSED(ENOSPC, self->fd, &a);
	for (i = 0; i < SLOTS; i++) {
		a.id = i;
		EXPECT_REFUSED(EBUSY, self->fd, &a);
	}
	member_close(&member[2]);
	a.id = IVRING_ID_ANY;
	EXPECT_EQ(0, attach(self->fd, &a));
	EXPECT_EQ(member[2].id, a.id);
	EXPECT_EQ(member[2].generation + 2, a.generation);
}

TEST_F(attach, name)
{
	struct ivring_attach a = by_name("attach-tes");

	EXPECT_REFUSED(ENOENT, self->fd, &a);
	a = by_name("attach-test2");
	EXPECT_REFUSED(ENOENT, self->fd, &a);
	a = by_name("attach/test");
	EXPECT_REFUSED(EINVAL, self->fd, &a);
	a = by_name(name);
	a.name[sizeof(a.name) - 1] = 'n';
	EXPECT_REFUSED(EINVAL, self->fd, &a);
	a = attach_args(-1, IVRING_ID_ANY);
	a.name[1] = 'n';
	EXPECT_REFUSED(EINVAL, self->fd, &a);
	memset(a.name, 'n', sizeof(a.name));
	EXPECT_REFUSED(EINVAL, self->fd, &a);

	/* A call names a region or passes a descriptor, but not both. */
	a = by_name(name);
	a.region_fd = self->member.fd;
	EXPECT_REFUSED(EINVAL, self->fd, &a);
}

TEST_F(attach, region_fd)
{
	struct ivring_attach a = attach_args(-1, IVRING_ID_ANY);
	int closed = dup(0), empty = dev_open(), null, ends[2];

	close(closed);
	a.region_fd = closed;
	EXPECT_REFUSED(EBADF, self->fd, &a);
	a.region_fd = -2;
	EXPECT_REFUSED(EBADF, self->fd, &a);
	a.region_fd = INT_MAX;
	EXPECT_REFUSED(EBADF, self->fd, &a);
	a.region_fd = INT_MIN;
	EXPECT_REFUSED(EBADF, self->fd, &a);

	/* Try descriptors of other files, and of an ivring file that holds no region. */
	null = open("/dev/null", O_RDWR);
	ASSERT_EQ(0, pipe(ends));
	a.region_fd = null;
	EXPECT_REFUSED(EINVAL, self->fd, &a);
	a.region_fd = ends[0];
	EXPECT_REFUSED(EINVAL, self->fd, &a);
	a.region_fd = empty;
	EXPECT_REFUSED(EINVAL, self->fd, &a);
	a.region_fd = self->fd;
	EXPECT_REFUSED(EINVAL, self->fd, &a);
	close(null);
	close(ends[0]);
	close(ends[1]);
	close(empty);

	/* A descriptor with O_PATH is not an open ivring file. */
	a.region_fd = open(DEVICE, O_PATH);
	EXPECT_REFUSED(EBADF, self->fd, &a);
	close(a.region_fd);
}

TEST_F(attach, twice)
{
	struct ivring_create c = create_args(2, 2, 4096);
	struct ivring_attach a = attach_args(-1, IVRING_ID_ANY);

	EXPECT_EQ(-EISCONN, attach(self->member.fd, &a));
	a.region_fd = self->member.fd;
	EXPECT_EQ(-EISCONN, attach(self->member.fd, &a));
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_CREATE, &c));
	a.region_fd = self->fd;
	EXPECT_EQ(-EISCONN, attach(self->member.fd, &a));
	EXPECT_UNCHANGED(self->before, &self->member);
}

TEST_F(attach, pointer)
{
	struct ivring_attach good = attach_args(self->member.fd, IVRING_ID_ANY);
	char *fenced = fenced_pages(1);
	struct ivring_attach *partly = (void *)(fenced + PAGE - sizeof(good) + 4);
	struct ivring_attach *readonly = (void *)fenced;

	memcpy(partly, &good, sizeof(good) - 4);
	EXPECT_REFUSED(EFAULT, self->fd, NULL);
	EXPECT_REFUSED(EFAULT, self->fd, KERNEL_ADDRESS);
	EXPECT_REFUSED(EFAULT, self->fd, unmapped_address());
	EXPECT_REFUSED(EFAULT, self->fd, partly);

	/* The result cannot be written. */
	*readonly = good;
	mprotect(readonly, PAGE, PROT_READ);
	EXPECT_EQ(-EFAULT, attach(self->fd, readonly));
	EXPECT_EQ(0, memcmp(readonly, &good, sizeof(good)));
}

TEST_F(attach, largest)
{
	struct ivring_create c = create_args(1, IVRING_MAX_INBOX_ENTRIES,
					     IVRING_MAX_OUTBOX_BYTES);
	struct member member;
	int fd = dev_open(), ret;

	ASSERT_EQ(0, dev_ioctl(fd, IVRING_IOC_CREATE, &c));
	ret = member_attach(&member, fd, -1, 0);
	if (ret == -ENOMEM)
		SKIP(return, "the machine has too little memory");
	ASSERT_EQ(0, ret);
	member.outbox[IVRING_MAX_OUTBOX_BYTES - 1] = 1;
	EXPECT_EQ(0, member.inbox->item[IVRING_MAX_INBOX_ENTRIES - 1].from);
	member_close(&member);
}

TEST_F(attach, last_slot)
{
	struct ivring_create c = create_args(IVRING_MAX_SLOTS, 2, 4096);
	struct member member;

	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_CREATE, &c));
	ASSERT_EQ(0, member_attach(&member, self->fd, -1, IVRING_MAX_SLOTS - 1));
	EXPECT_EQ(1, member_generation(&member, IVRING_MAX_SLOTS - 1));
	EXPECT_EQ(0, member_send(&member, member.id, member.generation, 7));
	EXPECT_EQ(member.id, member.inbox->item[0].from);
	member_unmap(&member);
}

/* The call fails with EBUSY while another call sets up the same file. */
static int take_any_slot(int fd)
{
	struct ivring_attach a = attach_args(-1, IVRING_ID_ANY);
	int ret;

	(void)SOON((ret = attach(fd, &a)) != -EBUSY);
	return ret;
}

static int take_last_slot(int fd)
{
	struct ivring_attach a = attach_args(fd, SLOTS - 1);

	return attach(dev_open(), &a);
}

/* Exactly one of several attaches at the same moment succeeds. */
TEST_F(attach, race)
{
	struct ivring_create c = create_args(2, 2, 4096);
	int i;

	for (i = 0; i < 10; i++) {
		int fd = dev_open();

		ASSERT_EQ(0, dev_ioctl(fd, IVRING_IOC_CREATE, &c));
		EXPECT_EQ(1, race(take_any_slot, fd, -EISCONN));
		close(fd);
		EXPECT_EQ(1, race(take_last_slot, self->member.fd, -EBUSY));
	}
	EXPECT_EQ(20, member_generation(&self->member, SLOTS - 1));
}

TEST_HARNESS_MAIN
