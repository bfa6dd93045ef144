/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests that act as several users. They need root, and become another user for one call.
 */
#ifndef USERS_H
#define USERS_H

#include <grp.h>

#include "ivring_test.h"

/* Take the rights of user @uid, without supplementary groups. 0 is root. */
static inline void become(uid_t uid)
{
	if (seteuid(0) || (uid && (setgroups(0, NULL) || seteuid(uid))))
		abort();
}

/* A file with a new region of user @uid, or -errno. */
static inline int create_as(uid_t uid, __u32 slots, __u64 outbox)
{
	struct ivring_create c = create_args(slots, 2, outbox);
	int fd = dev_open(), ret;

	become(uid);
	ret = dev_ioctl(fd, IVRING_IOC_CREATE, &c);
	become(0);
	if (ret)
		close(fd);
	return ret ? ret : fd;
}

static inline int join_slot_as(struct member *member, uid_t uid, int region, __u32 id)
{
	int ret;

	become(uid);
	ret = member_join_slot(member, region, id);
	become(0);
	return ret;
}

static inline int join_as(struct member *member, uid_t uid, int region)
{
	return join_slot_as(member, uid, region, IVRING_ID_ANY);
}

/* Leave, and mark *member as no member. */
static inline void leave(struct member *member)
{
	member_close(member);
	*member = no_member;
}

static inline void no_members(struct member *member, unsigned int count)
{
	while (count--)
		member[count] = no_member;
}

/* Let all members of the array leave that have not left yet. */
static inline void leave_all(struct member *member, unsigned int count)
{
	while (count--)
		if (member[count].fd >= 0)
			leave(&member[count]);
}

#endif /* USERS_H */
