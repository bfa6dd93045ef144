// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Printing answers.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "member.h"

const char *error_name(int error)
{
	const char *name = strerrorname_np(-error);

	return name ? name : "an unknown error";
}

void print_result(int ret)
{
	if (ret < 0) {
		printf("error %s\n", error_name(ret));
		fprintf(stderr, "# %s\n", ivr_why());
	} else {
		puts("ok");
	}
}

/* Prints the payload, which is text, after a copy of it has been taken. */
static void print_payload(const struct ivring_item *item)
{
	char *copy = malloc(item->length + 1);
	int ret = copy ? ivr_copy_payload(member, item, copy, item->length) : -ENOMEM;

	if (ret < 0)
		printf(" payload:%s", error_name(ret));
	else
		printf(" payload=%.*s", ret, copy);
	free(copy);
}

void print_item(const char *what, const struct ivring_item *item)
{
	struct ivr_peer from = ivr_sender(item);

	printf("%s %" PRIu32 ".%" PRIu32 " port=%" PRIu32, what, from.id, from.generation, item->port);
	if (item->cookie && !(item->flags & (IVRING_ITEM_REQUEST | IVRING_ITEM_REPLY)))
		printf(" cookie=%" PRIu64, (uint64_t)item->cookie);
	if (item->inline_len)
		printf(" text=%.*s", item->inline_len, (const char *)item->data);
	if (item->length)
		print_payload(item);
	putchar('\n');
}

void print_member_event(const struct ivr_member_event *event)
{
	if (event->skipped)
		printf("skipped %" PRIu32 " members=%" PRIu32 "\n", event->peer.id, event->skipped);
	printf("%s %" PRIu32 ".%" PRIu32 "\n", event->event == IVR_MEMBER_JOINED ? "joined" : "left",
	       event->peer.id, event->peer.generation);
}
