/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_INBOX_H
#define IVR_INBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "ivring.h"
#include "send/peers.h"

/*
 * Whether the peer has read all items before @position in its inbox. @position is or was the index
 * after an item that this member put there.
 */
bool ivr_inbox_has_read(const struct ivr_member *member, const struct ivr_mapped_peer *peer,
			uint32_t position);

/*
 * Sleeps until the peer has read all items before @position in its inbox. Returns 0, or an error of
 * IVRING_IOC_FLUSH.
 */
int ivr_inbox_flush(const struct ivr_member *member, struct ivr_peer peer, uint32_t position,
		    uint64_t deadline);

#endif /* IVR_INBOX_H */
