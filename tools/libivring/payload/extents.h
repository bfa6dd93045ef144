/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_EXTENTS_H
#define IVR_EXTENTS_H

#include <stdbool.h>
#include <stdint.h>

/* No extent. */
#define IVR_NO_EXTENT		UINT32_MAX

/*
 * Each power of two has IVR_CLASSES size classes. So the sizes of a class differ by less than one
 * part in IVR_CLASSES, and all extents of a class below 2 * IVR_CLASSES units have the same size.
 */
#define IVR_FINE		4u
#define IVR_CLASSES		(1u << IVR_FINE)
#define IVR_POWERS		(32u - IVR_FINE + 1)

/**
 * struct ivr_extent - a number of contiguous units, free or taken.
 * @start:	the first unit
 * @length:	number of units
 * @before:	the neighbour below, or IVR_NO_EXTENT
 * @after:	the neighbour above, or IVR_NO_EXTENT
 * @previous:	previous free extent of the class, or IVR_NO_EXTENT
 * @next:	in a free extent, the next free extent of the class, or IVR_NO_EXTENT; in an unused
 *		entry, the next unused entry; in a taken extent, a value of the caller
 * @unread:	in a taken extent, a value of the caller
 * @free:	the extent is not taken, or the entry is unused
 * @sent:	in a taken extent, a value of the caller
 * @listed:	in a taken extent, a value of the caller
 */
struct ivr_extent {
	uint32_t start;
	uint32_t length;
	uint32_t before;
	uint32_t after;
	uint32_t previous;
	uint32_t next;
	uint32_t unread;
	bool free;
	bool sent;
	bool listed;
};

/**
 * struct ivr_extents - an allocator of ranges of units: two-level segregated fit.
 * @table:	array of extents. Those that are linked by @before and @after follow each other
 *		without gaps, and cover all units. Two neighbours are never both free
 * @capacity:	size of the array
 * @count:	number of entries that have ever been used
 * @unused:	an unused entry below @count, or IVR_NO_EXTENT
 * @powers:	bit map of the powers of two that have free extents
 * @classes:	for each power of two, bit map of the classes that have free extents
 * @first:	for each class, the free extent of that size that was freed last
 *
 * The crate ivring-protocol has the same allocator.
 */
struct ivr_extents {
	struct ivr_extent *table;
	uint32_t capacity;
	uint32_t count;
	uint32_t unused;
	uint32_t powers;
	uint16_t classes[IVR_POWERS];
	uint32_t first[IVR_POWERS][IVR_CLASSES];
};

/* Initializes an allocator of @length free units, at least one. Returns 0 or -ENOMEM. */
int ivr_extents_init(struct ivr_extents *extents, uint32_t length);

/*
 * Takes @length contiguous units, at least one. Returns 0; -ENOMEM; or -EAGAIN only if no free
 * extent is as long.
 */
int ivr_extents_take(struct ivr_extents *extents, uint32_t length, uint32_t *extent);

/* Frees a taken extent. */
void ivr_extents_free(struct ivr_extents *extents, uint32_t extent);

/* Frees all memory of the allocator. */
void ivr_extents_drop(struct ivr_extents *extents);

#endif /* IVR_EXTENTS_H */
