/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_WHY_H
#define IVR_WHY_H

#include "ivring.h"

/**
 * struct ivr_reason - what an error means in one kind of call.
 * @error:	negative errno value; 0 ends a list
 * @why:	one sentence for ivr_why()
 */
struct ivr_reason {
	int error;
	const char *why;
};

/* Sets the sentence that ivr_why() returns in this thread. Returns @error. */
int ivr_fail(int error, const char *why);

/*
 * Does the same with the sentence for @error from a list. If the list has none, or @reasons is
 * NULL, the sentence is one that is right for @error in all calls. Returns @error.
 */
int ivr_fail_as(int error, const struct ivr_reason *reasons);

#endif /* IVR_WHY_H */
