// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Each way in which a public function fails: the error, and the sentence that tells it from the
 * others with the same error.
 */

#include <ctype.h>
#include <errno.h>
#include <pthread.h>

#include "fixture.h"

static char long_name[IVRING_NAME_SIZE + 1];

/* A failure that no other resembles, so that what the call says is its own. */
static void forget_why(void)
{
	ivr_get_inline(&(struct ivring_item){ 0 }, long_name, 1);
}

#define FAILS(call, error, words)						\
	do {									\
		forget_why();							\
		CHECK_EQ(call, error);						\
		check_why(__LINE__, words);					\
	} while (0)

static void check_why(int line, const char *words)
{
	const char *why = ivr_why();
	size_t length = strlen(why);

	if (!strstr(why, words)) {
		printf("# line %d: \"%s\" does not say \"%s\"\n", line, why, words);
		tap_good = false;
	}
	CHECK(length > 10 && isupper((unsigned char)why[0]) && why[length - 1] == '.');
}

static void fail_next(unsigned long request, int error)
{
	device.fail = request;
	device.fail_error = error;
}

static int create(struct ivr_region_options options)
{
	return ivr_create(&options, &third);
}

static struct ivr_region_options region(const char *name, uint32_t slots, uint32_t inbox_entries,
					uint64_t outbox_bytes, uint32_t mode)
{
	return (struct ivr_region_options){
		.name = name, .slots = slots, .inbox_entries = inbox_entries,
		.outbox_bytes = outbox_bytes, .mode = mode,
	};
}

static struct ivr_region_options good(const char *name)
{
	return region(name, 2, ENTRIES, OUTBOX, 0);
}

static int create_refused(struct ivr_region_options options)
{
	fail_next(IVRING_IOC_CREATE, -EINVAL);
	return create(options);
}

static void creating(void)
{
	device_reset();
	FAILS(create(good(long_name)), -EINVAL, "longer");
	FAILS(create(good("a/b")), -EINVAL, "'/'");
	FAILS(create_refused(region("", 0, 8, 4096, 0)), -EINVAL, "slots");
	FAILS(create_refused(region("", 99, 8, 4096, 0)), -EINVAL, "slots");
	FAILS(create_refused(region("", 2, 3, 4096, 0)), -EINVAL, "inbox entries");
	FAILS(create_refused(region("", 2, 1 << 17, 4096, 0)), -EINVAL, "inbox entries");
	FAILS(create_refused(region("", 2, 8, 2048, 0)), -EINVAL, "outbox");
	FAILS(create_refused(region("x", 2, 8, 4096, 01000)), -EINVAL, "other than permission");
	FAILS(create_refused(region("", 2, 8, 4096, 0600)), -EINVAL, "without a name");
	FAILS(create_refused(good(NULL)), -EINVAL, "flag");
	fail_next(IVRING_IOC_CREATE, -EMFILE);
	FAILS(create(good(NULL)), -EMFILE, "regions");
	fail_next(IVRING_IOC_CREATE, -ENOMEM);
	FAILS(create(good(NULL)), -ENOMEM, "memory");
	device.info_error = -EFAULT;
	FAILS(create(good(NULL)), -EFAULT, "address");
	device.info_error = 0;
	fail_next(IVRING_IOC_CREATE, -EL2HLT);
	FAILS(create(good(NULL)), -EL2HLT, "does not know");
	device.version++;
	FAILS(create(good(NULL)), -EPROTONOSUPPORT, "another version");
	set_up();
	FAILS(create(good("test")), -EEXIST, "already");
	close_all();
}

static const struct {
	int error, seen;
	const char *words;
} device_errors[] = {
	{ -ENOENT, -ENODEV, "not loaded" },
	{ -ENXIO, -ENODEV, "not loaded" },
	{ -ENODEV, -ENODEV, "not loaded" },
	{ -EACCES, -EACCES, "permissions of /dev/ivring" },
	{ -EPERM, -EPERM, "permissions of /dev/ivring" },
	{ -EMFILE, -EMFILE, "process has reached its limit of open files" },
	{ -ENFILE, -ENFILE, "system has reached its limit of open files" },
};

/* None of them is worth a wait. */
static void no_device(void)
{
	struct ivr_region_options options = good("test");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(device_errors); i++) {
		int seen = device_errors[i].seen;
		const char *words = device_errors[i].words;

		device_reset();
		device.open_error = device_errors[i].error;
		FAILS(create(options), seen, words);
		FAILS(ivr_join("test", 1, IVRING_DEADLINE_NEVER, &third), seen, words);
		FAILS(ivr_open(&options, IVRING_DEADLINE_NEVER, &third), seen, words);
		FAILS(ivr_join_fd(0, 1, &third), seen, words);
	}
}

static const struct {
	int error;
	const char *words;
} attach_errors[] = {
	{ -EACCES, "mode of the region" },
	{ -EMFILE, "regions" },
	{ -EBUSY, "Another member has that slot" },
	{ -ENOSPC, "All slots" },
	{ -EDQUOT, "half of the slots" },
	{ -ENOMEM, "memory" },
	{ -EINVAL, "no slot" },
};

static void joining(void)
{
	struct ivr_region_options options = good("test"), nameless = good(NULL);
	unsigned int i;

	device_reset();
	FAILS(ivr_join("", 1, 0, &third), -EINVAL, "empty");
	FAILS(ivr_join(long_name, 1, 0, &third), -EINVAL, "longer");
	FAILS(ivr_join("a/b", 1, 0, &third), -EINVAL, "'/'");
	FAILS(ivr_open(&nameless, 0, &third), -EINVAL, "empty");
	nameless.name = long_name;
	FAILS(ivr_open(&nameless, 0, &third), -EINVAL, "longer");
	FAILS(ivr_join("test", 1, 0, &third), -ENOENT, "No region has that name");
	FAILS(ivr_join("test", 1, SOON, &third), -ENOENT, "No region has that name");
	set_up();
	/* None of them is worth a wait. */
	for (i = 0; i < ARRAY_SIZE(attach_errors); i++) {
		int error = attach_errors[i].error;

		fail_next(IVRING_IOC_ATTACH, error);
		FAILS(ivr_join("test", 1, IVRING_DEADLINE_NEVER, &third), error,
		      attach_errors[i].words);
		fail_next(IVRING_IOC_ATTACH, error);
		FAILS(ivr_open(&options, IVRING_DEADLINE_NEVER, &third), error,
		      error == -EINVAL ? "flag" : attach_errors[i].words);
	}
	FAILS(ivr_join("test", 1, 0, &third), -EBUSY, "Another member has that slot");
	FAILS(ivr_join("test", 4, 0, &third), -EINVAL, "no slot");
	FAILS(ivr_join_fd(-1, 1, &third), -EBADF, "not open");
	FAILS(ivr_join_fd(ivr_fd(member), 4, &third), -EINVAL, "no slot");
	fail_next(IVRING_IOC_ATTACH, -EINVAL);
	device.info_error = -ENXIO;
	FAILS(ivr_join_fd(0, 1, &third), -EINVAL, "no region");
	fail_next(IVRING_IOC_ATTACH, -EINVAL);
	device.info_error = -ENOTTY;
	FAILS(ivr_join_fd(0, 1, &third), -EINVAL, "does not belong to /dev/ivring");
	device.info_error = 0;
	close_all();
}

static void leave_and_come(void)
{
	ivr_close(member);
	device.asleep = NULL;
}

/* The region goes whenever its name has been found taken. */
static void opening_a_region_that_comes_and_goes(void)
{
	struct ivr_region_options options = good("test");
	unsigned int calls;

	set_up();
	close_other();
	fail_next(IVRING_IOC_ATTACH, -ENOENT);
	CHECK_EQ(ivr_open(&options, 0, &third), IVR_JOINED);
	ivr_close(third);
	third = NULL;
	device.asleep = leave_and_come;
	leave_and_come();
	member = NULL;
	CHECK_EQ(ivr_open(&options, 0, &third), IVR_CREATED);
	calls = device.calls;
	CHECK_EQ(ivr_open(&options, 0, &other), IVR_JOINED);
	CHECK_EQ(ivr_self(other).id, 1);
	CHECK(device.calls - calls < 6);
	close_all();
}

static void the_member(void)
{
	struct ivring_member_info member_info;
	struct ivring_info info;
	struct ivr_peer peer;

	set_up();
	device.info_error = -EFAULT;
	FAILS(ivr_info(member, &info), -EFAULT, "address");
	device.info_error = 0;
	FAILS(ivr_member_info(member, 4, &member_info), -EINVAL, "no slot");
	fail_next(IVRING_IOC_EVENTFD, -EBADF);
	FAILS(ivr_set_eventfd(member, 9), -EBADF, "not open");
	fail_next(IVRING_IOC_EVENTFD, -EINVAL);
	FAILS(ivr_set_eventfd(member, 9), -EINVAL, "eventfd");
	FAILS(ivr_wait_peer(member, 4, 0, &peer), -EINVAL, "no slot");
	CHECK_EQ(ivr_refresh_members(member), 1);
	FAILS(ivr_wait_peer(member, 2, 0, &peer), -ETIMEDOUT, "deadline");
	device.poll_error = -EINTR;
	FAILS(ivr_wait_peer(member, 2, 0, &peer), -EINTR, "signal");
	device.poll_error = -EPROTO;
	FAILS(ivr_wait_peer(member, 2, 0, &peer), -EPROTO, "own inbox");
	close_all();
}

static int send_item(struct ivring_item item)
{
	return ivr_send(member, ivr_self(other), &item, 1, 0);
}

static int send_to(uint32_t id, uint32_t generation)
{
	struct ivring_item item = { 0 };

	return ivr_send(member, (struct ivr_peer){ id, generation }, &item, 1, 0);
}

static void sending(void)
{
	struct ivr_peer old;

	set_up();
	old = ivr_self(other);
	FAILS(ivr_send(member, old, NULL, 0, 0), -EINVAL, "number of items");
	FAILS(send_item((struct ivring_item){ .from = 1 }), -EINVAL, "from");
	FAILS(send_item((struct ivring_item){ .flags = 0x80 }), -EINVAL, "unknown flag");
	FAILS(send_item((struct ivring_item){ .inline_len = 33 }), -EINVAL, "inline_len");
	FAILS(send_item((struct ivring_item){ .offset = 1 }), -EINVAL, "offset");
	FAILS(send_item((struct ivring_item){ .length = 1 }), -EINVAL, "one block");
	FAILS(send_to(4, 1), -EINVAL, "no slot");
	FAILS(send_to(1, 2), -EINVAL, "odd");
	FAILS(send_to(1, 3), -EINVAL, "generation yet");
	FAILS(send_to(2, 1), -EINVAL, "generation yet");
	fail_next(IVRING_IOC_ENQUEUE, -EINTR);
	FAILS(send_to(1, 1), -EINTR, "signal");
	fail_next(IVRING_IOC_ENQUEUE, -EINVAL);
	FAILS(send_to(1, 1), -EINVAL, "item");
	send_items(member, member, 0, ENTRIES);
	FAILS(ivr_send(member, ivr_self(member), &(struct ivring_item){ 0 }, 1, SOON), -EDEADLK,
	      "only the sender itself");
	FAILS(ivr_flush(member, ivr_self(member), SOON), -EDEADLK, "itself has to read");
	send_items(member, other, 0, ENTRIES);
	FAILS(send_to(1, 1), -EAGAIN, "inbox is full");
	FAILS(ivr_flush(member, old, 0), -ETIMEDOUT, "read");
	FAILS(ivr_send(member, old, &(struct ivring_item){ 0 }, 1, SOON), -ETIMEDOUT, "inbox was full");
	fail_next(IVRING_IOC_FLUSH, -EPROTO);
	FAILS(ivr_flush(member, old, 0), -EPROTO, "broken");
	fail_next(IVRING_IOC_FLUSH, -EPIPE);
	FAILS(ivr_flush(member, old, 0), -EPIPE, "left");
	device_area(1)->inbox_consumer = 77;
	FAILS(send_to(1, 1), -EPROTO, "inbox by a bad");
	close_other();
	FAILS(send_to(1, 1), -EPIPE, "free");
	other = join(1);
	FAILS(send_to(1, 1), -ESTALE, "another member");
	FAILS(ivr_flush(member, (struct ivr_peer){ 4, 1 }, 0), -EINVAL, "no slot");
	close_all();
}

static void lanes(void)
{
	struct ivring_item item = { 0 };
	struct ivr_lane *lane;
	struct ivr_peer to;
	int i;

	set_up();
	to = ivr_self(other);
	forget_why();
	CHECK(!ivr_lane(member, to));
	check_why(__LINE__, "No lane");
	FAILS(ivr_open_lane(member, to, 3, 0), -EINVAL, "power of two");
	FAILS(ivr_open_lane(member, (struct ivr_peer){ 4, 1 }, 2, 0), -EINVAL, "no slot");
	ivr_set_max_lane_entries(other, 4);
	FAILS(ivr_open_lane(member, to, 8, 0), -ECONNREFUSED, "of that size");
	ivr_set_max_lane_entries(other, 0);
	FAILS(ivr_open_lane(member, to, 8, 0), -ECONNREFUSED, "no lanes");
	ivr_set_max_lane_entries(other, 8);
	device.lane_map_error = -ENOMEM;
	FAILS(ivr_open_lane(member, to, 8, 0), -ENOMEM, "memory");
	device_lane(0, 1)->producer = 0;
	CHECK_EQ(ivr_close_lane(other, ivr_self(member)), 0);
	lane = open_lane_of(member, other, 2);
	FAILS(ivr_open_lane(member, to, 2, 0), -EBUSY, "already has a lane to that member");
	for (i = 0; i < 2; i++)
		CHECK_EQ(ivr_lane_push(lane, &item), 0);
	FAILS(ivr_lane_push(lane, &item), -EAGAIN, "lane is full");
	FAILS(ivr_lane_wait(lane, 0), -EAGAIN, "lane is full");
	FAILS(ivr_lane_wait(lane, SOON), -ETIMEDOUT, "deadline");
	FAILS(ivr_send(member, to, &item, 1, 0), -EAGAIN, "lane is full");
	FAILS(ivr_flush(member, to, 0), -ETIMEDOUT, "read");
	FAILS(ivr_close_lane(other, (struct ivr_peer){ 4, 1 }), -EINVAL, "no slot");
	FAILS(ivr_close_lane(other, (struct ivr_peer){ 2, 1 }), -ENOENT, "no lane from");
	CHECK_EQ(ivr_close_lane(other, ivr_self(member)), 0);
	FAILS(ivr_lane_push(lane, &item), -ECONNRESET, "closed");
	FAILS(ivr_lane_publish(lane), -ECONNRESET, "closed");
	FAILS(ivr_flush(member, to, 0), -ECONNRESET, "before it had read");
	close_all();

	set_up();
	lane = open_lane_of(member, other, 2);
	for (i = 0; i < 2; i++)
		CHECK_EQ(ivr_lane_push(lane, &item), 0);
	lane_end(member, other)->consumer = 77;
	FAILS(ivr_lane_push(lane, &item), -EPROTO, "consumer index");
	FAILS(ivr_lane_publish(lane), -EPROTO, "consumer index");
	close_all();

	set_up();
	lane = open_lane_of(member, other, 2);
	close_other();
	CHECK_EQ(ivr_lane_push(lane, &item), 0);
	FAILS(ivr_lane_publish(lane), -EPIPE, "left");
	close_all();

	/* The lane of one that had the slot before. */
	set_up();
	open_lane_of(other, member, 2);
	CHECK_EQ(ivr_dispatch(member, 1), 0);
	send_items(other, member, 0, 1);
	replace_other();
	FAILS(ivr_open_lane(other, ivr_self(member), 2, 0), -EBUSY, "earlier member of this slot");
	FAILS(ivr_open_lane(other, ivr_self(member), 2, SOON), -ETIMEDOUT, "earlier member of this slot");
	close_all();
}

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
	device_set_producer(0, 77);
	FAILS(ivr_receive(member, &item, 1), -EPROTO, "own inbox");
	FAILS(ivr_arm(member), -EPROTO, "own inbox");
	FAILS(ivr_refresh_members(member), -EPROTO, "own inbox");
	FAILS(ivr_dispatch(member, 1), -EPROTO, "own inbox");
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

static void busy_in(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	(void)item;
	(void)arg;
	FAILS(ivr_arm(self), -EBUSY, "handler");
}

static void in_a_handler(void)
{
	set_up();
	CHECK_EQ(ivr_on(member, 1, busy_in, NULL), 0);
	send_items(other, member, 0, 1);
	CHECK_EQ(ivr_dispatch(member, 1), 1);
	close_all();
}

static void on_item(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	(void)self;
	(void)item;
	(void)arg;
}

static void on_reply(struct ivr_member *self, int status, const struct ivring_item *reply, void *arg)
{
	(void)self;
	(void)status;
	(void)reply;
	(void)arg;
}

static void stop(void)
{
	ivr_stop(member);
}

static void let_other_refuse(void)
{
	CHECK(ivr_dispatch(other, 10) >= 0);
}

static int call(uint64_t deadline)
{
	struct ivring_item item = { .port = 1 };

	return ivr_call(member, ivr_self(other), &item, deadline, on_reply, NULL);
}

static void requests(void)
{
	struct ivring_item item = { .flags = 0x80 };

	set_up();
	FAILS(ivr_on(member, IVR_PORT_RESERVED, on_item, NULL), -EINVAL, "RESERVED");
	FAILS(ivr_request(member, ivr_self(other), &item, 0, on_reply, NULL, NULL), -EINVAL,
	      "unknown flag");
	FAILS(ivr_reply(member, &(struct ivring_item){ .from = 1, .from_gen = 3 },
			&(struct ivring_item){ 0 }, 0), -EINVAL, "generation yet");
	FAILS(ivr_cancel(member, 99), -ENOENT, "does not wait for a reply");
	FAILS(call(0), -ETIMEDOUT, "reply");
	device.asleep = let_other_refuse;
	FAILS(call(SOON), -ECONNREFUSED, "no handler");
	device.asleep = stop;
	FAILS(call(SOON), -ECANCELED, "ivr_stop()");
	CHECK_EQ(ivr_dispatch(member, 10), 1);
	device.asleep = close_other;
	FAILS(call(SOON), -EPIPE, "without a reply");
	close_all();
}

static void payload(void)
{
	struct ivring_item item = { 0 };
	char buffer[40] = "";
	void *data, *rest;
	const void *found;

	set_up();
	FAILS(ivr_alloc(member, 0, 0, &data), -EINVAL, "at least one byte");
	FAILS(ivr_alloc(member, OUTBOX + 1, 0, &data), -EMSGSIZE, "larger than the outbox");
	CHECK_EQ(ivr_alloc(member, 64, 0, &data), 0);
	CHECK_EQ(ivr_alloc(member, OUTBOX - 64, 0, &rest), 0);
	FAILS(ivr_alloc(member, 64, 0, &rest), -EAGAIN, "deadline is zero");
	FAILS(ivr_alloc(member, 64, SOON, &rest), -EDEADLK, "only this member");
	FAILS(ivr_set_payload(member, &item, buffer, 1), -EINVAL, "one block");
	FAILS(ivr_set_payload(member, &item, data, 65), -EINVAL, "one block");
	CHECK_EQ(ivr_set_payload(member, &item, data, 64), 0);
	CHECK_EQ(ivr_send(member, ivr_self(other), &item, 1, 0), 1);
	FAILS(ivr_free(member, data), -EINVAL, "has been sent");
	FAILS(ivr_free(member, buffer), -EINVAL, "No block");
	FAILS(ivr_alloc(member, 64, SOON, &rest), -ETIMEDOUT, "deadline");
	device.flush_error = -EINTR;
	FAILS(ivr_alloc(member, 64, SOON, &rest), -EINTR, "signal");
	device.flush_error = 0;

	CHECK_EQ(ivr_receive(other, &item, 1), 1);
	FAILS(ivr_copy_payload(other, &item, buffer, 10), -EMSGSIZE, "larger than the buffer");
	item.offset = OUTBOX;
	FAILS(ivr_payload(other, &item, &found), -EPROTO, "outside");
	item = (struct ivring_item){ .from = 2, .from_gen = 1, .length = 1 };
	FAILS(ivr_payload(other, &item, &found), -EINVAL, "generation yet");
	join_third();
	ivr_close(third);
	third = NULL;
	FAILS(ivr_payload(other, &item, &found), -ESTALE, "not mapped");
	FAILS(ivr_set_inline(&item, buffer, 33), -EMSGSIZE, "INLINE");
	forget_why();
	check_why(__LINE__, "bytes");
	close_all();
}

static void *another_thread(void *arg)
{
	(void)arg;
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
	memset(long_name, 'n', IVRING_NAME_SIZE);
	RUN(creating);
	RUN(no_device);
	RUN(joining);
	RUN(opening_a_region_that_comes_and_goes);
	RUN(the_member);
	RUN(sending);
	RUN(lanes);
	RUN(receiving);
	RUN(in_a_handler);
	RUN(requests);
	RUN(payload);
	RUN(each_thread_has_its_own);
	return tap_end();
}
