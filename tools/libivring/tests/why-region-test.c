// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The reasons of ivr_why(): making and joining regions, and information about them.
 */

#include "fails.h"

static char long_name[IVRING_NAME_SIZE + 1];

/* Makes a region in one of the two ways. On success the caller closes @third or the descriptor. */
typedef int create_fn(const struct ivr_region_options *options);

static int with_member(const struct ivr_region_options *options)
{
	return ivr_create(options, &third);
}

static int without_member(const struct ivr_region_options *options)
{
	int fd;

	return ivr_create_region(options, &fd);
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

/* The module fails the next call to make a region with @error. */
static int fail_create(create_fn *create, struct ivr_region_options options, int error)
{
	fail_next(IVRING_IOC_CREATE, error);
	return create(&options);
}

static int refuse(create_fn *create, struct ivr_region_options options)
{
	return fail_create(create, options, -EINVAL);
}

static int create_named(create_fn *create, const char *name)
{
	struct ivr_region_options options = good(name);

	return create(&options);
}

static int create_with_reserved(create_fn *create)
{
	struct ivr_region_options options = good("test");

	options.reserved[3] = 1;
	return create(&options);
}

static void creating(create_fn *create)
{
	device_reset();
	FAILS(create_named(create, long_name), -EINVAL, "longer");
	FAILS(create_named(create, "a/b"), -EINVAL, "'/'");
	FAILS(create_with_reserved(create), -EINVAL, "reserved field");
	FAILS(refuse(create, region("", 0, 8, 4096, 0)), -EINVAL, "slots");
	FAILS(refuse(create, region("", 99, 8, 4096, 0)), -EINVAL, "slots");
	FAILS(refuse(create, region("", 2, 3, 4096, 0)), -EINVAL, "inbox entries");
	FAILS(refuse(create, region("", 2, 1 << 17, 4096, 0)), -EINVAL, "inbox entries");
	FAILS(refuse(create, region("", 2, 8, 2048, 0)), -EINVAL, "outbox");
	FAILS(refuse(create, region("x", 2, 8, 4096, 01000)), -EINVAL, "other than permission");
	FAILS(refuse(create, region("", 2, 8, 4096, 0600)), -EINVAL, "without a name");
	FAILS(refuse(create, good(NULL)), -EINVAL, "flag");
	FAILS(fail_create(create, good(NULL), -EMFILE), -EMFILE, "regions");
	FAILS(fail_create(create, good(NULL), -ENOMEM), -ENOMEM, "memory");
	FAILS(fail_create(create, good(NULL), -EL2HLT), -EL2HLT, "does not know");
	set_up();
	FAILS(create_named(create, "test"), -EEXIST, "already");
	close_all();
}

static void setting_up_the_member(void)
{
	device_reset();
	device.info_error = -EFAULT;
	FAILS(create_named(with_member, NULL), -EFAULT, "address");
	device.info_error = 0;
	device.version++;
	FAILS(create_named(with_member, NULL), -EPROTONOSUPPORT, "another version");
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

/* The functions with a deadline return these errors at once. */
static void no_device(void)
{
	struct ivr_region_options options = good("test");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(device_errors); i++) {
		int seen = device_errors[i].seen;
		const char *words = device_errors[i].words;

		device_reset();
		device.open_error = device_errors[i].error;
		FAILS(with_member(&options), seen, words);
		FAILS(without_member(&options), seen, words);
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
	/* The functions with a deadline return these errors at once. */
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

static void remove_region(void)
{
	ivr_close(member);
	device.asleep = NULL;
}

/* The region goes after ivr_open() has found its name taken. */
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
	device.asleep = remove_region;
	remove_region();
	member = NULL;
	CHECK_EQ(ivr_open(&options, 0, &third), IVR_CREATED);
	calls = device.calls;
	CHECK_EQ(ivr_open(&options, 0, &other), IVR_JOINED);
	CHECK_EQ(ivr_self(other).id, 1);
	CHECK(device.calls - calls < 6);
	close_all();
}

static void getting_information(void)
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

int main(void)
{
	memset(long_name, 'n', IVRING_NAME_SIZE);
	RUN_AS(creating(with_member), "creating");
	RUN_AS(creating(without_member), "creating_without_a_member");
	RUN(setting_up_the_member);
	RUN(no_device);
	RUN(joining);
	RUN(opening_a_region_that_comes_and_goes);
	RUN(getting_information);
	return tap_end();
}
