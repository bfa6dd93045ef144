// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Attaching, and peers that come and go.
 */

#include <errno.h>

#include "fixture.h"

static void create_and_join(void)
{
	struct ivr_peer peer;

	set_up();
	CHECK_EQ(ivr_self(member).id, 0);
	CHECK_EQ(ivr_self(member).generation, 1);
	CHECK_EQ(ivr_self(other).id, 1);
	CHECK_EQ(device.maps, 8);
	peer.id = IVRING_ID_ANY;
	CHECK(ivr_next_peer(member, &peer));
	CHECK_EQ(peer.id, 1);
	CHECK_EQ(peer.generation, 1);
	CHECK(!ivr_next_peer(member, &peer));
	CHECK(ivr_is_member(member, ivr_self(other)));
	peer = ivr_self(other);
	close_other();
	CHECK(!ivr_is_member(member, peer));
	close_all();
}

static void failures_leave_nothing(void)
{
	char name[IVRING_NAME_SIZE + 1];

	set_up();
	memset(name, 'n', sizeof(name));
	name[IVRING_NAME_SIZE] = 0;
	CHECK_EQ(ivr_join(name, 2, 0, &third), -EINVAL);
	CHECK_EQ(ivr_join("test", 1, 0, &third), -EBUSY);
	CHECK_EQ(ivr_join("test", 4, 0, &third), -EINVAL);
	CHECK(!third);
	CHECK_EQ(device.maps, 8);
	close_all();
}

static void another_version(void)
{
	struct ivr_region_options options = {
		.slots = 1, .inbox_entries = ENTRIES, .outbox_bytes = OUTBOX,
	};

	device_reset();
	device.version = IVRING_API_VERSION + 1;
	CHECK_EQ(ivr_create(&options, &member), -EPROTONOSUPPORT);
	CHECK_EQ(device.maps, 0);
}

/* The mode that the module is asked for. */
static uint32_t mode_of(const char *name, uint32_t mode)
{
	struct ivr_region_options options = {
		.name = name, .slots = 1, .inbox_entries = ENTRIES, .outbox_bytes = OUTBOX,
		.mode = mode,
	};

	device_reset();
	CHECK_EQ(ivr_create(&options, &member), 0);
	ivr_close(member);
	member = NULL;
	return device_mode();
}

static void who_may_join_by_name(void)
{
	CHECK_EQ(mode_of("test", 0), 0600);
	CHECK_EQ(mode_of("test", 0660), 0660);
	CHECK_EQ(mode_of("test", IVR_MODE_NOBODY), 0);
	CHECK_EQ(mode_of(NULL, 0), 0);
	CHECK_EQ(mode_of(NULL, IVR_MODE_NOBODY), 0);
}

/* By default a member leaves with its process, however it has attached. */
static void leaves_with_its_process(void)
{
	struct ivr_region_options options = {
		.name = "test", .slots = 4, .inbox_entries = ENTRIES, .outbox_bytes = OUTBOX,
	};

	device_reset();
	CHECK_EQ(ivr_create(&options, &member), 0);
	CHECK(device_ends_with_process());
	CHECK_EQ(ivr_join_lasting("test", 1, 0, &other), 0);
	CHECK(!device_ends_with_process());
	CHECK_EQ(ivr_join("test", 2, 0, &third), 0);
	CHECK(device_ends_with_process());
	ivr_close(third);
	CHECK_EQ(ivr_join_fd_lasting(ivr_fd(member), 2, &third), 0);
	CHECK(!device_ends_with_process());
	ivr_close(third);
	CHECK_EQ(ivr_join_fd(ivr_fd(member), 2, &third), 0);
	CHECK(device_ends_with_process());
	ivr_close(third);
	options.lasting = true;
	CHECK_EQ(ivr_open(&options, 0, &third), IVR_JOINED);
	CHECK(!device_ends_with_process());
	close_all();
	device_reset();
	CHECK_EQ(ivr_open(&options, 0, &member), IVR_CREATED);
	CHECK(!device_ends_with_process());
	close_all();
}

static void make_region(void)
{
	struct ivr_region_options options = {
		.name = "test", .slots = 2, .inbox_entries = ENTRIES,
		.outbox_bytes = OUTBOX, .mode = 0600,
	};

	CHECK_EQ(ivr_create(&options, &member), 0);
}

static void join_waits_for_the_name(void)
{
	device_reset();
	CHECK_EQ(ivr_join("test", 1, 0, &other), -ENOENT);
	CHECK_EQ(ivr_join("test", 1, SOON, &other), -ENOENT);
	device.asleep = make_region;
	CHECK_EQ(ivr_join("test", 1, IVRING_DEADLINE_NEVER, &other), 0);
	close_all();
}

/* The last look is at the deadline, also if less than a whole interval is left. */
static void join_looks_at_the_deadline(void)
{
	device_reset();
	device.asleep = make_region;
	CHECK_EQ(ivr_join("test", 1, device.now + 1, &other), 0);
	close_all();
}

static void wait_for_a_peer(void)
{
	struct ivring_item item = { .port = 1 };
	struct ivr_peer peer;

	set_up();
	CHECK_EQ(ivr_refresh_members(member), 1);
	CHECK_EQ(ivr_wait_peer(member, 4, 0, &peer), -EINVAL);
	CHECK_EQ(ivr_wait_peer(member, 2, 0, &peer), -ETIMEDOUT);
	CHECK_EQ(ivr_send(other, ivr_self(member), &item, 1, 0), 1);
	device.asleep = join_third;
	CHECK_EQ(ivr_wait_peer(member, 2, SOON, &peer), 0);
	CHECK_EQ(peer.id, 2);
	CHECK_EQ(peer.generation, 1);
	/* The change still has to be handled. */
	CHECK(member->area->members_seen != member->region->members);
	CHECK_EQ(ivr_wait(member, IVRING_WAIT_MEMBERS, 0),
		 IVRING_EVENT_ITEMS | IVRING_EVENT_MEMBERS);
	read_items(member, 1);
	CHECK_EQ(ivr_refresh_members(member), 1);
	CHECK_EQ(ivr_refresh_members(member), 0);
	close_all();
}

/* The member is replaced between the call that names it and mmap(). */
static void area_of_the_right_generation(void)
{
	struct ivring_item item = { 0 };
	struct ivr_peer old;

	set_up();
	old = ivr_self(other);
	other->area->pad0[0] = 7;
	device.before_map = replace_other;
	CHECK_EQ(ivr_send(member, old, &item, 1, 0), -ESTALE);
	CHECK_EQ(ivr_peers_find(member, old)->area->pad0[0], 7);
	CHECK_EQ(device.maps, 8 + 1);
	CHECK_EQ(device.open_files, 2);
	/* It is dropped with the next new peer. */
	device.before_map = close_other;
	CHECK_EQ(ivr_send(member, ivr_self(other), &item, 1, 0), -EPIPE);
	CHECK_EQ(device.maps, 4 + 1);
	/* A member that has left before is not mapped. */
	CHECK_EQ(ivr_send(member, old, &item, 1, 0), -EPIPE);
	CHECK_EQ(device.open_files, 1);
	close_all();
}

static void payload_of_the_departed(void)
{
	struct ivring_item items[3];
	char buffer[10];

	set_up();
	CHECK_EQ(ivr_refresh_members(member), 1);
	memset(send_block(other, ivr_self(member), 10), 'a', 10);
	memset(send_block(other, ivr_self(member), 10), 'b', 10);
	CHECK_EQ(ivr_receive(member, items, 3), 2);
	CHECK_EQ(ivr_copy_payload(member, &items[0], buffer, 10), 10);

	/* A new member has the slot and sends, while items of the old member are unread. */
	replace_other();
	memset(send_block(other, ivr_self(member), 10), 'c', 10);
	CHECK_EQ(ivr_receive(member, items, 3), 3);
	CHECK_EQ(ivr_copy_payload(member, &items[2], buffer, 10), 10);
	CHECK_EQ(buffer[0], 'c');
	CHECK_EQ(ivr_refresh_members(member), 0);
	CHECK_EQ(ivr_copy_payload(member, &items[1], buffer, 10), 10);
	CHECK_EQ(buffer[0], 'b');
	CHECK_EQ(ivr_consume(member, 2), 0);
	CHECK_EQ(ivr_refresh_members(member), 0);
	CHECK_EQ(ivr_consume(member, 1), 0);
	CHECK_EQ(device.maps, 8 + 2 + 1);
	CHECK_EQ(ivr_refresh_members(member), 1);
	CHECK_EQ(device.maps, 8 + 1 + 1);
	CHECK_EQ(ivr_copy_payload(member, &items[1], buffer, 10), -ESTALE);
	close_all();
}

/* Payload can be read although its sender left before anything of it was mapped. */
static void payload_that_was_not_mapped(void)
{
	struct ivring_item items[2], none = { 0 };
	struct ivr_peer old;
	char buffer[10];

	set_up();
	old = ivr_self(other);
	memset(send_block(other, ivr_self(member), 10), 'x', 10);
	close_other();
	CHECK_EQ(ivr_receive(member, items, 1), 1);
	CHECK_EQ(ivr_copy_payload(member, &items[0], buffer, 10), 10);
	CHECK_EQ(buffer[9], 'x');
	/* The outbox is all that is there of the sender. */
	CHECK_EQ(ivr_send(member, old, &none, 1, 0), -EPIPE);
	CHECK_EQ(ivr_consume(member, 1), 0);
	CHECK_EQ(ivr_refresh_members(member), 1);
	CHECK_EQ(device.maps, 4);
	CHECK_EQ(ivr_copy_payload(member, &items[0], buffer, 10), -EPIPE);
	close_all();
}

/* The same after the slot was taken again, and for more members than stay mapped. */
static void payload_of_earlier_members(void)
{
	struct ivring_item items[4];
	char buffer[10];
	int i;

	set_up();
	for (i = 0; i < 4; i++) {
		memset(send_block(other, ivr_self(member), 10), 'a' + i, 10);
		replace_other();
	}
	CHECK_EQ(ivr_receive(member, items, 4), 4);
	for (i = 3; i >= 0; i--) {
		CHECK_EQ(ivr_copy_payload(member, &items[i], buffer, 10), 10);
		CHECK_EQ(buffer[9], 'a' + i);
	}
	for (i = 0; i < 4; i++) {
		CHECK_EQ(ivr_copy_payload(member, &items[i], buffer, 10), 10);
		CHECK_EQ(buffer[9], 'a' + i);
	}
	CHECK_EQ(ivr_consume(member, 4), 0);
	close_all();
}

static void sender_drops_departed_peers(void)
{
	struct ivring_item item = { 0 };
	int i;

	set_up();
	for (i = 0; i < 5; i++) {
		CHECK_EQ(ivr_send(member, ivr_self(other), &item, 1, 0), 1);
		replace_other();
	}
	CHECK_EQ(device.maps, 8 + 1);
	close_all();
}

static void later_items_do_not_delay_an_event(void)
{
	struct ivring_item item = { 0 };

	set_up();
	CHECK_EQ(ivr_refresh_members(member), 1);
	CHECK_EQ(ivr_send(member, ivr_self(member), &item, 1, 0), 1);
	replace_other();
	CHECK_EQ(ivr_refresh_members(member), 0);
	/* More items and changes come. They do not delay the first event. */
	CHECK_EQ(ivr_send(member, ivr_self(member), &item, 1, 0), 1);
	replace_other();
	read_items(member, 1);
	CHECK_EQ(ivr_refresh_members(member), 1);
	CHECK_EQ(ivr_refresh_members(member), 0);
	read_items(member, 1);
	CHECK_EQ(ivr_refresh_members(member), 1);
	CHECK_EQ(ivr_refresh_members(member), 0);
	close_all();
}

static void later_members_are_not_part_of_a_held_back_event(void)
{
	struct ivring_item items[2], item = { 0 };
	char buffer[10];

	set_up();
	CHECK_EQ(ivr_refresh_members(member), 1);
	CHECK_EQ(ivr_send(other, ivr_self(member), &item, 1, 0), 1);
	close_other();
	CHECK_EQ(ivr_refresh_members(member), 0);
	/* Another member comes, sends and leaves, and its outbox is mapped. */
	join_third();
	send_block(third, ivr_self(member), 10);
	CHECK_EQ(ivr_receive(member, items, 2), 2);
	CHECK_EQ(ivr_copy_payload(member, &items[1], buffer, 10), 10);
	ivr_close(third);
	third = NULL;
	other = join(1);
	CHECK_EQ(ivr_send(member, ivr_self(other), &item, 1, 0), 1);
	read_items(member, 1);
	CHECK_EQ(ivr_refresh_members(member), 1);
	CHECK_EQ(ivr_copy_payload(member, &items[1], buffer, 10), 10);
	close_all();
}

static void inline_data(void)
{
	struct ivring_item item = { 0 };
	uint8_t data[IVRING_INLINE_BYTES + 1];
	uint64_t number = 0x0123456789abcdefULL, got = 0;

	CHECK_EQ(ivr_set_inline(&item, data, sizeof(data)), -EMSGSIZE);
	CHECK_EQ(ivr_set_inline(&item, &number, sizeof(number)), 0);
	CHECK_EQ(item.inline_len, 8);
	CHECK_EQ(ivr_get_inline(&item, &got, sizeof(got)), 0);
	CHECK(got == number);
	CHECK_EQ(ivr_get_inline(&item, data, 7), -EPROTO);
	item.inline_len = IVRING_INLINE_BYTES + 1;
	CHECK_EQ(ivr_get_inline(&item, data, IVRING_INLINE_BYTES + 1), -EPROTO);
}

int main(void)
{
	RUN(create_and_join);
	RUN(failures_leave_nothing);
	RUN(another_version);
	RUN(who_may_join_by_name);
	RUN(leaves_with_its_process);
	RUN(join_waits_for_the_name);
	RUN(join_looks_at_the_deadline);
	RUN(wait_for_a_peer);
	RUN(area_of_the_right_generation);
	RUN(payload_of_the_departed);
	RUN(payload_that_was_not_mapped);
	RUN(payload_of_earlier_members);
	RUN(sender_drops_departed_peers);
	RUN(later_items_do_not_delay_an_event);
	RUN(later_members_are_not_part_of_a_held_back_event);
	RUN(inline_data);
	return tap_end();
}
