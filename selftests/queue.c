// SPDX-License-Identifier: GPL-2.0
/*
 * The inbox as a queue: order, wrap, full, batches, several senders. The 32-bit indices
 * overflow in the first round of the ring.
 */
#include <sched.h>

#include "ivring_test.h"

FIXTURE(queue) {
	struct member a;	/* sends to b */
	struct member b;
};

FIXTURE_VARIANT(queue) {
	__u32 entries;
};

FIXTURE_VARIANT_ADD(queue, smallest) {
	.entries = IVRING_MIN_INBOX_ENTRIES,
};

FIXTURE_VARIANT_ADD(queue, small) {
	.entries = 8,
};

FIXTURE_VARIANT_ADD(queue, medium) {
	.entries = 1024,
};

FIXTURE_VARIANT_ADD(queue, largest) {
	.entries = IVRING_MAX_INBOX_ENTRIES,
};

FIXTURE_SETUP(queue)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, variant->entries, 4096));
}

FIXTURE_TEARDOWN(queue)
{
	member_close_pair(&self->a, &self->b);
}

static struct ivring_item batch[IVRING_MAX_BATCH];

/* Send items with consecutive cookies that begin with @cookie. */
static int send_batch(struct member *from, struct member *to, __u64 cookie, __u32 count,
		      struct ivring_enqueue *e)
{
	__u32 i;

	for (i = 0; i < count; i++) {
		batch[i].cookie = cookie + i;
		batch[i].port = ~(cookie + i);
	}
	*e = enqueue_args(to->id, to->generation, batch, count);
	return dev_ioctl(from->fd, IVRING_IOC_ENQUEUE, e);
}

/* Check that the next item of @member has the cookie @cookie. */
static bool is_next(struct member *member, struct member *from, __u64 cookie)
{
	struct ivring_item item;

	return member_take(member, &item) && item.cookie == cookie &&
	       item.port == (__u32)~cookie && item.from == from->id &&
	       item.from_gen == from->generation;
}

/* Batches of every size go round the ring many times and stay in order. */
TEST_F(queue, order_and_wrap)
{
	__u64 sent = 0, read = 0, enough = 20 * variant->entries;
	struct ivring_enqueue e;

	if (enough < 2000)
		enough = 2000;
	if (enough > 200000)
		enough = 200000;
	rng_seed();
	while (read < enough) {
		__u32 count = 1 + rng_below(IVRING_MAX_BATCH);
		int ret = send_batch(&self->a, &self->b, sent, count, &e);

		if (ret) {
			ASSERT_EQ(-EAGAIN, ret);
			ASSERT_EQ(variant->entries, sent - read);
		} else {
			sent += e.done;
			ASSERT_EQ((__u32)(self->b.start + sent), e.position);
			if (e.done < count)
				ASSERT_EQ(variant->entries, sent - read);
		}
		ASSERT_EQ(sent - read, member_pending(&self->b));
		for (count = rng_below(2 * IVRING_MAX_BATCH); count && read < sent; count--)
			ASSERT_TRUE(is_next(&self->b, &self->a, read++));
	}
	EXPECT_EQ(sent, member_stats(&self->b).items_in);
	EXPECT_EQ(sent, member_stats(&self->a).items_out);
}

/* The inbox takes as many items as it has entries, and refuses the others. */
TEST_F(queue, full)
{
	__u32 entries = variant->entries, sent = 0, count, i;
	struct ivring_enqueue e;

	while (sent < entries - 1) {
		count = entries - 1 - sent;
		if (count > IVRING_MAX_BATCH)
			count = IVRING_MAX_BATCH;
		ASSERT_EQ(0, send_batch(&self->a, &self->b, sent, count, &e));
		ASSERT_EQ(count, e.done);
		sent += count;
	}
	EXPECT_EQ(0, member_stats(&self->b).full);
	/* There is room for one of three items. */
	ASSERT_EQ(0, send_batch(&self->a, &self->b, sent, 3, &e));
	EXPECT_EQ(1, e.done);
	EXPECT_EQ(0, e.position);
	EXPECT_EQ(-EAGAIN, send_batch(&self->a, &self->b, 0, 1, &e));
	EXPECT_EQ(-EAGAIN, send_batch(&self->a, &self->b, 0, 3, &e));
	EXPECT_EQ(3, member_stats(&self->b).full);
	EXPECT_EQ(entries, member_stats(&self->b).items_in);
	EXPECT_EQ(entries, member_pending(&self->b));
	EXPECT_EQ(0, self->b.inbox->room_wanted);

	/* Reading makes room for as many items as were read. */
	EXPECT_TRUE(is_next(&self->b, &self->a, 0));
	ASSERT_EQ(0, send_batch(&self->a, &self->b, entries, 2, &e));
	EXPECT_EQ(1, e.done);
	for (i = 1; i <= entries; i++)
		ASSERT_TRUE(is_next(&self->b, &self->a, i));
	EXPECT_EQ(0, member_pending(&self->b));
}

TEST_F(queue, to_itself)
{
	struct ivring_enqueue e;

	ASSERT_EQ(0, send_batch(&self->b, &self->b, 40, 2, &e));
	EXPECT_EQ(2, e.done);
	EXPECT_EQ(0, e.rung);
	EXPECT_TRUE(is_next(&self->b, &self->b, 40));
	EXPECT_TRUE(is_next(&self->b, &self->b, 41));
	EXPECT_EQ(2, member_stats(&self->b).items_in);
	EXPECT_EQ(2, member_stats(&self->b).items_out);
}

/* Each member has an inbox of its own. */
TEST_F(queue, inboxes_are_apart)
{
	struct ivring_enqueue e;
	struct member c;

	ASSERT_EQ(0, member_join(&c, self->a.fd));
	ASSERT_EQ(0, send_batch(&self->a, &self->b, 1, 1, &e));
	ASSERT_EQ(0, send_batch(&self->a, &c, 2, 1, &e));
	ASSERT_EQ(0, send_batch(&self->b, &c, 3, 1, &e));
	EXPECT_TRUE(is_next(&self->b, &self->a, 1));
	EXPECT_TRUE(is_next(&c, &self->a, 2));
	EXPECT_TRUE(is_next(&c, &self->b, 3));
	EXPECT_EQ(0, member_pending(&self->a));
	EXPECT_EQ(0, member_pending(&self->b));
	EXPECT_EQ(0, member_pending(&c));
	member_close(&c);
}

/*
 * Several senders at the same time: no item is lost or repeated, and those of each sender
 * are in order.
 */
TEST_F(queue, many_senders)
{
	enum { SENDERS = 4, EACH = 3000 };
	__u32 next[SENDERS] = { 0 }, total;
	pid_t pid[SENDERS];
	struct ivring_item item;
	int i;

	for (i = 0; i < SENDERS; i++) {
		pid[i] = child_fork();
		if (pid[i])
			continue;
		/* All processes send as member a. */
		for (__u32 n = 0; n < EACH;) {
			struct ivring_enqueue e;
			__u32 count = 1 + n % 7;
			int ret;

			if (count > EACH - n)
				count = EACH - n;
			ret = send_batch(&self->a, &self->b,
					 (__u64)i << 32 | n, count, &e);
			if (ret && ret != -EAGAIN)
				_exit(1);
			if (ret)
				sched_yield();
			else
				n += e.done;
		}
		_exit(0);
	}
	for (total = 0; total < SENDERS * EACH;) {
		if (!member_take(&self->b, &item)) {
			sched_yield();
			continue;
		}
		ASSERT_GT(SENDERS, item.cookie >> 32);
		ASSERT_EQ(next[item.cookie >> 32]++, (__u32)item.cookie);
		total++;
	}
	EXPECT_EQ(SENDERS * EACH, total);
	for (i = 0; i < SENDERS; i++)
		EXPECT_EQ(0, child_wait(pid[i]));
	EXPECT_EQ(0, member_pending(&self->b));
	EXPECT_EQ(total, member_stats(&self->b).items_in);
}

TEST_HARNESS_MAIN
