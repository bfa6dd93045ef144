/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What all tests share. The functions return 0 or -errno like those of the kernel.
 */
#ifndef IVRING_TEST_H
#define IVRING_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/ivring.h>

#include "kselftest_harness.h"

#define DEVICE		"/dev/ivring"
#define DEBUGFS_MEMBERS	"/sys/kernel/debug/ivring/members"

#define PAGE		4096UL
#define MSEC		1000000ULL		/* in nanoseconds */
#define SEC		1000000000ULL

#define LOAD(p)		__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define STORE(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define FULL_BARRIER()	__atomic_thread_fence(__ATOMIC_SEQ_CST)

/* A debug kernel, which checks each memory access, may be this many times slower. */
static int slowness = 1;

static void __attribute__((constructor)) more_time_on_debug_kernels(void)
{
	struct __fixture_metadata *f;
	struct __test_metadata *t;

	if (!access("/sys/kernel/debug/kmemleak", F_OK) || !access("/sys/kernel/debug/kcsan", F_OK))
		slowness = 10;
	/*
	 * The time limits of the harness only exist to find tests that hang. A busy machine
	 * must not reach them.
	 */
	for (f = __fixture_list; f; f = f->next)
		for (t = f->tests; t; t = t->next)
			t->timeout *= 4 * slowness;
}

#include "calls.h"
#include "member.h"
#include "child.h"

#endif /* IVRING_TEST_H */
