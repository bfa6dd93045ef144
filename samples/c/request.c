// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Sends requests, each when the answer to the one before it has come.
 */

#include "sample.h"
#include "square-protocol.h"

#define PATIENCE_MS	30000

struct client {
	struct ivring_peer server;
	uint64_t count, answered;
};

static void ask(struct ivring *vm, const struct client *client)
{
	struct ivring_item item = { .port = SQUARE, .cookie = client->answered };

	check(ivring_set_inline(&item, &client->answered, sizeof(client->answered)), "request");
	check(ivring_send(vm, client->server, &item, 1, IVRING_DEADLINE_NEVER), "request");
}

static void on_answer(struct ivring *vm, const struct ivring_item *item, void *arg)
{
	struct client *client = arg;
	uint64_t square;

	check(ivring_get_inline(item, &square, sizeof(square)), "answer");
	if (item->cookie != client->answered || square != client->answered * client->answered)
		errx(EXIT_FAILURE, "a wrong answer to request %" PRIu64, client->answered);
	if (++client->answered == client->count)
		ivring_stop(vm);
	else
		ask(vm, client);
}

static void on_members(struct ivring *vm, void *arg)
{
	struct client *client = arg;

	if (!ivring_is_member(vm, client->server))
		errx(EXIT_FAILURE, "the server left");
}

int main(int argc, char **argv)
{
	struct ivring_item stop = { .port = STOP };
	struct client client = { 0 };
	struct ivring *vm;
	uint64_t start, time;

	if (argc == 3)
		client.count = strtoull(argv[2], NULL, 10);
	if (!client.count)
		errx(EXIT_FAILURE, "usage: request NAME COUNT");
	check(ivring_join(argv[1], CLIENT_ID, ivring_deadline_ms(PATIENCE_MS), &vm), argv[1]);
	check(ivring_wait_peer(vm, SERVER_ID, ivring_deadline_ms(PATIENCE_MS), &client.server),
	      "server");
	check(ivring_on(vm, SQUARE, on_answer, &client), "handler");
	ivring_on_members(vm, on_members, &client);

	start = now();
	ask(vm, &client);
	check(ivring_run(vm), "run");

	/* While the server is there: when it has stopped its counters are gone. */
	time = now() - start;
	print_figures(vm, SERVER_ID, client.count, client.count * sizeof(uint64_t), time);
	printf(", %.1f us a round trip\n", (double)time / 1e3 / (double)client.count);
	check(ivring_send(vm, client.server, &stop, 1, IVRING_DEADLINE_NEVER), "stop");
	ivring_close(vm);
	return EXIT_SUCCESS;
}
