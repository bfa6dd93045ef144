/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The protocol of direct-send and direct-recv: numbers go by a lane from slot 1 to slot 0.
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
	END = 2,	/* cookie: the sum of all numbers; there are no more numbers */
};

#define LANE_ENTRIES	1024u

#endif /* DIRECT_PROTOCOL_H */
