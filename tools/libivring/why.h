/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_WHY_H
#define IVR_WHY_H

#include "ivring.h"

/**
 * struct ivr_reason - what an error of one call means.
 * @error:	negative errno value; 0 ends a list
 * @why:	one sentence
 */
struct ivr_reason {
	int error;
	const char *why;
};

/* Notes why a call of this thread fails. Returns @error, for the caller to return as well. */
int ivr_fail(int error, const char *why);

/*
 * The same; the sentence is the one of a list, or the one that is right for @error in any call.
 * @reasons may be NULL.
 */
int ivr_fail_as(int error, const struct ivr_reason *reasons);

#endif /* IVR_WHY_H */
