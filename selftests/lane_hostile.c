// SPDX-License-Identifier: GPL-2.0
/*
 * A member writes anything at any time into every word of its lanes and its area that it
 * may write. Two other members still reach each other, and the kernel is not harmed.
 */
#include <sched.h>

#include "ivring_test.h"
#include "lane.h"

#define SLOTS	4
#define ENTRIES	8
#define SECONDS	3
#define LATE_MS	5000

enum { GOOD, OTHER, BAD };	/* slots */

struct shared {
	__u64 read;		/* items of GOOD that were received */
	__u64 dropped;		/* items of BAD that were received */
	__u64 cheats;		/* lanes that were closed because of their content */
	__u64 sleeps;
	__u64 lanes;		/* lanes that BAD has opened */
};

FIXTURE(lane_hostile) {
	struct member member;	/* GOOD */
	struct shared *shared;
	__u64 seed;
};

FIXTURE_SETUP(lane_hostile)
{
	ASSERT_EQ(0, member_create(&self->member, SLOTS, 8, 4096));
	ASSERT_EQ(GOOD, self->member.id);
	self->shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	self->seed = rng_seed();
}

FIXTURE_TEARDOWN(lane_hostile)
{
	member_close(&self->member);
}

static __u32 near(__u32 index)
{
	static const __u32 step[] = { 0, 1, ENTRIES, ENTRIES + 1, 0x7fffffff, 0x80000000 };
	__u32 by = step[rng_below(ARRAY_SIZE(step))];

	if (!rng_below(8))
		return rng_below(UINT32_MAX);
	return rng_below(2) ? index + by : index - by;
}

/* BAD: open lanes to every member, and write random values into every word. */
static void misbehave(int region_fd, struct shared *shared)
{
	struct ivring_ring_area *ring[SLOTS] = { NULL };
	__u32 id, to, index;
	struct member me;
	void *p;

	if (member_join_slot(&me, region_fd, BAD))
		_exit(20);
	close(region_fd);
	for (;;) {
		to = rng_below(SLOTS);
		if (!dev_open_lane(me.fd, to, member_generation(&me, to),
				   rng_below(16) ? ENTRIES : 65536)) {
			if (ring[to])
				munmap(ring[to], lane_size(ENTRIES));
			p = dev_map(me.fd, lane_size(ENTRIES), PROT_READ | PROT_WRITE,
				    IVRING_MAP_LANE_TO(to));
			ring[to] = p == MAP_FAILED ? NULL : p;
			__atomic_fetch_add(&shared->lanes, 1, __ATOMIC_RELAXED);
		}
		for (id = rng_below(32); id && ring[to]; id--) {
			struct ivring_lane_end *end = &me.area->lane[rng_below(SLOTS)];
			__u32 *word[] = {
				&ring[to]->producer, &ring[to]->room_wanted,
				&ring[to]->room_at, &me.area->state,
				&me.area->wake_items, &me.area->wake_delay_us,
				&me.area->inbox_consumer, &me.area->members_seen,
				&me.area->max_lane_entries, &end->consumer, &end->closed,
				(__u32 *)ring[to]->item + rng_below(ENTRIES * 16),
			};

			index = rng_below(ARRAY_SIZE(word));
			STORE(word[index], near(*word[index]));
			spin(rng_below(1000));
		}
		switch (rng_below(8)) {
		case 0:
			dev_wait(me.fd, rng_below(8), now() + rng_below(100000), NULL);
			break;
		case 1:
			dev_poll(me.fd, POLLIN | POLLPRI);
			break;
		case 2:
			dev_room(me.fd, rng_below(SLOTS));
			break;
		case 3:
			dev_flush_lane(me.fd, to, member_generation(&me, to),
				       near(-ENTRIES), now() + rng_below(100000));
			break;
		case 4:
			index = rng_below(SLOTS);
			dev_close_lane(me.fd, index, me.lanes->lane[index].generation);
			break;
		default:
			dev_doorbell(me.fd, to, member_generation(&me, to));
		}
	}
}

/* OTHER: read all lanes by the rules. */

struct reader {
	struct member member;
	struct lane_in in[SLOTS];
	__u32 seen[SLOTS];	/* producer indices */
	__u32 changes;
	struct shared *shared;
};

/* Map new lanes. Only the reader of a lane closes it. */
static void look_for_lanes(struct reader *r)
{
	__u32 changes = LOAD(&r->member.lanes->changes), id;
	int ret;

	if (changes == r->changes)
		return;
	r->changes = changes;
	for (id = 0; id < SLOTS; id++) {
		if (r->in[id].ring)
			continue;
		ret = lane_accept(&r->in[id], &r->member, id);
		if (ret && ret != -ENOENT)
			_exit(30);
		r->seen[id] = r->in[id].end->consumer;
	}
}

/* Read a lane to its end; true if it held an item. */
static bool read_lane(struct reader *r, __u32 id)
{
	struct lane_in *in = &r->in[id];
	struct ivring_item item;
	__u32 producer, pending;
	bool any;

	if (!in->ring)
		return false;
	producer = LOAD(&in->ring->producer);
	pending = producer - in->end->consumer;
	if (pending > in->entries || producer - r->seen[id] > in->entries) {
		if (id != BAD || lane_close(in))
			_exit(31);
		in->ring = NULL;
		/* Items that have come since then are left for the next call. */
		r->changes--;
		__atomic_fetch_add(&r->shared->cheats, 1, __ATOMIC_RELAXED);
		return true;
	}
	r->seen[id] = producer;
	for (any = pending; pending; pending--) {
		__u32 index = in->end->consumer;

		item = in->ring->item[index % in->entries];
		STORE(&in->end->consumer, index + 1);
		if (id == BAD)
			r->shared->dropped++;
		else if (item.cookie != r->shared->read++)
			_exit(32);
	}
	if (lane_ring_back(in))
		_exit(33);
	return any;
}

static bool read_all(struct reader *r)
{
	bool any = false;
	__u32 id;

	look_for_lanes(r);
	for (id = 0; id < SLOTS; id++)
		any |= read_lane(r, id);
	return any;
}

static void receive(int region_fd, struct shared *shared)
{
	struct reader r = { .shared = shared };
	int ret;

	if (member_join_slot(&r.member, region_fd, OTHER))
		_exit(21);
	close(region_fd);
	r.changes = LOAD(&r.member.lanes->changes) - 1;
	for (;;) {
		if (read_all(&r))
			continue;
		if (rng_below(2)) {
			STORE(&r.member.area->state, IVRING_IDLE);
			FULL_BARRIER();
			if (read_all(&r))
				ret = 0;
			else
				ret = dev_wait(r.member.fd, IVRING_WAIT_ARMED, in_ms(2 * LATE_MS),
					       NULL);
			STORE(&r.member.area->state, IVRING_BUSY);
		} else {
			ret = dev_wait(r.member.fd, 0, in_ms(2 * LATE_MS), NULL);
		}
		if (ret)
			_exit(34);
		shared->sleeps++;
	}
}

/*
 * How often each event happens depends on the speed of the machine, so the test goes on
 * until all of them have happened.
 */
static bool all_happened(struct shared *shared)
{
	return LOAD(&shared->cheats) && LOAD(&shared->dropped) && LOAD(&shared->sleeps) > 10;
}

TEST_F(lane_hostile, words)
{
	__u64 end = now() + SECONDS * SEC, late;
	struct lane_out out, to_bad = { .ring = NULL };
	struct shared *shared = self->shared;
	struct member other, bad;
	pid_t pid[2];
	__u64 sent;
	__u32 id;
	int ret;

	pid[0] = child_fork();
	if (!pid[0])
		receive(self->member.fd, shared);
	ASSERT_TRUE(SOON(member_generation(&self->member, OTHER)));
	other = (struct member) { .id = OTHER, .generation = 1 };
	ASSERT_EQ(0, lane_open(&out, &self->member, &other, ENTRIES));
	rng_below(1);
	pid[1] = child_fork();
	if (!pid[1])
		misbehave(self->member.fd, shared);
	ASSERT_TRUE(SOON(member_generation(&self->member, BAD)));
	bad = (struct member) { .id = BAD, .generation = 1 };

	for (sent = 0; now() < end || sent <= 1000 || !all_happened(shared); ) {
		ret = lane_send(&out, sent);
		ASSERT_TRUE(ret >= 0 || ret == -EAGAIN);
		sent += ret >= 0;
		if (ret == -EAGAIN || !rng_below(4))
			ASSERT_EQ(0, lane_flush(&out, out.next - rng_below(ENTRIES),
						in_ms(LATE_MS)));

		/* Some lanes lead to BAD, which breaks its end, closes them and opens others. */
		if (to_bad.ring) {
			ret = lane_doorbell(&to_bad);
			ASSERT_TRUE(ret >= 0 || ret == -ECONNRESET);
			if (ret == -ECONNRESET) {
				lane_unmap(&to_bad, &self->member);
				to_bad.ring = NULL;
			} else {
				lane_put(&to_bad, &(struct ivring_item) { 0 });
				lane_flush(&to_bad, to_bad.next, now() + rng_below(10000));
			}
		} else {
			ret = lane_open(&to_bad, &self->member, &bad, ENTRIES);
			ASSERT_TRUE(!ret || ret == -ECONNREFUSED);
			if (ret)
				to_bad.ring = NULL;
		}
		id = self->member.lanes->lane[BAD].generation;
		if (id && !rng_below(16))
			ASSERT_EQ(0, dev_close_lane(self->member.fd, BAD, id));
	}
	late = in_ms(LATE_MS);
	while (LOAD(&shared->read) != sent && now() < late)
		sched_yield();
	EXPECT_EQ(sent, LOAD(&shared->read));
	EXPECT_EQ(0, waitpid(pid[0], &ret, WNOHANG)) TH_LOG("status %#x", ret);
	EXPECT_EQ(0, waitpid(pid[1], &ret, WNOHANG)) TH_LOG("status %#x", ret);
	kill(pid[1], SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(pid[1]));
	kill(pid[0], SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(pid[0]));
	TH_LOG("seed %#llx: %llu items, %llu sleeps, %llu invalid values in %llu lanes, %llu dropped",
	       self->seed, sent, shared->sleeps, shared->cheats, shared->lanes,
	       shared->dropped);
}

TEST_HARNESS_MAIN
