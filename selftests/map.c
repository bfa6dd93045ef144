// SPDX-License-Identifier: GPL-2.0
/*
 * What can be mapped, and how.
 */
#include <sys/mount.h>
#include <sys/stat.h>

#include "ivring_test.h"

#define OUTBOX	16384

FIXTURE(map) {
	struct member a;	/* reads the memory of b */
	struct member b;
	int view;		/* a's descriptor of the memory of b */
	__u8 *outbox;		/* of b */
	int fd;			/* not attached */
};

FIXTURE_SETUP(map)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, 64, OUTBOX));
	self->outbox = self->b.outbox;
	self->view = member_view(&self->a, self->b.id, self->b.generation);
	ASSERT_LE(0, self->view);
	self->fd = dev_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(map)
{
	close(self->view);
	close(self->fd);
	member_close_pair(&self->a, &self->b);
}

/* The descriptor, the size and the offset of an area. */
struct area {
	int fd;
	size_t size;
	__u64 offset;
};

#define AREAS	6

/* The areas that @a can map: its own ones, and those of the member of @view. */
static void areas_of(const struct member *a, int view, struct area area[AREAS])
{
	area[0] = (struct area) { a->fd, a->region_size, IVRING_MAP_REGION };
	area[1] = (struct area) { a->fd, a->inbox_size, IVRING_MAP_INBOX };
	area[2] = (struct area) { a->fd, a->area_size, IVRING_MAP_MEMBER };
	area[3] = (struct area) { a->fd, a->outbox_size, IVRING_MAP_OUTBOX };
	area[4] = (struct area) { view, a->area_size, IVRING_MAP_MEMBER };
	area[5] = (struct area) { view, a->outbox_size, IVRING_MAP_OUTBOX };
}

/*
 * Every mapping of an area shows the data that its writer writes, also if it was made later.
 */
TEST_F(map, shared_by_all)
{
	const struct ivring_member_area *seen = member_peer(&self->a, self->b.id);
	const __u8 *outbox = member_peer_outbox(&self->a, self->b.id);
	struct member c;

	ASSERT_NE(MAP_FAILED, seen);
	ASSERT_NE(MAP_FAILED, outbox);
	STORE(&self->outbox[OUTBOX - 1], 42);
	STORE(&self->b.area->members_seen, 43);
	EXPECT_EQ(42, LOAD(&outbox[OUTBOX - 1]));
	EXPECT_EQ(43, LOAD(&seen->members_seen));
	munmap((void *)outbox, OUTBOX);
	ASSERT_EQ(0, member_join(&c, self->a.fd));
	outbox = member_peer_outbox(&c, self->b.id);
	ASSERT_NE(MAP_FAILED, outbox);
	EXPECT_EQ(42, LOAD(&outbox[OUTBOX - 1]));
	EXPECT_EQ(member_changes_word(&c), member_changes_word(&self->a));
	member_close(&c);
	munmap((void *)outbox, OUTBOX);
	munmap((void *)seen, self->a.area_size);
}

/* A view shows its member to every process that has the descriptor, also after the member left. */
TEST_F(map, view)
{
	const struct ivring_member_area *area;
	const __u8 *outbox;
	struct stat st;
	char path[32], link[32] = "";
	pid_t pid;

	self->outbox[1] = 11;
	STORE(&self->b.area->members_seen, 12);
	member_close(&self->b);
	area = dev_map(self->view, PAGE, PROT_READ, IVRING_MAP_MEMBER);
	outbox = dev_map(self->view, OUTBOX, PROT_READ, IVRING_MAP_OUTBOX);
	ASSERT_NE(MAP_FAILED, area);
	ASSERT_NE(MAP_FAILED, outbox);
	EXPECT_EQ(12, area->members_seen);
	EXPECT_EQ(11, outbox[1]);
	/* The view does not keep the member, and no call of a member works on it. */
	EXPECT_EQ(-EPIPE, member_send(&self->a, self->b.id, self->b.generation, 1));
	EXPECT_EQ(-ENOTTY, dev_ioctl(self->view, IVRING_IOC_FENCE, NULL));
	EXPECT_EQ(-1, write(self->view, "x", 1));
	EXPECT_EQ(-1, read(self->view, link, 1));
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->view, F_GETFD));
	EXPECT_EQ(O_RDONLY, fcntl(self->view, F_GETFL) & O_ACCMODE);
	pid = child_fork();
	if (!pid) {
		outbox = dev_map(self->view, OUTBOX, PROT_READ, IVRING_MAP_OUTBOX);
		_exit(outbox == MAP_FAILED || outbox[1] != 11);
	}
	EXPECT_EQ(0, child_wait(pid));
	/* Its name tells what it is, and opening it by this name fails. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->view);
	EXPECT_LT(0, readlink(path, link, sizeof(link) - 1));
	EXPECT_STREQ("anon_inode:[ivring-member]", link);
	EXPECT_EQ(0, fstat(self->view, &st));
	EXPECT_EQ(-1, open(path, O_RDONLY));
	munmap((void *)area, PAGE);
	munmap((void *)outbox, OUTBOX);
	ASSERT_EQ(0, member_join(&self->b, self->a.fd));
}

TEST_F(map, view_refused)
{
	struct ivring_open_member o = { self->b.id, self->b.generation };
	struct ivring_create c = create_args(1, 2, 4096);
	__u32 id = self->b.id, generation = self->b.generation;

	EXPECT_EQ(-EFAULT, dev_ioctl(self->a.fd, IVRING_IOC_OPEN_MEMBER, NULL));
	EXPECT_EQ(-ENOTCONN, dev_ioctl(self->fd, IVRING_IOC_OPEN_MEMBER, &o));
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_CREATE, &c));
	EXPECT_EQ(-ENOTCONN, dev_ioctl(self->fd, IVRING_IOC_OPEN_MEMBER, &o));
	EXPECT_EQ(-EINVAL, member_view(&self->a, 4, 1));
	EXPECT_EQ(-EINVAL, member_view(&self->a, IVRING_ID_ANY, 1));
	EXPECT_EQ(-EINVAL, member_view(&self->a, 3, 1));
	EXPECT_EQ(-EINVAL, member_view(&self->a, id, 0));
	EXPECT_EQ(-EINVAL, member_view(&self->a, id, generation + 1));
	EXPECT_EQ(-EINVAL, member_view(&self->a, id, generation + 2));
	member_close(&self->b);
	EXPECT_EQ(-EPIPE, member_view(&self->a, id, generation));
	ASSERT_EQ(0, member_join_slot(&self->b, self->a.fd, id));
	EXPECT_EQ(-ESTALE, member_view(&self->a, id, generation));
}

/* Every part of an area can be mapped, and nothing else. */
TEST_F(map, parts)
{
	struct area area[AREAS];
	size_t size, start;
	int i;

	areas_of(&self->a, self->view, area);
	memset(self->outbox, 0x5a, OUTBOX);
	for (i = 0; i < AREAS; i++) {
		for (start = 0; start <= area[i].size; start += PAGE) {
			for (size = PAGE; start + size <= area[i].size + PAGE; size += PAGE) {
				bool good = start + size <= area[i].size;
				char *p = dev_map(area[i].fd, size, PROT_READ,
						  area[i].offset + start);

				if (good) {
					ASSERT_NE(MAP_FAILED, p);
					ASSERT_EQ(i == 5 ? 0x5a : p[size - 1], p[size - 1]);
					munmap(p, size);
				} else {
					ASSERT_EQ(MAP_FAILED, p);
					ASSERT_EQ(EINVAL, errno);
				}
			}
		}
	}
}

/* A mapping of a part of an outbox shows the part at its offset. */
TEST_F(map, part_of_an_outbox)
{
	const __u8 *part;
	size_t page;

	for (page = 0; page < OUTBOX / PAGE; page++)
		self->outbox[page * PAGE] = 1 + page;
	for (page = 0; page < OUTBOX / PAGE; page++) {
		part = dev_map(self->view, PAGE, PROT_READ, IVRING_MAP_OUTBOX + page * PAGE);
		ASSERT_NE(MAP_FAILED, part);
		EXPECT_EQ(1 + page, *part);
		munmap((void *)part, PAGE);
		part = dev_map(self->b.fd, PAGE, PROT_READ | PROT_WRITE, IVRING_MAP_OUTBOX + page * PAGE);
		ASSERT_NE(MAP_FAILED, part);
		EXPECT_EQ(1 + page, *part);
		munmap((void *)part, PAGE);
	}
}

TEST_F(map, offsets)
{
	static const __u64 nothing[] = {
		/* Offsets between the areas and behind the last slot. */
		IVRING_MAP_INBOX - PAGE, IVRING_MAP_MEMBER - PAGE, IVRING_MAP_OUTBOX - PAGE,
		IVRING_MAP_LANE_TO(0) - PAGE, IVRING_MAP_LANE_TO(4), IVRING_MAP_LANE_TO(1023),
		IVRING_MAP_LANE_FROM(4), IVRING_MAP_LANE_FROM(1023),
		IVRING_MAP_LANE_FROM(1024), IVRING_MAP_LANE_FROM(65536),
		/* A cast to 16 or 32 bits, or a shift, would make these offsets valid. */
		IVRING_MAP_LANE_TO(65536ULL + 1), IVRING_MAP_LANE_TO(1ULL << 32),
		1ULL << 62, (1ULL << 63) - PAGE, -PAGE,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(nothing); i++) {
		void *p = dev_map(self->a.fd, PAGE, PROT_READ, nothing[i]);

		EXPECT_EQ(MAP_FAILED, p) TH_LOG("offset %#llx", nothing[i]);
		EXPECT_TRUE(errno == EINVAL || errno == EOVERFLOW);
		p = dev_map(self->view, PAGE, PROT_READ, nothing[i]);
		EXPECT_EQ(MAP_FAILED, p) TH_LOG("offset %#llx of a view", nothing[i]);
		EXPECT_TRUE(errno == EINVAL || errno == EOVERFLOW);
	}
	/* A view has two areas. */
	EXPECT_EQ(0, map_refused(EINVAL, self->view, PAGE, PROT_READ, MAP_SHARED, IVRING_MAP_REGION));
	EXPECT_EQ(0, map_refused(EINVAL, self->view, PAGE, PROT_READ, MAP_SHARED, IVRING_MAP_INBOX));
	EXPECT_EQ(0, map_refused(EINVAL, self->view, PAGE, PROT_READ, MAP_SHARED,
				 IVRING_MAP_LANE_FROM(self->a.id)));
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
	struct area area[AREAS];
	int i;

	areas_of(&self->a, self->view, area);
	for (i = 0; i < AREAS; i++) {
		EXPECT_EQ(0, map_refused(EINVAL, area[i].fd, PAGE, PROT_READ,
					 MAP_PRIVATE, area[i].offset));
		EXPECT_EQ(0, map_refused(EINVAL, area[i].fd, PAGE,
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
	struct area area[AREAS];
	struct member member;
	int i;

	close(self->fd);
	self->fd = open_elsewhere();
	if (self->fd < 0)
		SKIP(return, "no file system can hold a device node");
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_ATTACH, &a));
	ASSERT_EQ(0, member_map(&member, self->fd));
	areas_of(&member, self->view, area);
	for (i = 0; i < AREAS; i++) {
		void *p;

		/* The file system of views never allows it. */
		EXPECT_EQ(0, map_refused(i < 4 ? EACCES : EPERM, area[i].fd, PAGE,
					 PROT_READ | PROT_EXEC, MAP_SHARED,
					 area[i].offset));
		p = dev_map(area[i].fd, PAGE, PROT_READ, area[i].offset);
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
	static const __u64 own[] = { IVRING_MAP_MEMBER, IVRING_MAP_OUTBOX };
	struct ivring_attach a = attach_args(self->a.fd, 3);
	int fd = open(DEVICE, O_RDONLY), i;
	void *p;

	ASSERT_EQ(0, dev_ioctl(fd, IVRING_IOC_ATTACH, &a));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, map_refused(EACCES, fd, PAGE, PROT_READ | PROT_WRITE,
					 MAP_SHARED, own[i]));
		p = dev_map(fd, PAGE, PROT_READ, own[i]);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(0, *(__u8 *)p & 0x80);
		EXPECT_EQ(-1, mprotect(p, PAGE, PROT_READ | PROT_WRITE));
		munmap(p, PAGE);
	}
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
	const void *payload = member_peer_outbox(&self->a, self->b.id);
	pid_t pid;

	/* A child inherits no mapping, unless the writer of an outbox asks for it by madvise(). */
	madvise(self->a.area, self->a.area_size, MADV_DOFORK);
	madvise((void *)peer, self->b.area_size, MADV_DOFORK);
	madvise((void *)payload, OUTBOX, MADV_DOFORK);
	ASSERT_TRUE(is_mapped(self->a.area));
	ASSERT_TRUE(is_mapped(payload));
	pid = child_fork();
	if (!pid)
		_exit(is_mapped(self->a.area) || is_mapped(self->a.region) ||
		      is_mapped(self->a.inbox) || is_mapped(self->a.outbox) ||
		      is_mapped(peer) || is_mapped(payload));
	EXPECT_EQ(0, child_wait(pid));
	pid = child_fork();
	if (!pid) {
		*self->a.outbox = 1;
		_exit(0);
	}
	EXPECT_EQ(-SIGSEGV, child_wait(pid));
	EXPECT_EQ(0, *self->a.outbox);
	/* The end of the child is not the end of the member. */
	EXPECT_EQ(0, member_send(&self->b, self->a.id, self->a.generation, 1));
	munmap((void *)peer, self->b.area_size);
	munmap((void *)payload, OUTBOX);
}

/* Mappings stay valid after the file was closed. */
TEST_F(map, after_close)
{
	const __u8 *peer = member_peer_outbox(&self->a, self->b.id);

	self->outbox[7] = 7;
	close(self->b.fd);
	EXPECT_EQ(7, self->outbox[7]);
	self->outbox[7] = 8;
	EXPECT_EQ(8, peer[7]);
	/* The mappings keep the member too. */
	EXPECT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, 1));
	EXPECT_EQ(1, member_pending(&self->b));
	/* Only the mapping of the outbox does not keep the member. */
	munmap((void *)self->b.region, self->b.region_size);
	munmap((void *)self->b.inbox, self->b.inbox_size);
	EXPECT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, 1));
	munmap(self->b.area, self->b.area_size);
	EXPECT_EQ(-EPIPE, member_send(&self->a, self->b.id, self->b.generation, 1));
	self->outbox[7] = 9;
	EXPECT_EQ(9, peer[7]);
	munmap(self->outbox, OUTBOX);
	EXPECT_EQ(9, peer[7]);
	munmap((void *)peer, OUTBOX);
	ASSERT_EQ(0, member_join(&self->b, self->a.fd));
}

TEST_F(map, corpse)
{
	const __u8 *left = member_peer_outbox(&self->a, self->b.id), *fresh;
	struct member c;
	size_t i;

	memset(self->outbox, 0xdd, OUTBOX);
	member_close(&self->b);
	EXPECT_EQ(0xdd, left[OUTBOX - 1]);
	EXPECT_EQ(-EPIPE, member_view(&self->a, self->b.id, self->b.generation));

	/* The next member of the slot has other pages, which are zero. */
	ASSERT_EQ(0, member_join_slot(&c, self->a.fd, self->b.id));
	for (i = 0; i < OUTBOX; i++)
		ASSERT_EQ(0, c.outbox[i]);
	memset(c.outbox, 0xcc, OUTBOX);
	for (i = 0; i < OUTBOX; i++)
		ASSERT_EQ(0xdd, left[i]);
	fresh = member_peer_outbox(&self->a, c.id);
	EXPECT_EQ(0xcc, fresh[OUTBOX - 1]);
	munmap((void *)left, OUTBOX);
	munmap((void *)fresh, OUTBOX);
	self->b = c;
}

/* A mapping can be moved, cut and split, but not grown. */
TEST_F(map, remap)
{
	size_t size = self->b.outbox_size, i;
	char *peer = (char *)member_peer_outbox(&self->a, self->b.id), *moved;
	struct { void *at; size_t size; } other[] = {
		{ (void *)self->b.region, self->b.region_size },
		{ (void *)self->b.inbox, self->b.inbox_size },
		{ self->b.area, self->b.area_size },
	};

	for (i = 0; i < ARRAY_SIZE(other); i++) {
		EXPECT_EQ(MAP_FAILED, mremap(other[i].at, other[i].size, other[i].size + PAGE,
					     MREMAP_MAYMOVE));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(MAP_FAILED, mremap(other[i].at, 0, other[i].size, MREMAP_MAYMOVE));
	}
	self->outbox[0] = 0x11;
	self->outbox[OUTBOX - 1] = 0x22;
	EXPECT_EQ(MAP_FAILED, mremap(peer, size, size + PAGE, MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(MAP_FAILED, mremap(peer, 0, size, MREMAP_MAYMOVE));

	moved = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	moved = mremap(peer, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, moved);
	ASSERT_NE(MAP_FAILED, moved);
	EXPECT_FALSE(is_mapped(peer));
	EXPECT_EQ(0x11, moved[0]);
	EXPECT_EQ(0x22, moved[size - 1]);
	/* The mapping has a hole, and the rest is unchanged. */
	EXPECT_EQ(0, munmap(moved + PAGE, PAGE));
	EXPECT_EQ(0x22, moved[size - 1]);
	EXPECT_EQ(moved, mremap(moved, PAGE, PAGE, 0));
	EXPECT_EQ(0, munmap(moved, size));

	/* A part of a mapping keeps the member as well as all of it. */
	close(self->b.fd);
	EXPECT_EQ(0, munmap(self->b.area, self->b.area_size));
	munmap((void *)self->b.region, self->b.region_size);
	EXPECT_EQ(0, munmap((void *)self->b.inbox, PAGE));
	EXPECT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, 1));
	EXPECT_EQ(0, munmap((char *)self->b.inbox + PAGE, self->b.inbox_size - PAGE));
	EXPECT_EQ(-EPIPE, member_send(&self->a, self->b.id, self->b.generation, 1));
	munmap(self->outbox, OUTBOX);
	ASSERT_EQ(0, member_join(&self->b, self->a.fd));
}

/*
 * A process that asks the kernel to drop its pages may lose its view of them. Other
 * processes do not.
 */
TEST_F(map, dropped_pages)
{
	const __u8 *peer = member_peer_outbox(&self->a, self->b.id);
	struct member c;
	pid_t pid;

	memset(self->outbox, 0x77, OUTBOX);
	EXPECT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, 1));
	pid = child_fork();
	if (!pid) {
		/* The mappings are not inherited, but the child can map the same member. */
		if (member_map(&c, self->b.fd))
			_exit(1);
		madvise(c.outbox, c.outbox_size, MADV_DONTNEED);
		madvise(c.outbox, c.outbox_size, MADV_FREE);
		if (c.outbox[0] != 0x77)
			_exit(2);
		madvise(c.area, c.area_size, MADV_DONTNEED);
		madvise(c.area, c.area_size, MADV_REMOVE);
		madvise(c.area, c.area_size, MADV_FREE);
		madvise((void *)c.inbox, c.inbox_size, MADV_DONTNEED);
		madvise((void *)c.region, c.region_size, MADV_DONTNEED);
		/* The access may be fatal. */
		STORE(&c.area->members_seen, 77);
		_exit(0);
	}
	EXPECT_EQ(child_wait(pid) == -SIGBUS ? 0 : 77, self->b.area->members_seen);
	EXPECT_EQ(0x77, self->outbox[OUTBOX - 1]);
	EXPECT_EQ(0x77, peer[OUTBOX - 1]);
	EXPECT_EQ(1, member_pending(&self->b));
	EXPECT_EQ(IVRING_MAGIC, self->b.region->magic);
	EXPECT_EQ(0, member_send(&self->a, self->b.id, self->b.generation, 2));
	EXPECT_EQ(2, member_pending(&self->b));
	munmap((void *)peer, OUTBOX);
}

TEST_HARNESS_MAIN
