// SPDX-License-Identifier: GPL-2.0
/*
 * A member leaves, in every way: its slot is free at once, members that wait for it or send
 * to it get an error, the others are notified, and the next member of the slot gets nothing
 * of it.
 */
#include "ivring_test.h"

#define ENTRIES	4
#define SLOT	2

/* A process with a member in SLOT that leaves. */
struct leaver {
	pid_t pid;
	int command;		/* a pipe to the process */
	int reply;		/* a pipe from the process */
	__u32 generation;
};

FIXTURE(leave) {
	struct member member;	/* stays attached */
	struct leaver other;
};

FIXTURE_VARIANT(leave) {
	char how;
};

FIXTURE_VARIANT_ADD(leave, close) { .how = 'c' };
FIXTURE_VARIANT_ADD(leave, exit) { .how = 'e' };
FIXTURE_VARIANT_ADD(leave, kill) { .how = 'k' };
FIXTURE_VARIANT_ADD(leave, exec) { .how = 'x' };

/*
 * The process obeys commands: 'c' closes, 'e' exits, 'x' calls exec(), 'r' reports when a
 * sender waits for it.
 */
static void run_leaver(int region_fd, int command, int reply)
{
	char c = 'a';
	struct member member;

	if (member_join_slot(&member, region_fd, SLOT))
		_exit(1);
	close(region_fd);
	do {
		(void)!write(reply, &c, 1);
		if (read(command, &c, 1) != 1)
			_exit(2);
		if (c == 'c')
			member_close(&member);
		if (c == 'e')
			_exit(0);
		if (c == 'x')
			execlp("sleep", "sleep", "100", NULL);
	} while (c != 'r' || SOON(LOAD(&member.inbox->room_wanted)));
	_exit(3);
}

FIXTURE_SETUP(leave)
{
	int command[2], reply[2];
	char c = 0;

	ASSERT_EQ(0, member_create(&self->member, 4, ENTRIES, 4096));
	ASSERT_EQ(0, pipe2(command, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(reply, O_CLOEXEC));
	self->other.pid = child_fork();
	if (!self->other.pid) {
		close(command[1]);
		close(reply[0]);
		run_leaver(self->member.fd, command[0], reply[1]);
	}
	close(command[0]);
	close(reply[1]);
	self->other.command = command[1];
	self->other.reply = reply[0];
	ASSERT_EQ(1, read(self->other.reply, &c, 1));
	self->other.generation = member_generation(&self->member, SLOT);
	ASSERT_EQ(1, self->other.generation % 2);
	member_see_members(&self->member);
}

FIXTURE_TEARDOWN(leave)
{
	member_close(&self->member);
	close(self->other.command);
	close(self->other.reply);
	kill(self->other.pid, SIGKILL);
}

/* Send a command to the process, and wait until it is done. */
static void tell(const struct leaver *other, char c)
{
	(void)!write(other->command, &c, 1);
	(void)!read(other->reply, &c, 1);
}

/* Make the member leave. It has left when this returns. */
static void leave(const struct leaver *other, char how)
{
	if (how == 'k')
		kill(other->pid, SIGKILL);
	else
		tell(other, how);
	if (how != 'c' && how != 'x')
		child_wait(other->pid);
}

static int send(const struct member *member, const struct leaver *to)
{
	return member_send(member, SLOT, to->generation, 1);
}

/* Start processes that wait for the leaving member without holding its file. */
static pid_t blocked_sender(const struct member *member, const struct leaver *to)
{
	pid_t pid = child_fork();

	if (!pid)
		_exit(-member_send_wait(member, SLOT, to->generation, 1,
					IVRING_DEADLINE_NEVER));
	return pid;
}

static pid_t blocked_flush(const struct member *member, const struct leaver *to)
{
	pid_t pid = child_fork();

	if (!pid)
		_exit(-dev_flush(member->fd, SLOT, to->generation, member->start + 1,
				 IVRING_DEADLINE_NEVER));
	return pid;
}

TEST_F(leave, generation)
{
	__u32 members = member_changes_word(&self->member);
	struct ivring_member_info v = { .id = SLOT };
	struct ivring_info info;

	leave(&self->other, variant->how);
	EXPECT_EQ(self->other.generation + 1, member_generation(&self->member, SLOT));
	EXPECT_NE(members, member_changes_word(&self->member));
	ASSERT_EQ(0, dev_ioctl(self->member.fd, IVRING_IOC_MEMBER_INFO, &v));
	EXPECT_EQ(self->other.generation + 1, v.generation);
	ASSERT_EQ(0, dev_ioctl(self->member.fd, IVRING_IOC_INFO, &info));
	EXPECT_EQ(1, info.attached);
}

TEST_F(leave, send)
{
	struct member next;

	ASSERT_EQ(0, send(&self->member, &self->other));
	leave(&self->other, variant->how);
	EXPECT_EQ(-EPIPE, send(&self->member, &self->other));
	EXPECT_EQ(-EPIPE, member_send_wait(&self->member, SLOT, self->other.generation, 1,
					   IVRING_DEADLINE_NEVER));
	/* The slot can be taken at once. */
	ASSERT_EQ(0, member_join_slot(&next, self->member.fd, SLOT));
	EXPECT_EQ(self->other.generation + 2, next.generation);
	EXPECT_EQ(-ESTALE, send(&self->member, &self->other));
	EXPECT_EQ(-ESTALE, dev_flush(self->member.fd, SLOT, self->other.generation,
				     self->member.start + 1, IVRING_DEADLINE_NEVER));
	EXPECT_EQ(0, member_send(&self->member, SLOT, next.generation, 5));
	member_close(&next);
}

TEST_F(leave, successor_gets_nothing)
{
	struct ivring_item item;
	struct member next;
	int i;

	for (i = 0; i < ENTRIES; i++)
		ASSERT_EQ(0, send(&self->member, &self->other));
	leave(&self->other, variant->how);
	ASSERT_EQ(0, member_join_slot(&next, self->member.fd, SLOT));
	EXPECT_EQ(next.start, next.area->inbox_consumer);
	EXPECT_EQ(0, memcmp(&next.inbox->item[0],
			    &(struct ivring_item) { 0 }, sizeof(item)));
	EXPECT_EQ(-ETIMEDOUT, dev_wait(next.fd, 0, 0, NULL));
	EXPECT_EQ(0, member_stats(&next).items_in);
	EXPECT_EQ(0, member_send(&self->member, SLOT, next.generation, 5));
	EXPECT_TRUE(member_take(&next, &item));
	EXPECT_EQ(5, item.cookie);
	member_close(&next);
}

TEST_F(leave, blocked_sender)
{
	pid_t pid[3];
	int i;

	for (i = 0; i < ENTRIES; i++)
		ASSERT_EQ(0, send(&self->member, &self->other));
	for (i = 0; i < 3; i++)
		pid[i] = blocked_sender(&self->member, &self->other);
	tell(&self->other, 'r');
	usleep(20000);
	leave(&self->other, variant->how);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(EPIPE, child_wait(pid[i]));
}

TEST_F(leave, blocked_flush)
{
	pid_t pid;

	ASSERT_EQ(0, send(&self->member, &self->other));
	pid = blocked_flush(&self->member, &self->other);
	tell(&self->other, 'r');
	leave(&self->other, variant->how);
	EXPECT_EQ(EPIPE, child_wait(pid));
}

/* The other members are notified in every way to sleep. */

TEST_F(leave, wait_returns)
{
	__u64 start = now();
	__u32 events = 0;
	pid_t pid = child_fork();

	if (!pid) {
		usleep(20000);
		leave(&self->other, variant->how);
		_exit(0);
	}
	EXPECT_EQ(0, dev_wait(self->member.fd, IVRING_WAIT_MEMBERS, in_ms(10000), &events));
	EXPECT_EQ(IVRING_EVENT_MEMBERS, events);
	EXPECT_GT(5 * SEC, now() - start);
	EXPECT_EQ(self->other.generation + 1, member_generation(&self->member, SLOT));
	child_wait(pid);
}

TEST_F(leave, poll_returns)
{
	struct pollfd p = { .fd = self->member.fd, .events = POLLPRI };
	__u64 start = now();
	pid_t pid = child_fork();

	if (!pid) {
		usleep(20000);
		leave(&self->other, variant->how);
		_exit(0);
	}
	EXPECT_EQ(1, poll(&p, 1, 10000));
	EXPECT_EQ(POLLPRI, p.revents);
	EXPECT_GT(5 * SEC, now() - start);
	child_wait(pid);
}

/* The items of the member can still be read. */
TEST_F(leave, items_can_still_be_read)
{
	struct ivring_item item;
	struct member next;

	ASSERT_EQ(0, member_join(&next, self->member.fd));
	ASSERT_EQ(0, member_send(&next, self->member.id, self->member.generation, 77));
	member_close(&next);
	leave(&self->other, variant->how);
	EXPECT_EQ(0, dev_wait(self->member.fd, 0, 0, NULL));
	EXPECT_TRUE(member_take(&self->member, &item));
	EXPECT_EQ(77, item.cookie);
	EXPECT_EQ(next.id, item.from);
	EXPECT_EQ(next.generation, item.from_gen);
}

/* What keeps a member attached. */

FIXTURE(alive) {
	struct member a;
	struct member b;
};

FIXTURE_SETUP(alive)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, ENTRIES, 4096));
}

FIXTURE_TEARDOWN(alive)
{
	member_close(&self->a);
}

static int ping(struct member *from, struct member *to)
{
	return member_send(from, to->id, to->generation, 1);
}

TEST_F(alive, duplicate)
{
	int copy = dup(self->b.fd);

	member_close(&self->b);
	EXPECT_EQ(0, ping(&self->a, &self->b));
	self->b.fd = copy;
	EXPECT_EQ(0, ping(&self->b, &self->a));
	close(copy);
	EXPECT_EQ(-EPIPE, ping(&self->a, &self->b));
}

TEST_F(alive, mapping)
{
	void *map[3] = { (void *)self->b.region, (void *)self->b.inbox, self->b.area };
	size_t size[3] = { self->b.region_size, self->b.inbox_size, self->b.area_size };
	int i;

	close(self->b.fd);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, ping(&self->a, &self->b));
		munmap(map[i], size[i]);
	}
	EXPECT_EQ(-EPIPE, ping(&self->a, &self->b));
	munmap(self->b.outbox, self->b.outbox_size);
}

TEST_F(alive, child)
{
	int end[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(end));
	pid = child_fork();
	if (!pid) {
		close(end[1]);
		_exit(read(end[0], &c, 1));
	}
	member_close(&self->b);
	EXPECT_EQ(0, ping(&self->a, &self->b));
	close(end[1]);
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(-EPIPE, ping(&self->a, &self->b));
}

TEST_F(alive, not_when_killed_asleep)
{
	const struct ivring_member_area *area;
	struct member member;
	pid_t pid;

	pid = child_fork();
	if (!pid) {
		if (member_join_slot(&member, self->a.fd, 3))
			_exit(1);
		dev_wait(member.fd, 0, IVRING_DEADLINE_NEVER, NULL);
		_exit(2);
	}
	ASSERT_TRUE(SOON(member_generation(&self->a, 3) == 1));
	area = member_peer(&self->a, 3);
	ASSERT_NE(MAP_FAILED, area);
	ASSERT_TRUE(SOON(LOAD(&area->state) == IVRING_IDLE));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(pid));
	EXPECT_EQ(-EPIPE, member_send(&self->a, 3, 1, 1));
	munmap((void *)area, self->a.area_size);
	member_close(&self->b);
}

TEST_F(alive, hundred_generations)
{
	__u32 id = self->b.id, generation = self->b.generation;
	struct ivring_item item;
	int i;

	for (i = 0; i < 100; i++) {
		member_close(&self->b);
		ASSERT_EQ(generation + 1 + 2 * i, member_generation(&self->a, id));
		ASSERT_EQ(0, member_join_slot(&self->b, self->a.fd, id));
		ASSERT_EQ(generation + 2 + 2 * i, self->b.generation);
		ASSERT_EQ(0, ping(&self->a, &self->b));
		ASSERT_EQ(0, ping(&self->b, &self->a));
		ASSERT_TRUE(member_take(&self->a, &item));
		ASSERT_EQ(id, item.from);
		ASSERT_EQ(self->b.generation, item.from_gen);
	}
	member_close(&self->b);
}

TEST_HARNESS_MAIN
