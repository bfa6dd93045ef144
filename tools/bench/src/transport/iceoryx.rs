// SPDX-License-Identifier: MIT OR Apache-2.0

//! iceoryx2: publish and subscribe without copies, with a receiver that polls.
//!
//! Its publishers wait for room by yielding and sleeping, which is not counted.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use rustix::thread::sched_yield;

use super::wake::Spin;
use super::{Bulk, CAPACITY, Counters, End, Endpoint, Item, Shape, Transport};

// SAFETY: it consists of integers, is laid out as in C, and refers to nothing.
unsafe impl ZeroCopySend for Item {}

type Port<T> = (
    Publisher<ipc::Service, T, ()>,
    Subscriber<ipc::Service, T, ()>,
);

/// A prefix for the names of a measurement's services.
fn name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);

    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("ivring-bench/{}/{number}", process::id())
}

fn node() -> Result<Node<ipc::Service>> {
    set_log_level(LogLevel::Error);
    NodeBuilder::new().create().context("an iceoryx2 node")
}

/// The services to the two parties, one's own first.
fn names(name: &str, party: usize) -> Result<[ServiceName; 2]> {
    let name = |party| format!("{name}/{party}").as_str().try_into();
    Ok([name(party)?, name(1 - party)?])
}

/// Sends until there is a recipient. Until the subscriber has found its publisher, samples that do
/// not fit into the buffer are dropped.
fn until_delivered(mut send: impl FnMut() -> usize) {
    while send() == 0 {
        sched_yield();
    }
}

/// Items by publish and subscribe, between two parties.
pub struct Iceoryx {
    name: String,
    spin: Spin,
}

impl Transport for Iceoryx {
    type End = IceoryxEnd;

    fn new(_: &Shape) -> Result<Self> {
        Ok(Self {
            name: name(),
            spin: Spin::alone()?,
        })
    }

    fn endpoint(&self, party: usize) -> Result<IceoryxEnd> {
        let node = node()?;
        let service = |name| {
            let service = node.service_builder(name).publish_subscribe::<Item>();
            let service = service
                .subscriber_max_buffer_size(CAPACITY)
                .enable_safe_overflow(false);
            service.open_or_create().context("an iceoryx2 service")
        };
        let [own, others] = names(&self.name, party)?;
        let subscriber = service(&own)?.subscriber_builder().create()?;
        let others = service(&others)?;
        let publisher = others.publisher_builder();
        let publisher = publisher.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
        Ok(IceoryxEnd {
            port: (publisher.create()?, subscriber),
            spin: self.spin.clone(),
            _node: node,
        })
    }
}

pub struct IceoryxEnd {
    port: Port<Item>,
    spin: Spin,
    _node: Node<ipc::Service>,
}

impl End for IceoryxEnd {
    fn counters(&self) -> Counters {
        Counters::default()
    }
}

impl Endpoint for IceoryxEnd {
    fn send(&mut self, _: usize, item: &Item) {
        until_delivered(|| {
            let sample = self.port.0.loan_uninit().expect("a loan");
            sample.write_payload(*item).send().expect("it is sent")
        });
    }

    fn receive(&mut self, mut each: impl FnMut(&Item)) {
        let mut counters = Counters::default();
        let receive = || self.port.1.receive().expect("it is received");
        let mut sample = self.spin.until_some(receive, &mut counters);
        loop {
            each(&sample);
            match receive() {
                Some(next) => sample = next,
                None => return,
            }
        }
    }
}

/// Payload by publish and subscribe, from spoke 1 to the hub.
pub struct IceoryxBulk {
    name: String,
    shape: Shape,
    spin: Spin,
}

impl Transport for IceoryxBulk {
    type End = IceoryxBulkEnd;

    fn new(shape: &Shape) -> Result<Self> {
        Ok(Self {
            name: name(),
            shape: *shape,
            spin: Spin::alone()?,
        })
    }

    fn endpoint(&self, party: usize) -> Result<IceoryxBulkEnd> {
        let node = node()?;
        let [own, others] = names(&self.name, party)?;
        let name = if party == 0 { own } else { others };
        let service = node.service_builder(&name).publish_subscribe::<[u8]>();
        let service = service.payload_alignment(Alignment::new(64).expect("a power of two"));
        let service = service
            .subscriber_max_buffer_size(self.shape.window())
            .enable_safe_overflow(false);
        let service = service.open_or_create().context("an iceoryx2 service")?;
        let side = match party {
            0 => Side::Subscriber(service.subscriber_builder().create()?),
            _ => {
                let publisher = service
                    .publisher_builder()
                    .initial_max_slice_len(self.shape.payload);
                let publisher =
                    publisher.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
                Side::Publisher(publisher.create()?)
            }
        };
        Ok(IceoryxBulkEnd {
            side,
            payload: self.shape.payload,
            spin: self.spin.clone(),
            _node: node,
        })
    }
}

enum Side {
    Publisher(Publisher<ipc::Service, [u8], ()>),
    Subscriber(Subscriber<ipc::Service, [u8], ()>),
}

pub struct IceoryxBulkEnd {
    side: Side,
    payload: usize,
    spin: Spin,
    _node: Node<ipc::Service>,
}

impl End for IceoryxBulkEnd {
    fn counters(&self) -> Counters {
        Counters::default()
    }
}

impl Bulk for IceoryxBulkEnd {
    fn send_payload(&mut self, _: u64, fill: impl Fn(*mut u8, usize)) {
        let Side::Publisher(publisher) = &self.side else {
            panic!("the hub sends no payload");
        };
        until_delivered(|| {
            let mut sample = publisher.loan_slice_uninit(self.payload).expect("a loan");
            fill(sample.payload_mut().as_mut_ptr().cast(), self.payload);
            // SAFETY: `fill` has written the whole slice.
            unsafe { sample.assume_init() }.send().expect("it is sent")
        });
    }

    fn receive_payload(&mut self, read: impl FnOnce(*const u8, usize)) {
        let Side::Subscriber(subscriber) = &self.side else {
            panic!("spokes receive no payload");
        };
        let receive = || subscriber.receive().expect("it is received");
        let sample = self.spin.until_some(receive, &mut Counters::default());
        read(sample.payload().as_ptr(), sample.payload().len());
    }
}
