// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Copies of the inline functions, for callers that do not include the headers.
 */

#define IVR_STATIC	extern
#include "ivring.h"
