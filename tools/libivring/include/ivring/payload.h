/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libivring: payload: blocks of one's own outbox, and what peers have in theirs.
 */
#ifndef _IVRING_PAYLOAD_H
#define _IVRING_PAYLOAD_H

#include <ivring.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Blocks of the outbox begin at multiples of this many bytes. */
#define IVRING_BLOCK_ALIGN		64u

/**
 * ivring_alloc() - get a block of the outbox.
 * @member:	the member
 * @length:	bytes, at least 1
 * @deadline:	how long to wait for room
 * @data:	out: the block, aligned to IVRING_BLOCK_ALIGN. Its content is
 *		whatever was there before, and every member can read it
 *
 * Blocks come free in the order they were allocated in. One that was sent is
 * free when its receivers have read the item, or are gone; one that was not is
 * given back with ivring_cancel().
 *
 * Return: 0; -EINVAL for no length, -EMSGSIZE for more than the outbox holds;
 * -EAGAIN if there is no room and no deadline; -EDEADLK if waiting is in vain, because
 * the oldest block has not been sent, or this member itself has to read it; -ENOMEM, -ETIMEDOUT,
 * -EINTR.
 */
int ivring_alloc(struct ivring *member, size_t length, uint64_t deadline, void **data);

/**
 * ivring_cancel() - give back a block that was not sent.
 * @member:	the member
 * @data:	the block, as ivring_alloc() returned it
 *
 * Return: 0; -EINVAL if it is no such block, or was sent.
 */
int ivring_cancel(struct ivring *member, void *data);

/**
 * ivring_set_payload() - let an item carry a block, or a part of one.
 * @member:	the member
 * @item:	the item: its offset and length are set
 * @data:	where it begins
 * @length:	bytes; zero for no payload
 *
 * Return: 0; -EINVAL if that is not within one block in use.
 */
int ivring_set_payload(struct ivring *member, struct ivring_item *item, const void *data,
		       size_t length);

/**
 * ivring_payload() - find the payload of an item that was received.
 * @member:	the member
 * @item:	the item
 * @data:	out: @item->length bytes in the sender's outbox; NULL if none.
 *		Valid until the item is consumed, or its handler returns. The
 *		sender can change them at any time: what is to be checked is
 *		copied first
 *
 * Return: 0; -EPROTO if the item points outside of the outbox; -ESTALE if the
 * sender is gone and nothing of its outbox was mapped before, or two later members
 * of its slot have been mapped since; or what mmap() fails with.
 */
int ivring_payload(struct ivring *member, const struct ivring_item *item, const void **data);

/**
 * ivring_copy_payload() - copy the payload of an item that was received.
 * @member:	the member
 * @item:	the item
 * @buffer:	where to
 * @size:	bytes there
 *
 * Return: bytes copied, all of @item->length; -EMSGSIZE if @size is less; else
 * as ivring_payload().
 */
int ivring_copy_payload(struct ivring *member, const struct ivring_item *item, void *buffer,
			size_t size);

/**
 * ivring_set_inline() - put data into an item itself.
 * @item:	the item
 * @data:	what
 * @length:	bytes
 *
 * Return: 0; -EMSGSIZE for more than IVRING_INLINE_BYTES.
 */
int ivring_set_inline(struct ivring_item *item, const void *data, size_t length);

/**
 * ivring_get_inline() - get data of a known size out of an item.
 * @item:	the item
 * @data:	where to
 * @length:	bytes
 *
 * Return: 0; -EPROTO if the item holds more or less than that.
 */
int ivring_get_inline(const struct ivring_item *item, void *data, size_t length);

#ifdef __cplusplus
}
#endif

#endif /* _IVRING_PAYLOAD_H */
