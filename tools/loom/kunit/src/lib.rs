// SPDX-License-Identifier: GPL-2.0

//! The attribute of the module's unit tests, which run in the kernel alone.

use proc_macro::TokenStream;

/// Leaves the tests out, as the kernel's does without `CONFIG_KUNIT`.
#[proc_macro_attribute]
pub fn kunit_tests(_: TokenStream, _: TokenStream) -> TokenStream {
    TokenStream::new()
}
