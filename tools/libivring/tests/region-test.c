// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Making a region without becoming a member of it.
 */

#include <errno.h>

#include "fixture.h"
#include "os/sys.h"

static int create_region(const char *name)
{
	struct ivr_region_options options = {
		.name = name, .slots = 2, .inbox_entries = ENTRIES, .outbox_bytes = OUTBOX,
	};
	int fd = -1;

	CHECK_EQ(ivr_create_region(&options, &fd), 0);
	CHECK(fd >= 0);
	return fd;
}

static void descriptor_of_a_region_without_members(void)
{
	int fd;

	device_reset();
	fd = create_region(NULL);
	CHECK_EQ(device.maps, 0);
	CHECK_EQ(ivr_join_fd(fd, IVRING_ID_ANY, &member), 0);
	CHECK_EQ(ivr_self(member).id, 0);
	CHECK_EQ(ivr_self(member).generation, 1);
	CHECK_EQ(ivr_join_fd(fd, IVRING_ID_ANY, &other), 0);
	CHECK_EQ(ivr_self(other).id, 1);
	/* The members do not need the descriptor any more. */
	ivr_device_close(fd);
	send_items(other, member, 0, 1);
	read_items(member, 1);
	close_all();
}

static void name_of_a_region_without_members(void)
{
	int fd;

	device_reset();
	fd = create_region("test");
	CHECK_EQ(device_mode(), 0600);
	other = join(1);
	close_other();
	/* The region stays when its last member leaves, and goes with the descriptor. */
	member = join(0);
	ivr_close(member);
	member = NULL;
	ivr_device_close(fd);
	CHECK_EQ(ivr_join("test", 0, 0, &member), -ENOENT);
	close_all();
}

static void failure_leaves_no_descriptor(void)
{
	struct ivr_region_options options = {
		.name = "test", .slots = 2, .inbox_entries = ENTRIES, .outbox_bytes = OUTBOX,
	};
	int fd = -1;

	set_up();
	CHECK_EQ(device.open_files, 2);
	CHECK_EQ(ivr_create_region(&options, &fd), -EEXIST);
	CHECK_EQ(fd, -1);
	CHECK_EQ(device.open_files, 2);
	close_all();
}

int main(void)
{
	RUN(descriptor_of_a_region_without_members);
	RUN(name_of_a_region_without_members);
	RUN(failure_leaves_no_descriptor);
	return tap_end();
}
