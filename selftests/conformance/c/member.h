/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The C program of the conformance suite: one member, which does what the lines of its standard
 * input say. selftests/conformance/README.rst lists the commands.
 */
#ifndef MEMBER_H
#define MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include <ivring.h>

/* The lowest slots are enough for every case. */
#define PEERS	8u

/* The program is one member at a time. NULL if it has not joined, or has left. */
extern struct ivr_member *member;

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* One line of input, taken apart: words without '=' in order, and the values of the others. */
struct command {
	const char *word[4];
	const char *key[8], *value[8];
	unsigned int words, values;
};

bool command_read(struct command *command);
const char *command_get(const struct command *command, const char *key, const char *otherwise);
uint32_t command_number(const struct command *command, const char *key, uint32_t otherwise);
uint32_t command_word(const struct command *command, unsigned int index);
uint64_t command_deadline(const struct command *command);
uint64_t command_reply_deadline(const struct command *command);

/* The name of an error in the transcript, for example "EPIPE" for -EPIPE. */
const char *error_name(int error);

/* Prints the last line of an answer: "ok", or the error. */
void print_result(int ret);
void print_item(const char *what, const struct ivring_item *item);
void print_member_event(const struct ivr_member_event *event);

/* Handlers, by the name that a case gives to what they do; NULL if there is no such name. */
ivr_item_fn handler_of(const char *action);
void on_member(struct ivr_member *self, const struct ivr_member_event *event, void *arg);
void on_lane(struct ivr_member *self, struct ivr_peer from, enum ivr_lane_event event, void *arg);
const void *then_of(const char *name);
void on_answer(struct ivr_member *self, int status, const struct ivring_item *reply, void *arg);

/* The peer that is the command's first word: this member, or one that was met. */
struct ivr_peer peer_of(const struct command *command);

/* This member, and all that it has met, in the order of the slots. Returns their number, up to PEERS. */
unsigned int all_peers(struct ivr_peer *peers);

/* Commands that send. */
void do_send(const struct command *command);
void do_send_or_watch(const struct command *command);
void do_watches(const struct command *command);
void do_multicast(const struct command *command);
void do_flush(const struct command *command);
void do_alloc(const struct command *command);
void do_usage(const struct command *command);
void do_lane(const struct command *command);
void do_push(const struct command *command);
void do_call(const struct command *command);
void do_request(const struct command *command);
void do_cancel(const struct command *command);
void do_next_deadline(const struct command *command);

/* The last request that a command has sent, and the member that was asked. */
extern uint64_t request_id;
extern struct ivr_peer request_to;

/* Commands that a good program has no use for. */
int wreck_lane(struct ivr_peer to, const char *how);
int wreck_inbox(void);

#endif /* MEMBER_H */
