/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Descriptors in messages through Unix sockets.
 */
#ifndef FDPASS_H
#define FDPASS_H

#include <sys/socket.h>

#include "ivring_test.h"

#define MAX_PASSED	2

/* A message of one byte with room for descriptors. */
struct fd_message {
	char byte;
	union {
		struct cmsghdr align;
		char control[CMSG_SPACE(MAX_PASSED * sizeof(int))];
	};
	struct iovec data;
	struct msghdr header;
};

static inline void fd_message_init(struct fd_message *m, unsigned int fds)
{
	memset(m, 0, sizeof(*m));
	m->data = (struct iovec) { &m->byte, 1 };
	m->header = (struct msghdr) {
		.msg_iov = &m->data,
		.msg_iovlen = 1,
		.msg_control = m->control,
		.msg_controllen = CMSG_SPACE(fds * sizeof(int)),
	};
}

/* Send @count descriptors: 0 or -errno. */
static inline int pass_fds(int socket, const int *fd, unsigned int count)
{
	struct cmsghdr *header;
	struct fd_message m;

	fd_message_init(&m, count);
	header = CMSG_FIRSTHDR(&m.header);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), fd, count * sizeof(int));
	return sendmsg(socket, &m.header, 0) == 1 ? 0 : -errno;
}

static inline int pass_fd(int socket, int fd)
{
	return pass_fds(socket, &fd, 1);
}

/* Receive one descriptor, or -1. */
static inline int accept_fd(int socket)
{
	struct fd_message m;
	int fd;

	fd_message_init(&m, 1);
	if (recvmsg(socket, &m.header, 0) != 1 || !CMSG_FIRSTHDR(&m.header))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m.header)), sizeof(int));
	return fd;
}

#endif /* FDPASS_H */
