/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel's bindings for Rust do not have. The Rust files that are named
 * declare the same.
 */
#ifndef IVRING_HELPERS_H
#define IVRING_HELPERS_H

#include <linux/compiler_types.h>
#include <linux/ktime.h>
#include <linux/mm_types.h>
#include <linux/types.h>
#include <linux/uidgid_types.h>

/* waitqueue.rs: to a CLOCK_MONOTONIC time as the kernel itself counts. */
ktime_t ivring_timens_ktime_to_host(ktime_t monotonic);

/* memory.rs: to allocate what users ask for. */
extern const gfp_t ivring_gfp_charged;

/* mapping.rs: VM_MAYSHARE; kernels before 7.3 give Rust another flag by that name. */
extern const vm_flags_t ivring_vm_mayshare;

/* nospec.rs: array_index_nospec(). */
size_t ivring_index_nospec(size_t index, size_t length);

/* ivring.rs: sets the limits of memory that no parameter of the module has set. */
void ivring_init_memory_limits(void);

/* account.rs: the user whose limits apply to the current task, and what they are, in bytes. */
kuid_t ivring_accountable_user(void);
u64 ivring_user_memory(void);
u64 ivring_total_memory(void);
bool ivring_may_exceed_memory(void);

/*
 * process.rs: to be told when the current process has ended. What is told is called from a work
 * queue, once; after the stop it is not called any more.
 */
struct ivring_watch;
struct ivring_watch *ivring_watch_current(void (*ended)(void *data), void *data);
bool ivring_watch_is_ending(const struct ivring_watch *watch);
void ivring_watch_stop(struct ivring_watch *watch);

/* cpus.rs: sleeps until each CPU has passed a full barrier. */
void ivring_barrier_on_all_cpus(void);

/* bits.rs: set or clear bits of a word, and return what it was; fully ordered. */
u32 ivring_fetch_or(u32 *word, u32 bits);
u32 ivring_fetch_andnot(u32 *word, u32 bits);

/* user.rs: how many words were copied, from the first on. */
size_t ivring_read_words(u64 *to, const u64 __user *from, size_t count);
size_t ivring_touch_words(u64 *to, u64 __user *from, size_t count, size_t touch);
size_t ivring_write_words(u64 __user *to, const u64 *from, size_t count);

#endif /* IVRING_HELPERS_H */
