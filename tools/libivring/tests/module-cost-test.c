// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * On the module: a receiver that has many lanes, of which one is in use, has the same costs as a
 * receiver that has only one lane. Costs are compared within one run, and printed.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>

#include "module.h"

#define MANY		500u
#define SAMPLES		101u
#define CALLS		50u	/* per sample */
#define LANE		8u

/* A receiver and its sender. */
static struct party {
	struct ivr_member *to;
	struct ivr_member *from;
	struct ivr_peer peer;
	int others[MANY];
	uint32_t lanes;
} one, many;

/* Makes a member that only opens a lane. */
static int open_another(const struct party *party)
{
	struct ivring_attach attach = { .region_fd = ivr_fd(party->to), .id = IVRING_ID_ANY };
	struct ivring_open_lane lane = {
		.id = party->peer.id, .generation = party->peer.generation, .entries = LANE,
	};
	int fd = open("/dev/ivring", O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_EQ(ioctl(fd, IVRING_IOC_ATTACH, &attach), 0);
	CHECK_EQ(ioctl(fd, IVRING_IOC_OPEN_LANE, &lane), 0);
	return fd;
}

static void gather(struct party *party, uint32_t lanes)
{
	struct ivr_region_options options = {
		.slots = MANY + 1, .inbox_entries = 8, .outbox_bytes = 4096,
	};

	CHECK_EQ(ivr_create(&options, &party->to), 0);
	CHECK_EQ(ivr_join_fd(ivr_fd(party->to), IVRING_ID_ANY, &party->from), 0);
	party->peer = ivr_self(party->to);
	CHECK_EQ(ivr_open_lane(party->from, party->peer, LANE, 0), 0);
	for (party->lanes = 1; party->lanes < lanes && tap_good; party->lanes++)
		party->others[party->lanes] = open_another(party);
}

static void part(struct party *party)
{
	while (--party->lanes)
		close(party->others[party->lanes]);
	ivr_close(party->from);
	ivr_close(party->to);
}

/* The clock of deadlines, in nanoseconds. */
static uint64_t now(void)
{
	return ivr_deadline_ms(0);
}

static void send_one(const struct party *party)
{
	struct ivring_item item = { .port = PORT };

	CHECK_EQ(ivr_send(party->from, party->peer, &item, 1, 0), 1);
}

/* The measured operations. Each returns the time that it took. */

static uint64_t arm(const struct party *party)
{
	uint64_t start = now();

	CHECK_EQ(ivr_arm(party->to), 1);
	return now() - start;
}

static uint64_t receive(const struct party *party)
{
	struct ivring_item item;
	uint64_t start;

	send_one(party);
	start = now();
	CHECK_EQ(ivr_receive(party->to, &item, 1), 1);
	CHECK_EQ(ivr_consume(party->to, 1), 0);
	return now() - start;
}

static uint64_t dispatch(const struct party *party)
{
	uint64_t start;

	send_one(party);
	start = now();
	CHECK_EQ(ivr_dispatch(party->to, LANE), 1);
	return now() - start;
}

static uint64_t wait_for_one(const struct party *party)
{
	uint64_t start;

	send_one(party);
	start = now();
	CHECK_EQ(ivr_wait(party->to, 0, ivr_deadline_ms(0)), IVRING_EVENT_ITEMS);
	start = now() - start;
	CHECK_EQ(ivr_dispatch(party->to, LANE), 1);
	return start;
}

static const struct {
	const char *name;
	uint64_t (*time)(const struct party *party);
} costs[] = {
	{ "arming", arm }, { "a turn of receiving", receive }, { "dispatching", dispatch }, { "waiting", wait_for_one },
};

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static uint64_t sample(uint64_t (*time)(const struct party *party), const struct party *party)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < CALLS && tap_good; i++)
		sum += time(party);
	return sum / CALLS;
}

static void compare_costs(uint64_t (*time)(const struct party *party))
{
	uint64_t of_one[SAMPLES], of_many[SAMPLES];
	uint32_t i;

	for (i = 0; i < SAMPLES && tap_good; i++) {
		of_one[i] = sample(time, &one);
		of_many[i] = sample(time, &many);
	}
	if (!tap_good)
		return;
	qsort(of_one, SAMPLES, sizeof(of_one[0]), compare);
	qsort(of_many, SAMPLES, sizeof(of_many[0]), compare);
	printf("# %" PRIu64 " ns with one lane, %" PRIu64 " ns with %u\n", of_one[SAMPLES / 2],
	       of_many[SAMPLES / 2], many.lanes);
	CHECK(of_many[SAMPLES / 2] <= 2 * of_one[SAMPLES / 2]);
}

static void make_and_settle(void)
{
	uint32_t i;

	gather(&one, 1);
	gather(&many, MANY);
	/* The idle lanes become quiet. */
	for (i = 0; i < 64 && tap_good; i++) {
		dispatch(&one);
		dispatch(&many);
	}
	CHECK_EQ(many.lanes, MANY);
}

int main(int argc, char **argv)
{
	uint32_t i;

	begin(argc, argv);
	alarm(TIME_LIMIT_S);
	RUN_AS(make_and_settle(), "%u lanes", MANY);
	for (i = 0; i < ARRAY_SIZE(costs); i++)
		RUN_AS(compare_costs(costs[i].time), "%s", costs[i].name);
	part(&many);
	part(&one);
	return tap_end();
}
