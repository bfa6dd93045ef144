// SPDX-License-Identifier: GPL-2.0

//! The watches of a member. `poll()` reports when one of them is over.
//!
//! A watch waits in the list of a ring like a task. No task sleeps for it, so nothing comes back to
//! the list when it is taken out.

use kernel::{
    new_spinlock,
    prelude::*,
    rbtree::{RBTree, RBTreeNode, RBTreeNodeReservation},
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, SpinLock,
    },
};

use crate::{member::doorbell::Doorbell, queue::place::Place};

/// The ring that a watch is for. A member has at most one watch for each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    /// The receiver's slot.
    pub(crate) slot: u16,
    /// Whether the ring is the member's lane to the receiver, or else the receiver's inbox.
    pub(crate) is_lane: bool,
}

/// A watch as its member knows it.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// The receiver's generation.
    pub(crate) generation: u32,
    /// The number of the [`Watch`].
    pub(crate) number: u64,
    /// The place of the watch in the list of its ring, which it may have left.
    pub(crate) place: Place,
}

type Node = RBTreeNode<Target, Entry>;

/// A watch that is over, and that was taken.
pub(crate) struct Over {
    pub(crate) target: Target,
    pub(crate) entry: Entry,
    node: Node,
}

/// The watches of a member.
#[pin_data]
pub(crate) struct Watches {
    /// The doorbell of the member's file, whose pollers are notified.
    doorbell: Arc<Doorbell>,
    /// The number of the next watch.
    number: Atomic<u64>,
    /// Whether a watch is over; written under the lock.
    any_over: Atomic<bool>,
    #[pin]
    table: SpinLock<Table>,
}

/// # Invariants
///
/// A target is in at most one of the trees. Both are empty once `closed`.
struct Table {
    waiting: RBTree<Target, Entry>,
    over: RBTree<Target, Entry>,
    /// The target at which [`Watches::next`] begins to search, so that it takes targets in turn.
    next: Target,
    /// The member has left its region.
    closed: bool,
}

impl Table {
    /// Removes the watch of a target, and returns its node, and whether it waits.
    fn remove(&mut self, target: Target) -> Option<(Node, bool)> {
        let waiting = self.waiting.remove_node(&target).map(|node| (node, true));
        waiting.or_else(|| self.over.remove_node(&target).map(|node| (node, false)))
    }
}

/// The arguments with which a watch is declared.
#[derive(Clone, Copy)]
pub(crate) struct Watcher<'a> {
    /// The watches of the member.
    pub(crate) watches: &'a Arc<Watches>,
    pub(crate) target: Target,
    /// The receiver's generation.
    pub(crate) generation: u32,
}

/// A watch, in the list of a ring.
pub(crate) struct Watch {
    pub(crate) watches: Arc<Watches>,
    pub(crate) target: Target,
    pub(crate) number: u64,
}

impl Watch {
    pub(crate) fn new(watches: &Arc<Watches>, target: Target) -> Self {
        Self {
            number: watches.number.fetch_add(1u64, Relaxed),
            watches: watches.clone(),
            target,
        }
    }

    /// The event of the watch has come: the watch is over, unless it was replaced.
    pub(crate) fn end(&self) {
        let watches = &*self.watches;
        let mut table = watches.table.lock();
        match table.waiting.get(&self.target) {
            Some(entry) if entry.number == self.number => {}
            _ => return,
        }
        if let Some(node) = table.waiting.remove_node(&self.target) {
            // INVARIANT: The target is in the other tree no longer.
            table.over.insert(node);
        }
        watches.show(&table);
        drop(table);
        // Barrier D: the lock of the queue, which is taken after the change. A poller that was not
        // on the queue yet takes this lock later, and then finds the watch.
        watches.doorbell.sends_again();
    }

    /// Whether this is the watch of this number of the member with these watches.
    pub(crate) fn is(&self, watches: &Watches, number: u64) -> bool {
        core::ptr::eq(&*self.watches, watches) && self.number == number
    }
}

impl Watches {
    pub(crate) fn new(doorbell: Arc<Doorbell>) -> impl PinInit<Self> {
        pin_init!(Self {
            doorbell,
            number: Atomic::new(0),
            any_over: Atomic::new(false),
            // INVARIANT: Both trees are empty.
            table <- new_spinlock!(Table {
                waiting: RBTree::new(),
                over: RBTree::new(),
                next: Target { slot: 0, is_lane: false },
                closed: false,
            }, "ivring_watches"),
        })
    }

    fn show(&self, table: &Table) {
        self.any_over.store(!table.over.is_empty(), Relaxed);
    }

    /// Whether a watch is over.
    pub(crate) fn any_over(&self) -> bool {
        self.any_over.load(Relaxed)
    }

    /// Enters a watch in place of an older one of the same target, and returns the older one if it
    /// waits. The caller adds the watch to its ring's list before it releases the lock of the list,
    /// which it holds. `EOWNERDEAD` if the member has left.
    pub(crate) fn enter(
        &self,
        target: Target,
        entry: Entry,
        node: RBTreeNodeReservation<Target, Entry>,
    ) -> Result<Option<Entry>> {
        let mut table = self.table.lock();
        if table.closed {
            return Err(EOWNERDEAD);
        }
        let old = table.remove(target);
        table.waiting.insert(node.into_node(target, entry));
        self.show(&table);
        let waiting = old.filter(|(_, waits)| *waits);
        Ok(waiting.map(|(node, _)| node.to_key_value().1))
    }

    /// Takes a watch that is over.
    pub(crate) fn next(&self) -> Option<Over> {
        let mut table = self.table.lock();
        let from = table.next;
        let found = table.over.cursor_lower_bound(&from);
        let (&target, &entry) = found.or_else(|| table.over.cursor_front())?.current();
        table.next = Target {
            slot: target.slot + u16::from(target.is_lane),
            is_lane: !target.is_lane,
        };
        let node = table.over.remove_node(&target)?;
        self.show(&table);
        Some(Over {
            target,
            entry,
            node,
        })
    }

    /// Puts back a watch that [`Watches::next`] has taken, because it could not be reported. A newer
    /// watch of the same target stays.
    pub(crate) fn put_back(&self, over: Over) {
        let mut table = self.table.lock();
        let newer = table.remove(over.target);
        match newer {
            Some((node, true)) => table.waiting.insert(node),
            Some((node, false)) => table.over.insert(node),
            None if table.closed => None,
            None => table.over.insert(over.node),
        };
        self.show(&table);
        drop(table);
        // A poller may have looked while the watch was taken. Barrier D: see `Watch::end`.
        if self.any_over() {
            self.doorbell.sends_again();
        }
    }

    /// Called when the member leaves: no watch can be declared after this. Each call removes and
    /// returns one waiting watch, until there are none. The caller removes the watch from the list
    /// of its ring.
    pub(crate) fn close(&self) -> Option<(Target, Entry)> {
        let mut table = self.table.lock();
        table.closed = true;
        let over = core::mem::replace(&mut table.over, RBTree::new());
        let target = table
            .waiting
            .cursor_front()
            .map(|cursor| *cursor.current().0);
        let node = target.and_then(|target| table.waiting.remove_node(&target));
        self.show(&table);
        drop(table);
        drop(over);
        node.map(RBTreeNode::to_key_value)
    }
}

#[kunit_tests(ivring_watches)]
mod tests {
    use super::*;

    fn target(slot: u16, is_lane: bool) -> Target {
        Target { slot, is_lane }
    }

    /// Makes watches of these targets, in this order, and ends them.
    fn ended(targets: &[Target]) -> Result<Arc<Watches>> {
        let doorbell = Arc::pin_init(Doorbell::new(), GFP_KERNEL)?;
        let watches = Arc::pin_init(Watches::new(doorbell), GFP_KERNEL)?;
        for &target in targets {
            end_new(&watches, target)?;
        }
        Ok(watches)
    }

    fn end_new(watches: &Arc<Watches>, target: Target) -> Result {
        let watch = Watch::new(watches, target);
        let entry = Entry {
            generation: 1,
            number: watch.number,
            place: crate::queue::place::first_of(7),
        };
        watches.enter(target, entry, RBTreeNodeReservation::new(GFP_KERNEL)?)?;
        watch.end();
        Ok(())
    }

    fn next(watches: &Watches) -> Option<Target> {
        watches.next().map(|over| over.target)
    }

    /// A member that watches a few receivers again and again does not miss the others.
    #[test]
    fn in_turn() -> Result {
        let all = [target(1, false), target(1, true), target(9, false)];
        let watches = ended(&all)?;
        for round in 0..6 {
            let expected = all[round % 3];
            assert!(next(&watches) == Some(expected));
            end_new(&watches, expected)?;
        }
        for target in all {
            assert!(next(&watches) == Some(target));
        }
        assert!(next(&watches).is_none());
        Ok(())
    }

    /// A watch that is put back is over again, unless there is a newer one.
    #[test]
    fn put_back() -> Result {
        let watches = ended(&[target(2, false)])?;
        let over = watches.next().ok_or(EINVAL)?;
        assert!(!watches.any_over());
        watches.put_back(over);
        assert!(watches.any_over());
        let over = watches.next().ok_or(EINVAL)?;
        end_new(&watches, target(2, false))?;
        let newer = watches.number.load(Relaxed) - 1;
        watches.put_back(over);
        assert_eq!(watches.next().ok_or(EINVAL)?.entry.number, newer);
        assert!(watches.next().is_none());
        // The member has left.
        end_new(&watches, target(2, false))?;
        let over = watches.next().ok_or(EINVAL)?;
        assert!(watches.close().is_none());
        watches.put_back(over);
        assert!(!watches.any_over());
        Ok(())
    }
}
