// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stdlib.h>

#include "dispatch/handlers.h"
#include "dispatch/request.h"
#include "member.h"
#include "os/sys.h"
#include "receive/arm.h"
#include "refuse.h"
#include "send/peers.h"
#include "why.h"

#define MIN_CAPACITY	16u

/* Size in entries of the largest array that is kept when no request waits. */
#define KEPT_CAPACITY	256u

/*
 * Largest number of turns between two looks at the deadlines. Items that are in the rings at a
 * deadline may be replies, so they are normally handled first.
 */
#define MAX_TURNS	64u

/* Makes room for more requests. All entries are in use. */
static int grow(struct ivr_requests *requests)
{
	uint32_t capacity = requests->capacity ? 2 * requests->capacity : MIN_CAPACITY;
	struct ivr_pending_request *pending = reallocarray(requests->pending, capacity, sizeof(*pending));
	uint32_t i;

	if (!pending)
		return -ENOMEM;
	for (i = requests->capacity; i < capacity; i++)
		pending[i] = (struct ivr_pending_request){ .next = i + 1 };
	requests->pending = pending;
	requests->capacity = capacity;
	return 0;
}

static struct ivr_pending_request *find(const struct ivr_requests *requests, uint64_t cookie)
{
	uint32_t index = (uint32_t)cookie;
	struct ivr_pending_request *found;

	if (index >= requests->capacity)
		return NULL;
	found = &requests->pending[index];
	return found->fn && found->cookie == cookie ? found : NULL;
}

/* Frees the entry, and returns its previous content. */
static struct ivr_pending_request take(struct ivr_requests *requests, struct ivr_pending_request *request)
{
	struct ivr_pending_request taken = *request;
	uint32_t index = (uint32_t)taken.cookie;

	if (taken.deadline != IVRING_DEADLINE_NEVER)
		ivr_deadlines_remove(&requests->deadlines, index);
	request->fn = NULL;
	request->next = requests->free;
	requests->free = index;
	requests->waiting--;
	if (!requests->waiting && requests->capacity > KEPT_CAPACITY)
		ivr_requests_drop(requests);
	return taken;
}

int ivr_request(struct ivr_member *member, struct ivr_peer to, const struct ivring_item *item,
		uint64_t deadline, uint64_t reply_deadline, ivr_reply_fn fn, void *arg, uint64_t *id)
{
	struct ivr_requests *requests = &member->requests;
	bool ends = reply_deadline != IVRING_DEADLINE_NEVER;
	struct ivring_item copy = *item;
	struct ivr_pending_request *request;
	int ret;

	if (requests->free == requests->capacity && grow(requests))
		return ivr_fail_as(-ENOMEM, NULL);
	if (ends && ivr_deadlines_reserve(&requests->deadlines, requests->capacity))
		return ivr_fail_as(-ENOMEM, NULL);
	request = &requests->pending[requests->free];
	copy.cookie = (uint64_t)requests->sent << 32 | requests->free;
	copy.flags |= IVRING_ITEM_REQUEST;
	/* If the peer has left before this, sending fails. If it leaves later, the member is woken. */
	if (!ivr_in_child(member))
		ivr_want_members(member);
	ret = ivr_send(member, to, &copy, 1, deadline);
	if (ret < 0)
		return ret;
	if (ends && reply_deadline <= requests->passed)
		reply_deadline = requests->passed + 1;
	if (ends)
		ivr_deadlines_add(&requests->deadlines, requests->free, reply_deadline);
	requests->free = request->next;
	requests->sent++;
	requests->waiting++;
	request->cookie = copy.cookie;
	request->deadline = reply_deadline;
	request->to = to;
	request->fn = fn;
	request->arg = arg;
	if (id)
		*id = copy.cookie;
	return 0;
}

uint64_t ivr_next_deadline(const struct ivr_member *member)
{
	const struct ivr_deadlines *deadlines = &member->requests.deadlines;

	return deadlines->count ? deadlines->heap[0].deadline : IVRING_DEADLINE_NEVER;
}

int ivr_cancel(struct ivr_member *member, uint64_t id)
{
	struct ivr_pending_request *request = find(&member->requests, id);

	if (ivr_refuse_in_child(member))
		return -EPERM;
	if (!request)
		return ivr_fail(-ENOENT, "The request does not wait for a reply any more.");
	take(&member->requests, request);
	return 0;
}

void ivr_requests_answer(struct ivr_member *member, const struct ivring_item *reply)
{
	struct ivr_pending_request *request = find(&member->requests, reply->cookie), answered;

	if (!request || request->to.id != reply->from ||
	    request->to.generation != reply->from_gen) {
		member->counters.stray++;
		return;
	}
	member->counters.replies++;
	answered = take(&member->requests, request);
	if (reply->flags & IVRING_ITEM_REFUSED)
		answered.fn(member, -ECONNREFUSED, NULL, answered.arg);
	else
		answered.fn(member, 0, reply, answered.arg);
}

void ivr_requests_refuse(struct ivr_member *member, const struct ivring_item *request)
{
	struct ivring_item answer = { .flags = IVRING_ITEM_REFUSED, .port = request->port };
	int ret = ivr_reply(member, request, &answer, 0);

	if (!ret)
		member->counters.refused++;
	/*
	 * This error is reported once. The caller did not send this reply, and must still get the
	 * error.
	 */
	if (ret == -ECONNRESET)
		ivr_peers_find(member, ivr_sender(request))->by_lane = true;
}

void ivr_requests_fail(struct ivr_member *member)
{
	struct ivr_requests *requests = &member->requests;
	uint32_t i;

	/* The array may grow and move while the handlers run. */
	for (i = 0; i < requests->capacity && !ivr_dispatcher_ends(&member->dispatcher); i++) {
		struct ivr_pending_request *request = &requests->pending[i], failed;

		/* A member is reportable as gone when all of its items have been consumed. */
		if (!request->fn || member->slot_events[request->to.id].reportable <= request->to.generation)
			continue;
		failed = take(requests, request);
		failed.fn(member, -EPIPE, NULL, failed.arg);
	}
}

void ivr_requests_expire(struct ivr_member *member, bool empty)
{
	struct ivr_requests *requests = &member->requests;
	const struct ivr_deadlines *deadlines = &requests->deadlines;

	if (!empty && ++requests->turns < MAX_TURNS)
		return;
	requests->turns = 0;
	requests->passed = ivr_now();
	while (deadlines->count && deadlines->heap[0].deadline <= requests->passed &&
	       !ivr_dispatcher_ends(&member->dispatcher)) {
		struct ivr_pending_request expired =
			take(requests, &requests->pending[deadlines->heap[0].request]);

		expired.fn(member, -ETIMEDOUT, NULL, expired.arg);
	}
}

void ivr_requests_drop(struct ivr_requests *requests)
{
	free(requests->pending);
	ivr_deadlines_drop(&requests->deadlines);
	requests->pending = NULL;
	requests->capacity = 0;
	requests->waiting = 0;
	requests->free = 0;
}

void ivr_keep_reply(struct ivr_member *member, int status, const struct ivring_item *reply, void *arg)
{
	(void)member;
	if (!status)
		*(struct ivring_item *)arg = *reply;
}
