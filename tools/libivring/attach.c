// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Becoming a member of a region: one that is made, or one that is there.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sys.h"
#include "member.h"
#include "why.h"

#define LOOK_FOR_NAME_NS	10000000ULL
#define TRIES_AT_ONCE		16u
#define DEFAULT_MODE		0600u

static const struct ivr_reason open_reasons[] = {
	{ -ENODEV, "There is no /dev/ivring, because the module is not loaded." },
	{ -EACCES, "The permissions of /dev/ivring do not let this user open it." },
	{ -EPERM, "The permissions of /dev/ivring do not let this user open it." },
	{ 0 },
};

static const struct ivr_reason create_reasons[] = {
	{ -EEXIST, "There is a region of that name already." },
	{ -EMFILE, "The user holds as many regions as a user may." },
	{ 0 },
};

static const struct ivr_reason attach_reasons[] = {
	{ -ENOENT, "No region has that name." },
	{ -EACCES, "The mode of the region does not let this user join it by its name." },
	{ -EMFILE, "The user holds as many regions as a user may." },
	{ -EBUSY, "Another member has that slot." },
	{ -ENOSPC, "All slots of the region are taken." },
	{ -EDQUOT, "The user has half of the slots of another user's region, which is the most." },
	{ -EBADF, "The descriptor of the region is not open." },
	{ 0 },
};

/* Checks a name that is not NULL: what is wrong with it, or NULL. */
static const char *fault_of_name(const char *name)
{
	if (strlen(name) >= IVRING_NAME_SIZE)
		return "The name is longer than IVRING_NAME_SIZE allows.";
	if (strchr(name, '/'))
		return "The name holds a '/'.";
	return NULL;
}

static bool is_power_of_two(uint64_t number, uint64_t min, uint64_t max)
{
	return number >= min && number <= max && !(number & (number - 1));
}

/* The module has refused it; its limits may be higher than those of the header. */
static const char *fault_of_region(const struct ivr_member *member, const struct ivring_create *create)
{
	struct ivring_api api;

	if (ivr_ioctl(member->fd, IVRING_IOC_API, &api))
		return "The module refused the region.";
	if (!create->slots || create->slots > api.max_slots)
		return "The number of slots is zero, or more than the module allows.";
	if (!is_power_of_two(create->inbox_entries, IVRING_MIN_INBOX_ENTRIES,
			     api.max_inbox_entries))
		return "The number of inbox entries is not a power of two within the limits.";
	if (!is_power_of_two(create->outbox_bytes, IVRING_MIN_OUTBOX_BYTES, api.max_outbox_bytes))
		return "The size of the outbox is not a power of two within the limits.";
	if (create->mode > 0777)
		return "The mode has other bits than permission bits.";
	if (create->mode && !create->name[0])
		return "A region without a name has no mode.";
	return "The module does not know a flag of this library, because it is older.";
}

static int open_device(struct ivr_member **out)
{
	struct ivr_member *member = calloc(1, sizeof(*member));
	int ret;

	if (!member)
		return ivr_fail_as(-ENOMEM, NULL);
	ret = member->fd = ivr_device_open();
	if (ret >= 0) {
		*out = member;
		return 0;
	}
	free(member);
	/* Not what it means of a region, for which it may be worth to wait. */
	return ivr_fail_as(ret == -ENOENT || ret == -ENXIO ? -ENODEV : ret, open_reasons);
}

/* Makes a region, and its member 0. */
static int make(struct ivr_member *member, const struct ivring_create *create)
{
	int ret = ivr_ioctl(member->fd, IVRING_IOC_CREATE, (void *)create);

	if (ret == -EINVAL)
		return ivr_fail(ret, fault_of_region(member, create));
	if (ret)
		return ivr_fail_as(ret, create_reasons);
	member->self = (struct ivr_peer){ .id = 0, .generation = 1 };
	return 0;
}

/* Why the module refuses to attach: by a name that is good, or by a descriptor. */
static const char *fault_of_attach(const struct ivring_attach *attach)
{
	struct ivring_info info;
	int ret;

	if (attach->region_fd >= 0) {
		ret = ivr_ioctl(attach->region_fd, IVRING_IOC_INFO, &info);
		if (ret == -ENXIO)
			return "The descriptor is of /dev/ivring, but holds no region.";
		if (ret)
			return "The descriptor is not of /dev/ivring.";
	}
	if (attach->id == IVRING_ID_ANY)
		return "The module does not know a flag of this library, because it is older.";
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

/* The end of each of the functions below: @ret is what attaching returned. */
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

/* What the options mean to the module. */
static int read_options(const struct ivr_region_options *options, struct ivring_create *create)
{
	const char *name = options->name ? options->name : "", *fault = fault_of_name(name);
	size_t i;

	if (fault)
		return ivr_fail(-EINVAL, fault);
	for (i = 0; i < sizeof(options->reserved); i++)
		if (options->reserved[i])
			return ivr_fail(-EINVAL, "A reserved field of the options is not zero.");
	*create = (struct ivring_create){
		.flags = IVRING_CREATE_ATTACH | (options->lasting ? 0 : IVRING_CREATE_PROCESS),
		.slots = options->slots,
		.inbox_entries = options->inbox_entries,
		.mode = options->mode,
		.outbox_bytes = options->outbox_bytes,
	};
	memcpy(create->name, name, strlen(name));
	if (options->mode == IVR_MODE_NOBODY)
		create->mode = 0;
	else if (!options->mode && name[0])
		create->mode = DEFAULT_MODE;
	return 0;
}

int ivr_create(const struct ivr_region_options *options, struct ivr_member **member)
{
	struct ivring_create create;
	struct ivr_member *made = NULL;
	int ret;

	ret = read_options(options, &create);
	if (!ret)
		ret = open_device(&made);
	return ret ? ret : finish(made, make(made, &create), member);
}

/* Attaches to the region that has a name, if there is one. */
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

/* Sleeps between two looks, of which the last is at the deadline; false if that has passed. */
static bool sleep_until_next_look(uint64_t deadline, int *ret)
{
	uint64_t now = ivr_now();
	int slept;

	if (now >= deadline)
		return false;
	slept = ivr_sleep(deadline - now < LOOK_FOR_NAME_NS ? deadline : now + LOOK_FOR_NAME_NS);
	if (slept)
		*ret = ivr_fail_as(slept, NULL);
	return !slept;
}

static int join(const char *name, uint32_t id, uint64_t deadline, bool lasting,
		struct ivr_member **member)
{
	const char *fault = fault_of_name(name);
	struct ivr_member *joined = NULL;
	int ret;

	if (!name[0])
		fault = "The name is empty.";
	if (fault)
		return ivr_fail(-EINVAL, fault);
	ret = open_device(&joined);
	if (ret)
		return ret;
	/* Nothing but the lack of a region of that name is mended by waiting. */
	do
		ret = attach_by_name(joined, name, id, lasting);
	while (ret == -ENOENT && sleep_until_next_look(deadline, &ret));
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
	struct ivring_create create;
	struct ivr_member *opened = NULL;
	unsigned int tries = 0;
	int ret, made;

	ret = read_options(options, &create);
	if (ret)
		return ret;
	if (!create.name[0])
		return ivr_fail(-EINVAL, "The name is empty.");
	ret = open_device(&opened);
	if (ret)
		return ret;
	do {
		ret = made = make(opened, &create);
		if (ret == -EEXIST)
			ret = attach_by_name(opened, options->name, IVRING_ID_ANY, options->lasting);
		/* It went in between: others are as quick, so that may happen again and again. */
	} while (ret == -ENOENT &&
		 (++tries < TRIES_AT_ONCE || sleep_until_next_look(deadline, &ret)));
	if (ret == -ENOENT)
		ret = ivr_fail(-EAGAIN, "A region of that name came and went until then.");
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
	ret = open_device(&joined);
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
