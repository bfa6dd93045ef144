// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The reasons of ivr_why(): receiving, handlers, requests, and threads.
 */

#include <pthread.h>

#include "fails.h"

static void receiving(void)
{
	struct ivring_item item;

	set_up();
	FAILS(ivr_wait(member, IVRING_WAIT_MEMBERS, 0) - IVRING_EVENT_MEMBERS, 0, "bytes");
	FAILS(ivr_wait(member, 0, 0), -ETIMEDOUT, "deadline");
	fail_next(IVRING_IOC_WAIT, -EINVAL);
	FAILS(ivr_wait(member, 64, 0), -EINVAL, "flag");
	fail_next(IVRING_IOC_WAIT, -EINTR);
	FAILS(ivr_wait(member, 0, 0), -EINTR, "signal");
	FAILS(ivr_consume(member, 1), -EINVAL, "Fewer items");
	send_items(other, member, 0, 1);
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	device_inbox(0)->room_wanted = 1;
	device_inbox(0)->room_at = 0;
	fail_next(IVRING_IOC_ROOM, -ENOENT);
	FAILS(ivr_consume(member, 1), -ENOENT, "closed since");
	device_area(0)->inbox_consumer = 77;
	FAILS(ivr_wait(member, 0, 0), -EPROTO, "own inbox");
	FAILS(ivr_run(member), -EPROTO, "own inbox");
	close_all();

	set_up();
	member->receiver.state.unfenced = true;
	device.fence_error = -ENOMEM;
	FAILS(ivr_arm(member), -ENOMEM, "memory");
	FAILS(ivr_dispatch(member, 1), -ENOMEM, "memory");
	FAILS(ivr_run(member), -ENOMEM, "memory");
	close_all();
}

static void call_inside(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	FAILS(ivr_arm(self), -EBUSY, "handler");
}

static void in_a_handler(void)
{
	set_up();
	CHECK_EQ(ivr_on(member, 1, call_inside, NULL), 0);
	send_items(other, member, 0, 1);
	CHECK_EQ(ivr_dispatch(member, 1), 1);
	close_all();
}

static int call(uint64_t deadline)
{
	struct ivring_item item = { .port = 1 };

	return ivr_call(member, ivr_self(other), &item, deadline, ignore_reply, NULL);
}

static void requests(void)
{
	struct ivring_item item = { .flags = 0x80 };

	set_up();
	FAILS(ivr_on(member, IVR_PORT_RESERVED, ignore_item, NULL), -EINVAL, "RESERVED");
	FAILS(ivr_request(member, ivr_self(other), &item, 0, IVRING_DEADLINE_NEVER,
			  ignore_reply, NULL, NULL), -EINVAL,
	      "unknown flag");
	FAILS(ivr_reply(member, &(struct ivring_item){ .from = 1, .from_gen = 3 },
			&(struct ivring_item){ 0 }, 0), -EINVAL, "generation yet");
	FAILS(ivr_cancel(member, 99), -ENOENT, "does not wait for a reply");
	FAILS(call(0), -ETIMEDOUT, "reply");
	device.asleep = dispatch_other;
	FAILS(call(SOON), -ECONNREFUSED, "no handler");
	device.asleep = stop_member;
	FAILS(call(SOON), -ECANCELED, "ivr_stop()");
	CHECK_EQ(ivr_run(member), 0);
	CHECK_EQ(ivr_dispatch(member, 10), 1);
	device.asleep = close_other;
	FAILS(call(SOON), -EPIPE, "without a reply");
	close_all();
}

static void *another_thread(void *arg)
{
	CHECK(strstr(ivr_why(), "No call of this thread"));
	return NULL;
}

static void each_thread_has_its_own(void)
{
	pthread_t thread;

	forget_why();
	CHECK_EQ(pthread_create(&thread, NULL, another_thread, NULL), 0);
	pthread_join(thread, NULL);
	check_why(__LINE__, "bytes");
}

int main(void)
{
	RUN(receiving);
	RUN(in_a_handler);
	RUN(requests);
	RUN(each_thread_has_its_own);
	return tap_end();
}
