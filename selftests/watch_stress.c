// SPDX-License-Identifier: GPL-2.0
/*
 * Event loops that send to several receivers, and sleep only until a watch is over.
 */
#include <sys/epoll.h>

#include "ivring_test.h"
#include "lane.h"

#define ENTRIES		4		/* of each inbox and lane */
#define SENDERS		3
#define RECEIVERS	2

struct side {
	struct lane_out out[RECEIVERS];
	int inbox[RECEIVERS];	/* items left to send to each inbox, and by each lane */
	int lane[RECEIVERS];
};

/* Send as many items as fit to one receiver; watch it if items are left. Return 0 or -errno. */
static int send_on(struct member *from, struct side *s, struct member *to, int i)
{
	struct ivring_enqueue e;
	int ret, count;

	while (s->inbox[i]) {
		count = 1 + rng_below(2 * ENTRIES);
		if (count > s->inbox[i])
			count = s->inbox[i];
		ret = member_send_watch(from, to->id, to->generation, count, &e);
		if (ret)
			return ret;
		s->inbox[i] -= e.done;
		if (e.watch)
			return -EAGAIN;
	}
	return 0;
}

static int send_by_lane(struct side *s, int i)
{
	int ret;

	while (s->lane[i]) {
		ret = lane_send(&s->out[i], 1);
		if (ret >= 0) {
			s->lane[i]--;
			continue;
		}
		if (ret != -EAGAIN)
			return ret;
		ret = dev_flush_flags(s->out[i].fd, s->out[i].to, s->out[i].generation,
				      s->out[i].next - ENTRIES / 2,
				      IVRING_FLUSH_LANE | IVRING_FLUSH_WATCH, 0);
		if (ret)
			return ret;
	}
	return 0;
}

/* One task sends to all inboxes and lanes. It sleeps in epoll alone. */
static int event_loop(struct member *from, struct member to[RECEIVERS], int count, bool edge)
{
	struct epoll_event event = { .events = EPOLLOUT | (edge ? EPOLLET : 0) };
	struct ivring_next_watch next;
	int epfd = epoll_create1(0), i, ret;
	struct side s = { 0 };

	for (i = 0; i < RECEIVERS; i++) {
		if (lane_open(&s.out[i], from, &to[i], ENTRIES))
			return 10;
		s.inbox[i] = s.lane[i] = count;
	}
	if (epoll_ctl(epfd, EPOLL_CTL_ADD, from->fd, &event))
		return 11;
	for (i = 0; i < RECEIVERS; i++) {
		ret = send_on(from, &s, &to[i], i);
		if (ret && ret != -EAGAIN)
			return 12;
		ret = send_by_lane(&s, i);
		if (ret && ret != -EAGAIN)
			return 13;
	}
	for (;;) {
		for (i = 0; i < RECEIVERS && !s.inbox[i] && !s.lane[i]; i++)
			;
		if (i == RECEIVERS)
			return 0;
		if (epoll_wait(epfd, &event, 1, 20000 * slowness) != 1)
			return 14;
		while (!(ret = dev_next_watch(from->fd, &next))) {
			for (i = 0; i < RECEIVERS && to[i].id != next.id; i++)
				;
			ret = next.flags & IVRING_WATCH_LANE ? send_by_lane(&s, i) :
			      send_on(from, &s, &to[i], i);
			if (ret && ret != -EAGAIN)
				return 15;
		}
		if (ret != -EAGAIN)
			return 16;
	}
}

/* Read everything, in batches of random sizes, with random pauses. */
static int receive(struct member *to, int total, __u32 lanes)
{
	struct lane_in in[SENDERS + RECEIVERS + 1] = { 0 };
	struct ivring_item item;
	int count, got;
	__u32 i;

	while (total) {
		got = 0;
		for (count = 1 + rng_below(2 * ENTRIES); count && member_take(to, &item); count--)
			got++;
		if (member_ring_back(to))
			return 20;
		for (i = 0; i < lanes; i++) {
			if (!in[i].ring && lane_accept(&in[i], to, i))
				continue;
			for (count = 1 + rng_below(2 * ENTRIES); count && lane_take(&in[i], &item); count--)
				got++;
			if (lane_ring_back(&in[i]))
				return 21;
		}
		total -= got;
		spin_random(14);
		if (!got && total && dev_wait(to->fd, 0, in_ms(20000 * slowness), NULL))
			return 22;
	}
	return 0;
}

FIXTURE(watch_hammer) {
	struct member to[RECEIVERS];
	struct member from[SENDERS];
};

FIXTURE_VARIANT(watch_hammer) {
	bool edge;
};

FIXTURE_VARIANT_ADD(watch_hammer, level) { false };
FIXTURE_VARIANT_ADD(watch_hammer, edge) { true };

FIXTURE_SETUP(watch_hammer)
{
	int i;

	ASSERT_EQ(0, member_create(&self->to[0], SENDERS + RECEIVERS, ENTRIES, 4096));
	for (i = 1; i < RECEIVERS; i++)
		ASSERT_EQ(0, member_join(&self->to[i], self->to[0].fd));
	for (i = 0; i < SENDERS; i++)
		ASSERT_EQ(0, member_join(&self->from[i], self->to[0].fd));
}

FIXTURE_TEARDOWN(watch_hammer)
{
	int i;

	for (i = 0; i < SENDERS; i++)
		member_close(&self->from[i]);
	for (i = 0; i < RECEIVERS; i++)
		member_close(&self->to[i]);
}

/*
 * Several event loops send to several receivers. No wakeup is lost: each loop that sleeps is
 * woken. The areas are inherited by no child, so each maps them again.
 */
TEST_F_TIMEOUT(watch_hammer, no_wakeup_is_lost, 200)
{
	int count = slowness == 1 ? 4000 : 500, i;
	pid_t pid[SENDERS + RECEIVERS];
	struct member m;

	TH_LOG("IVRING_SEED=%llu", rng_seed());
	for (i = 0; i < SENDERS + RECEIVERS; i++) {
		bool receives = i < RECEIVERS;
		int fd = receives ? self->to[i].fd : self->from[i - RECEIVERS].fd;

		rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
		pid[i] = child_fork();
		if (pid[i])
			continue;
		if (member_map(&m, fd))
			_exit(1);
		_exit(receives ? receive(&m, 2 * SENDERS * count, SENDERS + RECEIVERS) :
		      event_loop(&m, self->to, count, variant->edge));
	}
	for (i = 0; i < SENDERS + RECEIVERS; i++)
		EXPECT_EQ(0, child_wait(pid[i])) TH_LOG("child %d", i);
}

TEST_HARNESS_MAIN
