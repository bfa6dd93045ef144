/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_REFUSE_H
#define IVR_REFUSE_H

#include <stdbool.h>

#include "ivring.h"

/* Whether this process is a child of the process that attached the member, and has no mappings. */
bool ivr_in_child(const struct ivr_member *member);

/* Refuses a call in such a child. Returns 0 or -EPERM. */
int ivr_refuse_in_child(const struct ivr_member *member);

/* Refuses a call in such a child, or from a handler of @member. Returns 0, -EPERM or -EBUSY. */
int ivr_refuse(const struct ivr_member *member);

#endif /* IVR_REFUSE_H */
