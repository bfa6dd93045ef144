// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Answers requests: whoever sends a number gets its square, until told to stop.
 */

#include "sample.h"
#include "square-protocol.h"

struct server {
	uint64_t requests, start;
};

static void on_square(struct ivring *member, const struct ivring_item *item, void *arg)
{
	struct ivring_item answer = { 0 };
	struct server *server = arg;
	uint64_t n;

	if (!server->requests++)
		server->start = now();
	if (ivring_get_inline(item, &n, sizeof(n)))
		return;
	n *= n;
	check(ivring_set_inline(&answer, &n, sizeof(n)), "answer");
	/* A client that has left, or does not read its answers, goes without. */
	ivring_reply(member, item, &answer, 0);
}

static void on_stop(struct ivring *member, const struct ivring_item *item, void *arg)
{
	(void)item;
	(void)arg;
	ivring_stop(member);
}

int main(int argc, char **argv)
{
	struct ivring_options options = {
		.name = argv[1],
		.slots = 2,
		.inbox_entries = 64,
		.outbox_bytes = 4096,
		.mode = 0600,
	};
	struct server server = { .start = now() };
	struct ivring *member;

	if (argc != 2)
		errx(EXIT_FAILURE, "usage: reply NAME");
	check(ivring_create(&options, &member), argv[1]);
	check(ivring_on(member, SQUARE, on_square, &server), "handler");
	check(ivring_on(member, STOP, on_stop, NULL), "handler");
	check(ivring_run(member), "run");

	print_figures(member, SERVER_ID, server.requests, server.requests * sizeof(uint64_t),
		      now() - server.start);
	puts("");
	ivring_close(member);
	return EXIT_SUCCESS;
}
