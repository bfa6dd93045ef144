// SPDX-License-Identifier: GPL-2.0

//! Makes the crate use the atomics of the model checker.

fn main() {
    println!("cargo::rustc-cfg=ivring_loom");
    println!("cargo::rerun-if-changed=build.rs");
}
