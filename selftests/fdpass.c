// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptors are passed between processes: with the descriptor of a region the receiving
 * process becomes a member, and with the descriptor of a member it continues as that
 * member.
 */
#include "ivring_test.h"
#include "fdpass.h"

FIXTURE(fdpass) {
	struct member member;
	int socket[2];
};

FIXTURE_SETUP(fdpass)
{
	ASSERT_EQ(0, member_create(&self->member, 4, 8, 4096));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, self->socket));
}

FIXTURE_TEARDOWN(fdpass)
{
	member_close(&self->member);
	close(self->socket[0]);
	close(self->socket[1]);
}

/* Start a process whose only ivring descriptor is the one that is passed to it. */
static pid_t stranger(const struct member *member, const int socket[2], int (*act)(int fd))
{
	pid_t pid = child_fork();

	if (pid)
		return pid;
	close(member->fd);
	close(socket[0]);
	_exit(act(accept_fd(socket[1])));
}

static int join_and_greet(int fd)
{
	struct ivring_info info;
	struct member member;

	if (dev_ioctl(fd, IVRING_IOC_INFO, &info) || member_join(&member, fd))
		return 1;
	close(fd);
	if (member_send(&member, info.id, info.generation, 17))
		return 2;
	/* The reply is the only item. */
	if (dev_wait(member.fd, 0, in_ms(10000), NULL) || member_pending(&member) != 1)
		return 3;
	return member.inbox->item[0].cookie;
}

TEST_F(fdpass, region)
{
	pid_t pid = stranger(&self->member, self->socket, join_and_greet);
	struct ivring_item item;

	ASSERT_EQ(0, pass_fd(self->socket[0], self->member.fd));
	ASSERT_EQ(0, dev_wait(self->member.fd, 0, in_ms(10000), NULL));
	ASSERT_TRUE(member_take(&self->member, &item));
	EXPECT_EQ(17, item.cookie);
	EXPECT_NE(self->member.id, item.from);
	EXPECT_EQ(0, member_send(&self->member, item.from, item.from_gen, 18));
	EXPECT_EQ(18, child_wait(pid));
	EXPECT_EQ(-EPIPE, member_send(&self->member, item.from, item.from_gen, 19));
}

static int join(int fd)
{
	struct member member;

	return -member_join(&member, fd);
}

/* A file that created the region and is not a member can be passed too. */
TEST_F(fdpass, creator)
{
	struct ivring_create c = create_args(1, 2, 4096);
	pid_t pid = stranger(&self->member, self->socket, join);
	int fd = dev_open();

	ASSERT_EQ(0, dev_ioctl(fd, IVRING_IOC_CREATE, &c));
	ASSERT_EQ(0, pass_fd(self->socket[0], fd));
	EXPECT_EQ(0, child_wait(pid));
	close(fd);

	pid = stranger(&self->member, self->socket, join);
	ASSERT_EQ(0, pass_fd(self->socket[0], 0));
	EXPECT_EQ(EINVAL, child_wait(pid));
}

/* Read the inbox from where the first process stopped, reply, and leave. */
static int go_on(int fd)
{
	struct ivring_item item;
	struct member member;

	if (member_map(&member, fd) || !member_take(&member, &item) || item.cookie != 2)
		return 1;
	if (member_take(&member, &item))
		return 2;
	return -member_send(&member, item.from, item.from_gen, 3);
}

TEST_F(fdpass, member)
{
	pid_t pid = stranger(&self->member, self->socket, go_on);
	struct ivring_item item;
	struct member member;

	ASSERT_EQ(0, member_join(&member, self->member.fd));
	ASSERT_EQ(0, member_send(&self->member, member.id, member.generation, 1));
	ASSERT_EQ(0, member_send(&self->member, member.id, member.generation, 2));
	ASSERT_TRUE(member_take(&member, &item));
	ASSERT_EQ(0, pass_fd(self->socket[0], member.fd));
	member_close(&member);
	/* It is the same member in another process. */
	EXPECT_EQ(0, child_wait(pid));
	ASSERT_TRUE(member_take(&self->member, &item));
	EXPECT_EQ(3, item.cookie);
	EXPECT_EQ(member.id, item.from);
	EXPECT_EQ(member.generation, item.from_gen);
	EXPECT_EQ(-EPIPE, member_send(&self->member, member.id, member.generation, 4));
}

/* A member exists while its only descriptor is in a message, until the message is dropped. */
TEST_F(fdpass, in_flight)
{
	struct member member;

	ASSERT_EQ(0, member_join(&member, self->member.fd));
	ASSERT_EQ(0, pass_fd(self->socket[0], member.fd));
	member_close(&member);
	EXPECT_EQ(0, member_send(&self->member, member.id, member.generation, 1));
	close(self->socket[0]);
	close(self->socket[1]);
	EXPECT_TRUE(SOON(member_send(&self->member, member.id, member.generation, 1) == -EPIPE));
	self->socket[0] = self->socket[1] = -1;
}

/* Opening the descriptor by /proc opens the device anew. */
TEST_F(fdpass, reopened)
{
	struct ivring_info info;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->member.fd);
	fd = open(path, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENXIO, dev_ioctl(fd, IVRING_IOC_INFO, &info));
	close(fd);
}

TEST_HARNESS_MAIN
