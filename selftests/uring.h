/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The part of io_uring that is needed to poll one descriptor.
 */
#ifndef URING_H
#define URING_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/io_uring.h>
#include <linux/time_types.h>

struct uring {
	int fd;
	struct io_uring_params params;
	char *rings;		/* of both rings */
	struct io_uring_sqe *sqe;
	bool polls;		/* requests under way */
};

static inline __u32 *uring_word(struct uring *ring, __u32 offset)
{
	return (__u32 *)(ring->rings + offset);
}

static inline int uring_open(struct uring *ring)
{
	size_t size;

	*ring = (struct uring) { 0 };
	ring->fd = syscall(__NR_io_uring_setup, 8, &ring->params);
	if (ring->fd < 0)
		return -errno;
	/* With IORING_FEAT_SINGLE_MMAP the mapping has the larger of the two sizes. */
	size = ring->params.cq_off.cqes +
	       ring->params.cq_entries * sizeof(struct io_uring_cqe);
	if (size < ring->params.sq_off.array + ring->params.sq_entries * 4)
		size = ring->params.sq_off.array + ring->params.sq_entries * 4;
	ring->rings = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQ_RING);
	ring->sqe = mmap(NULL, ring->params.sq_entries * sizeof(*ring->sqe),
			 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			 ring->fd, IORING_OFF_SQES);
	if (ring->rings == MAP_FAILED || ring->sqe == MAP_FAILED)
		return -errno;
	return 0;
}

/* Poll @fd for @events, once or as a multishot request. */
static inline int uring_poll(struct uring *ring, int fd, __u32 events, bool multishot)
{
	__u32 *tail = uring_word(ring, ring->params.sq_off.tail);
	__u32 index = *tail & (ring->params.sq_entries - 1);

	ring->sqe[index] = (struct io_uring_sqe) {
		.opcode = IORING_OP_POLL_ADD,
		.fd = fd,
		.poll32_events = events,
		.len = multishot ? IORING_POLL_ADD_MULTI : 0,
	};
	uring_word(ring, ring->params.sq_off.array)[index] = index;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0) != 1)
		return -errno;
	ring->polls = true;
	return 0;
}

/* Sleep until there is a completion. Return its result, or -ETIME. */
static inline int uring_wait(struct uring *ring, int ms)
{
	struct __kernel_timespec time = {
		.tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000LL,
	};
	struct io_uring_getevents_arg arg = { .ts = (uintptr_t)&time };
	__u32 *head = uring_word(ring, ring->params.cq_off.head);
	__u32 *tail = uring_word(ring, ring->params.cq_off.tail);
	struct io_uring_cqe *cqe;
	int result;

	while (*head == __atomic_load_n(tail, __ATOMIC_ACQUIRE))
		if (syscall(__NR_io_uring_enter, ring->fd, 0, 1,
			    IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
			    &arg, sizeof(arg)) < 0 && errno != EINTR)
			return -errno;
	cqe = (struct io_uring_cqe *)(ring->rings + ring->params.cq_off.cqes) +
	      (*head & (ring->params.cq_entries - 1));
	result = cqe->res;
	ring->polls = cqe->flags & IORING_CQE_F_MORE;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

#endif /* URING_H */
