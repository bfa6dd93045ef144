/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * For the tests of ivr_why(): each way in which a public function fails, with the error and words
 * of the sentence that tell it from other failures with the same error.
 */
#ifndef IVR_FAILS_H
#define IVR_FAILS_H

#include <ctype.h>
#include <errno.h>

#include "fixture.h"

/* Fails with a sentence of its own, so that a call which sets none is detected. */
static inline void forget_why(void)
{
	char data;

	ivr_get_inline(&(struct ivring_item){ 0 }, &data, 1);
}

static inline void check_why(int line, const char *words)
{
	const char *why = ivr_why();
	size_t length = strlen(why);

	if (!strstr(why, words)) {
		printf("# line %d: \"%s\" does not say \"%s\"\n", line, why, words);
		tap_good = false;
	}
	CHECK(length > 10 && isupper((unsigned char)why[0]) && why[length - 1] == '.');
}

#define FAILS(call, error, words)						\
	do {									\
		forget_why();							\
		CHECK_EQ(call, error);						\
		check_why(__LINE__, words);					\
	} while (0)

static inline void fail_next(unsigned long request, int error)
{
	device.fail = request;
	device.fail_error = error;
}

#endif /* IVR_FAILS_H */
