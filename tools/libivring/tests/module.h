/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * For the tests that need the module: a member in slot 0, and children that join its
 * region by the descriptor they inherit. A child that fails exits with a status of
 * its own.
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
#define TIME_LIMIT_S	100u	/* for each test: what hangs is killed */
#define SENDERS		3u
#define PORT		1u

static struct ivr_member *member;

static inline uint64_t soon(void)
{
	return ivr_deadline_ms(PATIENCE_MS);
}

/* Small, so that both the inbox and the outboxes are full again and again. */
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

/* In a child: a member of its own in that slot, and the one in slot 0. */
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

/* A block of some bytes that tell by their value which they are. */
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

/* The first thing in main(), which gets the seed, if any, as its argument. */
static inline void begin(int argc, char **argv)
{
	take_seed(argc, argv);
	setvbuf(stdout, NULL, _IONBF, 0);
}

#endif /* IVR_MODULE_H */
