// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * On the module: every way to sleep, while senders come in at random.
 *
 *	module-sleep-test [SEED]
 */

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "module.h"

/* From the sender in that slot: more from each, so that the last is alone in the end. */
#define ITEMS(id)	((id) * 1500u)

/* Sends all its items, some at a time, with pauses in which the receiver falls asleep. */
static void send_many(uint32_t id)
{
	struct ivring_item items[4];
	struct ivring_peer parent;
	struct ivring *own;
	uint64_t number = 0;

	seed += id;
	own = join_parent(id, &parent);
	while (number < ITEMS(id)) {
		unsigned int count = 1 + random_below(4), i;

		if (count > ITEMS(id) - number)
			count = (unsigned int)(ITEMS(id) - number);
		/* Never more than the outbox holds: what is not sent is not read. */
		for (i = 0; i < count; i++)
			if (fill_item(own, &items[i], number + i))
				_exit(3);
		for (i = 0; i < count;) {
			int sent = ivring_send(own, parent, &items[i], count - i, soon());

			if (sent < 0)
				_exit(4);
			i += (unsigned int)sent;
		}
		number += count;
		/* If its wakeup is lost, nothing else wakes the receiver. */
		if (random_below(2) && ivring_flush(own, parent, soon()))
			_exit(6);
		if (!random_below(20))
			usleep(random_below(300));
	}
	if (ivring_flush(own, parent, soon()))
		_exit(5);
	ivring_close(own);
	_exit(0);
}

static struct {
	uint64_t next[SENDERS + 1];
	unsigned int complete;
} received;

static bool all_received(void)
{
	return received.complete == (2u << SENDERS) - 2;
}

static void on_item(struct ivring *self, const struct ivring_item *item, void *arg)
{
	unsigned char payload[700];
	int i, length;

	(void)arg;
	length = ivring_copy_payload(self, item, payload, sizeof(payload));
	CHECK(length > 0);
	for (i = 0; i < length; i++)
		CHECK_EQ(payload[i], item->cookie % 251);
	CHECK_EQ((long long)item->cookie, (long long)received.next[item->from]);
	received.next[item->from] = item->cookie + 1;
	if (item->cookie + 1 == ITEMS(item->from))
		received.complete |= 1u << item->from;
	if (all_received())
		ivring_stop(self);
}

/* Receives from all senders; @loop returns after ivring_stop(). */
static void receive_with(void (*loop)(void))
{
	pid_t pids[SENDERS];
	uint32_t i;

	memset(&received, 0, sizeof(received));
	create();
	CHECK_EQ(ivring_on(vm, PORT, on_item, NULL), 0);
	for (i = 0; i < SENDERS; i++) {
		pids[i] = fork();
		if (!pids[i])
			send_many(i + 1);
	}
	loop();
	for (i = 0; i < SENDERS; i++)
		reap(pids[i]);
	for (i = 1; i <= SENDERS; i++)
		CHECK_EQ((long long)received.next[i], ITEMS(i));
	close_vm();
}

static void run_loop(void)
{
	CHECK_EQ(ivring_run(vm), 0);
}

static void drain(void)
{
	int budget, done;

	do {
		budget = 1 + (int)random_below(20);
		done = ivring_dispatch(vm, (unsigned int)budget);
	} while (done == budget && !all_received());
	CHECK(done >= 0);
}

static int epoll;

static void epoll_loop(uint32_t flags, void (*dispatch)(void))
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLPRI | flags };

	epoll = epoll_create1(EPOLL_CLOEXEC);
	CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, ivring_fd(vm), &event), 0);
	while (!all_received()) {
		CHECK_EQ(epoll_wait(epoll, &event, 1, PATIENCE_MS), 1);
		if (!tap_good)
			break;
		dispatch();
	}
	close(epoll);
}

static void dispatch_some(void)
{
	CHECK(ivring_dispatch(vm, 1 + random_below(4)) >= 0);
}

static void level_loop(void)
{
	epoll_loop(0, dispatch_some);
}

static void dispatch_unasked(void)
{
	drain();
	/* Finds nothing, and from then on epoll does not look again by itself. */
	epoll_wait(epoll, &(struct epoll_event){ 0 }, 1, 0);
	drain();
}

static void unasked_loop(void)
{
	epoll_loop(0, dispatch_unasked);
}

static void edge_loop(void)
{
	drain();
	epoll_loop(EPOLLET, drain);
}

static void eventfd_loop(void)
{
	int rung = eventfd(0, EFD_CLOEXEC);
	uint64_t count;

	CHECK_EQ(ivring_set_eventfd(vm, rung), 0);
	drain();
	while (!all_received()) {
		CHECK_EQ(read(rung, &count, sizeof(count)), sizeof(count));
		drain();
	}
	CHECK_EQ(ivring_set_eventfd(vm, -1), 0);
	close(rung);
}

static void wait_loop(void)
{
	struct ivring_item items[5];

	while (!all_received()) {
		int i, count = ivring_receive(vm, items, 5);

		if (!count)
			CHECK(ivring_wait(vm, 0, soon()) == IVRING_EVENT_ITEMS);
		if (!tap_good)
			break;
		for (i = 0; i < count; i++)
			on_item(vm, &items[i], NULL);
		CHECK_EQ(ivring_consume(vm, (unsigned int)count), 0);
	}
}

static void sleep_in_run(void)
{
	receive_with(run_loop);
}

static void sleep_in_wait(void)
{
	receive_with(wait_loop);
}

static void sleep_in_level_triggered_epoll(void)
{
	receive_with(level_loop);
}

static void sleep_in_epoll_unasked(void)
{
	receive_with(unasked_loop);
}

static void sleep_in_edge_triggered_epoll(void)
{
	receive_with(edge_loop);
}

static void sleep_on_an_eventfd(void)
{
	receive_with(eventfd_loop);
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	RUN(sleep_in_run);
	RUN(sleep_in_wait);
	RUN(sleep_in_level_triggered_epoll);
	RUN(sleep_in_epoll_unasked);
	RUN(sleep_in_edge_triggered_epoll);
	RUN(sleep_on_an_eventfd);
	return tap_end();
}
