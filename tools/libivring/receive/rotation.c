// SPDX-License-Identifier: MIT OR Apache-2.0

#include <string.h>

#include "receive/rotation.h"

void ivr_rotation_add(struct ivr_rotation *rotation, struct ivr_ring_reader *ring)
{
	rotation->rings[rotation->count++] = ring;
}

void ivr_rotation_remove(struct ivr_rotation *rotation, const struct ivr_ring_reader *ring)
{
	uint32_t at = 0;

	while (rotation->rings[at] != ring)
		at++;
	rotation->count--;
	memmove(&rotation->rings[at], &rotation->rings[at + 1],
		(rotation->count - at) * sizeof(rotation->rings[0]));
	if (at == rotation->turn)
		rotation->unconsumed = 0;
	if (at < rotation->turn)
		rotation->turn--;
	if (rotation->turn == rotation->count)
		rotation->turn = 0;
}
