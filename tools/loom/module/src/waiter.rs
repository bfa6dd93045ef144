// SPDX-License-Identifier: GPL-2.0

//! Replaces `rust/queue/waiter.rs`. There are no deadlines and no signals.

use std::{cell::Cell, sync::Arc};

use loom::sync::Mutex;

use crate::{
    list::ListArc,
    patience::Patience,
    prelude::*,
    waitqueue::WaitQueue,
    watches::{Watch, Watches},
};

thread_local! {
    static SLEEPS: Cell<u32> = const { Cell::new(0) };
}

/// The number of times that the current task has slept.
pub(crate) fn sleeps() -> u32 {
    SLEEPS.get()
}

pub(crate) struct Waiter {
    watch: Option<Watch>,
    woken: Mutex<bool>,
    queue: WaitQueue,
}

impl Waiter {
    pub(crate) fn new() -> Result<ListArc<Self>> {
        Self::make(None)
    }

    pub(crate) fn for_watch(watch: Watch) -> Result<ListArc<Self>> {
        Self::make(Some(watch))
    }

    pub(crate) fn is_watch(&self, watches: &Watches, number: u64) -> bool {
        let watch = self.watch.as_ref();
        watch.is_some_and(|watch| watch.is(watches, number))
    }

    fn make(watch: Option<Watch>) -> Result<ListArc<Self>> {
        Ok(ListArc(Arc::new(Self {
            watch,
            woken: Mutex::new(false),
            queue: WaitQueue::new(),
        })))
    }

    pub(crate) fn sleep(&self, _: Patience<'_>) -> Result {
        SLEEPS.set(SLEEPS.get() + 1);
        self.queue.wait(|| self.woken.lock().unwrap().then_some(()));
        Ok(())
    }
}

pub(crate) struct Woken(Vec<ListArc<Waiter>>);

impl Woken {
    /// Each woken task wakes one more.
    const FEW: usize = 1;

    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_few(&self) -> bool {
        self.count() >= Self::FEW
    }

    pub(crate) fn ends_here(&self) -> bool {
        self.is_few() && self.0.iter().all(|waiter| waiter.0.watch.is_some())
    }

    pub(crate) fn push(&mut self, waiter: ListArc<Waiter>) {
        self.0.push(waiter);
    }

    pub(crate) fn append(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    pub(crate) fn wake(self) -> bool {
        for ListArc(waiter) in &self.0 {
            if let Some(watch) = &waiter.watch {
                watch.end();
                continue;
            }
            *waiter.woken.lock().unwrap() = true;
            waiter.queue.wake_all();
        }
        !self.0.is_empty()
    }
}
