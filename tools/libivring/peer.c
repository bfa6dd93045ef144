// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>

#include "member.h"
#include "os/barrier.h"
#include "peer.h"
#include "why.h"

int ivr_peer_check(const struct ivr_member *member, struct ivr_peer peer)
{
	uint32_t now;

	if (peer.id >= member->slots || !(peer.generation & 1))
		return -EINVAL;
	now = ivr_load_acquire(&member->region->generation[peer.id]);
	if (peer.generation == now)
		return 0;
	if (peer.generation > now)
		return -EINVAL;
	return now & 1 ? -ESTALE : -EPIPE;
}

int ivr_peer_fail(const struct ivr_member *member, struct ivr_peer peer, int error)
{
	if (error != -EINVAL)
		return ivr_fail_as(error, NULL);
	if (peer.id >= member->slots)
		return ivr_fail(error, IVR_NO_SUCH_SLOT);
	if (!(peer.generation & 1))
		return ivr_fail(error, "The generation of a member is odd, and this one is even.");
	return ivr_fail(error, "No member of that slot has had that generation yet.");
}
