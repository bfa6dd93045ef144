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

/* What a test claims. Those that do not hold are named, and fail the test. */
#define CHECK(claim)								\
	do {									\
		if (!(claim)) {							\
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #claim);	\
			tap_good = false;					\
		}								\
	} while (0)

/* As CHECK, for an integer of which the wrong value is worth knowing. */
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

/* Runs one test, which has that name: a call, and what printf() takes. */
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

/* The last line: what main() returns. */
static inline int tap_end(void)
{
	printf("1..%u\n", tap_tests);
	return tap_failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif /* IVR_TAP_H */
