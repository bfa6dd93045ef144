// SPDX-License-Identifier: GPL-2.0

//! Has the crate take its atomics from the model checker.

fn main() {
    println!("cargo::rustc-cfg=ivring_loom");
    println!("cargo::rerun-if-changed=build.rs");
}
