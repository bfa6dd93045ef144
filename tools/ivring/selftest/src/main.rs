// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of the crate against the running module. Prints TAP.

mod dispatching;
mod leaving;
mod sending;
mod sleeping;
mod support;

use std::panic;
use std::process::ExitCode;
use std::time::Instant;

use support::PATIENCE;

/// A test is named by the path of its function. It fails by panicking, or by taking too long.
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
    leaving:
        gone_and_stale
        flush_knows_what_was_read
        payload_of_the_departed
        mappings_do_not_pile_up
        a_broken_inbox
        waiting_for_a_peer
        news_come_after_the_items;
    dispatching:
        ports
        stop_from_a_handler
        stop_before_and_during_run
        stop_with_a_full_inbox
        a_panic_in_a_handler
        members
        budget;
    sleeping:
        in_wait
        in_poll
        in_epoll_level
        in_epoll_edge
        on_an_eventfd
        stopping;
};

fn main() -> ExitCode {
    println!("TAP version 13\n1..{}", TESTS.len());
    let mut failed = 0;
    for (number, (name, test)) in (1..).zip(TESTS) {
        let start = Instant::now();
        let ok = panic::catch_unwind(test).is_ok() && start.elapsed() < PATIENCE;
        failed += u32::from(!ok);
        println!("{} {number} {name}", if ok { "ok" } else { "not ok" });
    }
    ExitCode::from(u8::from(failed > 0))
}
