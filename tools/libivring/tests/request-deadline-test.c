// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Requests that end at the deadline for their reply.
 */

#include <errno.h>
#include <malloc.h>

#define ENTRIES		64u
#include "fixture.h"

#define ASK	5u	/* port */
#define MANY	10000u

/* A request of a test: the argument of its handler. */
struct request {
	uint64_t id;
	unsigned int calls;
	int status;
	unsigned int order;	/* number of handlers that were called before */
	void (*then)(void);	/* called by the handler, or NULL */
};

static struct request requests[4];
static unsigned int ended;
static unsigned int items;

static void on_end(struct ivr_member *self, int status, const struct ivring_item *reply, void *arg)
{
	struct request *request = arg;

	CHECK_EQ(!reply, status != 0);
	request->calls++;
	request->status = status;
	request->order = ended++;
	if (request->then)
		request->then();
}

static int try_to_ask(unsigned int which, uint64_t reply_deadline)
{
	struct ivring_item item = { .port = ASK };

	return ivr_request(member, ivr_self(other), &item, 0, reply_deadline, on_end, &requests[which],
			   &requests[which].id);
}

static void ask(unsigned int which, uint64_t reply_deadline)
{
	CHECK_EQ(try_to_ask(which, reply_deadline), 0);
}

static void begin(void)
{
	memset(requests, 0, sizeof(requests));
	ended = items = 0;
	set_up();
	CHECK_EQ(ivr_on(other, ASK, answer_item, NULL), 0);
	CHECK_EQ(ivr_dispatch(member, 1), 0);
}

static void check_ended(unsigned int which, int status, unsigned int order)
{
	CHECK_EQ(requests[which].calls, 1);
	CHECK_EQ(requests[which].status, status);
	CHECK_EQ(requests[which].order, order);
	CHECK_EQ(ivr_cancel(member, requests[which].id), -ENOENT);
}

static void check_stray(unsigned int stray)
{
	struct ivr_counters counters;

	ivr_get_counters(member, &counters);
	CHECK_EQ((long long)counters.stray, stray);
}

static void ends_once(void)
{
	begin();
	CHECK(ivr_next_deadline(member) == IVRING_DEADLINE_NEVER);
	ask(0, 100);
	CHECK_EQ((long long)ivr_next_deadline(member), 100);
	device.now = 99;
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(requests[0].calls, 0);
	device.now = 100;
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	check_ended(0, -ETIMEDOUT, 0);
	CHECK(ivr_next_deadline(member) == IVRING_DEADLINE_NEVER);
	/* The reply comes late, and does not belong to the request that has the entry now. */
	ask(1, IVRING_DEADLINE_NEVER);
	CHECK_EQ(ivr_dispatch(other, 1), 1);
	CHECK_EQ(ivr_dispatch(member, 10), 1);
	CHECK_EQ(requests[0].calls, 1);
	CHECK_EQ(requests[1].calls, 0);
	check_stray(1);
	dispatch_other();
	CHECK_EQ(ivr_dispatch(member, 10), 1);
	check_ended(1, 0, 1);
	close_all();
}

/* A reply that is in a ring is taken, however late the dispatcher looks. */
static void reply_before_the_look(void)
{
	begin();
	ask(0, 100);
	dispatch_other();
	send_items(other, member, 0, 50);
	ask(1, 100);
	dispatch_other();
	device.now = 1000;
	CHECK_EQ(ivr_dispatch(member, 100), 52);
	check_ended(0, 0, 0);
	check_ended(1, 0, 1);
	check_stray(0);
	close_all();
}

static void no_deadline(void)
{
	begin();
	ask(0, IVRING_DEADLINE_NEVER);
	CHECK(ivr_next_deadline(member) == IVRING_DEADLINE_NEVER);
	device.now = UINT64_MAX - 1;
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(requests[0].calls, 0);
	CHECK(!member->requests.deadlines.heap);
	dispatch_other();
	CHECK_EQ(ivr_dispatch(member, 10), 1);
	check_ended(0, 0, 0);
	close_all();
}

/*
 * For a deadline that has passed, or is 0, the next deadline is not 0, because 0 disarms a
 * timer.
 */
static void deadline_that_has_passed(void)
{
	begin();
	ask(0, 0);
	CHECK_EQ((long long)ivr_next_deadline(member), 1);
	CHECK_EQ(ivr_dispatch(member, 0), 0);
	CHECK_EQ(requests[0].calls, 0);
	CHECK_EQ(ivr_dispatch(member, 1), 0);
	check_ended(0, -ETIMEDOUT, 0);
	device.now = 50;
	ask(1, 3);
	CHECK_EQ(ivr_dispatch(member, 1), 0);
	check_ended(1, -ETIMEDOUT, 1);
	close_all();
}

static void the_earliest_ends_first(void)
{
	begin();
	ask(0, 300);
	ask(1, 100);
	ask(2, 200);
	ask(3, IVRING_DEADLINE_NEVER);
	device.now = 250;
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	check_ended(1, -ETIMEDOUT, 0);
	check_ended(2, -ETIMEDOUT, 1);
	CHECK_EQ(ended, 2);
	CHECK_EQ((long long)ivr_next_deadline(member), 300);
	CHECK_EQ(ivr_cancel(member, requests[0].id), 0);
	CHECK(ivr_next_deadline(member) == IVRING_DEADLINE_NEVER);
	device.now = 1000;
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(ended, 2);
	close_all();
}

/* A run sleeps until the earliest deadline, and then again. */
static void run_wakes(void)
{
	begin();
	ask(0, 100);
	ask(1, 200);
	requests[1].then = stop_member;
	CHECK_EQ(ivr_run(member), 0);
	check_ended(0, -ETIMEDOUT, 0);
	check_ended(1, -ETIMEDOUT, 1);
	CHECK_EQ(device.waits, 2);
	CHECK_EQ((long long)device.now, 200);
	close_all();
}

/* Another request ends during a call, whose deadline is later. */
static void ends_during_a_call(void)
{
	struct ivring_item item = { .port = ASK };

	begin();
	ask(0, 100);
	CHECK_EQ(ivr_call(member, ivr_self(other), &item, 200, ignore_reply, NULL), -ETIMEDOUT);
	check_ended(0, -ETIMEDOUT, 0);
	CHECK_EQ((long long)device.now, 200);
	close_all();
}

static void send_to_itself(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	struct ivring_item next = { .port = 1 };

	CHECK_EQ(ivr_send(self, ivr_self(self), &next, 1, 0), 1);
	device.now++;
	items++;
}

/*
 * An endless stream of items does not prevent requests and calls from ending at their
 * deadlines.
 */
static void items_never_end(void)
{
	struct ivring_item item = { .port = ASK };

	begin();
	CHECK_EQ(ivr_on(member, 1, send_to_itself, NULL), 0);
	send_items(member, member, 0, 3);
	CHECK_EQ(ivr_call(member, ivr_self(other), &item, 500, ignore_reply, NULL), -ETIMEDOUT);
	CHECK(items >= 499 && items < 1000);
	/* This is so even if each dispatch uses up its budget. */
	ask(0, device.now + 100);
	for (items = 0; !requests[0].calls && items < 1000;)
		CHECK_EQ(ivr_dispatch(member, 1), 1);
	check_ended(0, -ETIMEDOUT, 0);
	CHECK(items >= 100 && items < 200);
	close_all();
}

static void ask_again(void)
{
	ask(1, 0);
}

static void cancel_another(void)
{
	CHECK_EQ(ivr_cancel(member, requests[2].id), 0);
}

static void handlers_send_cancel_and_stop(void)
{
	begin();
	requests[0].then = ask_again;
	requests[1].then = ask_again;
	ask(0, 100);
	device.now = 100;
	/*
	 * The handler sends requests whose deadlines have passed. The dispatcher returns
	 * nevertheless.
	 */
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(ended, 1);
	CHECK(ivr_next_deadline(member) == 101);
	device.now = 200;
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(ended, 2);
	CHECK_EQ(requests[1].calls, 1);
	CHECK_EQ(ivr_cancel(member, requests[1].id), 0);

	requests[0].then = cancel_another;
	ask(0, 300);
	ask(2, 310);
	device.now = 400;
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(ended, 3);
	CHECK_EQ(requests[2].calls, 0);

	memset(requests, 0, sizeof(requests));
	requests[0].then = stop_member;
	ended = 0;
	ask(1, 510);
	ask(0, 500);
	device.now = 600;
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(ended, 1);
	CHECK_EQ((long long)ivr_next_deadline(member), 510);
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	check_ended(0, -ETIMEDOUT, 0);
	check_ended(1, -ETIMEDOUT, 1);
	close_all();
}

/* A pending stop comes first: no handler is called. */
static void stop_before_the_deadline(void)
{
	begin();
	ask(0, 0);
	stop_member();
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(requests[0].calls, 0);
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	check_ended(0, -ETIMEDOUT, 0);
	close_all();
}

/* The request ends once, whether its deadline or the end of the asked member comes first. */
static void asked_member_leaves(void)
{
	begin();
	ask(0, 100);
	ask(1, 200);
	device.now = 100;
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	close_other();
	device.now = 200;
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	check_ended(0, -ETIMEDOUT, 0);
	check_ended(1, -EPIPE, 1);
	CHECK(ivr_next_deadline(member) == IVRING_DEADLINE_NEVER);
	close_all();
}

/* Sends many requests, half of which end at each of two times. */
static void ask_many(void)
{
	uint64_t start = device.now;
	unsigned int i;

	requests[0].calls = 0;
	for (i = 0; i < MANY && tap_good; i++) {
		ask(0, start + 1000 + (i * 7919) % MANY);
		if (i % ENTRIES == ENTRIES - 1)
			dispatch_other();
	}
	dispatch_other();
	CHECK_EQ(member->requests.waiting, MANY);
	CHECK_EQ((long long)ivr_next_deadline(member), (long long)start + 1000);
	device.now = start + 1000 + MANY / 2 - 1;
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(requests[0].calls, MANY / 2);
	device.now = start + 1000 + MANY;
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(requests[0].calls, MANY);
	CHECK_EQ(requests[0].status, -ETIMEDOUT);
	CHECK_EQ(member->requests.waiting, 0);
	CHECK(ivr_next_deadline(member) == IVRING_DEADLINE_NEVER);
}

/* Requests to a member that reads them and never answers leave no memory behind. */
static void nothing_is_left(bool by_lane)
{
	size_t before;

	begin();
	CHECK_EQ(ivr_on(other, ASK, ignore_item, NULL), 0);
	if (by_lane)
		open_lane_of(member, other, ENTRIES);
	ask_many();
	before = mallinfo2().uordblks;
	ask_many();
	/* The allocator keeps some small blocks for later and counts them as allocated. */
	CHECK(mallinfo2().uordblks < before + MANY / 2);
	CHECK(!member->requests.pending);
	CHECK(!member->requests.deadlines.heap);
	close_all();
}

int main(void)
{
	RUN(ends_once);
	RUN(reply_before_the_look);
	RUN(no_deadline);
	RUN(deadline_that_has_passed);
	RUN(the_earliest_ends_first);
	RUN(run_wakes);
	RUN(ends_during_a_call);
	RUN(items_never_end);
	RUN(handlers_send_cancel_and_stop);
	RUN(stop_before_the_deadline);
	RUN(asked_member_leaves);
	RUN_AS(nothing_is_left(false), "nothing_is_left, inbox");
	RUN_AS(nothing_is_left(true), "nothing_is_left, lane");
	return tap_end();
}
