// SPDX-License-Identifier: MIT OR Apache-2.0

//! Compiles the C library, and what leads to it.

use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let (library, uapi) = (Path::new("../libivring"), Path::new("../../include/uapi"));
    let mut build = cc::Build::new();
    build
        .file("c/shim.c")
        .include(library)
        .include(library.join("include"))
        .include(uapi);
    let folders = [
        "", "os", "protocol", "send", "receive", "payload", "dispatch",
    ];
    for folder in folders.map(|folder| library.join(folder)) {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "c") {
                build.file(path);
            }
        }
    }
    build
        .define("_GNU_SOURCE", None)
        .std("gnu11")
        .compile("ivring-bench");
    for path in [Path::new("c"), library, uapi] {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    Ok(())
}
