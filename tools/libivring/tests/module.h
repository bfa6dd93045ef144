/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * For the tests that need the module: a member in slot 0, and children that join its region by the
 * inherited descriptor. Each failure of a child has its own exit status.
 */
#ifndef IVR_MODULE_H
#define IVR_MODULE_H

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ivring.h"
#include "random.h"
#include "tap.h"

#define PATIENCE_MS	30000u
#define TIME_LIMIT_S	100u	/* for each test, which is killed then */
#define SENDERS		3u
#define PORT		1u

static struct ivr_member *member;

static inline uint64_t soon(void)
{
	return ivr_deadline_ms(PATIENCE_MS);
}

/* Makes a region that is small, so that the inbox and the outboxes are often full. */
static inline void create(void)
{
	struct ivr_region_options options = {
		.slots = SENDERS + 1, .inbox_entries = 8, .outbox_bytes = 4096,
	};

	alarm(TIME_LIMIT_S);
	CHECK_EQ(ivr_create(&options, &member), 0);
}

static inline void close_member(void)
{
	ivr_close(member);
	member = NULL;
}

/* In a child: joins as the member in slot @id, and waits for the member in slot 0. */
static inline struct ivr_member *join_parent(uint32_t id, struct ivr_peer *parent)
{
	struct ivr_member *own;

	if (ivr_join_fd(ivr_fd(member), id, &own))
		_exit(1);
	close(ivr_fd(member));
	if (ivr_wait_peer(own, 0, soon(), parent))
		_exit(2);
	return own;
}

static inline struct ivr_peer wait_child(uint32_t id)
{
	struct ivr_peer child = { 0, 0 };

	CHECK_EQ(ivr_wait_peer(member, id, soon(), &child), 0);
	return child;
}

static inline void reap(pid_t pid)
{
	int status = -1;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

/*
 * Makes an item with a block of random size. All bytes of the block have a value derived from
 * @number.
 */
static inline int fill_item(struct ivr_member *own, struct ivring_item *item, uint64_t number)
{
	size_t length = 1 + random_below(700);
	void *block;
	int ret;

	ret = ivr_alloc(own, length, soon(), &block);
	if (ret)
		return ret;
	memset(block, (int)(number % 251), length);
	*item = (struct ivring_item){ .port = PORT, .cookie = number };
	return ivr_set_payload(own, item, block, length);
}

/* To be called first in main(). The first argument is the seed. */
static inline void begin(int argc, char **argv)
{
	take_seed(argc, argv);
	setvbuf(stdout, NULL, _IONBF, 0);
}

/* A thread that runs the dispatcher. Its result is that of ivr_run(). */
static inline void *run_thread(void *arg)
{
	return (void *)(intptr_t)ivr_run(member);
}

/* In a child: sends all items, in as many calls as that takes. */
static inline void send_all(struct ivr_member *own, struct ivr_peer to, const struct ivring_item *items,
			    unsigned int count)
{
	while (count) {
		int sent = ivr_send(own, to, items, count, soon());

		if (sent < 0)
			_exit(4);
		items += sent;
		count -= (unsigned int)sent;
	}
}

/* In a child: waits until all items have been read, leaves, and ends. */
static inline void finish(struct ivr_member *own, struct ivr_peer to)
{
	if (ivr_flush(own, to, soon()))
		_exit(5);
	ivr_close(own);
	_exit(0);
}

#endif /* IVR_MODULE_H */
