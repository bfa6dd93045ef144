/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls that hang because their user memory does not become available, and calls that
 * others make meanwhile.
 */
#ifndef SETUP_H
#define SETUP_H

#include <sys/uio.h>

#include "ivring_test.h"
#include "lane.h"

/* Return the result of the call in another process that has the descriptor. */
static inline int in_a_child(int fd, unsigned long command, const void *argument)
{
	pid_t pid = child_fork();

	if (!pid)
		_exit(-dev_ioctl(fd, command, argument));
	return -child_wait(pid);
}

/*
 * Make every call of a member in a child. The result of a call matters only where it must
 * succeed.
 */
static inline int call_all(const struct member *member, const struct member *to)
{
	struct ivring_member_info v = { .id = member->id };
	struct ivring_create c = create_args(2, 2, 4096);
	struct ivring_attach a = attach_args(-1, 0);
	struct ivring_info info;
	struct ivring_api api;
	char line[256];
	int fd, bad = 0;
	pid_t pid;

	pid = child_fork();
	if (pid)
		return child_wait(pid);
	bad |= dev_ioctl(member->fd, IVRING_IOC_API, &api);
	bad |= dev_ioctl(member->fd, IVRING_IOC_INFO, &info);
	bad |= dev_ioctl(member->fd, IVRING_IOC_MEMBER_INFO, &v);
	bad |= dev_ioctl(member->fd, IVRING_IOC_CREATE, &c) != -EBUSY;
	bad |= dev_ioctl(member->fd, IVRING_IOC_ATTACH, &a) != -EISCONN;
	bad |= member_send(member, to->id, to->generation, 1);
	bad |= member_send(member, member->id, member->generation, 1);
	bad |= dev_wait(member->fd, 0, 0, NULL);
	bad |= dev_eventfd(member->fd, -1);
	bad |= dev_room(member->fd, IVRING_ID_ANY);
	bad |= dev_flush(member->fd, to->id, to->generation, to->start, 0);
	bad |= dev_open_lane(member->fd, member->id, member->generation, 8);
	bad |= dev_close_lane(member->fd, member->id, member->generation);
	bad |= dev_doorbell(member->fd, to->id, to->generation) < 0;
	bad |= dev_ioctl(member->fd, IVRING_IOC_FENCE, NULL);
	bad |= dev_poll(member->fd, POLLIN) < 0;
	bad |= dev_map(member->fd, member->region_size, PROT_READ, IVRING_MAP_REGION) == MAP_FAILED;
	snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", member->fd);
	fd = open(line, O_RDONLY);
	bad |= read(fd, line, sizeof(line)) <= 0;
	_exit(!!bad);
}

/* A call of a member that hangs at a page. */
struct member_call {
	unsigned long command;
	struct iovec argument;	/* initial content of the page */
	enum {
		READS,		/* the call hangs when it reads the page, */
		WRITES,		/* or when it writes the page, which it does not read, */
		REWRITES,	/* or when it writes the page that it has read */
	} hangs;
	int result;		/* the expected result once the page is there */
	void *at;		/* the call's argument if that is not in the page */
};

#define MEMBER_CALLS	17

/*
 * List all such calls of @member, whose inbox holds an item and which has a lane of 8 items
 * to @other.
 */
static inline unsigned int member_calls(struct member_call calls[MEMBER_CALLS],
					const struct member *member, const struct member *other, void *page)
{
	static struct ivring_item item = { .cookie = 1 };
	static struct ivring_member_info v;
	static struct ivring_create c;
	static struct ivring_attach a;
	static struct ivring_enqueue e, far;
	static struct ivring_wait w;
	static struct ivring_eventfd efd = { .fd = -1 };
	static struct ivring_room r = { .from = IVRING_ID_ANY };
	static struct ivring_flush f;
	static struct ivring_open_lane o;
	static struct ivring_close_lane l;
	static struct ivring_doorbell d;
	static struct ivring_info info;
	static struct ivring_api api;
	const struct member_call all[] = {
		{ IVRING_IOC_API, { &api, sizeof(api) }, WRITES, 0 },
		{ IVRING_IOC_INFO, { &info, sizeof(info) }, WRITES, 0 },
		{ IVRING_IOC_MEMBER_INFO, { &v, sizeof(v) }, READS, 0 },
		{ IVRING_IOC_MEMBER_INFO, { &v, sizeof(v) }, REWRITES, 0 },
		{ IVRING_IOC_CREATE, { &c, sizeof(c) }, READS, -EBUSY },
		{ IVRING_IOC_ATTACH, { &a, sizeof(a) }, READS, -EISCONN },
		{ IVRING_IOC_ENQUEUE, { &e, sizeof(e) }, READS, 0 },
		{ IVRING_IOC_ENQUEUE, { &e, sizeof(e) }, REWRITES, 0 },
		{ IVRING_IOC_ENQUEUE, { &item, sizeof(item) }, READS, 0, &far },
		{ IVRING_IOC_WAIT, { &w, sizeof(w) }, READS, 0 },
		{ IVRING_IOC_WAIT, { &w, sizeof(w) }, REWRITES, 0 },
		{ IVRING_IOC_EVENTFD, { &efd, sizeof(efd) }, READS, 0 },
		{ IVRING_IOC_ROOM, { &r, sizeof(r) }, READS, 0 },
		{ IVRING_IOC_FLUSH, { &f, sizeof(f) }, READS, 0 },
		{ IVRING_IOC_OPEN_LANE, { &o, sizeof(o) }, READS, 0 },
		{ IVRING_IOC_CLOSE_LANE, { &l, sizeof(l) }, READS, -ENOENT },
		{ IVRING_IOC_DOORBELL, { &d, sizeof(d) }, READS, 0 },
	};

	v = (struct ivring_member_info) { .id = member->id };
	c = create_args(2, 2, 4096);
	a = attach_args(-1, 0);
	e = enqueue_args(other->id, other->generation, &item, 1);
	far = enqueue_args(other->id, other->generation, page, 1);
	w = (struct ivring_wait) { .flags = 0 };
	f = (struct ivring_flush) { .id = other->id, .generation = other->generation,
				    .position = other->start };
	o = (struct ivring_open_lane) { .id = other->id, .generation = other->generation,
					.entries = 8 };
	l = (struct ivring_close_lane) { .from = member->id, .generation = member->generation };
	d = (struct ivring_doorbell) { .id = other->id, .generation = other->generation };
	memcpy(calls, all, sizeof(all));
	return ARRAY_SIZE(all);
}

#endif /* SETUP_H */
