// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Receives numbers by a lane, and adds them. The dispatcher reads lanes like the inbox, so the
 * receiver needs no code for them.
 */

#include <stdbool.h>

#include "direct-protocol.h"
#include "sample.h"

struct results {
	uint64_t items, sum, start;
	bool complete;
};

static void on_number(struct ivr_member *member, const struct ivring_item *item, void *arg)
{
	struct results *results = arg;

	(void)member;
	if (!results->items++)
		results->start = now();
	results->sum += item->cookie;
}

static void on_end(struct ivr_member *member, const struct ivring_item *item, void *arg)
{
	struct results *results = arg;

	results->complete = item->cookie == results->sum;
	ivr_stop(member);
}

int main(int argc, char **argv)
{
	struct ivr_region_options options = {
		.name = argv[1],
		.slots = 2,
		.inbox_entries = 64,
		.outbox_bytes = 4096,
		.mode = 0600,
	};
	struct results results = { .start = now() };
	struct ivr_member *member;

	if (argc != 2)
		errx(EXIT_FAILURE, "usage: direct-recv NAME");
	check(ivr_create(&options, &member), argv[1]);
	check(ivr_on(member, NUMBER, on_number, &results), "handler");
	check(ivr_on(member, END, on_end, &results), "handler");
	check(ivr_run(member), "run");
	if (!results.complete)
		errx(EXIT_FAILURE, "numbers were lost");

	print_figures(member, RECEIVER_ID, results.items, results.items * sizeof(uint64_t),
		      now() - results.start);
	puts("");
	ivr_close(member);
	return EXIT_SUCCESS;
}
