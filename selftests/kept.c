// SPDX-License-Identifier: GPL-2.0
/*
 * Payload outlives its sender: a receiver can map and read the payload of a member that has left,
 * for items in an inbox or a lane, even if the receiver had not mapped this member's memory before.
 */
#include "ivring_test.h"
#include "lane.h"
#include "users.h"

#define OUTBOX	16384
#define MIB	(1 << 20)
#define SENDER	2		/* slot of the sender */

enum end { CLOSES, EXITS, KILLED };

FIXTURE(kept) {
	struct member a;	/* the receiver */
	struct member b;	/* another member */
	int region;
};

FIXTURE_VARIANT(kept) {
	bool by_lane;
	enum end end;
};

FIXTURE_VARIANT_ADD(kept, inbox_closes) { .by_lane = false, .end = CLOSES };
FIXTURE_VARIANT_ADD(kept, inbox_exits) { .by_lane = false, .end = EXITS };
FIXTURE_VARIANT_ADD(kept, inbox_killed) { .by_lane = false, .end = KILLED };
FIXTURE_VARIANT_ADD(kept, lane_closes) { .by_lane = true, .end = CLOSES };
FIXTURE_VARIANT_ADD(kept, lane_exits) { .by_lane = true, .end = EXITS };
FIXTURE_VARIANT_ADD(kept, lane_killed) { .by_lane = true, .end = KILLED };

FIXTURE_SETUP(kept)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, 64, OUTBOX));
}

FIXTURE_TEARDOWN(kept)
{
	member_close_pair(&self->a, &self->b);
}

/* An item whose payload is the byte @mark at the end of the outbox. */
static struct ivring_item payload_item(const struct member *from, __u8 mark)
{
	from->outbox[OUTBOX - 1] = mark;
	return (struct ivring_item) { .cookie = mark, .offset = OUTBOX - 1, .length = 1 };
}

static int send_payload(const struct member *from, const struct member *to, __u8 mark)
{
	struct ivring_item item = payload_item(from, mark);
	struct ivring_enqueue e = enqueue_args(to->id, to->generation, &item, 1);

	return dev_ioctl(from->fd, IVRING_IOC_ENQUEUE, &e);
}

/* Attach, send payload to @to, and end. A child does so, unless @end is CLOSES. */
static int come_send_and_end(const struct member *to, bool by_lane, enum end end, __u8 mark)
{
	struct ivring_item item;
	struct lane_out lane = { .ring = NULL };
	struct member me;
	pid_t pid = end == CLOSES ? 0 : child_fork();
	int ret;

	if (pid) {
		ret = child_wait(pid);
		return end == KILLED && ret == -SIGKILL ? 0 : ret;
	}
	ret = member_join_slot(&me, to->fd, SENDER);
	if (!ret && !by_lane)
		ret = send_payload(&me, to, mark);
	if (!ret && by_lane) {
		item = payload_item(&me, mark);
		ret = member_open_lane(&me, to, 8);
		lane = (struct lane_out) {
			.entries = 8,
			.next = -8,
			.ring = dev_map(me.fd, lane_size(8), PROT_READ | PROT_WRITE,
					IVRING_MAP_LANE_TO(to->id)),
		};
		if (!ret)
			lane_push(&lane, &item);
	}
	if (end == KILLED && !ret)
		kill(getpid(), SIGKILL);
	if (end == EXITS)
		_exit(!!ret);
	if (by_lane)
		munmap(lane.ring, lane_size(8));
	member_close(&me);
	return ret;
}

/* Take the next item of the member, from a lane if @by_lane is set. */
static bool take(struct member *member, bool by_lane, struct ivring_item *item)
{
	struct lane_in lane;
	bool taken;

	if (!by_lane)
		return member_take(member, item);
	if (lane_accept(&lane, member, SENDER))
		return false;
	taken = lane_take(&lane, item);
	item->from = SENDER;
	item->from_gen = lane.generation;
	munmap((void *)lane.ring, lane_size(lane.entries));
	return taken;
}

/* The payload of one byte, or -errno. */
static int read_payload(const struct member *member, const struct ivring_item *item)
{
	const __u8 *outbox = member_map_view(member, item->from, item->from_gen, OUTBOX,
					     IVRING_MAP_OUTBOX);
	int byte;

	if (outbox == MAP_FAILED)
		return -errno;
	byte = outbox[item->offset];
	munmap((void *)outbox, OUTBOX);
	return byte;
}

/* The number in a line of a file's fdinfo, or -1. */
static long long fdinfo(int fd, const char *key)
{
	char path[32], line[128], name[64];
	long long value, found = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63[^:]: %lld", name, &value) == 2 && !strcmp(name, key))
			found = value;
	if (f)
		fclose(f);
	return found;
}

static long long kept(const struct member *member)
{
	return fdinfo(member->fd, "ivring-kept-outboxes");
}

TEST_F(kept, until_it_is_read)
{
	struct ivring_item item = { .from = SENDER, .from_gen = 1, .offset = OUTBOX - 1 };
	int view;

	ASSERT_EQ(0, come_send_and_end(&self->a, variant->by_lane, variant->end, 0x5c));
	ASSERT_TRUE(SOON(member_generation(&self->a, SENDER) == 2));
	EXPECT_EQ(1, kept(&self->a));
	EXPECT_EQ(0x5c, read_payload(&self->a, &item));
	/* The member itself is gone, and others get nothing. */
	view = member_view(&self->a, SENDER, 1);
	ASSERT_LE(0, view);
	EXPECT_EQ(0, map_refused(ENXIO, view, PAGE, PROT_READ, MAP_SHARED, IVRING_MAP_MEMBER));
	EXPECT_EQ(0, map_refused(EACCES, view, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
				 IVRING_MAP_OUTBOX));
	close(view);
	EXPECT_EQ(-EPIPE, member_view(&self->b, SENDER, 1));
	EXPECT_EQ(-EPIPE, member_send(&self->a, SENDER, 1, 1));

	ASSERT_TRUE(take(&self->a, variant->by_lane, &item));
	EXPECT_EQ(0x5c, item.cookie);
	if (variant->by_lane) {
		EXPECT_EQ(0x5c, read_payload(&self->a, &item));
		ASSERT_EQ(0, dev_close_lane(self->a.fd, SENDER, 1));
	}
	EXPECT_EQ(-EPIPE, read_payload(&self->a, &item));
	EXPECT_EQ(0, kept(&self->a));
}

TEST_F(kept, slot_is_taken_again)
{
	struct ivring_item item = { .from = SENDER, .from_gen = 1, .offset = OUTBOX - 1 };
	struct member next;

	ASSERT_EQ(0, come_send_and_end(&self->a, variant->by_lane, variant->end, 0x11));
	ASSERT_EQ(0, member_succeed(&next, self->a.fd, SENDER));
	next.outbox[OUTBOX - 1] = 0x22;
	EXPECT_EQ(0x11, read_payload(&self->a, &item));
	EXPECT_EQ(-ESTALE, read_payload(&self->b, &item));
	item.from_gen = next.generation;
	EXPECT_EQ(0x22, read_payload(&self->a, &item));
	/* The new member leaves, and has sent nothing. */
	member_close(&next);
	EXPECT_EQ(-EPIPE, read_payload(&self->a, &item));
	ASSERT_TRUE(take(&self->a, variant->by_lane, &item));
	EXPECT_EQ(1, item.from_gen);
	EXPECT_EQ(0x11, item.cookie);
	if (variant->by_lane)
		ASSERT_EQ(0, dev_close_lane(self->a.fd, SENDER, 1));
	EXPECT_EQ(-ESTALE, read_payload(&self->a, &item));
}

/* The receiver leaves without reading. */
TEST_F(kept, receiver_leaves)
{
	ASSERT_EQ(0, come_send_and_end(&self->b, variant->by_lane, variant->end, 1));
	EXPECT_EQ(1, kept(&self->b));
	member_close(&self->b);
	ASSERT_EQ(0, member_join_slot(&self->b, self->a.fd, 1));
	EXPECT_EQ(-EPIPE, member_view(&self->b, SENDER, 1));
	EXPECT_EQ(0, kept(&self->b));
}

FIXTURE(kept_inbox) {
	struct member a;	/* the receiver */
	struct member b;	/* sends without payload */
	__u64 seed;
};

FIXTURE_SETUP(kept_inbox)
{
	self->seed = rng_seed();
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, 64, OUTBOX));
}

FIXTURE_TEARDOWN(kept_inbox)
{
	member_close_pair(&self->a, &self->b);
}

/* An outbox is not kept if the member has sent no payload, or if all its payload has been read. */
TEST_F(kept_inbox, only_if_needed)
{
	struct ivring_item item;
	struct member c;

	ASSERT_EQ(0, member_join(&c, self->a.fd));
	ASSERT_EQ(0, member_send(&c, self->a.id, self->a.generation, 1));
	ASSERT_EQ(0, send_payload(&c, &self->b, 2));
	ASSERT_TRUE(member_take(&self->b, &item));
	member_close(&c);
	EXPECT_EQ(0, kept(&self->a));
	EXPECT_EQ(0, kept(&self->b));
	EXPECT_EQ(-EPIPE, member_view(&self->a, SENDER, 1));
	EXPECT_EQ(-EPIPE, member_view(&self->b, SENDER, 1));
}

/* Only the items with payload count. */
TEST_F(kept_inbox, until_the_last_payload)
{
	struct ivring_item item = { .cookie = 3 };
	struct ivring_enqueue e;
	struct member c;

	ASSERT_EQ(0, member_join(&c, self->a.fd));
	ASSERT_EQ(0, send_payload(&c, &self->a, 1));
	ASSERT_EQ(0, send_payload(&c, &self->a, 2));
	e = enqueue_args(self->a.id, self->a.generation, &item, 1);
	ASSERT_EQ(0, dev_ioctl(c.fd, IVRING_IOC_ENQUEUE, &e));
	member_close(&c);
	ASSERT_TRUE(member_take(&self->a, &item));
	EXPECT_EQ(2, read_payload(&self->a, &item));
	ASSERT_TRUE(member_take(&self->a, &item));
	EXPECT_EQ(-EPIPE, read_payload(&self->a, &item));
	EXPECT_EQ(1, member_pending(&self->a));
}

/* Each of these calls drops an outbox whose payload has been read. */
static int by_wait(const struct member *a, const struct member *b)
{
	return dev_wait(a->fd, 0, 0, NULL) == -ETIMEDOUT ? 0 : 1;
}

static int by_poll(const struct member *a, const struct member *b)
{
	return dev_poll(a->fd, POLLIN);
}

static int by_room(const struct member *a, const struct member *b)
{
	return dev_room(a->fd, IVRING_ID_ANY);
}

static int by_enqueue(const struct member *a, const struct member *b)
{
	return member_send(b, a->id, a->generation, 9);
}

TEST_F(kept_inbox, dropped_at_the_next_call)
{
	static int (*const way[])(const struct member *, const struct member *) = {
		by_wait, by_poll, by_room, by_enqueue,
	};
	struct ivring_item item;
	struct member c;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(way); i++) {
		ASSERT_EQ(0, member_join(&c, self->a.fd));
		ASSERT_EQ(0, send_payload(&c, &self->a, 1));
		member_close(&c);
		ASSERT_EQ(1, kept(&self->a));
		ASSERT_TRUE(member_take(&self->a, &item));
		ASSERT_EQ(1, kept(&self->a));
		ASSERT_EQ(0, way[i](&self->a, &self->b));
		EXPECT_EQ(0, kept(&self->a)) TH_LOG("way %zu", i);
	}
}

/* A sender drops one outbox in each call, however many are no longer needed. */
TEST_F(kept_inbox, a_sender_drops_one)
{
	struct ivring_item item;
	__u32 i;

	for (i = 0; i < 64; i++)
		ASSERT_EQ(0, come_send_and_end(&self->a, false, CLOSES, i));
	for (i = 0; i < 64; i++)
		ASSERT_TRUE(member_take(&self->a, &item));
	for (i = 64; i--; ) {
		ASSERT_EQ(0, by_enqueue(&self->a, &self->b));
		ASSERT_EQ(i, kept(&self->a));
		ASSERT_TRUE(member_take(&self->a, &item));
	}
	/* Nor does an inbox whose member makes no calls keep more outboxes than it has entries. */
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, come_send_and_end(&self->a, false, CLOSES, i));
		if (i >= 60)
			ASSERT_TRUE(member_take(&self->a, &item));
		ASSERT_GE(64, kept(&self->a));
	}
	EXPECT_EQ(0, by_room(&self->a, &self->b));
	EXPECT_EQ(60, kept(&self->a));
}

/* As many members of one slot as the inbox has room for leave, one after another. */
TEST_F(kept_inbox, many_generations)
{
	struct ivring_item item;
	__u32 i;

	for (i = 0; i < 64; i++)
		ASSERT_EQ(0, come_send_and_end(&self->a, false, CLOSES, i));
	EXPECT_EQ(64, kept(&self->a));
	for (i = 64; i--; ) {
		item = (struct ivring_item) { .from = SENDER, .from_gen = 2 * i + 1,
					      .offset = OUTBOX - 1 };
		ASSERT_EQ(i, read_payload(&self->a, &item));
	}
	for (i = 0; i < 64; i++) {
		ASSERT_TRUE(member_has_item(&self->a));
		item = self->a.inbox->item[self->a.area->inbox_consumer % 64];
		ASSERT_EQ(i, read_payload(&self->a, &item));
		ASSERT_TRUE(member_take(&self->a, &item));
		ASSERT_EQ(63 - i, (dev_poll(self->a.fd, POLLIN), kept(&self->a)));
	}
}

/* A broken inbox keeps the outboxes that it refers to until its member leaves. */
TEST_F(kept_inbox, broken)
{
	struct ivring_item item = { .from = SENDER, .from_gen = 1, .offset = OUTBOX - 1 };
	struct member c;

	ASSERT_EQ(0, member_join(&c, self->a.fd));
	ASSERT_EQ(0, send_payload(&c, &self->a, 7));
	STORE(&self->a.area->inbox_consumer, 12345);
	member_close(&c);
	EXPECT_EQ(1, kept(&self->a));
	EXPECT_EQ(7, read_payload(&self->a, &item));
	EXPECT_EQ(-EPROTO, dev_wait(self->a.fd, 0, 0, NULL));
	EXPECT_EQ(1, kept(&self->a));
}

/* A member that is tied to a process, and whose file is still open. */
TEST_F(kept_inbox, process_ends)
{
	struct ivring_attach a = attach_args(self->a.fd, SENDER);
	struct ivring_item item = { .from = SENDER, .from_gen = 1, .offset = OUTBOX - 1 };
	int fd = dev_open();
	struct member c;
	pid_t pid;

	ASSERT_LE(0, fd);
	a.flags = IVRING_ATTACH_PROCESS;
	pid = child_fork();
	if (!pid)
		_exit(dev_ioctl(fd, IVRING_IOC_ATTACH, &a) || member_map(&c, fd) ||
		      send_payload(&c, &self->a, 9));
	ASSERT_EQ(0, child_wait(pid));
	ASSERT_TRUE(SOON(member_generation(&self->a, SENDER) == 2));
	EXPECT_EQ(9, read_payload(&self->a, &item));
	EXPECT_EQ(1, kept(&self->a));
	close(fd);
	EXPECT_EQ(9, read_payload(&self->a, &item));
	ASSERT_TRUE(member_take(&self->a, &item));
	EXPECT_EQ(-EPIPE, read_payload(&self->a, &item));
}

/* Members of the same slot send at random moments, and are killed. */
static void send_for_ever(const struct member *to)
{
	struct member me;

	if (member_succeed(&me, to->fd, SENDER))
		_exit(1);
	memset(me.outbox, me.generation, OUTBOX);
	for (;;) {
		struct ivring_item item = {
			.offset = rng_below(OUTBOX), .length = 1, .cookie = me.generation,
		};
		struct ivring_enqueue e = enqueue_args(to->id, to->generation, &item, 1);

		e.flags = IVRING_ENQUEUE_WAIT;
		e.deadline = IVRING_DEADLINE_NEVER;
		if (dev_ioctl(me.fd, IVRING_IOC_ENQUEUE, &e))
			_exit(2);
	}
}

/* However a sender is killed, each item in the inbox has its payload. */
TEST_F(kept_inbox, killed_at_any_moment)
{
	__u64 end = now() + 5 * SEC;
	__u32 items = 0, last = 0, senders = 0;
	struct ivring_item item;
	pid_t pid = 0;

	while (now() < end || senders < 20) {
		if (!pid) {
			pid = child_fork_reseeded();
			if (!pid)
				send_for_ever(&self->a);
		}
		usleep(rng_below(20000));
		if (rng_below(4) == 0) {
			kill(pid, SIGKILL);
			ASSERT_EQ(-SIGKILL, child_wait(pid));
			pid = 0;
		}
		while (member_has_item(&self->a) && rng_below(100)) {
			ring_copy(self->a.inbox, self->a.entries, self->a.area->inbox_consumer, &item);
			ASSERT_EQ((__u8)item.from_gen, read_payload(&self->a, &item))
				TH_LOG("seed %#llx", self->seed);
			ASSERT_TRUE(member_take(&self->a, &item));
			senders += item.from_gen != last;
			last = item.from_gen;
			items++;
		}
		ASSERT_EQ(0, dev_room(self->a.fd, IVRING_ID_ANY));
	}
	if (pid) {
		kill(pid, SIGKILL);
		child_wait(pid);
	}
	while (member_take(&self->a, &item))
		;
	ASSERT_EQ(0, dev_room(self->a.fd, IVRING_ID_ANY));
	EXPECT_TRUE(SOON(!kept(&self->a)));
	TH_LOG("seed %#llx: %u items of %u senders", self->seed, items, senders);
}

/* A kept outbox is charged to the sender's user, until its payload has been read. */
TEST(account)
{
	struct member receiver, sender, more;
	unsigned long limit;
	struct ivring_item item;
	FILE *f;
	int region;

	if (geteuid())
		SKIP(return, "needs root");
	f = fopen("/sys/module/ivring/parameters/user_memory_mib", "r+");
	ASSERT_NE(NULL, f);
	ASSERT_EQ(1, fscanf(f, "%lu", &limit));
	region = create_as(1002, 8, 2 * MIB);
	ASSERT_LE(0, region);
	ASSERT_EQ(0, join_as(&receiver, 1002, region));
	rewind(f);
	ASSERT_LT(0, fprintf(f, "3"));
	fflush(f);
	ASSERT_EQ(0, join_as(&sender, 1001, region));
	sender.outbox[OUTBOX - 1] = 1;
	EXPECT_EQ(4096, fdinfo(sender.fd, "ivring-outbox-bytes"));
	ASSERT_EQ(0, send_payload(&sender, &receiver, 1));
	leave(&sender);
	EXPECT_EQ(1, kept(&receiver));
	EXPECT_EQ(-ENOBUFS, join_as(&more, 1001, region));
	ASSERT_TRUE(member_take(&receiver, &item));
	EXPECT_EQ(-ENOBUFS, join_as(&more, 1001, region));
	EXPECT_EQ(0, dev_poll(receiver.fd, POLLIN));
	EXPECT_EQ(0, join_as(&more, 1001, region));
	leave(&more);
	leave(&receiver);
	close(region);
	rewind(f);
	fprintf(f, "%lu", limit);
	fclose(f);
}

TEST_HARNESS_MAIN
