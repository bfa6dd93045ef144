// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * How long to poll before sleeping.
 *
 *	polling-test [SEED]
 */

#include "protocol/polling.h"
#include "random.h"
#include "tap.h"

static uint64_t learn(struct ivr_polling *polling, uint64_t took)
{
	ivr_polling_learn(polling, took);
	CHECK(polling->window <= polling->max);
	return polling->window;
}

static void grows_while_it_would_have_helped(void)
{
	struct ivr_polling polling = { .max = 200000 };

	CHECK_EQ((long long)learn(&polling, 1), 10000);
	CHECK_EQ((long long)learn(&polling, 30000), 60000);
	CHECK_EQ((long long)learn(&polling, 90000), 180000);
	CHECK_EQ((long long)learn(&polling, 200000), 200000);
	CHECK_EQ((long long)learn(&polling, 200000), 200000);
}

static void stays_while_it_helps(void)
{
	struct ivr_polling polling = { .max = 200000, .window = 40000 };

	CHECK_EQ((long long)learn(&polling, 0), 40000);
	CHECK_EQ((long long)learn(&polling, 40000), 40000);
	CHECK_EQ((long long)learn(&polling, 40001), 80002);
}

static void closes_when_it_cannot_help(void)
{
	struct ivr_polling polling = { .max = 200000, .window = 40000 };

	CHECK_EQ((long long)learn(&polling, 200001), 20000);
	CHECK_EQ((long long)learn(&polling, UINT64_MAX), 10000);
	CHECK_EQ((long long)learn(&polling, 200001), 0);
	CHECK_EQ((long long)learn(&polling, UINT64_MAX), 0);
	CHECK_EQ((long long)learn(&polling, 200000), 200000);
}

static void small_maximum(void)
{
	struct ivr_polling polling = { .window = 80000 };

	ivr_polling_set_max(&polling, 5000);
	CHECK_EQ((long long)polling.window, 0);
	CHECK_EQ((long long)learn(&polling, 5000), 5000);
	ivr_polling_set_max(&polling, 0);
	CHECK_EQ((long long)learn(&polling, 0), 0);
	CHECK_EQ((long long)learn(&polling, 1), 0);
}

static void not_beyond_the_deadline(void)
{
	struct ivr_polling polling = { .max = 200000, .window = 40000 };

	CHECK_EQ((long long)ivr_polling_end(&polling, 1000, UINT64_MAX), 41000);
	CHECK_EQ((long long)ivr_polling_end(&polling, 1000, 2000), 2000);
	CHECK_EQ((long long)ivr_polling_end(&polling, 1000, 0), 0);
}

/* Waits near the window, near the maximum, and of any length. */
static uint64_t random_wait(const struct ivr_polling *polling)
{
	switch (random_below(4)) {
	case 0:
		return polling->window * (1 + random_below(2)) + random_below(3) - 1;
	case 1:
		return polling->max + random_below(3) - 1;
	default:
		return random_word() >> (1 + random_below(63));
	}
}

static void random_waits(void)
{
	unsigned int i, j;

	for (i = 0; i < 10000 && tap_good; i++) {
		struct ivr_polling polling;

		ivr_polling_set_max(&polling, random_below(IVR_POLLING_MAX_NS) + 1);
		for (j = 0; j < 50; j++) {
			uint64_t before = polling.window, took = random_wait(&polling);

			learn(&polling, took);
			if (took <= before)
				CHECK(polling.window == before);
			else if (took <= polling.max)
				CHECK(polling.window == polling.max || polling.window >= 2 * took);
			else
				CHECK(polling.window <= before / 2);
		}
		/* A member without work soon stops polling. */
		for (j = 0; j < 6; j++)
			learn(&polling, polling.max + 1);
		CHECK_EQ((long long)polling.window, 0);
	}
}

int main(int argc, char **argv)
{
	take_seed(argc, argv);
	RUN(grows_while_it_would_have_helped);
	RUN(stays_while_it_helps);
	RUN(closes_when_it_cannot_help);
	RUN(small_maximum);
	RUN(not_beyond_the_deadline);
	RUN(random_waits);
	return tap_end();
}
