// SPDX-License-Identifier: GPL-2.0

//! The calls that a program can consist of.

use crate::domain::{self as d, Domain};

/// The maximum number of arguments of a call.
pub const ARGUMENTS: usize = 9;

/// How a call is written, and how likely it is drawn.
#[derive(Debug)]
pub struct Signature {
    pub call: Call,
    pub name: &'static str,
    pub weight: u32,
    pub arguments: &'static [(&'static str, &'static Domain)],
}

macro_rules! calls {
    ($($(#[$doc:meta])* $call:ident $name:literal $weight:literal ($($argument:ident: $domain:ident),*);)+) => {
        /// A kind of call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Call {
            $($(#[$doc])* $call,)+
        }

        /// One signature per [`Call`], in the same order.
        pub const SIGNATURES: &[Signature] = &[
            $(Signature {
                call: Call::$call,
                name: $name,
                weight: $weight,
                arguments: &[$((stringify!($argument), &d::$domain)),*],
            },)+
        ];
    };
}

calls! {
    Open "open" 3 (fd: FILE, mode: OPEN_MODE);
    Create "create" 2 (fd: FILE, flags: CREATE_FLAGS, slots: SLOTS, entries: ENTRIES, outbox: OUTBOX, mode: MODE, name: NAME, at: PLACE);
    Attach "attach" 5 (fd: FILE, from: FILE_OR_NONE, name: NAME, id: ID, flags: ATTACH_FLAGS, at: PLACE);
    Api "api" 1 (fd: FILE, at: PLACE);
    Info "info" 1 (fd: FILE, at: PLACE);
    MemberInfo "member-info" 2 (fd: FILE, id: SLOT, reserved: FLAG, at: PLACE);
    Enqueue "enqueue" 12 (fd: FILE, to: SLOT, gen: GENERATION, count: COUNT, items: ITEMS, flags: ENQUEUE_FLAGS, deadline: DEADLINE, at: PLACE, array: PLACE);
    Wait "wait" 8 (fd: FILE, flags: WAIT_FLAGS, deadline: DEADLINE, at: PLACE);
    Eventfd "eventfd" 3 (fd: FILE, eventfd: FILE_OR_NONE, flags: FLAG, at: PLACE);
    Room "room" 4 (fd: FILE, from: ID, flags: FLAG, at: PLACE);
    Flush "flush" 6 (fd: FILE, to: SLOT, gen: GENERATION, position: POSITION, flags: ENQUEUE_FLAGS, deadline: DEADLINE, at: PLACE);
    OpenLane "open-lane" 5 (fd: FILE, to: SLOT, gen: GENERATION, entries: ENTRIES, flags: ENQUEUE_FLAGS, deadline: DEADLINE, at: PLACE);
    CloseLane "close-lane" 4 (fd: FILE, from: SLOT, gen: GENERATION, at: PLACE);
    Doorbell "doorbell" 8 (fd: FILE, to: SLOT, gen: GENERATION, at: PLACE);
    NextWatch "next-watch" 4 (fd: FILE, at: PLACE);
    /// The ioctl has no argument, but is passed one.
    Fence "fence" 2 (fd: FILE, at: PLACE);
    /// Puts the descriptor of a member's memory into the table.
    OpenMember "open-member" 5 (fd: FILE, to: SLOT, gen: GENERATION, view: FILE, at: PLACE);
    /// An ioctl that does not exist.
    Ioctl "ioctl" 1 (fd: FILE, command: COMMAND, at: PLACE);
    Map "map" 8 (map: MAP, fd: FILE, area: AREA, id: SLOT, page: PAGE, pages: PAGES, prot: PROT, flags: MAP_FLAGS);
    Unmap "unmap" 3 (map: MAP, page: PAGE, pages: PAGES);
    Protect "protect" 2 (map: MAP, prot: PROT);
    Remap "remap" 2 (map: MAP, how: REMAP);
    Advise "advise" 2 (map: MAP, advice: ADVICE);
    /// Writes a word of a mapping that may be written.
    Store "store" 12 (map: MAP, word: WORD, value: VALUE);
    /// Adds to a word.
    Add "add" 8 (map: MAP, word: WORD, step: STEP);
    /// Adds to a word again and again, with the old value in between.
    Storm "storm" 4 (map: MAP, word: WORD, step: STEP, times: TIMES);
    /// Copies a word of one mapping to another.
    Copy "copy" 8 (map: MAP, word: WORD, from: MAP, source: WORD);
    /// Fills a part of a mapping with random bytes.
    Fill "fill" 3 (map: MAP, page: PAGE, seed: VALUE);
    /// Checks what the kernel has written into a mapping.
    Check "check" 3 (map: MAP);
    /// Tries to write to a mapping in ways that ignore its protection.
    Force "force" 3 (map: MAP, word: WORD, value: VALUE);
    Dup "dup" 2 (fd: FILE, to: FILE);
    Close "close" 4 (fd: FILE);
    /// Opens a descriptor of another kind.
    Other "other" 3 (fd: FILE, kind: OTHER);
    /// Passes a descriptor to any track that takes it.
    Pass "pass" 2 (fd: FILE);
    Take "take" 2 (fd: FILE);
    /// Opens a descriptor again by its name in /proc.
    Reopen "reopen" 1 (fd: FILE, to: FILE);
    Poll "poll" 6 (fd: FILE, events: POLL_EVENTS, ms: MS);
    Epoll "epoll" 3 (fd: FILE, target: FILE, how: EPOLL, events: EPOLL_EVENTS);
    EpollWait "epoll-wait" 3 (fd: FILE, ms: MS);
    /// Reads, writes and seeks, which the file does not support.
    Io "io" 1 (fd: FILE, at: PLACE);
    Fdinfo "fdinfo" 1 (fd: FILE);
    /// Forks a child that inherits the descriptors, uses one of them, and exits.
    Fork "fork" 1 (fd: FILE, ms: MS);
    /// Sends a signal to the process of another track.
    Signal "signal" 1 (track: TRACK, signal: SIGNAL);
    Sleep "sleep" 2 (ms: MS);
    /// Waits until all tracks have reached their sync with the same number, or for some time.
    Sync "sync" 2 ();
    /// Makes the kernel fail the n-th allocation or copy of the next call, if it can.
    Fail "fail" 1 (nth: FAIL);
}

impl Call {
    pub fn signature(self) -> &'static Signature {
        &SIGNATURES[self as usize]
    }

    pub fn by_name(name: &str) -> Option<Self> {
        SIGNATURES.iter().find(|s| s.name == name).map(|s| s.call)
    }
}
