// SPDX-License-Identifier: GPL-2.0
/*
 * Work items that a task schedules and that a work queue executes later.
 */
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "helpers.h"

struct ivring_later {
	struct work_struct work;
	bool (*call)(void *data);
	void *data;
};

static void call_later(struct work_struct *work)
{
	struct ivring_later *later = container_of(work, struct ivring_later, work);

	while (later->call(later->data))
		cond_resched();
}

struct ivring_later *ivring_later_new(bool (*call)(void *data), void *data)
{
	struct ivring_later *later = kmalloc(sizeof(*later), ivring_gfp_charged);

	if (!later)
		return NULL;
	later->call = call;
	later->data = data;
	INIT_WORK(&later->work, call_later);
	return later;
}

/* May be called under spinlocks. */
void ivring_later_schedule(struct ivring_later *later)
{
	schedule_work(&later->work);
}

void ivring_later_stop(struct ivring_later *later)
{
	/* This waits for scheduled work to be executed, and does not cancel it. */
	flush_work(&later->work);
	kfree(later);
}
