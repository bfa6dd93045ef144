// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A member in an event loop of the caller. After every call that returns to the loop, the member is
 * armed or has rung itself.
 */

#include <errno.h>

#include "fixture.h"

#define LANE	16u	/* entries */

static unsigned int handled;

static void on_item(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	handled++;
	if (arg)
		ivr_stop(self);
}

/* Makes an armed member that has an eventfd, and another member that answers requests. */
static void set_up_loop(void)
{
	set_up();
	handled = 0;
	CHECK_EQ(ivr_on(member, 1, on_item, NULL), 0);
	CHECK_EQ(ivr_on(other, 2, answer_item, NULL), 0);
	CHECK_EQ(ivr_set_eventfd(member, 1), 0);
	CHECK_EQ(ivr_dispatch(member, 100), 0);
	CHECK_EQ(device_area(0)->state, IVRING_IDLE);
	device.kicks = device.signals = 0;
}

/* Checks that the next item wakes the loop. */
static void check_armed(void)
{
	unsigned int before = device.signals;

	CHECK_EQ(device_area(0)->state, IVRING_IDLE);
	CHECK_EQ(device.kicks, 0);
	send_items(other, member, 0, 1);
	CHECK_EQ(device.signals, before + 1);
	close_all();
}

/* Checks that there was work already, and that the member has woken the loop for it. */
static void check_kicked(void)
{
	CHECK_EQ(device_area(0)->state, IVRING_BUSY);
	CHECK_EQ(device.kicks, 1);
	CHECK_EQ(device.signals, 1);
	close_all();
}

static void answer_and_send(void)
{
	dispatch_other();
	/* The item comes after the reply, which ends the call. */
	send_items(other, member, 0, 1);
}

static int call(uint64_t deadline)
{
	struct ivring_item item = { .port = 2 }, reply;

	return ivr_call(member, ivr_self(other), &item, deadline, ivr_keep_reply, &reply);
}

/* Makes @what happen while the caller polls, or while it sleeps. */
static void let_happen(hook *what, bool polling)
{
	if (!polling) {
		device.asleep = what;
		return;
	}
	device.tick = 100;
	ivr_set_polling(member, 1000000000);
	member->idle_polling.window = 1000000000;
	device.alarm_at = device.now + 1000;
	device.alarm = what;
}

static void call_leaves_it_armed(bool polling)
{
	set_up_loop();
	let_happen(dispatch_other, polling);
	CHECK_EQ(call(IVRING_DEADLINE_NEVER), 0);
	CHECK_EQ(device.waits, !polling);
	device.signals = 0;
	check_armed();
}

static void call_with_something_left_kicks(bool polling)
{
	set_up_loop();
	let_happen(answer_and_send, polling);
	CHECK_EQ(call(IVRING_DEADLINE_NEVER), 0);
	CHECK_EQ(handled, 0);
	/* If the call slept, the reply has signalled the eventfd too. */
	device.signals -= !polling;
	check_kicked();
}

static void call_that_fails(void)
{
	set_up_loop();
	CHECK_EQ(call(0), -ETIMEDOUT);
	CHECK_EQ(call(SOON), -ETIMEDOUT);
	device.kicks = 0;
	check_armed();

	set_up_loop();
	device.asleep = close_other;
	CHECK_EQ(call(SOON), -EPIPE);
	other = join(1);
	device.signals = 0;
	CHECK_EQ(ivr_dispatch(member, 100), 0);
	check_armed();

	set_up_loop();
	send_items(member, other, 0, ENTRIES);
	CHECK_EQ(call(0), -EAGAIN);
	check_armed();
}

static void stopped(void)
{
	set_up_loop();
	/* The stop comes from a handler, and no items are left. */
	CHECK_EQ(ivr_on(member, 1, on_item, &handled), 0);
	send_items(other, member, 0, 1);
	device.signals = 0;
	CHECK_EQ(ivr_dispatch(member, 100), 1);
	check_armed();

	set_up_loop();
	CHECK_EQ(ivr_on(member, 1, on_item, &handled), 0);
	send_items(other, member, 0, 2);
	device.signals = 0;
	CHECK_EQ(ivr_dispatch(member, 100), 1);
	check_kicked();

	set_up_loop();
	send_items(other, member, 0, 1);
	device.signals = 0;
	stop_member();
	CHECK_EQ(ivr_dispatch(member, 100), 0);
	check_kicked();

	set_up_loop();
	stop_member();
	CHECK_EQ(ivr_run(member), 0);
	check_armed();
}

/* The caller must dispatch again, so no system call is spent on arming. */
static void budget_is_used_up(void)
{
	set_up_loop();
	send_items(other, member, 0, 3);
	device.calls = 0;
	CHECK_EQ(ivr_dispatch(member, 2), 2);
	CHECK_EQ(ivr_dispatch(member, 2), 1);
	CHECK_EQ(device_area(0)->state, IVRING_IDLE);
	CHECK_EQ(ivr_dispatch(member, 0), 0);
	CHECK_EQ(device.calls, 0);
	check_armed();
}

static void look_that_finds_nothing_leaves_it_armed(void)
{
	struct ivring_item item;

	set_up_loop();
	CHECK_EQ(ivr_receive(member, &item, 1), 0);
	check_armed();

	set_up_loop();
	CHECK_EQ(ivr_wait(member, 0, SOON), -ETIMEDOUT);
	device.kicks = 0;
	check_armed();
}

/*
 * A member that polls all the time is not rung, although looks that find nothing do not store BUSY.
 */
static void busy_stays_busy(void)
{
	struct ivring_item item;

	set_up_loop();
	send_items(other, member, 0, 1);
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(ivr_consume(member, 1), 0);
	CHECK_EQ(ivr_receive(member, &item, 1), 0);
	CHECK_EQ(device_area(0)->state, IVRING_BUSY);
	close_all();
}

static void eventfd_after_the_work(void)
{
	set_up_loop();
	CHECK_EQ(ivr_set_eventfd(member, -1), 0);
	send_items(other, member, 0, 1);
	CHECK_EQ(device.signals, 0);
	CHECK_EQ(ivr_set_eventfd(member, 1), 0);
	check_kicked();
}

static void members_count_when_asked_for(void)
{
	struct ivring_item item;

	set_up();
	/* Two members have come, and the caller has not asked for members. */
	CHECK_EQ(ivr_receive(member, &item, 1), 0);
	CHECK_EQ(ivr_arm(member), 1);
	close_other();
	CHECK_EQ(ivr_arm(member), 1);
	CHECK_EQ(ivr_refresh_members(member), 1);
	CHECK_EQ(ivr_arm(member), 1);
	other = join(1);
	CHECK_EQ(ivr_arm(member), 0);
	CHECK_EQ(ivr_refresh_members(member), 1);
	CHECK_EQ(ivr_arm(member), 1);
	close_all();
}

static void on_members(struct ivr_member *self, const struct ivr_member_event *event, void *arg)
{
	handled++;
}

static void on_reply(struct ivr_member *self, int status, const struct ivring_item *reply, void *arg)
{
	CHECK_EQ(status, -EPIPE);
	handled++;
}

static void members_asked_for_late(void)
{
	struct ivring_item item = { .port = 2 };

	set_up_loop();
	CHECK_EQ(ivr_receive(member, &item, 1), 0);
	device_ring(0, false);
	join_third();
	CHECK_EQ(ivr_arm(member), 1);
	device.signals = 0;
	ivr_on_members(member, on_members, NULL);
	CHECK_EQ(device.kicks, 1);
	CHECK_EQ(device.signals, 1);
	CHECK_EQ(ivr_dispatch(member, 100), 0);
	CHECK(handled);
	close_all();

	/* A request ends when the member that was asked leaves. */
	set_up_loop();
	item = (struct ivring_item){ .port = 2 };
	CHECK_EQ(ivr_request(member, ivr_self(other), &item, 0, IVRING_DEADLINE_NEVER, on_reply,
			     NULL, NULL), 0);
	device_ring(0, false);
	close_other();
	CHECK_EQ(ivr_arm(member), 0);
	CHECK_EQ(ivr_dispatch(member, 100), 0);
	CHECK_EQ(handled, 1);
	close_all();
}

int main(void)
{
	RUN_AS(call_leaves_it_armed(false), "call_leaves_it_armed, asleep");
	RUN_AS(call_leaves_it_armed(true), "call_leaves_it_armed, polling");
	RUN_AS(call_with_something_left_kicks(false), "call_with_something_left_kicks, asleep");
	RUN_AS(call_with_something_left_kicks(true), "call_with_something_left_kicks, polling");
	RUN(call_that_fails);
	RUN(stopped);
	RUN(budget_is_used_up);
	RUN(look_that_finds_nothing_leaves_it_armed);
	RUN(busy_stays_busy);
	RUN(eventfd_after_the_work);
	RUN(members_count_when_asked_for);
	RUN(members_asked_for_late);
	return tap_end();
}
