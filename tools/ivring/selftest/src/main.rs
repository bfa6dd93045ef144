// SPDX-License-Identifier: MIT OR Apache-2.0

//! usage: ivring-selftest [NAME]...
//!
//! Tests of the crate with the running module: all tests, or those whose names contain one of the
//! arguments. Prints TAP.

mod cheating;
mod deadlines;
mod dispatching;
mod failing;
mod forking;
mod lanes;
mod leaving;
mod looping;
mod outbox;
mod quiet;
mod receiving;
mod requests;
mod sending;
mod sharing;
mod sleeping;
mod support;
mod waking;
mod watching;

use std::env;
use std::panic;
use std::process::ExitCode;
use std::time::Instant;

use support::PATIENCE;

/// The path of its function is the name of a test. A test fails if it panics, or takes too long.
macro_rules! tests {
    ($($module:ident: $($test:ident)*;)*) => {
        &[$($((concat!(stringify!($module), "::", stringify!($test)), $module::$test),)*)*]
    };
}

const TESTS: &[(&str, fn())] = tests! {
    sending:
        regions_and_names
        inline_and_payload
        batches_pass_the_wrap
        a_full_inbox
        a_message_comes_back
        a_full_outbox
        alloc_waits_for_the_reader
        foreign_blocks
        threads_send_at_once;
    receiving:
        an_owned_item_holds_up_no_sender
        an_owned_item_of_the_departed
        a_batch_is_released;
    leaving:
        gone_and_stale
        flush_knows_what_was_read
        payload_of_the_departed
        mappings_do_not_pile_up
        a_broken_inbox
        waiting_for_a_peer
        news_come_after_the_items
        who_came_and_who_went;
    lanes:
        items_come_in_order
        payload
        a_full_lane
        many_at_once
        the_receiver_decides
        a_dropped_lane_is_there_still
        the_receiver_closes_it
        the_receiver_leaves
        the_sender_leaves
        a_successor_waits_for_the_old_lane
        rings_have_turns;
    quiet:
        each_is_heard
        many_cost_as_much_as_one;
    cheating:
        senders
        items_that_change
        sequences
        a_sender_that_says_who_it_is
        a_receiver
        a_receiver_that_did_not_close
        a_dispatcher_goes_on;
    sharing:
        the_last_reader_frees_it
        what_a_lane_held_goes_with_it;
    outbox:
        beside_a_stopped_inbox
        beside_a_stopped_lane
        waiting_beside_a_stopped_receiver
        usage;
    dispatching:
        ports
        stop_from_a_handler
        stop_before_and_during_run
        stop_with_a_full_inbox
        a_panic_in_a_handler
        a_handler_that_fails
        callbacks_that_fail
        in_another_thread
        members
        each_member
        budget
        lanes_have_turns
        closing_a_lane_from_a_handler
        handlers_may;
    requests:
        calls
        callbacks
        other_items_are_handled_meanwhile
        the_peer_leaves
        a_call_ends_when_the_peer_leaves
        a_call_can_be_stopped
        a_call_that_ends_by_a_panic
        a_lane_of_another_member
        a_port_that_nobody_handles
        a_refusal_waits_for_nobody
        a_request_that_comes_back_is_none
        a_refusal_of_what_was_not_asked;
    deadlines:
        a_request_ends_once
        a_reply_that_is_there_is_taken
        a_run_wakes_for_the_earliest
        an_event_loop_with_a_timer
        items_never_end
        handlers_send_cancel_and_stop
        ten_thousand_leave_nothing_behind;
    waking:
        states
        an_idle_member_costs_nothing
        who_polls_is_not_rung
        wishes;
    watching:
        an_inbox
        a_message_with_payload
        a_lane
        a_receiver_that_leaves
        itself_and_others;
    failing:
        without_the_device
        without_the_right
        names_and_slots
        options
        peers_and_items
        lanes
        handlers_that_wait_for_themselves
        who_comes_first;
    forking:
        a_child_cannot_use_the_member
        a_child_does_not_disturb_its_parent
        a_member_leaves_with_its_process;
    looping:
        a_call_beside_the_loop
        a_call_that_leaves_items
        a_dispatch_that_ends_early
        looks_and_waits
        waiting_for_a_peer_with_items
        an_eventfd_is_signalled_at_once
        without_asking_for_members
        closing_a_lane_tells_of_the_others;
    sleeping:
        in_wait
        in_wait_unarmed
        in_poll
        in_epoll_level
        in_epoll_edge
        in_epoll_with_some_left
        on_an_eventfd
        a_stop_is_not_delayed
        stopping;
};

fn main() -> ExitCode {
    let names: Vec<String> = env::args().skip(1).collect();
    let is_wanted = |name: &str| names.is_empty() || names.iter().any(|part| name.contains(part));
    let wanted: Vec<_> = TESTS.iter().filter(|(name, _)| is_wanted(name)).collect();
    println!("TAP version 13\n1..{}", wanted.len());
    let mut failed = 0;
    for (number, (name, test)) in (1..).zip(wanted) {
        let start = Instant::now();
        let passed = panic::catch_unwind(test).is_ok();
        let time = start.elapsed();
        if time >= PATIENCE {
            println!("# It took {time:?}, and may take {PATIENCE:?}.");
        }
        let ok = passed && time < PATIENCE;
        failed += u32::from(!ok);
        println!("{} {number} {name}", if ok { "ok" } else { "not ok" });
    }
    ExitCode::from(u8::from(failed > 0))
}
