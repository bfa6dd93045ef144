/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ways in which a member can sleep until its inbox or a lane to it holds an item.
 */
#ifndef WAYS_H
#define WAYS_H

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>

#include "ivring_test.h"
#include "lane.h"
#include "uring.h"

/* A member that always sleeps in the same way. */
struct sleeper {
	struct member *member;
	bool (*more)(void);	/* whether anything but the inbox holds an item; or NULL */
	bool (*mark)(void);	/* called last before the sleep: true to stay awake; or NULL */
	bool unfenced;		/* the state is BUSY_UNFENCED while it is busy */
	bool members;		/* changes of the members ring the doorbell too */
	int fd;			/* epoll or eventfd */
	struct uring ring;
	__u32 delay[2];
	bool armed;
};

struct way {
	const char *name;
	/* Prepare to sleep. Return 0 or -errno. */
	int (*open)(struct sleeper *s);
	/* Sleep. Return 1 if there may be items, 0 after @ms, or -errno. */
	int (*sleep)(struct sleeper *s, int ms);
};

/*
 * Arm: what user space does before it sleeps if the kernel does not call poll() again.
 * False if there is an item to read, or a change of the members that the member asks for.
 */
static inline bool arm(struct sleeper *s)
{
	if (s->members)
		STORE(&s->member->area->members_wanted, 1);
	STORE(&s->member->area->state, IVRING_IDLE);
	if (s->unfenced)
		dev_fence(s->member->fd);	/* A */
	else
		FULL_BARRIER();		/* S, M */
	if (!member_pending(s->member) && !(s->more && s->more()) &&
	    !(s->members && member_changes_word(s->member) != LOAD(&s->member->area->members_seen)) &&
	    !(s->mark && s->mark()))
		return true;
	STORE(&s->member->area->state, IVRING_BUSY);
	return false;
}

static inline int open_nothing(struct sleeper *s)
{
	return 0;
}

static inline int sleep_wait(struct sleeper *s, int ms)
{
	int ret = dev_wait(s->member->fd, 0, in_ms(ms), NULL);

	return ret == -ETIMEDOUT ? 0 : ret ? ret : 1;
}

static inline int sleep_wait_forever(struct sleeper *s, int ms)
{
	int ret = dev_wait(s->member->fd, 0, IVRING_DEADLINE_NEVER, NULL);

	return ret ? ret : 1;
}

static inline int sleep_wait_members(struct sleeper *s, int ms)
{
	int ret = dev_wait(s->member->fd, IVRING_WAIT_MEMBERS, in_ms(ms), NULL);

	member_see_members(s->member);
	return ret == -ETIMEDOUT ? 0 : ret ? ret : 1;
}

static inline int sleep_wait_armed(struct sleeper *s, int ms)
{
	int ret;

	if (!arm(s))
		return 1;
	ret = dev_wait(s->member->fd, IVRING_WAIT_ARMED, in_ms(ms), NULL);
	return ret == -ETIMEDOUT ? 0 : ret ? ret : 1;
}

static inline int sleep_poll(struct sleeper *s, int ms)
{
	struct pollfd p = { .fd = s->member->fd, .events = POLLIN };

	return poll(&p, 1, ms);
}

static inline int sleep_select(struct sleeper *s, int ms)
{
	struct timeval time = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(s->member->fd, &set);
	return select(s->member->fd + 1, &set, NULL, NULL, &time);
}

static inline int open_epoll(struct sleeper *s, __u32 events)
{
	struct epoll_event event = { .events = events };

	s->fd = epoll_create1(EPOLL_CLOEXEC);
	return epoll_ctl(s->fd, EPOLL_CTL_ADD, s->member->fd, &event);
}

static inline int open_epoll_level(struct sleeper *s)
{
	return open_epoll(s, EPOLLIN);
}

static inline int sleep_epoll_level(struct sleeper *s, int ms)
{
	struct epoll_event event;

	/* The state never becomes BUSY here, because epoll may not call poll() again. */
	return epoll_wait(s->fd, &event, 1, ms);
}

static inline int open_epoll_edge(struct sleeper *s)
{
	return open_epoll(s, EPOLLIN | EPOLLET);
}

static inline int sleep_epoll_edge(struct sleeper *s, int ms)
{
	struct epoll_event event;
	int ret;

	if (!arm(s))
		return 1;
	ret = epoll_wait(s->fd, &event, 1, ms);
	STORE(&s->member->area->state, IVRING_BUSY);
	return ret;
}

static inline int open_eventfd(struct sleeper *s)
{
	s->fd = eventfd(0, EFD_CLOEXEC);
	return dev_eventfd(s->member->fd, s->fd);
}

static inline int sleep_eventfd(struct sleeper *s, int ms)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	__u64 count;
	int ret;

	if (!arm(s))
		return 1;
	ret = poll(&p, 1, ms);
	if (ret == 1)
		ret = read(s->fd, &count, sizeof(count)) == sizeof(count) ? 1 : -errno;
	STORE(&s->member->area->state, IVRING_BUSY);
	return ret;
}

static inline int open_uring(struct sleeper *s)
{
	return uring_open(&s->ring);
}

/* A new request calls poll(). A request that is still under way does not. */
static inline int sleep_uring(struct sleeper *s, int ms)
{
	int ret;

	if (s->ring.polls && !arm(s))
		return 1;
	if (!s->ring.polls) {
		ret = uring_poll(&s->ring, s->member->fd, POLLIN, false);
		if (ret)
			return ret;
	}
	ret = uring_wait(&s->ring, ms);
	return ret == -ETIME ? 0 : ret < 0 ? ret : 1;
}

static inline int sleep_uring_multishot(struct sleeper *s, int ms)
{
	int ret;

	if (!s->ring.polls) {
		ret = uring_poll(&s->ring, s->member->fd, POLLIN, true);
		if (ret)
			return ret;
	}
	if (!arm(s))
		return 1;
	ret = uring_wait(&s->ring, ms);
	STORE(&s->member->area->state, IVRING_BUSY);
	return ret == -ETIME ? 0 : ret < 0 ? ret : 1;
}

/*
 * Do not sleep, but spin until the doorbell has turned the state into BUSY. By trial and
 * error this arms close to the moment of the next item, so that a missing barrier shows. (A
 * sender that rings sends its next item later than a sender that does not.)
 */
static inline int spin_after(struct sleeper *s, int ms, bool (*arm)(struct sleeper *s))
{
	__u32 *delay = &s->delay[s->armed];
	__u64 end = in_ms(ms);

	spin(*delay + rng_below(100));
	s->armed = arm(s);
	if (!s->armed) {
		*delay -= *delay / 50;
		return 1;
	}
	if (*delay < 20000)
		*delay += 1 + *delay / 50;
	while (member_state(s->member) == IVRING_IDLE)
		if (now() > end)
			return 0;
	return 1;
}

static inline int sleep_spin(struct sleeper *s, int ms)
{
	return spin_after(s, ms, arm);
}

/* Arm by calling poll(), and spin. */
static inline bool arm_by_poll(struct sleeper *s)
{
	return !dev_poll(s->member->fd, POLLIN);
}

static inline int sleep_spin_poll(struct sleeper *s, int ms)
{
	return spin_after(s, ms, arm_by_poll);
}

static const struct way way_wait = { "wait", open_nothing, sleep_wait };
static const struct way way_wait_forever = {
	"wait without deadline", open_nothing, sleep_wait_forever,
};
static const struct way way_wait_members = {
	"wait for members too", open_nothing, sleep_wait_members,
};
static const struct way way_wait_armed = {
	"wait, armed", open_nothing, sleep_wait_armed,
};
static const struct way way_poll = { "poll", open_nothing, sleep_poll };
static const struct way way_select = { "select", open_nothing, sleep_select };
static const struct way way_epoll_level = {
	"epoll, level", open_epoll_level, sleep_epoll_level,
};
static const struct way way_epoll_edge = {
	"epoll, edge", open_epoll_edge, sleep_epoll_edge,
};
static const struct way way_eventfd = { "eventfd", open_eventfd, sleep_eventfd };
static const struct way way_uring = { "io_uring", open_uring, sleep_uring };
static const struct way way_uring_multishot = {
	"io_uring, multishot", open_uring, sleep_uring_multishot,
};

static const struct way way_spin = { "spin", open_nothing, sleep_spin };
static const struct way way_spin_poll = {
	"spin, armed by poll", open_nothing, sleep_spin_poll,
};

#endif /* WAYS_H */
