// SPDX-License-Identifier: GPL-2.0
/*
 * The same as setup.c, with a page of a FUSE file. The server, another process, delays its
 * reply.
 */
#include <linux/fuse.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "process.h"
#include "setup.h"

#define MAX_HELD	8

/* Shared by the server and the test. */
struct server {
	char content[PAGE];	/* of the file */
	bool hold;		/* hold back replies to reads */
	bool evict;		/* drop the page from the page cache; cleared once that is done */
	__u32 reads;		/* how many reads have come */
	__u32 held;		/* replies that are held back */
};

static void answer(int fuse, __u64 unique, int error, const void *data, size_t size)
{
	struct fuse_out_header header = { sizeof(header) + size, error, unique };
	struct iovec parts[2] = { { &header, sizeof(header) }, { (void *)data, size } };

	(void)!writev(fuse, parts, 2);
}

static void evict_page(int fuse)
{
	struct fuse_notify_inval_inode_out what = { .ino = FUSE_ROOT_ID };

	answer(fuse, 0, FUSE_NOTIFY_INVAL_INODE, &what, sizeof(what));
}

static const struct fuse_attr root = {
	.ino = FUSE_ROOT_ID,
	.size = PAGE,
	.blocks = PAGE / 512,
	.mode = S_IFREG | 0600,
	.nlink = 1,
	.blksize = PAGE,
};

/* All requests that a file system with one file needs. */
static void serve(struct server *server, int fuse)
{
	static const struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = 31,
		/* A task that waits for data that is read ahead can be killed. */
		.max_readahead = 16 * PAGE,
		.flags = FUSE_ASYNC_READ,
		.max_background = 16,
		.max_write = PAGE,
	};
	static const struct fuse_attr_out attributes = { .attr_valid = 1000, .attr = root };
	static const struct fuse_open_out opened = { .open_flags = FOPEN_KEEP_CACHE };
	struct pollfd p = { .fd = fuse, .events = POLLIN };
	static char buffer[1 << 17];
	const struct fuse_in_header *request = (const void *)buffer;
	__u64 held[MAX_HELD];

	for (;;) {
		if (LOAD(&server->evict)) {
			evict_page(fuse);
			STORE(&server->evict, false);
		}
		while (server->held && !LOAD(&server->hold)) {
			answer(fuse, held[server->held - 1], 0, server->content, PAGE);
			STORE(&server->held, server->held - 1);
		}
		if (poll(&p, 1, 1) <= 0)
			continue;
		if (read(fuse, buffer, sizeof(buffer)) < 0) {
			if (errno == EINTR || errno == EAGAIN || errno == ENOENT)
				continue;
			_exit(0);
		}
		switch (request->opcode) {
		case FUSE_INIT:
			answer(fuse, request->unique, 0, &init, sizeof(init));
			break;
		case FUSE_GETATTR:
			answer(fuse, request->unique, 0, &attributes, sizeof(attributes));
			break;
		case FUSE_OPEN:
			answer(fuse, request->unique, 0, &opened, sizeof(opened));
			break;
		case FUSE_READ:
			if (LOAD(&server->hold) && server->held < MAX_HELD) {
				held[server->held] = request->unique;
				STORE(&server->held, server->held + 1);
			} else {
				answer(fuse, request->unique, 0, server->content, PAGE);
			}
			STORE(&server->reads, server->reads + 1);
			break;
		case FUSE_FORGET:
		case FUSE_BATCH_FORGET:
		case FUSE_INTERRUPT:
			break;
		default:
			answer(fuse, request->unique, -ENOSYS, NULL, 0);
		}
	}
}

FIXTURE(setup_fuse) {
	struct member member;	/* of a region with three slots */
	struct member other;	/* the second member */
	int fd;			/* not attached */
	struct server *server;
	pid_t server_pid;
	char *page;		/* a page that the server provides */
	pid_t caller;
};

/* Mount the file, in a namespace that ends with the test, and map it. Return 0 or -errno. */
static int mount_page(struct server *server, pid_t *pid, char **page)
{
	char path[] = "/tmp/ivring-fuse-XXXXXX", options[64];
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC), file = -1, ret = 0;
	struct stat status;

	if (fuse < 0)
		return -errno;
	snprintf(options, sizeof(options), "fd=%d,rootmode=100600,user_id=0,group_id=0", fuse);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/tmp", "tmpfs", 0, NULL))
		ret = -errno;
	if (!ret)
		file = mkstemp(path);
	if (!ret && (file < 0 || mount("ivring", path, "fuse", MS_NOSUID | MS_NODEV, options)))
		ret = -errno;
	close(file);
	if (ret) {
		close(fuse);
		return ret;
	}
	*pid = child_fork();
	if (!*pid)
		serve(server, fuse);
	/* Only the server has the descriptor: the mount ends with it. */
	close(fuse);
	file = open(path, O_RDWR | O_CLOEXEC);
	if (file < 0)
		return -errno;
	/* The kernel does not know the size of the file before that. */
	if (fstat(file, &status) || status.st_size != PAGE)
		return -EIO;
	*page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	close(file);
	return *page == MAP_FAILED ? -errno : 0;
}

FIXTURE_SETUP(setup_fuse)
{
	int ret;

	self->server_pid = 0;
	self->caller = 0;
	self->server = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);
	ret = mount_page(self->server, &self->server_pid, &self->page);
	if (ret == -ENOENT || ret == -ENODEV || ret == -ENXIO)
		SKIP(return, "FUSE is not available");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, member_create(&self->member, 3, 8, 4096));
	ASSERT_EQ(0, member_join(&self->other, self->member.fd));
	ASSERT_EQ(0, dev_open_lane(self->member.fd, self->other.id, self->other.generation, 8));
	self->fd = dev_open();
	ASSERT_LE(0, self->fd);
}

static void end_server(pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	*pid = 0;
}

FIXTURE_TEARDOWN(setup_fuse)
{
	end_server(&self->server_pid);
	if (self->caller > 0)
		kill(self->caller, SIGKILL);
	close(self->fd);
	member_close(&self->other);
	member_close(&self->member);
}

/* Let the server provide @argument, now or later, to the next reader of the page. */
static bool prepare(struct server *server, struct iovec argument, bool hold)
{
	STORE(&server->hold, false);
	if (!SOON(!LOAD(&server->held)))
		return false;
	memcpy(server->content, argument.iov_base, argument.iov_len);
	STORE(&server->evict, true);
	if (!SOON(!LOAD(&server->evict)))
		return false;
	STORE(&server->hold, hold);
	return true;
}

/* Start a process that makes a call and exits with minus its result. */
static pid_t call_start(int fd, unsigned long command, const void *argument)
{
	pid_t pid = child_fork();

	if (!pid)
		_exit(-dev_ioctl(fd, command, argument));
	return pid;
}

static bool hangs(const struct server *server)
{
	return SOON(LOAD(&server->held));
}

/* Let the call continue, and return its result. */
static int call_end(struct server *server, pid_t pid)
{
	STORE(&server->hold, false);
	return -child_wait(pid);
}

/* Kill the process while the server holds the page back. Return 0 if it was killed. */
static int call_kill(const struct server *server, pid_t pid)
{
	int ret;

	kill(pid, SIGKILL);
	ret = child_wait(pid);
	return ret == -SIGKILL && LOAD(&server->held) ? 0 : ret ?: -ENOENT;
}

TEST_F_TIMEOUT(setup_fuse, each_call, 60)
{
	struct member_call calls[MEMBER_CALLS];
	struct ivring_item taken;
	unsigned int i, count;
	int ret;

	count = member_calls(calls, &self->member, &self->other, self->page);
	ASSERT_EQ(0, member_send(&self->member, self->member.id, self->member.generation, 1));
	for (i = 0; i < 2 * count; i++) {
		const struct member_call *call = &calls[i / 2];

		if (call->hangs == REWRITES)
			continue;
		ASSERT_TRUE(prepare(self->server, call->argument, true));
		self->caller = call_start(self->member.fd, call->command, call->at ?: self->page);
		ASSERT_TRUE(hangs(self->server))
			TH_LOG("call %u", i / 2);
		EXPECT_EQ(0, call_all(&self->member, &self->other))
			TH_LOG("while call %u hangs", i / 2);
		ret = i % 2 ? call_kill(self->server, self->caller) :
			      call_end(self->server, self->caller);
		EXPECT_EQ(i % 2 ? 0 : call->result, ret)
			TH_LOG("call %u, round %u", i / 2, i % 2);
		while (member_take(&self->other, &taken))
			;
		while (member_pending(&self->member) > 1)
			member_take(&self->member, &taken);
	}
}

/* The page is there when the call begins, and is gone after it has slept. */
TEST_F(setup_fuse, wait_that_writes)
{
	struct ivring_wait w = { .deadline = IVRING_DEADLINE_NEVER };
	struct iovec argument = { &w, sizeof(w) };
	struct ivring_item taken;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(prepare(self->server, argument, false));
		self->caller = call_start(self->member.fd, IVRING_IOC_WAIT, self->page);
		ASSERT_TRUE(SOON(member_state(&self->member) == IVRING_IDLE));
		ASSERT_TRUE(prepare(self->server, argument, true));
		ASSERT_EQ(0, member_send(&self->other, self->member.id, self->member.generation, 1));
		ASSERT_TRUE(hangs(self->server));
		EXPECT_EQ(0, call_all(&self->member, &self->other));
		EXPECT_EQ(0, i ? call_kill(self->server, self->caller) :
				 call_end(self->server, self->caller));
		while (member_take(&self->member, &taken))
			;
	}
}

/* Calls of a file that is not a member. The faster call wins. */

TEST_F(setup_fuse, attach_that_reads)
{
	struct ivring_attach a = attach_args(self->member.fd, IVRING_ID_ANY);
	struct iovec argument = { &a, sizeof(a) };

	ASSERT_TRUE(prepare(self->server, argument, true));
	self->caller = call_start(self->fd, IVRING_IOC_ATTACH, self->page);
	ASSERT_TRUE(hangs(self->server));
	EXPECT_EQ(0, in_a_child(self->fd, IVRING_IOC_ATTACH, &a));
	EXPECT_EQ(-EISCONN, call_end(self->server, self->caller));
}

TEST_F(setup_fuse, create_that_reads)
{
	struct ivring_create c = create_args(2, 2, 4096);
	struct iovec argument = { &c, sizeof(c) };

	ASSERT_TRUE(prepare(self->server, argument, true));
	self->caller = call_start(self->fd, IVRING_IOC_CREATE, self->page);
	ASSERT_TRUE(hangs(self->server));
	EXPECT_EQ(0, in_a_child(self->fd, IVRING_IOC_CREATE, &c));
	EXPECT_EQ(-EBUSY, call_end(self->server, self->caller));
}

/*
 * Start an ATTACH that has read its argument and hangs when it writes the result: the page
 * is dropped while the call allocates a large outbox. True if the call has reached that
 * point.
 */
static bool attach_hangs(struct server *server, int fd, const char *page, int region_fd,
			 unsigned int us, pid_t *caller)
{
	struct ivring_attach a = attach_args(region_fd, 1), mine = a;
	struct iovec argument = { &a, sizeof(a) };
	int other = dev_open(), ret;
	__u32 reads;

	if (!prepare(server, argument, false))
		return false;
	reads = LOAD(&server->reads);
	*caller = call_start(fd, IVRING_IOC_ATTACH, page);
	if (!SOON(LOAD(&server->reads) != reads))
		return false;
	usleep(us);
	if (!prepare(server, argument, true))
		return false;
	usleep(100000);
	ret = LOAD(&server->held) ? dev_ioctl(other, IVRING_IOC_ATTACH, &mine) : 0;
	close(other);
	return ret == -EBUSY;
}

TEST_F_TIMEOUT(setup_fuse, attach_that_writes, 60)
{
	struct ivring_create c = create_args(2, 2, 64 << 20), small = create_args(2, 2, 4096);
	struct ivring_attach a;
	unsigned int us = 200, done = 0;
	int owner = dev_open(), fd;

	ASSERT_EQ(0, dev_ioctl(owner, IVRING_IOC_CREATE, &c));
	a = attach_args(owner, 1);
	for (; us < 200000 && done < 2; us *= 2) {
		fd = dev_open();
		if (attach_hangs(self->server, fd, self->page, owner, us, &self->caller)) {
			EXPECT_EQ(-EBUSY, in_a_child(fd, IVRING_IOC_CREATE, &small));
			EXPECT_EQ(-EBUSY, in_a_child(fd, IVRING_IOC_ATTACH, &a));
			if (!done++) {
				EXPECT_EQ(0, call_kill(self->server, self->caller));
				/* The call had no effect. */
				EXPECT_EQ(0, in_a_child(fd, IVRING_IOC_ATTACH, &a));
			} else {
				EXPECT_EQ(0, call_end(self->server, self->caller));
				EXPECT_EQ(-EISCONN, in_a_child(fd, IVRING_IOC_ATTACH, &a));
			}
			us /= 2;
		} else {
			call_end(self->server, self->caller);
		}
		close(fd);
	}
	if (!done)
		SKIP(return, "no call was at that point");
	close(owner);
}

/* The page never comes because the server is killed. */
TEST_F(setup_fuse, dead_server)
{
	struct ivring_attach a = attach_args(self->member.fd, IVRING_ID_ANY);
	struct iovec argument = { &a, sizeof(a) };
	struct snapshot before = member_snapshot(&self->member);

	ASSERT_TRUE(prepare(self->server, argument, true));
	self->caller = call_start(self->fd, IVRING_IOC_ATTACH, self->page);
	ASSERT_TRUE(hangs(self->server));
	end_server(&self->server_pid);
	EXPECT_EQ(EFAULT, child_wait(self->caller));
	EXPECT_UNCHANGED(before, &self->member);
	EXPECT_EQ(0, dev_ioctl(self->fd, IVRING_IOC_ATTACH, &a));
}

/*
 * The process that attached the member ends while another process hangs in a call. The end
 * of the first process is not delayed, and the call of the second finds that the member has
 * left.
 */
static const void *call_argument;
static unsigned long call_command;

static int hang_in_call(struct shared *shared, int fd)
{
	return dev_ioctl(fd, call_command, call_argument);
}

TEST_F_TIMEOUT(setup_fuse, process_ends, 60)
{
	struct shared *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct member_call calls[MEMBER_CALLS];
	unsigned int i, count;
	struct member creator;

	ASSERT_EQ(0, member_create(&creator, 2, 8, 4096));
	count = member_calls(calls, &creator, &creator, self->page);
	for (i = 0; i < count; i++) {
		if (calls[i].hangs != READS || calls[i].command == IVRING_IOC_CREATE)
			continue;
		memset(shared, 0, sizeof(*shared));
		call_command = calls[i].command;
		call_argument = calls[i].at ?: self->page;
		ASSERT_TRUE(prepare(self->server, calls[i].argument, true));
		self->caller = attach_in_process(shared, creator.fd, IVRING_ATTACH_PROCESS,
						 hang_in_call, wait_for_ever);
		ASSERT_LT(0, self->caller);
		ASSERT_TRUE(hangs(self->server));
		kill(self->caller, SIGKILL);
		EXPECT_EQ(-SIGKILL, child_wait(self->caller));
		EXPECT_EQ(0, member_generation(&creator, SLOT) % 2);
		EXPECT_EQ(0, LOAD(&shared->kept));
		STORE(&self->server->hold, false);
		EXPECT_TRUE(SOON(LOAD(&shared->kept)));
		EXPECT_EQ(1 + EOWNERDEAD, LOAD(&shared->kept))
			TH_LOG("call %u", i);
		EXPECT_EQ(0, LOAD(&creator.lanes->lane[SLOT].generation));
		STORE(&shared->close, true);
		EXPECT_TRUE(SOON(LOAD(&shared->closed)));
	}
	member_close(&creator);
}

TEST_HARNESS_MAIN
