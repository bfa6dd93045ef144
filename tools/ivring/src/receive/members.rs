// SPDX-License-Identifier: MIT OR Apache-2.0

//! Members that have joined or left.

use std::sync::atomic::Ordering;

use crate::peer::Peer;
use crate::peers;
use crate::receive::reader::{LaneEvent, Reader};
use crate::shared::Shared;

/// The largest number of changes per slot that are reported one by one. In addition, a member that
/// was reported as joined is always reported when it has left.
const MOST: u32 = 16;

/// An event of a slot of the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemberEvent {
    /// A member has joined. If it has left since, this is the next event of its slot.
    Joined(Peer),
    /// A member has left. No more items come from it.
    Left(Peer),
    /// More members have joined and left in a slot since the last look than are reported one by
    /// one. This event stands for the oldest of the members that were not reported as joined. The
    /// next events are of the same slot.
    Skipped {
        /// The slot.
        id: u32,
        /// The number of members that are not reported. Each of them has joined and left.
        members: u32,
    },
}

/// The knowledge of a member about the other members of its region.
pub(crate) struct Members {
    /// The members word up to which changes may be reported.
    seen: u32,
    /// Per slot, the generation up to which changes have been reported.
    reported: Vec<u32>,
    /// Per slot, the generation up to which changes may be reported, because all items have been
    /// read that came before.
    reportable: Vec<u32>,
    /// The slots before this one have no changes to report.
    next_slot: usize,
    news: Option<News>,
    events: Vec<MemberEvent>,
}

/// Events that will be reported when all earlier items have been read.
struct News {
    members: u32,
    /// The generations of the slots when the change was found.
    generations: Vec<u32>,
    /// The index after the last item that was in the inbox when the change was found.
    until: u32,
}

impl Members {
    /// The state of a member that has just joined: the existing members will be reported.
    pub(crate) fn new(shared: &Shared) -> Self {
        let generations = peers::generations(&shared.region).into_iter().zip(0..);
        let told = |(generation, id)| {
            if id == shared.own.id {
                shared.own.generation
            } else {
                // The generation before the present member joined.
                generation - generation % 2
            }
        };
        let reported: Vec<u32> = generations.map(told).collect();
        Self {
            seen: 0,
            reportable: reported.clone(),
            reported,
            next_slot: 0,
            news: None,
            events: Vec::new(),
        }
    }

    /// Whether there are events that were not reported to the caller.
    #[inline]
    pub(crate) fn have_changed(&self, shared: &Shared) -> bool {
        shared.members() != self.seen
    }

    /// Whether there may be events that can be reported now.
    #[inline]
    pub(crate) fn have_news(&self, shared: &Shared) -> bool {
        self.news.is_some() || self.have_changed(shared)
    }

    /// Looks for changes. Returns true if there are changes to report, and all earlier items have
    /// been read. Also reports lanes whose senders have left.
    #[cold]
    pub(crate) fn refresh(
        &mut self,
        shared: &Shared,
        reader: &mut Reader,
        lanes: &mut Vec<LaneEvent>,
    ) -> bool {
        if self.news.is_none() {
            // The departed members must be known before their last items are looked for.
            let members = shared.members();
            let generations = peers::generations(&shared.region);
            reader.refresh(shared, lanes);
            reader.end_departed(&generations);
            self.news = Some(News {
                members,
                generations,
                until: reader.find_inbox_items(),
            });
        }
        let is_done = |news: &mut News| reader.is_done(news.until, &news.generations);
        let Some(news) = self.news.take_if(is_done) else {
            return false;
        };

        reader.close_departed(shared, &news.generations, lanes);
        shared.peers().forget_departed(&news.generations);
        self.reportable = news.generations;
        self.next_slot = 0;
        self.seen = news.members;
        self.acknowledge(shared);
        true
    }

    /// Takes the next change that may be reported, in order per slot.
    pub(crate) fn next_event(&mut self) -> Option<MemberEvent> {
        while let Some(&reportable) = self.reportable.get(self.next_slot) {
            let id = self.next_slot as u32;
            let event = next_event(id, &mut self.reported[self.next_slot], reportable);
            if event.is_some() {
                return event;
            }
            self.next_slot += 1;
        }
        None
    }

    /// Takes all changes that may be reported, for [`Members::events`].
    pub(crate) fn take_events(&mut self) {
        let mut events = Vec::new();
        while let Some(event) = self.next_event() {
            events.push(event);
        }
        self.events = events;
    }

    /// Makes the next [`Members::refresh`] return true, because there are unreported changes.
    pub(crate) fn refresh_again(&mut self, shared: &Shared) {
        if !self.have_news(shared) {
            self.seen = self.seen.wrapping_sub(1);
            self.acknowledge(shared);
        }
    }

    /// The changes that were taken last.
    pub(crate) fn events(&self) -> &[MemberEvent] {
        &self.events
    }

    /// Whether it may be reported that a peer has left.
    pub(crate) fn has_left(&self, peer: Peer) -> bool {
        peer.has_left(&self.reportable)
    }

    /// Tells the kernel which changes need not wake this member: those that were reported to the
    /// caller.
    pub(crate) fn acknowledge(&self, shared: &Shared) {
        acknowledge(shared, self.seen);
    }
}

/// Tells the kernel that changes up to this members word need not wake this member.
pub(crate) fn acknowledge(shared: &Shared, members: u32) {
    let seen = shared.area.members_seen();
    seen.store(members, Ordering::Relaxed);
}

/// Takes the next change of a slot: its generation grows by one when a member joins, and is odd
/// then, and grows by one when the member leaves.
fn next_event(id: u32, reported: &mut u32, reportable: u32) -> Option<MemberEvent> {
    // Generations never go back.
    let count = reportable.saturating_sub(*reported);
    if count == 0 {
        return None;
    }
    // A member that was reported as joined is reported when it leaves.
    if count > MOST && *reported % 2 == 0 {
        let members = (count - MOST).div_ceil(2);
        *reported += 2 * members;
        return Some(MemberEvent::Skipped { id, members });
    }
    *reported += 1;
    let generation = *reported;
    Some(match generation % 2 {
        1 => MemberEvent::Joined(Peer { id, generation }),
        _ => MemberEvent::Left(Peer {
            id,
            generation: generation - 1,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::MemberEvent::*;
    use super::*;

    const fn peer(id: u32, generation: u32) -> Peer {
        Peer { id, generation }
    }

    fn events(before: &[u32], after: &[u32]) -> Vec<MemberEvent> {
        let slots = before.iter().zip(after).zip(0..);
        let of_slot = |((&before, &after), id)| {
            let mut reported = before;
            std::iter::from_fn(move || next_event(id, &mut reported, after))
        };
        slots.flat_map(of_slot).collect()
    }

    #[test]
    fn each_change_is_told_in_order() {
        assert_eq!(events(&[], &[]), []);
        assert_eq!(events(&[0, 7, 8], &[0, 7, 8]), []);
        let came = [Joined(peer(0, 1)), Left(peer(1, 7)), Joined(peer(2, 9))];
        assert_eq!(events(&[0, 7, 8], &[1, 8, 9]), came);
        // A member joined and left between two looks; a member left, and another one joined.
        let two = [
            Joined(peer(0, 1)),
            Left(peer(0, 1)),
            Left(peer(1, 7)),
            Joined(peer(1, 9)),
        ];
        assert_eq!(events(&[0, 7], &[2, 9]), two);
    }

    #[test]
    fn of_many_changes_the_last_are_told() {
        assert_eq!(events(&[4], &[4 + MOST]).len(), MOST as usize);
        let skipped = |members| Skipped { id: 0, members };
        // One member that joined and left is not reported, so two changes are missing.
        let many = events(&[4], &[5 + MOST]);
        assert_eq!(many[..2], [skipped(1), Joined(peer(0, 7))]);
        assert_eq!(many.len(), MOST as usize);
        // A member that was reported as joined is reported when it leaves.
        let many = events(&[3], &[5 + MOST]);
        assert_eq!(
            many[..3],
            [Left(peer(0, 3)), skipped(1), Joined(peer(0, 7))]
        );
        assert_eq!(many.len(), 1 + MOST as usize);
        let most = events(&[0], &[u32::MAX]);
        assert_eq!(most[0], skipped((u32::MAX - MOST).div_ceil(2)));
        assert_eq!(most.last(), Some(&Joined(peer(0, u32::MAX))));
    }
}
