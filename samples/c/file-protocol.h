/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * How a file travels, from whichever member to the one in slot 0.
 */
#ifndef FILE_PROTOCOL_H
#define FILE_PROTOCOL_H

enum {
	RECEIVER_ID = 0,
	SENDER_ID = 1,
};

/* Ports of the receiver. */
enum {
	BEGIN = 1,	/* payload: the file's name; inline: its size, a uint64_t */
	DATA = 2,	/* payload: a piece of the file; cookie: where it belongs */
	END = 3,	/* nothing */
};

#define CHUNK	65536u	/* bytes of the largest piece */

#endif /* FILE_PROTOCOL_H */
