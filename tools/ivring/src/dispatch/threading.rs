// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whether a dispatcher can be sent to another thread.

#![allow(unsafe_code)]

use std::marker::PhantomData;

/// What a [`Dispatcher`](crate::Dispatcher) demands of its handlers: [`Local`] or [`Sendable`].
pub trait Threading: sealed::Sealed + Default + 'static {}

/// Handlers need not be `Send`, so the dispatcher stays in the thread that made it.
#[derive(Debug, Default)]
pub struct Local(PhantomData<*const ()>);

/// Handlers are `Send`, and so is the dispatcher.
#[derive(Debug, Default)]
pub struct Sendable(());

impl Threading for Local {}
impl Threading for Sendable {}

/// That a handler of type `F` may be added: any for [`Local`], and one that is `Send` for [`Sendable`].
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
/// Invariant: if `S` is [`Sendable`], then `closure` is `Send`, whatever `F` says of it.
pub(crate) struct Handler<S, F: ?Sized> {
    threading: PhantomData<S>,
    closure: F,
}

// SAFETY: `S` is `Sendable`, for that is the only `Threading` that is `Send`; so by the invariant the
// closure is `Send`.
unsafe impl<S: Threading + Send, F: ?Sized> Send for Handler<S, F> {}

impl<S: Threading, C> Handler<S, C> {
    /// The closure that `wrap` makes of `closure`, which is all that it holds: `wrap` captures nothing
    /// itself, and must create nothing that is not `Send`.
    pub(crate) fn new<F>(closure: F, wrap: fn(F) -> C) -> Box<Self>
    where
        S: Accepts<F>,
    {
        // INVARIANT: `F` is `Send` if `S` is `Sendable`, so that what holds nothing else is.
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
