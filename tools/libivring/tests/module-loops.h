/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * For the tests that need the module: all ways to sleep until there is work. The test defines
 * all_received(), which ends the loops, and on_item().
 */
#ifndef IVR_MODULE_LOOPS_H
#define IVR_MODULE_LOOPS_H

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "module.h"

static bool all_received(void);
static void on_item(struct ivr_member *self, const struct ivring_item *item, void *arg);

static unsigned int largest_budget = 20;

static inline void run_loop(void)
{
	CHECK_EQ(ivr_run(member), 0);
}

static inline void drain(void)
{
	int budget, done;

	do {
		budget = 1 + (int)random_below(largest_budget);
		done = ivr_dispatch(member, (unsigned int)budget);
	} while (done == budget && !all_received());
	CHECK(done >= 0);
}

static inline void dispatch_some(void)
{
	CHECK(ivr_dispatch(member, 1 + random_below(4)) >= 0);
}

static int epoll;

static inline void epoll_loop(uint32_t flags, void (*dispatch)(void))
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLPRI | flags };

	epoll = epoll_create1(EPOLL_CLOEXEC);
	CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, ivr_fd(member), &event), 0);
	while (!all_received()) {
		CHECK_EQ(epoll_wait(epoll, &event, 1, PATIENCE_MS), 1);
		if (!tap_good)
			break;
		dispatch();
	}
	close(epoll);
}

static inline void level_loop(void)
{
	epoll_loop(0, dispatch_some);
}

static inline void dispatch_unasked(void)
{
	drain();
	/*
	 * This call finds nothing. After that, epoll does not poll the descriptor again by itself.
	 */
	epoll_wait(epoll, &(struct epoll_event){ 0 }, 1, 0);
	drain();
}

static inline void unasked_loop(void)
{
	epoll_loop(0, dispatch_unasked);
}

static inline void edge_loop(void)
{
	drain();
	epoll_loop(EPOLLET, drain);
}

static inline void poll_loop(void)
{
	struct pollfd pollfd = { .fd = ivr_fd(member), .events = POLLIN | POLLPRI };

	while (!all_received()) {
		CHECK_EQ(poll(&pollfd, 1, PATIENCE_MS), 1);
		if (!tap_good)
			break;
		dispatch_some();
	}
}

static inline void eventfd_loop(void)
{
	int rung = eventfd(0, EFD_CLOEXEC);
	uint64_t count;

	CHECK_EQ(ivr_set_eventfd(member, rung), 0);
	drain();
	while (!all_received()) {
		CHECK_EQ(read(rung, &count, sizeof(count)), sizeof(count));
		drain();
	}
	CHECK_EQ(ivr_set_eventfd(member, -1), 0);
	close(rung);
}

static inline void wait_loop(void)
{
	struct ivring_item items[5];

	while (!all_received()) {
		int i, count = ivr_receive(member, items, 5);

		if (!count)
			CHECK(ivr_wait(member, 0, soon()) == IVRING_EVENT_ITEMS);
		if (!tap_good)
			break;
		for (i = 0; i < count; i++)
			on_item(member, &items[i], NULL);
		CHECK_EQ(ivr_consume(member, (unsigned int)count), 0);
	}
}

static const struct way {
	const char *name;
	void (*loop)(void);
} ways[] = {
	{ "run", run_loop },
	{ "wait", wait_loop },
	{ "poll", poll_loop },
	{ "level-triggered epoll", level_loop },
	{ "epoll unasked", unasked_loop },
	{ "edge-triggered epoll", edge_loop },
	{ "eventfd", eventfd_loop },
};

/* Forks the senders in slots 1 to @senders, receives from them with @loop, and reaps them. */
static inline void receive_from(void (*loop)(void), uint32_t senders, void (*send)(uint32_t id))
{
	pid_t pids[SENDERS];
	uint32_t i;

	for (i = 0; i < senders; i++) {
		pids[i] = fork();
		if (!pids[i])
			send(i + 1);
	}
	loop();
	for (i = 0; i < senders; i++)
		reap(pids[i]);
}

#endif /* IVR_MODULE_LOOPS_H */
