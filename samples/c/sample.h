/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What all samples do: give up on errors, and print their figures.
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

/* Passes on what a library call returned, unless it failed. */
static inline int check(int ret, const char *what)
{
	if (ret < 0) {
		errno = -ret;
		err(EXIT_FAILURE, "%s", what);
	}
	return ret;
}

/* Nanoseconds, from wherever. */
static inline uint64_t now(void)
{
	return ivr_deadline_ms(0);
}

/* Whether that member has left. */
static inline bool has_left(const struct ivr_member_event *change, struct ivr_peer peer)
{
	return change->event == IVR_MEMBER_LEFT && change->peer.id == peer.id &&
	       change->peer.generation == peer.generation;
}

/*
 * Runs @sender in a process of its own, which is given a descriptor of @member's region,
 * and waits until it is member 1 there.
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

/* Prints the line that begins with the program's name, up to but not including its end. */
static inline void print_line(uint64_t items, uint64_t bytes, uint64_t rung,
			      uint64_t suppressed, uint64_t time)
{
	printf("%s: items %" PRIu64 ", bytes %" PRIu64
	       ", doorbells rung %" PRIu64 ", suppressed %" PRIu64 ", time %.3f s",
	       program_invocation_short_name, items, bytes, rung, suppressed,
	       (double)time / 1e9);
}

/* The same; the doorbells are those of the member in slot @id, since it came. */
static inline void print_figures(const struct ivr_member *member, uint32_t id, uint64_t items,
				 uint64_t bytes, uint64_t time)
{
	struct ivring_member_info info;

	check(ivr_member_info(member, id, &info), "counters");
	print_line(items, bytes, info.stats.rung, info.stats.suppressed, time);
}

#endif /* SAMPLE_H */
