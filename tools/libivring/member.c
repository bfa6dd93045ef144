// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "member.h"
#include "os/barrier.h"
#include "os/owner.h"
#include "os/sys.h"
#include "peer.h"
#include "receive/arm.h"
#include "refuse.h"
#include "send/peers.h"
#include "why.h"

static const struct ivr_reason set_up_reasons[] = {
	{ -EPROTONOSUPPORT, "The module has another version of the interface than the library." },
	{ -EACCES, "The areas of the region cannot be mapped by this process." },
	{ -EAGAIN, "The process has locked as much memory as its limit allows." },
	{ 0 },
};

static int map_areas(struct ivr_member *member)
{
	void *memory;
	int ret;

	ret = ivr_map(member->fd, IVRING_MAP_REGION, member->region_bytes, PROT_READ, &memory);
	if (ret)
		return ret;
	member->region = memory;
	if (member->region->magic != IVRING_MAGIC || member->region->version != IVRING_API_VERSION)
		return -EPROTONOSUPPORT;

	ret = ivr_map(member->fd, IVRING_MAP_INBOX, member->inbox_bytes, PROT_READ, &memory);
	if (ret)
		return ret;
	member->inbox = memory;

	ret = ivr_map(member->fd, IVRING_MAP_MEMBER, member->area_bytes, PROT_READ | PROT_WRITE,
		      &memory);
	if (ret)
		return ret;
	member->area = memory;

	ret = ivr_map(member->fd, IVRING_MAP_OUTBOX, member->outbox_bytes, PROT_READ | PROT_WRITE,
		      &memory);
	if (ret)
		return ret;
	member->outbox_data = memory;
	return 0;
}

/* Sets up the rings that the member reads. The inbox is the only one so far. */
static int set_up_receiver(struct ivr_member *member, uint32_t inbox_entries)
{
	struct ivr_receiver *receiver = &member->receiver;
	struct ivr_ring_reader *inbox = &receiver->inbox;

	inbox->area = member->inbox;
	inbox->published = &member->area->inbox_consumer;
	inbox->consumer = ivr_load(inbox->published);
	inbox->found = inbox->consumer;
	inbox->entries = inbox_entries;
	inbox->from.id = IVRING_ID_ANY;

	receiver->incoming.table = (const void *)((const char *)member->inbox +
					     IVRING_LANES_OFFSET((size_t)inbox_entries));
	receiver->quiet.marks = member->area->quiet;
	receiver->quiet.table = receiver->incoming.table;
	receiver->quiet.patience = IVR_QUIET_PATIENCE;
	receiver->quiet.few = IVR_QUIET_FEW;
	receiver->incoming.from = calloc(member->slots, sizeof(*receiver->incoming.from));
	receiver->rotation.rings = calloc(member->slots + 1, sizeof(*receiver->rotation.rings));
	if (!receiver->incoming.from || !receiver->rotation.rings)
		return -ENOMEM;
	ivr_rotation_add(&receiver->rotation, inbox);
	return 0;
}

/* This member is one of its own peers. */
static int set_up_peers(struct ivr_member *member)
{
	struct ivr_mapped_peer *self = calloc(1, sizeof(*self));

	member->peers = calloc(member->slots, sizeof(*member->peers));
	if (!member->peers || !self) {
		free(self);
		return -ENOMEM;
	}
	self->peer = member->self;
	self->area = member->area;
	self->outbox = member->outbox_data;
	member->peers[member->self.id] = self;
	return 0;
}

int ivr_member_set_up(struct ivr_member *member)
{
	struct ivring_info info;
	int ret;

	ret = ivr_ioctl(member->fd, IVRING_IOC_INFO, &info);
	if (ret)
		return ivr_fail_as(ret, set_up_reasons);
	member->slots = info.slots;
	member->outbox_bytes = info.outbox_bytes;
	member->region_bytes = sizeof(*member->region) + (size_t)info.slots * sizeof(uint32_t);
	member->inbox_bytes = IVRING_LANES_OFFSET((size_t)info.inbox_entries) +
			      sizeof(struct ivring_lanes) +
			      (size_t)info.slots * sizeof(struct ivring_lane_info);
	member->area_bytes = sizeof(*member->area) +
			     (size_t)info.slots * sizeof(struct ivring_lane_end);
	member->owner = ivr_owner_new();
	ret = member->owner ? map_areas(member) : -ENOMEM;
	if (!ret)
		ret = set_up_receiver(member, info.inbox_entries);
	if (!ret)
		ret = set_up_peers(member);
	if (!ret)
		ret = ivr_members_init(member);
	if (ret)
		return ivr_fail_as(ret, set_up_reasons);

	member->receiver.state.word = &member->area->state;
	member->receiver.state.fd = member->fd;
	member->outbox.size = info.outbox_bytes;
	member->members = ivr_load(&member->area->members_seen);
	member->members_next = member->members;
	ivr_set_polling(member, ivr_cpus() > 1 ? IVR_POLLING_MAX_NS : 0);
	return 0;
}

int ivr_close(struct ivr_member *member)
{
	int ret;

	if (!member)
		return 0;
	if (ivr_in_child(member)) {
		/* Something else may be mapped at the addresses of the areas by now. */
		ivr_device_close(member->fd);
		ivr_owner_drop(member->owner);
		free(member);
		return 0;
	}
	ret = ivr_refuse(member);
	if (ret)
		return ret;
	if (member->peers) {
		ivr_peers_notify(member);
		ivr_peers_drop(member);
	}
	ivr_incoming_drop(member);
	if (member->outbox_data)
		ivr_unmap(member->outbox_data, member->outbox_bytes);
	if (member->area)
		ivr_unmap(member->area, member->area_bytes);
	if (member->inbox)
		ivr_unmap(member->inbox, member->inbox_bytes);
	if (member->region)
		ivr_unmap(member->region, member->region_bytes);
	ivr_device_close(member->fd);
	ivr_outbox_drop(&member->outbox);
	ivr_owner_drop(member->owner);
	free(member->peers);
	free(member->slot_events);
	free(member->receiver.rotation.rings);
	free(member->receiver.incoming.from);
	ivr_requests_drop(&member->requests);
	free(member->dispatcher.handlers);
	free(member);
	return 0;
}

int ivr_fd(const struct ivr_member *member)
{
	return member->fd;
}

struct ivr_peer ivr_self(const struct ivr_member *member)
{
	return member->self;
}

int ivr_info(const struct ivr_member *member, struct ivring_info *info)
{
	int ret = ivr_refuse_in_child(member);

	if (ret)
		return ret;
	ret = ivr_ioctl(member->fd, IVRING_IOC_INFO, info);
	return ret ? ivr_fail_as(ret, NULL) : 0;
}

int ivr_member_info(const struct ivr_member *member, uint32_t id, struct ivring_member_info *info)
{
	int ret;

	ret = ivr_refuse_in_child(member);
	if (ret)
		return ret;
	*info = (struct ivring_member_info){ .id = id };
	ret = ivr_ioctl(member->fd, IVRING_IOC_MEMBER_INFO, info);
	if (ret == -EINVAL)
		return ivr_fail(ret, IVR_NO_SUCH_SLOT);
	return ret ? ivr_fail_as(ret, NULL) : 0;
}

void ivr_get_counters(const struct ivr_member *member, struct ivr_counters *counters)
{
	*counters = member->counters;
}

int ivr_set_eventfd(struct ivr_member *member, int eventfd)
{
	struct ivring_eventfd call = { .fd = eventfd };
	int ret = ivr_refuse_in_child(member);

	if (ret)
		return ret;
	ret = ivr_ioctl(member->fd, IVRING_IOC_EVENTFD, &call);
	if (ret == -EINVAL)
		return ivr_fail(ret, "The descriptor does not belong to an eventfd.");
	if (ret)
		return ivr_fail_as(ret, NULL);
	/* Earlier doorbells have not signalled this eventfd. */
	if (eventfd >= 0 && !member->dispatcher.active)
		ivr_arm_or_ring(member);
	return 0;
}

void ivr_set_polling(struct ivr_member *member, uint64_t max_ns)
{
	ivr_polling_set_max(&member->idle_polling, max_ns);
	ivr_polling_set_max(&member->room_polling, max_ns);
}

uint64_t ivr_deadline_ms(uint32_t ms)
{
	return ivr_now() + (uint64_t)ms * 1000000;
}
