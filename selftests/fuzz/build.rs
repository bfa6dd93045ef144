// SPDX-License-Identifier: GPL-2.0

//! A new program in the corpus is a reason to build again.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=corpus");
}
