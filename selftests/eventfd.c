// SPDX-License-Identifier: GPL-2.0
/*
 * IVRING_IOC_EVENTFD: each doorbell signals the eventfd, and so does a WAIT that turns the
 * state into BUSY. Nothing else does.
 */
#include <sys/eventfd.h>

#include "ivring_test.h"

FIXTURE(eventfd) {
	struct member a;
	struct member b;
	int efd;
};

FIXTURE_SETUP(eventfd)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, 64, 4096));
	self->efd = eventfd(0, EFD_NONBLOCK);
	ASSERT_LE(0, self->efd);
}

FIXTURE_TEARDOWN(eventfd)
{
	close(self->efd);
	member_close_pair(&self->a, &self->b);
}

/* How many signals have come since the last call. */
static __u64 signals(int efd)
{
	__u64 count = 0;

	return read(efd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static int send_to_idle(struct member *from, struct member *to)
{
	STORE(&to->area->state, IVRING_IDLE);
	return member_send(from, to->id, to->generation, 1);
}

TEST_F(eventfd, doorbell)
{
	int i;

	ASSERT_EQ(0, dev_eventfd(self->b.fd, self->efd));
	/* The member is busy, so there is no doorbell. */
	EXPECT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, 1));
	EXPECT_EQ(0, signals(self->efd));
	/* The member is idle, so there is one doorbell, for any number of items. */
	EXPECT_EQ(0, send_to_idle(&self->a, &self->b));
	for (i = 0; i < 9; i++)
		EXPECT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, 1));
	EXPECT_EQ(1, signals(self->efd));
	/* There is one signal for each time that the member was idle. */
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, send_to_idle(&self->a, &self->b));
	EXPECT_EQ(3, signals(self->efd));
}

/* Changes of the members signal only if the member has asked for them. */
TEST_F(eventfd, members)
{
	struct member c;

	ASSERT_EQ(0, dev_eventfd(self->b.fd, self->efd));
	STORE(&self->b.area->state, IVRING_IDLE);
	ASSERT_EQ(0, member_join(&c, self->a.fd));
	member_close(&c);
	EXPECT_EQ(0, signals(self->efd));
	EXPECT_EQ(IVRING_IDLE, member_state(&self->b));

	STORE(&self->b.area->members_wanted, 1);
	ASSERT_EQ(0, member_join(&c, self->a.fd));
	EXPECT_EQ(1, signals(self->efd));
	STORE(&self->b.area->state, IVRING_IDLE);
	member_close(&c);
	EXPECT_EQ(1, signals(self->efd));
}

/*
 * A call that turns the state into BUSY without a doorbell signals too, because another
 * task may sleep on the eventfd.
 */
TEST_F(eventfd, end_of_wait)
{
	member_see_members(&self->b);
	ASSERT_EQ(0, dev_eventfd(self->b.fd, self->efd));
	STORE(&self->b.area->state, IVRING_IDLE);
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, 0, 0, NULL));
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
	EXPECT_EQ(1, signals(self->efd));
	STORE(&self->b.area->state, IVRING_IDLE);
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, IVRING_WAIT_ARMED, 0, NULL));
	EXPECT_EQ(1, signals(self->efd));
	/* The delay ends while no task waits for it. */
	STORE(&self->b.area->wake_items, 8);
	STORE(&self->b.area->wake_delay_us, 900000);
	EXPECT_EQ(0, send_to_idle(&self->a, &self->b));
	EXPECT_EQ(IVRING_DELAYED, member_state(&self->b));
	EXPECT_EQ(0, signals(self->efd));
	EXPECT_EQ(0, dev_wait(self->b.fd, 0, 0, NULL));
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
	EXPECT_EQ(1, signals(self->efd));
	/* The member is busy, so none of its tasks sleeps. */
	EXPECT_EQ(0, dev_wait(self->b.fd, 0, 0, NULL));
	EXPECT_EQ(0, signals(self->efd));
	EXPECT_EQ(0, member_stats(&self->b).rung);
}

TEST_F(eventfd, replace_and_remove)
{
	int other = eventfd(0, EFD_NONBLOCK);

	ASSERT_EQ(0, dev_eventfd(self->b.fd, self->efd));
	ASSERT_EQ(0, dev_eventfd(self->b.fd, other));
	EXPECT_EQ(0, send_to_idle(&self->a, &self->b));
	EXPECT_EQ(0, signals(self->efd));
	EXPECT_EQ(1, signals(other));

	ASSERT_EQ(0, dev_eventfd(self->b.fd, -1));
	ASSERT_EQ(0, dev_eventfd(self->b.fd, -1));
	EXPECT_EQ(0, send_to_idle(&self->a, &self->b));
	EXPECT_EQ(0, signals(self->efd));
	EXPECT_EQ(0, signals(other));
	close(other);
}

TEST_F(eventfd, shared_by_two)
{
	ASSERT_EQ(0, dev_eventfd(self->a.fd, self->efd));
	ASSERT_EQ(0, dev_eventfd(self->b.fd, self->efd));
	EXPECT_EQ(0, send_to_idle(&self->a, &self->b));
	EXPECT_EQ(0, send_to_idle(&self->b, &self->a));
	EXPECT_EQ(2, signals(self->efd));
}

TEST_F(eventfd, lifetimes)
{
	int other = eventfd(0, EFD_NONBLOCK);
	struct member c;

	/*
	 * The descriptor that was passed is closed. A duplicate of it still receives the
	 * signal.
	 */
	ASSERT_EQ(0, dev_eventfd(self->b.fd, other));
	close(self->efd);
	self->efd = dup(other);
	close(other);
	EXPECT_EQ(0, send_to_idle(&self->a, &self->b));
	EXPECT_EQ(1, signals(self->efd));

	/* Neither a member that has left nor the next member of its slot signals the eventfd. */
	ASSERT_EQ(0, member_join_slot(&c, self->a.fd, 3));
	ASSERT_EQ(0, dev_eventfd(c.fd, self->efd));
	member_close(&c);
	ASSERT_EQ(0, member_join_slot(&c, self->a.fd, 3));
	EXPECT_EQ(0, send_to_idle(&self->a, &c));
	EXPECT_EQ(0, signals(self->efd));
	member_close(&c);
}

/* A doorbell that overflows the eventfd's counter is not lost and blocks no task. */
TEST_F(eventfd, full)
{
	__u64 most = UINT64_MAX - 1;

	ASSERT_EQ(0, dev_eventfd(self->b.fd, self->efd));
	ASSERT_EQ(sizeof(most), write(self->efd, &most, sizeof(most)));
	EXPECT_EQ(0, send_to_idle(&self->a, &self->b));
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
	EXPECT_LE(most, signals(self->efd));
}

TEST_F(eventfd, errors)
{
	struct snapshot before = member_snapshot(&self->a);
	struct ivring_eventfd e = { .fd = self->efd };
	int closed = dup(0), ends[2], null, bit, fd;

	ASSERT_EQ(0, dev_eventfd(self->b.fd, self->efd));
	for (bit = 0; bit < 32; bit++) {
		e.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, dev_ioctl(self->b.fd, IVRING_IOC_EVENTFD, &e));
		e.fd = -1;
		EXPECT_EQ(-EINVAL, dev_ioctl(self->b.fd, IVRING_IOC_EVENTFD, &e));
	}

	close(closed);
	EXPECT_EQ(-EBADF, dev_eventfd(self->b.fd, closed));
	EXPECT_EQ(-EBADF, dev_eventfd(self->b.fd, -2));
	EXPECT_EQ(-EBADF, dev_eventfd(self->b.fd, INT_MAX));
	EXPECT_EQ(-EBADF, dev_eventfd(self->b.fd, INT_MIN));

	ASSERT_EQ(0, pipe(ends));
	null = open("/dev/null", O_RDWR);
	EXPECT_EQ(-EINVAL, dev_eventfd(self->b.fd, ends[1]));
	EXPECT_EQ(-EINVAL, dev_eventfd(self->b.fd, null));
	EXPECT_EQ(-EINVAL, dev_eventfd(self->b.fd, self->b.fd));
	close(ends[0]);
	close(ends[1]);
	close(null);

	EXPECT_EQ(-EFAULT, dev_ioctl(self->b.fd, IVRING_IOC_EVENTFD, NULL));
	EXPECT_EQ(-EFAULT, dev_ioctl(self->b.fd, IVRING_IOC_EVENTFD, KERNEL_ADDRESS));
	EXPECT_EQ(-EFAULT, dev_ioctl(self->b.fd, IVRING_IOC_EVENTFD, unmapped_address()));
	EXPECT_UNCHANGED(before, &self->a);

	fd = dev_open();
	EXPECT_EQ(-ENOTCONN, dev_eventfd(fd, self->efd));
	EXPECT_EQ(-ENOTCONN, dev_eventfd(fd, -1));
	close(fd);

	/* The first eventfd is still in use. */
	EXPECT_EQ(0, send_to_idle(&self->a, &self->b));
	EXPECT_EQ(1, signals(self->efd));
}

TEST_HARNESS_MAIN
