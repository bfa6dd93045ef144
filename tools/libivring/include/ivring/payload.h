/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libivring: payload, in blocks of the member's own outbox and in the outboxes of peers.
 */
#ifndef _IVR_PAYLOAD_H
#define _IVR_PAYLOAD_H

#include <ivring.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Blocks of the outbox begin at multiples of this many bytes. */
#define IVR_BLOCK_ALIGN		64u

/**
 * ivr_alloc() - get a block of the outbox.
 * @member:	the member
 * @length:	size in bytes, at least 1
 * @deadline:	how long to wait for room
 * @data:	out: the block, aligned to IVR_BLOCK_ALIGN. It still has its previous
 *		content, and every member can read it
 *
 * A block that was sent is free when its receivers have read the item, have left, or have closed
 * the lane. A block that was not sent is freed by ivr_free(). A receiver that does not read keeps
 * the blocks that it has not read, and no others: see ivr_outbox_usage().
 *
 * The function prefers memory that was freed last. It checks which blocks have been read once per
 * 4 MiB of allocations, and whenever there is no room. So a stream reuses the same few megabytes,
 * which fit into a cache.
 *
 * If several receivers keep memory, the function waits for the receiver that keeps the most bytes.
 * It does so in slices of 10 ms, and checks after each slice whether there is room. Receivers that
 * have read nothing during a slice are waited for after all others.
 *
 * Return: 0; -EINVAL if @length is zero, -EMSGSIZE if @length is more than the outbox holds;
 * -EAGAIN if there is no room and no deadline; -EDEADLK if waiting would never end, because each
 * block in use either has not been sent, or is named by an item that only this member can read;
 * -ENOMEM, -ETIMEDOUT, -EINTR.
 */
int ivr_alloc(struct ivr_member *member, size_t length, uint64_t deadline, void **data);

/**
 * ivr_free() - free a block that was not sent.
 * @member:	the member
 * @data:	the block, as ivr_alloc() returned it
 *
 * Return: 0; -EINVAL if @data is not such a block, or if the block was sent.
 */
int ivr_free(struct ivr_member *member, void *data);

/**
 * struct ivr_outbox_usage - the memory of an outbox that is in use.
 * @size:	size of the outbox in bytes
 * @used:	number of bytes in blocks that were not sent, or that a receiver has not read. The size
 *		of each block is rounded up to a multiple of IVR_BLOCK_ALIGN bytes
 * @held:	number of blocks that were not sent
 */
struct ivr_outbox_usage {
	uint64_t size;
	uint64_t used;
	uint64_t held;
};

/**
 * struct ivr_receiver_usage - the payload that a receiver has not read.
 * @peer:	the receiver
 * @bytes:	number of bytes in the blocks that the receiver has not read. A block counts once for
 *		each unread item that names it, so the sum for all receivers can be more than
 *		@used of struct ivr_outbox_usage
 * @blocks:	number of items with payload that the receiver has not read
 */
struct ivr_receiver_usage {
	struct ivr_peer peer;
	uint64_t bytes;
	uint64_t blocks;
};

/**
 * ivr_outbox_usage() - get the usage of this member's outbox, in total and by receiver.
 * @member:	the member
 * @usage:	out: the usage of the whole outbox
 * @receivers:	out: the receivers that have unread payload, sorted by slot; at most @count of them
 * @count:	number of elements of the array @receivers
 *
 * Return: the number of receivers that have unread payload, which may be more than @count; or
 * -EPERM in a child.
 */
int ivr_outbox_usage(struct ivr_member *member, struct ivr_outbox_usage *usage,
		     struct ivr_receiver_usage *receivers, unsigned int count);

/**
 * ivr_set_payload() - let an item carry a block, or a part of one.
 * @member:	the member
 * @item:	the item, whose offset and length are set
 * @data:	start of the payload
 * @length:	size of the payload in bytes; zero for no payload
 *
 * Return: 0; -EINVAL if the payload does not lie within one block in use.
 */
int ivr_set_payload(struct ivr_member *member, struct ivring_item *item, const void *data,
		    size_t length);

/**
 * ivr_payload() - find the payload of an item that was received.
 * @member:	the member
 * @item:	the item
 * @data:	out: @item->length bytes in the sender's outbox; NULL if there is no payload.
 *		Valid until the item is consumed or its handler returns. The sender can change
 *		the payload at any time, so copy data before you check it
 *
 * If the sender has left, the function still succeeds until the item has been consumed.
 *
 * Return: 0; -EPROTO if the item points outside of the outbox; -EPIPE if the sender has left
 * and all its items were consumed; -ESTALE if another member has had its slot since; or an error
 * of mmap().
 */
int ivr_payload(struct ivr_member *member, const struct ivring_item *item, const void **data);

/**
 * ivr_copy_payload() - copy the payload of an item that was received.
 * @member:	the member
 * @item:	the item
 * @buffer:	buffer for the payload
 * @size:	size of the buffer in bytes
 *
 * Return: @item->length, the number of bytes copied; -EMSGSIZE if @size is less than that; or
 * an error of ivr_payload().
 */
int ivr_copy_payload(struct ivr_member *member, const struct ivring_item *item, void *buffer,
		     size_t size);

/**
 * ivr_set_inline() - put data into the item itself.
 * @item:	the item
 * @data:	the data
 * @length:	size of the data in bytes
 *
 * Return: 0; -EMSGSIZE if @length is more than IVRING_INLINE_BYTES.
 */
int ivr_set_inline(struct ivring_item *item, const void *data, size_t length);

/**
 * ivr_get_inline() - get data of a known size out of an item.
 * @item:	the item
 * @data:	buffer for the data
 * @length:	expected size of the data in bytes
 *
 * Return: 0; -EPROTO if the item holds more or less than @length bytes.
 */
int ivr_get_inline(const struct ivring_item *item, void *data, size_t length);

#ifdef __cplusplus
}
#endif

#endif /* _IVR_PAYLOAD_H */
