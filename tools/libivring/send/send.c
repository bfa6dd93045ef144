// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>

#include "member.h"
#include "os/sys.h"
#include "payload/outbox.h"
#include "refuse.h"
#include "send/inbox.h"
#include "send/lane.h"
#include "send/peers.h"
#include "why.h"

/* The block that holds an item's payload, or NULL. */
static struct ivr_extent *block_of(struct ivr_member *member, const struct ivring_item *item)
{
	return ivr_outbox_find(&member->outbox, item->offset, item->length);
}

/* Why the receiver would close a lane because of this item, or NULL. */
static const char *fault_of(const struct ivring_item *item)
{
	if (item->sequence || item->from || item->from_gen)
		return "The sequence, from and from_gen of an item to be sent are not zero.";
	if (item->flags & ~IVRING_ITEM_FLAGS)
		return "The item has an unknown flag.";
	if (item->inline_len > IVRING_INLINE_BYTES)
		return "The inline_len of the item is larger than IVRING_INLINE_BYTES.";
	if (item->offset && !item->length)
		return "The item has an offset, but no length.";
	return NULL;
}

/*
 * Checks that the receiver would not close a lane because of any of the items, and that the payload
 * of each lies in one block. Counts the items with payload.
 */
static int check_items(struct ivr_member *member, const struct ivring_item *items,
		       unsigned int count, uint32_t *payloads)
{
	unsigned int i;

	*payloads = 0;
	for (i = 0; i < count; i++) {
		const char *fault = fault_of(&items[i]);

		if (fault)
			return ivr_fail(-EINVAL, fault);
		if (!items[i].length)
			continue;
		if (!block_of(member, &items[i]))
			return ivr_fail(-EINVAL, ivr_not_in_a_block);
		++*payloads;
	}
	return 0;
}

static const struct ivr_reason inbox_reasons[] = {
	{ -EAGAIN, "The inbox is full, and the deadline is zero." },
	{ -ETIMEDOUT, "The inbox was full until the deadline." },
	{ -EDEADLK, "The inbox is full, and only the sender itself reads it." },
	{ -EPROTO, "The receiver has broken its inbox by a bad consumer index." },
	{ -EINVAL, "The module refused an item, which another thread may have changed." },
	{ 0 },
};

static const struct ivr_reason watch_reasons[] = {
	{ -EAGAIN, "The inbox is full. It is watched." },
	{ -ENOMEM, "The kernel has no memory to watch the inbox, or for the sender's payload." },
	{ -EPROTO, "The receiver has broken its inbox by a bad consumer index." },
	{ -EINVAL, "The module refused an item, which another thread may have changed." },
	{ 0 },
};

static const struct ivr_reason flush_reasons[] = {
	{ -ETIMEDOUT, "The receiver had not read all items when the deadline passed." },
	{ -EDEADLK, "The member itself has to read the items that it sent to itself." },
	{ -EPIPE, "The member has left the region, and it is not known which items it had read." },
	{ -EPROTO, "The receiver has broken a ring by a bad consumer index." },
	{ -ECONNRESET, "The receiver closed the lane before it had read all items." },
	{ 0 },
};

/* The unread items with blocks in the ring to the peer that ivr_send() uses. */
static struct ivr_unread *unread_of(struct ivr_mapped_peer *peer)
{
	if (!peer->by_lane)
		return &peer->inbox_unread;
	peer->lane_unread.by_lane = true;
	return &peer->lane_unread;
}

/* Notes that the items went into a ring. @position is the index after the last item. */
static void mark_sent(struct ivr_member *member, struct ivr_unread *ring,
		      const struct ivring_item *items, unsigned int count, uint32_t position)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (items[i].length)
			ivr_outbox_sent(&member->outbox, block_of(member, &items[i]), ring,
					position - (count - 1 - i));
}

static int send_to_inbox(struct ivr_member *member, struct ivr_mapped_peer *peer,
			 const struct ivring_item *items, unsigned int count, uint64_t deadline)
{
	/* A member that waited for room in its own inbox would wait for ever. */
	bool wait = deadline && peer->peer.id != member->self.id;
	unsigned int sent = 0;
	int ret = 0;

	while (sent < count) {
		unsigned int left = count - sent;
		struct ivring_enqueue call = {
			.id = peer->peer.id,
			.generation = peer->peer.generation,
			.count = left < IVRING_MAX_BATCH ? left : IVRING_MAX_BATCH,
			.flags = wait ? IVRING_ENQUEUE_WAIT : 0,
			.items = (uintptr_t)&items[sent],
			.deadline = wait ? deadline : 0,
		};

		ret = ivr_ioctl(member->fd, IVRING_IOC_ENQUEUE, &call);
		if (ret)
			break;
		mark_sent(member, &peer->inbox_unread, &items[sent], call.done, call.position);
		peer->sent = true;
		peer->position = call.position;
		sent += call.done;
		if (call.done < call.count)
			break;
	}
	if (ret == -EAGAIN && deadline && !wait)
		ret = -EDEADLK;
	return sent ? (int)sent : ivr_fail_as(ret, inbox_reasons);
}

/* Sends as many items as fit. If there is no room, watches the inbox. */
static int send_to_inbox_or_watch(struct ivr_member *member, struct ivr_mapped_peer *peer,
				  const struct ivring_item *items, unsigned int count)
{
	struct ivring_enqueue call = {
		.id = peer->peer.id,
		.generation = peer->peer.generation,
		.count = count < IVRING_MAX_BATCH ? count : IVRING_MAX_BATCH,
		.flags = IVRING_ENQUEUE_WATCH,
		.items = (uintptr_t)items,
	};
	int ret = ivr_ioctl(member->fd, IVRING_IOC_ENQUEUE, &call);

	if (ret)
		return ivr_fail_as(ret, watch_reasons);
	mark_sent(member, &peer->inbox_unread, items, call.done, call.position);
	peer->sent = true;
	peer->position = call.position;
	return (int)call.done;
}

/* The caller gets -ECONNRESET once. After that, items go to the inbox. */
static int after_lane_error(struct ivr_mapped_peer *peer, int ret)
{
	if (ret == -ECONNRESET)
		peer->by_lane = false;
	return ret;
}

/* Waits for room for the first item. Sends as many as there is room for, and returns their number. */
static int send_some_by_lane(struct ivr_member *member, struct ivr_mapped_peer *peer,
			     const struct ivring_item *items, unsigned int count, uint64_t deadline)
{
	struct ivr_lane *lane = &peer->lane;
	unsigned int sent = 1;
	int ret;

	ret = ivr_lane_push(lane, &items[0]);
	if (ret == -EAGAIN) {
		ret = ivr_lane_wait(lane, deadline);
		if (!ret)
			ret = ivr_lane_push(lane, &items[0]);
	}
	if (ret)
		return ret;
	while (sent < count && !ivr_lane_push(lane, &items[sent]))
		sent++;
	ret = ivr_lane_notify(lane);
	if (ret)
		return ret;
	mark_sent(member, &peer->lane_unread, items, sent, (uint32_t)lane->producer);
	return (int)sent;
}

static int send_by_lane(struct ivr_member *member, struct ivr_mapped_peer *peer,
			const struct ivring_item *items, unsigned int count, uint64_t deadline)
{
	unsigned int sent = 0;
	int ret = 0;

	while (sent < count && ret >= 0) {
		ret = send_some_by_lane(member, peer, &items[sent], count - sent, deadline);
		if (ret > 0)
			sent += (unsigned int)ret;
	}
	/* If some went in, the next call returns the error. */
	return sent ? (int)sent : after_lane_error(peer, ret);
}

/* Checks the arguments of a send, maps the area of the receiver, and allocates memory for it. */
static int prepare(struct ivr_member *member, struct ivr_peer to, const struct ivring_item *items,
		   unsigned int count, struct ivr_mapped_peer **peer)
{
	uint32_t payloads;
	int ret;

	if (!count || count > INT32_MAX)
		return ivr_fail(-EINVAL, "The number of items is zero, or larger than INT32_MAX.");
	ret = ivr_refuse_in_child(member);
	if (ret)
		return ret;
	ret = check_items(member, items, count, &payloads);
	if (ret)
		return ret;
	/*
	 * The area is mapped now, so that its consumer index can be read even after the peer has
	 * left.
	 */
	ret = ivr_peers_get(member, to, peer);
	if (ret)
		return ret;
	if (payloads && ivr_unread_reserve(unread_of(*peer), payloads))
		return ivr_fail_as(-ENOMEM, NULL);
	return 0;
}

int ivr_send(struct ivr_member *member, struct ivr_peer to, const struct ivring_item *items,
	     unsigned int count, uint64_t deadline)
{
	struct ivr_mapped_peer *peer;
	int ret = prepare(member, to, items, count, &peer);

	if (ret)
		return ret;
	if (peer->by_lane)
		return send_by_lane(member, peer, items, count, deadline);
	return send_to_inbox(member, peer, items, count, deadline);
}

int ivr_send_or_watch(struct ivr_member *member, struct ivr_peer to, const struct ivring_item *items,
		      unsigned int count)
{
	struct ivr_mapped_peer *peer;
	int ret = prepare(member, to, items, count, &peer);

	if (ret)
		return ret;
	if (!peer->by_lane)
		return send_to_inbox_or_watch(member, peer, items, count);
	ret = ivr_lane_watch(&peer->lane);
	if (ret)
		return after_lane_error(peer, ret);
	return send_by_lane(member, peer, items, count, 0);
}

int ivr_next_watch(struct ivr_member *member, struct ivr_watch *watch)
{
	struct ivring_next_watch next;
	int ret = ivr_refuse_in_child(member);

	if (ret)
		return ret;
	ret = ivr_ioctl(member->fd, IVRING_IOC_NEXT_WATCH, &next);
	if (ret == -EAGAIN)
		return 0;
	if (ret)
		return ivr_fail_as(ret, NULL);
	*watch = (struct ivr_watch){
		.peer = { .id = next.id, .generation = next.generation },
		.by_lane = !!(next.flags & IVRING_WATCH_LANE),
	};
	return 1;
}

static int send_one(struct ivr_member *member, struct ivr_peer to, const struct ivring_item *item,
		    uint64_t deadline)
{
	int ret = ivr_send(member, to, item, 1, deadline);

	return ret < 0 ? ret : 0;
}

unsigned int ivr_multicast(struct ivr_member *member, const struct ivr_peer *to,
			   unsigned int count, const struct ivring_item *item,
			   uint64_t deadline, int *results)
{
	unsigned int i, sent = 0;

	for (i = 0; i < count; i++)
		results[i] = send_one(member, to[i], item, 0);
	for (i = 0; i < count; i++) {
		if (results[i] == -EAGAIN && deadline)
			results[i] = send_one(member, to[i], item, deadline);
		sent += !results[i];
	}
	return sent;
}

int ivr_reply(struct ivr_member *member, const struct ivring_item *request,
	      const struct ivring_item *answer, uint64_t deadline)
{
	struct ivring_item item = *answer;

	item.cookie = request->cookie;
	item.flags = (item.flags & ~IVRING_ITEM_REQUEST) | IVRING_ITEM_REPLY;
	return send_one(member, ivr_sender(request), &item, deadline);
}

static bool has_read_inbox(const struct ivr_member *member, const struct ivr_mapped_peer *peer)
{
	return !peer->sent || ivr_inbox_has_read(member, peer, peer->position);
}

static int flush_inbox(const struct ivr_member *member, const struct ivr_mapped_peer *peer, uint64_t deadline)
{
	int ret;

	if (has_read_inbox(member, peer))
		return 0;
	if (deadline && peer->peer.id == member->self.id)
		return -EDEADLK;
	ret = ivr_inbox_flush(member, peer->peer, peer->position, deadline);
	/* The peer may have read all items before it left. */
	return ret && has_read_inbox(member, peer) ? 0 : ret;
}

static int flush_lane(struct ivr_lane *lane, uint64_t deadline)
{
	uint32_t position = (uint32_t)lane->producer;
	int ret = 0;

	if (lane->notified != position)
		ret = ivr_lane_notify(lane);
	if (ret || ivr_lane_has_read(lane, position))
		return ret;
	if (deadline && lane->to.id == lane->member->self.id)
		return -EDEADLK;
	ret = ivr_lane_flush(lane, position, deadline);
	return ret && ivr_lane_has_read(lane, position) ? 0 : ret;
}

int ivr_flush(struct ivr_member *member, struct ivr_peer to, uint64_t deadline)
{
	struct ivr_mapped_peer *peer;
	int ret;

	ret = ivr_refuse_in_child(member);
	if (ret)
		return ret;
	ret = ivr_peers_get(member, to, &peer);
	if (ret)
		return ret;
	ret = flush_inbox(member, peer, deadline);
	if (!ret && peer->by_lane)
		ret = after_lane_error(peer, flush_lane(&peer->lane, deadline));
	return ret ? ivr_fail_as(ret, flush_reasons) : 0;
}
