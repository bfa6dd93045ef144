/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The calls that fault.c makes fail. Each is one system call. For each there is a function
 * that undoes it, which restores the state from before the call.
 */
#ifndef FAULT_CALLS_H
#define FAULT_CALLS_H

#include <sys/epoll.h>

#include "ivring_test.h"
#include "lane.h"

#define NAME		"fault-test"
#define OUTBOX		65536

/* Files, members and memory that the calls use. */
struct setting {
	int opened;		/* opened by call_open() and similar calls */
	int file;		/* a file that holds no region */
	int debugfs;		/* DEBUGFS_MEMBERS */
	int epoll;
	int eventfd;
	int view;		/* of b */
	void *map;
	size_t map_size;
	struct member a, b;	/* the members of one region */
	struct lane_out lane;	/* from a to b, holds an item */
	struct member c;	/* has not sent many items yet; of call_first_many() */
};

static int open_file(const char *path, int flags, int *fd)
{
	*fd = open(path, flags | O_CLOEXEC);
	return *fd < 0 ? -errno : 0;
}

static int call_open(struct setting *s)
{
	return open_file(DEVICE, O_RDWR, &s->opened);
}

static void undo_open(struct setting *s)
{
	close(s->opened);
}

static int call_api(struct setting *s)
{
	static struct ivring_api api;

	return dev_ioctl(s->a.fd, IVRING_IOC_API, &api);
}

static int create(struct setting *s, __u32 flags, const char *name)
{
	struct ivring_create c = create_args(4, 8, OUTBOX);

	c.flags = flags;
	c.mode = *name ? 0600 : 0;
	strcpy((char *)c.name, name);
	return dev_ioctl(s->file, IVRING_IOC_CREATE, &c);
}

static int call_create(struct setting *s)
{
	return create(s, 0, "");
}

static int call_create_name(struct setting *s)
{
	return create(s, 0, NAME);
}

static int call_create_attach(struct setting *s)
{
	return create(s, IVRING_CREATE_ATTACH, NAME);
}

/* A file stays attached and keeps its region, so nothing can be undone. */
static void undo_file(struct setting *s)
{
	close(s->file);
	open_file(DEVICE, O_RDWR, &s->file);
}

static int call_attach(struct setting *s)
{
	struct ivring_attach a = attach_args(s->a.fd, 2);

	return dev_ioctl(s->file, IVRING_IOC_ATTACH, &a);
}

static int call_attach_name(struct setting *s)
{
	struct ivring_attach a = attach_args(-1, 2);

	strcpy((char *)a.name, NAME);
	return dev_ioctl(s->file, IVRING_IOC_ATTACH, &a);
}

static int call_info(struct setting *s)
{
	static struct ivring_info info;

	return dev_ioctl(s->a.fd, IVRING_IOC_INFO, &info);
}

static int call_member_info(struct setting *s)
{
	struct ivring_member_info info = { .id = s->b.id };

	return dev_ioctl(s->a.fd, IVRING_IOC_MEMBER_INFO, &info);
}

static int enqueue(struct setting *s, __u32 count)
{
	static struct ivring_item items[IVRING_MAX_BATCH];
	struct ivring_enqueue e = enqueue_args(s->b.id, s->b.generation, items, count);

	return dev_ioctl(s->a.fd, IVRING_IOC_ENQUEUE, &e);
}

static int call_enqueue(struct setting *s)
{
	return enqueue(s, 1);
}

/* The items are more than the kernel keeps on its stack. It keeps the memory for the next call. */
static int call_enqueue_many(struct setting *s)
{
	return enqueue(s, 12);
}

static void undo_enqueue(struct setting *s)
{
	struct ivring_item item;

	while (member_take(&s->b, &item))
		;
}

/* The same by a member that has no such memory yet. */
static int call_first_many(struct setting *s)
{
	static struct ivring_item items[12];
	struct ivring_enqueue e = enqueue_args(s->b.id, s->b.generation, items, 12);

	if (s->c.fd <= 0 && member_join(&s->c, s->a.fd))
		return -EIO;
	return dev_ioctl(s->c.fd, IVRING_IOC_ENQUEUE, &e);
}

static void undo_first_many(struct setting *s)
{
	undo_enqueue(s);
	member_close(&s->c);
	if (member_join(&s->c, s->a.fd))
		s->c.fd = -1;
}

/* The item is in the lane already. */
static int call_wait(struct setting *s)
{
	return dev_wait(s->b.fd, 0, 0, NULL);
}

static int call_eventfd(struct setting *s)
{
	return dev_eventfd(s->a.fd, s->eventfd);
}

static void undo_eventfd(struct setting *s)
{
	dev_eventfd(s->a.fd, -1);
}

static int call_room(struct setting *s)
{
	return dev_room(s->b.fd, IVRING_ID_ANY);
}

static int call_flush(struct setting *s)
{
	return dev_flush(s->a.fd, s->b.id, s->b.generation, s->b.area->inbox_consumer, 0);
}

static int call_flush_lane(struct setting *s)
{
	return lane_flush(&s->lane, -s->lane.entries, 0);
}

/* The item in the lane is not read, so the lane is watched. */
static int call_watch(struct setting *s)
{
	int ret = dev_flush_flags(s->a.fd, s->b.id, s->b.generation, 1 - s->lane.entries,
				  IVRING_FLUSH_LANE | IVRING_FLUSH_WATCH, 0);

	return ret == -EAGAIN ? 0 : ret;
}

/* The receiver seems to read the item, and the watch is taken. */
static void undo_watch(struct setting *s)
{
	struct ivring_next_watch next;
	__u32 *consumer = &s->b.area->lane[s->a.id].consumer;

	STORE(consumer, 1 - s->lane.entries);
	dev_room(s->b.fd, s->a.id);
	STORE(consumer, -s->lane.entries);
	dev_next_watch(s->a.fd, &next);
}

/* More items than fit. If there is no memory for the watch, the call reports what it has sent. */
static int call_enqueue_watch(struct setting *s)
{
	struct ivring_enqueue e;
	int ret = member_send_watch(&s->a, s->b.id, s->b.generation, s->b.entries + 1, &e);

	return !ret && e.done != s->b.entries ? -EIO : ret;
}

static void undo_enqueue_watch(struct setting *s)
{
	struct ivring_next_watch next;

	undo_enqueue(s);
	dev_room(s->b.fd, IVRING_ID_ANY);
	dev_next_watch(s->a.fd, &next);
}

/* No watch is over. */
static int call_next_watch(struct setting *s)
{
	struct ivring_next_watch next;
	int ret = dev_next_watch(s->a.fd, &next);

	return ret == -EAGAIN ? 0 : ret;
}

static int call_open_lane(struct setting *s)
{
	return dev_open_lane(s->b.fd, s->a.id, s->a.generation, 64);
}

static void undo_open_lane(struct setting *s)
{
	dev_close_lane(s->a.fd, s->b.id, s->b.generation);
}

static int call_close_lane(struct setting *s)
{
	return dev_close_lane(s->b.fd, s->a.id, s->a.generation);
}

static void undo_close_lane(struct setting *s)
{
	lane_unmap(&s->lane, &s->a);
	lane_open(&s->lane, &s->a, &s->b, 64);
	lane_send(&s->lane, 1);
}

static int call_doorbell(struct setting *s)
{
	return lane_doorbell(&s->lane);
}

/* The address is far from all other mappings, so that its page tables are new. */
#define LONELY		((void *)0x400000000000UL)

static int map(struct setting *s, int fd, size_t size, int prot, __u64 offset)
{
	s->map_size = size;
	s->map = mmap(LONELY, size, prot, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, offset);
	return s->map == MAP_FAILED ? -errno : 0;
}

static void undo_map(struct setting *s)
{
	munmap(s->map, s->map_size);
}

static int call_map_region(struct setting *s)
{
	return map(s, s->a.fd, s->a.region_size, PROT_READ, IVRING_MAP_REGION);
}

static int call_map_inbox(struct setting *s)
{
	return map(s, s->a.fd, s->a.inbox_size, PROT_READ, IVRING_MAP_INBOX);
}

static int call_map_member(struct setting *s)
{
	return map(s, s->a.fd, s->a.area_size, PROT_READ | PROT_WRITE, IVRING_MAP_MEMBER);
}

static int call_map_outbox(struct setting *s)
{
	return map(s, s->a.fd, s->a.outbox_size, PROT_READ | PROT_WRITE, IVRING_MAP_OUTBOX);
}

static int call_map_peer(struct setting *s)
{
	return map(s, s->view, s->a.area_size, PROT_READ, IVRING_MAP_MEMBER);
}

static int call_map_payload(struct setting *s)
{
	return map(s, s->view, s->a.outbox_size, PROT_READ, IVRING_MAP_OUTBOX);
}

static int call_open_member(struct setting *s)
{
	s->opened = member_view(&s->a, s->b.id, s->b.generation);
	return s->opened < 0 ? s->opened : 0;
}

static int call_map_lane_to(struct setting *s)
{
	return map(s, s->a.fd, lane_size(s->lane.entries), PROT_READ | PROT_WRITE,
		   IVRING_MAP_LANE_TO(s->b.id));
}

static int call_map_lane_from(struct setting *s)
{
	return map(s, s->b.fd, lane_size(s->lane.entries), PROT_READ,
		   IVRING_MAP_LANE_FROM(s->a.id));
}

static int call_poll(struct setting *s)
{
	int ret = dev_poll(s->a.fd, POLLIN);

	return ret < 0 ? ret : 0;
}

static int call_epoll(struct setting *s)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->a.fd, &event) ? -errno : 0;
}

static void undo_epoll(struct setting *s)
{
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->a.fd, NULL);
}

static int call_fence(struct setting *s)
{
	return dev_fence(s->a.fd);
}

static int call_debugfs(struct setting *s)
{
	return open_file(DEBUGFS_MEMBERS, O_RDONLY, &s->opened);
}

static int call_debugfs_read(struct setting *s)
{
	static char text[8192];

	return read(s->debugfs, text, sizeof(text)) < 0 ? -errno : 0;
}

static void undo_debugfs_read(struct setting *s)
{
	close(s->debugfs);
	open_file(DEBUGFS_MEMBERS, O_RDONLY, &s->debugfs);
}

static void undo_nothing(struct setting *s)
{
}

#endif /* FAULT_CALLS_H */
