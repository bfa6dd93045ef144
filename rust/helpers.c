// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel's bindings for Rust do not have. Each is declared where it is used.
 */

#include <linux/rcupdate.h>
#include <linux/smp.h>
#include <linux/tick.h>
#include <linux/time_namespace.h>

/* rust/waitqueue.rs */
ktime_t ivring_timens_ktime_to_host(ktime_t monotonic);

ktime_t ivring_timens_ktime_to_host(ktime_t monotonic)
{
	return timens_ktime_to_host(CLOCK_MONOTONIC, monotonic);
}

static void full_barrier(void *unused)
{
	smp_mb();
}

/* rust/cpus.rs */
void ivring_barrier_on_all_cpus(void);

/* Sleeps. As sys_membarrier() does for MEMBARRIER_CMD_GLOBAL, but with nohz_full too. */
void ivring_barrier_on_all_cpus(void)
{
	if (tick_nohz_full_enabled())
		smp_call_function(full_barrier, NULL, 1);
	else
		synchronize_rcu();
	smp_mb();
}
