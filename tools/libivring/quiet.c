// SPDX-License-Identifier: MIT OR Apache-2.0

#include "barrier.h"
#include "quiet.h"
#include "member.h"

static uint32_t bit_of(const struct ivr_ring *ring)
{
	return 1u << ring->from.id % 32;
}

bool ivr_quiet_changed(const struct ivr_quiet *quiet)
{
	return ivr_load(&quiet->table->woken) != quiet->woken;
}

static void mark(struct ivr_quiet *quiet, struct ivr_ring *ring)
{
	uint32_t word = ring->from.id / 32;

	ring->quiet = true;
	quiet->marked[word] |= bit_of(ring);
	ivr_set_bits(&quiet->marks[word], bit_of(ring));
}

static void unmark(struct ivr_quiet *quiet, struct ivr_ring *ring)
{
	uint32_t word = ring->from.id / 32;

	ring->quiet = false;
	/* Not before it has stood still for the whole time again. */
	ring->swept = ring->consumer - 1;
	quiet->marked[word] &= ~bit_of(ring);
	ivr_clear_bits(&quiet->marks[word], bit_of(ring));
}

void ivr_quiet_wake(struct ivr_member *member, struct ivr_ring *ring)
{
	unmark(&member->reader.quiet, ring);
	ivr_reader_add(&member->reader, ring);
}

void ivr_quiet_forget(struct ivr_quiet *quiet, struct ivr_ring *ring)
{
	unmark(quiet, ring);
}

void ivr_quiet_update(struct ivr_member *member)
{
	struct ivr_quiet *quiet = &member->reader.quiet;
	uint32_t word, woken, bits;

	/* The acquire keeps the look at the marks behind it: what comes later is news. */
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

			ivr_quiet_wake(member, member->reader.lanes.from[id]);
		}
	}
}

/* Whether nothing was read from a lane since the last call, nor is known to be there. */
static bool stands_still(struct ivr_ring *ring)
{
	uint32_t before = ring->swept;

	ring->swept = ring->consumer;
	return before == ring->consumer && ring->producer == ring->consumer && !ring->fault &&
	       !ring->left;
}

bool ivr_quiet_sweep(struct ivr_member *member)
{
	struct ivr_reader *reader = &member->reader;
	struct ivr_quiet *quiet = &reader->quiet;
	bool any = false, found = false;
	uint32_t i;

	if (!ivr_quiet_is_due(quiet))
		return false;
	quiet->turns = 0;
	/* One of the rings is the inbox, the first. */
	if (reader->count - 1 <= quiet->few)
		return false;
	for (i = 1; i < reader->count; i++)
		if (stands_still(reader->rings[i])) {
			mark(quiet, reader->rings[i]);
			any = true;
		}
	if (!any)
		return false;
	/* Q: pairs with the barrier between the sender's publish and its look at the mark. */
	ivr_full_barrier();
	for (i = reader->count - 1; i; i--) {
		struct ivr_ring *ring = reader->rings[i];

		if (!ring->quiet)
			continue;
		if (ivr_ring_pending(ring, 1)) {
			unmark(quiet, ring);
			found = true;
		} else {
			ivr_reader_remove(reader, ring);
		}
	}
	return found;
}
