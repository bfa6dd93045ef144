/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * All atomic operations and barriers of the library, except those of the inline functions in
 * ivring/lane.h. The letters in the comments of callers are those of the table in
 * Documentation/design.rst.
 */
#ifndef IVR_BARRIER_H
#define IVR_BARRIER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t ivr_load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline uint32_t ivr_load_acquire(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void ivr_store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void ivr_store_release(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Stores zero and returns the previous value. The acquire pairs with a release store. */
static inline uint32_t ivr_take(uint32_t *word)
{
	return __atomic_exchange_n(word, 0, __ATOMIC_ACQUIRE);
}

static inline void ivr_set_bits(uint32_t *word, uint32_t bits)
{
	__atomic_fetch_or(word, bits, __ATOMIC_RELAXED);
}

static inline void ivr_clear_bits(uint32_t *word, uint32_t bits)
{
	__atomic_fetch_and(word, ~bits, __ATOMIC_RELAXED);
}

/* Orders all stores before it before all loads after it. */
static inline void ivr_full_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Tells the CPU that this loop waits for memory to change. */
static inline void ivr_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield");
#endif
}

/*
 * Copies from memory that another member may be writing. The compiler cannot read @from again when
 * the caller reads the copy.
 */
static inline void ivr_copy(void *to, const void *from, size_t length)
{
	memcpy(to, from, length);
	__asm__ __volatile__("" : : : "memory");
}

#endif /* IVR_BARRIER_H */
