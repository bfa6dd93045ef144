// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>

#include "member.h"
#include "os/owner.h"
#include "refuse.h"
#include "why.h"

bool ivr_in_child(const struct ivr_member *member)
{
	return member->owner && !ivr_owner_is_here(member->owner);
}

int ivr_refuse_in_child(const struct ivr_member *member)
{
	if (!ivr_in_child(member))
		return 0;
	return ivr_fail(-EPERM, "The member belongs to the parent process; a child must attach its own.");
}

int ivr_refuse(const struct ivr_member *member)
{
	int ret = ivr_refuse_in_child(member);

	if (ret || !member->dispatcher.active)
		return ret;
	return ivr_fail(-EBUSY, "A handler of the member is running and may not make this call.");
}
