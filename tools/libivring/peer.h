/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_PEER_H
#define IVR_PEER_H

#include "ivring.h"

#define IVR_NO_SUCH_SLOT	"The region has no slot of that number."

/*
 * Whether the peer is attached: 0; -EPIPE if it has left and its slot is free, -ESTALE if another
 * member has its slot; -EINVAL if no member can have that slot and generation.
 */
int ivr_peer_check(const struct ivr_member *member, struct ivr_peer peer);

/* Sets the reason for an error that ivr_peer_check() returned for this peer. Returns @error. */
int ivr_peer_fail(const struct ivr_member *member, struct ivr_peer peer, int error);

#endif /* IVR_PEER_H */
