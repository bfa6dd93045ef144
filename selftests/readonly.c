// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that a member may only read cannot be written: neither directly, nor with another
 * protection, nor by the kernel on behalf of the member.
 */
#include <linux/userfaultfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "ivring_test.h"
#include "uring.h"

#define OUTBOX	8192

FIXTURE(readonly) {
	struct member a;	/* may only read */
	struct member b;
	int fd;			/* of a, or a's view of b */
	char *target;		/* the area, mapped by fd */
	size_t size;
	char before[PAGE];
};

FIXTURE_VARIANT(readonly) {
	int which;		/* an area of a, or of the peer b */
	__u64 offset;
};

FIXTURE_VARIANT_ADD(readonly, region) { .which = 0, .offset = IVRING_MAP_REGION };
FIXTURE_VARIANT_ADD(readonly, inbox) { .which = 1, .offset = IVRING_MAP_INBOX };
FIXTURE_VARIANT_ADD(readonly, peer) { .which = 2, .offset = IVRING_MAP_MEMBER };
FIXTURE_VARIANT_ADD(readonly, outbox) { .which = 3, .offset = IVRING_MAP_OUTBOX };

FIXTURE_SETUP(readonly)
{
	size_t sizes[4];

	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, 8, OUTBOX));
	ASSERT_EQ(0, member_send(&self->b, self->a.id, self->a.generation, 0xabcd));
	memset(self->b.outbox, 0x3c, OUTBOX);
	sizes[0] = self->a.region_size;
	sizes[1] = self->a.inbox_size;
	sizes[2] = self->b.area_size;
	sizes[3] = self->b.outbox_size;
	self->size = sizes[variant->which];
	self->fd = variant->which < 2 ? dup(self->a.fd) :
		   member_view(&self->a, self->b.id, self->b.generation);
	ASSERT_LE(0, self->fd);
	self->target = dev_map(self->fd, self->size, PROT_READ, variant->offset);
	ASSERT_NE(MAP_FAILED, self->target);
	memcpy(self->before, self->target + self->size - PAGE, PAGE);
}

FIXTURE_TEARDOWN(readonly)
{
	/* The target is unchanged after everything that the test has tried. */
	EXPECT_EQ(0, memcmp(self->before, self->target + self->size - PAGE, PAGE));
	munmap(self->target, self->size);
	close(self->fd);
	member_close_pair(&self->a, &self->b);
}

TEST_F(readonly, mmap)
{
	EXPECT_EQ(0, map_refused(EACCES, self->fd, PAGE, PROT_READ | PROT_WRITE,
				 MAP_SHARED, variant->offset));
	EXPECT_EQ(0, map_refused(EACCES, self->fd, PAGE, PROT_WRITE,
				 MAP_SHARED, variant->offset));
	EXPECT_EQ(0, map_refused(EACCES, self->fd, self->size,
				 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
				 variant->offset));
}

TEST_F(readonly, mprotect)
{
	EXPECT_EQ(-1, mprotect(self->target, self->size, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, mprotect(self->target, PAGE, PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	/* Neither a detour nor a move makes the mapping writable. */
	EXPECT_EQ(0, mprotect(self->target, self->size, PROT_NONE));
	EXPECT_EQ(-1, mprotect(self->target, self->size, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, mprotect(self->target, self->size, PROT_READ));
	self->target = mremap(self->target, self->size, self->size,
			      MREMAP_MAYMOVE | MREMAP_FIXED,
			      mmap(NULL, self->size, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	ASSERT_NE(MAP_FAILED, self->target);
	EXPECT_EQ(-1, mprotect(self->target, self->size, PROT_READ | PROT_WRITE));
}

TEST_F(readonly, store)
{
	pid_t pid = child_fork();

	if (!pid) {
		/* In a process that has mapped the area itself. */
		volatile char *p = dev_map(self->fd, self->size, PROT_READ,
					   variant->offset);

		p[self->size - 1] = 1;
		_exit(0);
	}
	EXPECT_EQ(-SIGSEGV, child_wait(pid));
}

/* This is how a debugger writes where the program may not. */
TEST_F(readonly, proc_mem)
{
	int fd = open("/proc/self/mem", O_RDWR);
	char garbage[64];

	memset(garbage, 0xee, sizeof(garbage));
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, pwrite(fd, garbage, sizeof(garbage),
			     (uintptr_t)self->target + self->size - PAGE));
	close(fd);
}

TEST_F(readonly, vm_writev)
{
	char garbage[64];
	struct iovec from = { garbage, sizeof(garbage) };
	struct iovec to = { self->target + self->size - PAGE, sizeof(garbage) };

	memset(garbage, 0xee, sizeof(garbage));
	EXPECT_EQ(-1, process_vm_writev(getpid(), &from, 1, &to, 1, 0));
	if (errno == ENOSYS)
		SKIP(return, "the kernel has no process_vm_writev()");
	EXPECT_EQ(EFAULT, errno);
}

/* Calls that write to their caller's memory. */
TEST_F(readonly, read)
{
	char *target = self->target + self->size - PAGE;
	int ends[2];

	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ(4, write(ends[1], "abcd", 4));
	EXPECT_EQ(-1, read(ends[0], target, 4));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-EFAULT, dev_ioctl(self->a.fd, IVRING_IOC_API, target));
	EXPECT_EQ(-EFAULT, dev_ioctl(self->a.fd, IVRING_IOC_INFO, target));
	close(ends[0]);
	close(ends[1]);
}

/* Memory that a device could write. */
TEST_F(readonly, fixed_buffer)
{
	struct iovec buffer = { self->target + self->size - PAGE, PAGE };
	struct uring ring;
	int ret = uring_open(&ring);

	if (ret == -ENOSYS || ret == -EPERM)
		SKIP(return, "io_uring is not available");
	ASSERT_EQ(0, ret);
	EXPECT_EQ(-1, syscall(__NR_io_uring_register, ring.fd,
			      IORING_REGISTER_BUFFERS, &buffer, 1));
	close(ring.fd);
}

/* Put another mapping in place of this one. */
TEST_F(readonly, remap_file_pages)
{
	char *own = dev_map(self->a.fd, PAGE, PROT_READ | PROT_WRITE,
			    IVRING_MAP_MEMBER);

	ASSERT_NE(MAP_FAILED, own);
	if (variant->which < 2)
		EXPECT_EQ(-1, remap_file_pages(own, PAGE, 0, variant->offset / PAGE, 0));
	munmap(own, PAGE);
	/* A mapping that replaces the target is as read-only as the target. */
	remap_file_pages(self->target, PAGE, 0, variant->offset / PAGE, 0);
	EXPECT_EQ(-1, mprotect(self->target, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
}

/* Put pages of the caller's own in place of these. */
TEST_F(readonly, userfaultfd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)self->target, self->size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		SKIP(return, "userfaultfd is not available");
	ASSERT_EQ(0, ioctl(fd, UFFDIO_API, &api));
	EXPECT_EQ(-1, ioctl(fd, UFFDIO_REGISTER, &reg));
	reg.mode = UFFDIO_REGISTER_MODE_WP;
	EXPECT_EQ(-1, ioctl(fd, UFFDIO_REGISTER, &reg));
	close(fd);
}

/* The same in /proc. */
TEST_F(readonly, maps)
{
	char line[256], shared = 0, mode[5];
	unsigned long long start, end;
	FILE *f = fopen("/proc/self/maps", "r");

	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%llx-%llx %4s", &start, &end, mode) == 3 &&
		    start == (uintptr_t)self->target) {
			EXPECT_STREQ("r--s", mode);
			shared = 1;
		}
	EXPECT_EQ(1, shared);
	fclose(f);
}

TEST_HARNESS_MAIN
