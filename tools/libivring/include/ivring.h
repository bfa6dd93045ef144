/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libivring: work queues between virtual machines and processes of one computer.
 *
 * A struct ivr_member is one member of a region: an attached /dev/ivring file with its areas
 * mapped. Only one thread at a time may use it, except that any thread may call
 * ivr_stop() at any time.
 *
 * A member belongs to the process that made it, and leaves when this process ends. See
 * ivr_join_lasting() for a member that stays. A child made by fork() has the member's
 * descriptor but none of its mappings. In the child, ivr_fd() and ivr_self() work, and
 * ivr_close() closes the child's descriptor and leaves the member attached. All other
 * functions fail with -EPERM, return false or do nothing, except the inline functions of a
 * lane, which end the child by SIGSEGV. A child that wants to be a member of its own can
 * attach by ivr_join_fd().
 *
 * Functions that can fail return a negative errno value, and ivr_why() returns a sentence
 * that says which argument or condition was the reason. Deadlines are CLOCK_MONOTONIC times in
 * nanoseconds: zero does not wait, IVRING_DEADLINE_NEVER waits for ever. Functions that wait
 * return -ETIMEDOUT when the deadline has passed, and -EINTR when a signal was handled.
 *
 * Names that begin with ivr_ or IVR_ are defined by the library. Names that begin with ivring_ or
 * IVRING_ are defined by <linux/ivring.h>, the interface of the module.
 *
 * Data that peers write is untrusted. The library checks the data that it uses itself. The
 * caller must check the content of items and payload.
 */
#ifndef _IVR_H
#define _IVR_H

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
#ifndef IVR_STATIC
#define IVR_STATIC			static
#endif

/*
 * The version of these headers. A program runs with every later library of the same major
 * version, because that is the number in the name of the shared library.
 */
#define IVR_VERSION_MAJOR		0
#define IVR_VERSION_MINOR		1
#define IVR_VERSION_PATCH		0

/* A version as one number. A later version has a larger number. */
#define IVR_VERSION_NUMBER(major, minor, patch) \
	((uint32_t)(major) << 16 | (uint32_t)(minor) << 8 | (uint32_t)(patch))
#define IVR_VERSION \
	IVR_VERSION_NUMBER(IVR_VERSION_MAJOR, IVR_VERSION_MINOR, IVR_VERSION_PATCH)

/**
 * ivr_version() - the version of the library that the program runs with.
 *
 * It may be later than IVR_VERSION, which is that of the headers that the program was
 * compiled with.
 *
 * Return: a number as IVR_VERSION_NUMBER() makes it.
 */
uint32_t ivr_version(void);

/*
 * This port is reserved for the library. ivr_stop() wakes its own member by an item to this
 * port, and dispatchers drop such items.
 */
#define IVR_PORT_RESERVED		0xffffffffu

struct ivr_member;

/**
 * ivr_why() - explain why the last failed call of this thread failed.
 *
 * Like errno, the result is meaningful only directly after a failed call of the same thread.
 *
 * Return: a sentence in static memory; do not free it.
 */
const char *ivr_why(void);

/**
 * struct ivr_peer - identifies one member, and no later member of the same slot.
 * @id:		the member's slot
 * @generation:	the member's generation, odd
 */
struct ivr_peer {
	uint32_t id;
	uint32_t generation;
};

/* Mode of a region that nobody may join by its name, except with CAP_DAC_OVERRIDE. */
#define IVR_MODE_NOBODY		0x80000000u

/**
 * struct ivr_region_options - properties of a region that is made.
 * @name:		name by which others can join; NULL if they can join only by descriptor
 * @slots:		largest number of members at a time
 * @inbox_entries:	capacity of each inbox in items, a power of two
 * @outbox_bytes:	size of each outbox in bytes, a power of two
 * @mode:		permission bits that say which users may join by name, as if the region
 *			were a file of the caller. Zero means 0600, which allows only the
 *			caller's user. IVR_MODE_NOBODY allows nobody. Zero without a name
 * @lasting:		the member stays as long as any process has a descriptor of it, see
 *			ivr_join_lasting()
 * @reserved:		zero; later versions of the library may use it for options that have no
 *			effect if they are zero
 */
struct ivr_region_options {
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
 * ivr_create() - make a region and become member 0 of it.
 * @options:	the properties of the region
 * @member:	out: the member, to be closed with ivr_close()
 *
 * Return: 0; -EEXIST if the name is taken, -EINVAL for bad options or for a reserved field
 * that is not zero; -ENODEV if there is no /dev/ivring, -EACCES if this user may not open
 * /dev/ivring; or an error of opening /dev/ivring, IVRING_IOC_CREATE or mmap().
 */
int ivr_create(const struct ivr_region_options *options, struct ivr_member **member);

/**
 * ivr_create_region() - make a region without becoming a member of it.
 * @options:	the properties of the region; @lasting has no effect
 * @region_fd:	out: a descriptor of the region, to be closed with close()
 *
 * Members join by ivr_join_fd() with this descriptor or with a copy of it in another process, or by
 * the region's name. The region exists as long as the descriptor is open or a member is attached.
 *
 * Return: 0; or an error of ivr_create(), except those of mmap().
 */
int ivr_create_region(const struct ivr_region_options *options, int *region_fd);

/**
 * ivr_join() - become a member of a region that has a name.
 * @name:	the region's name
 * @id:		the wanted slot, or IVRING_ID_ANY
 * @deadline:	how long to wait for a region of that name; the function looks for it every
 *		10 ms
 * @member:	out: the member, to be closed with ivr_close()
 *
 * The function waits only while no region has that name. It returns any other error at once,
 * because the reason may never go away: a device that is missing or cannot be opened, a region
 * that this user may not join, a slot that is taken, a region that is full, or a limit of the
 * process or the user that has been reached.
 *
 * Return: 0; -ENOENT if there is no such region, also at the deadline; -EACCES if this user
 * may not join the region or may not open /dev/ivring; -ENODEV if there is no /dev/ivring;
 * -EBUSY if the slot is taken, -ENOSPC if all slots are taken; -EDQUOT, -EMFILE; -EINVAL for a
 * bad name or if there is no such slot; or an error of opening /dev/ivring, IVRING_IOC_ATTACH
 * or mmap().
 */
int ivr_join(const char *name, uint32_t id, uint64_t deadline, struct ivr_member **member);

/**
 * ivr_join_lasting() - join like ivr_join(), with a member that outlives the process.
 * @name:	the region's name
 * @id:		the wanted slot, or IVRING_ID_ANY
 * @deadline:	how long to wait for a region of that name
 * @member:	out: the member, to be closed with ivr_close()
 *
 * A member of ivr_join() leaves when the process that attached it ends, even if a child
 * made by fork() still has the descriptor (IVRING_ATTACH_PROCESS). A lasting member stays until
 * the last descriptor is closed. So a process that got a descriptor by SCM_RIGHTS or across
 * exec() can continue as this member.
 *
 * Return: the same values as ivr_join().
 */
int ivr_join_lasting(const char *name, uint32_t id, uint64_t deadline, struct ivr_member **member);

/* Results of ivr_open(). */
enum {
	IVR_JOINED = 0,
	IVR_CREATED = 1,
};

/**
 * ivr_open() - make a region and become member 0 of it, or join the region of that name.
 * @options:	the properties of the region if it is made; the name is required
 * @deadline:	how long to try again if regions of that name come and go
 * @member:	out: the member, to be closed with ivr_close(). It can have any slot if it
 *		has joined an existing region
 *
 * Use this function in programs that can start in any order. An existing region is not changed,
 * even if its size, mode or creator differ from the options. ivr_info() reports them.
 *
 * Return: IVR_CREATED or IVR_JOINED; -ETIMEDOUT if regions of that name came and went
 * repeatedly until the deadline, after at least a few tries; or an error of ivr_create() or
 * ivr_join(), except -EEXIST and -ENOENT.
 */
int ivr_open(const struct ivr_region_options *options, uint64_t deadline, struct ivr_member **member);

/**
 * ivr_join_fd() - become a member of the region that a descriptor belongs to.
 * @region_fd:	an ivring descriptor; the caller still has to close it
 * @id:		the wanted slot, or IVRING_ID_ANY
 * @member:	out: the member, to be closed with ivr_close()
 *
 * The function does not wait.
 *
 * Return: 0; -EBADF or -EINVAL for a bad descriptor; or an error of ivr_join().
 */
int ivr_join_fd(int region_fd, uint32_t id, struct ivr_member **member);

/**
 * ivr_join_fd_lasting() - join like ivr_join_fd(), as a member that outlives the process.
 * @region_fd:	an ivring descriptor; the caller still has to close it
 * @id:		the wanted slot, or IVRING_ID_ANY
 * @member:	out: the member, to be closed with ivr_close(); see ivr_join_lasting()
 *
 * Return: the same values as ivr_join_fd().
 */
int ivr_join_fd_lasting(int region_fd, uint32_t id, struct ivr_member **member);

/**
 * ivr_close() - leave the region, and free the member.
 * @member:	the member, or NULL
 *
 * The function first notifies the receivers of items that were pushed into lanes without a
 * notification.
 *
 * Return: 0; -EBUSY from a handler of the member, which then stays open.
 */
int ivr_close(struct ivr_member *member);

/**
 * ivr_fd() - the member's descriptor, for poll() and for passing on.
 * @member:	the member
 *
 * The descriptor is readable while there are items in the inbox or a lane. It has POLLPRI after
 * members have come or gone, until that has been handled, and POLLERR when the inbox is broken.
 */
int ivr_fd(const struct ivr_member *member);

/**
 * ivr_self() - slot and generation of this member.
 * @member:	the member
 */
struct ivr_peer ivr_self(const struct ivr_member *member);

/**
 * ivr_info() - the region's size, name, mode and creator.
 * @member:	the member
 * @info:	out: the result of IVRING_IOC_INFO
 *
 * Return: 0, or an error of IVRING_IOC_INFO.
 */
int ivr_info(const struct ivr_member *member, struct ivring_info *info);

/**
 * ivr_member_info() - the kernel's counters of one member of the region.
 * @member:	the calling member
 * @id:		the slot of the other member
 * @info:	out: the result of IVRING_IOC_MEMBER_INFO. If the slot is free, the generation
 *		is even, and user and counters are zero
 *
 * Return: 0; -EINVAL if there is no such slot.
 */
int ivr_member_info(const struct ivr_member *member, uint32_t id, struct ivring_member_info *info);

/**
 * struct ivr_counters - the library's counters of a member, from the time that it attached.
 * @handled:	items given to the handler of their port or to the handler of ivr_on_other()
 * @replies:	replies to requests of this member, including refusals
 * @unhandled:	items that were dropped because their port had no handler
 * @refused:	requests among the unhandled items whose senders got a refusal
 * @stray:	replies that were dropped because no request waited for them
 * @reserved:	zero, until later versions of the library count something there
 *
 * An event is counted when it happens, so handlers see the counters grow.
 */
struct ivr_counters {
	uint64_t handled;
	uint64_t replies;
	uint64_t unhandled;
	uint64_t refused;
	uint64_t stray;
	uint64_t reserved[3];
};

/**
 * ivr_get_counters() - read the library's counters of a member.
 * @member:	the member
 * @counters:	out
 */
void ivr_get_counters(const struct ivr_member *member, struct ivr_counters *counters);

/**
 * ivr_set_eventfd() - have each doorbell signal an eventfd.
 * @member:	the member
 * @eventfd:	the eventfd, or -1 for none; the caller still has to close it
 *
 * The member is armed when this function returns. If there is work already, the eventfd has
 * been signalled. Later the caller must arm the member before each sleep: see ivr_arm().
 *
 * Return: 0; -EBADF or -EINVAL for a bad descriptor.
 */
int ivr_set_eventfd(struct ivr_member *member, int eventfd);

/**
 * ivr_deadline_ms() - make a deadline that is a number of milliseconds from now.
 * @ms:		milliseconds
 */
uint64_t ivr_deadline_ms(uint32_t ms);

/*
 * The other members
 */

/**
 * ivr_next_peer() - walk through the other members of the region.
 * @member:	the member
 * @peer:	in: the previous result, or { .id = IVRING_ID_ANY } to begin;
 *		out: the next member that is attached
 *
 * Return: true if there is a next member.
 */
bool ivr_next_peer(const struct ivr_member *member, struct ivr_peer *peer);

/**
 * ivr_is_member() - whether a peer is still attached.
 * @member:	the calling member
 * @peer:	the peer
 */
bool ivr_is_member(const struct ivr_member *member, struct ivr_peer peer);

/**
 * ivr_wait_peer() - sleep until a member is attached to a slot.
 * @member:	the calling member
 * @id:		the slot
 * @deadline:	when to stop waiting
 * @peer:	out: the member of this slot
 *
 * Items that arrive during the wait stay in their rings.
 *
 * Return: 0; -EINVAL if there is no such slot; -EPROTO if the inbox is broken;
 * -ETIMEDOUT, -EINTR.
 */
int ivr_wait_peer(struct ivr_member *member, uint32_t id, uint64_t deadline,
		  struct ivr_peer *peer);

/**
 * ivr_refresh_members() - whether members came or went since the last call.
 * @member:	the member
 *
 * Use this function without a dispatcher. If it returns 1, ivr_next_member_event() returns the
 * events. After the first call of this function, ivr_arm() does not succeed while members have
 * come or gone and this function has not returned 1 for them.
 *
 * The function returns 1 only after the caller has consumed all items that were in the inbox
 * when the member came or left, and all items in lanes of members that have left. After that
 * nothing more comes from those members, and their payload can no longer be reached.
 *
 * Return: 1 if members came or went, 0 if not.
 */
int ivr_refresh_members(struct ivr_member *member);

/* Events of a member. */
enum ivr_member_event_kind {
	IVR_MEMBER_JOINED,
	IVR_MEMBER_LEFT,
};

/**
 * struct ivr_member_event - a member that has come or gone.
 * @peer:	the member
 * @event:	whether the member has joined or left
 * @skipped:	number of members of this slot that came and went directly before this event
 *		and are not reported
 * @reserved:	zero, until later versions of the library say more about the event there
 */
struct ivr_member_event {
	struct ivr_peer peer;
	enum ivr_member_event_kind event;
	uint32_t skipped;
	uint32_t reserved[4];
};

/**
 * ivr_next_member_event() - read one event, after ivr_refresh_members() has returned 1.
 * @member:	the member
 * @event:	out: the next event, in the order in which events happened in each slot
 *
 * Each member is reported, also a member that came and went between two calls. But if a slot
 * has had more than 16 events since the last call, members that came and went are left out, the
 * oldest first, until 16 events remain. @skipped of the next event is the number of members that
 * were left out. If a member was reported as joined, it is always reported when
 * it leaves.
 *
 * Use this function without a dispatcher. With a dispatcher, see ivr_on_members().
 *
 * Return: 1; 0 if there are no more events; -EBUSY from a handler.
 */
int ivr_next_member_event(struct ivr_member *member, struct ivr_member_event *event);

#ifdef __cplusplus
}
#endif

#include <ivring/payload.h>
#include <ivring/send.h>
#include <ivring/lane.h>
#include <ivring/receive.h>
#include <ivring/dispatcher.h>
#include <ivring/request.h>

#endif /* _IVR_H */
