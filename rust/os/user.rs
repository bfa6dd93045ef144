// SPDX-License-Identifier: GPL-2.0

//! Structures in the memory of the current task.

use core::{
    marker::PhantomData,
    mem::{size_of, MaybeUninit},
};
use kernel::{
    bindings,
    prelude::*,
    transmute::{AsBytes, FromBytes},
    uaccess::{UserPtr, UserSlice},
};

use crate::uapi;

macro_rules! plain {
    ($($type:ident),*) => { $(
        // SAFETY: The type has only fixed-width integers, so any bytes are a valid value.
        unsafe impl FromBytes for uapi::$type {}
        // SAFETY: The type has only fixed-width integers and explicit padding, so all bytes are
        // initialized.
        unsafe impl AsBytes for uapi::$type {}
    )* };
}
plain!(
    Api, Create, Attach, Info, MemberInfo, Enqueue, Wait, Eventfd, Flush, Room, OpenLane,
    CloseLane, Doorbell, OpenMember, NextWatch, Item
);

/// `EINVAL` unless `good`.
pub(crate) fn require(good: bool) -> Result {
    good.then_some(()).ok_or(EINVAL)
}

/// The address of a `T` in the memory of the current task. The address need not be valid.
pub(crate) struct User<T> {
    address: usize,
    _type: PhantomData<T>,
}

impl<T> Clone for User<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for User<T> {}

impl<T> User<T> {
    pub(crate) fn at(address: usize) -> Self {
        Self {
            address,
            _type: PhantomData,
        }
    }

    /// A field of the structure, `offset` bytes from its start.
    pub(crate) fn part<P>(self, offset: usize) -> User<P> {
        User::at(self.address.wrapping_add(offset))
    }

    /// An array of `count` structures.
    fn slice(self, count: usize) -> UserSlice {
        UserSlice::new(UserPtr::from_addr(self.address), count * size_of::<T>())
    }
}

impl<T: FromBytes> User<T> {
    /// Reads a snapshot; `EFAULT` if the structure cannot be read.
    pub(crate) fn read(self) -> Result<T> {
        let mut value = MaybeUninit::uninit();
        self.read_into(&mut value)?;
        // SAFETY: All bytes have been written, and any bytes are a valid `T`.
        Ok(unsafe { value.assume_init() })
    }

    /// Reads a snapshot into `place`; `EFAULT` if the structure cannot be read.
    fn read_into(self, place: &mut MaybeUninit<T>) -> Result {
        // `UserSliceReader::read` would do the same, but it returns the value, and copying it once
        // more costs an ENQUEUE of one item 50 instructions. `tools/machine/count -- ivring-bench
        // smoke counted` counts them. Like that function, this one omits the check of hardened
        // usercopy: the length is a constant, and is the size of `place`.
        //
        // SAFETY: `place` is valid for writes of its size; the user's address may be any.
        let left = unsafe {
            bindings::_copy_from_user(
                place.as_mut_ptr().cast(),
                UserPtr::from_addr(self.address).as_const_ptr(),
                size_of::<T>(),
            )
        };
        (left == 0).then_some(()).ok_or(EFAULT)
    }

    /// Reads a snapshot of an array. If only its first elements can be read, returns these.
    pub(crate) fn read_array(self, into: &mut [MaybeUninit<T>]) -> &mut [T] {
        let count = match into {
            // One item is the most frequent case. Hardened usercopy checks a copy whose length is
            // not constant, which takes 90 instructions.
            [one] => usize::from(self.read_into(one).is_ok()),
            _ => self.read_many(into),
        };
        let read: *mut [MaybeUninit<T>] = &mut into[..count];
        // SAFETY: These elements have been written, any bytes are a valid `T`, and `into` is
        // borrowed for the same lifetime.
        unsafe { &mut *(read as *mut [T]) }
    }

    fn read_many(self, into: &mut [MaybeUninit<T>]) -> usize {
        let bytes = core::mem::size_of_val(into);
        // SAFETY: These are the bytes of `into`, which stays borrowed while `raw` is used.
        let raw = unsafe { core::slice::from_raw_parts_mut(into.as_mut_ptr().cast(), bytes) };
        if self.slice(into.len()).reader().read_raw(raw).is_ok() {
            return into.len();
        }
        let mut number = 0;
        let read = |place: &mut MaybeUninit<T>| {
            let item: Self = self.part(number * size_of::<T>());
            number += 1;
            item.read_into(place).ok()
        };
        into.iter_mut().map_while(read).count()
    }
}

impl<T: AsBytes> User<T> {
    /// Writes the structure; `EFAULT` if it cannot be written completely.
    pub(crate) fn write(self, value: &T) -> Result {
        self.slice(1).writer().write(value)
    }
}

#[kunit_tests(ivring_user)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    #[repr(C)]
    struct Three([u64; 3]);

    // SAFETY: The type is three words, so any bytes are a valid value.
    unsafe impl FromBytes for Three {}
    // SAFETY: The type is three words without padding, so all bytes are initialized.
    unsafe impl AsBytes for Three {}

    #[test]
    fn words() {
        assert_eq!(User::<Three>::at(0).slice(2).reader().len(), 48);
    }

    #[test]
    fn parts() {
        let at = |address| User::<Three>::at(address).part::<Three>(8).address;
        assert_eq!(at(4096), 4104);
        assert_eq!(at(usize::MAX - 7), 0);
    }

    /// No kernel memory is read or written, for any address, including the ends of the address
    /// space.
    #[test]
    fn kernel_addresses() {
        let mine = Three([1, 2, 3]);
        let own: *const Three = &mine;
        for address in [
            own as usize,
            1 << 63,
            usize::MAX - 23,
            usize::MAX - 7,
            usize::MAX,
        ] {
            let user = User::<Three>::at(address);
            assert_eq!(user.read().err(), Some(EFAULT));
            assert_eq!(user.write(&Three([0; 3])), Err(EFAULT));
            let mut array = [MaybeUninit::uninit(); 2];
            assert!(user.read_array(&mut array).is_empty());
        }
        assert!(mine.0 == [1, 2, 3]);
    }

    #[test]
    fn require_good() {
        assert_eq!(require(true), Ok(()));
        assert_eq!(require(false), Err(EINVAL));
    }
}
