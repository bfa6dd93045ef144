// SPDX-License-Identifier: MIT OR Apache-2.0

#include "ivring.h"

uint32_t ivring_version(void)
{
	return IVRING_VERSION;
}
