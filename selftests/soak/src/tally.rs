// SPDX-License-Identifier: GPL-2.0

//! The sum of a round, and whether it is correct.

use std::fmt;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, Result, ensure};

use crate::board::{Board, Counts, Ending, MEMBERS, Stream, Table};
use crate::sums::sums;

/// The maximum number of items that are sent together, and so of items of one stream that a kill
/// leaves open.
pub const MAX_TOGETHER: u64 = 64;

sums! {
    /// What happened to items.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Tally {
        /// Sent: their sender has counted them, or they were received.
        pub sent: u64,
        /// Sent items whose sender was killed before it had counted them.
        pub unnoted: u64,
        /// Received in order and unchanged.
        pub received: u64,
        /// Published, and not received before their receiver was killed or left.
        pub lost: u64,
        /// Begun to be sent when their sender was killed or their receiver left, and not received.
        pub open: u64,
        /// Received items by stream.
        pub streams: [u64; Stream::ALL.len()],
        pub payload: u64,
        pub unreachable: u64,
        pub rung: u64,
        pub suppressed: u64,
    }
}

impl Tally {
    /// Adds up a round that has ended.
    ///
    /// # Errors
    ///
    /// An item is missing, or was received twice.
    pub fn of(board: &Board) -> Result<Self> {
        let mut tally = Self::default();
        for (number, table) in board.tables.iter().enumerate() {
            tally
                .add(table)
                .with_context(|| format!("region {number}"))?;
        }
        Ok(tally)
    }

    fn add(&mut self, table: &Table) -> Result<()> {
        for (from, sender) in table.accounts.iter().enumerate() {
            for (to, receiver) in table.accounts.iter().enumerate() {
                for stream in Stream::ALL {
                    let counts = table.flow(from, to, stream).counts();
                    if counts == Counts::default() {
                        continue;
                    }
                    check(counts, sender.ending(), receiver.ending()).with_context(|| {
                        format!("member {from} to {to}, {stream:?}: {counts:?}")
                    })?;
                    self.count(counts, stream);
                }
            }
        }
        for account in &table.accounts[..MEMBERS] {
            self.payload += account.payload.load(Ordering::Relaxed);
            self.unreachable += account.unreachable.load(Ordering::Relaxed);
            self.rung += account.rung.load(Ordering::Relaxed);
            self.suppressed += account.suppressed.load(Ordering::Relaxed);
        }
        Ok(())
    }

    fn count(&mut self, counts: Counts, stream: Stream) {
        let Counts {
            attempted,
            sent,
            received,
        } = counts;
        let published = sent.max(received);
        self.sent += published;
        self.unnoted += published - sent;
        self.received += received;
        self.lost += published - received;
        self.open += attempted - published;
        self.streams[stream as usize] += received;
    }
}

/// Checks the counts of a flow against how its sender and its receiver ended.
fn check(counts: Counts, sender: Ending, receiver: Ending) -> Result<()> {
    let Counts {
        attempted,
        sent,
        received,
    } = counts;
    ensure!(received <= attempted, "more received than sent");
    ensure!(sent <= attempted, "more sent than begun");
    ensure!(
        attempted - sent <= MAX_TOGETHER,
        "more in flight than are sent together"
    );
    if receiver == Ending::Finished {
        ensure!(received >= sent, "items were lost");
        // A killed sender had begun to send the others.
        if sender != Ending::Died {
            ensure!(attempted == sent, "a send has not ended");
            ensure!(received == sent, "items were received that were not sent");
        }
    }
    Ok(())
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sent,
            unnoted,
            received,
            lost,
            open,
            ..
        } = self;
        write!(
            f,
            "{sent} items sent ({unnoted} noted by their receiver only) = {received} received + \
             {lost} whose receiver died; {open} more in flight at a kill"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_right(counts: (u64, u64, u64), sender: Ending, receiver: Ending) -> bool {
        let (attempted, sent, received) = counts;
        let counts = Counts {
            attempted,
            sent,
            received,
        };
        check(counts, sender, receiver).is_ok()
    }

    #[test]
    fn what_must_arrive() {
        use Ending::{Died, Finished, Left};

        // A sender that is alive has sent what was received.
        for sender in [Left, Finished] {
            assert!(is_right((7, 7, 7), sender, Finished));
            assert!(!is_right((7, 7, 6), sender, Finished));
            assert!(!is_right((8, 7, 7), sender, Finished));
            assert!(!is_right((8, 7, 8), sender, Finished));
        }
        // A killed sender has sent at least what it has counted, and at most what it had begun to
        // send.
        for (received, right) in [(6, false), (7, true), (8, true), (9, true), (10, false)] {
            assert_eq!(is_right((9, 7, received), Died, Finished), right);
        }
        // A killed receiver has read a part of it.
        for receiver in [Died, Left] {
            for sender in [Died, Left, Finished] {
                assert!(is_right((9, 7, 0), sender, receiver));
                assert!(is_right((9, 7, 9), sender, receiver));
                assert!(!is_right((9, 7, 10), sender, receiver));
            }
        }
        assert!(is_right((64, 0, 0), Died, Died));
        assert!(!is_right((65, 0, 0), Died, Died));
    }

    #[test]
    fn the_sum() {
        let mut tally = Tally::default();
        for (attempted, sent, received) in [(9, 7, 8), (9, 7, 5), (3, 3, 3)] {
            let counts = Counts {
                attempted,
                sent,
                received,
            };
            tally.count(counts, Stream::Lane);
        }
        assert_eq!(tally.sent, 8 + 7 + 3);
        assert_eq!(tally.unnoted, 1);
        assert_eq!(tally.received, 8 + 5 + 3);
        assert_eq!(tally.lost, 2);
        assert_eq!(tally.open, 1 + 2);
    }
}
