// SPDX-License-Identifier: GPL-2.0
/*
 * The end of a lane: IVRING_IOC_CLOSE_LANE, a member that leaves, and the members that can
 * open the next lane. lane_leave.c tests the same with processes that are killed.
 */
#include <sys/resource.h>

#include "ivring_test.h"
#include "lane.h"

#define ENTRIES	8

FIXTURE(lane_end) {
	struct member a;	/* sends to b */
	struct member b;
};

FIXTURE_SETUP(lane_end)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, 8, 4096));
}

FIXTURE_TEARDOWN(lane_end)
{
	member_close_pair(&self->a, &self->b);
}

/* The receiver closes the lane. The sender's calls fail until it opens another lane. */
TEST_F(lane_end, closed)
{
	__u32 *word = &self->b.area->lane[self->a.id].closed;
	struct lane_out out;

	ASSERT_EQ(0, lane_open(&out, &self->a, &self->b, ENTRIES));
	EXPECT_EQ(0, LOAD(&out.end->closed));
	ASSERT_EQ(0, lane_send(&out, 1));
	ASSERT_EQ(0, member_close_lane(&self->b, &self->a));
	EXPECT_NE(0, LOAD(&out.end->closed));
	EXPECT_EQ(-ECONNRESET, lane_doorbell(&out));
	EXPECT_EQ(-ECONNRESET, lane_flush(&out, out.next, IVRING_DEADLINE_NEVER));
	/* Items that were read before the lane was closed count as read. */
	EXPECT_EQ(0, lane_flush(&out, out.next - 1, 0));
	/* A receiver that overwrites the closed word does not reopen the lane. */
	STORE(word, 0);
	EXPECT_EQ(-ECONNRESET, lane_doorbell(&out));
	/* A sender that goes on writing its memory damages nothing. */
	lane_push(&out, &(struct ivring_item) { 0 });
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, 0, 0, NULL));
	lane_unmap(&out, &self->a);

	ASSERT_EQ(0, lane_open(&out, &self->a, &self->b, 2 * ENTRIES));
	EXPECT_EQ(0, LOAD(&out.end->closed));
	EXPECT_EQ(0, lane_doorbell(&out));
	EXPECT_EQ(0, lane_send(&out, 1));
	EXPECT_EQ(0, dev_wait(self->b.fd, 0, 0, NULL));
	lane_unmap(&out, &self->a);
}

TEST_F(lane_end, dead_receiver)
{
	struct member next;

	ASSERT_EQ(0, member_open_lane(&self->a, &self->b, ENTRIES));
	member_close(&self->b);
	EXPECT_EQ(-EPIPE, member_open_lane(&self->a, &self->b, ENTRIES));
	EXPECT_EQ(-EPIPE, member_doorbell(&self->a, &self->b));
	EXPECT_EQ(-EPIPE, member_flush_lane(&self->a, &self->b, -ENTRIES + 1, 0));
	/* The next member of the slot is another member, to which no lane was opened. */
	ASSERT_EQ(0, member_join_slot(&next, self->a.fd, self->b.id));
	EXPECT_EQ(-ESTALE, member_open_lane(&self->a, &self->b, ENTRIES));
	EXPECT_EQ(-ESTALE, member_doorbell(&self->a, &self->b));
	EXPECT_EQ(-ESTALE, member_flush_lane(&self->a, &self->b, -ENTRIES + 1, 0));
	EXPECT_EQ(-ENOENT, member_doorbell(&self->a, &next));
	EXPECT_EQ(0, next.lanes->lane[self->a.id].generation);
	EXPECT_EQ(0, member_open_lane(&self->a, &next, ENTRIES));
	EXPECT_EQ(0, member_doorbell(&self->a, &next));
	self->b = next;
}

/*
 * Items of a sender that has left can be read. The next member of its slot waits until the
 * lane is closed.
 */
TEST_F(lane_end, dead_sender)
{
	struct ivring_item item;
	struct lane_out out;
	struct lane_in in;
	struct member a;
	__u32 id;

	ASSERT_EQ(0, member_join(&a, self->b.fd));
	id = a.id;
	ASSERT_EQ(0, lane_open(&out, &a, &self->b, ENTRIES));
	ASSERT_EQ(0, lane_send(&out, 77));
	lane_unmap(&out, &a);
	member_close(&a);

	ASSERT_EQ(0, member_join_slot(&a, self->b.fd, id));
	EXPECT_EQ(-EBUSY, member_open_lane(&a, &self->b, ENTRIES));
	EXPECT_EQ(-ENOENT, member_doorbell(&a, &self->b));
	EXPECT_EQ(-ENOENT, member_close_lane(&self->b, &a));
	EXPECT_EQ(0, dev_wait(self->b.fd, 0, 0, NULL));
	ASSERT_EQ(0, lane_accept(&in, &self->b, id));
	EXPECT_EQ(a.generation - 2, in.generation);
	ASSERT_TRUE(lane_take(&in, &item));
	EXPECT_EQ(77, item.cookie);
	EXPECT_EQ(0, lane_close(&in));
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, 0, 0, NULL));

	EXPECT_EQ(0, member_open_lane(&a, &self->b, ENTRIES));
	EXPECT_EQ(a.generation, self->b.lanes->lane[id].generation);
	member_close(&a);
}

/* The next member of the sender's slot waits until the old lane is closed. */

FIXTURE(successor) {
	struct member b;	/* has a lane from a member that has left */
	struct member old;	/* the member that has left */
	struct member a;	/* has the slot of that member now */
	struct member c;	/* another member */
};

FIXTURE_SETUP(successor)
{
	ASSERT_EQ(0, member_create(&self->b, 4, 8, 4096));
	ASSERT_EQ(0, member_join(&self->c, self->b.fd));
	ASSERT_EQ(0, member_join(&self->old, self->b.fd));
	ASSERT_EQ(0, member_open_lane(&self->old, &self->b, ENTRIES));
	member_close(&self->old);
	ASSERT_EQ(0, member_join_slot(&self->a, self->b.fd, self->old.id));
}

FIXTURE_TEARDOWN(successor)
{
	member_close(&self->a);
	member_close(&self->b);
	member_close(&self->c);
}

static int open_lane_wait(const struct member *from, const struct member *to, __u64 deadline)
{
	return dev_open_lane_wait(from->fd, to->id, to->generation, ENTRIES, deadline);
}

/* Start a process that waits and exits with the error. */
static pid_t opener(const struct member *from, const struct member *to)
{
	pid_t pid = child_fork();

	if (!pid) {
		/* The process must not keep the receiver alive. */
		close(to->fd);
		_exit(-open_lane_wait(from, to, IVRING_DEADLINE_NEVER));
	}
	usleep(50000);
	return pid;
}

TEST_F(successor, waits)
{
	pid_t pid[3];
	int i, opened = 0, ret;

	for (i = 0; i < 3; i++)
		pid[i] = opener(&self->a, &self->b);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, waitpid(pid[i], NULL, WNOHANG));
	EXPECT_EQ(self->old.generation, self->b.lanes->lane[self->a.id].generation);
	/* Calls about room and progress do not end the wait. */
	EXPECT_EQ(0, dev_room(self->b.fd, self->a.id));
	EXPECT_EQ(-ETIMEDOUT, dev_wait(self->b.fd, 0, 0, NULL));
	EXPECT_EQ(0, waitpid(pid[0], NULL, WNOHANG));
	EXPECT_EQ(0, member_close_lane(&self->b, &self->old));
	for (i = 0; i < 3; i++) {
		/* The other processes find the lane of the first one, which is not mapped. */
		ret = child_wait(pid[i]);
		EXPECT_EQ(0, ret);
		opened += !ret;
	}
	EXPECT_EQ(3, opened);
	EXPECT_EQ(self->a.generation, self->b.lanes->lane[self->a.id].generation);
	EXPECT_EQ(0, member_doorbell(&self->a, &self->b));
}

TEST_F(successor, deadline)
{
	__u64 start = now();

	EXPECT_EQ(-EBUSY, member_open_lane(&self->a, &self->b, ENTRIES));
	EXPECT_EQ(-ETIMEDOUT, open_lane_wait(&self->a, &self->b, 0));
	EXPECT_EQ(-ETIMEDOUT, open_lane_wait(&self->a, &self->b, 1));
	EXPECT_EQ(-ETIMEDOUT, open_lane_wait(&self->a, &self->b, start));
	EXPECT_GT(SEC, now() - start);
	start = now();
	EXPECT_EQ(-ETIMEDOUT, open_lane_wait(&self->a, &self->b, start + 50 * MSEC));
	EXPECT_LE(50 * MSEC, now() - start);
	EXPECT_GT(2 * SEC, now() - start);
	EXPECT_EQ(self->old.generation, self->b.lanes->lane[self->a.id].generation);
}

/* No old lane is open, so there is nothing to wait for. */
TEST_F(successor, no_old_lane)
{
	EXPECT_EQ(0, open_lane_wait(&self->a, &self->c, 0));
	EXPECT_EQ(0, member_close_lane(&self->b, &self->old));
	EXPECT_EQ(0, open_lane_wait(&self->a, &self->b, 0));
}

/* Waiting does not help against an open lane of the caller's own. */
TEST_F(successor, own_lane)
{
	struct lane_out out;

	ASSERT_EQ(0, lane_open(&out, &self->a, &self->c, ENTRIES));
	EXPECT_EQ(-EBUSY, open_lane_wait(&self->a, &self->c, IVRING_DEADLINE_NEVER));
	lane_unmap(&out, &self->a);
}

static void no_action(int signal)
{
}

TEST_F(successor, signal)
{
	struct sigaction action = { .sa_handler = no_action };
	pid_t pid;

	sigaction(SIGUSR1, &action, NULL);
	pid = opener(&self->a, &self->b);
	kill(pid, SIGUSR1);
	EXPECT_EQ(EINTR, child_wait(pid));

	action.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &action, NULL);
	pid = opener(&self->a, &self->b);
	kill(pid, SIGUSR1);
	usleep(50000);
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	EXPECT_EQ(0, member_close_lane(&self->b, &self->old));
	EXPECT_EQ(0, child_wait(pid));
}

TEST_F(successor, receiver_leaves)
{
	pid_t pid = opener(&self->a, &self->b);

	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	member_close(&self->b);
	EXPECT_EQ(EPIPE, child_wait(pid));
	ASSERT_EQ(0, member_join_slot(&self->b, self->a.fd, self->b.id));
}

/* Meanwhile others that share the file open lanes with it. */
TEST_F(successor, file_is_free)
{
	pid_t pid = opener(&self->a, &self->b);
	__u64 start = now();

	EXPECT_EQ(0, member_open_lane(&self->a, &self->c, ENTRIES));
	EXPECT_EQ(-EBUSY, member_open_lane(&self->a, &self->b, ENTRIES));
	EXPECT_GT(5 * SEC, now() - start);
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(pid));
}

/* Both members leave, in either order. The next members of both slots can open a lane at once. */
TEST_F(lane_end, both_dead)
{
	struct member c, d;
	int i;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, member_join_slot(&c, self->a.fd, 2));
		ASSERT_EQ(0, member_join_slot(&d, self->a.fd, 3));
		ASSERT_EQ(0, member_open_lane(&c, &d, ENTRIES));
		ASSERT_EQ(0, member_open_lane(&d, &c, ENTRIES));
		ASSERT_EQ(0, member_open_lane(&d, &d, ENTRIES));
		member_close(i % 2 ? &c : &d);
		member_close(i % 2 ? &d : &c);
	}
}

/* Until its sender has mapped the lane, the same call succeeds again and opens the same lane. */
TEST_F(lane_end, never_mapped)
{
	const size_t size = lane_size(IVRING_MAX_LANE_ENTRIES);
	struct member *a = &self->a, *b = &self->b;
	struct rlimit limit, old;
	struct lane_out out;
	struct lane_in in;
	__u32 changes;
	void *p;

	ASSERT_EQ(0, dev_open_lane(a->fd, b->id, b->generation, IVRING_MAX_LANE_ENTRIES));
	ASSERT_EQ(0, lane_accept(&in, b, a->id));
	changes = LOAD(&b->lanes->changes);

	/* The mapping fails because the process has no room for it. */
	ASSERT_EQ(0, getrlimit(RLIMIT_AS, &old));
	limit = old;
	limit.rlim_cur = size;
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));
	p = dev_map(a->fd, size, PROT_READ | PROT_WRITE, IVRING_MAP_LANE_TO(b->id));
	limit.rlim_cur = errno;
	setrlimit(RLIMIT_AS, &old);
	ASSERT_EQ(MAP_FAILED, p);
	EXPECT_EQ(ENOMEM, limit.rlim_cur);
	EXPECT_EQ(0, map_refused(EINVAL, a->fd, size + PAGE, PROT_READ, MAP_SHARED,
				 IVRING_MAP_LANE_TO(b->id)));

	/* With another size it would be another lane. */
	EXPECT_EQ(-EBUSY, member_open_lane(a, b, ENTRIES));
	ASSERT_EQ(0, lane_open(&out, a, b, IVRING_MAX_LANE_ENTRIES));
	EXPECT_EQ(changes, LOAD(&b->lanes->changes));
	ASSERT_EQ(0, lane_send(&out, 7));
	EXPECT_EQ(1, lane_pending(&in));
	EXPECT_EQ(-EBUSY, dev_open_lane(a->fd, b->id, b->generation, IVRING_MAX_LANE_ENTRIES));
	lane_unmap(&out, a);
	EXPECT_EQ(-EBUSY, dev_open_lane(a->fd, b->id, b->generation, IVRING_MAX_LANE_ENTRIES));
	EXPECT_EQ(0, lane_close(&in));
	EXPECT_EQ(0, member_open_lane(a, b, ENTRIES));
}

/* A lane is closed while its sender sleeps. Its items stay unread if another lane follows. */
TEST_F(lane_end, closed_for_one_that_sleeps)
{
	struct member *a = &self->a, *b = &self->b;
	__u64 end = now() + SEC;
	struct lane_in in;
	pid_t pid;
	int i;

	for (i = 0; i < 20 || now() < end; i++) {
		ASSERT_EQ(0, member_open_lane(a, b, ENTRIES));
		ASSERT_EQ(0, lane_accept(&in, b, a->id));
		pid = child_fork();
		if (!pid)
			_exit(-dev_flush_lane(a->fd, b->id, b->generation, -ENTRIES + 1,
					      IVRING_DEADLINE_NEVER));
		ASSERT_TRUE(SOON(LOAD(&in.ring->room_wanted)));
		usleep(i % 300);
		ASSERT_EQ(0, lane_close(&in));
		/* The indices of the next lane start elsewhere. */
		ASSERT_EQ(0, dev_open_lane(a->fd, b->id, b->generation, 2));
		ASSERT_EQ(ECONNRESET, child_wait(pid));
		ASSERT_EQ(0, member_close_lane(b, a));
	}
}

static __u32 race_id, race_generation;
static __u32 *race_entries;

/* Each process asks for a lane of another size. */
static int open_one(int fd)
{
	__u32 entries = __atomic_fetch_add(race_entries, 1, __ATOMIC_RELAXED);

	return dev_open_lane(fd, race_id, race_generation, 2 << entries % 8);
}

TEST_F(lane_end, race_to_open)
{
	__u32 changes;
	int i;

	race_entries = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, race_entries);
	race_id = self->b.id;
	race_generation = self->b.generation;
	for (i = 0; i < 10; i++) {
		changes = LOAD(&self->b.lanes->changes);
		ASSERT_EQ(1, race(open_one, self->a.fd, -EBUSY));
		ASSERT_EQ(changes + 1, LOAD(&self->b.lanes->changes));
		ASSERT_EQ(0, member_close_lane(&self->b, &self->a));
	}
}

static int close_one(int fd)
{
	return dev_close_lane(fd, race_id, race_generation);
}

TEST_F(lane_end, race_to_close)
{
	int i;

	race_id = self->a.id;
	race_generation = self->a.generation;
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, member_open_lane(&self->a, &self->b, ENTRIES));
		ASSERT_EQ(1, race(close_one, self->b.fd, -ENOENT));
	}
}

/* The same two members close and open the lane at the same moment. */
TEST_F(lane_end, race_to_reopen)
{
	__u32 changes = LOAD(&self->b.lanes->changes);
	__u64 end = now() + SEC;
	pid_t pid;
	int ret;

	pid = child_fork();
	if (!pid) {
		for (;;) {
			ret = member_close_lane(&self->b, &self->a);
			if (ret && ret != -ENOENT)
				_exit(1);
		}
	}
	while (now() < end) {
		ret = member_open_lane(&self->a, &self->b, ENTRIES);
		ASSERT_EQ(0, ret);
	}
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(pid));
	EXPECT_LT(20, LOAD(&self->b.lanes->changes) - changes);
	member_close_lane(&self->b, &self->a);
	EXPECT_EQ(0, member_open_lane(&self->a, &self->b, ENTRIES));
}

/*
 * The next member of the slot opens its lane at the moment at which the old one is closed.
 * The lane is open, and its indices start where those of a new lane start.
 */
TEST_F(lane_end, race_to_follow)
{
	enum { SLOT = 2 };
	struct ivring_lane_end *end = &self->b.area->lane[SLOT];
	struct member c, next;
	int i, ret, busy = 0;
	pid_t pid;

	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, member_join_slot(&c, self->a.fd, SLOT));
		ASSERT_EQ(0, member_open_lane(&c, &self->b, ENTRIES));
		member_close(&c);
		ASSERT_EQ(0, member_join_slot(&next, self->a.fd, SLOT));
		pid = child_fork();
		if (!pid) {
			usleep(200);
			_exit(member_close_lane(&self->b, &c));
		}
		while ((ret = member_open_lane(&next, &self->b, ENTRIES)) == -EBUSY)
			busy = i;
		ASSERT_EQ(0, ret);
		ASSERT_EQ(0, child_wait(pid));
		ASSERT_EQ(0, LOAD(&end->closed));
		ASSERT_EQ(-ENTRIES, (int)LOAD(&end->consumer));
		ASSERT_EQ(next.generation, self->b.lanes->lane[SLOT].generation);
		member_close(&next);
		ASSERT_EQ(0, member_close_lane(&self->b, &next));
	}
	EXPECT_LT(0, busy);
}

TEST_HARNESS_MAIN
