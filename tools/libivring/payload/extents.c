// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stdlib.h>

#include "payload/extents.h"

#define NONE		IVR_NO_EXTENT
#define MIN_CAPACITY	16u

struct class {
	uint32_t power;
	uint32_t index;
};

/* The index of the power of two of a size. The sizes of its classes differ by a power of two. */
static uint32_t power_of(uint32_t length)
{
	uint32_t high = length >> IVR_FINE;

	return high ? 32 - (uint32_t)__builtin_clz(high) : 0;
}

static uint32_t shift_of(uint32_t length)
{
	uint32_t power = power_of(length);

	return power ? power - 1 : 0;
}

static struct class class_of(uint32_t length)
{
	return (struct class){ power_of(length), (length >> shift_of(length)) % IVR_CLASSES };
}

/* Returns 0 or -ENOMEM. Afterwards one more extent can be created. */
static int reserve(struct ivr_extents *extents)
{
	uint32_t capacity = extents->capacity ? 2 * extents->capacity : MIN_CAPACITY;
	struct ivr_extent *table;

	if (extents->unused != NONE || extents->count < extents->capacity)
		return 0;
	table = reallocarray(extents->table, capacity, sizeof(*table));
	if (!table)
		return -ENOMEM;
	extents->table = table;
	extents->capacity = capacity;
	return 0;
}

/* Adds a free extent that is not in a list yet. */
static uint32_t create(struct ivr_extents *extents, uint32_t start, uint32_t length,
		       uint32_t before, uint32_t after)
{
	uint32_t entry = extents->unused;

	if (entry == NONE)
		entry = extents->count++;
	else
		extents->unused = extents->table[entry].next;
	extents->table[entry] = (struct ivr_extent){
		.start = start,
		.length = length,
		.before = before,
		.after = after,
		.free = true,
	};
	return entry;
}

/* Puts an extent into the list of its class, as free. */
static void put(struct ivr_extents *extents, uint32_t entry)
{
	struct ivr_extent *extent = &extents->table[entry];
	struct class class = class_of(extent->length);
	uint32_t *first = &extents->first[class.power][class.index];

	extent->free = true;
	extent->previous = NONE;
	extent->next = *first;
	if (*first != NONE)
		extents->table[*first].previous = entry;
	*first = entry;
	extents->classes[class.power] |= (uint16_t)(1u << class.index);
	extents->powers |= 1u << class.power;
}

/* Takes a free extent out of the list of its class. */
static void pull(struct ivr_extents *extents, uint32_t entry)
{
	const struct ivr_extent *extent = &extents->table[entry];
	struct class class = class_of(extent->length);

	if (extent->next != NONE)
		extents->table[extent->next].previous = extent->previous;
	if (extent->previous != NONE) {
		extents->table[extent->previous].next = extent->next;
		return;
	}
	extents->first[class.power][class.index] = extent->next;
	if (extent->next != NONE)
		return;
	extents->classes[class.power] &= (uint16_t)~(1u << class.index);
	if (!extents->classes[class.power])
		extents->powers &= ~(1u << class.power);
}

int ivr_extents_init(struct ivr_extents *extents, uint32_t length)
{
	uint32_t power, index;

	*extents = (struct ivr_extents){ .unused = NONE };
	for (power = 0; power < IVR_POWERS; power++)
		for (index = 0; index < IVR_CLASSES; index++)
			extents->first[power][index] = NONE;
	if (reserve(extents))
		return -ENOMEM;
	put(extents, create(extents, 0, length, NONE, NONE));
	return 0;
}

/* The first extent of the smallest class of at least this power and index, or NONE. */
static uint32_t first_from(const struct ivr_extents *extents, struct class class)
{
	uint32_t classes = extents->classes[class.power] & ~0u << class.index, powers;

	if (classes)
		return extents->first[class.power][__builtin_ctz(classes)];
	powers = extents->powers & ~1u << class.power;
	if (!powers)
		return NONE;
	class.power = (uint32_t)__builtin_ctz(powers);
	return extents->first[class.power][__builtin_ctz(extents->classes[class.power])];
}

/* A free extent of at least @length units, or NONE. */
static uint32_t find(const struct ivr_extents *extents, uint32_t length)
{
	uint32_t step = 1u << shift_of(length), found = NONE;
	struct class class;

	/* Every extent of the next class is long enough. */
	if (length <= UINT32_MAX - (step - 1))
		found = first_from(extents, class_of(length + step - 1));
	if (found != NONE)
		return found;
	/* Some extents of the class below may be. */
	class = class_of(length);
	found = extents->first[class.power][class.index];
	while (found != NONE && extents->table[found].length < length)
		found = extents->table[found].next;
	return found;
}

int ivr_extents_take(struct ivr_extents *extents, uint32_t length, uint32_t *out)
{
	uint32_t entry = find(extents, length), rest;
	struct ivr_extent *extent;

	if (entry == NONE)
		return -EAGAIN;
	if (reserve(extents))
		return -ENOMEM;
	pull(extents, entry);
	extent = &extents->table[entry];
	if (extent->length > length) {
		rest = create(extents, extent->start + length, extent->length - length, entry,
			      extent->after);
		if (extent->after != NONE)
			extents->table[extent->after].before = rest;
		extent->after = rest;
		extent->length = length;
		put(extents, rest);
	}
	extent->free = false;
	*out = entry;
	return 0;
}

/* Adds the units of @second, which follows @first, to @first. */
static void merge(struct ivr_extents *extents, uint32_t first, uint32_t second)
{
	struct ivr_extent *extent = &extents->table[first], *other = &extents->table[second];

	extent->length += other->length;
	extent->after = other->after;
	if (extent->after != NONE)
		extents->table[extent->after].before = first;
	other->free = true;
	other->next = extents->unused;
	extents->unused = second;
}

void ivr_extents_free(struct ivr_extents *extents, uint32_t entry)
{
	uint32_t before = extents->table[entry].before, after = extents->table[entry].after;

	if (after != NONE && extents->table[after].free) {
		pull(extents, after);
		merge(extents, entry, after);
	}
	if (before != NONE && extents->table[before].free) {
		pull(extents, before);
		merge(extents, before, entry);
		entry = before;
	}
	put(extents, entry);
}

void ivr_extents_drop(struct ivr_extents *extents)
{
	free(extents->table);
}
