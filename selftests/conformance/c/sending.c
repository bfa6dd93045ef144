// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Commands that send.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "member.h"

/* The item that a command describes. Its payload is in a new block, which is NULL without payload. */
static int make_item(const struct command *command, struct ivring_item *item, void **block)
{
	const char *text = command_get(command, "text", ""), *payload = command_get(command, "payload", "");
	size_t length = strlen(payload);
	int ret;

	*block = NULL;
	*item = (struct ivring_item){
		.port = command_number(command, "port", 1),
		.cookie = command_number(command, "cookie", 0),
	};
	ret = ivr_set_inline(item, text, strlen(text));
	if (ret || !length)
		return ret;
	ret = ivr_alloc(member, length, command_deadline(command), block);
	if (ret)
		return ret;
	memcpy(*block, payload, length);
	return ivr_set_payload(member, item, *block, length);
}

/* Prints the result. If the item was not sent, its block is still this member's: frees it. */
static void print_sent(int ret, void *block)
{
	print_result(ret);
	if (ret < 0 && block)
		ivr_free(member, block);
}

void do_send(const struct command *command)
{
	uint32_t count = command_number(command, "count", 1), i;
	struct ivring_item *items = calloc(count ? count : 1, sizeof(*items));
	void *block = NULL;
	int ret = items ? make_item(command, &items[0], &block) : -ENOMEM;

	for (i = 1; !ret && i < count; i++) {
		items[i] = items[0];
		items[i].cookie += i;
	}
	if (!ret)
		ret = ivr_send(member, peer_of(command), items, count, command_deadline(command));
	if (ret < 0)
		print_sent(ret, block);
	else
		printf("sent %d\n", ret);
	free(items);
}

/* Sends one item, or watches the receiver if there is no room. */
void do_send_or_watch(const struct command *command)
{
	struct ivring_item item;
	void *block;
	int ret = make_item(command, &item, &block);

	if (!ret)
		ret = ivr_send_or_watch(member, peer_of(command), &item, 1);
	if (ret < 0)
		print_sent(ret, block);
	else
		printf("sent %d\n", ret);
}

/* Sleeps in poll() until a watch is over, and prints all that are. */
void do_watches(const struct command *command)
{
	struct pollfd pollfd = { .fd = ivr_fd(member), .events = POLLOUT };
	struct ivr_watch watch;
	int ret = poll(&pollfd, 1, (int)command_number(command, "ms", 0));

	if (!ret)
		ret = -ETIMEDOUT;
	while (ret > 0 && (ret = ivr_next_watch(member, &watch)) > 0)
		printf("watch %u.%u %s\n", watch.peer.id, watch.peer.generation,
		       watch.by_lane ? "lane" : "inbox");
	print_result(ret);
}

/* Sends one item to this member and to all that it has met. */
void do_multicast(const struct command *command)
{
	struct ivr_peer peers[PEERS];
	int results[PEERS];
	unsigned int count = all_peers(peers), i;
	struct ivring_item item;
	void *block;
	int ret = make_item(command, &item, &block);

	if (!ret && !ivr_multicast(member, peers, count, &item, command_deadline(command), results) && block)
		ivr_free(member, block);
	for (i = 0; !ret && i < count; i++)
		printf("to %u.%u %s\n", peers[i].id, peers[i].generation,
		       results[i] ? error_name(results[i]) : "ok");
	print_result(ret);
}

void do_flush(const struct command *command)
{
	print_result(ivr_flush(member, peer_of(command), command_deadline(command)));
}

void do_alloc(const struct command *command)
{
	void *block;

	print_result(ivr_alloc(member, command_word(command, 1), command_deadline(command), &block));
}

/* Prints the usage of the outbox, in total and by receiver. */
void do_usage(const struct command *command)
{
	struct ivr_receiver_usage receivers[PEERS];
	struct ivr_outbox_usage usage;
	int ret = ivr_outbox_usage(member, &usage, receivers, PEERS), i;

	(void)command;
	if (ret >= 0)
		printf("used=%" PRIu64 " held=%" PRIu64 "\n", usage.used, usage.held);
	for (i = 0; i < ret; i++)
		printf("%" PRIu32 ".%" PRIu32 " bytes=%" PRIu64 " blocks=%" PRIu64 "\n",
		       receivers[i].peer.id, receivers[i].peer.generation, receivers[i].bytes,
		       receivers[i].blocks);
	print_result(ret < 0 ? ret : 0);
}

void do_lane(const struct command *command)
{
	print_result(ivr_open_lane(member, peer_of(command), command_number(command, "entries", 16),
				   command_deadline(command)));
}

/* Sends an item by a lane, and does not notify the receiver. */
void do_push(const struct command *command)
{
	struct ivr_lane *lane = ivr_lane(member, peer_of(command));
	struct ivring_item item;
	void *block;
	int ret = make_item(command, &item, &block);

	if (!ret)
		ret = lane ? ivr_lane_push(lane, &item) : -ENOENT;
	print_sent(ret, block);
}

static void on_reply(struct ivr_member *self, int status, const struct ivring_item *reply, void *arg)
{
	(void)self;
	(void)status;
	(void)arg;
	print_item("reply", reply);
}

void do_call(const struct command *command)
{
	struct ivring_item item;
	void *block;
	int ret = make_item(command, &item, &block);

	if (!ret)
		ret = ivr_call(member, peer_of(command), &item, command_deadline(command), on_reply, NULL);
	print_sent(ret, block);
}

uint64_t request_id;
struct ivr_peer request_to;

void do_cancel(const struct command *command)
{
	(void)command;
	print_result(ivr_cancel(member, request_id));
}

void do_request(const struct command *command)
{
	struct ivring_item item;
	void *block;
	int ret = make_item(command, &item, &block);

	if (!ret)
		ret = ivr_request(member, peer_of(command), &item, command_deadline(command),
				  command_reply_deadline(command), on_answer,
				  (void *)then_of(command_get(command, "then", "")), &request_id);
	if (!ret)
		request_to = peer_of(command);
	print_sent(ret, block);
}

/* Prints when the next request ends. */
void do_next_deadline(const struct command *command)
{
	uint64_t deadline = ivr_next_deadline(member);

	(void)command;
	if (deadline == IVRING_DEADLINE_NEVER)
		puts("never");
	else
		puts(deadline <= ivr_deadline_ms(0) ? "passed" : "later");
}
