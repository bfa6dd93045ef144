// SPDX-License-Identifier: GPL-2.0
/*
 * Outboxes: their pages are allocated when they are touched, and neither a reader nor the writer of
 * an outbox can harm the other by its mapping.
 */
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "ivring_test.h"
#include "lane.h"
#include "users.h"

#define PAGES	16
#define OUTBOX	(PAGES * PAGE)
#define MIB	(1UL << 20)

FIXTURE(outbox) {
	struct member a;	/* reads the outbox of b */
	struct member b;
	char *seen;		/* b's outbox as a maps it */
	__u8 *own;		/* b's outbox as b maps it; the first page is marked */
};

FIXTURE_SETUP(outbox)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, 64, OUTBOX));
	self->own = self->b.outbox;
	memset(self->own, 0x3c, PAGE);
	self->seen = (char *)member_peer_outbox(&self->a, self->b.id);
	ASSERT_NE(MAP_FAILED, (void *)self->seen);
}

FIXTURE_TEARDOWN(outbox)
{
	/* The reader has changed nothing. */
	EXPECT_EQ(0x3c, self->own[0]);
	EXPECT_EQ(0x3c, self->seen[PAGE - 1]);
	munmap(self->seen, OUTBOX);
	member_close_pair(&self->a, &self->b);
}

/* The number in a line of a file, in the unit of the file, or -1. */
static long long number_in(const char *path, const char *key)
{
	char line[128], name[64];
	long long value, found = -1;
	FILE *f = fopen(path, "r");

	while (f && found < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63[^:]: %lld", name, &value) == 2 && !strcmp(name, key))
			found = value;
	if (f)
		fclose(f);
	return found;
}

static long long outbox_bytes(const struct member *member)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", member->fd);
	return number_in(path, "ivring-outbox-bytes");
}

TEST_F(outbox, pages_come_when_touched)
{
	size_t i;

	EXPECT_EQ(PAGE, outbox_bytes(&self->b));
	EXPECT_EQ(0, outbox_bytes(&self->a));
	/* A page that the reader touches first is zero, and shows what the writer writes later. */
	for (i = 1; i < PAGES; i++)
		ASSERT_EQ(0, LOAD(&self->seen[i * PAGE]));
	EXPECT_EQ(OUTBOX, outbox_bytes(&self->b));
	for (i = 1; i < PAGES; i++) {
		STORE(&self->own[i * PAGE], i);
		ASSERT_EQ(i, LOAD(&self->seen[i * PAGE]));
	}
}

static const int advices[] = {
	MADV_NORMAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE, MADV_COLD, MADV_PAGEOUT,
	MADV_POPULATE_READ, MADV_REMOVE, MADV_POPULATE_WRITE, MADV_DOFORK, MADV_DODUMP,
	MADV_HUGEPAGE, 25 /* MADV_COLLAPSE */, MADV_MERGEABLE, MADV_WIPEONFORK,
};

TEST_F(outbox, advice_of_a_reader)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(advices); i++) {
		madvise(self->seen, OUTBOX, advices[i]);
		ASSERT_EQ(0x3c, self->own[0]) TH_LOG("advice %d", advices[i]);
		ASSERT_EQ(0x3c, self->seen[0]) TH_LOG("advice %d", advices[i]);
	}
	EXPECT_EQ(-1, madvise(self->seen, OUTBOX, MADV_REMOVE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, madvise(self->seen, OUTBOX, MADV_POPULATE_WRITE));
	EXPECT_EQ(-1, madvise(self->seen, OUTBOX, MADV_DOFORK));
	EXPECT_EQ(-1, madvise(self->seen, OUTBOX, MADV_DODUMP));
}

/* The file behind the mapping has no mmap operation. */
TEST_F(outbox, remap_by_a_reader)
{
	EXPECT_EQ(-1, remap_file_pages(self->seen, PAGE, 0, 0, 0));
	EXPECT_EQ(-1, remap_file_pages(self->seen, PAGE, 0, 1, 0));
	EXPECT_EQ(0x3c, self->seen[0]);
	EXPECT_EQ(-1, mprotect(self->seen, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	/* The writer cannot do it either. */
	EXPECT_EQ(-1, remap_file_pages(self->own, PAGE, 0, 1, 0));
}

/* A member that maps its own outbox by a view cannot make this mapping writable either. */
TEST_F(outbox, remap_by_a_member_that_reads_itself)
{
	int view = member_view(&self->b, self->b.id, self->b.generation);
	char *p = dev_map(view, PAGE, PROT_READ, IVRING_MAP_OUTBOX);

	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ(-1, remap_file_pages(p, PAGE, 0, 0, 0));
	EXPECT_EQ(-1, mprotect(p, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, map_refused(EACCES, view, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
				 IVRING_MAP_OUTBOX));
	munmap(p, PAGE);
	close(view);
}

static int open_map_file(const void *at, size_t size, int flags)
{
	char path[80];

	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)at,
		 (unsigned long)at + size);
	return open(path, flags);
}

TEST_F(outbox, map_files)
{
	int fd;

	if (geteuid())
		SKIP(return, "needs root");
	become(1001);
	EXPECT_GT(0, open_map_file(self->seen, OUTBOX, O_RDWR));
	EXPECT_GT(0, open_map_file(self->seen, OUTBOX, O_RDONLY));
	EXPECT_GT(0, open_map_file(self->own, OUTBOX, O_RDWR));
	become(0);
	/* A process with the capabilities opens the file. */
	fd = open_map_file(self->seen, OUTBOX, O_RDONLY);
	EXPECT_LE(0, fd) TH_LOG("%m");
	close(fd);
}

TEST_F(outbox, lock_by_a_reader)
{
	mlock(self->seen, OUTBOX);
	EXPECT_EQ(0x3c, self->seen[0]);
	munlock(self->seen, OUTBOX);
}

/* The writer may lock its outbox in memory. */
TEST_F(outbox, lock_by_the_writer)
{
	char path[] = "/proc/self/status";

	if (mlock(self->own, OUTBOX) && errno == EPERM)
		SKIP(return, "the limit is too low");
	EXPECT_LE((long long)(OUTBOX >> 10), number_in(path, "VmLck"));
	EXPECT_EQ(OUTBOX, outbox_bytes(&self->b));
	EXPECT_EQ(0, munlock(self->own, OUTBOX));
}

static long policy_of(const void *at)
{
	int mode = -1;

	return syscall(SYS_get_mempolicy, &mode, NULL, 0, at, MPOL_F_ADDR) ? -errno : mode;
}

static long bind(const void *at, int mode, unsigned int flags)
{
	unsigned long nodes = 1;

	return syscall(SYS_mbind, at, OUTBOX, mode, mode == MPOL_DEFAULT ? NULL : &nodes,
		       mode == MPOL_DEFAULT ? 0 : 8 * sizeof(nodes), flags) ? -errno : 0;
}

/* The policy of the writer holds for all mappings, and a reader has no influence on it. */
TEST_F(outbox, numa_policy)
{
	const __u8 *again = dev_map(self->b.fd, OUTBOX, PROT_READ | PROT_WRITE, IVRING_MAP_OUTBOX);

	ASSERT_NE(MAP_FAILED, again);
	if (policy_of(self->own) == -ENOSYS)
		SKIP(return, "the kernel has no NUMA policies");
	ASSERT_EQ(MPOL_DEFAULT, policy_of(self->own));
	bind(self->seen, MPOL_BIND, 0);
	bind(self->seen, MPOL_INTERLEAVE, MPOL_MF_MOVE);
	EXPECT_EQ(MPOL_DEFAULT, policy_of(self->own));
	ASSERT_EQ(0, bind(self->own, MPOL_BIND, 0));
	EXPECT_EQ(MPOL_BIND, policy_of(again));
	bind(self->seen, MPOL_INTERLEAVE, 0);
	EXPECT_EQ(MPOL_BIND, policy_of(self->own));
	self->own[3 * PAGE] = 1;
	EXPECT_EQ(1, self->seen[3 * PAGE]);
	munmap((void *)again, OUTBOX);
}

/* No page of an outbox is provided by user space, so no reader waits for it. */
TEST_F(outbox, userfaultfd_of_the_writer)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)self->own, OUTBOX },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		SKIP(return, "userfaultfd is not available");
	ASSERT_EQ(0, ioctl(fd, UFFDIO_API, &api));
	EXPECT_EQ(-1, ioctl(fd, UFFDIO_REGISTER, &reg));
	reg.mode = UFFDIO_REGISTER_MODE_MINOR;
	EXPECT_EQ(-1, ioctl(fd, UFFDIO_REGISTER, &reg));
	EXPECT_EQ(0, self->seen[5 * PAGE]);
	close(fd);
}

/* The writer removes pages: readers then read zeroes there, and get no signal. */
TEST_F(outbox, removed_by_the_writer)
{
	memset(self->own, 0x3c, OUTBOX);
	EXPECT_EQ(0x3c, self->seen[OUTBOX - 1]);
	ASSERT_EQ(0, madvise(self->own + PAGE, OUTBOX - PAGE, MADV_REMOVE));
	EXPECT_EQ(PAGE, outbox_bytes(&self->b));
	EXPECT_EQ(0, self->seen[OUTBOX - 1]);
	self->own[OUTBOX - 1] = 5;
	EXPECT_EQ(5, self->seen[OUTBOX - 1]);
}

/* The writer removes pages as fast as it can while others read them as fast as they can. */
TEST_F(outbox, removed_while_it_is_read)
{
	__u32 removed = 0, i;
	__u64 end;
	pid_t pid[2];

	for (i = 0; i < ARRAY_SIZE(pid); i++) {
		pid[i] = child_fork();
		if (!pid[i]) {
			const __u8 *seen = member_map_view(&self->a, self->b.id, self->b.generation,
							   OUTBOX, IVRING_MAP_OUTBOX);

			if (seen == MAP_FAILED)
				_exit(1);
			for (;;)
				for (i = 1; i < PAGES; i++)
					if (LOAD(&seen[i * PAGE]) & ~1)
						_exit(2);
		}
	}
	end = now() + 3 * SEC;
	while (now() < end || removed < 20) {
		for (i = 1; i < PAGES; i++)
			STORE(&self->own[i * PAGE], 1);
		ASSERT_EQ(0, madvise(self->own + PAGE, OUTBOX - PAGE, MADV_REMOVE));
		removed++;
	}
	for (i = 0; i < ARRAY_SIZE(pid); i++) {
		kill(pid[i], SIGKILL);
		EXPECT_EQ(-SIGKILL, child_wait(pid[i]));
	}
	TH_LOG("%u times", removed);
}

/* The writer cannot grow its outbox: only its own accesses beyond the end fail. */
TEST_F(outbox, grown_by_the_writer)
{
	volatile char *grown;
	pid_t pid = child_fork();

	if (!pid) {
		grown = dev_map(self->b.fd, OUTBOX, PROT_READ | PROT_WRITE, IVRING_MAP_OUTBOX);
		grown = mremap((void *)grown, OUTBOX, OUTBOX + PAGE, MREMAP_MAYMOVE);
		if ((void *)grown == MAP_FAILED)
			_exit(0);
		grown[OUTBOX] = 1;
		_exit(1);
	}
	EXPECT_TRUE(SOON(waitpid(pid, NULL, WNOHANG) == pid));
	EXPECT_EQ(PAGE, outbox_bytes(&self->b));
	EXPECT_EQ(0x3c, self->seen[0]);
}

TEST(huge_pages)
{
	static const char enabled[] = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
	struct member member;

	if (write_text(enabled, "advise"))
		SKIP(return, "the kernel has no huge pages of shared memory");
	ASSERT_EQ(0, member_create(&member, 2, 8, 8 * MIB));
	EXPECT_EQ(0, (uintptr_t)member.outbox % (2 * MIB));
	EXPECT_EQ(0, madvise(member.outbox, 8 * MIB, MADV_HUGEPAGE));
	*member.outbox = 1;
	EXPECT_EQ(2 * (long long)MIB, outbox_bytes(&member));
	write_text(enabled, "never");
	member_close(&member);
}

#define REMOVED	(4 * MIB)

/* Remove pages that are mapped often, so that this takes long. Set @state to 1 before, 2 after it. */
static int remove_slowly(const struct member *member, __u32 *state)
{
	char *own = NULL;
	int i;

	for (i = 0; i < 1000; i++) {
		own = dev_map(member->fd, REMOVED, PROT_READ | PROT_WRITE, IVRING_MAP_OUTBOX);
		if (own == MAP_FAILED || madvise(own, REMOVED, MADV_POPULATE_READ))
			return 1;
	}
	STORE(state, 1);
	if (madvise(own, REMOVED, MADV_REMOVE))
		return 2;
	STORE(state, 2);
	return 0;
}

/* A reader does not wait until the writer has removed pages: the writer may do so for ever. */
TEST(read_during_a_removal)
{
	struct member member;
	const __u8 *seen;
	__u32 *state;
	pid_t pid;

	state = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)state);
	ASSERT_EQ(0, member_create(&member, 2, 8, 2 * REMOVED));
	seen = member_map_view(&member, member.id, member.generation, REMOVED + PAGE,
			       IVRING_MAP_OUTBOX);
	ASSERT_NE(MAP_FAILED, (void *)seen);
	memset(member.outbox, 1, REMOVED);
	pid = child_fork();
	if (!pid)
		_exit(remove_slowly(&member, state));
	ASSERT_TRUE(SOON(LOAD(state)));
	usleep(1000);
	EXPECT_EQ(0, LOAD(&seen[REMOVED]));
	EXPECT_EQ(1, LOAD(state));
	EXPECT_EQ(0, child_wait(pid));
	munmap((void *)seen, REMOVED + PAGE);
	munmap(state, PAGE);
	member_close(&member);
}

/* Attaching takes less than a millisecond, whatever the size of the outbox. */
TEST(time_to_attach)
{
	struct ivring_create c = create_args(4, 8, 256 * MIB);
	__u64 start, best = SEC;
	int fd, region, i;

	region = dev_open();
	ASSERT_EQ(0, dev_ioctl(region, IVRING_IOC_CREATE, &c));
	for (i = 0; i < 20; i++) {
		struct ivring_attach a = attach_args(region, 1);
		struct member m;

		fd = dev_open();
		start = now();
		ASSERT_EQ(0, dev_ioctl(fd, IVRING_IOC_ATTACH, &a));
		ASSERT_EQ(0, member_map(&m, fd));
		start = now() - start;
		best = start < best ? start : best;
		EXPECT_EQ(0, outbox_bytes(&m));
		member_close(&m);
	}
	TH_LOG("attached and mapped in %llu us", (unsigned long long)best / 1000);
	EXPECT_GT(MSEC * slowness, best);
	close(region);
}

#define MEMBERS	16

static int talk_to_all(int region, __u32 id)
{
	const __u8 *outbox[MEMBERS];
	struct ivring_item item;
	struct member me;
	__u32 i, peer;

	if (member_join_slot(&me, region, id))
		return 1;
	if (!SOON(LOAD(&me.region->members) >= MEMBERS))
		return 2;
	me.outbox[id * PAGE] = 100 + id;
	for (peer = 0; peer < MEMBERS; peer++) {
		struct ivring_enqueue e = enqueue_args(peer, 1, &item, 1);

		item = (struct ivring_item) { .offset = id * PAGE, .length = 1 };
		if (dev_ioctl(me.fd, IVRING_IOC_ENQUEUE, &e))
			return 3;
	}
	for (i = 0; i < MEMBERS; i++) {
		if (!SOON(member_has_item(&me)))
			return 4;
		/* The item is released later, because its sender may have left. */
		ring_copy(me.inbox, me.entries, me.area->inbox_consumer, &item);
		outbox[i] = member_map_view(&me, item.from, item.from_gen, me.outbox_size,
					    IVRING_MAP_OUTBOX);
		if (outbox[i] == MAP_FAILED)
			return 5;
		if (outbox[i][item.offset] != 100 + item.from)
			return 6;
		member_take(&me, &item);
	}
	if (outbox_bytes(&me) != PAGE)
		return 7;
	/* Kilobytes. */
	if (number_in("/proc/self/status", "VmRSS") >= 8192)
		return 8;
	return 0;
}

/* Sixteen members with 64 MiB each send one byte to each other: each has less than 8 MiB of RSS. */
TEST(resident_memory)
{
	struct ivring_create c = create_args(MEMBERS, 64, 64 * MIB);
	int region = dev_open();
	pid_t pid[MEMBERS];
	__u32 i;

	ASSERT_EQ(0, dev_ioctl(region, IVRING_IOC_CREATE, &c));
	for (i = 0; i < MEMBERS; i++) {
		pid[i] = child_fork();
		if (!pid[i])
			_exit(talk_to_all(region, i));
	}
	for (i = 0; i < MEMBERS; i++)
		EXPECT_EQ(0, child_wait(pid[i]));
	close(region);
}

TEST_HARNESS_MAIN
