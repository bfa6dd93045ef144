// SPDX-License-Identifier: MIT OR Apache-2.0

#include <linux/ivring.h>

#include "barrier.h"
#include "state.h"
#include "sys.h"

/*
 * Items after which the senders are spared their barrier. Measured on a machine of two CPUs:
 * ours takes 20 to 38 us while a sender runs, and theirs adds 25 to 43 ns to each item. So it pays
 * after 500 to 1500 items, and who got as many without a pause will mostly get as many more.
 */
#define MANY	1024u

void ivr_state_busy(struct ivr_state *state)
{
	uint32_t now = ivr_load(state->word);

	/* What is so already is not written again, since senders have it in their caches. */
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

/* Stores a state over UNFENCED, so that senders cannot miss it. */
static int leave_unfenced(struct ivr_state *state, uint32_t to)
{
	int ret;

	ivr_store(state->word, to);
	/* A: pairs with the compiler barrier between the sender's publish and its look. */
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
	/* S, M: pair with the barrier before the kernel's or a sender's look at the state. */
	ivr_full_barrier();
	return 0;
}

void ivr_state_fence(struct ivr_state *state)
{
	if (state->unfenced)
		leave_unfenced(state, IVRING_BUSY);
	state->handled = 0;
}
