/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_REGION_H
#define IVR_REGION_H

#include "ivring.h"

/* Opens /dev/ivring. Returns the descriptor, or a negative error. */
int ivr_region_open_device(void);

/* Why no region can have this name, which is not NULL; or NULL. */
const char *ivr_region_name_fault(const char *name);

/* Checks the options and turns them into the argument of IVRING_IOC_CREATE, with @flags. */
int ivr_region_read_options(const struct ivr_region_options *options, uint32_t flags,
			    struct ivring_create *create);

/* Makes a region with IVRING_IOC_CREATE. Returns 0 or a negative error. */
int ivr_region_make(int fd, const struct ivring_create *create);

#endif /* IVR_REGION_H */
