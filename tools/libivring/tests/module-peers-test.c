// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * On the module: stopping a dispatcher, and peers that leave in the middle.
 *
 *	module-peers-test [SEED]
 */

#include <pthread.h>
#include <signal.h>

#include "module.h"

static void *run_thread(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)ivring_run(vm);
}

static void stop_from_another_thread(void)
{
	pthread_t thread;
	void *result;
	int i;

	create();
	for (i = 0; i < 1000; i++) {
		CHECK_EQ(pthread_create(&thread, NULL, run_thread, NULL), 0);
		if (random_below(4))
			usleep(random_below(200));
		ivring_stop(vm);
		CHECK_EQ(pthread_join(thread, &result), 0);
		CHECK(!result);
	}
	close_vm();
}

static void on_signal(int signal)
{
	(void)signal;
	ivring_stop(vm);
}

static void *signal_thread(void *arg)
{
	usleep(random_below(1000));
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

static void stop_from_a_signal_handler(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t self = pthread_self(), thread;
	int i;

	create();
	for (i = 0; i < 300; i++) {
		action.sa_flags = i % 2 ? SA_RESTART : 0;
		sigaction(SIGUSR1, &action, NULL);
		CHECK_EQ(pthread_create(&thread, NULL, signal_thread, &self), 0);
		CHECK_EQ(ivring_run(vm), 0);
		pthread_join(thread, NULL);
	}
	signal(SIGUSR1, SIG_DFL);
	close_vm();
}

static void flush_to_one_that_reads_and_leaves(void)
{
	int i;

	create();
	for (i = 0; i < 100; i++) {
		struct ivring_item item = { .port = PORT };
		struct ivring_peer child;
		pid_t pid = fork();

		if (!pid) {
			struct ivring *own = join_parent(1, &child);

			if (ivring_wait(own, 0, soon()) < 0 || ivring_consume(own, 1))
				_exit(6);
			_exit(0);
		}
		child = wait_child(1);
		CHECK_EQ(ivring_send(vm, child, &item, 1, soon()), 1);
		CHECK_EQ(ivring_flush(vm, child, soon()), 0);
		reap(pid);
	}
	close_vm();
}

/* A child that reads nothing, and is killed after a while. */
static pid_t fork_doomed(struct ivring_peer *child)
{
	pid_t pid = fork();

	if (!pid) {
		join_parent(1, child);
		usleep(20000);
		raise(SIGKILL);
	}
	*child = wait_child(1);
	return pid;
}

static void receiver_is_killed(void)
{
	struct ivring_item item = { .port = PORT };
	struct ivring_peer child;
	void *block;
	pid_t pid;
	int ret;

	create();
	pid = fork_doomed(&child);
	do
		ret = ivring_send(vm, child, &item, 1, soon());
	while (ret == 1);
	CHECK_EQ(ret, -EPIPE);
	CHECK_EQ(ivring_flush(vm, child, soon()), -EPIPE);
	waitpid(pid, NULL, 0);

	pid = fork_doomed(&child);
	CHECK_EQ(ivring_alloc(vm, 4096, 0, &block), 0);
	CHECK_EQ(ivring_set_payload(vm, &item, block, 4096), 0);
	CHECK_EQ(ivring_send(vm, child, &item, 1, 0), 1);
	CHECK_EQ(ivring_alloc(vm, 4096, 0, &block), -EAGAIN);
	CHECK_EQ(ivring_alloc(vm, 4096, soon(), &block), 0);
	waitpid(pid, NULL, 0);
	close_vm();
}

static void sender_is_killed(void)
{
	struct ivring_item items[3];
	struct ivring_peer parent;
	unsigned char payload[700];
	pid_t pid;
	int i;

	create();
	pid = fork();
	if (!pid) {
		struct ivring *own = join_parent(1, &parent);

		for (i = 0; i < 2; i++)
			if (fill_item(own, &items[i], 7))
				_exit(3);
		if (ivring_send(own, parent, items, 2, soon()) != 2)
			_exit(4);
		pause();
	}
	wait_child(1);
	CHECK_EQ(ivring_wait(vm, 0, soon()), IVRING_EVENT_ITEMS);
	CHECK_EQ(ivring_receive(vm, items, 3), 2);
	CHECK(ivring_copy_payload(vm, &items[0], payload, sizeof(payload)) > 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK(!ivring_is_member(vm, ivring_sender(&items[1])));
	/* What was mapped can be read until the last item has been consumed. */
	CHECK_EQ(ivring_members(vm), 0);
	CHECK_EQ(ivring_copy_payload(vm, &items[1], payload, sizeof(payload)),
		 items[1].length);
	CHECK_EQ(payload[items[1].length - 1], 7);
	CHECK_EQ(ivring_consume(vm, 2), 0);
	CHECK_EQ(ivring_members(vm), 1);
	CHECK_EQ(ivring_copy_payload(vm, &items[1], payload, sizeof(payload)), -ESTALE);
	close_vm();
}

static void wait_for_a_peer_among_items(void)
{
	struct ivring_item item = { .port = PORT };
	struct ivring_peer parent, self;
	int i;

	create();
	self = ivring_self(vm);
	CHECK_EQ(ivring_send(vm, self, &item, 1, 0), 1);
	CHECK_EQ(ivring_wait_peer(vm, 1, ivring_deadline_ms(20), &parent), -ETIMEDOUT);
	for (i = 0; i < 50; i++) {
		pid_t pid = fork();

		if (!pid) {
			struct ivring *own = join_parent(2, &parent);

			/* A doorbell that is not the one the parent waits for. */
			ivring_send(own, parent, &item, 1, 0);
			usleep(random_below(2000));
			if (ivring_join_fd(ivring_fd(own), 1, &own))
				_exit(7);
			if (ivring_wait(own, 0, soon()) < 0)
				_exit(8);
			_exit(0);
		}
		parent = wait_child(1);
		CHECK_EQ(ivring_send(vm, parent, &item, 1, 0), 1);
		reap(pid);
	}
	close_vm();
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	RUN(stop_from_another_thread);
	RUN(stop_from_a_signal_handler);
	RUN(flush_to_one_that_reads_and_leaves);
	RUN(receiver_is_killed);
	RUN(sender_is_killed);
	RUN(wait_for_a_peer_among_items);
	return tap_end();
}
