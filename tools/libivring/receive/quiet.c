// SPDX-License-Identifier: MIT OR Apache-2.0

#include "member.h"
#include "os/barrier.h"
#include "receive/quiet.h"

static uint32_t bit_of(const struct ivr_ring_reader *ring)
{
	return 1u << ring->from.id % 32;
}

bool ivr_quiet_changed(const struct ivr_quiet *quiet)
{
	return ivr_load(&quiet->table->woken) != quiet->woken;
}

static void mark(struct ivr_quiet *quiet, struct ivr_ring_reader *ring)
{
	uint32_t word = ring->from.id / 32;

	ring->quiet = true;
	quiet->marked[word] |= bit_of(ring);
	ivr_set_bits(&quiet->marks[word], bit_of(ring));
}

static void unmark(struct ivr_quiet *quiet, struct ivr_ring_reader *ring)
{
	uint32_t word = ring->from.id / 32;

	ring->quiet = false;
	/* The next sweep does not mark the lane, because it finds another index in @swept. */
	ring->swept = ring->consumer - 1;
	quiet->marked[word] &= ~bit_of(ring);
	ivr_clear_bits(&quiet->marks[word], bit_of(ring));
}

void ivr_quiet_wake(struct ivr_member *member, struct ivr_ring_reader *ring)
{
	unmark(&member->receiver.quiet, ring);
	ivr_rotation_add(&member->receiver.rotation, ring);
}

void ivr_quiet_forget(struct ivr_quiet *quiet, struct ivr_ring_reader *ring)
{
	unmark(quiet, ring);
}

void ivr_quiet_update(struct ivr_member *member)
{
	struct ivr_quiet *quiet = &member->receiver.quiet;
	uint32_t word, woken, bits;

	/*
	 * The acquire orders the loads of the bits after it: a later clear changes the word again.
	 */
	woken = ivr_load_acquire(&quiet->table->woken);
	if (woken == quiet->woken)
		return;
	quiet->woken = woken;
	for (word = 0; word < IVRING_MAX_SLOTS / 32; word++) {
		if (!quiet->marked[word])
			continue;
		bits = quiet->marked[word] & ~ivr_load(&quiet->marks[word]);
		for (; bits; bits &= bits - 1) {
			uint32_t id = word * 32 + (uint32_t)__builtin_ctz(bits);

			ivr_quiet_wake(member, member->receiver.incoming.from[id]);
		}
	}
}

/* Whether nothing has been read from the lane since the last sweep, and no item is known. */
static bool stands_still(struct ivr_ring_reader *ring)
{
	uint32_t before = ring->swept;

	ring->swept = ring->consumer;
	return before == ring->consumer && ring->found == ring->consumer && !ring->broken &&
	       !ring->left;
}

bool ivr_quiet_sweep(struct ivr_member *member)
{
	struct ivr_rotation *rotation = &member->receiver.rotation;
	struct ivr_quiet *quiet = &member->receiver.quiet;
	bool any = false, found = false;
	uint32_t i;

	if (!ivr_quiet_is_due(quiet))
		return false;
	quiet->turns = 0;
	/* The first ring is the inbox, which is no lane. */
	if (rotation->count - 1 <= quiet->few)
		return false;
	for (i = 1; i < rotation->count; i++)
		if (stands_still(rotation->rings[i])) {
			mark(quiet, rotation->rings[i]);
			any = true;
		}
	if (!any)
		return false;
	/*
	 * Q: pairs with the barrier between the sender's store of a sequence and its load of the
	 * quiet bit.
	 */
	ivr_full_barrier();
	for (i = rotation->count - 1; i; i--) {
		struct ivr_ring_reader *ring = rotation->rings[i];

		if (!ring->quiet)
			continue;
		if (ivr_ring_pending(ring, 1)) {
			unmark(quiet, ring);
			found = true;
		} else {
			ivr_rotation_remove(rotation, ring);
		}
	}
	return found;
}
