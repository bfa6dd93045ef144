/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Shared by the parts of the simulated device.
 */
#ifndef IVR_KERNEL_H
#define IVR_KERNEL_H

#include <stddef.h>

#include "device.h"

#define SLOTS	4u

/* Memory with one writable mapping here, and with the mappings that members make. */
struct memory {
	int fd;
	void *at;
	size_t bytes;
};

struct member {
	struct memory area;
	struct memory outbox;
	struct memory inbox;
	uint32_t producer;
	uint32_t consumer;	/* last valid consumer index */
	bool has_eventfd;
	struct ivring_stats stats;
};

extern struct ivring_create geometry;
extern struct member members[SLOTS];

struct memory new_memory(size_t bytes);
void drop_memory(struct memory *memory);

struct ivring_region_area *region_table(void);
struct ivring_lanes *lanes_of(uint32_t id);
void call_once(hook **call);

/* Whether the member is attached. Returns 0, -EPIPE, -ESTALE or -EINVAL. */
int check_peer(uint32_t id, uint32_t generation);

/*
 * Turns IDLE or DELAYED into BUSY, and signals the eventfd. Returns whether the state has changed.
 */
bool turn_busy(uint32_t id);

/* Makes a ring that looks as if all items before the next one, @index, had been written and read. */
void start_ring(struct ivring_ring_area *ring, uint32_t entries, uint32_t index);

/* Whether the member waits for more items than @items. */
bool are_few(uint32_t id, uint32_t items, uint32_t entries);

/* Inboxes, and sleeping: device-inbox.c. */
int enqueue_items(uint32_t from, struct ivring_enqueue *call);
int flush_items(const struct ivring_flush *call);
int wait_for_events(uint32_t id, struct ivring_wait *call);
int ring_back(uint32_t id, const struct ivring_room *call);

/* Lanes: device-lanes.c. */
void drop_lanes(void);
const struct memory *lane_memory(uint32_t from, uint32_t to);
int open_lane(uint32_t from, const struct ivring_open_lane *call);
int close_lane(uint32_t to, const struct ivring_close_lane *call);
int ring_lane(uint32_t from, const struct ivring_doorbell *call);
int flush_lane(uint32_t from, const struct ivring_flush *call);

/* Rings for the items that a member has written to lanes, before it leaves. */
void leave_lanes(uint32_t from);

/* Whether any lane to the member that is not quiet holds items. */
bool lanes_hold_items(uint32_t to);

#endif /* IVR_KERNEL_H */
