// SPDX-License-Identifier: GPL-2.0
/*
 * IVRING_IOC_ENQUEUE: what it checks. A call that fails puts nothing into the inbox.
 */
#include "ivring_test.h"

#define ENTRIES		8
#define OUTBOX		8192ULL

FIXTURE(enqueue) {
	struct member a;	/* sends to b */
	struct member b;
	struct ivring_item item[IVRING_MAX_BATCH + 1];
	struct ivring_enqueue good;
	struct snapshot before;
};

FIXTURE_SETUP(enqueue)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, ENTRIES, OUTBOX));
	memset(self->item, 0, sizeof(self->item));
	self->good = enqueue_args(self->b.id, self->b.generation, self->item, 1);
	self->before = member_snapshot(&self->a);
}

FIXTURE_TEARDOWN(enqueue)
{
	member_close_pair(&self->a, &self->b);
}

static int enqueue(const struct member *member, struct ivring_enqueue *e)
{
	return dev_ioctl(member->fd, IVRING_IOC_ENQUEUE, e);
}

#define EXPECT_REFUSED(error, e)				\
do {								\
	struct ivring_enqueue __e = (e);			\
								\
	EXPECT_EQ(-(error), enqueue(&self->a, &__e));		\
	EXPECT_EQ(0, member_pending(&self->b));			\
	EXPECT_UNCHANGED(self->before, &self->a);		\
} while (0)

TEST_F(enqueue, result)
{
	struct ivring_enqueue e = self->good;

	/* An output field, which the kernel must ignore. */
	e.done = e.position = e.rung = 0xffffffff;
	ASSERT_EQ(0, enqueue(&self->a, &e));
	EXPECT_EQ(1, e.done);
	EXPECT_EQ(self->b.start + 1, e.position);
	EXPECT_EQ(0, e.rung);
	EXPECT_EQ(self->b.start, LOAD(&self->b.inbox->item[0].sequence));
	EXPECT_EQ(1, member_pending(&self->b));

	STORE(&self->b.area->state, IVRING_IDLE);
	e.count = 3;
	ASSERT_EQ(0, enqueue(&self->a, &e));
	EXPECT_EQ(3, e.done);
	EXPECT_EQ(self->b.start + 4, e.position);
	EXPECT_EQ(1, e.rung);
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
}

TEST_F(enqueue, count)
{
	static const __u32 bad[] = {
		0, IVRING_MAX_BATCH + 1, 65536, 0x04000000, 0x04000001,
		0x7fffffff, 0x80000000, 0xffffffff,
	};
	struct ivring_enqueue e = self->good;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		e.count = bad[i];
		EXPECT_REFUSED(EINVAL, e);
	}
}

TEST_F(enqueue, flags)
{
	struct ivring_enqueue e = self->good;
	int bit;

	for (bit = 1; bit < 32; bit++) {
		e.flags = 1U << bit;
		if (e.flags != IVRING_ENQUEUE_WATCH)
			EXPECT_REFUSED(EINVAL, e);
		e.flags |= IVRING_ENQUEUE_WAIT;
		EXPECT_REFUSED(EINVAL, e);
	}
	e = self->good;
	e.watch = 1;
	EXPECT_REFUSED(EINVAL, e);
	/* A deadline needs the flag that makes the call wait. */
	e = self->good;
	e.deadline = IVRING_DEADLINE_NEVER;
	EXPECT_REFUSED(EINVAL, e);
	e.flags = IVRING_ENQUEUE_WATCH;
	EXPECT_REFUSED(EINVAL, e);
}

TEST_F(enqueue, receiver)
{
	static const __u32 bad[] = { 4, 5, 65536, 0x10001, 0x80000000, IVRING_ID_ANY };
	struct ivring_enqueue e = self->good;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		e.id = bad[i];
		EXPECT_REFUSED(EINVAL, e);
	}
	/* No member has an even generation, or one that lies in the future. */
	e = self->good;
	for (i = 0; i < 4; i++) {
		e.generation = 2 * i;
		EXPECT_REFUSED(EINVAL, e);
		e.generation = self->b.generation + 2 + 2 * i;
		EXPECT_REFUSED(EINVAL, e);
	}
	e.generation = 0xffffffff;
	EXPECT_REFUSED(EINVAL, e);
	/* No member has ever used this slot. */
	e.id = 3;
	e.generation = 1;
	EXPECT_REFUSED(EINVAL, e);
}

TEST_F(enqueue, dead_receiver)
{
	struct ivring_enqueue e = self->good;

	member_close(&self->b);
	EXPECT_EQ(-EPIPE, enqueue(&self->a, &e));
	ASSERT_EQ(0, member_join_slot(&self->b, self->a.fd, self->b.id));
	self->before = member_snapshot(&self->a);
	EXPECT_REFUSED(ESTALE, e);
	member_close(&self->b);
	EXPECT_EQ(-ESTALE, enqueue(&self->a, &e));
	ASSERT_EQ(0, member_join_slot(&self->b, self->a.fd, self->b.id));
}

TEST_F(enqueue, not_attached)
{
	struct ivring_create c = create_args(1, 2, 4096);
	int fd = dev_open();

	EXPECT_EQ(-ENOTCONN, dev_ioctl(fd, IVRING_IOC_ENQUEUE, &self->good));
	ASSERT_EQ(0, dev_ioctl(fd, IVRING_IOC_CREATE, &c));
	EXPECT_EQ(-ENOTCONN, dev_ioctl(fd, IVRING_IOC_ENQUEUE, &self->good));
	close(fd);
}

TEST_F(enqueue, item)
{
	static const struct ivring_item bad[] = {
		{ .sequence = 1 },
		{ .sequence = -ENTRIES },
		{ .sequence = UINT32_MAX },
		{ .from = 1 },
		{ .from = 0xffff },
		{ .from_gen = 1 },
		{ .flags = IVRING_ITEM_FLAGS + 1 },
		{ .flags = IVRING_ITEM_REPLY | 8 },
		{ .flags = 0x80 },
		{ .inline_len = IVRING_INLINE_BYTES + 1 },
		{ .inline_len = 255 },
		{ .offset = 1 },
		{ .offset = UINT32_MAX },
		{ .length = OUTBOX + 1 },
		{ .length = UINT32_MAX },
		{ .length = 1, .offset = OUTBOX },
		{ .length = 2, .offset = OUTBOX - 1 },
		{ .length = OUTBOX, .offset = 1 },
		{ .length = 1, .offset = 1U << 31 },
		/* The end of the payload does not fit into 32 bits. */
		{ .length = 1, .offset = UINT32_MAX },
		{ .length = UINT32_MAX, .offset = 1 },
		{ .length = UINT32_MAX, .offset = UINT32_MAX },
		{ .length = 4096, .offset = UINT32_MAX - 2048 },
	};
	struct ivring_enqueue e = self->good;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		self->item[0] = bad[i];
		EXPECT_REFUSED(EINVAL, self->good);
	}
	/* One bad item anywhere in a batch makes the call fail. */
	e.count = 5;
	for (i = 0; i < 5; i++) {
		memset(self->item, 0, sizeof(self->item));
		self->item[i] = bad[i % ARRAY_SIZE(bad)];
		EXPECT_REFUSED(EINVAL, e);
	}
	e.count = IVRING_MAX_BATCH;
	memset(self->item, 0, sizeof(self->item));
	self->item[IVRING_MAX_BATCH - 1].flags = 8;
	EXPECT_REFUSED(EINVAL, e);
}

TEST_F(enqueue, item_at_its_limits)
{
	static const struct ivring_item edge[] = {
		{ .inline_len = IVRING_INLINE_BYTES, .port = UINT32_MAX, .cookie = UINT64_MAX },
		{ .length = OUTBOX, .flags = IVRING_ITEM_REPLY },
		{ .length = 1, .offset = OUTBOX - 1 },
		{ .length = OUTBOX - 1, .offset = 1 },
	};
	struct ivring_enqueue e = self->good;
	struct ivring_item item;
	unsigned int i;

	e.items = (uintptr_t)edge;
	e.count = ARRAY_SIZE(edge);
	ASSERT_EQ(0, enqueue(&self->a, &e));
	for (i = 0; i < ARRAY_SIZE(edge); i++) {
		ASSERT_TRUE(member_take(&self->b, &item));
		EXPECT_EQ(self->a.id, item.from);
		EXPECT_EQ(self->a.generation, item.from_gen);
		item.from = 0;
		item.from_gen = 0;
		EXPECT_EQ(0, memcmp(&edge[i], &item, sizeof(item)));
	}
}

TEST_F(enqueue, pointer)
{
	char *fenced = fenced_pages(1);
	struct ivring_enqueue *partly = (void *)(fenced + PAGE - sizeof(*partly) + 4);
	struct ivring_enqueue *readonly = (void *)fenced;

	memcpy(partly, &self->good, sizeof(*partly) - 4);
	EXPECT_EQ(-EFAULT, enqueue(&self->a, NULL));
	EXPECT_EQ(-EFAULT, enqueue(&self->a, KERNEL_ADDRESS));
	EXPECT_EQ(-EFAULT, enqueue(&self->a, unmapped_address()));
	EXPECT_EQ(-EFAULT, enqueue(&self->a, partly));
	/* No item is put into the inbox if the kernel cannot report how many it were. */
	*readonly = self->good;
	mprotect(readonly, PAGE, PROT_READ);
	EXPECT_EQ(-EFAULT, enqueue(&self->a, readonly));
	EXPECT_EQ(0, member_pending(&self->b));
	EXPECT_UNCHANGED(self->before, &self->a);
}

TEST_F(enqueue, array_pointer)
{
	struct ivring_enqueue e = self->good;
	__u64 bad[] = {
		0, 1, (uintptr_t)KERNEL_ADDRESS, (uintptr_t)unmapped_address(),
		(uintptr_t)fenced_pages(1) + PAGE, UINT64_MAX, UINT64_MAX - 63,
		1ULL << 63, 1ULL << 47,
		/* Only the lower half of this address is valid. */
		(uintptr_t)self->item | 1ULL << 63,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		e.items = bad[i];
		e.count = 1;
		EXPECT_REFUSED(EFAULT, e);
		e.count = IVRING_MAX_BATCH;
		EXPECT_REFUSED(EFAULT, e);
	}
}

TEST_F(enqueue, array_ends_early)
{
	struct ivring_item *end = (void *)fenced_pages(1) + PAGE;
	struct ivring_enqueue e = self->good;
	int i;

	/* Of five items two cannot be read: the first three are put into the inbox. */
	for (i = 0; i < 3; i++)
		end[i - 3].cookie = 10 + i;
	e.items = (uintptr_t)(end - 3);
	e.count = 5;
	ASSERT_EQ(0, enqueue(&self->a, &e));
	EXPECT_EQ(3, e.done);
	EXPECT_EQ(self->b.start + 3, e.position);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(10 + i, self->b.inbox->item[i].cookie);

	/* Half of the fourth item can be read. */
	memset(end - 4, 0, 4 * sizeof(*end));
	e.items = (uintptr_t)(end - 4) + sizeof(*end) / 2;
	ASSERT_EQ(0, enqueue(&self->a, &e));
	EXPECT_EQ(3, e.done);
	EXPECT_EQ(self->b.start + 6, e.position);
	EXPECT_EQ(6, member_stats(&self->b).items_in);
	EXPECT_EQ(6, member_stats(&self->a).items_out);
}

TEST_F(enqueue, array_ends_early_and_is_bad)
{
	struct ivring_item *end = (void *)fenced_pages(1) + PAGE;
	struct ivring_enqueue e = self->good;

	end[-2].flags = 8;
	e.items = (uintptr_t)(end - 3);
	e.count = 5;
	EXPECT_REFUSED(EINVAL, e);
}

TEST_F(enqueue, outboxes_differ_by_region)
{
	struct ivring_item item = { .length = 4096, .offset = 4096 };
	struct ivring_enqueue e;
	struct member small;

	ASSERT_EQ(0, member_create(&small, 1, 2, 4096));
	e = enqueue_args(small.id, small.generation, &item, 1);
	EXPECT_EQ(-EINVAL, enqueue(&small, &e));
	e = enqueue_args(self->b.id, self->b.generation, &item, 1);
	EXPECT_EQ(0, enqueue(&self->a, &e));
	member_close(&small);
}

TEST_HARNESS_MAIN
