// SPDX-License-Identifier: GPL-2.0

//! One member of a region, in a process of its own.

use std::os::fd::BorrowedFd;
use std::panic;
use std::process::exit;
use std::sync::atomic::Ordering;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use ivring::{AttachError, Deadline, Member};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::board::{Account, Board, Ending, Flow, MEMBERS, Seat, Stream, Table, index};
use crate::fate::Fate;
use crate::patience::Patience;
use crate::receiver;
use crate::sender::{End, Sender};
use crate::sleep::Way;

/// What a process is started with.
pub struct Birth<'b> {
    pub board: &'b Board,
    /// A descriptor of the region to join, and the name of the region.
    pub region: BorrowedFd<'b>,
    pub name: &'b str,
    pub number: usize,
    pub slot: usize,
    /// How it sleeps.
    pub way: Way,
    pub seed: u64,
}

/// A process that has become a member.
pub struct Participant<'b> {
    pub board: &'b Board,
    pub table: &'b Table,
    pub seat: &'b Seat,
    pub fate: &'b Fate<'b>,
    pub index: usize,
}

impl Participant<'_> {
    pub fn account(&self) -> &Account {
        &self.table.accounts[self.index]
    }

    /// The flow of this member's items to another member.
    pub fn flow_to(&self, to: usize, stream: Stream) -> &Flow {
        self.table.flow(self.index, to, stream)
    }

    pub fn slept(&self, way: Way) {
        self.board.slept[way as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs the process, which ends here.
pub fn main(birth: &Birth<'_>) -> ! {
    // Otherwise the other thread would go on.
    panic::set_hook(Box::new(|panic| {
        println!("# {panic}");
        exit(1)
    }));
    match live(birth) {
        Ok(()) => exit(0),
        Err(error) => fail(birth, &error),
    }
}

fn fail(birth: &Birth<'_>, error: &anyhow::Error) -> ! {
    println!("# region {} slot {}: {error:#}", birth.number, birth.slot);
    exit(1)
}

fn live(birth: &Birth<'_>) -> Result<()> {
    let mut rng = SmallRng::seed_from_u64(birth.seed);
    let fate = Fate::draw(&mut rng, &birth.board.calm);
    fate.point();
    let member = join(birth, &fate, &mut rng)?;
    let table = &birth.board.tables[birth.number];
    let participant = Participant {
        board: birth.board,
        table,
        seat: &table.seats[birth.slot],
        fate: &fate,
        index: index(member.own()),
    };
    let generation = &participant.seat.generation;
    generation.store(member.own().generation, Ordering::Release);
    fate.point();

    let handle = member.handle().clone();
    let seed = rng.random();
    let (end, member) = thread::scope(|scope| {
        let receiving = scope.spawn(|| {
            // The other thread may be asleep for ever.
            receiver::run(
                &participant,
                member,
                birth.way,
                SmallRng::seed_from_u64(seed),
            )
            .unwrap_or_else(|error| fail(birth, &error.context("receiving")))
        });
        let end = Sender::new(&participant, handle, rng).run();
        let end = end.unwrap_or_else(|error| fail(birth, &error.context("sending")));
        (end, receiving.join().expect("it does not panic"))
    });

    if end == End::Finish {
        settle(&participant, &member)?;
    }
    participant.account().end(match end {
        End::Leave => Ending::Left,
        End::Finish => Ending::Finished,
    });
    fate.point();
    Ok(())
}

/// Becomes the member of its slot. The previous member may take a while to leave, because
/// `io_uring` releases files after their process has ended.
fn join(birth: &Birth<'_>, fate: &Fate<'_>, rng: &mut SmallRng) -> Result<Member> {
    let mut patience = Patience::new();
    let slot = Some(birth.slot as u32);
    loop {
        let member = match rng.random_bool(0.5) {
            true => Member::join(birth.name, slot, Deadline::NOW),
            false => Member::join_fd(birth.region, slot),
        };
        fate.point();
        match member {
            Err(AttachError::SlotTaken(_)) if patience.wait() => {}
            member => return member.context("joining"),
        }
    }
}

/// Compares the counts of the module with what was received and sent, after all members have
/// stopped sending.
fn settle(participant: &Participant<'_>, member: &Member) -> Result<()> {
    let stats = member.handle().stats(member.own())?;
    let (mut received, mut sent) = (0, 0);
    for other in 0..MEMBERS {
        for stream in [Stream::Inbox, Stream::Answer] {
            let from = participant.table.flow(other, participant.index, stream);
            received += from.counts().received;
            sent += participant.flow_to(other, stream).counts().sent;
        }
    }
    let (written, taken) = (stats.items_in, stats.items_out);
    ensure!(
        (written, taken) == (received, sent),
        "{received} items were received by inboxes and {sent} were sent to inboxes, but the module has counted {written} and {taken}"
    );
    let account = participant.account();
    account.rung.store(stats.rung, Ordering::Relaxed);
    account
        .suppressed
        .store(stats.suppressed, Ordering::Relaxed);
    Ok(())
}
