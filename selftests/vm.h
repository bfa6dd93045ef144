/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VM: an attached file and its areas. Included by ivring_test.h.
 */
#ifndef VM_H
#define VM_H

struct vm {
	int fd;
	__u32 id;
	__u32 generation;
	__u32 slots;
	__u32 entries;
	__u32 start;		/* where the indices of every inbox start */
	size_t region_size;
	size_t inbox_size;
	size_t area_size;
	const struct ivring_region_area *region;
	const struct ivring_ring_area *inbox;
	const struct ivring_lanes *lanes;	/* that lead here */
	struct ivring_vm_area *area;
};

static inline size_t page_round(size_t size)
{
	return (size + PAGE - 1) & ~(PAGE - 1);
}

static const struct vm no_vm = { .fd = -1 };

/* Map the areas of attached @fd. */
static inline int vm_map(struct vm *vm, int fd)
{
	struct ivring_info info;
	int ret = dev_ioctl(fd, IVRING_INFO, &info);
	void *p;

	*vm = no_vm;
	if (ret)
		return ret;
	*vm = (struct vm) {
		.fd = fd,
		.id = info.id,
		.generation = info.generation,
		.slots = info.slots,
		.entries = info.inbox_entries,
		.start = -info.inbox_entries,
		.region_size = page_round(sizeof(*vm->region) + 4 * info.slots),
		.inbox_size = page_round(IVRING_LANES_OFFSET(info.inbox_entries) +
					 sizeof(*vm->lanes) + 8 * info.slots),
		.area_size = IVRING_OUTBOX_OFFSET(info.slots) + info.outbox_bytes,
	};
	p = dev_map(fd, vm->region_size, PROT_READ, IVRING_MAP_REGION);
	if (p == MAP_FAILED)
		return -errno;
	vm->region = p;
	p = dev_map(fd, vm->inbox_size, PROT_READ, IVRING_MAP_INBOX);
	if (p == MAP_FAILED)
		return -errno;
	vm->inbox = p;
	vm->lanes = p + IVRING_LANES_OFFSET(vm->entries);
	p = dev_map(fd, vm->area_size, PROT_READ | PROT_WRITE,
		    IVRING_MAP_VM(vm->id));
	if (p == MAP_FAILED)
		return -errno;
	vm->area = p;
	return 0;
}

static inline int vm_attach(struct vm *vm, int fd, int region_fd, __u32 id)
{
	struct ivring_attach a = attach_args(region_fd, id);
	int ret = dev_ioctl(fd, IVRING_ATTACH, &a);

	*vm = no_vm;
	return ret ? ret : vm_map(vm, fd);
}

/* A new file that joins the region of @region_fd in slot @id. */
static inline int vm_join_slot(struct vm *vm, int region_fd, __u32 id)
{
	int fd = dev_open(), ret;

	*vm = no_vm;
	if (fd < 0)
		return fd;
	ret = vm_attach(vm, fd, region_fd, id);
	if (ret)
		close(fd);
	return ret;
}

/*
 * The same in the slot of one that has been killed: io_uring lets go of the
 * files of a process some time after its end.
 */
static inline int vm_succeed(struct vm *vm, int region_fd, __u32 id)
{
	int ret;

	(void)SOON((ret = vm_join_slot(vm, region_fd, id)) != -EBUSY);
	return ret;
}

static inline int vm_join(struct vm *vm, int region_fd)
{
	return vm_join_slot(vm, region_fd, IVRING_ID_ANY);
}

/* A new file with a new region, and its first VM. */
static inline int vm_create(struct vm *vm, __u32 slots, __u32 entries,
			    __u64 outbox)
{
	struct ivring_create c = create_args(slots, entries, outbox);
	int fd = dev_open(), ret;

	*vm = no_vm;
	if (fd < 0)
		return fd;
	ret = dev_ioctl(fd, IVRING_CREATE, &c);
	if (!ret)
		ret = vm_attach(vm, fd, -1, IVRING_ID_ANY);
	if (ret)
		close(fd);
	return ret;
}

static inline void vm_unmap(struct vm *vm)
{
	munmap((void *)vm->region, vm->region_size);
	munmap((void *)vm->inbox, vm->inbox_size);
	munmap(vm->area, vm->area_size);
}

/* Leave. */
static inline void vm_close(struct vm *vm)
{
	vm_unmap(vm);
	close(vm->fd);
}

/* The area of slot @id, read-only, or MAP_FAILED. */
static inline const struct ivring_vm_area *vm_peer(const struct vm *vm, __u32 id)
{
	return dev_map(vm->fd, vm->area_size, PROT_READ, IVRING_MAP_VM(id));
}

/* The outbox in a mapping of anybody's area. */
static inline __u8 *vm_outbox(const struct vm *vm, const struct ivring_vm_area *area)
{
	return (__u8 *)area + IVRING_OUTBOX_OFFSET(vm->slots);
}

static inline __u32 vm_generation(const struct vm *vm, __u32 id)
{
	return LOAD(&vm->region->generation[id]);
}

static inline __u32 vm_members(const struct vm *vm)
{
	return LOAD(&vm->region->members);
}

/* Act upon all comings and goings so far. */
static inline void vm_see_members(struct vm *vm)
{
	STORE(&vm->area->members_seen, vm_members(vm));
}

static inline __u32 vm_state(const struct vm *vm)
{
	return LOAD(&vm->area->state);
}

static inline struct ivring_stats vm_stats(const struct vm *vm)
{
	struct ivring_vm_info v = { .id = vm->id };

	if (dev_ioctl(vm->fd, IVRING_VM_INFO, &v))
		memset(&v.stats, 0xff, sizeof(v.stats));
	return v.stats;
}

/* Send one item whose cookie is @cookie. */
static inline int vm_send(const struct vm *vm, __u32 id, __u32 generation,
			  __u64 cookie)
{
	struct ivring_item item = { .cookie = cookie };
	struct ivring_enqueue e = enqueue_args(id, generation, &item, 1);

	return dev_ioctl(vm->fd, IVRING_ENQUEUE, &e);
}

/* The same, and wait for room. */
static inline int vm_send_wait(const struct vm *vm, __u32 id, __u32 generation,
			       __u64 cookie, __u64 deadline)
{
	struct ivring_item item = { .cookie = cookie };
	struct ivring_enqueue e = enqueue_args(id, generation, &item, 1);

	e.flags = IVRING_ENQUEUE_WAIT;
	e.deadline = deadline;
	return dev_ioctl(vm->fd, IVRING_ENQUEUE, &e);
}

/* How many items are in the inbox. */
static inline __u32 vm_pending(const struct vm *vm)
{
	return LOAD(&vm->inbox->producer) - vm->area->inbox_consumer;
}

/* Read one item and give it up; false if there is none. */
static inline bool vm_take(struct vm *vm, struct ivring_item *item)
{
	__u32 index = vm->area->inbox_consumer;

	if (!vm_pending(vm))
		return false;
	memcpy(item, (void *)&vm->inbox->item[index % vm->entries],
	       sizeof(*item));
	STORE(&vm->area->inbox_consumer, index + 1);
	return true;
}

/*
 * Whether a reader at @consumer has read all up to @position: what it has not
 * lies within the next round of the ring.
 */
static inline bool has_read(__u32 consumer, __u32 position, __u32 entries)
{
	__u32 ahead = position - consumer;

	return !ahead || ahead > entries;
}

/* Ring back if a sender waits for what has been read. */
static inline int vm_ring_back(struct vm *vm)
{
	FULL_BARRIER();
	if (!LOAD(&vm->inbox->room_wanted) ||
	    !has_read(vm->area->inbox_consumer, LOAD(&vm->inbox->room_at), vm->entries))
		return 0;
	return dev_room(vm->fd, IVRING_ID_ANY);
}

/* All that a call without effect must leave as it was. */

#define SNAPSHOT_SLOTS	4

struct snapshot {
	struct ivring_info info;
	__u32 members;
	struct ivring_vm_info vm[SNAPSHOT_SLOTS];
};

static inline struct snapshot vm_snapshot(const struct vm *vm)
{
	struct snapshot s;
	__u32 i;

	memset(&s, 0, sizeof(s));
	dev_ioctl(vm->fd, IVRING_INFO, &s.info);
	s.members = vm_members(vm);
	for (i = 0; i < vm->slots && i < SNAPSHOT_SLOTS; i++) {
		s.vm[i].id = i;
		dev_ioctl(vm->fd, IVRING_VM_INFO, &s.vm[i]);
	}
	return s;
}

#define EXPECT_UNCHANGED(before, vm)					\
do {									\
	struct snapshot __after = vm_snapshot(vm);			\
									\
	EXPECT_EQ(0, memcmp(&(before), &__after, sizeof(__after)));	\
} while (0)

#endif /* VM_H */
