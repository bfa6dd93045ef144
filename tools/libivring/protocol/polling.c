// SPDX-License-Identifier: MIT OR Apache-2.0

#include "protocol/polling.h"

#define SHORTEST_NS		10000u

void ivr_polling_set_max(struct ivr_polling *polling, uint64_t max)
{
	polling->max = max;
	polling->window = 0;
}

uint64_t ivr_polling_end(const struct ivr_polling *polling, uint64_t start, uint64_t deadline)
{
	uint64_t end = start + polling->window;

	return end < deadline ? end : deadline;
}

void ivr_polling_learn(struct ivr_polling *polling, uint64_t took)
{
	if (took <= polling->window)
		return;
	if (took > polling->max) {
		polling->window /= 2;
		if (polling->window < SHORTEST_NS)
			polling->window = 0;
		return;
	}
	polling->window = 2 * took > SHORTEST_NS ? 2 * took : SHORTEST_NS;
	if (polling->window > polling->max)
		polling->window = polling->max;
}
