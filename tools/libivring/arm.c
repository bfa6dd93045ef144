// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Arming: the state is IDLE, and nothing was left to do afterwards.
 */

#include <errno.h>

#include "arm.h"
#include "barrier.h"
#include "sys.h"
#include "member.h"
#include "why.h"

/*
 * Whether the caller acts upon news of the members: it has asked for them, or has requests
 * that end when the member that was asked leaves.
 */
static bool minds_members(const struct ivr_member *member)
{
	return member->asked_members || member->dispatcher.on_members || member->requests.waiting;
}

bool ivr_has_work(struct ivr_member *member, bool members)
{
	return !ivr_reader_is_empty(&member->reader) ||
	       (members && ivr_load(&member->region->members) != member->members);
}

int ivr_arm_for(struct ivr_member *member, bool members)
{
	int ret = ivr_state_idle(&member->state);

	if (ret)
		return ivr_fail_as(ret, NULL);
	if (!ivr_has_work(member, members) && !ivr_quiet_sweep(member))
		return 1;
	ivr_state_busy(&member->state);
	return member->reader.inbox.fault ? ivr_fail_as(-EPROTO, ivr_wait_reasons) : 0;
}

int ivr_arm(struct ivr_member *member)
{
	int ret = ivr_refuse(member);

	if (ret)
		return ret;
	return ivr_arm_for(member, minds_members(member));
}

void ivr_settle(struct ivr_member *member)
{
	bool members = minds_members(member);
	struct ivring_wait call = { .flags = members ? IVRING_WAIT_MEMBERS : 0 };

	if (!ivr_state_idle(&member->state) && !ivr_has_work(member, members) && !ivr_quiet_sweep(member))
		return;
	/* On its way out this turns IDLE into BUSY, and who does that rings. */
	ivr_ioctl(member->fd, IVRING_IOC_WAIT, &call);
}
