// SPDX-License-Identifier: GPL-2.0

//! The machine on which the protocol runs: memory whose words are atomics of loom, and processes
//! that can die.
//!
//! The code under test accesses memory by its address, as it does when it ships. Each word is an
//! atomic of loom, which the test makes before there is a second process. The sequence of an item
//! is such a word. The other words of items are cells of loom. Loom reports an error if a cell is
//! read and written, or written twice, without an order between the accesses. This is stricter than
//! a check for torn items.
//!
//! Loom does not support three things, which are added here:
//!
//! - **Plain stores.** Items are written by plain stores. Before each step the items are compared
//!   with their old values, and the process that makes the step counts as the writer of each
//!   change.
//! - **The compiler.** A process can be compiled lazily: then each of its stores is delayed as long
//!   as a compiler may delay it, until the next fence, which may be a compiler fence.
//! - **Barriers on other CPUs.** [`barrier_on_all`] interrupts each process that is
//!   [interruptible](Process::interruptible) at some point between two of its steps, and makes it
//!   pass a full fence there.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, fence as loom_fence};
use loom::sync::{Condvar, Mutex};
use loom::thread::{ThreadId, current};

/// The state of one run of a model.
#[derive(Default)]
struct Machine {
    blocks: Vec<Box<[u64]>>,
    words: HashMap<usize, Rc<AtomicU32>>,
    /// The words that several processes write.
    contended: HashSet<usize>,
    items: HashMap<usize, Rc<ItemWord>>,
    running: HashMap<ThreadId, Running>,
    cpus: Vec<Rc<Cpu>>,
}

struct ItemWord {
    cell: UnsafeCell<u64>,
    /// The value at the last comparison.
    seen: std::cell::Cell<u64>,
    /// Whether the word has 32 bits instead of 64.
    is_half: bool,
}

impl ItemWord {
    /// The value in memory.
    ///
    /// # Safety
    ///
    /// The word is at this address.
    unsafe fn read(&self, at: usize) -> u64 {
        if self.is_half {
            // SAFETY: the caller guarantees that the word is there, and it has 32 bits.
            unsafe { (at as *const u32).read() }.into()
        } else {
            // SAFETY: the caller guarantees that the word is there, and it has 64 bits.
            unsafe { (at as *const u64).read() }
        }
    }
}

/// The CPU of an interruptible process.
struct Cpu {
    interrupt: Mutex<Interrupt>,
    changed: Condvar,
}

struct Interrupt {
    wanted: bool,
    runs: bool,
}

/// Options of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    /// The process dies before its step with this number.
    pub dies_at: Option<u32>,
    /// Stores are delayed as long as a compiler may delay them.
    pub lazily_compiled: bool,
    /// Barriers on all CPUs may interrupt it at any point. A process that needs none may omit this.
    pub interruptible: bool,
}

struct Running {
    process: Process,
    steps: u32,
    /// The depth of system calls that the process is in.
    calls: i32,
    /// Delayed stores.
    late: Vec<(usize, u32, Ordering)>,
    cpu: Option<Rc<Cpu>>,
}

// All threads of a model run in one thread of the operating system.
thread_local! {
    static MACHINE: RefCell<Machine> = RefCell::default();
}

fn with<T>(f: impl FnOnce(&mut Machine) -> T) -> T {
    MACHINE.with_borrow_mut(f)
}

/// Runs `model` with all interleavings of its threads, and all values that its loads may read, up
/// to a bound: the number of times that a thread is preempted although it could continue. `bound`
/// applies unless `LOOM_MAX_PREEMPTIONS` is set in the environment.
pub fn check(bound: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(bound);
    builder.max_branches = 20_000;
    builder.check(move || {
        with(|machine| *machine = Machine::default());
        model();
    });
}

/// Allocates zeroed memory for one run of a model, in bytes.
pub fn allocate(bytes: usize) -> *mut u8 {
    let block = vec![0u64; bytes.div_ceil(8)].into_boxed_slice();
    with(|machine| machine.blocks.push(block));
    last_block()
}

/// The address of the memory that was allocated last.
pub fn last_block() -> *mut u8 {
    with(|machine| machine.blocks.last_mut().unwrap().as_mut_ptr().cast())
}

/// Declares that words of items begin at this address. Each word has 64 bits.
pub fn add_item_words(first: *mut u64, words: usize) {
    for i in 0..words {
        add_item_word(first.wrapping_add(i) as usize, false);
    }
}

/// Declares that a word of an item is at this address. The word has 32 bits.
pub fn add_half_item_word(word: *mut u32) {
    add_item_word(word as usize, true);
}

fn add_item_word(at: usize, is_half: bool) {
    let word = ItemWord {
        cell: UnsafeCell::new(0),
        seen: 0.into(),
        is_half,
    };
    with(|machine| machine.items.insert(at, Rc::new(word)));
}

/// Declares that several processes write a word, some of them by exchanges.
///
/// If stores and exchanges of one word compete, loom 0.7 lets two exchanges find the same value,
/// because its order of stores is only partial. If all writes are exchanges, each becomes the
/// successor of the last one. Loads may still return old values.
pub fn set_contended(word: *mut u32) {
    with(|machine| machine.contended.insert(word as usize));
}

/// Runs a process to its end. `None` if it has died.
pub fn run<T>(process: Process, f: impl FnOnce() -> T) -> Option<T> {
    let cpu = process.interruptible.then(|| {
        Rc::new(Cpu {
            interrupt: Mutex::new(Interrupt {
                wanted: false,
                runs: false,
            }),
            changed: Condvar::new(),
        })
    });
    with(|machine| {
        machine.cpus.extend(cpu.clone());
        let running = Running {
            process,
            steps: 0,
            calls: 0,
            late: Vec::new(),
            cpu: cpu.clone(),
        };
        machine.running.insert(current().id(), running);
    });
    // A process has passed a barrier when it starts, as after a sleep.
    cpu.as_ref().inspect(|cpu| cpu.set_runs(true));
    let result = catch_unwind(AssertUnwindSafe(f));
    if result.is_ok() {
        come_late();
    }
    notice();
    with(|machine| machine.running.remove(&current().id()));
    cpu.inspect(|cpu| cpu.set_runs(false));
    match result {
        Ok(value) => Some(value),
        Err(panic) if panic.is::<Dead>() => None,
        Err(panic) => resume_unwind(panic),
    }
}

/// The panic payload of a process that dies.
struct Dead;

/// The process goes to sleep in the kernel. `f` returns when it has been woken. A sleeping process
/// has passed a full barrier, and need not be interrupted.
pub fn sleep<T>(f: impl FnOnce() -> T) -> T {
    come_late();
    let cpu = cpu();
    cpu.as_ref().inspect(|cpu| cpu.set_runs(false));
    let value = f();
    cpu.inspect(|cpu| cpu.set_runs(true));
    value
}

/// A system call, until this goes out of scope. The compiler delays no stores past its begin. A
/// process that dies in it dies when it returns.
#[must_use = "it ends at once"]
pub fn system_call() -> SystemCall {
    step();
    come_late();
    add_calls(1);
    SystemCall
}

/// See [`system_call`].
#[derive(Debug)]
pub struct SystemCall;

impl Drop for SystemCall {
    fn drop(&mut self) {
        add_calls(-1);
    }
}

fn add_calls(more: i32) {
    with(|machine| {
        let running = machine.running.get_mut(&current().id());
        running
            .into_iter()
            .for_each(|running| running.calls += more);
    });
}

fn cpu() -> Option<Rc<Cpu>> {
    with(|machine| machine.running.get(&current().id())?.cpu.clone())
}

/// Finds what the current process has written by plain stores.
fn notice() {
    let changed: Vec<_> = with(|machine| {
        let items = machine.items.iter();
        // SAFETY: the items lie in blocks of the machine, and only this thread runs.
        let items = items.map(|(at, item)| (item, unsafe { item.read(*at) }));
        let changed = items.filter(|(item, now)| item.seen.get() != *now);
        changed.map(|(item, now)| (item.clone(), now)).collect()
    });
    for (item, now) in changed {
        item.seen.set(now);
        // SAFETY: loom reports an error if another thread accesses the cell at the same time.
        item.cell.with_mut(|value| unsafe { value.write(now) });
    }
}

/// Begins a step of the current process. The process may die instead.
fn step() {
    notice();
    let dies = with(|machine| {
        let Some(running) = machine.running.get_mut(&current().id()) else {
            return false;
        };
        running.steps += u32::from(running.calls == 0);
        running.calls == 0 && running.process.dies_at == Some(running.steps)
    });
    if dies {
        resume_unwind(Box::new(Dead));
    }
}

/// Executes the stores that the compiler has delayed.
fn come_late() {
    loop {
        let store = with(|machine| {
            let running = machine.running.get_mut(&current().id())?;
            (!running.late.is_empty()).then(|| running.late.remove(0))
        });
        let Some((at, value, order)) = store else {
            break;
        };
        store_now(at, value, order);
    }
}

fn word(at: usize) -> Rc<AtomicU32> {
    if let Some(word) = with(|machine| machine.words.get(&at).cloned()) {
        return word;
    }
    let word = Rc::new(AtomicU32::new(0));
    with(|machine| machine.words.insert(at, word.clone()));
    word
}

/// Loads a word, which may be a word of an item.
pub fn load(at: *mut u32, order: Ordering) -> u32 {
    if with(|machine| machine.items.contains_key(&(at as usize))) {
        // CAST: It has 32 bits.
        return load_item(at.cast()) as u32;
    }
    step();
    let late = with(|machine| {
        let running = machine.running.get(&current().id())?;
        let mut stores = running.late.iter().rev();
        stores.find(|store| store.0 == at as usize).copied()
    });
    if let Some((_, value, _)) = late {
        return value;
    }
    be_interrupted();
    word(at as usize).load(order)
}

/// Stores a word.
pub fn store(at: *mut u32, value: u32, order: Ordering) {
    step();
    let at = at as usize;
    let is_late = with(|machine| match machine.running.get_mut(&current().id()) {
        Some(running) if running.process.lazily_compiled && running.calls == 0 => {
            running.late.push((at, value, order));
            true
        }
        _ => false,
    });
    if !is_late {
        store_now(at, value, order);
    }
}

fn store_now(at: usize, value: u32, order: Ordering) {
    be_interrupted();
    if with(|machine| machine.contended.contains(&at)) {
        word(at).swap(value, order);
    } else {
        word(at).store(value, order);
    }
}

/// Stores `new` if the word is `old`, or always if `old` is `None`. Fully ordered like the kernel's
/// operations if `ordered`, otherwise relaxed. Returns the old value.
pub fn exchange(at: *mut u32, old: Option<u32>, new: u32, ordered: bool) -> u32 {
    step();
    come_late();
    let order = |order| if ordered { order } else { Ordering::Relaxed };
    let (success, failure) = (order(Ordering::AcqRel), order(Ordering::Acquire));
    let word = word(at as usize);
    if ordered {
        loom_fence(Ordering::SeqCst);
    }
    let result = word.fetch_update(success, failure, |now| {
        old.is_none_or(|old| old == now).then_some(new)
    });
    if ordered {
        loom_fence(Ordering::SeqCst);
    }
    result.unwrap_or_else(|now| now)
}

/// Replaces the word's value by the result of `make`. Fully ordered like the kernel's operations if
/// `ordered`, otherwise relaxed. Returns the old value.
pub fn update(at: *mut u32, ordered: bool, make: impl Fn(u32) -> u32) -> u32 {
    step();
    come_late();
    let word = word(at as usize);
    if ordered {
        loom_fence(Ordering::SeqCst);
    }
    let order = if ordered {
        Ordering::AcqRel
    } else {
        Ordering::Relaxed
    };
    let result = word.fetch_update(order, Ordering::Relaxed, |now| Some(make(now)));
    if ordered {
        loom_fence(Ordering::SeqCst);
    }
    result.unwrap_or_else(|now| now)
}

/// Loads a word of an item.
pub fn load_item(at: *mut u64) -> u64 {
    step();
    let item = with(|machine| machine.items[&(at as usize)].clone());
    // SAFETY: loom reports an error if another thread writes the cell at the same time.
    item.cell.with(|value| unsafe { value.read() })
}

/// A fence.
pub fn fence(order: Ordering) {
    step();
    // Earlier stores need not be executed before an acquire fence.
    if order != Ordering::Acquire {
        come_late();
    }
    loom_fence(order);
}

/// A fence for the compiler only.
pub fn compiler_fence(_: Ordering) {
    step();
    come_late();
}

/// Makes all interruptible processes, and this one, pass a full fence, each at some point between
/// two of its own steps.
pub fn barrier_on_all() {
    step();
    come_late();
    loom_fence(Ordering::SeqCst);
    for cpu in with(|machine| machine.cpus.clone()) {
        let mut interrupt = cpu.interrupt.lock().unwrap();
        interrupt.wanted = interrupt.runs;
        while interrupt.wanted {
            interrupt = cpu.changed.wait(interrupt).unwrap();
        }
    }
    loom_fence(Ordering::SeqCst);
}

fn be_interrupted() {
    cpu().inspect(|cpu| cpu.pass(&mut cpu.interrupt.lock().unwrap()));
}

impl Cpu {
    fn pass(&self, interrupt: &mut Interrupt) {
        if interrupt.wanted {
            loom_fence(Ordering::SeqCst);
            interrupt.wanted = false;
            self.changed.notify_all();
        }
    }

    fn set_runs(&self, runs: bool) {
        let mut interrupt = self.interrupt.lock().unwrap();
        loom_fence(Ordering::SeqCst);
        interrupt.runs = runs;
        self.pass(&mut interrupt);
    }
}
