// SPDX-License-Identifier: GPL-2.0
/*
 * The argument of a call changes while the call runs. The kernel reads it once, and uses
 * the values that it has checked. See also hostile.items_that_change.
 */
#include "ivring_test.h"
#include "lane.h"

#define ENTRIES	16
#define OUTBOX	4096
#define SECONDS	3

FIXTURE(toctou) {
	struct member a;
	struct member b;
	void *page;		/* written by another process */
	pid_t pid;
	__u64 seed;
};

FIXTURE_SETUP(toctou)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, ENTRIES, OUTBOX));
	self->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	self->seed = rng_seed();
}

FIXTURE_TEARDOWN(toctou)
{
	member_close_pair(&self->a, &self->b);
}

/*
 * Change a word of @size bytes from one value to the other and back, for ever. The kernel may
 * copy the word byte by byte, and then sees bytes of both values. So the callers choose values
 * of which no mixture is a third valid value.
 */
static pid_t flip(void *word, size_t size, __u64 one, __u64 other)
{
	pid_t pid = child_fork();

	if (pid)
		return pid;
	for (;; spin(rng_below(200))) {
		__u64 value = rng_below(2) ? one : other;

		if (size == 8)
			__atomic_store_n((__u64 *)word, value, __ATOMIC_RELAXED);
		else
			__atomic_store_n((__u32 *)word, value, __ATOMIC_RELAXED);
	}
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	child_wait(pid);
}

/* The number of items changes: the call sends as many as it has checked. */
TEST_F(toctou, length_of_a_batch)
{
	static const __u32 bad[] = { 0, IVRING_MAX_BATCH + 8, 1U << 26, UINT32_MAX };
	struct ivring_enqueue *e = self->page;
	__u64 sent = 0, refused = 0, end;
	struct ivring_item *items;
	struct ivring_item item;
	__u32 i, read;
	int ret;

	/* One item more than that is valid, and no memory follows it. */
	items = (void *)((char *)fenced_pages(1) + PAGE) - 9 * sizeof(*items);
	memset(items, 0, 9 * sizeof(*items));
	items[8].flags = 0x80;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		*e = enqueue_args(self->b.id, self->b.generation, items, 8);
		self->pid = flip(&e->count, 4, 8, bad[i]);
		for (end = now() + SECONDS * SEC / 4; now() < end;) {
			e->done = 99;
			ret = dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, e);
			ASSERT_TRUE(!ret || ret == -EINVAL);
			if (!ret)
				ASSERT_EQ(8, e->done);
			for (read = 0; member_take(&self->b, &item); read++)
				ASSERT_EQ(0, item.flags);
			ASSERT_EQ(ret ? 0 : 8, read);
			sent += !ret;
			refused += !!ret;
		}
		stop(self->pid);
	}
	EXPECT_LT(20, sent);
	EXPECT_LT(20, refused);
	TH_LOG("seed %#llx: %llu sent, %llu refused", self->seed, sent, refused);
}

/* The address of the array changes: the items are those of one of the two arrays. */
TEST_F(toctou, address_of_a_batch)
{
	/* Aligned so that the two addresses differ in one byte only. */
	_Alignas(1024) struct ivring_item items[2][8] = { 0 };
	struct ivring_item item, first;
	struct ivring_enqueue *e = self->page;
	__u64 end = now() + SECONDS * SEC, sent[2] = { 0 };
	__u32 i;

	for (i = 0; i < 8; i++) {
		items[0][i].cookie = 1;
		items[1][i].cookie = 2;
	}
	*e = enqueue_args(self->b.id, self->b.generation, items[0], 8);
	self->pid = flip(&e->items, 8, (uintptr_t)items[0], (uintptr_t)items[1]);
	while (now() < end) {
		ASSERT_EQ(0, dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, e));
		ASSERT_TRUE(member_take(&self->b, &first));
		for (i = 1; i < 8; i++) {
			ASSERT_TRUE(member_take(&self->b, &item));
			ASSERT_EQ(first.cookie, item.cookie);
		}
		sent[first.cookie - 1]++;
	}
	stop(self->pid);
	EXPECT_LT(20, sent[0]);
	EXPECT_LT(20, sent[1]);
	TH_LOG("seed %#llx: %llu and %llu", self->seed, sent[0], sent[1]);
}

/* The size of a lane changes: the lane has the size that it reports. */
TEST_F(toctou, size_of_a_lane)
{
	const struct ivring_lane_info *info = &self->b.lanes->lane[self->a.id];
	struct ivring_open_lane *o = self->page;
	__u64 end = now() + SECONDS * SEC;
	__u32 opened[2] = { 0 };
	void *p;
	int ret;

	*o = (struct ivring_open_lane) { .id = self->b.id, .generation = self->b.generation };
	self->pid = flip(&o->entries, 4, 64, 1024);
	while (now() < end) {
		ret = dev_ioctl(self->a.fd, IVRING_IOC_OPEN_LANE, o);
		ASSERT_TRUE(!ret || ret == -EINVAL);	/* as long as it is zero */
		if (ret)
			continue;
		ASSERT_TRUE(info->entries == 64 || info->entries == 1024);
		p = dev_map(self->a.fd, lane_size(info->entries), PROT_READ,
			    IVRING_MAP_LANE_TO(self->b.id));
		ASSERT_NE(MAP_FAILED, p);
		ASSERT_EQ(-info->entries, self->b.area->lane[self->a.id].consumer);
		munmap(p, lane_size(info->entries));
		ASSERT_EQ(0, map_refused(EINVAL, self->a.fd, lane_size(info->entries) + PAGE,
					 PROT_READ, MAP_SHARED,
					 IVRING_MAP_LANE_TO(self->b.id)));
		opened[info->entries == 64]++;
		ASSERT_EQ(0, dev_close_lane(self->b.fd, self->a.id, self->a.generation));
	}
	stop(self->pid);
	EXPECT_LT(10, opened[0]);
	EXPECT_LT(10, opened[1]);
	TH_LOG("seed %#llx: %u large ones, %u small ones", self->seed, opened[0], opened[1]);
}

/* The size of a region changes: all its parts have the same size. */
TEST_F(toctou, size_of_a_region)
{
	struct ivring_create *c = self->page;
	__u64 end = now() + SECONDS * SEC, made[2] = { 0 };
	struct member member;
	int fd, ret;

	*c = create_args(2, 2, 4096);
	self->pid = flip(&c->inbox_entries, 4, 2, 1 << 26);
	while (now() < end) {
		fd = dev_open();
		ret = dev_ioctl(fd, IVRING_IOC_CREATE, c);
		ASSERT_TRUE(!ret || ret == -EINVAL);
		made[!ret]++;
		if (!ret) {
			ASSERT_EQ(0, member_attach(&member, fd, -1, 0));
			ASSERT_EQ(2, member.entries);
			ASSERT_EQ(2, member.region->inbox_entries);
			ASSERT_EQ((__u32)-2, member.area->inbox_consumer);
			member_unmap(&member);
		}
		close(fd);
	}
	stop(self->pid);
	EXPECT_LT(10, made[0]);
	EXPECT_LT(10, made[1]);
	TH_LOG("seed %#llx: %llu made, %llu refused", self->seed, made[1], made[0]);
}

/*
 * The entries of an inbox are read while the sender changes its array: an entry keeps its
 * content until its slot is released.
 */
TEST_F(toctou, entry_while_it_is_read)
{
	struct ivring_item *items = self->page, copy[ENTRIES];
	__u64 end = now() + SECONDS * SEC, read = 0;
	struct member *b = &self->b;
	__u32 i, index, end_of_items;

	self->pid = child_fork();
	if (!self->pid) {
		/* A field of each kind changes all the time. */
		volatile __u8 *byte = (void *)items;
		pid_t pid = child_fork();

		for (; !pid; spin(rng_below(100))) {
			struct ivring_item *item = &items[rng_below(ENTRIES)];

			item->data[rng_below(IVRING_INLINE_BYTES)]++;
			item->cookie++;
			item->port++;
		}
		for (;;) {
			member_send(&self->a, b->id, b->generation, byte[40]);
			dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &(struct ivring_enqueue) {
				.id = b->id,
				.generation = b->generation,
				.count = 1 + rng_below(ENTRIES),
				.items = (uintptr_t)items,
			});
		}
	}
	while (now() < end) {
		index = b->area->inbox_consumer;
		end_of_items = index + member_pending(b);
		/* Read the newest entry first, and at once. */
		for (i = end_of_items; i-- != index; )
			copy[i % ENTRIES] = b->inbox->item[i % ENTRIES];
		spin_random(16);
		for (i = index; i != end_of_items; i++, read++) {
			struct ivring_item *item = &copy[i % ENTRIES];

			ASSERT_EQ(0, memcmp(item, (void *)&b->inbox->item[i % ENTRIES], 64));
			ASSERT_EQ(self->a.id, item->from);
			ASSERT_EQ(self->a.generation, item->from_gen);
		}
		STORE(&b->area->inbox_consumer, end_of_items);
	}
	stop(self->pid);
	EXPECT_LT(100, read);
	TH_LOG("seed %#llx: %llu entries", self->seed, read);
}

TEST_HARNESS_MAIN
