// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A member in an event loop of its caller's: whatever it did last, it is armed when it returns to
 * the loop, or has rung itself.
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

static void echo(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	struct ivring_item answer = { 0 };

	CHECK_EQ(ivr_reply(self, item, &answer, 0), 0);
}

/* A member that is armed and has an eventfd, and the other one, which answers requests. */
static void set_up_loop(void)
{
	set_up();
	handled = 0;
	CHECK_EQ(ivr_on(member, 1, on_item, NULL), 0);
	CHECK_EQ(ivr_on(other, 2, echo, NULL), 0);
	CHECK_EQ(ivr_set_eventfd(member, 1), 0);
	CHECK_EQ(ivr_dispatch(member, 100), 0);
	CHECK_EQ(device_area(0)->state, IVRING_IDLE);
	device.kicks = device.signals = 0;
}

/* The next item wakes the loop. */
static void check_armed(void)
{
	unsigned int before = device.signals;

	CHECK_EQ(device_area(0)->state, IVRING_IDLE);
	CHECK_EQ(device.kicks, 0);
	send_items(other, member, 0, 1);
	CHECK_EQ(device.signals, before + 1);
	close_all();
}

/* There was something already, for which the member has woken the loop by itself. */
static void check_kicked(void)
{
	CHECK_EQ(device_area(0)->state, IVRING_BUSY);
	CHECK_EQ(device.kicks, 1);
	CHECK_EQ(device.signals, 1);
	close_all();
}

static void answer(void)
{
	CHECK(ivr_dispatch(other, 100) >= 0);
}

static void answer_and_send(void)
{
	answer();
	/* Behind the reply, which ends the call. */
	send_items(other, member, 0, 1);
}

static int call(uint64_t deadline)
{
	struct ivring_item item = { .port = 2 }, reply;

	return ivr_call(member, ivr_self(other), &item, deadline, ivr_keep_reply, &reply);
}

/* How a call gets its reply: by polling, or asleep. */
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
	let_happen(answer, polling);
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
	/* One more for the reply, if the call slept. */
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

static void stop(void)
{
	ivr_stop(member);
}

static void stopped(void)
{
	set_up_loop();
	/* In a handler, with nothing left. */
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
	stop();
	CHECK_EQ(ivr_dispatch(member, 100), 0);
	check_kicked();

	set_up_loop();
	stop();
	CHECK_EQ(ivr_run(member), 0);
	check_armed();
}

/* The next dispatch() is the caller's duty, and it costs no system call. */
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

static void look_in_vain_leaves_it_armed(void)
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

/* One who polls without end is not rung, though looks in vain do not say BUSY. */
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

static void eventfd_that_is_late(void)
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
	/* There is news of two, and nobody asked. */
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

static void on_members(struct ivr_member *self, const struct ivr_member_event *change, void *arg)
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

	/* A request ends with the one that was asked. */
	set_up_loop();
	item = (struct ivring_item){ .port = 2 };
	CHECK_EQ(ivr_request(member, ivr_self(other), &item, 0, on_reply, NULL, NULL), 0);
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
	RUN(look_in_vain_leaves_it_armed);
	RUN(busy_stays_busy);
	RUN(eventfd_that_is_late);
	RUN(members_count_when_asked_for);
	RUN(members_asked_for_late);
	return tap_end();
}
