// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * On the module: lanes, with a receiver that falls asleep at random times in all ways of sleeping.
 *
 *	module-lane-test [SEED [ITEMS]]
 *
 * ITEMS is the number of items that each sender sends in each way.
 */

#include <signal.h>

#include "os/barrier.h"
#include "module-loops.h"
#include "member.h"
#include "send/lane.h"

static uint64_t items_each = 2000;

/* Which side passes the barrier: design.rst, barriers S and A. */
enum fences {
	FENCED,		/* every sender */
	UNFENCED,	/* the receiver, for all senders */
};

static const char *const fences_names[] = { "fenced", "unfenced" };

/* Waits a little without leaving the CPU, so that sending and sleeping overlap in all ways. */
static void pause_a_little(void)
{
	uint32_t i, rounds = random_below(1u << random_below(10));

	for (i = 0; i < rounds; i++)
		ivr_pause();
}

/* Sends all items in bursts, of one item up to more items than the lane holds. */
static void send_bursts(uint32_t id)
{
	struct ivring_item items[300] = { 0 };
	struct ivr_peer parent;
	struct ivr_member *own;
	uint64_t number = 0;

	seed += id;
	own = join_parent(id, &parent);
	if (ivr_open_lane(own, parent, 2u << random_below(8), 0))
		_exit(3);
	ivr_set_polling(own, random_below(2) ? 0 : 50000);
	while (number < items_each) {
		unsigned int count = 1 + random_below(1u << (1 + random_below(8))), i;

		if (count > items_each - number)
			count = (unsigned int)(items_each - number);
		for (i = 0; i < count; i++)
			items[i] = (struct ivring_item){ .port = PORT, .cookie = number + i };
		send_all(own, parent, items, count);
		number += count;
		pause_a_little();
		/* If its wakeup is lost, nothing else wakes the receiver. */
		if (!random_below(4) && ivr_flush(own, parent, soon()))
			_exit(6);
	}
	finish(own, parent);
}

/* Sends each item when the previous item has been read, so that the receiver is about to sleep. */
static void send_one_by_one(uint32_t id)
{
	struct ivring_item item = { .port = PORT };
	struct ivr_lane *lane;
	struct ivr_peer parent;
	struct ivr_member *own;

	own = join_parent(id, &parent);
	if (ivr_open_lane(own, parent, 2, 0))
		_exit(3);
	lane = ivr_lane(own, parent);
	for (; item.cookie < items_each; item.cookie++) {
		uint64_t deadline = soon();
		uint32_t looks;

		if (ivr_lane_push(lane, &item) || ivr_lane_notify(lane))
			_exit(4);
		for (looks = 1; !ivr_lane_has_read(lane, (uint32_t)lane->producer); looks++) {
			ivr_pause();
			if (looks % 1024 == 0 && ivr_deadline_ms(0) > deadline)
				_exit(6);
		}
		pause_a_little();
	}
	ivr_close(own);
	_exit(0);
}

static struct {
	uint64_t next[SENDERS + 1];
	uint64_t all;
	uint64_t wanted;
	bool one_by_one;
	enum fences fences;
} received;

static bool all_received(void)
{
	return received.all == received.wanted;
}

static void on_item(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	CHECK_EQ((long long)item->cookie, (long long)received.next[item->from]);
	received.next[item->from]++;
	received.all++;
	/*
	 * Pretend that there were few items, or many. By itself this would not happen often enough.
	 */
	if (received.fences == FENCED)
		self->receiver.state.handled = 0;
	else if (received.one_by_one || !random_below(32)) {
		/*
		 * Store UNFENCED again, also after the kernel has replaced it, which the library
		 * does not notice.
		 */
		self->receiver.state.unfenced = false;
		ivr_state_handled(&self->receiver.state, UINT16_MAX);
	}
	if (all_received())
		ivr_stop(self);
}

/* Receives from @senders senders. @loop returns after ivr_stop(). */
static void receive_with(void (*loop)(void), uint32_t senders,
			 void (*send)(uint32_t id), enum fences fences)
{
	uint32_t i;

	memset(&received, 0, sizeof(received));
	received.wanted = senders * items_each;
	received.one_by_one = senders == 1;
	received.fences = fences;
	largest_budget = 1000;
	create();
	/* Make lanes quiet soon, as if there were many lanes, or never. */
	member->receiver.quiet.few = random_below(2) ? 0 : SENDERS;
	member->receiver.quiet.patience = 1u << random_below(11);
	ivr_set_polling(member, senders > 1 && !random_below(4) ? 20000 : 0);
	CHECK_EQ(ivr_on(member, PORT, on_item, NULL), 0);
	receive_from(loop, senders, send);
	for (i = 1; i <= senders; i++)
		CHECK_EQ((long long)received.next[i], (long long)items_each);
	close_member();
}

int main(int argc, char **argv)
{
	unsigned int i, fences;

	if (argc > 2)
		items_each = strtoull(argv[2], NULL, 0);
	begin(argc, argv);
	for (i = 0; i < ARRAY_SIZE(ways); i++)
		for (fences = FENCED; fences <= UNFENCED; fences++)
			RUN_AS(receive_with(ways[i].loop, SENDERS, send_bursts, fences),
			       "bursts to %s, %s", ways[i].name, fences_names[fences]);
	for (i = 0; i < ARRAY_SIZE(ways); i++)
		for (fences = FENCED; fences <= UNFENCED; fences++)
			RUN_AS(receive_with(ways[i].loop, 1, send_one_by_one, fences),
			       "one by one to %s, %s", ways[i].name, fences_names[fences]);
	return tap_end();
}
