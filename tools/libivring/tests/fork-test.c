// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A child made by fork(), which has the descriptor of a member but none of its mappings: each
 * public function fails or does nothing. The test removes the mappings, like the kernel, so that an
 * access would end the child.
 */

#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

static void check_refused(int ret)
{
	CHECK_EQ(ret, -EPERM);
	CHECK(strstr(ivr_why(), "child"));
}

/* Removes the mappings, like VM_DONTCOPY in the kernel. */
static void lose_mappings(void)
{
	munmap((void *)member->region, member->region_bytes);
	munmap((void *)member->inbox, member->inbox_bytes);
	munmap(member->area, member->area_bytes);
	munmap(member->outbox_data, member->outbox_bytes);
}

static void use_in_child(void *block)
{
	struct ivr_peer to = ivr_self(other), peer = { .id = IVRING_ID_ANY };
	struct ivring_item item = { .port = 1 };
	struct ivring_member_info member_info;
	struct ivr_member_event event;
	struct ivring_info info;
	const void *found;
	char buffer[10];
	int result = 0;
	void *data;

	check_refused(ivr_send(member, to, &item, 1, 0));
	CHECK_EQ(ivr_multicast(member, &to, 1, &item, 0, &result), 0);
	check_refused(result);
	check_refused(ivr_reply(member, &item, &item, 0));
	check_refused(ivr_flush(member, to, 0));
	check_refused(ivr_open_lane(member, to, 2, 0));
	CHECK(!ivr_lane(member, to));
	check_refused(ivr_receive(member, &item, 1));
	check_refused(ivr_consume(member, 0));
	check_refused(ivr_wait(member, 0, 0));
	check_refused(ivr_arm(member));
	check_refused(ivr_close_lane(member, to));
	check_refused(ivr_run(member));
	check_refused(ivr_dispatch(member, 1));
	check_refused(ivr_request(member, to, &item, 0, IVRING_DEADLINE_NEVER, NULL, NULL, NULL));
	check_refused(ivr_cancel(member, 0));
	check_refused(ivr_call(member, to, &item, 0, ivr_keep_reply, &item));
	check_refused(ivr_alloc(member, 1, 0, &data));
	check_refused(ivr_free(member, block));
	check_refused(ivr_set_payload(member, &item, block, 1));
	item = (struct ivring_item){ .from = 1, .from_gen = 1, .length = 1 };
	check_refused(ivr_payload(member, &item, &found));
	check_refused(ivr_copy_payload(member, &item, buffer, sizeof(buffer)));
	check_refused(ivr_info(member, &info));
	check_refused(ivr_member_info(member, 0, &member_info));
	check_refused(ivr_set_eventfd(member, 1));
	check_refused(ivr_wait_peer(member, 1, 0, &peer));
	check_refused(ivr_refresh_members(member));
	check_refused(ivr_next_member_event(member, &event));
	CHECK(!ivr_next_peer(member, &peer));
	CHECK(!ivr_is_member(member, to));
	CHECK_EQ(ivr_on(member, 1, ignore_item, NULL), 0);
	ivr_on_members(member, ignore_members, NULL);
	ivr_set_wake(member, 2, 2);
	ivr_set_max_lane_entries(member, 2);
	ivr_stop(member);
	CHECK_EQ(ivr_self(member).id, 0);
	CHECK(ivr_fd(member) >= 0);
	CHECK_EQ(ivr_close(member), 0);
}

static void descriptor_in_a_child(void)
{
	int status = -1;
	void *block;
	pid_t pid;

	set_up();
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(ivr_alloc(member, 64, 0, &block), 0);
	pid = fork();
	if (!pid) {
		device.in_child = true;
		lose_mappings();
		use_in_child(block);
		fflush(stdout);
		_exit(tap_good ? 0 : 1);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	/* The parent's member still works. */
	CHECK_EQ(ivr_free(member, block), 0);
	send_items(other, member, 0, 1);
	CHECK_EQ(ivr_dispatch(member, 10), 1);
	close_all();
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	RUN(descriptor_in_a_child);
	return tap_end();
}
