// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * What a hostile member does: it writes its areas by itself, behind the library's back.
 */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "member.h"

/* Adds @ahead to the word that is @word bytes from the start of the area at @offset. */
static int add_to_word(uint64_t offset, size_t word, uint32_t ahead)
{
	char *area = mmap(NULL, word + sizeof(uint32_t), PROT_READ | PROT_WRITE, MAP_SHARED, ivr_fd(member),
			  (off_t)offset);

	if (area == MAP_FAILED)
		return -errno;
	__atomic_fetch_add((uint32_t *)(area + word), ahead, __ATOMIC_SEQ_CST);
	munmap(area, word + sizeof(uint32_t));
	return 0;
}

int wreck_lane(struct ivr_peer to, const char *how)
{
	/* No unknown flag is one that the library would send. */
	struct ivring_item bad = { .flags = 0x80 };
	struct ivr_lane *lane = ivr_lane(member, to);
	int ret;

	if (!lane)
		return -ENOENT;
	if (!strcmp(how, "item")) {
		ret = ivr_lane_push(lane, &bad);
		return ret ? ret : ivr_lane_notify(lane);
	}
	/* The sequence of the first item in the lane. */
	return add_to_word(IVRING_MAP_LANE_TO(to.id), offsetof(struct ivring_ring_area, item[0].sequence),
			   !strcmp(how, "back") ? UINT32_MAX : 1u << 20);
}

int wreck_inbox(void)
{
	return add_to_word(IVRING_MAP_MEMBER, offsetof(struct ivring_member_area, inbox_consumer), 1u << 20);
}
