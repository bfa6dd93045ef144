// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The dispatcher while there are no items: arming, polling and sleeping.
 */

#include <errno.h>

#include "fixture.h"

#define LANE	4096u	/* entries */
#define MANY	1024u	/* items after which senders are spared their barrier */

/* What the handler saw, and what it should do. */
static struct {
	unsigned int items;
	uint32_t states[2 * LANE];
	unsigned int stop_at;
} seen;

static void on_item(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	seen.states[seen.items++] = device_area(0)->state;
	if (seen.items == seen.stop_at)
		ivr_stop(self);
}

/* Makes a member that has handled its member events and has a lane from the other member. */
static void set_up_lane(void)
{
	memset(&seen, 0, sizeof(seen));
	set_up();
	ivr_on_other(member, on_item, NULL);
	open_lane_of(other, member, LANE);
	CHECK_EQ(ivr_dispatch(member, 1), 0);
	device.fences = 0;
}

static void send_few(void)
{
	send_items(other, member, 0, 1);
}

static void send_many(void)
{
	send_items(other, member, 0, MANY);
}

static void spares_senders_after_many_items(void)
{
	unsigned int i;

	set_up_lane();
	send_items(other, member, 0, 2 * MANY);
	CHECK_EQ(ivr_dispatch(member, LANE), 2 * MANY);
	for (i = 0; i < 2 * MANY; i++)
		CHECK_EQ(seen.states[i],
			 i < MANY ? IVRING_BUSY : IVRING_BUSY_UNFENCED);
	CHECK_EQ(device_area(0)->state, IVRING_IDLE);
	CHECK_EQ(device.fences, 1);
	CHECK_EQ(ivr_dispatch(member, LANE), 0);
	CHECK_EQ(device.fences, 1);
	close_all();
}

static void few_items_need_no_barrier(void)
{
	unsigned int i;

	set_up_lane();
	for (i = 0; i < 3 * MANY; i++) {
		send_few();
		CHECK_EQ(ivr_dispatch(member, LANE), 1);
	}
	CHECK_EQ(device.fences, 0);
	for (i = 0; i < seen.items; i++)
		CHECK_EQ(seen.states[i], IVRING_BUSY);
	close_all();
}

/* While items are left the state stays UNFENCED, and items of several calls add up. */
static void unfenced_until_armed(void)
{
	set_up_lane();
	send_items(other, member, 0, 3 * MANY);
	CHECK_EQ(ivr_dispatch(member, MANY - 1), MANY - 1);
	CHECK_EQ(device_area(0)->state, IVRING_BUSY);
	CHECK_EQ(ivr_dispatch(member, 1), 1);
	CHECK_EQ(device_area(0)->state, IVRING_BUSY_UNFENCED);
	CHECK_EQ(device.fences, 0);
	CHECK_EQ(ivr_dispatch(member, 3 * MANY), 2 * MANY);
	CHECK_EQ(seen.states[MANY], IVRING_BUSY_UNFENCED);
	CHECK_EQ(device_area(0)->state, IVRING_IDLE);
	CHECK_EQ(device.fences, 1);
	close_all();
}

static uint32_t state_in_barrier;

static void look_and_send(void)
{
	state_in_barrier = device_area(0)->state;
	send_few();
}

static void looks_after_the_barrier(void)
{
	set_up_lane();
	send_items(other, member, 0, MANY);
	device.in_fence = look_and_send;
	CHECK_EQ(ivr_dispatch(member, LANE), MANY + 1);
	CHECK_EQ(state_in_barrier, IVRING_IDLE);
	/* The state is no longer UNFENCED, so going to sleep needs only one barrier. */
	CHECK_EQ(device.fences, 1);
	CHECK_EQ(device_area(0)->state, IVRING_IDLE);
	close_all();
}

static void fail_once(void)
{
	device.fence_error = 0;
}

static void fence_that_fails(void)
{
	set_up_lane();
	send_items(other, member, 0, MANY);
	device.fence_error = -ENOMEM;
	CHECK_EQ(ivr_dispatch(member, LANE), -ENOMEM);
	/* If the member sleeps now, the kernel passes the barrier. */
	CHECK_EQ(device_area(0)->state, IVRING_BUSY_UNFENCED);
	CHECK_EQ(ivr_run(member), -ENOMEM);
	CHECK_EQ(ivr_arm(member), -ENOMEM);
	CHECK_EQ(device_area(0)->state, IVRING_BUSY_UNFENCED);
	fail_once();
	CHECK_EQ(ivr_arm(member), 1);
	CHECK_EQ(device.fences, 1);
	CHECK_EQ(device_area(0)->state, IVRING_IDLE);
	close_all();
}

static void send_many_and_some(void)
{
	send_many();
	device.asleep = send_few;
}

static void one_barrier_per_sleep(void)
{
	set_up_lane();
	seen.stop_at = MANY + 2;
	device.asleep = send_many_and_some;
	send_few();
	CHECK_EQ(ivr_run(member), 0);
	CHECK_EQ(seen.items, MANY + 2);
	/* The member slept twice, and was UNFENCED only before the second sleep. */
	CHECK_EQ(device.waits, 2);
	CHECK_EQ(device.fences, 1);
	CHECK_EQ(seen.states[MANY + 1], IVRING_BUSY);
	close_all();
}

static void stopped_unfenced(void)
{
	set_up_lane();
	seen.stop_at = 2 * MANY;
	send_items(other, member, 0, 3 * MANY);
	CHECK_EQ(ivr_run(member), 0);
	CHECK_EQ(seen.states[2 * MANY - 1], IVRING_BUSY_UNFENCED);
	CHECK_EQ(device_area(0)->state, IVRING_BUSY);
	CHECK_EQ(device.fences, 1);
	close_all();
}

static void still_unfenced_after_polling(void)
{
	set_up_lane();
	device.tick = 100;
	ivr_set_polling(member, 200000);
	member->idle_polling.window = 200000;
	device.alarm_at = device.now + 3000;
	device.alarm = send_few;
	seen.stop_at = MANY + 1;
	send_many();
	CHECK_EQ(ivr_run(member), 0);
	CHECK_EQ(seen.states[MANY], IVRING_BUSY_UNFENCED);
	CHECK_EQ(device.waits, 0);
	close_all();
}

/* A short sleep makes the member poll, and polling finds the next item. */
static void polls_before_it_sleeps(void)
{
	set_up_lane();
	device.tick = 100;
	ivr_set_polling(member, 200000);
	device.nap = 30000;
	device.asleep = send_few;
	seen.stop_at = 1;
	CHECK_EQ(ivr_run(member), 0);
	CHECK_EQ(device.waits, 1);
	/* The window is twice the length of the wait: the nap and a reading of the clock. */
	CHECK_EQ((long long)member->idle_polling.window, 60200);

	device.alarm_at = device.now + 5000;
	device.alarm = send_few;
	seen.stop_at = 2;
	CHECK_EQ(ivr_run(member), 0);
	/* Neither side has called the kernel. */
	CHECK_EQ(device.waits, 1);
	CHECK_EQ(seen.states[1], IVRING_BUSY);
	close_all();
}

static void sleeps_after_one_window(void)
{
	uint64_t start;

	set_up_lane();
	device.tick = 100;
	ivr_set_polling(member, 200000);
	member->idle_polling.window = 50000;
	device.nap = 1000000;
	device.asleep = send_few;
	seen.stop_at = 1;
	start = device.now;
	CHECK_EQ(ivr_run(member), 0);
	CHECK_EQ(device.waits, 1);
	CHECK(device.now - start >= 1050000 && device.now - start < 1060000);
	/* Polling found nothing, so the next window is shorter. */
	CHECK_EQ((long long)member->idle_polling.window, 25000);
	close_all();
}

static void open_lane_of_third(void)
{
	open_lane_of(third, member, LANE);
}

/* Makes @what happen while the member polls. If polling does not see it, the member sleeps. */
static void run_and_poll(void (*what)(void))
{
	set_up_lane();
	join_third();
	CHECK_EQ(ivr_dispatch(member, 1), 0);
	device.tick = 100;
	ivr_set_polling(member, 200000);
	member->idle_polling.window = 200000;
	device.alarm_at = device.now + 3000;
	device.alarm = what;
	device.before_wait = stop_member;
	seen.stop_at = 1;
	CHECK_EQ(ivr_run(member), 0);
}

static void polling_sees_all_work(void)
{
	run_and_poll(send_few);
	CHECK_EQ(device.waits, 0);
	CHECK_EQ(seen.items, 1);
	close_all();

	run_and_poll(stop_member);
	CHECK_EQ(device.waits, 0);
	CHECK(device.now < 100000);
	close_all();

	run_and_poll(open_lane_of_third);
	CHECK_EQ(member->receiver.rotation.count, 3);
	CHECK(device.now < 300000);
	close_all();

	run_and_poll(replace_other);
	CHECK_EQ(member->members, member->region->members);
	CHECK(device.now < 300000);
	close_all();
}

static void polling_is_off_on_one_cpu(void)
{
	device_reset();
	CHECK_EQ(ivr_create(&(struct ivr_region_options){
		.slots = 2, .inbox_entries = ENTRIES, .outbox_bytes = OUTBOX }, &member), 0);
	CHECK_EQ((long long)member->idle_polling.max, 0);
	device.cpus = 2;
	CHECK_EQ(ivr_join_fd(ivr_fd(member), 1, &other), 0);
	CHECK_EQ((long long)other->idle_polling.max, IVR_POLLING_MAX_NS);
	ivr_set_polling(other, 0);
	CHECK_EQ((long long)other->idle_polling.max, 0);
	close_all();
}

static void woken_for_several_items(void)
{
	set_up_lane();
	ivr_set_wake(member, 4, 1000);
	CHECK_EQ(ivr_arm(member), 1);
	send_items(other, member, 0, 3);
	CHECK_EQ(device_area(0)->state, IVRING_DELAYED);
	CHECK_EQ(ivr_dispatch(member, 10), 3);
	CHECK_EQ(seen.states[0], IVRING_BUSY);
	send_items(other, member, 0, 4);
	CHECK_EQ(device_area(0)->state, IVRING_BUSY);
	CHECK_EQ(ivr_dispatch(member, 10), 4);
	ivr_set_wake(member, 0, 0);
	send_few();
	CHECK_EQ(device_area(0)->state, IVRING_BUSY);
	close_all();
}

static void stop_in_a_delay(void)
{
	send_few();
	CHECK_EQ(device_area(0)->state, IVRING_DELAYED);
	ivr_stop(member);
}

static void send_four(void)
{
	CHECK_EQ(device_area(0)->wake_items, 4);
	send_items(other, member, 0, 4);
}

/* A dispatch that ends for another reason leaves the stop to the next dispatch. */
static void stop_in_the_last_moment(void)
{
	set_up_lane();
	send_many();
	device.in_fence = stop_member;
	CHECK_EQ(ivr_dispatch(member, 2 * MANY), MANY);
	send_few();
	CHECK_EQ(ivr_dispatch(member, 1), 0);
	CHECK_EQ(ivr_dispatch(member, 1), 1);
	close_all();
}

static void stop_is_not_delayed(void)
{
	set_up_lane();
	ivr_set_wake(member, 4, 1000);
	device.before_wait = stop_member;
	CHECK_EQ(ivr_run(member), 0);
	device.before_wait = stop_in_a_delay;
	CHECK_EQ(ivr_run(member), 0);
	/* Later items are delayed as before. */
	device.before_wait = send_four;
	seen.stop_at = 5;
	CHECK_EQ(ivr_run(member), 0);
	CHECK_EQ(seen.items, 5);
	close_all();
}

int main(void)
{
	RUN(spares_senders_after_many_items);
	RUN(few_items_need_no_barrier);
	RUN(unfenced_until_armed);
	RUN(looks_after_the_barrier);
	RUN(fence_that_fails);
	RUN(one_barrier_per_sleep);
	RUN(stopped_unfenced);
	RUN(still_unfenced_after_polling);
	RUN(polls_before_it_sleeps);
	RUN(sleeps_after_one_window);
	RUN(polling_sees_all_work);
	RUN(polling_is_off_on_one_cpu);
	RUN(woken_for_several_items);
	RUN(stop_in_the_last_moment);
	RUN(stop_is_not_delayed);
	return tap_end();
}
