// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "member.h"

struct ivr_member *member;

/* The name of the region, which is the program's argument. */
static const char *region;

/* The peers that the case has named, by slot. A peer that has left stays here. */
static struct ivr_peer met[PEERS];

static int meet(uint32_t id, uint64_t deadline)
{
	struct ivr_peer peer;
	int ret;

	if (id >= PEERS)
		return -EINVAL;
	ret = ivr_wait_peer(member, id, deadline, &peer);
	if (!ret)
		met[id] = peer;
	return ret;
}

struct ivr_peer peer_of(const struct command *command)
{
	uint32_t id = command_word(command, 1);

	return id < PEERS && met[id].generation ? met[id] : ivr_self(member);
}

unsigned int all_peers(struct ivr_peer *peers)
{
	struct ivr_peer self = ivr_self(member);
	unsigned int count = 0;
	uint32_t id;

	for (id = 0; id < PEERS; id++)
		if (id == self.id)
			peers[count++] = self;
		else if (met[id].generation)
			peers[count++] = met[id];
	return count;
}

static void print_self(int ret)
{
	struct ivr_peer self;

	if (ret < 0) {
		print_result(ret);
		return;
	}
	self = ivr_self(member);
	printf("ok %" PRIu32 ".%" PRIu32 "\n", self.id, self.generation);
}

static void do_create(const struct command *command)
{
	struct ivr_region_options options = {
		.name = region,
		.slots = PEERS,
		.inbox_entries = command_number(command, "inbox", 8),
		.outbox_bytes = command_number(command, "outbox", 4096),
	};

	print_self(ivr_create(&options, &member));
}

static void do_join(const struct command *command)
{
	print_self(ivr_join(region, command_number(command, "slot", IVRING_ID_ANY),
			    command_deadline(command), &member));
}

static void do_close(const struct command *command)
{
	int ret = ivr_close(member);

	(void)command;
	if (!ret)
		member = NULL;
	print_result(ret);
}

static void do_meet(const struct command *command)
{
	uint32_t id = command_word(command, 1);
	int ret = meet(id, command_deadline(command));

	if (ret)
		print_result(ret);
	else
		printf("ok %" PRIu32 ".%" PRIu32 "\n", id, met[id].generation);
}

static void do_present(const struct command *command)
{
	puts(ivr_is_member(member, peer_of(command)) ? "yes" : "no");
}

static void do_close_lane(const struct command *command)
{
	print_result(ivr_close_lane(member, peer_of(command)));
}

static void do_max_lane(const struct command *command)
{
	ivr_set_max_lane_entries(member, command_word(command, 1));
	print_result(0);
}

static void do_on(const struct command *command)
{
	ivr_item_fn fn = command->words > 2 ? handler_of(command->word[2]) : NULL;

	print_result(fn ? ivr_on(member, command_word(command, 1), fn, NULL) : -EINVAL);
}

static void do_other(const struct command *command)
{
	ivr_item_fn fn = command->words > 1 ? handler_of(command->word[1]) : NULL;

	if (fn)
		ivr_on_other(member, fn, NULL);
	print_result(fn ? 0 : -EINVAL);
}

static void do_members(const struct command *command)
{
	bool stops = command->words > 1 && !strcmp(command->word[1], "stop");

	ivr_on_members(member, on_member, stops ? member : NULL);
	print_result(0);
}

static void do_lanes(const struct command *command)
{
	(void)command;
	ivr_on_lane(member, on_lane, NULL);
	print_result(0);
}

static void do_run(const struct command *command)
{
	(void)command;
	print_result(ivr_run(member));
}

static void do_dispatch(const struct command *command)
{
	uint32_t budget = command_word(command, 1);
	int ret = ivr_dispatch(member, budget);

	if (ret < 0)
		print_result(ret);
	else
		puts((uint32_t)ret == budget ? "more" : "done");
}

static void do_stop(const struct command *command)
{
	(void)command;
	ivr_stop(member);
	print_result(0);
}

static void do_counters(const struct command *command)
{
	struct ivr_counters counters;

	(void)command;
	ivr_get_counters(member, &counters);
	printf("handled=%" PRIu64 " replies=%" PRIu64 " unhandled=%" PRIu64 " refused=%" PRIu64
	       " stray=%" PRIu64 "\n", counters.handled, counters.replies, counters.unhandled,
	       counters.refused, counters.stray);
}

static void do_wait(const struct command *command)
{
	bool members = command->words > 1 && !strcmp(command->word[1], "members");
	int ret = ivr_wait(member, members ? IVRING_WAIT_MEMBERS : 0, command_deadline(command));

	if (ret < 0)
		print_result(ret);
	else
		puts(ret & IVRING_EVENT_ITEMS ? "items" : "members");
}

static void do_arm(const struct command *command)
{
	int ret = ivr_arm(member);

	(void)command;
	if (ret < 0)
		print_result(ret);
	else
		puts(ret ? "armed" : "busy");
}

/* Reads what one ring holds. */
static void do_receive(const struct command *command)
{
	struct ivring_item items[16];
	uint32_t count = command_word(command, 1);
	int ret = ivr_receive(member, items, count < 16 ? count : 16), i;

	for (i = 0; i < ret; i++)
		print_item("item", &items[i]);
	if (ret > 0)
		ret = ivr_consume(member, (unsigned int)ret);
	print_result(ret);
}

/* Prints the events of members, without a dispatcher. */
static void do_news(const struct command *command)
{
	struct ivr_member_event event;
	int ret = ivr_refresh_members(member);

	(void)command;
	if (ret > 0)
		while ((ret = ivr_next_member_event(member, &event)) > 0)
			print_member_event(&event);
	print_result(ret);
}

/* Has as many other members come and go. */
static void do_churn(const struct command *command)
{
	uint32_t left = command_word(command, 1);
	struct ivr_member *other;
	int ret = 0;

	while (!ret && left--) {
		ret = ivr_join_fd(ivr_fd(member), IVRING_ID_ANY, &other);
		if (!ret)
			ret = ivr_close(other);
	}
	print_result(ret);
}

static void do_wreck(const struct command *command)
{
	const char *how = command->words > 2 ? command->word[2] : "";

	print_result(!strcmp(how, "inbox") ? wreck_inbox() : wreck_lane(peer_of(command), how));
}

/* Tries in a child which calls the member of its parent allows. */
static void in_child(void)
{
	struct ivring_item item = { .port = 1 };

	printf("send %s\n", error_name(ivr_send(member, ivr_self(member), &item, 1, 0)));
	printf("wait %s\n", error_name(ivr_wait(member, 0, 0)));
	printf("run %s\n", error_name(ivr_run(member)));
	ivr_stop(member);
	ivr_close(member);
}

static void do_fork(const struct command *command)
{
	pid_t pid = fork();
	int status;

	(void)command;
	if (!pid) {
		in_child();
		exit(EXIT_SUCCESS);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		print_result(-errno);
	else
		print_result(status ? -ECHILD : 0);
}

static const struct {
	const char *name;
	void (*run)(const struct command *command);
} commands[] = {
	{ "create", do_create }, { "join", do_join }, { "close", do_close },
	{ "meet", do_meet }, { "present", do_present }, { "send", do_send }, { "flush", do_flush }, { "multicast", do_multicast },
	{ "send-or-watch", do_send_or_watch }, { "watches", do_watches },
	{ "alloc", do_alloc }, { "usage", do_usage }, { "lane", do_lane }, { "push", do_push },
	{ "close-lane", do_close_lane }, { "max-lane", do_max_lane }, { "on", do_on },
	{ "other", do_other }, { "members", do_members }, { "lanes", do_lanes }, { "run", do_run },
	{ "dispatch", do_dispatch }, { "stop", do_stop }, { "call", do_call },
	{ "request", do_request }, { "cancel", do_cancel }, { "next-deadline", do_next_deadline },
	{ "counters", do_counters }, { "wait", do_wait },
	{ "arm", do_arm }, { "receive", do_receive }, { "news", do_news },
	{ "churn", do_churn }, { "wreck", do_wreck }, { "fork", do_fork },
};

static void run_command(const struct command *command)
{
	const char *name = command->word[0];
	bool joins = !strcmp(name, "create") || !strcmp(name, "join");
	unsigned int i;

	if (joins == !!member) {
		printf("error: has %sjoined\n", joins ? "" : "not ");
		return;
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name)) {
			commands[i].run(command);
			return;
		}
	puts("error: no such command");
}

/* Ends the dispatcher, as SIGTERM should. */
static void on_terminate(int signal)
{
	(void)signal;
	if (member)
		ivr_stop(member);
}

/* Does nothing but interrupt what waits. */
static void on_interrupt(int signal)
{
	(void)signal;
}

int main(int argc, char **argv)
{
	struct sigaction terminate = { .sa_handler = on_terminate, .sa_flags = SA_RESTART };
	struct sigaction interrupt = { .sa_handler = on_interrupt };
	struct command command;

	if (argc != 2) {
		fprintf(stderr, "usage: %s REGION\n", argv[0]);
		return EXIT_FAILURE;
	}
	region = argv[1];
	sigaction(SIGTERM, &terminate, NULL);
	sigaction(SIGUSR1, &interrupt, NULL);
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	/* An answer ends with a line of a dot. */
	for (; command_read(&command); puts("."))
		if (command.words)
			run_command(&command);
	ivr_close(member);
	return EXIT_SUCCESS;
}
