// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Sends a file. Reads it into blocks of the outbox, which the receiver reads.
 */

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file-protocol.h"
#include "sample.h"

#define PATIENCE_MS	30000

static struct ivr_member *member;
static struct ivr_peer receiver;
static uint64_t items, bytes;

static void *alloc(size_t length)
{
	void *block = NULL;

	/*
	 * While the outbox is full, this call waits until the receiver has read a block or has
	 * left.
	 */
	check(ivr_alloc(member, length, IVRING_DEADLINE_NEVER, &block), "outbox");
	return block;
}

static void send_item(struct ivring_item *item, const void *payload, size_t length)
{
	check(ivr_set_payload(member, item, payload, length), "payload");
	check(ivr_send(member, receiver, item, 1, IVRING_DEADLINE_NEVER), "send");
	items++;
}

static void send_begin(const char *path, uint64_t size)
{
	struct ivring_item item = { .port = BEGIN };
	const char *name = basename(path);
	size_t length = strlen(name);
	void *block = alloc(length);

	memcpy(block, name, length);
	check(ivr_set_inline(&item, &size, sizeof(size)), "size");
	send_item(&item, block, length);
}

static void send_data(int file)
{
	for (;;) {
		struct ivring_item item = { .port = DATA, .cookie = bytes };
		void *block = alloc(CHUNK);
		ssize_t got = read(file, block, CHUNK);

		if (got < 0)
			err(EXIT_FAILURE, "read");
		if (!got) {
			check(ivr_free(member, block), "free");
			return;
		}
		send_item(&item, block, (size_t)got);
		bytes += (uint64_t)got;
	}
}

int main(int argc, char **argv)
{
	struct ivring_item end = { .port = END };
	struct stat status;
	uint64_t start;
	int file;

	if (argc != 3)
		errx(EXIT_FAILURE, "usage: send-file NAME FILE");
	file = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (file < 0 || fstat(file, &status))
		err(EXIT_FAILURE, "%s", argv[2]);
	if (!S_ISREG(status.st_mode))
		errx(EXIT_FAILURE, "%s: not a regular file", argv[2]);

	check(ivr_join(argv[1], SENDER_ID, ivr_deadline_ms(PATIENCE_MS), &member), argv[1]);
	check(ivr_wait_peer(member, RECEIVER_ID, ivr_deadline_ms(PATIENCE_MS), &receiver),
	      "receiver");

	start = now();
	send_begin(argv[2], (uint64_t)status.st_size);
	send_data(file);
	send_item(&end, NULL, 0);
	/*
	 * The outbox goes when this member leaves, so the receiver must have read all items before.
	 */
	check(ivr_flush(member, receiver, IVRING_DEADLINE_NEVER), "flush");
	print_figures(member, RECEIVER_ID, items, bytes, now() - start);
	puts("");
	ivr_close(member);
	return EXIT_SUCCESS;
}
