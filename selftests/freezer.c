// SPDX-License-Identifier: GPL-2.0
/*
 * The freezer of a control group and of the whole system stops a receiver that sleeps, and
 * an item is queued. The receiver goes on sleeping while it is frozen, and finds the item
 * after that.
 */
#include <sys/mount.h>
#include <sys/stat.h>

#include "ivring_test.h"
#include "ways.h"

#define GROUP	"/sys/fs/cgroup/ivring-freezer"
#define LATE_MS	5000

static bool contains(const char *path, const char *word)
{
	char text[256];
	int fd = open(path, O_RDONLY);
	ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (size < 0)
		return false;
	text[size] = 0;
	return strstr(text, word);
}

static int freeze(bool frozen)
{
	int ret = write_text(GROUP "/cgroup.freeze", frozen ? "1" : "0");

	if (ret)
		return ret;
	return SOON(contains(GROUP "/cgroup.events", frozen ? "frozen 1" : "frozen 0")) ?
	       0 : -ETIMEDOUT;
}

/* A process in that control group. */
static pid_t fork_into_group(void)
{
	pid_t pid = child_fork();

	if (!pid && write_text(GROUP "/cgroup.procs", "0"))
		_exit(100);
	return pid;
}

FIXTURE(freezer) {
	struct member member;	/* sends to the other */
	struct member other;
};

FIXTURE_VARIANT(freezer) {
	const struct way *way;
};

FIXTURE_VARIANT_ADD(freezer, wait) { &way_wait };
FIXTURE_VARIANT_ADD(freezer, wait_armed) { &way_wait_armed };
FIXTURE_VARIANT_ADD(freezer, poll) { &way_poll };
FIXTURE_VARIANT_ADD(freezer, epoll_level) { &way_epoll_level };
FIXTURE_VARIANT_ADD(freezer, epoll_edge) { &way_epoll_edge };
FIXTURE_VARIANT_ADD(freezer, eventfd) { &way_eventfd };
FIXTURE_VARIANT_ADD(freezer, uring_multishot) { &way_uring_multishot };

FIXTURE_SETUP(freezer)
{
	ASSERT_EQ(0, member_create(&self->member, 4, 2, 4096));
	ASSERT_EQ(0, member_join(&self->other, self->member.fd));
}

FIXTURE_TEARDOWN(freezer)
{
	member_close(&self->other);
	member_close(&self->member);
}

/* Sleep until there is an item, also after interruptions, and report what ended the sleep. */
static pid_t receiver(const struct member *member, const struct way *way, pid_t (*fork)(void))
{
	struct sleeper s = { 0 };
	pid_t pid = fork();
	struct ivring_item item;
	struct member me;
	int ret;

	if (pid)
		return pid;
	s.member = &me;
	if (member_map(&me, member->fd) || way->open(&s))
		_exit(101);
	while (!member_take(&me, &item)) {
		ret = way->sleep(&s, 20000);
		if (ret == 0 || (ret < 0 && ret != -EINTR && errno != EINTR))
			_exit(102);
	}
	_exit(item.cookie);
}

static int send(const struct member *member, const struct member *to, __u64 cookie)
{
	return member_send(member, to->id, to->generation, cookie);
}

TEST_F(freezer, item_is_found)
{
	struct uring ring;
	pid_t pid;

	if (variant->way == &way_uring_multishot && uring_open(&ring))
		SKIP(return, "io_uring is not available");
	if (mkdir(GROUP, 0755) && errno != EEXIST)
		SKIP(return, "control groups are not available");
	if (write_text(GROUP "/cgroup.freeze", "0"))
		SKIP(return, "control groups have no freezer");
	pid = receiver(&self->other, variant->way, fork_into_group);
	ASSERT_TRUE(SOON(member_state(&self->other) == IVRING_IDLE));
	usleep(10000);
	ASSERT_EQ(0, freeze(true));
	EXPECT_EQ(0, send(&self->member, &self->other, 7));
	EXPECT_EQ(0, send(&self->member, &self->other, 8));
	/* A sender waits for a frozen receiver only if it asks to wait. */
	EXPECT_EQ(-EAGAIN, send(&self->member, &self->other, 9));
	EXPECT_EQ(-ETIMEDOUT, member_send_wait(&self->member, self->other.id,
					       self->other.generation, 9, in_ms(50)));
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	EXPECT_EQ(2, member_pending(&self->other));
	ASSERT_EQ(0, freeze(false));
	EXPECT_EQ(7, child_wait(pid));
	EXPECT_EQ(1, member_pending(&self->other));
	EXPECT_EQ(0, rmdir(GROUP));
}

/* The other direction: a sender is frozen while it waits. */

FIXTURE(frozen_sender) {
	struct member member;
	struct member other;
};

FIXTURE_VARIANT(frozen_sender) {
	bool flush;
};

FIXTURE_VARIANT_ADD(frozen_sender, room) { .flush = false };
FIXTURE_VARIANT_ADD(frozen_sender, flush) { .flush = true };

FIXTURE_SETUP(frozen_sender)
{
	freezer_setup(_metadata, (void *)self, NULL);
}

FIXTURE_TEARDOWN(frozen_sender)
{
	freezer_teardown(_metadata, (void *)self, NULL);
}

TEST_F(frozen_sender, goes_on)
{
	struct member *member = &self->member, *other = &self->other;
	struct ivring_item item;
	pid_t pid;

	if (mkdir(GROUP, 0755) && errno != EEXIST)
		SKIP(return, "control groups are not available");
	if (write_text(GROUP "/cgroup.freeze", "0"))
		SKIP(return, "control groups have no freezer");
	ASSERT_EQ(0, send(member, other, 1));
	ASSERT_EQ(0, send(member, other, 2));
	pid = fork_into_group();
	if (!pid && variant->flush)
		_exit(-dev_flush(member->fd, other->id, other->generation, other->start + 2,
				 IVRING_DEADLINE_NEVER));
	if (!pid)
		_exit(-member_send_wait(member, other->id, other->generation, 3,
					IVRING_DEADLINE_NEVER));
	ASSERT_TRUE(SOON(LOAD(&other->inbox->room_wanted)));
	usleep(10000);
	ASSERT_EQ(0, freeze(true));
	EXPECT_TRUE(member_take(other, &item));
	EXPECT_TRUE(member_take(other, &item));
	EXPECT_EQ(0, dev_room(other->fd, IVRING_ID_ANY));
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	ASSERT_EQ(0, freeze(false));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(!variant->flush, member_pending(other));
	EXPECT_EQ(0, rmdir(GROUP));
}

/*
 * The freezer of cgroup v1 and that of the system freeze a task in the middle of its sleep.
 * Waiting senders pass wakeups on to each other, and must not depend on a frozen one.
 */

FIXTURE(frozen_crowd) {
	struct member member;
	struct member other;
	char root[32];
};

FIXTURE_VARIANT(frozen_crowd) {
	bool flush;
};

FIXTURE_VARIANT_ADD(frozen_crowd, room) { .flush = false };
FIXTURE_VARIANT_ADD(frozen_crowd, flush) { .flush = true };

FIXTURE_SETUP(frozen_crowd)
{
	freezer_setup(_metadata, (void *)self, NULL);
	strcpy(self->root, "/tmp/ivring-freezer-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->root));
}

FIXTURE_TEARDOWN(frozen_crowd)
{
	umount(self->root);
	rmdir(self->root);
	freezer_teardown(_metadata, (void *)self, NULL);
}

static int wait_for_reader(const struct member *member, const struct member *to, bool flush, __u64 deadline)
{
	if (flush)
		return dev_flush(member->fd, to->id, to->generation, to->start + 2, deadline);
	return member_send_wait(member, to->id, to->generation, 3, deadline);
}

TEST_F(frozen_crowd, holds_up_nobody)
{
	struct member *member = &self->member, *other = &self->other;
	char group[64], procs[96], state[96];
	struct ivring_item item;
	pid_t frozen[4], pid;
	__u64 start;
	int i;

	if (mount("none", self->root, "cgroup", 0, "freezer"))
		SKIP(return, "cgroup v1 with a freezer is not available");
	snprintf(group, sizeof(group), "%s/ivring", self->root);
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", group);
	snprintf(state, sizeof(state), "%s/freezer.state", group);
	ASSERT_EQ(0, mkdir(group, 0755));
	ASSERT_EQ(0, send(member, other, 1));
	ASSERT_EQ(0, send(member, other, 2));
	for (i = 0; i < 4; i++) {
		frozen[i] = child_fork();
		if (!frozen[i])
			_exit(write_text(procs, "0") ? 100 :
			      -wait_for_reader(member, other, variant->flush, IVRING_DEADLINE_NEVER));
	}
	ASSERT_TRUE(SOON(LOAD(&other->inbox->room_wanted)));
	usleep(50000);
	ASSERT_EQ(0, write_text(state, "FROZEN"));
	ASSERT_TRUE(SOON(contains(state, "FROZEN")));

	/* Another sender queues up behind the first ones. */
	pid = child_fork();
	if (!pid)
		_exit(-wait_for_reader(member, other, variant->flush, in_ms(LATE_MS * slowness)));
	ASSERT_TRUE(SOON(LOAD(&other->inbox->room_wanted)));
	usleep(50000);
	EXPECT_TRUE(member_take(other, &item));
	EXPECT_TRUE(member_take(other, &item));
	start = now();
	EXPECT_EQ(0, dev_room(other->fd, IVRING_ID_ANY));
	EXPECT_EQ(0, child_wait(pid));
	/* The sender was woken. Without that it would have looked at its deadline. */
	EXPECT_GT(LATE_MS * MSEC * slowness / 2, now() - start);

	/* The senders continue where they were. */
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, waitpid(frozen[i], NULL, WNOHANG));
	ASSERT_EQ(0, write_text(state, "THAWED"));
	for (i = 0; !variant->flush && i < 5; i++) {
		EXPECT_TRUE(SOON(member_take(other, &item)));
		EXPECT_EQ(0, dev_room(other->fd, IVRING_ID_ANY));
	}
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, child_wait(frozen[i]));
	EXPECT_EQ(0, rmdir(group));
}

/*
 * The freezer of the system stops all tasks, so the event is the end of a delay. It rings
 * the doorbell of a receiver that is frozen in its sleep.
 */

FIXTURE(suspend) {
	struct member member;
	struct member other;
};

FIXTURE_VARIANT(suspend) {
	const struct way *way;
};

FIXTURE_VARIANT_ADD(suspend, wait) { &way_wait };
FIXTURE_VARIANT_ADD(suspend, wait_armed) { &way_wait_armed };
FIXTURE_VARIANT_ADD(suspend, poll) { &way_poll };
FIXTURE_VARIANT_ADD(suspend, epoll_edge) { &way_epoll_edge };

FIXTURE_SETUP(suspend)
{
	freezer_setup(_metadata, (void *)self, NULL);
}

FIXTURE_TEARDOWN(suspend)
{
	freezer_teardown(_metadata, (void *)self, NULL);
}

#define TEST_DELAY	"/sys/module/suspend/parameters/pm_test_delay"

TEST_F(suspend, item_is_found_afterwards)
{
	struct member *other = &self->other;
	__u64 start, asleep;
	pid_t pid;

	if (write_text("/sys/power/pm_test", "freezer"))
		SKIP(return, "needs a kernel with CONFIG_PM_DEBUG");
	ASSERT_EQ(0, write_text(TEST_DELAY, "1"));
	STORE(&other->area->wake_items, 2);
	STORE(&other->area->wake_delay_us, 500000);
	pid = receiver(other, variant->way, child_fork);
	ASSERT_TRUE(SOON(member_state(other) == IVRING_IDLE));
	usleep(10000);
	EXPECT_EQ(0, send(&self->member, other, 7));
	EXPECT_EQ(IVRING_DELAYED, member_state(other));
	start = now();
	EXPECT_EQ(0, write_text("/sys/power/state", "freeze"));
	asleep = now() - start;
	EXPECT_EQ(0, write_text("/sys/power/pm_test", "none"));
	/* All tasks were frozen for a second, and the delay ended meanwhile. */
	EXPECT_LT(900 * MSEC, asleep);
	EXPECT_EQ(7, child_wait(pid));
	EXPECT_GT(LATE_MS * MSEC, now() - start - asleep);
	EXPECT_EQ(1, member_stats(other).delayed);
	TH_LOG("frozen for %llu ms", asleep / MSEC);
}

TEST_HARNESS_MAIN
