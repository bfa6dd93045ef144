/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process that attaches a member, and a second process that holds the same file and
 * outlives the first.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include "ivring_test.h"
#include "lane.h"

#define SLOT	1

/* Shared by the test and its processes. */
struct shared {
	int attached;		/* 1 minus the attacher's result; 0 before the call */
	int kept;		/* 1 minus the keeper's result; 0 before the call */
	bool sleeps;		/* the keeper is about to sleep */
	bool close;		/* tells the keeper to close the file */
	bool closed;
};

static inline int attach(int fd, int region_fd, __u32 flags)
{
	struct ivring_attach a = attach_args(region_fd, SLOT);

	a.flags = flags;
	return dev_ioctl(fd, IVRING_IOC_ATTACH, &a);
}

/* Start a process that inherits the descriptor of the attacher and outlives it. */
static inline void fork_keeper(struct shared *shared, int fd,
			       int (*keep)(struct shared *shared, int fd))
{
	if (fork())
		return;
	alarm(60);
	STORE(&shared->kept, 1 - keep(shared, fd));
	while (!LOAD(&shared->close))
		usleep(200);
	close(fd);
	STORE(&shared->closed, true);
	_exit(0);
}

/* Start a process that attaches, lets a keeper inherit its descriptor, and calls @live. */
static inline pid_t attach_in_process(struct shared *shared, int region_fd, __u32 flags,
				      int (*keep)(struct shared *shared, int fd),
				      void (*live)(int fd))
{
	pid_t pid = child_fork();
	int fd, ret;

	if (pid)
		return SOON(LOAD(&shared->attached)) && shared->attached == 1 ? pid : -1;
	fd = dev_open();
	ret = attach(fd, region_fd, flags);
	if (!ret && keep)
		fork_keeper(shared, fd, keep);
	STORE(&shared->attached, 1 - ret);
	live(fd);
	_exit(0);
}

static inline void wait_for_ever(int fd)
{
	for (;;)
		pause();
}

#endif /* PROCESS_H */
