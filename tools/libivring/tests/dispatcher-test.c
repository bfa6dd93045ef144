// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The dispatcher, on the simulated device.
 */

#include <errno.h>

#define ENTRIES		64u

#include "fixture.h"

/* What the handlers saw, and what they should do. */
static struct {
	unsigned int items, others, members;
	uint64_t cookie;
	uint32_t state, consumer;
	uint64_t stop_at;	/* cookie of the item to stop at */
	int result;		/* result of a call that a handler made */
} seen;

static void on_item(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	CHECK(arg == &seen);
	seen.items++;
	seen.cookie = item->cookie;
	seen.state = device_area(0)->state;
	seen.consumer = device_area(0)->inbox_consumer;
	if (item->cookie == seen.stop_at)
		ivr_stop(self);
}

static void on_other(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	seen.others++;
}

static void on_members(struct ivr_member *self, const struct ivr_member_event *event, void *arg)
{
	CHECK(arg == &seen);
	seen.members++;
	seen.result = (int)seen.items;
}

/* Makes a member with a handler of port 7. */
static void set_up_handler(void)
{
	memset(&seen, 0, sizeof(seen));
	seen.stop_at = UINT64_MAX;
	set_up();
	CHECK_EQ(ivr_on(member, 7, on_item, &seen), 0);
}

static void send(uint32_t port, unsigned int count)
{
	struct ivring_item item = { .port = port };

	for (; item.cookie < count; item.cookie++)
		CHECK_EQ(ivr_send(other, ivr_self(member), &item, 1, 0), 1);
}

static void handlers_by_port(void)
{
	uint32_t port;

	set_up_handler();
	CHECK_EQ(ivr_on(member, IVR_PORT_RESERVED, on_item, &seen), -EINVAL);
	for (port = 20; port; port--)
		if (port != 7)
			CHECK_EQ(ivr_on(member, port, on_other, NULL), 0);
	send(7, 1);
	CHECK_EQ(ivr_dispatch(member, 100), 1);
	CHECK_EQ(seen.items, 1);
	CHECK_EQ(seen.others, 0);
	for (port = 1; port <= 20; port++)
		if (port != 7)
			send(port, 1);
	CHECK_EQ(ivr_dispatch(member, 100), 19);
	CHECK_EQ(seen.items, 1);
	CHECK_EQ(seen.others, 19);

	/* A new handler replaces the old one, and NULL removes it. */
	CHECK_EQ(ivr_on(member, 3, on_item, &seen), 0);
	send(3, 1);
	CHECK_EQ(ivr_dispatch(member, 100), 1);
	CHECK_EQ(seen.items, 2);
	CHECK_EQ(ivr_on(member, 3, NULL, NULL), 0);
	send(3, 1);
	CHECK_EQ(ivr_dispatch(member, 100), 1);
	CHECK_EQ(seen.items, 2);
	CHECK_EQ(seen.others, 19);
	close_all();
}

static void ports_without_handler(void)
{
	set_up_handler();
	send(8, 2);
	CHECK_EQ(ivr_dispatch(member, 100), 2);
	CHECK_EQ(seen.items, 0);
	ivr_on_other(member, on_other, NULL);
	send(8, 2);
	send(7, 1);
	CHECK_EQ(ivr_dispatch(member, 100), 3);
	CHECK_EQ(seen.others, 2);
	CHECK_EQ(seen.items, 1);
	close_all();
}

static void reserved_port_does_nothing(void)
{
	set_up_handler();
	ivr_on_other(member, on_other, NULL);
	send(IVR_PORT_RESERVED, 1);
	send(7, 1);
	CHECK_EQ(ivr_dispatch(member, 100), 2);
	CHECK_EQ(seen.others, 0);
	CHECK_EQ(seen.items, 1);
	close_all();
}

static void items_are_released_after_the_handlers(void)
{
	set_up_handler();
	send(7, ENTRIES);
	device_area(0)->state = IVRING_IDLE;
	CHECK_EQ(ivr_dispatch(member, 3), 3);
	CHECK_EQ(seen.consumer, 0);
	CHECK_EQ(seen.state, IVRING_BUSY);
	CHECK_EQ(device_area(0)->inbox_consumer, 3);
	CHECK_EQ(device_area(0)->state, IVRING_BUSY);
	/* The items are released in batches, so that senders do not wait for all of them. */
	CHECK_EQ(ivr_dispatch(member, 100), ENTRIES - 3);
	CHECK(seen.consumer > 3);
	CHECK_EQ(device_area(0)->inbox_consumer, ENTRIES);
	CHECK_EQ(ivr_dispatch(member, 100), 0);
	close_all();
}

static void stop_in_a_handler(void)
{
	set_up_handler();
	send(7, 10);
	seen.stop_at = 4;
	CHECK_EQ(ivr_dispatch(member, 100), 5);
	CHECK_EQ(device_area(0)->inbox_consumer, 5);
	CHECK_EQ(ivr_dispatch(member, 100), 5);
	CHECK_EQ(seen.cookie, 9);

	send(7, 10);
	CHECK_EQ(ivr_run(member), 0);
	CHECK_EQ(seen.cookie, 4);
	seen.stop_at = 9;
	CHECK_EQ(ivr_run(member), 0);
	CHECK_EQ(seen.cookie, 9);
	/* The handler's stop needed no item to wake the member. */
	CHECK_EQ(device_producer(0), 20);
	close_all();
}

static void stop_from_elsewhere(void)
{
	set_up_handler();
	device.asleep = stop_member;
	CHECK_EQ(ivr_run(member), 0);
	/* The stop comes between the last look at the flag and the sleep. */
	device.before_wait = stop_member;
	CHECK_EQ(ivr_run(member), 0);
	/* The stop comes before the run. */
	stop_member();
	CHECK_EQ(ivr_run(member), 0);
	/* These stops do not stop the next run. */
	seen.stop_at = 0;
	send(7, 1);
	CHECK_EQ(ivr_run(member), 0);
	CHECK_EQ(seen.items, 1);
	close_all();
}

static void fill_and_stop(void)
{
	send(7, ENTRIES);
	ivr_stop(member);
}

static void stop_with_a_full_inbox(void)
{
	set_up_handler();
	device.before_wait = fill_and_stop;
	CHECK_EQ(ivr_run(member), 0);
	CHECK_EQ(device_producer(0), ENTRIES);
	close_all();
}

static void send_the_last(void)
{
	send(7, 1);
}

static void run_sleeps_until_there_is_work(void)
{
	set_up_handler();
	seen.stop_at = 0;
	device.asleep = send_the_last;
	CHECK_EQ(ivr_run(member), 0);
	CHECK_EQ(seen.items, 1);
	close_all();
}

static void call_inside(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	CHECK_EQ(ivr_run(self), -EBUSY);
	CHECK_EQ(ivr_dispatch(self, 1), -EBUSY);
	seen.items++;
}

static void no_dispatch_in_a_handler(void)
{
	set_up_handler();
	ivr_on(member, 7, call_inside, NULL);
	send(7, 2);
	CHECK_EQ(ivr_dispatch(member, 100), 2);
	CHECK_EQ(seen.items, 2);
	close_all();
}

static void arm(void)
{
	struct ivring_item item;

	set_up_handler();
	CHECK_EQ(ivr_refresh_members(member), 1);
	CHECK_EQ(ivr_arm(member), 1);
	CHECK_EQ(device_area(0)->state, IVRING_IDLE);
	send(7, 1);
	CHECK_EQ(device_area(0)->state, IVRING_BUSY);
	CHECK_EQ(ivr_arm(member), 0);
	CHECK_EQ(device_area(0)->state, IVRING_BUSY);
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(ivr_consume(member, 1), 0);
	close_other();
	CHECK_EQ(ivr_arm(member), 0);
	CHECK_EQ(ivr_refresh_members(member), 1);
	CHECK_EQ(ivr_arm(member), 1);
	close_all();
}

static void armed_when_there_is_no_more(void)
{
	set_up_handler();
	send(7, 2);
	CHECK_EQ(ivr_dispatch(member, 1), 1);
	CHECK_EQ(device_area(0)->state, IVRING_BUSY);
	CHECK_EQ(ivr_dispatch(member, 2), 1);
	CHECK_EQ(device_area(0)->state, IVRING_IDLE);
	close_other();
	CHECK_EQ(device_area(0)->state, IVRING_BUSY);
	CHECK_EQ(ivr_dispatch(member, 1), 0);
	CHECK_EQ(member->members, member->region->members);
	CHECK_EQ(device_area(0)->state, IVRING_IDLE);
	close_all();
}

static void broken_inbox(void)
{
	set_up_handler();
	device_area(0)->inbox_consumer = ENTRIES + 1;
	/* Only the kernel can tell, so the error comes from the calls that would sleep. */
	CHECK_EQ(ivr_run(member), -EPROTO);
	CHECK_EQ(ivr_wait(member, 0, SOON), -EPROTO);
	CHECK_EQ(seen.items, 0);
	close_all();
}

static void notifies_waiting_senders(void)
{
	set_up_handler();
	send(7, ENTRIES);
	CHECK_EQ(ivr_dispatch(member, 1), 1);
	CHECK_EQ(device.rooms, 0);
	device_inbox(0)->room_wanted = 1;
	CHECK_EQ(ivr_dispatch(member, 1), 1);
	CHECK_EQ(device.rooms, 1);
	close_all();
}

static void event_after_the_last_item(void)
{
	set_up_handler();
	ivr_on_members(member, on_members, &seen);
	CHECK_EQ(ivr_dispatch(member, 100), 0);
	CHECK_EQ(seen.members, 1);
	send(7, 40);
	close_other();
	CHECK_EQ(ivr_dispatch(member, 20), 20);
	CHECK_EQ(seen.members, 1);
	CHECK(device_area(0)->members_seen != member->region->members);
	CHECK_EQ(ivr_dispatch(member, 100), 20);
	CHECK_EQ(seen.members, 2);
	CHECK_EQ(seen.result, 40);
	CHECK_EQ(device_area(0)->members_seen, member->region->members);
	close_all();
}

static void answer(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	struct ivring_item reply = { .port = 9, .cookie = 1 };

	seen.result = ivr_reply(self, item, &reply, 0);
}

static void reply_carries_the_cookie(void)
{
	struct ivring_item request = { .port = 5, .cookie = 77 }, reply;

	set_up_handler();
	ivr_on(member, 5, answer, NULL);
	CHECK_EQ(ivr_send(other, ivr_self(member), &request, 1, 0), 1);
	CHECK_EQ(ivr_dispatch(member, 100), 1);
	CHECK_EQ(seen.result, 0);
	CHECK_EQ(ivr_receive(other, &reply, 1), 1);
	CHECK_EQ((long long)reply.cookie, 77);
	CHECK_EQ(reply.port, 9);

	CHECK_EQ(ivr_send(other, ivr_self(member), &request, 1, 0), 1);
	close_other();
	CHECK_EQ(ivr_dispatch(member, 100), 1);
	CHECK_EQ(seen.result, -EPIPE);
	close_all();
}

int main(void)
{
	RUN(handlers_by_port);
	RUN(ports_without_handler);
	RUN(reserved_port_does_nothing);
	RUN(items_are_released_after_the_handlers);
	RUN(stop_in_a_handler);
	RUN(stop_from_elsewhere);
	RUN(stop_with_a_full_inbox);
	RUN(run_sleeps_until_there_is_work);
	RUN(no_dispatch_in_a_handler);
	RUN(arm);
	RUN(armed_when_there_is_no_more);
	RUN(broken_inbox);
	RUN(notifies_waiting_senders);
	RUN(event_after_the_last_item);
	RUN(reply_carries_the_cookie);
	return tap_end();
}
