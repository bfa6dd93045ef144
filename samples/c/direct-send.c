// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Sends numbers by a lane. While the receiver is busy, sending needs no system calls.
 */

#include "direct-protocol.h"
#include "sample.h"

#define PATIENCE_MS	30000

static void send_number(struct ivr_lane *lane, uint64_t number)
{
	struct ivring_item item = { .port = NUMBER, .cookie = number };
	int ret;

	while ((ret = ivr_lane_push(lane, &item)) == -EAGAIN)
		check(ivr_lane_wait(lane, ivr_deadline_ms(PATIENCE_MS)), "room");
	check(ret, "send");
	/*
	 * Notify the receiver of each number, as a program does that does not know the next number
	 * yet.
	 */
	check(ivr_lane_notify(lane), "send");
}

int main(int argc, char **argv)
{
	uint64_t start, time, number, count = 0;
	struct ivring_item end = { .port = END };
	struct ivr_peer receiver;
	struct ivr_lane *lane;
	struct ivr_member *member;

	if (argc == 3)
		count = strtoull(argv[2], NULL, 10);
	if (!count)
		errx(EXIT_FAILURE, "usage: direct-send NAME COUNT");
	check(ivr_join(argv[1], SENDER_ID, ivr_deadline_ms(PATIENCE_MS), &member), argv[1]);
	check(ivr_wait_peer(member, RECEIVER_ID, ivr_deadline_ms(PATIENCE_MS), &receiver),
	      "receiver");
	check(ivr_open_lane(member, receiver, LANE_ENTRIES, 0), "lane");
	lane = ivr_lane(member, receiver);

	start = now();
	for (number = 0; number < count; number++) {
		send_number(lane, number);
		end.cookie += number;
	}
	/* This item also goes by the lane. */
	check(ivr_send(member, receiver, &end, 1, ivr_deadline_ms(PATIENCE_MS)), "end");
	check(ivr_flush(member, receiver, ivr_deadline_ms(PATIENCE_MS)), "flush");

	time = now() - start;
	print_line(count, count * sizeof(uint64_t), lane->rung,
		   ivr_lane_sent(lane) - lane->rung, time);
	printf(", %" PRIu64 " sleeps for room\n", lane->waits);
	ivr_close(member);
	return EXIT_SUCCESS;
}
