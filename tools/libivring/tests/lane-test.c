// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Sending by a lane: opening it, pushing and notifying.
 */

#include <errno.h>

#include "fixture.h"

#define LANE	4u	/* entries */

static struct ivr_lane *lane;

static void set_up_lane(void)
{
	set_up();
	lane = open_lane_of(member, other, LANE);
}

static void set_state(uint32_t state)
{
	device_area(1)->state = state;
}

static int send_one(uint64_t deadline)
{
	struct ivring_item item = { .port = 1 };

	return ivr_send(member, ivr_self(other), &item, 1, deadline);
}

static void read_two_of_lane(void)
{
	read_items(other, 2);
}

static void opening(void)
{
	struct ivr_peer never = { 2, 1 };

	set_up();
	CHECK(!ivr_lane(member, ivr_self(other)));
	CHECK_EQ(ivr_open_lane(member, ivr_self(other), 3, 0), -EINVAL);
	CHECK_EQ(ivr_open_lane(member, ivr_self(other), 1, 0), -EINVAL);
	CHECK_EQ(ivr_open_lane(member, never, LANE, 0), -EINVAL);
	ivr_set_max_lane_entries(other, LANE / 2);
	CHECK_EQ(ivr_open_lane(member, ivr_self(other), LANE, 0), -ECONNREFUSED);
	ivr_set_max_lane_entries(other, LANE);
	device.lane_map_error = -ENOMEM;
	CHECK_EQ(ivr_open_lane(member, ivr_self(other), LANE, 0), -ENOMEM);
	CHECK(!ivr_lane(member, ivr_self(other)));
	replace_other();

	lane = open_lane_of(member, other, LANE);
	CHECK_EQ(ivr_open_lane(member, ivr_self(other), LANE, 0), -EBUSY);
	CHECK(ivr_lane(member, ivr_self(other)) == lane);
	CHECK_EQ(send_one(0), 1);
	close_all();
}

static void items_arrive_in_order(void)
{
	struct ivring_item items[3] = { 0 }, got[LANE];
	uint32_t i, round;

	set_up_lane();
	set_state(IVRING_BUSY);
	CHECK_EQ(lane_index(member, other, LANE), (uint32_t)-LANE);
	for (round = 0; round < 10; round++) {
		for (i = 0; i < 3; i++)
			items[i].cookie = 3 * round + i;
		device.calls = 0;
		CHECK_EQ(ivr_send(member, ivr_self(other), items, 3, 0), 3);
		CHECK_EQ(device.calls, 0);
		CHECK_EQ(ivr_receive(other, got, LANE), 3);
		for (i = 0; i < 3; i++) {
			CHECK_EQ((long long)got[i].cookie, 3 * round + i);
			CHECK_EQ(got[i].from, 0);
			CHECK_EQ(got[i].from_gen, 1);
		}
		CHECK_EQ(ivr_consume(other, 3), 0);
	}
	/* The indices have wrapped. */
	CHECK_EQ(lane_index(member, other, LANE), 30 - LANE);
	CHECK_EQ(lane_end(member, other)->consumer, 30 - LANE);
	CHECK_EQ((long long)ivr_lane_sent(lane), 30);
	CHECK_EQ(device.enqueues, 0);
	close_all();
}

/* Whether a doorbell has come since the last call. Makes the receiver idle. */
static bool was_rung(void)
{
	unsigned int doorbells = device.doorbells;

	device.doorbells = 0;
	set_state(IVRING_IDLE);
	return doorbells;
}

static void pushed_and_notified(void)
{
	struct ivring_item item = { .port = 1 };
	uint32_t i;

	set_up_lane();
	was_rung();
	for (i = 0; i < LANE; i++)
		CHECK_EQ(ivr_lane_push(lane, &item), 0);
	CHECK_EQ(ivr_lane_push(lane, &item), -EAGAIN);
	/* The receiver can read the items, but it is not woken for them yet. */
	CHECK(!was_rung());
	read_items(other, 1);
	set_state(IVRING_IDLE);
	CHECK_EQ(ivr_lane_notify(lane), 0);
	CHECK(was_rung());
	read_items(other, LANE - 1);
	/* Waiting, sending, flushing and closing also notify. */
	for (i = 0; i < LANE; i++)
		CHECK_EQ(ivr_lane_push(lane, &item), 0);
	was_rung();
	device.asleep = read_two_of_lane;
	CHECK_EQ(ivr_lane_wait(lane, SOON), 0);
	CHECK(was_rung());
	read_items(other, 2);
	CHECK_EQ(ivr_lane_push(lane, &item), 0);
	was_rung();
	CHECK_EQ(send_one(0), 1);
	CHECK(was_rung());
	read_items(other, 2);
	CHECK_EQ(ivr_lane_push(lane, &item), 0);
	was_rung();
	device.asleep = read_all_of_other;
	CHECK_EQ(ivr_flush(member, ivr_self(other), 0), -ETIMEDOUT);
	CHECK(was_rung());
	read_items(other, 1);
	CHECK_EQ(ivr_flush(member, ivr_self(other), 0), 0);
	CHECK_EQ(ivr_lane_push(lane, &item), 0);
	was_rung();
	ivr_close(member);
	member = NULL;
	CHECK(was_rung());
	close_all();
}

static void notify_without_a_push(void)
{
	struct ivring_item item = { .port = 1 };

	set_up_lane();
	was_rung();
	CHECK_EQ(ivr_lane_notify(lane), 0);
	CHECK(!was_rung());
	CHECK_EQ(ivr_lane_push(lane, &item), 0);
	CHECK_EQ(ivr_lane_notify(lane), 0);
	CHECK(was_rung());
	CHECK_EQ(ivr_lane_notify(lane), 0);
	CHECK(!was_rung());
	close_all();
}

/* An ended lane reports its error in every state of the receiver. */
static void notify_after_the_end(void)
{
	set_up_lane();
	send_items(member, other, 0, LANE);
	lane_end(member, other)->consumer = 1;
	CHECK_EQ(ivr_lane_refresh(lane), -EPROTO);
	device_area(other->self.id)->state = IVRING_BUSY_UNFENCED;
	CHECK_EQ(ivr_lane_notify(lane), -EPROTO);
	CHECK_EQ(ivr_lane_notify(lane), -EPROTO);
	close_all();
}

/*
 * Every byte of an item arrives except its sequence, which is the index of the item in the
 * lane.
 */
static void whole_item_is_copied(void)
{
	struct ivring_item sent, got;

	set_up_lane();
	memset(&sent, 0xa5, sizeof(sent));
	sent.flags = IVRING_ITEM_REPLY;
	sent.inline_len = IVRING_INLINE_BYTES;
	sent.offset = 16;
	sent.length = OUTBOX - 16;
	CHECK_EQ(ivr_lane_push(lane, &sent), 0);
	CHECK_EQ(lane_area(member, other)->item[0].sequence, (uint32_t)-LANE);
	CHECK_EQ(ivr_receive(other, &got, 1), 1);
	sent.sequence = 0;
	sent.from = (uint16_t)ivr_self(member).id;
	sent.from_gen = ivr_self(member).generation;
	CHECK(!memcmp(&sent, &got, sizeof(sent)));
	close_all();
}

static void bad_items_are_not_sent(void)
{
	static const struct ivring_item bad[] = {
		{ .sequence = 1 }, { .from = 1 }, { .from_gen = 1 }, { .flags = IVRING_ITEM_FLAGS + 1 },
		{ .offset = 1 },
		{ .inline_len = IVRING_INLINE_BYTES + 1 }, { .length = 1 },
		{ .offset = OUTBOX, .length = 1 },
	};
	struct ivring_item item = { .flags = IVRING_ITEM_REPLY };
	unsigned int i;

	set_up_lane();
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_EQ(ivr_send(member, ivr_self(other), &bad[i], 1, 0), -EINVAL);
	CHECK_EQ(ivr_send(member, ivr_self(other), &item, 1, 0), 1);
	CHECK_EQ((long long)ivr_lane_sent(lane), 1);
	close_all();
}

static void rings_in_the_right_states(void)
{
	static const struct {
		uint32_t state;
		unsigned int rings;
	} states[] = {
		{ IVRING_BUSY, 0 }, { IVRING_BUSY_UNFENCED, 0 }, { IVRING_IDLE, 1 },
		{ 77, 0 }, { IVRING_GONE, 1 },
	};
	unsigned int i;

	set_up_lane();
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		device.doorbells = 0;
		set_state(states[i].state);
		CHECK_EQ(send_one(0), 1);
		CHECK_EQ(device.doorbells, states[i].rings);
		read_items(other, 1);
	}
	CHECK_EQ((long long)lane->rung, 1);
	close_all();
}

static void rings_for_several_items(void)
{
	unsigned int i;

	set_up();
	lane = open_lane_of(member, other, 8);
	ivr_set_wake(other, 4, 1000);
	set_state(IVRING_IDLE);
	for (i = 1; i < 4; i++) {
		CHECK_EQ(send_one(0), 1);
		CHECK_EQ(device_area(1)->state, IVRING_DELAYED);
		CHECK_EQ(device.doorbells, 1);
	}
	CHECK_EQ(send_one(0), 1);
	CHECK_EQ(device_area(1)->state, IVRING_BUSY);
	CHECK_EQ(device.doorbells, 2);
	CHECK_EQ((long long)lane->doorbells, 2);
	CHECK_EQ((long long)lane->rung, 1);
	close_all();
}

/* A full lane wakes the receiver, because no more items can come. */
static void rings_when_it_is_full(void)
{
	set_up();
	lane = open_lane_of(member, other, 2);
	ivr_set_wake(other, 8, 1000);
	set_state(IVRING_IDLE);
	CHECK_EQ(send_one(0), 1);
	CHECK_EQ(device_area(1)->state, IVRING_DELAYED);
	CHECK_EQ(send_one(0), 1);
	CHECK_EQ(device_area(1)->state, IVRING_BUSY);
	close_all();
}

static void full(void)
{
	struct ivring_item items[LANE + 2] = { 0 };

	set_up_lane();
	CHECK_EQ(ivr_send(member, ivr_self(other), items, LANE + 2, 0), LANE);
	CHECK_EQ(send_one(0), -EAGAIN);
	CHECK_EQ(send_one(SOON), -ETIMEDOUT);
	/* The sender asks to be woken when half of the lane has been read. */
	CHECK_EQ(lane_area(member, other)->room_at, (uint32_t)-LANE + LANE / 2);
	device.asleep = read_two_of_lane;
	CHECK_EQ(ivr_send(member, ivr_self(other), items, LANE, SOON), LANE / 2);
	CHECK_EQ(device.rooms, 1);
	CHECK_EQ(ivr_lane_wait(lane, 0), -EAGAIN);
	/* It has waited again for the rest. */
	CHECK_EQ((long long)lane->waits, 3);
	device.asleep = read_two_of_lane;
	CHECK_EQ(ivr_lane_wait(lane, SOON), 0);
	CHECK_EQ(device.enqueues, 0);
	close_all();
}

static void read_one_of_lane(void)
{
	read_items(other, 1);
}

/* After a short sleep, a sender polls before it sleeps again. */
static void polls_for_room(void)
{
	unsigned int calls;

	set_up();
	device.tick = 100;
	ivr_set_polling(member, 200000);
	lane = open_lane_of(member, other, 2);
	send_items(member, other, 0, 2);
	device.asleep = read_one_of_lane;
	device.nap = 20000;
	CHECK_EQ(send_one(IVRING_DEADLINE_NEVER), 1);
	/* The window is twice the length of the wait: the nap and two readings of the clock. */
	CHECK_EQ((long long)member->room_polling.window, 40200);

	calls = device.calls;
	device.alarm_at = device.now + 5000;
	device.alarm = read_one_of_lane;
	CHECK_EQ(send_one(IVRING_DEADLINE_NEVER), 1);
	/* The sender's polling does not depend on that of the receiver. */
	CHECK_EQ(device.calls, calls);
	CHECK_EQ((long long)member->room_polling.window, 40200);

	device.nap = 300000;
	device.asleep = read_one_of_lane;
	CHECK_EQ(send_one(IVRING_DEADLINE_NEVER), 1);
	CHECK_EQ((long long)member->room_polling.window, 20100);
	close_all();
}

static void check_broken(int error)
{
	struct ivring_item item = { 0 };
	unsigned int calls;

	CHECK_EQ(ivr_lane_push(lane, &item), error);
	calls = device.calls;
	CHECK_EQ(ivr_lane_push(lane, &item), error);
	set_state(IVRING_IDLE);
	CHECK_EQ(ivr_lane_notify(lane), error);
	CHECK_EQ(ivr_lane_wait(lane, SOON), error);
	CHECK_EQ(device.calls, calls);
}

static void consumer_index_beyond_all_items(void)
{
	set_up_lane();
	send_items(member, other, 0, LANE);
	lane_end(member, other)->consumer = 1;
	check_broken(-EPROTO);
	lane_end(member, other)->consumer = 0;
	CHECK_EQ(send_one(0), -EPROTO);
	close_all();
}

/* The receiver can read an item before it is notified of the item, but not before it is pushed. */
static void consumer_index_of_pushed_items(void)
{
	struct ivring_item item = { 0 };

	set_up_lane();
	send_items(member, other, 0, LANE - 1);
	CHECK_EQ(ivr_lane_push(lane, &item), 0);
	lane_end(member, other)->consumer = 0;
	CHECK_EQ(ivr_lane_push(lane, &item), 0);
	lane_end(member, other)->consumer = 2;
	CHECK_EQ(ivr_lane_refresh(lane), -EPROTO);
	check_broken(-EPROTO);
	close_all();
}

static void consumer_index_goes_back(void)
{
	set_up_lane();
	send_items(member, other, 0, LANE);
	read_items(other, 2);
	send_items(member, other, 0, 2);
	lane_end(member, other)->consumer--;
	check_broken(-EPROTO);
	close_all();
}

static void consumer_index_goes_back_during_a_wait(void)
{
	set_up_lane();
	send_items(member, other, 0, LANE);
	device.flush_lies = true;
	CHECK_EQ(send_one(SOON), -EPROTO);
	check_broken(-EPROTO);
	close_all();
}

static void receiver_that_leaves(void)
{
	struct ivr_peer old;

	set_up_lane();
	old = ivr_self(other);
	CHECK_EQ(send_one(0), 1);
	close_other();
	CHECK_EQ(ivr_send(member, old, &(struct ivring_item){ 0 }, 1, 0), -EPIPE);
	check_broken(-EPIPE);
	other = join(1);
	CHECK_EQ(send_one(0), 1);
	CHECK_EQ(device.enqueues, 1);
	close_all();

	set_up_lane();
	replace_other();
	CHECK_EQ(ivr_lane_push(lane, &(struct ivring_item){ 0 }), 0);
	CHECK_EQ(ivr_lane_notify(lane), -ESTALE);
	check_broken(-ESTALE);
	close_all();
}

static void receiver_leaves_while_the_sender_waits(void)
{
	struct ivr_peer old;

	set_up_lane();
	old = ivr_self(other);
	send_items(member, other, 0, LANE);
	device.asleep = close_other;
	CHECK_EQ(send_one(SOON), -EPIPE);
	CHECK_EQ(ivr_flush(member, old, SOON), -EPIPE);
	other = join(1);
	lane = open_lane_of(member, other, LANE);
	send_items(member, other, 0, LANE);
	device.asleep = replace_other;
	CHECK_EQ(send_one(SOON), -ESTALE);
	close_all();
}

static void read_one_and_leave(void)
{
	read_items(other, 1);
	close_other();
}

static void receiver_that_reads_all_and_leaves(void)
{
	struct ivr_peer old;

	set_up_lane();
	old = ivr_self(other);
	send_items(member, other, 0, 1);
	device.asleep = read_one_and_leave;
	CHECK_EQ(ivr_flush(member, old, SOON), 0);
	CHECK_EQ(ivr_flush(member, old, SOON), 0);
	close_all();
}

static void close_lane_of_other(void)
{
	CHECK_EQ(ivr_close_lane(other, ivr_self(member)), 0);
}

static void closed_by_the_receiver(void)
{
	struct ivr_lane *first;

	set_up_lane();
	first = lane;
	send_items(member, other, 0, LANE);
	close_lane_of_other();
	check_broken(-ECONNRESET);
	/* The error is reported once. After that, items go to the inbox. */
	CHECK_EQ(send_one(0), -ECONNRESET);
	CHECK_EQ(device.enqueues, 0);
	CHECK_EQ(send_one(0), 1);
	CHECK_EQ(device.enqueues, 1);
	CHECK_EQ(ivr_flush(member, ivr_self(other), 0), -ETIMEDOUT);
	read_items(other, 1);
	CHECK_EQ(ivr_flush(member, ivr_self(other), 0), 0);

	lane = open_lane_of(member, other, 2 * LANE);
	CHECK(lane == first);
	CHECK_EQ((long long)ivr_lane_sent(lane), 0);
	send_items(member, other, 0, 2 * LANE - 1);
	device.doorbells = 0;
	set_state(IVRING_IDLE);
	close_lane_of_other();
	CHECK_EQ(send_one(0), -ECONNRESET);
	CHECK_EQ(device.doorbells, 1);
	close_all();
}

static void closed_while_the_sender_waits(void)
{
	set_up_lane();
	send_items(member, other, 0, LANE);
	device.asleep = close_lane_of_other;
	CHECK_EQ(send_one(SOON), -ECONNRESET);
	CHECK_EQ(send_one(0), 1);

	lane = open_lane_of(member, other, LANE);
	send_items(member, other, 0, 1);
	read_items(other, 1);
	device.asleep = close_lane_of_other;
	CHECK_EQ(ivr_flush(member, ivr_self(other), SOON), -ECONNRESET);
	CHECK_EQ(ivr_flush(member, ivr_self(other), SOON), 0);
	close_all();
}

static void lane_to_oneself(void)
{
	set_up();
	lane = open_lane_of(member, member, LANE);
	send_items(member, member, 0, 3);
	read_items(member, 3);
	CHECK_EQ(ivr_flush(member, ivr_self(member), 0), 0);
	CHECK_EQ(device.enqueues, 0);
	close_all();
}

static void departed_peer_is_kept_until_an_error(void)
{
	struct ivring_item item = { 0 };
	unsigned int maps;

	set_up_lane();
	join_third();
	maps = device.maps;
	close_other();
	/* A new peer is mapped. That drops no peer to which the caller has a lane. */
	CHECK_EQ(ivr_send(member, ivr_self(third), &item, 1, 0), 1);
	CHECK_EQ(device.maps, maps - 4 + 1);
	CHECK_EQ(ivr_lane_push(lane, &item), 0);
	CHECK_EQ(ivr_lane_notify(lane), -EPIPE);
	ivr_close(third);
	join_third();
	CHECK_EQ(ivr_send(member, ivr_self(third), &item, 1, 0), 1);
	CHECK_EQ(device.maps, maps - 4 + 1 - 2);
	close_all();
}

int main(void)
{
	RUN(opening);
	RUN(items_arrive_in_order);
	RUN(pushed_and_notified);
	RUN(notify_without_a_push);
	RUN(notify_after_the_end);
	RUN(whole_item_is_copied);
	RUN(bad_items_are_not_sent);
	RUN(rings_in_the_right_states);
	RUN(rings_for_several_items);
	RUN(rings_when_it_is_full);
	RUN(full);
	RUN(polls_for_room);
	RUN(consumer_index_beyond_all_items);
	RUN(consumer_index_of_pushed_items);
	RUN(consumer_index_goes_back);
	RUN(consumer_index_goes_back_during_a_wait);
	RUN(receiver_that_leaves);
	RUN(receiver_leaves_while_the_sender_waits);
	RUN(receiver_that_reads_all_and_leaves);
	RUN(closed_by_the_receiver);
	RUN(closed_while_the_sender_waits);
	RUN(lane_to_oneself);
	RUN(departed_peer_is_kept_until_an_error);
	return tap_end();
}
