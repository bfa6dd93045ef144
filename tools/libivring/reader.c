// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <string.h>

#include "arm.h"
#include "barrier.h"
#include "reader.h"
#include "sys.h"
#include "member.h"

const struct ivr_reason ivr_wait_reasons[] = {
	{ -EPROTO, "The member's own inbox is broken: not only the library wrote its memory." },
	{ -EINVAL, "The only flag is IVRING_WAIT_MEMBERS." },
	{ 0 },
};

static const struct ivr_reason room_reasons[] = {
	{ -ENOENT, "The lane that the items were received from has been closed since." },
	{ 0 },
};

void ivr_reader_add(struct ivr_reader *reader, struct ivr_ring *ring)
{
	reader->rings[reader->count++] = ring;
}

void ivr_reader_remove(struct ivr_reader *reader, const struct ivr_ring *ring)
{
	uint32_t at = 0;

	while (reader->rings[at] != ring)
		at++;
	reader->count--;
	memmove(&reader->rings[at], &reader->rings[at + 1],
		(reader->count - at) * sizeof(reader->rings[0]));
	if (at == reader->turn)
		reader->handed = 0;
	if (at < reader->turn)
		reader->turn--;
	if (reader->turn == reader->count)
		reader->turn = 0;
}

bool ivr_reader_is_empty(struct ivr_reader *reader)
{
	uint32_t i;

	for (i = 0; i < reader->count; i++)
		if (ivr_ring_pending(reader->rings[i], 1))
			return false;
	return !ivr_lanes_changed(&reader->lanes) && !ivr_quiet_changed(&reader->quiet);
}

int ivr_reader_next(struct ivr_member *member, uint32_t enough, struct ivr_ring **ring)
{
	struct ivr_reader *reader = &member->reader;
	uint32_t left;

	reader->quiet.turns++;
	if (ivr_quiet_is_due(&reader->quiet)) {
		/* Not if the kernel has gone idle for the member, which then stays so. */
		if (ivr_load(member->state.word) == IVRING_BUSY_UNFENCED)
			ivr_state_fence(&member->state);
		if (!member->state.unfenced)
			ivr_quiet_sweep(member);
	}
	for (left = reader->count; left; left--) {
		struct ivr_ring *at = reader->rings[reader->turn];
		int pending = ivr_ring_pending(at, enough);

		if (pending < 0 && at != &reader->inbox) {
			/* That gives the turn to the one behind it. */
			ivr_lanes_fail(member, at);
			continue;
		}
		if (pending) {
			*ring = at;
			return pending;
		}
		ivr_reader_pass(reader, at);
	}
	reader->quiet.turns += IVR_QUIET_EMPTY;
	return 0;
}

void ivr_reader_pass(struct ivr_reader *reader, const struct ivr_ring *ring)
{
	/* If it has been removed, the turn is the next one's already. */
	if (reader->rings[reader->turn] == ring && ++reader->turn == reader->count)
		reader->turn = 0;
}

int ivr_reader_consume(struct ivr_member *member, struct ivr_ring *ring, uint32_t count)
{
	struct ivring_room call = { .from = ring->from.id };
	int ret;

	member->reader.consumed += count;
	if (!count || !ivr_ring_consume(ring, count))
		return 0;
	ret = ivr_ioctl(member->fd, IVRING_IOC_ROOM, &call);
	return ret ? ivr_fail_as(ret, room_reasons) : 0;
}

int ivr_receive(struct ivr_member *member, struct ivring_item *items, unsigned int count)
{
	struct ivr_reader *reader = &member->reader;
	struct ivr_ring *ring;
	uint32_t copied;
	int pending;

	pending = ivr_refuse(member);
	if (pending)
		return pending;
	ivr_lanes_update(member);
	do {
		pending = ivr_reader_next(member, count, &ring);
		/* A look that finds nothing leaves an armed member armed. */
		if (pending <= 0)
			return pending ? ivr_fail_as(pending, ivr_wait_reasons) : 0;
		ivr_state_busy(&member->state);
		for (copied = 0; copied < count && copied < (uint32_t)pending; copied++)
			if (ivr_ring_copy(ring, copied, &items[copied]))
				break;
		/* If the first one is bad, the next look closes that lane. */
	} while (!copied && count);
	if (reader->handed < copied)
		reader->handed = copied;
	return (int)copied;
}

int ivr_consume(struct ivr_member *member, unsigned int count)
{
	struct ivr_reader *reader = &member->reader;
	struct ivr_ring *ring = reader->rings[reader->turn];
	int ret = ivr_refuse(member);

	if (ret)
		return ret;
	if (count > reader->handed)
		return ivr_fail(-EINVAL, "Fewer items are received and not consumed.");
	if (!count)
		return 0;
	reader->handed -= count;
	ret = ivr_reader_consume(member, ring, count);
	if (!reader->handed)
		ivr_reader_pass(reader, ring);
	return ret;
}

int ivr_wait(struct ivr_member *member, uint32_t flags, uint64_t deadline)
{
	struct ivring_wait call = { .flags = flags, .deadline = deadline };
	int ret = ivr_refuse(member);

	if (ret)
		return ret;
	ret = ivr_ioctl(member->fd, IVRING_IOC_WAIT, &call);
	if (!ret)
		return (int)call.events;
	/* It has left the state BUSY. */
	ivr_settle(member);
	return ivr_fail_as(ret, ivr_wait_reasons);
}
