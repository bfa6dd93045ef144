// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of a lane: the sender writes it, the receiver reads it, and no other member
 * can map it. It exists as long as it is mapped, and the next lane never gets it.
 */
#include <sys/uio.h>

#include "ivring_test.h"
#include "lane.h"

#define ENTRIES	128		/* three pages */
#define SIZE	(3 * PAGE)

FIXTURE(lane_map) {
	struct member a;	/* sends to b */
	struct member b;
	struct member c;
	struct lane_out out;
	struct lane_in in;
};

FIXTURE_SETUP(lane_map)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, 8, 4096));
	ASSERT_EQ(0, member_join(&self->c, self->a.fd));
	ASSERT_EQ(0, lane_connect(&self->out, &self->in, &self->a, &self->b, ENTRIES));
	ASSERT_EQ(SIZE, lane_size(ENTRIES));
}

FIXTURE_TEARDOWN(lane_map)
{
	lane_unmap(&self->out, &self->a);
	munmap((void *)self->in.ring, SIZE);
	member_close(&self->c);
	member_close_pair(&self->a, &self->b);
}

static int refused(int error, const struct member *member, int prot, __u64 offset)
{
	return map_refused(error, member->fd, PAGE, prot, MAP_SHARED, offset);
}

/* Each end can map the lane, and only at its own offset. */
TEST_F(lane_map, ends)
{
	int rw = PROT_READ | PROT_WRITE;

	EXPECT_EQ(0, refused(EACCES, &self->b, rw, IVRING_MAP_LANE_FROM(self->a.id)));
	EXPECT_EQ(0, refused(EACCES, &self->b, PROT_WRITE,
			     IVRING_MAP_LANE_FROM(self->a.id)));
	EXPECT_EQ(0, refused(ENXIO, &self->b, PROT_READ, IVRING_MAP_LANE_TO(self->a.id)));
	EXPECT_EQ(0, refused(ENXIO, &self->a, PROT_READ, IVRING_MAP_LANE_FROM(self->b.id)));
}

TEST_F(lane_map, nobody_else)
{
	__u32 id;

	for (id = 0; id < 4; id++) {
		EXPECT_EQ(0, refused(ENXIO, &self->c, PROT_READ, IVRING_MAP_LANE_TO(id)));
		EXPECT_EQ(0, refused(ENXIO, &self->c, PROT_READ, IVRING_MAP_LANE_FROM(id)));
		if (id != self->b.id)
			EXPECT_EQ(0, refused(ENXIO, &self->a, PROT_READ,
					     IVRING_MAP_LANE_TO(id)));
		if (id != self->a.id)
			EXPECT_EQ(0, refused(ENXIO, &self->b, PROT_READ,
					     IVRING_MAP_LANE_FROM(id)));
	}
	for (; id < 4096; id += 500) {
		EXPECT_EQ(0, refused(EINVAL, &self->a, PROT_READ,
				     IVRING_MAP_LANE_FROM(0) + ((__u64)id << IVRING_MAP_SHIFT)));
		if (id < 1024)
			EXPECT_EQ(0, refused(EINVAL, &self->a, PROT_READ,
					     IVRING_MAP_LANE_TO(id)));
	}
}

/* Every part of the lane can be mapped, and nothing else. */
TEST_F(lane_map, parts)
{
	const __u64 base[2] = {
		IVRING_MAP_LANE_TO(self->b.id), IVRING_MAP_LANE_FROM(self->a.id),
	};
	const int fd[2] = { self->a.fd, self->b.fd };
	size_t size, start;
	int i;

	memset(self->out.ring->item, 0x5a, ENTRIES * 64);
	for (i = 0; i < 2; i++) {
		for (start = 0; start <= SIZE; start += PAGE) {
			for (size = PAGE; start + size <= SIZE + PAGE; size += PAGE) {
				bool good = start + size <= SIZE;
				char *p = dev_map(fd[i], size, PROT_READ, base[i] + start);

				if (good) {
					ASSERT_NE(MAP_FAILED, p);
					if (start + size > PAGE)
						ASSERT_EQ(0x5a, p[size - 1]);
					munmap(p, size);
				} else {
					ASSERT_EQ(MAP_FAILED, p);
					ASSERT_EQ(EINVAL, errno);
				}
			}
		}
		EXPECT_EQ(0, map_refused(EINVAL, fd[i], PAGE, PROT_READ, MAP_PRIVATE,
					 base[i]));
		EXPECT_EQ(0, map_refused(EINVAL, fd[i], 1UL << 30, PROT_READ,
					 MAP_SHARED, base[i]));
	}
}

TEST_F(lane_map, largest)
{
	struct lane_out out;
	struct lane_in in;

	ASSERT_EQ(0, lane_open(&out, &self->b, &self->a, IVRING_MAX_LANE_ENTRIES));
	ASSERT_EQ(0, lane_accept(&in, &self->a, self->b.id));
	out.ring->item[IVRING_MAX_LANE_ENTRIES - 1].cookie = 9;
	EXPECT_EQ(9, in.ring->item[IVRING_MAX_LANE_ENTRIES - 1].cookie);
	EXPECT_EQ(MAP_FAILED, dev_map(self->b.fd, lane_size(IVRING_MAX_LANE_ENTRIES) + PAGE,
				      PROT_READ, IVRING_MAP_LANE_TO(self->a.id)));
	lane_unmap(&out, &self->b);
	EXPECT_EQ(0, lane_close(&in));
}

/* The receiver cannot make its mapping writable by a detour. */
TEST_F(lane_map, readonly)
{
	char *target = (char *)self->in.ring + SIZE - 64, garbage[64];
	struct iovec from = { garbage, sizeof(garbage) };
	struct iovec to = { target, sizeof(garbage) };
	int fd = open("/proc/self/mem", O_RDWR);
	pid_t pid;

	memset(garbage, 0xee, sizeof(garbage));
	EXPECT_EQ(-1, mprotect((void *)self->in.ring, SIZE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(0, mprotect((void *)self->in.ring, SIZE, PROT_NONE));
	EXPECT_EQ(-1, mprotect((void *)self->in.ring, SIZE, PROT_WRITE));
	EXPECT_EQ(0, mprotect((void *)self->in.ring, SIZE, PROT_READ));
	EXPECT_EQ(-1, mprotect((void *)self->in.ring, SIZE, PROT_READ | PROT_EXEC));

	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, pwrite(fd, garbage, sizeof(garbage), (uintptr_t)target));
	EXPECT_EQ(-1, process_vm_writev(getpid(), &from, 1, &to, 1, 0));
	EXPECT_TRUE(errno == EFAULT || errno == ENOSYS);
	EXPECT_EQ(-EFAULT, dev_ioctl(self->b.fd, IVRING_IOC_API, target));
	close(fd);
	pid = child_fork();
	if (!pid) {
		volatile char *p = dev_map(self->b.fd, SIZE, PROT_READ,
					   IVRING_MAP_LANE_FROM(self->a.id));

		p[SIZE - 1] = 1;
		_exit(0);
	}
	EXPECT_EQ(-SIGSEGV, child_wait(pid));
	EXPECT_EQ(0, self->out.ring->item[ENTRIES - 1].cookie);
}

/* No process inherits the mapping. */
TEST_F(lane_map, fork)
{
	pid_t pid;

	madvise(self->out.ring, SIZE, MADV_DOFORK);
	madvise((void *)self->in.ring, SIZE, MADV_DOFORK);
	pid = child_fork();
	if (!pid) {
		self->out.ring->item[0].sequence = 1;
		_exit(0);
	}
	EXPECT_EQ(-SIGSEGV, child_wait(pid));
	pid = child_fork();
	if (!pid)
		_exit(LOAD(&self->in.ring->item[0].sequence) == 1);
	EXPECT_EQ(-SIGSEGV, child_wait(pid));
	EXPECT_EQ(0, self->out.ring->item[0].sequence);
}

/* The pages of a closed lane stay in its mappings, and it cannot be mapped again. */
TEST_F(lane_map, closed)
{
	struct lane_out out;

	self->out.ring->item[0].cookie = 42;
	ASSERT_EQ(0, dev_close_lane(self->b.fd, self->a.id, self->a.generation));
	EXPECT_EQ(0, refused(ENXIO, &self->b, PROT_READ, IVRING_MAP_LANE_FROM(self->a.id)));
	EXPECT_EQ(42, self->in.ring->item[0].cookie);
	self->out.ring->item[0].cookie = 43;
	EXPECT_EQ(43, self->in.ring->item[0].cookie);

	/* The next lane has other pages. */
	ASSERT_EQ(0, lane_open(&out, &self->a, &self->b, ENTRIES));
	EXPECT_EQ(0, out.ring->item[0].cookie);
	out.ring->item[0].cookie = 44;
	EXPECT_EQ(43, self->in.ring->item[0].cookie);
	lane_unmap(&out, &self->a);
}

TEST_F(lane_map, dead_sender)
{
	struct lane_out out;
	struct member next;

	self->out.ring->item[0].cookie = 42;
	lane_unmap(&self->out, &self->a);
	member_close(&self->a);
	EXPECT_EQ(42, self->in.ring->item[0].cookie);
	/* The lane can still be mapped, so that its items can be read. */
	munmap((void *)self->in.ring, SIZE);
	ASSERT_EQ(0, lane_accept(&self->in, &self->b, self->a.id));
	EXPECT_EQ(42, self->in.ring->item[0].cookie);
	ASSERT_EQ(0, lane_close(&self->in));
	ASSERT_EQ(0, member_join_slot(&next, self->b.fd, self->a.id));
	ASSERT_EQ(0, lane_open(&out, &next, &self->b, ENTRIES));
	ASSERT_EQ(0, lane_accept(&self->in, &self->b, next.id));
	EXPECT_EQ(0, self->in.ring->item[0].cookie);
	self->a = next;
	self->out = out;
}

TEST_F(lane_map, dead_receiver)
{
	struct lane_out out;
	struct member next;

	munmap((void *)self->in.ring, SIZE);
	member_close(&self->b);
	self->out.ring->item[0].cookie = 42;
	EXPECT_EQ(42, self->out.ring->item[0].cookie);
	EXPECT_EQ(IVRING_GONE, LOAD(&self->out.area->state));
	ASSERT_EQ(0, member_join_slot(&next, self->a.fd, self->b.id));
	EXPECT_EQ(0, refused(ENXIO, &next, PROT_READ, IVRING_MAP_LANE_FROM(self->a.id)));
	ASSERT_EQ(0, lane_open(&out, &self->a, &next, ENTRIES));
	EXPECT_EQ(0, out.ring->item[0].cookie);
	EXPECT_EQ(42, self->out.ring->item[0].cookie);
	lane_unmap(&self->out, &self->a);
	self->out = out;
	self->b = next;
	ASSERT_EQ(0, lane_accept(&self->in, &self->b, self->a.id));
}

/* A mapping of a lane keeps the region's memory like any other mapping. */
TEST_F(lane_map, keeps_the_member)
{
	munmap((void *)self->in.ring, SIZE);
	ASSERT_EQ(0, lane_accept(&self->in, &self->b, self->a.id));
	member_close(&self->b);
	EXPECT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, 1));
	munmap((void *)self->in.ring, SIZE);
	EXPECT_EQ(-EPIPE, member_send(&self->a, self->b.id, self->b.generation, 1));
	self->in.ring = NULL;
	ASSERT_EQ(0, member_join_slot(&self->b, self->a.fd, self->b.id));
}

TEST_HARNESS_MAIN
