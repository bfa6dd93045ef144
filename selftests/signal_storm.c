// SPDX-License-Identifier: GPL-2.0
/*
 * Items flow by the inbox and by a lane while signals of both kinds hit the sender and the
 * receiver at any point. No item is lost, repeated or out of order, and no sleep is too
 * long.
 */
#include "ivring_test.h"
#include "timed.h"

#define ENTRIES		4
#define STORM_MS	1500

static __u64 *seen;		/* signals of both processes */

static void handle(int signal)
{
	__atomic_fetch_add(seen, 1, __ATOMIC_RELAXED);
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

/* Send random signals to both processes, until the sender of the signals is killed. */
static void rage(pid_t one, pid_t other)
{
	for (;;) {
		kill(rng_below(2) ? one : other, rng_below(2) ? SIGUSR1 : SIGUSR2);
		usleep(rng_below(400));
	}
}

/* Repeat @call until no signal interrupts it. Exit if it fails. */
#define INSIST(status, call)						\
do {									\
	int __ret;							\
									\
	do {								\
		__ret = (call);						\
	} while (__ret == -EINTR);					\
	if (__ret < 0)							\
		_exit(status);						\
} while (0)

static void send_batch(struct member *me, const struct member *to, __u64 *next, __u32 port)
{
	struct ivring_item items[2 * ENTRIES];
	struct ivring_enqueue e = { 0 };
	__u32 count = port ? 1 : 1 + rng_below(ARRAY_SIZE(items)), i;

	for (i = 0; i < count; i++)
		items[i] = (struct ivring_item) { .cookie = (*next)++, .port = port };
	/* Items that were sent before the signal are not sent again. */
	for (i = 0; i < count; i += e.done) {
		e = enqueue_args(to->id, to->generation, items + i, count - i);
		e.flags = IVRING_ENQUEUE_WAIT;
		e.deadline = in_ms(LATE_MS);
		INSIST(10, dev_ioctl(me->fd, IVRING_IOC_ENQUEUE, &e));
	}
	if (!rng_below(4))
		INSIST(11, dev_flush(me->fd, to->id, to->generation, e.position,
				     in_ms(LATE_MS)));
}

static void send_all(const struct member *to)
{
	__u64 end = in_ms(STORM_MS), inbox = 0, lane = 0;
	struct lane_out out;
	struct member me;

	if (member_join(&me, to->fd) || lane_open(&out, &me, to, ENTRIES))
		_exit(12);
	while (now() < end) {
		if (rng_below(2)) {
			send_batch(&me, to, &inbox, 0);
			continue;
		}
		while (lane_full(&out))
			INSIST(13, lane_flush(&out, out.next - rng_below(ENTRIES),
					      in_ms(LATE_MS)));
		if (lane_send(&out, lane++) < 0)
			_exit(14);
	}
	INSIST(15, lane_flush(&out, out.next, in_ms(LATE_MS)));
	/* Send the last item. */
	send_batch(&me, to, &inbox, 1);
	_exit(0);
}

FIXTURE(signal_storm) {
	struct member member;	/* the receiver */
};

FIXTURE_VARIANT(signal_storm) {
	const struct way *way;
};

FIXTURE_VARIANT_ADD(signal_storm, wait) { &way_wait };
FIXTURE_VARIANT_ADD(signal_storm, wait_forever) { &way_wait_forever };
FIXTURE_VARIANT_ADD(signal_storm, wait_members) { &way_wait_members };
FIXTURE_VARIANT_ADD(signal_storm, wait_armed) { &way_wait_armed };
FIXTURE_VARIANT_ADD(signal_storm, poll) { &way_poll };
FIXTURE_VARIANT_ADD(signal_storm, select) { &way_select };
FIXTURE_VARIANT_ADD(signal_storm, epoll_level) { &way_epoll_level };
FIXTURE_VARIANT_ADD(signal_storm, epoll_edge) { &way_epoll_edge };
FIXTURE_VARIANT_ADD(signal_storm, eventfd) { &way_eventfd };
FIXTURE_VARIANT_ADD(signal_storm, uring) { &way_uring };
FIXTURE_VARIANT_ADD(signal_storm, uring_multishot) { &way_uring_multishot };

FIXTURE_SETUP(signal_storm)
{
	ASSERT_EQ(0, member_create(&self->member, 2, ENTRIES, 4096));
	seen = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

FIXTURE_TEARDOWN(signal_storm)
{
	member_close(&self->member);
}

static struct lane_in in;

static bool more_in_lane(void)
{
	return lane_pending(&in);
}

TEST_F(signal_storm, no_item_is_lost)
{
	struct sleeper s = { .member = &self->member, .more = more_in_lane };
	__u64 seed = rng_seed(), inbox = 0, lane = 0, interrupted = 0;
	struct ivring_item item = { 0 };
	struct member *me = &self->member;
	pid_t sender, raging;
	int ret;

	ret = variant->way->open(&s);
	if (ret == -ENOSYS || ret == -EPERM)
		SKIP(return, "io_uring is not available");
	ASSERT_EQ(0, ret);
	set_handler(SIGUSR1, SA_RESTART);
	set_handler(SIGUSR2, 0);
	sender = child_fork_reseeded();
	if (!sender)
		send_all(me);
	ASSERT_TRUE(SOON(me->lanes->lane[1].generation));
	ASSERT_EQ(0, lane_accept(&in, me, 1));
	raging = child_fork();
	if (!raging)
		rage(sender, getppid());
	while (!item.port) {
		if (member_take(me, &item)) {
			ASSERT_EQ(inbox++, item.cookie);
			ASSERT_EQ(0, member_ring_back(me));
		} else if (lane_take(&in, &item)) {
			ASSERT_EQ(lane++, item.cookie);
			ASSERT_EQ(0, lane_ring_back(&in));
		} else {
			ret = outcome(variant->way->sleep(&s, SLEEP_MS));
			ASSERT_TRUE(!ret || ret == -EINTR) TH_LOG("overslept: %d", ret);
			interrupted += ret == -EINTR;
		}
	}
	kill(raging, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(raging));
	EXPECT_EQ(0, child_wait(sender));
	EXPECT_LT(20, inbox);
	EXPECT_LT(20, lane);
	EXPECT_LT(20, LOAD(seen));
	TH_LOG("seed %#llx: %llu and %llu items, %llu signals, %llu sleeps interrupted",
	       seed, inbox, lane, LOAD(seen), interrupted);
	munmap((void *)in.ring, lane_size(in.entries));
}

TEST_HARNESS_MAIN
