// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * On the module: stopping a dispatcher, and peers that leave at any time.
 *
 *	module-peers-test [SEED]
 */

#include <pthread.h>
#include <signal.h>

#include "module.h"

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
		ivr_stop(member);
		CHECK_EQ(pthread_join(thread, &result), 0);
		CHECK(!result);
	}
	close_member();
}

static void on_signal(int signal)
{
	ivr_stop(member);
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
		CHECK_EQ(ivr_run(member), 0);
		pthread_join(thread, NULL);
	}
	signal(SIGUSR1, SIG_DFL);
	close_member();
}

static void flush_to_a_receiver_that_reads_and_leaves(void)
{
	int i;

	create();
	for (i = 0; i < 100; i++) {
		struct ivring_item item = { .port = PORT };
		struct ivr_peer child;
		pid_t pid = fork();

		if (!pid) {
			struct ivr_member *own = join_parent(1, &child);

			if (ivr_wait(own, 0, soon()) < 0 ||
			    ivr_receive(own, &item, 1) != 1 || ivr_consume(own, 1))
				_exit(6);
			_exit(0);
		}
		child = wait_child(1);
		CHECK_EQ(ivr_send(member, child, &item, 1, soon()), 1);
		CHECK_EQ(ivr_flush(member, child, soon()), 0);
		reap(pid);
	}
	close_member();
}

/*
 * Waits for a child that stops itself after joining, so that it cannot leave before the parent sees
 * it.
 */
static struct ivr_peer meet_stopped(pid_t pid)
{
	struct ivr_peer child = wait_child(1);
	int status = 0;

	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status));
	kill(pid, SIGCONT);
	return child;
}

/* Forks a child that reads nothing and is killed after a while. */
static pid_t fork_doomed(struct ivr_peer *child)
{
	pid_t pid = fork();

	if (!pid) {
		join_parent(1, child);
		raise(SIGSTOP);
		usleep(20000);
		raise(SIGKILL);
	}
	*child = meet_stopped(pid);
	return pid;
}

static void receiver_is_killed(void)
{
	struct ivring_item item = { .port = PORT };
	struct ivr_peer child;
	void *block;
	pid_t pid;
	int ret;

	create();
	pid = fork_doomed(&child);
	do
		ret = ivr_send(member, child, &item, 1, soon());
	while (ret == 1);
	CHECK_EQ(ret, -EPIPE);
	CHECK_EQ(ivr_flush(member, child, soon()), -EPIPE);
	waitpid(pid, NULL, 0);

	pid = fork_doomed(&child);
	CHECK_EQ(ivr_alloc(member, 4096, 0, &block), 0);
	CHECK_EQ(ivr_set_payload(member, &item, block, 4096), 0);
	CHECK_EQ(ivr_send(member, child, &item, 1, 0), 1);
	CHECK_EQ(ivr_alloc(member, 4096, 0, &block), -EAGAIN);
	CHECK_EQ(ivr_alloc(member, 4096, soon(), &block), 0);
	waitpid(pid, NULL, 0);
	close_member();
}

static void sender_is_killed(void)
{
	struct ivring_item items[3];
	struct ivr_peer parent;
	unsigned char payload[700];
	pid_t pid;
	int i;

	create();
	pid = fork();
	if (!pid) {
		struct ivr_member *own = join_parent(1, &parent);

		for (i = 0; i < 2; i++)
			if (fill_item(own, &items[i], 7))
				_exit(3);
		if (ivr_send(own, parent, items, 2, soon()) != 2)
			_exit(4);
		pause();
	}
	wait_child(1);
	CHECK_EQ(ivr_wait(member, 0, soon()), IVRING_EVENT_ITEMS);
	CHECK_EQ(ivr_receive(member, items, 3), 2);
	CHECK(ivr_copy_payload(member, &items[0], payload, sizeof(payload)) > 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK(!ivr_is_member(member, ivr_sender(&items[1])));
	/* The mapped payload can be read until the last item has been consumed. */
	CHECK_EQ(ivr_refresh_members(member), 0);
	CHECK_EQ(ivr_copy_payload(member, &items[1], payload, sizeof(payload)),
		 items[1].length);
	CHECK_EQ(payload[items[1].length - 1], 7);
	CHECK_EQ(ivr_consume(member, 2), 0);
	CHECK_EQ(ivr_refresh_members(member), 1);
	CHECK_EQ(ivr_copy_payload(member, &items[1], payload, sizeof(payload)), -EPIPE);
	close_member();
}

/* Waits for a child that ualarm() kills. */
static void check_killed(pid_t pid)
{
	int status = 0;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
}

/* The receiver is killed while it sleeps, before it sleeps, or while the sender waits for room. */
static void receiver_of_a_lane_is_killed(void)
{
	struct ivring_item item = { .port = PORT };
	struct ivr_peer child;
	int i, ret;

	create();
	for (i = 0; i < 20; i++) {
		uint32_t life = 1 + random_below(50000);
		pid_t pid = fork();

		if (!pid) {
			struct ivr_member *own = join_parent(1, &child);

			raise(SIGSTOP);
			ualarm(life, 0);
			ivr_set_polling(own, i % 2 ? 0 : 100000);
			ivr_run(own);
		}
		child = meet_stopped(pid);
		ret = ivr_open_lane(member, child, 2u << random_below(6), 0);
		CHECK(!ret || ret == -EPIPE);
		do {
			ret = ivr_send(member, child, &item, 1, soon());
			if (!random_below(100))
				usleep(random_below(300));
		} while (ret == 1);
		CHECK_EQ(ret, -EPIPE);
		check_killed(pid);
	}
	close_member();
}

/* What the handlers saw of the lane of the child. */
static struct {
	struct ivr_peer child;
	uint64_t items;
	uint64_t next;
	unsigned int closed;
} seen;

static void on_lane_item(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	const bool *closes = arg;

	seen.child = ivr_sender(item);
	seen.items++;
	/* The last item may come twice, because the sender cannot know whether it was dropped. */
	CHECK(item->cookie >= seen.next || item->cookie + 1 == seen.next);
	seen.next = item->cookie + 1;
	if (*closes && !random_below(50)) {
		CHECK_EQ(ivr_close_lane(self, seen.child), 0);
		seen.closed++;
	}
}

static void on_lane_members(struct ivr_member *self, const struct ivr_member_event *event, void *arg)
{
	if (seen.items && event->event == IVR_MEMBER_LEFT &&
	    event->peer.id == seen.child.id && event->peer.generation == seen.child.generation)
		ivr_stop(self);
}

static void receive_from_child(bool closes)
{
	memset(&seen, 0, sizeof(seen));
	CHECK_EQ(ivr_on(member, PORT, on_lane_item, &closes), 0);
	ivr_on_members(member, on_lane_members, NULL);
	CHECK_EQ(ivr_run(member), 0);
}

/* All pushed items are read, and the next member of the slot gets a lane of its own. */
static void sender_by_a_lane_is_killed(void)
{
	struct ivr_peer parent;
	int i;

	create();
	for (i = 0; i < 20; i++) {
		uint32_t life = 1 + random_below(50000);
		pid_t pid = fork();

		if (!pid) {
			struct ivring_item item = { .port = PORT };
			struct ivr_member *own = join_parent(1, &parent);

			if (ivr_open_lane(own, parent, 64, 0))
				_exit(3);
			for (; ivr_send(own, parent, &item, 1, soon()) == 1; item.cookie++)
				if (!item.cookie)
					ualarm(life, 0);
			_exit(4);
		}
		receive_from_child(false);
		/* No pushed item is missing. */
		CHECK_EQ((long long)seen.items, (long long)seen.next);
		check_killed(pid);
	}
	close_member();
}

/* Sends @count items, and opens a new lane whenever the old lane has been closed. */
static int send_by_lanes(struct ivr_member *own, struct ivr_peer to, uint64_t count)
{
	struct ivring_item item = { .port = PORT };
	int ret = -ECONNRESET;

	while (item.cookie < count) {
		if (ret == -ECONNRESET)
			ret = ivr_open_lane(own, to, 64, 0);
		if (!ret)
			ret = ivr_send(own, to, &item, 1, soon());
		if (ret == 1) {
			item.cookie++;
			ret = 0;
		}
		/* The last item is sent again until it has been read. */
		if (!ret && item.cookie == count) {
			ret = ivr_flush(own, to, soon());
			item.cookie -= ret == -ECONNRESET;
		}
		if (ret && ret != -ECONNRESET)
			return ret;
	}
	return 0;
}

static void lane_closed_repeatedly(void)
{
	struct ivr_peer parent;
	pid_t pid;

	create();
	pid = fork();
	if (!pid) {
		struct ivr_member *own = join_parent(1, &parent);

		_exit(send_by_lanes(own, parent, 20000) ? 9 : 0);
	}
	receive_from_child(true);
	CHECK_EQ((long long)seen.next, 20000);
	CHECK(seen.closed > 50);
	reap(pid);
	close_member();
}

static void wait_for_a_peer_among_items(void)
{
	struct ivring_item item = { .port = PORT };
	struct ivr_peer parent, self;
	int i;

	create();
	self = ivr_self(member);
	CHECK_EQ(ivr_send(member, self, &item, 1, 0), 1);
	CHECK_EQ(ivr_wait_peer(member, 1, ivr_deadline_ms(20), &parent), -ETIMEDOUT);
	for (i = 0; i < 50; i++) {
		pid_t pid = fork();

		if (!pid) {
			struct ivr_member *own = join_parent(2, &parent);

			/* This item rings, but the parent waits for a member. */
			ivr_send(own, parent, &item, 1, 0);
			usleep(random_below(2000));
			if (ivr_join_fd(ivr_fd(own), 1, &own))
				_exit(7);
			if (ivr_wait(own, 0, soon()) < 0)
				_exit(8);
			_exit(0);
		}
		parent = wait_child(1);
		CHECK_EQ(ivr_send(member, parent, &item, 1, 0), 1);
		reap(pid);
	}
	close_member();
}

/*
 * A child has the member's descriptor but no mappings. Its calls fail, and the member stays
 * attached.
 */
static void descriptor_in_a_child(void)
{
	struct ivring_item item = { .port = PORT };
	pid_t pid;

	create();
	pid = fork();
	if (!pid) {
		if (ivr_send(member, ivr_self(member), &item, 1, 0) != -EPERM ||
		    ivr_receive(member, &item, 1) != -EPERM || ivr_run(member) != -EPERM)
			_exit(1);
		ivr_stop(member);
		_exit(ivr_close(member) ? 2 : 0);
	}
	reap(pid);
	CHECK_EQ(ivr_send(member, ivr_self(member), &item, 1, 0), 1);
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(ivr_consume(member, 1), 0);
	close_member();
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	RUN(stop_from_another_thread);
	RUN(stop_from_a_signal_handler);
	RUN(flush_to_a_receiver_that_reads_and_leaves);
	RUN(receiver_is_killed);
	RUN(sender_is_killed);
	RUN(receiver_of_a_lane_is_killed);
	RUN(sender_by_a_lane_is_killed);
	RUN(lane_closed_repeatedly);
	RUN(wait_for_a_peer_among_items);
	RUN(descriptor_in_a_child);
	return tap_end();
}
