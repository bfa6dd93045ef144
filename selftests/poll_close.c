// SPDX-License-Identifier: GPL-2.0
/*
 * poll(), select() and epoll race close(): at the same moment one thread polls or sleeps,
 * another closes the descriptor, and a peer rings. The member leaves each time, and the
 * polling thread neither hangs nor uses freed memory.
 */
#include <pthread.h>
#include <sched.h>

#include "ivring_test.h"
#include "ways.h"

#define SECONDS	3
#define HANG_MS	10000		/* longer than SOON() waits */

/* A member that is polled and closed. */
struct target {
	struct member member;	/* the peer, which stays attached */
	int fd;			/* of the member that is closed */
	__u32 generation;
	int epfd;		/* outlives that member */
	struct uring ring;
	int turn;		/* both threads begin when this changes */
	int done;
};

typedef void (*poller)(struct target *t);

static void poll_once(struct target *t)
{
	struct pollfd p = { .fd = t->fd, .events = POLLIN };

	/* Poll until the doorbell. The call holds the file if that is closed meanwhile. */
	poll(&p, 1, HANG_MS);
}

static void select_once(struct target *t)
{
	struct timeval time = { .tv_sec = HANG_MS / 1000 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(t->fd, &set);
	select(t->fd + 1, &set, NULL, NULL, &time);
}

static void epoll_once(struct target *t)
{
	struct epoll_event event = { .events = EPOLLIN };

	epoll_ctl(t->epfd, EPOLL_CTL_ADD, t->fd, &event);
	epoll_wait(t->epfd, &event, 1, rng_below(2));
	epoll_ctl(t->epfd, EPOLL_CTL_DEL, t->fd, &event);
}

/* The entry stays in the list, and close() has to remove it. */
static void epoll_and_leave(struct target *t)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	epoll_ctl(t->epfd, EPOLL_CTL_ADD, t->fd, &event);
	epoll_wait(t->epfd, &event, 1, 1);
}

static void uring_once(struct target *t)
{
	if (!uring_poll(&t->ring, t->fd, POLLIN, false))
		uring_wait(&t->ring, HANG_MS);
}

static void wait_once(struct target *t)
{
	dev_wait(t->fd, 0, in_ms(HANG_MS), NULL);
}

FIXTURE(poll_close) {
	struct target target;
	__u64 seed;
};

FIXTURE_VARIANT(poll_close) {
	poller poll;
};

FIXTURE_VARIANT_ADD(poll_close, poll) { poll_once };
FIXTURE_VARIANT_ADD(poll_close, select) { select_once };
FIXTURE_VARIANT_ADD(poll_close, epoll) { epoll_once };
FIXTURE_VARIANT_ADD(poll_close, epoll_left) { epoll_and_leave };
FIXTURE_VARIANT_ADD(poll_close, uring) { uring_once };
FIXTURE_VARIANT_ADD(poll_close, wait) { wait_once };

FIXTURE_SETUP(poll_close)
{
	struct target *t = &self->target;

	if (variant->poll == uring_once && uring_open(&t->ring))
		SKIP(return, "io_uring is not available");
	ASSERT_EQ(0, member_create(&t->member, 2, 8, 4096));
	t->epfd = epoll_create1(EPOLL_CLOEXEC);
	self->seed = rng_seed();
}

FIXTURE_TEARDOWN(poll_close)
{
	close(self->target.epfd);
	member_close(&self->target.member);
}

static poller poll_of_thread;

static void *poll_in_turn(void *argument)
{
	struct target *t = argument;
	int turn;

	for (turn = 1; ; turn++) {
		while (LOAD(&t->turn) < turn)
			sched_yield();
		if (t->fd < 0)
			return NULL;
		poll_of_thread(t);
		STORE(&t->done, turn);
	}
}

TEST_F(poll_close, race)
{
	struct target *t = &self->target;
	__u64 end = now() + SECONDS * SEC, rung = 0, held = 0;
	const struct ivring_member_area *area;
	struct ivring_attach a;
	pthread_t thread;
	int fd, ret, turn;
	bool asleep, first;
	/*
	 * A polling call holds the file, except for epoll. It may be under way when the
	 * descriptor is closed.
	 */
	bool holds = variant->poll != epoll_once && variant->poll != epoll_and_leave;

	poll_of_thread = variant->poll;
	ASSERT_EQ(0, pthread_create(&thread, NULL, poll_in_turn, t));
	for (turn = 1; now() < end || turn <= 20 || rung <= 5 || held < holds; turn++) {
		t->fd = fd = dev_open();
		ASSERT_LE(0, fd);
		a = attach_args(t->member.fd, 1);
		ASSERT_EQ(0, dev_ioctl(fd, IVRING_IOC_ATTACH, &a));
		STORE(&t->turn, turn);
		/* Close at any moment, or when the poller has looked and is about to sleep. */
		area = member_peer(&t->member, 1);
		ASSERT_NE(MAP_FAILED, area);
		asleep = rng_below(2);
		ASSERT_TRUE(!asleep || SOON(LOAD(&area->state) == IVRING_IDLE));
		spin_random(16);
		munmap((void *)area, t->member.area_size);
		/* Ring and close in either order. */
		first = rng_below(2);
		if (first)
			close(fd);
		ret = member_send(&t->member, 1, a.generation, turn);
		ASSERT_TRUE(!ret || (first && ret == -EPIPE));
		rung += !ret;
		held += first && !ret;
		if (!first)
			close(fd);
		/* The poller returns, whether or not it was rung. */
		ASSERT_TRUE(SOON(LOAD(&t->done) == turn));
		ASSERT_TRUE(SOON(member_generation(&t->member, 1) == a.generation + 1));
		ASSERT_EQ(-EPIPE, member_send(&t->member, 1, a.generation, turn));
		ASSERT_EQ(0, epoll_wait(t->epfd, &(struct epoll_event) { 0 }, 1, 0));
	}
	t->fd = -1;
	STORE(&t->turn, turn);
	pthread_join(thread, NULL);
	TH_LOG("seed %#llx: closed %d times, rung %llu, %llu of these after it was closed",
	       self->seed, turn - 1, rung, held);
}

TEST_HARNESS_MAIN
