// SPDX-License-Identifier: GPL-2.0
/*
 * The doorbell interrupts only an idle member, and only once.
 */
#include "ivring_test.h"

#define SENDERS	10

FIXTURE(doorbell) {
	struct member a;	/* sends to b */
	struct member b;
};

FIXTURE_SETUP(doorbell)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, 64, 4096));
}

FIXTURE_TEARDOWN(doorbell)
{
	member_close_pair(&self->a, &self->b);
}

/* Send an item. Return how many doorbells it rang, or -1. */
static int send(struct member *from, struct member *to)
{
	struct ivring_item item = { 0 };
	struct ivring_enqueue e = enqueue_args(to->id, to->generation, &item, 1);

	return dev_ioctl(from->fd, IVRING_IOC_ENQUEUE, &e) ? -1 : e.rung;
}

/* Let several processes send at the same moment. Return how many doorbells they rang. */
static int send_from_many(struct member *from, struct member *to)
{
	int start[2], rung = 0, i;
	pid_t pid[SENDERS];
	char c;

	if (pipe(start))
		return -1;
	for (i = 0; i < SENDERS; i++) {
		pid[i] = child_fork();
		if (!pid[i]) {
			close(start[1]);
			(void)!read(start[0], &c, 1);
			_exit(send(from, to));
		}
	}
	close(start[0]);
	close(start[1]);
	for (i = 0; i < SENDERS; i++)
		rung += child_wait(pid[i]);
	return rung;
}

/* A member that never sleeps is never interrupted. */
TEST_F(doorbell, busy)
{
	struct ivring_item item;
	int i;

	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(0, send(&self->a, &self->b));
		ASSERT_TRUE(member_take(&self->b, &item));
	}
	EXPECT_EQ(0, member_stats(&self->b).rung);
	EXPECT_EQ(1000, member_stats(&self->b).suppressed);
}

/* The first item interrupts an idle member, which is busy for the others. */
TEST_F(doorbell, idle)
{
	int i;

	STORE(&self->b.area->state, IVRING_IDLE);
	EXPECT_EQ(1, send(&self->a, &self->b));
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
	for (i = 1; i < SENDERS; i++)
		EXPECT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(1, member_stats(&self->b).rung);
	EXPECT_EQ(SENDERS - 1, member_stats(&self->b).suppressed);
}

TEST_F(doorbell, ten_senders_at_once)
{
	struct ivring_item item;
	int round;

	for (round = 0; round < 20; round++) {
		STORE(&self->b.area->state, IVRING_IDLE);
		ASSERT_EQ(1, send_from_many(&self->a, &self->b));
		while (member_take(&self->b, &item))
			;
	}
	EXPECT_EQ(round, member_stats(&self->b).rung);
	EXPECT_EQ(round * (SENDERS - 1), member_stats(&self->b).suppressed);
}

/* The member does sleep, and does not sleep again. */
TEST_F(doorbell, ten_senders_to_one_sleeper)
{
	struct ivring_item item;
	int round;
	pid_t pid;

	for (round = 0; round < 20; round++) {
		pid = child_fork();
		if (!pid)
			_exit(-dev_wait(self->b.fd, 0, IVRING_DEADLINE_NEVER, NULL));
		ASSERT_TRUE(member_sleeps(&self->b, round));
		ASSERT_EQ(1, send_from_many(&self->a, &self->b));
		ASSERT_EQ(0, child_wait(pid));
		while (member_take(&self->b, &item))
			;
	}
	EXPECT_EQ(round, member_stats(&self->b).rung);
	EXPECT_EQ(round, member_stats(&self->b).waits);
	EXPECT_EQ(0, member_stats(&self->b).spurious);
}

/* A batch rings once too, and so does a batch that waits for room. */
TEST_F(doorbell, batch)
{
	struct ivring_item items[100] = { 0 };
	struct ivring_enqueue e = enqueue_args(self->b.id, self->b.generation, items, 60);

	STORE(&self->b.area->state, IVRING_IDLE);
	ASSERT_EQ(0, dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e));
	EXPECT_EQ(60, e.done);
	EXPECT_EQ(1, e.rung);
	EXPECT_EQ(1, member_stats(&self->b).rung);
	EXPECT_EQ(0, member_stats(&self->b).suppressed);
	/* An item that was refused rings no doorbell. */
	e.count = 100;
	ASSERT_EQ(0, dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e));
	EXPECT_EQ(4, e.done);
	STORE(&self->b.area->state, IVRING_IDLE);
	EXPECT_EQ(-EAGAIN, dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e));
	EXPECT_EQ(IVRING_IDLE, member_state(&self->b));
	EXPECT_EQ(1, member_stats(&self->b).rung);
}

/* A member that writes an invalid state only harms itself: it is not rung. */
TEST_F(doorbell, invalid_state)
{
	STORE(&self->b.area->state, 0xffffffff);
	EXPECT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(0xffffffff, member_state(&self->b));
	/* Sleeping makes the state valid again. */
	EXPECT_TRUE(member_take(&self->b, &(struct ivring_item) { 0 }));
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, 0, in_ms(1), NULL));
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
}

/* Only the state of the receiver matters, not that of the sender. */
TEST_F(doorbell, to_itself)
{
	EXPECT_EQ(0, send(&self->a, &self->a));
	STORE(&self->a.area->state, IVRING_IDLE);
	EXPECT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(1, send(&self->a, &self->a));
}

TEST_HARNESS_MAIN
