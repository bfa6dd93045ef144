// SPDX-License-Identifier: GPL-2.0
/*
 * Senders that wait for room get turns, whatever the number of senders that do not wait; and
 * the other way round. Tasks that wait hold at most half of the inbox.
 */
#include <pthread.h>
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

/* Each of the members tries to send as often as the inbox has entries. Return the successes. */
static int flood(struct member from[FLOODERS], const struct member *to)
{
	int sent = 0, i, j;

	for (i = 0; i < FLOODERS; i++)
		for (j = 0; j < ENTRIES; j++)
			sent += !member_send(&from[i], to->id, to->generation, i);
	return sent;
}

/* Start a child that sends @count items and waits for room, or endlessly if @count is -1. */
static pid_t start_waiter(const struct member *from, const struct member *to, int count)
{
	pid_t pid = child_fork();

	if (pid)
		return pid;
	while (count < 0 || count--)
		if (member_send_wait(from, to->id, to->generation, WAITER, IVRING_DEADLINE_NEVER))
			_exit(1);
	_exit(0);
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

/* Tasks that wait hold at most half of the inbox, also if the reader does not notify them. */
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
	int i, seen = 0, others = 0, most = 0;
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
	TH_LOG("%ld sleeps for %d items; at most %d items of others between two of them",
	       usage.ru_nvcsw, ITEMS, most);
	/* The child may have slept a few times before it waited. */
	EXPECT_LE(usage.ru_nvcsw, 2 * ITEMS + 20);
}

/* Senders that wait do not keep those that do not wait from sending. */
TEST_F_TIMEOUT(fair, waiting_flood, 100)
{
	enum { ITEMS = 20 };
	struct ivring_item item;
	pid_t pid[FLOODERS - 1];
	__u64 end;
	int i, sent = 0;

	ASSERT_EQ(ENTRIES, flood(self->from, &self->to));
	for (i = 0; i < FLOODERS - 1; i++)
		pid[i] = start_waiter(&self->from[i], &self->to, -1);
	ASSERT_TRUE(somebody_waits(&self->to));
	end = in_ms(20000 * slowness);
	while (sent < ITEMS && now() < end) {
		/* There is never more room than for one item. */
		if (member_pending(&self->to) == ENTRIES)
			member_take(&self->to, &item);
		sent += !member_send(&self->from[FLOODERS - 1], self->to.id, self->to.generation, 1);
		ASSERT_EQ(0, member_ring_back(&self->to));
	}
	EXPECT_EQ(ITEMS, sent);
	for (i = 0; i < FLOODERS - 1; i++) {
		kill(pid[i], SIGKILL);
		child_wait(pid[i]);
	}
}

TEST_HARNESS_MAIN
