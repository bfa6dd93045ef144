/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Shared by all samples: they end at the first error, and print their figures.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <ivring.h>

/* Returns the result of a library call. Ends the program if the call has failed. */
static inline int check(int ret, const char *what)
{
	if (ret < 0) {
		errno = -ret;
		err(EXIT_FAILURE, "%s", what);
	}
	return ret;
}

/* The clock of deadlines, in nanoseconds. */
static inline uint64_t now(void)
{
	return ivr_deadline_ms(0);
}

/* Whether the event says that @peer has left. */
static inline bool has_left(const struct ivr_member_event *event, struct ivr_peer peer)
{
	return event->event == IVR_MEMBER_LEFT && event->peer.id == peer.id &&
	       event->peer.generation == peer.generation;
}

/*
 * Runs @sender in a child process with a descriptor of @member's region, and waits until the child
 * is the member in slot 1.
 */
static inline struct ivr_peer start_sender(struct ivr_member *member, int (*sender)(int region_fd))
{
	struct ivr_peer peer;
	pid_t pid = fork();

	if (pid < 0)
		err(EXIT_FAILURE, "fork");
	if (!pid)
		exit(sender(ivr_fd(member)));
	check(ivr_wait_peer(member, 1, ivr_deadline_ms(30000), &peer), "sender");
	return peer;
}

/* Prints the figures after the program's name, without a newline. */
static inline void print_line(uint64_t items, uint64_t bytes, uint64_t rung,
			      uint64_t suppressed, uint64_t time)
{
	printf("%s: items %" PRIu64 ", bytes %" PRIu64
	       ", doorbells rung %" PRIu64 ", suppressed %" PRIu64 ", time %.3f s",
	       program_invocation_short_name, items, bytes, rung, suppressed,
	       (double)time / 1e9);
}

/*
 * Prints the same line. The doorbells are those of the member in slot @id, from the time that it
 * attached.
 */
static inline void print_figures(const struct ivr_member *member, uint32_t id, uint64_t items,
				 uint64_t bytes, uint64_t time)
{
	struct ivring_member_info info;

	check(ivr_member_info(member, id, &info), "counters");
	print_line(items, bytes, info.stats.rung, info.stats.suppressed, time);
}

#endif /* SAMPLE_H */
