/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_OWNER_H
#define IVR_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "ivring.h"

/*
 * A word that is nonzero in the process that made it and zero in its children, or NULL if there
 * is no memory for it. It tells a child without a system call.
 */
uint32_t *ivr_owner_new(void);
void ivr_owner_drop(uint32_t *owner);

/*
 * Whether this process is a child of the one that attached the member: it has none of its
 * mappings.
 */
bool ivr_in_child(const struct ivr_member *member);

/* Refuses a call in such a child: 0 or -EPERM. */
int ivr_refuse_in_child(const struct ivr_member *member);

/* Refuses a call in a child, or from a handler of @member: 0, -EPERM or -EBUSY. */
int ivr_refuse(const struct ivr_member *member);

#endif /* IVR_OWNER_H */
