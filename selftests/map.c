// SPDX-License-Identifier: GPL-2.0
/*
 * What can be mapped, and how.
 */
#include <sys/mount.h>
#include <sys/stat.h>

#include "ivring_test.h"

#define OUTBOX	16384

FIXTURE(map) {
	struct member a;	/* reads the area of b */
	struct member b;
	__u8 *outbox;		/* of b */
	int fd;			/* not attached */
};

FIXTURE_SETUP(map)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, 64, OUTBOX));
	self->outbox = member_outbox(&self->b, self->b.area);
	self->fd = dev_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(map)
{
	close(self->fd);
	member_close_pair(&self->a, &self->b);
}

/* The size of an area, and its offset. */
struct area {
	size_t size;
	__u64 offset;
};

static void areas_of_a(const struct member *a, const struct member *b, struct area area[4])
{
	area[0] = (struct area) { a->region_size, IVRING_MAP_REGION };
	area[1] = (struct area) { a->inbox_size, IVRING_MAP_INBOX };
	area[2] = (struct area) { a->area_size, IVRING_MAP_MEMBER(a->id) };
	area[3] = (struct area) { b->area_size, IVRING_MAP_MEMBER(b->id) };
}

TEST_F(map, shared_by_all)
{
	const struct ivring_member_area *seen = member_peer(&self->a, self->b.id);
	struct member c;

	/*
	 * Every mapping of an area shows what its writer writes, also a mapping that is
	 * made later.
	 */
	ASSERT_NE(MAP_FAILED, seen);
	STORE(&self->outbox[OUTBOX - 1], 42);
	STORE(&self->b.area->members_seen, 43);
	EXPECT_EQ(42, LOAD(&member_outbox(&self->a, seen)[OUTBOX - 1]));
	EXPECT_EQ(43, LOAD(&seen->members_seen));
	ASSERT_EQ(0, member_join(&c, self->a.fd));
	seen = member_peer(&c, self->b.id);
	ASSERT_NE(MAP_FAILED, seen);
	EXPECT_EQ(42, LOAD(&member_outbox(&self->a, seen)[OUTBOX - 1]));
	EXPECT_EQ(member_changes_word(&c), member_changes_word(&self->a));
	member_close(&c);
	munmap((void *)seen, c.area_size);
}

/* Every part of an area can be mapped, and nothing else. */
TEST_F(map, parts)
{
	struct area area[4];
	size_t size, start;
	int i;

	areas_of_a(&self->a, &self->b, area);
	memset(self->outbox, 0x5a, OUTBOX);
	for (i = 0; i < 4; i++) {
		for (start = 0; start <= area[i].size; start += PAGE) {
			for (size = PAGE; start + size <= area[i].size + PAGE; size += PAGE) {
				bool good = start + size <= area[i].size;
				char *p = dev_map(self->a.fd, size, PROT_READ,
						  area[i].offset + start);

				if (good) {
					ASSERT_NE(MAP_FAILED, p);
					if (i == 3 && start + size > IVRING_OUTBOX_OFFSET(4))
						ASSERT_EQ(0x5a, p[size - 1]);
					munmap(p, size);
				} else {
					ASSERT_EQ(MAP_FAILED, p);
					ASSERT_EQ(EINVAL, errno);
				}
			}
		}
	}
}

TEST_F(map, offsets)
{
	static const __u64 nothing[] = {
		/* Offsets between the areas and behind the last slot. */
		IVRING_MAP_INBOX - PAGE, IVRING_MAP_MEMBER(0) - PAGE,
		IVRING_MAP_MEMBER(1) - PAGE, IVRING_MAP_MEMBER(4), IVRING_MAP_MEMBER(1023),
		IVRING_MAP_LANE_TO(4), IVRING_MAP_LANE_TO(1023),
		IVRING_MAP_LANE_FROM(4), IVRING_MAP_LANE_FROM(1023),
		IVRING_MAP_LANE_FROM(1024), IVRING_MAP_MEMBER(65536),
		/* A cast to 16 or 32 bits, or a shift, would make these offsets valid. */
		IVRING_MAP_MEMBER(65536ULL + 1), IVRING_MAP_MEMBER(1ULL << 32),
		1ULL << 62, (1ULL << 63) - PAGE, -PAGE,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(nothing); i++) {
		void *p = dev_map(self->a.fd, PAGE, PROT_READ, nothing[i]);

		EXPECT_EQ(MAP_FAILED, p) TH_LOG("offset %#llx", nothing[i]);
		EXPECT_TRUE(errno == EINVAL || errno == EOVERFLOW);
	}
	EXPECT_EQ(0, map_refused(ENXIO, self->a.fd, PAGE, PROT_READ, MAP_SHARED,
				 IVRING_MAP_MEMBER(3)));
	EXPECT_EQ(0, map_refused(EINVAL, self->a.fd, 1UL << 30, PROT_READ,
				 MAP_SHARED, IVRING_MAP_REGION));
	EXPECT_EQ(0, map_refused(EINVAL, self->a.fd, self->a.region_size + PAGE,
				 PROT_READ, MAP_SHARED, IVRING_MAP_REGION));
}

TEST_F(map, not_attached)
{
	struct ivring_create c = create_args(1, 2, 4096);
	int i;

	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, map_refused(ENOTCONN, self->fd, PAGE, PROT_READ,
					 MAP_SHARED, (__u64)i << IVRING_MAP_SHIFT));
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_CREATE, &c));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, map_refused(ENOTCONN, self->fd, PAGE, PROT_READ,
					 MAP_SHARED, (__u64)i << IVRING_MAP_SHIFT));
}

TEST_F(map, private)
{
	struct area area[4];
	int i;

	areas_of_a(&self->a, &self->b, area);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(0, map_refused(EINVAL, self->a.fd, PAGE, PROT_READ,
					 MAP_PRIVATE, area[i].offset));
		EXPECT_EQ(0, map_refused(EINVAL, self->a.fd, PAGE,
					 PROT_READ | PROT_WRITE, MAP_PRIVATE,
					 area[i].offset));
	}
}

/* Make a device node on a file system that, unlike /dev, may be mounted without noexec. */
static int open_elsewhere(void)
{
	char dir[] = "/tmp/ivring.XXXXXX", path[32];
	struct stat st;
	int fd = -1;

	if (!mkdtemp(dir))
		return -1;
	if (!mount("tmpfs", dir, "tmpfs", 0, NULL)) {
		snprintf(path, sizeof(path), "%s/node", dir);
		if (!stat(DEVICE, &st) && !mknod(path, S_IFCHR | 0600, st.st_rdev))
			fd = open(path, O_RDWR | O_CLOEXEC);
		umount2(dir, MNT_DETACH);
	}
	rmdir(dir);
	return fd;
}

/* No mapping is executable, from the start or later. */
TEST_F(map, executable)
{
	struct ivring_attach a = attach_args(self->a.fd, 3);
	struct area area[4];
	struct member member;
	int i;

	close(self->fd);
	self->fd = open_elsewhere();
	if (self->fd < 0)
		SKIP(return, "no file system can hold a device node");
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_ATTACH, &a));
	ASSERT_EQ(0, member_map(&member, self->fd));
	areas_of_a(&member, &self->b, area);
	for (i = 0; i < 4; i++) {
		void *p;

		EXPECT_EQ(0, map_refused(EACCES, self->fd, PAGE,
					 PROT_READ | PROT_EXEC, MAP_SHARED,
					 area[i].offset));
		p = dev_map(self->fd, PAGE, PROT_READ, area[i].offset);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(-1, mprotect(p, PAGE, PROT_READ | PROT_EXEC));
		EXPECT_EQ(EACCES, errno);
		munmap(p, PAGE);
	}
	member_unmap(&member);
}

/* A file that was opened for reading or writing only cannot be mapped for the other access. */
TEST_F(map, opened_for_reading)
{
	struct ivring_attach a = attach_args(self->a.fd, 3);
	int fd = open(DEVICE, O_RDONLY);
	void *p;

	ASSERT_EQ(0, dev_ioctl(fd, IVRING_IOC_ATTACH, &a));
	EXPECT_EQ(0, map_refused(EACCES, fd, PAGE, PROT_READ | PROT_WRITE,
				 MAP_SHARED, IVRING_MAP_MEMBER(3)));
	p = dev_map(fd, PAGE, PROT_READ, IVRING_MAP_MEMBER(3));
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, mprotect(p, PAGE, PROT_READ | PROT_WRITE));
	munmap(p, PAGE);
	close(fd);
}

TEST_F(map, opened_for_writing)
{
	struct ivring_attach a = attach_args(self->a.fd, 3);
	int fd = open(DEVICE, O_WRONLY), i;

	ASSERT_EQ(0, dev_ioctl(fd, IVRING_IOC_ATTACH, &a));
	EXPECT_EQ(0, member_send(&(struct member) { .fd = fd }, self->a.id,
				 self->a.generation, 1));
	for (i = 0; i < 6; i++)
		EXPECT_EQ(0, map_refused(EACCES, fd, PAGE, PROT_WRITE, MAP_SHARED,
					 (__u64)i << IVRING_MAP_SHIFT));
	close(fd);
}

/* Whether @p is mapped in this process. */
static bool is_mapped(const void *p)
{
	unsigned char page;

	return !mincore((void *)p, PAGE, &page) || errno != ENOMEM;
}

TEST_F(map, fork)
{
	const void *peer = member_peer(&self->a, self->b.id);
	pid_t pid;

	/* No mapping is inherited by a child, regardless of madvise(). */
	madvise(self->a.area, self->a.area_size, MADV_DOFORK);
	madvise((void *)peer, self->b.area_size, MADV_DOFORK);
	ASSERT_TRUE(is_mapped(self->a.area));
	pid = child_fork();
	if (!pid)
		_exit(is_mapped(self->a.area) || is_mapped(self->a.region) ||
		      is_mapped(self->a.inbox) || is_mapped(peer));
	EXPECT_EQ(0, child_wait(pid));
	pid = child_fork();
	if (!pid) {
		*member_outbox(&self->a, self->a.area) = 1;
		_exit(0);
	}
	EXPECT_EQ(-SIGSEGV, child_wait(pid));
	EXPECT_EQ(0, *member_outbox(&self->a, self->a.area));
	/* The end of the child is not the end of the member. */
	EXPECT_EQ(0, member_send(&self->b, self->a.id, self->a.generation, 1));
	munmap((void *)peer, self->b.area_size);
}

/* The area stays in its mappings. */
TEST_F(map, after_close)
{
	const struct ivring_member_area *peer = member_peer(&self->a, self->b.id);

	self->outbox[7] = 7;
	close(self->b.fd);
	EXPECT_EQ(7, self->outbox[7]);
	self->outbox[7] = 8;
	EXPECT_EQ(8, member_outbox(&self->a, peer)[7]);
	/* The mappings keep the member too. */
	EXPECT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, 1));
	EXPECT_EQ(1, member_pending(&self->b));
	member_unmap(&self->b);
	EXPECT_EQ(8, member_outbox(&self->a, peer)[7]);
	EXPECT_EQ(-EPIPE, member_send(&self->a, self->b.id, self->b.generation, 1));
	munmap((void *)peer, self->b.area_size);
	ASSERT_EQ(0, member_join(&self->b, self->a.fd));
}

TEST_F(map, corpse)
{
	const struct ivring_member_area *corpse = member_peer(&self->a, self->b.id), *fresh;
	const __u8 *left = member_outbox(&self->a, corpse);
	__u8 *outbox;
	struct member c;
	size_t i;

	memset(self->outbox, 0xdd, OUTBOX);
	member_close(&self->b);
	EXPECT_EQ(0xdd, left[OUTBOX - 1]);
	EXPECT_EQ(0, map_refused(ENXIO, self->a.fd, PAGE, PROT_READ, MAP_SHARED,
				 IVRING_MAP_MEMBER(self->b.id)));

	/* The next member of the slot has other pages, which are zero. */
	ASSERT_EQ(0, member_join_slot(&c, self->a.fd, self->b.id));
	outbox = member_outbox(&c, c.area);
	for (i = 0; i < OUTBOX; i++)
		ASSERT_EQ(0, outbox[i]);
	memset(outbox, 0xcc, OUTBOX);
	for (i = 0; i < OUTBOX; i++)
		ASSERT_EQ(0xdd, left[i]);
	fresh = member_peer(&self->a, c.id);
	EXPECT_EQ(0xcc, member_outbox(&self->a, fresh)[OUTBOX - 1]);
	munmap((void *)corpse, c.area_size);
	munmap((void *)fresh, c.area_size);
	self->b = c;
}

/* A mapping can be moved, cut and split, but not grown. */
TEST_F(map, remap)
{
	size_t size = self->b.area_size;
	char *peer = (char *)member_peer(&self->a, self->b.id), *moved;

	self->outbox[0] = 0x11;
	self->outbox[OUTBOX - 1] = 0x22;
	EXPECT_EQ(MAP_FAILED, mremap(peer, size, size + PAGE, MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(MAP_FAILED, mremap(peer, 0, size, MREMAP_MAYMOVE));

	moved = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	moved = mremap(peer, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, moved);
	ASSERT_NE(MAP_FAILED, moved);
	EXPECT_FALSE(is_mapped(peer));
	EXPECT_EQ(0x11, moved[IVRING_OUTBOX_OFFSET(4)]);
	EXPECT_EQ(0x22, moved[size - 1]);
	/* The mapping has a hole, and the rest is unchanged. */
	EXPECT_EQ(0, munmap(moved + PAGE, PAGE));
	EXPECT_EQ(0x22, moved[size - 1]);
	EXPECT_EQ(moved, mremap(moved, PAGE, PAGE, 0));
	EXPECT_EQ(0, munmap(moved, size));

	/* A part of the mapping keeps the member as well as all of it. */
	close(self->b.fd);
	EXPECT_EQ(0, munmap(self->b.area, PAGE));
	munmap((void *)self->b.region, self->b.region_size);
	munmap((void *)self->b.inbox, self->b.inbox_size);
	EXPECT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, 1));
	EXPECT_EQ(0, munmap((char *)self->b.area + PAGE, size - PAGE));
	EXPECT_EQ(-EPIPE, member_send(&self->a, self->b.id, self->b.generation, 1));
	ASSERT_EQ(0, member_join(&self->b, self->a.fd));
}

/*
 * A process that asks the kernel to drop its pages may lose its view of them. Other
 * processes do not.
 */
TEST_F(map, dropped_pages)
{
	const struct ivring_member_area *peer;
	struct member c;
	pid_t pid;

	peer = member_peer(&self->a, self->b.id);
	memset(self->outbox, 0x77, OUTBOX);
	EXPECT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, 1));
	pid = child_fork();
	if (!pid) {
		/* The mappings are not inherited, but the child can map the same member. */
		if (member_map(&c, self->b.fd))
			_exit(1);
		madvise(c.area, c.area_size, MADV_DONTNEED);
		madvise(c.area, c.area_size, MADV_REMOVE);
		madvise(c.area, c.area_size, MADV_FREE);
		madvise((void *)c.inbox, c.inbox_size, MADV_DONTNEED);
		madvise((void *)c.region, c.region_size, MADV_DONTNEED);
		/* The access may be fatal. */
		*member_outbox(&c, c.area) = 1;
		_exit(member_outbox(&c, c.area)[1] != 0x77);
	}
	EXPECT_EQ(child_wait(pid) == -SIGBUS ? 0x77 : 1, self->outbox[0]);
	EXPECT_EQ(0x77, self->outbox[OUTBOX - 1]);
	EXPECT_EQ(0x77, member_outbox(&self->a, peer)[OUTBOX - 1]);
	EXPECT_EQ(1, member_pending(&self->b));
	EXPECT_EQ(IVRING_MAGIC, self->b.region->magic);
	EXPECT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, 2));
	EXPECT_EQ(2, member_pending(&self->b));
	munmap((void *)peer, self->b.area_size);
}

TEST_HARNESS_MAIN
