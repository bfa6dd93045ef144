/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The sending end and the receiving end of a lane, without a library.
 */
#ifndef LANE_H
#define LANE_H

#include "ivring_test.h"

/* System calls about lanes. */

/* Open a lane. @deadline is for IVRING_OPEN_LANE_WAIT. */
static inline int dev_open_lane_flags(int fd, __u32 id, __u32 generation, __u32 entries,
				      __u32 flags, __u64 deadline)
{
	struct ivring_open_lane o = {
		.id = id,
		.generation = generation,
		.entries = entries,
		.flags = flags,
		.deadline = deadline,
	};

	return dev_ioctl(fd, IVRING_IOC_OPEN_LANE, &o);
}

static inline int dev_open_lane(int fd, __u32 id, __u32 generation, __u32 entries)
{
	return dev_open_lane_flags(fd, id, generation, entries, 0, 0);
}

/* Open a lane, and wait until the lane of an earlier member of the slot has been closed. */
static inline int dev_open_lane_wait(int fd, __u32 id, __u32 generation, __u32 entries,
				     __u64 deadline)
{
	return dev_open_lane_flags(fd, id, generation, entries, IVRING_OPEN_LANE_WAIT, deadline);
}

static inline int dev_close_lane(int fd, __u32 from, __u32 generation)
{
	struct ivring_close_lane c = { .from = from, .generation = generation };

	return dev_ioctl(fd, IVRING_IOC_CLOSE_LANE, &c);
}

static inline int dev_doorbell(int fd, __u32 id, __u32 generation)
{
	struct ivring_doorbell d = { .id = id, .generation = generation };

	return dev_ioctl(fd, IVRING_IOC_DOORBELL, &d);
}

static inline int dev_flush_lane(int fd, __u32 id, __u32 generation,
				 __u32 position, __u64 deadline)
{
	return dev_flush_flags(fd, id, generation, position, IVRING_FLUSH_LANE, deadline);
}

static inline int dev_fence(int fd)
{
	return dev_ioctl(fd, IVRING_IOC_FENCE, NULL);
}

/* The same calls for the lane from one member to another. */

static inline int member_open_lane(const struct member *from, const struct member *to,
				   __u32 entries)
{
	return dev_open_lane(from->fd, to->id, to->generation, entries);
}

static inline int member_close_lane(const struct member *to, const struct member *from)
{
	return dev_close_lane(to->fd, from->id, from->generation);
}

static inline int member_doorbell(const struct member *from, const struct member *to)
{
	return dev_doorbell(from->fd, to->id, to->generation);
}

static inline int member_flush_lane(const struct member *from, const struct member *to,
				    __u32 position, __u64 deadline)
{
	return dev_flush_lane(from->fd, to->id, to->generation, position, deadline);
}

static inline size_t lane_size(__u32 entries)
{
	return page_round(sizeof(struct ivring_ring_area) + 64 * entries);
}

/* The sending end of a lane. */
struct lane_out {
	int fd;
	__u32 to;
	__u32 generation;
	__u32 entries;
	__u32 next;		/* index of the next item to be written */
	bool unfenced;		/* omits its barrier if the receiver passes one for it */
	struct ivring_ring_area *ring;
	const struct ivring_member_area *area;	/* the receiver's */
	const struct ivring_lane_end *end;	/* in the receiver's area */
};

static inline int lane_open(struct lane_out *lane, const struct member *from,
			    const struct member *to, __u32 entries)
{
	int ret = member_open_lane(from, to, entries);

	if (ret)
		return ret;
	*lane = (struct lane_out) {
		.fd = from->fd,
		.to = to->id,
		.generation = to->generation,
		.entries = entries,
		.next = -entries,
		.ring = dev_map(from->fd, lane_size(entries), PROT_READ | PROT_WRITE,
				IVRING_MAP_LANE_TO(to->id)),
		.area = member_peer(from, to->id),
	};
	if (lane->ring == MAP_FAILED || lane->area == MAP_FAILED)
		return -errno;
	lane->end = &lane->area->lane[from->id];
	return 0;
}

/* Unmap the sending end. A sender has no call that closes a lane. */
static inline void lane_unmap(struct lane_out *lane, const struct member *from)
{
	munmap(lane->ring, lane_size(lane->entries));
	munmap((void *)lane->area, from->area_size);
}

static inline bool lane_full(const struct lane_out *lane)
{
	return lane->next - LOAD(&lane->end->consumer) == lane->entries;
}

/* The slot of the next item to be written. */
static inline struct ivring_item *lane_slot(const struct lane_out *lane)
{
	return &lane->ring->item[lane->next % lane->entries];
}

/* Write an item except for its sequence. The lane must have room. */
static inline void lane_write(const struct lane_out *lane, const struct ivring_item *item)
{
	const size_t skipped = sizeof(item->sequence);

	memcpy((char *)lane_slot(lane) + skipped, (char *)item + skipped, sizeof(*item) - skipped);
}

/* Write an item. The receiver finds it at once. */
static inline void lane_push(struct lane_out *lane, const struct ivring_item *item)
{
	lane_write(lane, item);
	STORE(&lane_slot(lane)->sequence, lane->next);	/* P */
	lane->next++;
}

static inline int lane_doorbell(const struct lane_out *lane)
{
	return dev_doorbell(lane->fd, lane->to, lane->generation);
}

/* Whether the receiver ignores the lane from slot @id until it is rung for it. */
static inline bool is_quiet(const struct ivring_member_area *area, __u32 id)
{
	return LOAD(&area->quiet[id / 32]) >> id % 32 & 1;
}

/* Whether the lane is quiet, as its sender sees it. */
static inline bool lane_quiet(const struct lane_out *lane)
{
	return is_quiet(lane->area, lane->end - lane->area->lane);
}

/* Ring if necessary after lane_push(). Return 1 if that woke a task, 0, or -errno. */
static inline int lane_notify(const struct lane_out *lane)
{
	/* This pairs with A if the receiver passes the barrier. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (lane->unfenced && LOAD(&lane->area->state) == IVRING_BUSY_UNFENCED &&
	    !lane_quiet(lane))
		return 0;
	FULL_BARRIER();		/* S, Q */
	if (lane_quiet(lane))
		return lane_doorbell(lane);
	switch (LOAD(&lane->area->state)) {
	case IVRING_BUSY:
	case IVRING_BUSY_UNFENCED:
		return 0;
	case IVRING_DELAYED:
		if (!lane_full(lane) && lane->next - LOAD(&lane->end->consumer) <
		    LOAD(&lane->area->wake_items))
			return 0;
	}
	return lane_doorbell(lane);
}

/*
 * Send one item with cookie @cookie. Return the result of lane_notify(), or -EAGAIN if the
 * lane is full.
 */
static inline int lane_send(struct lane_out *lane, __u64 cookie)
{
	struct ivring_item item = { .cookie = cookie };

	if (lane_full(lane))
		return -EAGAIN;
	lane_push(lane, &item);
	return lane_notify(lane);
}

static inline int lane_flush(const struct lane_out *lane, __u32 position, __u64 deadline)
{
	return dev_flush_lane(lane->fd, lane->to, lane->generation, position, deadline);
}

/* The receiving end of a lane. */
struct lane_in {
	struct member *member;
	__u32 from;
	__u32 generation;
	__u32 entries;
	const struct ivring_ring_area *ring;
	struct ivring_lane_end *end;
};

/* Map the lane from slot @from that the lane table names. Return -ENOENT if there is none. */
static inline int lane_accept(struct lane_in *lane, struct member *member, __u32 from)
{
	const struct ivring_lane_info *info = &member->lanes->lane[from];

	*lane = (struct lane_in) {
		.member = member,
		.from = from,
		.generation = LOAD(&info->generation),
		.entries = LOAD(&info->entries),
		.end = &member->area->lane[from],
	};
	if (!lane->generation)
		return -ENOENT;
	lane->ring = dev_map(member->fd, lane_size(lane->entries), PROT_READ,
			     IVRING_MAP_LANE_FROM(from));
	return lane->ring == MAP_FAILED ? -errno : 0;
}

/* Open a lane and map both of its ends. */
static inline int lane_connect(struct lane_out *out, struct lane_in *in,
			       const struct member *from, struct member *to, __u32 entries)
{
	int ret = lane_open(out, from, to, entries);

	return ret ? ret : lane_accept(in, to, from->id);
}

static inline __u32 lane_pending(const struct lane_in *lane)
{
	return ring_pending(lane->ring, lane->entries, lane->end->consumer);
}

static inline bool lane_has_item(const struct lane_in *lane)
{
	return ring_holds(lane->ring, lane->entries, lane->end->consumer);
}

/* Read one item and release its slot; false if there is none. */
static inline bool lane_take(const struct lane_in *lane, struct ivring_item *item)
{
	__u32 index = lane->end->consumer;

	if (!lane_has_item(lane))
		return false;
	ring_copy(lane->ring, lane->entries, index, item);
	STORE(&lane->end->consumer, index + 1);
	return true;
}

/* Mark the lane as quiet; true if that failed because the lane holds an item. */
static inline bool lane_mark(const struct lane_in *lane)
{
	__u32 *word = &lane->member->area->quiet[lane->from / 32], bit = 1u << lane->from % 32;

	__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST);
	FULL_BARRIER();		/* Q */
	if (!lane_has_item(lane))
		return false;
	__atomic_fetch_and(word, ~bit, __ATOMIC_SEQ_CST);
	return true;
}

/* Call ROOM if the sender waits for a position that has been read. */
static inline int lane_ring_back(const struct lane_in *lane)
{
	FULL_BARRIER();		/* R */
	if (!LOAD(&lane->ring->room_wanted) ||
	    !has_read(lane->end->consumer, LOAD(&lane->ring->room_at), lane->entries))
		return 0;
	return dev_room(lane->member->fd, lane->from);
}

/* Unmap and close the lane. */
static inline int lane_close(struct lane_in *lane)
{
	munmap((void *)lane->ring, lane_size(lane->entries));
	return dev_close_lane(lane->member->fd, lane->from, lane->generation);
}

#endif /* LANE_H */
