// SPDX-License-Identifier: GPL-2.0
/*
 * Inline functions of the kernel that its bindings for Rust do not have.
 */

#include <linux/time_namespace.h>

/* rust/waitqueue.rs declares what is defined here. */
ktime_t ivring_timens_ktime_to_host(ktime_t monotonic);

ktime_t ivring_timens_ktime_to_host(ktime_t monotonic)
{
	return timens_ktime_to_host(CLOCK_MONOTONIC, monotonic);
}
