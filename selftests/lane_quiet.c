// SPDX-License-Identifier: GPL-2.0
/*
 * The receiver does not look at a quiet lane until a doorbell is rung for it. lane_sleep.c
 * tests that no wakeup is lost while a lane becomes quiet, and lane_cost.c what quiet lanes
 * save.
 */
#include "ivring_test.h"
#include "lane.h"

#define ENTRIES	8
#define LANES	12		/* more lanes than are always looked at */
#define ENOUGH	64		/* idle periods without items until a lane is quiet */

FIXTURE(lane_quiet) {
	struct member to;
	struct member from[LANES];
	struct lane_out out[LANES];
	struct lane_in in[LANES];
};

FIXTURE_SETUP(lane_quiet)
{
	int i;

	ASSERT_EQ(0, member_create(&self->to, LANES + 1, 8, 4096));
	for (i = 0; i < LANES; i++) {
		ASSERT_EQ(0, member_join(&self->from[i], self->to.fd));
		ASSERT_EQ(0, lane_open(&self->out[i], &self->from[i], &self->to, ENTRIES));
		ASSERT_EQ(0, lane_accept(&self->in[i], &self->to, self->from[i].id));
	}
	member_see_members(&self->to);
}

FIXTURE_TEARDOWN(lane_quiet)
{
	int i;

	for (i = 0; i < LANES; i++) {
		lane_close(&self->in[i]);
		lane_unmap(&self->out[i], &self->from[i]);
		member_close(&self->from[i]);
	}
	member_close(&self->to);
}

static void put(struct lane_out *out)
{
	lane_push(out, &(struct ivring_item) { 0 });
}

static __u32 woken(const struct member *member)
{
	return LOAD(&member->lanes->woken);
}

/* The number of quiet lanes. */
static int count(const struct lane_out *out)
{
	int i, count = 0;

	for (i = 0; i < LANES; i++)
		count += lane_quiet(&out[i]);
	return count;
}

static void idle(const struct member *member, int times)
{
	while (times--)
		dev_poll(member->fd, POLLIN);
}

/* Whether WAIT finds an item, and whether poll() does, which goes idle. */
static bool holds(const struct member *member)
{
	bool waited = !dev_wait(member->fd, 0, 0, NULL), polled = dev_poll(member->fd, POLLIN) & POLLIN;

	if (waited != polled)
		abort();
	return polled;
}

/*
 * The kernel marks lanes without traffic as quiet, for a member that lets the kernel look
 * at them.
 */
TEST_F(lane_quiet, marked_by_kernel)
{
	struct ivring_item item;
	int i;

	EXPECT_EQ(0, count(self->out));
	for (i = 0; i < ENOUGH; i++) {
		EXPECT_LE(0, lane_send(&self->out[3], i));
		EXPECT_TRUE(holds(&self->to));
		EXPECT_TRUE(lane_take(&self->in[3], &item));
		EXPECT_FALSE(holds(&self->to));
	}
	EXPECT_EQ(LANES - 1, count(self->out));
	EXPECT_FALSE(lane_quiet(&self->out[3]));
	EXPECT_EQ(0, woken(&self->to));

	/* A lane that holds an item does not become quiet. */
	put(&self->out[5]);
	EXPECT_LE(0, lane_doorbell(&self->out[5]));
	idle(&self->to, ENOUGH);
	EXPECT_FALSE(lane_quiet(&self->out[5]));
	EXPECT_TRUE(holds(&self->to));
}

/* No lane becomes quiet where there are few lanes. */
TEST_F(lane_quiet, few)
{
	int i;

	for (i = 8; i < LANES; i++)
		EXPECT_EQ(0, dev_close_lane(self->to.fd, self->from[i].id, self->from[i].generation));
	idle(&self->to, 2 * ENOUGH);
	EXPECT_EQ(0, count(self->out));
}

/* The doorbell for a lane that holds an item ends the quiet of this lane in every state. */
TEST_F(lane_quiet, doorbell)
{
	static const __u32 states[] = {
		IVRING_BUSY, IVRING_BUSY_UNFENCED, IVRING_IDLE, 99, 0xffffffff,
	};
	struct lane_out *out = &self->out[1];
	struct ivring_item item;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		EXPECT_FALSE(lane_mark(&self->in[1]));
		EXPECT_FALSE(lane_mark(&self->in[2]));
		STORE(&self->to.area->state, states[i]);
		put(out);
		out->unfenced = i % 2;
		EXPECT_EQ(states[i] == IVRING_IDLE, lane_notify(out));
		EXPECT_EQ(i + 1, woken(&self->to));
		EXPECT_FALSE(lane_quiet(out));
		EXPECT_TRUE(lane_quiet(&self->out[2]));
		/* Only the first doorbell has an effect. */
		EXPECT_EQ(0, lane_doorbell(out));
		EXPECT_EQ(i + 1, woken(&self->to));
		EXPECT_TRUE(lane_take(&self->in[1], &item));
		STORE(&self->to.area->state, IVRING_BUSY);
	}
	EXPECT_EQ(0, member_stats(&self->from[1]).pointless);
}

/* A doorbell without an item leaves the lane quiet. */
TEST_F(lane_quiet, pointless)
{
	EXPECT_FALSE(lane_mark(&self->in[1]));
	STORE(&self->to.area->state, IVRING_IDLE);
	EXPECT_EQ(0, lane_doorbell(&self->out[1]));
	EXPECT_TRUE(lane_quiet(&self->out[1]));
	EXPECT_EQ(IVRING_IDLE, member_state(&self->to));
	EXPECT_EQ(0, woken(&self->to));
	EXPECT_EQ(1, member_stats(&self->from[1]).pointless);
}

/* An item without a doorbell is not seen, and does not hide the items of others. */
TEST_F(lane_quiet, silent_sender)
{
	EXPECT_FALSE(lane_mark(&self->in[1]));
	EXPECT_FALSE(lane_mark(&self->in[2]));
	put(&self->out[1]);
	EXPECT_FALSE(holds(&self->to));
	put(&self->out[2]);
	EXPECT_EQ(1, lane_notify(&self->out[2]));
	EXPECT_TRUE(holds(&self->to));
	EXPECT_TRUE(lane_quiet(&self->out[1]));
	EXPECT_EQ(0, lane_doorbell(&self->out[1]));
	EXPECT_FALSE(lane_quiet(&self->out[1]));
}

/* A member that marks a lane wrongly only harms itself. */
TEST_F(lane_quiet, liar)
{
	struct member *from = &self->from[0];
	struct lane_out back;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(self->to.area->quiet); i++)
		STORE(&self->to.area->quiet[i], 0xffffffff);
	put(&self->out[0]);
	EXPECT_FALSE(holds(&self->to));
	idle(&self->to, ENOUGH);
	/* Another receiver does not notice. */
	ASSERT_EQ(0, lane_open(&back, &self->to, from, ENTRIES));
	member_see_members(from);
	EXPECT_FALSE(holds(from));
	EXPECT_EQ(1, lane_send(&back, 1));
	EXPECT_TRUE(holds(from));
	/* A sender that waits for progress only sees that nothing is read. */
	EXPECT_EQ(-ETIMEDOUT, lane_flush(&self->out[0], self->out[0].next, in_ms(20)));
	EXPECT_EQ(1, lane_doorbell(&self->out[0]));
	EXPECT_TRUE(holds(&self->to));
	lane_unmap(&back, &self->to);
}

/* The next member of the slot does not inherit the mark. */
TEST_F(lane_quiet, successor)
{
	__u32 id = self->from[4].id;

	EXPECT_FALSE(lane_mark(&self->in[4]));
	member_close(&self->from[4]);
	lane_unmap(&self->out[4], &self->to);
	EXPECT_EQ(0, lane_close(&self->in[4]));
	EXPECT_FALSE(is_quiet(self->to.area, id));
	/* Nor does a member in between inherit it. */
	self->to.area->quiet[id / 32] = 1u << id % 32;
	ASSERT_EQ(0, member_join_slot(&self->from[4], self->to.fd, id));
	ASSERT_EQ(0, lane_open(&self->out[4], &self->from[4], &self->to, ENTRIES));
	EXPECT_FALSE(lane_quiet(&self->out[4]));
	ASSERT_EQ(0, lane_accept(&self->in[4], &self->to, id));
	put(&self->out[4]);
	member_see_members(&self->to);
	EXPECT_TRUE(holds(&self->to));
}

/* The item of a sender that was killed before it could ring is found. */
TEST_F(lane_quiet, sender_leaves)
{
	__u32 id = self->from[6].id;

	EXPECT_FALSE(lane_mark(&self->in[6]));
	EXPECT_FALSE(lane_mark(&self->in[7]));
	put(&self->out[6]);
	EXPECT_FALSE(holds(&self->to));
	lane_unmap(&self->out[6], &self->from[6]);
	member_close(&self->from[6]);
	EXPECT_TRUE(holds(&self->to));
	EXPECT_EQ(1, woken(&self->to));
	EXPECT_FALSE(is_quiet(self->to.area, id));
	/* If that sender has written nothing, there is no event. */
	lane_unmap(&self->out[7], &self->from[7]);
	member_close(&self->from[7]);
	EXPECT_EQ(1, woken(&self->to));
	for (id = 6; id < 8; id++) {
		ASSERT_EQ(0, lane_close(&self->in[id]));
		ASSERT_EQ(0, member_join(&self->from[id], self->to.fd));
		ASSERT_EQ(0, lane_open(&self->out[id], &self->from[id], &self->to, ENTRIES));
		ASSERT_EQ(0, lane_accept(&self->in[id], &self->to, self->from[id].id));
	}
}

/* The first item of a quiet lane starts a delay, as in any other lane. */
TEST_F(lane_quiet, delay)
{
	struct ivring_stats before = member_stats(&self->to);

	self->to.area->wake_delay_us = 50000;
	STORE(&self->to.area->wake_items, 3);
	EXPECT_FALSE(lane_mark(&self->in[1]));
	STORE(&self->to.area->state, IVRING_IDLE);
	put(&self->out[1]);
	EXPECT_EQ(0, lane_notify(&self->out[1]));
	EXPECT_EQ(IVRING_DELAYED, member_state(&self->to));
	EXPECT_FALSE(lane_quiet(&self->out[1]));
	EXPECT_EQ(1, woken(&self->to));
	EXPECT_TRUE(SOON(member_state(&self->to) == IVRING_BUSY));
	EXPECT_EQ(before.delayed + 1, member_stats(&self->to).delayed);

	/* An item in another quiet lane is seen meanwhile too. */
	EXPECT_FALSE(lane_mark(&self->in[2]));
	STORE(&self->to.area->state, IVRING_IDLE);
	put(&self->out[1]);
	EXPECT_EQ(0, lane_notify(&self->out[1]));
	put(&self->out[2]);
	EXPECT_EQ(0, lane_notify(&self->out[2]));
	EXPECT_FALSE(lane_quiet(&self->out[2]));
	EXPECT_TRUE(SOON(member_state(&self->to) == IVRING_BUSY));
}

/* A reader that never calls ROOM does not leave a sender waiting, however often it goes idle. */
TEST_F(lane_quiet, room)
{
	struct lane_out *out = &self->out[2];
	struct ivring_item item;
	pid_t pid[2];
	int i;

	for (i = 0; i < 2; i++) {
		put(out);
		pid[i] = child_fork();
		if (!pid[i])
			_exit(-lane_flush(out, out->next, IVRING_DEADLINE_NEVER));
		ASSERT_TRUE(SOON(LOAD(&out->ring->room_wanted)));
		idle(&self->to, ENOUGH);
		EXPECT_TRUE(lane_take(&self->in[2], &item));
		idle(&self->to, ENOUGH);
		EXPECT_EQ(0, child_wait(pid[i]));
		/* Items that have been read count as read. */
		EXPECT_EQ(0, lane_flush(out, out->next, in_ms(1)));
		EXPECT_EQ(0, lane_flush(out, out->next - 1, in_ms(1)));
		STORE(&self->to.area->quiet[0], 0);
	}
}

/* A sender is notified when the receiver closes a quiet lane or leaves. */
TEST(receiver_ends)
{
	struct lane_out out;
	struct lane_in in;
	struct member a, b;

	ASSERT_EQ(0, member_create(&a, 2, 8, 4096));
	ASSERT_EQ(0, member_join(&b, a.fd));
	ASSERT_EQ(0, lane_open(&out, &a, &b, ENTRIES));
	ASSERT_EQ(0, lane_accept(&in, &b, a.id));
	EXPECT_FALSE(lane_mark(&in));
	EXPECT_EQ(0, lane_close(&in));
	put(&out);
	EXPECT_EQ(-ECONNRESET, lane_doorbell(&out));
	lane_unmap(&out, &a);

	ASSERT_EQ(0, lane_open(&out, &a, &b, ENTRIES));
	ASSERT_EQ(0, lane_accept(&in, &b, a.id));
	EXPECT_FALSE(lane_mark(&in));
	munmap((void *)in.ring, lane_size(ENTRIES));
	member_close(&b);
	put(&out);
	EXPECT_EQ(-EPIPE, lane_notify(&out));
	lane_unmap(&out, &a);
	member_close(&a);
}

TEST_HARNESS_MAIN
