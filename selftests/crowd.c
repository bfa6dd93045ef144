// SPDX-License-Identifier: GPL-2.0
/*
 * A crowd of tasks that wait for one reader's progress. What the reader pays does not
 * grow with the crowd, and every task of the crowd is woken.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "ivring_test.h"
#include "lane.h"

#define MANY	1000
#define ENTRIES	64
#define AT_MOST	12		/* times the cost with one task: four are woken */

struct shared {
	__u32 round;		/* a futex: its number, or STOP */
	__u32 position;		/* that is waited for in this round */
	int result;		/* that is expected */
	__u32 parked;		/* how many have gone to wait, in all rounds */
	__u32 returned;		/* and have come back */
	__u32 wrong;		/* with another result */
};

#define STOP	UINT32_MAX

/* What the crowd is in: one of the calls that wait. */
struct crowd {
	struct vm *from;
	const struct vm *to;
	struct shared *shared;
	int (*call)(const struct crowd *crowd);
};

static int enqueue(const struct crowd *c)
{
	return vm_send_wait(c->from, c->to->id, c->to->generation, 1, IVRING_DEADLINE_NEVER);
}

static int flush(const struct crowd *c)
{
	return dev_flush(c->from->fd, c->to->id, c->to->generation,
			 LOAD(&c->shared->position), IVRING_DEADLINE_NEVER);
}

static int flush_lane(const struct crowd *c)
{
	return dev_flush_lane(c->from->fd, c->to->id, c->to->generation,
			      LOAD(&c->shared->position), IVRING_DEADLINE_NEVER);
}

static void *one_of_them(void *arg)
{
	const struct crowd *c = arg;
	struct shared *s = c->shared;
	__u32 round = 0, next;
	int ret;

	for (;;) {
		while ((next = LOAD(&s->round)) == round)
			syscall(SYS_futex, &s->round, FUTEX_WAIT, round, NULL, NULL, 0);
		if (next == STOP)
			return NULL;
		round = next;
		__atomic_fetch_add(&s->parked, 1, __ATOMIC_SEQ_CST);
		ret = c->call(c);
		if (ret != LOAD(&s->result))
			__atomic_fetch_add(&s->wrong, 1, __ATOMIC_SEQ_CST);
		__atomic_fetch_add(&s->returned, 1, __ATOMIC_SEQ_CST);
	}
}

/* A process with that many threads. */
static pid_t crowd_start(struct crowd *c, int count)
{
	pid_t pid = child_fork();
	pthread_attr_t attr;
	pthread_t thread;

	if (pid)
		return pid;
	close(c->to->fd);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	while (count--)
		if (pthread_create(&thread, &attr, one_of_them, c))
			_exit(10);
	while (LOAD(&c->shared->round) != STOP)
		usleep(10000);
	_exit(LOAD(&c->shared->wrong) ? 11 : 0);
}

static void next_round(struct shared *s, __u32 round, __u32 position, int result)
{
	STORE(&s->position, position);
	STORE(&s->result, result);
	STORE(&s->round, round);
	syscall(SYS_futex, &s->round, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Let that many come to sleep. */
static bool all_wait(struct shared *s, __u32 parked, int count)
{
	if (!SOON(LOAD(&s->parked) == parked))
		return false;
	usleep(20000 + 50 * count);
	return true;
}

/* The processor time of this task, in nanoseconds. */
static __u64 spent(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * SEC + t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

static __u64 median(__u64 *values, int count)
{
	qsort(values, count, sizeof(*values), by_value);
	return values[count / 2];
}

FIXTURE(crowd) {
	struct vm from;
	struct vm to;		/* reads */
	struct lane_out out;
	struct shared *shared;
	__u32 position;		/* behind the last item of the lane or the inbox */
};

/* How the reader says that it has read, or reads no more. */
static void room(FIXTURE_DATA(crowd) *self)
{
	dev_room(self->to.fd, IVRING_ID_ANY);
}

static void room_of_lane(FIXTURE_DATA(crowd) *self)
{
	dev_room(self->to.fd, self->from.id);
}

static void wait_once(FIXTURE_DATA(crowd) *self)
{
	dev_wait(self->to.fd, 0, 0, NULL);
}

static void poll_once(FIXTURE_DATA(crowd) *self)
{
	dev_poll(self->to.fd, POLLIN);
}

static void close_the_lane(FIXTURE_DATA(crowd) *self)
{
	dev_close_lane(self->to.fd, self->from.id, self->from.generation);
}

static void leave(FIXTURE_DATA(crowd) *self)
{
	close(self->to.fd);
}

FIXTURE_VARIANT(crowd) {
	int (*call)(const struct crowd *crowd);
	void (*tell)(FIXTURE_DATA(crowd) *self);
	int result;		/* for the crowd; if it is not 0, that was the last call */
};

FIXTURE_VARIANT_ADD(crowd, enqueue_room) { enqueue, room, 0 };
FIXTURE_VARIANT_ADD(crowd, enqueue_wait) { enqueue, wait_once, 0 };
FIXTURE_VARIANT_ADD(crowd, flush_room) { flush, room, 0 };
FIXTURE_VARIANT_ADD(crowd, flush_wait) { flush, wait_once, 0 };
FIXTURE_VARIANT_ADD(crowd, flush_poll) { flush, poll_once, 0 };
FIXTURE_VARIANT_ADD(crowd, lane_room) { flush_lane, room_of_lane, 0 };
FIXTURE_VARIANT_ADD(crowd, lane_wait) { flush_lane, wait_once, 0 };
FIXTURE_VARIANT_ADD(crowd, lane_poll) { flush_lane, poll_once, 0 };
FIXTURE_VARIANT_ADD(crowd, lane_close) { flush_lane, close_the_lane, -ECONNRESET };
FIXTURE_VARIANT_ADD(crowd, lane_leave) { flush_lane, leave, -EPIPE };
FIXTURE_VARIANT_ADD(crowd, enqueue_leave) { enqueue, leave, -EPIPE };
FIXTURE_VARIANT_ADD(crowd, flush_leave) { flush, leave, -EPIPE };

FIXTURE_SETUP(crowd)
{
	self->shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);
	ASSERT_EQ(0, vm_create(&self->from, 4, ENTRIES, 4096));
}

FIXTURE_TEARDOWN(crowd)
{
	vm_close(&self->from);
	munmap(self->shared, PAGE);
}

/* Fill the ring: a position that has been read next, for those that FLUSH, is behind it. */
static int fill(FIXTURE_DATA(crowd) *self, bool lane)
{
	int ret;

	do {
		ret = lane ? lane_send(&self->out, 1) :
		      vm_send(&self->from, self->to.id, self->to.generation, 1);
	} while (ret >= 0);
	self->position = lane ? self->out.next : LOAD(&self->to.inbox->producer);
	return ret == -EAGAIN ? 0 : ret;
}

/* Read on and ring back until all of the crowd has returned. */
static bool drain(FIXTURE_DATA(crowd) *self, __u32 returned)
{
	__u64 end = in_ms(10000 * slowness);
	struct ivring_item item;

	while (LOAD(&self->shared->returned) != returned && now() < end) {
		while (vm_take(&self->to, &item))
			;
		if (vm_ring_back(&self->to))
			return false;
		usleep(100);
	}
	return LOAD(&self->shared->returned) == returned;
}

/* The median of what `tell` costs with so many that wait, or 0 if something is wrong. */
static __u64 cost(struct __test_metadata *_metadata, FIXTURE_DATA(crowd) *self,
		  const FIXTURE_VARIANT(crowd) *variant, int count)
{
	enum { ROUNDS = 9 };
	bool lane = variant->call == flush_lane;
	struct crowd c = { &self->from, &self->to, self->shared, variant->call };
	int rounds = variant->result ? 1 : ROUNDS, i, j, calls = 0;
	__u64 times[ROUNDS], before;
	pid_t pid;

	for (i = 0; i < (variant->result ? 3 : 1); i++) {
		memset(self->shared, 0, sizeof(*self->shared));
		ASSERT_EQ(0, vm_join(&self->to, self->from.fd));
		if (lane)
			ASSERT_EQ(0, lane_open(&self->out, &self->from, &self->to, ENTRIES));
		pid = crowd_start(&c, count);
		for (j = 0; j < rounds; j++) {
			ASSERT_EQ(0, fill(self, lane));
			next_round(self->shared, j + 1, self->position, variant->result);
			ASSERT_TRUE(all_wait(self->shared, (j + 1) * count, count));
			ASSERT_EQ(j * count, LOAD(&self->shared->returned));
			if (variant->tell == leave)
				vm_unmap(&self->to);
			else if (lane && !variant->result)
				STORE(&self->to.area->lane[self->from.id].consumer, self->position);
			else if (!variant->result)
				STORE(&self->to.area->inbox_consumer, self->position);
			before = spent();
			variant->tell(self);
			times[calls++] = spent() - before;
			if (variant->call == enqueue && !variant->result)
				ASSERT_TRUE(drain(self, (j + 1) * count));
			ASSERT_TRUE(SOON(LOAD(&self->shared->returned) == (j + 1) * count))
				TH_LOG("%u of %u returned", LOAD(&self->shared->returned), (j + 1) * count);
		}
		STORE(&self->shared->round, STOP);
		syscall(SYS_futex, &self->shared->round, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
		ASSERT_EQ(0, child_wait(pid));
		if (lane)
			lane_unmap(&self->out, &self->from);
		if (variant->tell != leave)
			vm_close(&self->to);
	}
	return median(times, calls);
}

TEST_F_TIMEOUT(crowd, costs_its_reader_no_more_than_a_few, 100)
{
	int many = slowness == 1 ? MANY : MANY / 5, tries = 3;
	__u64 one, all;

	/* On a busy machine other tasks' interrupts are counted to this one now and then. */
	do {
		one = cost(_metadata, self, variant, 1);
		all = cost(_metadata, self, variant, many);
		TH_LOG("%llu us with one task, %llu us with %d", one / 1000, all / 1000, many);
	} while (all >= AT_MOST * one && --tries);
	EXPECT_LT(all, AT_MOST * one);
}

TEST_HARNESS_MAIN
