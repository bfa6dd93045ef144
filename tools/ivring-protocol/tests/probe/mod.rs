// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which types can be sent to other threads, and which can be shared among threads: for the tests of
//! both crates.

use std::marker::PhantomData;

/// An inherent constant is preferred to one of a trait, but exists only if its bound holds.
pub struct Probe<T>(PhantomData<T>);

pub trait Fallback {
    const SEND: bool = false;
    const SYNC: bool = false;
}

impl<T> Fallback for Probe<T> {}

impl<T: Send> Probe<T> {
    pub const SEND: bool = true;
}

impl<T: Sync> Probe<T> {
    pub const SYNC: bool = true;
}

/// Asserts for each type whether it is `Send` and whether it is `Sync`.
macro_rules! assert_traits {
    ($($type:ty: $send:literal $sync:literal,)*) => {{
        use crate::probe::{Fallback as _, Probe};
        $(
            assert_eq!(Probe::<$type>::SEND, $send, "Send: {}", stringify!($type));
            assert_eq!(Probe::<$type>::SYNC, $sync, "Sync: {}", stringify!($type));
        )*
    }};
}
