// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>

#include "os/barrier.h"
#include "protocol/ring.h"

uint32_t ivr_ring_next_index(const struct ivring_ring_area *area, uint32_t entries)
{
	uint32_t index = ivr_load(&area->item[0].sequence);

	/*
	 * The first index is minus @entries, so slot 1 holds a sequence before slot 0 gets
	 * index 0.
	 */
	if (!index && !ivr_load(&area->item[1].sequence))
		return 0u - entries;
	do {
		index++;
	} while (ivr_load(&area->item[index & (entries - 1)].sequence) == index);
	return index;
}

int ivr_ring_pending(struct ivr_ring_reader *ring, uint32_t enough)
{
	const struct ivring_item *items = ring->area->item;
	uint32_t consumer = ring->consumer, found = ring->found, mask = ring->entries - 1;

	if (ring->broken)
		return -EPROTO;
	if (ring->left)
		return (int)(found - consumer);
	if (enough > ring->entries)
		enough = ring->entries;
	/* P: pairs with the writer's release, which makes the rest of the item readable. */
	while (found - consumer < enough &&
	       ivr_load_acquire(&items[found & mask].sequence) == found)
		found++;
	ring->found = found;
	return (int)(found - consumer);
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
	/* The copy compares equal to the item that was sent. */
	item->sequence = 0;
	if (ring->from.id == IVRING_ID_ANY)
		return 0;
	if (!is_good(ring, item)) {
		ring->broken = true;
		return -EPROTO;
	}
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
	if (ring->consumer == ring->found)
		ivr_full_barrier();
	/* The acquire orders the load of room_at after it. */
	return ivr_load_acquire(&ring->area->room_wanted) &&
	       ivr_is_read(ivr_load(&ring->area->room_at), ring->consumer, ring->entries);
}
