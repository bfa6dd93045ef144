// SPDX-License-Identifier: GPL-2.0
/*
 * The ABI in numbers, which are the same for 32-bit and 64-bit programs, and the version
 * that the running module reports.
 */
#include <sys/stat.h>

#include "ivring_test.h"
#include "stats.h"

#define EXPECT_FIELD(offset, size, type, field)			\
do {								\
	EXPECT_EQ(offset, offsetof(struct type, field));	\
	EXPECT_EQ(size, sizeof(((struct type *)0)->field));	\
} while (0)

TEST(item)
{
	EXPECT_EQ(64, sizeof(struct ivring_item));
	EXPECT_FIELD(0, 4, ivring_item, sequence);
	EXPECT_FIELD(4, 4, ivring_item, port);
	EXPECT_FIELD(8, 2, ivring_item, from);
	EXPECT_FIELD(10, 1, ivring_item, flags);
	EXPECT_FIELD(11, 1, ivring_item, inline_len);
	EXPECT_FIELD(12, 4, ivring_item, from_gen);
	EXPECT_FIELD(16, 4, ivring_item, offset);
	EXPECT_FIELD(20, 4, ivring_item, length);
	EXPECT_FIELD(24, 8, ivring_item, cookie);
	EXPECT_FIELD(32, 32, ivring_item, data);
}

TEST(areas)
{
	EXPECT_EQ(64, sizeof(struct ivring_region_area));
	EXPECT_FIELD(0, 4, ivring_region_area, magic);
	EXPECT_FIELD(4, 4, ivring_region_area, version);
	EXPECT_FIELD(8, 4, ivring_region_area, slots);
	EXPECT_FIELD(12, 4, ivring_region_area, inbox_entries);
	EXPECT_FIELD(16, 8, ivring_region_area, outbox_bytes);
	EXPECT_FIELD(24, 4, ivring_region_area, members);
	EXPECT_FIELD(28, 36, ivring_region_area, reserved);
	EXPECT_EQ(64, offsetof(struct ivring_region_area, generation));

	EXPECT_EQ(4096, sizeof(struct ivring_ring_area));
	EXPECT_FIELD(0, 4, ivring_ring_area, room_wanted);
	EXPECT_FIELD(4, 4, ivring_ring_area, room_at);
	EXPECT_EQ(4096, offsetof(struct ivring_ring_area, item));

	EXPECT_EQ(64, sizeof(struct ivring_lanes));
	EXPECT_FIELD(0, 4, ivring_lanes, changes);
	EXPECT_FIELD(4, 4, ivring_lanes, woken);
	EXPECT_EQ(64, offsetof(struct ivring_lanes, lane));
	EXPECT_EQ(8, sizeof(struct ivring_lane_info));
	EXPECT_FIELD(0, 4, ivring_lane_info, generation);
	EXPECT_FIELD(4, 4, ivring_lane_info, entries);
	EXPECT_EQ(4096 + 64 * 2, IVRING_LANES_OFFSET(2));
	EXPECT_EQ(4096 + 64 * 65536, IVRING_LANES_OFFSET(65536));

	EXPECT_EQ(4096, sizeof(struct ivring_member_area));
	EXPECT_FIELD(0, 4, ivring_member_area, state);
	EXPECT_FIELD(4, 4, ivring_member_area, wake_items);
	EXPECT_FIELD(8, 4, ivring_member_area, wake_delay_us);
	EXPECT_FIELD(64, 4, ivring_member_area, inbox_consumer);
	EXPECT_FIELD(128, 4, ivring_member_area, members_seen);
	EXPECT_FIELD(132, 4, ivring_member_area, max_lane_entries);
	EXPECT_FIELD(136, 4, ivring_member_area, members_wanted);
	EXPECT_FIELD(192, 128, ivring_member_area, quiet);
	EXPECT_EQ(4096, offsetof(struct ivring_member_area, lane));
	EXPECT_EQ(64, sizeof(struct ivring_lane_end));
	EXPECT_FIELD(0, 4, ivring_lane_end, consumer);
	EXPECT_FIELD(4, 4, ivring_lane_end, closed);
}

TEST(arguments)
{
	unsigned int i;

	EXPECT_EQ(40, sizeof(struct ivring_api));
	EXPECT_FIELD(0, 4, ivring_api, version);
	EXPECT_FIELD(4, 4, ivring_api, max_slots);
	EXPECT_FIELD(8, 8, ivring_api, features);
	EXPECT_FIELD(16, 4, ivring_api, max_inbox_entries);
	EXPECT_FIELD(20, 4, ivring_api, max_batch);
	EXPECT_FIELD(24, 8, ivring_api, max_outbox_bytes);
	EXPECT_FIELD(32, 4, ivring_api, max_lane_entries);
	EXPECT_FIELD(36, 4, ivring_api, reserved);

	EXPECT_EQ(88, sizeof(struct ivring_create));
	EXPECT_FIELD(0, 4, ivring_create, flags);
	EXPECT_FIELD(4, 4, ivring_create, slots);
	EXPECT_FIELD(8, 4, ivring_create, inbox_entries);
	EXPECT_FIELD(12, 4, ivring_create, mode);
	EXPECT_FIELD(16, 8, ivring_create, outbox_bytes);
	EXPECT_FIELD(24, 64, ivring_create, name);

	EXPECT_EQ(80, sizeof(struct ivring_attach));
	EXPECT_FIELD(0, 4, ivring_attach, flags);
	EXPECT_FIELD(4, 4, ivring_attach, region_fd);
	EXPECT_FIELD(8, 4, ivring_attach, id);
	EXPECT_FIELD(12, 4, ivring_attach, generation);
	EXPECT_FIELD(16, 64, ivring_attach, name);

	EXPECT_EQ(104, sizeof(struct ivring_info));
	EXPECT_FIELD(0, 4, ivring_info, slots);
	EXPECT_FIELD(4, 4, ivring_info, inbox_entries);
	EXPECT_FIELD(8, 8, ivring_info, outbox_bytes);
	EXPECT_FIELD(16, 4, ivring_info, id);
	EXPECT_FIELD(20, 4, ivring_info, generation);
	EXPECT_FIELD(24, 4, ivring_info, attached);
	EXPECT_FIELD(28, 4, ivring_info, mode);
	EXPECT_FIELD(32, 4, ivring_info, uid);
	EXPECT_FIELD(36, 4, ivring_info, gid);
	EXPECT_FIELD(40, 64, ivring_info, name);

	EXPECT_EQ(80, sizeof(struct ivring_stats));
	ASSERT_EQ(10, ARRAY_SIZE(counters));
	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		EXPECT_EQ(8 * i, counters[i].offset);
		EXPECT_EQ(8, counters[i].size);
	}

	EXPECT_EQ(96, sizeof(struct ivring_member_info));
	EXPECT_FIELD(0, 4, ivring_member_info, id);
	EXPECT_FIELD(4, 4, ivring_member_info, generation);
	EXPECT_FIELD(8, 4, ivring_member_info, uid);
	EXPECT_FIELD(12, 4, ivring_member_info, reserved);
	EXPECT_FIELD(16, 80, ivring_member_info, stats);

	EXPECT_EQ(48, sizeof(struct ivring_enqueue));
	EXPECT_FIELD(0, 4, ivring_enqueue, id);
	EXPECT_FIELD(4, 4, ivring_enqueue, generation);
	EXPECT_FIELD(8, 4, ivring_enqueue, count);
	EXPECT_FIELD(12, 4, ivring_enqueue, flags);
	EXPECT_FIELD(16, 8, ivring_enqueue, items);
	EXPECT_FIELD(24, 8, ivring_enqueue, deadline);
	EXPECT_FIELD(32, 4, ivring_enqueue, done);
	EXPECT_FIELD(36, 4, ivring_enqueue, position);
	EXPECT_FIELD(40, 4, ivring_enqueue, rung);
	EXPECT_FIELD(44, 4, ivring_enqueue, watch);

	EXPECT_EQ(16, sizeof(struct ivring_wait));
	EXPECT_FIELD(0, 4, ivring_wait, flags);
	EXPECT_FIELD(4, 4, ivring_wait, events);
	EXPECT_FIELD(8, 8, ivring_wait, deadline);

	EXPECT_EQ(24, sizeof(struct ivring_flush));
	EXPECT_FIELD(0, 4, ivring_flush, id);
	EXPECT_FIELD(4, 4, ivring_flush, generation);
	EXPECT_FIELD(8, 4, ivring_flush, position);
	EXPECT_FIELD(12, 4, ivring_flush, flags);
	EXPECT_FIELD(16, 8, ivring_flush, deadline);

	EXPECT_EQ(16, sizeof(struct ivring_next_watch));
	EXPECT_FIELD(0, 4, ivring_next_watch, id);
	EXPECT_FIELD(4, 4, ivring_next_watch, generation);
	EXPECT_FIELD(8, 4, ivring_next_watch, flags);
	EXPECT_FIELD(12, 4, ivring_next_watch, reserved);

	EXPECT_EQ(8, sizeof(struct ivring_room));
	EXPECT_FIELD(0, 4, ivring_room, from);
	EXPECT_FIELD(4, 4, ivring_room, flags);

	EXPECT_EQ(24, sizeof(struct ivring_open_lane));
	EXPECT_FIELD(0, 4, ivring_open_lane, id);
	EXPECT_FIELD(4, 4, ivring_open_lane, generation);
	EXPECT_FIELD(8, 4, ivring_open_lane, entries);
	EXPECT_FIELD(12, 4, ivring_open_lane, flags);
	EXPECT_FIELD(16, 8, ivring_open_lane, deadline);

	EXPECT_EQ(8, sizeof(struct ivring_close_lane));
	EXPECT_FIELD(0, 4, ivring_close_lane, from);
	EXPECT_FIELD(4, 4, ivring_close_lane, generation);

	EXPECT_EQ(8, sizeof(struct ivring_doorbell));
	EXPECT_FIELD(0, 4, ivring_doorbell, id);
	EXPECT_FIELD(4, 4, ivring_doorbell, generation);

	EXPECT_EQ(8, sizeof(struct ivring_eventfd));
	EXPECT_FIELD(0, 4, ivring_eventfd, fd);
	EXPECT_FIELD(4, 4, ivring_eventfd, flags);
}

TEST(ioctl_numbers)
{
	EXPECT_EQ(0x8028be40U, IVRING_IOC_API);
	EXPECT_EQ(0x4058be41U, IVRING_IOC_CREATE);
	EXPECT_EQ(0xc050be42U, IVRING_IOC_ATTACH);
	EXPECT_EQ(0x8068be43U, IVRING_IOC_INFO);
	EXPECT_EQ(0xc060be44U, IVRING_IOC_MEMBER_INFO);
	EXPECT_EQ(0xc030be45U, IVRING_IOC_ENQUEUE);
	EXPECT_EQ(0xc010be46U, IVRING_IOC_WAIT);
	EXPECT_EQ(0x4008be47U, IVRING_IOC_EVENTFD);
	EXPECT_EQ(0x4008be48U, IVRING_IOC_ROOM);
	EXPECT_EQ(0x4018be49U, IVRING_IOC_FLUSH);
	EXPECT_EQ(0x4018be4aU, IVRING_IOC_OPEN_LANE);
	EXPECT_EQ(0x4008be4bU, IVRING_IOC_CLOSE_LANE);
	EXPECT_EQ(0x4008be4cU, IVRING_IOC_DOORBELL);
	EXPECT_EQ(0xbe4dU, IVRING_IOC_FENCE);
	EXPECT_EQ(0x4008be4eU, IVRING_IOC_OPEN_MEMBER);
	EXPECT_EQ(0x8010be4fU, IVRING_IOC_NEXT_WATCH);
}

TEST(constants)
{
	EXPECT_EQ(1, IVRING_FEATURE_INBOX);
	EXPECT_EQ(2, IVRING_FEATURE_EVENTFD);
	EXPECT_EQ(4, IVRING_FEATURE_LANES);
	EXPECT_EQ(8, IVRING_FEATURE_DELAY);
	EXPECT_EQ(16, IVRING_FEATURE_WATCH);
	EXPECT_EQ(0U, IVRING_BUSY);
	EXPECT_EQ(1U, IVRING_IDLE);
	EXPECT_EQ(2U, IVRING_BUSY_UNFENCED);
	EXPECT_EQ(3U, IVRING_DELAYED);
	EXPECT_EQ(4U, IVRING_GONE);
	EXPECT_EQ(1U, IVRING_ITEM_REPLY);
	EXPECT_EQ(2U, IVRING_ITEM_REQUEST);
	EXPECT_EQ(4U, IVRING_ITEM_REFUSED);
	EXPECT_EQ(7U, IVRING_ITEM_FLAGS);
	EXPECT_EQ(1U, IVRING_CREATE_ATTACH);
	EXPECT_EQ(2U, IVRING_CREATE_PROCESS);
	EXPECT_EQ(4U, IVRING_CREATE_NO_LANES);
	EXPECT_EQ(1U, IVRING_ATTACH_PROCESS);
	EXPECT_EQ(2U, IVRING_ATTACH_NO_LANES);
	EXPECT_EQ(1U, IVRING_ENQUEUE_WAIT);
	EXPECT_EQ(2U, IVRING_ENQUEUE_WATCH);
	EXPECT_EQ(1U, IVRING_WAIT_MEMBERS);
	EXPECT_EQ(2U, IVRING_WAIT_ARMED);
	EXPECT_EQ(1U, IVRING_EVENT_ITEMS);
	EXPECT_EQ(2U, IVRING_EVENT_MEMBERS);
	EXPECT_EQ(1U, IVRING_FLUSH_LANE);
	EXPECT_EQ(2U, IVRING_FLUSH_WATCH);
	EXPECT_EQ(1U, IVRING_WATCH_LANE);
	EXPECT_EQ(1U, IVRING_OPEN_LANE_WAIT);
	EXPECT_EQ(1000000U, IVRING_MAX_WAKE_DELAY_US);
	EXPECT_EQ(0xffffffffU, IVRING_ID_ANY);
	EXPECT_EQ(UINT64_MAX, IVRING_DEADLINE_NEVER);
	EXPECT_EQ(0, memcmp("ivng", &(__u32) { IVRING_MAGIC }, 4));
	EXPECT_EQ(0U, IVRING_MAP_REGION);
	EXPECT_EQ(0x40000000U, IVRING_MAP_INBOX);
	EXPECT_EQ(0x80000000U, IVRING_MAP_MEMBER);
	EXPECT_EQ(0xc0000000U, IVRING_MAP_OUTBOX);
	EXPECT_EQ(0x100000000ULL, IVRING_MAP_LANE_TO(0));
	EXPECT_EQ(0x10100000000ULL, IVRING_MAP_LANE_FROM(0));
	EXPECT_EQ(0x200c0000000ULL, IVRING_MAP_LANE_FROM(1023));
}

FIXTURE(device) {
	int fd;
};

FIXTURE_SETUP(device)
{
	self->fd = dev_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(device)
{
	close(self->fd);
}

TEST_F(device, node)
{
	struct stat st;

	ASSERT_EQ(0, stat(DEVICE, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0666U, st.st_mode & 0777);
}

TEST_F(device, api)
{
	struct ivring_api api;

	memset(&api, 0xff, sizeof(api));
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_API, &api));
	EXPECT_EQ(IVRING_API_VERSION, api.version);
	EXPECT_EQ(IVRING_FEATURE_INBOX | IVRING_FEATURE_EVENTFD |
		  IVRING_FEATURE_LANES | IVRING_FEATURE_DELAY | IVRING_FEATURE_WATCH,
		  api.features);
	EXPECT_EQ(IVRING_MAX_SLOTS, api.max_slots);
	EXPECT_EQ(IVRING_MAX_INBOX_ENTRIES, api.max_inbox_entries);
	EXPECT_EQ(IVRING_MAX_BATCH, api.max_batch);
	EXPECT_EQ(IVRING_MAX_OUTBOX_BYTES, api.max_outbox_bytes);
	EXPECT_EQ(IVRING_MAX_LANE_ENTRIES, api.max_lane_entries);
	EXPECT_EQ(0, api.reserved);

	EXPECT_EQ(-EFAULT, dev_ioctl(self->fd, IVRING_IOC_API, NULL));
	EXPECT_EQ(-EFAULT, dev_ioctl(self->fd, IVRING_IOC_API, KERNEL_ADDRESS));
	EXPECT_EQ(-EFAULT, dev_ioctl(self->fd, IVRING_IOC_API, unmapped_address()));
}

TEST_F(device, unknown_ioctl)
{
	static const unsigned long known[] = {
		IVRING_IOC_API, IVRING_IOC_CREATE, IVRING_IOC_ATTACH, IVRING_IOC_INFO,
		IVRING_IOC_MEMBER_INFO, IVRING_IOC_ENQUEUE, IVRING_IOC_WAIT, IVRING_IOC_EVENTFD,
		IVRING_IOC_ROOM, IVRING_IOC_FLUSH, IVRING_IOC_OPEN_LANE, IVRING_IOC_CLOSE_LANE,
		IVRING_IOC_DOORBELL, IVRING_IOC_FENCE, IVRING_IOC_OPEN_MEMBER, IVRING_IOC_NEXT_WATCH,
	};
	__u64 arg[64] = { 0 };
	unsigned int i;

	/* Try every number that ivring does not use, and numbers of other drivers. */
	for (i = 0; i < 256; i++) {
		if (i < 0x40 || i > 0x4f) {
			EXPECT_EQ(-ENOTTY, dev_ioctl(self->fd, _IOWR(0xbe, i, __u64), arg));
			EXPECT_EQ(-ENOTTY, dev_ioctl(self->fd, _IO(0xbe, i), arg));
		}
		if (i != 0xbe)
			EXPECT_EQ(-ENOTTY, dev_ioctl(self->fd, _IOWR(i, 0x41, arg), arg));
	}

	/* A known number with another size or direction is another ioctl. */
	for (i = 0; i < ARRAY_SIZE(known); i++) {
		EXPECT_EQ(-ENOTTY, dev_ioctl(self->fd,
					     known[i] + (8UL << _IOC_SIZESHIFT), arg));
		EXPECT_EQ(-ENOTTY, dev_ioctl(self->fd,
					     known[i] ^ ((unsigned long)_IOC_READ << _IOC_DIRSHIFT),
					     arg));
	}
}

TEST_F(device, read_and_write)
{
	char c = 0;

	EXPECT_EQ(-1, read(self->fd, &c, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->fd, &c, 1));
	EXPECT_EQ(EINVAL, errno);
}

TEST_HARNESS_MAIN
