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

struct device {
	/* Set by tests. Each call is made once, and then forgotten. */
	void (*asleep)(void);		/* in place of a sleep */
	void (*before_wait)(void);	/* on entry to IVRING_WAIT */
	void (*before_map)(void);	/* on entry to mmap() */
	uint32_t first_index;		/* where the indices of new inboxes begin */
	uint32_t version;		/* of the region area */
	int flush_error;		/* what IVRING_FLUSH returns, if not 0 */
	/* Read by tests. */
	unsigned int maps;		/* areas mapped now */
	unsigned int calls;		/* ioctls */
	unsigned int enqueues;
	unsigned int rooms;
};

extern struct device device;

/* Forgets the region; all its VMs have been closed. */
void device_reset(void);

/* The memory of the VM in a slot, writable; those of the last one that was there. */
struct ivring_vm_area *device_area(uint32_t id);
struct ivring_inbox_area *device_inbox(uint32_t id);

/* Sets the index of the next item into that inbox, behind the sender's back. */
void device_set_producer(uint32_t id, uint32_t producer);

#endif /* IVR_DEVICE_H */
