// SPDX-License-Identifier: GPL-2.0
/*
 * A region, a member or a lane is destroyed while it is mapped. Its memory keeps its
 * content as long as it is mapped, and is never used for another object.
 */
#include <sys/uio.h>

#include "ivring_test.h"
#include "lane.h"

#define ENTRIES	8
#define OUTBOX	16384
#define NAME	"destroyed-test"

FIXTURE(destroyed) {
	struct member a;
	struct member b;
	__u64 seed;
};

FIXTURE_SETUP(destroyed)
{
	struct ivring_create c = create_args(4, ENTRIES, OUTBOX);
	int fd = dev_open();

	c.mode = 0600;
	strcpy((char *)c.name, NAME);
	ASSERT_EQ(0, dev_ioctl(fd, IVRING_IOC_CREATE, &c));
	ASSERT_EQ(0, member_attach(&self->a, fd, -1, IVRING_ID_ANY));
	ASSERT_EQ(0, member_join(&self->b, fd));
	self->seed = rng_seed();
}

FIXTURE_TEARDOWN(destroyed)
{
}

static int attach_by_name(void)
{
	struct ivring_attach a = attach_args(-1, IVRING_ID_ANY);
	int fd = dev_open(), ret;

	strcpy((char *)a.name, NAME);
	ret = dev_ioctl(fd, IVRING_IOC_ATTACH, &a);
	close(fd);
	return ret;
}

/* All descriptors are closed, and only the last mapping keeps the region. */
TEST_F(destroyed, region)
{
	const struct ivring_member_area *peer = member_peer(&self->a, self->b.id);
	const __u8 *payload = member_peer_outbox(&self->a, self->b.id);
	struct member *a = &self->a;
	size_t i;

	ASSERT_NE(MAP_FAILED, peer);
	ASSERT_NE(MAP_FAILED, payload);
	memset(self->b.outbox, 0xb5, OUTBOX);
	member_close(&self->b);
	close(a->fd);
	EXPECT_EQ(IVRING_MAGIC, LOAD(&a->region->magic));
	EXPECT_EQ(1, LOAD(&a->region->generation[a->id]));
	EXPECT_EQ(2, LOAD(&a->region->generation[1]));
	EXPECT_EQ(0, attach_by_name());
	munmap((void *)a->region, a->region_size);
	munmap((void *)a->inbox, a->inbox_size);
	memset(a->outbox, 0xa5, OUTBOX);
	EXPECT_EQ(0xa5, a->outbox[OUTBOX - 1]);
	EXPECT_EQ(0, attach_by_name());
	munmap(a->area, a->area_size);
	EXPECT_EQ(-ENOENT, attach_by_name());

	/* Only memory of members that have left remains of the region. */
	EXPECT_EQ(0xa5, a->outbox[OUTBOX - 1]);
	for (i = 0; i < OUTBOX; i++)
		ASSERT_EQ(0xb5, payload[i]);
	EXPECT_EQ(IVRING_GONE, LOAD(&peer->state));
	munmap((void *)peer, a->area_size);
	munmap((void *)payload, OUTBOX);
	munmap(a->outbox, OUTBOX);
}

/* Pages in a pipe outlive every mapping and the region. */
TEST_F(destroyed, region_whose_pages_are_in_a_pipe)
{
	struct iovec part = { self->b.outbox, 8 * 1024 };
	__u8 read_back[8 * 1024];
	int end[2], other;
	size_t i;

	ASSERT_EQ(0, pipe(end));
	memset(part.iov_base, 0x3c, part.iov_len);
	ASSERT_EQ(part.iov_len, vmsplice(end[1], &part, 1, 0));
	member_close_pair(&self->a, &self->b);
	EXPECT_EQ(-ENOENT, attach_by_name());
	/* If those pages were free, these areas would get them. */
	for (i = 0; i < 64; i++) {
		struct member member;

		ASSERT_EQ(0, member_create(&member, 2, 2, OUTBOX));
		memset(member.outbox, 0xff, OUTBOX);
		member_close(&member);
	}
	other = read(end[0], read_back, sizeof(read_back));
	EXPECT_EQ(sizeof(read_back), other);
	for (i = 0; i < sizeof(read_back); i++)
		ASSERT_EQ(0x3c, read_back[i]);
	close(end[0]);
	close(end[1]);
}

/* A member that attaches, marks all memory that it may write with its generation, and leaves. */
static void come_and_go(const struct member *other)
{
	for (;;) {
		struct lane_out out;
		struct member me;

		if (member_join_slot(&me, other->fd, 2))
			_exit(1);
		memset(me.outbox, me.generation, OUTBOX);
		STORE(&me.area->members_seen, me.generation);
		if (!lane_open(&out, &me, other, ENTRIES)) {
			memset(out.ring->item, me.generation, 64 * ENTRIES);
			STORE(&out.ring->pad[0], me.generation);
			lane_unmap(&out, &me);
		}
		spin_random(16);
		member_close(&me);
	}
}

/* Whether all bytes are zero or, once they are marked, equal to @mark. */
static bool is_of(const __u8 *bytes, size_t size, __u8 mark, bool marked)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (bytes[i] != mark && (marked || bytes[i]))
			return false;
	return true;
}

/*
 * Areas and lanes are mapped and read while their writer leaves and comes back. A mapping
 * of one generation never shows another generation's memory.
 */
TEST_F(destroyed, member_while_it_is_mapped)
{
	__u64 end = now() + 4 * SEC;
	__u32 generation, marked, areas = 0, corpses = 0, lanes = 0;
	struct member *member = &self->a;
	struct lane_in in;
	pid_t pid;

	pid = child_fork();
	if (!pid)
		come_and_go(member);
	while (now() < end || areas <= 20 || !corpses || lanes <= 20) {
		const struct ivring_member_area *peer;
		const __u8 *payload;
		int view;

		generation = member_generation(member, 2);
		view = member_view(member, 2, generation);
		if (view >= 0) {
			payload = dev_map(view, OUTBOX, PROT_READ, IVRING_MAP_OUTBOX);
			ASSERT_NE(MAP_FAILED, payload);
			peer = dev_map(view, member->area_size, PROT_READ, IVRING_MAP_MEMBER);
			/* Only the outbox is kept of a member that had left, for its lane. */
			ASSERT_TRUE(peer != MAP_FAILED || errno == ENXIO);
			close(view);
			spin_random(18);
			marked = peer == MAP_FAILED ? 0 : LOAD(&peer->members_seen);
			ASSERT_TRUE(!marked || marked == generation);
			ASSERT_TRUE(is_of(payload, OUTBOX, generation, marked));
			areas++;
			corpses += member_generation(member, 2) != generation;
			if (peer != MAP_FAILED)
				munmap((void *)peer, member->area_size);
			munmap((void *)payload, OUTBOX);
		} else {
			ASSERT_TRUE(view == -EPIPE || view == -ESTALE ||
				    (view == -EINVAL && generation % 2 == 0));
		}
		if (lane_accept(&in, member, 2))
			continue;
		/* Only this process closes the lane, so it is the lane that the table named. */
		spin_random(18);
		marked = LOAD(&in.ring->pad[0]);
		ASSERT_TRUE(!marked || marked == in.generation);
		ASSERT_TRUE(is_of((__u8 *)in.ring->item, 64 * ENTRIES, in.generation, marked));
		ASSERT_EQ(0, dev_close_lane(member->fd, 2, in.generation));
		/* The closed lane is still mapped. */
		marked = LOAD(&in.ring->pad[0]);
		ASSERT_TRUE(!marked || marked == in.generation);
		munmap((void *)in.ring, lane_size(ENTRIES));
		lanes++;
	}
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(pid));
	TH_LOG("seed %#llx: %u areas, %u of them after their member had left, and %u lanes of %u generations",
	       self->seed, areas, corpses, lanes, member_generation(member, 2));
	member_close_pair(&self->a, &self->b);
}

TEST_HARNESS_MAIN
