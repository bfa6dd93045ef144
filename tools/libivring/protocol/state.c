// SPDX-License-Identifier: MIT OR Apache-2.0

#include <linux/ivring.h>

#include "os/barrier.h"
#include "protocol/state.h"
#include "os/sys.h"

/*
 * Number of items in a row after which senders are spared their barrier. On a machine with two
 * CPUs, the barrier on all CPUs takes 20 to 38 us while a sender runs, and the sender's own barrier
 * adds 25 to 43 ns per item. So UNFENCED pays after 500 to 1500 items. A member that has received
 * this many items in a row will probably receive as many more.
 */
#define MANY	1024u

void ivr_state_busy(struct ivr_state *state)
{
	uint32_t now = ivr_load(state->word);

	/* An unchanged state is not stored again, because senders have the word in their caches. */
	if (now != IVRING_BUSY && now != IVRING_BUSY_UNFENCED)
		ivr_store(state->word, IVRING_BUSY);
}

void ivr_state_handled(struct ivr_state *state, uint32_t items)
{
	if (state->unfenced)
		return;
	state->handled += items;
	if (state->handled < MANY)
		return;
	state->unfenced = true;
	ivr_store(state->word, IVRING_BUSY_UNFENCED);
}

/* Replaces UNFENCED by @to, in a way that no sender can miss. */
static int leave_unfenced(struct ivr_state *state, uint32_t to)
{
	int ret;

	ivr_store(state->word, to);
	/*
	 * A: pairs with the compiler barrier between the sender's store of a sequence and its load
	 * of the state.
	 */
	ret = ivr_ioctl(state->fd, IVRING_IOC_FENCE, NULL);
	if (ret) {
		ivr_store(state->word, IVRING_BUSY_UNFENCED);
		return ret;
	}
	state->unfenced = false;
	state->handled = 0;
	return 0;
}

int ivr_state_idle(struct ivr_state *state)
{
	if (state->unfenced)
		return leave_unfenced(state, IVRING_IDLE);
	state->handled = 0;
	ivr_store(state->word, IVRING_IDLE);
	/* S, M: pair with the barrier before a sender, or the kernel, loads the state. */
	ivr_full_barrier();
	return 0;
}

void ivr_state_fence(struct ivr_state *state)
{
	if (state->unfenced)
		leave_unfenced(state, IVRING_BUSY);
	state->handled = 0;
}
