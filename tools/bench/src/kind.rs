// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which transports and workloads there are, and which go together.

use std::fmt;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::transport::bare_lane::BareLanes;
use crate::transport::c_lane::CLanes;
use crate::transport::descriptor::{Descriptors, Pipe, UnixSeqpacket, UnixStream};
use crate::transport::enqueue::Enqueue;
use crate::transport::form::{ByIndex, BySequence};
use crate::transport::iceoryx::{Iceoryx, IceoryxBulk};
use crate::transport::lane::Lanes;
use crate::transport::manner::{Asleep, Fenced, Polled};
use crate::transport::mq::Mq;
use crate::transport::ring::Rings;
use crate::transport::wake::{Eventfd, Futex, Spin};
use crate::workload::{Run, Spec, echo, large, slow_receiver, stream, trickle};

/// Nanoseconds that the slow receiver works for an item.
const SERVICE: u64 = 10_000;

/// A transport, by the name that it has in tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    Pipe,
    UnixStream,
    UnixSeqpacket,
    Mq,
    EventfdRing,
    FutexRing,
    SpinRing,
    SpinSeq,
    Iceoryx2,
    Direct,
    DirectSleep,
    DirectFenced,
    DirectC,
    Enqueue,
    #[value(name = "pipe-32")]
    Pipe32,
    #[value(name = "spin-ring-32")]
    SpinRing32,
    #[value(name = "direct-32")]
    Direct32,
    #[value(name = "enqueue-32")]
    Enqueue32,
}

impl Kind {
    pub fn name(self) -> String {
        let value = self.to_possible_value().expect("all of them have names");
        value.get_name().to_owned()
    }

    /// Whether the transport needs the module.
    pub fn needs_module(self) -> bool {
        matches!(self, Self::DirectC | Self::Enqueue | Self::Enqueue32)
    }

    /// Whether the transport makes system calls that only it can count.
    pub fn hides_syscalls(self) -> bool {
        self == Self::Iceoryx2
    }

    /// Whether only the kernel knows when the receiver is woken, or the receiver is never woken.
    pub fn hides_doorbells(self) -> bool {
        matches!(
            self,
            Self::Pipe
                | Self::Pipe32
                | Self::UnixStream
                | Self::UnixSeqpacket
                | Self::Mq
                | Self::Iceoryx2
        )
    }

    /// Whether each sender has its own queue.
    pub fn has_lanes(self) -> bool {
        use Kind::*;
        matches!(
            self,
            EventfdRing | FutexRing | SpinRing | SpinSeq | Direct | DirectSleep | DirectFenced
        )
    }

    fn sends_batches(self) -> bool {
        matches!(
            self,
            Self::Pipe32 | Self::SpinRing32 | Self::Direct32 | Self::Enqueue32
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name())
    }
}

/// A workload, with its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    Stream,
    RoundTrip,
    /// The number of senders.
    FanIn(usize),
    Request,
    SlowReceiver,
    Trickle,
    /// The number of lanes to the receiver that are open and idle.
    ManyLanes(usize),
    /// The size of the payload, in bytes.
    Large(usize),
}

impl Workload {
    pub const ALL: [Self; 15] = [
        Self::Stream,
        Self::RoundTrip,
        Self::Request,
        Self::SlowReceiver,
        Self::Trickle,
        Self::ManyLanes(499),
        Self::FanIn(1),
        Self::FanIn(4),
        Self::FanIn(16),
        Self::FanIn(63),
        Self::Large(64),
        Self::Large(4 << 10),
        Self::Large(64 << 10),
        Self::Large(256 << 10),
        Self::Large(1 << 20),
    ];

    /// The name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::RoundTrip => "round_trip",
            Self::FanIn(_) => "fan_in",
            Self::Request => "request",
            Self::SlowReceiver => "slow_receiver",
            Self::Trickle => "trickle",
            Self::ManyLanes(_) => "many_lanes",
            Self::Large(_) => "large",
        }
    }

    pub fn senders(self) -> usize {
        match self {
            Self::FanIn(senders) => senders,
            _ => 1,
        }
    }

    pub fn payload(self) -> usize {
        match self {
            Self::Large(payload) => payload,
            _ => 64,
        }
    }

    /// Whether the workload needs the module.
    pub fn needs_module(self) -> bool {
        matches!(self, Self::ManyLanes(_))
    }

    /// Whether this transport is measured with the workload.
    pub fn takes(self, kind: Kind) -> bool {
        if kind == Kind::DirectC {
            return self == Self::Stream;
        }
        match self {
            Self::Stream => true,
            Self::RoundTrip | Self::Request | Self::SlowReceiver | Self::Trickle => {
                !kind.sends_batches()
            }
            Self::ManyLanes(_) => matches!(kind, Kind::Direct | Kind::DirectSleep),
            // Each sender of iceoryx2 takes a second to start.
            Self::FanIn(_) => !kind.sends_batches() && kind != Kind::Iceoryx2,
            Self::Large(payload) => match kind {
                Kind::Mq => false,
                // A socket only takes messages that are smaller than its buffer. This payload would
                // be half of it.
                Kind::UnixSeqpacket => payload <= 64 << 10,
                _ => !kind.sends_batches(),
            },
        }
    }

    /// Measures the workload once.
    pub fn run(self, kind: Kind, spec: &Spec) -> Result<Run> {
        // The call is the same for each transport, but a type cannot be chosen at run time.
        macro_rules! items {
            ($transport:ty) => {
                match self {
                    Self::Stream => stream::run::<$transport>(spec, 1),
                    Self::FanIn(senders) => stream::run::<$transport>(spec, senders),
                    Self::RoundTrip => echo::run::<$transport>(spec, 1, 0),
                    Self::Request => echo::run::<$transport>(spec, echo::REQUESTS, 0),
                    Self::ManyLanes(idle) => echo::run::<$transport>(spec, 1, idle),
                    Self::SlowReceiver => slow_receiver::run::<$transport>(spec, SERVICE),
                    Self::Trickle => trickle::run::<$transport>(spec),
                    Self::Large(_) => bail!("{kind} carries no payload"),
                }
            };
        }
        macro_rules! both {
            ($transport:ty) => {
                both!($transport, $transport)
            };
            ($transport:ty, $bulk:ty) => {
                match self {
                    Self::Large(payload) => large::run::<$bulk>(spec, payload),
                    _ => items!($transport),
                }
            };
        }
        match kind {
            Kind::Pipe => both!(Descriptors<Pipe, 1>),
            Kind::UnixStream => both!(Descriptors<UnixStream, 1>),
            Kind::UnixSeqpacket => both!(Descriptors<UnixSeqpacket, 1>),
            Kind::Mq => items!(Mq),
            Kind::EventfdRing => both!(Rings<Eventfd, ByIndex, 1>),
            Kind::FutexRing => both!(Rings<Futex, ByIndex, 1>),
            Kind::SpinRing => both!(Rings<Spin, ByIndex, 1>),
            Kind::SpinSeq => both!(Rings<Spin, BySequence, 1>),
            Kind::Iceoryx2 => both!(Iceoryx, IceoryxBulk),
            Kind::Direct if spec.module => both!(Lanes<Polled, 1>),
            Kind::Direct => both!(BareLanes<Polled, 1>),
            Kind::DirectSleep if spec.module => both!(Lanes<Asleep, 1>),
            Kind::DirectSleep => both!(BareLanes<Asleep, 1>),
            Kind::DirectFenced if spec.module => both!(Lanes<Fenced, 1>),
            Kind::DirectFenced => both!(BareLanes<Fenced, 1>),
            Kind::DirectC => items!(CLanes),
            Kind::Enqueue => both!(Enqueue<1>),
            Kind::Pipe32 => items!(Descriptors<Pipe, 32>),
            Kind::SpinRing32 => items!(Rings<Spin, ByIndex, 32>),
            Kind::Direct32 if spec.module => items!(Lanes<Polled, 32>),
            Kind::Direct32 => items!(BareLanes<Polled, 32>),
            Kind::Enqueue32 => items!(Enqueue<32>),
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FanIn(senders) => write!(f, "fan_in of {senders}"),
            Self::ManyLanes(idle) => write!(f, "many_lanes, {} lanes", idle + 1),
            Self::Large(payload) => write!(f, "large, {payload} bytes"),
            _ => f.pad(self.name()),
        }
    }
}
