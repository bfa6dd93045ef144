// SPDX-License-Identifier: GPL-2.0
/*
 * IVRING_IOC_INFO and IVRING_IOC_MEMBER_INFO. The counters have the same values in the
 * ioctl, in fdinfo and in debugfs.
 */
#include "ivring_test.h"
#include "stats.h"

FIXTURE(info) {
	struct member a;
	struct member b;
	int fd;			/* holds no region */
};

FIXTURE_SETUP(info)
{
	ASSERT_EQ(0, member_create_pair(&self->a, &self->b, 4, 8192));
	self->fd = dev_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(info)
{
	close(self->fd);
	member_close_pair(&self->a, &self->b);
}

TEST_F(info, region)
{
	struct ivring_info info;

	memset(&info, 0xff, sizeof(info));
	ASSERT_EQ(0, dev_ioctl(self->b.fd, IVRING_IOC_INFO, &info));
	EXPECT_EQ(4, info.slots);
	EXPECT_EQ(4, info.inbox_entries);
	EXPECT_EQ(8192, info.outbox_bytes);
	EXPECT_EQ(self->b.id, info.id);
	EXPECT_EQ(self->b.generation, info.generation);
	EXPECT_EQ(2, info.attached);
	EXPECT_EQ(0, info.mode);
	EXPECT_EQ(geteuid(), info.uid);
	EXPECT_EQ(getegid(), info.gid);
	EXPECT_EQ(0, info.name[0]);
	EXPECT_EQ(0, memcmp(info.name, info.name + 1, sizeof(info.name) - 1));
}

TEST_F(info, region_errors)
{
	struct ivring_info info, untouched;

	memset(&info, 0xaa, sizeof(info));
	untouched = info;
	EXPECT_EQ(-ENXIO, dev_ioctl(self->fd, IVRING_IOC_INFO, &info));
	EXPECT_EQ(0, memcmp(&info, &untouched, sizeof(info)));
	EXPECT_EQ(-EFAULT, dev_ioctl(self->a.fd, IVRING_IOC_INFO, NULL));
	EXPECT_EQ(-EFAULT, dev_ioctl(self->a.fd, IVRING_IOC_INFO, KERNEL_ADDRESS));
	EXPECT_EQ(-EFAULT, dev_ioctl(self->a.fd, IVRING_IOC_INFO, unmapped_address()));
	/* The kernel does not write into an area that the member may not write. */
	EXPECT_EQ(-EFAULT, dev_ioctl(self->a.fd, IVRING_IOC_INFO, self->a.region));
	EXPECT_EQ(IVRING_MAGIC, self->a.region->magic);
}

TEST_F(info, member)
{
	struct ivring_member_info v = { .id = self->a.id };
	struct member c;

	/* A member asks about another member, and about a free slot. */
	ASSERT_EQ(0, member_send(&self->b, self->a.id, self->a.generation, 1));
	ASSERT_EQ(0, dev_ioctl(self->b.fd, IVRING_IOC_MEMBER_INFO, &v));
	EXPECT_EQ(self->a.id, v.id);
	EXPECT_EQ(self->a.generation, v.generation);
	EXPECT_EQ(geteuid(), v.uid);
	EXPECT_EQ(0, v.reserved);
	EXPECT_EQ(1, v.stats.items_in);

	ASSERT_EQ(0, member_join_slot(&c, self->a.fd, 3));
	ASSERT_EQ(0, member_send(&self->b, 3, c.generation, 1));
	member_close(&c);
	memset(&v, 0, sizeof(v));
	v.id = 3;
	v.uid = v.stats.rung = 77;	/* output only, so the kernel must ignore it */
	ASSERT_EQ(0, dev_ioctl(self->b.fd, IVRING_IOC_MEMBER_INFO, &v));
	EXPECT_EQ(3, v.id);
	EXPECT_EQ(2, v.generation);
	EXPECT_EQ(0, v.uid);
	EXPECT_EQ(0, memcmp(&v.stats, &(struct ivring_stats) { 0 }, sizeof(v.stats)));
}

TEST_F(info, member_errors)
{
	static const __u32 bad[] = { 4, 5, 65536, 0x80000000, IVRING_ID_ANY };
	struct snapshot before = member_snapshot(&self->a);
	struct ivring_member_info v = { .id = 0 };
	struct ivring_create c = create_args(1, 2, 4096);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		v.id = bad[i];
		EXPECT_EQ(-EINVAL, dev_ioctl(self->a.fd, IVRING_IOC_MEMBER_INFO, &v));
	}
	v = (struct ivring_member_info) { .id = 0, .reserved = 1 };
	EXPECT_EQ(-EINVAL, dev_ioctl(self->a.fd, IVRING_IOC_MEMBER_INFO, &v));
	EXPECT_EQ(-EFAULT, dev_ioctl(self->a.fd, IVRING_IOC_MEMBER_INFO, NULL));
	EXPECT_EQ(-EFAULT, dev_ioctl(self->a.fd, IVRING_IOC_MEMBER_INFO, KERNEL_ADDRESS));
	EXPECT_EQ(-EFAULT, dev_ioctl(self->a.fd, IVRING_IOC_MEMBER_INFO, unmapped_address()));
	EXPECT_UNCHANGED(before, &self->a);

	v = (struct ivring_member_info) { .id = 0 };
	EXPECT_EQ(-ENOTCONN, dev_ioctl(self->fd, IVRING_IOC_MEMBER_INFO, &v));
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_CREATE, &c));
	EXPECT_EQ(-ENOTCONN, dev_ioctl(self->fd, IVRING_IOC_MEMBER_INFO, &v));
}

/* Make each of these counters differ from zero and from the others, except spurious. */
static void make_history(struct member *a, struct member *b)
{
	struct ivring_item item;
	int i;

	for (i = 0; i < 7; i++) {
		member_send(a, b->id, b->generation, i);
		member_take(b, &item);
	}
	for (i = 0; i < 4; i++) {
		STORE(&a->area->state, IVRING_IDLE);
		member_send(b, a->id, a->generation, i);
	}
	for (i = 0; i < 2; i++)
		member_send(b, a->id, a->generation, i);
	dev_wait(b->fd, 0, in_ms(50), NULL);
}

TEST_F(info, counters)
{
	struct ivring_stats a, b;

	make_history(&self->a, &self->b);
	a = member_stats(&self->a);
	b = member_stats(&self->b);
	EXPECT_EQ(7, a.items_out);
	EXPECT_EQ(7, b.items_in);
	EXPECT_EQ(4, b.items_out);
	EXPECT_EQ(4, a.items_in);
	EXPECT_EQ(4, a.rung);
	EXPECT_EQ(0, a.suppressed);
	EXPECT_EQ(2, a.full);
	EXPECT_EQ(0, a.waits);
	EXPECT_EQ(0, b.rung);
	EXPECT_EQ(7, b.suppressed);
	EXPECT_EQ(0, b.full);
	EXPECT_EQ(1, b.waits);
	EXPECT_EQ(0, a.spurious + b.spurious);
	EXPECT_EQ(0, a.room + b.room);
}

/* Return the number behind @key in /proc/self/fdinfo/@fd, or -1. */
static long long fdinfo(int fd, const char *key)
{
	char path[64], line[256];
	long long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			sscanf(line + strlen(key), ":\t%lld\n", &value);
	if (f)
		fclose(f);
	return value;
}

TEST_F(info, fdinfo)
{
	struct ivring_stats a;
	unsigned int i;

	make_history(&self->a, &self->b);
	a = member_stats(&self->a);
	EXPECT_EQ(self->a.id, fdinfo(self->a.fd, "ivring-member"));
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		EXPECT_EQ(counter_value(&a, &counters[i]), fdinfo(self->a.fd, counters[i].key));
	EXPECT_EQ(member_stats(&self->b).suppressed,
		  fdinfo(self->b.fd, "ivring-suppressed"));
	EXPECT_EQ(-1, fdinfo(self->fd, "ivring-member"));
}

/* Whether a line of @path begins with @text. */
static bool is_in(const char *path, const char *text)
{
	FILE *f = fopen(path, "r");
	bool found = false;
	char line[1024];

	while (f && fgets(line, sizeof(line), f))
		found |= !strncmp(line, text, strlen(text));
	if (f)
		fclose(f);
	return found;
}

/* A region with the name "-" is not taken for a region without a name. */
TEST_F(info, dash)
{
	struct ivring_create c = create_args(2, 4, 4096);
	char path[64];

	memcpy(c.name, "-", 2);
	c.flags = IVRING_CREATE_ATTACH;
	c.mode = 0600;
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_CREATE, &c));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->fd);
	EXPECT_TRUE(is_in(path, "ivring-region:\t\\x2d\n"));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->a.fd);
	EXPECT_TRUE(is_in(path, "ivring-region:\t-\n"));
	if (!access(DEBUGFS_MEMBERS, R_OK))
		EXPECT_TRUE(is_in(DEBUGFS_MEMBERS, "\\x2d 0:1 "));
}

/* Return how many lines the table of all members has, and add up its words in @words. */
static int debugfs(const char *name, int *words)
{
	FILE *f = fopen(DEBUGFS_MEMBERS, "r");
	char line[1024], *word, *rest;
	int lines = 0;

	*words = 0;
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		lines++;
		if (strncmp(line, name, strlen(name)))
			continue;
		for (word = strtok_r(line, " \t\n", &rest); word;
		     word = strtok_r(NULL, " \t\n", &rest))
			++*words;
	}
	fclose(f);
	return lines;
}

TEST_F(info, debugfs)
{
	struct ivring_create c = create_args(2, 4, 4096);
	int before, words, columns;
	struct member member;

	before = debugfs("region", &columns);
	if (before < 0)
		SKIP(return, "%s does not exist", DEBUGFS_MEMBERS);
	/* There is one line per member and one word per column, for any name. */
	memcpy(c.name, "debug\nfs test \t1 2 3\\", 21);
	c.mode = 0600;
	ASSERT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_CREATE, &c));
	EXPECT_EQ(before, debugfs("debug", &words));
	ASSERT_EQ(0, member_attach(&member, self->fd, -1, 0));
	EXPECT_EQ(before + 1, debugfs("debug", &words));
	EXPECT_EQ(columns, words);
	member_unmap(&member);
	close(self->fd);
	EXPECT_EQ(before, debugfs("debug", &words));
	EXPECT_EQ(0, words);
}

/* A region that several users hold is shown once. */
TEST_F(info, debugfs_of_two_users)
{
	int before, words;
	struct member member;

	before = debugfs("", &words);
	if (before < 0)
		SKIP(return, "%s does not exist", DEBUGFS_MEMBERS);
	ASSERT_EQ(0, seteuid(1001));
	ASSERT_EQ(0, member_join(&member, self->a.fd));
	ASSERT_EQ(0, seteuid(0));
	EXPECT_EQ(before + 1, debugfs("", &words));
	member_close(&member);
	EXPECT_EQ(before, debugfs("", &words));
}

TEST_HARNESS_MAIN
