// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A dispatcher with two ports: each number goes to the program it is meant for. The
 * sender is a child process, which joins by the descriptor that it inherits.
 */

#include <sys/wait.h>
#include <unistd.h>

#include "sample.h"

enum { SUM = 1, MAXIMUM = 2 };

#define NUMBERS		10000u
#define BATCH		100u

struct results {
	struct ivring_peer sender;
	uint64_t sum, maximum, items;
};

static void on_sum(struct ivring *member, const struct ivring_item *item, void *arg)
{
	struct results *results = arg;

	(void)member;
	results->sum += item->cookie;
	results->items++;
}

static void on_maximum(struct ivring *member, const struct ivring_item *item, void *arg)
{
	struct results *results = arg;

	(void)member;
	if (results->maximum < item->cookie)
		results->maximum = item->cookie;
	results->items++;
}

static void on_members(struct ivring *member, const struct ivring_change *change, void *arg)
{
	struct results *results = arg;

	if (has_left(change, results->sender))
		ivring_stop(member);
}

/* Sends each number to both ports, many with one call. */
static int child(int region_fd)
{
	struct ivring_item items[BATCH] = { 0 };
	struct ivring_peer receiver;
	struct ivring *member;
	unsigned int number, i, done;

	check(ivring_join_fd(region_fd, 1, &member), "join");
	close(region_fd);
	check(ivring_wait_peer(member, 0, IVRING_DEADLINE_NEVER, &receiver), "receiver");
	for (number = 1; number <= NUMBERS; number += BATCH / 2) {
		for (i = 0; i < BATCH; i++) {
			items[i].port = i % 2 ? SUM : MAXIMUM;
			items[i].cookie = number + i / 2;
		}
		for (done = 0; done < BATCH; )
			done += (unsigned int)check(ivring_send(member, receiver, &items[done], BATCH - done,
								IVRING_DEADLINE_NEVER), "send");
	}
	check(ivring_flush(member, receiver, IVRING_DEADLINE_NEVER), "flush");
	ivring_close(member);
	return EXIT_SUCCESS;
}

int main(void)
{
	struct ivring_options options = {
		.slots = 2,
		.inbox_entries = 256,
		.outbox_bytes = 4096,
	};
	struct results results = { 0 };
	struct ivring *member;
	uint64_t start;
	int status;

	check(ivring_create(&options, &member), "create");
	start = now();
	results.sender = start_sender(member, child);

	check(ivring_on(member, SUM, on_sum, &results), "handler");
	check(ivring_on(member, MAXIMUM, on_maximum, &results), "handler");
	ivring_on_members(member, on_members, &results);
	check(ivring_run(member), "run");

	if (wait(&status) < 0 || status || results.maximum != NUMBERS ||
	    results.sum != NUMBERS * (NUMBERS + 1ULL) / 2)
		errx(EXIT_FAILURE, "numbers got lost");
	print_figures(member, 0, results.items, 0, now() - start);
	puts("");
	ivring_close(member);
	return EXIT_SUCCESS;
}
