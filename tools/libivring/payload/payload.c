// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Payload: blocks of the member's own outbox, and payload in the outboxes of peers.
 */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "member.h"
#include "os/barrier.h"
#include "os/sys.h"
#include "peer.h"
#include "protocol/polling.h"
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

#define SLICE_NS	10000000ull	/* for one receiver, while others keep memory too */

static struct ivr_mapped_peer *peer_of(struct ivr_unread *ring)
{
	char *at = (char *)ring;

	if (ring->by_lane)
		return (void *)(at - offsetof(struct ivr_mapped_peer, lane_unread));
	return (void *)(at - offsetof(struct ivr_mapped_peer, inbox_unread));
}

static bool is_done(void *arg, struct ivr_unread *ring, uint32_t position)
{
	const struct ivr_mapped_peer *peer = peer_of(ring);
	const struct ivr_member *member = arg;
	bool read;

	if (ring->by_lane)
		read = ivr_lane_has_read(&peer->lane, position) || peer->lane.error ||
		       ivr_load(&peer->lane.end->closed);
	else
		read = ivr_inbox_has_read(member, peer, position);
	return read || ivr_peer_check(member, peer->peer);
}

/* The deadline for waiting for this ring. */
static uint64_t end_of_slice(const struct ivr_outbox *outbox, const struct ivr_unread *ring,
			     uint64_t deadline)
{
	bool alone = ring->next == ring && !outbox->held;
	uint64_t end;

	if (!deadline || alone)
		return deadline;
	end = ivr_now() + SLICE_NS;
	return end < deadline ? end : deadline;
}

/* Polls for progress before a sleep until @until. */
static bool poll_for(struct ivr_member *member, struct ivr_unread *ring, uint32_t position,
		     uint64_t until)
{
	unsigned int i;

	do {
		for (i = 0; i < IVR_POLLING_LOOKS; i++) {
			if (is_done(member, ring, position))
				return true;
			ivr_pause();
		}
	} while (ivr_now() < until);
	return false;
}

/* Sleeps until an item has been read, but polls for a while first. */
static int wait_for(struct ivr_member *member, struct ivr_unread *ring, uint32_t position,
		    uint64_t until)
{
	struct ivr_polling *polling = &member->room_polling;
	struct ivr_mapped_peer *peer = peer_of(ring);
	uint64_t start = ivr_now();
	int ret;

	if (until && polling->window &&
	    poll_for(member, ring, position, ivr_polling_end(polling, start, until)))
		return 0;
	if (ring->by_lane)
		ret = ivr_lane_flush(&peer->lane, position, until);
	else
		ret = ivr_inbox_flush(member, peer->peer, position, until);
	if (until)
		ivr_polling_learn(polling, ivr_now() - start);
	return ret;
}

/*
 * Waits until memory may have become free. This waits for one receiver at a time: for the receiver
 * that keeps the most bytes, and for receivers for which waiting was in vain after all others. If
 * another receiver keeps memory too, this waits for at most a slice. So a receiver that has stopped
 * delays the use of memory that others free by at most a slice.
 */
static int wait_for_memory(struct ivr_member *member, uint64_t deadline)
{
	struct ivr_outbox *outbox = &member->outbox;
	struct ivr_mapped_peer *self = ivr_peers_find(member, member->self);
	struct ivr_unread *ring = ivr_outbox_holder(outbox, &self->inbox_unread, &self->lane_unread);
	uint64_t until;
	uint32_t position;
	int ret;

	/* Only this member itself can read the items in its own inbox and its lane to itself. */
	if (!ring)
		return deadline ? -EDEADLK : -EAGAIN;
	position = ivr_unread_position(ring);
	until = end_of_slice(outbox, ring, deadline);
	ret = wait_for(member, ring, position, until);
	switch (ret) {
	case 0:
		/* The progress that was seen counts, even if the receiver changes its words later. */
		ivr_outbox_passed(outbox, ring, position);
		return 0;
	case -EPIPE:
	case -ESTALE:
	case -ECONNRESET:
	case -EPROTO:	/* the receiver broke the ring, and will never read from it again */
	case -EINVAL:	/* the ring is another one by now */
		ivr_outbox_forget(outbox, ring);
		return 0;
	case -ETIMEDOUT:
		ivr_outbox_stalled(outbox, ring);
		if (until != deadline)
			return 0;
		return deadline ? -ETIMEDOUT : -EAGAIN;
	default:
		return ret;
	}
}

/* Allocates a block. Frees some blocks that have been read, or all of them if there is no room. */
static int take(struct ivr_member *member, size_t length, uint64_t *offset)
{
	int ret;

	if (member->outbox.since >= IVR_OUTBOX_INTERVAL) {
		member->outbox.since = 0;
		ivr_outbox_reclaim(&member->outbox, IVR_OUTBOX_LOOKS, is_done, member);
	}
	ret = ivr_outbox_alloc(&member->outbox, length, offset);
	if (ret != -EAGAIN)
		return ret;
	ivr_outbox_reclaim(&member->outbox, UINT32_MAX, is_done, member);
	return ivr_outbox_alloc(&member->outbox, length, offset);
}

int ivr_alloc(struct ivr_member *member, size_t length, uint64_t deadline, void **data)
{
	uint64_t offset;
	int ret = ivr_refuse_in_child(member);

	if (ret)
		return ret;
	do {
		ret = take(member, length, &offset);
		if (ret != -EAGAIN)
			break;
		ret = wait_for_memory(member, deadline);
	} while (!ret);
	if (ret)
		return ivr_fail_as(ret, alloc_reasons);
	*data = member->outbox_data + offset;
	return 0;
}

static struct ivr_receiver_usage usage_of(const struct ivr_mapped_peer *peer)
{
	const struct ivr_unread *inbox = &peer->inbox_unread, *lane = &peer->lane_unread;

	return (struct ivr_receiver_usage){
		.peer = peer->peer,
		.bytes = (inbox->units + lane->units) * IVR_BLOCK_ALIGN,
		.blocks = (uint64_t)inbox->count + lane->count,
	};
}

int ivr_outbox_usage(struct ivr_member *member, struct ivr_outbox_usage *usage,
		     struct ivr_receiver_usage *receivers, unsigned int count)
{
	const struct ivr_mapped_peer *peer;
	int ret = ivr_refuse_in_child(member);
	unsigned int found = 0;
	uint32_t id;

	if (ret)
		return ret;
	ivr_outbox_reclaim(&member->outbox, UINT32_MAX, is_done, member);
	*usage = (struct ivr_outbox_usage){
		.size = member->outbox.size,
		.used = (uint64_t)member->outbox.used * IVR_BLOCK_ALIGN,
		.held = member->outbox.held,
	};
	for (id = 0; id < member->slots; id++)
		for (peer = member->peers[id]; peer; peer = peer->next) {
			if (!peer->inbox_unread.count && !peer->lane_unread.count)
				continue;
			if (found < count)
				receivers[found] = usage_of(peer);
			found++;
		}
	return (int)found;
}

/* Offset in the outbox. It is member->outbox_bytes or more if @data is not in the outbox. */
static uint64_t offset_of(const struct ivr_member *member, const void *data)
{
	return (uintptr_t)data - (uintptr_t)member->outbox_data;
}

int ivr_free(struct ivr_member *member, void *data)
{
	uint64_t offset = offset_of(member, data);
	struct ivr_extent *block = ivr_outbox_find(&member->outbox, offset, 0);

	if (ivr_refuse_in_child(member))
		return -EPERM;
	if (!block || offset != ivr_block_offset(block))
		return ivr_fail(-EINVAL, "No block in use begins at that address.");
	if (block->sent)
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
