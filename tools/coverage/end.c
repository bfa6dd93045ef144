// SPDX-License-Identifier: GPL-2.0

#include <linux/export.h>

#include "sections.h"

/*
 * The counters of each function are in a section group of their own, and the linker puts groups behind
 * what is in none: so these are in one as well.
 */
#define END_OF(section, label)						\
	asm(".pushsection " section ", \"awG\", @progbits, ivring_end\n"	\
	    ".globl " label "\n" label ":\n"				\
	    ".popsection")

END_OF("__llvm_prf_cnts", "ivring_counters_end");
END_OF("__llvm_prf_data", "ivring_records_end");
const char ivring_names_end[0] __section("__llvm_prf_names") __attribute__((retain));

const struct sections ivring_sections = {
	.counters = ivring_counters,
	.counters_end = ivring_counters_end,
	.records = ivring_records,
	.records_end = ivring_records_end,
	.names = ivring_names,
	.names_end = ivring_names_end,
};
EXPORT_SYMBOL_GPL(ivring_sections);
