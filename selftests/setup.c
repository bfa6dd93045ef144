// SPDX-License-Identifier: GPL-2.0
/*
 * A call whose user memory does not come holds up no other call of the same file: tasks that
 * share the descriptor get their result at once, and can be killed.
 */
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "ivring_test.h"
#include "lane.h"

FIXTURE(setup) {
	struct vm vm;		/* of a region with three slots */
	struct vm other;	/* the second */
	int fd;			/* attached to nothing */
	int uffd;
	char *page;		/* that uffd has to provide */
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

	ASSERT_EQ(0, vm_create(&self->vm, 3, 8, 4096));
	ASSERT_EQ(0, vm_join(&self->other, self->vm.fd));
	ASSERT_EQ(0, dev_open_lane(self->vm.fd, self->other.id, self->other.generation, 8));
	self->fd = dev_open();
	ASSERT_LE(0, self->fd);
	self->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (uintptr_t)self->page;
	self->uffd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (self->uffd < 0 || ioctl(self->uffd, UFFDIO_API, &api) ||
	    ioctl(self->uffd, UFFDIO_REGISTER, &reg))
		SKIP(return, "no userfaultfd here");
}

FIXTURE_TEARDOWN(setup)
{
	close(self->uffd);
	close(self->fd);
	vm_close(&self->other);
	vm_close(&self->vm);
}

/* A call by a thread that hangs at such a page. */
struct call {
	int uffd;
	char *page;
	struct iovec argument;	/* what belongs into the page */
	bool writes;		/* it hangs when it writes its result */
	int fd;
	unsigned long command;
	void *at;		/* its argument, if that is not what the page holds */
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

/* Let it go on: its result. */
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

/* What the call returns to another process that has the descriptor. */
static int in_a_child(int fd, unsigned long command, const void *argument)
{
	pid_t pid = child_fork();

	if (!pid)
		_exit(-dev_ioctl(fd, command, argument));
	return -child_wait(pid);
}

TEST_F(setup, attach_that_writes)
{
	struct ivring_create c = create_args(2, 2, 4096);
	struct ivring_attach a = attach_args(self->vm.fd, IVRING_ID_ANY), mine = a;
	struct call call = HANGING(self, self->fd, IVRING_ATTACH, a, true);
	struct snapshot before = vm_snapshot(&self->vm);
	int fd = dev_open();

	ASSERT_TRUE(call_start(&call));
	EXPECT_EQ(-EBUSY, in_a_child(self->fd, IVRING_CREATE, &c));
	EXPECT_EQ(-EBUSY, in_a_child(self->fd, IVRING_ATTACH, &mine));
	/* It has a slot, and is no member yet. */
	EXPECT_EQ(-ENOSPC, dev_ioctl(fd, IVRING_ATTACH, &mine));
	EXPECT_UNCHANGED(before, &self->vm);
	EXPECT_EQ(0, call_end(&call));
	EXPECT_EQ(-EBUSY, in_a_child(self->fd, IVRING_CREATE, &c));
	EXPECT_EQ(-EISCONN, in_a_child(self->fd, IVRING_ATTACH, &mine));
	close(fd);
}

/* Others may be faster. */
TEST_F(setup, attach_that_reads)
{
	struct ivring_attach a = attach_args(self->vm.fd, IVRING_ID_ANY), mine = a;
	struct call call = HANGING(self, self->fd, IVRING_ATTACH, a, false);

	ASSERT_TRUE(call_start(&call));
	EXPECT_EQ(0, in_a_child(self->fd, IVRING_ATTACH, &mine));
	EXPECT_EQ(-EISCONN, call_end(&call));
}

TEST_F(setup, create_that_reads)
{
	struct ivring_create c = create_args(2, 2, 4096), mine = c;
	struct call call = HANGING(self, self->fd, IVRING_CREATE, c, false);

	ASSERT_TRUE(call_start(&call));
	EXPECT_EQ(0, in_a_child(self->fd, IVRING_CREATE, &mine));
	EXPECT_EQ(-EBUSY, call_end(&call));
}

/* Every call of a member, in a child; what they return matters only where they must succeed. */
static int call_all(const struct vm *vm, const struct vm *to)
{
	struct ivring_vm_info v = { .id = vm->id };
	struct ivring_create c = create_args(2, 2, 4096);
	struct ivring_attach a = attach_args(-1, 0);
	struct ivring_info info;
	struct ivring_api api;
	char line[256];
	int fd, bad = 0;
	pid_t pid;

	pid = child_fork();
	if (pid)
		return child_wait(pid);
	bad |= dev_ioctl(vm->fd, IVRING_API, &api);
	bad |= dev_ioctl(vm->fd, IVRING_INFO, &info);
	bad |= dev_ioctl(vm->fd, IVRING_VM_INFO, &v);
	bad |= dev_ioctl(vm->fd, IVRING_CREATE, &c) != -EBUSY;
	bad |= dev_ioctl(vm->fd, IVRING_ATTACH, &a) != -EISCONN;
	bad |= vm_send(vm, to->id, to->generation, 1);
	bad |= vm_send(vm, vm->id, vm->generation, 1);
	bad |= dev_wait(vm->fd, 0, 0, NULL);
	bad |= dev_eventfd(vm->fd, -1);
	bad |= dev_room(vm->fd, IVRING_ID_ANY);
	bad |= dev_flush(vm->fd, to->id, to->generation, to->start, 0);
	bad |= dev_open_lane(vm->fd, vm->id, vm->generation, 8);
	bad |= dev_close_lane(vm->fd, vm->id, vm->generation);
	bad |= dev_doorbell(vm->fd, to->id, to->generation) < 0;
	bad |= dev_ioctl(vm->fd, IVRING_FENCE, NULL);
	bad |= dev_poll(vm->fd, POLLIN) < 0;
	bad |= dev_map(vm->fd, vm->region_size, PROT_READ, IVRING_MAP_REGION) == MAP_FAILED;
	snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", vm->fd);
	fd = open(line, O_RDONLY);
	bad |= read(fd, line, sizeof(line)) <= 0;
	_exit(!!bad);
}

TEST_F_TIMEOUT(setup, each_call, 60)
{
	struct ivring_item item = { .cookie = 1 }, taken;
	struct ivring_vm_info v = { .id = self->vm.id };
	struct ivring_create c = create_args(2, 2, 4096);
	struct ivring_attach a = attach_args(-1, 0);
	struct ivring_enqueue e = enqueue_args(self->other.id, self->other.generation, &item, 1);
	struct ivring_enqueue far = enqueue_args(self->other.id, self->other.generation,
						 self->page, 1);
	struct ivring_wait w = {};
	struct ivring_eventfd efd = { .fd = -1 };
	struct ivring_room r = { .from = IVRING_ID_ANY };
	struct ivring_flush f = { .id = self->other.id, .generation = self->other.generation,
				  .position = self->other.start };
	struct ivring_open_lane o = { .id = self->other.id, .generation = self->other.generation,
				      .entries = 8 };
	struct ivring_close_lane l = { .from = self->vm.id, .generation = self->vm.generation };
	struct ivring_doorbell d = { .id = self->other.id, .generation = self->other.generation };
	struct ivring_info info = {};
	struct ivring_api api = {};
	const struct {
		unsigned long command;
		void *argument;
		size_t size;
		bool writes;
		int result;
		void *at;
	} calls[] = {
		{ IVRING_API, &api, sizeof(api), true, 0 },
		{ IVRING_INFO, &info, sizeof(info), true, 0 },
		{ IVRING_VM_INFO, &v, sizeof(v), false, 0 },
		{ IVRING_VM_INFO, &v, sizeof(v), true, 0 },
		{ IVRING_CREATE, &c, sizeof(c), false, -EBUSY },
		{ IVRING_ATTACH, &a, sizeof(a), false, -EISCONN },
		{ IVRING_ENQUEUE, &e, sizeof(e), false, 0 },
		{ IVRING_ENQUEUE, &e, sizeof(e), true, 0 },
		{ IVRING_ENQUEUE, &item, sizeof(item), false, 0, &far },
		{ IVRING_WAIT, &w, sizeof(w), false, 0 },
		{ IVRING_WAIT, &w, sizeof(w), true, 0 },
		{ IVRING_EVENTFD, &efd, sizeof(efd), false, 0 },
		{ IVRING_ROOM, &r, sizeof(r), false, 0 },
		{ IVRING_FLUSH, &f, sizeof(f), false, 0 },
		{ IVRING_OPEN_LANE, &o, sizeof(o), false, 0 },
		{ IVRING_CLOSE_LANE, &l, sizeof(l), false, -ENOENT },
		{ IVRING_DOORBELL, &d, sizeof(d), false, 0 },
	};
	unsigned int i;

	ASSERT_EQ(0, vm_send(&self->vm, self->vm.id, self->vm.generation, 1));
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		struct call call = {
			.uffd = self->uffd,
			.page = self->page,
			.argument = { calls[i].argument, calls[i].size },
			.writes = calls[i].writes,
			.fd = self->vm.fd,
			.command = calls[i].command,
			.at = calls[i].at,
		};

		ASSERT_TRUE(call_start(&call));
		EXPECT_EQ(0, call_all(&self->vm, &self->other))
			TH_LOG("while call %u hangs", i);
		EXPECT_EQ(calls[i].result, call_end(&call))
			TH_LOG("call %u", i);
		while (vm_take(&self->other, &taken))
			;
		while (vm_pending(&self->vm) > 1)
			vm_take(&self->vm, &taken);
	}
}

TEST_HARNESS_MAIN
