// SPDX-License-Identifier: GPL-2.0

//! Reads from the module's file where KCOV records coverage, and which source lines these places
//! have.
//!
//! A compiler that builds for KCOV calls `__sanitizer_cov_trace_pc()` at the beginning of each
//! basic block, except for blocks that others imply. KCOV records the return address of the call.
//! All code from one such call to the next in memory is taken for one block here. So a line counts
//! as reached if it shares a block with reached code, even if it was jumped over; and a line of a
//! block that the compiler has moved may count with the wrong block.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use gimli::{EndianSlice, LittleEndian};
use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionIndex, SymbolKind};

const CALLED: &str = "__sanitizer_cov_trace_pc";
/// Sections other than the code are assumed to begin behind this address, this far apart.
const ELSEWHERE: u64 = 1 << 40;

/// A file of the module's source, and a line.
pub type Line = (String, u32);

#[derive(Debug)]
pub struct Block {
    /// The address that KCOV records, from the start of the code.
    pub address: u64,
    pub function: String,
    /// Empty if the module has no debug information.
    pub lines: BTreeSet<Line>,
}

/// The blocks of the module's code, in the order of their addresses.
pub struct Image {
    pub blocks: Vec<Block>,
}

impl Image {
    pub fn read(path: &Path) -> Result<Self> {
        let data = fs::read(path).with_context(|| path.display().to_string())?;
        let file = object::File::parse(&*data)?;
        let text = file
            .section_by_name(".text")
            .context("the module has no code")?;

        // Each call, and the function that contains it.
        let mut sites = Vec::new();
        for (offset, relocation) in text.relocations() {
            let RelocationTarget::Symbol(index) = relocation.target() else {
                continue;
            };
            if file.symbol_by_index(index)?.name() == Ok(CALLED) {
                // The address in the call instruction is its last four bytes.
                sites.push(offset + 4);
            }
        }
        sites.sort_unstable();
        let mut functions: Vec<_> = file
            .symbols()
            .filter(|symbol| {
                symbol.kind() == SymbolKind::Text && symbol.section_index() == Some(text.index())
            })
            .map(|symbol| {
                (
                    symbol.address(),
                    symbol.address() + symbol.size(),
                    symbol.name().unwrap_or("?"),
                )
            })
            .collect();
        functions.sort_unstable();

        let unused = unused(&file, text.index())?;
        let rows = rows(&file, text.index())?;
        let mut blocks = Vec::new();
        for (index, &address) in sites.iter().enumerate() {
            let at = functions.partition_point(|&(start, ..)| start < address);
            let (start, end, name) = *functions[..at]
                .last()
                .context("code before the first function")?;
            let function = format!("{:#}", rustc_demangle::demangle(name));
            // KUnit runs its code when the module is loaded. A copy of a function that was inlined
            // everywhere never runs.
            if function.contains("::tests::") || unused.contains(&start) {
                continue;
            }
            let is_first = index == 0 || sites[index - 1] < start;
            let begin = if is_first { start } else { address };
            let end = sites.get(index + 1).map_or(end, |&next| next.min(end));
            let first = rows.partition_point(|row| row.end <= begin);
            let inside = rows[first..].iter().take_while(|row| row.begin < end);
            blocks.push(Block {
                address,
                function,
                lines: inside.filter_map(|row| row.line.clone()).collect(),
            });
        }
        Ok(Self { blocks })
    }
}

/// The addresses of functions that have a public name and that nobody uses.
fn unused(file: &object::File<'_>, text: SectionIndex) -> Result<BTreeSet<u64>> {
    let mut unused = BTreeSet::new();
    let mut used = BTreeSet::new();
    for symbol in file
        .symbols()
        .filter(|symbol| symbol.section_index() == Some(text))
    {
        if symbol.is_global() && symbol.kind() == SymbolKind::Text {
            unused.insert(symbol.address());
        }
    }
    // References from code and data. Tables for the unwinder and the like refer to everything.
    let names = [
        ".text",
        ".init.text",
        ".exit.text",
        ".data",
        ".rodata",
        ".gnu.linkonce",
    ];
    for section in file.sections() {
        let name = section.name()?;
        if !names.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        for (_, relocation) in section.relocations() {
            if let RelocationTarget::Symbol(index) = relocation.target() {
                let symbol = file.symbol_by_index(index)?;
                if symbol.section_index() == Some(text) {
                    used.insert(symbol.address());
                }
            }
        }
    }
    unused.retain(|address| !used.contains(address));
    Ok(unused)
}

/// The code of one line; `None` if the line is not in the module's own source.
struct Row {
    begin: u64,
    end: u64,
    line: Option<Line>,
}

/// The lines of the code, in the order of their addresses.
fn rows(file: &object::File<'_>, text: SectionIndex) -> Result<Vec<Row>> {
    let load = |id: gimli::SectionId| section(file, id.name(), text);
    let sections = gimli::DwarfSections::load(load)?;
    let dwarf = sections.borrow(|section| EndianSlice::new(section, LittleEndian));
    let mut rows = Vec::new();
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        let unit = dwarf.unit(header)?;
        let Some(program) = unit.line_program.clone() else {
            continue;
        };
        let mut names: BTreeMap<u64, Option<String>> = BTreeMap::new();
        let mut lines = program.rows();
        let mut last: Option<(u64, Option<Line>)> = None;
        while let Some((header, row)) = lines.next_row()? {
            if let Some((begin, line)) = last.take() {
                if begin < row.address() && begin < ELSEWHERE {
                    rows.push(Row {
                        begin,
                        end: row.address(),
                        line,
                    });
                }
            }
            if row.end_sequence() {
                continue;
            }
            let name = match names.get(&row.file_index()) {
                Some(name) => name.clone(),
                None => {
                    let mut path = PathBuf::new();
                    if let Some(file) = row.file(header) {
                        if let Some(directory) = file.directory(header) {
                            path.push(
                                dwarf
                                    .attr_string(&unit, directory)?
                                    .to_string_lossy()
                                    .as_ref(),
                            );
                        }
                        path.push(
                            dwarf
                                .attr_string(&unit, file.path_name())?
                                .to_string_lossy()
                                .as_ref(),
                        );
                    }
                    let name = own(&path);
                    names.insert(row.file_index(), name.clone());
                    name
                }
            };
            let line = row
                .line()
                .and_then(|line| Some((name?, u32::try_from(line.get()).ok()?)));
            last = Some((row.address(), line));
        }
    }
    rows.sort_by_key(|row| row.begin);
    Ok(rows)
}

/// The folders of the kernel's own `rust/` whose code is compiled into modules.
const OF_KERNEL: [&str; 4] = ["bindings", "helpers", "kernel", "pin-init"];

/// The name of a file of the module: its path from `rust/` on.
fn own(path: &Path) -> Option<String> {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    let start = parts.iter().rposition(|part| part == "rust")?;
    let own = !OF_KERNEL.contains(&parts.get(start + 1)?.as_ref());
    own.then(|| parts[start..].join("/"))
}

/// A section with debug information, with its addresses relocated; empty if there is none.
fn section<'a>(file: &object::File<'a>, name: &str, text: SectionIndex) -> Result<Cow<'a, [u8]>> {
    let Some(section) = file.section_by_name(name) else {
        return Ok(Cow::Borrowed(&[]));
    };
    let mut data = section.data()?.to_vec();
    for (offset, relocation) in section.relocations() {
        let RelocationTarget::Symbol(index) = relocation.target() else {
            continue;
        };
        let symbol = file.symbol_by_index(index)?;
        let base = match symbol.section_index() {
            Some(section) if section != text && !is_debug(file, section) => {
                ELSEWHERE * section.0 as u64
            }
            _ => 0,
        };
        let value = base
            .wrapping_add(symbol.address())
            .wrapping_add_signed(relocation.addend());
        let (offset, size) = (offset as usize, usize::from(relocation.size() / 8));
        let place = data
            .get_mut(offset..offset + size)
            .context("a relocation past the end")?;
        place.copy_from_slice(&value.to_le_bytes()[..size]);
    }
    Ok(Cow::Owned(data))
}

fn is_debug(file: &object::File<'_>, section: SectionIndex) -> bool {
    file.section_by_index(section)
        .is_ok_and(|section| section.name().is_ok_and(|name| name.starts_with(".debug_")))
}
