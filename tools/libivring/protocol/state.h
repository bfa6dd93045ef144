/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_STATE_H
#define IVR_STATE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct ivr_state - the state of a member, which tells senders whether to ring it.
 * @word:	IVRING_BUSY, IVRING_IDLE and so on. The kernel changes it as well
 * @fd:		the member's descriptor
 * @unfenced:	senders may have read UNFENCED since the last barrier on all CPUs. Always true
 *		while @word is UNFENCED
 * @handled:	number of items handled in a row, while @unfenced is false
 *
 * A function that replaces UNFENCED by another state then makes all CPUs pass a barrier, before its
 * last look at the rings: see Documentation/design.rst, "Asymmetric fences".
 */
struct ivr_state {
	uint32_t *word;
	int fd;
	bool unfenced;
	uint32_t handled;
};

/* Stores BUSY before the member looks at its rings. Leaves UNFENCED unchanged. */
void ivr_state_busy(struct ivr_state *state);

/*
 * Counts handled items. After many items in a row it stores UNFENCED, so that senders need no
 * barrier.
 */
void ivr_state_handled(struct ivr_state *state, uint32_t items);

/*
 * Stores IDLE, so that senders ring from now on. The caller must look at the rings after this. If
 * it fails, with an error of IVRING_IOC_FENCE, nothing has changed.
 */
int ivr_state_idle(struct ivr_state *state);

/* Turns UNFENCED into BUSY. If IVRING_IOC_FENCE fails, the state stays UNFENCED. */
void ivr_state_fence(struct ivr_state *state);

#endif /* IVR_STATE_H */
