// SPDX-License-Identifier: GPL-2.0

//! The parts of the kernel's API that the files of the module use.

pub(crate) mod prelude {
    pub(crate) use ivring_loom_kunit::{kunit_tests, pin_data, pin_init};

    /// A number of `errno.h`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Error(&'static str);

    pub type Result<T = (), E = Error> = core::result::Result<T, E>;

    pub const ECONNRESET: Error = Error("ECONNRESET");
    pub(crate) const EINVAL: Error = Error("EINVAL");
    pub const EPIPE: Error = Error("EPIPE");
    pub const EOWNERDEAD: Error = Error("EOWNERDEAD");
    pub(crate) const ETIMEDOUT: Error = Error("ETIMEDOUT");
    pub(crate) const EPROTO: Error = Error("EPROTO");

    #[derive(Clone, Copy)]
    pub(crate) struct Flags;

    /// Initializers. Values of the model need not be pinned.
    pub(crate) trait PinInit<T> {
        fn made(self) -> T;
    }

    impl<T> PinInit<T> for T {
        fn made(self) -> T {
            self
        }
    }
}

/// Like the kernel's `pin_init!`.
#[macro_export]
macro_rules! new_spinlock {
    ($value:expr, $name:literal) => {
        $crate::sync::SpinLock::new($value)
    };
}

pub(crate) mod sync {
    pub(crate) use std::sync::Arc;

    /// A lock of the model.
    pub(crate) struct SpinLock<T>(loom::sync::Mutex<T>);

    impl<T> SpinLock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }

    pub(crate) mod atomic {
        /// A word that only the kernel accesses.
        pub(crate) struct Atomic<T>(loom::sync::atomic::AtomicU64, core::marker::PhantomData<T>);

        impl<T: Value> Atomic<T> {
            pub(crate) fn new(value: T) -> Self {
                Self(
                    loom::sync::atomic::AtomicU64::new(value.number()),
                    core::marker::PhantomData,
                )
            }

            pub(crate) fn load<O: Order>(&self, _: O) -> T {
                T::of(self.0.load(O::ORDER))
            }

            pub(crate) fn store<O: Order>(&self, value: T, _: O) {
                self.0.store(value.number(), O::ORDER);
            }
        }

        impl Atomic<u64> {
            pub(crate) fn fetch_add<O: Order>(&self, value: u64, _: O) -> u64 {
                self.0.fetch_add(value, O::ORDER)
            }
        }

        /// A type that an atomic word may have.
        pub(crate) trait Value {
            fn number(self) -> u64;
            fn of(number: u64) -> Self;
        }

        impl Value for u64 {
            fn number(self) -> u64 {
                self
            }
            fn of(number: u64) -> Self {
                number
            }
        }
        impl Value for u32 {
            fn number(self) -> u64 {
                self.into()
            }
            fn of(number: u64) -> Self {
                // CAST: The number was one of this type.
                number as Self
            }
        }
        impl Value for bool {
            fn number(self) -> u64 {
                self.into()
            }
            fn of(number: u64) -> Self {
                number != 0
            }
        }

        use ivring_loom::machine;
        use std::sync::atomic::Ordering;

        pub(crate) struct Acquire;
        pub(crate) struct Full;
        pub(crate) struct Relaxed;

        pub(crate) trait Order {
            const ORDER: Ordering;
        }

        impl Order for Acquire {
            const ORDER: Ordering = Ordering::Acquire;
        }
        impl Order for Full {
            const ORDER: Ordering = Ordering::SeqCst;
        }
        impl Order for Relaxed {
            const ORDER: Ordering = Ordering::Relaxed;
        }

        fn is_full<O: Order>() -> bool {
            O::ORDER == Ordering::SeqCst
        }

        pub(crate) unsafe fn atomic_load<O: Order>(at: *mut u32, _: O) -> u32 {
            machine::load(at, O::ORDER)
        }

        pub(crate) unsafe fn atomic_store<O: Order>(at: *mut u32, value: u32, _: O) {
            machine::store(at, value, O::ORDER);
        }

        pub(crate) unsafe fn cmpxchg<O: Order>(
            at: *mut u32,
            old: u32,
            new: u32,
            _: O,
        ) -> Result<u32, u32> {
            let was = machine::exchange(at, Some(old), new, is_full::<O>());
            if was == old {
                Ok(was)
            } else {
                Err(was)
            }
        }
    }

    pub(crate) mod barrier {
        use ivring_loom::machine;
        use std::sync::atomic::Ordering;

        pub(crate) use super::atomic::Full;

        pub(crate) fn smp_mb(_: Full) {
            machine::fence(Ordering::SeqCst);
        }
    }
}
