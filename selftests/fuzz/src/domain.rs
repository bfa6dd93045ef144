// SPDX-License-Identifier: GPL-2.0

//! The values that an argument of a call may have: chosen numbers, with their names.

use anyhow::{Context, Result};
use rand::Rng;
use rand::seq::IndexedRandom;

/// The values from which an argument is drawn.
#[derive(Debug)]
pub struct Domain {
    /// Values that may well succeed. The first is the default in a program that omits the argument.
    pub good: &'static [(&'static str, u64)],
    /// Values that should fail, or are unusual.
    pub bad: &'static [(&'static str, u64)],
    /// Any other number is also worth a try.
    pub open: bool,
}

impl Domain {
    pub fn default_value(&self) -> u64 {
        self.good[0].1
    }

    pub fn choose(&self, rng: &mut impl Rng) -> u64 {
        match rng.random_range(0..100) {
            0..4 if self.open => rng.random::<u64>() >> rng.random_range(0..64),
            4..18 => self.bad.choose(rng).unwrap_or(&self.good[0]).1,
            _ => self.good.choose(rng).expect("a domain holds something").1,
        }
    }

    pub fn parse(&self, text: &str) -> Result<u64> {
        let mut named = self.good.iter().chain(self.bad);
        if let Some((_, value)) = named.find(|(name, _)| *name == text) {
            return Ok(*value);
        }
        match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        }
        .with_context(|| format!("{text} is not a value of this argument"))
    }

    pub fn show(&self, value: u64) -> String {
        let mut named = self.good.iter().chain(self.bad);
        match named.find(|(_, named)| *named == value) {
            Some((name, _)) => (*name).to_owned(),
            None if value < 65536 => value.to_string(),
            None => format!("{value:#x}"),
        }
    }
}

/// `NAME { good; bad }`: each value is a number, or a name and its number. `(open)` is explained at
/// [`Domain`].
macro_rules! domain {
    ($($(#[$doc:meta])* $name:ident $(($open:ident))? { $($good:tt $(= $good_value:expr)?),+ $(; $($bad:tt $(= $bad_value:expr)?),+)? })+) => { $(
        $(#[$doc])*
        pub static $name: Domain = Domain {
            good: &[$((name!($good), value!($good $(, $good_value)?))),+],
            bad: &[$($((name!($bad), value!($bad $(, $bad_value)?))),+)?],
            open: is_open!($($open)?),
        };
    )+ };
}
macro_rules! name {
    ($name:literal) => {
        stringify!($name)
    };
    ($name:ident) => {
        stringify!($name)
    };
}
macro_rules! value {
    ($name:literal) => {
        $name
    };
    ($name:tt, $value:expr) => {
        $value
    };
}
macro_rules! is_open {
    () => {
        false
    };
    (open) => {
        true
    };
}

pub const MAX: u64 = u32::MAX as u64;
pub const NO_FILE: u64 = MAX;
/// The protection of a mapping. The first is all access that is allowed.
pub const FIT: u64 = 8;

/// Where the structure of a call is placed.
pub mod place {
    pub const OWN: u64 = 0;
    pub const NULL: u64 = 1;
    pub const KERNEL: u64 = 2;
    pub const EDGE: u64 = 3;
    pub const READONLY: u64 = 4;
    pub const ODD: u64 = 5;
    /// Within a mapping: this number plus the number of the mapping.
    pub const MAP: u64 = 16;
}

/// Which generation, in relation to that of the slot.
pub mod generation {
    pub const NOW: u64 = 0;
    pub const BEFORE: u64 = 1;
    pub const NEXT: u64 = 2;
    pub const EVEN: u64 = 3;
    pub const ZERO: u64 = 4;
    pub const LAST: u64 = 5;
}

/// The deadline of a call.
pub mod deadline {
    pub const NONE: u64 = 0;
    pub const PAST: u64 = 1;
    pub const SOON: u64 = 2;
    pub const LATER: u64 = 3;
    pub const NEVER: u64 = 4;
}

/// What kind of items an ENQUEUE sends.
pub mod items {
    pub const GOOD: u64 = 0;
    pub const PAYLOAD: u64 = 1;
    pub const BEYOND: u64 = 2;
    pub const WRAPPING: u64 = 3;
    pub const FORGED: u64 = 4;
    pub const FLAGS: u64 = 5;
    pub const INLINE: u64 = 6;
    pub const OFFSET: u64 = 7;
    pub const LAST_BAD: u64 = 8;
    pub const RANDOM: u64 = 9;
    pub const SEQUENCE: u64 = 10;
}

/// Which area.
pub mod area {
    pub const MEMBER: u64 = 0;
    pub const REGION: u64 = 1;
    pub const INBOX: u64 = 2;
    pub const LANE_TO: u64 = 3;
    pub const LANE_FROM: u64 = 4;
    pub const OUTBOX: u64 = 5;
}

/// What kind of name is passed. Other numbers are names of their own.
pub mod name {
    pub const NONE: u64 = 0;
    pub const SLASH: u64 = 10;
    pub const ENDLESS: u64 = 11;
    pub const PADDED: u64 = 12;
    pub const BYTES: u64 = 13;
}

/// What other descriptor is opened.
pub mod other {
    pub const EVENTFD: u64 = 0;
    pub const NULL: u64 = 1;
    pub const EPOLL: u64 = 2;
    pub const MEMFD: u64 = 3;
}

domain! {
    /// A place in the descriptor table of a process.
    FILE { 0, 1, 2, 3; 4, 5 }
    /// A place in the descriptor table, or none.
    FILE_OR_NONE { none = NO_FILE, 0, 1, 2; 3, 4, 5, closed = 99, minus2 = MAX - 1 }
    /// A place in the mapping table of a process.
    MAP { 0, 1, 2, 3; 4, 5 }
    OPEN_MODE { rw = 2; ro = 0, wo = 1 }
    SLOTS (open) { 3, 1, 2, 4; 0, 64, 1024, 1025, max = MAX }
    ENTRIES (open) { 4, 2, 8, 64; 0, 1, 3, 5, 65536, 65537, 131072, half = 0x8000_0000, max = MAX }
    OUTBOX (open) { 4096, 8192, 65536; 0, 1, 2048, 4095, 4097, 12288, 1048576, 0x2000_0000, top = 1 << 63, max = u64::MAX }
    MODE (open) { 0x1b6, 0, 0x180, 0x1a0; 0x36, 0x1ff, 0x200, 0x49, max = MAX }
    NAME { none = name::NONE, 1, 2; 3, slash = name::SLASH, endless = name::ENDLESS, padded = name::PADDED, bytes = name::BYTES }
    FLAG (open) { 0; 1, 2, 4, 8, max = MAX }
    CREATE_FLAGS (open) { 1, 0, 3, 5; 2, 4, 7, max = MAX }
    ATTACH_FLAGS (open) { 0, 1, 2; 3, 4, max = MAX }
    ID (open) { any = MAX, 0, 1, 2; 3, 63, 1023, 1024, 0xffff, 0x10000, max1 = MAX - 1 }
    SLOT (open) { 0, 1, 2; 3, 4, 1023, 1024, 0x10000, max1 = MAX - 1, any = MAX }
    GENERATION { now = generation::NOW; before = generation::BEFORE, next = generation::NEXT, even = generation::EVEN,
        zero = generation::ZERO, last = generation::LAST }
    COUNT (open) { 1, 2, 4, 9; 0, 8, 64, 256, 257, max = MAX }
    ITEMS { good = items::GOOD, payload = items::PAYLOAD; beyond = items::BEYOND, wrapping = items::WRAPPING,
        forged = items::FORGED, flags = items::FLAGS, inline = items::INLINE, offset = items::OFFSET,
        lastbad = items::LAST_BAD, random = items::RANDOM, sequence = items::SEQUENCE }
    PLACE { own = place::OWN; null = place::NULL, kernel = place::KERNEL, edge = place::EDGE, readonly = place::READONLY,
        odd = place::ODD, map0 = place::MAP, map1 = place::MAP + 1, map2 = place::MAP + 2, map3 = place::MAP + 3 }
    ENQUEUE_FLAGS (open) { 0, 1, 2; 3, 4, max = MAX }
    WAIT_FLAGS (open) { 0, 1, 2, 3; 4, 8, max = MAX }
    DEADLINE { none = deadline::NONE, soon = deadline::SOON; past = deadline::PAST, later = deadline::LATER, never = deadline::NEVER }
    /// The distance from the position that the last ENQUEUE returned.
    POSITION (open) { 0, minus1 = u64::MAX, 1; 2, minus4 = u64::MAX - 3, 64, half = 0x8000_0000 }
    AREA { member = area::MEMBER, inbox = area::INBOX, region = area::REGION, laneto = area::LANE_TO, lanefrom = area::LANE_FROM,
        outbox = area::OUTBOX }
    /// The first page.
    PAGE (open) { 0; 1, 2, 3, 17, 18, far = 0x3ffff }
    /// The number of pages. 0 stands for a number that fits most areas of the program.
    PAGES (open) { 0, 1, 2; 3, 4, 64, 0x10000 }
    /// The first value writes where that is allowed, and reads elsewhere.
    PROT { fit = FIT, rw = 3, r = 1; none = 0, w = 2, x = 4, rx = 5, rwx = 7 }
    MAP_FLAGS { shared = 1; private = 2, validate = 3, populate = 0x8001, noreserve = 0x4001 }
    /// Words with a meaning in some area.
    WORD (open) { 0, 4, 8, 64, 128, 132, 4096, 4100, 4160, 4224, 4288; 12, 24, 28, 68, 4164, 4352, 4416, 4420, 8192 }
    /// The value that is written. The last good ones are the first indices of small rings.
    VALUE (open) { 0, 1, 2, 3, 4, 1000, minus4 = MAX - 3, minus3 = MAX - 2, minus2 = MAX - 1, minus1 = MAX;
        5, 64, 65536, half = 0x8000_0000, 1000000 }
    /// The number that is added.
    STEP (open) { 1, 2, minus1 = MAX; 4, 5, 64, half = 0x8000_0000, minus2 = MAX - 1, minus4 = MAX - 3, 65536 }
    TIMES { 100; 1, 1000, 10000 }
    OTHER { eventfd = other::EVENTFD, null = other::NULL, epoll = other::EPOLL; memfd = other::MEMFD }
    POLL_EVENTS (open) { 1, 3, 4, 5, 0x43; 0, 2, 8, 0x19, 0xffff }
    MS { 0, 1, 2; 5, 20 }
    TRACK { 0, 1, 2; 3 }
    SIGNAL { usr1 = 10, usr2 = 12; stop = 19, cont = 18, kill = 9 }
    ADVICE { dontneed = 4, dofork = 11, normal = 0; free = 8, remove = 9, dontfork = 10, mergeable = 12, hugepage = 14,
        dodump = 17, wipeonfork = 18, cold = 20, pageout = 21, populateread = 22, populatewrite = 23, collapse = 25 }
    REMAP { same = 0, shrink = 1, grow = 2, duplicate = 3, move = 4 }
    EPOLL { add = 1, delete = 2, modify = 3 }
    EPOLL_EVENTS { 1, 4, 0x8000_0001, 0x8000_0003, 0x8000_0004; 0, 0x4000_0001, 0x1000_0001, 0xffff }
    /// Numbers of the module's type that are no ioctls.
    COMMAND { 0xbe4e, 0xbe3f, 0x4008_be4d; 0xbe40, 0x8030_be40, 0xc028_be45, 0xc030_be46, 0xffff_be45 }
    FAIL { 1, 2, 3, 4, 5; 8, 13 }
}
