// SPDX-License-Identifier: MIT OR Apache-2.0

//! The requests that wait for a reply, and their deadlines.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::deadline::Deadline;
use crate::peer::Peer;

/// The capacity of the largest table that is kept when no request waits.
const KEPT: usize = 256;

struct Pending<W> {
    peer: Peer,
    /// When the request ends without a reply.
    deadline: Deadline,
    waiter: W,
}

/// The requests that wait for a reply, by their cookies. A member never uses a cookie twice. `W` is
/// the type of the waiters.
///
/// Invariant: `by_deadline` holds the deadline and the cookie of each request in `by_cookie` whose
/// deadline is not [`Deadline::NEVER`], and nothing else.
pub(crate) struct PendingRequests<W> {
    by_cookie: FxHashMap<u64, Pending<W>>,
    by_deadline: BTreeSet<(Deadline, u64)>,
    /// The earliest deadline that a new request can have. It is later than the last look at the
    /// deadlines. So waiters that send requests cannot prevent a look from ending.
    earliest: Deadline,
}

impl<W> Default for PendingRequests<W> {
    fn default() -> Self {
        Self {
            by_cookie: FxHashMap::default(),
            by_deadline: BTreeSet::new(),
            earliest: Deadline::at(1),
        }
    }
}

impl<W> PendingRequests<W> {
    /// Adds a request that was sent. The table never holds [`Deadline::NOW`], because a timer that
    /// is set to zero would not expire.
    pub(crate) fn insert(&mut self, cookie: u64, peer: Peer, deadline: Deadline, waiter: W) {
        let deadline = deadline.max(self.earliest);
        if deadline != Deadline::NEVER {
            self.by_deadline.insert((deadline, cookie));
        }
        let pending = Pending {
            peer,
            deadline,
            waiter,
        };
        self.by_cookie.insert(cookie, pending);
    }

    /// Removes a request. Returns its waiter, if it waits for a reply.
    pub(crate) fn remove(&mut self, cookie: u64) -> Option<W> {
        let pending = self.by_cookie.remove(&cookie)?;
        if pending.deadline != Deadline::NEVER {
            self.by_deadline.remove(&(pending.deadline, cookie));
        }
        if self.by_cookie.is_empty() && self.by_cookie.capacity() > KEPT {
            self.by_cookie = FxHashMap::default();
        }
        Some(pending.waiter)
    }

    /// Removes a request if it waits for a reply of this peer.
    pub(crate) fn remove_of(&mut self, cookie: u64, peer: Peer) -> Option<W> {
        if self.by_cookie.get(&cookie)?.peer != peer {
            return None;
        }
        self.remove(cookie)
    }

    /// The requests to peers that have left, in the order in which they were sent.
    pub(crate) fn departed(&self, has_left: impl Fn(Peer) -> bool) -> Vec<u64> {
        let gone = self.by_cookie.iter();
        let gone = gone.filter(|(_, pending)| has_left(pending.peer));
        let mut gone: Vec<u64> = gone.map(|(&cookie, _)| cookie).collect();
        gone.sort_unstable();
        gone
    }

    /// Removes the request with the earliest deadline, if this deadline is not after `now`. A
    /// request that is added later gets a deadline after `now`.
    pub(crate) fn remove_overdue(&mut self, now: u64) -> Option<W> {
        self.earliest = self.earliest.max(Deadline::at(now.saturating_add(1)));
        let &(deadline, cookie) = self.by_deadline.first()?;
        if deadline.as_nanos() > now {
            return None;
        }
        self.remove(cookie)
    }

    /// The earliest deadline, or [`Deadline::NEVER`].
    #[inline]
    pub(crate) fn next_deadline(&self) -> Deadline {
        let first = self.by_deadline.first();
        first.map_or(Deadline::NEVER, |&(deadline, _)| deadline)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const PEERS: u32 = 3;

    fn peer(id: u32) -> Peer {
        Peer { id, generation: 1 }
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// Sends a request to this peer, with this deadline.
        Send(u32, u64),
        Cancel(u64),
        Reply(u64, u32),
        /// The peer leaves.
        Leave(u32),
        /// The clock advances, and the dispatcher looks at the deadlines. Each waiter that is
        /// called sends a request with such a deadline.
        Look(u64, Option<u64>),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let deadline = || prop_oneof![4 => 0..200_u64, 1 => Just(u64::MAX)];
        let step = prop_oneof![
            4 => (0..PEERS, deadline()).prop_map(|(peer, deadline)| Step::Send(peer, deadline)),
            1 => (0..60_u64).prop_map(Step::Cancel),
            2 => (0..60_u64, 0..PEERS).prop_map(|(cookie, peer)| Step::Reply(cookie, peer)),
            1 => (0..PEERS).prop_map(Step::Leave),
            2 => (0..20_u64, prop::option::of(deadline())).prop_map(|(by, then)| Step::Look(by, then)),
        ];
        vec(step, 1..100)
    }

    /// Requests that wait: cookie, peer and deadline.
    type Model = Vec<(u64, u32, u64)>;

    fn take(model: &mut Model, is_it: impl Fn(&(u64, u32, u64)) -> bool) -> Option<u64> {
        let at = model.iter().position(is_it)?;
        Some(model.remove(at).0)
    }

    proptest! {
        /// Each waiter is returned once, by the first event that ends its request; and a look at the
        /// deadlines returns all whose deadlines have passed, earliest first.
        #[test]
        fn requests_end_like_those_of_the_model(steps in steps()) {
            let mut table = PendingRequests::default();
            let mut model = Model::new();
            let (mut cookie, mut now) = (0, 0);
            // The waiter is the cookie itself.
            let mut send = |table: &mut PendingRequests<u64>, model: &mut Model, to, deadline: u64, now| {
                table.insert(cookie, peer(to), Deadline::at(deadline), cookie);
                model.push((cookie, to, deadline.max(now + 1)));
                cookie += 1;
            };
            for step in steps {
                match step {
                    Step::Send(to, deadline) => send(&mut table, &mut model, to, deadline, now),
                    Step::Cancel(cookie) => {
                        prop_assert_eq!(table.remove(cookie), take(&mut model, |of| of.0 == cookie));
                    }
                    Step::Reply(cookie, from) => {
                        let expected = take(&mut model, |of| (of.0, of.1) == (cookie, from));
                        prop_assert_eq!(table.remove_of(cookie, peer(from)), expected);
                    }
                    Step::Leave(id) => {
                        for cookie in table.departed(|peer| peer.id == id) {
                            prop_assert_eq!(take(&mut model, |of| of.1 == id), Some(cookie));
                            prop_assert_eq!(table.remove(cookie), Some(cookie));
                        }
                        prop_assert!(model.iter().all(|of| of.1 != id));
                    }
                    Step::Look(by, then) => {
                        now += by;
                        let mut last = 0;
                        while let Some(waiter) = table.remove_overdue(now) {
                            let at = model.iter().position(|of| of.0 == waiter);
                            let (_, _, deadline) = model.remove(at.expect("it waits"));
                            prop_assert!(last <= deadline && deadline <= now);
                            last = deadline;
                            if let Some(deadline) = then {
                                send(&mut table, &mut model, 0, deadline, now);
                            }
                        }
                        prop_assert!(model.iter().all(|of| of.2 > now));
                    }
                }
                let next = model.iter().map(|of| of.2).min();
                prop_assert_eq!(table.next_deadline().as_nanos(), next.unwrap_or(u64::MAX));
                prop_assert_eq!(table.by_cookie.len(), model.len());
                prop_assert!(table.by_deadline.len() <= model.len());
            }
        }
    }

    #[test]
    fn ten_thousand_requests_leave_nothing_behind() {
        let mut table = PendingRequests::default();
        for cookie in 0..10_000 {
            let deadline = Deadline::at(1000 + cookie * 7919 % 10_000);
            table.insert(cookie, peer(0), deadline, Box::new(cookie));
        }
        for ended in 0..10_000 {
            assert_eq!(table.next_deadline(), Deadline::at(1000 + ended));
            assert!(table.remove_overdue(999 + ended).is_none());
            assert!(table.remove_overdue(1000 + ended).is_some());
        }
        assert_eq!(table.next_deadline(), Deadline::NEVER);
        assert!(table.by_cookie.is_empty() && table.by_deadline.is_empty());
        assert!(table.by_cookie.capacity() <= KEPT);
    }
}
