// SPDX-License-Identifier: GPL-2.0
/*
 * Many members send to each other, and some of them are killed and replaced. Each item
 * carries a sequence number and a checksum, and many have payload that is read in place. No
 * item is lost, repeated, out of order or damaged, and no member oversleeps.
 */
#define MEMBERS		16

#include "storm.h"

#define ENTRIES		64
#define BLOCKS		4		/* of payload, for each receiver */
#define BLOCK		1024		/* bytes */
#define BATCH		16

/* The data of an item. */
struct body {
	__u64 sequence;
	__u64 checksum;
};

/* Another member's memory and the blocks of payload for it, as one process sees them. */
struct peer {
	const struct ivring_member_area *area;
	const __u8 *outbox;
	__u32 outbox_gen;	/* generation of the member whose outbox is mapped */
	enum { FREE, TAKEN, SENT } block[BLOCKS];
	__u32 free_at[BLOCKS];	/* index at which the receiver has read a sent block */
};

static struct {
	__u64 payloads;
} *counts;

static struct peer peers[MEMBERS];

/* FNV-1a. */
static __u64 hash(__u64 sum, const void *data, size_t size)
{
	const __u8 *byte = data;

	while (size--)
		sum = (sum ^ *byte++) * 0x100000001b3;
	return sum;
}

/* The sum of everything that the sender has chosen, and of its id and generation. */
static __u64 checksum(const struct ivring_item *item, const void *payload)
{
	__u64 sum = 0xcbf29ce484222325;

	sum = hash(sum, &item->port, offsetof(struct ivring_item, data) -
		   offsetof(struct ivring_item, port));
	sum = hash(sum, item->data, sizeof(__u64));
	return payload ? hash(sum, payload, item->length) : sum;
}

/* Map the area of the member in slot @id; false if there is none. */
static bool meet(__u32 id)
{
	__u32 generation = member_generation(&me, id);
	struct traffic *t = &traffic[id];
	struct peer *peer = &peers[id];

	if (generation % 2 == 0)
		return false;
	if (generation == t->to_gen)
		return true;
	if (peer->area)
		munmap((void *)peer->area, me.area_size);
	t->to_gen = 0;
	peer->area = member_map_view(&me, id, generation, me.area_size, IVRING_MAP_MEMBER);
	if (peer->area == MAP_FAILED) {
		CHECK(errno == EPIPE || errno == ESTALE, "OPEN_MEMBER: %m");
		peer->area = NULL;
		return false;
	}
	t->to_gen = generation;
	t->sent = 0;
	memset(peer->block, FREE, sizeof(peer->block));
	return true;
}

/* Map the outbox of the member that has sent an unread item, and may have left. */
static const __u8 *outbox_of(const struct ivring_item *item)
{
	struct peer *peer = &peers[item->from];
	const __u8 *outbox;

	if (peer->outbox_gen == item->from_gen)
		return peer->outbox;
	outbox = member_map_view(&me, item->from, item->from_gen, me.outbox_size,
				 IVRING_MAP_OUTBOX);
	CHECK(outbox != MAP_FAILED, "payload of %u:%u: %m", item->from, item->from_gen);
	if (peer->outbox)
		munmap((void *)peer->outbox, me.outbox_size);
	peer->outbox = outbox;
	peer->outbox_gen = item->from_gen;
	return outbox;
}

/* Return a block of the outbox that member @id has read, or -1. */
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
		payload = me.outbox + item->offset;
		for (i = 0; i < item->length; i++)
			payload[i] = sequence + i;
	}
	memcpy(item->data, &body, sizeof(body.sequence));
	body.checksum = checksum(item, payload);
	memcpy(item->data, &body, sizeof(body));
	/* The kernel sets these. */
	item->from = 0;
	item->from_gen = 0;
}

static void send_some(__u32 id)
{
	struct traffic *t = &traffic[id];
	struct peer *peer = &peers[id];
	struct ivring_item items[BATCH];
	int block[BATCH], ret;
	struct ivring_enqueue e;
	__u32 i;

	if (!meet(id))
		return;
	e = enqueue_args(id, t->to_gen, items, 1 + rng_below(BATCH));
	for (i = 0; i < e.count; i++) {
		block[i] = rng_below(4) ? take_block(id) : -1;
		make_item(&items[i], id, t->sent + i, block[i]);
	}
	if (!rng_below(4)) {
		e.flags = IVRING_ENQUEUE_WAIT;
		e.deadline = now() + rng_below(5 * MSEC);
	}
	ret = dev_ioctl(me.fd, IVRING_IOC_ENQUEUE, &e);
	CHECK(!ret || ret == -EAGAIN || ret == -ETIMEDOUT || ret == -EPIPE ||
	      ret == -ESTALE, "ENQUEUE to %u:%u: %d", id, t->to_gen, ret);
	if (ret)
		e.done = 0;
	t->sent += e.done;
	for (i = 0; i < e.count; i++) {
		if (block[i] < 0)
			continue;
		peer->block[block[i]] = i < e.done ? SENT : FREE;
		peer->free_at[block[i]] = e.position;
	}
	if (e.done && !rng_below(64)) {
		ret = dev_flush(me.fd, id, t->to_gen, e.position,
				now() + rng_below(5 * MSEC));
		CHECK(!ret || ret == -ETIMEDOUT || ret == -EPIPE || ret == -ESTALE,
		      "FLUSH: %d", ret);
	}
}

/* Read one item in place, and its payload in place. */
static bool receive_one(void)
{
	__u32 index = me.area->inbox_consumer;
	const struct ivring_item *item = &me.inbox->item[index % ENTRIES];
	const __u8 *payload = NULL;
	struct traffic *t;
	struct body body;

	if (!member_has_item(&me))
		return false;
	CHECK(item->from < MEMBERS, "from %u", item->from);
	CHECK(item->inline_len == sizeof(body), "inline_len %u", item->inline_len);
	t = &traffic[item->from];
	memcpy(&body, item->data, sizeof(body));
	if (item->from_gen != t->from_gen) {
		CHECK(item->from_gen > t->from_gen, "%u:%u came back after %u",
		      item->from, item->from_gen, t->from_gen);
		t->from_gen = item->from_gen;
		t->received = 0;
	}
	CHECK(body.sequence == t->received, "item %llu of %u:%u, expected %llu",
	      body.sequence, item->from, item->from_gen, t->received);
	t->received++;

	if (item->length)
		payload = outbox_of(item) + item->offset;
	CHECK(body.checksum == checksum(item, payload),
	      "checksum of item %llu of %u:%u, %u bytes at %u",
	      body.sequence, item->from, item->from_gen, item->length, item->offset);
	count(&books->items, 1);
	count(&counts->payloads, !!payload);
	STORE(&me.area->inbox_consumer, index + 1);
	return true;
}

static void receive_all(void)
{
	while (receive_one())
		;
	/* Sometimes do not call ROOM, and leave that to the sleep. */
	if (rng_below(4))
		CHECK(!member_ring_back(&me), "ROOM: %m");
}

static bool pending(void)
{
	return member_has_item(&me);
}

static const struct storm storm = {
	.seconds = 15,
	.send_some = send_some,
	.receive_all = receive_all,
	.pending = pending,
};

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

TEST_F_TIMEOUT(stress, all_to_all, storm_seconds(&storm) + 60)
{
	__u64 seed = rng_seed();
	int kills;

	counts = storm_shared(sizeof(*counts));
	kills = storm_run(&storm, self->fd);
	ASSERT_LE(0, kills);
	EXPECT_LT(storm_least_items(&storm), books->items);
	TH_LOG("seed %#llx: %llu items, %llu payloads in place, %llu sleeps, %d kills",
	       seed, books->items, counts->payloads, books->sleeps, kills);
}

TEST_HARNESS_MAIN
