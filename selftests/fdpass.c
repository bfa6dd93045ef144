// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptors that travel from process to process: the region's, for the other
 * to become a VM of it, and a VM's own, for the other to go on as that VM.
 */
#include <sys/socket.h>

#include "ivring_test.h"

FIXTURE(fdpass) {
	struct vm vm;
	int socket[2];
};

FIXTURE_SETUP(fdpass)
{
	ASSERT_EQ(0, vm_create(&self->vm, 4, 8, 4096));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, self->socket));
}

FIXTURE_TEARDOWN(fdpass)
{
	vm_close(&self->vm);
	close(self->socket[0]);
	close(self->socket[1]);
}

static int pass(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec data = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	return sendmsg(socket, &message, 0) == 1 ? 0 : -errno;
}

static int accept_fd(int socket)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec data = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(socket, &message, 0) != 1 || !CMSG_FIRSTHDR(&message))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	return fd;
}

/* A process that has no ivring descriptor but what it is passed. */
static pid_t stranger(const struct vm *vm, const int socket[2], int (*act)(int fd))
{
	pid_t pid = child_fork();

	if (pid)
		return pid;
	close(vm->fd);
	close(socket[0]);
	_exit(act(accept_fd(socket[1])));
}

static int join_and_greet(int fd)
{
	struct ivring_info info;
	struct vm vm;

	if (dev_ioctl(fd, IVRING_INFO, &info) || vm_join(&vm, fd))
		return 1;
	close(fd);
	if (vm_send(&vm, info.id, info.generation, 17))
		return 2;
	/* Its answer, and that is all. */
	if (dev_wait(vm.fd, 0, in_ms(10000), NULL) || vm_pending(&vm) != 1)
		return 3;
	return vm.inbox->item[0].cookie;
}

TEST_F(fdpass, region)
{
	pid_t pid = stranger(&self->vm, self->socket, join_and_greet);
	struct ivring_item item;

	ASSERT_EQ(0, pass(self->socket[0], self->vm.fd));
	ASSERT_EQ(0, dev_wait(self->vm.fd, 0, in_ms(10000), NULL));
	ASSERT_TRUE(vm_take(&self->vm, &item));
	EXPECT_EQ(17, item.cookie);
	EXPECT_NE(self->vm.id, item.from);
	EXPECT_EQ(0, vm_send(&self->vm, item.from, item.from_gen, 18));
	EXPECT_EQ(18, child_wait(pid));
	EXPECT_EQ(-EPIPE, vm_send(&self->vm, item.from, item.from_gen, 19));
}

static int join(int fd)
{
	struct vm vm;

	return -vm_join(&vm, fd);
}

/* The descriptor of one that created the region and is no VM does as well. */
TEST_F(fdpass, creator)
{
	struct ivring_create c = create_args(1, 2, 4096);
	pid_t pid = stranger(&self->vm, self->socket, join);
	int fd = dev_open();

	ASSERT_EQ(0, dev_ioctl(fd, IVRING_CREATE, &c));
	ASSERT_EQ(0, pass(self->socket[0], fd));
	EXPECT_EQ(0, child_wait(pid));
	close(fd);

	pid = stranger(&self->vm, self->socket, join);
	ASSERT_EQ(0, pass(self->socket[0], 0));
	EXPECT_EQ(EINVAL, child_wait(pid));
}

/* Read what is in the inbox, from where the reader was; answer; leave. */
static int go_on(int fd)
{
	struct ivring_item item;
	struct vm vm;

	if (vm_map(&vm, fd) || !vm_take(&vm, &item) || item.cookie != 2)
		return 1;
	if (vm_take(&vm, &item))
		return 2;
	return -vm_send(&vm, item.from, item.from_gen, 3);
}

TEST_F(fdpass, vm)
{
	pid_t pid = stranger(&self->vm, self->socket, go_on);
	struct ivring_item item;
	struct vm vm;

	ASSERT_EQ(0, vm_join(&vm, self->vm.fd));
	ASSERT_EQ(0, vm_send(&self->vm, vm.id, vm.generation, 1));
	ASSERT_EQ(0, vm_send(&self->vm, vm.id, vm.generation, 2));
	ASSERT_TRUE(vm_take(&vm, &item));
	ASSERT_EQ(0, pass(self->socket[0], vm.fd));
	vm_close(&vm);
	/* Same VM, another process. */
	EXPECT_EQ(0, child_wait(pid));
	ASSERT_TRUE(vm_take(&self->vm, &item));
	EXPECT_EQ(3, item.cookie);
	EXPECT_EQ(vm.id, item.from);
	EXPECT_EQ(vm.generation, item.from_gen);
	EXPECT_EQ(-EPIPE, vm_send(&self->vm, vm.id, vm.generation, 4));
}

/* On its way, in nobody's hands, it is still a VM; until it is dropped. */
TEST_F(fdpass, in_flight)
{
	struct vm vm;

	ASSERT_EQ(0, vm_join(&vm, self->vm.fd));
	ASSERT_EQ(0, pass(self->socket[0], vm.fd));
	vm_close(&vm);
	EXPECT_EQ(0, vm_send(&self->vm, vm.id, vm.generation, 1));
	close(self->socket[0]);
	close(self->socket[1]);
	EXPECT_TRUE(SOON(vm_send(&self->vm, vm.id, vm.generation, 1) == -EPIPE));
	self->socket[0] = self->socket[1] = -1;
}

/* To open it by way of /proc is to open the device anew. */
TEST_F(fdpass, reopened)
{
	struct ivring_info info;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->vm.fd);
	fd = open(path, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENXIO, dev_ioctl(fd, IVRING_INFO, &info));
	close(fd);
}

TEST_HARNESS_MAIN
