/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The protocol of send-file and recv-file: a file goes from any member to the member in slot 0.
 */
#ifndef FILE_PROTOCOL_H
#define FILE_PROTOCOL_H

enum {
	RECEIVER_ID = 0,
	SENDER_ID = 1,
};

/* Ports of the receiver. */
enum {
	BEGIN = 1,	/* payload: name of the file; inline: its size, a uint64_t */
	DATA = 2,	/* payload: a piece of the file; cookie: its offset in the file */
	END = 3,	/* no data; the file is complete */
};

#define CHUNK	65536u	/* size of the largest piece in bytes */

#endif /* FILE_PROTOCOL_H */
