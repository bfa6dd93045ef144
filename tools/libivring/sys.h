/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * System calls, with negative errno values. The unit tests put a device of their
 * own in the place of sys.c.
 */
#ifndef IVR_SYS_H
#define IVR_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opens /dev/ivring; the descriptor. */
int ivr_device_open(void);
void ivr_device_close(int fd);

/* What the call returns, which is zero for most. */
int ivr_ioctl(int fd, unsigned long request, void *arg);

int ivr_map(int fd, uint64_t offset, size_t length, int prot, void **memory);
void ivr_unmap(const void *memory, size_t length);

/* Sleeps until poll() has POLLPRI; -EPROTO for POLLERR. */
int ivr_poll_members(int fd, uint64_t deadline);

/* How many CPUs this process may run on. */
unsigned int ivr_cpus(void);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t ivr_now(void);

/* Sleeps till then, which is not for ever; -EINTR. */
int ivr_sleep(uint64_t deadline);

#endif /* IVR_SYS_H */
