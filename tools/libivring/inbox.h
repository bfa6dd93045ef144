/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_INBOX_H
#define IVR_INBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/ivring.h>

/**
 * struct ivr_inbox - the reader's side of the ring that the kernel writes.
 * @area:	the ring
 * @published:	where the kernel looks for the reader's index; only written
 * @consumer:	index of the next item to be read. Unless @broken, the producer
 *		was 0 to @entries ahead of it when last looked at
 * @entries:	capacity, a power of two
 * @broken:	the producer's index was bad once; there is no way back
 */
struct ivr_inbox {
	const struct ivring_inbox_area *area;
	uint32_t *published;
	uint32_t consumer;
	uint32_t entries;
	bool broken;
};

/* How many items there are to be read; -EPROTO if the ring is broken. */
int ivr_inbox_pending(struct ivr_inbox *inbox);

/* Copies the item that is @ahead of the next one; it is one of those pending. */
void ivr_inbox_copy(const struct ivr_inbox *inbox, uint32_t ahead, struct ivring_item *item);

/* Gives up @count of the items pending; true if a sender wants to be told. */
bool ivr_inbox_consume(struct ivr_inbox *inbox, uint32_t count);

#endif /* IVR_INBOX_H */
