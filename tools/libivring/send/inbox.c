// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>

#include "member.h"
#include "os/barrier.h"
#include "os/sys.h"
#include "protocol/ring.h"
#include "send/inbox.h"

bool ivr_inbox_has_read(const struct ivr_member *member, const struct ivr_mapped_peer *peer,
			uint32_t position)
{
	/* C: pairs with the reader's release, after which it no longer reads items and payload. */
	uint32_t consumer = ivr_load_acquire(&peer->area->inbox_consumer);

	return ivr_is_read(position, consumer, member->receiver.inbox.entries);
}

int ivr_inbox_flush(const struct ivr_member *member, struct ivr_peer peer, uint32_t position,
		    uint64_t deadline)
{
	struct ivring_flush call = {
		.id = peer.id,
		.generation = peer.generation,
		.position = position,
		.deadline = deadline,
	};
	int ret = ivr_ioctl(member->fd, IVRING_IOC_FLUSH, &call);

	/* After 2^31 more items, an old position looks like one that has not been written yet. */
	return ret == -EINVAL ? 0 : ret;
}
