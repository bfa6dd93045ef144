// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * On the module: lanes, while the receiver falls asleep at random in every way there is.
 *
 *	module-lane-test [SEED [ITEMS]]
 *
 * ITEMS is how many each sender sends in each way.
 */

#include <signal.h>

#include "os/barrier.h"
#include "module-loops.h"
#include "member.h"
#include "send/lane.h"

static uint64_t items_each = 2000;

/* How senders and receiver agree that nothing is missed: design.rst, barriers S and A. */
enum fences {
	FENCED,		/* every sender passes its own */
	UNFENCED,	/* the receiver makes them pass one */
};

static const char *const fences_names[] = { "fenced", "unfenced" };

/* Waits a little without leaving the CPU, so that publish and sleep meet in all ways. */
static void loiter(void)
{
	uint32_t i, rounds = random_below(1u << random_below(10));

	for (i = 0; i < rounds; i++)
		ivr_pause();
}

/* Sends all its items in bursts, from one to more than the lane holds. */
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
		for (i = 0; i < count;) {
			int sent = ivr_send(own, parent, &items[i], count - i, soon());

			if (sent < 0)
				_exit(4);
			i += (unsigned int)sent;
		}
		number += count;
		loiter();
		/* If its wakeup is lost, nothing else wakes the receiver. */
		if (!random_below(4) && ivr_flush(own, parent, soon()))
			_exit(6);
	}
	if (ivr_flush(own, parent, soon()))
		_exit(5);
	ivr_close(own);
	_exit(0);
}

/* Sends each item when the one before it has been read, so the receiver is about to sleep. */
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

		if (ivr_lane_push(lane, &item) || ivr_lane_publish(lane))
			_exit(4);
		for (looks = 1; !ivr_lane_has_read(lane, (uint32_t)lane->staged); looks++) {
			ivr_pause();
			if (looks % 1024 == 0 && ivr_deadline_ms(0) > deadline)
				_exit(6);
		}
		loiter();
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
	/* As if there had been many, or few: that would not come about often enough. */
	if (received.fences == FENCED)
		self->receiver.state.handled = 0;
	else if (received.one_by_one || !random_below(32)) {
		/* Anew, also where the kernel went to sleep from it, of which the library does not know. */
		self->receiver.state.unfenced = false;
		ivr_state_handled(&self->receiver.state, UINT16_MAX);
	}
	if (all_received())
		ivr_stop(self);
}

/* Receives from some senders; @loop returns after ivr_stop(). */
static void receive_with(void (*loop)(void), uint32_t senders,
			 void (*send)(uint32_t id), enum fences fences)
{
	pid_t pids[SENDERS];
	uint32_t i;

	memset(&received, 0, sizeof(received));
	received.wanted = senders * items_each;
	received.one_by_one = senders == 1;
	received.fences = fences;
	largest_budget = 1000;
	create();
	/* As if there were many lanes: quiet soon, or never. */
	member->receiver.quiet.few = random_below(2) ? 0 : SENDERS;
	member->receiver.quiet.patience = 1u << random_below(11);
	ivr_set_polling(member, senders > 1 && !random_below(4) ? 20000 : 0);
	CHECK_EQ(ivr_on(member, PORT, on_item, NULL), 0);
	for (i = 0; i < senders; i++) {
		pids[i] = fork();
		if (!pids[i])
			send(i + 1);
	}
	loop();
	for (i = 0; i < senders; i++)
		reap(pids[i]);
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
