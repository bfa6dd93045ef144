/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_POLLING_H
#define IVR_POLLING_H

#include <stdint.h>

#define IVR_POLLING_MAX_NS	200000u

/* Number of polls between two readings of the clock. */
#define IVR_POLLING_LOOKS	32u

/**
 * struct ivr_polling - how long to poll before sleeping.
 * @max:	longest time to poll, in nanoseconds
 * @window:	time to poll at the next wait, in nanoseconds, 0 to @max
 *
 * The window follows recent waits, like the halt polling of KVM (virt/kvm/kvm_main.c), but in
 * larger steps. After a wait that was longer than the window but not longer than @max, the window
 * becomes twice the length of that wait. After a wait that was longer than @max, the window is
 * halved. So one long wait, for example because the other side was preempted, does not cause many
 * sleeps, and a member that has nothing to do soon stops polling.
 */
struct ivr_polling {
	uint64_t max;
	uint64_t window;
};

void ivr_polling_set_max(struct ivr_polling *polling, uint64_t max);

/* When to stop polling that began at @start and must not last beyond @deadline. */
uint64_t ivr_polling_end(const struct ivr_polling *polling, uint64_t start, uint64_t deadline);

/* Adapts the window to a wait, of polling and sleeping, that took @took nanoseconds. */
void ivr_polling_learn(struct ivr_polling *polling, uint64_t took);

#endif /* IVR_POLLING_H */
