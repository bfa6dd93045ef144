// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The heap of deadlines, against a model that is an array.
 */

#include <string.h>

#include "dispatch/deadlines.h"
#include "random.h"
#include "tap.h"

#define REQUESTS	64u
#define STEPS		20000u

/* Deadlines of the requests that have one; the others have 0. */
static uint64_t model[REQUESTS];

static uint32_t size_of_model(void)
{
	uint32_t i, size = 0;

	for (i = 0; i < REQUESTS; i++)
		size += model[i] != 0;
	return size;
}

static uint64_t first_of_model(void)
{
	uint64_t first = UINT64_MAX;
	uint32_t i;

	for (i = 0; i < REQUESTS; i++)
		if (model[i] && model[i] < first)
			first = model[i];
	return first;
}

static void compare(const struct ivr_deadlines *deadlines)
{
	uint32_t i;

	CHECK_EQ(deadlines->count, size_of_model());
	for (i = 0; i < deadlines->count; i++) {
		const struct ivr_due *due = &deadlines->heap[i];

		CHECK_EQ((long long)due->deadline, (long long)model[due->request]);
		CHECK_EQ(deadlines->place[due->request], i);
		CHECK(due->deadline >= deadlines->heap[i ? (i - 1) / 2 : 0].deadline);
	}
	if (deadlines->count)
		CHECK_EQ((long long)deadlines->heap[0].deadline, (long long)first_of_model());
}

/* @most: about how many requests have a deadline. @times: the number of different deadlines. */
static void is_like_the_model(uint32_t most, uint32_t times)
{
	struct ivr_deadlines deadlines = { 0 };
	uint32_t step, request;

	memset(model, 0, sizeof(model));
	CHECK_EQ(ivr_deadlines_reserve(&deadlines, 1), 0);
	CHECK_EQ(ivr_deadlines_reserve(&deadlines, REQUESTS), 0);
	for (step = 0; step < STEPS && tap_good; step++) {
		request = random_below(REQUESTS);
		if (model[request]) {
			ivr_deadlines_remove(&deadlines, request);
			model[request] = 0;
		} else if (deadlines.count < most) {
			model[request] = 1 + random_below(times);
			ivr_deadlines_add(&deadlines, request, model[request]);
		} else {
			model[deadlines.heap[0].request] = 0;
			ivr_deadlines_remove(&deadlines, deadlines.heap[0].request);
		}
		compare(&deadlines);
	}
	while (deadlines.count && tap_good) {
		model[deadlines.heap[0].request] = 0;
		ivr_deadlines_remove(&deadlines, deadlines.heap[0].request);
		compare(&deadlines);
	}
	ivr_deadlines_drop(&deadlines);
	CHECK_EQ(deadlines.capacity, 0);
}

int main(int argc, char **argv)
{
	take_seed(argc, argv);
	RUN_AS(is_like_the_model(1, 1000), "is_like_the_model, one request");
	RUN_AS(is_like_the_model(4, 1000), "is_like_the_model, few requests");
	RUN_AS(is_like_the_model(REQUESTS, 1u << 30), "is_like_the_model, many requests");
	RUN_AS(is_like_the_model(REQUESTS, 3), "is_like_the_model, equal deadlines");
	return tap_end();
}
