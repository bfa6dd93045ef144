// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whether a dispatcher can be sent to another thread.

#![allow(unsafe_code)]

use std::marker::PhantomData;

/// The requirement of a [`Dispatcher`](crate::Dispatcher) on its handlers: [`Local`] or
/// [`Sendable`].
pub trait Threading: sealed::Sealed + Default + 'static {}

/// Handlers need not be `Send`, so the dispatcher stays in the thread that made it.
#[derive(Debug, Default)]
pub struct Local(PhantomData<*const ()>);

/// Handlers must be `Send`, so the dispatcher is `Send` too.
#[derive(Debug, Default)]
pub struct Sendable(());

impl Threading for Local {}
impl Threading for Sendable {}

/// A handler of type `F` may be added: any type for [`Local`], a type that is `Send` for
/// [`Sendable`].
pub trait Accepts<F>: Threading {}

impl<F> Accepts<F> for Local {}
impl<F: Send> Accepts<F> for Sendable {}

mod sealed {
    pub trait Sealed {}

    impl Sealed for super::Local {}
    impl Sealed for super::Sendable {}
}

/// A handler of a dispatcher, or the callback of a request. It is `Send` if and only if `S` is.
///
/// Invariant: if `S` is [`Sendable`], then `closure` is `Send`, even if its type `F` does not show
/// this.
pub(crate) struct Handler<S, F: ?Sized> {
    threading: PhantomData<S>,
    closure: F,
}

// SAFETY: `S` is `Sendable`, because no other `Threading` is `Send`. So `closure` is `Send` by the
// invariant.
unsafe impl<S: Threading + Send, F: ?Sized> Send for Handler<S, F> {}

impl<S: Threading, C> Handler<S, C> {
    /// Holds the closure that `wrap` makes of `closure`. `wrap` cannot capture values, and must not
    /// create values that are not `Send`.
    pub(crate) fn new<F>(closure: F, wrap: fn(F) -> C) -> Box<Self>
    where
        S: Accepts<F>,
    {
        // INVARIANT: `F` is `Send` if `S` is `Sendable`, and the new closure holds no other value.
        Box::new(Self {
            threading: PhantomData,
            closure: wrap(closure),
        })
    }
}

impl<S, F: ?Sized> Handler<S, F> {
    #[inline]
    pub(crate) fn get(&mut self) -> &mut F {
        &mut self.closure
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    type Adder<'h, S> = Box<Handler<S, dyn FnMut(u32) -> u32 + 'h>>;

    fn adder<'h, S, F>(add: F) -> Adder<'h, S>
    where
        S: Accepts<F>,
        F: FnMut(u32) -> u32 + 'h,
    {
        let handler = Handler::new(add, |mut add| move |number| add(number));
        handler as Adder<'h, S>
    }

    #[test]
    fn a_sendable_handler_is_called_and_dropped_in_another_thread() {
        /// Counts how often a value of this type is dropped.
        struct Dropped<'c>(&'c AtomicU32);

        impl Drop for Dropped<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }

        let drops = AtomicU32::new(0);
        let (mut sum, dropped) = (Box::new(1), Dropped(&drops));
        let mut handler: Adder<'_, Sendable> = adder(move |number| {
            let _ = &dropped;
            *sum += number;
            *sum
        });
        assert_eq!((handler.get())(2), 3);
        thread::scope(|scope| {
            let there = scope.spawn(move || {
                let mut handlers = [handler, adder(|number| number)];
                (handlers[0].get())(4) + (handlers[1].get())(5)
            });
            assert_eq!(there.join().unwrap(), 12);
        });
        assert_eq!(drops.into_inner(), 1);
    }

    #[test]
    fn a_local_handler_holds_what_is_not_send() {
        let shared = Rc::new(3);
        let theirs = Rc::clone(&shared);
        let mut handler: Adder<'_, Local> = adder(move |number| *theirs + number);
        assert_eq!((handler.get())(4), 7);
        drop(handler);
        assert_eq!(Rc::strong_count(&shared), 1);
    }
}
