// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Making regions.
 */

#include <errno.h>
#include <string.h>

#include "os/sys.h"
#include "region.h"
#include "why.h"

#define DEFAULT_MODE		0600u

static const struct ivr_reason open_reasons[] = {
	{ -ENODEV, "There is no /dev/ivring, because the module is not loaded." },
	{ -EACCES, "The permissions of /dev/ivring do not let this user open it." },
	{ -EPERM, "The permissions of /dev/ivring do not let this user open it." },
	{ 0 },
};

static const struct ivr_reason create_reasons[] = {
	{ -EEXIST, "A region of that name already exists." },
	{ -EMFILE, "The user has reached the limit of regions for a user." },
	{ 0 },
};

int ivr_region_open_device(void)
{
	int fd = ivr_device_open();

	if (fd >= 0)
		return fd;
	/* In other calls these errors mean that there is no region, for which a caller may wait. */
	return ivr_fail_as(fd == -ENOENT || fd == -ENXIO ? -ENODEV : fd, open_reasons);
}

const char *ivr_region_name_fault(const char *name)
{
	if (strlen(name) >= IVRING_NAME_SIZE)
		return "The name is longer than IVRING_NAME_SIZE allows.";
	if (strchr(name, '/'))
		return "The name contains a '/'.";
	return NULL;
}

int ivr_region_read_options(const struct ivr_region_options *options, uint32_t flags,
			    struct ivring_create *create)
{
	const char *name = options->name ? options->name : "", *fault = ivr_region_name_fault(name);
	size_t i;

	if (fault)
		return ivr_fail(-EINVAL, fault);
	for (i = 0; i < sizeof(options->reserved); i++)
		if (options->reserved[i])
			return ivr_fail(-EINVAL, "A reserved field of the options is not zero.");
	*create = (struct ivring_create){
		.flags = flags,
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

static bool is_power_of_two(uint64_t number, uint64_t min, uint64_t max)
{
	return number >= min && number <= max && !(number & (number - 1));
}

/*
 * Why the module has refused the region. The limits of the module may be above those of the header.
 */
static const char *fault_of_region(int fd, const struct ivring_create *create)
{
	struct ivring_api api;

	if (ivr_ioctl(fd, IVRING_IOC_API, &api))
		return "The module refused the region.";
	if (!create->slots || create->slots > api.max_slots)
		return "The number of slots is zero, or more than the module allows.";
	if (!is_power_of_two(create->inbox_entries, IVRING_MIN_INBOX_ENTRIES,
			     api.max_inbox_entries))
		return "The number of inbox entries is not a power of two within the limits.";
	if (!is_power_of_two(create->outbox_bytes, IVRING_MIN_OUTBOX_BYTES, api.max_outbox_bytes))
		return "The size of the outbox is not a power of two within the limits.";
	if (create->mode > 0777)
		return "The mode has bits other than permission bits.";
	if (create->mode && !create->name[0])
		return "A region without a name must not have a mode.";
	return "The module does not know a flag of this library, because the module is older.";
}

int ivr_region_make(int fd, const struct ivring_create *create)
{
	int ret = ivr_ioctl(fd, IVRING_IOC_CREATE, (void *)create);

	if (ret == -EINVAL)
		return ivr_fail(ret, fault_of_region(fd, create));
	return ret ? ivr_fail_as(ret, create_reasons) : 0;
}

int ivr_create_region(const struct ivr_region_options *options, int *region_fd)
{
	struct ivring_create create;
	int ret, fd;

	ret = ivr_region_read_options(options, 0, &create);
	if (ret)
		return ret;
	fd = ivr_region_open_device();
	if (fd < 0)
		return fd;
	ret = ivr_region_make(fd, &create);
	if (ret)
		ivr_device_close(fd);
	else
		*region_fd = fd;
	return ret;
}
