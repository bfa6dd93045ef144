// SPDX-License-Identifier: GPL-2.0
/*
 * What poll(), select() and epoll report, and that asking them arms the doorbell.
 */
#include <linux/aio_abi.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include "ivring_test.h"

#define ALL	(POLLIN | POLLRDNORM | POLLPRI | POLLOUT | POLLRDHUP)

FIXTURE(poll) {
	struct member a;	/* sends to b */
	struct member b;
};

FIXTURE_SETUP(poll)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, 8, 4096));
	member_see_members(&self->b);
}

FIXTURE_TEARDOWN(poll)
{
	member_close_pair(&self->a, &self->b);
}

static int send(struct member *from, struct member *to)
{
	return member_send(from, to->id, to->generation, 1);
}

TEST_F(poll, items)
{
	struct ivring_item item;

	EXPECT_EQ(0, dev_poll(self->b.fd, ALL));
	ASSERT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(POLLIN | POLLRDNORM, dev_poll(self->b.fd, ALL));
	EXPECT_EQ(POLLIN, dev_poll(self->b.fd, POLLIN));
	EXPECT_EQ(0, dev_poll(self->b.fd, POLLPRI));
	EXPECT_TRUE(member_take(&self->b, &item));
	EXPECT_EQ(0, dev_poll(self->b.fd, ALL));
	/* Items for other members do not count. */
	EXPECT_EQ(0, dev_poll(self->a.fd, POLLIN));
}

TEST_F(poll, members)
{
	struct member c;

	ASSERT_EQ(0, member_join(&c, self->a.fd));
	EXPECT_EQ(POLLPRI, dev_poll(self->b.fd, ALL));
	/* The new member has not seen any change yet. */
	EXPECT_EQ(POLLPRI, dev_poll(c.fd, ALL));
	member_see_members(&self->b);
	EXPECT_EQ(0, dev_poll(self->b.fd, ALL));
	member_close(&c);
	EXPECT_EQ(POLLPRI, dev_poll(self->b.fd, ALL));
	ASSERT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(POLLPRI | POLLIN | POLLRDNORM, dev_poll(self->b.fd, ALL));
}

/* The kernel's asynchronous I/O accepts a file only if each poller is on one wait queue. */
TEST_F(poll, aio)
{
	struct iocb request = {
		.aio_lio_opcode = IOCB_CMD_POLL,
		.aio_fildes = self->b.fd,
		.aio_buf = POLLIN,
	};
	struct iocb *requests[] = { &request };
	struct io_event event = { 0 };
	aio_context_t context = 0;

	if (syscall(__NR_io_setup, 1, &context))
		SKIP(return, "the kernel has no asynchronous I/O");
	ASSERT_EQ(1, syscall(__NR_io_submit, context, 1, requests));
	EXPECT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, 1));
	ASSERT_EQ(1, syscall(__NR_io_getevents, context, 1, 1, &event, NULL));
	EXPECT_TRUE(event.res & POLLIN);
	syscall(__NR_io_destroy, context);
}

TEST_F(poll, not_attached)
{
	struct ivring_create c = create_args(1, 2, 4096);
	int fd = dev_open();

	EXPECT_EQ(POLLERR, dev_poll(fd, ALL));
	ASSERT_EQ(0, dev_ioctl(fd, IVRING_IOC_CREATE, &c));
	EXPECT_EQ(POLLERR, dev_poll(fd, ALL));
	EXPECT_EQ(POLLERR, dev_poll(fd, 0));
	close(fd);
}

TEST_F(poll, select)
{
	struct timeval zero = { 0 };
	fd_set in, out, except;

#define SELECT()							\
({									\
	FD_ZERO(&in);							\
	FD_ZERO(&out);							\
	FD_ZERO(&except);						\
	FD_SET(self->b.fd, &in);					\
	FD_SET(self->b.fd, &except);					\
	select(self->b.fd + 1, &in, &out, &except, &zero);		\
})
	EXPECT_EQ(0, SELECT());
	ASSERT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(1, SELECT());
	EXPECT_TRUE(FD_ISSET(self->b.fd, &in));
	EXPECT_FALSE(FD_ISSET(self->b.fd, &except));
	STORE(&self->b.area->members_seen, member_changes_word(&self->b) + 1);
	EXPECT_EQ(2, SELECT());
	EXPECT_TRUE(FD_ISSET(self->b.fd, &except));
}

/* A poll() that finds nothing arms the doorbell, which rings once. */
TEST_F(poll, arms)
{
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
	EXPECT_EQ(0, dev_poll(self->b.fd, POLLIN));
	EXPECT_EQ(IVRING_IDLE, member_state(&self->b));
	ASSERT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(IVRING_BUSY, member_state(&self->b));
	EXPECT_EQ(1, member_stats(&self->b).rung);
	ASSERT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(1, member_stats(&self->b).rung);
	EXPECT_EQ(1, member_stats(&self->b).suppressed);
	/* A caller that is interested in no event still sleeps. */
	EXPECT_EQ(0, dev_poll(self->b.fd, 0));
	EXPECT_EQ(IVRING_IDLE, member_state(&self->b));
}

/* There is one edge per doorbell, and none without one. */
TEST_F(poll, epoll_edge)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epfd = epoll_create1(0);

	ASSERT_EQ(0, epoll_ctl(epfd, EPOLL_CTL_ADD, self->b.fd, &event));
	EXPECT_EQ(IVRING_IDLE, member_state(&self->b));
	EXPECT_EQ(0, epoll_wait(epfd, &event, 1, 0));
	ASSERT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(1, epoll_wait(epfd, &event, 1, 0));
	EXPECT_EQ(EPOLLIN, event.events);
	STORE(&self->b.area->state, IVRING_BUSY);
	EXPECT_EQ(0, epoll_wait(epfd, &event, 1, 0));
	ASSERT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(0, epoll_wait(epfd, &event, 1, 0));
	STORE(&self->b.area->state, IVRING_IDLE);
	ASSERT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(1, epoll_wait(epfd, &event, 1, 0));
	close(epfd);
}

/*
 * An epoll to which the file was added before it was attached reports the items that come
 * later, whether or not it had reported that the file was not attached.
 */
FIXTURE(poll_first) {
	struct member a;
	struct member b;
	int epfd;
};

FIXTURE_VARIANT(poll_first) {
	__u32 events;
	bool told;		/* of EPOLLERR */
	bool create;		/* by IVRING_CREATE_ATTACH */
};

FIXTURE_VARIANT_ADD(poll_first, level) { EPOLLIN, false, false };
FIXTURE_VARIANT_ADD(poll_first, level_told) { EPOLLIN, true, false };
FIXTURE_VARIANT_ADD(poll_first, level_create) { EPOLLIN, true, true };
FIXTURE_VARIANT_ADD(poll_first, edge) { EPOLLIN | EPOLLET, false, false };
FIXTURE_VARIANT_ADD(poll_first, edge_told) { EPOLLIN | EPOLLET, true, false };
FIXTURE_VARIANT_ADD(poll_first, edge_create) { EPOLLIN | EPOLLET, true, true };

FIXTURE_SETUP(poll_first)
{
	self->a = no_member;
	self->b = no_member;
	self->b.fd = dev_open();
	ASSERT_LE(0, self->b.fd);
	if (!variant->create)
		ASSERT_EQ(0, member_create(&self->a, 4, 8, 4096));
	self->epfd = epoll_create1(0);
}

FIXTURE_TEARDOWN(poll_first)
{
	close(self->epfd);
	member_close_pair(&self->a, &self->b);
}

static int become_a_member(struct member *b, struct member *a, bool create)
{
	struct ivring_create c = create_args(4, 8, 4096);
	int ret;

	if (!create)
		return member_attach(b, b->fd, a->fd, IVRING_ID_ANY);
	c.flags = IVRING_CREATE_ATTACH;
	ret = dev_ioctl(b->fd, IVRING_IOC_CREATE, &c);
	if (!ret)
		ret = member_map(b, b->fd);
	return ret ? ret : member_join(a, b->fd);
}

TEST_F(poll_first, before_it_sleeps)
{
	struct epoll_event event = { .events = variant->events };

	ASSERT_EQ(0, epoll_ctl(self->epfd, EPOLL_CTL_ADD, self->b.fd, &event));
	if (variant->told) {
		EXPECT_EQ(1, epoll_wait(self->epfd, &event, 1, 0));
		EXPECT_EQ(EPOLLERR, event.events);
	}
	ASSERT_EQ(0, become_a_member(&self->b, &self->a, variant->create));
	EXPECT_EQ(0, epoll_wait(self->epfd, &event, 1, 0));
	EXPECT_EQ(IVRING_IDLE, member_state(&self->b));
	ASSERT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(1, epoll_wait(self->epfd, &event, 1, 0));
	EXPECT_EQ(EPOLLIN, event.events);
	EXPECT_EQ(1, member_stats(&self->b).rung);
}

/* A sleeping edge-triggered epoll is woken, and arms. */
TEST_F(poll_first, while_it_sleeps)
{
	struct epoll_event event = { .events = variant->events };
	pid_t pid;

	if (!(variant->events & EPOLLET) || !variant->told)
		SKIP(return, "this epoll has events, so it does not sleep");
	ASSERT_EQ(0, epoll_ctl(self->epfd, EPOLL_CTL_ADD, self->b.fd, &event));
	EXPECT_EQ(1, epoll_wait(self->epfd, &event, 1, 0));
	EXPECT_EQ(EPOLLERR, event.events);
	pid = child_fork();
	if (!pid)
		_exit(epoll_wait(self->epfd, &event, 1, 5000) != 1 ||
		      event.events != EPOLLIN);
	usleep(50000);
	ASSERT_EQ(0, become_a_member(&self->b, &self->a, variant->create));
	EXPECT_TRUE(SOON(member_state(&self->b) == IVRING_IDLE));
	ASSERT_EQ(0, send(&self->a, &self->b));
	EXPECT_EQ(0, child_wait(pid));
}

/* The descriptor may be closed before it was ever attached. */
TEST_F(poll_first, never_attached)
{
	struct epoll_event event = { .events = variant->events };

	ASSERT_EQ(0, epoll_ctl(self->epfd, EPOLL_CTL_ADD, self->b.fd, &event));
	close(self->b.fd);
	self->b.fd = -1;
	EXPECT_EQ(0, epoll_wait(self->epfd, &event, 1, 0));
}

/* An epoll outlives the file, and a file leaves while it is polled. */
TEST_F(poll, close_while_polled)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epfd = epoll_create1(0);
	struct member c;

	ASSERT_EQ(0, member_join(&c, self->a.fd));
	member_see_members(&c);
	ASSERT_EQ(0, epoll_ctl(epfd, EPOLL_CTL_ADD, c.fd, &event));
	EXPECT_EQ(0, epoll_wait(epfd, &event, 1, 0));
	member_close(&c);
	EXPECT_EQ(0, epoll_wait(epfd, &event, 1, 0));
	EXPECT_EQ(-EPIPE, send(&self->a, &c));
	close(epfd);
}

TEST_HARNESS_MAIN
