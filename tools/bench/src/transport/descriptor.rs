// SPDX-License-Identifier: MIT OR Apache-2.0

//! Queues that the kernel copies: pipes and Unix sockets.

use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::slice;

use anyhow::Result;
use rustix::io::{Errno, read, write};
use rustix::net::sockopt::{set_socket_send_buffer_size, set_socket_send_buffer_size_force};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use super::{Bulk, CAPACITY, Counters, End, Endpoint, Item, Shape, Transport};

const ITEM: usize = size_of::<Item>();

/// Makes the two ends of a queue, the reader's first.
pub trait Pair {
    fn pair(shape: &Shape) -> Result<(OwnedFd, OwnedFd)>;
}

pub struct Pipe;

impl Pair for Pipe {
    fn pair(shape: &Shape) -> Result<(OwnedFd, OwnedFd)> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        // A pipe holds 64 KiB, which is as many items as the other queues hold, and at most 1 MiB.
        if shape.payload > 0 {
            fcntl_setpipe_size(&writer, 1 << 20)?;
        }
        Ok((reader, writer))
    }
}

fn unix(kind: SocketType, shape: &Shape) -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    // A small message takes 768 bytes of the buffer.
    let size = (CAPACITY * 768).max(shape.payload * 2);
    if set_socket_send_buffer_size_force(&writer, size).is_err() {
        set_socket_send_buffer_size(&writer, size)?;
    }
    Ok((reader, writer))
}

pub struct UnixStream;

impl Pair for UnixStream {
    fn pair(shape: &Shape) -> Result<(OwnedFd, OwnedFd)> {
        unix(SocketType::STREAM, shape)
    }
}

pub struct UnixSeqpacket;

impl Pair for UnixSeqpacket {
    fn pair(shape: &Shape) -> Result<(OwnedFd, OwnedFd)> {
        unix(SocketType::SEQPACKET, shape)
    }
}

/// A queue for each party, which all its senders write. A call writes or reads up to `BATCH` items.
pub struct Descriptors<P, const BATCH: usize> {
    queues: Rc<[(OwnedFd, OwnedFd)]>,
    payload: usize,
    pair: PhantomData<P>,
}

impl<P: Pair, const BATCH: usize> Transport for Descriptors<P, BATCH> {
    type End = DescriptorEnd<BATCH>;

    fn new(shape: &Shape) -> Result<Self> {
        let queues = (0..shape.parties).map(|_| P::pair(shape));
        Ok(Self {
            queues: queues.collect::<Result<_>>()?,
            payload: shape.payload,
            pair: PhantomData,
        })
    }

    fn endpoint(&self, party: usize) -> Result<Self::End> {
        Ok(DescriptorEnd {
            queues: Rc::clone(&self.queues),
            party,
            held_back: Vec::with_capacity(BATCH * ITEM),
            held_back_for: 0,
            buffer: vec![Item::default(); BATCH],
            filled: 0,
            payload: vec![Item::default(); self.payload / ITEM],
            counters: Counters::default(),
        })
    }
}

pub struct DescriptorEnd<const BATCH: usize> {
    queues: Rc<[(OwnedFd, OwnedFd)]>,
    party: usize,
    held_back: Vec<u8>,
    held_back_for: usize,
    buffer: Vec<Item>,
    /// The number of bytes in the buffer.
    filled: usize,
    /// Stored as items, because these are aligned.
    payload: Vec<Item>,
    counters: Counters,
}

fn bytes_of(items: &mut [Item]) -> &mut [u8] {
    // SAFETY: items consist of integers without padding, and any bytes are a valid item.
    unsafe { slice::from_raw_parts_mut(items.as_mut_ptr().cast(), size_of_val(items)) }
}

fn write_all(fd: impl AsFd, mut bytes: &[u8], counters: &mut Counters) {
    while !bytes.is_empty() {
        counters.syscalls += 1;
        match write(&fd, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(error) => panic!("write: {error}"),
        }
    }
}

fn read_some(fd: impl AsFd, bytes: &mut [u8], counters: &mut Counters) -> usize {
    loop {
        counters.syscalls += 1;
        match read(&fd, &mut *bytes) {
            Ok(0) => panic!("the other side has left"),
            Ok(count) => return count,
            Err(Errno::INTR) => {}
            Err(error) => panic!("read: {error}"),
        }
    }
}

impl<const BATCH: usize> Endpoint for DescriptorEnd<BATCH> {
    fn send(&mut self, to: usize, item: &Item) {
        if BATCH == 1 {
            write_all(&self.queues[to].1, item.as_bytes(), &mut self.counters);
            return;
        }
        if self.held_back_for != to {
            self.flush();
            self.held_back_for = to;
        }
        self.held_back.extend_from_slice(item.as_bytes());
        if self.held_back.len() == BATCH * ITEM {
            self.flush();
        }
    }

    fn flush(&mut self) {
        write_all(
            &self.queues[self.held_back_for].1,
            &self.held_back,
            &mut self.counters,
        );
        self.held_back.clear();
    }

    fn receive(&mut self, mut each: impl FnMut(&Item)) {
        let bytes = bytes_of(&mut self.buffer);
        // A stream may return a part of an item.
        while self.filled < ITEM {
            self.filled += read_some(
                &self.queues[self.party].0,
                &mut bytes[self.filled..],
                &mut self.counters,
            );
        }
        let whole = self.filled / ITEM;
        self.buffer[..whole].iter().for_each(&mut each);
        let rest = self.filled % ITEM;
        if rest > 0 {
            self.buffer[0] = self.buffer[whole];
        }
        self.filled = rest;
    }
}

impl<const BATCH: usize> End for DescriptorEnd<BATCH> {
    fn counters(&self) -> Counters {
        self.counters
    }
}

impl<const BATCH: usize> Bulk for DescriptorEnd<BATCH> {
    fn send_payload(&mut self, _: u64, fill: impl Fn(*mut u8, usize)) {
        let payload = bytes_of(&mut self.payload);
        fill(payload.as_mut_ptr(), payload.len());
        write_all(&self.queues[0].1, payload, &mut self.counters);
    }

    fn receive_payload(&mut self, read: impl FnOnce(*const u8, usize)) {
        let payload = bytes_of(&mut self.payload);
        let mut filled = 0;
        while filled < payload.len() {
            filled += read_some(
                &self.queues[self.party].0,
                &mut payload[filled..],
                &mut self.counters,
            );
        }
        read(payload.as_ptr(), filled);
    }
}
