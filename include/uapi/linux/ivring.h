/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * ivring: work queues between processes of one computer.
 *
 * This header is the only definition of the ABI. Every structure has the same
 * layout for 32-bit and 64-bit callers. Fields that are marked "out" are
 * ignored on the way in. Reserved fields and unknown flags must be zero.
 *
 * Documentation/userspace-api/ivring.rst describes each call and its errors.
 * Documentation/design.rst explains the protocol and why it is correct.
 */
#ifndef _UAPI_LINUX_IVRING_H
#define _UAPI_LINUX_IVRING_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IVRING_API_VERSION		1

/* Feature bits of struct ivring_api. */
#define IVRING_FEATURE_INBOX		(1ULL << 0)	/* ENQUEUE into a kernel-written ring */
#define IVRING_FEATURE_EVENTFD		(1ULL << 1)	/* the doorbell can signal an eventfd */
#define IVRING_FEATURE_LANES		(1ULL << 2)	/* rings written by their sender */
#define IVRING_FEATURE_DELAY		(1ULL << 3)	/* doorbells that wait for more items */
#define IVRING_FEATURE_WATCH		(1ULL << 4)	/* the *_WATCH flags work, and poll() reports EPOLLOUT */

/* Limits. They may grow: struct ivring_api reports those of the running module. */
#define IVRING_MAX_SLOTS		1024u
#define IVRING_MIN_INBOX_ENTRIES	2u
#define IVRING_MAX_INBOX_ENTRIES	65536u
#define IVRING_MIN_LANE_ENTRIES		2u
#define IVRING_MAX_LANE_ENTRIES		65536u
#define IVRING_MIN_OUTBOX_BYTES		4096ULL
#define IVRING_MAX_OUTBOX_BYTES		(256ULL << 20)
#define IVRING_MAX_BATCH		256u		/* items of one ENQUEUE */
#define IVRING_NAME_SIZE		64		/* bytes, including the closing NUL */
#define IVRING_INLINE_BYTES		32		/* bytes of payload inside an item */
#define IVRING_MAX_WAKE_DELAY_US	1000000u	/* a longer delay is cut to this */

#define IVRING_ID_ANY			0xffffffffu	/* attach: the lowest free slot */
#define IVRING_DEADLINE_NEVER		0xffffffffffffffffULL

/* Flags of struct ivring_item. */
#define IVRING_ITEM_REPLY		(1u << 0)	/* answers the request with this cookie */
#define IVRING_ITEM_REQUEST		(1u << 1)	/* expects a reply with this cookie */
#define IVRING_ITEM_REFUSED		(1u << 2)	/* reply: no program handles that port */
#define IVRING_ITEM_FLAGS		7u		/* all flags of an item */

/**
 * struct ivring_item - one work item, 64 bytes, with the same layout on every ring.
 * @sequence:	in a ring: the index of the item. The writer of the ring stores it after the
 *		rest of the item. The item of index i is readable once an acquire load of
 *		@sequence returns i. Zero on the way in; the sender of a lane stores the
 *		index itself
 * @port:	the program of the receiving member that the item is for
 * @from:	id of the sending member; zero on the way in, stamped by the kernel.
 *		Zero in a lane, because the lane identifies the sender
 * @flags:	IVRING_ITEM_*
 * @inline_len:	number of bytes of @data in use, 0 to IVRING_INLINE_BYTES
 * @from_gen:	generation of the sending member; zero on the way in and in a lane,
 *		stamped by the kernel
 * @offset:	where the payload begins, in bytes from the start of the outbox; zero
 *		if @length is zero
 * @length:	number of bytes of payload in the sender's outbox, may be zero
 * @cookie:	chosen by the sender and passed on unchanged; a reply carries the
 *		cookie of its request
 * @data:	small payload
 */
struct ivring_item {
	__u32	sequence;
	__u32	port;
	__u16	from;
	__u8	flags;
	__u8	inline_len;
	__u32	from_gen;
	__u32	offset;
	__u32	length;
	__u64	cookie;
	__u8	data[IVRING_INLINE_BYTES];
};

/*
 * Areas. An area is contiguous memory that has exactly one writer. It is mapped by
 * mmap() of the descriptor given here, at the offset given here. Only the writer can map an
 * area writable. All other mappings are read-only, and mprotect() cannot change that.
 *
 *	area		written by	mapped by
 *	region area	the kernel	every member, read-only
 *	inbox area	the kernel	the inbox's member, read-only
 *	member area	its member	its member read-write, the others read-only
 *	outbox		its member	its member read-write, the others read-only
 *	lane area	its sender	its sender read-write, its receiver read-only
 *
 * A member maps its own areas and its lanes by its own file. At IVRING_MAP_MEMBER and
 * IVRING_MAP_OUTBOX, this file has the member area and the outbox of the caller. A descriptor
 * from IVRING_IOC_OPEN_MEMBER has those of another member, at the same offsets.
 *
 * The outbox holds the payload that its member sends. It is outbox_bytes long. Its pages
 * are allocated when they are first touched, and are then zero.
 */
#define IVRING_MAP_SHIFT		30
#define IVRING_MAP_REGION		0ULL
#define IVRING_MAP_INBOX		(1ULL << IVRING_MAP_SHIFT)
#define IVRING_MAP_MEMBER		(2ULL << IVRING_MAP_SHIFT)
#define IVRING_MAP_OUTBOX		(3ULL << IVRING_MAP_SHIFT)
#define IVRING_MAP_LANE_TO(id)		((4ULL + (id)) << IVRING_MAP_SHIFT)
#define IVRING_MAP_LANE_FROM(id)	((4ULL + IVRING_MAX_SLOTS + (id)) << IVRING_MAP_SHIFT)

#define IVRING_MAGIC			0x676e7669u	/* "ivng", little-endian */

/**
 * struct ivring_region_area - geometry of a region, and which slots are taken.
 * @magic:		IVRING_MAGIC
 * @version:		IVRING_API_VERSION of the module
 * @slots:		largest number of members at a time
 * @inbox_entries:	capacity of each inbox in items, a power of two
 * @outbox_bytes:	size of each outbox in bytes, a power of two
 * @members:		changes whenever a member attaches or leaves; compare for equality
 * @reserved:		zero
 * @generation:		one for each slot: odd while a member is attached, even while
 *			the slot is free. It increases by one at each change and never
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
 * @room_wanted:	nonzero while a sender waits for the reader's progress (for
 *			room, or for its items to be read)
 * @room_at:		the consumer index that the sender waits for; the nearest one
 *			if several tasks wait. After the reader has advanced its
 *			consumer index and passed a full barrier, it calls
 *			IVRING_IOC_ROOM if @room_wanted is set and its index has
 *			reached @room_at. Written before @room_wanted is set
 * @pad:		unused
 * @item:		the items; the item of index i is item[i % capacity]
 *
 * Indices are free-running. The first index is minus the ring's capacity. So the index of
 * every ring wraps early, programs are tested with the wrap, and zeroed memory holds no
 * item. The item of index i is in the ring if the sequence of item[i % capacity] is i. The
 * writer publishes no index.
 *
 * A lane area is sizeof(struct ivring_ring_area) + 64 * capacity bytes, rounded up
 * to whole pages. In an inbox area struct ivring_lanes follows the ring.
 */
struct ivring_ring_area {
	__u32	room_wanted;
	__u32	room_at;
	__u32	pad[1022];
	struct ivring_item item[];
};

/**
 * struct ivring_lane_info - one lane that leads to a member.
 * @generation:		generation of the member that opened the lane; zero if there is
 *			no lane. It stays when that member leaves, until the receiver
 *			closes the lane
 * @entries:		capacity of the lane in items, a power of two
 */
struct ivring_lane_info {
	__u32	generation;
	__u32	entries;
};

/**
 * struct ivring_lanes - the lanes that lead to a member, in its inbox area.
 * @changes:		changes whenever a lane is opened or closed. An acquire load of
 *			it makes earlier changes readable; compare for equality
 * @woken:		changes whenever a doorbell has cleared a bit of
 *			ivring_member_area.quiet. An acquire load of it makes the
 *			cleared bit readable; compare for equality
 * @lane:		one for each slot: the lane from the member of that slot
 *
 * The structure begins IVRING_LANES_OFFSET(inbox_entries) bytes from the start of the
 * inbox area. The size of the inbox area is this offset plus sizeof(struct ivring_lanes)
 * plus 8 * slots, rounded up to whole pages.
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
 * The state word. A sender stores the sequence of an item, passes a full barrier and reads
 * the state. One barrier and one load of the state are enough for several items. The sender
 * must ring the receiver if the state is IDLE or GONE. If the state is DELAYED, it must
 * ring if the ring holds wake_items or more, or is full. In the other states it need not
 * ring. A sender by a lane also reads the bit of its slot in ivring_member_area.quiet. If
 * this bit is set, the sender must ring in every state.
 *
 * A sender may first read the state by an acquire load without a full barrier. Only the
 * compiler must keep the order of the store of the sequence and this load. If the sender
 * finds UNFENCED, and after that load finds the bit clear, it is done. Otherwise it passes
 * the full barrier and reads the state and the bit again. So a receiver that turns UNFENCED
 * into anything else must make all CPUs pass a barrier before it looks at the rings for the
 * last time, and before it sets a bit of quiet. It does so by IVRING_IOC_FENCE, or the
 * kernel does it.
 */
#define IVRING_BUSY			0u	/* the member looks at its rings again by itself */
#define IVRING_IDLE			1u	/* a sender must ring the member */
#define IVRING_BUSY_UNFENCED		2u	/* BUSY, and a sender needs no barrier */
#define IVRING_DELAYED			3u	/* a timer will wake the member; set by the kernel */
#define IVRING_GONE			4u	/* the member has left and cannot be rung; set by the kernel */

/**
 * struct ivring_lane_end - the reader's end of a lane that leads to a member.
 * @consumer:		free-running index of the next item to be read. A release store of
 *			it releases all items before it, and the payload they name. When the
 *			lane is opened, the kernel sets it to the first index of the lane
 * @closed:		nonzero once the receiver has closed the lane; set by the kernel
 */
struct ivring_lane_end {
	__u32	consumer;
	__u32	closed;
	__u32	pad0[14];
};

/**
 * struct ivring_member_area - the words that a member itself writes.
 * @state:		IVRING_BUSY, IVRING_IDLE and so on. Before a task sleeps, the
 *			member (or the kernel on its behalf) sets IDLE, passes a full
 *			barrier and looks at the rings once more. A doorbell turns IDLE
 *			into BUSY
 * @wake_items:		number of items that a ring must hold before the member is woken,
 *			unless the first of them has waited for @wake_delay_us. A full ring
 *			wakes the member in any case
 * @wake_delay_us:	longest delay of a doorbell, in microseconds, at most
 *			IVRING_MAX_WAKE_DELAY_US. If it is zero, or @wake_items is below
 *			two, every item wakes an idle member
 * @inbox_consumer:	free-running index of the next inbox item to be read. A release
 *			store of it releases all items before it, and the payload they name.
 *			It starts at the first index of the inbox
 * @members_seen:	the value of ivring_region_area.members that the member has
 *			acted upon
 * @max_lane_entries:	largest capacity, in items, of a lane that peers may open to the
 *			member; zero refuses all lanes. It starts at
 *			IVRING_MAX_LANE_ENTRIES, or at zero with IVRING_ATTACH_NO_LANES
 * @members_wanted:	nonzero if the kernel shall ring the member, when the member is
 *			idle, after members have attached or left; zero if not. The member
 *			sets it before it stores IDLE. Only a member that arms in user
 *			space, and then sleeps in WAIT with IVRING_WAIT_ARMED or on an
 *			eventfd, needs it. For other kinds of WAIT and for all kinds of
 *			poll(), IVRING_WAIT_MEMBERS and EPOLLPRI have this meaning. It
 *			starts at zero
 * @quiet:		one bit for each slot; that of slot i is bit i % 32 of word i / 32.
 *			While the bit is set, the member does not look at the lane from that
 *			slot, and the sender must call IVRING_IOC_DOORBELL after it has
 *			pushed one or several items. To mark a lane, the member sets the bit
 *			by an atomic operation, passes a full barrier, and looks at the lane
 *			once more. If the lane is not empty, the member clears the bit by an
 *			atomic operation. IVRING_IOC_DOORBELL for a lane that is not empty
 *			clears the bit and then advances ivring_lanes.woken. Opening and
 *			closing the lane clear the bit too. If the member has many lanes,
 *			WAIT and poll() set the bit for lanes that have been empty for many
 *			calls. A member may ignore these words if it looks at all its lanes
 * @lane:		one for each slot: the reader's end of the lane from that slot
 *
 * The area is sizeof(struct ivring_member_area) + 64 * slots bytes, rounded up to whole
 * pages. The pad words keep words with different readers on different cache lines; the
 * member may use them as it likes.
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
	__u32	members_wanted;
	__u32	pad2[13];
	__u32	quiet[IVRING_MAX_SLOTS / 32];
	__u32	pad3[944];
	struct ivring_lane_end lane[];
};

/**
 * struct ivring_api - what the running module offers (IVRING_IOC_API).
 * @version:		IVRING_API_VERSION of the module
 * @max_slots:		largest number of slots of a region
 * @features:		IVRING_FEATURE_*
 * @max_inbox_entries:	largest capacity of an inbox, in items
 * @max_batch:		largest number of items of one IVRING_IOC_ENQUEUE
 * @max_outbox_bytes:	largest outbox, in bytes
 * @max_lane_entries:	largest capacity of a lane, in items
 * @reserved:		zero
 *
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
#define IVRING_CREATE_ATTACH		(1u << 0)	/* become member 0 of the new region */
#define IVRING_CREATE_PROCESS		(1u << 1)	/* attach with IVRING_ATTACH_PROCESS */
#define IVRING_CREATE_NO_LANES		(1u << 2)	/* attach with IVRING_ATTACH_NO_LANES */

/**
 * struct ivring_create - make a region (IVRING_IOC_CREATE).
 * @flags:		IVRING_CREATE_*. With IVRING_CREATE_ATTACH the file becomes the
 *			member of slot 0, with generation 1, before any other file can
 *			find the region. The other flags apply to this member, and are
 *			valid only with IVRING_CREATE_ATTACH
 * @slots:		largest number of members at a time, 1 to IVRING_MAX_SLOTS
 * @inbox_entries:	capacity of each inbox in items, a power of two from
 *			IVRING_MIN_INBOX_ENTRIES to IVRING_MAX_INBOX_ENTRIES
 * @mode:		permission bits, at most 0777, that say which users may attach by
 *			name, as if the region were a file of the caller (no umask).
 *			Attaching needs the read and the write bit. Zero without a name
 * @outbox_bytes:	size of each outbox in bytes, a power of two from
 *			IVRING_MIN_OUTBOX_BYTES to IVRING_MAX_OUTBOX_BYTES
 * @name:		NUL-terminated and NUL-padded, any bytes except '/'; empty for a
 *			region that can be reached only by a descriptor
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
#define IVRING_ATTACH_NO_LANES		(1u << 1)	/* refuse lanes from the start */

/**
 * struct ivring_attach - become a member of a region (IVRING_IOC_ATTACH).
 * @flags:	IVRING_ATTACH_*. With IVRING_ATTACH_PROCESS the member leaves the region
 *		when the process that attached it ends, even if another process still has
 *		a descriptor of the file. Calls as this member then fail with EOWNERDEAD.
 *		With IVRING_ATTACH_NO_LANES ivring_member_area.max_lane_entries starts at
 *		zero
 * @region_fd:	an ivring descriptor that holds the region, or -1
 * @id:		in: the wanted slot, or IVRING_ID_ANY; out: the slot that the member got
 * @generation:	out: the member's generation, odd
 * @name:	the region's name, or empty. If @region_fd is -1 and @name is empty, the
 *		file attaches to the region that it created itself
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
 * @slots:		as created: largest number of members at a time
 * @inbox_entries:	as created: capacity of each inbox in items
 * @outbox_bytes:	as created: size of each outbox in bytes
 * @id:			slot of the file's member; IVRING_ID_ANY if the file is not
 *			attached or its member has left
 * @generation:		generation of the file's member; zero if @id is IVRING_ID_ANY
 * @attached:		number of members that the region has now
 * @mode:		as created: permission bits
 * @uid:		the creator's effective user, in the caller's user namespace
 * @gid:		the creator's effective group, in the caller's user namespace
 * @name:		as created: the region's name, or empty
 *
 * All fields are out.
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
 * struct ivring_stats - counters of one member, from the time that it attached.
 * @items_in:		items written into the member's inbox
 * @items_out:		items that the member has sent to inboxes
 * @rung:		doorbells that woke the member because it was idle
 * @suppressed:		doorbells that were not raised because the member was busy, or
 *			because they did not end a delay that had begun
 * @spurious:		wakeups in IVRING_IOC_WAIT that found nothing to do
 * @full:		times that a sender found no room for all its remaining items
 * @waits:		times that the member slept in IVRING_IOC_WAIT
 * @room:		times that waiting senders were notified of the member's progress,
 *			by the member or by the kernel on its behalf
 * @delayed:		doorbells that started a delay instead of waking the member
 * @pointless:		doorbells that the member raised for a lane that was empty
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
 * struct ivring_member_info - one slot of the region (IVRING_IOC_MEMBER_INFO).
 * @id:		in: the slot
 * @generation:	out: generation of the slot: odd while a member holds the slot,
 *		otherwise even
 * @uid:	out: effective user who attached the member, in the caller's user
 *		namespace; zero for a free slot
 * @reserved:	zero
 * @stats:	out: the member's counters; all zero for a free slot
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
#define IVRING_ENQUEUE_WATCH		(1u << 1)	/* watch for room; not with IVRING_ENQUEUE_WAIT */

/**
 * struct ivring_enqueue - put items into a member's inbox (IVRING_IOC_ENQUEUE).
 * @id:		slot of the receiver, which may be the caller itself
 * @generation:	generation of the receiver, so that no later member of the slot gets
 *		the items
 * @count:	number of items in the array, 1 to IVRING_MAX_BATCH
 * @flags:	IVRING_ENQUEUE_*
 * @items:	address of an array of struct ivring_item
 * @deadline:	with IVRING_ENQUEUE_WAIT: CLOCK_MONOTONIC time in nanoseconds, or
 *		IVRING_DEADLINE_NEVER; otherwise zero
 * @done:	out: number of items written to the inbox; less than @count if, for
 *		example, there was no more room or the array was not readable to its end
 * @position:	out: index after the last item that was written. All items have
 *		been read when the receiver's inbox_consumer has reached it
 * @rung:	out: number of doorbells raised; zero if the receiver was busy
 * @watch:	in: zero; out: 1 if the call has declared a watch, otherwise 0
 *
 * All items that can be read are checked before the first item is written. The call
 * returns zero if at least one item was written; otherwise the fields marked out are not
 * valid.
 *
 * With IVRING_ENQUEUE_WATCH, a call that finds no room for all its items declares a watch for
 * room in the receiver's inbox: see struct ivring_next_watch. If no item was written, the
 * error EAGAIN says that the watch was declared. If all items were written, the member's watch
 * of this inbox, if any, stays as it is, because another thread may have declared it.
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
	__u32	watch;
};

/* Flags of struct ivring_wait. */
#define IVRING_WAIT_MEMBERS		(1u << 0)	/* return for member changes too */
#define IVRING_WAIT_ARMED		(1u << 1)	/* the caller has armed: just sleep */

/* Events of struct ivring_wait. */
#define IVRING_EVENT_ITEMS		(1u << 0)	/* the inbox or a lane holds items */
#define IVRING_EVENT_MEMBERS		(1u << 1)	/* members differs from members_seen */

/**
 * struct ivring_wait - sleep until there is work (IVRING_IOC_WAIT).
 * @flags:	IVRING_WAIT_MEMBERS: return also when members have attached or left;
 *		items always end the call. The flag has no effect with IVRING_WAIT_ARMED:
 *		see ivring_member_area.members_wanted.
 *		IVRING_WAIT_ARMED: the caller has set the state to IDLE, passed the barrier,
 *		and looked at the rings, so sleep until a doorbell ends the IDLE state
 * @events:	out: IVRING_EVENT_*; zero with IVRING_WAIT_ARMED
 * @deadline:	CLOCK_MONOTONIC time in nanoseconds, or IVRING_DEADLINE_NEVER; zero does
 *		not sleep
 */
struct ivring_wait {
	__u32	flags;
	__u32	events;
	__u64	deadline;
};

/* Flags of struct ivring_flush. */
#define IVRING_FLUSH_LANE		(1u << 0)	/* the items are in a lane */
#define IVRING_FLUSH_WATCH		(1u << 1)	/* watch the position, do not wait */

/**
 * struct ivring_flush - sleep until items have been read (IVRING_IOC_FLUSH).
 * @id:		slot of the receiver of the items
 * @generation:	generation of the receiver
 * @position:	the position that IVRING_IOC_ENQUEUE returned for the last item, or, for a
 *		lane, the index after the last item. A position counts as unread
 *		only if it is 1 to capacity items ahead of the receiver's consumer index.
 *		So an old position counts as read until the index has nearly wrapped
 * @flags:	any of IVRING_FLUSH_*, or zero
 * @deadline:	CLOCK_MONOTONIC time in nanoseconds, or IVRING_DEADLINE_NEVER; zero does
 *		not sleep. It must be zero with IVRING_FLUSH_WATCH
 *
 * With IVRING_FLUSH_WATCH, a call that finds the position unread declares a watch for it and
 * fails with EAGAIN: see struct ivring_next_watch. If the position has been read, the call
 * succeeds, and the member's watch of this inbox or lane, if any, stays as it is.
 */
struct ivring_flush {
	__u32	id;
	__u32	generation;
	__u32	position;
	__u32	flags;
	__u64	deadline;
};

/* Flags of struct ivring_next_watch. */
#define IVRING_WATCH_LANE		(1u << 0)	/* the caller's lane to the receiver was watched */

/**
 * struct ivring_next_watch - take a watch that is over (IVRING_IOC_NEXT_WATCH).
 * @id:		slot of the receiver that was watched
 * @generation:	generation of this receiver
 * @flags:	IVRING_WATCH_LANE if the caller's lane to the receiver was watched, or zero if the
 *		receiver's inbox was watched
 * @reserved:	zero
 *
 * The kernel writes all fields. The call fails with EAGAIN if no watch is over.
 *
 * A watch lets a member wait for a receiver's progress in poll(), instead of a call that sleeps.
 * IVRING_ENQUEUE_WATCH and IVRING_FLUSH_WATCH declare it. The watch is over once there is
 * room, or the position has been read, or the receiver has left, has broken its inbox or has
 * closed the lane. While a watch is over, poll() reports EPOLLOUT, until this call has taken
 * the watch or a newer watch has replaced it. A member has at most one watch of each inbox and
 * one of each lane. A newer watch replaces the older one, also if another thread has declared
 * it, and also if one is for room in an inbox and the other for a position of it. A watch that
 * is no longer needed may be over later; take it and ignore it. No room is kept for a watch:
 * another sender may take it first, and then the member declares the watch again.
 */
struct ivring_next_watch {
	__u32	id;
	__u32	generation;
	__u32	flags;
	__u32	reserved;
};

/**
 * struct ivring_room - wake senders that wait for the caller's progress (IVRING_IOC_ROOM).
 * @from:	slot of the sender of the lane, or IVRING_ID_ANY for the inbox
 * @flags:	zero; no flags are defined
 *
 * The call wakes a few of the tasks whose condition is met, and these tasks wake the
 * others.
 */
struct ivring_room {
	__u32	from;
	__u32	flags;
};

/* Flags of struct ivring_open_lane. */
#define IVRING_OPEN_LANE_WAIT		(1u << 0)	/* wait for the old lane to be closed */

/**
 * struct ivring_open_lane - open a lane from the caller to a member (IVRING_IOC_OPEN_LANE).
 * @id:		slot of the receiver, which may be the caller itself
 * @generation:	generation of the receiver
 * @entries:	capacity in items, a power of two from IVRING_MIN_LANE_ENTRIES to
 *		IVRING_MAX_LANE_ENTRIES
 * @flags:	IVRING_OPEN_LANE_*
 * @deadline:	with IVRING_OPEN_LANE_WAIT: CLOCK_MONOTONIC time in nanoseconds, or
 *		IVRING_DEADLINE_NEVER; otherwise zero
 *
 * The sender can then map the lane area at IVRING_MAP_LANE_TO(@id). A member has at most
 * one lane to each receiver. The lane ends when its sender or its receiver leaves, or when
 * the receiver closes it.
 */
struct ivring_open_lane {
	__u32	id;
	__u32	generation;
	__u32	entries;
	__u32	flags;
	__u64	deadline;
};

/**
 * struct ivring_close_lane - close a lane from a member (IVRING_IOC_CLOSE_LANE).
 * @from:	slot of the member that opened the lane
 * @generation:	generation of that member, whether or not it is still attached
 *
 * The receiver makes this call. The unread items of the lane are dropped, and its sender
 * gets ECONNRESET. A later member of the sender's slot can open a lane only after this call.
 */
struct ivring_close_lane {
	__u32	from;
	__u32	generation;
};

/**
 * struct ivring_doorbell - wake the receiver of the caller's lane (IVRING_IOC_DOORBELL).
 * @id:		slot of the receiver
 * @generation:	generation of the receiver
 *
 * The call returns 1 if it woke the receiver, otherwise 0.
 */
struct ivring_doorbell {
	__u32	id;
	__u32	generation;
};

/**
 * struct ivring_eventfd - have each doorbell signal an eventfd (IVRING_IOC_EVENTFD).
 * @fd:		an eventfd, or -1 for none
 * @flags:	zero; no flags are defined
 */
struct ivring_eventfd {
	__s32	fd;
	__u32	flags;
};

/**
 * struct ivring_open_member - get a descriptor of a member's memory (IVRING_IOC_OPEN_MEMBER).
 * @id:		slot of the member, which may be the caller itself
 * @generation:	generation of the member
 *
 * The call returns a new descriptor, which is closed by exec. mmap() of it maps the memory
 * of exactly this member, read-only: the member area at IVRING_MAP_MEMBER, and the outbox at
 * IVRING_MAP_OUTBOX. The descriptor keeps the memory allocated, but it does not keep the member
 * attached. The descriptor can be closed once the memory is mapped.
 *
 * If the member has left, the call fails, unless the outbox is kept for the caller. The outbox
 * is kept while the caller's inbox holds an unread item of the member that names payload. If
 * there is a lane from the member to the caller, the outbox is also kept until the caller
 * closes the lane. The member area is not kept: if the member had left before this call,
 * mmap() at IVRING_MAP_MEMBER fails with ENXIO.
 */
struct ivring_open_member {
	__u32	id;
	__u32	generation;
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
#define IVRING_IOC_OPEN_MEMBER	_IOW(IVRING_IOC_MAGIC, 0x4E, struct ivring_open_member)
#define IVRING_IOC_NEXT_WATCH	_IOR(IVRING_IOC_MAGIC, 0x4F, struct ivring_next_watch)

#endif /* _UAPI_LINUX_IVRING_H */
