// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Answers requests with the square of the number in the request, until an item tells it to stop.
 */

#include "sample.h"
#include "square-protocol.h"

struct server {
	uint64_t requests, start;
};

static void on_square(struct ivr_member *member, const struct ivring_item *item, void *arg)
{
	struct ivring_item answer = { 0 };
	struct server *server = arg;
	uint64_t n;

	if (!server->requests++)
		server->start = now();
	if (ivr_get_inline(item, &n, sizeof(n)))
		return;
	n *= n;
	check(ivr_set_inline(&answer, &n, sizeof(n)), "answer");
	/* A client that has left, or that does not read its answers, gets no answer. */
	ivr_reply(member, item, &answer, 0);
}

static void on_stop(struct ivr_member *member, const struct ivring_item *item, void *arg)
{
	(void)item;
	(void)arg;
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
	struct server server = { .start = now() };
	struct ivr_member *member;

	if (argc != 2)
		errx(EXIT_FAILURE, "usage: reply NAME");
	check(ivr_create(&options, &member), argv[1]);
	check(ivr_on(member, SQUARE, on_square, &server), "handler");
	check(ivr_on(member, STOP, on_stop, NULL), "handler");
	check(ivr_run(member), "run");

	print_figures(member, SERVER_ID, server.requests, server.requests * sizeof(uint64_t),
		      now() - server.start);
	puts("");
	ivr_close(member);
	return EXIT_SUCCESS;
}
