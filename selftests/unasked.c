// SPDX-License-Identifier: GPL-2.0
/*
 * A member is woken only for the events that it asked for. Changes of the members do not wake a
 * member that sleeps until items come.
 */
#include <pthread.h>

#include "ways.h"

#define MANY	200
#define TIMES	200

FIXTURE(unasked) {
	struct member first;
	struct member *many;
};

FIXTURE_SETUP(unasked)
{
	ASSERT_EQ(0, member_create(&self->first, MANY + 2, 2, 4096));
	self->many = calloc(MANY, sizeof(*self->many));
}

FIXTURE_TEARDOWN(unasked)
{
	member_close(&self->first);
}

/* The number of doorbells and of wakeups without work, summed over @count members. */
static __u64 woken(const struct member *many, int count)
{
	__u64 sum = 0;

	while (count--) {
		struct ivring_stats stats = member_stats(&many[count]);

		sum += stats.spurious + stats.rung;
	}
	return sum;
}

static void *wait_for_items(void *member)
{
	dev_wait(((struct member *)member)->fd, 0, IVRING_DEADLINE_NEVER, NULL);
	return NULL;
}

/* TIMES members come and go while MANY members wait for items. */
TEST_F(unasked, many_sleep_on)
{
	__u64 begin, slowest = 0;
	pthread_t thread[MANY];
	struct member other;
	int i;

	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, member_join(&self->many[i], self->first.fd));
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, wait_for_items, &self->many[i]));
	}
	for (i = 0; i < MANY; i++)
		ASSERT_TRUE(SOON(member_stats(&self->many[i]).waits));
	for (i = 0; i < TIMES; i++) {
		begin = now();
		ASSERT_EQ(0, member_join(&other, self->first.fd));
		if (now() - begin > slowest)
			slowest = now() - begin;
		member_close(&other);
	}
	EXPECT_EQ(0, woken(self->many, MANY));
	/* All of them are asleep: an item wakes each of them. */
	for (i = 0; i < MANY; i++) {
		EXPECT_EQ(0, member_send(&self->first, self->many[i].id,
					 self->many[i].generation, 0));
		EXPECT_EQ(0, pthread_join(thread[i], NULL));
	}
	EXPECT_EQ(MANY, woken(self->many, MANY));
	for (i = 0; i < MANY; i++)
		member_close(&self->many[i]);
	TH_LOG("attaching took at most %llu us", slowest / 1000);
}

/* Each way of sleeping until an item comes. */

FIXTURE(unasked_way) {
	struct member a;
	struct member b;
};

FIXTURE_VARIANT(unasked_way) {
	const struct way *way;
};

FIXTURE_VARIANT_ADD(unasked_way, wait) { &way_wait };
FIXTURE_VARIANT_ADD(unasked_way, wait_armed) { &way_wait_armed };
FIXTURE_VARIANT_ADD(unasked_way, poll) { &way_poll };
FIXTURE_VARIANT_ADD(unasked_way, epoll_level) { &way_epoll_level };
FIXTURE_VARIANT_ADD(unasked_way, epoll_edge) { &way_epoll_edge };
FIXTURE_VARIANT_ADD(unasked_way, eventfd) { &way_eventfd };
FIXTURE_VARIANT_ADD(unasked_way, io_uring) { &way_uring };

FIXTURE_SETUP(unasked_way)
{
	ASSERT_EQ(0, member_create(&self->a, 3, 2, 4096));
	ASSERT_EQ(0, member_join(&self->b, self->a.fd));
}

FIXTURE_TEARDOWN(unasked_way)
{
	member_close_pair(&self->a, &self->b);
}

TEST_F(unasked_way, sleeps_on)
{
	struct sleeper s = { .member = &self->b };
	struct member other;
	pid_t pid;
	int i;

	ASSERT_EQ(0, variant->way->open(&s));
	pid = child_fork();
	if (!pid) {
		for (i = 0; i < 20; i++) {
			usleep(2000);
			if (member_join(&other, self->a.fd))
				_exit(10);
			member_close(&other);
		}
		_exit(0);
	}
	EXPECT_EQ(0, variant->way->sleep(&s, 300));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, woken(&self->b, 1));
}

TEST_HARNESS_MAIN
