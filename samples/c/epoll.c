// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A dispatcher in an event loop of the program: epoll watches the member and a timer. The sender is
 * a child process, which joins by the inherited descriptor.
 */

#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sample.h"

#define BURSTS		20u
#define BURST		50u
#define BURST_US	5000u
#define TICK_NS		10000000
#define BUDGET		16u	/* items per call, so that other events are not delayed for long */

struct loop {
	struct ivr_peer sender;
	uint64_t items, ticks;
	bool done;
};

static void on_item(struct ivr_member *member, const struct ivring_item *item, void *arg)
{
	struct loop *loop = arg;

	(void)member;
	if (item->cookie != loop->items++)
		errx(EXIT_FAILURE, "items were lost");
}

static void on_members(struct ivr_member *member, const struct ivr_member_event *event, void *arg)
{
	struct loop *loop = arg;

	(void)member;
	loop->done |= has_left(event, loop->sender);
}

static int child(int region_fd)
{
	struct ivring_item item = { .port = 1 };
	struct ivr_peer receiver;
	struct ivr_member *member;

	check(ivr_join_fd(region_fd, 1, &member), "join");
	close(region_fd);
	check(ivr_wait_peer(member, 0, IVRING_DEADLINE_NEVER, &receiver), "receiver");
	for (; item.cookie < BURSTS * BURST; item.cookie++) {
		if (item.cookie % BURST == 0)
			usleep(BURST_US);
		check(ivr_send(member, receiver, &item, 1, IVRING_DEADLINE_NEVER), "send");
	}
	check(ivr_flush(member, receiver, IVRING_DEADLINE_NEVER), "flush");
	ivr_close(member);
	return EXIT_SUCCESS;
}

static void watch(int epoll, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		err(EXIT_FAILURE, "epoll_ctl");
}

static void run(struct ivr_member *member, struct loop *loop)
{
	struct itimerspec tick = { .it_value.tv_nsec = TICK_NS, .it_interval.tv_nsec = TICK_NS };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct epoll_event event;
	uint64_t ticks;

	if (epoll < 0 || timer < 0 || timerfd_settime(timer, 0, &tick, NULL))
		err(EXIT_FAILURE, "timer");
	/*
	 * The epoll is level-triggered, and the program dispatches when epoll reports the member.
	 * So a dispatch may leave items, because epoll then reports the member again.
	 */
	watch(epoll, ivr_fd(member), EPOLLIN | EPOLLPRI);
	watch(epoll, timer, EPOLLIN);
	while (!loop->done) {
		if (epoll_wait(epoll, &event, 1, -1) < 0)
			err(EXIT_FAILURE, "epoll_wait");
		if (event.data.fd == ivr_fd(member))
			check(ivr_dispatch(member, BUDGET), "dispatch");
		else if (read(timer, &ticks, sizeof(ticks)) == sizeof(ticks))
			loop->ticks += ticks;
	}
}

int main(void)
{
	struct ivr_region_options options = {
		.slots = 2,
		.inbox_entries = 64,
		.outbox_bytes = 4096,
	};
	struct loop loop = { 0 };
	struct ivr_member *member;
	uint64_t start;
	int status;

	check(ivr_create(&options, &member), "create");
	start = now();
	loop.sender = start_sender(member, child);
	check(ivr_on(member, 1, on_item, &loop), "handler");
	ivr_on_members(member, on_members, &loop);
	run(member, &loop);

	if (wait(&status) < 0 || status || loop.items != BURSTS * BURST || !loop.ticks)
		errx(EXIT_FAILURE, "items or ticks were lost");
	print_figures(member, 0, loop.items, 0, now() - start);
	puts("");
	ivr_close(member);
	return EXIT_SUCCESS;
}
