// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Arming: the state is IDLE, and nothing was left to do afterwards.
 */

#include <errno.h>

#include "arm.h"
#include "barrier.h"
#include "sys.h"
#include "vm.h"
#include "why.h"

/*
 * Whether the caller acts upon news of the members: it has asked for them, or has requests
 * that end when the VM that was asked leaves.
 */
static bool minds_members(const struct ivring *vm)
{
	return vm->asked_members || vm->dispatcher.on_members || vm->requests.waiting;
}

bool ivr_has_work(struct ivring *vm, bool members)
{
	return !ivr_reader_is_empty(&vm->reader) ||
	       (members && ivr_load(&vm->region->members) != vm->members);
}

int ivr_arm(struct ivring *vm, bool members)
{
	int ret = ivr_state_idle(&vm->state);

	if (ret)
		return ivr_fail_as(ret, NULL);
	if (!ivr_has_work(vm, members) && !ivr_quiet_sweep(vm))
		return 1;
	ivr_state_busy(&vm->state);
	return vm->reader.inbox.fault ? ivr_fail_as(-EPROTO, ivr_wait_reasons) : 0;
}

int ivring_arm(struct ivring *vm)
{
	int ret = ivr_refuse(vm);

	if (ret)
		return ret;
	return ivr_arm(vm, minds_members(vm));
}

void ivr_settle(struct ivring *vm)
{
	bool members = minds_members(vm);
	struct ivring_wait call = { .flags = members ? IVRING_WAIT_MEMBERS : 0 };

	if (!ivr_state_idle(&vm->state) && !ivr_has_work(vm, members) && !ivr_quiet_sweep(vm))
		return;
	/* On its way out this turns IDLE into BUSY, and who does that rings. */
	ivr_ioctl(vm->fd, IVRING_WAIT, &call);
}
