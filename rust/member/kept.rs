// SPDX-License-Identifier: GPL-2.0

//! The outboxes that an inbox keeps: those of senders that have left, until the items that name
//! payload in them have been read.

use kernel::{
    prelude::*,
    rbtree::{RBTree, RBTreeNode, RBTreeNodeReservation},
    sync::Arc,
};

use crate::{
    member::id::MemberId,
    memory::outbox::Outbox,
    os::{allocation, nospec},
};

/// The outboxes that an inbox keeps, and the senders whose outboxes it will keep when they leave.
///
/// Positions count the items that were ever put into the inbox. They never wrap.
///
/// # Invariants
///
/// `count` is the number of `outboxes`.
pub(crate) struct KeptOutboxes {
    /// For each slot, the member in the slot if it has put in an item with payload.
    senders: KVec<Option<KBox<Sender>>>,
    /// The kept outboxes. The key is the position after the last item that names payload in the
    /// outbox. No two outboxes have the same position, because each item has one sender.
    outboxes: RBTree<u64, Kept>,
    count: u32,
}

/// A sender of payload that has not left.
pub(crate) struct Sender {
    generation: u32,
    /// The position after its last item with payload.
    position: u64,
    /// Memory for its outbox in the tree, so that nothing is allocated when it leaves.
    node: RBTreeNodeReservation<u64, Kept>,
}

/// An outbox whose member has left.
pub(crate) struct Kept {
    from: MemberId,
    outbox: Arc<Outbox>,
}

/// The result of a search that looks at a bounded number of outboxes.
pub(crate) enum Found {
    Outbox(Arc<Outbox>),
    Nothing,
    /// The search goes on at this position.
    Continue(u64),
}

/// A search looks at this number of outboxes while it holds a lock.
const SEARCHED: usize = 64;

impl Sender {
    /// `ENOMEM` if there is no memory.
    pub(crate) fn new(from: MemberId) -> Result<KBox<Self>> {
        let sender = Self {
            generation: from.generation,
            position: 0,
            node: RBTreeNodeReservation::new(allocation::charged())?,
        };
        Ok(KBox::new(sender, allocation::charged())?)
    }
}

impl KeptOutboxes {
    /// A value without outboxes, for a region of `slots` slots.
    pub(crate) fn new(slots: u32) -> Result<Self> {
        let mut senders = KVec::with_capacity(slots as usize, allocation::charged())?;
        for _ in 0..slots {
            senders.push_within_capacity(None)?;
        }
        // INVARIANT: There is no outbox.
        Ok(Self {
            senders,
            outboxes: RBTree::new(),
            count: 0,
        })
    }

    /// A value without outboxes, to which no sender can be added.
    pub(crate) fn none() -> Self {
        // INVARIANT: There is no outbox.
        Self {
            senders: KVec::new(),
            outboxes: RBTree::new(),
            count: 0,
        }
    }

    fn place(&mut self, from: MemberId) -> Option<&mut Option<KBox<Sender>>> {
        nospec::get_mut(&mut self.senders, usize::from(from.slot))
    }

    /// The sender `from`, if it was added and has not left.
    pub(crate) fn sender(&mut self, from: MemberId) -> Option<&mut Sender> {
        let sender = self.place(from)?.as_deref_mut()?;
        (sender.generation == from.generation).then_some(sender)
    }

    /// Adds the sender `from`, unless it was added before. Returns unused memory, which the caller
    /// drops without a lock.
    pub(crate) fn add(&mut self, from: MemberId, sender: KBox<Sender>) -> Option<KBox<Sender>> {
        if self.sender(from).is_some() {
            return Some(sender);
        }
        match self.place(from) {
            Some(place) => place.replace(sender),
            None => Some(sender),
        }
    }

    /// Called when the sender `from` leaves. Keeps its outbox if one of its items with payload
    /// comes after the position `read`. Otherwise returns memory, which the caller drops without a
    /// lock.
    pub(crate) fn leave(
        &mut self,
        from: MemberId,
        outbox: &Arc<Outbox>,
        read: u64,
    ) -> Option<KBox<Sender>> {
        let place = self.place(from)?;
        let sender = place.take_if(|sender| sender.generation == from.generation)?;
        if sender.position <= read {
            return Some(sender);
        }
        let Sender { position, node, .. } = KBox::into_inner(sender);
        let outbox = outbox.clone();
        // INVARIANT: The tree grows by one, because no outbox has this position yet.
        self.outboxes
            .insert(node.into_node(position, Kept { from, outbox }));
        self.count += 1;
        None
    }

    /// Whether an outbox is no longer needed when all items before the position `read` were read.
    pub(crate) fn is_due(&self, read: u64) -> bool {
        let first = self.outboxes.cursor_front();
        first.is_some_and(|first| *first.current().0 <= read)
    }

    /// Removes an outbox that is no longer needed. The caller drops it without a lock.
    pub(crate) fn remove_due(&mut self, read: u64) -> Option<RBTreeNode<u64, Kept>> {
        if !self.is_due(read) {
            return None;
        }
        let (_, node) = self.outboxes.cursor_front_mut()?.remove_current();
        // INVARIANT: The tree shrinks by one.
        self.count -= 1;
        Some(node)
    }

    /// Searches the outbox of `from`, from a position on.
    pub(crate) fn find(&mut self, from: MemberId, position: u64) -> Found {
        let mut cursor = self.outboxes.cursor_lower_bound_mut(&position);
        for _ in 0..SEARCHED {
            let Some(at) = cursor else {
                return Found::Nothing;
            };
            let kept = at.current().1;
            if kept.from == from {
                return Found::Outbox(kept.outbox.clone());
            }
            cursor = at.move_next();
        }
        cursor.map_or(Found::Nothing, |at| Found::Continue(*at.current().0))
    }

    /// The number of outboxes.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }
}

impl Sender {
    /// The sender has put in an item with payload. `position` is the position after this item.
    pub(crate) fn sent(&mut self, position: u64) {
        self.position = position;
    }
}

#[kunit_tests(ivring_kept)]
mod tests {
    use super::*;

    fn id(slot: u16, generation: u32) -> MemberId {
        MemberId { slot, generation }
    }

    impl KeptOutboxes {
        fn send(&mut self, from: MemberId, position: u64) -> Result {
            if self.sender(from).is_none() {
                self.add(from, Sender::new(from)?);
            }
            self.sender(from).ok_or(ENOENT)?.sent(position);
            Ok(())
        }

        /// Searches to the end.
        fn find_all(&mut self, from: MemberId) -> Option<Arc<Outbox>> {
            let mut position = 0;
            loop {
                match self.find(from, position) {
                    Found::Outbox(outbox) => return Some(outbox),
                    Found::Nothing => return None,
                    Found::Continue(next) => position = next,
                }
            }
        }
    }

    #[test]
    fn until_read() -> Result {
        let mut kept = KeptOutboxes::new(4)?;
        let (first, second) = (Outbox::for_test()?, Outbox::for_test()?);
        kept.send(id(1, 1), 5)?;
        kept.send(id(1, 1), 7)?;
        kept.send(id(2, 3), 6)?;
        assert!(kept.leave(id(1, 1), &first, 6).is_none());
        // All its items were read.
        assert!(kept.leave(id(2, 3), &second, 6).is_some());
        // The member has sent no payload, or has left already.
        assert!(kept.leave(id(3, 1), &second, 0).is_none());
        assert!(kept.leave(id(1, 1), &first, 0).is_none());
        assert_eq!(kept.count(), 1);
        assert!(kept
            .find_all(id(1, 1))
            .is_some_and(|outbox| Arc::ptr_eq(&outbox, &first)));
        assert!(kept.find_all(id(2, 3)).is_none() && kept.find_all(id(1, 3)).is_none());
        assert!(!kept.is_due(6) && kept.remove_due(6).is_none());
        assert!(kept.is_due(7) && kept.remove_due(7).is_some());
        assert!(kept.find_all(id(1, 1)).is_none() && kept.remove_due(7).is_none());
        assert_eq!(kept.count(), 0);
        Ok(())
    }

    /// Many members take the same slot, one after another, and each leaves unread payload.
    #[test]
    fn many_of_a_slot() -> Result {
        const MANY: u32 = 3 * SEARCHED as u32;
        let mut kept = KeptOutboxes::new(2)?;
        let shared = Outbox::for_test()?;
        for number in 0..MANY {
            let from = id(1, 2 * number + 1);
            kept.send(from, 10 + u64::from(number))?;
            assert!(kept.sender(id(1, 2 * number + 3)).is_none());
            assert!(kept.leave(from, &shared, 0).is_none());
        }
        assert_eq!(kept.count(), MANY);
        for number in 0..MANY {
            assert!(kept.find_all(id(1, 2 * number + 1)).is_some());
        }
        assert!(kept.find_all(id(1, 2 * MANY + 1)).is_none());
        let read = 10 + u64::from(MANY) / 2;
        let mut dropped = 0;
        while kept.remove_due(read).is_some() {
            dropped += 1;
        }
        assert_eq!((dropped, kept.count()), (MANY / 2 + 1, MANY / 2 - 1));
        Ok(())
    }
}
