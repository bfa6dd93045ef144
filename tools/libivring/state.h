/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_STATE_H
#define IVR_STATE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct ivr_state - the word by which this member tells senders whether to ring it.
 * @word:	IVRING_BUSY and the like; the kernel changes it as well
 * @fd:		the member's descriptor
 * @unfenced:	senders may have read UNFENCED since all CPUs were last made to pass a
 *		barrier. True whenever @word is UNFENCED
 * @handled:	items since then, as far as they matter
 *
 * Whoever turns UNFENCED into anything else makes all CPUs pass a barrier, after its
 * store and before its last look at the rings: Documentation/design.rst, "Asymmetric fences".
 */
struct ivr_state {
	uint32_t *word;
	int fd;
	bool unfenced;
	uint32_t handled;
};

/* The member is going to look at its rings. Leaves UNFENCED as it is. */
void ivr_state_busy(struct ivr_state *state);

/* It has handled some items without a pause. After many of them it spares the senders. */
void ivr_state_handled(struct ivr_state *state, uint32_t items);

/*
 * From now on it must be rung. Look at the rings after this. Fails as IVRING_IOC_FENCE does, and
 * then nothing has changed.
 */
int ivr_state_idle(struct ivr_state *state);

/* Does not spare the senders any more, as far as IVRING_IOC_FENCE works. */
void ivr_state_fence(struct ivr_state *state);

#endif /* IVR_STATE_H */
