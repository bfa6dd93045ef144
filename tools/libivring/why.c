// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stddef.h>

#include "why.h"

static __thread const char *last;

/* What errors mean that have the same cause in all calls. */
static const struct ivr_reason common[] = {
	{ -ENOMEM, "There is not enough memory, or the limit of the memory cgroup is reached." },
	{ -EINTR, "A signal was handled while the call waited." },
	{ -ETIMEDOUT, "The deadline passed." },
	{ -EPIPE, "The member has left the region, and its slot is free." },
	{ -ESTALE, "The member has left the region, and another member has had its slot since." },
	{ -EPROTO, "The member that reads the ring has broken it by a bad consumer index." },
	{ -EOWNERDEAD, "The process that attached the member has ended, so the member has left." },
	{ -EBADF, "The descriptor is not open." },
	{ -EMFILE, "The process has reached its limit of open files." },
	{ -ENFILE, "The system has reached its limit of open files." },
	{ -ENOTTY, "The module does not know the call, because the module is older than the library." },
	{ -EFAULT, "An argument of the call has an address that cannot be read or written." },
	{ 0 },
};

int ivr_fail(int error, const char *why)
{
	last = why;
	return error;
}

static const char *find(int error, const struct ivr_reason *reasons)
{
	while (reasons && reasons->error && reasons->error != error)
		reasons++;
	return reasons ? reasons->why : NULL;
}

int ivr_fail_as(int error, const struct ivr_reason *reasons)
{
	const char *why = find(error, reasons);

	if (!why)
		why = find(error, common);
	if (!why)
		why = "The call failed for a reason that the library does not know.";
	return ivr_fail(error, why);
}

const char *ivr_why(void)
{
	return last ? last : "No call of this thread has failed.";
}
