// SPDX-License-Identifier: GPL-2.0
/*
 * IVRING_IOC_OPEN_LANE: what it checks, and the lane table. lane_map.c tests what can be
 * mapped, and lane_end.c tests how lanes end.
 */
#include "ivring_test.h"
#include "lane.h"

#define ENTRIES	8

FIXTURE(lane) {
	struct member a;	/* sends to b */
	struct member b;
};

FIXTURE_SETUP(lane)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, 8, 4096));
}

FIXTURE_TEARDOWN(lane)
{
	member_close_pair(&self->a, &self->b);
}

/* Items written at one end are read at the other, also when the index wraps. */
TEST_F(lane, items)
{
	struct ivring_item item = { 0 };
	struct lane_out out;
	struct lane_in in;
	int i, read = 0;

	ASSERT_EQ(0, lane_connect(&out, &in, &self->a, &self->b, ENTRIES));
	for (i = 0; i < 20 * ENTRIES; i++) {
		if (lane_full(&out)) {
			EXPECT_EQ(ENTRIES, lane_pending(&in));
			EXPECT_EQ(-EAGAIN, lane_send(&out, i));
			while (lane_take(&in, &item))
				ASSERT_EQ(read++, item.cookie);
		}
		ASSERT_EQ(0, lane_send(&out, i));
	}
	while (lane_take(&in, &item))
		ASSERT_EQ(read++, item.cookie);
	EXPECT_EQ(i, read);
	/* No call was made, so nothing was counted. */
	EXPECT_EQ(0, member_stats(&self->b).items_in);
	EXPECT_EQ(0, member_stats(&self->a).items_out);
	lane_unmap(&out, &self->a);
	EXPECT_EQ(0, lane_close(&in));
}

/* There can be one lane in each direction, and one from a member to itself. */
TEST_F(lane, three_at_once)
{
	struct member *end[3][2] = {
		{ &self->a, &self->b }, { &self->b, &self->a }, { &self->a, &self->a },
	};
	struct ivring_item item;
	struct lane_out out[3];
	struct lane_in in[3];
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, lane_open(&out[i], end[i][0], end[i][1], 2 << i));
		ASSERT_EQ(0, lane_accept(&in[i], end[i][1], end[i][0]->id));
		EXPECT_EQ(2 << i, in[i].entries);
	}
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, lane_send(&out[i], 10 + i));
	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(lane_take(&in[i], &item));
		EXPECT_EQ(10 + i, item.cookie);
		EXPECT_FALSE(lane_take(&in[i], &item));
		lane_unmap(&out[i], end[i][0]);
		EXPECT_EQ(0, lane_close(&in[i]));
	}
}

/*
 * The lane table lists the member that has opened each lane. Its counter of changes is
 * incremented with each change.
 */
TEST_F(lane, table)
{
	const struct ivring_lanes *lanes = self->b.lanes;
	__u32 changes = LOAD(&lanes->changes), id;
	struct member c;

	for (id = 0; id < 4; id++) {
		EXPECT_EQ(0, lanes->lane[id].generation);
		EXPECT_EQ(0, lanes->lane[id].entries);
	}
	ASSERT_EQ(0, member_join(&c, self->a.fd));
	EXPECT_EQ(changes, LOAD(&lanes->changes));

	ASSERT_EQ(0, member_open_lane(&self->a, &self->b, ENTRIES));
	EXPECT_NE(changes, LOAD(&lanes->changes));
	changes = LOAD(&lanes->changes);
	EXPECT_EQ(self->a.generation, lanes->lane[self->a.id].generation);
	EXPECT_EQ(ENTRIES, lanes->lane[self->a.id].entries);

	ASSERT_EQ(0, dev_open_lane(c.fd, self->b.id, self->b.generation, 2));
	EXPECT_NE(changes, LOAD(&lanes->changes));
	changes = LOAD(&lanes->changes);
	EXPECT_EQ(c.generation, lanes->lane[c.id].generation);
	EXPECT_EQ(2, lanes->lane[c.id].entries);

	/* Neither a refused call nor a lane to another member changes the table. */
	EXPECT_EQ(-EBUSY, dev_open_lane(self->a.fd, self->b.id, self->b.generation, 2));
	ASSERT_EQ(0, member_open_lane(&self->b, &self->a, ENTRIES));
	EXPECT_EQ(changes, LOAD(&lanes->changes));

	ASSERT_EQ(0, member_close_lane(&self->b, &self->a));
	EXPECT_NE(changes, LOAD(&lanes->changes));
	changes = LOAD(&lanes->changes);
	EXPECT_EQ(0, lanes->lane[self->a.id].generation);
	EXPECT_EQ(c.generation, lanes->lane[c.id].generation);

	/*
	 * The lane of a sender that has left stays in the table. That the sender has left
	 * is reported elsewhere.
	 */
	member_close(&c);
	EXPECT_EQ(changes, LOAD(&lanes->changes));
	EXPECT_EQ(c.generation, lanes->lane[c.id].generation);
	ASSERT_EQ(0, member_close_lane(&self->b, &c));
	EXPECT_NE(changes, LOAD(&lanes->changes));
	EXPECT_EQ(0, lanes->lane[c.id].generation);
}

/* A new lane is empty and open, regardless of the words of an earlier lane's reader. */
TEST_F(lane, start)
{
	struct ivring_lane_end *end = &self->b.area->lane[self->a.id];
	struct lane_out out;
	__u32 entries;

	EXPECT_EQ(0, end->consumer);
	for (entries = 2; entries <= 1024; entries *= 2) {
		end->consumer = 0x12345678;
		end->closed = 9;
		ASSERT_EQ(0, lane_open(&out, &self->a, &self->b, entries));
		EXPECT_EQ(-entries, end->consumer);
		EXPECT_EQ(0, end->closed);
		EXPECT_EQ(0, out.ring->room_wanted);
		EXPECT_EQ(0, out.ring->item[0].sequence);
		EXPECT_EQ(0, out.ring->item[entries - 1].cookie);
		out.ring->item[0].sequence = 1;
		out.ring->item[entries - 1].cookie = 1;
		ASSERT_EQ(0, member_close_lane(&self->b, &self->a));
		EXPECT_NE(0, end->closed);
		lane_unmap(&out, &self->a);
	}
}

TEST_F(lane, entries)
{
	static const __u32 bad[] = {
		0, 1, 3, 5, 12, 1000, 65535, 65537, 2 * IVRING_MAX_LANE_ENTRIES,
		0x80000000, 0xffffffff,
	};
	__u32 changes = self->b.lanes->changes, entries;
	struct snapshot before = member_snapshot(&self->a);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EINVAL, dev_open_lane(self->a.fd, self->b.id,
						 self->b.generation, bad[i]));
	EXPECT_UNCHANGED(before, &self->a);
	EXPECT_EQ(changes, self->b.lanes->changes);
	for (entries = IVRING_MIN_LANE_ENTRIES; entries <= IVRING_MAX_LANE_ENTRIES;
	     entries *= 2) {
		EXPECT_EQ(0, dev_open_lane(self->a.fd, self->b.id,
					   self->b.generation, entries));
		EXPECT_EQ(0, member_close_lane(&self->b, &self->a));
	}
}

TEST_F(lane, bad_receiver)
{
	static const __u32 bad[] = { 4, 5, 65536, 0x10001, 0x80000000, IVRING_ID_ANY };
	struct snapshot before = member_snapshot(&self->a);
	struct ivring_open_lane good = {
		.id = self->b.id,
		.generation = self->b.generation,
		.entries = ENTRIES,
	}, o = good;
	unsigned int i;

	for (i = 1; i < 32; i++) {
		o.flags = 1U << i;
		EXPECT_EQ(-EINVAL, dev_ioctl(self->a.fd, IVRING_IOC_OPEN_LANE, &o));
		o.flags |= IVRING_OPEN_LANE_WAIT;
		EXPECT_EQ(-EINVAL, dev_ioctl(self->a.fd, IVRING_IOC_OPEN_LANE, &o));
	}
	/* A deadline needs the flag that makes the call wait. */
	for (i = 0; i < 64; i++) {
		o = good;
		o.deadline = 1ULL << i;
		EXPECT_EQ(-EINVAL, dev_ioctl(self->a.fd, IVRING_IOC_OPEN_LANE, &o));
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, dev_open_lane(self->a.fd, bad[i], 1, ENTRIES));
		EXPECT_EQ(-EINVAL, dev_doorbell(self->a.fd, bad[i], 1));
		EXPECT_EQ(-EINVAL, dev_flush_lane(self->a.fd, bad[i], 1, 0, 0));
		EXPECT_EQ(-EINVAL, dev_close_lane(self->a.fd, bad[i], 1));
		if (bad[i] != IVRING_ID_ANY)
			EXPECT_EQ(-EINVAL, dev_room(self->a.fd, bad[i]));
	}
	/* No member has an even generation, or one that lies in the future. */
	for (i = 0; i < 4; i++) {
		__u32 even = 2 * i, future = self->b.generation + 2 + i;

		EXPECT_EQ(-EINVAL, dev_open_lane(self->a.fd, self->b.id, even, ENTRIES));
		EXPECT_EQ(-EINVAL, dev_doorbell(self->a.fd, self->b.id, even));
		EXPECT_EQ(-EINVAL, dev_flush_lane(self->a.fd, self->b.id, even, 0, 0));
		EXPECT_EQ(-EINVAL, dev_open_lane(self->a.fd, self->b.id, future, ENTRIES));
		EXPECT_EQ(-EINVAL, dev_doorbell(self->a.fd, self->b.id, future));
		EXPECT_EQ(-EINVAL, dev_flush_lane(self->a.fd, self->b.id, future, 0, 0));
	}
	EXPECT_UNCHANGED(before, &self->a);
}

TEST_F(lane, pointer)
{
	static const unsigned long calls[] = {
		IVRING_IOC_OPEN_LANE, IVRING_IOC_CLOSE_LANE, IVRING_IOC_DOORBELL, IVRING_IOC_ROOM,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		EXPECT_EQ(-EFAULT, dev_ioctl(self->a.fd, calls[i], NULL));
		EXPECT_EQ(-EFAULT, dev_ioctl(self->a.fd, calls[i], KERNEL_ADDRESS));
		EXPECT_EQ(-EFAULT, dev_ioctl(self->a.fd, calls[i], unmapped_address()));
	}
}

TEST_F(lane, not_attached)
{
	struct ivring_create c = create_args(1, 2, 4096);
	int fd = dev_open(), i;

	for (i = 0; i < 2; i++) {
		EXPECT_EQ(-ENOTCONN, dev_open_lane(fd, 0, 1, ENTRIES));
		EXPECT_EQ(-ENOTCONN, dev_close_lane(fd, 0, 1));
		EXPECT_EQ(-ENOTCONN, dev_doorbell(fd, 0, 1));
		EXPECT_EQ(-ENOTCONN, dev_flush_lane(fd, 0, 1, 0, 0));
		EXPECT_EQ(-ENOTCONN, dev_room(fd, 0));
		if (!i)
			ASSERT_EQ(0, dev_ioctl(fd, IVRING_IOC_CREATE, &c));
	}
	close(fd);
}

/* The calls name a lane that does not exist. */
TEST_F(lane, without)
{
	struct snapshot before = member_snapshot(&self->a);
	struct ivring_room r = { .from = self->a.id, .flags = 1 };

	/* The lane in the other direction does not count. */
	ASSERT_EQ(0, member_open_lane(&self->b, &self->a, ENTRIES));
	EXPECT_EQ(-ENOENT, member_doorbell(&self->a, &self->b));
	EXPECT_EQ(-ENOENT, member_flush_lane(&self->a, &self->b, 0, 0));
	EXPECT_EQ(-ENOENT, member_close_lane(&self->b, &self->a));
	EXPECT_EQ(-ENOENT, member_close_lane(&self->b, &self->b));
	/* The sender cannot close the lane. */
	EXPECT_EQ(-ENOENT, member_close_lane(&self->b, &self->a));
	/* The generation is another one, or the slot is free. */
	EXPECT_EQ(-ENOENT, dev_close_lane(self->a.fd, self->b.id,
					  self->b.generation + 2));
	EXPECT_EQ(-ENOENT, dev_close_lane(self->a.fd, 3, 1));
	EXPECT_EQ(-EINVAL, dev_ioctl(self->b.fd, IVRING_IOC_ROOM, &r));
	EXPECT_UNCHANGED(before, &self->a);
	EXPECT_EQ(0, member_close_lane(&self->a, &self->b));
	EXPECT_EQ(-ENOENT, member_close_lane(&self->a, &self->b));
}

/* A member can have one lane at a time to each peer. */
TEST_F(lane, open_twice)
{
	struct lane_out out;
	struct member c;

	ASSERT_EQ(0, lane_open(&out, &self->a, &self->b, ENTRIES));
	EXPECT_EQ(-EBUSY, member_open_lane(&self->a, &self->b, ENTRIES));
	lane_unmap(&out, &self->a);
	EXPECT_EQ(-EBUSY, member_open_lane(&self->a, &self->b, ENTRIES));
	EXPECT_EQ(-EBUSY, dev_open_lane(self->a.fd, self->b.id, self->b.generation, 2));
	ASSERT_EQ(0, member_join(&c, self->a.fd));
	EXPECT_EQ(0, member_open_lane(&self->a, &c, ENTRIES));
	EXPECT_EQ(0, member_open_lane(&c, &self->b, ENTRIES));
	member_close(&c);
}

TEST_F(lane, refused)
{
	struct snapshot before = member_snapshot(&self->a);
	__u32 *most = &self->b.area->max_lane_entries;
	__u32 changes = self->b.lanes->changes;

	EXPECT_EQ(IVRING_MAX_LANE_ENTRIES, *most);
	STORE(most, 0);
	EXPECT_EQ(-ECONNREFUSED, member_open_lane(&self->a, &self->b, ENTRIES));
	STORE(most, ENTRIES - 1);
	EXPECT_EQ(-ECONNREFUSED, member_open_lane(&self->a, &self->b, ENTRIES));
	EXPECT_UNCHANGED(before, &self->a);
	EXPECT_EQ(changes, self->b.lanes->changes);
	EXPECT_EQ(-ENOENT, member_doorbell(&self->a, &self->b));
	STORE(most, ENTRIES);
	EXPECT_EQ(0, member_open_lane(&self->a, &self->b, ENTRIES));
	/* The limit is read when the lane is opened. */
	STORE(most, 0);
	EXPECT_EQ(0, member_doorbell(&self->a, &self->b));
	EXPECT_EQ(0, member_close_lane(&self->b, &self->a));
	/* An invalid limit allows what the kernel allows. */
	STORE(most, 0xffffffff);
	EXPECT_EQ(-EINVAL, dev_open_lane(self->a.fd, self->b.id, self->b.generation,
					 2 * IVRING_MAX_LANE_ENTRIES));
	EXPECT_EQ(0, dev_open_lane(self->a.fd, self->b.id, self->b.generation,
				   IVRING_MAX_LANE_ENTRIES));
}

TEST_F(lane, largest_region)
{
	struct ivring_create c = create_args(IVRING_MAX_SLOTS, 2, 4096);
	struct ivring_item item = { 0 };
	struct member first, last;
	struct lane_out out;
	struct lane_in in;
	int fd = dev_open();

	ASSERT_EQ(0, dev_ioctl(fd, IVRING_IOC_CREATE, &c));
	ASSERT_EQ(0, member_attach(&last, fd, -1, IVRING_MAX_SLOTS - 1));
	ASSERT_EQ(0, member_join_slot(&first, fd, 0));
	ASSERT_EQ(0, lane_open(&out, &last, &first, 4));
	ASSERT_EQ(0, lane_accept(&in, &first, last.id));
	ASSERT_EQ(0, lane_send(&out, 5));
	EXPECT_EQ(0, dev_wait(first.fd, 0, 0, NULL));
	EXPECT_TRUE(lane_take(&in, &item));
	EXPECT_EQ(5, item.cookie);
	lane_unmap(&out, &last);
	EXPECT_EQ(0, lane_close(&in));

	ASSERT_EQ(0, lane_open(&out, &last, &last, 4));
	ASSERT_EQ(0, lane_accept(&in, &last, last.id));
	ASSERT_EQ(0, lane_send(&out, 6));
	EXPECT_TRUE(lane_take(&in, &item));
	EXPECT_EQ(6, item.cookie);
	lane_unmap(&out, &last);
	munmap((void *)in.ring, lane_size(4));
	member_close(&first);
	member_close(&last);
}

/* A member that reads no lanes can refuse them before any member can open one to it. */
TEST_F(lane, refused_from_the_start)
{
	struct ivring_attach a = attach_args(self->a.fd, IVRING_ID_ANY);
	struct member c;
	int fd = dev_open();

	a.flags = IVRING_ATTACH_NO_LANES;
	ASSERT_EQ(0, dev_ioctl(fd, IVRING_IOC_ATTACH, &a));
	EXPECT_EQ(-ECONNREFUSED, dev_open_lane(self->a.fd, a.id, a.generation, 2));
	ASSERT_EQ(0, member_map(&c, fd));
	EXPECT_EQ(0, LOAD(&c.area->max_lane_entries));
	/* The member may change its limit later. */
	STORE(&c.area->max_lane_entries, 2);
	EXPECT_EQ(-ECONNREFUSED, dev_open_lane(self->a.fd, c.id, c.generation, 4));
	EXPECT_EQ(0, dev_open_lane(self->a.fd, c.id, c.generation, 2));
	member_close(&c);
}

TEST_HARNESS_MAIN
