// SPDX-License-Identifier: GPL-2.0

//! No wakeup is lost, no item is lost, duplicated, torn or out of order, and the number of
//! doorbells is bounded: for each way to send and each way to sleep.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::world::{Reader, Sleep, enqueue, item, read_lane, send, sender, start_process};
use ivring_loom::machine::{self, Process, check};
use ivring_loom_module::member::Member;
use ivring_loom_protocol::abi::{BUSY, BUSY_UNFENCED, IDLE};

const LAZY: Process = Process {
    dies_at: None,
    lazily_compiled: true,
    interruptible: true,
};
const EAGER: Process = Process {
    lazily_compiled: false,
    ..LAZY
};

/// One sender, which sends its items through a lane.
fn lane(sleep: Sleep, items: u64) {
    check(3, move || {
        let member = Member::new(2, &[2]);
        let mut reader = Reader::new(&member, 1, sleep, false);
        let sender = start_process(Process::default(), {
            let member = member.clone();
            move || send(&member, 0, items).unwrap()
        });
        reader.read_all([items, 0]);
        sender.join().unwrap();
    });
}

/// One sender that omits its fence.
fn unfenced(sleep: Sleep, process: Process) {
    check(3, move || {
        let member = Member::new(2, &[2]);
        let mut reader = Reader::new(&member, 1, sleep, true);
        let sender = start_process(process, {
            let member = member.clone();
            move || send(&member, 0, 1).unwrap()
        });
        reader.read_all([1, 0]);
        sender.join().unwrap();
    });
}

/// Two senders with one item each: the first sends through its lane, the second through the inbox
/// or its lane.
fn two(sleep: Sleep, is_lane: bool) {
    check(2, move || {
        let member = Member::new(2, &[2, 2]);
        let mut reader = Reader::new(&member, 2, sleep, false);
        let senders = [0, 1].map(|slot| {
            let member = member.clone();
            start_process(Process::default(), move || {
                if slot == 0 || is_lane {
                    send(&member, slot, 1).unwrap();
                } else {
                    enqueue(&member, slot, 1).unwrap();
                }
            })
        });
        reader.read_all([1, 1]);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

/// One sender, whose lane becomes quiet while the receiver is busy or goes to sleep.
fn quiet(sleep: Sleep, unfenced: bool, process: Process, items: u64) {
    check(3, move || {
        let member = Member::with_quiet_lanes(2, &[2]);
        let mut reader = Reader::new(&member, 1, sleep, unfenced);
        let sender = start_process(process, {
            let member = member.clone();
            move || send(&member, 0, items).unwrap()
        });
        reader.read_all_quietly([items, 0]);
        sender.join().unwrap();
    });
}

#[test]
fn quiet_lane_to_armed_reader() {
    quiet(Sleep::Armed, false, Process::default(), 2);
}

#[test]
fn quiet_lane_to_reader_armed_by_the_kernel() {
    quiet(Sleep::Kernel, false, Process::default(), 1);
}

#[test]
fn quiet_lane_to_unfenced_reader() {
    quiet(Sleep::Armed, true, EAGER, 1);
}

#[test]
fn lane_to_armed_reader() {
    lane(Sleep::Armed, 2);
}

#[test]
fn lane_to_reader_armed_by_the_kernel() {
    lane(Sleep::Kernel, 2);
}

#[test]
fn inbox_to_armed_reader() {
    inbox(Sleep::Armed);
}

#[test]
fn inbox_to_reader_armed_by_the_kernel() {
    inbox(Sleep::Kernel);
}

fn inbox(sleep: Sleep) {
    check(3, move || {
        let member = Member::new(2, &[]);
        let mut reader = Reader::new(&member, 0, sleep, false);
        let sender = start_process(Process::default(), {
            let member = member.clone();
            move || enqueue(&member, 0, 2).unwrap()
        });
        reader.read_all([2, 0]);
        sender.join().unwrap();
    });
}

#[test]
fn two_lanes_to_armed_reader() {
    two(Sleep::Armed, true);
}

#[test]
fn two_lanes_to_reader_armed_by_the_kernel() {
    two(Sleep::Kernel, true);
}

#[test]
fn lane_and_inbox_to_armed_reader() {
    two(Sleep::Armed, false);
}

#[test]
fn asymmetric_fence_of_armed_reader() {
    unfenced(Sleep::Armed, EAGER);
}

#[test]
fn asymmetric_fence_of_armed_reader_and_lazy_compiler() {
    unfenced(Sleep::Armed, LAZY);
}

#[test]
fn asymmetric_fence_of_the_kernel() {
    unfenced(Sleep::Kernel, EAGER);
}

#[test]
fn asymmetric_fence_of_the_kernel_and_lazy_compiler() {
    unfenced(Sleep::Kernel, LAZY);
}

#[test]
fn delayed_doorbell() {
    check(2, || {
        let member = Member::new(2, &[2]);
        member.set_delay(2, 100);
        let mut reader = Reader::new(&member, 1, Sleep::Armed, false);
        let sender = start_process(Process::default(), {
            let member = member.clone();
            move || send(&member, 0, 2).unwrap()
        });
        reader.read_all([2, 0]);
        sender.join().unwrap();
    });
}

/// A reader whose doorbell is delayed, and another task of its member that calls `other`.
fn delayed_with(sleep: Sleep, other: fn(&Member)) {
    check(2, move || {
        let member = Member::new(2, &[2]);
        member.set_delay(2, 100);
        let mut reader = Reader::new(&member, 1, sleep, false);
        let processes = [
            start_process(Process::default(), {
                let member = member.clone();
                move || send(&member, 0, 1).unwrap()
            }),
            start_process(Process::default(), {
                let member = member.clone();
                move || other(&member)
            }),
        ];
        reader.read_all([1, 0]);
        for process in processes {
            process.join().unwrap();
        }
    });
}

#[test]
fn delay_of_armed_reader_and_another_poller() {
    delayed_with(Sleep::Armed, Member::poll_in_vain);
}

#[test]
fn delay_of_reader_armed_by_the_kernel_and_another_poller() {
    delayed_with(Sleep::Kernel, Member::poll_in_vain);
}

#[test]
fn delay_of_armed_reader_and_the_end_of_another_wait() {
    delayed_with(Sleep::Armed, Member::wait_in_vain);
}

/// A reader with asymmetric fences, and another task of its member that goes idle over UNFENCED:
/// while that task passes the barrier on all CPUs, the reader finds IDLE.
///
/// Only the kernel marks lanes as quiet here.
fn unfenced_beside_poller(member: fn(u32, &[u32]) -> Arc<Member>, sleep: Sleep) {
    check(2, move || {
        let member = member(2, &[2]);
        let mut reader = Reader::new(&member, 1, sleep, true);
        reader.receiver.set_patience(u32::MAX, 0);
        let processes = [
            start_process(LAZY, {
                let member = member.clone();
                move || send(&member, 0, 1).unwrap()
            }),
            start_process(Process::default(), {
                let member = member.clone();
                move || member.poll_in_vain()
            }),
        ];
        reader.read_all([1, 0]);
        for process in processes {
            process.join().unwrap();
        }
    });
}

#[test]
fn asymmetric_fence_of_armed_reader_and_another_poller() {
    unfenced_beside_poller(Member::new, Sleep::Armed);
}

#[test]
fn asymmetric_fence_of_the_kernel_and_another_poller() {
    unfenced_beside_poller(Member::new, Sleep::Kernel);
}

#[test]
fn quiet_lane_to_unfenced_reader_and_another_poller() {
    unfenced_beside_poller(Member::with_quiet_lanes, Sleep::Kernel);
}

/// The case that `go_idle` avoids: the delay never ends.
#[test]
#[should_panic(expected = "deadlock")]
fn delay_that_is_overwritten_is_noticed() {
    delayed_with(Sleep::Armed, |member| {
        let _call = machine::system_call();
        machine::exchange(member.state_word(), None, IDLE, true);
    });
}

/// The case that the end of WAIT avoids: the reader sleeps while the state is BUSY.
#[test]
#[should_panic(expected = "deadlock")]
fn end_of_wait_that_wakes_nobody_is_noticed() {
    delayed_with(Sleep::Armed, |member| {
        let _call = machine::system_call();
        machine::exchange(member.state_word(), Some(IDLE), BUSY, true);
    });
}

/// One task waits in the kernel. Another task of its member reads one item, so the sender can reuse
/// the item's slot. The kernel may find the old consumer index, and in its slot a newer sequence.
/// But the lane still holds items, so the wait ends.
fn read_by_another_task(member: fn(u32, &[u32]) -> Arc<Member>, unfenced: bool) {
    check(3, move || {
        let member = member(2, &[2]);
        if unfenced {
            machine::store(member.state_word(), BUSY_UNFENCED, Relaxed);
        }
        let sender = start_process(LAZY, {
            let member = member.clone();
            move || {
                let mut sender = sender(&member, 0);
                for number in 1..=2 {
                    sender.push(&item(0, number)).unwrap();
                }
                sender.notify().unwrap();
                if sender.try_room().is_ok() {
                    sender.push(&item(0, 3)).unwrap();
                    sender.notify().unwrap();
                }
            }
        });
        let reader = start_process(Process::default(), {
            let member = member.clone();
            move || read_lane(&member, 0, 1)
        });
        member.wait(false);
        sender.join().unwrap();
        reader.join().unwrap();
    });
}

#[test]
fn lane_that_another_task_reads() {
    read_by_another_task(Member::new, false);
}

#[test]
fn lane_that_another_task_reads_and_asymmetric_fence() {
    read_by_another_task(Member::new, true);
}

#[test]
fn quiet_lane_that_another_task_reads() {
    read_by_another_task(Member::with_quiet_lanes, false);
}

#[test]
fn news_of_members() {
    check(3, || {
        let member = Member::new(2, &[]);
        let mut reader = Reader::new(&member, 0, Sleep::Armed, false);
        let leaver = start_process(Process::default(), {
            let member = member.clone();
            move || member.notify()
        });
        while !member.has_news() {
            reader.sleep(|| member.has_news());
        }
        leaver.join().unwrap();
    });
}

/// A receiver that never goes idle is never rung.
#[test]
fn busy_reader_is_not_rung() {
    check(3, || {
        let member = Member::new(2, &[2]);
        let sender = start_process(Process::default(), {
            let member = member.clone();
            move || send(&member, 0, 2).unwrap()
        });
        sender.join().unwrap();
        assert_eq!(member.asked.load(Relaxed), 0);
    });
}
