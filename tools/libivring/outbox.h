/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_OUTBOX_H
#define IVR_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "ivring.h"

enum ivr_block_state {
	IVR_BLOCK_HELD,		/* the caller's, to be sent or cancelled */
	IVR_BLOCK_SENT,		/* the receivers', until all of them have read it */
	IVR_BLOCK_FREE,		/* waits for those before it */
};

/**
 * struct ivr_delivery - one receiver of a block.
 * @to:		who
 * @lane:	number of the lane by which it got the block, or 0 for its inbox
 * @position:	index in that ring behind the last item that carries the block
 */
struct ivr_delivery {
	struct ivr_peer to;
	uint32_t lane;
	uint32_t position;
};

/**
 * struct ivr_block - a block of the outbox that is not free yet.
 * @start:	free-running; the block's offset is @start modulo the outbox
 * @length:	bytes, a multiple of IVR_BLOCK_ALIGN
 * @state:	whose it is
 * @deliveries:	@count of them once sent, and room for @capacity
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
 * @size:	bytes, a power of two and a multiple of IVR_BLOCK_ALIGN
 * @blocks:	ring of @capacity blocks in order of allocation, @count of them in
 *		use from @first on. Neither the oldest nor the newest is free. No
 *		block goes over the end of the outbox, and from the start of the
 *		oldest to the end of the newest there are at most @size bytes
 * @capacity:	zero or a power of two. Entries that are not in use keep the memory of their
 *		deliveries
 *
 * It knows offsets only, and neither memory nor receivers.
 */
struct ivr_outbox {
	uint64_t size;
	struct ivr_block *blocks;
	uint32_t capacity;
	uint32_t first;
	uint32_t count;
};

/* What is wrong with payload that ivr_outbox_find() does not find. */
extern const char *const ivr_not_in_a_block;

/* Whether a receiver is done with what it got. */
typedef bool (*ivr_settled_fn)(void *arg, const struct ivr_delivery *delivery);

/* -EINVAL, -EMSGSIZE, -ENOMEM; -EAGAIN if there is no room. */
int ivr_outbox_alloc(struct ivr_outbox *outbox, uint64_t length, uint64_t *offset);

/* The block in use that these bytes lie in, or NULL. Valid until the next call. */
struct ivr_block *ivr_outbox_find(struct ivr_outbox *outbox, uint64_t offset, uint64_t length);

/* Makes sure that the block can have one more receiver: 0 or -ENOMEM. */
int ivr_block_reserve(struct ivr_block *block);

/* Notes a receiver, for which there is room. */
void ivr_block_sent(struct ivr_block *block, const struct ivr_delivery *delivery);

void ivr_outbox_free(struct ivr_outbox *outbox, struct ivr_block *block);

/*
 * Frees blocks from the oldest on, as far as their receivers are done. What the oldest one
 * then waits for: NULL if that has not been sent, or there is none.
 */
struct ivr_delivery *ivr_outbox_reclaim(struct ivr_outbox *outbox, ivr_settled_fn settled,
					void *arg);

/* Gives up all memory. */
void ivr_outbox_drop(struct ivr_outbox *outbox);

#endif /* IVR_OUTBOX_H */
