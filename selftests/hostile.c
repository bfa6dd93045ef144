// SPDX-License-Identifier: GPL-2.0
/*
 * A hostile member can only damage its own items.
 */
#include <sys/time.h>

#include "ivring_test.h"

#define ENTRIES		16
#define OUTBOX		4096
#define SECONDS		3

FIXTURE(hostile) {
	struct member good;
	struct member bad;
	pid_t pid;
};

FIXTURE_SETUP(hostile)
{
	ASSERT_EQ(0, member_create(&self->good, 4, ENTRIES, OUTBOX));
	ASSERT_EQ(0, member_join(&self->bad, self->good.fd));
	TH_LOG("seed %#llx", rng_seed());
}

FIXTURE_TEARDOWN(hostile)
{
	member_close(&self->bad);
	member_close(&self->good);
}

/* Return a number that is likely to be at a limit. */
static __u64 odd_number(void)
{
	static const __u64 limits[] = {
		0, 1, 2, 3, 7, 8, 32, 33, 64, 255, 256, 257, 4095, 4096, 65536,
		0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 1ULL << 32,
		1ULL << 63, UINT64_MAX,
	};

	if (!rng_below(4))
		return (__u64)rng_below(UINT32_MAX) << 32 | rng_below(UINT32_MAX);
	return limits[rng_below(ARRAY_SIZE(limits))] + rng_below(3) - 1;
}

/* A value that the kernel has checked may not change before the kernel uses it. */
TEST_F(hostile, items_that_change)
{
	struct ivring_item *items, item;
	struct ivring_enqueue e;
	__u64 end = now() + SECONDS * SEC, tried = 0, sent = 0;
	int i;

	items = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	memset(items, 0, PAGE);
	self->pid = child_fork();
	if (!self->pid) {
		volatile __u64 *word = (void *)items;

		/* Alternate between valid and invalid values. */
		for (;;) {
			i = rng_below(ENTRIES) * 8 + rng_below(3);
			word[i] = odd_number();
			spin(rng_below(100));
			word[i] = 0;
			spin(rng_below(1000));
		}
	}
	while (now() < end) {
		e = enqueue_args(self->good.id, self->good.generation, items, ENTRIES);
		tried++;
		sent += !dev_ioctl(self->bad.fd, IVRING_IOC_ENQUEUE, &e);
		for (; member_take(&self->good, &item);) {
			ASSERT_EQ(self->bad.id, item.from);
			ASSERT_EQ(self->bad.generation, item.from_gen);
			ASSERT_EQ(0, item.flags & ~IVRING_ITEM_FLAGS);
			ASSERT_GE(IVRING_INLINE_BYTES, item.inline_len);
			ASSERT_GE(OUTBOX, item.offset);
			ASSERT_GE(OUTBOX, item.offset + item.length);
		}
	}
	kill(self->pid, SIGKILL);
	child_wait(self->pid);
	/* The kernel has seen both. */
	EXPECT_LT(0, sent);
	EXPECT_LT(sent, tried);
	TH_LOG("%llu of %llu sends succeeded", sent, tried);
}

/* A member that writes anything into its own area only harms itself. */
TEST_F(hostile, area_that_changes)
{
	__u64 end = now() + SECONDS * SEC;
	struct ivring_item item;
	struct member other;
	int ret;

	ASSERT_EQ(0, member_join(&other, self->good.fd));
	self->pid = child_fork();
	if (!self->pid) {
		struct member member;

		if (member_map(&member, self->bad.fd))
			_exit(1);
		for (;;) {
			__u32 *word[] = {
				&member.area->state, &member.area->members_seen,
				&member.area->inbox_consumer, &member.area->wake_items,
				&member.area->wake_delay_us, &member.area->max_lane_entries,
			};

			STORE(word[rng_below(ARRAY_SIZE(word))], odd_number());
			if (!rng_below(100)) {
				/* The inbox of this member is not broken yet. */
				member_close(&member);
				close(self->bad.fd);
				if (member_join(&member, self->good.fd))
					_exit(2);
				self->bad.fd = member.fd;
			}
			dev_wait(member.fd, rng_below(3), now() + rng_below(100000), NULL);
			dev_poll(member.fd, POLLIN | POLLPRI);
			dev_room(member.fd, IVRING_ID_ANY);
		}
	}
	/* No other process holds its descriptor. */
	member_close(&self->bad);
	self->bad = no_member;
	while (now() < end) {
		__u32 id = rng_below(4);

		ret = member_send_wait(&self->good, id, member_generation(&self->good, id),
				       1, now() + rng_below(100000));
		ASSERT_TRUE(!ret || ret == -EPROTO || ret == -EPIPE ||
			    ret == -ESTALE || ret == -EINVAL || ret == -ETIMEDOUT)
			TH_LOG("%d", ret);
		/* The other members still reach each other. */
		ASSERT_EQ(0, member_send(&self->good, other.id, other.generation, 7));
		while (member_take(&self->good, &item))
			;
		while (member_take(&other, &item))
			;
		ASSERT_EQ(7, item.cookie);
	}
	kill(self->pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(self->pid));
	member_close(&other);
}

/* Make calls that make no sense, in random order. */
static void misbehave(int region_fd)
{
	static const unsigned long calls[] = {
		IVRING_IOC_API, IVRING_IOC_CREATE, IVRING_IOC_ATTACH, IVRING_IOC_INFO,
		IVRING_IOC_MEMBER_INFO, IVRING_IOC_ENQUEUE, IVRING_IOC_WAIT, IVRING_IOC_EVENTFD,
		IVRING_IOC_ROOM, IVRING_IOC_FLUSH, IVRING_IOC_OPEN_LANE, IVRING_IOC_CLOSE_LANE,
		IVRING_IOC_DOORBELL, IVRING_IOC_FENCE,
	};
	int fd[8] = { region_fd }, i;
	__u64 arg[64];

	for (i = 1; i < 8; i++)
		fd[i] = dev_open();
	for (;;) {
		unsigned long call = calls[rng_below(ARRAY_SIZE(calls))];
		__u32 *word = (__u32 *)arg;

		i = rng_below(8);
		memset(arg, 0, sizeof(arg));
		while (rng_below(3))
			word[rng_below(24)] = odd_number();
		switch (call) {
		case IVRING_IOC_CREATE:
			arg[1] = 8ULL | (__u64)(rng_below(8) ? 0 : odd_number()) << 32;
			arg[2] = 4096 << rng_below(4);
			word[1] = 1 + rng_below(4);
			break;
		case IVRING_IOC_ATTACH:
			word[1] = rng_below(2) ? fd[rng_below(8)] : -1;
			if (rng_below(2))
				word[2] = IVRING_ID_ANY;
			break;
		case IVRING_IOC_ENQUEUE:
			word[0] %= 5;
			word[1] %= 4;
			arg[2] = rng_below(4) ? (uintptr_t)arg : odd_number();
			arg[3] = rng_below(2) ? 0 : now() + rng_below(1000000);
			break;
		case IVRING_IOC_WAIT:
			arg[1] = now() + rng_below(1000000);
			break;
		case IVRING_IOC_EVENTFD:
			word[0] = rng_below(16) - 1;
			break;
		case IVRING_IOC_FLUSH:
			arg[2] = now() + rng_below(1000000);
			break;
		case IVRING_IOC_OPEN_LANE:
		case IVRING_IOC_CLOSE_LANE:
		case IVRING_IOC_DOORBELL:
			word[0] %= 5;
			word[1] %= 4;
			word[2] = rng_below(4) ? 2U << rng_below(6) : word[2];
			break;
		}
		dev_ioctl(fd[i], call, rng_below(32) ? arg : (void *)(uintptr_t)odd_number());
		dev_poll(fd[i], rng_below(0x10000));
		if (!rng_below(16)) {
			size_t size = PAGE << rng_below(4);
			void *p = dev_map(fd[i], size, rng_below(8),
					  (__u64)(rng_below(8) + rng_below(3) * 1024)
					  << IVRING_MAP_SHIFT | rng_below(4) * PAGE);

			if (p != MAP_FAILED && rng_below(2))
				munmap(p, size);
		}
		if (i && !rng_below(16)) {
			close(fd[i]);
			fd[i] = dev_open();
		}
	}
}

static void on_alarm(int signal)
{
}

/*
 * A member that overwrites IDLE can prevent WAIT from sleeping, but not its end at the
 * deadline.
 */
TEST_F(hostile, state_that_never_stays_idle)
{
	static const __u32 states[] = { IVRING_BUSY, IVRING_BUSY_UNFENCED };
	const struct itimerval every = { { 0, 10000 }, { 0, 10000 } }, off = {};
	const struct sigaction action = { .sa_handler = on_alarm };
	__u64 end, late = SECONDS * SEC * slowness;
	unsigned int s, i;

	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	for (s = 0; s < ARRAY_SIZE(states); s++) {
		self->pid = child_fork();
		if (!self->pid) {
			struct member member;

			if (member_map(&member, self->bad.fd))
				_exit(1);
			for (end = now() + 2 * late; now() < end;)
				for (i = 0; i < 1000; i++)
					STORE(&member.area->state, states[s]);
			_exit(0);
		}
		end = now() + late;
		for (i = 0; i < 20; i++)
			ASSERT_EQ(-ETIMEDOUT, dev_wait(self->bad.fd, 0, in_ms(10), NULL));
		setitimer(ITIMER_REAL, &every, NULL);
		for (i = 0; i < 20; i++)
			ASSERT_EQ(-EINTR, dev_wait(self->bad.fd, 0, IVRING_DEADLINE_NEVER, NULL));
		setitimer(ITIMER_REAL, &off, NULL);
		EXPECT_LT(now(), end);
		kill(self->pid, SIGKILL);
		EXPECT_EQ(-SIGKILL, child_wait(self->pid));
	}
}

TEST_F(hostile, calls)
{
	__u64 end = now() + SECONDS * SEC, seen = 0, cookie = 0x1234567890;
	struct ivring_item item;
	struct member other;
	pid_t pid[2];
	int i;

	ASSERT_EQ(0, member_join(&other, self->good.fd));
	for (i = 0; i < 2; i++) {
		rng_below(1);
		pid[i] = child_fork();
		if (!pid[i]) {
			rng += i;
			close(other.fd);
			close(self->good.fd);
			misbehave(self->bad.fd);
		}
	}
	/* Two good members go on: every item that is sent is received. */
	while (now() < end) {
		int ret = member_send(&self->good, other.id, other.generation, cookie);

		/* The hostile members may have filled the inbox. */
		ASSERT_TRUE(!ret || ret == -EAGAIN);
		while (member_take(&other, &item))
			seen += item.from == self->good.id && item.cookie == cookie;
		cookie += !ret;
		ASSERT_EQ(cookie, 0x1234567890 + seen);
		while (member_take(&self->good, &item))
			;
	}
	EXPECT_LT(0, seen);
	for (i = 0; i < 2; i++) {
		kill(pid[i], SIGKILL);
		EXPECT_EQ(-SIGKILL, child_wait(pid[i]));
	}
	member_close(&other);
}

TEST_HARNESS_MAIN
