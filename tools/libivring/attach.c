// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Becoming a member of a new region or of an existing region.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "member.h"
#include "os/sys.h"
#include "peer.h"
#include "region.h"
#include "why.h"

#define RETRY_NS	10000000ULL
#define TRIES_AT_ONCE		16u

static const struct ivr_reason attach_reasons[] = {
	{ -ENOENT, "No region has that name." },
	{ -EACCES, "The mode of the region does not let this user join it by its name." },
	{ -EMFILE, "The user has reached the limit of regions for a user." },
	{ -EBUSY, "Another member has that slot." },
	{ -ENFILE, "The system has as many open files as its limit allows." },
	{ -ENOSPC, "All slots of the region are taken." },
	{ -EDQUOT, "The user has half of the slots of another user's region, and cannot have more." },
	{ -EBADF, "The descriptor of the region is not open." },
	{ 0 },
};

/* Opens a file that is not attached yet. */
static int open_member(struct ivr_member **out)
{
	struct ivr_member *member = calloc(1, sizeof(*member));

	if (!member)
		return ivr_fail_as(-ENOMEM, NULL);
	member->fd = ivr_region_open_device();
	if (member->fd < 0) {
		int ret = member->fd;

		free(member);
		return ret;
	}
	*out = member;
	return 0;
}

/* Makes a region and its member 0. */
static int create(struct ivr_member *member, const struct ivring_create *call)
{
	int ret = ivr_region_make(member->fd, call);

	if (!ret)
		member->self = (struct ivr_peer){ .id = 0, .generation = 1 };
	return ret;
}

/* Why the module has refused to attach by a valid name or by a descriptor. */
static const char *fault_of_attach(const struct ivring_attach *attach)
{
	struct ivring_info info;
	int ret;

	if (attach->region_fd >= 0) {
		ret = ivr_ioctl(attach->region_fd, IVRING_IOC_INFO, &info);
		if (ret == -ENXIO)
			return "The descriptor belongs to /dev/ivring, but to no region.";
		if (ret)
			return "The descriptor does not belong to /dev/ivring.";
	}
	if (attach->id == IVRING_ID_ANY)
		return "The module does not know a flag of this library, because the module is older.";
	return IVR_NO_SUCH_SLOT;
}

static int attach(struct ivr_member *member, struct ivring_attach *call)
{
	int ret = ivr_ioctl(member->fd, IVRING_IOC_ATTACH, call);

	if (ret == -EINVAL)
		return ivr_fail(ret, fault_of_attach(call));
	if (ret)
		return ivr_fail_as(ret, attach_reasons);
	member->self = (struct ivr_peer){ .id = call->id, .generation = call->generation };
	return 0;
}

/* Sets up the member if @ret, the result of attaching, is 0. Otherwise frees it. */
static int finish(struct ivr_member *member, int ret, struct ivr_member **out)
{
	if (!ret)
		ret = ivr_member_set_up(member);
	if (ret)
		ivr_close(member);
	else
		*out = member;
	return ret;
}

static int read_options(const struct ivr_region_options *options, struct ivring_create *call)
{
	uint32_t process = options->lasting ? 0 : IVRING_CREATE_PROCESS;

	return ivr_region_read_options(options, IVRING_CREATE_ATTACH | process, call);
}

int ivr_create(const struct ivr_region_options *options, struct ivr_member **member)
{
	struct ivring_create call;
	struct ivr_member *made = NULL;
	int ret;

	ret = read_options(options, &call);
	if (!ret)
		ret = open_member(&made);
	return ret ? ret : finish(made, create(made, &call), member);
}

/* Attaches to the region of that name. */
static int attach_by_name(struct ivr_member *member, const char *name, uint32_t id, bool lasting)
{
	struct ivring_attach call = {
		.flags = lasting ? 0 : IVRING_ATTACH_PROCESS,
		.region_fd = -1,
		.id = id,
	};

	memcpy(call.name, name, strlen(name));
	return attach(member, &call);
}

/*
 * Sleeps until the next try, at most until the deadline. Returns false, and may set @ret, if there
 * must be no next try.
 */
static bool sleep_until_next_try(uint64_t deadline, int *ret)
{
	uint64_t now = ivr_now();
	int slept;

	if (now >= deadline)
		return false;
	slept = ivr_sleep(deadline - now < RETRY_NS ? deadline : now + RETRY_NS);
	if (slept)
		*ret = ivr_fail_as(slept, NULL);
	return !slept;
}

static int join(const char *name, uint32_t id, uint64_t deadline, bool lasting,
		struct ivr_member **member)
{
	const char *fault = ivr_region_name_fault(name);
	struct ivr_member *joined = NULL;
	int ret;

	if (!name[0])
		fault = "The name is empty.";
	if (fault)
		return ivr_fail(-EINVAL, fault);
	ret = open_member(&joined);
	if (ret)
		return ret;
	/* Only the lack of a region of that name is worth waiting for. */
	do
		ret = attach_by_name(joined, name, id, lasting);
	while (ret == -ENOENT && sleep_until_next_try(deadline, &ret));
	return finish(joined, ret, member);
}

int ivr_join(const char *name, uint32_t id, uint64_t deadline, struct ivr_member **member)
{
	return join(name, id, deadline, false, member);
}

int ivr_join_lasting(const char *name, uint32_t id, uint64_t deadline, struct ivr_member **member)
{
	return join(name, id, deadline, true, member);
}

int ivr_open(const struct ivr_region_options *options, uint64_t deadline, struct ivr_member **member)
{
	struct ivring_create call;
	struct ivr_member *opened = NULL;
	unsigned int tries = 0;
	int ret, made;

	ret = read_options(options, &call);
	if (ret)
		return ret;
	if (!call.name[0])
		return ivr_fail(-EINVAL, "The name is empty.");
	ret = open_member(&opened);
	if (ret)
		return ret;
	do {
		ret = made = create(opened, &call);
		if (ret == -EEXIST)
			ret = attach_by_name(opened, options->name, IVRING_ID_ANY, options->lasting);
		/* The region may have gone in between, and this may happen repeatedly. */
	} while (ret == -ENOENT &&
		 (++tries < TRIES_AT_ONCE || sleep_until_next_try(deadline, &ret)));
	if (ret == -ENOENT)
		ret = ivr_fail(-ETIMEDOUT, "Regions of that name came and went until the deadline.");
	ret = finish(opened, ret, member);
	if (ret)
		return ret;
	return made ? IVR_JOINED : IVR_CREATED;
}

static int join_fd(int region_fd, uint32_t id, bool lasting, struct ivr_member **member)
{
	struct ivring_attach call = {
		.flags = lasting ? 0 : IVRING_ATTACH_PROCESS,
		.region_fd = region_fd,
		.id = id,
	};
	struct ivr_member *joined = NULL;
	int ret;

	if (region_fd < 0)
		return ivr_fail_as(-EBADF, attach_reasons);
	ret = open_member(&joined);
	return ret ? ret : finish(joined, attach(joined, &call), member);
}

int ivr_join_fd(int region_fd, uint32_t id, struct ivr_member **member)
{
	return join_fd(region_fd, id, false, member);
}

int ivr_join_fd_lasting(int region_fd, uint32_t id, struct ivr_member **member)
{
	return join_fd(region_fd, id, true, member);
}
