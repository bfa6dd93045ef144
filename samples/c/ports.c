// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A dispatcher with two ports, which have a handler each. The sender is a child process, which
 * joins by the inherited descriptor.
 */

#include <sys/wait.h>
#include <unistd.h>

#include "sample.h"

enum { SUM = 1, MAXIMUM = 2 };

#define NUMBERS		10000u
#define BATCH		100u

struct results {
	struct ivr_peer sender;
	uint64_t sum, maximum, items;
};

static void on_sum(struct ivr_member *member, const struct ivring_item *item, void *arg)
{
	struct results *results = arg;

	(void)member;
	results->sum += item->cookie;
	results->items++;
}

static void on_maximum(struct ivr_member *member, const struct ivring_item *item, void *arg)
{
	struct results *results = arg;

	(void)member;
	if (results->maximum < item->cookie)
		results->maximum = item->cookie;
	results->items++;
}

static void on_members(struct ivr_member *member, const struct ivr_member_event *event, void *arg)
{
	struct results *results = arg;

	if (has_left(event, results->sender))
		ivr_stop(member);
}

/* Sends each number to both ports, many items per call. */
static int child(int region_fd)
{
	struct ivring_item items[BATCH] = { 0 };
	struct ivr_peer receiver;
	struct ivr_member *member;
	unsigned int number, i, done;

	check(ivr_join_fd(region_fd, 1, &member), "join");
	close(region_fd);
	check(ivr_wait_peer(member, 0, IVRING_DEADLINE_NEVER, &receiver), "receiver");
	for (number = 1; number <= NUMBERS; number += BATCH / 2) {
		for (i = 0; i < BATCH; i++) {
			items[i].port = i % 2 ? SUM : MAXIMUM;
			items[i].cookie = number + i / 2;
		}
		for (done = 0; done < BATCH; )
			done += (unsigned int)check(ivr_send(member, receiver, &items[done], BATCH - done,
							     IVRING_DEADLINE_NEVER), "send");
	}
	check(ivr_flush(member, receiver, IVRING_DEADLINE_NEVER), "flush");
	ivr_close(member);
	return EXIT_SUCCESS;
}

int main(void)
{
	struct ivr_region_options options = {
		.slots = 2,
		.inbox_entries = 256,
		.outbox_bytes = 4096,
	};
	struct results results = { 0 };
	struct ivr_member *member;
	uint64_t start;
	int status;

	check(ivr_create(&options, &member), "create");
	start = now();
	results.sender = start_sender(member, child);

	check(ivr_on(member, SUM, on_sum, &results), "handler");
	check(ivr_on(member, MAXIMUM, on_maximum, &results), "handler");
	ivr_on_members(member, on_members, &results);
	check(ivr_run(member), "run");

	if (wait(&status) < 0 || status || results.maximum != NUMBERS ||
	    results.sum != NUMBERS * (NUMBERS + 1ULL) / 2)
		errx(EXIT_FAILURE, "numbers were lost");
	print_figures(member, 0, results.items, 0, now() - start);
	puts("");
	ivr_close(member);
	return EXIT_SUCCESS;
}
