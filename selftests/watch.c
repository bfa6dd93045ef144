// SPDX-License-Identifier: GPL-2.0
/*
 * Watches: poll() reports when a member may send again.
 */
#include <linux/aio_abi.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include "ivring_test.h"
#include "lane.h"
#include "uring.h"

#define ENTRIES	4

FIXTURE(watch) {
	struct member a;	/* sends to b */
	struct member b;
	struct ivring_enqueue e;
	struct ivring_next_watch next;
};

FIXTURE_SETUP(watch)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, ENTRIES, 4096));
	member_see_members(&self->a);
	member_see_members(&self->b);
	memset(&self->next, 0xff, sizeof(self->next));
}

FIXTURE_TEARDOWN(watch)
{
	member_close_pair(&self->a, &self->b);
}

#define SEND(count)	member_send_watch(&self->a, self->b.id, self->b.generation, count, &self->e)
#define NEXT()		dev_next_watch(self->a.fd, &self->next)
#define POLL()		dev_poll(self->a.fd, POLLOUT)
#define FLUSH(position, flags)								\
	dev_flush_flags(self->a.fd, self->b.id, self->b.generation, position,		\
			IVRING_FLUSH_WATCH | (flags), 0)

/* Read items of @member, and notify its senders. */
static void read_some(struct member *member, int count)
{
	struct ivring_item item;

	while (count--)
		member_take(member, &item);
	dev_room(member->fd, IVRING_ID_ANY);
}

/* A watch for room, from its declaration until it is taken. */
TEST_F(watch, room)
{
	/* All items fit. */
	ASSERT_EQ(0, SEND(ENTRIES - 1));
	EXPECT_EQ(0, self->e.watch);
	EXPECT_FALSE(LOAD(&self->b.inbox->room_wanted));
	/* One of three items fits. */
	ASSERT_EQ(0, SEND(3));
	EXPECT_EQ(1, self->e.done);
	EXPECT_EQ(1, self->e.watch);
	EXPECT_TRUE(LOAD(&self->b.inbox->room_wanted));
	EXPECT_EQ(-EAGAIN, SEND(1));
	EXPECT_EQ(0, POLL());
	EXPECT_EQ(-EAGAIN, NEXT());

	read_some(&self->b, 1);
	EXPECT_FALSE(LOAD(&self->b.inbox->room_wanted));
	EXPECT_EQ(POLLOUT, POLL());
	EXPECT_EQ(POLLOUT | POLLWRNORM, dev_poll(self->a.fd, POLLIN | POLLOUT | POLLWRNORM | POLLPRI));
	EXPECT_EQ(0, dev_poll(self->a.fd, POLLIN));
	EXPECT_EQ(0, dev_poll(self->b.fd, POLLOUT));
	ASSERT_EQ(0, NEXT());
	EXPECT_EQ(self->b.id, self->next.id);
	EXPECT_EQ(self->b.generation, self->next.generation);
	EXPECT_EQ(0, self->next.flags);
	EXPECT_EQ(0, self->next.reserved);
	EXPECT_EQ(0, POLL());
	EXPECT_EQ(-EAGAIN, NEXT());
	/* The watch is over only once. */
	read_some(&self->b, 1);
	EXPECT_EQ(0, POLL());
}

/* A reader that never calls ROOM ends watches when it looks for items. */
TEST_F(watch, forgetful_reader)
{
	struct ivring_item item;
	int i;

	ASSERT_EQ(0, SEND(ENTRIES));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(-EAGAIN, SEND(1));
		ASSERT_TRUE(member_take(&self->b, &item));
		EXPECT_EQ(0, POLL());
		if (i)
			dev_poll(self->b.fd, POLLIN);
		else
			dev_wait(self->b.fd, 0, 0, NULL);
		EXPECT_EQ(POLLOUT, POLL());
		ASSERT_EQ(0, SEND(1));
		EXPECT_EQ(0, NEXT());
		EXPECT_EQ(0, POLL());
	}
}

/* poll() that does not wait for items leaves the doorbell unarmed. */
TEST_F(watch, does_not_arm)
{
	static const short events[] = {
		POLLOUT, POLLWRNORM, POLLOUT | POLLWRNORM, POLLOUT | POLLPRI, POLLWRNORM | POLLPRI,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(events); i++) {
		EXPECT_EQ(0, dev_poll(self->a.fd, events[i]));
		EXPECT_EQ(IVRING_BUSY, member_state(&self->a)) TH_LOG("events %#x", events[i]);
	}
}

/* poll() that waits for items arms the doorbell, and reports items, under both of their names. */
TEST_F(watch, arms)
{
	static const short events[] = {
		POLLIN, POLLRDNORM, POLLIN | POLLOUT, POLLRDNORM | POLLOUT, POLLRDNORM | POLLWRNORM,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(events); i++) {
		short in = events[i] & (POLLIN | POLLRDNORM);

		STORE(&self->a.area->state, IVRING_BUSY);
		EXPECT_EQ(0, dev_poll(self->a.fd, events[i]));
		EXPECT_EQ(IVRING_IDLE, member_state(&self->a)) TH_LOG("events %#x", events[i]);
		/* A poll() that finds an item need not arm. */
		ASSERT_EQ(0, member_send(&self->b, self->a.id, self->a.generation, 1));
		STORE(&self->a.area->state, IVRING_BUSY);
		EXPECT_EQ(in, dev_poll(self->a.fd, events[i]));
		EXPECT_EQ(IVRING_BUSY, member_state(&self->a)) TH_LOG("events %#x", events[i]);
		read_some(&self->a, 1);
	}
}

/*
 * A call that succeeds leaves a watch as it is, because another thread of the member may have
 * declared it.
 */
TEST_F(watch, of_another_thread)
{
	__u32 start = self->b.start;

	/* A send that succeeds finds a watch that is over, and one that waits. */
	ASSERT_EQ(0, SEND(ENTRIES));
	ASSERT_EQ(-EAGAIN, SEND(1));
	read_some(&self->b, 2);
	ASSERT_EQ(0, SEND(1));
	EXPECT_EQ(POLLOUT, POLL());
	ASSERT_EQ(0, NEXT());
	EXPECT_EQ(self->b.id, self->next.id);
	ASSERT_EQ(-EAGAIN, FLUSH(start + 5, 0));
	ASSERT_EQ(0, SEND(1));
	EXPECT_EQ(0, POLL());
	read_some(&self->b, 3);
	EXPECT_EQ(POLLOUT, POLL());
	/* A position that has been read, in both cases too. */
	ASSERT_EQ(0, FLUSH(start + 2, 0));
	EXPECT_EQ(POLLOUT, POLL());
	ASSERT_EQ(0, NEXT());
	ASSERT_EQ(-EAGAIN, FLUSH(start + 6, 0));
	ASSERT_EQ(0, FLUSH(start + 2, 0));
	EXPECT_TRUE(LOAD(&self->b.inbox->room_wanted));
	EXPECT_EQ(0, POLL());
	read_some(&self->b, 1);
	EXPECT_EQ(POLLOUT, POLL());
	ASSERT_EQ(0, NEXT());
	EXPECT_EQ(-EAGAIN, NEXT());
}

/* A newer watch replaces the older one, be it for room or for a position. */
TEST_F(watch, replaced)
{
	__u32 start = self->b.start;

	ASSERT_EQ(0, SEND(ENTRIES));
	read_some(&self->b, ENTRIES);
	/* The newer position counts, be it nearer or farther. */
	ASSERT_EQ(0, SEND(ENTRIES));
	ASSERT_EQ(-EAGAIN, FLUSH(start + 6, 0));
	ASSERT_EQ(-EAGAIN, FLUSH(start + 8, 0));
	EXPECT_EQ(start + 8, LOAD(&self->b.inbox->room_at));
	read_some(&self->b, 3);
	EXPECT_EQ(0, POLL());
	ASSERT_EQ(-EAGAIN, FLUSH(start + 8, 0));
	read_some(&self->b, 1);
	EXPECT_EQ(POLLOUT, POLL());
	/* A new watch replaces one that is over. */
	ASSERT_EQ(0, SEND(ENTRIES));
	ASSERT_EQ(-EAGAIN, SEND(1));
	EXPECT_EQ(0, POLL());
	read_some(&self->b, 1);
	EXPECT_EQ(POLLOUT, POLL());
	ASSERT_EQ(-EAGAIN, FLUSH(start + 12, 0));
	EXPECT_EQ(0, POLL());
	EXPECT_EQ(-EAGAIN, NEXT());
	/* A watch for room replaces one for a position. */
	ASSERT_EQ(0, SEND(1));
	ASSERT_EQ(-EAGAIN, SEND(1));
	read_some(&self->b, 1);
	ASSERT_EQ(0, NEXT());
	EXPECT_EQ(-EAGAIN, NEXT());
	read_some(&self->b, 3);
	EXPECT_EQ(0, POLL());
}

/* A watch of a lane, beside one of the inbox. */
TEST_F(watch, lane)
{
	struct lane_out out;
	struct lane_in in;
	struct ivring_item item;
	int i;

	ASSERT_EQ(0, lane_connect(&out, &in, &self->a, &self->b, ENTRIES));
	EXPECT_EQ(0, FLUSH(out.next, IVRING_FLUSH_LANE));
	for (i = 0; i < ENTRIES; i++)
		ASSERT_LE(0, lane_send(&out, i));
	ASSERT_EQ(0, SEND(ENTRIES));
	ASSERT_EQ(-EAGAIN, SEND(1));
	ASSERT_EQ(-EAGAIN, FLUSH(out.next - 2, IVRING_FLUSH_LANE));
	lane_take(&in, &item);
	ASSERT_EQ(0, lane_ring_back(&in));
	EXPECT_EQ(0, POLL());
	lane_take(&in, &item);
	ASSERT_EQ(0, lane_ring_back(&in));
	EXPECT_EQ(POLLOUT, POLL());
	read_some(&self->b, 1);
	/* Both are over. */
	ASSERT_EQ(0, NEXT());
	EXPECT_EQ(0, self->next.flags);
	ASSERT_EQ(0, NEXT());
	EXPECT_EQ(IVRING_WATCH_LANE, self->next.flags);
	EXPECT_EQ(self->b.generation, self->next.generation);
	EXPECT_EQ(-EAGAIN, NEXT());

	/* The receiver closes the lane. */
	ASSERT_EQ(-EAGAIN, FLUSH(out.next, IVRING_FLUSH_LANE));
	ASSERT_EQ(0, lane_close(&in));
	EXPECT_EQ(POLLOUT, POLL());
	EXPECT_EQ(-ECONNRESET, FLUSH(out.next, IVRING_FLUSH_LANE));
	ASSERT_EQ(0, NEXT());
	lane_unmap(&out, &self->a);
}

/* A lane is closed and opened again while its old watch is over or waits. */
TEST_F(watch, lane_again)
{
	struct lane_out out;
	struct lane_in in;
	int round, i;

	for (round = 0; round < 4; round++) {
		ASSERT_EQ(0, lane_connect(&out, &in, &self->a, &self->b, ENTRIES));
		for (i = 0; i < ENTRIES; i++)
			ASSERT_LE(0, lane_send(&out, i));
		ASSERT_EQ(-EAGAIN, FLUSH(out.next, IVRING_FLUSH_LANE));
		EXPECT_EQ(0, POLL());
		ASSERT_EQ(0, lane_close(&in));
		EXPECT_EQ(POLLOUT, POLL());
		lane_unmap(&out, &self->a);
	}
	ASSERT_EQ(0, NEXT());
	EXPECT_EQ(-EAGAIN, NEXT());
}

/* The receiver leaves, or breaks its inbox. */
TEST_F(watch, receiver_ends)
{
	struct member c;

	ASSERT_EQ(0, member_join(&c, self->a.fd));
	ASSERT_EQ(0, member_send_watch(&self->a, c.id, c.generation, ENTRIES, &self->e));
	ASSERT_EQ(-EAGAIN, member_send_watch(&self->a, c.id, c.generation, 1, &self->e));
	member_close(&c);
	EXPECT_EQ(POLLOUT, POLL());
	EXPECT_EQ(-EPIPE, member_send_watch(&self->a, c.id, c.generation, 1, &self->e));
	/* The next member of the slot is another receiver. */
	ASSERT_EQ(0, member_join(&c, self->a.fd));
	EXPECT_EQ(POLLOUT, POLL());
	ASSERT_EQ(0, NEXT());
	EXPECT_EQ(c.generation - 2, self->next.generation);
	EXPECT_EQ(-EAGAIN, NEXT());

	ASSERT_EQ(0, SEND(ENTRIES));
	ASSERT_EQ(-EAGAIN, SEND(1));
	STORE(&self->b.area->inbox_consumer, 1234567);
	dev_poll(self->b.fd, POLLIN);
	EXPECT_EQ(POLLOUT, POLL());
	EXPECT_EQ(-EPROTO, SEND(1));
	EXPECT_EQ(0, NEXT());
	member_close(&c);
}

/* The receiver is killed while it is watched. */
TEST_F(watch, receiver_killed)
{
	struct pollfd p = { .fd = self->a.fd, .events = POLLOUT };
	int ready[2], fd = self->a.fd;
	struct member c = { 0 };
	pid_t pid;

	ASSERT_EQ(0, pipe(ready));
	pid = child_fork();
	if (!pid) {
		if (member_join(&c, fd) || write(ready[1], &c, sizeof(c)) != sizeof(c))
			_exit(1);
		pause();
	}
	ASSERT_EQ((ssize_t)sizeof(c), read(ready[0], &c, sizeof(c)));
	ASSERT_EQ(0, member_send_watch(&self->a, c.id, c.generation, ENTRIES, &self->e));
	ASSERT_EQ(-EAGAIN, member_send_watch(&self->a, c.id, c.generation, 1, &self->e));
	EXPECT_EQ(0, poll(&p, 1, 20));
	kill(pid, SIGKILL);
	EXPECT_EQ(1, poll(&p, 1, 20000 * slowness));
	EXPECT_EQ(0, NEXT());
	child_wait(pid);
}

/* All watches of a sender are removed when it leaves. */
TEST_F(watch, sender_leaves)
{
	struct ivring_enqueue e;
	struct member c;
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, member_join(&c, self->a.fd));
		member_send_watch(&c, self->b.id, self->b.generation, ENTRIES, &e);
		ASSERT_EQ(-EAGAIN, member_send_watch(&c, self->b.id, self->b.generation, 1, &e));
		EXPECT_TRUE(LOAD(&self->b.inbox->room_wanted));
		member_close(&c);
		EXPECT_FALSE(LOAD(&self->b.inbox->room_wanted));
	}
	read_some(&self->b, ENTRIES);
	ASSERT_EQ(0, SEND(ENTRIES));
}

/* The sender of a lane leaves, and its receiver keeps the lane. */
TEST_F(watch, sender_of_lane_leaves)
{
	struct lane_out out;
	struct lane_in in;
	struct member c;

	ASSERT_EQ(0, member_join(&c, self->a.fd));
	ASSERT_EQ(0, lane_connect(&out, &in, &c, &self->b, ENTRIES));
	ASSERT_LE(0, lane_send(&out, 1));
	ASSERT_EQ(-EAGAIN, dev_flush_flags(c.fd, self->b.id, self->b.generation, out.next,
					   IVRING_FLUSH_LANE | IVRING_FLUSH_WATCH, 0));
	EXPECT_TRUE(LOAD(&in.ring->room_wanted));
	lane_unmap(&out, &c);
	member_close(&c);
	EXPECT_FALSE(LOAD(&in.ring->room_wanted));
	ASSERT_EQ(0, lane_close(&in));
}

/* A NEXT_WATCH that fails wakes pollers, which may have found no watch in the meantime. */
TEST_F(watch, put_back_wakes)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	int epfd = epoll_create1(0);

	ASSERT_EQ(0, SEND(ENTRIES));
	ASSERT_EQ(-EAGAIN, SEND(1));
	read_some(&self->b, 1);
	ASSERT_EQ(0, epoll_ctl(epfd, EPOLL_CTL_ADD, self->a.fd, &event));
	ASSERT_EQ(1, epoll_wait(epfd, &event, 1, 0));
	ASSERT_EQ(0, epoll_wait(epfd, &event, 1, 0));
	/* The watch is gone and comes back, which is another edge. */
	EXPECT_EQ(-EFAULT, dev_next_watch(self->a.fd, KERNEL_ADDRESS));
	EXPECT_EQ(1, epoll_wait(epfd, &event, 1, 0));
	close(epfd);
}

/* There is one edge when a watch is over. A task that polls only for items is not woken. */
TEST_F(watch, epoll_edge)
{
	struct epoll_event out = { .events = EPOLLOUT | EPOLLET }, event;
	struct epoll_event in = { .events = EPOLLIN | EPOLLET };
	int for_out = epoll_create1(0), for_in = epoll_create1(0), i;

	ASSERT_EQ(0, epoll_ctl(for_out, EPOLL_CTL_ADD, self->a.fd, &out));
	ASSERT_EQ(0, epoll_ctl(for_in, EPOLL_CTL_ADD, self->a.fd, &in));
	ASSERT_EQ(0, SEND(ENTRIES));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(-EAGAIN, SEND(1));
		EXPECT_EQ(0, epoll_wait(for_out, &event, 1, 0));
		STORE(&self->a.area->state, IVRING_BUSY);
		read_some(&self->b, 1);
		EXPECT_EQ(1, epoll_wait(for_out, &event, 1, 0));
		EXPECT_EQ(EPOLLOUT, event.events);
		EXPECT_EQ(0, epoll_wait(for_out, &event, 1, 0));
		EXPECT_EQ(0, epoll_wait(for_in, &event, 1, 0));
		/* epoll did not look at the file again, or else it would have armed. */
		EXPECT_EQ(IVRING_BUSY, member_state(&self->a));
		ASSERT_EQ(0, SEND(1));
	}
	close(for_out);
	close(for_in);
}

TEST_F(watch, select)
{
	struct timeval zero = { 0 };
	fd_set out;

	ASSERT_EQ(0, SEND(ENTRIES));
	ASSERT_EQ(-EAGAIN, SEND(1));
	FD_ZERO(&out);
	FD_SET(self->a.fd, &out);
	EXPECT_EQ(0, select(self->a.fd + 1, NULL, &out, NULL, &zero));
	EXPECT_EQ(IVRING_BUSY, member_state(&self->a));
	read_some(&self->b, 1);
	FD_SET(self->a.fd, &out);
	EXPECT_EQ(1, select(self->a.fd + 1, NULL, &out, NULL, &zero));
}

TEST_F(watch, uring)
{
	struct uring ring;
	int multishot, i;

	if (uring_open(&ring))
		SKIP(return, "io_uring is not available");
	ASSERT_EQ(0, SEND(ENTRIES));
	for (multishot = 0; multishot < 2; multishot++) {
		ASSERT_EQ(-EAGAIN, SEND(1));
		ASSERT_EQ(0, uring_poll(&ring, self->a.fd, POLLOUT, multishot));
		for (i = 0; i <= 2 * multishot; i++) {
			EXPECT_EQ(-ETIME, uring_wait(&ring, 10));
			read_some(&self->b, 1);
			EXPECT_EQ(POLLOUT, uring_wait(&ring, 20000));
			ASSERT_EQ(0, SEND(1));
			ASSERT_EQ(-EAGAIN, SEND(1));
		}
	}
	close(ring.fd);
}

TEST_F(watch, aio)
{
	struct iocb request = {
		.aio_lio_opcode = IOCB_CMD_POLL,
		.aio_fildes = self->a.fd,
		.aio_buf = POLLOUT,
	};
	struct iocb *requests[] = { &request };
	struct io_event event = { 0 };
	aio_context_t context = 0;

	if (syscall(__NR_io_setup, 1, &context))
		SKIP(return, "the kernel has no asynchronous I/O");
	ASSERT_EQ(0, SEND(ENTRIES));
	ASSERT_EQ(-EAGAIN, SEND(1));
	ASSERT_EQ(1, syscall(__NR_io_submit, context, 1, requests));
	read_some(&self->b, 1);
	ASSERT_EQ(1, syscall(__NR_io_getevents, context, 1, 1, &event, NULL));
	EXPECT_TRUE(event.res & POLLOUT);
	syscall(__NR_io_destroy, context);
}

TEST_F(watch, errors)
{
	int fd = dev_open();

	EXPECT_EQ(-ENOTCONN, dev_next_watch(fd, &self->next));
	close(fd);
	EXPECT_EQ(-EAGAIN, dev_next_watch(self->a.fd, NULL));
	EXPECT_EQ(-EINVAL, dev_flush_flags(self->a.fd, self->b.id, self->b.generation, self->b.start,
					   IVRING_FLUSH_WATCH, in_ms(100)));
	EXPECT_EQ(-EINVAL, FLUSH(self->b.start, 4));
	EXPECT_EQ(-EINVAL, FLUSH(self->b.start + 1, 0));
	EXPECT_EQ(-ENOENT, FLUSH(0, IVRING_FLUSH_LANE));
	EXPECT_EQ(-EINVAL, dev_flush_flags(self->a.fd, 1000, 1, 0, IVRING_FLUSH_WATCH, 0));
	/* A watch that could not be reported stays. */
	ASSERT_EQ(0, SEND(ENTRIES));
	ASSERT_EQ(-EAGAIN, SEND(1));
	read_some(&self->b, 1);
	EXPECT_EQ(-EFAULT, dev_next_watch(self->a.fd, NULL));
	EXPECT_EQ(-EFAULT, dev_next_watch(self->a.fd, KERNEL_ADDRESS));
	EXPECT_EQ(POLLOUT, POLL());
	EXPECT_EQ(0, NEXT());
}

/* Many members watch one inbox. Each learns of the room, although no member takes it. */
TEST_F(watch, crowd)
{
	enum { MANY = 200 };
	struct member *many = calloc(MANY, sizeof(*many));
	struct member to;
	int i, over = 0;

	ASSERT_EQ(0, member_create(&to, MANY + 1, ENTRIES, 4096));
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, member_join(&many[i], to.fd));
	ASSERT_EQ(0, member_send_watch(&many[0], to.id, to.generation, ENTRIES, &self->e));
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(-EAGAIN, member_send_watch(&many[i], to.id, to.generation, 1, &self->e));
	read_some(&to, 1);
	for (i = 0; i < MANY; i++)
		over += SOON(dev_poll(many[i].fd, POLLOUT) == POLLOUT);
	EXPECT_EQ(MANY, over);
	/* They all watch again when the receiver leaves. */
	ASSERT_EQ(0, member_send_watch(&many[0], to.id, to.generation, 1, &self->e));
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(-EAGAIN, member_send_watch(&many[i], to.id, to.generation, 1, &self->e));
	member_close(&to);
	for (i = over = 0; i < MANY; i++)
		over += SOON(dev_poll(many[i].fd, POLLOUT) == POLLOUT);
	EXPECT_EQ(MANY, over);
	for (i = 0; i < MANY; i++)
		member_close(&many[i]);
	free(many);
}

/* Room that is kept for a task that waits does not end a watch. */
TEST_F(watch, room_for_a_task)
{
	pid_t pid;

	ASSERT_EQ(0, SEND(ENTRIES));
	pid = child_fork();
	if (!pid)
		_exit(member_send_wait(&self->b, self->b.id, self->b.generation, 1,
				       IVRING_DEADLINE_NEVER));
	ASSERT_TRUE(SOON(LOAD(&self->b.inbox->room_wanted)) && child_sleeps(pid));
	ASSERT_EQ(-EAGAIN, SEND(1));
	kill(pid, SIGSTOP);
	ASSERT_TRUE(SOON(child_state(pid) == 'T'));
	EXPECT_EQ(0, POLL());
	kill(pid, SIGCONT);
	ASSERT_TRUE(child_sleeps(pid));
	read_some(&self->b, 1);
	EXPECT_EQ(0, child_wait(pid));
	EXPECT_EQ(0, POLL());
	/* After the turn of the task, the watch has its own. */
	read_some(&self->b, 1);
	EXPECT_EQ(POLLOUT, POLL());
	ASSERT_EQ(0, SEND(1));
}

TEST_HARNESS_MAIN
