/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * How numbers travel by a lane, from the member in slot 1 to the one in slot 0.
 */
#ifndef DIRECT_PROTOCOL_H
#define DIRECT_PROTOCOL_H

enum {
	RECEIVER_ID = 0,
	SENDER_ID = 1,
};

/* Ports of the receiver. */
enum {
	NUMBER = 1,	/* cookie: a number */
	END = 2,	/* cookie: the sum of all numbers, which were all */
};

#define LANE_ENTRIES	1024u

#endif /* DIRECT_PROTOCOL_H */
