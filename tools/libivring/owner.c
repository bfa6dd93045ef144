// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <sys/mman.h>

#include "barrier.h"
#include "owner.h"
#include "member.h"
#include "why.h"

#define PAGE	4096u

uint32_t *ivr_owner_new(void)
{
	uint32_t *owner = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (owner == MAP_FAILED)
		return NULL;
	if (madvise(owner, PAGE, MADV_WIPEONFORK)) {
		munmap(owner, PAGE);
		return NULL;
	}
	*owner = 1;
	return owner;
}

void ivr_owner_drop(uint32_t *owner)
{
	if (owner)
		munmap(owner, PAGE);
}

bool ivr_in_child(const struct ivr_member *member)
{
	return member->owner && !ivr_load(member->owner);
}

int ivr_refuse_in_child(const struct ivr_member *member)
{
	if (!ivr_in_child(member))
		return 0;
	return ivr_fail(-EPERM, "The member is of the parent process; a child attaches by itself.");
}

int ivr_refuse(const struct ivr_member *member)
{
	int ret = ivr_refuse_in_child(member);

	if (ret || !member->dispatcher.active)
		return ret;
	return ivr_fail(-EBUSY, "A handler of the member is running, which may not call this.");
}
