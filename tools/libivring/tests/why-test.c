// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Each way in which a public function fails: the error, and the sentence that tells it from the
 * others with the same error.
 */

#include <ctype.h>
#include <errno.h>
#include <pthread.h>

#include "region.h"

static char long_name[IVRING_NAME_SIZE + 1];

/* A failure that no other resembles, so that what the call says is its own. */
static void forget_why(void)
{
	ivring_get_inline(&(struct ivring_item){ 0 }, long_name, 1);
}

#define FAILS(call, error, words)						\
	do {									\
		forget_why();							\
		CHECK_EQ(call, error);						\
		check_why(__LINE__, words);					\
	} while (0)

static void check_why(int line, const char *words)
{
	const char *why = ivring_why();
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

static int create(struct ivring_options options)
{
	return ivring_create(&options, &third);
}

static struct ivring_options region(const char *name, uint32_t slots, uint32_t inbox_entries,
				    uint64_t outbox_bytes, uint32_t mode)
{
	return (struct ivring_options){
		.name = name, .slots = slots, .inbox_entries = inbox_entries,
		.outbox_bytes = outbox_bytes, .mode = mode,
	};
}

static struct ivring_options good(const char *name)
{
	return region(name, 2, ENTRIES, OUTBOX, 0);
}

static int create_refused(struct ivring_options options)
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
	FAILS(create_refused(region("x", 2, 8, 4096, 01000)), -EINVAL, "other bits");
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
	{ -EMFILE, -EMFILE, "process has as many open files" },
	{ -ENFILE, -ENFILE, "system has as many open files" },
};

/* None of them is worth a wait. */
static void no_device(void)
{
	struct ivring_options options = good("test");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(device_errors); i++) {
		int seen = device_errors[i].seen;
		const char *words = device_errors[i].words;

		device_reset();
		device.open_error = device_errors[i].error;
		FAILS(create(options), seen, words);
		FAILS(ivring_join("test", 1, IVRING_DEADLINE_NEVER, &third), seen, words);
		FAILS(ivring_open(&options, IVRING_DEADLINE_NEVER, &third), seen, words);
		FAILS(ivring_join_fd(0, 1, &third), seen, words);
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
	struct ivring_options options = good("test"), nameless = good(NULL);
	unsigned int i;

	device_reset();
	FAILS(ivring_join("", 1, 0, &third), -EINVAL, "empty");
	FAILS(ivring_join(long_name, 1, 0, &third), -EINVAL, "longer");
	FAILS(ivring_join("a/b", 1, 0, &third), -EINVAL, "'/'");
	FAILS(ivring_open(&nameless, 0, &third), -EINVAL, "empty");
	nameless.name = long_name;
	FAILS(ivring_open(&nameless, 0, &third), -EINVAL, "longer");
	FAILS(ivring_join("test", 1, 0, &third), -ENOENT, "No region has that name");
	FAILS(ivring_join("test", 1, SOON, &third), -ENOENT, "No region has that name");
	set_up();
	/* None of them is worth a wait. */
	for (i = 0; i < ARRAY_SIZE(attach_errors); i++) {
		int error = attach_errors[i].error;

		fail_next(IVRING_IOC_ATTACH, error);
		FAILS(ivring_join("test", 1, IVRING_DEADLINE_NEVER, &third), error,
		      attach_errors[i].words);
		fail_next(IVRING_IOC_ATTACH, error);
		FAILS(ivring_open(&options, IVRING_DEADLINE_NEVER, &third), error,
		      error == -EINVAL ? "flag" : attach_errors[i].words);
	}
	FAILS(ivring_join("test", 1, 0, &third), -EBUSY, "Another member has that slot");
	FAILS(ivring_join("test", 4, 0, &third), -EINVAL, "no slot");
	FAILS(ivring_join_fd(-1, 1, &third), -EBADF, "not open");
	FAILS(ivring_join_fd(ivring_fd(member), 4, &third), -EINVAL, "no slot");
	fail_next(IVRING_IOC_ATTACH, -EINVAL);
	device.info_error = -ENXIO;
	FAILS(ivring_join_fd(0, 1, &third), -EINVAL, "no region");
	fail_next(IVRING_IOC_ATTACH, -EINVAL);
	device.info_error = -ENOTTY;
	FAILS(ivring_join_fd(0, 1, &third), -EINVAL, "not of /dev/ivring");
	device.info_error = 0;
	close_all();
}

static void leave_and_come(void)
{
	ivring_close(member);
	device.asleep = NULL;
}

/* The region goes whenever its name has been found taken. */
static void opening_a_region_that_comes_and_goes(void)
{
	struct ivring_options options = good("test");
	unsigned int calls;

	set_up();
	close_other();
	fail_next(IVRING_IOC_ATTACH, -ENOENT);
	CHECK_EQ(ivring_open(&options, 0, &third), IVRING_JOINED);
	ivring_close(third);
	third = NULL;
	device.asleep = leave_and_come;
	leave_and_come();
	member = NULL;
	CHECK_EQ(ivring_open(&options, 0, &third), IVRING_CREATED);
	calls = device.calls;
	CHECK_EQ(ivring_open(&options, 0, &other), IVRING_JOINED);
	CHECK_EQ(ivring_self(other).id, 1);
	CHECK(device.calls - calls < 6);
	close_all();
}

static void the_member(void)
{
	struct ivring_member_info member_info;
	struct ivring_info info;
	struct ivring_peer peer;

	set_up();
	device.info_error = -EFAULT;
	FAILS(ivring_info(member, &info), -EFAULT, "address");
	device.info_error = 0;
	FAILS(ivring_member_info(member, 4, &member_info), -EINVAL, "no slot");
	fail_next(IVRING_IOC_EVENTFD, -EBADF);
	FAILS(ivring_set_eventfd(member, 9), -EBADF, "not open");
	fail_next(IVRING_IOC_EVENTFD, -EINVAL);
	FAILS(ivring_set_eventfd(member, 9), -EINVAL, "eventfd");
	FAILS(ivring_wait_peer(member, 4, 0, &peer), -EINVAL, "no slot");
	CHECK_EQ(ivring_members(member), 1);
	FAILS(ivring_wait_peer(member, 2, 0, &peer), -ETIMEDOUT, "deadline");
	device.poll_error = -EINTR;
	FAILS(ivring_wait_peer(member, 2, 0, &peer), -EINTR, "signal");
	device.poll_error = -EPROTO;
	FAILS(ivring_wait_peer(member, 2, 0, &peer), -EPROTO, "own inbox");
	close_all();
}

static int send_item(struct ivring_item item)
{
	return ivring_send(member, ivring_self(other), &item, 1, 0);
}

static int send_to(uint32_t id, uint32_t generation)
{
	struct ivring_item item = { 0 };

	return ivring_send(member, (struct ivring_peer){ id, generation }, &item, 1, 0);
}

static void sending(void)
{
	struct ivring_peer old;

	set_up();
	old = ivring_self(other);
	FAILS(ivring_send(member, old, NULL, 0, 0), -EINVAL, "number of items");
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
	FAILS(ivring_send(member, ivring_self(member), &(struct ivring_item){ 0 }, 1, SOON), -EDEADLK,
	      "the sender that has to read");
	FAILS(ivring_flush(member, ivring_self(member), SOON), -EDEADLK, "by itself");
	send_items(member, other, 0, ENTRIES);
	FAILS(send_to(1, 1), -EAGAIN, "inbox is full");
	FAILS(ivring_flush(member, old, 0), -ETIMEDOUT, "read");
	FAILS(ivring_send(member, old, &(struct ivring_item){ 0 }, 1, SOON), -ETIMEDOUT, "inbox was full");
	fail_next(IVRING_IOC_FLUSH, -EPROTO);
	FAILS(ivring_flush(member, old, 0), -EPROTO, "broken");
	fail_next(IVRING_IOC_FLUSH, -EPIPE);
	FAILS(ivring_flush(member, old, 0), -EPIPE, "left");
	device_area(1)->inbox_consumer = 77;
	FAILS(send_to(1, 1), -EPROTO, "inbox by a bad");
	close_other();
	FAILS(send_to(1, 1), -EPIPE, "free");
	other = join(1);
	FAILS(send_to(1, 1), -ESTALE, "another member");
	FAILS(ivring_flush(member, (struct ivring_peer){ 4, 1 }, 0), -EINVAL, "no slot");
	close_all();
}

static void lanes(void)
{
	struct ivring_item item = { 0 };
	struct ivring_lane *lane;
	struct ivring_peer to;
	int i;

	set_up();
	to = ivring_self(other);
	forget_why();
	CHECK(!ivring_lane(member, to));
	check_why(__LINE__, "No lane");
	FAILS(ivring_open_lane(member, to, 3, 0), -EINVAL, "power of two");
	FAILS(ivring_open_lane(member, (struct ivring_peer){ 4, 1 }, 2, 0), -EINVAL, "no slot");
	ivring_set_max_lane_entries(other, 4);
	FAILS(ivring_open_lane(member, to, 8, 0), -ECONNREFUSED, "as large");
	ivring_set_max_lane_entries(other, 0);
	FAILS(ivring_open_lane(member, to, 8, 0), -ECONNREFUSED, "no lanes");
	ivring_set_max_lane_entries(other, 8);
	device.lane_map_error = -ENOMEM;
	FAILS(ivring_open_lane(member, to, 8, 0), -ENOMEM, "memory");
	device_lane(0, 1)->producer = 0;
	CHECK_EQ(ivring_close_lane(other, ivring_self(member)), 0);
	lane = open_lane_of(member, other, 2);
	FAILS(ivring_open_lane(member, to, 2, 0), -EBUSY, "has a lane to that member already");
	for (i = 0; i < 2; i++)
		CHECK_EQ(ivring_lane_push(lane, &item), 0);
	FAILS(ivring_lane_push(lane, &item), -EAGAIN, "lane is full");
	FAILS(ivring_lane_wait(lane, 0), -EAGAIN, "lane is full");
	FAILS(ivring_lane_wait(lane, SOON), -ETIMEDOUT, "deadline");
	FAILS(ivring_send(member, to, &item, 1, 0), -EAGAIN, "lane is full");
	FAILS(ivring_flush(member, to, 0), -ETIMEDOUT, "read");
	FAILS(ivring_close_lane(other, (struct ivring_peer){ 4, 1 }), -EINVAL, "no slot");
	FAILS(ivring_close_lane(other, (struct ivring_peer){ 2, 1 }), -ENOENT, "no lane from");
	CHECK_EQ(ivring_close_lane(other, ivring_self(member)), 0);
	FAILS(ivring_lane_push(lane, &item), -ECONNRESET, "closed");
	FAILS(ivring_lane_publish(lane), -ECONNRESET, "closed");
	FAILS(ivring_flush(member, to, 0), -ECONNRESET, "before it had read");
	close_all();

	set_up();
	lane = open_lane_of(member, other, 2);
	for (i = 0; i < 2; i++)
		CHECK_EQ(ivring_lane_push(lane, &item), 0);
	lane_end(member, other)->consumer = 77;
	FAILS(ivring_lane_push(lane, &item), -EPROTO, "consumer index");
	FAILS(ivring_lane_publish(lane), -EPROTO, "consumer index");
	close_all();

	set_up();
	lane = open_lane_of(member, other, 2);
	close_other();
	CHECK_EQ(ivring_lane_push(lane, &item), 0);
	FAILS(ivring_lane_publish(lane), -EPIPE, "left");
	close_all();

	/* The lane of one that had the slot before. */
	set_up();
	open_lane_of(other, member, 2);
	CHECK_EQ(ivring_dispatch(member, 1), 0);
	send_items(other, member, 0, 1);
	replace_other();
	FAILS(ivring_open_lane(other, ivring_self(member), 2, 0), -EBUSY, "had this slot before");
	FAILS(ivring_open_lane(other, ivring_self(member), 2, SOON), -ETIMEDOUT, "had this slot before");
	close_all();
}

static void receiving(void)
{
	struct ivring_item item;

	set_up();
	FAILS(ivring_wait(member, IVRING_WAIT_MEMBERS, 0) - IVRING_EVENT_MEMBERS, 0, "bytes");
	FAILS(ivring_wait(member, 0, 0), -ETIMEDOUT, "deadline");
	fail_next(IVRING_IOC_WAIT, -EINVAL);
	FAILS(ivring_wait(member, 64, 0), -EINVAL, "flag");
	fail_next(IVRING_IOC_WAIT, -EINTR);
	FAILS(ivring_wait(member, 0, 0), -EINTR, "signal");
	FAILS(ivring_consume(member, 1), -EINVAL, "Fewer items");
	send_items(other, member, 0, 1);
	CHECK_EQ(ivring_receive(member, &item, 1), 1);
	device_inbox(0)->room_wanted = 1;
	device_inbox(0)->room_at = 0;
	fail_next(IVRING_IOC_ROOM, -ENOENT);
	FAILS(ivring_consume(member, 1), -ENOENT, "closed since");
	device_set_producer(0, 77);
	FAILS(ivring_receive(member, &item, 1), -EPROTO, "own inbox");
	FAILS(ivring_arm(member), -EPROTO, "own inbox");
	FAILS(ivring_members(member), -EPROTO, "own inbox");
	FAILS(ivring_dispatch(member, 1), -EPROTO, "own inbox");
	FAILS(ivring_run(member), -EPROTO, "own inbox");
	close_all();

	set_up();
	member->state.unfenced = true;
	device.fence_error = -ENOMEM;
	FAILS(ivring_arm(member), -ENOMEM, "memory");
	FAILS(ivring_dispatch(member, 1), -ENOMEM, "memory");
	FAILS(ivring_run(member), -ENOMEM, "memory");
	close_all();
}

static void busy_in(struct ivring *self, const struct ivring_item *item, void *arg)
{
	(void)item;
	(void)arg;
	FAILS(ivring_arm(self), -EBUSY, "handler");
}

static void in_a_handler(void)
{
	set_up();
	CHECK_EQ(ivring_on(member, 1, busy_in, NULL), 0);
	send_items(other, member, 0, 1);
	CHECK_EQ(ivring_dispatch(member, 1), 1);
	close_all();
}

static void on_item(struct ivring *self, const struct ivring_item *item, void *arg)
{
	(void)self;
	(void)item;
	(void)arg;
}

static void on_reply(struct ivring *self, int status, const struct ivring_item *reply, void *arg)
{
	(void)self;
	(void)status;
	(void)reply;
	(void)arg;
}

static void stop(void)
{
	ivring_stop(member);
}

static void let_other_refuse(void)
{
	CHECK(ivring_dispatch(other, 10) >= 0);
}

static int call(uint64_t deadline)
{
	struct ivring_item item = { .port = 1 };

	return ivring_call(member, ivring_self(other), &item, deadline, on_reply, NULL);
}

static void requests(void)
{
	struct ivring_item item = { .flags = 0x80 };

	set_up();
	FAILS(ivring_on(member, IVRING_PORT_RESERVED, on_item, NULL), -EINVAL, "RESERVED");
	FAILS(ivring_request(member, ivring_self(other), &item, 0, on_reply, NULL, NULL), -EINVAL,
	      "unknown flag");
	FAILS(ivring_reply(member, &(struct ivring_item){ .from = 1, .from_gen = 3 },
			   &(struct ivring_item){ 0 }, 0), -EINVAL, "generation yet");
	FAILS(ivring_forget(member, 99), -ENOENT, "No such request");
	FAILS(call(0), -ETIMEDOUT, "reply");
	device.asleep = let_other_refuse;
	FAILS(call(SOON), -ECONNREFUSED, "no handler");
	device.asleep = stop;
	FAILS(call(SOON), -ECANCELED, "ivring_stop()");
	CHECK_EQ(ivring_dispatch(member, 10), 1);
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
	FAILS(ivring_alloc(member, 0, 0, &data), -EINVAL, "at least one byte");
	FAILS(ivring_alloc(member, OUTBOX + 1, 0, &data), -EMSGSIZE, "larger than the outbox");
	CHECK_EQ(ivring_alloc(member, 64, 0, &data), 0);
	CHECK_EQ(ivring_alloc(member, OUTBOX - 64, 0, &rest), 0);
	FAILS(ivring_alloc(member, 64, 0, &rest), -EAGAIN, "no deadline");
	FAILS(ivring_alloc(member, 64, SOON, &rest), -EDEADLK, "only this member");
	FAILS(ivring_set_payload(member, &item, buffer, 1), -EINVAL, "one block");
	FAILS(ivring_set_payload(member, &item, data, 65), -EINVAL, "one block");
	CHECK_EQ(ivring_set_payload(member, &item, data, 64), 0);
	CHECK_EQ(ivring_send(member, ivring_self(other), &item, 1, 0), 1);
	FAILS(ivring_cancel(member, data), -EINVAL, "has been sent");
	FAILS(ivring_cancel(member, buffer), -EINVAL, "No block");
	FAILS(ivring_alloc(member, 64, SOON, &rest), -ETIMEDOUT, "deadline");
	device.flush_error = -EINTR;
	FAILS(ivring_alloc(member, 64, SOON, &rest), -EINTR, "signal");
	device.flush_error = 0;

	CHECK_EQ(ivring_receive(other, &item, 1), 1);
	FAILS(ivring_copy_payload(other, &item, buffer, 10), -EMSGSIZE, "larger than the buffer");
	item.offset = OUTBOX;
	FAILS(ivring_payload(other, &item, &found), -EPROTO, "outside");
	item = (struct ivring_item){ .from = 2, .from_gen = 1, .length = 1 };
	FAILS(ivring_payload(other, &item, &found), -EINVAL, "generation yet");
	join_third();
	ivring_close(third);
	third = NULL;
	FAILS(ivring_payload(other, &item, &found), -ESTALE, "not mapped");
	FAILS(ivring_set_inline(&item, buffer, 33), -EMSGSIZE, "INLINE");
	forget_why();
	check_why(__LINE__, "bytes");
	close_all();
}

static void *another_thread(void *arg)
{
	(void)arg;
	CHECK(strstr(ivring_why(), "No call of this thread"));
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
