// SPDX-License-Identifier: MIT OR Apache-2.0

//! POSIX message queues.

use std::ffi::CString;
use std::mem::zeroed;
use std::process;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::{CAPACITY, Counters, End, Endpoint, Item, Shape, Transport};

/// The capacity of a queue where only root may have more.
const UNPRIVILEGED: usize = 10;

struct Queue(libc::mqd_t);

impl Queue {
    fn new() -> Result<Self> {
        Self::with_capacity(CAPACITY).or_else(|_| Self::with_capacity(UNPRIVILEGED))
    }

    fn with_capacity(capacity: usize) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);

        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = CString::new(format!("/ivring-bench-{}-{number}", process::id()))?;
        // SAFETY: any bytes are a valid struct mq_attr.
        let mut attr: libc::mq_attr = unsafe { zeroed() };
        attr.mq_maxmsg = capacity as _;
        attr.mq_msgsize = size_of::<Item>() as _;
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
        // SAFETY: the name ends in a NUL, and the attributes are valid.
        let fd = unsafe { libc::mq_open(name.as_ptr(), flags, 0o600, &mut attr) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error()).context("mq_open");
        }
        // SAFETY: the name ends in a NUL. The queue exists without its name until its descriptors
        // are closed.
        unsafe { libc::mq_unlink(name.as_ptr()) };
        Ok(Self(fd))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: this value owns the descriptor.
        unsafe { libc::mq_close(self.0) };
    }
}

/// A queue for each party, which all its senders write.
pub struct Mq(Rc<[Queue]>);

impl Transport for Mq {
    type End = MqEnd;

    fn new(shape: &Shape) -> Result<Self> {
        // If this is not allowed, the queues are small.
        let all = Rlimit {
            current: None,
            maximum: None,
        };
        let _ = setrlimit(Resource::Msgqueue, all);
        let queues = (0..shape.parties).map(|_| Queue::new());
        Ok(Self(queues.collect::<Result<_>>()?))
    }

    fn endpoint(&self, party: usize) -> Result<MqEnd> {
        Ok(MqEnd {
            queues: Rc::clone(&self.0),
            party,
            counters: Counters::default(),
        })
    }
}

pub struct MqEnd {
    queues: Rc<[Queue]>,
    party: usize,
    counters: Counters,
}

impl Endpoint for MqEnd {
    fn send(&mut self, to: usize, item: &Item) {
        let bytes = item.as_bytes();
        self.counters.syscalls += 1;
        // SAFETY: the bytes are valid.
        let status =
            unsafe { libc::mq_send(self.queues[to].0, bytes.as_ptr().cast(), bytes.len(), 0) };
        assert_eq!(status, 0, "mq_send: {}", std::io::Error::last_os_error());
    }

    fn receive(&mut self, mut each: impl FnMut(&Item)) {
        let mut item = Item::default();
        let bytes = item.as_bytes_mut();
        self.counters.syscalls += 1;
        let queue = self.queues[self.party].0;
        // SAFETY: there is room for the bytes, and the priority may be omitted.
        let count = unsafe {
            libc::mq_receive(
                queue,
                bytes.as_mut_ptr().cast(),
                bytes.len(),
                ptr::null_mut(),
            )
        };
        assert_eq!(
            count,
            bytes.len() as isize,
            "mq_receive: {}",
            std::io::Error::last_os_error()
        );
        each(&item);
    }
}

impl End for MqEnd {
    fn counters(&self) -> Counters {
        self.counters
    }
}
