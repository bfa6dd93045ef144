// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Running the dispatcher: polling and sleeping while there are no items, stopping, and calls.
 */

#include <errno.h>

#include "dispatch/dispatcher.h"
#include "dispatch/request.h"
#include "member.h"
#include "os/barrier.h"
#include "os/sys.h"
#include "protocol/polling.h"
#include "receive/arm.h"
#include "refuse.h"
#include "why.h"

/* Polls for work until @until. True if there is work. */
static bool poll_for_work(struct ivr_member *member, uint64_t until)
{
	unsigned int i;

	do {
		for (i = 0; i < IVR_POLLING_LOOKS; i++) {
			if (ivr_has_work(member, true) || ivr_dispatcher_ends(&member->dispatcher))
				return true;
			ivr_pause();
		}
	} while (ivr_now() < until);
	return false;
}

/* Sleeps until there is work, unless there is some already. */
static int sleep_for_work(struct ivr_member *member, uint64_t deadline)
{
	struct ivring_wait call = {
		.flags = IVRING_WAIT_MEMBERS | IVRING_WAIT_ARMED,
		.deadline = deadline,
	};
	struct ivr_dispatcher *dispatcher = &member->dispatcher;
	int ret = ivr_arm_for(member, true);

	if (ret <= 0)
		return ret;
	ret = 0;
	/* An earlier ivr_stop() may have changed the word. */
	ivr_store(&member->area->wake_items, member->wake_items);
	ivr_store_release(&dispatcher->sleeping, 1);
	/* Pairs with ivr_stop(): one of the two sees the other's store. */
	ivr_full_barrier();
	if (!ivr_dispatcher_ends(&member->dispatcher))
		ret = ivr_ioctl(member->fd, IVRING_IOC_WAIT, &call);
	ivr_store(&dispatcher->sleeping, 0);
	/* The dispatcher looks at the deadlines of requests before it sleeps again. */
	if (!ret || ret == -EINTR || ret == -ETIMEDOUT)
		return 0;
	return ivr_fail_as(ret, ivr_wait_reasons);
}

/* Polls and sleeps until there may be work, or the deadline of a request has passed. */
static int wait_for_work(struct ivr_member *member)
{
	struct ivr_polling *polling = &member->idle_polling;
	uint64_t deadline = ivr_next_deadline(member), start;
	int ret;

	if (!polling->max)
		return sleep_for_work(member, deadline);
	start = ivr_now();
	if (polling->window && poll_for_work(member, ivr_polling_end(polling, start, deadline)))
		return 0;
	ret = sleep_for_work(member, deadline);
	ivr_polling_learn(polling, ivr_now() - start);
	return ret;
}

/* Dispatches until the dispatcher ends. Leaves the member armed. */
static int run(struct ivr_member *member)
{
	int ret;

	do {
		ret = ivr_dispatcher_drain(member, INT32_MAX);
		if (ret < 0 || ivr_dispatcher_ends(&member->dispatcher))
			break;
		ret = wait_for_work(member);
	} while (!ret);
	ivr_arm_or_ring(member);
	return ret < 0 ? ret : 0;
}

int ivr_run(struct ivr_member *member)
{
	int ret;

	ret = ivr_refuse(member);
	if (ret)
		return ret;
	ret = run(member);
	if (!ret)
		ivr_dispatcher_take_stop(member);
	return ret;
}

void ivr_stop(struct ivr_member *member)
{
	struct ivring_item item = { .port = IVR_PORT_RESERVED };
	struct ivring_enqueue call = {
		.id = member->self.id,
		.generation = member->self.generation,
		.count = 1,
		.items = (uintptr_t)&item,
	};
	int saved = errno;

	if (ivr_in_child(member))
		return;
	/*
	 * The release pairs with the acquire of ivr_take(): the dispatcher sees the caller's
	 * stores.
	 */
	ivr_store_release(&member->dispatcher.stop, 1);
	/* Pairs with ivr_run(): one of the two sees the other's store. */
	ivr_full_barrier();
	if (ivr_load_acquire(&member->dispatcher.sleeping)) {
		/* The wakeup must not be delayed. */
		ivr_store(&member->area->wake_items, 0);
		/* If this fails, the inbox is full or broken, so the dispatcher does not sleep. */
		ivr_ioctl(member->fd, IVRING_IOC_ENQUEUE, &call);
	}
	errno = saved;
}

static const struct ivr_reason reply_reasons[] = {
	{ -EPIPE, "The member that was asked has left the region without a reply." },
	{ -ECONNREFUSED, "The member that was asked has no handler of that port." },
	{ -ETIMEDOUT, "The deadline passed before the reply came." },
	{ 0 },
};

struct call {
	bool answered;
	int status;
	ivr_reply_fn fn;
	void *arg;
};

static void on_answer(struct ivr_member *member, int status, const struct ivring_item *reply, void *arg)
{
	struct call *call = arg;

	call->answered = true;
	call->status = status;
	member->dispatcher.answered = true;
	if (!status)
		call->fn(member, 0, reply, call->arg);
}

int ivr_call(struct ivr_member *member, struct ivr_peer to, const struct ivring_item *item,
	     uint64_t deadline, ivr_reply_fn fn, void *arg)
{
	struct call call = { .fn = fn, .arg = arg };
	uint64_t id;
	int ret;

	ret = ivr_refuse(member);
	if (ret)
		return ret;
	ret = ivr_request(member, to, item, deadline, deadline, on_answer, &call, &id);
	if (ret)
		return ret;
	ret = run(member);
	member->dispatcher.answered = false;
	if (call.answered)
		return call.status ? ivr_fail_as(call.status, reply_reasons) : 0;
	ivr_cancel(member, id);
	if (ret)
		return ret;
	/* The stop is still pending: it is for the loop that the caller enters next, too. */
	return ivr_fail(-ECANCELED, "A call of ivr_stop() ended the wait for the reply.");
}
