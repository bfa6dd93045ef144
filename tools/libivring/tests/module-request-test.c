// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * On the module: requests, items to several members, wakeups for several items, and the costs of an
 * idle member.
 *
 *	module-request-test [SEED]
 */

#include <pthread.h>
#include <signal.h>

#include "module.h"

#define ASK		5u	/* port */
#define CALLS		1000u

/* In a child: answers each request with twice its number, until the child is killed. */
static void serve(struct ivr_member *own, const struct ivring_item *item, void *arg)
{
	struct ivring_item reply = { 0 };
	uint64_t number;

	if (ivr_get_inline(item, &number, sizeof(number)))
		_exit(3);
	number *= 2;
	ivr_set_inline(&reply, &number, sizeof(number));
	if (ivr_reply(own, item, &reply, soon()))
		_exit(4);
}

static pid_t fork_server(uint32_t id, bool by_lane)
{
	pid_t pid = fork();

	if (!pid) {
		struct ivr_peer parent;
		struct ivr_member *own = join_parent(id, &parent);

		if (by_lane && ivr_open_lane(own, parent, 16, 0))
			_exit(5);
		ivr_on(own, ASK, serve, NULL);
		ivr_run(own);
	}
	return pid;
}

static void kill_server(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void calls(bool by_lane, uint64_t polling_ns)
{
	struct ivring_item request = { .port = ASK }, reply;
	struct ivr_peer server;
	uint64_t number, twice;
	pid_t pid;

	create();
	ivr_set_polling(member, polling_ns);
	pid = fork_server(1, by_lane);
	server = wait_child(1);
	if (by_lane)
		CHECK_EQ(ivr_open_lane(member, server, 16, 0), 0);
	for (number = 0; number < CALLS && tap_good; number++) {
		CHECK_EQ(ivr_set_inline(&request, &number, sizeof(number)), 0);
		CHECK_EQ(ivr_call(member, server, &request, soon(), ivr_keep_reply, &reply), 0);
		CHECK_EQ(ivr_get_inline(&reply, &twice, sizeof(twice)), 0);
		CHECK_EQ((long long)twice, (long long)(2 * number));
	}
	kill_server(pid);
	CHECK_EQ(ivr_call(member, server, &request, soon(), ivr_keep_reply, &reply), -EPIPE);
	close_member();
}

/* The server is stopped, and later killed, while the caller waits for its reply. */
static void server_that_does_not_answer(void)
{
	struct ivring_item request = { .port = ASK, .inline_len = 8 }, reply;
	struct ivr_peer server;
	pid_t pid;

	create();
	pid = fork_server(1, true);
	server = wait_child(1);
	CHECK_EQ(ivr_call(member, server, &request, soon(), ivr_keep_reply, &reply), 0);
	kill(pid, SIGSTOP);
	CHECK_EQ(ivr_call(member, server, &request, ivr_deadline_ms(50), ivr_keep_reply,
			  &reply), -ETIMEDOUT);
	if (!fork()) {
		usleep(50000);
		kill(pid, SIGKILL);
		_exit(0);
	}
	CHECK_EQ(ivr_call(member, server, &request, soon(), ivr_keep_reply, &reply), -EPIPE);
	waitpid(pid, NULL, 0);
	wait(NULL);
	close_member();
}

/* The call ends at once and not at its deadline. */
static void port_without_handler(bool by_lane)
{
	struct ivring_item request = { .port = ASK + 1 }, reply;
	struct ivr_peer server;
	pid_t pid;

	create();
	pid = fork_server(1, by_lane);
	server = wait_child(1);
	CHECK_EQ(ivr_call(member, server, &request, soon(), ivr_keep_reply, &reply),
		 -ECONNREFUSED);
	kill_server(pid);
	close_member();
}

static void on_reply(struct ivr_member *self, int status, const struct ivring_item *reply, void *arg)
{
	uint64_t *sum = arg, number;

	CHECK_EQ(status, 0);
	CHECK_EQ(ivr_get_inline(reply, &number, sizeof(number)), 0);
	*sum += number;
	if (*sum == 2 * SENDERS * (CALLS - 1) * CALLS / 2)
		ivr_stop(self);
}

/* As many requests as possible, to several servers at a time, by lane and by inbox. */
static void requests_in_flight(void)
{
	struct ivring_item request = { .port = ASK };
	struct ivr_peer servers[SENDERS];
	uint64_t number, sum = 0;
	pid_t pids[SENDERS];
	uint32_t i;

	create();
	for (i = 0; i < SENDERS; i++) {
		pids[i] = fork_server(i + 1, i != 1);
		servers[i] = wait_child(i + 1);
	}
	CHECK_EQ(ivr_open_lane(member, servers[0], 16, 0), 0);
	for (number = 0; number < CALLS; number++) {
		CHECK_EQ(ivr_set_inline(&request, &number, sizeof(number)), 0);
		for (i = 0; i < SENDERS; i++)
			while (ivr_request(member, servers[i], &request, 0, IVRING_DEADLINE_NEVER,
					   on_reply, &sum, NULL))
				CHECK(ivr_dispatch(member, 100) >= 0);
	}
	CHECK_EQ(ivr_run(member), 0);
	for (i = 0; i < SENDERS; i++)
		kill_server(pids[i]);
	close_member();
}

/*
 * In a child: checks that all items arrive, with the content that the block had when they were
 * sent.
 */
static void check_block(struct ivr_member *own, const struct ivring_item *item, void *arg)
{
	uint64_t *next = arg;
	unsigned char data[1000];
	int i, length = ivr_copy_payload(own, item, data, sizeof(data));

	if (item->cookie != (*next)++)
		_exit(7);
	for (i = 0; i < length; i++)
		if (data[i] != item->cookie % 251)
			_exit(8);
	if (*next == CALLS)
		ivr_stop(own);
}

static void one_block_for_all(void)
{
	struct ivr_peer children[SENDERS];
	int results[SENDERS];
	pid_t pids[SENDERS];
	uint64_t number;
	uint32_t i;

	create();
	for (i = 0; i < SENDERS; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			struct ivr_member *own = join_parent(i + 1, &children[0]);
			uint64_t next = 0;

			ivr_on(own, PORT, check_block, &next);
			_exit(ivr_run(own) ? 6 : 0);
		}
		children[i] = wait_child(i + 1);
		if (i)
			CHECK_EQ(ivr_open_lane(member, children[i], 8, 0), 0);
	}
	for (number = 0; number < CALLS; number++) {
		struct ivring_item item = { .port = PORT, .cookie = number };
		size_t length = 1 + random_below(1000);
		void *block;

		CHECK_EQ(ivr_alloc(member, length, soon(), &block), 0);
		memset(block, (int)(number % 251), length);
		CHECK_EQ(ivr_set_payload(member, &item, block, length), 0);
		CHECK_EQ(ivr_multicast(member, children, SENDERS, &item, soon(), results), SENDERS);
	}
	for (i = 0; i < SENDERS; i++)
		reap(pids[i]);
	close_member();
}

static uint64_t rung(uint32_t id)
{
	struct ivring_member_info info;

	CHECK_EQ(ivr_member_info(member, id, &info), 0);
	return info.stats.rung;
}

static void count_item(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	uint64_t *items = arg;

	if (++*items == 50)
		ivr_stop(self);
}

/* A child sends at intervals. Waking the receiver for ten items takes a tenth of the doorbells. */
static void woken_for_ten_items(void)
{
	uint64_t items = 0, before;
	struct ivr_peer parent;
	pid_t pid;

	create();
	ivr_set_polling(member, 0);
	ivr_set_wake(member, 10, 1000000);
	CHECK_EQ(ivr_on(member, PORT, count_item, &items), 0);
	pid = fork();
	if (!pid) {
		struct ivring_item item = { .port = PORT };
		struct ivr_member *own = join_parent(1, &parent);
		int i;

		if (ivr_open_lane(own, parent, 64, 0))
			_exit(3);
		for (i = 0; i < 50; i++) {
			usleep(2000);
			if (ivr_send(own, parent, &item, 1, soon()) != 1)
				_exit(4);
		}
		if (ivr_flush(own, parent, soon()))
			_exit(5);
		pause();
	}
	wait_child(1);
	before = rung(0);
	CHECK_EQ(ivr_run(member), 0);
	printf("# %u doorbells for 50 items\n", (unsigned int)(rung(0) - before));
	CHECK(rung(0) - before <= 6);
	kill_server(pid);
	close_member();
}

static void stop_at_first(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	ivr_stop(self);
}

/* A single item, for which only the timer rings. */
static void woken_after_the_delay(void)
{
	struct ivr_peer parent;
	pid_t pid;

	create();
	ivr_set_polling(member, 0);
	ivr_set_wake(member, 10, 100000);
	CHECK_EQ(ivr_on(member, PORT, stop_at_first, NULL), 0);
	pid = fork();
	if (!pid) {
		struct ivring_item item = { .port = PORT };
		struct ivr_member *own = join_parent(1, &parent);
		uint64_t start;

		if (ivr_open_lane(own, parent, 64, 0))
			_exit(3);
		usleep(200000);
		start = ivr_deadline_ms(0);
		if (ivr_send(own, parent, &item, 1, soon()) != 1 ||
		    ivr_flush(own, parent, soon()))
			_exit(4);
		_exit(ivr_deadline_ms(0) - start < 90000000 ? 5 : 0);
	}
	CHECK_EQ(ivr_run(member), 0);
	reap(pid);
	close_member();
}

static void stop_is_not_delayed(void)
{
	pthread_t thread;
	uint64_t start;
	void *result;

	create();
	ivr_set_wake(member, 10, IVRING_MAX_WAKE_DELAY_US);
	CHECK_EQ(pthread_create(&thread, NULL, run_thread, NULL), 0);
	usleep(100000);
	start = ivr_deadline_ms(0);
	ivr_stop(member);
	CHECK_EQ(pthread_join(thread, &result), 0);
	CHECK(!result);
	CHECK(ivr_deadline_ms(0) - start < IVRING_MAX_WAKE_DELAY_US * 1000ULL / 2);
	close_member();
}

static uint64_t used_by(clockid_t clock)
{
	struct timespec used = { 0 };

	CHECK_EQ(clock_gettime(clock, &used), 0);
	return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

/* A member that polls before it sleeps still sleeps. */
static void idle_costs_nothing(void)
{
	clockid_t clock;
	pthread_t thread;
	uint64_t used;
	void *result;

	create();
	ivr_set_polling(member, 200000);
	CHECK_EQ(pthread_create(&thread, NULL, run_thread, NULL), 0);
	CHECK_EQ(pthread_getcpuclockid(thread, &clock), 0);
	usleep(500000);
	used = used_by(clock);
	sleep(3);
	used = used_by(clock) - used;
	ivr_stop(member);
	CHECK_EQ(pthread_join(thread, &result), 0);
	printf("# %u ns of processor time in 3 s\n", (unsigned int)used);
	CHECK(used < 1000000);
	close_member();
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	RUN_AS(calls(false, 0), "calls by inbox");
	RUN_AS(calls(true, 0), "calls by lane");
	RUN_AS(calls(true, 200000), "calls by lane, polling");
	RUN(server_that_does_not_answer);
	RUN_AS(port_without_handler(false), "port without handler, inbox");
	RUN_AS(port_without_handler(true), "port without handler, lane");
	RUN(requests_in_flight);
	RUN(one_block_for_all);
	RUN(woken_for_ten_items);
	RUN(woken_after_the_delay);
	RUN(stop_is_not_delayed);
	RUN(idle_costs_nothing);
	return tap_end();
}
