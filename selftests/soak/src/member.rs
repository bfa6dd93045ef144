// SPDX-License-Identifier: GPL-2.0

//! One member of a region, in a process of its own.

use std::os::fd::BorrowedFd;
use std::panic;
use std::process::exit;
use std::sync::atomic::Ordering;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use ivring::{Deadline, Vm};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rustix::io::Errno;

use crate::board::{Account, Board, Ending, Flow, MEMBERS, Seat, Stream, Table, index};
use crate::fate::Fate;
use crate::patience::Patience;
use crate::receiver;
use crate::sender::{End, Sender};
use crate::sleep::Way;

/// What a process is born with.
pub struct Birth<'b> {
    pub board: &'b Board,
    /// A descriptor of the region that it is to join, and its name.
    pub region: BorrowedFd<'b>,
    pub name: &'b str,
    pub number: usize,
    pub slot: usize,
    /// How it is to sleep.
    pub way: Way,
    pub seed: u64,
}

/// A process that has become a member.
pub struct Member<'b> {
    pub board: &'b Board,
    pub table: &'b Table,
    pub seat: &'b Seat,
    pub fate: &'b Fate<'b>,
    pub index: usize,
}

impl Member<'_> {
    pub fn account(&self) -> &Account {
        &self.table.accounts[self.index]
    }

    /// The flow of what this member sends to another.
    pub fn flow_to(&self, to: usize, stream: Stream) -> &Flow {
        self.table.flow(self.index, to, stream)
    }

    pub fn slept(&self, way: Way) {
        self.board.slept[way as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// The process: it ends here.
pub fn main(birth: &Birth<'_>) -> ! {
    // Else the other thread would go on.
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
    let vm = join(birth, &fate, &mut rng)?;
    let table = &birth.board.tables[birth.number];
    let member = Member {
        board: birth.board,
        table,
        seat: &table.seats[birth.slot],
        fate: &fate,
        index: index(vm.own()),
    };
    let generation = &member.seat.generation;
    generation.store(vm.generation(), Ordering::Release);
    fate.point();

    let handle = vm.handle().clone();
    let seed = rng.random();
    let (end, vm) = thread::scope(|scope| {
        let receiving = scope.spawn(|| {
            // The other thread may be asleep for good.
            receiver::run(&member, vm, birth.way, SmallRng::seed_from_u64(seed))
                .unwrap_or_else(|error| fail(birth, &error.context("receiving")))
        });
        let end = Sender::new(&member, handle, rng).run();
        let end = end.unwrap_or_else(|error| fail(birth, &error.context("sending")));
        (end, receiving.join().expect("it does not panic"))
    });

    if end == End::Finish {
        settle(&member, &vm)?;
    }
    member.account().end(match end {
        End::Leave => Ending::Left,
        End::Finish => Ending::Finished,
    });
    fate.point();
    Ok(())
}

/// Becomes the VM of its slot. Whoever had it may take a while to leave: `io_uring` lets go of files
/// after a process has ended.
fn join(birth: &Birth<'_>, fate: &Fate<'_>, rng: &mut SmallRng) -> Result<Vm> {
    let mut patience = Patience::new();
    let slot = Some(birth.slot as u32);
    loop {
        let vm = match rng.random_bool(0.5) {
            true => Vm::join(birth.name, slot, Deadline::NOW),
            false => Vm::join_fd(birth.region, slot),
        };
        fate.point();
        match vm {
            Err(error) if error.errno() == Some(Errno::BUSY) && patience.wait() => {}
            vm => return vm.context("joining"),
        }
    }
}

/// Compares what the module has counted with what was received and sent, when nobody sends any more.
fn settle(member: &Member<'_>, vm: &Vm) -> Result<()> {
    let stats = vm.stats(vm.own())?;
    let (mut received, mut sent) = (0, 0);
    for other in 0..MEMBERS {
        for stream in [Stream::Inbox, Stream::Answer] {
            let from = member.table.flow(other, member.index, stream);
            received += from.counts().received;
            sent += member.flow_to(other, stream).counts().sent;
        }
    }
    let (written, taken) = (stats.items_in, stats.items_out);
    ensure!(
        (written, taken) == (received, sent),
        "{received} items came by the inbox and {sent} were sent so, the module has {written} and {taken}"
    );
    let account = member.account();
    account.rung.store(stats.rung, Ordering::Relaxed);
    account
        .suppressed
        .store(stats.suppressed, Ordering::Relaxed);
    Ok(())
}
