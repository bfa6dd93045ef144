/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_OWNER_H
#define IVR_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "os/barrier.h"

/*
 * Makes a word that is nonzero in this process and zero in its children. It detects a child without
 * a system call. Returns NULL if there is no memory.
 */
uint32_t *ivr_owner_new(void);

void ivr_owner_drop(uint32_t *owner);

/* Whether this process made the word. */
static inline bool ivr_owner_is_here(const uint32_t *owner)
{
	return ivr_load(owner);
}

#endif /* IVR_OWNER_H */
