// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * On the module: making regions.
 *
 *	module-region-test [SEED]
 */

#include "module.h"

/* In a child: becomes the member in slot @id, waits for the other one, and exchanges one item. */
static void exchange(int region_fd, uint32_t id)
{
	struct ivring_item item = { .port = PORT };
	struct ivr_peer other;
	struct ivr_member *own;

	if (ivr_join_fd(region_fd, id, &own))
		_exit(1);
	if (close(region_fd) || ivr_wait_peer(own, 1 - id, soon(), &other))
		_exit(2);
	if (ivr_send(own, other, &item, 1, soon()) != 1)
		_exit(3);
	if (ivr_wait(own, 0, soon()) != IVRING_EVENT_ITEMS || ivr_receive(own, &item, 1) != 1)
		_exit(4);
	if (item.from != other.id || ivr_consume(own, 1) || ivr_flush(own, other, soon()))
		_exit(5);
	_exit(0);
}

static struct ivr_region_options options_of(const char *name)
{
	return (struct ivr_region_options){
		.name = name, .slots = 2, .inbox_entries = 8, .outbox_bytes = 4096,
	};
}

/* The parent, which holds the region, is no member of it. */
static void region_without_its_maker(void)
{
	struct ivr_region_options options = options_of(NULL);
	pid_t pids[2];
	uint32_t id;
	int fd;

	alarm(TIME_LIMIT_S);
	CHECK_EQ(ivr_create_region(&options, &fd), 0);
	for (id = 0; id < 2; id++) {
		pids[id] = fork();
		if (!pids[id])
			exchange(fd, id);
	}
	for (id = 0; id < 2; id++)
		reap(pids[id]);
	CHECK_EQ(close(fd), 0);
}

static void name_lasts_as_long_as_the_descriptor(void)
{
	const char *name = "region without a member";
	struct ivr_region_options options = options_of(name);
	int fd, second;

	alarm(TIME_LIMIT_S);
	CHECK_EQ(ivr_create_region(&options, &fd), 0);
	CHECK_EQ(ivr_create_region(&options, &second), -EEXIST);
	CHECK(strstr(ivr_why(), "already exists"));
	CHECK_EQ(ivr_join(name, 0, 0, &member), 0);
	CHECK_EQ(ivr_self(member).generation, 1);
	close_member();
	CHECK_EQ(ivr_join(name, 0, 0, &member), 0);
	CHECK_EQ(ivr_self(member).generation, 3);
	close_member();
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(ivr_join(name, 0, 0, &member), -ENOENT);
	member = NULL;
}

/* In a child: repeatedly makes a region of that name or joins it, and leaves. */
static void open_and_close(const char *name)
{
	struct ivr_region_options options = {
		.name = name, .slots = 16, .inbox_entries = 2, .outbox_bytes = 4096,
	};
	struct ivr_member *own;
	int i, ret;

	for (i = 0; i < 100; i++) {
		ret = ivr_open(&options, soon(), &own);
		if (ret == -ENOSPC || ret == -EDQUOT)
			continue;
		if (ret != IVR_CREATED && ret != IVR_JOINED)
			_exit(1);
		ivr_close(own);
	}
	_exit(0);
}

/* ivr_open() never fails because another process makes or leaves the region at the same time. */
static void any_process_may_be_the_first(void)
{
	pid_t pids[10];
	unsigned int i;

	alarm(TIME_LIMIT_S);
	for (i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		if (!pids[i])
			open_and_close("any process may be the first");
	}
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		reap(pids[i]);
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	RUN(region_without_its_maker);
	RUN(name_lasts_as_long_as_the_descriptor);
	RUN(any_process_may_be_the_first);
	return tap_end();
}
