// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Payload: blocks of the member's own outbox, and payload in the outboxes of peers.
 */

#include <errno.h>
#include <string.h>

#include "member.h"
#include "os/barrier.h"
#include "refuse.h"
#include "send/inbox.h"
#include "send/lane.h"
#include "send/peers.h"
#include "why.h"

const char *const ivr_not_in_a_block = "The payload does not lie within one block that is in use.";

static const struct ivr_reason alloc_reasons[] = {
	{ -EINVAL, "A block must have at least one byte." },
	{ -EMSGSIZE, "The block would be larger than the outbox." },
	{ -EAGAIN, "There is no room in the outbox, and the deadline is zero." },
	{ -EDEADLK, "There is no room in the outbox, and only this member itself can make room." },
	{ 0 },
};

static bool has_released(void *arg, const struct ivr_delivery *delivery)
{
	struct ivr_member *member = arg;
	struct ivr_mapped_peer *peer = ivr_peers_find(member, delivery->to);

	if (!peer)
		return true;
	if (!delivery->lane)
		return ivr_inbox_has_read(member, peer, delivery->position);
	/* A later lane to the same peer has another number. */
	return delivery->lane != peer->lane.number || peer->lane.error ||
	       ivr_lane_has_read(&peer->lane, delivery->position);
}

/* Sleeps until a receiver has released its delivery of the oldest block. */
static int wait_for(struct ivr_member *member, struct ivr_delivery *delivery, uint64_t deadline)
{
	int ret;

	if (deadline && delivery->to.id == member->self.id)
		return -EDEADLK;
	if (delivery->lane)
		ret = ivr_lane_flush(&ivr_peers_find(member, delivery->to)->lane, delivery->position,
				     deadline);
	else
		ret = ivr_inbox_flush(member, delivery->to, delivery->position, deadline);
	switch (ret) {
	case 0:
	case -EPIPE:
	case -ESTALE:
	case -ECONNRESET:
	case -EPROTO:	/* the receiver broke the ring, and will never read from it again */
		/* Nobody uses this delivery any more. */
		delivery->to.id = IVRING_ID_ANY;
		return 0;
	case -ETIMEDOUT:
		return deadline ? -ETIMEDOUT : -EAGAIN;
	default:
		return ret;
	}
}

int ivr_alloc(struct ivr_member *member, size_t length, uint64_t deadline, void **data)
{
	struct ivr_delivery *waits_for;
	uint64_t offset;
	int ret = ivr_refuse_in_child(member);

	if (ret)
		return ret;
	for (;;) {
		waits_for = ivr_outbox_reclaim(&member->outbox, has_released, member);
		ret = ivr_outbox_alloc(&member->outbox, length, &offset);
		if (ret != -EAGAIN)
			break;
		if (!waits_for)
			return ivr_fail_as(deadline ? -EDEADLK : -EAGAIN, alloc_reasons);
		ret = wait_for(member, waits_for, deadline);
		if (ret)
			break;
	}
	if (ret)
		return ivr_fail_as(ret, alloc_reasons);
	*data = member->outbox_data + offset;
	return 0;
}

/* Offset in the outbox. It is member->outbox_bytes or more if @data is not in the outbox. */
static uint64_t offset_of(const struct ivr_member *member, const void *data)
{
	return (uintptr_t)data - (uintptr_t)member->outbox_data;
}

int ivr_free(struct ivr_member *member, void *data)
{
	uint64_t offset = offset_of(member, data);
	struct ivr_block *block = ivr_outbox_find(&member->outbox, offset, 0);

	if (ivr_refuse_in_child(member))
		return -EPERM;
	if (!block || offset != (block->start & (member->outbox_bytes - 1)))
		return ivr_fail(-EINVAL, "No block in use begins at that address.");
	if (block->state != IVR_BLOCK_HELD)
		return ivr_fail(-EINVAL, "The block has been sent.");
	ivr_outbox_free(&member->outbox, block);
	return 0;
}

int ivr_set_payload(struct ivr_member *member, struct ivring_item *item, const void *data,
		    size_t length)
{
	uint64_t offset = offset_of(member, data);

	if (ivr_refuse_in_child(member))
		return -EPERM;
	if (length && !ivr_outbox_find(&member->outbox, offset, length))
		return ivr_fail(-EINVAL, ivr_not_in_a_block);
	item->offset = length ? offset : 0;
	item->length = (uint32_t)length;
	return 0;
}

int ivr_payload(struct ivr_member *member, const struct ivring_item *item, const void **data)
{
	uint32_t unconsumed = member->receiver.rotation.unconsumed;
	struct ivr_mapped_peer *sender;
	int ret;

	*data = NULL;
	ret = ivr_refuse_in_child(member);
	if (ret || !item->length)
		return ret;
	if (item->offset > member->outbox_bytes || item->length > member->outbox_bytes - item->offset)
		return ivr_fail(-EPROTO, "The payload of the item lies outside of the sender's outbox.");
	ret = ivr_peers_get_outbox(member, ivr_sender(item), &sender);
	if (ret == -EPIPE || ret == -ESTALE)
		return ivr_fail(ret, "The sender has left, and all its items have been consumed.");
	if (ret)
		return ret;
	/*
	 * The payload stays valid until all received items are consumed, or, in a handler, until
	 * the handler returns.
	 */
	sender->lent = member->receiver.consumed + (unconsumed ? unconsumed : 1);
	*data = sender->outbox + item->offset;
	return 0;
}

int ivr_copy_payload(struct ivr_member *member, const struct ivring_item *item, void *buffer,
		     size_t size)
{
	const void *data;
	int ret;

	if (item->length > size)
		return ivr_fail(-EMSGSIZE, "The payload is larger than the buffer.");
	ret = ivr_payload(member, item, &data);
	if (ret)
		return ret;
	if (data)
		ivr_copy(buffer, data, item->length);
	return (int)item->length;
}

int ivr_set_inline(struct ivring_item *item, const void *data, size_t length)
{
	if (length > IVRING_INLINE_BYTES)
		return ivr_fail(-EMSGSIZE, "An item holds at most IVRING_INLINE_BYTES bytes.");
	if (length)
		memcpy(item->data, data, length);
	item->inline_len = (uint8_t)length;
	return 0;
}

int ivr_get_inline(const struct ivring_item *item, void *data, size_t length)
{
	if (length != item->inline_len || length > IVRING_INLINE_BYTES)
		return ivr_fail(-EPROTO, "The item holds more or fewer bytes than the caller expects.");
	if (length)
		memcpy(data, item->data, length);
	return 0;
}
