// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Requests and replies.
 */

#include <errno.h>

#include "fixture.h"

#define ASK	5u	/* port */

/* What the handlers saw. */
static struct {
	unsigned int replies;
	int status;
	struct ivring_item reply;
	char payload[10];
	unsigned int others;
} seen;

static void on_reply(struct ivr_member *self, int status, const struct ivring_item *reply, void *arg)
{
	CHECK(arg == &seen);
	seen.replies++;
	seen.status = status;
	CHECK_EQ(!reply, status != 0);
	if (!reply)
		return;
	seen.reply = *reply;
	CHECK(ivr_copy_payload(self, reply, seen.payload, sizeof(seen.payload)) >= 0);
}

static void on_other(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	seen.others++;
}

/*
 * Handler of the other member: answers each request with twice its number, and with the word
 * "twice".
 */
static void answer(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	struct ivring_item reply = { .port = 1, .cookie = 99 };
	uint64_t number;
	void *block;

	CHECK_EQ(ivr_get_inline(item, &number, sizeof(number)), 0);
	number *= 2;
	CHECK_EQ(ivr_set_inline(&reply, &number, sizeof(number)), 0);
	CHECK_EQ(ivr_alloc(self, 6, 0, &block), 0);
	memcpy(block, "twice", 6);
	CHECK_EQ(ivr_set_payload(self, &reply, block, 6), 0);
	CHECK_EQ(ivr_reply(self, item, &reply, 0), 0);
}

static struct ivring_item question(uint64_t number)
{
	struct ivring_item item = { .port = ASK };

	CHECK_EQ(ivr_set_inline(&item, &number, sizeof(number)), 0);
	return item;
}

static void set_up_server(bool by_lane)
{
	memset(&seen, 0, sizeof(seen));
	set_up();
	ivr_on_other(member, on_other, NULL);
	CHECK_EQ(ivr_on(other, ASK, answer, NULL), 0);
	if (by_lane) {
		open_lane_of(member, other, 4);
		open_lane_of(other, member, 4);
	}
	CHECK_EQ(ivr_dispatch(member, 1), 0);
}

static void let_other_answer(void)
{
	CHECK(ivr_dispatch(other, 100) >= 0);
}

static void ask(uint64_t number, uint64_t *id)
{
	struct ivring_item item = question(number);

	CHECK_EQ(ivr_request(member, ivr_self(other), &item, 0, IVRING_DEADLINE_NEVER, on_reply,
			     &seen, id), 0);
}

static void check_reply(uint64_t number)
{
	uint64_t twice = 0;

	CHECK_EQ(seen.status, 0);
	CHECK_EQ(ivr_get_inline(&seen.reply, &twice, sizeof(twice)), 0);
	CHECK_EQ((long long)twice, (long long)(2 * number));
}

static void replies_go_to_the_requests(bool by_lane)
{
	unsigned int i;

	set_up_server(by_lane);
	for (i = 0; i < 100; i++) {
		ask(i, NULL);
		ask(1000 + i, NULL);
		let_other_answer();
		CHECK_EQ(ivr_dispatch(member, 1), 1);
		check_reply(i);
		CHECK(!strcmp(seen.payload, "twice"));
		CHECK_EQ(ivr_dispatch(member, 1), 1);
		check_reply(1000 + i);
		CHECK_EQ(seen.replies, 2 * (i + 1));
	}
	CHECK_EQ(seen.others, 0);
	CHECK_EQ(device.enqueues, by_lane ? 0 : 400);
	close_all();
}

static void many_at_a_time(void)
{
	struct ivr_region_options options = {
		.slots = 1, .inbox_entries = 1024, .outbox_bytes = 65536,
	};
	unsigned int i;

	memset(&seen, 0, sizeof(seen));
	device_reset();
	CHECK_EQ(ivr_create(&options, &member), 0);
	other = NULL;
	CHECK_EQ(ivr_on(member, ASK, answer, NULL), 0);
	for (i = 0; i < 500; i++) {
		struct ivring_item item = question(i);

		CHECK_EQ(ivr_request(member, ivr_self(member), &item, 0, IVRING_DEADLINE_NEVER, on_reply,
				     &seen, NULL), 0);
	}
	CHECK_EQ(ivr_dispatch(member, 500), 500);
	CHECK_EQ(seen.replies, 0);
	for (i = 0; i < 500; i++) {
		CHECK_EQ(ivr_dispatch(member, 1), 1);
		check_reply(i);
	}
	close_all();
}

static void replies_without_a_request(void)
{
	struct ivring_item reply = { .flags = IVRING_ITEM_REPLY, .port = 1 };
	struct ivr_counters counters;
	uint64_t first, second;

	set_up_server(false);
	/* A reply with a cookie that was never used. */
	for (reply.cookie = 0; reply.cookie < 3; reply.cookie++)
		CHECK_EQ(ivr_send(other, ivr_self(member), &reply, 1, 0), 1);
	reply.cookie = UINT64_MAX;
	CHECK_EQ(ivr_send(other, ivr_self(member), &reply, 1, 0), 1);
	CHECK_EQ(ivr_dispatch(member, 10), 4);

	/* A reply from a member that was not asked. */
	ask(1, &first);
	join_third();
	reply.cookie = first;
	CHECK_EQ(ivr_send(third, ivr_self(member), &reply, 1, 0), 1);
	CHECK_EQ(ivr_dispatch(member, 10), 1);
	CHECK_EQ(seen.replies, 0);

	/*
	 * A reply to a cancelled request, whose entry is in use again, and two replies to one
	 * request.
	 */
	CHECK_EQ(ivr_cancel(member, first), 0);
	CHECK_EQ(ivr_cancel(member, first), -ENOENT);
	ask(2, &second);
	CHECK_EQ((uint32_t)second, (uint32_t)first);
	CHECK(second != first);
	reply.cookie = first;
	CHECK_EQ(ivr_send(other, ivr_self(member), &reply, 1, 0), 1);
	reply.cookie = second;
	CHECK_EQ(ivr_send(other, ivr_self(member), &reply, 1, 0), 1);
	CHECK_EQ(ivr_send(other, ivr_self(member), &reply, 1, 0), 1);
	CHECK_EQ(ivr_dispatch(member, 10), 3);
	ivr_get_counters(member, &counters);
	CHECK_EQ((long long)counters.stray, 7);
	CHECK_EQ((long long)counters.replies, 1);
	CHECK_EQ(seen.replies, 1);
	CHECK_EQ((long long)seen.reply.cookie, (long long)second);
	CHECK_EQ(ivr_cancel(member, second), -ENOENT);
	CHECK_EQ(seen.others, 0);
	close_all();
}

static void asked_member_leaves(bool by_lane)
{
	set_up_server(by_lane);
	ask(1, NULL);
	let_other_answer();
	ask(2, NULL);
	close_other();
	/* Replies that were sent before the member left are delivered. The other requests fail. */
	CHECK_EQ(ivr_dispatch(member, 10), 1);
	CHECK_EQ(seen.replies, 2);
	CHECK_EQ(seen.status, -EPIPE);
	CHECK(!strcmp(seen.payload, "twice"));
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(seen.replies, 2);
	close_all();
}

static void answers_and_leaves_during_other_events(void)
{
	set_up_server(false);
	join_third();
	CHECK_EQ(ivr_refresh_members(member), 1);
	ask(1, NULL);
	send_items(third, member, 0, 1);
	ivr_close(third);
	third = NULL;
	/* The leaving is noted, and reported when the item has been consumed. */
	CHECK_EQ(ivr_refresh_members(member), 0);
	let_other_answer();
	close_other();
	CHECK_EQ(ivr_dispatch(member, 1), 1);
	CHECK_EQ(ivr_dispatch(member, 1), 1);
	CHECK_EQ(seen.replies, 1);
	CHECK_EQ(seen.status, 0);
	close_all();
}

static void request_that_is_not_sent(void)
{
	struct ivring_item item = question(1);
	struct ivr_peer gone;

	set_up_server(false);
	gone = ivr_self(other);
	send_items(member, other, 0, ENTRIES);
	CHECK_EQ(ivr_request(member, gone, &item, 0, IVRING_DEADLINE_NEVER, on_reply,
			     &seen, NULL), -EAGAIN);
	close_other();
	CHECK_EQ(ivr_request(member, gone, &item, 0, IVRING_DEADLINE_NEVER, on_reply,
			     &seen, NULL), -EPIPE);
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(seen.replies, 0);
	close_all();
}

/* Requests to a port without a handler, and to the reserved port. */
static void refused(bool by_lane)
{
	static const uint32_t ports[] = { ASK + 1, IVR_PORT_RESERVED };
	struct ivr_counters counters;
	struct ivring_item item = { 0 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ports); i++) {
		set_up_server(by_lane);
		item.port = ports[i];
		device.asleep = let_other_answer;
		CHECK_EQ(ivr_call(member, ivr_self(other), &item, IVRING_DEADLINE_NEVER,
				  on_reply, &seen), -ECONNREFUSED);
		CHECK_EQ(seen.replies, 0);
		CHECK_EQ(ivr_request(member, ivr_self(other), &item, 0, IVRING_DEADLINE_NEVER, on_reply,
				     &seen, NULL), 0);
		/* An item that is not a request is dropped, and its sender is not told. */
		item.port = ASK + 1;
		CHECK_EQ(ivr_send(member, ivr_self(other), &item, 1, 0), 1);
		let_other_answer();
		CHECK_EQ(ivr_dispatch(member, 10), 1);
		CHECK_EQ(seen.replies, 1);
		CHECK_EQ(seen.status, -ECONNREFUSED);
		ivr_get_counters(other, &counters);
		CHECK_EQ((long long)counters.unhandled, 3);
		CHECK_EQ((long long)counters.refused, 2);
		ivr_get_counters(member, &counters);
		CHECK_EQ((long long)counters.replies, 2);
		close_all();
	}
}

/* The handler of all other ports also answers requests to them. */
static void not_refused(void)
{
	struct ivr_counters counters;
	struct ivring_item item = question(1);

	set_up_server(false);
	item.port = ASK + 1;
	ivr_on_other(other, answer, NULL);
	CHECK_EQ(ivr_request(member, ivr_self(other), &item, 0, IVRING_DEADLINE_NEVER, on_reply,
			     &seen, NULL), 0);
	let_other_answer();
	CHECK_EQ(ivr_dispatch(member, 10), 1);
	check_reply(1);
	ivr_get_counters(other, &counters);
	CHECK_EQ((long long)counters.handled, 1);
	CHECK_EQ((long long)counters.unhandled, 0);
	close_all();
}

/* A refusal that finds no room, or a closed lane, does not affect the dispatcher. */
static void refusal_that_fails(void)
{
	struct ivring_item item = { .port = ASK + 1 };
	struct ivr_counters counters;

	set_up_server(false);
	CHECK_EQ(ivr_request(member, ivr_self(other), &item, 0, IVRING_DEADLINE_NEVER, on_reply,
			     &seen, NULL), 0);
	send_items(other, member, 0, ENTRIES);
	CHECK_EQ(ivr_dispatch(other, 10), 1);
	ivr_get_counters(other, &counters);
	CHECK_EQ((long long)counters.unhandled, 1);
	CHECK_EQ((long long)counters.refused, 0);
	close_all();

	set_up_server(true);
	CHECK_EQ(ivr_request(member, ivr_self(other), &item, 0, IVRING_DEADLINE_NEVER, on_reply,
			     &seen, NULL), 0);
	send_items(other, member, 0, 4);
	CHECK_EQ(ivr_dispatch(member, 1), 1);
	send_items(other, member, 0, 1);
	CHECK_EQ(ivr_close_lane(member, ivr_self(other)), 0);
	CHECK_EQ(ivr_dispatch(other, 10), 1);
	/* The caller gets the error of its lane from its own next call. */
	CHECK_EQ(ivr_send(other, ivr_self(member), &item, 1, 0), -ECONNRESET);
	CHECK_EQ(ivr_send(other, ivr_self(member), &item, 1, 0), 1);
	close_all();
}

static void send_something_and_answer(void)
{
	send_items(other, member, 0, 2);
	let_other_answer();
}

static void call(bool by_lane)
{
	struct ivring_item item = question(21), reply;
	uint64_t twice;

	set_up_server(by_lane);
	device.asleep = send_something_and_answer;
	CHECK_EQ(ivr_call(member, ivr_self(other), &item, IVRING_DEADLINE_NEVER,
			  ivr_keep_reply, &reply), 0);
	CHECK_EQ(ivr_get_inline(&reply, &twice, sizeof(twice)), 0);
	CHECK_EQ((long long)twice, 42);
	/* Items that came before the reply have been handled during the call. */
	CHECK_EQ(seen.others, 2);
	CHECK_EQ(device_area(0)->state, IVRING_IDLE);

	device.asleep = let_other_answer;
	CHECK_EQ(ivr_call(member, ivr_self(other), &item, SOON, on_reply, &seen), 0);
	CHECK(!strcmp(seen.payload, "twice"));
	close_all();
}

static void late_reply(void)
{
	struct ivring_item item = question(1), reply;

	set_up_server(true);
	CHECK_EQ(ivr_call(member, ivr_self(other), &item, 0, ivr_keep_reply, &reply),
		 -ETIMEDOUT);
	CHECK_EQ(ivr_call(member, ivr_self(other), &item, SOON, on_reply, &seen), -ETIMEDOUT);
	let_other_answer();
	CHECK_EQ(ivr_dispatch(member, 10), 2);
	CHECK_EQ(seen.replies, 0);
	CHECK_EQ(seen.others, 0);
	close_all();
}

static void call_that_is_stopped(void)
{
	struct ivring_item item = question(1);

	set_up_server(false);
	device.asleep = stop_member;
	CHECK_EQ(ivr_call(member, ivr_self(other), &item, IVRING_DEADLINE_NEVER, on_reply,
			  &seen), -ECANCELED);
	CHECK_EQ(seen.replies, 0);
	/* The stop is still pending, and this ends it. */
	CHECK_EQ(ivr_run(member), 0);
	let_other_answer();
	/* The item that woke the call, and the reply. */
	CHECK_EQ(ivr_dispatch(member, 10), 2);
	CHECK_EQ(seen.replies, 0);
	close_all();
}

static void callee_leaves(void)
{
	struct ivring_item item = question(1);

	set_up_server(true);
	device.asleep = close_other;
	CHECK_EQ(ivr_call(member, ivr_self(other), &item, IVRING_DEADLINE_NEVER, on_reply,
			  &seen), -EPIPE);
	CHECK_EQ(seen.replies, 0);
	close_all();
}

static void call_inside(struct ivr_member *self, const struct ivring_item *request, void *arg)
{
	struct ivring_item item = question(1);

	CHECK_EQ(ivr_call(self, ivr_self(other), &item, SOON, on_reply, &seen), -EBUSY);
	seen.others++;
}

static void no_call_in_a_handler(void)
{
	set_up_server(false);
	CHECK_EQ(ivr_on(member, 1, call_inside, NULL), 0);
	send_items(other, member, 0, 1);
	CHECK_EQ(ivr_dispatch(member, 10), 1);
	CHECK_EQ(seen.others, 1);
	CHECK_EQ(ivr_dispatch(other, 10), 0);
	close_all();
}

/*
 * A member that was armed before it ever handled changes of the members is woken when the
 * member that it asks afterwards leaves.
 */
static void armed_before_the_request(void)
{
	struct ivring_item item = { .port = 5 };
	uint32_t before;

	set_up();
	CHECK_EQ(ivr_set_eventfd(member, 1), 0);
	CHECK_EQ(ivr_arm(member), 1);
	CHECK_EQ(ivr_request(member, ivr_self(other), &item, 0, IVRING_DEADLINE_NEVER, on_reply,
			     NULL, NULL), 0);
	before = device.signals;
	close_other();
	CHECK(device.signals != before);
	close_all();
}

int main(void)
{
	RUN_AS(replies_go_to_the_requests(false), "replies_go_to_the_requests, inbox");
	RUN_AS(replies_go_to_the_requests(true), "replies_go_to_the_requests, lane");
	RUN(armed_before_the_request);
	RUN(many_at_a_time);
	RUN(replies_without_a_request);
	RUN_AS(asked_member_leaves(false), "asked_member_leaves, inbox");
	RUN_AS(asked_member_leaves(true), "asked_member_leaves, lane");
	RUN(answers_and_leaves_during_other_events);
	RUN(request_that_is_not_sent);
	RUN_AS(refused(false), "refused, inbox");
	RUN_AS(refused(true), "refused, lane");
	RUN(not_refused);
	RUN(refusal_that_fails);
	RUN_AS(call(false), "call, inbox");
	RUN_AS(call(true), "call, lane");
	RUN(late_reply);
	RUN(call_that_is_stopped);
	RUN(callee_leaves);
	RUN(no_call_in_a_handler);
	return tap_end();
}
