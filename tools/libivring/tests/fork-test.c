// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A child made by fork(), which has the handle of a member but none of its mappings: each public
 * function says so or does nothing. So that no mapping is touched here, all of them are taken
 * away, which the kernel does on its own.
 */

#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "region.h"

static void on_item(struct ivring *self, const struct ivring_item *item, void *arg)
{
	(void)self;
	(void)item;
	(void)arg;
}

static void on_members(struct ivring *self, const struct ivring_change *change, void *arg)
{
	(void)self;
	(void)change;
	(void)arg;
}

static void check_refused(int ret)
{
	CHECK_EQ(ret, -EPERM);
	CHECK(strstr(ivring_why(), "child"));
}

/* As VM_DONTCOPY does. */
static void lose_mappings(void)
{
	munmap((void *)member->region, member->region_bytes);
	munmap((void *)member->inbox, member->inbox_bytes);
	munmap(member->area, member->area_bytes);
}

static void use_in_child(void *block)
{
	struct ivring_peer to = ivring_self(other), peer = { .id = IVRING_ID_ANY };
	struct ivring_item item = { .port = 1 };
	struct ivring_member_info member_info;
	struct ivring_change change;
	struct ivring_info info;
	const void *found;
	char buffer[10];
	int result = 0;
	void *data;

	check_refused(ivring_send(member, to, &item, 1, 0));
	CHECK_EQ(ivring_send_many(member, &to, 1, &item, 0, &result), 0);
	check_refused(result);
	check_refused(ivring_reply(member, &item, &item, 0));
	check_refused(ivring_flush(member, to, 0));
	check_refused(ivring_open_lane(member, to, 2, 0));
	CHECK(!ivring_lane(member, to));
	check_refused(ivring_receive(member, &item, 1));
	check_refused(ivring_consume(member, 0));
	check_refused(ivring_wait(member, 0, 0));
	check_refused(ivring_arm(member));
	check_refused(ivring_close_lane(member, to));
	check_refused(ivring_run(member));
	check_refused(ivring_dispatch(member, 1));
	check_refused(ivring_request(member, to, &item, 0, NULL, NULL, NULL));
	check_refused(ivring_forget(member, 0));
	check_refused(ivring_call(member, to, &item, 0, ivring_keep_reply, &item));
	check_refused(ivring_alloc(member, 1, 0, &data));
	check_refused(ivring_cancel(member, block));
	check_refused(ivring_set_payload(member, &item, block, 1));
	item = (struct ivring_item){ .from = 1, .from_gen = 1, .length = 1 };
	check_refused(ivring_payload(member, &item, &found));
	check_refused(ivring_copy_payload(member, &item, buffer, sizeof(buffer)));
	check_refused(ivring_info(member, &info));
	check_refused(ivring_member_info(member, 0, &member_info));
	check_refused(ivring_set_eventfd(member, 1));
	check_refused(ivring_wait_peer(member, 1, 0, &peer));
	check_refused(ivring_members(member));
	check_refused(ivring_next_change(member, &change));
	CHECK(!ivring_next_peer(member, &peer));
	CHECK(!ivring_is_member(member, to));
	CHECK_EQ(ivring_on(member, 1, on_item, NULL), 0);
	ivring_on_members(member, on_members, NULL);
	ivring_set_wake(member, 2, 2);
	ivring_set_max_lane_entries(member, 2);
	ivring_stop(member);
	CHECK_EQ(ivring_self(member).id, 0);
	CHECK(ivring_fd(member) >= 0);
	CHECK_EQ(ivring_close(member), 0);
}

static void handle_in_a_child(void)
{
	int status = -1;
	void *block;
	pid_t pid;

	set_up();
	CHECK_EQ(ivring_dispatch(member, 10), 0);
	CHECK_EQ(ivring_alloc(member, 64, 0, &block), 0);
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
	/* The parent goes on. */
	CHECK_EQ(ivring_cancel(member, block), 0);
	send_items(other, member, 0, 1);
	CHECK_EQ(ivring_dispatch(member, 10), 1);
	close_all();
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	RUN(handle_in_a_child);
	return tap_end();
}
