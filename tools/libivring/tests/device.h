/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A simulated /dev/ivring with one region in the process of the test, which replaces os/sys.c. No
 * call sleeps. Where the kernel would sleep, the device calls device.asleep and looks again. If the
 * call still has to wait then, it fails with -ETIMEDOUT. When IVRING_IOC_WAIT does so, the clock has
 * advanced to its deadline.
 */
#ifndef IVR_DEVICE_H
#define IVR_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/ivring.h>

typedef void hook(void);

struct device {
	/* Set by tests. Each hook except @fence is called once. */
	hook *asleep;			/* called instead of sleeping */
	hook *before_wait;		/* on entry to IVRING_IOC_WAIT */
	hook *before_map;		/* on entry to mmap() */
	hook *in_fence;			/* called in IVRING_IOC_FENCE */
	hook *fence;			/* called in each IVRING_IOC_FENCE: a real barrier */
	hook *alarm;			/* called when the clock is read at @alarm_at or later */
	uint64_t alarm_at;
	uint32_t first_index;		/* initial index of new inboxes */
	uint32_t version;		/* of the region area */
	int flush_error;		/* result of IVRING_IOC_FLUSH, if not 0 */
	bool flush_lies;		/* IVRING_IOC_FLUSH returns 0 for all lanes */
	int lane_map_error;		/* error of the next mmap() of a lane */
	int fence_error;		/* error of IVRING_IOC_FENCE */
	int open_error;			/* error of opening the device */
	int info_error;			/* error of IVRING_IOC_INFO */
	int poll_error;			/* error of poll() */
	bool in_child;			/* closing a descriptor detaches no member */
	unsigned long fail;		/* ioctl whose next call fails with @fail_error */
	int fail_error;
	unsigned int cpus;
	uint64_t tick;			/* how far the clock advances each time it is read */
	uint64_t nap;			/* how far the clock advances while a member sleeps */
	/* Read by tests. */
	uint64_t now;			/* nanoseconds; begins at 1 */
	unsigned int maps;		/* areas mapped now */
	unsigned int open_files;	/* descriptors open now */
	unsigned int calls;		/* ioctls */
	unsigned int enqueues;
	unsigned int doorbells;
	unsigned int rooms;
	unsigned int waits;		/* calls of IVRING_IOC_WAIT with IVRING_WAIT_ARMED */
	unsigned int kicks;		/* calls of IVRING_IOC_WAIT that turned IDLE into BUSY */
	unsigned int signals;		/* signals of eventfds */
	unsigned int fences;
	struct ivring_next_watch watch;	/* declared last, and at once over; generation 0 if taken */
};

extern struct device device;

/* Removes the region, whose members have all been closed. */
void device_reset(void);

/* The areas of the member in a slot, writable. If the slot is free, those of its last member. */
struct ivring_member_area *device_area(uint32_t id);
struct ivring_ring_area *device_inbox(uint32_t id);

/* The area of the last lane that was opened between two slots, writable. */
struct ivring_ring_area *device_lane(uint32_t from, uint32_t to);

/* Whether the member that has attached last leaves with its process. */
bool device_ends_with_process(void);

/* The mode of the latest region. */
uint32_t device_mode(void);

/* The index of the next item that the kernel writes to an inbox. */
uint32_t device_producer(uint32_t id);

/* Has the kernel go on with another index, as if it had written items in between. */
void device_set_producer(uint32_t id, uint32_t producer);

/*
 * Wakes an idle member. If @few is set, only delays the wakeup. Returns whether the member was
 * woken.
 */
bool device_ring(uint32_t id, bool few);

#endif /* IVR_DEVICE_H */
