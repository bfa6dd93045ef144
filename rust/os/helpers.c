// SPDX-License-Identifier: GPL-2.0

#include <linux/atomic.h>
#include <linux/capability.h>
#include <linux/context_tracking_state.h>
#include <linux/cred.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/nospec.h>
#include <linux/rcupdate.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/time_namespace.h>
#include <linux/user_namespace.h>

#include "helpers.h"

const gfp_t ivring_gfp_charged = GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;

/* The value of a parameter that is not set. */
#define DEFAULT_LIMIT	ULONG_MAX

static unsigned long user_memory_mib = DEFAULT_LIMIT;
module_param(user_memory_mib, ulong, 0644);
MODULE_PARM_DESC(user_memory_mib,
		 "MiB of areas that one user may have (an eighth of the machine's memory)");

static unsigned long total_memory_mib = DEFAULT_LIMIT;
module_param(total_memory_mib, ulong, 0644);
MODULE_PARM_DESC(total_memory_mib,
		 "MiB of areas that all users together may have (half of the machine's memory)");

void ivring_init_memory_limits(void)
{
	unsigned long mib = totalram_pages() >> (20 - PAGE_SHIFT);

	if (user_memory_mib == DEFAULT_LIMIT)
		user_memory_mib = max(mib / 8, 1UL);
	if (total_memory_mib == DEFAULT_LIMIT)
		total_memory_mib = max(mib / 2, 1UL);
}

static u64 bytes_of_mib(u64 mib)
{
	return min(mib, U64_MAX >> 20) << 20;
}

u64 ivring_user_memory(void)
{
	return bytes_of_mib(READ_ONCE(user_memory_mib));
}

u64 ivring_total_memory(void)
{
	return bytes_of_mib(READ_ONCE(total_memory_mib));
}

bool ivring_may_exceed_memory(void)
{
	return ns_capable_noaudit(&init_user_ns, CAP_SYS_RESOURCE);
}

/*
 * A user can make namespaces with thousands of subordinate users, and become each of them. The
 * memory of all of them is charged to the user who made the outermost namespace. If root made this
 * namespace for another user (a container), it is charged to the user who is root in there.
 */
kuid_t ivring_accountable_user(void)
{
	struct user_namespace *ns = current_user_ns();
	kuid_t root;

	if (ns == &init_user_ns)
		return current_euid();
	while (ns->parent != &init_user_ns)
		ns = ns->parent;
	if (!uid_eq(ns->owner, GLOBAL_ROOT_UID))
		return ns->owner;
	root = make_kuid(ns, 0);
	return uid_valid(root) ? root : current_euid();
}

const vm_flags_t ivring_vm_mayshare = VM_MAYSHARE;

size_t ivring_index_nospec(size_t index, size_t length)
{
	return array_index_nospec(index, length);
}

ktime_t ivring_timens_ktime_to_host(ktime_t monotonic)
{
	return timens_ktime_to_host(CLOCK_MONOTONIC, monotonic);
}

static void full_barrier(void *unused)
{
	/* Barrier A: pairs with the compiler barrier of a sender that runs on this CPU. */
	smp_mb();
}

/*
 * All CPUs are interrupted at most once in this number of microseconds, so that members that
 * request barriers all the time take at most a few percent of the time of other CPUs.
 */
#define ROUND_US	50

static DEFINE_SPINLOCK(round_lock);	/* held while all CPUs are interrupted */
static unsigned long rounds;		/* number of rounds that have begun */
static u64 next_round;			/* earliest ktime_get_ns() of the next one */

/*
 * A caller needs a round that begins after its call. All tasks that have called before this round
 * begins share it. So a caller waits for at most two rounds, however many tasks call: the round
 * that has begun already, and the next one. The task that does a round cannot be preempted while
 * other tasks wait for it; on real-time kernels it inherits their priority.
 */
static void interrupt_all_cpus(void)
{
	/* Pairs with the release below: a task that sees a round also sees its next_round. */
	unsigned long seen = smp_load_acquire(&rounds);
	s64 early = READ_ONCE(next_round) - ktime_get_ns();

	if (early > 0)
		usleep_range(early / NSEC_PER_USEC + 1, early / NSEC_PER_USEC + 1);
	spin_lock(&round_lock);
	if (rounds == seen) {
		WRITE_ONCE(next_round, ktime_get_ns() + ROUND_US * NSEC_PER_USEC);
		/* Pairs with the acquire above. */
		smp_store_release(&rounds, seen + 1);
		/* After the store: tasks that have not seen the new number share these barriers. */
		full_barrier(NULL);
		on_each_cpu(full_barrier, NULL, 1);
	}
	spin_unlock(&round_lock);
}

/* Exported to modules, but declared only in kernel/rcu/rcu.h. */
bool rcu_gp_is_normal(void);

/*
 * An expedited grace period ends when each CPU has passed a full barrier: it interrupts busy CPUs,
 * and leaves idle CPUs alone. If RCU tracks entries to user space (nohz_full,
 * CONTEXT_TRACKING_USER_FORCE), it leaves CPUs in user space alone too, which is not enough. On
 * real-time kernels, and with rcu_normal, grace periods are not expedited and take milliseconds.
 * In these cases, all CPUs are interrupted here.
 */
void ivring_barrier_on_all_cpus(void)
{
	full_barrier(NULL);
	if (IS_ENABLED(CONFIG_PREEMPT_RT) || IS_ENABLED(CONFIG_TINY_RCU) ||
	    context_tracking_enabled() || rcu_gp_is_normal())
		interrupt_all_cpus();
	else
		synchronize_rcu_expedited();
	full_barrier(NULL);
}

u32 ivring_fetch_or(u32 *word, u32 bits)
{
	return atomic_fetch_or(bits, (atomic_t *)word);
}

u32 ivring_fetch_andnot(u32 *word, u32 bits)
{
	return atomic_fetch_andnot(bits, (atomic_t *)word);
}
