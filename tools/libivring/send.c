// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>

#include "sys.h"
#include "vm.h"

static bool same(struct ivring_peer a, struct ivring_peer b)
{
	return a.id == b.id && a.generation == b.generation;
}

/* The block that an item's payload lies in; NULL if it lies in none. */
static struct ivr_block *block_of(struct ivring *vm, const struct ivring_item *item)
{
	return ivr_outbox_find(&vm->outbox, item->offset, item->length);
}

/* The payload of each item lies in a block that is ours, or sent to the same VM. */
static int check_payload(struct ivring *vm, struct ivring_peer to,
			 const struct ivring_item *items, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct ivr_block *block;

		if (!items[i].length)
			continue;
		block = block_of(vm, &items[i]);
		if (!block || (block->state == IVR_BLOCK_SENT && !same(block->to, to)))
			return -EINVAL;
	}
	return 0;
}

/* The items went in, the last of them before @position. */
static void mark_sent(struct ivring *vm, struct ivring_peer to,
		      const struct ivring_item *items, unsigned int count, uint32_t position)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct ivr_block *block;

		if (!items[i].length)
			continue;
		block = block_of(vm, &items[i]);
		block->state = IVR_BLOCK_SENT;
		block->to = to;
		block->position = position - (count - 1 - i);
	}
}

int ivring_send(struct ivring *vm, struct ivring_peer to, const struct ivring_item *items,
		unsigned int count, uint64_t deadline)
{
	unsigned int sent = 0;
	struct ivr_peer *peer;
	int ret;

	if (!count || count > INT32_MAX)
		return -EINVAL;
	ret = check_payload(vm, to, items, count);
	if (ret)
		return ret;
	/* Mapped now, so that its progress can be seen even after it has left. */
	ret = ivr_peer_get(vm, to, &peer);
	if (ret)
		return ret;

	while (sent < count) {
		unsigned int left = count - sent;
		struct ivring_enqueue call = {
			.id = to.id,
			.generation = to.generation,
			.count = left < IVRING_MAX_BATCH ? left : IVRING_MAX_BATCH,
			.flags = deadline ? IVRING_ENQUEUE_WAIT : 0,
			.items = (uintptr_t)&items[sent],
			.deadline = deadline,
		};

		ret = ivr_ioctl(vm->fd, IVRING_ENQUEUE, &call);
		if (ret)
			break;
		mark_sent(vm, to, &items[sent], call.done, call.position);
		peer->sent = true;
		peer->position = call.position;
		sent += call.done;
		if (call.done < call.count)
			break;
	}
	return sent ? (int)sent : ret;
}

int ivring_reply(struct ivring *vm, const struct ivring_item *request,
		 const struct ivring_item *answer, uint64_t deadline)
{
	struct ivring_item item = *answer;
	int ret;

	item.cookie = request->cookie;
	ret = ivring_send(vm, ivring_sender(request), &item, 1, deadline);
	return ret < 0 ? ret : 0;
}

/* 1 if it has read all, 0 if not yet, negative if it is gone. */
static int has_read_all(struct ivring *vm, const struct ivr_peer *peer)
{
	if (!peer->sent || ivr_peer_has_read(vm, peer, peer->position))
		return 1;
	return ivr_peer_check(vm, peer->peer);
}

int ivring_flush(struct ivring *vm, struct ivring_peer to, uint64_t deadline)
{
	struct ivr_peer *peer;
	int ret;

	ret = ivr_peer_get(vm, to, &peer);
	if (ret)
		return ret;
	ret = has_read_all(vm, peer);
	if (ret)
		return ret < 0 ? ret : 0;
	ret = ivr_peer_flush(vm, to, peer->position, deadline);
	/* It may have read all before it left. */
	if ((ret == -EPIPE || ret == -ESTALE) && has_read_all(vm, peer) > 0)
		return 0;
	return ret;
}
