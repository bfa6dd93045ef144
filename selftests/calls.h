/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Time, random numbers, and system calls as functions. Included by ivring_test.h.
 */
#ifndef CALLS_H
#define CALLS_H

/* Time. Deadlines are CLOCK_MONOTONIC nanoseconds. */

static inline __u64 now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SEC + ts.tv_nsec;
}

static inline __u64 in_ms(__u64 ms)
{
	return now() + ms * MSEC;
}

/* True if @cond becomes true within 20 seconds, or within ten times that on a debug kernel. */
#define SOON(cond)						\
({								\
	__u64 __end = in_ms(20000 * slowness);			\
	bool __ok;						\
								\
	while (!(__ok = (cond)) && now() < __end)		\
		usleep(200);					\
	__ok;							\
})

/* Random numbers: xorshift64*. With IVRING_SEED set, a run repeats its choices. */

static __u64 rng __maybe_unused;

static inline __u64 rng_seed(void)
{
	const char *seed = getenv("IVRING_SEED");

	rng = (seed ? strtoull(seed, NULL, 0) : now() ^ getpid()) | 1;
	return rng;
}

static inline __u32 rng_below(__u32 bound)
{
	rng ^= rng >> 12;
	rng ^= rng << 25;
	rng ^= rng >> 27;
	return ((rng * 0x2545f4914f6cdd1dULL) >> 32) % bound;
}

static inline void spin(__u32 turns)
{
	while (turns--)
		__asm__ volatile("" ::: "memory");
}

/*
 * Spin for a random number of turns below 2^0, 2^1, ... or 2^(@bits - 1). Each of these
 * bounds is equally likely.
 */
static inline void spin_random(__u32 bits)
{
	spin(rng_below(1 << rng_below(bits)));
}

/* System calls. */

static inline int dev_open(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline int dev_ioctl(int fd, unsigned long cmd, const void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

/* Return the address, or MAP_FAILED with errno set. */
static inline void *dev_map(int fd, size_t size, int prot, __u64 offset)
{
	return mmap(NULL, size, prot, MAP_SHARED, fd, offset);
}

/* Return 0 if the mapping is refused with @error, 1 if it succeeds, or another -errno. */
static inline int map_refused(int error, int fd, size_t size, int prot,
			      int flags, __u64 offset)
{
	void *p = mmap(NULL, size, prot, flags, fd, offset);

	if (p != MAP_FAILED) {
		munmap(p, size);
		return 1;
	}
	return errno == error ? 0 : -errno;
}

static inline struct ivring_create create_args(__u32 slots, __u32 entries,
					       __u64 outbox)
{
	return (struct ivring_create) {
		.slots = slots,
		.inbox_entries = entries,
		.outbox_bytes = outbox,
	};
}

static inline struct ivring_attach attach_args(int region_fd, __u32 id)
{
	return (struct ivring_attach) { .region_fd = region_fd, .id = id };
}

static inline struct ivring_enqueue enqueue_args(__u32 id, __u32 generation,
						 const void *items, __u32 count)
{
	return (struct ivring_enqueue) {
		.id = id,
		.generation = generation,
		.count = count,
		.items = (uintptr_t)items,
	};
}

static inline int dev_wait(int fd, __u32 flags, __u64 deadline, __u32 *events)
{
	struct ivring_wait w = { .flags = flags, .deadline = deadline };
	int ret = dev_ioctl(fd, IVRING_IOC_WAIT, &w);

	if (events)
		*events = ret ? 0 : w.events;
	return ret;
}

static inline int dev_flush_flags(int fd, __u32 id, __u32 generation, __u32 position,
				  __u32 flags, __u64 deadline)
{
	struct ivring_flush f = {
		.id = id,
		.generation = generation,
		.position = position,
		.flags = flags,
		.deadline = deadline,
	};

	return dev_ioctl(fd, IVRING_IOC_FLUSH, &f);
}

static inline int dev_flush(int fd, __u32 id, __u32 generation, __u32 position,
			    __u64 deadline)
{
	return dev_flush_flags(fd, id, generation, position, 0, deadline);
}

/* Take a watch that is over. */
static inline int dev_next_watch(int fd, struct ivring_next_watch *watch)
{
	return dev_ioctl(fd, IVRING_IOC_NEXT_WATCH, watch);
}

/* Call ROOM for the lane from slot @from, or for the inbox if @from is IVRING_ID_ANY. */
static inline int dev_room(int fd, __u32 from)
{
	struct ivring_room r = { .from = from };

	return dev_ioctl(fd, IVRING_IOC_ROOM, &r);
}

static inline int dev_eventfd(int fd, int eventfd)
{
	struct ivring_eventfd e = { .fd = eventfd };

	return dev_ioctl(fd, IVRING_IOC_EVENTFD, &e);
}

/*
 * Call poll() without sleeping and return revents, which may have POLLERR and POLLHUP
 * beside @events.
 */
static inline int dev_poll(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

/* Write @text to an existing file, such as one of sysfs. Return 0 or -errno. */
static inline int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* Tell RCU not to expedite grace periods, or allow it again. Return 0 or -errno. */
static inline int set_rcu_normal(bool normal)
{
	return write_text("/sys/kernel/rcu_normal", normal ? "1" : "0");
}

/* Addresses that no call may read or write. */

#define KERNEL_ADDRESS							\
	((void *)(sizeof(void *) == 8 ? ~0x7fffffffffffULL : 0xfffff000UL))

/* Return an address whose page is not mapped. */
static inline void *unmapped_address(void)
{
	void *p = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(p, PAGE);
	return p;
}

/* Return @pages pages of memory, followed by one page that cannot be accessed. */
static inline void *fenced_pages(size_t pages)
{
	char *p = mmap(NULL, (pages + 1) * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(p + pages * PAGE, PAGE, PROT_NONE);
	return p;
}

#endif /* CALLS_H */
