// SPDX-License-Identifier: GPL-2.0
/*
 * If a call has several errors, it returns the one that is documented first.
 */
#include "ivring_test.h"
#include "lane.h"

#define ENTRIES	4
#define SLOT	2		/* has been used and is free now */

FIXTURE(order) {
	struct member a;
	struct member b;
	int fd;			/* holds another region */
	struct ivring_item *readonly;
};

static const char name[IVRING_NAME_SIZE] = "order-test";

FIXTURE_SETUP(order)
{
	struct ivring_create c = create_args(1, 2, 4096);
	struct member gone;

	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, ENTRIES, 4096));
	ASSERT_EQ(0, member_join_slot(&gone, self->a.fd, SLOT));
	member_close(&gone);
	memcpy(c.name, name, sizeof(name));
	self->fd = dev_open();
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_CREATE, &c));
	self->readonly = fenced_pages(1);
	mprotect(self->readonly, PAGE, PROT_READ);
}

FIXTURE_TEARDOWN(order)
{
	close(self->fd);
	member_close_pair(&self->a, &self->b);
}

/* Add an error that is reported before the earlier ones. */
#define EXPECT_BEFORE(error, what, call)	\
do {						\
	what;					\
	EXPECT_EQ(-(error), call);		\
} while (0)

TEST_F(order, create)
{
	struct ivring_create c = create_args(1, 2, 4096);
	int fd = dev_open();

	memcpy(c.name, name, sizeof(name));
	EXPECT_EQ(-EEXIST, dev_ioctl(fd, IVRING_IOC_CREATE, &c));
	EXPECT_EQ(-EBUSY, dev_ioctl(self->fd, IVRING_IOC_CREATE, &c));
	EXPECT_BEFORE(EINVAL, c.flags = 2, dev_ioctl(self->fd, IVRING_IOC_CREATE, &c));
	close(fd);
}

TEST_F(order, attach)
{
	struct ivring_attach *r = (void *)self->readonly, a = attach_args(-1, 7);
	int fd = dev_open();

	EXPECT_EQ(-EINVAL, dev_ioctl(self->fd, IVRING_IOC_ATTACH, &a));
	EXPECT_BEFORE(EBUSY, a.region_fd = self->a.fd,
		      dev_ioctl(self->fd, IVRING_IOC_ATTACH, &a));
	EXPECT_BEFORE(EBADF, a.region_fd = 1000000,
		      dev_ioctl(self->fd, IVRING_IOC_ATTACH, &a));
	EXPECT_BEFORE(EINVAL, a.name[0] = 'x', dev_ioctl(self->fd, IVRING_IOC_ATTACH, &a));
	EXPECT_EQ(-EISCONN, dev_ioctl(self->a.fd, IVRING_IOC_ATTACH, &a));
	EXPECT_BEFORE(EINVAL, a.flags = 1U << 31, dev_ioctl(self->a.fd, IVRING_IOC_ATTACH, &a));

	a = attach_args(-1, 7);
	a.name[0] = 'x';
	EXPECT_EQ(-ENOENT, dev_ioctl(self->fd, IVRING_IOC_ATTACH, &a));
	EXPECT_EQ(-ENXIO, dev_ioctl(fd, IVRING_IOC_ATTACH,
				    &(struct ivring_attach) { .region_fd = -1, .id = 7 }));

	/* Writing the result is the last step that can fail. */
	mprotect(r, PAGE, PROT_READ | PROT_WRITE);
	*r = attach_args(self->a.fd, self->a.id);
	mprotect(r, PAGE, PROT_READ);
	EXPECT_EQ(-EBUSY, dev_ioctl(fd, IVRING_IOC_ATTACH, r));
	close(fd);
}

TEST_F(order, enqueue)
{
	struct ivring_enqueue *r = (void *)self->readonly;
	struct ivring_item item = { 0 };
	struct ivring_enqueue e = enqueue_args(self->b.id, self->b.generation, &item, 1);
	int i;

	for (i = 0; i < ENTRIES; i++)
		ASSERT_EQ(0, dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e));
	EXPECT_EQ(-EAGAIN, dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e));
	EXPECT_BEFORE(EPROTO, self->b.area->inbox_consumer -= 1,
		      dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e));
	EXPECT_BEFORE(EINVAL, item.flags = 8,
		      dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e));
	EXPECT_BEFORE(EFAULT, e.items = 1,
		      dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e));
	e.id = SLOT;
	EXPECT_BEFORE(EPIPE, e.generation = 1,
		      dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e));
	EXPECT_BEFORE(EINVAL, e.generation = 3,
		      dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e));
	e.generation = 1;
	EXPECT_BEFORE(EINVAL, e.count = 0,
		      dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e));
	EXPECT_EQ(-ENOTCONN, dev_ioctl(self->fd, IVRING_IOC_ENQUEUE, &e));
	EXPECT_EQ(-ENOTCONN, dev_ioctl(self->fd, IVRING_IOC_ENQUEUE, NULL));

	/* An argument that cannot be written is reported before bad items. */
	mprotect(r, PAGE, PROT_READ | PROT_WRITE);
	*r = enqueue_args(self->b.id, self->b.generation, &item, 1);
	mprotect(r, PAGE, PROT_READ);
	EXPECT_EQ(-EFAULT, dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, r));
}

TEST_F(order, enqueue_full)
{
	struct ivring_item item = { 0 };
	struct ivring_enqueue e = enqueue_args(self->b.id, self->b.generation, &item, 1);

	while (!dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e))
		;
	EXPECT_EQ(-EAGAIN, dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e));
	/* The errors are the same with and without room. */
	EXPECT_BEFORE(EINVAL, item.flags = 8,
		      dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e));
	e.flags = IVRING_ENQUEUE_WAIT;
	EXPECT_BEFORE(EINVAL, e.deadline = IVRING_DEADLINE_NEVER,
		      dev_ioctl(self->a.fd, IVRING_IOC_ENQUEUE, &e));
}

TEST_F(order, others)
{
	struct ivring_flush f = {
		.id = self->b.id,
		.generation = self->b.generation,
		.position = self->b.start + 1,
	};
	struct ivring_eventfd e = { .fd = 1000000 };

	EXPECT_EQ(-EINVAL, dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, &f));
	EXPECT_BEFORE(EPROTO, self->b.area->inbox_consumer -= 1,
		      dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, &f));
	f.id = SLOT;
	EXPECT_BEFORE(EPIPE, f.generation = 1, dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, &f));
	EXPECT_BEFORE(EINVAL, f.flags = 4, dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, &f));
	EXPECT_EQ(-ENOTCONN, dev_ioctl(self->fd, IVRING_IOC_FLUSH, &f));

	EXPECT_EQ(-EPROTO, dev_wait(self->b.fd, 0, 0, NULL));
	EXPECT_EQ(-EINVAL, dev_wait(self->b.fd, 8, 0, NULL));
	EXPECT_EQ(-ENOTCONN, dev_wait(self->fd, 8, 0, NULL));

	EXPECT_EQ(-EBADF, dev_ioctl(self->a.fd, IVRING_IOC_EVENTFD, &e));
	EXPECT_BEFORE(EINVAL, e.flags = 1, dev_ioctl(self->a.fd, IVRING_IOC_EVENTFD, &e));
	EXPECT_EQ(-ENOTCONN, dev_ioctl(self->fd, IVRING_IOC_EVENTFD, &e));
}

TEST_F(order, lanes)
{
	struct ivring_open_lane o = {
		.id = self->b.id,
		.generation = self->b.generation,
		.entries = ENTRIES,
	};
	struct ivring_flush f = {
		.id = self->b.id,
		.generation = self->b.generation,
		.position = -ENTRIES + 1,
		.flags = IVRING_FLUSH_LANE,
	};
	struct lane_out lane;

	EXPECT_EQ(-ENOENT, dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, &f));
	ASSERT_EQ(0, lane_open(&lane, &self->a, &self->b, ENTRIES));
	EXPECT_EQ(-ETIMEDOUT, dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, &f));
	EXPECT_EQ(-ECONNRESET, (dev_close_lane(self->b.fd, self->a.id, self->a.generation),
				dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, &f)));
	EXPECT_BEFORE(EINVAL, f.flags |= 4, dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, &f));

	STORE(&self->b.area->max_lane_entries, 0);
	EXPECT_EQ(-ECONNREFUSED, dev_ioctl(self->a.fd, IVRING_IOC_OPEN_LANE, &o));
	STORE(&self->b.area->max_lane_entries, ENTRIES);
	ASSERT_EQ(0, dev_ioctl(self->a.fd, IVRING_IOC_OPEN_LANE, &o));
	o.entries = 2 * ENTRIES;
	EXPECT_BEFORE(EBUSY, STORE(&self->b.area->max_lane_entries, 0),
		      dev_ioctl(self->a.fd, IVRING_IOC_OPEN_LANE, &o));
	o.id = SLOT;
	EXPECT_BEFORE(EPIPE, o.generation = 1, dev_ioctl(self->a.fd, IVRING_IOC_OPEN_LANE, &o));
	EXPECT_BEFORE(EINVAL, o.generation = 3, dev_ioctl(self->a.fd, IVRING_IOC_OPEN_LANE, &o));
	o.generation = 1;
	EXPECT_BEFORE(EINVAL, o.entries = 3, dev_ioctl(self->a.fd, IVRING_IOC_OPEN_LANE, &o));

	/* A file that is not attached gets ENOTCONN for any request. */
	EXPECT_EQ(-ENOTCONN, dev_ioctl(self->fd, IVRING_IOC_OPEN_LANE, &o));
	EXPECT_EQ(-ENOTCONN, dev_ioctl(self->fd, IVRING_IOC_OPEN_LANE, NULL));
	EXPECT_EQ(-ENOTCONN, dev_ioctl(self->fd, IVRING_IOC_CLOSE_LANE, NULL));
	EXPECT_EQ(-ENOTCONN, dev_ioctl(self->fd, IVRING_IOC_DOORBELL, NULL));
	EXPECT_EQ(-ENOTCONN, dev_ioctl(self->fd, IVRING_IOC_ROOM, NULL));
	lane_unmap(&lane, &self->a);
}

/*
 * EPIPE for a member that has left is reported instead of ECONNRESET for a lane that it had
 * closed before.
 */
TEST_F(order, closed_and_left)
{
	struct ivring_flush f = {
		.id = self->b.id,
		.generation = self->b.generation,
		.position = -ENTRIES + 1,
		.flags = IVRING_FLUSH_LANE,
	};
	struct lane_out lane;
	__u32 id = self->b.id;

	ASSERT_EQ(0, lane_open(&lane, &self->a, &self->b, ENTRIES));
	ASSERT_EQ(0, dev_close_lane(self->b.fd, self->a.id, self->a.generation));
	EXPECT_EQ(-ECONNRESET, lane_doorbell(&lane));
	EXPECT_EQ(-ECONNRESET, dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, &f));
	member_close(&self->b);
	EXPECT_EQ(-EPIPE, lane_doorbell(&lane));
	EXPECT_EQ(-EPIPE, dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, &f));
	ASSERT_EQ(0, member_join_slot(&self->b, self->a.fd, id));
	EXPECT_EQ(-ESTALE, lane_doorbell(&lane));
	EXPECT_EQ(-ESTALE, dev_ioctl(self->a.fd, IVRING_IOC_FLUSH, &f));
	lane_unmap(&lane, &self->a);
}

TEST_F(order, open_member)
{
	struct ivring_open_member o = { self->b.id, self->b.generation };

	EXPECT_EQ(-EFAULT, dev_ioctl(self->a.fd, IVRING_IOC_OPEN_MEMBER, NULL));
	EXPECT_EQ(-ENOTCONN, dev_ioctl(self->fd, IVRING_IOC_OPEN_MEMBER, NULL));
	o.generation += 2;
	EXPECT_EQ(-EINVAL, dev_ioctl(self->a.fd, IVRING_IOC_OPEN_MEMBER, &o));
}

TEST_F(order, mmap)
{
	int rw = PROT_READ | PROT_WRITE, view;

	view = member_view(&self->a, self->b.id, self->b.generation);
	ASSERT_LE(0, view);
	EXPECT_EQ(0, map_refused(EACCES, self->a.fd, PAGE, rw, MAP_SHARED, IVRING_MAP_REGION));
	EXPECT_EQ(0, map_refused(EACCES, view, PAGE, rw, MAP_SHARED, IVRING_MAP_MEMBER));
	EXPECT_EQ(0, map_refused(EINVAL, self->a.fd, PAGE, rw, MAP_PRIVATE, IVRING_MAP_REGION));
	EXPECT_EQ(0, map_refused(EINVAL, self->a.fd, PAGE, rw, MAP_SHARED,
				 IVRING_MAP_REGION + (16 << 20)));
	EXPECT_EQ(0, map_refused(ENXIO, self->a.fd, PAGE, rw, MAP_PRIVATE,
				 IVRING_MAP_LANE_TO(SLOT) + (16 << 20)));
	EXPECT_EQ(0, map_refused(EINVAL, self->a.fd, PAGE, rw, MAP_PRIVATE,
				 IVRING_MAP_LANE_TO(4)));
	EXPECT_EQ(0, map_refused(ENOTCONN, self->fd, PAGE, rw, MAP_PRIVATE,
				 IVRING_MAP_LANE_TO(4)));
	close(view);
}

TEST_HARNESS_MAIN
