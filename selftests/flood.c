// SPDX-License-Identifier: GPL-2.0
/*
 * A member rings the doorbell of another member as fast as it can. The victim still replies
 * to a third member in time, and its counters show the flood.
 */
#include "ivring_test.h"
#include "lane.h"

#define ENTRIES	16
#define SECONDS	3
#define LATE_MS	3000

enum { VICTIM, GOOD, BAD };	/* slots */

struct shared {
	__u64 calls;		/* made by the flood */
	__u64 answered;
	__u64 items;		/* sent by the flood */
	int stop;
};

FIXTURE(flood) {
	struct member good;
	struct shared *shared;
	__u64 seed;
};

FIXTURE_VARIANT(flood) {
	void (*flood)(struct member *me, struct lane_out *out, const struct member *to);
};

/* Ring with an item each time: an idle victim has to be woken. */
static void flood_lane(struct member *me, struct lane_out *out, const struct member *to)
{
	lane_send(out, 1);
	lane_doorbell(out);
}

/* Ring without an item: the victim need not notice. */
static void flood_empty_lane(struct member *me, struct lane_out *out, const struct member *to)
{
	lane_doorbell(out);
}

/*
 * Store the sequence of an item that is not there, and overwrite it again. The victim may read the
 * item.
 */
static void flood_false_lane(struct member *me, struct lane_out *out, const struct member *to)
{
	out->next = LOAD(&out->end->consumer);
	STORE(&lane_slot(out)->sequence, out->next);
	lane_doorbell(out);
	STORE(&lane_slot(out)->sequence, 0);
}

/* Ask the victim at every turn to report its progress. */
static void flood_room(struct member *me, struct lane_out *out, const struct member *to)
{
	STORE(&out->ring->room_at, LOAD(&out->end->consumer));
	STORE(&out->ring->room_wanted, 1);
	lane_send(out, 1);
	dev_flush_lane(me->fd, to->id, to->generation, out->next, 0);
}

static void flood_inbox(struct member *me, struct lane_out *out, const struct member *to)
{
	member_send(me, to->id, to->generation, 1);
}

/*
 * A change of the members wakes every idle member that has asked for it. The victim has asked for
 * it.
 */
static void flood_members(struct member *me, struct lane_out *out, const struct member *to)
{
	struct ivring_attach a = attach_args(me->fd, IVRING_ID_ANY);
	int fd = dev_open();

	dev_ioctl(fd, IVRING_IOC_ATTACH, &a);
	close(fd);
}

FIXTURE_VARIANT_ADD(flood, lane) { flood_lane };
FIXTURE_VARIANT_ADD(flood, empty_lane) { flood_empty_lane };
FIXTURE_VARIANT_ADD(flood, false_lane) { flood_false_lane };
FIXTURE_VARIANT_ADD(flood, room) { flood_room };
FIXTURE_VARIANT_ADD(flood, inbox) { flood_inbox };
FIXTURE_VARIANT_ADD(flood, members) { flood_members };

FIXTURE_SETUP(flood)
{
	self->shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);
	self->seed = rng_seed();
}

FIXTURE_TEARDOWN(flood)
{
	member_close(&self->good);
}

/* The victim reads the inbox and its lanes by turns, some items of each, and replies to GOOD. */

static int take_some(struct member *member, const struct lane_in *in, struct shared *shared)
{
	struct ivring_item item;
	int taken;

	for (taken = 0; taken < ENTRIES / 2; taken++) {
		if (!(in ? lane_take(in, &item) : member_take(member, &item)))
			break;
		if ((in ? in->from : item.from) != GOOD) {
			shared->items++;
			continue;
		}
		if (member_send(member, GOOD, 1, item.cookie))
			_exit(20);
		shared->answered++;
	}
	if (taken && (in ? lane_ring_back(in) : member_ring_back(member)))
		_exit(21);
	return taken;
}

static void serve(struct shared *shared, struct member *member)
{
	struct lane_in in[3] = { 0 };
	__u32 id, changes = LOAD(&member->lanes->changes) - 1;
	int taken, ret;

	while (!LOAD(&shared->stop)) {
		if (changes != LOAD(&member->lanes->changes)) {
			changes = LOAD(&member->lanes->changes);
			for (id = GOOD; id <= BAD; id++)
				if (!in[id].ring && lane_accept(&in[id], member, id))
					in[id].ring = NULL;
		}
		taken = take_some(member, NULL, shared);
		for (id = GOOD; id <= BAD; id++)
			if (in[id].ring)
				taken += take_some(member, &in[id], shared);
		if (taken)
			continue;
		ret = dev_wait(member->fd, 0, in_ms(10 * LATE_MS), NULL);
		if (ret)
			_exit(22);
	}
	_exit(0);
}

/* Send one request and receive its reply. Return the time that took, or -1. */
static __s64 ask(struct member *good, struct lane_out *out, bool lane, __u64 cookie)
{
	__u64 start = now();
	struct ivring_item item;
	int ret;

	/* The flood uses the same inbox, so this may have to wait for room. */
	ret = lane ? lane_send(out, cookie) :
	      member_send_wait(good, VICTIM, 1, cookie, start + 5 * LATE_MS * MSEC);
	if (ret < 0)
		return -1;
	while (!member_take(good, &item))
		if (dev_wait(good->fd, 0, start + 5 * LATE_MS * MSEC, NULL))
			return -1;
	return item.cookie == cookie ? (__s64)(now() - start) : -1;
}

static void flood(struct member *region, struct shared *shared, const struct member *to,
		  void (*once)(struct member *me, struct lane_out *out, const struct member *to))
{
	struct lane_out out;
	struct member me;

	if (member_join_slot(&me, region->fd, BAD) || lane_open(&out, &me, to, ENTRIES))
		_exit(30);
	for (;;) {
		once(&me, &out, to);
		shared->calls++;
	}
}

TEST_F(flood, latency_stays_bounded)
{
	struct member victim, *good = &self->good;
	struct shared *shared = self->shared;
	struct ivring_stats before, after;
	__u64 end, worst[2] = { 0 }, asked = 0, told;
	struct lane_out out;
	pid_t pid[2];
	__s64 took;

	ASSERT_EQ(0, member_create(&victim, 4, ENTRIES, 4096));
	ASSERT_EQ(VICTIM, victim.id);
	STORE(&victim.area->members_wanted, 1);
	ASSERT_EQ(0, member_join_slot(good, victim.fd, GOOD));
	ASSERT_EQ(0, lane_open(&out, good, &victim, ENTRIES));
	pid[0] = child_fork();
	if (!pid[0]) {
		struct member member;

		if (member_map(&member, victim.fd))
			_exit(10);
		serve(shared, &member);
	}
	before = member_stats(&victim);
	pid[1] = child_fork();
	if (!pid[1])
		flood(good, shared, &victim, variant->flood);
	ASSERT_TRUE(SOON(LOAD(&shared->calls) > 10));
	for (end = now() + SECONDS * SEC; now() < end; asked++) {
		took = ask(good, &out, asked % 2, asked);
		ASSERT_LE(0, took) TH_LOG("request %llu got no reply", asked);
		if (took > worst[asked % 2])
			worst[asked % 2] = took;
		usleep(rng_below(2000));
	}
	kill(pid[1], SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(pid[1]));
	after = member_stats(&victim);
	STORE(&shared->stop, 1);
	ASSERT_LE(0, lane_send(&out, 0));
	EXPECT_EQ(0, child_wait(pid[0]));

	/* No sender has a share of the inbox for itself, so waiting for room takes time. */
	if (variant->flood != flood_inbox)
		EXPECT_GT(LATE_MS * MSEC, worst[0]);
	EXPECT_GT(LATE_MS * MSEC, worst[1]);
	EXPECT_LT(20, asked);
	EXPECT_LT(100, shared->calls);
	/*
	 * The victim slept between the requests and was rung. It need not be rung where WAIT finds
	 * the false sequence before it is overwritten.
	 */
	if (variant->flood != flood_false_lane)
		EXPECT_LT(asked / 4, after.rung - before.rung);
	/* Every doorbell is counted, as rung or as suppressed. */
	told = after.rung + after.suppressed + after.full -
	       before.rung - before.suppressed - before.full;
	if (variant->flood == flood_empty_lane)
		EXPECT_GT(4 * asked + 20, told);
	if (variant->flood != flood_empty_lane && variant->flood != flood_room)
		EXPECT_LT(shared->calls / 4, told);
	TH_LOG("seed %#llx: %llu calls, %llu items; %llu requests, the slowest %llu us by the inbox and %llu us by a lane; %llu rung, %llu suppressed, %llu full, %llu spurious",
	       self->seed, shared->calls, shared->items, asked, worst[0] / 1000,
	       worst[1] / 1000, after.rung - before.rung,
	       after.suppressed - before.suppressed, after.full - before.full,
	       after.spurious - before.spurious);
	lane_unmap(&out, good);
	member_close(&victim);
}

TEST_HARNESS_MAIN
