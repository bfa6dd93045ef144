// SPDX-License-Identifier: GPL-2.0
/*
 * An invalid consumer index breaks the inbox permanently, for its member and for all senders to
 * it, but for no other member. The index is never mistaken for that of an empty or a full inbox.
 */
#include "ivring_test.h"

#define ENTRIES	8

FIXTURE(index) {
	struct member a;	/* has sent four items to b, which has read two */
	struct member b;
};

/* The index after 2 of 4 items have been read. */
FIXTURE_VARIANT(index) {
	__u32 consumer;
};

FIXTURE_VARIANT_ADD(index, ahead_by_one) { .consumer = 5 };
FIXTURE_VARIANT_ADD(index, ahead_by_a_ring) { .consumer = 4 + ENTRIES };
FIXTURE_VARIANT_ADD(index, ahead_by_half) { .consumer = 0x80000004 };
FIXTURE_VARIANT_ADD(index, back_by_one) { .consumer = 1 };
FIXTURE_VARIANT_ADD(index, back_to_the_start) { .consumer = 0 };
FIXTURE_VARIANT_ADD(index, back_by_three) { .consumer = 0xffffffff };
FIXTURE_VARIANT_ADD(index, back_by_a_ring) { .consumer = 2 - ENTRIES };

FIXTURE_SETUP(index)
{
	struct ivring_item item;
	int i;

	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, ENTRIES, 4096));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, i));
	ASSERT_TRUE(member_take(&self->b, &item));
	ASSERT_TRUE(member_take(&self->b, &item));
	/* The kernel learns how far the reader is. */
	ASSERT_EQ(0, dev_wait(self->b.fd, 0, 0, NULL));
}

FIXTURE_TEARDOWN(index)
{
	member_close_pair(&self->a, &self->b);
}

/* Claim that @consumer items have been read. */
static void break_inbox(struct member *member, __u32 consumer)
{
	STORE(&member->area->inbox_consumer, member->start + consumer);
}

/* The first call that looks at the index breaks the inbox. */

TEST_F(index, send)
{
	struct ivring_stats before = member_stats(&self->b);

	break_inbox(&self->b, variant->consumer);
	EXPECT_EQ(-EPROTO, member_send(&self->a, self->b.id, self->b.generation, 9));
	EXPECT_EQ(-EPROTO, member_send_wait(&self->a, self->b.id, self->b.generation,
					    9, IVRING_DEADLINE_NEVER));
	EXPECT_EQ(-EPROTO, member_send(&self->b, self->b.id, self->b.generation, 9));
	EXPECT_EQ(4, ring_pending(self->b.inbox, ENTRIES, self->b.start));
	EXPECT_EQ(before.items_in, member_stats(&self->b).items_in);
	EXPECT_EQ(before.full, member_stats(&self->b).full);
}

TEST_F(index, wait)
{
	break_inbox(&self->b, variant->consumer);
	STORE(&self->b.area->state, IVRING_IDLE);
	EXPECT_EQ(-EPROTO, dev_wait(self->b.fd, 0, IVRING_DEADLINE_NEVER, NULL));
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
	EXPECT_EQ(-EPROTO, dev_wait(self->b.fd, IVRING_WAIT_MEMBERS, 0, NULL));
}

TEST_F(index, poll)
{
	struct pollfd p = { .fd = self->b.fd, .events = POLLIN };

	break_inbox(&self->b, variant->consumer);
	EXPECT_EQ(POLLERR, dev_poll(self->b.fd, POLLIN | POLLRDNORM | POLLPRI));
	EXPECT_EQ(1, poll(&p, 1, -1));
	EXPECT_EQ(POLLERR, p.revents);
}

TEST_F(index, flush)
{
	break_inbox(&self->b, variant->consumer);
	EXPECT_EQ(-EPROTO, dev_flush(self->a.fd, self->b.id, self->b.generation,
				     self->b.start + 4, IVRING_DEADLINE_NEVER));
}

TEST_F(index, for_good)
{
	struct ivring_item item;
	struct member c;

	break_inbox(&self->b, variant->consumer);
	EXPECT_EQ(-EPROTO, member_send(&self->a, self->b.id, self->b.generation, 9));
	break_inbox(&self->b, 2);
	EXPECT_EQ(-EPROTO, member_send(&self->a, self->b.id, self->b.generation, 9));
	EXPECT_EQ(-EPROTO, dev_wait(self->b.fd, 0, 0, NULL));
	EXPECT_EQ(POLLERR, dev_poll(self->b.fd, POLLIN));
	break_inbox(&self->b, 4);
	EXPECT_EQ(-EPROTO, member_send(&self->a, self->b.id, self->b.generation, 9));

	/* Other members still receive items, also from the member that broke its inbox. */
	EXPECT_EQ(0, member_send(&self->b, self->a.id, self->a.generation, 9));
	EXPECT_TRUE(member_take(&self->a, &item));
	EXPECT_EQ(self->b.id, item.from);
	EXPECT_EQ(0, member_send(&self->a, self->a.id, self->a.generation, 9));

	/* The next member of the slot starts with a good inbox. */
	member_close(&self->b);
	ASSERT_EQ(0, member_join_slot(&c, self->a.fd, self->b.id));
	EXPECT_EQ(0, member_send(&self->a, c.id, c.generation, 9));
	EXPECT_TRUE(member_take(&c, &item));
	self->b = c;
}

/* A task that sleeps is woken with the error. */

static pid_t blocked(struct member *a, struct member *b, bool flush)
{
	pid_t pid = child_fork();

	if (!pid && flush)
		_exit(-dev_flush(a->fd, b->id, b->generation, b->start + 4,
				 IVRING_DEADLINE_NEVER));
	if (!pid)
		_exit(-member_send_wait(a, b->id, b->generation, 9,
					IVRING_DEADLINE_NEVER));
	return pid;
}

TEST_F(index, blocked_sender)
{
	pid_t pid;

	while (!member_send(&self->a, self->b.id, self->b.generation, 9))
		;
	pid = blocked(&self->a, &self->b, false);
	ASSERT_TRUE(SOON(LOAD(&self->b.inbox->room_wanted)));
	/* The inbox is full: 2 of 10 items have been read. */
	break_inbox(&self->b, variant->consumer == 5 ? 11 :
		    variant->consumer == 4 + ENTRIES ? 10 + ENTRIES :
		    variant->consumer);
	EXPECT_EQ(0, dev_room(self->b.fd, IVRING_ID_ANY));
	EXPECT_EQ(EPROTO, child_wait(pid));
}

TEST_F(index, blocked_flush)
{
	pid_t pid = blocked(&self->a, &self->b, true);

	ASSERT_TRUE(SOON(LOAD(&self->b.inbox->room_wanted)));
	break_inbox(&self->b, variant->consumer);
	EXPECT_EQ(0, dev_room(self->b.fd, IVRING_ID_ANY));
	EXPECT_EQ(EPROTO, child_wait(pid));
}

/* Here WAIT looks at the inbox instead of ROOM. */
TEST_F(index, blocked_flush_and_wait)
{
	pid_t pid = blocked(&self->a, &self->b, true);

	ASSERT_TRUE(SOON(LOAD(&self->b.inbox->room_wanted)));
	break_inbox(&self->b, variant->consumer);
	EXPECT_EQ(-EPROTO, dev_wait(self->b.fd, 0, 0, NULL));
	EXPECT_EQ(EPROTO, child_wait(pid));
}

/*
 * Sleeping tasks of the member itself are woken with the error too, if another task makes
 * the kernel look at the index.
 */

static int look_by_poll(int fd)
{
	return dev_poll(fd, POLLIN) == POLLERR ? -EPROTO : 0;
}

static int look_by_room(int fd)
{
	return dev_room(fd, IVRING_ID_ANY) ? : -EPROTO;
}

static int look_by_wait(int fd)
{
	return dev_wait(fd, 0, 0, NULL);
}

TEST_F(index, own_sleeper)
{
	int (*const look[])(int fd) = { look_by_poll, look_by_room, look_by_wait };
	struct ivring_item item;
	struct member c;
	__u64 start;
	unsigned int i;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(look); i++) {
		ASSERT_EQ(0, member_join(&c, self->a.fd));
		ASSERT_EQ(0, member_send(&self->a, c.id, c.generation, 1));
		ASSERT_TRUE(member_take(&c, &item));
		start = now();
		pid = child_fork();
		if (!pid)
			_exit(-dev_wait(c.fd, 0, start + 8 * SEC, NULL));
		ASSERT_TRUE(SOON(member_state(&c) == IVRING_IDLE));
		usleep(20000);
		break_inbox(&c, variant->consumer == 1 ? 2 : variant->consumer);
		EXPECT_EQ(-EPROTO, look[i](c.fd));
		EXPECT_EQ(EPROTO, child_wait(pid));
		/* The deadline was not what made it look. */
		EXPECT_GT(8 * SEC, now() - start);
		member_close(&c);
	}
}

TEST_HARNESS_MAIN
