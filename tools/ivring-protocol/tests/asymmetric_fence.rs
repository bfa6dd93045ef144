// SPDX-License-Identifier: MIT OR Apache-2.0

//! A model of going to sleep: two senders and a receiver whose stores pass through store buffers.
//! It searches all interleavings for a receiver that sleeps although it has not read all items.
//!
//! A failure is caused by a store that is delayed past a later load (S and A of
//! `Documentation/design.rst`), so the machine is that of x86-TSO (Sewell et al., "x86-TSO: a
//! rigorous and usable programmer's model", 2010): each CPU has a first-in first-out store buffer,
//! reads its own stores early, and a full barrier waits until the buffer is empty. A barrier on all
//! CPUs reaches them one after the other, each at its own time.

use std::collections::HashSet;

const SENDERS: usize = 2;
const ITEMS: u8 = 2;

/// The number of the receiver's CPU. Lower numbers are those of the senders.
const RECEIVER: usize = SENDERS;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Busy,
    Idle,
    Unfenced,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Store {
    /// The sequence of a sender's item. The items of a sender are numbered from one. The sender's
    /// CPU executes the stores of its items in order, so the last number shows which items are
    /// there.
    Item(usize, u8),
    State(State),
}

/// The rules of the protocol, which a test can break.
#[derive(Clone, Copy)]
struct Rules {
    /// Senders first read the state without a barrier, and do nothing if it is UNFENCED.
    light_look: bool,
    /// Senders pass a full barrier before they use any other value.
    sender_fence: bool,
    /// How the receiver goes to sleep.
    sleep: Sleep,
    /// The receiver stores UNFENCED at some times.
    unfenced: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sleep {
    /// The receiver arms in user space: with a barrier on all CPUs if it has stored UNFENCED,
    /// otherwise with its own barrier.
    Armed,
    /// The receiver arms in user space, only with its own barrier.
    ArmedByFence,
    /// The receiver arms in user space, without any barrier.
    ArmedByNothing,
    /// The kernel arms, with a barrier on all CPUs if it finds UNFENCED.
    Kernel,
    /// The kernel arms, and ignores UNFENCED.
    KernelByFence,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Machine {
    // Memory.
    sent: [u8; SENDERS],
    state: State,
    buffers: [Vec<Store>; SENDERS + 1],
    // Registers.
    sender: [Sender; SENDERS],
    pushed: [u8; SENDERS],
    receiver: Receiver,
    consumed: [u8; SENDERS],
    said_unfenced: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Sender {
    Push,
    LookLightly,
    Fence,
    Look,
    Doorbell,
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Receiver {
    Drain,
    GoIdle,
    Fence,
    /// The barrier reaches this CPU next.
    Barrier(usize),
    LookAgain,
    /// Sleeps if it is still idle. This is one step, because the receiver is on the wait queue
    /// before it looks.
    FallAsleep,
    Asleep,
}

impl Machine {
    fn new() -> Self {
        Self {
            sent: [0; SENDERS],
            state: State::Busy,
            buffers: Default::default(),
            sender: [Sender::Push; SENDERS],
            pushed: [0; SENDERS],
            receiver: Receiver::Drain,
            consumed: [0; SENDERS],
            said_unfenced: false,
        }
    }

    fn store(&mut self, cpu: usize, store: Store) {
        self.buffers[cpu].push(store);
    }

    fn drain_one(&mut self, cpu: usize) {
        match self.buffers[cpu].remove(0) {
            Store::Item(sender, number) => self.sent[sender] = number,
            Store::State(state) => self.state = state,
        }
    }

    fn drain(&mut self, cpu: usize) {
        while !self.buffers[cpu].is_empty() {
            self.drain_one(cpu);
        }
    }

    /// The state as a CPU loads it.
    fn load_state(&self, cpu: usize) -> State {
        let own = self.buffers[cpu].iter().rev();
        own.filter_map(|store| match store {
            Store::State(state) => Some(*state),
            Store::Item(..) => None,
        })
        .next()
        .unwrap_or(self.state)
    }

    fn step_sender(&mut self, me: usize, rules: Rules) {
        use Sender::*;

        let next = if self.pushed[me] + u8::from(self.sender[me] == Push) < ITEMS {
            Push
        } else {
            Done
        };
        self.sender[me] = match self.sender[me] {
            Push => {
                self.pushed[me] += 1;
                self.store(me, Store::Item(me, self.pushed[me]));
                if rules.light_look { LookLightly } else { Fence }
            }
            LookLightly if self.load_state(me) == State::Unfenced => next,
            LookLightly => Fence,
            Fence => {
                if rules.sender_fence {
                    self.drain(me);
                }
                Look
            }
            Look if self.load_state(me) == State::Idle => Doorbell,
            Look => next,
            Doorbell => {
                // This is a system call, and its compare and exchange is atomic.
                self.drain(me);
                if self.state == State::Idle && self.sent[me] != self.consumed[me] {
                    self.state = State::Busy;
                    if self.receiver == Receiver::Asleep {
                        self.receiver = Receiver::Drain;
                    }
                }
                next
            }
            Done => Done,
        };
    }

    fn step_receiver(&mut self, rules: Rules) {
        use Receiver::*;

        let barrier = |needed| if needed { Barrier(0) } else { LookAgain };
        self.receiver = match self.receiver {
            Drain if self.consumed != self.sent => {
                self.consumed = self.sent;
                Drain
            }
            Drain => GoIdle,
            GoIdle => match rules.sleep {
                Sleep::Armed | Sleep::ArmedByFence | Sleep::ArmedByNothing => {
                    self.store(RECEIVER, Store::State(State::Idle));
                    Fence
                }
                Sleep::Kernel | Sleep::KernelByFence => {
                    // This is a system call, and its exchange is atomic.
                    self.drain(RECEIVER);
                    self.said_unfenced = false;
                    let old = std::mem::replace(&mut self.state, State::Idle);
                    barrier(old == State::Unfenced && rules.sleep == Sleep::Kernel)
                }
            },
            Fence => {
                if rules.sleep != Sleep::ArmedByNothing {
                    self.drain(RECEIVER);
                }
                let said = std::mem::take(&mut self.said_unfenced);
                barrier(said && rules.sleep == Sleep::Armed)
            }
            Barrier(SENDERS) => LookAgain,
            Barrier(cpu) => {
                self.drain(cpu);
                Barrier(cpu + 1)
            }
            LookAgain if self.consumed != self.sent => {
                self.store(RECEIVER, Store::State(State::Busy));
                Drain
            }
            LookAgain => FallAsleep,
            FallAsleep => {
                self.drain(RECEIVER);
                if self.state == State::Idle {
                    Asleep
                } else {
                    Drain
                }
            }
            Asleep => Asleep,
        };
    }

    /// All machines that one step of this one can lead to.
    fn successors(&self, rules: Rules) -> Vec<Self> {
        let mut all = Vec::new();
        let mut add = |step: &dyn Fn(&mut Self)| {
            let mut next = self.clone();
            step(&mut next);
            all.push(next);
        };
        for cpu in 0..=RECEIVER {
            if !self.buffers[cpu].is_empty() {
                add(&|next| next.drain_one(cpu));
            }
        }
        for me in 0..SENDERS {
            if self.sender[me] != Sender::Done {
                add(&|next| next.step_sender(me, rules));
            }
        }
        if self.receiver != Receiver::Asleep {
            add(&|next| next.step_receiver(rules));
        }
        if self.receiver == Receiver::Drain && rules.unfenced && !self.said_unfenced {
            add(&|next| {
                next.said_unfenced = true;
                next.store(RECEIVER, Store::State(State::Unfenced));
            });
        }
        all
    }

    /// No step is possible, and the receiver sleeps although there is an item.
    fn has_lost_a_wakeup(&self) -> bool {
        self.receiver == Receiver::Asleep
            && self.sender.iter().all(|sender| *sender == Sender::Done)
            && self.buffers.iter().all(Vec::is_empty)
            && self.consumed != self.sent
    }
}

/// Whether some interleaving loses a wakeup.
fn loses_a_wakeup(rules: Rules) -> bool {
    let mut seen = HashSet::new();
    let mut todo = vec![Machine::new()];
    let mut ends = 0;
    while let Some(machine) = todo.pop() {
        if machine.has_lost_a_wakeup() {
            return true;
        }
        let next = machine.successors(rules);
        ends += usize::from(next.is_empty());
        for machine in next {
            if seen.insert(machine.clone()) {
                todo.push(machine);
            }
        }
    }
    // The model does not stop before a failure is possible.
    assert!(ends > 0 && seen.len() > 1_000, "{} states", seen.len());
    false
}

const SOUND: Rules = Rules {
    light_look: true,
    sender_fence: true,
    sleep: Sleep::Armed,
    unfenced: true,
};

#[test]
fn no_wakeup_is_lost() {
    for sleep in [Sleep::Armed, Sleep::Kernel] {
        for light_look in [false, true] {
            for unfenced in [false, true] {
                let rules = Rules {
                    light_look,
                    sleep,
                    unfenced,
                    ..SOUND
                };
                assert!(!loses_a_wakeup(rules));
            }
        }
    }
    // If UNFENCED is never stored, a full barrier is enough.
    assert!(!loses_a_wakeup(Rules {
        sleep: Sleep::ArmedByFence,
        unfenced: false,
        ..SOUND
    }));
    // If senders use their own barrier, the receiver needs no other barrier than its own.
    assert!(!loses_a_wakeup(Rules {
        sleep: Sleep::ArmedByFence,
        light_look: false,
        ..SOUND
    }));
}

#[test]
fn each_barrier_is_needed() {
    for broken in [
        Rules {
            sleep: Sleep::ArmedByFence,
            ..SOUND
        },
        Rules {
            sleep: Sleep::KernelByFence,
            ..SOUND
        },
        Rules {
            sleep: Sleep::ArmedByNothing,
            unfenced: false,
            ..SOUND
        },
        Rules {
            sender_fence: false,
            unfenced: false,
            ..SOUND
        },
        Rules {
            sender_fence: false,
            light_look: false,
            sleep: Sleep::Kernel,
            ..SOUND
        },
    ] {
        assert!(loses_a_wakeup(broken));
    }
}
