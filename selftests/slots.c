// SPDX-License-Identifier: GPL-2.0
/*
 * No slot is lost: there are as many as before, however an attempt to take one ends, and
 * however its member leaves.
 */
#include "ivring_test.h"
#include "fdpass.h"
#include "lane.h"

#define SLOTS	4

FIXTURE(slots) {
	struct member member;	/* in slot 0 */
	__u64 seed;
};

FIXTURE_SETUP(slots)
{
	ASSERT_EQ(0, member_create(&self->member, SLOTS, 2, 4096));
	self->seed = rng_seed();
}

FIXTURE_TEARDOWN(slots)
{
	member_close(&self->member);
}

/*
 * Whether there was a slot for the member. io_uring and sockets release files some time
 * later. Sockets that were closed while the kernel collected garbage release them only when
 * another socket is closed.
 */
static bool joins(struct member *other, const struct member *member)
{
	if (member_join(other, member->fd) != -ENOSPC)
		return true;
	close(socket(AF_UNIX, SOCK_DGRAM, 0));
	return false;
}

/* Whether all slots but the first can be taken, and no more. */
static bool are_free(const struct member *member)
{
	struct member other[SLOTS];
	bool good = true;
	int i;

	for (i = 1; i < SLOTS; i++)
		good &= SOON(joins(&other[i], member));
	good &= member_join(&other[0], member->fd) == -ENOSPC;
	for (i = 1; i < SLOTS; i++)
		if (other[i].fd >= 0)
			member_close(&other[i]);
	return good;
}

/* Make each attempt that fails, more often than there are slots. */
TEST_F(slots, after_failed_attach)
{
	struct ivring_attach *readonly = fenced_pages(1), a;
	struct ivring_create c = create_args(1, 2, 4096);
	int fd = dev_open(), other = dev_open(), i;

	*readonly = attach_args(self->member.fd, IVRING_ID_ANY);
	mprotect(readonly, PAGE, PROT_READ);
	ASSERT_EQ(0, dev_ioctl(other, IVRING_IOC_CREATE, &c));
	for (i = 0; i < 3 * SLOTS; i++) {
		/* These fail after the kernel has found a slot. */
		ASSERT_EQ(-EFAULT, dev_ioctl(fd, IVRING_IOC_ATTACH, readonly));
		a = attach_args(self->member.fd, 0);
		ASSERT_EQ(-EBUSY, dev_ioctl(fd, IVRING_IOC_ATTACH, &a));
		a = attach_args(self->member.fd, SLOTS);
		ASSERT_EQ(-EINVAL, dev_ioctl(fd, IVRING_IOC_ATTACH, &a));
		a = attach_args(self->member.fd, 1);
		a.flags = 1U << 31;
		ASSERT_EQ(-EINVAL, dev_ioctl(fd, IVRING_IOC_ATTACH, &a));
		a = attach_args(self->member.fd, 1);
		ASSERT_EQ(-EBUSY, dev_ioctl(other, IVRING_IOC_ATTACH, &a));
	}
	close(fd);
	close(other);
	EXPECT_TRUE(are_free(&self->member));
	EXPECT_EQ(1, member_generation(&self->member, 0));
}

/* A process is killed at any point between open() and its first item. */
TEST_F(slots, after_killed_attach)
{
	__u64 end = now() + 3 * SEC;
	__u32 before = member_changes_word(&self->member);
	int lives;
	pid_t pid;

	for (lives = 0; now() < end; lives++) {
		rng_below(1);
		pid = child_fork();
		if (!pid) {
			struct member member;

			for (;;) {
				if (member_join(&member, self->member.fd))
					_exit(1);
				member_send(&member, 0, 1, 1);
				member_close(&member);
			}
		}
		usleep(rng_below(5000));
		kill(pid, SIGKILL);
		ASSERT_EQ(-SIGKILL, child_wait(pid));
		if (lives % 16 == 0)
			ASSERT_TRUE(are_free(&self->member));
	}
	EXPECT_TRUE(are_free(&self->member));
	EXPECT_LT(10, lives);
	EXPECT_LT(10, member_changes_word(&self->member) - before);
	TH_LOG("seed %#llx: %d processes, %u comings and goings", self->seed, lives,
	       member_changes_word(&self->member) - before);
}

/* Many processes try at once to take a few slots. A process that gets none has taken none. */
TEST_F(slots, after_a_race)
{
	enum { RACERS = 6 };
	__u64 end = now() + 3 * SEC, *won;
	pid_t pid[RACERS];
	int i;

	won = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < RACERS; i++) {
		rng_below(1);
		pid[i] = child_fork();
		if (pid[i])
			continue;
		rng += i;
		while (now() < end) {
			struct member member;
			int ret = member_join_slot(&member, self->member.fd, rng_below(2) ?
						   IVRING_ID_ANY : 1 + rng_below(SLOTS - 1));

			__atomic_fetch_add(&won[!ret], 1, __ATOMIC_RELAXED);
			if (!ret) {
				spin(rng_below(10000));
				member_close(&member);
			} else if (ret != -ENOSPC && ret != -EBUSY) {
				_exit(-ret);
			}
		}
		_exit(0);
	}
	for (i = 0; i < RACERS; i++)
		EXPECT_EQ(0, child_wait(pid[i]));
	EXPECT_TRUE(are_free(&self->member));
	EXPECT_LT(10, won[0]);
	EXPECT_LT(10, won[1]);
	TH_LOG("seed %#llx: %llu attached, %llu did not", self->seed, won[1], won[0]);
}

/* Only a socket holds the file, and only a message in that socket holds the socket. */
TEST_F(slots, in_a_cycle_of_sockets)
{
	int i, socket[2];
	struct member member;

	for (i = 0; i < 3 * SLOTS; i++) {
		ASSERT_TRUE(SOON(joins(&member, &self->member)));
		ASSERT_LE(0, member.fd);
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, socket));
		ASSERT_EQ(0, pass_fds(socket[0], (int[]) { member.fd, socket[1] }, 2));
		member_close(&member);
		close(socket[0]);
		close(socket[1]);
	}
	EXPECT_TRUE(are_free(&self->member));
}

/*
 * Lanes of members that have left take no slots, and their own places are free again when
 * they are closed.
 */
TEST_F(slots, after_lanes_of_the_dead)
{
	struct member member;
	int i;

	for (i = 0; i < 3 * SLOTS; i++) {
		ASSERT_EQ(0, member_join_slot(&member, self->member.fd, 1));
		ASSERT_EQ(0, dev_open_lane(member.fd, 0, 1, 8));
		ASSERT_EQ(0, dev_open_lane(self->member.fd, 1, member.generation, 8));
		ASSERT_EQ(0, dev_open_lane(member.fd, 1, member.generation, 8));
		member_close(&member);
		ASSERT_TRUE(are_free(&self->member));
		ASSERT_EQ(0, dev_close_lane(self->member.fd, 1, member.generation));
	}
}

TEST_HARNESS_MAIN
