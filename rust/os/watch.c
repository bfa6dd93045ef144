// SPDX-License-Identifier: GPL-2.0
/*
 * Watches for the end of a process on the wait queue of its struct pid, as pidfds do. No other
 * process gets this struct pid, even if the process ID is reused.
 */
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "helpers.h"

struct ivring_watch {
	struct pid *pid;
	wait_queue_entry_t entry;	/* on pid->wait_pidfd */
	struct work_struct work;
	void (*ended)(void *data);
	void *data;
};

/* As in pidfd_poll(): a leader that exits before its other threads does not end the process. */
static bool has_ended(struct pid *pid)
{
	struct task_struct *task;
	bool ended;

	rcu_read_lock();
	task = pid_task(pid, PIDTYPE_PID);
	ended = !task || (READ_ONCE(task->exit_state) && !delay_group_leader(task));
	rcu_read_unlock();
	return ended;
}

/* Called by a task that exits, under spinlocks and with interrupts off. */
static int notified(wait_queue_entry_t *entry, unsigned int mode, int flags, void *key)
{
	struct ivring_watch *watch = container_of(entry, struct ivring_watch, entry);

	if (has_ended(watch->pid))
		schedule_work(&watch->work);
	return 0;
}

static void call_ended(struct work_struct *work)
{
	struct ivring_watch *watch = container_of(work, struct ivring_watch, work);

	watch->ended(watch->data);
}

struct ivring_watch *ivring_watch_current(void (*ended)(void *data), void *data)
{
	struct ivring_watch *watch = kmalloc(sizeof(*watch), ivring_gfp_charged);

	if (!watch)
		return NULL;
	watch->pid = get_pid(task_tgid(current));
	watch->ended = ended;
	watch->data = data;
	INIT_WORK(&watch->work, call_ended);
	init_waitqueue_func_entry(&watch->entry, notified);
	add_wait_queue(&watch->pid->wait_pidfd, &watch->entry);
	return watch;
}

/*
 * Whether the current task is the last one of the process. Other threads of the process may have
 * got further in their exit. A thread that has unshared its files closes them when it exits, and
 * the process continues.
 */
bool ivring_watch_is_ending(const struct ivring_watch *watch)
{
	return task_tgid(current) == watch->pid && !atomic_read(&current->signal->live);
}

void ivring_watch_stop(struct ivring_watch *watch)
{
	remove_wait_queue(&watch->pid->wait_pidfd, &watch->entry);
	cancel_work_sync(&watch->work);
	put_pid(watch->pid);
	kfree(watch);
}
