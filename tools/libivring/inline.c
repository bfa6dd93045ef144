// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Copies of the inline functions of the headers, which can be called without these.
 */

#define IVR_STATIC	extern
#include "ivring.h"
