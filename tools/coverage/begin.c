// SPDX-License-Identifier: GPL-2.0

#include "sections.h"

u64 ivring_counters[0] __section("__llvm_prf_cnts");
struct record ivring_records[0] __section("__llvm_prf_data");
const char ivring_names[0] __section("__llvm_prf_names") __attribute__((retain));
