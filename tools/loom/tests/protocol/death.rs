// SPDX-License-Identifier: GPL-2.0

//! One side dies at each of its steps. Items that it pushed before are read, others are not
//! seen, and the other side neither hangs nor fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::world::{Reader, Sleep, send, start_process};
use ivring_loom::machine::{self, Process, check};
use ivring_loom_module::member::Member;
use ivring_loom_protocol::{End, SendError};

/// Checks a model with a process that dies at its first step, at its second step, and so on, until
/// the process ends before the step.
fn at_each_step(process: Process, model: impl Fn(Process) -> bool + Send + Sync + 'static) {
    let model = Arc::new(model);
    for step in 1.. {
        let process = Process {
            dies_at: Some(step),
            ..process
        };
        let died = Arc::new(AtomicBool::new(false));
        check(2, {
            let (model, died) = (model.clone(), died.clone());
            move || {
                died.fetch_or(model(process), Relaxed);
            }
        });
        if !died.load(Relaxed) {
            // A process has many steps.
            assert!(step > 10);
            println!("died at {} steps", step - 1);
            break;
        }
    }
}

fn sender_dies(process: Process, sleep: Sleep, unfenced: bool) {
    at_each_step(process, move |process| {
        let member = Member::new(2, &[2]);
        let mut reader = Reader::new(&member, 1, sleep, unfenced);
        let sent = Arc::new(AtomicU64::new(0));
        let sender = start_process(Process::default(), {
            let (member, sent) = (member.clone(), sent.clone());
            move || {
                let done = machine::run(process, || {
                    let mut sender = crate::world::sender(&member, 0);
                    for number in 1..=2 {
                        sender.push(&crate::world::item(0, number)).unwrap();
                        sender.notify().unwrap();
                        sent.store(number, Relaxed);
                    }
                });
                // The kernel reports that the member has left.
                member.notify();
                done.is_none()
            }
        });
        loop {
            // The notification is read first: then all items that the member has sent are visible.
            let has_left = member.has_news();
            while reader.read() {}
            if has_left {
                break;
            }
            reader.sleep(|| member.has_news());
        }
        let died = sender.join().unwrap().unwrap();
        // The sender may have died between pushing the last item and counting it.
        let (sent, read) = (sent.load(Relaxed), reader.last[0]);
        assert!(read == sent || (died && read == sent + 1), "{read} {sent}");
        died
    });
}

#[test]
fn sender() {
    sender_dies(Process::default(), Sleep::Armed, false);
}

#[test]
fn sender_to_reader_armed_by_the_kernel() {
    sender_dies(Process::default(), Sleep::Kernel, false);
}

#[test]
fn sender_without_a_fence() {
    let process = Process {
        lazily_compiled: true,
        interruptible: true,
        ..Process::default()
    };
    sender_dies(process, Sleep::Armed, true);
}

/// The sender sends more items than there is room for, so that it waits for a reader that dies.
#[test]
fn reader() {
    at_each_step(Process::default(), |process| {
        let member = Member::new(2, &[2]);
        let mut reader = Reader::new(&member, 1, Sleep::Armed, false);
        let reader = start_process(Process::default(), {
            let member = member.clone();
            move || {
                let died = machine::run(process, || reader.read_all([3, 0])).is_none();
                if died {
                    member.leave();
                }
                died
            }
        });
        let sent = send(&member, 0, 3);
        let died = reader.join().unwrap().unwrap();
        assert!(sent.is_ok() || (died && matches!(sent, Err(SendError::Ended(End::Gone)))));
        died
    });
}
