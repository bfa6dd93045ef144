// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The receiver of an inbox and of lanes, compared with a model that counts, for each sender, the
 * items that were sent and received. Lanes are opened, closed and broken at any time.
 *
 *	lanes-model-test [SEED]
 */

#include <errno.h>

#include "random.h"
#include "fixture.h"

#define EPISODES	400u
#define STEPS		400u
#define RINGS		3u	/* the inbox, and the lanes of two others */

/* The model of each ring. Items carry their numbers. */
static struct {
	uint64_t sent, received;
	uint32_t entries;	/* 0 if there is no lane */
} model[RINGS];

/* The ring from which items were copied last, and how many of them have not been consumed. */
static struct {
	uint32_t ring, left;
} handed;

static uint32_t cheats, jams;

static struct ivr_member *sender_of(uint32_t which)
{
	return which ? which == 1 ? other : third : member;
}

static void on_lane(struct ivr_member *self, struct ivr_peer from, enum ivr_lane_event event,
		    void *arg)
{
	if (event == IVR_LANE_OPENED)
		return;
	CHECK_EQ(event, IVR_LANE_BAD_ITEM);
	CHECK(from.id == 1 || from.id == 2);
	cheats++;
}

static void forget(uint32_t which)
{
	model[which].entries = 0;
	if (handed.ring == which)
		handed.left = 0;
}

static void send_some(void)
{
	struct ivring_item item = { .port = 1 };
	uint32_t which = random_below(RINGS), count = 1 + random_below(12), room;

	if (!model[which].entries)
		return;
	room = model[which].entries - (uint32_t)(model[which].sent - model[which].received);
	for (; count; count--, room--) {
		item.cookie = model[which].sent;
		CHECK_EQ(ivr_send(sender_of(which), ivr_self(member), &item, 1, 0),
			 room ? 1 : -EAGAIN);
		if (!room)
			return;
		model[which].sent++;
	}
}

static void receive(void)
{
	struct ivring_item items[40];
	uint32_t count = 1 + random_below(ARRAY_SIZE(items)), which, i;
	uint64_t held = 0;
	int ret = ivr_receive(member, items, count);

	CHECK(ret >= 0);
	if (ret <= 0) {
		for (which = 0; which < RINGS; which++)
			held += model[which].entries ? model[which].sent - model[which].received : 0;
		CHECK_EQ((long long)held, 0);
		return;
	}
	which = items[0].from;
	/* Items that have not been consumed come first. */
	if (handed.left)
		CHECK_EQ(which, handed.ring);
	held = model[which].sent - model[which].received;
	CHECK(model[which].entries);
	CHECK_EQ(ret, (int)(count < held ? count : held));
	for (i = 0; i < (uint32_t)ret; i++) {
		CHECK_EQ(items[i].from, which);
		CHECK_EQ((long long)items[i].cookie, model[which].received + i);
	}
	if (!handed.left || handed.left < (uint32_t)ret)
		handed.left = (uint32_t)ret;
	handed.ring = which;
}

static void consume(void)
{
	uint32_t count = random_below(handed.left + 3);

	if (count > handed.left) {
		CHECK_EQ(ivr_consume(member, count), -EINVAL);
		return;
	}
	CHECK_EQ(ivr_consume(member, count), 0);
	model[handed.ring].received += count;
	handed.left -= count;
}

static void open_lane(void)
{
	uint32_t which = 1 + random_below(RINGS - 1), entries = 2u << random_below(5);
	int expected = model[which].entries ? -EBUSY : 0;

	CHECK_EQ(ivr_open_lane(sender_of(which), ivr_self(member), entries, 0), expected);
	if (expected)
		return;
	model[which].entries = entries;
	model[which].sent = model[which].received = 0;
}

static void close_lane(void)
{
	uint32_t which = 1 + random_below(RINGS - 1);
	int expected = model[which].entries ? 0 : -ENOENT;
	struct ivr_peer from = ivr_self(sender_of(which));

	/* A later member of the slot has no lane. */
	from.generation += 2 * random_below(2);
	if (from.generation != ivr_self(sender_of(which)).generation)
		expected = -ENOENT;
	CHECK_EQ(ivr_close_lane(member, from), expected);
	if (!expected)
		forget(which);
}

static void replace(uint32_t which, struct ivr_member **sender)
{
	ivr_close(*sender);
	*sender = join(which);
	/* The items in its lane could still be received. This test closes the lane instead. */
	if (model[which].entries) {
		struct ivr_peer old = ivr_self(*sender);

		old.generation -= 2;
		CHECK_EQ(ivr_open_lane(*sender, ivr_self(member), 2, 0), -EBUSY);
		CHECK_EQ(ivr_close_lane(member, ivr_self(*sender)), -ENOENT);
		CHECK_EQ(ivr_close_lane(member, old), 0);
		forget(which);
	}
}

static void leave(void)
{
	if (random_below(4))
		return;
	if (random_below(2))
		replace(1, &other);
	else
		replace(2, &third);
}

/*
 * A bad item comes into one lane. The items before it are received, and the other rings must not be
 * affected.
 */
static void cheat(void)
{
	const struct ivring_item bad = { .flags = 0x80 };
	uint32_t which = 1 + random_below(RINGS - 1);
	uint32_t had = cheats, tries;
	struct ivr_lane *lane;

	if (!model[which].entries || random_below(4))
		return;
	lane = ivr_lane(sender_of(which), ivr_self(member));
	if (ivr_lane_push(lane, &bad))
		return;
	/* The doorbell makes the receiver look at the lane if it is quiet. */
	CHECK_EQ(ivr_lane_notify(lane), 0);
	for (tries = 0; tries < 3 * STEPS && cheats == had && tap_good; tries++) {
		struct ivring_item item;
		int ret = ivr_receive(member, &item, 1);

		CHECK(ret >= 0);
		if (ret != 1)
			continue;
		CHECK_EQ((long long)item.cookie, model[item.from].received);
		CHECK_EQ(ivr_consume(member, 1), 0);
		model[item.from].received++;
	}
	CHECK_EQ(cheats, had + 1);
	CHECK_EQ((long long)model[which].received, model[which].sent);
	handed.left = 0;
	forget(which);
}

/*
 * The sequences of all items of one lane become wrong. The receiver has found some of the items
 * before. The other items of this lane are lost, and the other rings must not be affected.
 */
static void jam(void)
{
	uint32_t which = 1 + random_below(RINGS - 1), i, tries, entries = model[which].entries;
	struct ivring_ring_area *ring;
	struct ivring_item item;

	if (!entries || random_below(4))
		return;
	ring = lane_area(sender_of(which), member);
	for (i = 0; i < entries; i++)
		ring->item[i].sequence += entries * (2 + random_below(3));
	for (tries = 0; tries < 3 * STEPS && ivr_receive(member, &item, 1) == 1; tries++) {
		CHECK_EQ((long long)item.cookie, model[item.from].received);
		CHECK_EQ(ivr_consume(member, 1), 0);
		model[item.from].received++;
	}
	for (i = 0; i < RINGS; i++)
		if (i != which && model[i].entries)
			CHECK_EQ((long long)model[i].received, model[i].sent);
	CHECK(model[which].received <= model[which].sent);
	CHECK_EQ(ivr_close_lane(member, ivr_self(sender_of(which))), 0);
	handed.left = 0;
	forget(which);
	jams++;
}

static void as_in_the_model(void)
{
	static void (*const steps[])(void) = {
		send_some, send_some, send_some, receive, receive, consume,
		consume, open_lane, open_lane, close_lane, leave, cheat, jam,
	};
	uint64_t items = 0;
	uint32_t i, left;

	cheats = jams = 0;
	for (i = 0; i < EPISODES && tap_good; i++) {
		memset(&model, 0, sizeof(model));
		memset(&handed, 0, sizeof(handed));
		set_up_at(0u - random_below(2 * STEPS));
		join_third();
		model[0].entries = ENTRIES;
		member->receiver.quiet.few = random_below(3);
		member->receiver.quiet.patience = 1u << random_below(8);
		ivr_on_lane(member, on_lane, NULL);
		for (left = random_below(STEPS); left && tap_good; left--)
			steps[random_below(ARRAY_SIZE(steps))]();
		items += model[0].received;
		close_all();
	}
	printf("# %" PRIu64 " items by inboxes, %u cheats, %u jams\n", items, cheats, jams);
	CHECK(items > EPISODES && cheats > EPISODES / 4 && jams > EPISODES / 4);
}

int main(int argc, char **argv)
{
	take_seed(argc, argv);
	RUN(as_in_the_model);
	return tap_end();
}
