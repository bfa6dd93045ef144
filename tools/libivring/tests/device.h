/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A /dev/ivring of one region within the test's process, in the place of sys.c.
 * Nothing ever sleeps: where the kernel would, the world moves on by a call of
 * device.asleep, and the caller looks again; if that call did nothing that it
 * waits for, its time is up.
 */
#ifndef IVR_DEVICE_H
#define IVR_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/ivring.h>

typedef void hook(void);

struct device {
	/* Set by tests. Each call is made once, and then forgotten. */
	hook *asleep;			/* in place of a sleep */
	hook *before_wait;		/* on entry to IVRING_IOC_WAIT */
	hook *before_map;		/* on entry to mmap() */
	hook *in_fence;			/* after IVRING_IOC_FENCE has begun */
	hook *fence;			/* if set, does it really; each time */
	hook *alarm;			/* when the clock is looked at, at @alarm_at or later */
	uint64_t alarm_at;
	uint32_t first_index;		/* where the indices of new inboxes begin */
	uint32_t version;		/* of the region area */
	int flush_error;		/* what IVRING_IOC_FLUSH returns, if not 0 */
	bool flush_lies;		/* IVRING_IOC_FLUSH says that all of a lane was read */
	int lane_map_error;		/* what the next mmap() of a lane fails with */
	int fence_error;		/* what IVRING_IOC_FENCE fails with */
	int open_error;			/* what opening it fails with */
	int info_error;			/* what IVRING_IOC_INFO fails with */
	int poll_error;			/* what poll() fails with */
	bool in_child;			/* another process has the descriptors, too */
	unsigned long fail;		/* the next such ioctl fails with @fail_error */
	int fail_error;
	unsigned int cpus;
	uint64_t tick;			/* what the clock moves on by at each look */
	uint64_t nap;			/* and while a member sleeps */
	/* Read by tests. */
	uint64_t now;			/* nanoseconds; begins at 1 */
	unsigned int maps;		/* areas mapped now */
	unsigned int open_files;	/* descriptors open now */
	unsigned int calls;		/* ioctls */
	unsigned int enqueues;
	unsigned int doorbells;
	unsigned int rooms;
	unsigned int waits;		/* that were armed */
	unsigned int kicks;		/* calls of IVRING_IOC_WAIT that turned IDLE into BUSY */
	unsigned int signals;		/* of eventfds */
	unsigned int fences;
};

extern struct device device;

/* Forgets the region; all its members have been closed. */
void device_reset(void);

/* The memory of the member in a slot, writable; those of the last one that was there. */
struct ivring_member_area *device_area(uint32_t id);
struct ivring_ring_area *device_inbox(uint32_t id);

/* The memory of the last lane that was opened between two slots. */
struct ivring_ring_area *device_lane(uint32_t from, uint32_t to);

/* Whether the member that came last leaves with its process. */
bool device_ends_with_process(void);

/* The mode of the region that was made last. */
uint32_t device_mode(void);

/* Sets the index of the next item into that inbox, behind the sender's back. */
void device_set_producer(uint32_t id, uint32_t producer);

/* Wakes a member that is idle, or for @few items only after a while: whether this has woken it. */
bool device_ring(uint32_t id, bool few);

#endif /* IVR_DEVICE_H */
