// SPDX-License-Identifier: GPL-2.0
/*
 * Entries of lists and tables are freed while another CPU walks them: members, lanes and
 * regions come and go while others look them up in every way.
 */

#include "ivring_test.h"
#include "lane.h"

#define SLOTS	8
#define STORMS	2		/* processes whose members come and go */
#define FIRST	2		/* first slot of these members; those before stay attached */
#define SECONDS	4

struct shared {
	__u64 looks;
	__u64 lives;
	__u64 lanes;
};

FIXTURE(walk) {
	struct member member;	/* in slot 0 */
	struct member peer;	/* in slot 1 */
	struct shared *shared;
	__u64 seed;
};

/* How another CPU walks. It must only find what can exist. */
FIXTURE_VARIANT(walk) {
	void (*look)(struct member *member);
};

/* Make the process exit with a number that names the check. */
#define CHECK(number, cond)						\
do {									\
	if (!(cond))							\
		_exit(number);						\
} while (0)

static bool is_gone(int ret)
{
	return ret == -EPIPE || ret == -ESTALE || ret == -EINVAL;
}

static void look_members(struct member *member)
{
	struct ivring_member_info v = { .id = rng_below(SLOTS) };
	struct ivring_info info;

	CHECK(30, !dev_ioctl(member->fd, IVRING_IOC_MEMBER_INFO, &v));
	/* The counters are those of the member of this generation, if there is one. */
	if (v.generation % 2 == 0)
		CHECK(31, !v.stats.items_in && !v.stats.rung && !v.stats.suppressed);
	CHECK(32, !dev_ioctl(member->fd, IVRING_IOC_INFO, &info));
	CHECK(33, info.attached >= FIRST && info.attached <= SLOTS);
}

static void look_debugfs(struct member *member)
{
	char text[4096];
	int fd = open(DEBUGFS_MEMBERS, O_RDONLY);
	ssize_t size;

	CHECK(34, fd >= 0);
	while ((size = read(fd, text, sizeof(text))) > 0)
		;
	CHECK(35, !size);
	close(fd);
}

static void look_fdinfo(struct member *member)
{
	char path[64], text[4096];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", member->fd);
	fd = open(path, O_RDONLY);
	CHECK(36, fd >= 0 && read(fd, text, sizeof(text)) > 0);
	close(fd);
}

static void look_inbox(struct member *member)
{
	__u32 id = rng_below(SLOTS), generation = member_generation(member, id);
	int ret;

	ret = member_send(member, id, generation, 1);
	CHECK(37, !ret || is_gone(ret) || ret == -EAGAIN || ret == -EPROTO);
	ret = member_send_wait(member, id, generation, 1, now() + rng_below(50000));
	CHECK(38, !ret || is_gone(ret) || ret == -ETIMEDOUT || ret == -EPROTO);
	ret = dev_flush(member->fd, id, generation, rng_below(4), now() + rng_below(50000));
	CHECK(39, !ret || is_gone(ret) || ret == -ETIMEDOUT || ret == -EPROTO);
}

static void look_lanes(struct member *member)
{
	__u32 id = FIRST + rng_below(SLOTS - FIRST), generation = member_generation(member, id);
	const struct ivring_lane_info *info = &member->lanes->lane[id];
	void *p;
	int ret;

	ret = dev_open_lane(member->fd, id, generation, 8);
	CHECK(40, !ret || is_gone(ret) || ret == -EBUSY);
	ret = dev_doorbell(member->fd, id, generation);
	CHECK(41, ret >= 0 || is_gone(ret) || ret == -ENOENT || ret == -ECONNRESET);
	ret = dev_flush_lane(member->fd, id, generation, -7, now() + rng_below(50000));
	CHECK(42, !ret || is_gone(ret) || ret == -ENOENT || ret == -ECONNRESET ||
	      ret == -ETIMEDOUT);
	p = dev_map(member->fd, PAGE, PROT_READ, rng_below(2) ? IVRING_MAP_LANE_TO(id) :
		    IVRING_MAP_LANE_FROM(id));
	if (p != MAP_FAILED)
		munmap(p, PAGE);
	ret = dev_room(member->fd, id);
	CHECK(43, !ret || ret == -ENOENT);
	/* Close the lanes of members that have left, or no later member could open one again. */
	ret = dev_close_lane(member->fd, id, LOAD(&info->generation));
	CHECK(44, !ret || ret == -ENOENT);
}

/* Each of these calls walks all lanes to the member, and the members of the region. */
static void look_for_work(struct member *member)
{
	__u32 id = FIRST + rng_below(SLOTS - FIRST);
	struct ivring_item item;
	int ret;

	ret = dev_poll(member->fd, POLLIN | POLLPRI);
	CHECK(45, ret >= 0 && !(ret & POLLERR));
	ret = dev_wait(member->fd, IVRING_WAIT_MEMBERS, now() + rng_below(50000), NULL);
	CHECK(46, !ret || ret == -ETIMEDOUT);
	ret = dev_close_lane(member->fd, id, LOAD(&member->lanes->lane[id].generation));
	CHECK(47, !ret || ret == -ENOENT);
	while (member_take(member, &item))
		;
	CHECK(48, !dev_room(member->fd, IVRING_ID_ANY));
	member_see_members(member);
}

static void look_map(struct member *member)
{
	__u32 id = rng_below(SLOTS);
	const struct ivring_member_area *area = member_peer(member, id);

	/* ENXIO: the member had left, and its outbox is kept for its lane. */
	CHECK(49, area != MAP_FAILED || errno == EPIPE || errno == ESTALE || errno == ENXIO);
	if (area == MAP_FAILED)
		return;
	CHECK(50, LOAD(&area->max_lane_entries) == IVRING_MAX_LANE_ENTRIES);
	munmap((void *)area, member->area_size);
}

/* Names: of regions that come and go in the global list. */
static void look_names(struct member *member)
{
	struct ivring_attach a = attach_args(-1, IVRING_ID_ANY);
	int fd = dev_open(), ret;

	snprintf((char *)a.name, sizeof(a.name), "walk-test-%u", rng_below(STORMS));
	ret = dev_ioctl(fd, IVRING_IOC_ATTACH, &a);
	CHECK(51, !ret || ret == -ENOENT || ret == -ENOSPC);
	CHECK(52, ret || a.generation % 2);
	close(fd);
}

FIXTURE_VARIANT_ADD(walk, members) { look_members };
FIXTURE_VARIANT_ADD(walk, debugfs) { look_debugfs };
FIXTURE_VARIANT_ADD(walk, fdinfo) { look_fdinfo };
FIXTURE_VARIANT_ADD(walk, inbox) { look_inbox };
FIXTURE_VARIANT_ADD(walk, lanes) { look_lanes };
FIXTURE_VARIANT_ADD(walk, work) { look_for_work };
FIXTURE_VARIANT_ADD(walk, map) { look_map };
FIXTURE_VARIANT_ADD(walk, names) { look_names };

FIXTURE_SETUP(walk)
{
	ASSERT_EQ(0, member_create(&self->member, SLOTS, 4, 4096));
	ASSERT_EQ(0, member_join(&self->peer, self->member.fd));
	self->shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);
	self->seed = rng_seed();
}

FIXTURE_TEARDOWN(walk)
{
	member_close(&self->peer);
	member_close(&self->member);
}

static void count(__u64 *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* Attach, open a lane to every member, send, close the lanes to this member, and leave. */
static void live(struct member *region, struct shared *shared)
{
	struct ivring_item item;
	struct member me;
	__u32 id;

	CHECK(20, !member_join(&me, region->fd));
	for (id = 0; id < SLOTS; id++) {
		__u32 generation = member_generation(&me, id);

		if (!dev_open_lane(me.fd, id, generation, 2 << rng_below(4)))
			count(&shared->lanes);
		if (rng_below(2))
			dev_doorbell(me.fd, id, generation);
		if (rng_below(2))
			member_send(&me, id, generation, 1);
		dev_close_lane(me.fd, id, LOAD(&me.lanes->lane[id].generation));
	}
	while (rng_below(2) && member_take(&me, &item))
		;
	STORE(&me.area->state, rng_below(2));
	member_close(&me);
	count(&shared->lives);
}

static void storm(struct member *region, struct shared *shared, int number)
{
	struct ivring_create c = create_args(2, 2, 4096);
	int fd;

	c.mode = 0600;
	snprintf((char *)c.name, sizeof(c.name), "walk-test-%d", number);
	for (;;) {
		live(region, shared);
		fd = dev_open();
		/* A process that has attached to the last region keeps its name for a while. */
		dev_ioctl(fd, IVRING_IOC_CREATE, &c);
		spin_random(16);
		close(fd);
	}
}

static void walk(struct member *member, struct shared *shared, void (*look)(struct member *member))
{
	struct member me;

	CHECK(21, !member_map(&me, member->fd));
	for (;;) {
		look(&me);
		count(&shared->looks);
	}
}

TEST_F(walk, while_others_come_and_go)
{
	struct shared *shared = self->shared;
	pid_t pid[STORMS + 1];
	int i, status;

	if (variant->look == look_debugfs && access(DEBUGFS_MEMBERS, R_OK))
		SKIP(return, "debugfs is not mounted");
	for (i = 0; i <= STORMS; i++) {
		rng_below(1);
		pid[i] = child_fork();
		if (!pid[i] && i < STORMS)
			storm(&self->member, shared, i);
		else if (!pid[i])
			walk(&self->member, shared, variant->look);
	}
	usleep(SECONDS * 1000000);
	for (i = 0; i <= STORMS; i++) {
		EXPECT_EQ(0, waitpid(pid[i], &status, WNOHANG)) TH_LOG("status %#x", status);
		kill(pid[i], SIGKILL);
		EXPECT_EQ(-SIGKILL, child_wait(pid[i]));
	}
	EXPECT_LT(50, shared->looks);
	EXPECT_LT(20, shared->lives);
	EXPECT_LT(20, shared->lanes);
	TH_LOG("seed %#llx: %llu walks, %llu members, %llu lanes", self->seed,
	       shared->looks, shared->lives, shared->lanes);
}

TEST_HARNESS_MAIN
