/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_OUTBOX_H
#define IVR_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "ivring.h"

enum ivr_block_state {
	IVR_BLOCK_HELD,		/* the caller's, to be sent or cancelled */
	IVR_BLOCK_SENT,		/* the receiver's, until it has read past @position */
	IVR_BLOCK_FREE,		/* waits for those before it */
};

/**
 * struct ivr_block - a block of the outbox that is not free yet.
 * @start:	free-running; the block's offset is @start modulo the outbox
 * @length:	bytes, a multiple of IVRING_BLOCK_ALIGN
 * @state:	whose it is
 * @to:		the receiver, once sent
 * @position:	receiver's index behind the last item that carries the block
 */
struct ivr_block {
	uint64_t start;
	uint64_t length;
	enum ivr_block_state state;
	struct ivring_peer to;
	uint32_t position;
};

/**
 * struct ivr_outbox - a first-in first-out allocator.
 * @size:	bytes, a power of two and a multiple of IVRING_BLOCK_ALIGN
 * @blocks:	ring of @capacity blocks in order of allocation, @count of them in
 *		use from @first on. Neither the oldest nor the newest is free. No
 *		block goes over the end of the outbox, and from the start of the
 *		oldest to the end of the newest there are at most @size bytes
 * @capacity:	zero or a power of two
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

/* Whether the receiver is done with what it got up to @position. */
typedef bool (*ivr_settled_fn)(void *arg, struct ivring_peer to, uint32_t position);

/* -EINVAL, -EMSGSIZE, -ENOMEM; -EAGAIN if there is no room. */
int ivr_outbox_alloc(struct ivr_outbox *outbox, uint64_t length, uint64_t *offset);

/* The oldest block, or NULL. Valid until the next call. */
struct ivr_block *ivr_outbox_oldest(struct ivr_outbox *outbox);

/* The block in use that these bytes lie in, or NULL. Valid until the next call. */
struct ivr_block *ivr_outbox_find(struct ivr_outbox *outbox, uint64_t offset, uint64_t length);

void ivr_outbox_free(struct ivr_outbox *outbox, struct ivr_block *block);

/* Frees blocks from the oldest on, as far as their receivers are done. */
void ivr_outbox_reclaim(struct ivr_outbox *outbox, ivr_settled_fn settled, void *arg);

#endif /* IVR_OUTBOX_H */
