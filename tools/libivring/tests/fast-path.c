// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * What a program that sends by a lane compiles into: see fast-path-test. In C and in C++.
 */

#include <ivring.h>

int fast_path(struct ivr_lane *lane, const struct ivring_item *item);

int fast_path(struct ivr_lane *lane, const struct ivring_item *item)
{
	int ret = ivr_lane_push(lane, item);

	return ret ? ret : ivr_lane_publish(lane);
}
