// SPDX-License-Identifier: GPL-2.0
/*
 * Tasks that wait for room and for progress, with and without deadlines, are interrupted
 * and killed while their reader goes on. The reader must not forget the other tasks.
 */
#include <pthread.h>

#include "ivring_test.h"
#include "lane.h"

#define PROCESSES	4
#define THREADS		6
#define LANE_ENTRIES	4
#define LATE_MS		8000	/* a call that takes longer was forgotten */

struct storm {
	__u32 stop;
	__u32 calls[PROCESSES];	/* of all processes that had this number */
	__u32 late;
};

struct party {
	struct member member;
	struct lane_out out;
	const struct member *to;
	struct storm *storm;
	int number;
};

struct task {
	struct party *me;
	bool writes;		/* whether it sends items by the process's lane */
	__u64 seed;
};

struct reader {
	struct member member;
	struct storm *storm;
	struct lane_in in[PROCESSES];
	pid_t pid[PROCESSES];
};

FIXTURE(storm) {
	struct reader reader;
	__u64 seed;
};

FIXTURE_SETUP(storm)
{
	self->reader.storm = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			   -1, 0);
	ASSERT_EQ(0, member_create(&self->reader.member, PROCESSES + 1, LANE_ENTRIES, 4096));
	self->seed = rng_seed();
}

FIXTURE_TEARDOWN(storm)
{
	member_close(&self->reader.member);
	munmap(self->reader.storm, PAGE);
}

/* Random numbers of one thread. */
static __u32 below(struct task *t, __u32 bound)
{
	t->seed = t->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (t->seed >> 33) % bound;
}

static int wait_once_more(struct task *t, __u32 *position, __u64 deadline)
{
	const struct party *me = t->me;
	struct ivring_item item = { 0 };
	struct ivring_enqueue e;
	int ret;

	switch (below(t, 3)) {
	case 0:
		e = enqueue_args(me->to->id, me->to->generation, &item, 1);
		e.flags = IVRING_ENQUEUE_WAIT;
		e.deadline = deadline;
		ret = dev_ioctl(me->member.fd, IVRING_IOC_ENQUEUE, &e);
		if (!ret)
			*position = e.position;
		return ret;
	case 1:
		return dev_flush(me->member.fd, me->to->id, me->to->generation, *position, deadline);
	default:
		return lane_flush(&me->out, LOAD(&me->out.next) - below(t, 3), deadline);
	}
}

static void *wait_in_turns(void *arg)
{
	struct task *t = arg;
	struct party *me = t->me;
	__u32 position = -LANE_ENTRIES;
	__u64 start;
	int ret;

	while (!LOAD(&me->storm->stop)) {
		start = now();
		ret = wait_once_more(t, &position, below(t, 3) ? IVRING_DEADLINE_NEVER :
				     start + below(t, 20) * MSEC);
		if (ret && ret != -ETIMEDOUT && ret != -EINTR)
			_exit(-ret);
		if (now() - start > LATE_MS * MSEC * slowness)
			__atomic_fetch_add(&me->storm->late, 1, __ATOMIC_SEQ_CST);
		__atomic_fetch_add(&me->storm->calls[me->number], 1, __ATOMIC_SEQ_CST);
		if (t->writes && !lane_full(&me->out))
			lane_send(&me->out, 1);
	}
	return NULL;
}

static void no_action(int signal)
{
}

static void live(struct reader *reader, int number)
{
	struct party me = { .to = &reader->member, .storm = reader->storm, .number = number };
	struct sigaction action = { .sa_handler = no_action };
	pthread_t thread[THREADS];
	struct task task[THREADS];
	int i;

	action.sa_flags = rng_below(2) ? SA_RESTART : 0;
	sigaction(SIGUSR1, &action, NULL);
	if (member_join_slot(&me.member, reader->member.fd, number + 1) ||
	    lane_open(&me.out, &me.member, me.to, LANE_ENTRIES))
		_exit(200);
	for (i = 0; i < THREADS; i++) {
		task[i] = (struct task) { &me, !i, rng + i };
		if (pthread_create(&thread[i], NULL, wait_in_turns, &task[i]))
			_exit(201);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	_exit(0);
}

static void start_life(struct reader *reader, int number)
{
	rng_below(2);
	reader->pid[number] = child_fork();
	if (!reader->pid[number])
		live(reader, number);
}

/* Read all items of all rings, and call ROOM or leave that to WAIT. */
static int read_on(struct reader *reader, bool forget)
{
	struct ivring_item item;
	int i, ret;

	while (member_take(&reader->member, &item))
		;
	ret = forget ? 0 : member_ring_back(&reader->member);
	for (i = 0; i < PROCESSES && !ret; i++) {
		struct lane_in *in = &reader->in[i];

		if (!in->ring && lane_accept(in, &reader->member, i + 1)) {
			in->ring = NULL;
			continue;
		}
		while (lane_take(in, &item))
			;
		ret = forget ? 0 : lane_ring_back(in);
	}
	if (ret)
		return ret;
	ret = dev_wait(reader->member.fd, 0, in_ms(rng_below(3)), NULL);
	return ret == -ETIMEDOUT ? 0 : ret;
}

/* Close the lane of a process that has ended, if it had opened one. */
static int close_lane_of(struct reader *reader, int number)
{
	struct lane_in *in = &reader->in[number];
	int ret = 0;

	if (in->ring || !lane_accept(in, &reader->member, number + 1))
		ret = lane_close(in);
	in->ring = NULL;
	return ret;
}

TEST_F_TIMEOUT(storm, nobody_is_forgotten, 60)
{
	__u64 end = now() + 5 * SEC, stopped;
	struct reader *reader = &self->reader;
	struct sigaction action = { .sa_handler = no_action };
	int i, lives = PROCESSES, left = PROCESSES, status;

	/* Processes that have not installed the handler yet inherit it from here. */
	sigaction(SIGUSR1, &action, NULL);
	for (i = 0; i < PROCESSES; i++)
		start_life(reader, i);
	while (now() < end) {
		ASSERT_EQ(0, read_on(reader, rng_below(2)));
		i = rng_below(PROCESSES);
		if (!rng_below(4))
			kill(reader->pid[i], SIGUSR1);
		if (rng_below(60))
			continue;
		kill(reader->pid[i], SIGKILL);
		ASSERT_EQ(-SIGKILL, child_wait(reader->pid[i]));
		ASSERT_EQ(0, close_lane_of(reader, i));
		start_life(reader, i);
		lives++;
	}
	STORE(&reader->storm->stop, 1);
	stopped = now();
	while (left && now() - stopped < 15 * SEC * slowness) {
		ASSERT_EQ(0, read_on(reader, rng_below(2)));
		for (i = 0; i < PROCESSES; i++) {
			if (waitpid(reader->pid[i], &status, WNOHANG) <= 0)
				continue;
			EXPECT_EQ(0, status);
			left--;
		}
	}
	EXPECT_EQ(0, left) TH_LOG("%d processes do not end", left);
	EXPECT_EQ(0, reader->storm->late);
	EXPECT_LT(10 / slowness, lives);
	for (i = 0; i < PROCESSES; i++)
		EXPECT_LT(20, reader->storm->calls[i]);
	TH_LOG("seed %#llx: %d processes, %u + %u + %u + %u calls", self->seed, lives,
	       reader->storm->calls[0], reader->storm->calls[1], reader->storm->calls[2],
	       reader->storm->calls[3]);
}

TEST_HARNESS_MAIN
