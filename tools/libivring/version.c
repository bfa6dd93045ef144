// SPDX-License-Identifier: MIT OR Apache-2.0

#include "ivring.h"

uint32_t ivr_version(void)
{
	return IVR_VERSION;
}
