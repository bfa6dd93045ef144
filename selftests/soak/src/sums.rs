// SPDX-License-Identifier: GPL-2.0

//! Structs of counters that are added up field by field. The fields are listed once, in the struct.

use std::ops::AddAssign;

/// A counter, or an array of counters.
pub trait Sum {
    fn add(&mut self, other: &Self);
}

impl Sum for u64 {
    fn add(&mut self, other: &Self) {
        self.add_assign(other);
    }
}

impl<const N: usize> Sum for [u64; N] {
    fn add(&mut self, other: &Self) {
        for (sum, count) in self.iter_mut().zip(other) {
            sum.add(count);
        }
    }
}

/// Defines a struct whose fields are [`Sum`]s, and `AddAssign` for it.
macro_rules! sums {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl std::ops::AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                $($crate::sums::Sum::add(&mut self.$field, &other.$field);)*
            }
        }
    };
}

pub(crate) use sums;
