// SPDX-License-Identifier: GPL-2.0
/*
 * The barriers between ivr_stop() and a dispatcher that goes to sleep. In each round one thread
 * stops the other just when that has armed. If one of the two barriers is missing, both threads
 * miss the other's store in some round.
 *
 *	stop-test [SEED]
 */

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "random.h"
#include "fixture.h"

#define ROUNDS		200000u
#define PATIENCE_S	10

/* Shared by the two threads: how often each of them has reached the meeting point. */
static uint32_t turn[2];
static uint32_t lost;

static uint32_t slept;

static void wait_while(const uint32_t *word, uint32_t is)
{
	time_t start = time(NULL);
	uint32_t i;

	for (i = 1; ivr_load_acquire(word) == is && !ivr_load(&lost); i++) {
		ivr_pause();
		if (i % 1024)
			continue;
		sched_yield();
		if (time(NULL) - start > PATIENCE_S)
			ivr_store(&lost, 1);
	}
}

static void meet(int me)
{
	uint32_t mine = turn[me] + 1;

	ivr_store_release(&turn[me], mine);
	wait_while(&turn[!me], mine - 1);
}

static void sleep_until_rung(void)
{
	slept++;
	wait_while(&member->area->state, IVRING_IDLE);
	if (ivr_load(&lost))
		ivr_store(&member->area->state, IVRING_BUSY);
	device.asleep = sleep_until_rung;
}

static void *stop(void *arg)
{
	uint32_t round;

	for (round = 0; round < ROUNDS && !ivr_load(&lost); round++) {
		meet(1);
		loiter(512);
		ivr_stop(member);
		meet(1);
	}
	return NULL;
}

static void stop_at_any_time(void)
{
	pthread_t stopper;
	uint32_t round;

	set_up();
	device.asleep = sleep_until_rung;
	CHECK_EQ(pthread_create(&stopper, NULL, stop, NULL), 0);
	for (round = 0; round < ROUNDS && !ivr_load(&lost); round++) {
		meet(0);
		CHECK_EQ(ivr_run(member), 0);
		meet(0);
	}
	pthread_join(stopper, NULL);
	CHECK(!ivr_load(&lost));
	printf("# %u rounds, slept in %u\n", round, slept);
	close_all();
}

int main(int argc, char **argv)
{
	take_seed(argc, argv);
	RUN(stop_at_any_time);
	return tap_end();
}
