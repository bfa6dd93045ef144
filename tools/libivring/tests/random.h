/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Random numbers from a seed. The test prints the seed, and repeats its run if the seed is its
 * argument.
 */
#ifndef IVR_RANDOM_H
#define IVR_RANDOM_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t seed;

/* Takes the seed from the first argument, or from the time. */
static inline void take_seed(int argc, char **argv)
{
	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	printf("# seed %" PRIu64 "\n", seed);
}

static inline uint64_t random_word(void)
{
	/* splitmix64 */
	uint64_t z = seed += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static inline uint32_t random_below(uint32_t bound)
{
	return (uint32_t)(random_word() >> 32) % bound;
}

/* Waits a little without leaving the CPU. */
static inline void loiter(uint32_t bound)
{
	uint32_t rounds;

	for (rounds = random_below(bound); rounds; rounds--)
		__asm__ __volatile__("");
}

/* An index, in most cases near @from. */
static inline uint32_t random_index(uint32_t from)
{
	static const uint32_t spread[] = { 3, 3, 40, 40, 100000 };
	uint32_t which = random_below(6);

	if (which == 5)
		return (uint32_t)random_word();
	return from + random_below(2 * spread[which]) - spread[which];
}

#endif /* IVR_RANDOM_H */
