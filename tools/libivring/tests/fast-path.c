// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A program that sends by a lane, for fast-path-test. It compiles as C and as C++.
 */

#include <ivring.h>

int fast_path(struct ivr_lane *lane, const struct ivring_item *item);

int fast_path(struct ivr_lane *lane, const struct ivring_item *item)
{
	int ret = ivr_lane_push(lane, item);

	return ret ? ret : ivr_lane_notify(lane);
}
