// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The reasons of ivr_why(): sending, lanes and payload.
 */

#include "fails.h"

static int send_item(struct ivring_item item)
{
	return ivr_send(member, ivr_self(other), &item, 1, 0);
}

static int send_to(uint32_t id, uint32_t generation)
{
	struct ivring_item item = { 0 };

	return ivr_send(member, (struct ivr_peer){ id, generation }, &item, 1, 0);
}

static void sending(void)
{
	struct ivr_peer old;

	set_up();
	old = ivr_self(other);
	FAILS(ivr_send(member, old, NULL, 0, 0), -EINVAL, "number of items");
	FAILS(send_item((struct ivring_item){ .from = 1 }), -EINVAL, "from");
	FAILS(send_item((struct ivring_item){ .flags = 0x80 }), -EINVAL, "unknown flag");
	FAILS(send_item((struct ivring_item){ .inline_len = 33 }), -EINVAL, "inline_len");
	FAILS(send_item((struct ivring_item){ .offset = 1 }), -EINVAL, "offset");
	FAILS(send_item((struct ivring_item){ .length = 1 }), -EINVAL, "one block");
	FAILS(send_to(4, 1), -EINVAL, "no slot");
	FAILS(send_to(1, 2), -EINVAL, "odd");
	FAILS(send_to(1, 3), -EINVAL, "generation yet");
	FAILS(send_to(2, 1), -EINVAL, "generation yet");
	fail_next(IVRING_IOC_ENQUEUE, -EINTR);
	FAILS(send_to(1, 1), -EINTR, "signal");
	fail_next(IVRING_IOC_ENQUEUE, -EINVAL);
	FAILS(send_to(1, 1), -EINVAL, "item");
	send_items(member, member, 0, ENTRIES);
	FAILS(ivr_send(member, ivr_self(member), &(struct ivring_item){ 0 }, 1, SOON), -EDEADLK,
	      "only the sender itself");
	FAILS(ivr_flush(member, ivr_self(member), SOON), -EDEADLK, "itself has to read");
	send_items(member, other, 0, ENTRIES);
	FAILS(send_to(1, 1), -EAGAIN, "inbox is full");
	FAILS(ivr_send_or_watch(member, old, &(struct ivring_item){ 0 }, 1), -EAGAIN, "watched");
	fail_next(IVRING_IOC_ENQUEUE, -ENOMEM);
	FAILS(ivr_send_or_watch(member, old, &(struct ivring_item){ 0 }, 1), -ENOMEM,
	      "watch the inbox");
	FAILS(ivr_flush(member, old, 0), -ETIMEDOUT, "read");
	FAILS(ivr_send(member, old, &(struct ivring_item){ 0 }, 1, SOON), -ETIMEDOUT, "inbox was full");
	fail_next(IVRING_IOC_FLUSH, -EPROTO);
	FAILS(ivr_flush(member, old, 0), -EPROTO, "broken");
	fail_next(IVRING_IOC_FLUSH, -EPIPE);
	FAILS(ivr_flush(member, old, 0), -EPIPE, "left");
	device_area(1)->inbox_consumer = 77;
	FAILS(send_to(1, 1), -EPROTO, "inbox by a bad");
	close_other();
	FAILS(send_to(1, 1), -EPIPE, "free");
	other = join(1);
	FAILS(send_to(1, 1), -ESTALE, "another member");
	FAILS(ivr_flush(member, (struct ivr_peer){ 4, 1 }, 0), -EINVAL, "no slot");
	close_all();
}

static void using_lanes(void)
{
	struct ivring_item item = { 0 };
	struct ivr_lane *lane;
	struct ivr_peer to;
	int i;

	set_up();
	to = ivr_self(other);
	forget_why();
	CHECK(!ivr_lane(member, to));
	check_why(__LINE__, "No lane");
	FAILS(ivr_open_lane(member, to, 3, 0), -EINVAL, "power of two");
	FAILS(ivr_open_lane(member, (struct ivr_peer){ 4, 1 }, 2, 0), -EINVAL, "no slot");
	ivr_set_max_lane_entries(other, 4);
	FAILS(ivr_open_lane(member, to, 8, 0), -ECONNREFUSED, "of that size");
	ivr_set_max_lane_entries(other, 0);
	FAILS(ivr_open_lane(member, to, 8, 0), -ECONNREFUSED, "no lanes");
	ivr_set_max_lane_entries(other, 8);
	device.lane_map_error = -ENOMEM;
	FAILS(ivr_open_lane(member, to, 8, 0), -ENOMEM, "memory");
	CHECK_EQ(ivr_close_lane(other, ivr_self(member)), 0);
	lane = open_lane_of(member, other, 2);
	FAILS(ivr_open_lane(member, to, 2, 0), -EBUSY, "already has a lane to that member");
	for (i = 0; i < 2; i++)
		CHECK_EQ(ivr_lane_push(lane, &item), 0);
	FAILS(ivr_lane_push(lane, &item), -EAGAIN, "lane is full");
	FAILS(ivr_lane_wait(lane, 0), -EAGAIN, "lane is full");
	FAILS(ivr_lane_wait(lane, SOON), -ETIMEDOUT, "deadline");
	FAILS(ivr_send(member, to, &item, 1, 0), -EAGAIN, "lane is full");
	FAILS(ivr_flush(member, to, 0), -ETIMEDOUT, "read");
	FAILS(ivr_close_lane(other, (struct ivr_peer){ 4, 1 }), -EINVAL, "no slot");
	FAILS(ivr_close_lane(other, (struct ivr_peer){ 2, 1 }), -ENOENT, "no lane from");
	CHECK_EQ(ivr_close_lane(other, ivr_self(member)), 0);
	FAILS(ivr_lane_push(lane, &item), -ECONNRESET, "closed");
	FAILS(ivr_lane_notify(lane), -ECONNRESET, "closed");
	FAILS(ivr_flush(member, to, 0), -ECONNRESET, "before it had read");
	close_all();

	set_up();
	lane = open_lane_of(member, other, 2);
	for (i = 0; i < 2; i++)
		CHECK_EQ(ivr_lane_push(lane, &item), 0);
	lane_end(member, other)->consumer = 77;
	FAILS(ivr_lane_push(lane, &item), -EPROTO, "consumer index");
	FAILS(ivr_lane_notify(lane), -EPROTO, "consumer index");
	close_all();

	set_up();
	lane = open_lane_of(member, other, 2);
	close_other();
	CHECK_EQ(ivr_lane_push(lane, &item), 0);
	FAILS(ivr_lane_notify(lane), -EPIPE, "left");
	close_all();

	/* The receiver still reads the lane of an earlier member of the slot. */
	set_up();
	open_lane_of(other, member, 2);
	CHECK_EQ(ivr_dispatch(member, 1), 0);
	send_items(other, member, 0, 1);
	replace_other();
	FAILS(ivr_open_lane(other, ivr_self(member), 2, 0), -EBUSY, "earlier member of this slot");
	FAILS(ivr_open_lane(other, ivr_self(member), 2, SOON), -ETIMEDOUT, "earlier member of this slot");
	close_all();
}

static void using_payload(void)
{
	struct ivring_item item = { 0 };
	char buffer[40] = "";
	void *data, *rest;
	const void *found;

	set_up();
	FAILS(ivr_alloc(member, 0, 0, &data), -EINVAL, "at least one byte");
	FAILS(ivr_alloc(member, OUTBOX + 1, 0, &data), -EMSGSIZE, "larger than the outbox");
	CHECK_EQ(ivr_alloc(member, 64, 0, &data), 0);
	CHECK_EQ(ivr_alloc(member, OUTBOX - 64, 0, &rest), 0);
	FAILS(ivr_alloc(member, 64, 0, &rest), -EAGAIN, "deadline is zero");
	FAILS(ivr_alloc(member, 64, SOON, &rest), -EDEADLK, "only this member");
	FAILS(ivr_set_payload(member, &item, buffer, 1), -EINVAL, "one block");
	FAILS(ivr_set_payload(member, &item, data, 65), -EINVAL, "one block");
	CHECK_EQ(ivr_set_payload(member, &item, data, 64), 0);
	CHECK_EQ(ivr_send(member, ivr_self(other), &item, 1, 0), 1);
	FAILS(ivr_free(member, data), -EINVAL, "has been sent");
	FAILS(ivr_free(member, buffer), -EINVAL, "No block");
	FAILS(ivr_alloc(member, 64, SOON, &rest), -ETIMEDOUT, "deadline");
	device.flush_error = -EINTR;
	FAILS(ivr_alloc(member, 64, SOON, &rest), -EINTR, "signal");
	device.flush_error = 0;

	CHECK_EQ(ivr_receive(other, &item, 1), 1);
	FAILS(ivr_copy_payload(other, &item, buffer, 10), -EMSGSIZE, "larger than the buffer");
	item.offset = OUTBOX;
	FAILS(ivr_payload(other, &item, &found), -EPROTO, "outside");
	item = (struct ivring_item){ .from = 2, .from_gen = 1, .length = 1 };
	FAILS(ivr_payload(other, &item, &found), -EINVAL, "generation yet");
	join_third();
	ivr_close(third);
	third = NULL;
	FAILS(ivr_payload(other, &item, &found), -EPIPE, "consumed");
	FAILS(ivr_set_inline(&item, buffer, 33), -EMSGSIZE, "INLINE");
	forget_why();
	check_why(__LINE__, "bytes");
	close_all();
}

int main(void)
{
	RUN(sending);
	RUN(using_lanes);
	RUN(using_payload);
	return tap_end();
}
