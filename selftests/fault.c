// SPDX-License-Identifier: GPL-2.0
/*
 * Each allocation and each user copy of each call fails once. The call returns ENOMEM or
 * EFAULT, changes nothing and leaks nothing, and then succeeds. Needs root and a kernel
 * with fault injection (Documentation/fault-injection).
 */
#include <dirent.h>
#include <sys/eventfd.h>

#include "fault_calls.h"

#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define NTH_MAX		5000	/* more than one call allocates and copies */
/*
 * A call allocates more when a cache of the kernel is empty, so the nth allocation is not
 * always the same.
 */
#define ROUNDS		3

enum { NO_MEMORY = 1, BAD_ADDRESS = 2, BOTH = 3 };

/* The state that a failed call must not change. */
struct state {
	int files;
	int maps;
	int info;		/* what IVRING_IOC_INFO reports for the file of the call */
	struct snapshot member;
	char debugfs[4096];
};

static int count_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;

	while (fgets(line, sizeof(line), f))
		n += !!strstr(line, DEVICE);
	fclose(f);
	return n;
}

static void get_state(const struct setting *s, struct state *state)
{
	struct ivring_info info;
	int fd = open(DEBUGFS_MEMBERS, O_RDONLY);

	memset(state, 0, sizeof(*state));
	(void)!read(fd, state->debugfs, sizeof(state->debugfs) - 1);
	close(fd);
	state->files = count_files();
	state->maps = count_maps();
	state->info = dev_ioctl(s->file, IVRING_IOC_INFO, &info);
	if (s->a.fd >= 0)
		state->member = member_snapshot(&s->a);
}

/*
 * Pages of vmalloc memory. Stacks of tasks, some of which the kernel keeps, and per-CPU
 * variables are not counted.
 */
static long long vmalloc_pages(void)
{
	static const char * const others[] = {
		" kernel_clone+", " copy_process+", " create_io_thread+", " pcpu_",
	};
	FILE *f = fopen("/proc/vmallocinfo", "r");
	long long pages = 0;
	char line[512];

	while (fgets(line, sizeof(line), f)) {
		char *number = strstr(line, " pages=");
		size_t i;

		for (i = 0; i < ARRAY_SIZE(others) && number; i++)
			if (strstr(line, others[i]))
				number = NULL;
		if (number)
			pages += atoll(number + strlen(" pages="));
	}
	fclose(f);
	return pages;
}

FIXTURE(fault) {
	int nth;		/* FAIL_NTH */
	struct setting s;
	struct state before;
	struct state after;
};

FIXTURE_VARIANT(fault) {
	int (*call)(struct setting *s);
	void (*undo)(struct setting *s);
	int errors;		/* all errors that must be seen, and no others */
	bool alone;		/* without a region */
	bool result_last;	/* its work is done when its last copy fails */
};

FIXTURE_VARIANT_ADD(fault, open) {
	call_open, undo_open, BOTH
};

FIXTURE_VARIANT_ADD(fault, api) {
	call_api, undo_nothing, BAD_ADDRESS
};

FIXTURE_VARIANT_ADD(fault, create) {
	call_create, undo_file, BOTH, .alone = true
};

FIXTURE_VARIANT_ADD(fault, create_name) {
	call_create_name, undo_file, BOTH, .alone = true
};

FIXTURE_VARIANT_ADD(fault, create_attach) {
	call_create_attach, undo_file, BOTH, .alone = true
};

FIXTURE_VARIANT_ADD(fault, attach) {
	call_attach, undo_file, BOTH
};

FIXTURE_VARIANT_ADD(fault, attach_name) {
	call_attach_name, undo_file, BOTH
};

FIXTURE_VARIANT_ADD(fault, info) {
	call_info, undo_nothing, BAD_ADDRESS
};

FIXTURE_VARIANT_ADD(fault, member_info) {
	call_member_info, undo_nothing, BAD_ADDRESS
};

FIXTURE_VARIANT_ADD(fault, enqueue) {
	call_enqueue, undo_enqueue, BAD_ADDRESS, .result_last = true
};

FIXTURE_VARIANT_ADD(fault, enqueue_many) {
	call_enqueue_many, undo_enqueue, BAD_ADDRESS, .result_last = true
};

FIXTURE_VARIANT_ADD(fault, first_enqueue_many) {
	call_first_many, undo_first_many, BOTH, .result_last = true
};

FIXTURE_VARIANT_ADD(fault, wait) {
	call_wait, undo_nothing, BAD_ADDRESS
};

FIXTURE_VARIANT_ADD(fault, eventfd) {
	call_eventfd, undo_eventfd, BAD_ADDRESS
};

FIXTURE_VARIANT_ADD(fault, room) {
	call_room, undo_nothing, BAD_ADDRESS
};

FIXTURE_VARIANT_ADD(fault, flush) {
	call_flush, undo_nothing, BAD_ADDRESS
};

FIXTURE_VARIANT_ADD(fault, flush_lane) {
	call_flush_lane, undo_nothing, BAD_ADDRESS
};

FIXTURE_VARIANT_ADD(fault, watch) {
	call_watch, undo_watch, BOTH
};

FIXTURE_VARIANT_ADD(fault, enqueue_watch) {
	call_enqueue_watch, undo_enqueue_watch, BAD_ADDRESS, .result_last = true
};

FIXTURE_VARIANT_ADD(fault, next_watch) {
	call_next_watch, undo_nothing, 0
};

FIXTURE_VARIANT_ADD(fault, open_lane) {
	call_open_lane, undo_open_lane, BOTH
};

FIXTURE_VARIANT_ADD(fault, close_lane) {
	call_close_lane, undo_close_lane, BAD_ADDRESS
};

FIXTURE_VARIANT_ADD(fault, doorbell) {
	call_doorbell, undo_nothing, BAD_ADDRESS
};

FIXTURE_VARIANT_ADD(fault, map_region) {
	call_map_region, undo_map, NO_MEMORY
};

FIXTURE_VARIANT_ADD(fault, map_inbox) {
	call_map_inbox, undo_map, NO_MEMORY
};

FIXTURE_VARIANT_ADD(fault, map_member) {
	call_map_member, undo_map, NO_MEMORY
};

FIXTURE_VARIANT_ADD(fault, map_peer) {
	call_map_peer, undo_map, NO_MEMORY
};

FIXTURE_VARIANT_ADD(fault, map_outbox) {
	call_map_outbox, undo_map, NO_MEMORY
};

FIXTURE_VARIANT_ADD(fault, map_payload) {
	call_map_payload, undo_map, NO_MEMORY
};

FIXTURE_VARIANT_ADD(fault, open_member) {
	call_open_member, undo_open, BOTH
};

FIXTURE_VARIANT_ADD(fault, map_lane_to) {
	call_map_lane_to, undo_map, NO_MEMORY
};

FIXTURE_VARIANT_ADD(fault, map_lane_from) {
	call_map_lane_from, undo_map, NO_MEMORY
};

FIXTURE_VARIANT_ADD(fault, poll) {
	call_poll, undo_nothing, BAD_ADDRESS
};

FIXTURE_VARIANT_ADD(fault, epoll) {
	call_epoll, undo_epoll, BOTH
};

FIXTURE_VARIANT_ADD(fault, fence) {
	call_fence, undo_nothing, 0
};

FIXTURE_VARIANT_ADD(fault, debugfs) {
	call_debugfs, undo_open, BOTH
};

FIXTURE_VARIANT_ADD(fault, debugfs_read) {
	call_debugfs_read, undo_debugfs_read, BOTH
};

static void set(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s", name);
	fd = open(path, O_WRONLY);
	if (write(fd, value, strlen(value)) < 0)
		ksft_exit_fail_msg("%s: %s\n", path, strerror(errno));
	close(fd);
}

FIXTURE_SETUP(fault)
{
	struct setting *s = &self->s;

	if (access(FAIL_NTH, W_OK))
		SKIP(return, "needs a kernel with fault injection");
	set("failslab/ignore-gfp-wait", "N");
	set("failslab/verbose", "0");
	set("fail_page_alloc/ignore-gfp-wait", "N");
	set("fail_page_alloc/ignore-gfp-highmem", "N");
	set("fail_page_alloc/min-order", "0");
	set("fail_page_alloc/verbose", "0");
	set("fail_usercopy/verbose", "0");
	self->nth = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->nth);

	s->a = no_member;
	ASSERT_EQ(0, open_file(DEVICE, O_RDWR, &s->file));
	ASSERT_EQ(0, open_file(DEBUGFS_MEMBERS, O_RDONLY, &s->debugfs));
	if (variant->alone)
		return;
	/* Two members, and a lane that holds an item. */
	ASSERT_EQ(0, call_create_name(s));
	ASSERT_EQ(0, member_attach(&s->a, s->file, -1, 0));
	ASSERT_EQ(0, open_file(DEVICE, O_RDWR, &s->file));
	ASSERT_EQ(0, member_join(&s->b, s->a.fd));
	ASSERT_EQ(0, lane_open(&s->lane, &s->a, &s->b, 64));
	ASSERT_EQ(0, lane_send(&s->lane, 1));
	s->view = member_view(&s->a, s->b.id, s->b.generation);
	ASSERT_LE(0, s->view);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_LE(0, s->epoll);
	s->eventfd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, s->eventfd);
}

FIXTURE_TEARDOWN(fault)
{
}

/* Make the @nth allocation or copy of the call fail; true if the call has that many. */
static bool call_with_fault(int nth_fd, unsigned int nth, int (*call)(struct setting *s),
			    struct setting *s, int *ret)
{
	char number[16];
	int length = snprintf(number, sizeof(number), "%u", nth);

	if (pwrite(nth_fd, number, length, 0) != length)
		ksft_exit_fail_msg("cannot write to " FAIL_NTH "\n");
	*ret = call(s);
	/*
	 * Read how many are left until the failure, or zero. Reading copies, so it may fail
	 * itself.
	 */
	length = pread(nth_fd, number, sizeof(number) - 1, 0);
	if (length > 0 && !strncmp(number, "0\n", 2))
		return true;
	/* So may the write that cancels the failure. */
	if (pwrite(nth_fd, "0", 1, 0) != 1 && pwrite(nth_fd, "0", 1, 0) != 1)
		ksft_exit_fail_msg("cannot write to " FAIL_NTH "\n");
	return false;
}

/* Return the bit that stands for the error, or zero. */
static int error_bit(int error)
{
	return error == -ENOMEM ? NO_MEMORY : error == -EFAULT ? BAD_ADDRESS : 0;
}

TEST_F(fault, each)
{
	int failed = 0, absorbed = 0, sent = 0, errors = 0, rounds = 0, ret;
	struct setting *s = &self->s;
	long long pages;
	unsigned int n;

	/*
	 * The first call allocates what is allocated only once, and makes its user memory
	 * present.
	 */
	ASSERT_EQ(0, variant->call(s));
	variant->undo(s);
	pages = vmalloc_pages();

	for (n = 1; n < NTH_MAX && rounds < ROUNDS; n++) {
		get_state(s, &self->before);
		if (!call_with_fault(self->nth, n, variant->call, s, &ret)) {
			/* The call has fewer than @nth. */
			ASSERT_EQ(0, ret);
			variant->undo(s);
			rounds++;
			n = 0;
			continue;
		}
		if (!ret) {
			/* The kernel has recovered: it tried in another way. */
			absorbed++;
			variant->undo(s);
			continue;
		}
		failed++;
		ASSERT_NE(0, error_bit(ret) & variant->errors)
			TH_LOG("fault %u: error %d", n, ret);
		errors |= error_bit(ret);
		if (variant->result_last && member_pending(&s->b)) {
			ASSERT_EQ(-EFAULT, ret);
			sent++;
			variant->undo(s);
		} else {
			get_state(s, &self->after);
			ASSERT_EQ(0, memcmp(&self->before, &self->after, sizeof(self->after)))
				TH_LOG("fault %u: before:\n%safter:\n%s", n,
				       self->before.debugfs, self->after.debugfs);
		}
		ASSERT_EQ(0, variant->call(s))
			TH_LOG("after fault %u", n);
		variant->undo(s);
	}
	TH_LOG("%d faults in %d rounds: %d calls failed, %d recovered", failed + absorbed, rounds,
	       failed, absorbed);
	EXPECT_EQ(ROUNDS, rounds);
	EXPECT_EQ(variant->errors, errors);
	/* The last copy of the call failed, in all rounds or most of them. */
	EXPECT_EQ(variant->result_last, sent > 0);
	EXPECT_TRUE(SOON(vmalloc_pages() <= pages))
		TH_LOG("vmalloc %+lld pages", vmalloc_pages() - pages);
}

TEST_HARNESS_MAIN
