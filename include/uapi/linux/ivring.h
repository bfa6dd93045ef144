/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * ivring: work queues between virtual machines and processes of one computer.
 *
 * This header is the only source of the ABI. Every structure has the same
 * layout for 32-bit and 64-bit callers; fields that are marked "out" are
 * ignored on the way in; reserved fields and unknown flags must be zero.
 *
 * Documentation/userspace-api/ivring.rst says what each call does, and each
 * of its errors; Documentation/design.rst says why the protocol is right.
 */
#ifndef _UAPI_LINUX_IVRING_H
#define _UAPI_LINUX_IVRING_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IVRING_API_VERSION		1

/* Feature bits of struct ivring_api. */
#define IVRING_FEATURE_INBOX		(1ULL << 0)	/* ENQUEUE into a kernel-written ring */
#define IVRING_FEATURE_EVENTFD		(1ULL << 1)	/* the doorbell can signal an eventfd */
#define IVRING_FEATURE_LANES		(1ULL << 2)	/* rings that one member writes for another */
#define IVRING_FEATURE_DELAY		(1ULL << 3)	/* doorbells that wait for more items */

/* Limits. They may grow: struct ivring_api tells those of the running module. */
#define IVRING_MAX_SLOTS		1024u
#define IVRING_MIN_INBOX_ENTRIES	2u
#define IVRING_MAX_INBOX_ENTRIES	65536u
#define IVRING_MIN_LANE_ENTRIES		2u
#define IVRING_MAX_LANE_ENTRIES		65536u
#define IVRING_MIN_OUTBOX_BYTES		4096ULL
#define IVRING_MAX_OUTBOX_BYTES		(256ULL << 20)
#define IVRING_MAX_BATCH		256u		/* items of one ENQUEUE */
#define IVRING_NAME_SIZE		64		/* bytes, the closing NUL included */
#define IVRING_INLINE_BYTES		32		/* payload that rides in an item */
#define IVRING_MAX_WAKE_DELAY_US	1000000u	/* a longer delay counts as this */

#define IVRING_ID_ANY			0xffffffffu	/* attach: whichever slot is free */
#define IVRING_DEADLINE_NEVER		0xffffffffffffffffULL

/* Flags of struct ivring_item. */
#define IVRING_ITEM_REPLY		(1u << 0)	/* answers the request with this cookie */
#define IVRING_ITEM_REQUEST		(1u << 1)	/* expects a reply with this cookie */
#define IVRING_ITEM_REFUSED		(1u << 2)	/* of a reply: no program handles that port */
#define IVRING_ITEM_FLAGS		7u		/* all of them */

/**
 * struct ivring_item - one work item, 64 bytes, the same on every ring.
 * @from:	id of the sending member; stamped by the kernel, zero on the way in.
 *		Zero in a lane: which lane it is in says who sent it
 * @flags:	IVRING_ITEM_*
 * @inline_len:	bytes in use of @data, 0 to IVRING_INLINE_BYTES
 * @from_gen:	generation of the sending member; as @from
 * @port:	which program of the receiving member the item is for
 * @length:	bytes in the sender's outbox that belong to the item, may be 0
 * @offset:	where they begin, in bytes from the start of the outbox; zero
 *		if @length is
 * @cookie:	the sender's own, passed on as it is; a reply carries the
 *		request's
 * @data:	small payload
 */
struct ivring_item {
	__u16	from;
	__u8	flags;
	__u8	inline_len;
	__u32	from_gen;
	__u32	port;
	__u32	length;
	__u64	offset;
	__u64	cookie;
	__u8	data[IVRING_INLINE_BYTES];
};

/*
 * Areas. What one writer may write is one contiguous area, mapped by mmap() at
 * the offset given here. Everyone else's mapping of it is read-only, and stays
 * so whatever mprotect() is asked for.
 *
 *	area		written by	mapped by
 *	region area	kernel		every member, read-only
 *	inbox area	kernel		the member whose inbox it is, read-only
 *	member area	that member	itself read-write, the others read-only
 *	lane area	its sender	the sender read-write, the receiver read-only
 */
#define IVRING_MAP_SHIFT		30
#define IVRING_MAP_REGION		0ULL
#define IVRING_MAP_INBOX		(1ULL << IVRING_MAP_SHIFT)
#define IVRING_MAP_MEMBER(id)		((2ULL + (id)) << IVRING_MAP_SHIFT)
#define IVRING_MAP_LANE_TO(id)		((2ULL + IVRING_MAX_SLOTS + (id)) << IVRING_MAP_SHIFT)
#define IVRING_MAP_LANE_FROM(id)	((2ULL + 2 * IVRING_MAX_SLOTS + (id)) << IVRING_MAP_SHIFT)

#define IVRING_MAGIC			0x676e7669u	/* "ivng", little-endian */

/**
 * struct ivring_region_area - geometry, and who is there.
 * @magic:		IVRING_MAGIC
 * @version:		IVRING_API_VERSION of the module
 * @slots:		how many members the region can hold
 * @inbox_entries:	capacity of each inbox, a power of two
 * @outbox_bytes:	size of each outbox, a power of two
 * @members:		moves on whenever a member comes or goes; compare for equality
 * @reserved:		zero
 * @generation:		one for each slot: odd while a member is attached, even while
 *			the slot is free; moves on by one at each change and never
 *			wraps (a slot whose generations are used up stays free)
 *
 * The area is sizeof(struct ivring_region_area) + 4 * @slots bytes, rounded up
 * to whole pages.
 */
struct ivring_region_area {
	__u32	magic;
	__u32	version;
	__u32	slots;
	__u32	inbox_entries;
	__u64	outbox_bytes;
	__u32	members;
	__u32	reserved[9];
	__u32	generation[];
};

/**
 * struct ivring_ring_area - a ring: an inbox, which the kernel writes, or a lane.
 * @producer:		free-running index of the next item to be written; an
 *			acquire load of it makes all items before it readable.
 *			It starts at minus the ring's capacity, so that every ring
 *			passes the wrap of the index, and none is surprised by it
 * @room_wanted:	nonzero while the sender waits for the reader's progress (for
 *			room, or for its items to be read)
 * @room_at:		how far it waits for, or the nearest index if several tasks
 *			wait: once the reader has moved its consumer index to here or
 *			beyond, and passed a full barrier, and @room_wanted is set, it
 *			calls IVRING_IOC_ROOM. Written before @room_wanted is set
 * @item:		the ring; the item of index i is item[i % capacity]
 *
 * A lane area is sizeof(struct ivring_ring_area) + 64 * capacity bytes, rounded up
 * to whole pages. In an inbox area struct ivring_lanes follows the ring.
 */
struct ivring_ring_area {
	__u32	producer;
	__u32	pad0[15];
	__u32	room_wanted;
	__u32	room_at;
	__u32	pad1[1006];
	struct ivring_item item[];
};

/**
 * struct ivring_lane_info - one lane that leads to a member.
 * @generation:		of the member that opened it; zero if there is no lane. It stays
 *			when that member leaves, until the receiver closes the lane
 * @entries:		its capacity, a power of two
 */
struct ivring_lane_info {
	__u32	generation;
	__u32	entries;
};

/**
 * struct ivring_lanes - the lanes that lead to a member, in its inbox area.
 * @changes:		moves on whenever a lane is opened or closed; an acquire load of
 *			it makes the changes before it readable; compare for equality
 * @woken:		moves on whenever a doorbell has cleared a bit of
 *			ivring_member_area.quiet; an acquire load of it makes that readable;
 *			compare for equality
 * @lane:		one for each slot: the lane from the member of that slot
 *
 * It begins IVRING_LANES_OFFSET(inbox_entries) bytes from the start of the inbox
 * area, whose size is that and sizeof(struct ivring_lanes) + 8 * slots, rounded up to
 * whole pages.
 */
struct ivring_lanes {
	__u32	changes;
	__u32	woken;
	__u32	pad0[14];
	struct ivring_lane_info lane[];
};

#define IVRING_LANES_OFFSET(inbox_entries) \
	(sizeof(struct ivring_ring_area) + sizeof(struct ivring_item) * (inbox_entries))

/*
 * The state word. A sender that has published an item passes a full barrier and
 * reads it: IDLE and GONE must be rung; DELAYED must be if the ring holds
 * wake_items or more, or is full; the others need not be. A sender by a lane reads the bit of its
 * slot in ivring_member_area.quiet as well: if it is set, the receiver must be rung,
 * whatever the state is.
 *
 * A sender may also read the state by an acquire load without a barrier first (the
 * compiler's order between its publish and that load is enough), and is done if it
 * finds UNFENCED, and behind that load the bit clear. Otherwise it passes the barrier and
 * reads both again. So whoever turns UNFENCED into anything else makes all CPUs pass a
 * barrier before it looks at the rings for the last time, and before it sets a bit of
 * quiet: by IVRING_IOC_FENCE, or in the kernel.
 */
#define IVRING_BUSY			0u	/* will look at its rings again by itself */
#define IVRING_IDLE			1u	/* must be rung: the sender raises a doorbell */
#define IVRING_BUSY_UNFENCED		2u	/* as BUSY, and needs no barrier of the sender */
#define IVRING_DELAYED			3u	/* will be woken by a timer; only the kernel says so */
#define IVRING_GONE			4u	/* has left: who rings is told so; the kernel says so */

/**
 * struct ivring_lane_end - the reader's end of a lane that leads to a member.
 * @consumer:		free-running index of the next item to be read, as
 *			ivring_member_area.inbox_consumer; the kernel sets it to where the
 *			producer starts when the lane is opened
 * @closed:		nonzero once the receiver has closed the lane; the kernel sets it
 */
struct ivring_lane_end {
	__u32	consumer;
	__u32	closed;
	__u32	pad0[14];
};

/**
 * struct ivring_member_area - what a member itself writes.
 * @state:		IVRING_BUSY and the like. The member, or the kernel when it
 *			puts the member to sleep, sets IDLE, passes a full barrier and
 *			looks at the rings once more before it sleeps; a doorbell
 *			turns IDLE into BUSY
 * @wake_items:		how many items a ring shall hold before the member is woken, as
 *			long as the first of them has not waited for @wake_delay_us.
 *			A ring that is full always holds enough
 * @wake_delay_us:	microseconds; if it is zero, or @wake_items is below two, every
 *			item wakes an idle member
 * @inbox_consumer:	free-running index of the next inbox item to be read;
 *			a release store of it gives up all items before it, and
 *			the payload they name. It starts where the producer does
 * @members_seen:	the value of ivring_region_area.members that the member has
 *			acted upon
 * @max_lane_entries:	the largest lane that may be opened to the member; zero refuses
 *			all. It starts at IVRING_MAX_LANE_ENTRIES, or with
 *			IVRING_ATTACH_NO_LANES at zero
 * @quiet:		a bit for each slot, that of slot i is bit i % 32 of word i / 32. As long
 *			as it is set, the member does not look at the lane from the member of
 *			that slot, and each item in it must be announced by IVRING_IOC_DOORBELL.
 *			The member sets it by an atomic operation, passes a full barrier, and
 *			looks at the lane once more; if it holds something, the member clears
 *			the bit by an atomic operation. IVRING_IOC_DOORBELL for a lane that
 *			holds something clears it, and then moves ivring_lanes.woken on; opening
 *			and closing of the lane clear it. WAIT and poll() set it for lanes that
 *			have been empty for many calls, if the member has many lanes: so a
 *			member that ignores these words and looks at all its lanes is right as
 *			well
 * @lane:		one for each slot: the end of the lane from the member of that slot
 *
 * The outbox, payload that this member sends, in place, begins
 * IVRING_OUTBOX_OFFSET(slots) bytes from the start of the area and is outbox_bytes
 * long; the area ends with it. The pad keeps words with different readers on
 * different cache lines, and is the member's own.
 */
struct ivring_member_area {
	__u32	state;
	__u32	wake_items;
	__u32	wake_delay_us;
	__u32	pad0[13];
	__u32	inbox_consumer;
	__u32	pad1[15];
	__u32	members_seen;
	__u32	max_lane_entries;
	__u32	pad2[14];
	__u32	quiet[IVRING_MAX_SLOTS / 32];
	__u32	pad3[944];
	struct ivring_lane_end lane[];
};

#define IVRING_OUTBOX_OFFSET(slots) \
	(sizeof(struct ivring_member_area) + (((slots) * sizeof(struct ivring_lane_end) + 4095ULL) & ~4095ULL))

/**
 * struct ivring_api - what the running module offers (IVRING_IOC_API).
 * All fields are out.
 */
struct ivring_api {
	__u32	version;
	__u32	max_slots;
	__u64	features;
	__u32	max_inbox_entries;
	__u32	max_batch;
	__u64	max_outbox_bytes;
	__u32	max_lane_entries;
	__u32	reserved;
};

/* Flags of struct ivring_create. */
#define IVRING_CREATE_ATTACH		(1u << 0)	/* and become member 0 of it */
#define IVRING_CREATE_PROCESS		(1u << 1)	/* and as IVRING_ATTACH_PROCESS */
#define IVRING_CREATE_NO_LANES		(1u << 2)	/* and as IVRING_ATTACH_NO_LANES */

/**
 * struct ivring_create - make a region (IVRING_IOC_CREATE).
 * @flags:		IVRING_CREATE_*. With IVRING_CREATE_ATTACH the descriptor is
 *			the member of slot 0, of generation 1, before anyone else can
 *			find the region; the other flags are about that member, and need
 *			this one
 * @slots:		how many members it can hold, 1 to IVRING_MAX_SLOTS
 * @inbox_entries:	a power of two within the limits
 * @mode:		who may attach by name: permission bits 0777 as of a file
 *			owned by the caller (no umask); a member needs read and write.
 *			Zero if there is no name
 * @outbox_bytes:	a power of two within the limits
 * @name:		NUL-terminated and NUL-padded, any bytes but '/'; empty
 *			for a region that is reached only by descriptor
 */
struct ivring_create {
	__u32	flags;
	__u32	slots;
	__u32	inbox_entries;
	__u32	mode;
	__u64	outbox_bytes;
	__u8	name[IVRING_NAME_SIZE];
};

/* Flags of struct ivring_attach. */
#define IVRING_ATTACH_PROCESS		(1u << 0)	/* leave when this process ends */
#define IVRING_ATTACH_NO_LANES		(1u << 1)	/* let nobody open a lane to the member */

/**
 * struct ivring_attach - become a member of a region (IVRING_IOC_ATTACH).
 * @flags:	IVRING_ATTACH_*. With IVRING_ATTACH_PROCESS the member leaves the region when
 *		the process that attached ends, also if another process still has a
 *		descriptor of the file; calls as that member then fail with EOWNERDEAD.
 *		With IVRING_ATTACH_NO_LANES ivring_member_area.max_lane_entries starts at zero
 * @region_fd:	an ivring descriptor whose region is meant, or -1
 * @id:		in: the slot wanted, or IVRING_ID_ANY; out: the slot got
 * @generation:	out: the member's generation, odd
 * @name:	the region's name, or empty. With @region_fd -1 and no name the
 *		region is the one that this very descriptor created
 */
struct ivring_attach {
	__u32	flags;
	__s32	region_fd;
	__u32	id;
	__u32	generation;
	__u8	name[IVRING_NAME_SIZE];
};

/**
 * struct ivring_info - the region of a descriptor (IVRING_IOC_INFO).
 * All fields are out. @id is IVRING_ID_ANY and @generation zero where the
 * descriptor is not attached; @attached counts the members; @uid and @gid are the
 * creator's, in the caller's user namespace.
 */
struct ivring_info {
	__u32	slots;
	__u32	inbox_entries;
	__u64	outbox_bytes;
	__u32	id;
	__u32	generation;
	__u32	attached;
	__u32	mode;
	__u32	uid;
	__u32	gid;
	__u8	name[IVRING_NAME_SIZE];
};

/**
 * struct ivring_stats - what happened to one member since it attached.
 * @items_in:		items written into its inbox
 * @items_out:		items it has sent to inboxes
 * @rung:		doorbells that interrupted it: it was idle
 * @suppressed:		doorbells that were not raised: it was busy, or delayed already
 * @spurious:		wakeups in IVRING_IOC_WAIT that found nothing to do
 * @full:		times a sender found no room for all its items
 * @waits:		times it slept in IVRING_IOC_WAIT
 * @room:		times it rang back because a sender waited for room
 * @delayed:		doorbells that started a delay instead of waking it
 * @pointless:		doorbells that it raised and that had nothing to tell: the
 *			lane was empty
 */
struct ivring_stats {
	__u64	items_in;
	__u64	items_out;
	__u64	rung;
	__u64	suppressed;
	__u64	spurious;
	__u64	full;
	__u64	waits;
	__u64	room;
	__u64	delayed;
	__u64	pointless;
};

/**
 * struct ivring_member_info - one member of the region (IVRING_IOC_MEMBER_INFO).
 * @id:		in: which slot
 * @generation:	out: of the slot; even where no member is attached, and then all
 *		below is zero
 * @uid:	out: who attached it, in the caller's user namespace
 * @reserved:	zero
 * @stats:	out
 */
struct ivring_member_info {
	__u32	id;
	__u32	generation;
	__u32	uid;
	__u32	reserved;
	struct ivring_stats stats;
};

/* Flags of struct ivring_enqueue. */
#define IVRING_ENQUEUE_WAIT		(1u << 0)	/* wait for room, until the deadline */

/**
 * struct ivring_enqueue - put items on another member's work queue (IVRING_IOC_ENQUEUE).
 * @id:		the receiving member; may be the caller itself
 * @generation:	its generation, so that no successor in its slot is meant
 * @count:	items in the array, 1 to IVRING_MAX_BATCH
 * @flags:	IVRING_ENQUEUE_*
 * @items:	address of an array of struct ivring_item
 * @deadline:	with IVRING_ENQUEUE_WAIT: CLOCK_MONOTONIC time in nanoseconds, or
 *		IVRING_DEADLINE_NEVER; else zero
 * @done:	out: how many went in; fewer than @count when there was no more
 *		room or the array was not readable to its end
 * @position:	out: producer index behind the last item that went in; when the
 *		receiver's inbox_consumer reaches it, all of them have been read
 * @rung:	out: doorbells raised; zero if the receiver was busy
 * @reserved:	zero
 *
 * All items are checked before any goes in. Zero is returned if at least one
 * item went in; else the fields marked out mean nothing.
 */
struct ivring_enqueue {
	__u32	id;
	__u32	generation;
	__u32	count;
	__u32	flags;
	__u64	items;
	__u64	deadline;
	__u32	done;
	__u32	position;
	__u32	rung;
	__u32	reserved;
};

/* Flags of struct ivring_wait. */
#define IVRING_WAIT_MEMBERS		(1u << 0)	/* return for news of the members too */
#define IVRING_WAIT_ARMED		(1u << 1)	/* the caller has armed: sleep while it is */

/* What struct ivring_wait returns in events. */
#define IVRING_EVENT_ITEMS		(1u << 0)	/* there is something in the inbox or a lane */
#define IVRING_EVENT_MEMBERS		(1u << 1)	/* members differs from members_seen */

/**
 * struct ivring_wait - sleep until there is work (IVRING_IOC_WAIT).
 * @flags:	IVRING_WAIT_MEMBERS to return for news of the members too; items always count.
 *		IVRING_WAIT_ARMED: the caller has set the state to IDLE, made the barrier
 *		that this takes, and looked; so sleep until a doorbell ends that
 * @events:	out: IVRING_EVENT_*; zero with IVRING_WAIT_ARMED
 * @deadline:	CLOCK_MONOTONIC time in nanoseconds; zero does not sleep
 */
struct ivring_wait {
	__u32	flags;
	__u32	events;
	__u64	deadline;
};

/* Flags of struct ivring_flush. */
#define IVRING_FLUSH_LANE		(1u << 0)	/* of the lane to that member, not its inbox */

/**
 * struct ivring_flush - sleep until items have been read (IVRING_IOC_FLUSH).
 * @id:		the member they were sent to
 * @generation:	its generation
 * @position:	what IVRING_IOC_ENQUEUE returned for the last of them, or the producer index
 *		behind it. Unread items lie within one round of the ring, so a
 *		position further away counts as read, until the index has gone all the
 *		way round
 * @flags:	IVRING_FLUSH_LANE
 * @deadline:	CLOCK_MONOTONIC time in nanoseconds; zero does not sleep
 */
struct ivring_flush {
	__u32	id;
	__u32	generation;
	__u32	position;
	__u32	flags;
	__u64	deadline;
};

/**
 * struct ivring_room - wake senders that wait for progress (IVRING_IOC_ROOM).
 * @from:	the member whose lane it is about, or IVRING_ID_ANY for the inbox
 * @flags:	none defined; zero
 *
 * Wakes a few of the tasks that have what they wait for, and these wake the others.
 */
struct ivring_room {
	__u32	from;
	__u32	flags;
};

/* Flags of struct ivring_open_lane. */
#define IVRING_OPEN_LANE_WAIT		(1u << 0)	/* wait for the old lane to be closed */

/**
 * struct ivring_open_lane - get a ring of one's own to a member (IVRING_IOC_OPEN_LANE).
 * @id:		the receiving member; may be the caller itself
 * @generation:	its generation
 * @entries:	capacity, a power of two within the limits
 * @flags:	IVRING_OPEN_LANE_*
 * @deadline:	with IVRING_OPEN_LANE_WAIT: CLOCK_MONOTONIC time in nanoseconds, or
 *		IVRING_DEADLINE_NEVER; else zero
 *
 * The lane area is at IVRING_MAP_LANE_TO(@id) from then on. A member has one lane at most
 * to each other one; it ends when either of the two leaves, or the receiver closes it.
 */
struct ivring_open_lane {
	__u32	id;
	__u32	generation;
	__u32	entries;
	__u32	flags;
	__u64	deadline;
};

/**
 * struct ivring_close_lane - be done with a lane from a member (IVRING_IOC_CLOSE_LANE).
 * @from:	the member that opened it
 * @generation:	its generation, whether or not it is still there
 *
 * Called by the receiver. What is in the lane is dropped; its sender gets
 * ECONNRESET. A member that takes over the slot can open a lane only after this.
 */
struct ivring_close_lane {
	__u32	from;
	__u32	generation;
};

/**
 * struct ivring_doorbell - wake a member for what is in one's lane to it (IVRING_IOC_DOORBELL).
 * @id:		the receiving member
 * @generation:	its generation
 *
 * Returns 1 if it was rung, 0 if it need not be.
 */
struct ivring_doorbell {
	__u32	id;
	__u32	generation;
};

/**
 * struct ivring_eventfd - have each doorbell signal an eventfd (IVRING_IOC_EVENTFD).
 * @fd:		an eventfd, or -1 for none
 * @flags:	none defined; zero
 */
struct ivring_eventfd {
	__s32	fd;
	__u32	flags;
};

#define IVRING_IOC_MAGIC		0xBE

#define IVRING_IOC_API		_IOR(IVRING_IOC_MAGIC, 0x40, struct ivring_api)
#define IVRING_IOC_CREATE	_IOW(IVRING_IOC_MAGIC, 0x41, struct ivring_create)
#define IVRING_IOC_ATTACH	_IOWR(IVRING_IOC_MAGIC, 0x42, struct ivring_attach)
#define IVRING_IOC_INFO		_IOR(IVRING_IOC_MAGIC, 0x43, struct ivring_info)
#define IVRING_IOC_MEMBER_INFO	_IOWR(IVRING_IOC_MAGIC, 0x44, struct ivring_member_info)
#define IVRING_IOC_ENQUEUE	_IOWR(IVRING_IOC_MAGIC, 0x45, struct ivring_enqueue)
#define IVRING_IOC_WAIT		_IOWR(IVRING_IOC_MAGIC, 0x46, struct ivring_wait)
#define IVRING_IOC_EVENTFD	_IOW(IVRING_IOC_MAGIC, 0x47, struct ivring_eventfd)
#define IVRING_IOC_ROOM		_IOW(IVRING_IOC_MAGIC, 0x48, struct ivring_room)
#define IVRING_IOC_FLUSH	_IOW(IVRING_IOC_MAGIC, 0x49, struct ivring_flush)
#define IVRING_IOC_OPEN_LANE	_IOW(IVRING_IOC_MAGIC, 0x4A, struct ivring_open_lane)
#define IVRING_IOC_CLOSE_LANE	_IOW(IVRING_IOC_MAGIC, 0x4B, struct ivring_close_lane)
#define IVRING_IOC_DOORBELL	_IOW(IVRING_IOC_MAGIC, 0x4C, struct ivring_doorbell)
#define IVRING_IOC_FENCE	_IO(IVRING_IOC_MAGIC, 0x4D)

#endif /* _UAPI_LINUX_IVRING_H */
