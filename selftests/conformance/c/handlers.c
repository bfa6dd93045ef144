// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The handlers that a case can register. Each prints first the event that it was called for.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "member.h"

static void on_print(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	(void)self;
	(void)arg;
	print_item("item", item);
}

/* Answers with the same data. */
static int answer(struct ivr_member *self, const struct ivring_item *item)
{
	struct ivring_item reply = { .port = item->port };
	int ret = ivr_set_inline(&reply, item->data, item->inline_len);

	/* A mistake of a client must not end the server. */
	return ret ? ret : ivr_reply(self, item, &reply, 0);
}

static void print_failure(const char *what, int ret)
{
	if (ret < 0)
		printf("%s %s\n", what, error_name(ret));
}

static void on_echo(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	(void)arg;
	print_item("item", item);
	print_failure("reply", answer(self, item));
}

static void on_twice(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	on_echo(self, item, arg);
	print_failure("reply", answer(self, item));
}

static void on_refuse(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	struct ivring_item refusal = { .port = item->port, .flags = IVRING_ITEM_REFUSED };

	(void)arg;
	print_item("item", item);
	print_failure("refusal", ivr_reply(self, item, &refusal, 0));
}

static void on_stop(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	(void)arg;
	print_item("item", item);
	ivr_stop(self);
}

static void on_shut(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	(void)arg;
	print_item("item", item);
	ivr_close_lane(self, ivr_sender(item));
}

/* Fills the inbox of its own member, and then waits for room there. */
static void on_fill(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	struct ivring_item more = { .port = item->port + 1 };
	int ret;

	(void)arg;
	print_item("item", item);
	do
		ret = ivr_send(self, ivr_self(self), &more, 1, 0);
	while (ret > 0);
	print_failure("fill", ret);
	print_failure("wait", ivr_send(self, ivr_self(self), &more, 1, IVRING_DEADLINE_NEVER));
}

/* Sends a request to the item's sender; the answer comes when this handler has returned. */
static void on_ask(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	struct ivring_item request = { .port = item->port };

	(void)arg;
	print_item("item", item);
	print_failure("request", ivr_request(self, ivr_sender(item), &request, 0, IVRING_DEADLINE_NEVER,
					     on_answer, NULL, NULL));
}

ivr_item_fn handler_of(const char *action)
{
	static const struct {
		const char *name;
		ivr_item_fn fn;
	} handlers[] = {
		{ "print", on_print }, { "echo", on_echo }, { "twice", on_twice },
		{ "refuse", on_refuse }, { "stop", on_stop }, { "shut", on_shut },
		{ "fill", on_fill }, { "ask", on_ask },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(handlers); i++)
		if (!strcmp(handlers[i].name, action))
			return handlers[i].fn;
	return NULL;
}

/* With an argument it stops the dispatcher, too. */
void on_member(struct ivr_member *self, const struct ivr_member_event *event, void *arg)
{
	print_member_event(event);
	if (arg)
		ivr_stop(self);
}

void on_lane(struct ivr_member *self, struct ivr_peer from, enum ivr_lane_event event, void *arg)
{
	const char *what = "failed";

	(void)self;
	(void)arg;
	if (event == IVR_LANE_OPENED)
		what = "opened";
	else if (event == IVR_LANE_LEFT)
		what = "left";
	printf("lane %u.%u %s\n", from.id, from.generation, what);
}

/* The action of the handler of an answer, after it has printed the answer. */

static void then_stop(struct ivr_member *self)
{
	ivr_stop(self);
}

static void then_ask(struct ivr_member *self)
{
	struct ivring_item request = { .port = 1 };

	print_failure("request", ivr_request(self, request_to, &request, 0, 0, on_answer, NULL, NULL));
}

static void then_cancel(struct ivr_member *self)
{
	int ret = ivr_cancel(self, request_id);

	printf("cancel %s\n", ret ? error_name(ret) : "ok");
}

static const struct then {
	const char *name;
	void (*fn)(struct ivr_member *self);
} thens[] = {
	{ "stop", then_stop }, { "ask", then_ask }, { "cancel", then_cancel },
};

const void *then_of(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(thens); i++)
		if (!strcmp(thens[i].name, name))
			return &thens[i];
	return NULL;
}

/* The argument is the result of then_of(). */
void on_answer(struct ivr_member *self, int status, const struct ivring_item *reply, void *arg)
{
	if (status)
		printf("answer %s\n", error_name(status));
	else
		print_item("answer", reply);
	if (arg)
		((const struct then *)arg)->fn(self);
}
