// SPDX-License-Identifier: GPL-2.0
/*
 * IVRING_ATTACH_PROCESS: a member leaves when the process that attached it ends, even if
 * other processes still have a descriptor of its file. process_sleep.c tests tasks that
 * sleep meanwhile.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#include "process.h"

FIXTURE(process) {
	struct member member;	/* of another process, in slot 0 */
	struct shared *shared;
	pid_t attacher;
};

FIXTURE_SETUP(process)
{
	ASSERT_EQ(0, member_create(&self->member, 4, 8, 4096));
	self->shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	self->attacher = 0;
}

FIXTURE_TEARDOWN(process)
{
	STORE(&self->shared->close, true);
	if (self->attacher > 0) {
		kill(self->attacher, SIGKILL);
		waitpid(self->attacher, NULL, 0);
	}
	member_close(&self->member);
}

#define START(flags, keep, live)							\
do {											\
	self->attacher = attach_in_process(self->shared, self->member.fd, flags, keep,	\
					   live);					\
	ASSERT_LT(0, self->attacher);							\
	ASSERT_EQ(1, member_generation(&self->member, SLOT));				\
} while (0)

/* Make the attacher end, and wait for it. */
#define END()										\
do {											\
	kill(self->attacher, SIGKILL);							\
	EXPECT_EQ(-SIGKILL, child_wait(self->attacher));				\
	self->attacher = 0;								\
} while (0)

static int keep(struct shared *shared, int fd)
{
	return 0;
}

/*
 * Make every call in the keeper after that. Return 0, or minus the number of a call with a
 * wrong result.
 */
static int calls_fail(struct shared *shared, int fd)
{
	struct ivring_member_info v = { .id = SLOT };
	struct ivring_item item = {};
	struct ivring_enqueue e = enqueue_args(0, 1, &item, 1);
	struct ivring_attach a = attach_args(fd, IVRING_ID_ANY);
	struct ivring_create c = create_args(2, 2, 4096);
	struct ivring_info info;
	struct ivring_api api;
	int other = dev_open();

	if (!SOON(dev_room(fd, IVRING_ID_ANY) == -EOWNERDEAD))
		return -1;
	if (dev_ioctl(fd, IVRING_IOC_MEMBER_INFO, &v) != -EOWNERDEAD)
		return -2;
	if (dev_ioctl(fd, IVRING_IOC_ENQUEUE, &e) != -EOWNERDEAD)
		return -3;
	if (dev_wait(fd, 0, 0, NULL) != -EOWNERDEAD)
		return -4;
	if (dev_wait(fd, IVRING_WAIT_ARMED, IVRING_DEADLINE_NEVER, NULL) != -EOWNERDEAD)
		return -5;
	if (dev_eventfd(fd, -1) != -EOWNERDEAD)
		return -6;
	if (dev_flush(fd, 0, 1, 0, 0) != -EOWNERDEAD)
		return -7;
	if (dev_open_lane(fd, 0, 1, 8) != -EOWNERDEAD)
		return -8;
	if (dev_close_lane(fd, 0, 1) != -EOWNERDEAD)
		return -9;
	if (dev_doorbell(fd, 0, 1) != -EOWNERDEAD)
		return -10;
	if (dev_ioctl(fd, IVRING_IOC_FENCE, NULL) != -EOWNERDEAD)
		return -11;
	if (dev_map(fd, PAGE, PROT_READ, IVRING_MAP_REGION) != MAP_FAILED || errno != EOWNERDEAD)
		return -12;
	if (dev_poll(fd, POLLIN) != (POLLERR | POLLHUP))
		return -13;
	if (dev_ioctl(fd, IVRING_IOC_ATTACH, &a) != -EOWNERDEAD)
		return -14;
	if (dev_ioctl(fd, IVRING_IOC_CREATE, &c) != -EBUSY)
		return -15;
	if (dev_ioctl(fd, IVRING_IOC_INFO, &info) || info.id != IVRING_ID_ANY || info.generation)
		return -16;
	if (dev_ioctl(fd, IVRING_IOC_API, &api))
		return -17;
	/* The file still holds the region. */
	a.id = 3;
	if (dev_ioctl(other, IVRING_IOC_ATTACH, &a))
		return -18;
	close(other);
	return 0;
}

TEST_F(process, killed)
{
	struct member next;

	START(IVRING_ATTACH_PROCESS, calls_fail, wait_for_ever);
	EXPECT_EQ(0, member_send(&self->member, SLOT, 1, 1));
	END();
	/* A process that has waited for the attacher finds the slot free. */
	EXPECT_EQ(2, member_generation(&self->member, SLOT));
	EXPECT_EQ(-EPIPE, member_send(&self->member, SLOT, 1, 1));
	ASSERT_EQ(0, member_join_slot(&next, self->member.fd, SLOT));
	ASSERT_TRUE(SOON(LOAD(&self->shared->kept)));
	EXPECT_EQ(1, self->shared->kept);

	/* The next member of the slot stays when the file is closed at last. */
	STORE(&self->shared->close, true);
	ASSERT_TRUE(SOON(LOAD(&self->shared->closed)));
	EXPECT_EQ(3, member_generation(&self->member, SLOT));
	EXPECT_EQ(0, member_send(&self->member, SLOT, 3, 1));
	member_close(&next);
}

static void exit_soon(int fd)
{
	usleep(50000);
	exit(7);
}

TEST_F(process, exits)
{
	START(IVRING_ATTACH_PROCESS, keep, exit_soon);
	EXPECT_EQ(7, child_wait(self->attacher));
	self->attacher = 0;
	EXPECT_EQ(2, member_generation(&self->member, SLOT));
}

static void wait_here_for_ever(int fd)
{
	struct sched_param none = { 0 };

	sched_setscheduler(0, SCHED_OTHER, &none);
	wait_for_ever(fd);
}

/*
 * A supervisor runs before any work queue can, because it has a real-time priority on the
 * CPU on which the process ends.
 */
TEST_F(process, supervisor)
{
	struct sched_param first = { .sched_priority = 10 };
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpu), &cpu));
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		SKIP(return, "a real-time priority is not permitted");
	START(IVRING_ATTACH_PROCESS, keep, wait_here_for_ever);
	kill(self->attacher, SIGKILL);
	EXPECT_EQ(self->attacher, waitpid(self->attacher, NULL, 0));
	EXPECT_EQ(2, member_generation(&self->member, SLOT));
	self->attacher = 0;
}

/* The process has closed its descriptor, but a mapping still holds the file. */
static void close_and_wait(int fd)
{
	dev_map(fd, PAGE, PROT_READ, IVRING_MAP_REGION);
	close(fd);
	wait_for_ever(fd);
}

TEST_F(process, closed_before)
{
	START(IVRING_ATTACH_PROCESS, keep, close_and_wait);
	usleep(50000);
	EXPECT_EQ(1, member_generation(&self->member, SLOT));
	END();
	EXPECT_TRUE(SOON(member_generation(&self->member, SLOT) == 2));
}

/* Another process shares the descriptor table. */
static int live_on(void *data)
{
	sleep(30);
	return 0;
}

static void share_files(int fd)
{
	char *stack = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);

	clone(live_on, stack + 4 * PAGE, CLONE_FILES | CLONE_VM, NULL);
	wait_for_ever(fd);
}

TEST_F(process, shared_descriptors)
{
	START(IVRING_ATTACH_PROCESS, NULL, share_files);
	usleep(50000);
	END();
	EXPECT_TRUE(SOON(member_generation(&self->member, SLOT) == 2));
}

/* Events that do not end the membership. */

TEST_F(process, without_flag)
{
	START(0, keep, wait_for_ever);
	END();
	usleep(100000);
	EXPECT_EQ(1, member_generation(&self->member, SLOT));
	EXPECT_EQ(0, member_send(&self->member, SLOT, 1, 1));
	STORE(&self->shared->close, true);
	EXPECT_TRUE(SOON(member_generation(&self->member, SLOT) == 2));
}

static void *exit_thread(void *data)
{
	/* A thread closes its own descriptor table at its end. */
	if (data)
		unshare(CLONE_FILES);
	return NULL;
}

static void exit_threads(int fd)
{
	pthread_t thread;
	int i;

	for (i = 0; i < 20; i++) {
		pthread_create(&thread, NULL, exit_thread, i % 2 ? &thread : NULL);
		pthread_join(thread, NULL);
	}
	/* So does a child, which has the descriptor too. */
	if (!fork())
		_exit(0);
	wait(NULL);
	wait_for_ever(fd);
}

TEST_F(process, threads_and_children)
{
	START(IVRING_ATTACH_PROCESS, keep, exit_threads);
	usleep(300000);
	EXPECT_EQ(1, member_generation(&self->member, SLOT));
	EXPECT_EQ(0, member_send(&self->member, SLOT, 1, 1));
	END();
	EXPECT_EQ(2, member_generation(&self->member, SLOT));
}

static void *outlive_leader(void *data)
{
	usleep(400000);
	_exit(0);
}

static void exit_leader(int fd)
{
	pthread_t thread;

	pthread_create(&thread, NULL, outlive_leader, NULL);
	syscall(__NR_exit, 0);
}

/* The process ends with its last thread. */
TEST_F(process, leader)
{
	START(IVRING_ATTACH_PROCESS, keep, exit_leader);
	usleep(100000);
	EXPECT_EQ(1, member_generation(&self->member, SLOT));
	EXPECT_EQ(0, child_wait(self->attacher));
	self->attacher = 0;
	EXPECT_EQ(2, member_generation(&self->member, SLOT));
}

static void exec_another(int fd)
{
	fcntl(fd, F_SETFD, 0);
	execlp("sleep", "sleep", "100", NULL);
}

TEST_F(process, exec)
{
	START(IVRING_ATTACH_PROCESS, keep, exec_another);
	usleep(200000);
	EXPECT_EQ(1, member_generation(&self->member, SLOT));
	END();
	EXPECT_EQ(2, member_generation(&self->member, SLOT));
}

static void *exec_in_thread(void *fd)
{
	exec_another((intptr_t)fd);
	return NULL;
}

static void exec_by_thread(int fd)
{
	pthread_t thread;

	pthread_create(&thread, NULL, exec_in_thread, (void *)(intptr_t)fd);
	wait_for_ever(fd);
}

/* A thread becomes the leader of the process in place of the leader, which ends. */
TEST_F(process, thread_exec)
{
	START(IVRING_ATTACH_PROCESS, keep, exec_by_thread);
	usleep(200000);
	EXPECT_EQ(1, member_generation(&self->member, SLOT));
	END();
	EXPECT_EQ(2, member_generation(&self->member, SLOT));
}

/* The same with IVRING_IOC_CREATE. */
TEST_F(process, create)
{
	struct ivring_create c = create_args(4, 8, 4096);
	struct member member;
	int fd = dev_open();
	pid_t pid;

	c.flags = IVRING_CREATE_PROCESS;
	EXPECT_EQ(-EINVAL, dev_ioctl(fd, IVRING_IOC_CREATE, &c));
	c.flags = IVRING_CREATE_PROCESS | IVRING_CREATE_ATTACH;
	pid = child_fork();
	if (!pid)
		_exit(-dev_ioctl(fd, IVRING_IOC_CREATE, &c) || dev_poll(fd, POLLIN));
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(-EOWNERDEAD, dev_room(fd, IVRING_ID_ANY));
	ASSERT_EQ(0, member_join_slot(&member, fd, 0));
	EXPECT_EQ(3, member.generation);
	member_close(&member);
	close(fd);
}

/* The file is closed just when the process ends. */
TEST_F_TIMEOUT(process, race_with_close, 60)
{
	__u32 generation = 1;
	int i;

	for (i = 0; i < 100; i++) {
		memset(self->shared, 0, sizeof(*self->shared));
		self->attacher = attach_in_process(self->shared, self->member.fd,
						   IVRING_ATTACH_PROCESS, keep,
						   i % 2 ? close_and_wait : wait_for_ever);
		ASSERT_LT(0, self->attacher);
		ASSERT_TRUE(SOON(LOAD(&self->shared->kept)));
		ASSERT_EQ(generation, member_generation(&self->member, SLOT));
		kill(self->attacher, SIGKILL);
		spin(i * 1000);
		STORE(&self->shared->close, true);
		ASSERT_TRUE(SOON(LOAD(&self->shared->closed)));
		EXPECT_EQ(-SIGKILL, child_wait(self->attacher));
		self->attacher = 0;
		ASSERT_TRUE(SOON(member_generation(&self->member, SLOT) == generation + 1));
		generation += 2;
	}
}

TEST_HARNESS_MAIN
