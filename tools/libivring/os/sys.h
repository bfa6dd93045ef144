/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * System calls, which return negative errno values. The unit tests replace sys.c by a simulated
 * device.
 */
#ifndef IVR_SYS_H
#define IVR_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opens /dev/ivring. Returns the descriptor. */
int ivr_device_open(void);
void ivr_device_close(int fd);

/* Returns the result of the ioctl, which is zero for most requests. */
int ivr_ioctl(int fd, unsigned long request, void *arg);

int ivr_map(int fd, uint64_t offset, size_t length, int prot, void **memory);
void ivr_unmap(const void *memory, size_t length);

/* Sleeps until poll() reports POLLPRI. Returns -EPROTO for POLLERR. */
int ivr_poll_members(int fd, uint64_t deadline);

/* Number of CPUs that this process may run on. */
unsigned int ivr_cpus(void);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t ivr_now(void);

/* Sleeps until @deadline, which is not IVRING_DEADLINE_NEVER. Returns 0 or -EINTR. */
int ivr_sleep(uint64_t deadline);

#endif /* IVR_SYS_H */
