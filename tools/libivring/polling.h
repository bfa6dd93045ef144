/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_POLLING_H
#define IVR_POLLING_H

#include <stdint.h>

#define IVR_POLLING_MAX_NS	200000u

/* Looks between two looks at the clock. */
#define IVR_POLLING_LOOKS	32u

/**
 * struct ivr_polling - for how long to look again and again before sleeping.
 * @max:	nanoseconds at most
 * @window:	nanoseconds now, 0 to @max
 *
 * The window follows what came lately, as the halt polling of KVM does (virt/kvm/kvm_main.c),
 * but in larger steps: it becomes twice as long as what came too late for it but in time for
 * the maximum, and half as long when nothing came for longer than that. So one long pause, as
 * when the other side was preempted, does not cost a row of sleeps, and whoever has nothing to
 * do sleeps after a few looks.
 */
struct ivr_polling {
	uint64_t max;
	uint64_t window;
};

void ivr_polling_set_max(struct ivr_polling *polling, uint64_t max);

/* When to stop polling that began at @start, and has to be over at @deadline. */
uint64_t ivr_polling_end(const struct ivr_polling *polling, uint64_t start, uint64_t deadline);

/* It took so many nanoseconds, of polling and sleeping, until there was something. */
void ivr_polling_learn(struct ivr_polling *polling, uint64_t took);

#endif /* IVR_POLLING_H */
