// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * What handlers may do: the list of ivring/dispatcher.h, for each kind of handler and each
 * function that calls it.
 */

#include <errno.h>

#include "region.h"

#define ASK	5u	/* port */

static unsigned int runs, replies;
static struct ivring *elsewhere;

static void check_refused(int ret)
{
	CHECK_EQ(ret, -EBUSY);
	CHECK(strstr(ivring_why(), "handler"));
}

static void on_reply(struct ivring *self, int status, const struct ivring_item *reply, void *arg)
{
	(void)self;
	(void)status;
	(void)reply;
	(void)arg;
	replies++;
}

static void refuse_all(struct ivring *self)
{
	struct ivring_item item = { .port = ASK }, got;
	struct ivring_change change;
	uint32_t state = device_area(0)->state;
	unsigned int calls = device.calls;

	check_refused(ivring_run(self));
	check_refused(ivring_dispatch(self, 1));
	check_refused(ivring_call(self, ivring_self(other), &item, SOON, on_reply, NULL));
	check_refused(ivring_receive(self, &got, 1));
	check_refused(ivring_consume(self, 0));
	check_refused(ivring_wait(self, 0, SOON));
	check_refused(ivring_arm(self));
	check_refused(ivring_members(self));
	check_refused(ivring_next_change(self, &change));
	check_refused(ivring_close(self));
	CHECK_EQ(device.calls, calls);
	CHECK_EQ(device_area(0)->state, state);
}

static void on_item(struct ivring *self, const struct ivring_item *item, void *arg);
static void on_members(struct ivring *self, const struct ivring_change *change, void *arg);
static void on_lane(struct ivring *self, struct ivring_peer from, enum ivring_lane_event event,
		    void *arg);

static void do_all_that_is_allowed(struct ivring *self)
{
	struct ivring_item item = { .port = ASK }, to_self = { .port = IVRING_PORT_RESERVED };
	struct ivring_peer to = ivring_self(third), peer;
	struct ivring_lane *lane;
	uint64_t id;
	void *data;
	int result;

	CHECK_EQ(ivring_alloc(self, 64, SOON, &data), 0);
	CHECK_EQ(ivring_set_payload(self, &item, data, 64), 0);
	CHECK_EQ(ivring_send(self, to, &item, 1, 0), 1);
	item.length = item.offset = 0;
	CHECK_EQ(ivring_send_many(self, &to, 1, &item, 0, &result), 1);
	CHECK_EQ(ivring_flush(self, to, 0), -ETIMEDOUT);
	CHECK_EQ(ivring_request(self, to, &item, 0, on_reply, NULL, &id), 0);
	CHECK_EQ(ivring_forget(self, id), 0);
	CHECK_EQ(ivring_wait_peer(self, to.id, 0, &peer), 0);
	CHECK_EQ(ivring_open_lane(self, to, 2, 0), 0);
	lane = ivring_lane(self, to);
	CHECK_EQ(ivring_lane_push(lane, &item), 0);
	CHECK_EQ(ivring_lane_publish(lane), 0);
	CHECK_EQ(ivring_lane_wait(lane, SOON), 0);
	CHECK_EQ(ivring_on(self, 1, on_item, NULL), 0);
	ivring_on_other(self, NULL, NULL);
	ivring_on_members(self, on_members, NULL);
	ivring_on_lane(self, on_lane, NULL);
	CHECK_EQ(ivring_set_eventfd(self, 1), 0);
	CHECK_EQ(ivring_set_eventfd(self, -1), 0);
	/* Waiting for itself is in vain. */
	while ((result = ivring_send(self, ivring_self(self), &to_self, 1, SOON)) == 1)
		;
	CHECK_EQ(result, -EDEADLK);
	CHECK_EQ(ivring_flush(self, ivring_self(self), SOON), -EDEADLK);
	/* All of another member. */
	CHECK(ivring_dispatch(elsewhere, 10) >= 0);
	CHECK_EQ(ivring_arm(elsewhere), 1);
}

static void handle(struct ivring *self)
{
	refuse_all(self);
	if (!runs++)
		do_all_that_is_allowed(self);
	ivring_stop(self);
}

static void on_item(struct ivring *self, const struct ivring_item *item, void *arg)
{
	(void)item;
	(void)arg;
	handle(self);
}

static void handle_reply(struct ivring *self, int status, const struct ivring_item *reply, void *arg)
{
	(void)status;
	(void)reply;
	(void)arg;
	handle(self);
}

static void on_members(struct ivring *self, const struct ivring_change *change, void *arg)
{
	(void)change;
	(void)arg;
	handle(self);
}

static void on_lane(struct ivring *self, struct ivring_peer from, enum ivring_lane_event event,
		    void *arg)
{
	(void)arg;
	CHECK_EQ(event, IVRING_LANE_OPENED);
	CHECK_EQ(ivring_close_lane(self, from), 0);
	handle(self);
}

/* A member that has seen its members, and has no handlers yet. */
static void set_up_handlers(void)
{
	set_up();
	runs = replies = 0;
	join_third();
	elsewhere = join(3);
	CHECK_EQ(ivring_members(member), 1);
}

static void tear_down(void)
{
	CHECK(runs);
	/* And afterwards nothing is refused. */
	ivring_on_lane(member, NULL, NULL);
	CHECK(ivring_members(member) >= 0);
	CHECK(ivring_dispatch(member, 100) >= 0);
	ivring_close(elsewhere);
	close_all();
}

static int run(void)
{
	return ivring_run(member);
}

static int dispatch(void)
{
	return ivring_dispatch(member, 100) < 0;
}

static void handler_of_items(int (*how)(void))
{
	set_up_handlers();
	CHECK_EQ(ivring_on(member, 1, on_item, NULL), 0);
	send_items(other, member, 0, 1);
	CHECK_EQ(how(), 0);
	tear_down();
}

static void handler_of_other_items(void)
{
	set_up_handlers();
	ivring_on_other(member, on_item, NULL);
	send_items(other, member, 0, 1);
	CHECK_EQ(run(), 0);
	tear_down();
}

static void handler_of_replies(bool refused)
{
	struct ivring_item item = { .port = 1 };

	set_up_handlers();
	CHECK_EQ(ivring_request(member, ivring_self(other), &item, 0, handle_reply, NULL, NULL), 0);
	if (refused)
		CHECK_EQ(ivring_dispatch(other, 1), 1);
	else
		close_other();
	if (!other)
		other = join(1);
	CHECK_EQ(run(), 0);
	tear_down();
}

static int handle_call(void)
{
	struct ivring_item item = { .port = 1 };

	return ivring_call(member, ivring_self(member), &item, IVRING_DEADLINE_NEVER, handle_reply, NULL);
}

static void answer(struct ivring *self, const struct ivring_item *item, void *arg)
{
	struct ivring_item reply = { 0 };

	(void)arg;
	CHECK_EQ(ivring_reply(self, item, &reply, 0), 0);
}

static void handler_of_a_call(void)
{
	set_up_handlers();
	CHECK_EQ(ivring_on(member, 1, answer, NULL), 0);
	CHECK_EQ(handle_call(), 0);
	tear_down();
}

static void handler_of_members(void)
{
	set_up_handlers();
	ivring_on_members(member, on_members, NULL);
	replace_other();
	CHECK_EQ(run(), 0);
	tear_down();
}

static int receive(void)
{
	struct ivring_item item;

	return ivring_receive(member, &item, 1) < 0;
}

static int look_at_members(void)
{
	replace_other();
	open_lane_of(third, member, 2);
	return ivring_members(member) < 0;
}

static void handler_of_lanes(int (*how)(void))
{
	set_up_handlers();
	ivring_on_lane(member, on_lane, NULL);
	if (how != look_at_members)
		open_lane_of(other, member, 2);
	CHECK_EQ(how(), 0);
	tear_down();
}

int main(void)
{
	RUN_AS(handler_of_items(run), "handler of items, in ivring_run()");
	RUN_AS(handler_of_items(dispatch), "handler of items, in ivring_dispatch()");
	RUN(handler_of_other_items);
	RUN_AS(handler_of_replies(true), "handler of replies, refused");
	RUN_AS(handler_of_replies(false), "handler of replies, left");
	RUN(handler_of_a_call);
	RUN(handler_of_members);
	RUN_AS(handler_of_lanes(run), "handler of lanes, in ivring_run()");
	RUN_AS(handler_of_lanes(receive), "handler of lanes, in ivring_receive()");
	RUN_AS(handler_of_lanes(look_at_members), "handler of lanes, in ivring_members()");
	return tap_end();
}
