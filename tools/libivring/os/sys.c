// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/ivring.h>

#include "os/sys.h"

#define NSEC_PER_SEC	1000000000ULL

_Static_assert(sizeof(off_t) == 8, "offsets of areas are above 4 GiB: build with _FILE_OFFSET_BITS=64");

int ivr_device_open(void)
{
	int fd = open("/dev/ivring", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void ivr_device_close(int fd)
{
	close(fd);
}

int ivr_ioctl(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

int ivr_map(int fd, uint64_t offset, size_t length, int prot, void **memory)
{
	void *mapped = mmap(NULL, length, prot, MAP_SHARED, fd, (off_t)offset);

	if (mapped == MAP_FAILED)
		return -errno;
	*memory = mapped;
	return 0;
}

void ivr_unmap(const void *memory, size_t length)
{
	munmap((void *)memory, length);
}

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){ .tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC };
}

int ivr_poll_members(int fd, uint64_t deadline)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLPRI };
	uint64_t now = ivr_now();
	struct timespec left = timespec_of(deadline > now ? deadline - now : 0);
	int ret = ppoll(&pollfd, 1, deadline == IVRING_DEADLINE_NEVER ? NULL : &left, NULL);

	if (ret < 0)
		return -errno;
	if (!ret)
		return -ETIMEDOUT;
	return pollfd.revents & POLLERR ? -EPROTO : 0;
}

unsigned int ivr_cpus(void)
{
	cpu_set_t cpus;

	/* The call fails if there are more CPUs than the set has room for. */
	if (sched_getaffinity(0, sizeof(cpus), &cpus))
		return CPU_SETSIZE;
	return (unsigned int)CPU_COUNT(&cpus);
}

uint64_t ivr_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

int ivr_sleep(uint64_t deadline)
{
	struct timespec until = timespec_of(deadline);

	return -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}
