/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libivring: work queues between virtual machines and processes of one computer.
 *
 * A struct ivring is one member of a region: an attached /dev/ivring file with its
 * areas mapped. One thread at a time may use it; only ivring_stop() may be
 * called from elsewhere.
 *
 * A member is of the process that made it, and leaves when that ends: see ivring_join_lasting()
 * for one that does not. A child made by fork() has its descriptor but none of its
 * mappings: there ivring_fd(), ivring_self() and ivring_close() work, which closes the child's
 * descriptor and leaves the member alone. All else fails with -EPERM, says false or does nothing,
 * but for the inline functions of a lane, which end the child by SIGSEGV. A child that wants to
 * be a member attaches by itself: ivring_join_fd().
 *
 * Functions that can fail return a negative errno value, and ivring_why() says in a sentence
 * which argument or condition it was. Deadlines are
 * CLOCK_MONOTONIC times in nanoseconds: zero does not wait, IVRING_DEADLINE_NEVER
 * waits for ever. Those that wait return -ETIMEDOUT when the deadline has
 * passed, and -EINTR when a signal was handled.
 *
 * What peers wrote is not to be trusted. The library checks what it uses itself;
 * the content of items and payload is the caller's to check.
 */
#ifndef _IVRING_H
#define _IVRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/ivring.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The inline functions. The library exports a copy of each, for languages that cannot include
 * these headers.
 */
#ifndef IVRING_STATIC
#define IVRING_STATIC			static
#endif

/*
 * The version of these headers. A program runs with every later library of the same major
 * version, because that is the number in the name of the shared library.
 */
#define IVRING_VERSION_MAJOR		0
#define IVRING_VERSION_MINOR		1
#define IVRING_VERSION_PATCH		0

/* A version as one number. A later version has a larger number. */
#define IVRING_VERSION_NUMBER(major, minor, patch) \
	((uint32_t)(major) << 16 | (uint32_t)(minor) << 8 | (uint32_t)(patch))
#define IVRING_VERSION \
	IVRING_VERSION_NUMBER(IVRING_VERSION_MAJOR, IVRING_VERSION_MINOR, IVRING_VERSION_PATCH)

/**
 * ivring_version() - the version of the library that the program runs with.
 *
 * It may be later than IVRING_VERSION, which is that of the headers that the program was
 * compiled with.
 *
 * Return: a number as IVRING_VERSION_NUMBER() makes it.
 */
uint32_t ivring_version(void);

/*
 * The port the library keeps for itself: ivring_stop() wakes its own member by an item to
 * it, which dispatchers drop.
 */
#define IVRING_PORT_RESERVED		0xffffffffu

struct ivring;

/**
 * ivring_why() - why the last call of this thread that failed did so.
 *
 * As errno, it means something only right after a call that has failed, for this thread.
 *
 * Return: a sentence, which is valid for ever and not to be freed.
 */
const char *ivring_why(void);

/**
 * struct ivring_peer - a member of the region, and no successor of it.
 * @id:		its slot
 * @generation:	its generation, odd
 */
struct ivring_peer {
	uint32_t id;
	uint32_t generation;
};

/* As the mode of a region: nobody may join it by its name, but for CAP_DAC_OVERRIDE. */
#define IVRING_MODE_NOBODY		0x80000000u

/**
 * struct ivring_options - the region that ivring_create() or ivring_open() makes.
 * @name:		what others join it by; NULL if only by descriptor
 * @slots:		how many members it can hold
 * @inbox_entries:	items in each inbox, a power of two
 * @outbox_bytes:	bytes in each outbox, a power of two
 * @mode:		who may join by name: permission bits, as of a file of the caller's.
 *			Zero means 0600: the caller's user. IVRING_MODE_NOBODY lets nobody.
 *			A region without a name has no mode: zero
 * @lasting:	the member stays as long as any process has a descriptor of it, as
 *		ivring_join_lasting() says
 * @reserved:	zero. Later versions of the library may use it for options that have no effect
 *		if they are zero
 */
struct ivring_options {
	const char *name;
	uint32_t slots;
	uint32_t inbox_entries;
	uint64_t outbox_bytes;
	uint32_t mode;
	bool lasting;
	uint8_t reserved[35];
};

/*
 * The member
 */

/**
 * ivring_create() - make a region and become member 0 of it.
 * @options:	what it is to be
 * @member:	out: the member, to be closed with ivring_close()
 *
 * Return: 0; -EEXIST if the name is taken, -EINVAL for bad options, also for a reserved field that
 * is not zero; -ENODEV if there is no
 * /dev/ivring, -EACCES if this user may not open it; or what opening it, IVRING_IOC_CREATE or
 * mmap() fail with.
 */
int ivring_create(const struct ivring_options *options, struct ivring **member);

/**
 * ivring_join() - become a member of a region that has a name.
 * @name:	the region's name
 * @id:		the slot wanted, or IVRING_ID_ANY
 * @deadline:	how long to wait for a region of that name; the wait looks for
 *		it every 10 ms
 * @member:	out: the member, to be closed with ivring_close()
 *
 * It waits only while no region has that name. Any other error is returned at once, because
 * it may never go away: a device that is missing or may not be opened, a region that this
 * user may not join, a slot that is taken, a region that is full, a limit of the process or
 * the user that has been reached.
 *
 * Return: 0; -ENOENT if there is no such region, at the deadline too; -EACCES if this user
 * may not join it, or not open /dev/ivring; -ENODEV if there is no /dev/ivring; -EBUSY if the
 * slot is taken, -ENOSPC if all are; -EDQUOT, -EMFILE; -EINVAL for a bad name or no such
 * slot; or what opening /dev/ivring, IVRING_IOC_ATTACH or mmap() fail with.
 */
int ivring_join(const char *name, uint32_t id, uint64_t deadline, struct ivring **member);

/**
 * ivring_join_lasting() - as ivring_join(), but the member outlives the process.
 * @name:	the region's name
 * @id:		the slot wanted, or IVRING_ID_ANY
 * @deadline:	how long to wait for a region of that name
 * @member:	out: the member, to be closed with ivring_close()
 *
 * A member leaves when the process that attached it ends, though a child made by fork() still has
 * the descriptor (IVRING_ATTACH_PROCESS). This one stays until the last descriptor is closed, so
 * that a process that was given one by SCM_RIGHTS or across exec() can go on with it.
 *
 * Return: as ivring_join().
 */
int ivring_join_lasting(const char *name, uint32_t id, uint64_t deadline, struct ivring **member);

/* What ivring_open() did. */
enum {
	IVRING_JOINED = 0,
	IVRING_CREATED = 1,
};

/**
 * ivring_open() - make a region and become member 0 of it, or join the one that has its name.
 * @options:	what it is to be, if it is made; it has a name
 * @deadline:	how long to try again if the region of that name comes and goes
 * @member:	out: the member, to be closed with ivring_close(); in any slot if it has joined
 *
 * For programs of which each may be the first. A region that is there stays as it is, though it
 * may have another size, mode or creator than the options say: ivring_info() tells.
 *
 * Return: IVRING_CREATED or IVRING_JOINED; -EAGAIN if the region came and went again and again
 * until the deadline, a few tries at least; or as ivring_create() and ivring_join(), but for
 * -EEXIST and -ENOENT.
 */
int ivring_open(const struct ivring_options *options, uint64_t deadline, struct ivring **member);

/**
 * ivring_join_fd() - become a member of the region that a descriptor belongs to.
 * @region_fd:	an ivring descriptor; it stays the caller's
 * @id:		the slot wanted, or IVRING_ID_ANY
 * @member:	out: the member, to be closed with ivring_close()
 *
 * Return: 0; -EBADF or -EINVAL for a bad descriptor; else as ivring_join(), at once.
 */
int ivring_join_fd(int region_fd, uint32_t id, struct ivring **member);

/**
 * ivring_join_fd_lasting() - as ivring_join_fd(), but the member outlives the process.
 * @region_fd:	an ivring descriptor; it stays the caller's
 * @id:		the slot wanted, or IVRING_ID_ANY
 * @member:	out: the member, to be closed with ivring_close(); see ivring_join_lasting()
 *
 * Return: as ivring_join_fd().
 */
int ivring_join_fd_lasting(int region_fd, uint32_t id, struct ivring **member);

/**
 * ivring_close() - leave the region, and free the member.
 * @member:	the member, or NULL
 *
 * Return: 0; -EBUSY from a handler of the member, and then it stays as it was.
 */
int ivring_close(struct ivring *member);

/**
 * ivring_fd() - the member's descriptor, for poll() and for passing on.
 * @member:	the member
 *
 * Readable while there are items in the inbox or a lane, POLLPRI while there is news of
 * the members, POLLERR when the inbox is broken.
 */
int ivring_fd(const struct ivring *member);

/**
 * ivring_self() - who this member is.
 * @member:	the member
 */
struct ivring_peer ivring_self(const struct ivring *member);

/**
 * ivring_info() - the region's size, name, mode and creator.
 * @member:	the member
 * @info:	out
 *
 * Return: 0, or what IVRING_IOC_INFO fails with.
 */
int ivring_info(const struct ivring *member, struct ivring_info *info);

/**
 * ivring_member_info() - counters of one member of the region.
 * @member:	the member that asks
 * @id:		the slot that is asked about
 * @info:	out; an even generation and all else zero if the slot is free
 *
 * Return: 0; -EINVAL if there is no such slot.
 */
int ivring_member_info(const struct ivring *member, uint32_t id, struct ivring_member_info *info);

/**
 * struct ivring_counters - what the library counts of a member since it attached.
 * @handled:	items given to the handler of their port, or to that of ivring_on_other()
 * @replies:	replies to requests of this member, refusals among them
 * @unhandled:	items that were dropped, because there was no handler of their port
 * @refused:	requests among them whose senders have been told so
 * @stray:	replies that were dropped, because nobody waited for them
 * @reserved:	zero, until later versions of the library count something there
 *
 * Each is counted when it happens, so handlers see them grow.
 */
struct ivring_counters {
	uint64_t handled;
	uint64_t replies;
	uint64_t unhandled;
	uint64_t refused;
	uint64_t stray;
	uint64_t reserved[3];
};

/**
 * ivring_get_counters() - read the library's counters of a member.
 * @member:	the member
 * @counters:	out
 */
void ivring_get_counters(const struct ivring *member, struct ivring_counters *counters);

/**
 * ivring_set_eventfd() - have each doorbell signal an eventfd.
 * @member:	the member
 * @eventfd:	the eventfd, or -1 for none; it stays the caller's
 *
 * The member is armed afterwards, and if there is something to do already the eventfd has been
 * signalled. Later on it has to be armed before each sleep: see ivring_arm().
 *
 * Return: 0; -EBADF or -EINVAL for a bad descriptor.
 */
int ivring_set_eventfd(struct ivring *member, int eventfd);

/**
 * ivring_deadline_ms() - the deadline so many milliseconds from now.
 * @ms:		milliseconds
 */
uint64_t ivring_deadline_ms(uint32_t ms);

/*
 * Who is there
 */

/**
 * ivring_next_peer() - walk through the other members of the region.
 * @member:	the member
 * @peer:	in: where to go on from, or { .id = IVRING_ID_ANY } to begin;
 *		out: the next member that is attached
 *
 * Return: whether there was one.
 */
bool ivring_next_peer(const struct ivring *member, struct ivring_peer *peer);

/**
 * ivring_is_member() - whether a member is still attached.
 * @member:	the member that asks
 * @peer:	the member that is asked about
 */
bool ivring_is_member(const struct ivring *member, struct ivring_peer peer);

/**
 * ivring_wait_peer() - sleep until a member is attached to a slot.
 * @member:	the member that waits
 * @id:		the slot
 * @deadline:	how long
 * @peer:	out: the member
 *
 * Items that arrive meanwhile stay where they are.
 *
 * Return: 0; -EINVAL if there is no such slot; -EPROTO if the inbox is broken;
 * -ETIMEDOUT, -EINTR.
 */
int ivring_wait_peer(struct ivring *member, uint32_t id, uint64_t deadline,
		     struct ivring_peer *peer);

/**
 * ivring_members() - whether members came or went since the last call: see ivring_next_change().
 * @member:	the member
 *
 * For callers that have no dispatcher. From the first call on, news of the members keep
 * ivring_arm() from succeeding until they have been looked at. Says so only once all items have been consumed that
 * were in the inbox at the time, or in lanes of those that went: after it did, nothing more
 * will come from those, and their payload can no longer be reached.
 *
 * Return: 1 if so, 0 if not; -EPROTO if the inbox is broken.
 */
int ivring_members(struct ivring *member);

/* What happened to a member. */
enum ivring_member_event {
	IVRING_MEMBER_JOINED,
	IVRING_MEMBER_LEFT,
};

/**
 * struct ivring_change - a member that has come or gone.
 * @peer:	who
 * @event:	which of the two
 * @skipped:	members that came to this slot and went again just before, and are not told of
 * @reserved:	zero, until later versions of the library say more about the change there
 */
struct ivring_change {
	struct ivring_peer peer;
	enum ivring_member_event event;
	uint32_t skipped;
	uint32_t reserved[4];
};

/**
 * ivring_next_change() - who has come or gone, after ivring_members() has said that there is news.
 * @member:	the member
 * @change:	out: the next change, in the order in which they happened in each slot
 *
 * Each member is told of, also one that came and went between two looks. But of a slot that
 * has changed more than 16 times in between, members that came and went are left out, the
 * oldest first, until 16 changes are left; @skipped of the next change is their number. That a
 * member has left which was told of before is always told.
 *
 * For callers that have no dispatcher; else see ivring_on_members().
 *
 * Return: 1; 0 if there is no more; -EBUSY from a handler.
 */
int ivring_next_change(struct ivring *member, struct ivring_change *change);

#ifdef __cplusplus
}
#endif

#include <ivring/payload.h>
#include <ivring/send.h>
#include <ivring/lane.h>
#include <ivring/receive.h>
#include <ivring/dispatcher.h>
#include <ivring/request.h>

#endif /* _IVRING_H */
