// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The barriers S, A, R and Q between a sender and a receiver that are two threads. In each round
 * the sender sends just when the receiver goes to sleep, or goes to sleep just when the
 * receiver makes room. If one of the two barriers is missing, both threads miss the other's store
 * after some thousands of rounds. For ThreadSanitizer, the test also checks P and C, in a stream of
 * items without doorbells.
 *
 *	fence-test [SEED [MILLISECONDS]]
 */

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "random.h"
#include "fixture.h"

#define PATIENCE_NS	5000000000ULL
#define ROUNDS		10000u	/* lower bound, unless the machine is too slow */
/* Items per turn: fewer than the number after which the library itself stores UNFENCED. */
#define TURN		256u

static uint64_t duration_ns = 400000000;

static bool unfenced;		/* the receiver is UNFENCED before it goes to sleep */
static bool marks;		/* the receiver makes the lane quiet before it goes to sleep */
static bool waits_for_room;	/* the sender sleeps */

/* Shared by the two threads. */
static uint32_t sent, handled, ended, lost;

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* Waits until the word differs from @from. Sets @lost if it does not change in time. */
static void wait_for_change(const uint32_t *word, uint32_t from)
{
	uint64_t start = now();
	uint32_t i;

	for (i = 1; ivr_load_acquire(word) == from && !ivr_load(&lost); i++) {
		ivr_pause();
		if (i % 1024)
			continue;
		sched_yield();
		if (now() - start > PATIENCE_NS)
			ivr_store(&lost, 1);
	}
}

static void on_item(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	ivr_store_release(&handled, handled + 1);
}

/* Waits for room like IVRING_IOC_FLUSH. */
static void wait_for_room(struct ivr_lane *lane)
{
	struct ivring_ring_area *ring = lane->ring;
	uint32_t position = (uint32_t)lane->producer;

	ivr_store(&ring->room_at, position);
	ivr_store_release(&ring->room_wanted, 1);
	ivr_full_barrier();
	if (!ivr_lane_has_read(lane, position))
		wait_for_change(&ring->room_wanted, 1);
	ivr_store(&ring->room_wanted, 0);
}

static void *receive(void *arg)
{
	while (!ivr_load(&ended) && !ivr_load(&lost)) {
		ivr_dispatcher_drain(member, TURN);
		/* The lane has stood still since, so this sweep makes it quiet. */
		if (marks)
			ivr_dispatcher_drain(member, TURN);
		if (unfenced)
			ivr_state_handled(&member->receiver.state, UINT16_MAX);
		if (ivr_arm(member) == 1)
			wait_for_change(&member->area->state, IVRING_IDLE);
	}
	return NULL;
}

static void send_one_by_one(void)
{
	struct ivr_lane *lane = ivr_lane(other, ivr_self(member));
	struct ivring_item item = { .port = 1 };
	uint64_t start = now(), lasted;

	do {
		CHECK_EQ(ivr_lane_push(lane, &item), 0);
		CHECK_EQ(ivr_lane_notify(lane), 0);
		if (waits_for_room) {
			loiter(64);
			wait_for_room(lane);
		}
		wait_for_change(&handled, sent++);
		loiter(64);
		lasted = now() - start;
	} while (tap_good && !ivr_load(&lost) && (lasted < duration_ns ||
						  (sent < ROUNDS && lasted < 2 * PATIENCE_NS)));
}

/*
 * Both ends use one mapping, because the sanitizer does not know that two mappings show the same
 * memory.
 */
static struct ivr_lane lane;
static struct ivr_ring_reader ring;

static void *read_stream(void *arg)
{
	struct ivring_item item;
	int i, pending;

	while (!ivr_load(&ended) && !ivr_load(&lost)) {
		pending = ivr_ring_pending(&ring, TURN);
		if (pending < 0) {
			ivr_store(&lost, 1);
			break;
		}
		for (i = 0; i < pending; i++)
			if (ivr_ring_copy(&ring, (uint32_t)i, &item) || item.cookie != handled + i)
				ivr_store(&lost, 1);
		ivr_ring_consume(&ring, (uint32_t)pending);
		ivr_store(&handled, handled + (uint32_t)pending);
	}
	return NULL;
}

static void stream(void)
{
	struct ivring_item item = { .port = 1 };
	uint64_t start = now();
	pthread_t receiver;
	uint32_t seen;

	set_up();
	sent = handled = ended = lost = 0;
	lane = *open_lane_of(other, member, 8);
	lane.ring = lane_area(other, member);
	lane.item = lane.ring->item;
	lane.receiver = device_area(0);
	lane.end = lane_end(other, member);
	ring = (struct ivr_ring_reader){
		.area = lane.ring,
		.published = &lane_end(other, member)->consumer,
		.consumer = (uint32_t)lane.producer,
		.found = (uint32_t)lane.producer,
		.entries = 8,
		.from = ivr_self(other),
	};
	CHECK_EQ(pthread_create(&receiver, NULL, read_stream, NULL), 0);
	do {
		if (ivr_lane_push(&lane, &item))
			sched_yield();
		else
			item.cookie = ++sent;
		if (!random_below(4))
			CHECK_EQ(ivr_lane_notify(&lane), 0);
	} while (tap_good && !ivr_load(&lost) && (now() - start < duration_ns || sent < ROUNDS));
	CHECK_EQ(ivr_lane_notify(&lane), 0);
	while (!ivr_load(&lost) && (seen = ivr_load(&handled)) != sent)
		wait_for_change(&handled, seen);
	CHECK(!ivr_load(&lost));
	ivr_store(&ended, 1);
	pthread_join(receiver, NULL);
	printf("# %u items, %u doorbells\n", sent, device.doorbells);
	CHECK_EQ(device.doorbells, 0);
	close_all();
}

/* Passes a barrier on all threads of this process, like IVRING_IOC_FENCE on all CPUs. */
static void fence(void)
{
	CHECK_EQ(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), 0);
}

static void race(bool receiver_unfences, bool receiver_marks, bool sender_sleeps)
{
	pthread_t receiver;

	set_up();
	marks = receiver_marks;
	member->receiver.quiet.few = marks ? 0 : IVR_QUIET_FEW;
	member->receiver.quiet.patience = 1;
	sent = handled = ended = lost = 0;
	unfenced = receiver_unfences;
	waits_for_room = sender_sleeps;
	CHECK_EQ(ivr_open_lane(other, ivr_self(member), 2, 0), 0);
	CHECK_EQ(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0), 0);
	device.fence = fence;
	CHECK_EQ(ivr_on(member, 1, on_item, NULL), 0);
	CHECK_EQ(pthread_create(&receiver, NULL, receive, NULL), 0);
	send_one_by_one();
	CHECK(!ivr_load(&lost));
	ivr_store(&ended, 1);
	ivr_store(&member->area->state, IVRING_BUSY);
	pthread_join(receiver, NULL);
	printf("# %u items, %u doorbells, %u fences\n", sent, device.doorbells, device.fences);
	CHECK_EQ(device.fences != 0, unfenced);
	close_all();
}

int main(int argc, char **argv)
{
	take_seed(argc, argv);
	if (argc > 2)
		duration_ns = strtoull(argv[2], NULL, 0) * 1000000;
	RUN_AS(race(false, false, false), "a barrier on both sides");
	RUN_AS(race(true, false, false), "a receiver that passes it for the sender");
	RUN_AS(race(false, true, false), "a receiver that marks the lane as quiet");
	RUN_AS(race(true, true, false), "a receiver that does both");
	RUN_AS(race(false, false, true), "a sender that sleeps");
	RUN_AS(stream(), "a stream to a receiver that is always busy");
	return tap_end();
}
