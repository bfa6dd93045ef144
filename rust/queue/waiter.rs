// SPDX-License-Identifier: GPL-2.0

//! A waiting task, which another task wakes, or a watch, which it ends.

use core::pin::pin;
use kernel::{
    impl_list_arc_safe, impl_list_item,
    list::{List, ListArc, ListLinks},
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

use crate::{
    os::{
        allocation,
        waitqueue::{Sleeper, WaitQueue},
    },
    queue::{
        patience::Patience,
        watches::{Watch, Watches},
    },
};

/// A waiting task, or a watch.
#[pin_data]
pub(crate) struct Waiter {
    /// The watch. Then no task sleeps here.
    watch: Option<Watch>,
    /// The task has been woken.
    woken: Atomic<bool>,
    /// The queue on which only this task sleeps. The task sleeps on the queue of its membership at
    /// the same time.
    #[pin]
    queue: WaitQueue,
    /// The links of a list of [`Woken`].
    #[pin]
    links: ListLinks,
}

impl_list_arc_safe! {
    impl ListArcSafe<0> for Waiter { untracked; }
}
impl_list_item! {
    impl ListItem<0> for Waiter { using ListLinks { self.links }; }
}

impl Waiter {
    pub(crate) fn new() -> Result<ListArc<Self>> {
        Self::make(None)
    }

    pub(crate) fn for_watch(watch: Watch) -> Result<ListArc<Self>> {
        Self::make(Some(watch))
    }

    fn make(watch: Option<Watch>) -> Result<ListArc<Self>> {
        ListArc::pin_init(
            try_pin_init!(Self {
                watch,
                woken: Atomic::new(false),
                queue <- WaitQueue::new(c"ivring_waiter", kernel::static_lock_class!()),
                links <- ListLinks::new(),
            }),
            allocation::charged(),
        )
    }

    /// Sleeps until the waiter has been woken. Errors as [`Sleeper::may_sleep`], and `EOWNERDEAD`
    /// once the task's member has left.
    pub(crate) fn sleep(&self, patience: Patience<'_>) -> Result {
        let Patience {
            deadline,
            membership,
        } = patience;
        let mut sleeper = pin!(Sleeper::unfreezable(
            [&self.queue, &membership.sleepers],
            deadline
        ));
        loop {
            sleeper.as_mut().queue();
            // The queue's own lock orders this load and the store in `wake`, because the task is on
            // the queue when it loads.
            if self.woken.load(Relaxed) {
                return Ok(());
            }
            membership.check()?;
            sleeper.may_sleep()?;
            sleeper.as_mut().sleep();
        }
    }

    /// Whether this is the watch of this number of the member with these watches.
    pub(crate) fn is_watch(&self, watches: &Watches, number: u64) -> bool {
        let watch = self.watch.as_ref();
        watch.is_some_and(|watch| watch.is(watches, number))
    }

    fn wake(&self) {
        if let Some(watch) = &self.watch {
            watch.end();
            return;
        }
        self.woken.store(true, Relaxed);
        self.queue.wake_all();
    }
}

/// Waiters that the caller wakes after it has released its locks.
#[must_use = "the tasks stay asleep until they are woken"]
pub(crate) struct Woken {
    waiters: List<Waiter>,
    count: usize,
    /// How many of them are tasks.
    tasks: usize,
}

impl Woken {
    /// The largest number of tasks that one call wakes for one ring.
    pub(crate) const FEW: usize = 4;

    pub(crate) fn new() -> Self {
        Self {
            waiters: List::new(),
            count: 0,
            tasks: 0,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Whether this has the largest number of tasks that one call wakes.
    pub(crate) fn is_few(&self) -> bool {
        self.count >= Self::FEW
    }

    /// Whether there may be more to wake, and none of these will come back to do that.
    pub(crate) fn ends_here(&self) -> bool {
        self.is_few() && self.tasks == 0
    }

    pub(crate) fn push(&mut self, waiter: ListArc<Waiter>) {
        self.count += 1;
        self.tasks += usize::from(waiter.watch.is_none());
        self.waiters.push_back(waiter);
    }

    /// Adds the waiters of `more`.
    pub(crate) fn append(&mut self, mut more: Self) {
        self.waiters.push_all_back(&mut more.waiters);
        self.count += more.count;
        self.tasks += more.tasks;
    }

    /// Wakes the waiters. True if there was at least one.
    pub(crate) fn wake(mut self) -> bool {
        while let Some(waiter) = self.waiters.pop_front() {
            waiter.wake();
        }
        self.count > 0
    }
}
