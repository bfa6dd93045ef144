// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>

#include "barrier.h"
#include "inbox.h"
#include "sys.h"
#include "vm.h"

int ivr_inbox_pending(struct ivr_inbox *inbox)
{
	/* P: pairs with the sender's release; the items before it can be read. */
	uint32_t producer = ivr_load_acquire(&inbox->area->producer);
	uint32_t pending = producer - inbox->consumer;

	if (pending > inbox->entries)
		inbox->broken = true;
	return inbox->broken ? -EPROTO : (int)pending;
}

void ivr_inbox_copy(const struct ivr_inbox *inbox, uint32_t ahead, struct ivring_item *item)
{
	uint32_t slot = (inbox->consumer + ahead) & (inbox->entries - 1);

	ivr_copy(item, &inbox->area->item[slot], sizeof(*item));
}

bool ivr_inbox_consume(struct ivr_inbox *inbox, uint32_t count)
{
	inbox->consumer += count;
	/* C: pairs with the sender's acquire; all reads of items and payload are done. */
	ivr_store_release(inbox->published, inbox->consumer);
	/* R: pairs with the barrier between the sender's room_wanted and its look. */
	ivr_full_barrier();
	return ivr_load(&inbox->area->room_wanted) != 0;
}

int ivr_vm_consume(struct ivring *vm, uint32_t count)
{
	if (!count || !ivr_inbox_consume(&vm->inbox, count))
		return 0;
	return ivr_ioctl(vm->fd, IVRING_ROOM, NULL);
}

int ivring_receive(struct ivring *vm, struct ivring_item *items, unsigned int count)
{
	int pending, i;

	ivr_store(&vm->area->state, IVRING_BUSY);
	pending = ivr_inbox_pending(&vm->inbox);
	if (pending < 0)
		return pending;
	for (i = 0; i < pending && (unsigned int)i < count; i++)
		ivr_inbox_copy(&vm->inbox, i, &items[i]);
	return i;
}

int ivring_consume(struct ivring *vm, unsigned int count)
{
	int pending = ivr_inbox_pending(&vm->inbox);

	if (pending < 0)
		return pending;
	if (count > (unsigned int)pending)
		return -EINVAL;
	return ivr_vm_consume(vm, count);
}

int ivring_wait(struct ivring *vm, uint32_t flags, uint64_t deadline)
{
	struct ivring_wait call = { .flags = flags, .deadline = deadline };
	int ret = ivr_ioctl(vm->fd, IVRING_WAIT, &call);

	return ret ? ret : (int)call.events;
}
