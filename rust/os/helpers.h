/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions and constants that the kernel's bindings for Rust do not have. The Rust file that each
 * comment names has the same declarations.
 */
#ifndef IVRING_HELPERS_H
#define IVRING_HELPERS_H

#include <linux/compiler_types.h>
#include <linux/ktime.h>
#include <linux/mm_types.h>
#include <linux/types.h>
#include <linux/uidgid_types.h>

struct file;

/* os/waitqueue.rs: from the current task's time namespace to the time that the kernel counts. */
ktime_t ivring_timens_ktime_to_host(ktime_t monotonic);

/* os/allocation.rs: flags for memory of a size that users decide. */
extern const gfp_t ivring_gfp_charged;

/* memory/mapping.rs: VM_MAYSHARE; kernels before 7.3 give Rust another flag by that name. */
extern const vm_flags_t ivring_vm_mayshare;

/* os/nospec.rs: array_index_nospec(). */
size_t ivring_index_nospec(size_t index, size_t length);

/* ivring.rs: sets each memory limit that no module parameter has set. */
void ivring_init_memory_limits(void);

/* os/credentials.rs: the user whose limits apply to the current task. */
kuid_t ivring_accountable_user(void);

/* memory/account.rs: these limits in bytes, and whether the current task may exceed them. */
u64 ivring_user_memory(void);
u64 ivring_total_memory(void);
bool ivring_may_exceed_memory(void);

/*
 * os/process.rs: watches the current process. @ended is called once from a work queue when the
 * process has ended, and never after ivring_watch_stop().
 */
struct ivring_watch;
struct ivring_watch *ivring_watch_current(void (*ended)(void *data), void *data);
bool ivring_watch_is_ending(const struct ivring_watch *watch);
void ivring_watch_stop(struct ivring_watch *watch);

/*
 * os/later.rs: lets a work queue call @call with @data, repeatedly as long as @call returns true.
 * ivring_later_stop() waits for the scheduled calls. No call begins after it has returned.
 */
struct ivring_later;
struct ivring_later *ivring_later_new(bool (*call)(void *data), void *data);
void ivring_later_schedule(struct ivring_later *later);
void ivring_later_stop(struct ivring_later *later);

/* ivring.rs: prepares the functions below; called once. */
int ivring_shmem_init(void);

/*
 * memory/outbox.rs: a file of shared memory, or an error pointer. The file calls @drop with @owner
 * when its last reference is gone, that of a mapping included.
 */
struct file *ivring_shmem_new(u64 bytes, void *owner, void (*drop)(void *owner));
/* Makes @vma, which is being set up, a mapping of the file from @first_page on. */
void ivring_shmem_map(struct file *file, struct vm_area_struct *vma, unsigned long first_page,
		      bool writes);
/* Returns the number of bytes in pages that are allocated, in memory or swapped out. */
u64 ivring_shmem_bytes(struct file *file);

/* device/file.rs, device/view.rs: the operation of files by which outboxes are mapped. */
unsigned long ivring_shmem_get_unmapped_area(struct file *file, unsigned long address,
					     unsigned long length, unsigned long pgoff,
					     unsigned long flags);

/* os/cpus.rs: sleeps until each CPU has passed a full barrier. */
void ivring_barrier_on_all_cpus(void);

/* os/bits.rs: set or clear bits of a word, and return its old value; fully ordered. */
u32 ivring_fetch_or(u32 *word, u32 bits);
u32 ivring_fetch_andnot(u32 *word, u32 bits);

#endif /* IVRING_HELPERS_H */
