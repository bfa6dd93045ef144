// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Sends requests one after another: each when the previous answer has come.
 */

#include "sample.h"
#include "square-protocol.h"

#define PATIENCE_MS	30000

/* Asks for the square of a number. During the call the dispatcher handles other items. */
static uint64_t ask(struct ivr_member *member, struct ivr_peer server, uint64_t number)
{
	struct ivring_item request = { .port = SQUARE }, answer;
	uint64_t square;

	check(ivr_set_inline(&request, &number, sizeof(number)), "request");
	check(ivr_call(member, server, &request, ivr_deadline_ms(PATIENCE_MS),
		       ivr_keep_reply, &answer), "request");
	check(ivr_get_inline(&answer, &square, sizeof(square)), "answer");
	return square;
}

int main(int argc, char **argv)
{
	struct ivring_item stop = { .port = STOP };
	uint64_t start, time, number, count = 0;
	struct ivr_peer server;
	struct ivr_member *member;

	if (argc == 3)
		count = strtoull(argv[2], NULL, 10);
	if (!count)
		errx(EXIT_FAILURE, "usage: request NAME COUNT");
	check(ivr_join(argv[1], CLIENT_ID, ivr_deadline_ms(PATIENCE_MS), &member), argv[1]);
	check(ivr_wait_peer(member, SERVER_ID, ivr_deadline_ms(PATIENCE_MS), &server), "server");

	start = now();
	for (number = 0; number < count; number++)
		if (ask(member, server, number) != number * number)
			errx(EXIT_FAILURE, "request %" PRIu64 " got a wrong answer", number);

	/* The counters of the server are gone when it has stopped, so they are printed before. */
	time = now() - start;
	print_figures(member, SERVER_ID, count, count * sizeof(uint64_t), time);
	printf(", %.1f us a round trip\n", (double)time / 1e3 / (double)count);
	check(ivr_send(member, server, &stop, 1, IVRING_DEADLINE_NEVER), "stop");
	ivr_close(member);
	return EXIT_SUCCESS;
}
