// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>

#include "os/barrier.h"
#include "protocol/ring.h"

static int broken(struct ivr_ring_reader *ring, enum ivr_lane_event fault)
{
	ring->fault = fault;
	return -EPROTO;
}

int ivr_ring_pending(struct ivr_ring_reader *ring, uint32_t enough)
{
	uint32_t known = ring->producer - ring->consumer;
	uint32_t producer, pending;

	if (ring->fault)
		return -EPROTO;
	if (known >= enough || ring->left)
		return (int)known;
	/* P: pairs with the sender's release, which makes the items before it readable. */
	producer = ivr_load_acquire(&ring->area->producer);
	pending = producer - ring->consumer;
	if ((int32_t)(pending - known) < 0)
		return broken(ring, IVR_LANE_BACK);
	if (pending > ring->entries)
		return broken(ring, IVR_LANE_AHEAD);
	ring->producer = producer;
	return (int)pending;
}

/* Items in a lane are untrusted. */
static bool is_good(const struct ivr_ring_reader *ring, const struct ivring_item *item)
{
	return item->inline_len <= IVRING_INLINE_BYTES && !(item->flags & ~IVRING_ITEM_FLAGS) &&
	       (item->length || !item->offset) && item->offset <= ring->outbox_bytes &&
	       item->length <= ring->outbox_bytes - item->offset;
}

int ivr_ring_copy(struct ivr_ring_reader *ring, uint32_t ahead, struct ivring_item *item)
{
	uint32_t slot = (ring->consumer + ahead) & (ring->entries - 1);

	ivr_copy(item, &ring->area->item[slot], sizeof(*item));
	if (ring->from.id == IVRING_ID_ANY)
		return 0;
	if (!is_good(ring, item))
		return broken(ring, IVR_LANE_BAD_ITEM);
	item->from = (uint16_t)ring->from.id;
	item->from_gen = ring->from.generation;
	return 0;
}

bool ivr_ring_consume(struct ivr_ring_reader *ring, uint32_t count)
{
	ring->consumer += count;
	/* C: pairs with the sender's acquire. Items and payload have been read before this. */
	ivr_store_release(ring->published, ring->consumer);
	/*
	 * R: pairs with the barrier between the sender's room_wanted and its load of the index. It
	 * can wait while more items are known, because the reader consumes them before it sleeps.
	 */
	if (ring->consumer == ring->producer)
		ivr_full_barrier();
	/* The acquire orders the load of room_at after it. */
	return ivr_load_acquire(&ring->area->room_wanted) &&
	       ivr_is_read(ivr_load(&ring->area->room_at), ring->consumer, ring->entries);
}
