/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Results in the Test Anything Protocol.
 */
#ifndef IVR_TAP_H
#define IVR_TAP_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

static unsigned int tap_tests, tap_failures;
static bool tap_good;

/* A claim of a test. A claim that is false is printed, and fails the test. */
#define CHECK(claim)								\
	do {									\
		if (!(claim)) {							\
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #claim);	\
			tap_good = false;					\
		}								\
	} while (0)

/* Like CHECK, for an integer. Also prints a wrong value. */
#define CHECK_EQ(value, expected)						\
	do {									\
		long long value_ = (value), expected_ = (expected);		\
										\
		if (value_ != expected_) {					\
			printf("# %s:%d: %s is %lld, not %lld\n", __FILE__,	\
			       __LINE__, #value, value_, expected_);		\
			tap_good = false;					\
		}								\
	} while (0)

/* Runs one test: a call, and its name as arguments of printf(). */
#define RUN_AS(call, ...)							\
	do {									\
		if (!tap_tests)							\
			puts("TAP version 13");					\
		tap_good = true;						\
		call;								\
		printf("%sok %u - ", tap_good ? "" : "not ", ++tap_tests);	\
		printf(__VA_ARGS__);						\
		putchar('\n');							\
		tap_failures += !tap_good;					\
	} while (0)

/* Runs one test: a function without arguments. */
#define RUN(test)	RUN_AS(test(), "%s", #test)

/* Prints the last line. Returns the exit status of the program. */
static inline int tap_end(void)
{
	printf("1..%u\n", tap_tests);
	return tap_failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif /* IVR_TAP_H */
