// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Receives a file. There is one handler for each port. The handlers check everything that the
 * sender says.
 */

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "file-protocol.h"
#include "sample.h"

struct transfer {
	int directory;
	int file;			/* -1 before BEGIN */
	struct ivr_peer sender;
	uint64_t size, bytes, items, start, time;
	bool complete;
};

static void on_begin(struct ivr_member *member, const struct ivring_item *item, void *arg)
{
	struct transfer *transfer = arg;
	char name[NAME_MAX + 1] = "";
	int length;

	if (transfer->file >= 0)
		errx(EXIT_FAILURE, "more than one file");
	length = check(ivr_copy_payload(member, item, name, NAME_MAX), "file name");
	if (!length || strlen(name) != (size_t)length || strchr(name, '/') ||
	    !strcmp(name, ".") || !strcmp(name, ".."))
		errx(EXIT_FAILURE, "bad file name");
	check(ivr_get_inline(item, &transfer->size, sizeof(transfer->size)), "file size");

	/* The sender must not replace an existing file. */
	transfer->file = openat(transfer->directory, name,
				O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (transfer->file < 0)
		err(EXIT_FAILURE, "cannot make the file");
	transfer->sender = ivr_sender(item);
	transfer->items = 1;
	transfer->start = now();
}

/* Accepts only items of the member that has begun the transfer, and only until the end. */
static void check_sender(struct transfer *transfer, const struct ivring_item *item)
{
	struct ivr_peer from = ivr_sender(item);

	if (transfer->file < 0 || transfer->complete || from.id != transfer->sender.id ||
	    from.generation != transfer->sender.generation)
		errx(EXIT_FAILURE, "an item does not belong to the transfer");
	transfer->items++;
}

static void on_data(struct ivr_member *member, const struct ivring_item *item, void *arg)
{
	struct transfer *transfer = arg;
	const void *data;
	uint32_t done;
	ssize_t ret;

	check_sender(transfer, item);
	if (item->cookie != transfer->bytes || item->length > transfer->size - transfer->bytes)
		errx(EXIT_FAILURE, "the data has a wrong offset or length");
	check(ivr_payload(member, item, &data), "data");
	/* The data goes directly from the sender's outbox into the file. */
	for (done = 0; done < item->length; done += (uint32_t)ret) {
		ret = write(transfer->file, (const char *)data + done, item->length - done);
		if (ret < 0)
			err(EXIT_FAILURE, "write");
	}
	transfer->bytes += item->length;
}

static void on_end(struct ivr_member *member, const struct ivring_item *item, void *arg)
{
	struct transfer *transfer = arg;

	(void)member;
	check_sender(transfer, item);
	if (transfer->bytes != transfer->size)
		errx(EXIT_FAILURE, "received %" PRIu64 " of %" PRIu64 " bytes", transfer->bytes,
		     transfer->size);
	transfer->complete = true;
	transfer->time = now() - transfer->start;
}

/* The sender reads this member's counters before it leaves, so the receiver leaves after it. */
static void on_members(struct ivr_member *member, const struct ivr_member_event *event, void *arg)
{
	struct transfer *transfer = arg;

	if (transfer->file >= 0 && has_left(event, transfer->sender))
		ivr_stop(member);
}

int main(int argc, char **argv)
{
	struct ivr_region_options options = {
		.name = argv[1],
		.slots = 2,
		.inbox_entries = 64,
		.outbox_bytes = 16 * CHUNK,
		.mode = 0600,
	};
	struct transfer transfer = { .file = -1 };
	struct ivr_member *member;

	if (argc != 3)
		errx(EXIT_FAILURE, "usage: recv-file NAME DIRECTORY");
	transfer.directory = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (transfer.directory < 0)
		err(EXIT_FAILURE, "%s", argv[2]);

	check(ivr_create(&options, &member), argv[1]);
	check(ivr_on(member, BEGIN, on_begin, &transfer), "handler");
	check(ivr_on(member, DATA, on_data, &transfer), "handler");
	check(ivr_on(member, END, on_end, &transfer), "handler");
	ivr_on_members(member, on_members, &transfer);
	check(ivr_run(member), "run");

	if (!transfer.complete)
		errx(EXIT_FAILURE, "the sender left before the end");
	print_figures(member, RECEIVER_ID, transfer.items, transfer.bytes, transfer.time);
	puts("");
	ivr_close(member);
	return EXIT_SUCCESS;
}
