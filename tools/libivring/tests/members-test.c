// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Member events: each is reported once, in order.
 */

#include <errno.h>

#include "fixture.h"

/* The events that the handler got, and the event at which it stops the dispatcher. */
static struct {
	struct ivr_member_event events[64];
	unsigned int count, stop_at;
} seen;

static void on_members(struct ivr_member *self, const struct ivr_member_event *event, void *arg)
{
	struct ivr_member_event inside;

	CHECK(arg == &seen);
	CHECK_EQ(ivr_next_member_event(self, &inside), -EBUSY);
	CHECK_EQ(ivr_refresh_members(self), -EBUSY);
	seen.events[seen.count++] = *event;
	if (seen.count == seen.stop_at)
		ivr_stop(self);
}

static void set_up_members(void)
{
	memset(&seen, 0, sizeof(seen));
	set_up();
}

static void check(const struct ivr_member_event *event, enum ivr_member_event_kind kind, uint32_t id,
		  uint32_t generation)
{
	CHECK_EQ(event->event, kind);
	CHECK_EQ(event->peer.id, id);
	CHECK_EQ(event->peer.generation, generation);
	CHECK_EQ(event->skipped, 0);
}

static void check_next(enum ivr_member_event_kind kind, uint32_t id, uint32_t generation)
{
	struct ivr_member_event event;

	CHECK_EQ(ivr_next_member_event(member, &event), 1);
	check(&event, kind, id, generation);
}

static void check_no_more(void)
{
	struct ivr_member_event event;

	CHECK_EQ(ivr_next_member_event(member, &event), 0);
}

static void each_event_in_order(void)
{
	set_up_members();
	check_no_more();
	CHECK_EQ(ivr_refresh_members(member), 1);
	check_next(IVR_MEMBER_JOINED, 1, 1);
	check_no_more();
	/* Between two calls, one member comes and goes, and another member takes over a slot. */
	join_third();
	ivr_close(third);
	third = NULL;
	replace_other();
	CHECK_EQ(ivr_refresh_members(member), 1);
	check_next(IVR_MEMBER_LEFT, 1, 1);
	check_next(IVR_MEMBER_JOINED, 1, 3);
	check_next(IVR_MEMBER_JOINED, 2, 1);
	check_next(IVR_MEMBER_LEFT, 2, 1);
	check_no_more();
	CHECK_EQ(ivr_refresh_members(member), 0);
	close_all();
}

/* Events from before the member attached are not reported to it. */
static void no_history(void)
{
	set_up_members();
	replace_other();
	replace_other();
	join_third();
	CHECK_EQ(ivr_refresh_members(third), 1);
	ivr_close(member);
	member = third;
	third = NULL;
	CHECK_EQ(ivr_refresh_members(member), 1);
	check_next(IVR_MEMBER_JOINED, 0, 1);
	check_next(IVR_MEMBER_LEFT, 0, 1);
	check_next(IVR_MEMBER_JOINED, 1, 5);
	check_no_more();
	close_all();
}

static void many_on_one_slot(void)
{
	struct ivr_member_event event;
	uint32_t i;

	set_up_members();
	CHECK_EQ(ivr_refresh_members(member), 1);
	check_next(IVR_MEMBER_JOINED, 1, 1);
	for (i = 0; i < 20; i++)
		replace_other();
	CHECK_EQ(ivr_refresh_members(member), 1);
	/*
	 * The member that was reported has left. The members of generations 3 to 25 are left out.
	 */
	check_next(IVR_MEMBER_LEFT, 1, 1);
	CHECK_EQ(ivr_next_member_event(member, &event), 1);
	CHECK_EQ(event.event, IVR_MEMBER_JOINED);
	CHECK_EQ(event.peer.generation, 27);
	CHECK_EQ(event.skipped, 12);
	for (i = 27; i < 41; i += 2) {
		check_next(IVR_MEMBER_LEFT, 1, i);
		check_next(IVR_MEMBER_JOINED, 1, i + 2);
	}
	check_no_more();
	close_all();
}

static void left_is_reported_after_the_last_item(void)
{
	struct ivring_item item;

	set_up_members();
	CHECK_EQ(ivr_refresh_members(member), 1);
	check_next(IVR_MEMBER_JOINED, 1, 1);
	send_items(other, member, 0, 1);
	replace_other();
	CHECK_EQ(ivr_refresh_members(member), 0);
	check_no_more();
	/* Later changes are not part of these events. */
	send_items(other, member, 0, 1);
	close_other();
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(ivr_consume(member, 1), 0);
	CHECK_EQ(ivr_refresh_members(member), 1);
	check_next(IVR_MEMBER_LEFT, 1, 1);
	check_next(IVR_MEMBER_JOINED, 1, 3);
	check_no_more();
	CHECK_EQ(ivr_refresh_members(member), 0);
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(ivr_consume(member, 1), 0);
	CHECK_EQ(ivr_refresh_members(member), 1);
	check_next(IVR_MEMBER_LEFT, 1, 3);
	check_no_more();
	close_all();
}

static void events_from_the_dispatcher(void)
{
	set_up_members();
	ivr_on_members(member, on_members, &seen);
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(seen.count, 1);
	check(&seen.events[0], IVR_MEMBER_JOINED, 1, 1);
	replace_other();
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(seen.count, 3);
	check(&seen.events[1], IVR_MEMBER_LEFT, 1, 1);
	check(&seen.events[2], IVR_MEMBER_JOINED, 1, 3);
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(seen.count, 3);
	close_all();
}

/* A handler that is registered late gets the events that the dispatcher has seen before. */
static void late_handler(void)
{
	set_up_members();
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	join_third();
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	ivr_on_members(member, on_members, &seen);
	CHECK_EQ(ivr_wait(member, IVRING_WAIT_MEMBERS, 0), IVRING_EVENT_MEMBERS);
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(seen.count, 2);
	close_all();
}

static void stopped_between_two_events(void)
{
	set_up_members();
	join_third();
	seen.stop_at = 1;
	ivr_on_members(member, on_members, &seen);
	CHECK_EQ(ivr_run(member), 0);
	CHECK_EQ(seen.count, 1);
	/* The remaining events still wake the event loop. */
	CHECK_EQ(ivr_wait(member, IVRING_WAIT_MEMBERS, 0), IVRING_EVENT_MEMBERS);
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(seen.count, 2);
	check(&seen.events[1], IVR_MEMBER_JOINED, 2, 1);
	close_all();
}

int main(void)
{
	RUN(each_event_in_order);
	RUN(no_history);
	RUN(many_on_one_slot);
	RUN(left_is_reported_after_the_last_item);
	RUN(events_from_the_dispatcher);
	RUN(late_handler);
	RUN(stopped_between_two_events);
	return tap_end();
}
