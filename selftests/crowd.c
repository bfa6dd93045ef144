// SPDX-License-Identifier: GPL-2.0
/*
 * Many tasks wait for the progress of one reader. The cost for the reader does not grow
 * with their number, and every task is woken.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "ivring_test.h"
#include "lane.h"

#define MANY	1000
#define ENTRIES	64
#define ROUNDS	9
#define AT_MOST	20		/* bound on the ratio of costs */

struct shared {
	__u32 round;		/* a futex: the number of the round, or STOP */
	__u32 position;		/* the position that the tasks wait for in this round */
	int result;		/* the result that they expect */
	__u32 parked;		/* how many tasks have begun to wait, in all rounds */
	__u32 returned;		/* how many have returned */
	__u32 wrong;		/* how many have returned with another result */
};

#define STOP	UINT32_MAX

/* A call in which the tasks wait. */
struct crowd {
	struct member *from;
	const struct member *to;
	struct shared *shared;
	int (*call)(const struct crowd *crowd);
};

static int enqueue(const struct crowd *c)
{
	return member_send_wait(c->from, c->to->id, c->to->generation, 1, IVRING_DEADLINE_NEVER);
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

/* Start a process with @count threads. */
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

/* Wait until @count tasks sleep. */
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

/* A sender, whose tasks wait, and its reader. */
struct scene {
	struct member from;
	struct member to;	/* reads */
	struct lane_out out;
	struct shared *shared;
	__u32 position;		/* position behind the last item of the lane or the inbox */
};

/* How the reader says that it has read, or that it reads no more. */
static void room(struct scene *scene)
{
	dev_room(scene->to.fd, IVRING_ID_ANY);
}

static void room_of_lane(struct scene *scene)
{
	dev_room(scene->to.fd, scene->from.id);
}

static void wait_once(struct scene *scene)
{
	dev_wait(scene->to.fd, 0, 0, NULL);
}

static void poll_once(struct scene *scene)
{
	dev_poll(scene->to.fd, POLLIN);
}

static void close_the_lane(struct scene *scene)
{
	dev_close_lane(scene->to.fd, scene->from.id, scene->from.generation);
}

static void leave(struct scene *scene)
{
	close(scene->to.fd);
}

/* The call in which the tasks wait, and the call whose cost is measured. */
struct way {
	int (*call)(const struct crowd *crowd);
	void (*tell)(struct scene *scene);
	int result;		/* expected by the tasks; any other than 0 is their last */
};

FIXTURE(crowd) {
	struct scene scene;
};

FIXTURE_VARIANT(crowd) {
	struct way way;
};

FIXTURE_VARIANT_ADD(crowd, enqueue_room) { { enqueue, room, 0 } };
FIXTURE_VARIANT_ADD(crowd, enqueue_wait) { { enqueue, wait_once, 0 } };
FIXTURE_VARIANT_ADD(crowd, flush_room) { { flush, room, 0 } };
FIXTURE_VARIANT_ADD(crowd, flush_wait) { { flush, wait_once, 0 } };
FIXTURE_VARIANT_ADD(crowd, flush_poll) { { flush, poll_once, 0 } };
FIXTURE_VARIANT_ADD(crowd, lane_room) { { flush_lane, room_of_lane, 0 } };
FIXTURE_VARIANT_ADD(crowd, lane_wait) { { flush_lane, wait_once, 0 } };
FIXTURE_VARIANT_ADD(crowd, lane_poll) { { flush_lane, poll_once, 0 } };
FIXTURE_VARIANT_ADD(crowd, lane_close) { { flush_lane, close_the_lane, -ECONNRESET } };
FIXTURE_VARIANT_ADD(crowd, lane_leave) { { flush_lane, leave, -EPIPE } };
FIXTURE_VARIANT_ADD(crowd, enqueue_leave) { { enqueue, leave, -EPIPE } };
FIXTURE_VARIANT_ADD(crowd, flush_leave) { { flush, leave, -EPIPE } };

FIXTURE_SETUP(crowd)
{
	self->scene.shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);
	ASSERT_EQ(0, member_create(&self->scene.from, 4, ENTRIES, 4096));
}

FIXTURE_TEARDOWN(crowd)
{
	member_close(&self->scene.from);
	munmap(self->scene.shared, PAGE);
}

/* Fill the ring. The position that is read next lies behind it, for tasks in FLUSH. */
static int fill(struct scene *scene, bool lane)
{
	int ret;

	do {
		ret = lane ? lane_send(&scene->out, 1) :
		      member_send(&scene->from, scene->to.id, scene->to.generation, 1);
	} while (ret >= 0);
	scene->position = lane ? scene->out.next : scene->to.area->inbox_consumer + ENTRIES;
	return ret == -EAGAIN ? 0 : ret;
}

/* Read and call ROOM until all tasks have returned. */
static bool drain(struct scene *scene, __u32 returned)
{
	__u64 end = in_ms(10000 * slowness);
	struct ivring_item item;

	while (LOAD(&scene->shared->returned) != returned && now() < end) {
		while (member_take(&scene->to, &item))
			;
		if (member_ring_back(&scene->to))
			return false;
		usleep(100);
	}
	return LOAD(&scene->shared->returned) == returned;
}

/*
 * Measure the cost of tell() with @count waiting tasks, in nanoseconds, and sort the
 * values. Return how many there are.
 */
static int costs(struct scene *scene, struct __test_metadata *_metadata,
		 const struct way *way, int count, __u64 times[ROUNDS])
{
	bool lane = way->call == flush_lane;
	struct crowd c = { &scene->from, &scene->to, scene->shared, way->call };
	int rounds = way->result ? 1 : slowness == 1 ? ROUNDS : 3, i, j, calls = 0;
	__u64 before;
	pid_t pid;

	for (i = 0; i < (way->result ? 5 : 1); i++) {
		memset(scene->shared, 0, sizeof(*scene->shared));
		ASSERT_EQ(0, member_join(&scene->to, scene->from.fd));
		if (lane)
			ASSERT_EQ(0, lane_open(&scene->out, &scene->from, &scene->to, ENTRIES));
		pid = crowd_start(&c, count);
		for (j = 0; j < rounds; j++) {
			ASSERT_EQ(0, fill(scene, lane));
			next_round(scene->shared, j + 1, scene->position, way->result);
			ASSERT_TRUE(all_wait(scene->shared, (j + 1) * count, count));
			ASSERT_EQ(j * count, LOAD(&scene->shared->returned));
			if (way->tell == leave)
				member_unmap(&scene->to);
			else if (lane && !way->result)
				STORE(&scene->to.area->lane[scene->from.id].consumer, scene->position);
			else if (!way->result)
				STORE(&scene->to.area->inbox_consumer, scene->position);
			before = spent();
			way->tell(scene);
			times[calls++] = spent() - before;
			if (way->call == enqueue && !way->result)
				ASSERT_TRUE(drain(scene, (j + 1) * count));
			ASSERT_TRUE(SOON(LOAD(&scene->shared->returned) == (j + 1) * count))
				TH_LOG("%u of %u returned", LOAD(&scene->shared->returned), (j + 1) * count);
		}
		STORE(&scene->shared->round, STOP);
		syscall(SYS_futex, &scene->shared->round, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
		ASSERT_EQ(0, child_wait(pid));
		if (lane)
			lane_unmap(&scene->out, &scene->from);
		if (way->tell != leave)
			member_close(&scene->to);
	}
	qsort(times, calls, sizeof(*times), by_value);
	return calls;
}

TEST_F_TIMEOUT(crowd, costs_its_reader_no_more_than_a_few, 100)
{
	int many = slowness == 1 ? MANY : MANY / 5;
	__u64 times[ROUNDS], one, all;
	int calls;

	calls = costs(&self->scene, _metadata, &variant->way, 1, times);
	one = times[calls / 2];
	/*
	 * The machine may be busy. If all tasks were woken, even the quickest call would
	 * show it.
	 */
	costs(&self->scene, _metadata, &variant->way, many, times);
	all = times[0];
	TH_LOG("%llu us with one task, %llu us with %d", one / 1000, all / 1000, many);
	EXPECT_LT(all, AT_MOST * one);
}

TEST_HARNESS_MAIN
