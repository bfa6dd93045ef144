// SPDX-License-Identifier: GPL-2.0
/*
 * Members, regions and lanes that come and go many times leave no memory behind: neither
 * areas, which are vmalloc memory, nor small objects.
 */
#include <sys/eventfd.h>

#include "ivring_test.h"
#include "lane.h"

FIXTURE(leak) {
	struct member member;	/* stays attached */
};

/* Return a number from /proc/meminfo, in KiB. */
static long long meminfo(const char *key)
{
	long long kib = -1;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			sscanf(line + strlen(key), ": %lld", &kib);
	if (f)
		fclose(f);
	return kib;
}

FIXTURE_SETUP(leak)
{
	ASSERT_EQ(0, member_create(&self->member, 4, 8, 65536));
}

FIXTURE_TEARDOWN(leak)
{
	member_close(&self->member);
}

/*
 * Do @once often and check that it leaves less than @slab and @vmalloc bytes each time. On
 * a kernel with kmemleak do it less often and measure nothing: kmemleak reports leaks
 * itself, and KASAN delays the release of memory.
 */
#define EXPECT_NO_LEAK(times, once, slab, vmalloc)			\
do {									\
	bool kmemleak = !access("/sys/kernel/debug/kmemleak", F_OK);	\
	long long slab_before, vmalloc_before;				\
	int i;								\
									\
	/* Caches fill. */						\
	for (i = 0; i < (times) / (kmemleak ? 40 : 4); i++)		\
		ASSERT_TRUE(once);					\
	if (kmemleak)							\
		break;							\
	slab_before = meminfo("SUnreclaim");				\
	vmalloc_before = meminfo("VmallocUsed");			\
	for (i = 0; i < (times); i++)					\
		ASSERT_TRUE(once);					\
	EXPECT_TRUE(SOON(meminfo("SUnreclaim") - slab_before <		\
			 (times) * (slab) / 1024));			\
	EXPECT_TRUE(SOON(meminfo("VmallocUsed") - vmalloc_before <	\
			 (times) * (vmalloc) / 1024));			\
	TH_LOG("%d times: slab %+lld KiB, vmalloc %+lld KiB", times,	\
	       meminfo("SUnreclaim") - slab_before,			\
	       meminfo("VmallocUsed") - vmalloc_before);		\
} while (0)

static bool open_and_close(void)
{
	int fd = dev_open();

	close(fd);
	return fd >= 0;
}

TEST_F(leak, file)
{
	EXPECT_NO_LEAK(20000, open_and_close(), 64, 1024);
}

static bool create_and_close(void)
{
	struct ivring_create c = create_args(16, 2, 4096);
	int fd = dev_open(), ret;

	ret = dev_ioctl(fd, IVRING_IOC_CREATE, &c);
	close(fd);
	return !ret;
}

TEST_F(leak, region)
{
	EXPECT_NO_LEAK(10000, create_and_close(), 128, 1024);
}

/* A member that does a bit of everything. */
static bool live(const struct member *other)
{
	int efd = eventfd(0, 0);
	struct member member;
	bool ok;

	ok = !member_join(&member, other->fd) && !dev_eventfd(member.fd, efd) &&
	     !member_send(other, member.id, member.generation, 1) &&
	     dev_poll(member.fd, POLLIN) == POLLIN;
	close(efd);
	member_close(&member);
	return ok;
}

TEST_F(leak, member)
{
	EXPECT_NO_LEAK(4000, live(&self->member), 128, 1024);
}

static bool open_and_close_lane(const struct member *from, const struct member *to)
{
	struct lane_out lane = { 0 };
	bool ok;

	ok = !lane_open(&lane, from, to, 8) && lane_send(&lane, 1) >= 0 &&
	     !dev_close_lane(to->fd, from->id, from->generation);
	lane_unmap(&lane, from);
	return ok;
}

TEST_F(leak, lane)
{
	struct member other;

	ASSERT_EQ(0, member_join(&other, self->member.fd));
	EXPECT_NO_LEAK(4000, open_and_close_lane(&self->member, &other), 128, 1024);
	EXPECT_NO_LEAK(4000, open_and_close_lane(&other, &other), 128, 1024);
	member_close(&other);
}

/* Lanes are opened, and both ends leave. */
static bool leave_lanes(const struct member *other)
{
	struct member member;
	bool ok;

	ok = !member_join(&member, other->fd) &&
	     !dev_open_lane(member.fd, other->id, other->generation, 8) &&
	     !dev_open_lane(other->fd, member.id, member.generation, 8) &&
	     !dev_open_lane(member.fd, member.id, member.generation, 8);
	member_close(&member);
	return ok && !dev_close_lane(other->fd, member.id, member.generation);
}

TEST_F(leak, lanes_of_the_dead)
{
	EXPECT_NO_LEAK(4000, leave_lanes(&self->member), 128, 1024);
}

static bool fail_to_open_lane(const struct member *member)
{
	return dev_open_lane(member->fd, member->id, member->generation, 16) == -EBUSY;
}

TEST_F(leak, failed_open_lane)
{
	ASSERT_EQ(0, dev_open_lane(self->member.fd, self->member.id, self->member.generation, 8));
	EXPECT_NO_LEAK(4000, fail_to_open_lane(&self->member), 128, 1024);
}

/* The same, but the receiver has yet to close the last lane. */
static bool fail_to_succeed(const struct member *member, const struct member *to)
{
	return dev_open_lane(member->fd, to->id, to->generation, 8) == -EBUSY;
}

TEST_F(leak, failed_successor)
{
	struct member other;

	ASSERT_EQ(0, member_join(&other, self->member.fd));
	ASSERT_EQ(0, dev_open_lane(other.fd, self->member.id, self->member.generation, 8));
	member_close(&other);
	ASSERT_EQ(0, member_join_slot(&other, self->member.fd, other.id));
	EXPECT_NO_LEAK(4000, fail_to_succeed(&other, &self->member), 128, 1024);
	member_close(&other);
}

/* An ATTACH that fails in its last step. */
static bool fail_to_attach(int fd, struct ivring_attach *readonly)
{
	return dev_ioctl(fd, IVRING_IOC_ATTACH, readonly) == -EFAULT;
}

TEST_F(leak, failed_attach)
{
	struct ivring_attach *a = fenced_pages(1);
	int fd = dev_open();

	*a = attach_args(self->member.fd, IVRING_ID_ANY);
	mprotect(a, PAGE, PROT_READ);
	EXPECT_NO_LEAK(4000, fail_to_attach(fd, a), 128, 1024);
	close(fd);
}

/* A CREATE that fails because the name is taken. */
static bool fail_to_create(int fd, const struct ivring_create *c)
{
	return dev_ioctl(fd, IVRING_IOC_CREATE, c) == -EEXIST;
}

TEST_F(leak, failed_create)
{
	struct ivring_create c = create_args(1024, 2, 4096);
	int fd = dev_open(), other = dev_open();

	strcpy((char *)c.name, "leak-test");
	ASSERT_EQ(0, dev_ioctl(fd, IVRING_IOC_CREATE, &c));
	EXPECT_NO_LEAK(4000, fail_to_create(other, &c), 128, 1024);
	close(fd);
	close(other);
}

TEST_HARNESS_MAIN
