// SPDX-License-Identifier: GPL-2.0
/*
 * Numbers whose product or sum overflows 32 or 64 bits and becomes small. They are refused,
 * and nothing is created with them.
 */
#include "ivring_test.h"
#include "lane.h"

#define ENTRIES	8

FIXTURE(overflow) {
	struct member member;
	struct snapshot before;
};

FIXTURE_SETUP(overflow)
{
	ASSERT_EQ(0, member_create(&self->member, 4, ENTRIES, 4096));
	self->before = member_snapshot(&self->member);
}

FIXTURE_TEARDOWN(overflow)
{
	EXPECT_UNCHANGED(self->before, &self->member);
	member_close(&self->member);
}

/* Powers of two, which other checks accept, and their neighbours. */
#define EACH_LARGE(from, to, number, what)				\
do {									\
	int __bit;							\
	__u64 number;							\
									\
	for (__bit = (from); __bit < (to); __bit++) {			\
		number = 1ULL << __bit;					\
		what;							\
		number += 1;						\
		what;							\
		number -= 2;						\
		what;							\
	}								\
} while (0)

static int create(__u32 slots, __u32 entries, __u64 outbox)
{
	struct ivring_create c = create_args(slots, entries, outbox);
	int fd = dev_open(), ret = dev_ioctl(fd, IVRING_IOC_CREATE, &c);

	close(fd);
	return ret;
}

/* For each slot the region area has 4 bytes and a member area has 64. */
TEST_F(overflow, slots)
{
	EACH_LARGE(20, 32, slots, EXPECT_EQ(-EINVAL, create(slots, 2, 4096)));
}

/* An inbox has 64 bytes per entry. With 2^26 entries it would be as small as with none. */
TEST_F(overflow, inbox_entries)
{
	EACH_LARGE(20, 32, entries, EXPECT_EQ(-EINVAL, create(2, entries, 4096)));
}

/* The outbox is added to the rest of the area. 2^64 - 4096 would make the area empty. */
TEST_F(overflow, outbox_bytes)
{
	EACH_LARGE(29, 64, bytes, EXPECT_EQ(-EINVAL, create(2, 2, bytes)));
	EXPECT_EQ(-EINVAL, create(2, 2, -4096ULL));
}

TEST_F(overflow, lane_entries)
{
	EACH_LARGE(20, 32, entries,
		   EXPECT_EQ(-EINVAL, dev_open_lane(self->member.fd, self->member.id,
						    self->member.generation, entries)));
}

/* Items have 64 bytes each, and the end of their array overflows the address space. */
TEST_F(overflow, batch)
{
	struct ivring_item item = { 0 };
	struct ivring_enqueue e;

	EACH_LARGE(20, 32, count, {
		e = enqueue_args(self->member.id, self->member.generation, &item, count);
		EXPECT_EQ(-EINVAL, dev_ioctl(self->member.fd, IVRING_IOC_ENQUEUE, &e));
	});
	for (e.count = 1; e.count <= IVRING_MAX_BATCH; e.count++) {
		e.items = -64ULL * e.count;
		EXPECT_EQ(-EFAULT, dev_ioctl(self->member.fd, IVRING_IOC_ENQUEUE, &e));
	}
}

/* The offset and the length of the payload. */
TEST_F(overflow, payload)
{
	struct ivring_item item = { 0 };
	struct ivring_enqueue e = enqueue_args(self->member.id, self->member.generation, &item, 1);
	__u32 length;

	for (length = 1; length; length *= 2) {
		item.length = length;
		/* In 32 bits the payload would end at the start of the outbox, or at its end. */
		item.offset = -length;
		EXPECT_EQ(-EINVAL, dev_ioctl(self->member.fd, IVRING_IOC_ENQUEUE, &e));
		item.offset = 4096 - length;
		if (length > 4096)
			EXPECT_EQ(-EINVAL, dev_ioctl(self->member.fd, IVRING_IOC_ENQUEUE, &e));
	}
}

/* As an index of 16 bits, or an offset of 32, this slot would be another slot. */
TEST_F(overflow, slot)
{
	struct member *member = &self->member;
	struct ivring_attach a;
	struct ivring_member_info v;
	int fd = dev_open();

	EACH_LARGE(20, 32, slot, {
		a = attach_args(member->fd, slot);
		EXPECT_EQ(-EINVAL, dev_ioctl(fd, IVRING_IOC_ATTACH, &a));
		v = (struct ivring_member_info) { .id = slot };
		EXPECT_EQ(-EINVAL, dev_ioctl(member->fd, IVRING_IOC_MEMBER_INFO, &v));
		EXPECT_EQ(-EINVAL, member_send(member, slot, member->generation, 1));
		EXPECT_EQ(-EINVAL, dev_flush(member->fd, slot, member->generation, 1, 0));
		EXPECT_EQ(-EINVAL, dev_open_lane(member->fd, slot, member->generation, 8));
		EXPECT_EQ(-EINVAL, dev_close_lane(member->fd, slot, member->generation));
		EXPECT_EQ(-EINVAL, dev_doorbell(member->fd, slot, member->generation));
		EXPECT_EQ(-EINVAL, dev_room(member->fd, slot));
	});
	close(fd);
}

/* The offset and the length of a mapping. */
TEST_F(overflow, mapping)
{
	static const __u64 area[] = {
		IVRING_MAP_REGION, IVRING_MAP_INBOX, IVRING_MAP_MEMBER, IVRING_MAP_OUTBOX,
	};
	unsigned int i;
	size_t size;
	__u64 start;

	for (i = 0; i < ARRAY_SIZE(area); i++) {
		for (size = PAGE; size <= 1UL << 29; size *= 2) {
			/* The mapping ends at the end of the area, or within the next area. */
			start = area[i] + (1ULL << IVRING_MAP_SHIFT) - size;
			EXPECT_EQ(0, map_refused(EINVAL, self->member.fd, size, PROT_READ,
						 MAP_SHARED, start));
			if (size > PAGE)
				EXPECT_EQ(0, map_refused(EINVAL, self->member.fd, size,
							 PROT_READ, MAP_SHARED,
							 start + PAGE));
		}
	}
	/* The C library of 32-bit programs refuses offsets beyond 2^44. */
	if (sizeof(long) == 8)
		EACH_LARGE(20, 62, offset,
			   EXPECT_EQ(0, map_refused(EINVAL, self->member.fd, 2 * PAGE, PROT_READ,
						    MAP_SHARED,
						    (offset & -PAGE) | 1ULL << 62)));
}

TEST_HARNESS_MAIN
