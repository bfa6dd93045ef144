// SPDX-License-Identifier: GPL-2.0
/*
 * wake_items and wake_delay_us: a member asks to be woken for several items at once, or for
 * fewer after a delay.
 */
#include "ivring_test.h"
#include "lane.h"
#include "ways.h"

#define ITEMS	4		/* this many items wake the member at once */
#define SHORT	(30 * MSEC)
#define LONG	(900 * MSEC)	/* only a delay can take this long */

FIXTURE(delay) {
	struct member a;	/* sends to b */
	struct member b;
	struct lane_out out;
	struct lane_in in;
};

FIXTURE_VARIANT(delay) {
	bool lane;
};

FIXTURE_VARIANT_ADD(delay, inbox) { .lane = false };
FIXTURE_VARIANT_ADD(delay, lane) { .lane = true };

FIXTURE_SETUP(delay)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, 64, 4096));
	ASSERT_EQ(0, lane_connect(&self->out, &self->in, &self->a, &self->b, 64));
	member_see_members(&self->b);
}

FIXTURE_TEARDOWN(delay)
{
	lane_unmap(&self->out, &self->a);
	member_close_pair(&self->a, &self->b);
}

static void set_delay(const struct member *member, __u32 items, __u64 ns)
{
	STORE(&member->area->wake_items, items);
	STORE(&member->area->wake_delay_us, ns / 1000);
}

/* Send an item. Return 1 if that rang, 0, or -errno. */
static int send(struct member *a, struct member *b, struct lane_out *out)
{
	struct ivring_item item = { 0 };
	struct ivring_enqueue e = enqueue_args(b->id, b->generation, &item, 1);
	int ret;

	if (out)
		return lane_send(out, 0);
	ret = dev_ioctl(a->fd, IVRING_IOC_ENQUEUE, &e);
	return ret ? ret : e.rung;
}

#define SEND()	send(&self->a, &self->b, variant->lane ? &self->out : NULL)

static void drain(struct member *b, const struct lane_in *in)
{
	struct ivring_item item;

	while (member_take(b, &item) || lane_take(in, &item))
		;
}

/* Arm as user space does before it sleeps. */
static void arm_by_hand(struct member *member)
{
	STORE(&member->area->state, IVRING_IDLE);
	FULL_BARRIER();
}

/* Sleep until the state is BUSY. Return the time since @start, or 0. */
static __u64 wait_armed(struct member *member, __u64 start)
{
	if (dev_wait(member->fd, IVRING_WAIT_ARMED, in_ms(5000), NULL))
		return 0;
	return now() - start;
}

/* The first item starts the delay. Of the following items only the last one rings. */
TEST_F(delay, items)
{
	struct ivring_stats before = member_stats(&self->b);
	__u64 start;
	int i;

	set_delay(&self->b, ITEMS, LONG);
	arm_by_hand(&self->b);
	start = now();
	for (i = 1; i < ITEMS; i++) {
		EXPECT_EQ(0, SEND());
		EXPECT_EQ(IVRING_DELAYED, member_state(&self->b));
	}
	EXPECT_EQ(1, SEND());
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
	EXPECT_EQ(0, SEND());
	EXPECT_GT(LONG, wait_armed(&self->b, start));
	EXPECT_EQ(before.delayed + 1, member_stats(&self->b).delayed);
	EXPECT_EQ(before.rung + 1, member_stats(&self->b).rung);
	EXPECT_EQ(0, member_stats(&self->a).pointless);
	/* The timer that is still running rings neither a busy nor an idle member. */
	arm_by_hand(&self->b);
	usleep((LONG + 50 * MSEC) / 1000);
	EXPECT_EQ(IVRING_IDLE, member_state(&self->b));
	EXPECT_EQ(before.rung + 1, member_stats(&self->b).rung);
	EXPECT_EQ(before.spurious, member_stats(&self->b).spurious);
}

/* After a batch, the number of items in the ring decides. */
TEST_F(delay, batch)
{
	struct ivring_item items[ITEMS] = { 0 };
	struct ivring_enqueue e = enqueue_args(self->b.id, self->b.generation,
					       items, ITEMS);
	int i;

	set_delay(&self->b, ITEMS, LONG);
	arm_by_hand(&self->b);
	if (variant->lane) {
		for (i = 0; i < ITEMS; i++)
			lane_push(&self->out, items);
		EXPECT_EQ(1, lane_notify(&self->out));
	} else {
		ASSERT_EQ(0, dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e));
		EXPECT_EQ(1, e.rung);
	}
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
	EXPECT_EQ(0, member_stats(&self->b).delayed);

	/* Items that have been read do not count. */
	drain(&self->b, &self->in);
	arm_by_hand(&self->b);
	EXPECT_EQ(0, SEND());
	EXPECT_EQ(IVRING_DELAYED, member_state(&self->b));
	EXPECT_EQ(1, member_stats(&self->b).delayed);
}

TEST_F(delay, time)
{
	__u64 start, waited;
	int round;

	set_delay(&self->b, ITEMS, SHORT);
	for (round = 1; round <= 5; round++) {
		arm_by_hand(&self->b);
		start = now();
		EXPECT_EQ(0, SEND());
		if (round % 2)
			EXPECT_EQ(0, SEND());
		waited = wait_armed(&self->b, start);
		EXPECT_LE(SHORT, waited);
		EXPECT_GT(2 * SEC, waited);
		drain(&self->b, &self->in);
	}
	EXPECT_EQ(5, member_stats(&self->b).delayed);
	EXPECT_EQ(5, member_stats(&self->b).rung);
}

/*
 * The delay works for every way to sleep. The sender is another process, so that the items
 * come during the sleep.
 */
TEST_F(delay, sleepers)
{
	static const struct way *const ways[] = {
		&way_wait, &way_wait_members, &way_wait_armed, &way_poll, &way_select,
		&way_epoll_level, &way_epoll_edge, &way_eventfd,
	};
	__u64 *start = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const struct ivring_member_area *area;
	struct lane_out out;
	__u64 waited;
	unsigned int i;
	struct member c;
	pid_t pid;
	int ret;

	set_delay(&self->b, ITEMS, SHORT);
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		struct sleeper s = { .member = &self->b };

		ASSERT_EQ(0, ways[i]->open(&s));
		member_see_members(&self->b);
		pid = child_fork();
		if (!pid) {
			/* A membership change would wake the member. */
			if (member_map(&c, self->a.fd))
				_exit(1);
			area = member_peer(&c, self->b.id);
			out = self->out;
			out.area = area;
			out.end = &area->lane[c.id];
			out.ring = dev_map(c.fd, lane_size(64), PROT_READ | PROT_WRITE,
					   IVRING_MAP_LANE_TO(self->b.id));
			if (area == MAP_FAILED || out.ring == MAP_FAILED ||
			    !SOON(LOAD(&area->state) == IVRING_IDLE))
				_exit(2);
			usleep(10000);
			*start = now();
			_exit(send(&c, &self->b, variant->lane ? &out : NULL) != 0);
		}
		/* A WAIT with IVRING_WAIT_ARMED may return although there is nothing. */
		do
			ret = ways[i]->sleep(&s, 5000);
		while (ret == 1 && !member_pending(&self->b) && !lane_pending(&self->in));
		EXPECT_EQ(1, ret);
		waited = now() - *start;
		EXPECT_LE(SHORT, waited) TH_LOG("%s", ways[i]->name);
		EXPECT_GT(2 * SEC, waited) TH_LOG("%s", ways[i]->name);
		EXPECT_EQ(0, child_wait(pid));
		self->out.next += variant->lane;
		drain(&self->b, &self->in);
		dev_eventfd(self->b.fd, -1);
		if (s.fd)
			close(s.fd);
		STORE(&self->b.area->state, IVRING_BUSY);
	}
	EXPECT_EQ(i, member_stats(&self->b).delayed);
}

/* Each ring is counted alone: a few items in each of them have to wait. */
TEST_F(delay, two_rings)
{
	__u64 start = now(), waited;
	int i;

	set_delay(&self->b, ITEMS, SHORT);
	arm_by_hand(&self->b);
	for (i = 1; i < ITEMS; i++) {
		EXPECT_EQ(0, send(&self->a, &self->b, &self->out));
		EXPECT_EQ(0, send(&self->a, &self->b, NULL));
	}
	waited = wait_armed(&self->b, start);
	EXPECT_LE(SHORT, waited);
	EXPECT_GT(2 * SEC, waited);
}

/* Membership changes are not delayed. */
TEST_F(delay, members)
{
	__u64 start;
	struct member c;

	set_delay(&self->b, ITEMS, LONG);
	STORE(&self->b.area->members_wanted, 1);
	arm_by_hand(&self->b);
	ASSERT_EQ(0, member_join(&c, self->a.fd));
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
	arm_by_hand(&self->b);
	start = now();
	EXPECT_EQ(0, SEND());
	EXPECT_EQ(IVRING_DELAYED, member_state(&self->b));
	member_close(&c);
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
	EXPECT_GT(LONG, wait_armed(&self->b, start));
	EXPECT_EQ(2, member_stats(&self->b).rung);
}

/* There is no delay unless both the number and the time are set. */
TEST_F(delay, none)
{
	static const __u32 none[][2] = {
		{ 0, 0 }, { 0, 0xffffffff }, { 1, 0xffffffff }, { 0xffffffff, 0 }, { 2, 0 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(none); i++) {
		STORE(&self->b.area->wake_items, none[i][0]);
		STORE(&self->b.area->wake_delay_us, none[i][1]);
		arm_by_hand(&self->b);
		EXPECT_EQ(1, SEND());
		EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
		drain(&self->b, &self->in);
	}
	EXPECT_EQ(0, member_stats(&self->b).delayed);
}

/* The kernel limits the delay to one second. */
TEST_F(delay, too_long)
{
	__u64 start, waited;

	STORE(&self->b.area->wake_items, 0xffffffff);
	STORE(&self->b.area->wake_delay_us,
	      variant->lane ? 0xffffffff : IVRING_MAX_WAKE_DELAY_US + 1);
	arm_by_hand(&self->b);
	start = now();
	EXPECT_EQ(0, SEND());
	waited = wait_armed(&self->b, start);
	EXPECT_LE(SEC, waited);
	EXPECT_GT(3 * SEC, waited);
}

/* Nothing is delayed while the receiver is busy. */
TEST_F(delay, busy)
{
	int i;

	set_delay(&self->b, ITEMS, SHORT);
	for (i = 0; i < 2 * ITEMS; i++)
		EXPECT_EQ(0, SEND());
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
	EXPECT_EQ(0, member_stats(&self->b).delayed);
}

#define SMALL	4

/* A full ring wakes the receiver even if it can never hold wake_items items. */
TEST_F(delay, full)
{
	struct lane_out out;
	__u64 start;
	struct member c, d;
	int i;

	ASSERT_EQ(0, member_create(&c, 2, SMALL, 4096));
	ASSERT_EQ(0, member_join(&d, c.fd));
	ASSERT_EQ(0, lane_open(&out, &c, &d, SMALL));
	member_see_members(&d);
	set_delay(&d, SMALL + 1, LONG);
	arm_by_hand(&d);
	start = now();
	for (i = 1; i < SMALL; i++) {
		EXPECT_EQ(0, send(&c, &d, variant->lane ? &out : NULL));
		EXPECT_EQ(IVRING_DELAYED, member_state(&d));
	}
	EXPECT_EQ(1, send(&c, &d, variant->lane ? &out : NULL));
	EXPECT_EQ(IVRING_BUSY, member_state(&d));
	EXPECT_GT(LONG, wait_armed(&d, start));
	EXPECT_EQ(0, member_stats(&c).pointless);
	lane_unmap(&out, &c);
	member_close(&d);
	member_close(&c);
}

/* A batch that fills the ring at once is not delayed either. */
TEST_F(delay, full_at_once)
{
	struct ivring_item items[SMALL + 1] = { 0 };
	struct ivring_enqueue e;
	struct lane_out out;
	struct member c, d;
	int i;

	ASSERT_EQ(0, member_create(&c, 2, SMALL, 4096));
	ASSERT_EQ(0, member_join(&d, c.fd));
	ASSERT_EQ(0, lane_open(&out, &c, &d, SMALL));
	member_see_members(&d);
	set_delay(&d, 2 * SMALL, LONG);
	arm_by_hand(&d);
	if (variant->lane) {
		for (i = 0; i < SMALL; i++)
			lane_push(&out, items);
		EXPECT_EQ(1, lane_notify(&out));
	} else {
		e = enqueue_args(d.id, d.generation, items, SMALL + 1);
		ASSERT_EQ(0, dev_ioctl(c.fd, IVRING_IOC_ENQUEUE, &e));
		EXPECT_EQ(SMALL, e.done);
		EXPECT_EQ(1, e.rung);
	}
	EXPECT_EQ(IVRING_BUSY, member_state(&d));
	EXPECT_EQ(0, member_stats(&d).delayed);
	lane_unmap(&out, &c);
	member_close(&d);
	member_close(&c);
}

/* A doorbell for too few items is not pointless, but it wakes no task. */
TEST_F(delay, doorbell)
{
	struct ivring_stats before;

	set_delay(&self->b, ITEMS, LONG);
	arm_by_hand(&self->b);
	EXPECT_EQ(0, lane_send(&self->out, 0));
	before = member_stats(&self->b);
	EXPECT_EQ(0, lane_doorbell(&self->out));
	EXPECT_EQ(IVRING_DELAYED, member_state(&self->b));
	EXPECT_EQ(0, member_stats(&self->a).pointless);
	EXPECT_EQ(before.delayed, member_stats(&self->b).delayed);
	EXPECT_EQ(before.suppressed + 1, member_stats(&self->b).suppressed);
	EXPECT_EQ(before.rung, member_stats(&self->b).rung);
}

/* Each delay has its own length, even if the timer of an earlier delay is still running. */
TEST_F(delay, after_another)
{
	__u64 start, waited;

	set_delay(&self->b, ITEMS, 200 * MSEC);
	arm_by_hand(&self->b);
	EXPECT_EQ(0, SEND());
	usleep(150000);
	/* The receiver finds the item without a doorbell. */
	STORE(&self->b.area->state, IVRING_BUSY);
	drain(&self->b, &self->in);
	arm_by_hand(&self->b);
	start = now();
	EXPECT_EQ(0, SEND());
	waited = wait_armed(&self->b, start);
	EXPECT_LE(200 * MSEC, waited);
	EXPECT_GT(2 * SEC, waited);
}

static void on_signal(int signal)
{
}

/*
 * A receiver that looks at its rings, or that is interrupted, finds the item before the
 * delay has passed.
 */
TEST_F(delay, looks)
{
	const struct sigaction action = { .sa_handler = on_signal };
	int status = 0;
	pid_t pid;

	set_delay(&self->b, ITEMS, LONG);
	arm_by_hand(&self->b);
	EXPECT_EQ(0, SEND());
	EXPECT_EQ(POLLIN, dev_poll(self->b.fd, POLLIN));
	EXPECT_EQ(0, dev_wait(self->b.fd, 0, 0, NULL));
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));

	drain(&self->b, &self->in);
	arm_by_hand(&self->b);
	EXPECT_EQ(0, SEND());
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, IVRING_WAIT_ARMED, in_ms(20), NULL));
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));

	drain(&self->b, &self->in);
	arm_by_hand(&self->b);
	EXPECT_EQ(0, SEND());
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	pid = child_fork();
	if (!pid)
		_exit(-dev_wait(self->b.fd, IVRING_WAIT_ARMED, IVRING_DEADLINE_NEVER, NULL));
	/* The receiver looks until an item comes while it waits. */
	EXPECT_TRUE(SOON(kill(pid, SIGUSR1) || waitpid(pid, &status, WNOHANG) == pid));
	EXPECT_EQ(EINTR, WEXITSTATUS(status));
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
}

/* A member leaves during its delay, many times. The next member of its slot is not rung. */
TEST_F(delay, leaves)
{
	struct lane_out out;
	__u64 seed = rng_seed();
	struct member c;
	int i;

	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, member_join_slot(&c, self->a.fd, 3));
		ASSERT_EQ(0, lane_open(&out, &self->a, &c, 8));
		set_delay(&c, ITEMS, rng_below(2000) * 1000);
		arm_by_hand(&c);
		ASSERT_LE(0, send(&self->a, &c, variant->lane ? &out : NULL));
		member_close(&c);
		ASSERT_EQ(IVRING_GONE, LOAD(&out.area->state));
		ASSERT_EQ(0, member_join_slot(&c, self->a.fd, 3));
		STORE(&c.area->state, IVRING_IDLE);
		usleep(rng_below(2000));
		ASSERT_EQ(IVRING_IDLE, member_state(&c));
		ASSERT_EQ(IVRING_GONE, LOAD(&out.area->state));
		lane_unmap(&out, &self->a);
		member_close(&c);
	}
	TH_LOG("seed %#llx", seed);
}

TEST_HARNESS_MAIN
