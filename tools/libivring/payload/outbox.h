/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_OUTBOX_H
#define IVR_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "ivring.h"

enum ivr_block_state {
	IVR_BLOCK_HELD,		/* of the caller, not sent yet */
	IVR_BLOCK_SENT,		/* of the receivers, until all of them have released it */
	IVR_BLOCK_FREE,		/* free, but older blocks are still in use */
};

/**
 * struct ivr_delivery - one receiver of a block.
 * @to:		the receiver
 * @lane:	number of the lane that carried the block, or 0 for the inbox
 * @position:	index in that ring after the last item that carries the block
 */
struct ivr_delivery {
	struct ivr_peer to;
	uint32_t lane;
	uint32_t position;
};

/**
 * struct ivr_block - a block of the outbox that has been allocated.
 * @start:	free-running position. The offset of the block is @start modulo the outbox size
 * @length:	size in bytes, a multiple of IVR_BLOCK_ALIGN
 * @state:	who uses the block
 * @count:	number of deliveries, zero until the block has been sent
 * @capacity:	number of deliveries that the array has room for
 * @deliveries:	array of the deliveries
 */
struct ivr_block {
	uint64_t start;
	uint64_t length;
	enum ivr_block_state state;
	uint32_t count;
	uint32_t capacity;
	struct ivr_delivery *deliveries;
};

/**
 * struct ivr_outbox - a first-in first-out allocator.
 * @size:	size in bytes, a power of two and a multiple of IVR_BLOCK_ALIGN
 * @blocks:	circular array of blocks in order of allocation. Neither the oldest nor the newest
 *		block is free. No block crosses the end of the outbox. From the start of the oldest
 *		to the end of the newest block there are at most @size bytes
 * @capacity:	size of the array, zero or a power of two. Unused entries keep the memory of their
 *		deliveries
 * @first:	index of the oldest block
 * @count:	number of blocks in use
 *
 * The allocator handles offsets only. It accesses neither the memory nor the receivers.
 */
struct ivr_outbox {
	uint64_t size;
	struct ivr_block *blocks;
	uint32_t capacity;
	uint32_t first;
	uint32_t count;
};

/* The reason to give when ivr_outbox_find() does not find the payload. */
extern const char *const ivr_not_in_a_block;

/* Whether a receiver has released its delivery. */
typedef bool (*ivr_released_fn)(void *arg, const struct ivr_delivery *delivery);

/* Allocates a block. Returns 0, -EINVAL, -EMSGSIZE or -ENOMEM; -EAGAIN if there is no room. */
int ivr_outbox_alloc(struct ivr_outbox *outbox, uint64_t length, uint64_t *offset);

/* The block in use that contains these bytes, or NULL. Valid until the next call. */
struct ivr_block *ivr_outbox_find(struct ivr_outbox *outbox, uint64_t offset, uint64_t length);

/* Reserves room for one more delivery of the block. Returns 0 or -ENOMEM. */
int ivr_block_reserve(struct ivr_block *block);

/* Adds a delivery, for which room has been reserved. */
void ivr_block_sent(struct ivr_block *block, const struct ivr_delivery *delivery);

/* Frees a block. */
void ivr_outbox_free(struct ivr_outbox *outbox, struct ivr_block *block);

/*
 * Frees sent blocks that all their receivers have released, from the oldest up to the first that
 * cannot be freed. Returns the delivery that this block waits for; NULL if the block has not been
 * sent, or if there is no block.
 */
struct ivr_delivery *ivr_outbox_reclaim(struct ivr_outbox *outbox, ivr_released_fn released,
					void *arg);

/* Frees all memory of the allocator. */
void ivr_outbox_drop(struct ivr_outbox *outbox);

#endif /* IVR_OUTBOX_H */
