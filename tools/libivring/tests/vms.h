/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A VM under test, and others that are moved by the test, on the device of device.c.
 */
#ifndef IVR_VMS_H
#define IVR_VMS_H

#include <string.h>

#include "barrier.h"
#include "device.h"
#include "tap.h"
#include "vm.h"

#define ENTRIES		8u
#define OUTBOX		4096u
#define SOON		2u	/* a deadline: there is one */

static struct ivring *vm, *other, *third;

static inline struct ivring *join(uint32_t id)
{
	struct ivring *joined = NULL;

	CHECK_EQ(ivring_join("test", id, 0, &joined), 0);
	return joined;
}

static inline void set_up_at(uint32_t first_index)
{
	struct ivring_options options = {
		.name = "test",
		.slots = 4,
		.inbox_entries = ENTRIES,
		.outbox_bytes = OUTBOX,
		.mode = 0600,
	};

	device_reset();
	device.first_index = first_index;
	CHECK_EQ(ivring_create(&options, &vm), 0);
	other = join(1);
	third = NULL;
}

static inline void set_up(void)
{
	set_up_at(0);
}

static inline void close_all(void)
{
	ivring_close(vm);
	ivring_close(other);
	ivring_close(third);
	vm = other = third = NULL;
	CHECK_EQ(device.maps, 0);
}

static inline void close_other(void)
{
	ivring_close(other);
	other = NULL;
}

static inline void replace_other(void)
{
	close_other();
	other = join(1);
}

static inline void read_all_of_other(void)
{
	CHECK_EQ(ivring_consume(other, (uint32_t)ivr_inbox_pending(&other->inbox)), 0);
}

/* Sends one item with a block of that many bytes; the block. */
static inline char *send_block(struct ivring *from, struct ivring_peer to, size_t length)
{
	struct ivring_item item = { .port = 1 };
	void *data = NULL;

	CHECK_EQ(ivring_alloc(from, length, 0, &data), 0);
	CHECK_EQ(ivring_set_payload(from, &item, data, length), 0);
	CHECK_EQ(ivring_send(from, to, &item, 1, 0), 1);
	return data;
}

static inline void join_third(void)
{
	third = join(2);
}

#endif /* IVR_VMS_H */
