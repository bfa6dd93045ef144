// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * On the module: all ways of sleeping, while items arrive at random times.
 *
 *	module-sleep-test [SEED]
 */

#include "module-loops.h"

/*
 * Number of items from the sender in a slot. They differ, so that in the end only one sender is
 * left.
 */
#define ITEMS(id)	((id) * 1500u)

/* Sends all items, a few at a time, with pauses in which the receiver falls asleep. */
static void send_many(uint32_t id)
{
	struct ivring_item items[4];
	struct ivr_peer parent;
	struct ivr_member *own;
	uint64_t number = 0;

	seed += id;
	own = join_parent(id, &parent);
	while (number < ITEMS(id)) {
		unsigned int count = 1 + random_below(4), i;

		if (count > ITEMS(id) - number)
			count = (unsigned int)(ITEMS(id) - number);
		/*
		 * The items must fit into the outbox, because blocks that are not sent never become
		 * free.
		 */
		for (i = 0; i < count; i++)
			if (fill_item(own, &items[i], number + i))
				_exit(3);
		send_all(own, parent, items, count);
		number += count;
		/* If its wakeup is lost, nothing else wakes the receiver. */
		if (random_below(2) && ivr_flush(own, parent, soon()))
			_exit(6);
		if (!random_below(20))
			usleep(random_below(300));
	}
	finish(own, parent);
}

static struct {
	uint64_t next[SENDERS + 1];
	unsigned int complete;
} received;

static bool all_received(void)
{
	return received.complete == (2u << SENDERS) - 2;
}

static void on_item(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	unsigned char payload[700];
	int i, length;

	length = ivr_copy_payload(self, item, payload, sizeof(payload));
	CHECK(length > 0);
	for (i = 0; i < length; i++)
		CHECK_EQ(payload[i], item->cookie % 251);
	CHECK_EQ((long long)item->cookie, (long long)received.next[item->from]);
	received.next[item->from] = item->cookie + 1;
	if (item->cookie + 1 == ITEMS(item->from))
		received.complete |= 1u << item->from;
	if (all_received())
		ivr_stop(self);
}

/* Receives from all senders. @loop returns after ivr_stop(). */
static void receive_with(void (*loop)(void))
{
	uint32_t i;

	memset(&received, 0, sizeof(received));
	create();
	CHECK_EQ(ivr_on(member, PORT, on_item, NULL), 0);
	receive_from(loop, SENDERS, send_many);
	for (i = 1; i <= SENDERS; i++)
		CHECK_EQ((long long)received.next[i], ITEMS(i));
	close_member();
}

int main(int argc, char **argv)
{
	unsigned int i;

	begin(argc, argv);
	for (i = 0; i < ARRAY_SIZE(ways); i++)
		RUN_AS(receive_with(ways[i].loop), "sleep in %s", ways[i].name);
	return tap_end();
}
