/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * All atomics and barriers of the library but for those of the inline functions in
 * ivring/lane.h. The letters that callers give are those of the table in
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

/* Stores zero; what was there. What its last writer did before is seen after it. */
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

/* Orders the stores before it with the loads after it. */
static inline void ivr_full_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Tells the CPU that this is one round of a loop that waits for memory to change. */
static inline void ivr_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield");
#endif
}

/*
 * Copies from memory that someone else may be writing. What is read from @to
 * afterwards is the copy: the compiler may not go back to @from.
 */
static inline void ivr_copy(void *to, const void *from, size_t length)
{
	memcpy(to, from, length);
	__asm__ __volatile__("" : : : "memory");
}

#endif /* IVR_BARRIER_H */
