// SPDX-License-Identifier: GPL-2.0
/*
 * A task sleeps for a member that leaves because its process ends. The task wakes at once,
 * and gets the error that every later call gets.
 */
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "process.h"

#define ENTRIES	8
#define OWNER	0		/* slot of the member that creates the region and never reads */

/*
 * Called in a process that has the descriptor of the member in SLOT. Returns the result of
 * a call that sleeps: 0 or -errno.
 */
typedef int (*sleeper_t)(struct shared *shared, int fd);

FIXTURE(process_sleep) {
	struct member member;	/* in slot OWNER */
	struct shared *shared;
	pid_t attacher;
};

FIXTURE_VARIANT(process_sleep) {
	sleeper_t sleeper;
	bool old_lane;		/* an earlier member in SLOT has a lane that is still open */
	int result;		/* 0 stands for -EOWNERDEAD */
};

FIXTURE_SETUP(process_sleep)
{
	ASSERT_EQ(0, member_create(&self->member, 4, ENTRIES, 4096));
	self->shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	self->attacher = 0;
}

FIXTURE_TEARDOWN(process_sleep)
{
	STORE(&self->shared->close, true);
	if (self->attacher > 0) {
		kill(self->attacher, SIGKILL);
		waitpid(self->attacher, NULL, 0);
	}
	member_close(&self->member);
	munmap(self->shared, PAGE);
}

/* Sleep for items of the member itself. */

static int in_wait(struct shared *shared, int fd)
{
	STORE(&shared->sleeps, true);
	return dev_wait(fd, 0, IVRING_DEADLINE_NEVER, NULL);
}

static struct ivring_member_area *map_area(int fd)
{
	return dev_map(fd, PAGE, PROT_READ | PROT_WRITE, IVRING_MAP_MEMBER);
}

static int in_armed_wait(struct shared *shared, int fd)
{
	STORE(&map_area(fd)->state, IVRING_IDLE);
	STORE(&shared->sleeps, true);
	return dev_wait(fd, IVRING_WAIT_ARMED, IVRING_DEADLINE_NEVER, NULL);
}

static void *arm_all_the_time(void *area)
{
	for (;;)
		STORE(&((struct ivring_member_area *)area)->state, IVRING_IDLE);
	return NULL;
}

/* Many tasks sleep at once. Return a result that is not -EOWNERDEAD, if there is one. */

struct one_of_many {
	pthread_t thread;
	int fd;
	int result;
};

static int with_others(struct shared *shared, int fd, void *(*call)(void *one))
{
	struct one_of_many all[64];
	unsigned int i;
	int result = -EOWNERDEAD;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		all[i].fd = fd;
		pthread_create(&all[i].thread, NULL, call, &all[i]);
	}
	STORE(&shared->sleeps, true);
	for (i = 0; i < ARRAY_SIZE(all); i++) {
		pthread_join(all[i].thread, NULL);
		if (all[i].result != -EOWNERDEAD)
			result = all[i].result;
	}
	return result;
}

static void *wait_armed_with_others(void *data)
{
	struct one_of_many *one = data;

	one->result = dev_wait(one->fd, IVRING_WAIT_ARMED, IVRING_DEADLINE_NEVER, NULL);
	return NULL;
}

/* Another thread arms at the moment at which the member leaves. */
static int in_armed_wait_of_many(struct shared *shared, int fd)
{
	struct ivring_member_area *area = map_area(fd);
	pthread_t thread;

	STORE(&area->state, IVRING_IDLE);
	pthread_create(&thread, NULL, arm_all_the_time, area);
	return with_others(shared, fd, wait_armed_with_others);
}

static int in_poll(struct shared *shared, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	STORE(&shared->sleeps, true);
	return poll(&p, 1, -1) == 1 && p.revents == (POLLERR | POLLHUP) ? -EOWNERDEAD : -EIO;
}

static int in_epoll(struct shared *shared, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epfd = epoll_create1(0);

	epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event);
	STORE(&shared->sleeps, true);
	return epoll_wait(epfd, &event, 1, -1) == 1 && event.events == (EPOLLERR | EPOLLHUP) ?
	       -EOWNERDEAD : -EIO;
}

static int in_eventfd(struct shared *shared, int fd)
{
	int efd = eventfd(0, 0);
	eventfd_t value;

	if (dev_eventfd(fd, efd))
		return -EIO;
	STORE(&map_area(fd)->state, IVRING_IDLE);
	STORE(&shared->sleeps, true);
	return eventfd_read(efd, &value) ? -EIO : dev_room(fd, IVRING_ID_ANY);
}

/* Sleep for the progress of a reader. The generation of both members is 1. */

static int enqueue(int fd, __u32 to, __u32 count)
{
	struct ivring_item items[ENTRIES + 1] = {};
	struct ivring_enqueue e = enqueue_args(to, 1, items, count);
	int ret;

	e.flags = IVRING_ENQUEUE_WAIT;
	e.deadline = IVRING_DEADLINE_NEVER;
	ret = dev_ioctl(fd, IVRING_IOC_ENQUEUE, &e);
	return ret || e.done == count ? ret : e.done == ENTRIES ? -ENOSPC : -EIO;
}

static int enqueue_full(struct shared *shared, int fd, __u32 to)
{
	if (enqueue(fd, to, ENTRIES))
		return -EIO;
	STORE(&shared->sleeps, true);
	return enqueue(fd, to, 1);
}

static int in_enqueue(struct shared *shared, int fd)
{
	return enqueue_full(shared, fd, OWNER);
}

static int in_enqueue_to_itself(struct shared *shared, int fd)
{
	return enqueue_full(shared, fd, SLOT);
}

/* Items that were put into the inbox stay there. */
static int in_enqueue_of_more(struct shared *shared, int fd)
{
	STORE(&shared->sleeps, true);
	return enqueue(fd, OWNER, ENTRIES + 1);
}

static int flush_one(struct shared *shared, int fd, __u32 to)
{
	if (enqueue(fd, to, 1))
		return -EIO;
	STORE(&shared->sleeps, true);
	return dev_flush(fd, to, 1, -ENTRIES + 1, IVRING_DEADLINE_NEVER);
}

static int in_flush(struct shared *shared, int fd)
{
	return flush_one(shared, fd, OWNER);
}

static int in_flush_of_itself(struct shared *shared, int fd)
{
	return flush_one(shared, fd, SLOT);
}

static int flush_lane(struct shared *shared, int fd, __u32 to)
{
	if (dev_open_lane(fd, to, 1, ENTRIES))
		return -EIO;
	STORE(&shared->sleeps, true);
	return dev_flush_lane(fd, to, 1, -ENTRIES + 1, IVRING_DEADLINE_NEVER);
}

static int in_flush_of_lane(struct shared *shared, int fd)
{
	return flush_lane(shared, fd, OWNER);
}

static int in_flush_of_own_lane(struct shared *shared, int fd)
{
	return flush_lane(shared, fd, SLOT);
}

static int in_open_lane(struct shared *shared, int fd)
{
	STORE(&shared->sleeps, true);
	return dev_open_lane_wait(fd, OWNER, 1, ENTRIES, IVRING_DEADLINE_NEVER);
}

static void *flush_with_others(void *data)
{
	struct one_of_many *one = data;

	one->result = dev_flush(one->fd, OWNER, 1, -ENTRIES + 1, IVRING_DEADLINE_NEVER);
	return NULL;
}

static int in_many_flushes(struct shared *shared, int fd)
{
	return enqueue(fd, OWNER, 1) ?: with_others(shared, fd, flush_with_others);
}

FIXTURE_VARIANT_ADD(process_sleep, wait) { in_wait };
FIXTURE_VARIANT_ADD(process_sleep, armed_wait) { in_armed_wait };
FIXTURE_VARIANT_ADD(process_sleep, armed_wait_of_many) { in_armed_wait_of_many };
FIXTURE_VARIANT_ADD(process_sleep, poll) { in_poll };
FIXTURE_VARIANT_ADD(process_sleep, epoll) { in_epoll };
FIXTURE_VARIANT_ADD(process_sleep, eventfd) { in_eventfd };
FIXTURE_VARIANT_ADD(process_sleep, enqueue) { in_enqueue };
FIXTURE_VARIANT_ADD(process_sleep, enqueue_to_itself) { in_enqueue_to_itself };
FIXTURE_VARIANT_ADD(process_sleep, enqueue_of_more) { in_enqueue_of_more, .result = -ENOSPC };
FIXTURE_VARIANT_ADD(process_sleep, flush) { in_flush };
FIXTURE_VARIANT_ADD(process_sleep, flush_of_itself) { in_flush_of_itself };
FIXTURE_VARIANT_ADD(process_sleep, flush_of_lane) { in_flush_of_lane };
FIXTURE_VARIANT_ADD(process_sleep, flush_of_own_lane) { in_flush_of_own_lane };
FIXTURE_VARIANT_ADD(process_sleep, open_lane) { in_open_lane, .old_lane = true };
FIXTURE_VARIANT_ADD(process_sleep, many_flushes) { in_many_flushes };

TEST_F(process_sleep, wakes)
{
	int result = variant->result ?: -EOWNERDEAD;
	struct member old;
	__u32 generation = 1;

	if (variant->old_lane) {
		ASSERT_EQ(0, member_join_slot(&old, self->member.fd, SLOT));
		ASSERT_EQ(0, dev_open_lane(old.fd, OWNER, 1, ENTRIES));
		member_close(&old);
		generation = 3;
	}
	self->attacher = attach_in_process(self->shared, self->member.fd, IVRING_ATTACH_PROCESS,
					   variant->sleeper, wait_for_ever);
	ASSERT_LT(0, self->attacher);
	ASSERT_TRUE(SOON(LOAD(&self->shared->sleeps)));
	ASSERT_EQ(generation, member_generation(&self->member, SLOT));
	usleep(100000 * slowness);
	EXPECT_EQ(0, LOAD(&self->shared->kept));

	kill(self->attacher, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(self->attacher));
	self->attacher = 0;
	ASSERT_TRUE(SOON(LOAD(&self->shared->kept)));
	EXPECT_EQ(1 - result, self->shared->kept);
	/* Only the lanes that were open before remain. */
	if (variant->old_lane)
		EXPECT_EQ(1, LOAD(&self->member.lanes->lane[SLOT].generation));
	STORE(&self->shared->close, true);
	EXPECT_TRUE(SOON(LOAD(&self->shared->closed)));
}

TEST_HARNESS_MAIN
