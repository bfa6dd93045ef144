// SPDX-License-Identifier: GPL-2.0
/*
 * Looking at the rings costs no more than there is to see. Costs are compared within one
 * run, so the bounds hold on any machine as long as both sides are disturbed alike. The
 * figures are printed.
 */

#include "ivring_test.h"
#include "lane.h"

#define SAMPLES	101
#define CALLS	50	/* calls per sample */
#define MANY	500	/* lanes */

typedef void (*call_fn)(const struct member *member);

static void wait_once(const struct member *member)
{
	dev_wait(member->fd, 0, 0, NULL);
}

/* The member goes idle and so looks twice. */
static void poll_once(const struct member *member)
{
	dev_poll(member->fd, POLLIN);
}

static const struct {
	const char *name;
	call_fn call;
} calls[] = { { "WAIT", wait_once }, { "poll()", poll_once } };

static __u64 time_of(call_fn call, const struct member *member)
{
	__u64 start = now();
	int i;

	for (i = 0; i < CALLS; i++)
		call(member);
	return (now() - start) / CALLS;
}

static int compare(const void *a, const void *b)
{
	const __u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static __u64 median(__u64 *samples)
{
	qsort(samples, SAMPLES, sizeof(*samples), compare);
	return samples[SAMPLES / 2];
}

/* Nanoseconds that a call takes for each of two members, by turns. */
static void measure(call_fn call, const struct member *a, const struct member *b, __u64 *of_a, __u64 *of_b)
{
	__u64 samples[2][SAMPLES];
	int i;

	for (i = 0; i < SAMPLES; i++) {
		samples[0][i] = time_of(call, a);
		samples[1][i] = time_of(call, b);
	}
	*of_a = median(samples[0]);
	*of_b = median(samples[1]);
}

/*
 * Expect that @many is at most twice @few, both in nanoseconds. Nothing is expected of a module
 * that is built for coverage, because its code is slower and the rest of the kernel is not.
 */
#define EXPECT_AT_MOST_TWICE(many, few)						\
do {										\
	if (access("/sys/module/ivring_coverage", F_OK))			\
		EXPECT_LE(many, 2 * (few));					\
} while (0)

/* The first lane of a large region costs as much as the first lane of a small one. */
TEST(one_lane_in_many_slots)
{
	__u64 none, one;
	struct lane_out out;
	struct member a, b;
	unsigned int i;

	ASSERT_EQ(0, member_create(&a, IVRING_MAX_SLOTS, 8, 4096));
	ASSERT_EQ(0, member_join_slot(&b, a.fd, IVRING_MAX_SLOTS - 1));
	member_see_members(&a);
	member_see_members(&b);
	ASSERT_EQ(0, lane_open(&out, &b, &a, 2));
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		measure(calls[i].call, &b, &a, &none, &one);
		TH_LOG("%s of %u slots: %llu ns without a lane, %llu ns with one", calls[i].name,
		       IVRING_MAX_SLOTS, none, one);
		EXPECT_AT_MOST_TWICE(one, none);
	}
	lane_unmap(&out, &b);
	member_close(&b);
	member_close(&a);
}

/* A member with lanes from others, of which the first sends. */
struct many {
	struct member to;
	struct member from;
	struct lane_out out;
	struct lane_in in;
	int fd[MANY];
	int count;
};

static int make_many(struct many *m, int count)
{
	struct ivring_attach a;
	int ret = member_create(&m->to, MANY + 1, 8, 4096);

	if (!ret)
		ret = member_join(&m->from, m->to.fd);
	if (!ret)
		ret = lane_open(&m->out, &m->from, &m->to, 8);
	if (!ret)
		ret = lane_accept(&m->in, &m->to, m->from.id);
	for (m->count = 1; !ret && m->count < count; m->count++) {
		m->fd[m->count] = dev_open();
		a = attach_args(m->to.fd, IVRING_ID_ANY);
		ret = dev_ioctl(m->fd[m->count], IVRING_IOC_ATTACH, &a);
		if (!ret)
			ret = dev_open_lane(m->fd[m->count], m->to.id, m->to.generation, 8);
	}
	member_see_members(&m->to);
	return ret;
}

static void drop_many(struct many *m)
{
	while (--m->count)
		close(m->fd[m->count]);
	lane_close(&m->in);
	lane_unmap(&m->out, &m->from);
	member_close(&m->from);
	member_close(&m->to);
}

static void exchange(struct many *m, int times)
{
	struct ivring_item item;

	while (times--) {
		lane_send(&m->out, 1);
		dev_wait(m->to.fd, 0, 0, NULL);
		lane_take(&m->in, &item);
		dev_poll(m->to.fd, POLLIN);
	}
}

/* Many lanes with one in use cost as much as that lane alone. */
TEST(one_active_of_many_lanes)
{
	struct many one, many;
	__u64 of_one, of_many;
	unsigned int i;

	ASSERT_EQ(0, make_many(&one, 1));
	ASSERT_EQ(0, make_many(&many, MANY));
	exchange(&one, 64);
	exchange(&many, 64);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		measure(calls[i].call, &one.to, &many.to, &of_one, &of_many);
		TH_LOG("%s: %llu ns with one lane, %llu ns with %d", calls[i].name, of_one, of_many,
		       MANY);
		EXPECT_AT_MOST_TWICE(of_many, of_one);
	}
	drop_many(&many);
	drop_many(&one);
}

TEST_HARNESS_MAIN
