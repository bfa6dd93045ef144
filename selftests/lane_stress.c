// SPDX-License-Identifier: GPL-2.0
/*
 * Many members with lanes from all to all, some killed and replaced. They sleep in
 * all ways, with and without barriers of their senders, and have doorbells
 * delayed. Nothing is lost, doubled, out of order or taken for another's, and
 * nobody oversleeps. See stress.c for the same with inboxes and payload.
 *
 * IVRING_STRESS_SECONDS says for how long, IVRING_SEED repeats the choices.
 */
#include <sched.h>

#include "ivring_test.h"
#include "lane.h"
#include "ways.h"

#define MEMBERS		8
#define ENTRIES		16
#define BATCH		8

static const struct way *const ways[] = {
	&way_wait, &way_wait_members, &way_wait_armed, &way_poll, &way_select,
	&way_epoll_level, &way_epoll_edge, &way_eventfd, &way_uring,
	&way_uring_multishot,
};

/* Another member, as one process sees it. */
struct peer {
	struct lane_out out;	/* to it, if ring is set */
	__u64 sent;
	struct lane_in in;	/* from it, if ring is set */
	__u32 from_gen;		/* of the last one */
	__u64 received;
};

/* What one process tells the others when it has sent its last. */
struct account {
	__u32 generation;
	__u32 to[MEMBERS];	/* generations */
	__u64 sent[MEMBERS];
};

struct shared {
	int stop;
	int done;
	struct account account[MEMBERS];
	__u64 items;
	__u64 lanes;
	__u64 rung;
	__u64 sleeps;
};

static struct shared *shared;
static struct member me;
static struct peer peers[MEMBERS];
static __u32 changes;

#define CHECK(cond, fmt, ...)						\
do {									\
	if (!(cond)) {							\
		fprintf(stderr, "# lane_stress.c:%d: member %u:%u: " fmt "\n", \
			__LINE__, me.id, me.generation, ##__VA_ARGS__);	\
		_exit(1);						\
	}								\
} while (0)

static void count(__u64 *counter, __u64 by)
{
	__atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}

/* A lane to the member that is in slot @id now; false if there is none to be had. */
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
	if (to.generation % 2 == 0)
		return false;
	ret = lane_open(out, &me, &to, ENTRIES);
	if (ret) {
		/* Who came before in this slot has yet to be let go of, or it is gone. */
		CHECK(ret == -EBUSY || ret == -EPIPE || ret == -ESTALE || ret == -ENXIO,
		      "OPEN_LANE to %u:%u: %d", id, to.generation, ret);
		out->ring = NULL;
		return false;
	}
	out->unfenced = rng_below(4);
	peers[id].sent = 0;
	count(&shared->lanes, 1);
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
		item.cookie = peers[id].sent++;
		lane_write(out, &item);
		if (rng_below(2))
			lane_publish(out);
	}
	lane_publish(out);
	ret = lane_tell(out);
	if (ret >= 0 && lane_full(out) && rng_below(2))
		ret = lane_flush(out, out->next - rng_below(ENTRIES),
				 now() + rng_below(5 * MSEC));
	else if (ret > 0)
		count(&shared->rung, ret);
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
		peers[id].from_gen = peers[id].in.generation;
		peers[id].received = 0;
	}
}

static void read_lane(__u32 id)
{
	struct peer *peer = &peers[id];
	struct ivring_item item;
	__u32 generation;
	bool gone;

	/* What it has published before it left can be seen after this. */
	gone = member_generation(&me, id) != peer->in.generation;
	while (lane_take(&peer->in, &item)) {
		memcpy(&generation, item.data, sizeof(generation));
		CHECK(item.port == id * MEMBERS + me.id && generation == peer->in.generation,
		      "port %u of %u in lane of %u:%u", item.port, generation, id,
		      peer->in.generation);
		CHECK(item.cookie == peer->received, "item %llu of %u:%u, expected %llu",
		      item.cookie, id, generation, peer->received);
		peer->received++;
		count(&shared->items, 1);
	}
	/* Now and then it is forgotten, and left to the sleep. */
	if (rng_below(4))
		CHECK(!lane_ring_back(&peer->in), "ROOM: %m");
	if (gone) {
		CHECK(!lane_close(&peer->in), "CLOSE_LANE from %u: %m", id);
		peer->in.ring = NULL;
		/* Its successor may have been waiting for this. */
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

/* As a sleeper asks before it sleeps. */
static bool lanes_hold_some(void)
{
	__u32 id;

	if (LOAD(&me.lanes->changes) != changes)
		return true;
	for (id = 0; id < MEMBERS; id++)
		if (peers[id].in.ring && lane_pending(&peers[id].in))
			return true;
	return false;
}

static void sleep_some(const struct way *way, struct sleeper *s)
{
	int ms = rng_below(20) ? rng_below(20) : 3000;
	int ret;

	STORE(&me.area->wake_items, rng_below(4) ? 0 : rng_below(ENTRIES));
	STORE(&me.area->wake_delay_us, rng_below(4000));
	ret = way->sleep(s, ms);
	CHECK(ret >= 0, "%s: %d", way->name, ret);
	CHECK(ret || ms < 3000 || !lanes_hold_some(), "overslept in %s", way->name);
	count(&shared->sleeps, 1);
	member_see_members(&me);
	/* As long as this is said, no sleep begins without a barrier for all. */
	s->unfenced = ret && rng_below(2);
	if (s->unfenced)
		STORE(&me.area->state, IVRING_BUSY_UNFENCED);
}

/* The books: all that was sent to this member by those who are still there came. */
static void compare(void)
{
	__u32 id;

	for (id = 0; id < MEMBERS; id++) {
		struct account *a = &shared->account[id];
		struct peer *peer = &peers[id];

		if (a->to[me.id] != me.generation || !a->sent[me.id])
			continue;
		CHECK(peer->from_gen == a->generation &&
		      peer->received == a->sent[me.id],
		      "%llu of %llu items of %u:%u came", peer->received,
		      a->sent[me.id], id, a->generation);
	}
}

static void run_member(int region_fd, __u32 id)
{
	const struct way *way = ways[rng_below(ARRAY_SIZE(ways))];
	struct sleeper s = { .member = &me, .more = lanes_hold_some };
	struct account *account;
	int ret;
	__u32 i;

	ret = member_succeed(&me, region_fd, id);
	CHECK(!ret, "attach to slot %u: %d", id, ret);
	close(region_fd);
	if (way->open(&s))
		way = &way_wait;
	while (!LOAD(&shared->stop)) {
		receive_all();
		if (rng_below(4))
			send_some(rng_below(MEMBERS));
		else
			sleep_some(way, &s);
	}
	account = &shared->account[id];
	account->generation = me.generation;
	for (i = 0; i < MEMBERS; i++) {
		account->to[i] = peers[i].out.ring ? peers[i].out.generation : 0;
		account->sent[i] = peers[i].sent;
	}
	__atomic_fetch_add(&shared->done, 1, __ATOMIC_ACQ_REL);
	while (LOAD(&shared->done) < MEMBERS) {
		receive_all();
		usleep(1000);
	}
	receive_all();
	compare();
	_exit(0);
}

static int seconds(void)
{
	const char *s = getenv("IVRING_STRESS_SECONDS");

	return s ? atoi(s) : 8;
}

static pid_t start_member(int region_fd, __u32 id)
{
	pid_t pid;

	/* Another sequence of choices for each process. */
	rng_below(1);
	pid = child_fork();
	if (!pid) {
		rng += id + 1;
		run_member(region_fd, id);
	}
	return pid;
}

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

TEST_F_TIMEOUT(lane_stress, all_to_all, seconds() + 60)
{
	__u64 seed = rng_seed(), end = now() + seconds() * SEC;
	int i, kills = 0;
	pid_t pid[MEMBERS];

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < MEMBERS; i++)
		pid[i] = start_member(self->fd, i);
	while (now() < end) {
		usleep(50000 + rng_below(200000));
		i = rng_below(MEMBERS);
		kill(pid[i], SIGKILL);
		/* Or it has failed before. */
		ASSERT_EQ(-SIGKILL, child_wait(pid[i]));
		pid[i] = start_member(self->fd, i);
		kills++;
	}
	STORE(&shared->stop, 1);
	for (i = 0; i < MEMBERS; i++)
		ASSERT_EQ(0, child_wait(pid[i]));
	EXPECT_LT(1000 * seconds(), shared->items);
	EXPECT_LT(MEMBERS, shared->lanes);
	TH_LOG("seed %#llx: %llu items in %llu lanes, %llu rang, %llu sleeps, %d kills",
	       seed, shared->items, shared->lanes, shared->rung, shared->sleeps, kills);
}

TEST_HARNESS_MAIN
