/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IVRING_COVERAGE_SECTIONS_H
#define IVRING_COVERAGE_SECTIONS_H

#include <linux/types.h>

/* As INSTR_PROF_DATA in LLVM's InstrProfData.inc, of 64 bytes in LLVM 19. */
struct record {
	u64 name;
	u64 hash;
	u64 counters;
	u64 bitmap;
	u64 function;
	u64 values;
	u32 nr_counters;
	u16 nr_value_sites[3];
	u32 nr_bitmap_bytes;
};

/* What LLVM has put into the module. */
extern u64 ivring_counters[], ivring_counters_end[];
extern struct record ivring_records[], ivring_records_end[];
extern const char ivring_names[], ivring_names_end[];

struct sections {
	u64 *counters, *counters_end;
	struct record *records, *records_end;
	const char *names, *names_end;
};

extern const struct sections ivring_sections;

#endif
