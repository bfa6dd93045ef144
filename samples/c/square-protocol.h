/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * How squares are asked for. The server is in slot 0.
 */
#ifndef SQUARE_PROTOCOL_H
#define SQUARE_PROTOCOL_H

enum {
	SERVER_ID = 0,
	CLIENT_ID = 1,
};

/* Ports of the server. */
enum {
	SQUARE = 1,	/* inline: a number, or the answer to it, a uint64_t */
	STOP = 2,	/* nothing */
};

#endif /* SQUARE_PROTOCOL_H */
