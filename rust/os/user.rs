// SPDX-License-Identifier: GPL-2.0

//! Structures in the memory of the current task.
//!
//! They are small, and a call copies two or three of them: word by word that takes a third of the
//! time that the kernel's `copy_from_user()` needs, which is made for more.

use core::{
    marker::PhantomData,
    mem::{size_of, MaybeUninit},
};
use kernel::prelude::*;

/// What a structure is copied by.
type Word = u64;

extern "C" {
    /// In `helpers.c`: how many words were copied, from the first on.
    fn ivring_read_words(to: *mut Word, from: usize, count: usize) -> usize;
    /// In `helpers.c`: the same, and then how many of the last `touch` words could be written again.
    fn ivring_touch_words(to: *mut Word, from: usize, count: usize, touch: usize) -> usize;
    /// In `helpers.c`: as the first, in the other direction.
    fn ivring_write_words(to: usize, from: *const Word, count: usize) -> usize;
}

/// A structure of `include/uapi/linux/ivring.h`.
///
/// # Safety
///
/// It is a multiple of [`Word`] long, has no padding, and any bytes make one.
pub(crate) unsafe trait Plain: Copy {}

/// A `T` in the memory of the current task.
#[derive(Clone, Copy)]
pub(crate) struct User<T> {
    address: usize,
    _type: PhantomData<T>,
}

impl<T: Plain> User<T> {
    const WORDS: usize = {
        assert!(size_of::<T>() % size_of::<Word>() == 0);
        size_of::<T>() / size_of::<Word>()
    };

    /// At any address, good or bad.
    pub(crate) fn at(address: usize) -> Self {
        Self {
            address,
            _type: PhantomData,
        }
    }

    /// A part of it, `offset` bytes from its start.
    pub(crate) fn part<P: Plain>(self, offset: usize) -> User<P> {
        User::at(self.address.wrapping_add(offset))
    }

    /// A snapshot of it; `EFAULT` if it cannot be read.
    pub(crate) fn read(self) -> Result<T> {
        let mut value = [MaybeUninit::uninit()];
        self.read_array(&mut value).first().copied().ok_or(EFAULT)
    }

    /// A snapshot of it, and whether what ends it, a `P`, can be written as well.
    pub(crate) fn read_and_touch<P: Plain>(self) -> Result<(T, bool)> {
        let mut value = MaybeUninit::<T>::uninit();
        let to = value.as_mut_ptr().cast();
        // SAFETY: `to` is valid for writes of as many words; the address may be any.
        let words = unsafe { ivring_touch_words(to, self.address, Self::WORDS, User::<P>::WORDS) };
        if words < Self::WORDS {
            return Err(EFAULT);
        }
        // SAFETY: All of it has been written, and any bytes make a `T`.
        let value = unsafe { value.assume_init() };
        Ok((value, words == Self::WORDS + User::<P>::WORDS))
    }

    /// A snapshot of an array of them: of as many as can be read, from the first on.
    pub(crate) fn read_array(self, into: &mut [MaybeUninit<T>]) -> &mut [T] {
        let count = into.len() * Self::WORDS;
        let to = into.as_mut_ptr().cast();
        // SAFETY: `to` is valid for writes of `count` words; the address may be any.
        let words = unsafe { ivring_read_words(to, self.address, count) };
        let read: *mut [MaybeUninit<T>] = &mut into[..words / Self::WORDS];
        // SAFETY: These have been written, any bytes make a `T`, and `into` is borrowed for as long.
        unsafe { &mut *(read as *mut [T]) }
    }

    /// Writes it; `EFAULT` if that cannot be done, or not to its end.
    pub(crate) fn write(self, value: &T) -> Result {
        let from: *const T = value;
        // SAFETY: `from` is valid for reads of as many words, all initialized; the address may be
        // any.
        let words = unsafe { ivring_write_words(self.address, from.cast(), Self::WORDS) };
        (words == Self::WORDS).then_some(()).ok_or(EFAULT)
    }
}

#[kunit_tests(ivring_user)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    #[repr(C)]
    struct Three([u64; 3]);

    // SAFETY: Three words.
    unsafe impl Plain for Three {}

    #[test]
    fn words() {
        assert_eq!(User::<Three>::WORDS, 3);
    }

    #[test]
    fn parts() {
        let at = |address| User::<Three>::at(address).part::<Three>(8).address;
        assert_eq!(at(4096), 4104);
        assert_eq!(at(usize::MAX - 7), 0);
    }

    /// Nothing of the kernel is read or written, whatever the address and however near its ends.
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
            assert_eq!(user.read_and_touch::<Three>().err(), Some(EFAULT));
            assert_eq!(user.write(&Three([0; 3])), Err(EFAULT));
            let mut array = [MaybeUninit::uninit(); 2];
            assert!(user.read_array(&mut array).is_empty());
        }
        assert!(mine.0 == [1, 2, 3]);
    }
}
