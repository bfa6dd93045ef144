/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The protocol of request and reply. The server is the member in slot 0.
 */
#ifndef SQUARE_PROTOCOL_H
#define SQUARE_PROTOCOL_H

enum {
	SERVER_ID = 0,
	CLIENT_ID = 1,
};

/* Ports of the server. */
enum {
	SQUARE = 1,	/* inline: a number or its square, a uint64_t */
	STOP = 2,	/* no data; the server stops */
};

#endif /* SQUARE_PROTOCOL_H */
