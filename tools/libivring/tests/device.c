// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/barrier.h"
#include "kernel.h"
#include "os/sys.h"

#define FILES	64

struct device device;

struct ivring_create geometry;
struct member members[SLOTS];
static struct memory region;
static int slot_of_file[FILES];
static int files;

/* Descriptors of IVRING_IOC_OPEN_MEMBER follow those of the device. */
#define VIEWS	4
static struct view {
	bool open;
	struct memory area;	/* @at is NULL if the member has left */
	struct memory outbox;
} views[VIEWS];

/* Outboxes of members that have left, which the device keeps until it is reset. */
#define LEFT	64
static struct left {
	uint32_t id, generation;
	struct memory outbox;
} left[LEFT];
static unsigned int left_count;

static int region_holder;	/* descriptor that made the region without a member, or -1 */

struct memory new_memory(size_t bytes)
{
	struct memory memory = { .bytes = (bytes + 4095) & ~(size_t)4095 };

	memory.fd = memfd_create("ivring-test", 0);
	if (memory.fd < 0 || ftruncate(memory.fd, (off_t)memory.bytes))
		abort();
	memory.at = mmap(NULL, memory.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd, 0);
	if (memory.at == MAP_FAILED)
		abort();
	return memory;
}

void drop_memory(struct memory *memory)
{
	if (!memory->at)
		return;
	munmap(memory->at, memory->bytes);
	close(memory->fd);
	*memory = (struct memory){ 0 };
}

void device_reset(void)
{
	uint32_t id;

	drop_memory(&region);
	for (id = 0; id < SLOTS; id++) {
		drop_memory(&members[id].area);
		drop_memory(&members[id].outbox);
		drop_memory(&members[id].inbox);
	}
	while (left_count)
		drop_memory(&left[--left_count].outbox);
	drop_lanes();
	memset(&device, 0, sizeof(device));
	device.version = IVRING_API_VERSION;
	device.cpus = 1;
	device.now = 1;
	files = 0;
	region_holder = -1;
}

struct ivring_region_area *region_table(void)
{
	return region.at;
}

static bool ends_with_process;

bool device_ends_with_process(void)
{
	return ends_with_process;
}

uint32_t device_mode(void)
{
	return geometry.mode;
}

struct ivring_member_area *device_area(uint32_t id)
{
	return members[id].area.at;
}

struct ivring_ring_area *device_inbox(uint32_t id)
{
	return members[id].inbox.at;
}

struct ivring_lanes *lanes_of(uint32_t id)
{
	return (void *)((char *)members[id].inbox.at + IVRING_LANES_OFFSET(geometry.inbox_entries));
}

uint32_t device_producer(uint32_t id)
{
	return members[id].producer;
}

void device_set_producer(uint32_t id, uint32_t producer)
{
	members[id].producer = producer;
}

void start_ring(struct ivring_ring_area *ring, uint32_t entries, uint32_t index)
{
	uint32_t before;

	for (before = index - entries; before != index; before++)
		ring->item[before & (entries - 1)].sequence = before;
}

void call_once(hook **call)
{
	hook *fn = *call;

	*call = NULL;
	if (fn)
		fn();
}

bool are_few(uint32_t id, uint32_t items, uint32_t entries)
{
	const struct ivring_member_area *area = device_area(id);

	return ivr_load(&area->wake_delay_us) && items < entries &&
	       items < ivr_load(&area->wake_items);
}

static bool turn(uint32_t *state, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(state, &from, to, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

bool turn_busy(uint32_t id)
{
	uint32_t *state = &device_area(id)->state;

	if (!turn(state, IVRING_IDLE, IVRING_BUSY) && !turn(state, IVRING_DELAYED, IVRING_BUSY))
		return false;
	__atomic_fetch_add(&device.signals, members[id].has_eventfd, __ATOMIC_RELAXED);
	return true;
}

bool device_ring(uint32_t id, bool few)
{
	ivr_full_barrier();
	if (few) {
		turn(&device_area(id)->state, IVRING_IDLE, IVRING_DELAYED);
		return false;
	}
	if (!turn_busy(id))
		return false;
	members[id].stats.rung++;
	return true;
}

static void members_changed(uint32_t id)
{
	uint32_t other;

	region_table()->generation[id]++;
	region_table()->members++;
	for (other = 0; other < geometry.slots; other++)
		if (other != id && (region_table()->generation[other] & 1) &&
		    device_area(other)->members_wanted)
			device_ring(other, false);
}

int ivr_device_open(void)
{
	if (device.open_error)
		return device.open_error;
	if (files == FILES)
		abort();
	slot_of_file[files] = -1;
	device.open_files++;
	return files++;
}

static void close_view(struct view *view)
{
	view->open = false;
	if (view->area.at)
		close(view->area.fd);
	close(view->outbox.fd);
}

void ivr_device_close(int fd)
{
	if (fd >= FILES) {
		close_view(&views[fd - FILES]);
		device.open_files--;
		return;
	}
	if (slot_of_file[fd] >= 0 && !device.in_child) {
		leave_lanes((uint32_t)slot_of_file[fd]);
		ivr_store(&device_area((uint32_t)slot_of_file[fd])->state, IVRING_GONE);
		members_changed((uint32_t)slot_of_file[fd]);
	}
	slot_of_file[fd] = -1;
	if (fd == region_holder)
		region_holder = -1;
	device.open_files--;
}

/*
 * Finds the memory that the member in slot @id maps at @offset, and checks that it may write there.
 */
static int find_memory(uint32_t id, uint64_t offset, bool write, const struct memory **found)
{
	uint32_t number = (uint32_t)(offset >> IVRING_MAP_SHIFT), other;

	if (offset == IVRING_MAP_MEMBER || offset == IVRING_MAP_OUTBOX) {
		*found = offset == IVRING_MAP_MEMBER ? &members[id].area : &members[id].outbox;
		return 0;
	}
	if (offset == IVRING_MAP_REGION || offset == IVRING_MAP_INBOX) {
		*found = offset == IVRING_MAP_REGION ? &region : &members[id].inbox;
		return write ? -EACCES : 0;
	}
	other = (number - 4) % IVRING_MAX_SLOTS;
	if (device.lane_map_error) {
		int ret = device.lane_map_error;

		device.lane_map_error = 0;
		return ret;
	}
	if (offset < IVRING_MAP_LANE_FROM(0)) {
		*found = lane_memory(id, other);
		return *found ? 0 : -ENXIO;
	}
	*found = lane_memory(other, id);
	if (!*found || !lanes_of(id)->lane[other].generation)
		return -ENXIO;
	return write ? -EACCES : 0;
}

int ivr_map(int fd, uint64_t offset, size_t length, int prot, void **memory)
{
	const struct memory *from;
	int ret;

	call_once(&device.before_map);
	if (fd >= FILES) {
		from = offset == IVRING_MAP_MEMBER ? &views[fd - FILES].area : &views[fd - FILES].outbox;
		ret = !from->at ? -ENXIO : prot & PROT_WRITE ? -EACCES : 0;
	} else {
		ret = find_memory((uint32_t)slot_of_file[fd], offset, prot & PROT_WRITE, &from);
	}
	if (ret)
		return ret;
	if (length > from->bytes)
		return -EINVAL;
	*memory = mmap(NULL, length, prot, MAP_SHARED, from->fd, 0);
	if (*memory == MAP_FAILED)
		return -errno;
	device.maps++;
	return 0;
}

void ivr_unmap(const void *memory, size_t length)
{
	munmap((void *)memory, length);
	device.maps--;
}

static int attach(int fd, struct ivring_attach *call);

static uint32_t slots_taken(void)
{
	uint32_t id, taken = 0;

	for (id = 0; id < geometry.slots; id++)
		taken += region_table()->generation[id] & 1;
	return taken;
}

/* A region exists as long as it has a member, or a descriptor that made it without one. */
static bool region_exists(void)
{
	return region.at && (slots_taken() || region_holder >= 0);
}

static int create(int fd, const struct ivring_create *call)
{
	struct ivring_attach first = { .id = 0 };

	if (call->flags & IVRING_CREATE_PROCESS)
		first.flags = IVRING_ATTACH_PROCESS;

	if (region_exists())
		return -EEXIST;
	drop_memory(&region);
	if (!call->slots || call->slots > SLOTS ||
	    (call->flags && !(call->flags & IVRING_CREATE_ATTACH)) ||
	    (call->flags & ~(IVRING_CREATE_ATTACH | IVRING_CREATE_PROCESS)))
		return -EINVAL;
	geometry = *call;
	region = new_memory(sizeof(struct ivring_region_area) + 4 * call->slots);
	region_table()->magic = IVRING_MAGIC;
	region_table()->version = device.version;
	region_table()->slots = call->slots;
	if (call->flags & IVRING_CREATE_ATTACH)
		return attach(fd, &first);
	region_holder = fd;
	return 0;
}

static int attach(int fd, struct ivring_attach *call)
{
	uint32_t id = call->id == IVRING_ID_ANY ? 0 : call->id;
	struct member *member;

	if (call->flags & ~IVRING_ATTACH_PROCESS)
		return -EINVAL;
	if (!region.at || (call->name[0] && !region_exists()))
		return -ENOENT;
	if (call->id != IVRING_ID_ANY && call->id >= geometry.slots)
		return -EINVAL;
	while (call->id == IVRING_ID_ANY && id < geometry.slots && (region_table()->generation[id] & 1))
		id++;
	if (id >= geometry.slots)
		return -ENOSPC;
	if (region_table()->generation[id] & 1)
		return -EBUSY;
	member = &members[id];
	drop_memory(&member->area);
	if (member->outbox.at) {
		if (left_count == LEFT)
			abort();
		left[left_count++] = (struct left){ id, region_table()->generation[id] - 1,
						    member->outbox };
	}
	drop_memory(&member->inbox);
	*member = (struct member){ .producer = device.first_index, .consumer = device.first_index };
	member->area = new_memory(sizeof(struct ivring_member_area) +
				  geometry.slots * sizeof(struct ivring_lane_end));
	member->outbox = new_memory(geometry.outbox_bytes);
	member->inbox = new_memory(IVRING_LANES_OFFSET(geometry.inbox_entries) +
				   sizeof(struct ivring_lanes) +
				   geometry.slots * sizeof(struct ivring_lane_info));
	device_area(id)->inbox_consumer = device.first_index;
	device_area(id)->max_lane_entries = IVRING_MAX_LANE_ENTRIES;
	start_ring(device_inbox(id), geometry.inbox_entries, device.first_index);
	slot_of_file[fd] = (int)id;
	ends_with_process = call->flags & IVRING_ATTACH_PROCESS;
	members_changed(id);
	call->id = id;
	call->generation = region_table()->generation[id];
	return 0;
}

int check_peer(uint32_t id, uint32_t generation)
{
	uint32_t now;

	if (id >= geometry.slots || !(generation & 1) || generation > region_table()->generation[id])
		return -EINVAL;
	now = region_table()->generation[id];
	if (generation == now)
		return 0;
	return now & 1 ? -ESTALE : -EPIPE;
}

/* The outbox of a member that has left, if it is kept for the member @for_id. */
static struct memory *kept_outbox(uint32_t for_id, uint32_t id, uint32_t generation)
{
	const struct ivring_ring_area *inbox = device_inbox(for_id);
	uint32_t index = device_area(for_id)->inbox_consumer, i;
	bool kept = lanes_of(for_id)->lane[id].generation == generation;

	for (; !kept && index != device_producer(for_id); index++) {
		const struct ivring_item *item = &inbox->item[index % geometry.inbox_entries];

		kept = item->from == id && item->from_gen == generation && item->length;
	}
	if (!kept)
		return NULL;
	if (generation + 1 == region_table()->generation[id])
		return &members[id].outbox;
	for (i = 0; i < left_count; i++)
		if (left[i].id == id && left[i].generation == generation)
			return &left[i].outbox;
	return NULL;
}

static int open_member(uint32_t caller, const struct ivring_open_member *call)
{
	int ret = check_peer(call->id, call->generation), i;
	struct view view = { .open = true };
	const struct memory *outbox;

	outbox = ret ? NULL : &members[call->id].outbox;
	if (ret == -EPIPE || ret == -ESTALE)
		outbox = kept_outbox(caller, call->id, call->generation);
	if (!outbox)
		return ret;
	if (!ret) {
		view.area = members[call->id].area;
		view.area.fd = dup(view.area.fd);
	}
	view.outbox = *outbox;
	view.outbox.fd = dup(view.outbox.fd);
	for (i = 0; i < VIEWS && views[i].open; i++)
		;
	if (i == VIEWS)
		abort();
	views[i] = view;
	device.open_files++;
	return FILES + i;
}

static int make_fence(void)
{
	if (device.fence_error)
		return device.fence_error;
	device.fences++;
	if (device.fence)
		device.fence();
	call_once(&device.in_fence);
	return 0;
}

int ivr_ioctl(int fd, unsigned long request, void *arg)
{
	uint32_t id = (uint32_t)slot_of_file[fd];

	/* It is not counted like other calls, because the atomic operation would be a barrier. */
	if (request == IVRING_IOC_FENCE)
		return make_fence();
	/* Two threads may make calls at the same time. */
	__atomic_fetch_add(&device.calls, 1, __ATOMIC_RELAXED);
	if (request == device.fail) {
		device.fail = 0;
		return device.fail_error;
	}
	switch (request) {
	case IVRING_IOC_API:
		*(struct ivring_api *)arg = (struct ivring_api){
			.version = device.version,
			.max_slots = SLOTS,
			.max_inbox_entries = IVRING_MAX_INBOX_ENTRIES,
			.max_outbox_bytes = IVRING_MAX_OUTBOX_BYTES,
		};
		return 0;
	case IVRING_IOC_CREATE:
		return create(fd, arg);
	case IVRING_IOC_ATTACH:
		return attach(fd, arg);
	case IVRING_IOC_INFO:
		if (device.info_error)
			return device.info_error;
		if (slot_of_file[fd] < 0 && fd != region_holder)
			return -ENXIO;
		*(struct ivring_info *)arg = (struct ivring_info){
			.slots = geometry.slots,
			.inbox_entries = geometry.inbox_entries,
			.outbox_bytes = geometry.outbox_bytes,
			.id = id,
			.generation = region_table()->generation[id],
		};
		return 0;
	case IVRING_IOC_MEMBER_INFO:
		id = ((struct ivring_member_info *)arg)->id;
		if (id >= geometry.slots)
			return -EINVAL;
		((struct ivring_member_info *)arg)->stats = members[id].stats;
		return 0;
	case IVRING_IOC_EVENTFD:
		members[id].has_eventfd = ((struct ivring_eventfd *)arg)->fd >= 0;
		return 0;
	case IVRING_IOC_ENQUEUE:
		return enqueue_items(id, arg);
	case IVRING_IOC_FLUSH:
		if (((struct ivring_flush *)arg)->flags & IVRING_FLUSH_LANE)
			return flush_lane(id, arg);
		return flush_items(arg);
	case IVRING_IOC_NEXT_WATCH:
		if (!device.watch.generation)
			return -EAGAIN;
		*(struct ivring_next_watch *)arg = device.watch;
		device.watch.generation = 0;
		return 0;
	case IVRING_IOC_WAIT:
		return wait_for_events(id, arg);
	case IVRING_IOC_ROOM:
		return ring_back(id, arg);
	case IVRING_IOC_OPEN_LANE:
		return open_lane(id, arg);
	case IVRING_IOC_CLOSE_LANE:
		return close_lane(id, arg);
	case IVRING_IOC_DOORBELL:
		return ring_lane(id, arg);
	case IVRING_IOC_OPEN_MEMBER:
		return open_member(id, arg);
	default:
		return -ENOTTY;
	}
}

int ivr_poll_members(int fd, uint64_t deadline)
{
	uint32_t id = (uint32_t)slot_of_file[fd];

	if (device.poll_error)
		return device.poll_error;
	if (region_table()->members != device_area(id)->members_seen)
		return 0;
	if (deadline)
		call_once(&device.asleep);
	return region_table()->members != device_area(id)->members_seen ? 0 : -ETIMEDOUT;
}

unsigned int ivr_cpus(void)
{
	return device.cpus;
}

uint64_t ivr_now(void)
{
	device.now += device.tick;
	if (device.now >= device.alarm_at)
		call_once(&device.alarm);
	return device.now;
}

int ivr_sleep(uint64_t deadline)
{
	if (device.now < deadline)
		device.now = deadline;
	call_once(&device.asleep);
	return 0;
}
