/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A member: an attached file and its mapped areas. Included by ivring_test.h.
 */
#ifndef MEMBER_H
#define MEMBER_H

struct member {
	int fd;
	__u32 id;
	__u32 generation;
	__u32 slots;
	__u32 entries;
	__u32 start;		/* first index of every inbox of the region */
	size_t region_size;
	size_t inbox_size;
	size_t area_size;
	size_t outbox_size;
	const struct ivring_region_area *region;
	const struct ivring_ring_area *inbox;
	const struct ivring_lanes *lanes;	/* the lanes to this member */
	struct ivring_member_area *area;
	__u8 *outbox;
};

static inline size_t page_round(size_t size)
{
	return (size + PAGE - 1) & ~(PAGE - 1);
}

static const struct member no_member = { .fd = -1 };

/* Map the areas of the attached file @fd. */
static inline int member_map(struct member *member, int fd)
{
	struct ivring_info info;
	int ret = dev_ioctl(fd, IVRING_IOC_INFO, &info);
	void *p;

	*member = no_member;
	if (ret)
		return ret;
	*member = (struct member) {
		.fd = fd,
		.id = info.id,
		.generation = info.generation,
		.slots = info.slots,
		.entries = info.inbox_entries,
		.start = -info.inbox_entries,
		.region_size = page_round(sizeof(*member->region) + 4 * info.slots),
		.inbox_size = page_round(IVRING_LANES_OFFSET(info.inbox_entries) +
					 sizeof(*member->lanes) + 8 * info.slots),
		.area_size = page_round(sizeof(*member->area) +
					info.slots * sizeof(*member->area->lane)),
		.outbox_size = info.outbox_bytes,
	};
	p = dev_map(fd, member->region_size, PROT_READ, IVRING_MAP_REGION);
	if (p == MAP_FAILED)
		return -errno;
	member->region = p;
	p = dev_map(fd, member->inbox_size, PROT_READ, IVRING_MAP_INBOX);
	if (p == MAP_FAILED)
		return -errno;
	member->inbox = p;
	member->lanes = p + IVRING_LANES_OFFSET(member->entries);
	p = dev_map(fd, member->area_size, PROT_READ | PROT_WRITE, IVRING_MAP_MEMBER);
	if (p == MAP_FAILED)
		return -errno;
	member->area = p;
	p = dev_map(fd, member->outbox_size, PROT_READ | PROT_WRITE, IVRING_MAP_OUTBOX);
	if (p == MAP_FAILED)
		return -errno;
	member->outbox = p;
	return 0;
}

static inline int member_attach(struct member *member, int fd, int region_fd, __u32 id)
{
	struct ivring_attach a = attach_args(region_fd, id);
	int ret = dev_ioctl(fd, IVRING_IOC_ATTACH, &a);

	*member = no_member;
	return ret ? ret : member_map(member, fd);
}

/* Open a file and attach it to slot @id of the region of @region_fd. */
static inline int member_join_slot(struct member *member, int region_fd, __u32 id)
{
	int fd = dev_open(), ret;

	*member = no_member;
	if (fd < 0)
		return fd;
	ret = member_attach(member, fd, region_fd, id);
	if (ret)
		close(fd);
	return ret;
}

/*
 * Attach to the slot of a member that has been killed. io_uring may release the files of a
 * process some time after the process has ended.
 */
static inline int member_succeed(struct member *member, int region_fd, __u32 id)
{
	int ret;

	(void)SOON((ret = member_join_slot(member, region_fd, id)) != -EBUSY);
	return ret;
}

static inline int member_join(struct member *member, int region_fd)
{
	return member_join_slot(member, region_fd, IVRING_ID_ANY);
}

/* Open a file, create a region with it, and attach it as the first member. */
static inline int member_create(struct member *member, __u32 slots, __u32 entries,
				__u64 outbox)
{
	struct ivring_create c = create_args(slots, entries, outbox);
	int fd = dev_open(), ret;

	*member = no_member;
	if (fd < 0)
		return fd;
	ret = dev_ioctl(fd, IVRING_IOC_CREATE, &c);
	if (!ret)
		ret = member_attach(member, fd, -1, IVRING_ID_ANY);
	if (ret)
		close(fd);
	return ret;
}

/* Create a region of 4 slots with two members. */
static inline int member_create_pair(struct member *a, struct member *b, __u32 entries,
				     __u64 outbox)
{
	int ret = member_create(a, 4, entries, outbox);

	return ret ? ret : member_join(b, a->fd);
}

static inline void member_unmap(struct member *member)
{
	munmap((void *)member->region, member->region_size);
	munmap((void *)member->inbox, member->inbox_size);
	munmap(member->area, member->area_size);
	munmap(member->outbox, member->outbox_size);
}

/* Unmap the areas and leave the region. */
static inline void member_close(struct member *member)
{
	member_unmap(member);
	close(member->fd);
}

static inline void member_close_pair(struct member *a, struct member *b)
{
	member_close(b);
	member_close(a);
}

static inline __u32 member_generation(const struct member *member, __u32 id)
{
	return LOAD(&member->region->generation[id]);
}

/* Return a descriptor of the memory of a member, or -errno. */
static inline int member_view(const struct member *member, __u32 id, __u32 generation)
{
	struct ivring_open_member o = { .id = id, .generation = generation };

	return dev_ioctl(member->fd, IVRING_IOC_OPEN_MEMBER, &o);
}

/* Map @size bytes of the memory of a member. Return MAP_FAILED with errno set on failure. */
static inline void *member_map_view(const struct member *member, __u32 id, __u32 generation,
				    size_t size, __u64 offset)
{
	int fd = member_view(member, id, generation), error;
	void *p;

	if (fd < 0) {
		errno = -fd;
		return MAP_FAILED;
	}
	p = dev_map(fd, size, PROT_READ, offset);
	error = errno;
	close(fd);
	errno = error;
	return p;
}

/*
 * Map the area of the member that is in slot @id now, read-only. Return MAP_FAILED on failure, and
 * set errno to EPIPE if the slot is free.
 */
static inline const struct ivring_member_area *member_peer(const struct member *member, __u32 id)
{
	__u32 generation = member_generation(member, id);

	errno = EPIPE;
	return generation % 2 ? member_map_view(member, id, generation, member->area_size,
						IVRING_MAP_MEMBER) : MAP_FAILED;
}

/*
 * Map the outbox of the member that is in slot @id now, read-only. Failures are those of
 * member_peer().
 */
static inline const __u8 *member_peer_outbox(const struct member *member, __u32 id)
{
	__u32 generation = member_generation(member, id);

	errno = EPIPE;
	return generation % 2 ? member_map_view(member, id, generation, member->outbox_size,
						IVRING_MAP_OUTBOX) : MAP_FAILED;
}

static inline __u32 member_changes_word(const struct member *member)
{
	return LOAD(&member->region->members);
}

/* Say that all membership changes so far have been seen. */
static inline void member_see_members(struct member *member)
{
	STORE(&member->area->members_seen, member_changes_word(member));
}

static inline __u32 member_state(const struct member *member)
{
	return LOAD(&member->area->state);
}

static inline struct ivring_stats member_stats(const struct member *member)
{
	struct ivring_member_info v = { .id = member->id };

	if (dev_ioctl(member->fd, IVRING_IOC_MEMBER_INFO, &v))
		memset(&v.stats, 0xff, sizeof(v.stats));
	return v.stats;
}

/*
 * Wait until a task sleeps in WAIT. Tasks of this member have slept @before times earlier. It is
 * not enough that the task has stored IDLE, because it may still find an item itself, and then no
 * sender rings.
 */
static inline bool member_sleeps(const struct member *member, __u64 before)
{
	return SOON(member_stats(member).waits > before);
}

/* Send one item with cookie @cookie. */
static inline int member_send(const struct member *member, __u32 id, __u32 generation,
			      __u64 cookie)
{
	struct ivring_item item = { .cookie = cookie };
	struct ivring_enqueue e = enqueue_args(id, generation, &item, 1);

	return dev_ioctl(member->fd, IVRING_IOC_ENQUEUE, &e);
}

/* Send one item with cookie @cookie, and wait for room. */
static inline int member_send_wait(const struct member *member, __u32 id, __u32 generation,
				   __u64 cookie, __u64 deadline)
{
	struct ivring_item item = { .cookie = cookie };
	struct ivring_enqueue e = enqueue_args(id, generation, &item, 1);

	e.flags = IVRING_ENQUEUE_WAIT;
	e.deadline = deadline;
	return dev_ioctl(member->fd, IVRING_IOC_ENQUEUE, &e);
}

/* Send @count equal items, and watch for room if they do not all fit. */
static inline int member_send_watch(const struct member *member, __u32 id, __u32 generation,
				    __u32 count, struct ivring_enqueue *e)
{
	static struct ivring_item items[IVRING_MAX_BATCH];

	*e = enqueue_args(id, generation, items, count);
	e->flags = IVRING_ENQUEUE_WATCH;
	return dev_ioctl(member->fd, IVRING_IOC_ENQUEUE, e);
}

/* Whether a ring holds the item of @index. */
static inline bool ring_holds(const struct ivring_ring_area *ring, __u32 entries, __u32 index)
{
	return LOAD(&ring->item[index % entries].sequence) == index;	/* P */
}

/* The number of items in a ring from index @consumer on. */
static inline __u32 ring_pending(const struct ivring_ring_area *ring, __u32 entries, __u32 consumer)
{
	__u32 pending = 0;

	while (pending < entries && ring_holds(ring, entries, consumer + pending))
		pending++;
	return pending;
}

/*
 * Copy the item of @index. The copy is equal to the item that was sent, except for the kernel's
 * stamp.
 */
static inline void ring_copy(const struct ivring_ring_area *ring, __u32 entries, __u32 index,
			     struct ivring_item *item)
{
	memcpy(item, (void *)&ring->item[index % entries], sizeof(*item));
	item->sequence = 0;
}

/* The number of items in the inbox. */
static inline __u32 member_pending(const struct member *member)
{
	return ring_pending(member->inbox, member->entries, member->area->inbox_consumer);
}

static inline bool member_has_item(const struct member *member)
{
	return ring_holds(member->inbox, member->entries, member->area->inbox_consumer);
}

/* Read one item and release its slot; false if there is none. */
static inline bool member_take(struct member *member, struct ivring_item *item)
{
	__u32 index = member->area->inbox_consumer;

	if (!member_has_item(member))
		return false;
	ring_copy(member->inbox, member->entries, index, item);
	STORE(&member->area->inbox_consumer, index + 1);
	return true;
}

/*
 * Whether a reader at @consumer has read everything up to @position. Positions that it has
 * not read lie within the next round of the ring.
 */
static inline bool has_read(__u32 consumer, __u32 position, __u32 entries)
{
	__u32 ahead = position - consumer;

	return !ahead || ahead > entries;
}

/* Call ROOM if a sender waits for a position that has been read. */
static inline int member_ring_back(struct member *member)
{
	FULL_BARRIER();
	if (!LOAD(&member->inbox->room_wanted) ||
	    !has_read(member->area->inbox_consumer, LOAD(&member->inbox->room_at), member->entries))
		return 0;
	return dev_room(member->fd, IVRING_ID_ANY);
}

/* The state that a call without effect must not change. */

#define SNAPSHOT_SLOTS	4

struct snapshot {
	struct ivring_info info;
	__u32 members;
	struct ivring_member_info member[SNAPSHOT_SLOTS];
};

static inline struct snapshot member_snapshot(const struct member *member)
{
	struct snapshot s;
	__u32 i;

	memset(&s, 0, sizeof(s));
	dev_ioctl(member->fd, IVRING_IOC_INFO, &s.info);
	s.members = member_changes_word(member);
	for (i = 0; i < member->slots && i < SNAPSHOT_SLOTS; i++) {
		s.member[i].id = i;
		dev_ioctl(member->fd, IVRING_IOC_MEMBER_INFO, &s.member[i]);
	}
	return s;
}

#define EXPECT_UNCHANGED(before, member)				\
do {									\
	struct snapshot __after = member_snapshot(member);		\
									\
	EXPECT_EQ(0, memcmp(&(before), &__after, sizeof(__after)));	\
} while (0)

#endif /* MEMBER_H */
