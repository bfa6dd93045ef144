// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * On the module: a member in an event loop, in which the handler of a timer makes calls. An item
 * that comes after a call wakes the loop, in all ways of sleeping and polling.
 *
 *	module-loop-test [SEED]
 */

#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "module.h"

#define ASK		1u	/* port of the server */
#define NEWS		2u	/* port of the client */
#define ROUNDS		10u
#define TICK_NS		5000000
#define LATER_US	20000

enum way { LEVEL, EDGE, EVENTFD };

static unsigned int handled, calls, refused;
static struct ivr_peer server;

/* In a child: replies, and sends an item, either at once or when the caller sleeps. */
static void serve(struct ivr_member *own, const struct ivring_item *item, void *arg)
{
	struct ivring_item answer = { 0 }, news = { .port = NEWS };

	if (ivr_reply(own, item, &answer, soon()))
		_exit(3);
	if (item->inline_len)
		usleep(LATER_US);
	if (ivr_send(own, ivr_sender(item), &news, 1, soon()) != 1)
		_exit(4);
}

static pid_t fork_server(void)
{
	pid_t pid = fork();

	if (!pid) {
		struct ivr_peer parent;
		struct ivr_member *own = join_parent(1, &parent);

		ivr_on(own, ASK, serve, NULL);
		ivr_run(own);
		_exit(5);
	}
	server = wait_child(1);
	return pid;
}

static int call(bool later)
{
	/* A request with inline data asks for the item to come later. */
	struct ivring_item item = { .port = ASK, .inline_len = later }, reply;

	return ivr_call(member, server, &item, soon(), ivr_keep_reply, &reply);
}

static void on_news(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	/* The call is not made in a handler of the member, so it is allowed. */
	refused += call(true) == -EBUSY;
	handled++;
}

static void on_tick(int timer, bool later)
{
	uint64_t ticks;

	CHECK_EQ(read(timer, &ticks, sizeof(ticks)), sizeof(ticks));
	CHECK_EQ(call(later), 0);
	calls++;
}

static void on_ring(enum way way, int rung)
{
	uint64_t count;

	if (way == EVENTFD)
		CHECK_EQ(read(rung, &count, sizeof(count)), sizeof(count));
	CHECK(ivr_dispatch(member, 100) >= 0);
}

static void watch(int epoll, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
}

static void start(int timer)
{
	struct itimerspec tick = { .it_value.tv_nsec = TICK_NS };

	CHECK_EQ(timerfd_settime(timer, 0, &tick, NULL), 0);
}

static void loop(enum way way, bool later)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, 0);
	int rung = way == EVENTFD ? eventfd(0, EFD_CLOEXEC) : ivr_fd(member);
	struct epoll_event event;

	if (way == EVENTFD)
		CHECK_EQ(ivr_set_eventfd(member, rung), 0);
	watch(epoll, rung, EPOLLIN | (way == EVENTFD ? 0 : EPOLLPRI) | (way == EDGE ? EPOLLET : 0));
	watch(epoll, timer, EPOLLIN);
	start(timer);
	while (tap_good && handled < ROUNDS) {
		unsigned int before = handled;

		CHECK_EQ(epoll_wait(epoll, &event, 1, 3000), 1);
		if (!tap_good)
			break;
		if (event.data.fd == timer)
			on_tick(timer, later);
		else
			on_ring(way, rung);
		if (handled != before)
			start(timer);
	}
	CHECK_EQ(calls, ROUNDS);
	CHECK_EQ(refused, ROUNDS);
	close(epoll);
	close(timer);
	if (way == EVENTFD)
		close(rung);
}

static void calls_in_a_loop(enum way way, uint64_t polling_ns, bool later)
{
	pid_t pid;

	create();
	handled = calls = refused = 0;
	CHECK_EQ(ivr_on(member, NEWS, on_news, NULL), 0);
	pid = fork_server();
	if (polling_ns != UINT64_MAX)
		ivr_set_polling(member, polling_ns);
	loop(way, later);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close_member();
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "level", "edge", "eventfd" };
	static const uint64_t polling[] = { 0, UINT64_MAX, 1000000000 };
	unsigned int i, way;

	begin(argc, argv);
	for (way = LEVEL; way <= EVENTFD; way++)
		for (i = 0; i < ARRAY_SIZE(polling); i++) {
			RUN_AS(calls_in_a_loop(way, polling[i], true),
			       "%s, polling limit %lld, the next item later", names[way],
			       (long long)polling[i]);
			RUN_AS(calls_in_a_loop(way, polling[i], false),
			       "%s, polling limit %lld, the next item at once", names[way],
			       (long long)polling[i]);
		}
	return tap_end();
}
