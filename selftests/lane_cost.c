// SPDX-License-Identifier: GPL-2.0
/*
 * What a look at the rings costs: no more than there is to be seen. Costs are
 * compared within one run, so they hold on any machine, as long as both are
 * disturbed alike; the figures are printed.
 */

#include "ivring_test.h"
#include "lane.h"

#define SAMPLES	101
#define CALLS	50	/* in each sample */

typedef void (*call_fn)(const struct vm *vm);

static void wait_once(const struct vm *vm)
{
	dev_wait(vm->fd, 0, 0, NULL);
}

/* That goes idle, and so looks twice. */
static void poll_once(const struct vm *vm)
{
	dev_poll(vm->fd, POLLIN);
}

static __u64 time_of(call_fn call, const struct vm *vm)
{
	__u64 start = now();
	int i;

	for (i = 0; i < CALLS; i++)
		call(vm);
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

/* Nanoseconds that a call takes for each of two VMs, by turns. */
static void measure(call_fn call, const struct vm *a, const struct vm *b, __u64 *of_a, __u64 *of_b)
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

/* The first lane of a large region costs as much as it would in a small one. */
TEST(one_lane_in_many_slots)
{
	static const struct {
		const char *name;
		call_fn call;
	} calls[] = { { "WAIT", wait_once }, { "poll()", poll_once } };
	__u64 none, one;
	struct lane_out out;
	struct vm a, b;
	unsigned int i;

	ASSERT_EQ(0, vm_create(&a, IVRING_MAX_SLOTS, 8, 4096));
	ASSERT_EQ(0, vm_join_slot(&b, a.fd, IVRING_MAX_SLOTS - 1));
	vm_see_members(&a);
	vm_see_members(&b);
	ASSERT_EQ(0, lane_open(&out, &b, &a, 2));
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		measure(calls[i].call, &b, &a, &none, &one);
		TH_LOG("%s of %u slots: %llu ns without a lane, %llu ns with one", calls[i].name,
		       IVRING_MAX_SLOTS, none, one);
		EXPECT_LE(one, 2 * none);
	}
	lane_unmap(&out, &b);
	vm_close(&b);
	vm_close(&a);
}

TEST_HARNESS_MAIN
