// SPDX-License-Identifier: GPL-2.0
/*
 * A call whose user memory does not become available blocks no other call of the same file:
 * tasks that share the descriptor get their result at once, and can be killed. Here
 * userfaultfd withholds the memory, in setup_fuse.c FUSE does.
 */
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "setup.h"

FIXTURE(setup) {
	struct member member;	/* of a region with three slots */
	struct member other;	/* the second member */
	int fd;			/* not attached */
	int uffd;
	char *page;		/* a page that the test provides by userfaultfd */
};

FIXTURE_SETUP(setup)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	struct uffdio_register reg = {
		.range.len = PAGE,
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
	};

	ASSERT_EQ(0, member_create(&self->member, 3, 8, 4096));
	ASSERT_EQ(0, member_join(&self->other, self->member.fd));
	ASSERT_EQ(0, dev_open_lane(self->member.fd, self->other.id, self->other.generation, 8));
	self->fd = dev_open();
	ASSERT_LE(0, self->fd);
	self->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (uintptr_t)self->page;
	self->uffd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (self->uffd < 0 || ioctl(self->uffd, UFFDIO_API, &api) ||
	    ioctl(self->uffd, UFFDIO_REGISTER, &reg))
		SKIP(return, "userfaultfd is not available");
}

FIXTURE_TEARDOWN(setup)
{
	close(self->uffd);
	close(self->fd);
	member_close(&self->other);
	member_close(&self->member);
}

/* A call by a thread that hangs at such a page. */
struct call {
	int uffd;
	char *page;
	struct iovec argument;	/* initial content of the page */
	bool writes;		/* it hangs when it writes its result */
	int fd;
	unsigned long command;
	void *at;		/* its argument, if that is not in the page */
	int result;
	pthread_t thread;
};

static void provide(const struct call *call)
{
	static char source[PAGE];
	struct uffdio_copy copy = {
		.dst = (uintptr_t)call->page,
		.src = (uintptr_t)source,
		.len = PAGE,
	};

	memcpy(source, call->argument.iov_base, call->argument.iov_len);
	ioctl(call->uffd, UFFDIO_COPY, &copy);
}

static void protect(const struct call *call, bool on)
{
	struct uffdio_writeprotect w = {
		.range = { .start = (uintptr_t)call->page, .len = PAGE },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	ioctl(call->uffd, UFFDIO_WRITEPROTECT, &w);
}

static void *make_call(void *data)
{
	struct call *call = data;

	call->result = dev_ioctl(call->fd, call->command, call->at ?: call->page);
	return NULL;
}

/* True once the call hangs. */
static bool call_start(struct call *call)
{
	struct uffd_msg message;

	madvise(call->page, PAGE, MADV_DONTNEED);
	if (call->writes) {
		provide(call);
		protect(call, true);
	}
	if (pthread_create(&call->thread, NULL, make_call, call))
		return false;
	return SOON(read(call->uffd, &message, sizeof(message)) == sizeof(message));
}

/* Let the call continue, and return its result. */
static int call_end(struct call *call)
{
	if (call->writes)
		protect(call, false);
	else
		provide(call);
	pthread_join(call->thread, NULL);
	return call->result;
}

#define HANGING(self, on, cmd, arg, how) ((struct call) {			\
	.uffd = (self)->uffd,							\
	.page = (self)->page,							\
	.argument = { &(arg), sizeof(arg) },					\
	.writes = (how),							\
	.fd = (on),								\
	.command = (cmd),							\
})

TEST_F(setup, attach_that_writes)
{
	struct ivring_create c = create_args(2, 2, 4096);
	struct ivring_attach a = attach_args(self->member.fd, IVRING_ID_ANY), mine = a;
	struct call call = HANGING(self, self->fd, IVRING_IOC_ATTACH, a, true);
	struct snapshot before = member_snapshot(&self->member);
	int fd = dev_open();

	ASSERT_TRUE(call_start(&call));
	EXPECT_EQ(-EBUSY, in_a_child(self->fd, IVRING_IOC_CREATE, &c));
	EXPECT_EQ(-EBUSY, in_a_child(self->fd, IVRING_IOC_ATTACH, &mine));
	/* The file has a slot, but is not a member yet. */
	EXPECT_EQ(-ENOSPC, dev_ioctl(fd, IVRING_IOC_ATTACH, &mine));
	EXPECT_UNCHANGED(before, &self->member);
	EXPECT_EQ(0, call_end(&call));
	EXPECT_EQ(-EBUSY, in_a_child(self->fd, IVRING_IOC_CREATE, &c));
	EXPECT_EQ(-EISCONN, in_a_child(self->fd, IVRING_IOC_ATTACH, &mine));
	close(fd);
}

/* Other calls may be faster. */
TEST_F(setup, attach_that_reads)
{
	struct ivring_attach a = attach_args(self->member.fd, IVRING_ID_ANY), mine = a;
	struct call call = HANGING(self, self->fd, IVRING_IOC_ATTACH, a, false);

	ASSERT_TRUE(call_start(&call));
	EXPECT_EQ(0, in_a_child(self->fd, IVRING_IOC_ATTACH, &mine));
	EXPECT_EQ(-EISCONN, call_end(&call));
}

TEST_F(setup, create_that_reads)
{
	struct ivring_create c = create_args(2, 2, 4096), mine = c;
	struct call call = HANGING(self, self->fd, IVRING_IOC_CREATE, c, false);

	ASSERT_TRUE(call_start(&call));
	EXPECT_EQ(0, in_a_child(self->fd, IVRING_IOC_CREATE, &mine));
	EXPECT_EQ(-EBUSY, call_end(&call));
}

TEST_F_TIMEOUT(setup, each_call, 60)
{
	struct member_call calls[MEMBER_CALLS];
	struct ivring_item taken;
	unsigned int i, count;

	count = member_calls(calls, &self->member, &self->other, self->page);
	ASSERT_EQ(0, member_send(&self->member, self->member.id, self->member.generation, 1));
	for (i = 0; i < count; i++) {
		struct call call = {
			.uffd = self->uffd,
			.page = self->page,
			.argument = calls[i].argument,
			.writes = calls[i].hangs != READS,
			.fd = self->member.fd,
			.command = calls[i].command,
			.at = calls[i].at,
		};

		ASSERT_TRUE(call_start(&call));
		EXPECT_EQ(0, call_all(&self->member, &self->other))
			TH_LOG("while call %u hangs", i);
		EXPECT_EQ(calls[i].result, call_end(&call))
			TH_LOG("call %u", i);
		while (member_take(&self->other, &taken))
			;
		while (member_pending(&self->member) > 1)
			member_take(&self->member, &taken);
	}
}

TEST_HARNESS_MAIN
