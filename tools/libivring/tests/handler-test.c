// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Functions that handlers may call: the table of ivring/dispatcher.h, for each kind of handler and
 * for each function that calls it.
 */

#include <errno.h>

#include "fixture.h"

#define ASK	5u	/* port */

static unsigned int runs, replies;
static struct ivr_member *elsewhere;

static void check_refused(int ret)
{
	CHECK_EQ(ret, -EBUSY);
	CHECK(strstr(ivr_why(), "handler"));
}

static void on_reply(struct ivr_member *self, int status, const struct ivring_item *reply, void *arg)
{
	replies++;
}

static void refuse_all(struct ivr_member *self)
{
	struct ivring_item item = { .port = ASK }, got;
	struct ivr_member_event event;
	uint32_t state = device_area(0)->state;
	unsigned int calls = device.calls;

	check_refused(ivr_run(self));
	check_refused(ivr_dispatch(self, 1));
	check_refused(ivr_call(self, ivr_self(other), &item, SOON, on_reply, NULL));
	check_refused(ivr_receive(self, &got, 1));
	check_refused(ivr_consume(self, 0));
	check_refused(ivr_wait(self, 0, SOON));
	check_refused(ivr_arm(self));
	check_refused(ivr_refresh_members(self));
	check_refused(ivr_next_member_event(self, &event));
	check_refused(ivr_close(self));
	CHECK_EQ(device.calls, calls);
	CHECK_EQ(device_area(0)->state, state);
}

static void on_item(struct ivr_member *self, const struct ivring_item *item, void *arg);
static void on_members(struct ivr_member *self, const struct ivr_member_event *event, void *arg);
static void on_lane(struct ivr_member *self, struct ivr_peer from, enum ivr_lane_event event,
		    void *arg);

static void do_all_that_is_allowed(struct ivr_member *self)
{
	struct ivring_item item = { .port = ASK }, to_self = { .port = IVR_PORT_RESERVED };
	struct ivr_peer to = ivr_self(third), peer;
	struct ivr_lane *lane;
	uint64_t id;
	void *data;
	int result;

	CHECK_EQ(ivr_alloc(self, 64, SOON, &data), 0);
	CHECK_EQ(ivr_set_payload(self, &item, data, 64), 0);
	CHECK_EQ(ivr_send(self, to, &item, 1, 0), 1);
	item.length = item.offset = 0;
	CHECK_EQ(ivr_multicast(self, &to, 1, &item, 0, &result), 1);
	CHECK_EQ(ivr_flush(self, to, 0), -ETIMEDOUT);
	CHECK_EQ(ivr_request(self, to, &item, 0, IVRING_DEADLINE_NEVER, on_reply, NULL, &id), 0);
	CHECK_EQ(ivr_cancel(self, id), 0);
	CHECK_EQ(ivr_wait_peer(self, to.id, 0, &peer), 0);
	CHECK_EQ(ivr_open_lane(self, to, 2, 0), 0);
	lane = ivr_lane(self, to);
	CHECK_EQ(ivr_lane_push(lane, &item), 0);
	CHECK_EQ(ivr_lane_notify(lane), 0);
	CHECK_EQ(ivr_lane_wait(lane, SOON), 0);
	CHECK_EQ(ivr_on(self, 1, on_item, NULL), 0);
	ivr_on_other(self, NULL, NULL);
	ivr_on_members(self, on_members, NULL);
	ivr_on_lane(self, on_lane, NULL);
	CHECK_EQ(ivr_set_eventfd(self, 1), 0);
	CHECK_EQ(ivr_set_eventfd(self, -1), 0);
	/* A member cannot wait for itself. */
	while ((result = ivr_send(self, ivr_self(self), &to_self, 1, SOON)) == 1)
		;
	CHECK_EQ(result, -EDEADLK);
	CHECK_EQ(ivr_flush(self, ivr_self(self), SOON), -EDEADLK);
	/* Every call for another member is allowed. */
	CHECK(ivr_dispatch(elsewhere, 10) >= 0);
	CHECK_EQ(ivr_arm(elsewhere), 1);
}

static void handle(struct ivr_member *self)
{
	refuse_all(self);
	if (!runs++)
		do_all_that_is_allowed(self);
	ivr_stop(self);
}

static void on_item(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	handle(self);
}

static void handle_reply(struct ivr_member *self, int status, const struct ivring_item *reply, void *arg)
{
	handle(self);
}

static void on_members(struct ivr_member *self, const struct ivr_member_event *event, void *arg)
{
	handle(self);
}

static void on_lane(struct ivr_member *self, struct ivr_peer from, enum ivr_lane_event event,
		    void *arg)
{
	CHECK_EQ(event, IVR_LANE_OPENED);
	CHECK_EQ(ivr_close_lane(self, from), 0);
	handle(self);
}

/* Makes a member that has refreshed its members and has no handlers yet. */
static void set_up_handlers(void)
{
	set_up();
	runs = replies = 0;
	join_third();
	elsewhere = join(3);
	CHECK_EQ(ivr_refresh_members(member), 1);
}

static void tear_down(void)
{
	CHECK(runs);
	/* After the handlers have returned, nothing is refused. */
	ivr_on_lane(member, NULL, NULL);
	CHECK(ivr_refresh_members(member) >= 0);
	CHECK(ivr_dispatch(member, 100) >= 0);
	ivr_close(elsewhere);
	close_all();
}

static int run(void)
{
	return ivr_run(member);
}

static int dispatch(void)
{
	return ivr_dispatch(member, 100) < 0;
}

static void handler_of_items(int (*how)(void))
{
	set_up_handlers();
	CHECK_EQ(ivr_on(member, 1, on_item, NULL), 0);
	send_items(other, member, 0, 1);
	CHECK_EQ(how(), 0);
	tear_down();
}

static void handler_of_other_items(void)
{
	set_up_handlers();
	ivr_on_other(member, on_item, NULL);
	send_items(other, member, 0, 1);
	CHECK_EQ(run(), 0);
	tear_down();
}

static void handler_of_replies(bool refused)
{
	struct ivring_item item = { .port = 1 };

	set_up_handlers();
	CHECK_EQ(ivr_request(member, ivr_self(other), &item, 0, IVRING_DEADLINE_NEVER, handle_reply,
			     NULL, NULL), 0);
	if (refused)
		CHECK_EQ(ivr_dispatch(other, 1), 1);
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

	return ivr_call(member, ivr_self(member), &item, IVRING_DEADLINE_NEVER, handle_reply, NULL);
}

static void handler_of_a_call(void)
{
	set_up_handlers();
	CHECK_EQ(ivr_on(member, 1, answer_item, NULL), 0);
	CHECK_EQ(handle_call(), 0);
	tear_down();
}

static void handler_of_members(void)
{
	set_up_handlers();
	ivr_on_members(member, on_members, NULL);
	replace_other();
	CHECK_EQ(run(), 0);
	tear_down();
}

static int receive(void)
{
	struct ivring_item item;

	return ivr_receive(member, &item, 1) < 0;
}

static int look_at_members(void)
{
	replace_other();
	open_lane_of(third, member, 2);
	return ivr_refresh_members(member) < 0;
}

static void handler_of_lanes(int (*how)(void))
{
	set_up_handlers();
	ivr_on_lane(member, on_lane, NULL);
	if (how != look_at_members)
		open_lane_of(other, member, 2);
	CHECK_EQ(how(), 0);
	tear_down();
}

int main(void)
{
	RUN_AS(handler_of_items(run), "handler of items, in ivr_run()");
	RUN_AS(handler_of_items(dispatch), "handler of items, in ivr_dispatch()");
	RUN(handler_of_other_items);
	RUN_AS(handler_of_replies(true), "handler of replies, refused");
	RUN_AS(handler_of_replies(false), "handler of replies, left");
	RUN(handler_of_a_call);
	RUN(handler_of_members);
	RUN_AS(handler_of_lanes(run), "handler of lanes, in ivr_run()");
	RUN_AS(handler_of_lanes(receive), "handler of lanes, in ivr_receive()");
	RUN_AS(handler_of_lanes(look_at_members), "handler of lanes, in ivr_refresh_members()");
	return tap_end();
}
