/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A storm: many members send to each other at random, sleep in random ways, and some of
 * them are killed and replaced. In the end each survivor must have received all items that
 * the other survivors have sent to it.
 *
 * IVRING_STRESS_SECONDS sets the duration. IVRING_SEED repeats the random choices. The
 * program defines MEMBERS before it includes this file.
 */
#ifndef STORM_H
#define STORM_H

#include "ivring_test.h"
#include "ways.h"

/* The items between this process and one other member. */
struct traffic {
	__u32 to_gen;		/* generation of the member that it sends to; 0: none */
	__u64 sent;		/* items to this generation */
	__u32 from_gen;		/* generation of the last sender */
	__u64 received;		/* items from this generation */
};

/* What a process has sent, for the others to compare with what they have received. */
struct account {
	__u32 generation;
	__u32 to[MEMBERS];	/* generations */
	__u64 sent[MEMBERS];
};

/* Shared by all processes of the test. */
struct books {
	int stop;		/* set when members are to stop sending */
	int done;		/* how many members have sent their last item */
	struct account account[MEMBERS];
	__u64 items;
	__u64 sleeps;
};

/* What differs between storms. */
struct storm {
	int seconds;			/* how long it lasts by default */
	void (*send_some)(__u32 id);
	void (*receive_all)(void);
	void (*before_sleep)(void);	/* or NULL */
	void (*after_sleep)(struct sleeper *s, bool woken);	/* or NULL */
	bool (*pending)(void);		/* whether there is anything to receive */
	bool (*more)(void);		/* as in struct sleeper */
};

static struct books *books;
static struct member me;
static struct traffic traffic[MEMBERS];

#define CHECK(cond, fmt, ...)						\
do {									\
	if (!(cond)) {							\
		fprintf(stderr, "# %s:%d: member %u:%u: " fmt "\n", __FILE_NAME__, \
			__LINE__, me.id, me.generation, ##__VA_ARGS__);	\
		_exit(1);						\
	}								\
} while (0)

static inline void count(__u64 *counter, __u64 by)
{
	__atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}

static inline int storm_seconds(const struct storm *storm)
{
	const char *s = getenv("IVRING_STRESS_SECONDS");

	return s ? atoi(s) : storm->seconds;
}

/*
 * A storm of fewer items has tested nothing. A debug kernel that shares its CPUs with two other
 * guests has sent 800 items a second.
 */
static inline __u64 storm_least_items(const struct storm *storm)
{
	return 500ull * storm_seconds(storm);
}

static inline void storm_sleep(const struct storm *storm, const struct way *way,
			       struct sleeper *s)
{
	int ms = rng_below(20) ? rng_below(20) : 3000;
	int ret;

	if (storm->before_sleep)
		storm->before_sleep();
	ret = way->sleep(s, ms);
	CHECK(ret >= 0, "%s: %d", way->name, ret);
	CHECK(ret || ms < 3000 || !storm->pending(), "overslept in %s", way->name);
	count(&books->sleeps, 1);
	member_see_members(&me);
	if (storm->after_sleep)
		storm->after_sleep(s, ret);
}

static inline void storm_write_account(void)
{
	struct account *account = &books->account[me.id];
	__u32 i;

	account->generation = me.generation;
	for (i = 0; i < MEMBERS; i++) {
		account->to[i] = traffic[i].to_gen;
		account->sent[i] = traffic[i].sent;
	}
	__atomic_fetch_add(&books->done, 1, __ATOMIC_ACQ_REL);
}

/* Every item came that a member which is still there has sent to this one. */
static inline void storm_compare(void)
{
	__u32 id;

	for (id = 0; id < MEMBERS; id++) {
		const struct account *a = &books->account[id];
		const struct traffic *t = &traffic[id];

		if (a->to[me.id] != me.generation || !a->sent[me.id])
			continue;
		CHECK(t->from_gen == a->generation && t->received == a->sent[me.id],
		      "%llu of %llu items of %u:%u came", t->received, a->sent[me.id], id,
		      a->generation);
	}
}

static inline void storm_run_member(const struct storm *storm, int region_fd, __u32 id)
{
	static const struct way *const ways[] = {
		&way_wait, &way_wait_members, &way_wait_armed, &way_poll, &way_select,
		&way_epoll_level, &way_epoll_edge, &way_eventfd, &way_uring,
		&way_uring_multishot,
	};
	const struct way *way = ways[rng_below(ARRAY_SIZE(ways))];
	struct sleeper s = { .member = &me, .more = storm->more };
	int ret = member_succeed(&me, region_fd, id);

	CHECK(!ret, "attach to slot %u: %d", id, ret);
	close(region_fd);
	if (way->open(&s))
		way = &way_wait;
	while (!LOAD(&books->stop)) {
		storm->receive_all();
		if (rng_below(4))
			storm->send_some(rng_below(MEMBERS));
		else
			storm_sleep(storm, way, &s);
	}
	storm_write_account();
	while (LOAD(&books->done) < MEMBERS) {
		storm->receive_all();
		usleep(1000);
	}
	storm->receive_all();
	storm_compare();
	_exit(0);
}

static inline pid_t storm_start_member(const struct storm *storm, int region_fd, __u32 id)
{
	pid_t pid;

	/* Each process makes other choices. */
	rng_below(1);
	pid = child_fork();
	if (!pid) {
		rng += id + 1;
		storm_run_member(storm, region_fd, id);
	}
	return pid;
}

static inline void *storm_shared(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* Run the storm. Return how many members were killed, or -1 if one has failed. */
static inline int storm_run(const struct storm *storm, int region_fd)
{
	__u64 end = now() + storm_seconds(storm) * SEC;
	int i, kills = 0, failed = 0;
	pid_t pid[MEMBERS];

	books = storm_shared(sizeof(*books));
	for (i = 0; i < MEMBERS; i++)
		pid[i] = storm_start_member(storm, region_fd, i);
	while (now() < end) {
		usleep(50000 + rng_below(200000));
		i = rng_below(MEMBERS);
		kill(pid[i], SIGKILL);
		/* A member that has failed has exited before. */
		if (child_wait(pid[i]) != -SIGKILL)
			return -1;
		pid[i] = storm_start_member(storm, region_fd, i);
		kills++;
	}
	STORE(&books->stop, 1);
	for (i = 0; i < MEMBERS; i++)
		failed |= child_wait(pid[i]);
	return failed ? -1 : kills;
}

#endif /* STORM_H */
