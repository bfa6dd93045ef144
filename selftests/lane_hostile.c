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
	__u64 cheats;		/* lanes that were closed because of an invalid item */
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

/*
 * Write a sequence that the reader looks for next or soon, or a value near it. The item is random.
 */
static void claim(struct ivring_ring_area *ring, const struct ivring_member_area *peer, __u32 entries)
{
	__u32 index = LOAD(&peer->lane[BAD].consumer) + rng_below(entries);

	STORE(&ring->item[index % entries].sequence, rng_below(4) ? index : near(index));
}

/* BAD: open lanes to every member, and write random values into every word. */
static void misbehave(int region_fd, struct shared *shared)
{
	struct ivring_ring_area *ring[SLOTS] = { NULL };
	const struct ivring_member_area *peer[SLOTS];
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
			if (ring[to]) {
				munmap(ring[to], lane_size(ENTRIES));
				munmap((void *)peer[to], me.area_size);
			}
			peer[to] = member_peer(&me, to);
			if (peer[to] == MAP_FAILED)
				_exit(22);
			p = dev_map(me.fd, lane_size(ENTRIES), PROT_READ | PROT_WRITE,
				    IVRING_MAP_LANE_TO(to));
			ring[to] = p == MAP_FAILED ? NULL : p;
			__atomic_fetch_add(&shared->lanes, 1, __ATOMIC_RELAXED);
		}
		for (id = rng_below(32); id && ring[to]; id--) {
			struct ivring_lane_end *end = &me.area->lane[rng_below(SLOTS)];
			__u32 *word[] = {
				&ring[to]->room_wanted, &ring[to]->room_at, &me.area->state,
				&me.area->wake_items, &me.area->wake_delay_us,
				&me.area->inbox_consumer, &me.area->members_seen,
				&me.area->max_lane_entries, &end->consumer, &end->closed,
				(__u32 *)ring[to]->item + rng_below(ENTRIES * 16),
			};

			index = rng_below(ARRAY_SIZE(word));
			STORE(word[index], near(*word[index]));
			if (rng_below(2))
				claim(ring[to], peer[to], ENTRIES);
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
	}
}

static bool is_valid(const struct ivring_item *item)
{
	return !(item->flags & ~IVRING_ITEM_FLAGS) && item->inline_len <= IVRING_INLINE_BYTES &&
	       (__u64)item->offset + item->length <= 4096;
}

/* Read one round of a lane, or less if it holds less; true if it held an item. */
static bool read_lane(struct reader *r, __u32 id)
{
	struct lane_in *in = &r->in[id];
	struct ivring_item item;
	__u32 taken;

	if (!in->ring)
		return false;
	for (taken = 0; taken < in->entries && lane_take(in, &item); taken++) {
		if (id == BAD && is_valid(&item)) {
			r->shared->dropped++;
		} else if (id == BAD) {
			if (lane_close(in))
				_exit(31);
			in->ring = NULL;
			/* The table may name the next lane already. */
			r->changes--;
			__atomic_fetch_add(&r->shared->cheats, 1, __ATOMIC_RELAXED);
			return true;
		} else if (item.cookie != r->shared->read++) {
			_exit(32);
		}
	}
	if (lane_ring_back(in))
		_exit(33);
	return taken;
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
				lane_push(&to_bad, &(struct ivring_item) { 0 });
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
	TH_LOG("seed %#llx: %llu items, %llu sleeps, %llu lanes of %llu closed because of an invalid item, %llu valid items dropped",
	       self->seed, sent, shared->sleeps, shared->cheats, shared->lanes,
	       shared->dropped);
}

/*
 * A sender writes a wrong sequence in the slot that the receiver looks at. The lane looks empty
 * to the receiver and to the kernel, and no other ring is disturbed.
 */

struct scene {
	struct member to;
	struct member good;
	struct member bad;
	struct lane_out from_good;
	struct lane_out from_bad;
	struct lane_in in;	/* from bad */
	struct lane_in other;	/* from good */
};

FIXTURE(lane_sequence) {
	struct scene scene;
};

/* The difference to the right sequence. */
FIXTURE_VARIANT(lane_sequence) {
	__u32 wrong;
};

FIXTURE_VARIANT_ADD(lane_sequence, ahead_by_one) { 1 };
FIXTURE_VARIANT_ADD(lane_sequence, ahead_by_a_round) { ENTRIES };
FIXTURE_VARIANT_ADD(lane_sequence, ahead_by_half) { 0x80000000 };
FIXTURE_VARIANT_ADD(lane_sequence, back_by_one) { -1 };
FIXTURE_VARIANT_ADD(lane_sequence, back_by_a_round) { -ENTRIES };

FIXTURE_SETUP(lane_sequence)
{
	struct scene *s = &self->scene;

	ASSERT_EQ(0, member_create(&s->to, 3, 8, 4096));
	ASSERT_EQ(0, member_join(&s->good, s->to.fd));
	ASSERT_EQ(0, member_join(&s->bad, s->to.fd));
	member_see_members(&s->to);
	ASSERT_EQ(0, lane_connect(&s->from_good, &s->other, &s->good, &s->to, ENTRIES));
	ASSERT_EQ(0, lane_connect(&s->from_bad, &s->in, &s->bad, &s->to, ENTRIES));
}

FIXTURE_TEARDOWN(lane_sequence)
{
	struct scene *s = &self->scene;

	EXPECT_EQ(0, lane_close(&s->in));
	EXPECT_EQ(0, lane_close(&s->other));
	lane_unmap(&s->from_bad, &s->bad);
	lane_unmap(&s->from_good, &s->good);
	member_close(&s->bad);
	member_close(&s->good);
	member_close(&s->to);
}

/* Write the sequence of the item that is @ahead of the next one. */
static void write_sequence(const struct lane_out *lane, __u32 ahead, __u32 wrong)
{
	__u32 index = lane->next + ahead;

	STORE(&lane->ring->item[index % lane->entries].sequence, index + wrong);
}

/* The receiver sleeps. The lane of bad does not wake the receiver, but another ring does. */
static bool is_woken_by_others(struct scene *s, bool lane)
{
	struct member *to = &s->to;
	__u64 waits = member_stats(to).waits;
	struct ivring_item item;
	pid_t pid = child_fork();

	if (!pid)
		_exit(-dev_wait(to->fd, 0, IVRING_DEADLINE_NEVER, NULL));
	return member_sleeps(to, waits) && member_state(to) == IVRING_IDLE &&
	       lane_doorbell(&s->from_bad) == 0 && member_state(to) == IVRING_IDLE &&
	       (lane ? lane_send(&s->from_good, 7) == 1 :
		       member_send(&s->good, to->id, to->generation, 7) == 0) &&
	       child_wait(pid) == 0 &&
	       (lane ? lane_take(&s->other, &item) : member_take(to, &item)) && item.cookie == 7;
}

/* Neither the receiver nor the kernel finds an item in the lane of bad. */
static bool looks_empty(struct scene *s)
{
	__u64 pointless = member_stats(&s->bad).pointless;
	__u64 rung = member_stats(&s->to).rung;

	return !lane_pending(&s->in) && !dev_poll(s->to.fd, POLLIN) &&
	       dev_wait(s->to.fd, 0, in_ms(20), NULL) == -ETIMEDOUT &&
	       is_woken_by_others(s, false) && is_woken_by_others(s, true) &&
	       member_stats(&s->bad).pointless == pointless + 2 &&
	       member_stats(&s->to).rung == rung + 2;
}

TEST_F(lane_sequence, instead_of_the_right_one)
{
	struct ivring_item item = { .cookie = 5 };
	struct scene *s = &self->scene;
	struct lane_out *out = &s->from_bad;

	lane_write(out, &item);
	write_sequence(out, 0, variant->wrong);
	EXPECT_TRUE(looks_empty(s));
	/* A sender that flushes waits for its item until its own deadline. */
	EXPECT_EQ(-ETIMEDOUT, lane_flush(out, out->next + 1, in_ms(20)));

	/* The sender can still write the right sequence. */
	write_sequence(out, 0, 0);
	EXPECT_EQ(1, lane_pending(&s->in));
	EXPECT_EQ(0, dev_wait(s->to.fd, 0, 0, NULL));
	EXPECT_TRUE(lane_take(&s->in, &item));
	EXPECT_EQ(5, item.cookie);
}

/* The sender overwrites items that have not been read. */
TEST_F(lane_sequence, over_an_unread_item)
{
	struct scene *s = &self->scene;
	struct lane_out *out = &s->from_bad;
	struct ivring_item item;
	int i;

	for (i = 0; i < ENTRIES; i++)
		lane_push(out, &(struct ivring_item) { .cookie = i });
	EXPECT_EQ(ENTRIES, lane_pending(&s->in));
	EXPECT_EQ(0, dev_wait(s->to.fd, 0, 0, NULL));
	write_sequence(out, -ENTRIES, variant->wrong);
	EXPECT_TRUE(looks_empty(s));
	write_sequence(out, -ENTRIES, 0);

	/* A wrong sequence in the middle hides the items after it. */
	write_sequence(out, 3 - ENTRIES, variant->wrong);
	EXPECT_EQ(3, lane_pending(&s->in));
	for (i = 0; i < 3; i++)
		EXPECT_TRUE(lane_take(&s->in, &item) && item.cookie == i);
	EXPECT_TRUE(looks_empty(s));
}

/*
 * The kernel looks only at the slot of the item that ends a delay, so the sender can end it too
 * early.
 */
TEST_F(lane_sequence, end_of_a_delay)
{
	struct scene *s = &self->scene;
	struct lane_out *out = &s->from_bad;

	s->to.area->wake_delay_us = 10000000;
	STORE(&s->to.area->wake_items, 4);
	STORE(&s->to.area->state, IVRING_IDLE);
	lane_push(out, &(struct ivring_item) { 0 });
	EXPECT_EQ(0, lane_doorbell(out));
	EXPECT_EQ(IVRING_DELAYED, member_state(&s->to));
	write_sequence(out, 2, variant->wrong);
	EXPECT_EQ(0, lane_doorbell(out));
	EXPECT_EQ(IVRING_DELAYED, member_state(&s->to));
	write_sequence(out, 2, 0);
	EXPECT_EQ(1, lane_doorbell(out));
	EXPECT_EQ(IVRING_BUSY, member_state(&s->to));
	EXPECT_EQ(1, lane_pending(&s->in));
}

TEST_HARNESS_MAIN
