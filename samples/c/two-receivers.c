// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * One thread that sends to two slow receivers, to one by its inbox and to the other by a lane. It
 * never waits for one of them: it sleeps only in its event loop, until one of them has room. The
 * receivers are child processes, which join by the inherited descriptor.
 */

#include <sys/epoll.h>
#include <sys/wait.h>

#include "sample.h"

#define RECEIVERS	2u
#define ITEMS		1000u		/* for each receiver */
#define LANE_ENTRIES	16u
#define BATCH		8u		/* the receivers pause after each batch */
#define PAUSE_US	500u
#define PATIENCE_MS	30000

/* The items that are still to be sent to a receiver. */
struct out {
	struct ivr_peer to;
	uint64_t next;
};

static int receive(int region_fd, uint32_t id)
{
	struct ivring_item items[BATCH];
	struct ivr_member *member;
	uint64_t next = 0;
	int count, i;

	check(ivr_join_fd(region_fd, id, &member), "join");
	close(region_fd);
	while (next < ITEMS) {
		count = check(ivr_receive(member, items, BATCH), "receive");
		if (!count) {
			check(ivr_wait(member, 0, ivr_deadline_ms(PATIENCE_MS)), "wait");
			continue;
		}
		for (i = 0; i < count; i++)
			if (items[i].cookie != next++)
				errx(EXIT_FAILURE, "items were lost");
		check(ivr_consume(member, (unsigned int)count), "consume");
		usleep(PAUSE_US);
	}
	ivr_close(member);
	return EXIT_SUCCESS;
}

static struct ivr_peer start_receiver(struct ivr_member *member, uint32_t id)
{
	struct ivr_peer peer;
	pid_t pid = fork();

	if (pid < 0)
		err(EXIT_FAILURE, "fork");
	if (!pid)
		exit(receive(ivr_fd(member), id));
	check(ivr_wait_peer(member, id, ivr_deadline_ms(PATIENCE_MS), &peer), "receiver");
	return peer;
}

/* Sends as many items as fit. If items are left, the receiver is watched. */
static void send_some(struct ivr_member *member, struct out *out)
{
	struct ivring_item item = { .port = 1 };
	int ret = 1;

	while (out->next < ITEMS && ret > 0) {
		item.cookie = out->next;
		ret = ivr_send_or_watch(member, out->to, &item, 1);
		if (ret > 0)
			out->next++;
		else if (ret != -EAGAIN)
			check(ret, "send");
	}
}

/* Returns the number of watches that were over. */
static uint64_t run(struct ivr_member *member, struct out outs[RECEIVERS])
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct ivr_watch watch;
	uint64_t watches = 0;
	uint32_t i;

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, ivr_fd(member), &event))
		err(EXIT_FAILURE, "epoll");
	for (i = 0; i < RECEIVERS; i++)
		send_some(member, &outs[i]);
	while (outs[0].next < ITEMS || outs[1].next < ITEMS) {
		if (epoll_wait(epoll, &event, 1, PATIENCE_MS) != 1)
			errx(EXIT_FAILURE, "no receiver has room");
		while (check(ivr_next_watch(member, &watch), "watch")) {
			watches++;
			for (i = 0; i < RECEIVERS; i++)
				if (outs[i].to.id == watch.peer.id)
					send_some(member, &outs[i]);
		}
	}
	close(epoll);
	return watches;
}

int main(void)
{
	struct ivr_region_options options = {
		.slots = 1 + RECEIVERS,
		.inbox_entries = 16,
		.outbox_bytes = 4096,
	};
	struct out outs[RECEIVERS] = { 0 };
	struct ivr_member *member;
	uint64_t start, watches;
	int status;
	uint32_t i;

	check(ivr_create(&options, &member), "create");
	start = now();
	for (i = 0; i < RECEIVERS; i++)
		outs[i].to = start_receiver(member, 1 + i);
	check(ivr_open_lane(member, outs[1].to, LANE_ENTRIES, 0), "lane");
	watches = run(member, outs);
	for (i = 0; i < RECEIVERS; i++)
		if (wait(&status) < 0 || status)
			errx(EXIT_FAILURE, "a receiver has failed");
	/* The receivers have left, so their counters can no longer be read. */
	print_line(RECEIVERS * ITEMS, 0, 0, 0, now() - start);
	printf(", %" PRIu64 " watches\n", watches);
	ivr_close(member);
	return EXIT_SUCCESS;
}
