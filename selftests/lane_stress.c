// SPDX-License-Identifier: GPL-2.0
/*
 * Many members with lanes in all directions, some of which are killed and replaced. They
 * sleep in all ways, with and without barriers of their senders, and with delayed
 * doorbells. No item is lost, repeated, out of order or taken for another member's, and no
 * member oversleeps. stress.c does the same with inboxes and payload.
 */
#define MEMBERS		8

#include "storm.h"
#include "lane.h"

#define ENTRIES		16
#define BATCH		8

/* The lanes to and from another member, as one process sees them. */
struct peer {
	struct lane_out out;	/* to the other member, if ring is set */
	struct lane_in in;	/* from the other member, if ring is set */
};

static struct {
	__u64 lanes;
	__u64 rung;
} *counts;

static struct peer peers[MEMBERS];
static __u32 changes;

/* Open a lane to the member in slot @id; false if that is impossible now. */
static bool meet(__u32 id)
{
	struct member to = { .id = id, .generation = member_generation(&me, id) };
	struct lane_out *out = &peers[id].out;
	int ret;

	if (out->ring && out->generation == to.generation)
		return true;
	if (out->ring)
		lane_unmap(out, &me);
	out->ring = NULL;
	traffic[id].to_gen = 0;
	if (to.generation % 2 == 0)
		return false;
	ret = lane_open(out, &me, &to, ENTRIES);
	if (ret) {
		/*
		 * The lane to an earlier member of this slot is not closed yet, or the
		 * member has left.
		 */
		CHECK(ret == -EBUSY || ret == -EPIPE || ret == -ESTALE || ret == -ENXIO,
		      "OPEN_LANE to %u:%u: %d", id, to.generation, ret);
		out->ring = NULL;
		return false;
	}
	out->unfenced = rng_below(4);
	traffic[id].to_gen = to.generation;
	traffic[id].sent = 0;
	count(&counts->lanes, 1);
	return true;
}

static void send_some(__u32 id)
{
	struct lane_out *out = &peers[id].out;
	struct ivring_item item = { .port = me.id * MEMBERS + id };
	int i, ret;

	if (!meet(id))
		return;
	memcpy(item.data, &me.generation, sizeof(me.generation));
	for (i = rng_below(BATCH); i >= 0 && !lane_full(out); i--) {
		item.cookie = traffic[id].sent++;
		lane_push(out, &item);
	}
	ret = lane_notify(out);
	if (ret >= 0 && lane_full(out) && rng_below(2))
		ret = lane_flush(out, out->next - rng_below(ENTRIES),
				 now() + rng_below(5 * MSEC));
	else if (ret > 0)
		count(&counts->rung, ret);
	CHECK(ret >= 0 || ret == -ETIMEDOUT || ret == -EPIPE || ret == -ESTALE,
	      "lane to %u:%u: %d", id, out->generation, ret);
}

static void look_for_lanes(void)
{
	__u32 now_at = LOAD(&me.lanes->changes), id;
	int ret;

	if (now_at == changes)
		return;
	changes = now_at;
	for (id = 0; id < MEMBERS; id++) {
		if (peers[id].in.ring)
			continue;
		ret = lane_accept(&peers[id].in, &me, id);
		CHECK(!ret || ret == -ENOENT, "lane from %u: %d", id, ret);
		if (ret)
			continue;
		traffic[id].from_gen = peers[id].in.generation;
		traffic[id].received = 0;
	}
}

static void read_lane(__u32 id)
{
	struct traffic *t = &traffic[id];
	struct peer *peer = &peers[id];
	struct ivring_item item;
	__u32 generation;
	bool gone;

	/*
	 * Read this first. Then the reads after it find the items that the member sent before it
	 * left.
	 */
	gone = member_generation(&me, id) != peer->in.generation;
	while (lane_take(&peer->in, &item)) {
		memcpy(&generation, item.data, sizeof(generation));
		CHECK(item.port == id * MEMBERS + me.id && generation == peer->in.generation,
		      "port %u of %u in lane of %u:%u", item.port, generation, id,
		      peer->in.generation);
		CHECK(item.cookie == t->received, "item %llu of %u:%u, expected %llu",
		      item.cookie, id, generation, t->received);
		t->received++;
		count(&books->items, 1);
	}
	/* Sometimes do not call ROOM, and leave that to the sleep. */
	if (rng_below(4))
		CHECK(!lane_ring_back(&peer->in), "ROOM: %m");
	if (gone) {
		CHECK(!lane_close(&peer->in), "CLOSE_LANE from %u: %m", id);
		peer->in.ring = NULL;
		/* The next member of that slot may have waited for this. */
		look_for_lanes();
	}
}

static void receive_all(void)
{
	__u32 id;

	look_for_lanes();
	for (id = 0; id < MEMBERS; id++)
		if (peers[id].in.ring)
			read_lane(id);
}

/* Whether a sleeper has to look again before it sleeps. */
static bool lanes_hold_some(void)
{
	__u32 id;

	if (LOAD(&me.lanes->changes) != changes)
		return true;
	for (id = 0; id < MEMBERS; id++)
		if (peers[id].in.ring && lane_has_item(&peers[id].in))
			return true;
	return false;
}

static void before_sleep(void)
{
	STORE(&me.area->wake_items, rng_below(4) ? 0 : rng_below(ENTRIES));
	STORE(&me.area->wake_delay_us, rng_below(4000));
}

static void after_sleep(struct sleeper *s, bool woken)
{
	/* In this state no sleep may begin before all CPUs have passed a barrier. */
	s->unfenced = woken && rng_below(2);
	if (s->unfenced)
		STORE(&me.area->state, IVRING_BUSY_UNFENCED);
}

static const struct storm storm = {
	.seconds = 8,
	.send_some = send_some,
	.receive_all = receive_all,
	.before_sleep = before_sleep,
	.after_sleep = after_sleep,
	.pending = lanes_hold_some,
	.more = lanes_hold_some,
};

FIXTURE(lane_stress) {
	int fd;
};

FIXTURE_SETUP(lane_stress)
{
	struct ivring_create c = create_args(MEMBERS, 2, 4096);

	self->fd = dev_open();
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_CREATE, &c));
}

FIXTURE_TEARDOWN(lane_stress)
{
	close(self->fd);
}

TEST_F_TIMEOUT(lane_stress, all_to_all, storm_seconds(&storm) + 60)
{
	__u64 seed = rng_seed();
	int kills;

	counts = storm_shared(sizeof(*counts));
	kills = storm_run(&storm, self->fd);
	ASSERT_LE(0, kills);
	EXPECT_LT(storm_least_items(&storm), books->items);
	EXPECT_LT(MEMBERS, counts->lanes);
	TH_LOG("seed %#llx: %llu items in %llu lanes, %llu rang, %llu sleeps, %d kills",
	       seed, books->items, counts->lanes, counts->rung, books->sleeps, kills);
}

TEST_HARNESS_MAIN
