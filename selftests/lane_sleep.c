// SPDX-License-Identifier: GPL-2.0
/*
 * No wakeup is lost on the direct path, in every way to sleep, and for every task that may
 * pass the barrier: the sender for each item; the receiver, by IVRING_IOC_FENCE when it
 * arms, so that senders need none; or the kernel, for a receiver that has told its senders
 * to omit theirs and that sleeps without arming. The same holds if the receiver marks the
 * lane as quiet at that moment, and then ignores it until it is rung for it.
 */
#include "ivring_test.h"
#include "lane.h"
#include "timed.h"

#define ENTRIES		64
#define OUTBOX		(1 << 20)
#define COLD		2

enum barrier { SENDER, FENCE, KERNEL };

FIXTURE(lane_sleep) {
	struct member member;	/* the receiver */
	__u64 seed;
};

FIXTURE_VARIANT(lane_sleep) {
	enum barrier by;
	const struct way *way;
	int items;
	bool quiet;
	bool rcu_normal;	/* RCU expedites no grace period */
};

FIXTURE_VARIANT_ADD(lane_sleep, sender_wait) { SENDER, &way_wait, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, sender_wait_forever) { SENDER, &way_wait_forever, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, sender_wait_members) { SENDER, &way_wait_members, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, sender_wait_armed) { SENDER, &way_wait_armed, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, sender_poll) { SENDER, &way_poll, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, sender_select) { SENDER, &way_select, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, sender_epoll_level) { SENDER, &way_epoll_level, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, sender_epoll_edge) { SENDER, &way_epoll_edge, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, sender_eventfd) { SENDER, &way_eventfd, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, sender_uring) { SENDER, &way_uring, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, sender_uring_multishot) { SENDER, &way_uring_multishot, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, sender_spin) { SENDER, &way_spin, 400000 };

/* The ways to sleep that arm. */
FIXTURE_VARIANT_ADD(lane_sleep, fence_wait_armed) { FENCE, &way_wait_armed, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, fence_epoll_edge) { FENCE, &way_epoll_edge, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, fence_eventfd) { FENCE, &way_eventfd, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, fence_uring_multishot) { FENCE, &way_uring_multishot, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, fence_spin) { FENCE, &way_spin, 200000 };

/*
 * The same with quiet lanes. If the sender passes the barrier, the lane becomes quiet while
 * the receiver is busy too.
 */
FIXTURE_VARIANT_ADD(lane_sleep, quiet_wait_armed) { SENDER, &way_wait_armed, 5000, true };
FIXTURE_VARIANT_ADD(lane_sleep, quiet_eventfd) { SENDER, &way_eventfd, 5000, true };
FIXTURE_VARIANT_ADD(lane_sleep, quiet_epoll_level) { SENDER, &way_epoll_level, 5000, true };
FIXTURE_VARIANT_ADD(lane_sleep, quiet_spin) { SENDER, &way_spin, 200000, true };
FIXTURE_VARIANT_ADD(lane_sleep, quiet_fence_wait_armed) { FENCE, &way_wait_armed, 5000, true };
FIXTURE_VARIANT_ADD(lane_sleep, quiet_fence_spin) { FENCE, &way_spin, 200000, true };

/* The ways to sleep that do not arm. */
FIXTURE_VARIANT_ADD(lane_sleep, kernel_wait) { KERNEL, &way_wait, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, kernel_wait_members) { KERNEL, &way_wait_members, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, kernel_poll) { KERNEL, &way_poll, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, kernel_select) { KERNEL, &way_select, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, kernel_epoll_level) { KERNEL, &way_epoll_level, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, kernel_uring) { KERNEL, &way_uring, 5000 };
FIXTURE_VARIANT_ADD(lane_sleep, kernel_spin_poll) { KERNEL, &way_spin_poll, 200000 };

/* The kernel makes the CPUs pass the barrier in another way. */
FIXTURE_VARIANT_ADD(lane_sleep, rcu_normal_wait_armed) { FENCE, &way_wait_armed, 5000, .rcu_normal = true };
FIXTURE_VARIANT_ADD(lane_sleep, rcu_normal_spin) { FENCE, &way_spin, 200000, .rcu_normal = true };
FIXTURE_VARIANT_ADD(lane_sleep, rcu_normal_poll) { KERNEL, &way_poll, 5000, .rcu_normal = true };
FIXTURE_VARIANT_ADD(lane_sleep, rcu_normal_spin_poll) { KERNEL, &way_spin_poll, 200000, .rcu_normal = true };

FIXTURE_SETUP(lane_sleep)
{
	ASSERT_EQ(0, member_create(&self->member, 2, 2, OUTBOX));
	if (variant && variant->rcu_normal && set_rcu_normal(true))
		SKIP(return, "rcu_normal cannot be set");
	self->seed = rng_seed();
}

FIXTURE_TEARDOWN(lane_sleep)
{
	if (variant && variant->rcu_normal)
		set_rcu_normal(false);
	member_close(&self->member);
}

/* Attach this process as a member, and open its lane. */
static void join_as_sender(struct member *me, struct lane_out *lane, struct member *to,
			   bool unfenced)
{
	if (member_join(me, to->fd))
		_exit(10);
	if (lane_open(lane, me, to, ENTRIES))
		_exit(11);
	lane->unfenced = unfenced;
}

/* Wait until the receiver has read all items, or else until it has made room. */
static void await_read(const struct lane_out *lane, bool all, bool close)
{
	__u64 end = in_ms(LATE_MS);

	while (all ? LOAD(&lane->end->consumer) != lane->next : lane_full(lane)) {
		if (close)
			continue;
		if (now() > end)
			_exit(13);
		sched_yield();
	}
}

/*
 * Make stores that miss the cache. The store of the item's sequence waits behind them, and
 * until then no other CPU sees it.
 */
static void fill_store_buffer(__u8 *outbox)
{
	__u8 *line[COLD], *page;
	int i;

	for (i = 0; i < COLD; i++) {
		page = outbox + rng_below(OUTBOX / PAGE) * PAGE;
		/* Read the page first, so that its translation is cached. */
		line[i] = page + 64 * (2 + rng_below(62)) + LOAD(page);
	}
	for (i = 0; i < COLD; i++)
		*(volatile __u64 *)line[i] = i;
}

/* Send items with the time, at moments at which the receiver goes to sleep. */
static void send_items(struct member *to, enum barrier by, int count, bool close)
{
	struct ivring_item item = { 0 };
	__u64 end = now() + 3 * SEC;
	struct lane_out lane;
	__u8 *outbox;
	struct member me;
	int i;

	join_as_sender(&me, &lane, to, by != SENDER);
	outbox = me.outbox;
	for (i = 0; !item.port; i++) {
		switch (close ? 4 : rng_below(4)) {
		case 0:
			spin_random(16);
			break;
		case 1:
		case 2:
			await_read(&lane, true, false);
			spin_random(12);
			break;
		case 3:
			/* Wait until the receiver sleeps, in most cases. */
			await_read(&lane, true, false);
			usleep(rng_below(1 << rng_below(12)));
			break;
		case 4:
			await_read(&lane, true, true);
			break;
		}
		await_read(&lane, false, close);
		item = timed_item(i, i + 1 == count || now() > end);
		lane_write(&lane, &item);
		fill_store_buffer(outbox);
		lane_push(&lane, &item);
		if (lane_notify(&lane) < 0)
			_exit(14);
	}
	/* Leave when every item has been read. */
	if (lane_flush(&lane, lane.next, in_ms(LATE_MS)))
		_exit(15);
	_exit(0);
}

static struct lane_in lane;

/* Whether there is an item in a ring that the receiver looks at. */
static bool lane_holds_some(void)
{
	return !is_quiet(lane.member->area, lane.from) && lane_has_item(&lane);
}

static bool mark(void)
{
	return rng_below(2) && lane_mark(&lane);
}

TEST_F(lane_sleep, no_lost_wakeup)
{
	bool close = variant->way == &way_spin || variant->way == &way_spin_poll;
	struct sleeper s = {
		.member = &self->member,
		.more = lane_holds_some,
		.mark = variant->quiet ? mark : NULL,
		.unfenced = variant->by == FENCE,
	};
	struct ivring_item item = { 0 };
	struct ivring_stats stats;
	__u64 worst = 0;
	int read = 0, ret;
	pid_t pid;

	if (close && sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "needs two CPUs");
	ret = variant->way->open(&s);
	if (ret == -ENOSYS || ret == -EPERM)
		SKIP(return, "io_uring is not available");
	ASSERT_EQ(0, ret);
	pid = child_fork_reseeded();
	if (!pid)
		send_items(&self->member, variant->by, variant->items, close);
	ASSERT_TRUE(SOON(LOAD(&self->member.lanes->lane[1].generation)));
	ASSERT_EQ(0, lane_accept(&lane, &self->member, 1));
	while (!item.port) {
		if (lane_holds_some() && lane_take(&lane, &item)) {
			ASSERT_EQ(read++, item.cookie);
			worst = slowest(worst, &item);
			ASSERT_GT(LATE_MS * MSEC, worst);
			ASSERT_EQ(0, lane_ring_back(&lane));
			if (!close)
				spin_random(12);
			continue;
		}
		if (variant->quiet && variant->by == SENDER && mark())
			continue;
		ret = variant->way->sleep(&s, SLEEP_MS);
		ASSERT_LE(0, ret);
		if (!ret)
			ASSERT_EQ(0, lane_pending(&lane))
				TH_LOG("overslept item %d", read);
		if (ret && variant->by != SENDER)
			STORE(&self->member.area->state, IVRING_BUSY_UNFENCED);
	}
	EXPECT_EQ(0, lane_ring_back(&lane));
	EXPECT_EQ(0, child_wait(pid));

	/* The receiver did sleep, and often. */
	stats = member_stats(&self->member);
	EXPECT_LT(read / (close ? 10000 : 50), stats.rung);
	TH_LOG("seed %#llx, %llu of %d sends rang, the slowest took %llu us",
	       self->seed, stats.rung, read, worst / 1000);
}

/*
 * The same for a lane that has just been opened: a receiver that is woken for its first
 * item, or that looks for lanes, finds the lane.
 */

FIXTURE(first_item) {
	struct member member;
	__u64 seed;
};

FIXTURE_VARIANT(first_item) {
	const struct way *way;	/* or NULL: the test arms */
};

FIXTURE_VARIANT_ADD(first_item, wait) { .way = &way_wait };
FIXTURE_VARIANT_ADD(first_item, poll) { .way = &way_poll };
FIXTURE_VARIANT_ADD(first_item, armed) { .way = NULL };

FIXTURE_SETUP(first_item)
{
	lane_sleep_setup(_metadata, (void *)self, NULL);
}

FIXTURE_TEARDOWN(first_item)
{
	lane_sleep_teardown(_metadata, (void *)self, NULL);
}

#define LAST	UINT64_MAX	/* a cookie */

/* Open a lane, send an item, and repeat. */
static void open_and_send(struct member *to, int count)
{
	struct lane_out lane;
	__u64 end, enough = now() + 2 * SEC;
	struct member me;
	bool last = false;
	int i, ret;

	if (member_join(&me, to->fd))
		_exit(20);
	for (i = 0; !last; i++) {
		end = in_ms(LATE_MS);
		spin_random(14);
		while ((ret = lane_open(&lane, &me, to, 2)) == -EBUSY && now() < end)
			sched_yield();
		if (ret)
			_exit(21);
		if (rng_below(2))
			spin_random(12);
		last = i + 1 == count || now() > enough;
		ret = lane_send(&lane, last ? LAST : i);
		/* An item without a doorbell may have been read, and its lane closed, already. */
		if (ret < 0 && ret != -ECONNRESET)
			_exit(22);
		lane_unmap(&lane, &me);
	}
	_exit(0);
}

/* Arm and sleep, unless the lane table has changed. */
static int sleep_without_news(struct member *member, __u32 changes)
{
	int ret = 0;

	STORE(&member->area->state, IVRING_IDLE);
	FULL_BARRIER();
	if (LOAD(&member->lanes->changes) == changes)
		ret = dev_wait(member->fd, IVRING_WAIT_ARMED, in_ms(SLEEP_MS), NULL);
	STORE(&member->area->state, IVRING_BUSY);
	return ret;
}

TEST_F(first_item, is_found)
{
	struct sleeper s = { .member = &self->member };
	struct ivring_item item = { 0 };
	int read = 0, ret;
	__u32 changes;
	pid_t pid;

	pid = child_fork_reseeded();
	if (!pid)
		open_and_send(&self->member, 3000);
	while (item.cookie != LAST) {
		spin_random(12);
		if (variant->way) {
			/* The kernel has looked at all lanes, so this lane is in the table. */
			ASSERT_EQ(1, variant->way->sleep(&s, SLEEP_MS))
				TH_LOG("overslept item %d", read);
			ASSERT_EQ(0, lane_accept(&lane, &self->member, 1));
		} else {
			changes = LOAD(&self->member.lanes->changes);
			ret = lane_accept(&lane, &self->member, 1);
			if (ret == -ENOENT) {
				ASSERT_EQ(0, sleep_without_news(&self->member, changes))
					TH_LOG("overslept item %d", read);
				continue;
			}
			ASSERT_EQ(0, ret);
		}
		ASSERT_TRUE(SOON(lane_take(&lane, &item)));
		if (item.cookie != LAST)
			ASSERT_EQ(read++, item.cookie);
		ASSERT_EQ(0, lane_close(&lane));
	}
	EXPECT_EQ(0, child_wait(pid));
	TH_LOG("seed %#llx, %llu of %d rang", self->seed, member_stats(&self->member).rung, read);
}

TEST_HARNESS_MAIN
