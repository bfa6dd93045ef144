/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_VM_H
#define IVR_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "dispatcher.h"
#include "inbox.h"
#include "ivring.h"
#include "outbox.h"
#include "peer.h"

/**
 * struct ivring - a VM: an attached file, and its areas.
 * @fd:			the file
 * @self:		who it is
 * @slots:		as the region has them
 * @outbox_bytes:	as the region has them
 * @region_bytes:	size of the region area
 * @inbox_bytes:	size of the inbox area
 * @area_bytes:		size of any VM area
 * @region:		written by the kernel
 * @area:		written by this VM; the others read it
 * @inbox:		reader's side of the inbox
 * @outbox:		allocator of @area->outbox
 * @peers:		one list for each slot, of VMs whose area is mapped. This VM
 *			is one of them, with @area
 * @members:		the members as ivring_members() last told of them; also what
 *			@area->members_seen is but during ivring_wait_peer()
 * @members_next:	differs from @members while there is news that is held back
 * @members_due:	until the inbox has been read up to here
 * @dispatcher:		handlers, and what ivring_run() is doing
 *
 * Sizes are those that the kernel told when this VM attached, and never change.
 */
struct ivring {
	int fd;
	struct ivring_peer self;
	uint32_t slots;
	uint64_t outbox_bytes;
	size_t region_bytes;
	size_t inbox_bytes;
	size_t area_bytes;
	const struct ivring_region_area *region;
	struct ivring_vm_area *area;
	struct ivr_inbox inbox;
	struct ivr_outbox outbox;
	struct ivr_peer **peers;
	uint32_t members;
	uint32_t members_next;
	uint32_t members_due;
	struct ivr_dispatcher dispatcher;
};

/* Gives up items, and rings back if a sender waits for it. */
int ivr_vm_consume(struct ivring *vm, uint32_t count);

#endif /* IVR_VM_H */
