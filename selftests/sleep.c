// SPDX-License-Identifier: GPL-2.0
/*
 * No wakeup is lost, in every way to sleep. Two processes use random delays that aim at the
 * moment between the last look and the sleep, and no item may be late.
 */
#include "ivring_test.h"
#include "timed.h"

FIXTURE(sleep) {
	struct member member;	/* the receiver */
	__u64 seed;
};

FIXTURE_VARIANT(sleep) {
	const struct way *way;
	int items;
};

FIXTURE_VARIANT_ADD(sleep, wait) { &way_wait, 5000 };
FIXTURE_VARIANT_ADD(sleep, wait_forever) { &way_wait_forever, 5000 };
FIXTURE_VARIANT_ADD(sleep, wait_members) { &way_wait_members, 5000 };
FIXTURE_VARIANT_ADD(sleep, wait_armed) { &way_wait_armed, 5000 };
FIXTURE_VARIANT_ADD(sleep, poll) { &way_poll, 5000 };
FIXTURE_VARIANT_ADD(sleep, select) { &way_select, 5000 };
FIXTURE_VARIANT_ADD(sleep, epoll_level) { &way_epoll_level, 5000 };
FIXTURE_VARIANT_ADD(sleep, epoll_edge) { &way_epoll_edge, 5000 };
FIXTURE_VARIANT_ADD(sleep, eventfd) { &way_eventfd, 5000 };
FIXTURE_VARIANT_ADD(sleep, uring) { &way_uring, 5000 };
FIXTURE_VARIANT_ADD(sleep, uring_multishot) { &way_uring_multishot, 5000 };
FIXTURE_VARIANT_ADD(sleep, spin) { &way_spin, 400000 };

FIXTURE_SETUP(sleep)
{
	ASSERT_EQ(0, member_create(&self->member, 4, 64, 4096));
	self->seed = rng_seed();
}

FIXTURE_TEARDOWN(sleep)
{
	member_close(&self->member);
}

/* Attach this process as a member, and map the receiver's area. */
static const struct ivring_member_area *join_as_sender(struct member *me, struct member *to)
{
	const struct ivring_member_area *area;

	if (member_join(me, to->fd))
		_exit(10);
	area = member_peer(me, to->id);
	if (area == MAP_FAILED)
		_exit(11);
	return area;
}

/*
 * Wait until the receiver has read everything up to @position and is about to sleep. With
 * @close the receiver has a CPU of its own.
 */
static void await_read(const struct ivring_member_area *area, __u32 position, bool close)
{
	while (LOAD(&area->inbox_consumer) != position)
		if (!close)
			sched_yield();
}

/*
 * Send items with the time, at random moments, or directly after the receiver has read if
 * @close is set. Send @count items, or fewer if that takes too long. The last item is
 * marked by its port.
 */
static void send_items(struct member *me, struct member *to, int count, bool close)
{
	const struct ivring_member_area *area = join_as_sender(me, to);
	struct ivring_item item = { 0 };
	struct ivring_enqueue e = { .position = to->start };
	__u64 end = now() + 10 * SEC;
	int i;

	for (i = 0; !item.port; i++) {
		switch (close ? 4 : rng_below(4)) {
		case 0:
			spin_random(16);
			break;
		case 1:
		case 2:
			await_read(area, e.position, false);
			spin_random(12);
			break;
		case 4:
			await_read(area, e.position, true);
			break;
		}
		item = timed_item(i, i + 1 == count || now() > end);
		e = enqueue_args(to->id, to->generation, &item, 1);
		e.flags = IVRING_ENQUEUE_WAIT;
		e.deadline = in_ms(LATE_MS);
		if (dev_ioctl(me->fd, IVRING_IOC_ENQUEUE, &e))
			_exit(12);
	}
}

TEST_F(sleep, no_lost_wakeup)
{
	struct sleeper s = { .member = &self->member };
	struct ivring_item item = { 0 };
	struct ivring_stats stats;
	__u64 worst = 0;
	struct member sender;
	bool close = variant->way == &way_spin;
	int read = 0, ret;
	pid_t pid;

	if (close && sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "needs two CPUs");
	ret = variant->way->open(&s);
	if (ret == -ENOSYS || ret == -EPERM)
		SKIP(return, "io_uring is not available");
	ASSERT_EQ(0, ret);
	pid = child_fork_reseeded();
	if (!pid) {
		send_items(&sender, &self->member, variant->items, close);
		_exit(0);
	}
	while (!item.port) {
		if (member_take(&self->member, &item)) {
			ASSERT_EQ(read++, item.cookie);
			worst = slowest(worst, &item);
			ASSERT_GT(LATE_MS * MSEC, worst);
			ASSERT_EQ(0, member_ring_back(&self->member));
			if (!close)
				spin_random(12);
			continue;
		}
		ret = variant->way->sleep(&s, SLEEP_MS);
		ASSERT_LE(0, ret);
		if (!ret)
			ASSERT_EQ(0, member_pending(&self->member))
				TH_LOG("overslept item %d", read);
	}
	EXPECT_EQ(0, child_wait(pid));

	/* The receiver did sleep, and often. */
	stats = member_stats(&self->member);
	EXPECT_LT(read / 50, stats.rung);
	TH_LOG("%s: seed %#llx, %llu of %d sends rang, the slowest took %llu us",
	       variant->way->name, self->seed, stats.rung, read, worst / 1000);
}

/* The same for membership changes. */

FIXTURE(members) {
	struct member member;
	__u64 seed;
};

FIXTURE_VARIANT(members) {
	int (*open)(struct sleeper *s);
	int (*sleep)(struct sleeper *s, int ms);
	bool wanted;	/* this way needs members_wanted */
};

static int members_wait(struct sleeper *s, int ms)
{
	int ret = dev_wait(s->member->fd, IVRING_WAIT_MEMBERS, in_ms(ms), NULL);

	return ret == -ETIMEDOUT ? 0 : ret ? ret : 1;
}

static int members_poll(struct sleeper *s, int ms)
{
	struct pollfd p = { .fd = s->member->fd, .events = POLLIN | POLLPRI };

	return poll(&p, 1, ms);
}

/* Edge-triggered epoll needs no members_wanted, because epoll has asked for EPOLLPRI. */
static int members_open_epoll(struct sleeper *s)
{
	return open_epoll(s, EPOLLIN | EPOLLPRI | EPOLLET);
}

static int members_uring(struct sleeper *s, int ms)
{
	int ret = uring_poll(&s->ring, s->member->fd, POLLIN | POLLPRI, false);

	if (ret)
		return ret;
	ret = uring_wait(&s->ring, ms);
	return ret == -ETIME ? 0 : ret < 0 ? ret : 1;
}

static int members_uring_multishot(struct sleeper *s, int ms)
{
	int ret;

	if (!s->ring.polls) {
		ret = uring_poll(&s->ring, s->member->fd, POLLIN | POLLPRI, true);
		if (ret)
			return ret;
	}
	if (!arm(s))
		return 1;
	ret = uring_wait(&s->ring, ms);
	STORE(&s->member->area->state, IVRING_BUSY);
	return ret == -ETIME ? 0 : ret < 0 ? ret : 1;
}

FIXTURE_VARIANT_ADD(members, wait) { open_nothing, members_wait };
FIXTURE_VARIANT_ADD(members, poll) { open_nothing, members_poll };
FIXTURE_VARIANT_ADD(members, wait_armed) { open_nothing, sleep_wait_armed, true };
FIXTURE_VARIANT_ADD(members, epoll_edge) { members_open_epoll, sleep_epoll_edge };
FIXTURE_VARIANT_ADD(members, eventfd) { open_eventfd, sleep_eventfd, true };
FIXTURE_VARIANT_ADD(members, uring) { open_uring, members_uring };
FIXTURE_VARIANT_ADD(members, uring_multishot) { open_uring, members_uring_multishot };

FIXTURE_SETUP(members)
{
	sleep_setup(_metadata, (void *)self, NULL);
}

FIXTURE_TEARDOWN(members)
{
	sleep_teardown(_metadata, (void *)self, NULL);
}

/* Wait until the receiver has seen the last change. */
static void await_seen(const struct ivring_member_area *area, struct member *me)
{
	__u64 end = in_ms(LATE_MS);

	while (LOAD(&area->members_seen) != member_changes_word(me)) {
		if (now() > end)
			_exit(13);
		sched_yield();
	}
	spin_random(12);
}

static void come_and_go(struct member *to, int times)
{
	const struct ivring_member_area *area;
	struct member me, other;

	area = join_as_sender(&me, to);
	for (; times; times--) {
		await_seen(area, &me);
		if (member_join(&other, to->fd))
			_exit(14);
		await_seen(area, &me);
		member_close(&other);
	}
	await_seen(area, &me);
	if (member_send(&me, to->id, to->generation, 0))
		_exit(15);
	_exit(0);
}

TEST_F(members, no_lost_wakeup)
{
	struct sleeper s = { .member = &self->member, .members = variant->wanted };
	struct ivring_item item;
	pid_t pid;

	ASSERT_EQ(0, variant->open(&s));
	pid = child_fork_reseeded();
	if (!pid)
		come_and_go(&self->member, 200);
	while (!member_take(&self->member, &item)) {
		ASSERT_EQ(1, variant->sleep(&s, 2 * SLEEP_MS));
		member_see_members(&self->member);
	}
	EXPECT_EQ(0, child_wait(pid));
	TH_LOG("seed %#llx", self->seed);
}

/* The same in the other direction: senders wait for room and for progress. */

FIXTURE(room) {
	struct member member;	/* has an inbox that is always full */
	__u64 seed;
};

FIXTURE_VARIANT(room) {
	const struct way *forgets;	/* how a reader that never calls ROOM sleeps; or NULL */
};

FIXTURE_VARIANT_ADD(room, ring_back) { .forgets = NULL };
FIXTURE_VARIANT_ADD(room, forgets_but_waits) { .forgets = &way_wait };
FIXTURE_VARIANT_ADD(room, forgets_but_polls) { .forgets = &way_poll };

FIXTURE_SETUP(room)
{
	ASSERT_EQ(0, member_create(&self->member, 4, 2, 4096));
	self->seed = rng_seed();
}

FIXTURE_TEARDOWN(room)
{
	member_close(&self->member);
}

static void send_and_flush(struct member *to, int count)
{
	struct ivring_item item = { 0 };
	struct ivring_enqueue e;
	struct member me;
	int i;

	join_as_sender(&me, to);
	for (i = 0; i < count; i++) {
		item.cookie = i;
		e = enqueue_args(to->id, to->generation, &item, 1);
		e.flags = IVRING_ENQUEUE_WAIT;
		e.deadline = in_ms(LATE_MS);
		if (dev_ioctl(me.fd, IVRING_IOC_ENQUEUE, &e))
			_exit(16);
		if (!rng_below(4) && dev_flush(me.fd, to->id, to->generation,
					       e.position, in_ms(LATE_MS)))
			_exit(17);
	}
	_exit(0);
}

TEST_F(room, no_lost_wakeup)
{
	enum { ITEMS = 3000 };
	struct sleeper s = { .member = &self->member };
	struct ivring_item item;
	int read = 0;
	pid_t pid;

	pid = child_fork_reseeded();
	if (!pid)
		send_and_flush(&self->member, ITEMS);
	while (read < ITEMS) {
		if (!variant->forgets || !rng_below(4))
			let_it_wait(self->member.inbox);
		spin_random(12);
		if (member_take(&self->member, &item)) {
			ASSERT_EQ(read++, item.cookie);
			if (!variant->forgets)
				ASSERT_EQ(0, member_ring_back(&self->member));
		} else if (variant->forgets) {
			ASSERT_EQ(1, variant->forgets->sleep(&s, SLEEP_MS));
		}
	}
	/* The sender may wait for the last item. */
	EXPECT_EQ(0, dev_room(self->member.fd, IVRING_ID_ANY));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_LT(ITEMS / 50, member_stats(&self->member).room);
	TH_LOG("seed %#llx, ROOM had an effect %llu times for %d items", self->seed,
	       member_stats(&self->member).room, ITEMS);
}

TEST_HARNESS_MAIN
