// SPDX-License-Identifier: GPL-2.0
/*
 * Senders that wait for room get turns, whatever the number of senders that do not wait. Senders
 * that do not wait get room, whatever the number of senders that wait. Waiting tasks hold at most
 * half of the inbox.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include "ivring_test.h"

#define ENTRIES		8
#define FLOODERS	8
#define WAITER		100	/* cookie of the sender that waits; those of the others are lower */

FIXTURE(fair) {
	struct member to;
	struct member from[FLOODERS];
};

FIXTURE_SETUP(fair)
{
	int i;

	ASSERT_EQ(0, member_create(&self->to, 1 + FLOODERS, ENTRIES, 4096));
	for (i = 0; i < FLOODERS; i++)
		ASSERT_EQ(0, member_join(&self->from[i], self->to.fd));
}

FIXTURE_TEARDOWN(fair)
{
	int i;

	for (i = 0; i < FLOODERS; i++)
		member_close(&self->from[i]);
	member_close(&self->to);
}

/*
 * Let each of the members try to send as many items as the inbox has entries. Return the number of
 * items that were sent.
 */
static int flood(struct member from[FLOODERS], const struct member *to)
{
	int sent = 0, i, j;

	for (i = 0; i < FLOODERS; i++)
		for (j = 0; j < ENTRIES; j++)
			sent += !member_send(&from[i], to->id, to->generation, i);
	return sent;
}

/*
 * Start a child that sends @count items with this cookie and waits for room, or endlessly if
 * @count is -1.
 */
static pid_t start_waiter_as(const struct member *from, const struct member *to, int count,
			     int cookie)
{
	pid_t pid = child_fork();

	if (pid)
		return pid;
	while (count < 0 || count--)
		if (member_send_wait(from, to->id, to->generation, cookie, IVRING_DEADLINE_NEVER))
			_exit(1);
	_exit(0);
}

static pid_t start_waiter(const struct member *from, const struct member *to, int count)
{
	return start_waiter_as(from, to, count, WAITER);
}

static bool somebody_waits(const struct member *to)
{
	return SOON(LOAD(&to->inbox->room_wanted));
}

/*
 * Between two items of a sender that waits, at most one item of others uses room for which
 * it waits.
 */
TEST_F(fair, room_is_kept)
{
	enum { TURNS = 20 };
	struct ivring_item item;
	int turn, sent, others = 0;
	pid_t pid;

	ASSERT_EQ(ENTRIES, flood(self->from, &self->to));
	pid = start_waiter(&self->from[0], &self->to, TURNS);
	ASSERT_TRUE(somebody_waits(&self->to) && child_sleeps(pid));
	for (turn = 0; turn < TURNS; turn++) {
		do {
			/* The others see the room before the sender that waits. */
			ASSERT_TRUE(member_take(&self->to, &item));
			sent = flood(self->from, &self->to);
			others += sent;
		} while (sent);
		ASSERT_EQ(0, member_ring_back(&self->to));
		if (turn == TURNS - 1)
			break;
		ASSERT_TRUE(SOON(member_stats(&self->from[0]).items_out >= (__u64)turn + 1));
		ASSERT_TRUE(somebody_waits(&self->to) && child_sleeps(pid));
	}
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(TURNS - 1, others);
}

/* Waiting tasks hold at most half of the inbox, even if the reader does not notify them. */
TEST_F(fair, half_of_the_inbox)
{
	struct ivring_item item;
	pid_t pid[FLOODERS];
	int i;

	ASSERT_EQ(ENTRIES, flood(self->from, &self->to));
	for (i = 0; i < FLOODERS; i++)
		pid[i] = start_waiter(&self->from[i], &self->to, 1);
	for (i = 0; i < FLOODERS; i++)
		ASSERT_TRUE(child_sleeps(pid[i]));
	ASSERT_TRUE(somebody_waits(&self->to));
	for (i = 0; i < ENTRIES; i++)
		ASSERT_TRUE(member_take(&self->to, &item));
	EXPECT_EQ(ENTRIES / 2, flood(self->from, &self->to));
	while (waitpid(-1, NULL, WNOHANG) >= 0) {
		while (member_take(&self->to, &item))
			;
		ASSERT_EQ(0, member_ring_back(&self->to));
	}
	EXPECT_EQ(3 * ENTRIES - ENTRIES / 2, member_stats(&self->to).items_in);
}

/* A task that is stopped while it waits holds no room. */
TEST_F(fair, stopped)
{
	struct ivring_item item;
	pid_t pid;
	int i;

	ASSERT_EQ(ENTRIES, flood(self->from, &self->to));
	pid = start_waiter(&self->from[0], &self->to, 1);
	ASSERT_TRUE(somebody_waits(&self->to) && child_sleeps(pid));
	kill(pid, SIGSTOP);
	ASSERT_TRUE(SOON(child_state(pid) == 'T'));
	for (i = 0; i < ENTRIES; i++)
		ASSERT_TRUE(member_take(&self->to, &item));
	EXPECT_EQ(ENTRIES, flood(self->from, &self->to));
	kill(pid, SIGCONT);
	ASSERT_TRUE(somebody_waits(&self->to) && child_sleeps(pid));
	ASSERT_TRUE(member_take(&self->to, &item));
	EXPECT_EQ(0, flood(self->from, &self->to));
	EXPECT_EQ(0, member_ring_back(&self->to));
	EXPECT_EQ(0, child_wait(pid));
}

struct flooder {
	pthread_t thread;
	const struct member *from;
	const struct member *to;
	bool *stop;
};

static void *keep_flooding(void *arg)
{
	const struct flooder *f = arg;

	while (!LOAD(f->stop))
		member_send(f->from, f->to->id, f->to->generation, 1);
	return NULL;
}

/*
 * Eight threads send all the time, and one member waits. The waiting task never sleeps more
 * than twice for one item.
 */
TEST_F_TIMEOUT(fair, under_flood, 100)
{
	enum { ITEMS = 100 };
	struct flooder f[FLOODERS];
	int i, seen = 0, others = 0, all_others = 0, most = 0;
	struct ivring_item item;
	struct rusage usage;
	bool stop = false;
	int status;
	pid_t pid;

	ASSERT_EQ(ENTRIES, flood(self->from, &self->to));
	pid = start_waiter(&self->from[0], &self->to, ITEMS);
	ASSERT_TRUE(somebody_waits(&self->to) && child_sleeps(pid));
	for (i = 0; i < FLOODERS; i++) {
		f[i] = (struct flooder) { 0, &self->from[i], &self->to, &stop };
		ASSERT_EQ(0, pthread_create(&f[i].thread, NULL, keep_flooding, &f[i]));
	}
	while (seen < ITEMS) {
		if (!member_take(&self->to, &item))
			continue;
		ASSERT_EQ(0, member_ring_back(&self->to));
		if (item.cookie != WAITER) {
			others++;
			all_others++;
			continue;
		}
		if (seen++ && others > most)
			most = others;
		others = 0;
	}
	STORE(&stop, true);
	for (i = 0; i < FLOODERS; i++)
		pthread_join(f[i].thread, NULL);
	ASSERT_EQ(pid, wait4(pid, &status, 0, &usage));
	EXPECT_EQ(0, status);
	/*
	 * The task does not wait while it returns from one call and makes the next, and the scheduler
	 * decides how long that takes. So the number of others' items has no bound here; fair_turns
	 * has bounds for tasks that wait.
	 */
	TH_LOG("%ld sleeps for %d items; at most %d items of others between two of them, %d in all",
	       usage.ru_nvcsw, ITEMS, most, all_others);
	/* The child may have slept a few times before it waited. */
	EXPECT_LE(usage.ru_nvcsw, 2 * ITEMS + 20);
}

FIXTURE(fair_turns) {
	struct member to;
	struct member from;
	pid_t pid[FLOODERS];
};

FIXTURE_VARIANT(fair_turns) {
	int waiters;
	int tries;	/* of the sender that does not wait, in each round */
	bool reverse;	/* of tasks that are woken together, the last one runs first */
};

FIXTURE_VARIANT_ADD(fair_turns, two) { 2, 1, false };
FIXTURE_VARIANT_ADD(fair_turns, two_in_reverse) { 2, 1, true };
FIXTURE_VARIANT_ADD(fair_turns, two_beside_flood) { 2, 3, false };
FIXTURE_VARIANT_ADD(fair_turns, two_in_reverse_beside_flood) { 2, 3, true };
FIXTURE_VARIANT_ADD(fair_turns, eight) { 8, 1, false };
FIXTURE_VARIANT_ADD(fair_turns, eight_in_reverse) { 8, 1, true };
FIXTURE_VARIANT_ADD(fair_turns, eight_beside_flood) { 8, 3, false };

FIXTURE_SETUP(fair_turns)
{
	ASSERT_EQ(0, member_create(&self->to, 2, ENTRIES, 4096));
	ASSERT_EQ(0, member_join(&self->from, self->to.fd));
}

FIXTURE_TEARDOWN(fair_turns)
{
	int i;

	for (i = 0; i < variant->waiters; i++) {
		if (!self->pid[i])
			continue;
		kill(self->pid[i], SIGKILL);
		child_wait(self->pid[i]);
	}
	member_close(&self->from);
	member_close(&self->to);
}

/*
 * Several senders wait, and one sends without waiting before they run. All have turns in the
 * order in which they came, and the other sender has one item per turn.
 */
TEST_F_TIMEOUT(fair_turns, in_order, 200)
{
	enum { READ = 2 };	/* items that are read in each round */
	struct sched_param param = { .sched_priority = 50 };
	int rounds = 16 * variant->waiters, turns[FLOODERS] = { 0 };
	int round, i, others = 0, all = 0;
	struct ivring_item item;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpu), &cpu));
	for (i = 0; i < ENTRIES; i++)
		ASSERT_EQ(0, member_send(&self->from, self->to.id, self->to.generation, FLOODERS));
	for (i = 0; i < variant->waiters; i++) {
		self->pid[i] = start_waiter_as(&self->from, &self->to, -1, i);
		ASSERT_TRUE(somebody_waits(&self->to) && child_sleeps(self->pid[i]));
	}
	/* From here on the children run only while this task sleeps. */
	if (sched_setscheduler(0, SCHED_FIFO, &param))
		SKIP(return, "real-time priority is not allowed");
	for (i = 0; i < variant->waiters; i++) {
		param.sched_priority = 20 + (variant->reverse ? i : -i);
		ASSERT_EQ(0, sched_setscheduler(self->pid[i], SCHED_FIFO, &param));
	}
	for (round = 0; round < rounds; round++) {
		for (i = 0; i < READ; i++) {
			ASSERT_TRUE(member_take(&self->to, &item));
			if (item.cookie < FLOODERS) {
				turns[item.cookie]++;
				all++;
			} else if (all) {
				others++;
			}
		}
		ASSERT_EQ(0, member_ring_back(&self->to));
		for (i = 0; i < variant->tries; i++)
			member_send(&self->from, self->to.id, self->to.generation, FLOODERS);
		ASSERT_TRUE(SOON(member_pending(&self->to) >= ENTRIES - 1 &&
				 LOAD(&self->to.inbox->room_wanted)));
		for (i = 0; i < variant->waiters; i++)
			ASSERT_TRUE(child_sleeps(self->pid[i]));
	}
	for (i = 0; i < variant->waiters; i++) {
		TH_LOG("sender %d: %d of %d turns", i, turns[i], all);
		/* A sender that comes back late misses a turn, but none starves. */
		EXPECT_LE(all / variant->waiters / 2, turns[i]);
	}
	TH_LOG("%d items of the other sender", others);
	EXPECT_LE(others, all + 1);
	/* Of the items of a few rounds all may go to those that wait. */
	EXPECT_GE(others, all / 2);
}

/*
 * Senders that wait do not keep those that do not wait from sending, be it before or after the
 * notification of those that wait.
 */
TEST_F_TIMEOUT(fair, waiting_flood, 100)
{
	enum { ITEMS = 20 };
	struct ivring_item item;
	pid_t pid[FLOODERS - 1];
	int i, late, sent;
	__u64 end;

	ASSERT_EQ(ENTRIES, flood(self->from, &self->to));
	for (i = 0; i < FLOODERS - 1; i++)
		pid[i] = start_waiter(&self->from[i], &self->to, -1);
	ASSERT_TRUE(somebody_waits(&self->to));
	for (late = 0; late < 2; late++) {
		end = in_ms(20000 * slowness);
		for (sent = 0; sent < ITEMS && now() < end;) {
			/* There is never more room than for two items. */
			if (member_pending(&self->to) >= ENTRIES - 1)
				member_take(&self->to, &item);
			if (late) {
				ASSERT_EQ(0, member_ring_back(&self->to));
				usleep(1000);
			}
			sent += !member_send(&self->from[FLOODERS - 1], self->to.id,
					     self->to.generation, 1);
			ASSERT_EQ(0, member_ring_back(&self->to));
		}
		EXPECT_EQ(ITEMS, sent) TH_LOG("%s the notification", late ? "after" : "before");
	}
	for (i = 0; i < FLOODERS - 1; i++) {
		kill(pid[i], SIGKILL);
		child_wait(pid[i]);
	}
}

TEST_HARNESS_MAIN
