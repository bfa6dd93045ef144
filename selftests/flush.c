// SPDX-License-Identifier: GPL-2.0
/*
 * IVRING_IOC_FLUSH returns when the items have been read, and not before.
 */
#include "ivring_test.h"

#define ENTRIES	64

FIXTURE(flush) {
	struct member a;	/* has sent three items to b */
	struct member b;
};

FIXTURE_SETUP(flush)
{
	int i;

	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, ENTRIES, 4096));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, i));
}

FIXTURE_TEARDOWN(flush)
{
	member_close_pair(&self->a, &self->b);
}

/* Wait until @count items have been read. */
static int flush(const struct member *from, const struct member *to, __u32 count,
		 __u64 deadline)
{
	return dev_flush(from->fd, to->id, to->generation, to->start + count,
			 deadline);
}

static pid_t flusher(const struct member *from, const struct member *to, __u32 count)
{
	pid_t pid = child_fork();

	if (!pid)
		_exit(-flush(from, to, count, IVRING_DEADLINE_NEVER));
	return pid;
}

TEST_F(flush, ask)
{
	struct ivring_item item;
	int read, count;

	for (read = 0; read <= 3; read++) {
		for (count = 0; count <= 3; count++)
			EXPECT_EQ(count <= read ? 0 : -ETIMEDOUT,
				  flush(&self->a, &self->b, count, 0));
		member_take(&self->b, &item);
	}
}

/* A position outside the next round of the ring has been read, however long ago. */
TEST_F(flush, ask_about_old_ones)
{
	static const __u32 age[] = {
		1, ENTRIES, 1000, 0x7fffffff, 0x80000000, 0x80000001,
		-(ENTRIES + 1),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(age); i++)
		EXPECT_EQ(0, flush(&self->a, &self->b, -age[i], 0));
	EXPECT_EQ(-EINVAL, flush(&self->a, &self->b, ENTRIES, 0));
}

TEST_F(flush, deadline)
{
	__u64 start = now();

	EXPECT_EQ(-ETIMEDOUT, flush(&self->a, &self->b, 1, 1));
	EXPECT_EQ(-ETIMEDOUT, flush(&self->a, &self->b, 1, start));
	EXPECT_GT(SEC, now() - start);
	start = now();
	EXPECT_EQ(-ETIMEDOUT, flush(&self->a, &self->b, 1, start + 50 * MSEC));
	EXPECT_LE(50 * MSEC, now() - start);
	EXPECT_GT(2 * SEC, now() - start);
}

/* The call sleeps until the reader calls ROOM, and asks the reader for that. */
TEST_F(flush, sleeps)
{
	struct ivring_item item;
	pid_t pid = flusher(&self->a, &self->b, 2);

	ASSERT_TRUE(SOON(LOAD(&self->b.inbox->room_wanted)));
	ASSERT_TRUE(member_take(&self->b, &item));
	EXPECT_EQ(0, member_ring_back(&self->b));
	/* The reader reads one of two items, so the call asks again. */
	ASSERT_TRUE(SOON(LOAD(&self->b.inbox->room_wanted)));
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	ASSERT_TRUE(member_take(&self->b, &item));
	EXPECT_EQ(0, member_ring_back(&self->b));
	EXPECT_EQ(0, child_wait(pid));
}

/* The reader does not call ROOM but goes to sleep. */
TEST_F(flush, forgetful_reader)
{
	struct ivring_item item;
	pid_t pid = flusher(&self->a, &self->b, 3);

	ASSERT_TRUE(SOON(LOAD(&self->b.inbox->room_wanted)));
	while (member_take(&self->b, &item))
		;
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, 0, in_ms(50), NULL));
	EXPECT_EQ(0, child_wait(pid));

	ASSERT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, 3));
	pid = flusher(&self->a, &self->b, 4);
	ASSERT_TRUE(SOON(LOAD(&self->b.inbox->room_wanted)));
	ASSERT_TRUE(member_take(&self->b, &item));
	EXPECT_EQ(0, dev_poll(self->b.fd, POLLIN));
	EXPECT_EQ(0, child_wait(pid));
}

/* Meanwhile others have filled the inbox again. */
TEST_F(flush, forgetful_reader_of_a_full_inbox)
{
	struct ivring_item item;
	pid_t pid;

	while (!member_send(&self->a, self->b.id, self->b.generation, 9))
		;
	pid = flusher(&self->a, &self->b, 1);
	ASSERT_TRUE(SOON(LOAD(&self->b.inbox->room_wanted)));
	ASSERT_TRUE(member_take(&self->b, &item));
	ASSERT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, 9));
	ASSERT_EQ(ENTRIES, member_pending(&self->b));
	EXPECT_EQ(0, dev_wait(self->b.fd, 0, 0, NULL));
	EXPECT_EQ(0, child_wait(pid));
}

static void nothing(int signal)
{
}

TEST_F(flush, signal)
{
	struct sigaction action = { .sa_handler = nothing };
	struct ivring_item item;
	pid_t pid;

	sigaction(SIGUSR1, &action, NULL);
	pid = flusher(&self->a, &self->b, 1);
	ASSERT_TRUE(SOON(LOAD(&self->b.inbox->room_wanted)));
	kill(pid, SIGUSR1);
	EXPECT_EQ(EINTR, child_wait(pid));
	EXPECT_EQ(0, dev_room(self->b.fd, IVRING_ID_ANY));

	action.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &action, NULL);
	pid = flusher(&self->a, &self->b, 1);
	ASSERT_TRUE(SOON(LOAD(&self->b.inbox->room_wanted)));
	kill(pid, SIGUSR1);
	usleep(50000);
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	ASSERT_TRUE(member_take(&self->b, &item));
	EXPECT_EQ(0, member_ring_back(&self->b));
	EXPECT_EQ(0, child_wait(pid));
}

TEST_F(flush, errors)
{
	static const __u32 bad[] = { 4, 5, 65536, 0x80000000, IVRING_ID_ANY };
	struct snapshot before = member_snapshot(&self->a);
	struct ivring_flush good = {
		.id = self->b.id,
		.generation = self->b.generation,
		.position = self->b.start,
	}, f = good;
	unsigned int i;
	int fd;

	EXPECT_EQ(0, dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, &f));
	for (i = 2; i < 32; i++) {
		f.flags = 1U << i;
		EXPECT_EQ(-EINVAL, dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, &f));
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		f = good;
		f.id = bad[i];
		EXPECT_EQ(-EINVAL, dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, &f));
	}
	for (i = 0; i < 4; i++) {
		f = good;
		f.generation = 2 * i;
		EXPECT_EQ(-EINVAL, dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, &f));
		f.generation = good.generation + 2 + i;
		EXPECT_EQ(-EINVAL, dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, &f));
	}
	/* No item has reached this position. */
	EXPECT_EQ(-EINVAL, flush(&self->a, &self->b, 4, IVRING_DEADLINE_NEVER));
	EXPECT_EQ(-EINVAL, flush(&self->a, &self->b, ENTRIES, IVRING_DEADLINE_NEVER));

	EXPECT_EQ(-EFAULT, dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, NULL));
	EXPECT_EQ(-EFAULT, dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, KERNEL_ADDRESS));
	EXPECT_EQ(-EFAULT, dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, unmapped_address()));
	EXPECT_UNCHANGED(before, &self->a);
	EXPECT_EQ(0, LOAD(&self->b.inbox->room_wanted));

	fd = dev_open();
	EXPECT_EQ(-ENOTCONN, dev_ioctl(fd, IVRING_IOC_FLUSH, &good));
	close(fd);
}

TEST_F(flush, dead_receiver)
{
	struct member b = self->b;

	member_close(&self->b);
	EXPECT_EQ(-EPIPE, flush(&self->a, &b, 3, IVRING_DEADLINE_NEVER));
	ASSERT_EQ(0, member_join_slot(&self->b, self->a.fd, b.id));
	EXPECT_EQ(-ESTALE, flush(&self->a, &b, 3, IVRING_DEADLINE_NEVER));
}

TEST_HARNESS_MAIN
