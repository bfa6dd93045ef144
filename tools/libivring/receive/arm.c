// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Arming: the state is IDLE, and a look after that store has found no work.
 */

#include <errno.h>

#include "member.h"
#include "os/barrier.h"
#include "os/sys.h"
#include "receive/arm.h"
#include "refuse.h"
#include "why.h"

/*
 * Whether the caller handles changes of the members: it has asked for them, or has requests that
 * end when the member that was asked leaves.
 */
static bool handles_members(const struct ivr_member *member)
{
	return member->asked_members || member->dispatcher.on_members || member->requests.waiting;
}

bool ivr_has_work(struct ivr_member *member, bool members)
{
	return !ivr_receiver_is_empty(&member->receiver) ||
	       (members && ivr_load(&member->region->members) != member->members);
}

void ivr_want_members(struct ivr_member *member)
{
	if (ivr_load(&member->area->members_wanted))
		return;
	ivr_store(&member->area->members_wanted, 1);
	/* M: pairs with the barrier between a change of the members and the look at the word. */
	ivr_full_barrier();
}

int ivr_arm_for(struct ivr_member *member, bool members)
{
	int ret = ivr_state_idle(&member->receiver.state);

	if (ret)
		return ivr_fail_as(ret, NULL);
	if (!ivr_has_work(member, members) && !ivr_quiet_sweep(member))
		return 1;
	ivr_state_busy(&member->receiver.state);
	return 0;
}

int ivr_arm(struct ivr_member *member)
{
	int ret = ivr_refuse(member);

	if (ret)
		return ret;
	return ivr_arm_for(member, handles_members(member));
}

void ivr_arm_or_ring(struct ivr_member *member)
{
	bool members = handles_members(member);
	struct ivring_wait call = { .flags = members ? IVRING_WAIT_MEMBERS : 0 };

	if (!ivr_state_idle(&member->receiver.state) && !ivr_has_work(member, members) &&
	    !ivr_quiet_sweep(member))
		return;
	/* Before it returns, this call turns IDLE into BUSY, which rings the member. */
	ivr_ioctl(member->fd, IVRING_IOC_WAIT, &call);
}
