/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libivring: work queues between virtual machines and processes of one computer.
 *
 * A struct ivring is one VM of a region: an attached /dev/ivring file with its
 * areas mapped. One thread at a time may use it; only ivring_stop() may be
 * called from elsewhere. A child made by fork() has the descriptor but none of
 * the mappings: it may ask for ivring_fd() and close that, and nothing else.
 *
 * Functions that can fail return a negative errno value. Deadlines are
 * CLOCK_MONOTONIC times in nanoseconds: zero does not wait, IVRING_DEADLINE_NEVER
 * waits for ever. Those that wait return -ETIMEDOUT when the deadline has
 * passed, and -EINTR when a signal was handled.
 *
 * What peers wrote is not to be trusted. The library checks what it uses itself;
 * the content of items and payload is the caller's to check.
 */
#ifndef _IVRING_H
#define _IVRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/ivring.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * The port the library keeps for itself: ivring_stop() wakes its own VM by an item to
 * it, which dispatchers drop.
 */
#define IVRING_PORT_RESERVED		0xffffffffu

/* Blocks of the outbox begin at multiples of this many bytes. */
#define IVRING_BLOCK_ALIGN		64u

struct ivring;

/**
 * struct ivring_peer - a VM of the region, and no successor of it.
 * @id:		its slot
 * @generation:	its generation, odd
 */
struct ivring_peer {
	uint32_t id;
	uint32_t generation;
};

/**
 * struct ivring_options - the region that ivring_create() makes.
 * @name:		what others join it by; NULL if only by descriptor
 * @slots:		how many VMs it can hold
 * @inbox_entries:	items in each inbox, a power of two
 * @outbox_bytes:	bytes in each outbox, a power of two
 * @mode:		permission bits for joining by name; zero without a name
 */
struct ivring_options {
	const char *name;
	uint32_t slots;
	uint32_t inbox_entries;
	uint64_t outbox_bytes;
	uint32_t mode;
};

/*
 * The VM
 */

/**
 * ivring_create() - make a region and become VM 0 of it.
 * @options:	what it is to be
 * @vm:		out: the VM, to be closed with ivring_close()
 *
 * Return: 0; -EEXIST if the name is taken, -EINVAL for bad options, or what
 * opening /dev/ivring, IVRING_CREATE or mmap() fail with.
 */
int ivring_create(const struct ivring_options *options, struct ivring **vm);

/**
 * ivring_join() - become a VM of a region that has a name.
 * @name:	the region's name
 * @id:		the slot wanted, or IVRING_ID_ANY
 * @deadline:	how long to wait for a region of that name; the wait looks for
 *		it every 10 ms
 * @vm:		out: the VM, to be closed with ivring_close()
 *
 * Return: 0; -ENOENT if there is none, at the deadline too; -EACCES without the
 * right; -EBUSY if the slot is taken, -ENOSPC if all are; or what opening
 * /dev/ivring, IVRING_ATTACH or mmap() fail with.
 */
int ivring_join(const char *name, uint32_t id, uint64_t deadline, struct ivring **vm);

/**
 * ivring_join_fd() - become a VM of the region that a descriptor belongs to.
 * @region_fd:	an ivring descriptor; it stays the caller's
 * @id:		the slot wanted, or IVRING_ID_ANY
 * @vm:		out: the VM, to be closed with ivring_close()
 *
 * Return: 0; -EBADF or -EINVAL for a bad descriptor; else as ivring_join().
 */
int ivring_join_fd(int region_fd, uint32_t id, struct ivring **vm);

/**
 * ivring_close() - leave the region, and free the VM.
 * @vm:		the VM, or NULL; not from one of its own handlers
 */
void ivring_close(struct ivring *vm);

/**
 * ivring_fd() - the VM's descriptor, for poll() and for passing on.
 * @vm:		the VM
 *
 * Readable while there are items, POLLPRI while there is news of the members,
 * POLLERR when the inbox is broken.
 */
int ivring_fd(const struct ivring *vm);

/**
 * ivring_self() - who this VM is.
 * @vm:		the VM
 */
struct ivring_peer ivring_self(const struct ivring *vm);

/**
 * ivring_info() - the region's size, name, mode and creator.
 * @vm:		the VM
 * @info:	out
 *
 * Return: 0, or what IVRING_INFO fails with.
 */
int ivring_info(const struct ivring *vm, struct ivring_info *info);

/**
 * ivring_vm_info() - counters of one VM of the region.
 * @vm:		the VM that asks
 * @id:		the slot that is asked about
 * @info:	out; an even generation and all else zero if the slot is free
 *
 * Return: 0; -EINVAL if there is no such slot.
 */
int ivring_vm_info(const struct ivring *vm, uint32_t id, struct ivring_vm_info *info);

/**
 * ivring_set_eventfd() - have each doorbell signal an eventfd.
 * @vm:		the VM
 * @eventfd:	the eventfd, or -1 for none; it stays the caller's
 *
 * Before it sleeps on the eventfd, the VM must be armed, as ivring_dispatch() leaves
 * it, or by ivring_arm().
 *
 * Return: 0; -EBADF or -EINVAL for a bad descriptor.
 */
int ivring_set_eventfd(struct ivring *vm, int eventfd);

/**
 * ivring_deadline_ms() - the deadline so many milliseconds from now.
 * @ms:		milliseconds
 */
uint64_t ivring_deadline_ms(uint32_t ms);

/*
 * Who is there
 */

/**
 * ivring_next_peer() - walk through the other VMs of the region.
 * @vm:		the VM
 * @peer:	in: where to go on from, or { .id = IVRING_ID_ANY } to begin;
 *		out: the next VM that is attached
 *
 * Return: whether there was one.
 */
bool ivring_next_peer(const struct ivring *vm, struct ivring_peer *peer);

/**
 * ivring_is_member() - whether a VM is still attached.
 * @vm:		the VM that asks
 * @peer:	the VM that is asked about
 */
bool ivring_is_member(const struct ivring *vm, struct ivring_peer peer);

/**
 * ivring_wait_peer() - sleep until a VM is attached to a slot.
 * @vm:		the VM that waits
 * @id:		the slot
 * @deadline:	how long
 * @peer:	out: the VM
 *
 * Items that arrive meanwhile stay in the inbox.
 *
 * Return: 0; -EINVAL if there is no such slot; -EPROTO if the inbox is broken;
 * -ETIMEDOUT, -EINTR.
 */
int ivring_wait_peer(struct ivring *vm, uint32_t id, uint64_t deadline,
		     struct ivring_peer *peer);

/**
 * ivring_members() - whether VMs came or went since the last call.
 * @vm:		the VM
 *
 * For callers that have no dispatcher. Says so only once all items that were in
 * the inbox at the time have been consumed: after it did, nothing more will come
 * from those that went, and their payload can no longer be reached.
 *
 * Return: 1 if so, 0 if not; -EPROTO if the inbox is broken.
 */
int ivring_members(struct ivring *vm);

/*
 * Payload: blocks of one's own outbox, and what peers have in theirs
 */

/**
 * ivring_alloc() - get a block of the outbox.
 * @vm:		the VM
 * @length:	bytes, at least 1
 * @deadline:	how long to wait for room
 * @data:	out: the block, aligned to IVRING_BLOCK_ALIGN. Its content is
 *		whatever was there before, and every member can read it
 *
 * Blocks come free in the order they were allocated in. One that was sent is
 * free when its receiver has read the item, or is gone; one that was not is
 * given back with ivring_cancel().
 *
 * Return: 0; -EINVAL for no length, -EMSGSIZE for more than the outbox holds;
 * -EAGAIN if there is no room and no deadline; -EDEADLK if waiting is in vain,
 * since the oldest block has not been sent; -ENOMEM, -ETIMEDOUT, -EINTR.
 */
int ivring_alloc(struct ivring *vm, size_t length, uint64_t deadline, void **data);

/**
 * ivring_cancel() - give back a block that was not sent.
 * @vm:		the VM
 * @data:	the block, as ivring_alloc() returned it
 *
 * Return: 0; -EINVAL if it is no such block, or was sent.
 */
int ivring_cancel(struct ivring *vm, void *data);

/**
 * ivring_set_payload() - let an item carry a block, or a part of one.
 * @vm:		the VM
 * @item:	the item: its offset and length are set
 * @data:	where it begins
 * @length:	bytes; zero for no payload
 *
 * Return: 0; -EINVAL if that is not within one block in use.
 */
int ivring_set_payload(struct ivring *vm, struct ivring_item *item, const void *data,
		       size_t length);

/**
 * ivring_payload() - find the payload of an item that was received.
 * @vm:		the VM
 * @item:	the item
 * @data:	out: @item->length bytes in the sender's outbox; NULL if none.
 *		Valid until the item is consumed, or its handler returns. The
 *		sender can change them at any time: what is to be checked is
 *		copied first
 *
 * Return: 0; -EPROTO if the item points outside of the outbox; -ESTALE if the
 * sender is gone and nothing of its outbox was mapped before; or what mmap()
 * fails with.
 */
int ivring_payload(struct ivring *vm, const struct ivring_item *item, const void **data);

/**
 * ivring_copy_payload() - copy the payload of an item that was received.
 * @vm:		the VM
 * @item:	the item
 * @buffer:	where to
 * @size:	bytes there
 *
 * Return: bytes copied, all of @item->length; -EMSGSIZE if @size is less; else
 * as ivring_payload().
 */
int ivring_copy_payload(struct ivring *vm, const struct ivring_item *item, void *buffer,
			size_t size);

/**
 * ivring_set_inline() - put data into an item itself.
 * @item:	the item
 * @data:	what
 * @length:	bytes
 *
 * Return: 0; -EMSGSIZE for more than IVRING_INLINE_BYTES.
 */
int ivring_set_inline(struct ivring_item *item, const void *data, size_t length);

/**
 * ivring_get_inline() - get data of a known size out of an item.
 * @item:	the item
 * @data:	where to
 * @length:	bytes
 *
 * Return: 0; -EPROTO if the item holds more or less than that.
 */
int ivring_get_inline(const struct ivring_item *item, void *data, size_t length);

/*
 * Sending
 */

/**
 * ivring_sender() - the VM that an item came from.
 * @item:	an item that was received
 */
static inline struct ivring_peer ivring_sender(const struct ivring_item *item)
{
	struct ivring_peer peer;

	peer.id = item->from;
	peer.generation = item->from_gen;
	return peer;
}

/**
 * ivring_send() - send items to a VM.
 * @vm:		the sender
 * @to:		the receiver; may be the sender itself
 * @items:	array of items; @from, @from_gen, @flags are zero
 * @count:	how many, at least 1
 * @deadline:	how long to wait for room
 *
 * A block that an item carries belongs to the receiver from here on. It may be
 * sent again, but only to the same VM.
 *
 * Return: how many went in, from the first on, which may be less than @count;
 * if none did: -EAGAIN if there is no room and no deadline, -EPIPE if the
 * receiver is gone, -ESTALE if another VM has its slot; -EPROTO if the receiver
 * broke its inbox; -EINVAL for a bad item or peer; -ETIMEDOUT, -EINTR; or what
 * mmap() fails with.
 */
int ivring_send(struct ivring *vm, struct ivring_peer to, const struct ivring_item *items,
		unsigned int count, uint64_t deadline);

/**
 * ivring_reply() - send one item to whoever sent another.
 * @vm:		the VM
 * @request:	the item that is answered
 * @answer:	the answer; the request's cookie takes the place of its own
 * @deadline:	how long to wait for room
 *
 * Return: 0, or as ivring_send().
 */
int ivring_reply(struct ivring *vm, const struct ivring_item *request,
		 const struct ivring_item *answer, uint64_t deadline);

/**
 * ivring_flush() - sleep until a VM has read all that was sent to it.
 * @vm:		the sender
 * @to:		the receiver
 * @deadline:	how long
 *
 * Return: 0; -EPIPE or -ESTALE if it left before that, as far as can be known;
 * -EPROTO, -EINVAL, -ETIMEDOUT, -EINTR.
 */
int ivring_flush(struct ivring *vm, struct ivring_peer to, uint64_t deadline);

/*
 * Receiving without a dispatcher
 */

/**
 * ivring_wait() - sleep until there is work (IVRING_WAIT).
 * @vm:		the VM
 * @flags:	IVRING_EVENT_MEMBERS to return for news of the members too
 * @deadline:	how long
 *
 * The VM is busy from then on, until it is armed: see ivring_arm().
 *
 * Return: IVRING_EVENT_*; -EPROTO if the inbox is broken; -EINVAL, -ETIMEDOUT,
 * -EINTR.
 */
int ivring_wait(struct ivring *vm, uint32_t flags, uint64_t deadline);

/**
 * ivring_receive() - copy the oldest items of the inbox.
 * @vm:		the VM
 * @items:	where to
 * @count:	how many at most
 *
 * They stay in the inbox, and their payload stays valid, until ivring_consume().
 * The VM is busy from then on, until it is armed: see ivring_arm().
 *
 * Return: how many, 0 if there are none; -EPROTO if the inbox is broken.
 */
int ivring_receive(struct ivring *vm, struct ivring_item *items, unsigned int count);

/**
 * ivring_consume() - give up the oldest items of the inbox, and their payload.
 * @vm:		the VM
 * @count:	how many
 *
 * Return: 0; -EINVAL if there are not so many; -EPROTO if the inbox is broken.
 */
int ivring_consume(struct ivring *vm, unsigned int count);

/*
 * The dispatcher
 */

/**
 * typedef ivring_item_fn - handles an item.
 * @vm:		the VM that received it; the handler may send, reply and stop, but
 *		not receive, dispatch or close
 * @item:	a copy of the item, which with its payload is valid until the
 *		handler returns
 * @arg:	as registered
 *
 * A handler that waits keeps its VM from reading: two that wait for each
 * other's room with IVRING_DEADLINE_NEVER wait for ever.
 */
typedef void (*ivring_item_fn)(struct ivring *vm, const struct ivring_item *item, void *arg);

/**
 * typedef ivring_members_fn - handles news of the members, as ivring_members().
 * @vm:		the VM
 * @arg:	as registered
 */
typedef void (*ivring_members_fn)(struct ivring *vm, void *arg);

/**
 * ivring_on() - register the handler of a port, in place of any before.
 * @vm:		the VM
 * @port:	the port
 * @fn:		the handler, or NULL for none
 * @arg:	passed on to it
 *
 * Return: 0; -EINVAL for IVRING_PORT_RESERVED; -ENOMEM.
 */
int ivring_on(struct ivring *vm, uint32_t port, ivring_item_fn fn, void *arg);

/**
 * ivring_on_other() - register the handler of all ports that have none.
 * @vm:		the VM
 * @fn:		the handler; without one (NULL), their items are dropped
 * @arg:	passed on to it
 */
void ivring_on_other(struct ivring *vm, ivring_item_fn fn, void *arg);

/**
 * ivring_on_members() - register the handler of VMs that come or go.
 * @vm:		the VM
 * @fn:		the handler, or NULL for none; it is called for those that are
 *		there at first, too
 * @arg:	passed on to it
 */
void ivring_on_members(struct ivring *vm, ivring_members_fn fn, void *arg);

/**
 * ivring_run() - dispatch items, and sleep where there are none, until stopped.
 * @vm:		the VM
 *
 * Return: 0 after ivring_stop(); -EBUSY from a handler; -EPROTO if the inbox is
 * broken.
 */
int ivring_run(struct ivring *vm);

/**
 * ivring_stop() - end ivring_run(), after the handler that it is in.
 * @vm:		the VM
 *
 * May be called from a handler, from any thread and from a signal handler. If
 * nothing is running, the next run or dispatch ends at once.
 */
void ivring_stop(struct ivring *vm);

/**
 * ivring_dispatch() - dispatch items that are there, without sleeping.
 * @vm:		the VM
 * @budget:	how many at most
 *
 * For callers with an event loop of their own: call it when ivring_fd() is
 * readable or has POLLPRI, or when the eventfd has been signalled.
 *
 * Return: how many were dispatched. Fewer than @budget: the inbox is empty and the
 * VM armed, so the caller may sleep in whichever way (or a handler called
 * ivring_stop(), and there may be more). All of @budget: there may be more, and the
 * caller dispatches again before it sleeps, unless it does so for each event of
 * level-triggered epoll or poll(), which will say so once more.
 * -EBUSY from a handler; -EPROTO if the inbox is broken.
 */
int ivring_dispatch(struct ivring *vm, unsigned int budget);

/**
 * ivring_arm() - say that the VM must be rung from now on.
 * @vm:		the VM
 *
 * For callers without a dispatcher, before they sleep on an eventfd or in epoll;
 * ivring_wait(), poll() and select() do it by themselves.
 *
 * Return: 1 if the caller may sleep; 0 if there are items or news of the members;
 * -EPROTO if the inbox is broken.
 */
int ivring_arm(struct ivring *vm);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif /* _IVRING_H */
