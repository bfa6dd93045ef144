// SPDX-License-Identifier: GPL-2.0
/*
 * Signals in the middle of every wait. A handler without SA_RESTART makes the call return
 * EINTR. With SA_RESTART the call waits on, until the same deadline. signal_storm.c tests
 * signals while items flow.
 */
#include <sys/time.h>

#include "ivring_test.h"
#include "ways.h"

#define ENTRIES		4
#define LATE_MS		5000

/* A member that waits, and the member that it waits for. */
struct pair {
	struct member a;	/* its inbox is empty; its lane to b is full */
	struct member b;	/* its inbox is full */
	struct lane_out out;
	struct lane_in in;
};

/* What a signal does to a wait. */
enum effect { NONE, RETURNS, INTERRUPTS };

FIXTURE(signals) {
	struct pair pair;
};

/* A wait of a receiver or of a sender. */
FIXTURE_VARIANT(signals) {
	const struct way *way;
	int (*call)(const struct pair *pair, __u64 deadline);
	enum effect plain;	/* without SA_RESTART */
	enum effect restart;	/* with SA_RESTART */
};

static int wait_room(const struct pair *pair, __u64 deadline)
{
	return member_send_wait(&pair->a, pair->b.id, pair->b.generation, 9, deadline);
}

static int wait_flush(const struct pair *pair, __u64 deadline)
{
	return dev_flush(pair->a.fd, pair->b.id, pair->b.generation,
			 pair->b.start + ENTRIES, deadline);
}

static int wait_flush_lane(const struct pair *pair, __u64 deadline)
{
	return dev_flush_lane(pair->a.fd, pair->b.id, pair->b.generation, 0, deadline);
}

FIXTURE_VARIANT_ADD(signals, room) { NULL, wait_room, INTERRUPTS, NONE };
FIXTURE_VARIANT_ADD(signals, flush) { NULL, wait_flush, INTERRUPTS, NONE };
FIXTURE_VARIANT_ADD(signals, flush_lane) { NULL, wait_flush_lane, INTERRUPTS, NONE };
FIXTURE_VARIANT_ADD(signals, wait) { &way_wait, NULL, INTERRUPTS, NONE };
FIXTURE_VARIANT_ADD(signals, wait_members) { &way_wait_members, NULL, INTERRUPTS, NONE };
/* The call restarts, and finds that a signal has made the state BUSY. */
FIXTURE_VARIANT_ADD(signals, wait_armed) { &way_wait_armed, NULL, INTERRUPTS, RETURNS };
/* The kernel never restarts these calls. */
FIXTURE_VARIANT_ADD(signals, poll) { &way_poll, NULL, INTERRUPTS, INTERRUPTS };
FIXTURE_VARIANT_ADD(signals, select) { &way_select, NULL, INTERRUPTS, INTERRUPTS };
FIXTURE_VARIANT_ADD(signals, epoll_level) { &way_epoll_level, NULL, INTERRUPTS, INTERRUPTS };
FIXTURE_VARIANT_ADD(signals, epoll_edge) { &way_epoll_edge, NULL, INTERRUPTS, INTERRUPTS };
FIXTURE_VARIANT_ADD(signals, eventfd) { &way_eventfd, NULL, INTERRUPTS, INTERRUPTS };
/* A caller that waits for a completion waits again. */
FIXTURE_VARIANT_ADD(signals, uring) { &way_uring, NULL, NONE, NONE };
FIXTURE_VARIANT_ADD(signals, uring_multishot) { &way_uring_multishot, NULL, NONE, NONE };

static __u64 *seen;		/* signals of all processes of a test */

static __u64 *count_signals(void)
{
	return mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void handle(int signal)
{
	__atomic_fetch_add(seen, 1, __ATOMIC_RELAXED);
}

FIXTURE_SETUP(signals)
{
	struct pair *pair = &self->pair;
	int i;

	ASSERT_EQ(0, member_create(&pair->a, 4, ENTRIES, 4096));
	ASSERT_EQ(0, member_join(&pair->b, pair->a.fd));
	ASSERT_EQ(0, lane_open(&pair->out, &pair->a, &pair->b, ENTRIES));
	ASSERT_EQ(0, lane_accept(&pair->in, &pair->b, pair->a.id));
	for (i = 0; i < ENTRIES; i++) {
		ASSERT_EQ(0, member_send(&pair->a, pair->b.id, pair->b.generation, i));
		ASSERT_EQ(0, lane_send(&pair->out, i));
	}
	member_see_members(&pair->a);
	seen = count_signals();
}

FIXTURE_TEARDOWN(signals)
{
	lane_unmap(&self->pair.out, &self->pair.a);
	munmap((void *)self->pair.in.ring, lane_size(ENTRIES));
	member_close(&self->pair.b);
	member_close(&self->pair.a);
}

static void set_handler(int signal, int flags)
{
	struct sigaction action = { .sa_handler = handle, .sa_flags = flags };

	sigaction(signal, &action, NULL);
}

/* Turn the result of a sleep into 0 or -errno. */
static int outcome(int ret)
{
	return ret > 0 ? 0 : ret == 0 ? -ETIMEDOUT : ret == -1 ? -errno : ret;
}

/* Start a process that waits and exits with the error. */
static pid_t waiter(const struct pair *pair, const struct way *way,
		    int (*call)(const struct pair *pair, __u64 deadline))
{
	struct sleeper s = { 0 };
	pid_t pid = child_fork();
	struct member member;

	if (pid)
		return pid;
	if (!way)
		_exit(-call(pair, IVRING_DEADLINE_NEVER));
	s.member = &member;
	if (member_map(&member, pair->a.fd) || way->open(&s))
		_exit(200);
	_exit(-outcome(way->sleep(&s, 4 * LATE_MS)));
}

static bool waits(const struct pair *pair, const struct way *way)
{
	if (way)
		return SOON(member_state(&pair->a) == IVRING_IDLE);
	return SOON(LOAD(&pair->b.inbox->room_wanted) ||
		    LOAD(&pair->out.ring->room_wanted));
}

/* The event that every wait waits for. */
static bool relieve(struct pair *pair)
{
	struct ivring_item item;

	while (member_take(&pair->b, &item))
		;
	while (lane_take(&pair->in, &item))
		;
	return !member_ring_back(&pair->b) && !lane_ring_back(&pair->in) &&
	       !member_send(&pair->b, pair->a.id, pair->a.generation, 1);
}

/* Whether signals have the documented effect on a wait. */
static bool check_effect(struct pair *pair, const struct way *way, pid_t pid,
			 enum effect effect)
{
	__u64 before = LOAD(seen);
	int status = -1;

	/* The first signal may come before the sleep. */
	if (!SOON(LOAD(seen) > before + 20 || kill(pid, SIGUSR1) ||
		  waitpid(pid, &status, WNOHANG) || (usleep(1000), 0)))
		return false;
	if (effect == NONE) {
		if (status != -1 || !waits(pair, way) || !relieve(pair))
			return false;
		return child_wait(pid) == 0;
	}
	if (way == &way_wait || way == &way_wait_armed || way == &way_wait_members)
		if (member_state(&pair->a) != IVRING_BUSY)
			return false;
	return WIFEXITED(status) &&
	       WEXITSTATUS(status) == (effect == INTERRUPTS ? EINTR : 0);
}

static bool is_there(const struct way *way)
{
	struct uring ring;

	if (way != &way_uring && way != &way_uring_multishot)
		return true;
	return !uring_open(&ring);
}

TEST_F(signals, that_interrupt)
{
	pid_t pid;

	if (!is_there(variant->way))
		SKIP(return, "io_uring is not available");
	set_handler(SIGUSR1, 0);
	pid = waiter(&self->pair, variant->way, variant->call);
	ASSERT_TRUE(waits(&self->pair, variant->way));
	EXPECT_TRUE(check_effect(&self->pair, variant->way, pid, variant->plain));
	EXPECT_LT(0, LOAD(seen));
}

TEST_F(signals, that_restart)
{
	pid_t pid;

	if (!is_there(variant->way))
		SKIP(return, "io_uring is not available");
	set_handler(SIGUSR1, SA_RESTART);
	pid = waiter(&self->pair, variant->way, variant->call);
	ASSERT_TRUE(waits(&self->pair, variant->way));
	EXPECT_TRUE(check_effect(&self->pair, variant->way, pid, variant->restart));
	EXPECT_LT(0, LOAD(seen));
}

/* A restarted wait ends at its first deadline. */

FIXTURE(deadline) {
	struct pair pair;
};

FIXTURE_VARIANT(deadline) {
	const struct way *way;
	int (*call)(const struct pair *pair, __u64 deadline);
};

FIXTURE_VARIANT_ADD(deadline, room) { NULL, wait_room };
FIXTURE_VARIANT_ADD(deadline, flush) { NULL, wait_flush };
FIXTURE_VARIANT_ADD(deadline, flush_lane) { NULL, wait_flush_lane };
FIXTURE_VARIANT_ADD(deadline, wait) { &way_wait, NULL };
FIXTURE_VARIANT_ADD(deadline, wait_members) { &way_wait_members, NULL };

FIXTURE_SETUP(deadline)
{
	signals_setup(_metadata, (void *)self, NULL);
}

FIXTURE_TEARDOWN(deadline)
{
	signals_teardown(_metadata, (void *)self, NULL);
}

TEST_F(deadline, under_signals)
{
	struct itimerval every = { { 0, 5000 }, { 0, 5000 } }, off = { 0 };
	struct sleeper s = { .member = &self->pair.a };
	__u64 start;
	int ret;

	set_handler(SIGALRM, SA_RESTART);
	setitimer(ITIMER_REAL, &every, NULL);
	/* The wait restarts once in most cases. */
	do {
		start = now();
		if (variant->way)
			ret = outcome(variant->way->sleep(&s, 100));
		else
			ret = variant->call(&self->pair, start + 100 * MSEC);
		EXPECT_EQ(-ETIMEDOUT, ret);
		EXPECT_LE(100 * MSEC, now() - start);
		EXPECT_GT(LATE_MS * MSEC, now() - start);
	} while (LOAD(seen) <= 5);
	setitimer(ITIMER_REAL, &off, NULL);
}

TEST_HARNESS_MAIN
