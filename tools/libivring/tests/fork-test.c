// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A child made by fork(), which has the handle of a VM but none of its mappings: each public
 * function says so or does nothing. So that no mapping is touched here, all of them are taken
 * away, which the kernel does on its own.
 */

#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vms.h"

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
	munmap((void *)vm->region, vm->region_bytes);
	munmap((void *)vm->inbox, vm->inbox_bytes);
	munmap(vm->area, vm->area_bytes);
}

static void use_in_child(void *block)
{
	struct ivring_peer to = ivring_self(other), peer = { .id = IVRING_ID_ANY };
	struct ivring_item item = { .port = 1 };
	struct ivring_vm_info vm_info;
	struct ivring_change change;
	struct ivring_info info;
	const void *found;
	char buffer[10];
	int result = 0;
	void *data;

	check_refused(ivring_send(vm, to, &item, 1, 0));
	CHECK_EQ(ivring_send_many(vm, &to, 1, &item, 0, &result), 0);
	check_refused(result);
	check_refused(ivring_reply(vm, &item, &item, 0));
	check_refused(ivring_flush(vm, to, 0));
	check_refused(ivring_open_lane(vm, to, 2, 0));
	CHECK(!ivring_lane(vm, to));
	check_refused(ivring_receive(vm, &item, 1));
	check_refused(ivring_consume(vm, 0));
	check_refused(ivring_wait(vm, 0, 0));
	check_refused(ivring_arm(vm));
	check_refused(ivring_close_lane(vm, to));
	check_refused(ivring_run(vm));
	check_refused(ivring_dispatch(vm, 1));
	check_refused(ivring_request(vm, to, &item, 0, NULL, NULL, NULL));
	check_refused(ivring_forget(vm, 0));
	check_refused(ivring_call(vm, to, &item, 0, ivring_keep_reply, &item));
	check_refused(ivring_alloc(vm, 1, 0, &data));
	check_refused(ivring_cancel(vm, block));
	check_refused(ivring_set_payload(vm, &item, block, 1));
	item = (struct ivring_item){ .from = 1, .from_gen = 1, .length = 1 };
	check_refused(ivring_payload(vm, &item, &found));
	check_refused(ivring_copy_payload(vm, &item, buffer, sizeof(buffer)));
	check_refused(ivring_info(vm, &info));
	check_refused(ivring_vm_info(vm, 0, &vm_info));
	check_refused(ivring_set_eventfd(vm, 1));
	check_refused(ivring_wait_peer(vm, 1, 0, &peer));
	check_refused(ivring_members(vm));
	check_refused(ivring_next_change(vm, &change));
	CHECK(!ivring_next_peer(vm, &peer));
	CHECK(!ivring_is_member(vm, to));
	CHECK_EQ(ivring_on(vm, 1, on_item, NULL), 0);
	ivring_on_members(vm, on_members, NULL);
	ivring_set_wake(vm, 2, 2);
	ivring_set_max_lane_entries(vm, 2);
	ivring_stop(vm);
	CHECK_EQ(ivring_self(vm).id, 0);
	CHECK(ivring_fd(vm) >= 0);
	CHECK_EQ(ivring_close(vm), 0);
}

static void handle_in_a_child(void)
{
	int status = -1;
	void *block;
	pid_t pid;

	set_up();
	CHECK_EQ(ivring_dispatch(vm, 10), 0);
	CHECK_EQ(ivring_alloc(vm, 64, 0, &block), 0);
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
	CHECK_EQ(ivring_cancel(vm, block), 0);
	send_items(other, vm, 0, 1);
	CHECK_EQ(ivring_dispatch(vm, 10), 1);
	close_all();
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	RUN(handle_in_a_child);
	return tap_end();
}
