// SPDX-License-Identifier: GPL-2.0
/*
 * Many members, all to all, some killed and replaced: every item carries a sequence
 * number and a checksum, many of them payload that is read in place. Nothing is
 * lost, doubled, out of order or spoilt, and nobody oversleeps.
 *
 * IVRING_STRESS_SECONDS says for how long, IVRING_SEED repeats the choices.
 */
#include <sched.h>

#include "ivring_test.h"
#include "ways.h"

#define MEMBERS		16
#define ENTRIES		64
#define BLOCKS		4		/* of payload, for each receiver */
#define BLOCK		1024		/* bytes */
#define BATCH		16

static const struct way *const ways[] = {
	&way_wait, &way_wait_members, &way_wait_armed, &way_poll, &way_select,
	&way_epoll_level, &way_epoll_edge, &way_eventfd, &way_uring,
	&way_uring_multishot,
};

/* What an item carries in its data. */
struct body {
	__u64 sequence;
	__u64 checksum;
};

/* Another member, as one process sees it. */
struct peer {
	/* As a receiver. */
	__u32 generation;	/* the one that is mapped */
	const struct ivring_member_area *area;
	__u64 sent;
	enum { FREE, TAKEN, SENT } block[BLOCKS];
	__u32 free_at[BLOCKS];	/* a sent one, once it has read so far */
	/* As a sender. */
	__u32 from_gen;
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
	__u64 payloads;
	__u64 orphans;
	__u64 sleeps;
};

static struct shared *shared;
static struct member me;
static struct peer peers[MEMBERS];

#define CHECK(cond, fmt, ...)						\
do {									\
	if (!(cond)) {							\
		fprintf(stderr, "# stress.c:%d: member %u:%u: " fmt "\n",	\
			__LINE__, me.id, me.generation, ##__VA_ARGS__);	\
		_exit(1);						\
	}								\
} while (0)

static void count(__u64 *counter, __u64 by)
{
	__atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}

/* FNV-1a. */
static __u64 hash(__u64 sum, const void *data, size_t size)
{
	const __u8 *byte = data;

	while (size--)
		sum = (sum ^ *byte++) * 0x100000001b3;
	return sum;
}

/* Over all that the sender has chosen, and who it is. */
static __u64 checksum(const struct ivring_item *item, const void *payload)
{
	__u64 sum = 0xcbf29ce484222325;
	__u32 who[2] = { item->from, item->from_gen };

	sum = hash(sum, who, sizeof(who));
	sum = hash(sum, &item->port, 24);	/* port to cookie */
	sum = hash(sum, item->data, sizeof(__u64));
	return payload ? hash(sum, payload, item->length) : sum;
}

/* Map the area of slot @id as it is now; false if there is nobody. */
static bool meet(__u32 id)
{
	__u32 generation = member_generation(&me, id);
	struct peer *peer = &peers[id];

	if (generation % 2 == 0)
		return false;
	if (generation == peer->generation)
		return true;
	if (peer->area)
		munmap((void *)peer->area, me.area_size);
	peer->generation = 0;
	peer->area = member_peer(&me, id);
	if (peer->area == MAP_FAILED) {
		CHECK(errno == ENXIO, "mmap: %m");
		peer->area = NULL;
	}
	if (!peer->area || member_generation(&me, id) != generation)
		return false;
	peer->generation = generation;
	peer->sent = 0;
	memset(peer->block, FREE, sizeof(peer->block));
	return true;
}

/* A block of the outbox that @id has done with, or -1. */
static int take_block(__u32 id)
{
	struct peer *peer = &peers[id];
	__u32 consumer = LOAD(&peer->area->inbox_consumer);
	int i;

	for (i = 0; i < BLOCKS; i++) {
		if (peer->block[i] == SENT &&
		    (__s32)(consumer - peer->free_at[i]) >= 0)
			peer->block[i] = FREE;
		if (peer->block[i] == FREE) {
			peer->block[i] = TAKEN;
			return i;
		}
	}
	return -1;
}

static void make_item(struct ivring_item *item, __u32 id, __u64 sequence, int block)
{
	struct body body = { .sequence = sequence };
	__u8 *payload = NULL;
	__u32 i;

	*item = (struct ivring_item) {
		.from = me.id,
		.from_gen = me.generation,
		.port = rng_below(UINT32_MAX),
		.cookie = rng,
		.inline_len = sizeof(body),
	};
	if (block >= 0) {
		item->offset = (id * BLOCKS + block) * BLOCK;
		item->length = 1 + rng_below(BLOCK);
		payload = member_outbox(&me, me.area) + item->offset;
		for (i = 0; i < item->length; i++)
			payload[i] = sequence + i;
	}
	memcpy(item->data, &body, sizeof(body.sequence));
	body.checksum = checksum(item, payload);
	memcpy(item->data, &body, sizeof(body));
	/* These are for the kernel to stamp. */
	item->from = 0;
	item->from_gen = 0;
}

static void send_some(__u32 id)
{
	struct peer *peer = &peers[id];
	struct ivring_item items[BATCH];
	int block[BATCH], ret;
	struct ivring_enqueue e;
	__u32 i;

	if (!meet(id))
		return;
	e = enqueue_args(id, peer->generation, items, 1 + rng_below(BATCH));
	for (i = 0; i < e.count; i++) {
		block[i] = rng_below(4) ? take_block(id) : -1;
		make_item(&items[i], id, peer->sent + i, block[i]);
	}
	if (!rng_below(4)) {
		e.flags = IVRING_ENQUEUE_WAIT;
		e.deadline = now() + rng_below(5 * MSEC);
	}
	ret = dev_ioctl(me.fd, IVRING_IOC_ENQUEUE, &e);
	CHECK(!ret || ret == -EAGAIN || ret == -ETIMEDOUT || ret == -EPIPE ||
	      ret == -ESTALE, "ENQUEUE to %u:%u: %d", id, peer->generation, ret);
	if (ret)
		e.done = 0;
	peer->sent += e.done;
	for (i = 0; i < e.count; i++) {
		if (block[i] < 0)
			continue;
		peer->block[block[i]] = i < e.done ? SENT : FREE;
		peer->free_at[block[i]] = e.position;
	}
	if (e.done && !rng_below(64)) {
		ret = dev_flush(me.fd, id, peer->generation, e.position,
				now() + rng_below(5 * MSEC));
		CHECK(!ret || ret == -ETIMEDOUT || ret == -EPIPE || ret == -ESTALE,
		      "FLUSH: %d", ret);
	}
}

/* Read one item where it is, and the payload where that is. */
static bool receive_one(void)
{
	__u32 index = me.area->inbox_consumer;
	const struct ivring_item *item = &me.inbox->item[index % ENTRIES];
	const void *payload = NULL;
	struct peer *peer;
	struct body body;

	if (!member_pending(&me))
		return false;
	CHECK(item->from < MEMBERS, "from %u", item->from);
	CHECK(item->inline_len == sizeof(body), "inline_len %u", item->inline_len);
	peer = &peers[item->from];
	memcpy(&body, item->data, sizeof(body));
	if (item->from_gen != peer->from_gen) {
		CHECK(item->from_gen > peer->from_gen, "%u:%u came back after %u",
		      item->from, item->from_gen, peer->from_gen);
		peer->from_gen = item->from_gen;
		peer->received = 0;
	}
	CHECK(body.sequence == peer->received, "item %llu of %u:%u, expected %llu",
	      body.sequence, item->from, item->from_gen, peer->received);
	peer->received++;

	if (item->length && peer->generation != item->from_gen)
		meet(item->from);
	if (item->length && peer->generation == item->from_gen)
		payload = member_outbox(&me, peer->area) + item->offset;
	if (item->length && !payload)
		/* Its sender is gone, and with it what was never mapped. */
		count(&shared->orphans, 1);
	else
		CHECK(body.checksum == checksum(item, payload),
		      "checksum of item %llu of %u:%u, %u bytes at %llu",
		      body.sequence, item->from, item->from_gen, item->length,
		      item->offset);
	count(&shared->items, 1);
	count(&shared->payloads, !!payload);
	STORE(&me.area->inbox_consumer, index + 1);
	return true;
}

static void receive_all(void)
{
	while (receive_one())
		;
	/* Now and then it is forgotten, and left to the sleep. */
	if (rng_below(4))
		CHECK(!member_ring_back(&me), "ROOM: %m");
}

static void sleep_some(const struct way *way, struct sleeper *s)
{
	int ms = rng_below(20) ? rng_below(20) : 3000;
	int ret = way->sleep(s, ms);

	CHECK(ret >= 0, "%s: %d", way->name, ret);
	CHECK(ret || ms < 3000 || !member_pending(&me), "overslept in %s", way->name);
	count(&shared->sleeps, 1);
	member_see_members(&me);
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
	struct sleeper s = { .member = &me };
	struct account *account;
	__u32 i;

	CHECK(!member_succeed(&me, region_fd, id), "attach");
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
		account->to[i] = peers[i].generation;
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

	return s ? atoi(s) : 15;
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

FIXTURE(stress) {
	int fd;
};

FIXTURE_SETUP(stress)
{
	struct ivring_create c = create_args(MEMBERS, ENTRIES, MEMBERS * BLOCKS * BLOCK);

	self->fd = dev_open();
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_CREATE, &c));
}

FIXTURE_TEARDOWN(stress)
{
	close(self->fd);
}

TEST_F_TIMEOUT(stress, all_to_all, seconds() + 60)
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
	TH_LOG("seed %#llx: %llu items, %llu payloads in place, %llu of the dead, %llu sleeps, %d kills",
	       seed, shared->items, shared->payloads, shared->orphans,
	       shared->sleeps, kills);
}

TEST_HARNESS_MAIN
