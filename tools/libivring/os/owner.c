// SPDX-License-Identifier: MIT OR Apache-2.0

#include <sys/mman.h>

#include "os/owner.h"

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
