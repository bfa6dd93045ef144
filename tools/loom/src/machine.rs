// SPDX-License-Identifier: GPL-2.0

//! The machine that the protocol runs on: memory whose words are atomics of loom, and processes that
//! can die.
//!
//! The code under test reaches memory by its address, as it does when it ships. Each word is an
//! atomic of loom, made when it is first used: by the test, before there is more than one process.
//! Words of items are cells of loom, for which it is an error to be read and written, or written
//! twice, without an order between. That is more than that items are not torn.
//!
//! Three things loom does not know of, and they are added here:
//!
//! - **Plain stores.** Items are written by plain stores. Before each step the items are compared
//!   with what they were, and what has changed was written by who makes that step.
//! - **The compiler.** A process can be compiled lazily: then each of its stores comes as late as a
//!   compiler may have it, at the next fence, be it only the compiler's.
//! - **Barriers on other CPUs.** [`barrier_on_all`] interrupts each process that is
//!   [interruptible](Process::interruptible) at some point between two of its steps, and has it
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

/// What there is in one run of a model.
#[derive(Default)]
struct Machine {
    blocks: Vec<Box<[u64]>>,
    words: HashMap<usize, Rc<AtomicU32>>,
    /// Those that several processes write.
    contended: HashSet<usize>,
    items: HashMap<usize, Rc<ItemWord>>,
    running: HashMap<ThreadId, Running>,
    cpus: Vec<Rc<Cpu>>,
}

struct ItemWord {
    cell: UnsafeCell<u64>,
    /// What was last seen there.
    seen: std::cell::Cell<u64>,
}

/// A process that is interruptible.
struct Cpu {
    interrupt: Mutex<Interrupt>,
    changed: Condvar,
}

struct Interrupt {
    wanted: bool,
    runs: bool,
}

/// How a process runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    /// It dies before its step of this number.
    pub dies_at: Option<u32>,
    /// Its stores come as late as a compiler may have them.
    pub lazily_compiled: bool,
    /// Barriers on all CPUs reach it at any point. Nothing is lost if it needs none.
    pub interruptible: bool,
}

struct Running {
    process: Process,
    steps: u32,
    /// System calls that it is in.
    calls: i32,
    /// Stores that are yet to come.
    late: Vec<(usize, u32, Ordering)>,
    cpu: Option<Rc<Cpu>>,
}

// All threads of a model run in one thread of the system.
thread_local! {
    static MACHINE: RefCell<Machine> = RefCell::default();
}

fn with<T>(f: impl FnOnce(&mut Machine) -> T) -> T {
    MACHINE.with_borrow_mut(f)
}

/// Runs `model` in all ways in which its threads can take turns, and with all that its loads can
/// read, up to a bound: so many times a thread is interrupted that could go on. `bound` holds if the
/// environment does not say `LOOM_MAX_PREEMPTIONS`.
pub fn check(bound: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(bound);
    builder.max_branches = 20_000;
    builder.check(move || {
        with(|machine| *machine = Machine::default());
        model();
    });
}

/// Zeroed memory for one run of a model.
pub fn allocate(bytes: usize) -> *mut u8 {
    let block = vec![0u64; bytes.div_ceil(8)].into_boxed_slice();
    with(|machine| machine.blocks.push(block));
    last_block()
}

/// Where the last memory lies that was allocated.
pub fn last_block() -> *mut u8 {
    with(|machine| machine.blocks.last_mut().unwrap().as_mut_ptr().cast())
}

/// Says that items lie there: `words` numbers of 64 bits.
pub fn add_items(first: *mut u64, words: usize) {
    for i in 0..words {
        let word = first.wrapping_add(i);
        let item = ItemWord {
            cell: UnsafeCell::new(0),
            seen: 0.into(),
        };
        with(|machine| machine.items.insert(word as usize, Rc::new(item)));
    }
}

/// Says that several processes write a word, some of them by exchanges.
///
/// Where stores and exchanges of one word meet, loom 0.7 lets two exchanges find the same value. Its
/// order of the stores is a partial one, in which each becomes the successor of the last if all are
/// exchanges. A load may be as old as before.
pub fn set_contended(word: *mut u32) {
    with(|machine| machine.contended.insert(word as usize));
}

/// Runs a process to its end; `None` if it has died.
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
    // A process that starts has passed a barrier, as one that sleeps has.
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

/// How a process unwinds that dies.
struct Dead;

/// The process goes to sleep, in the kernel, and `f` returns when it has been woken. Who sleeps has
/// passed a full barrier, and need not be interrupted.
pub fn sleep<T>(f: impl FnOnce() -> T) -> T {
    come_late();
    let cpu = cpu();
    cpu.as_ref().inspect(|cpu| cpu.set_runs(false));
    let value = f();
    cpu.inspect(|cpu| cpu.set_runs(true));
    value
}

/// A system call, until this goes out of scope. The compiler puts nothing off until after it, and who
/// dies in it dies when it returns.
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

/// Takes note of what the current process has written by plain stores.
fn notice() {
    let changed: Vec<_> = with(|machine| {
        let items = machine.items.iter();
        // SAFETY: the items lie in blocks of the machine, and only this thread runs.
        let items = items.map(|(at, item)| (item, unsafe { (*at as *const u64).read() }));
        let changed = items.filter(|(item, now)| item.seen.get() != *now);
        changed.map(|(item, now)| (item.clone(), now)).collect()
    });
    for (item, now) in changed {
        item.seen.set(now);
        // SAFETY: loom sees to it that nobody else uses it.
        item.cell.with_mut(|value| unsafe { value.write(now) });
    }
}

/// One step of the current process begins. It may die instead.
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

/// What the compiler may have put off is done.
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

/// Loads a word.
pub fn load(at: *mut u32, order: Ordering) -> u32 {
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

/// Stores `new` if the word is `old`, or whatever it is. Fully ordered as the kernel's are, or not at
/// all. Returns what the word was.
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

/// Makes something else of a word. Fully ordered as the kernel's operations are, or not at all. Returns
/// what the word was.
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
    // SAFETY: loom sees to it that nobody writes it.
    item.cell.with(|value| unsafe { value.read() })
}

/// A fence.
pub fn fence(order: Ordering) {
    step();
    // Nothing that comes before an acquire fence, but loads, is held back by it.
    if order != Ordering::Acquire {
        come_late();
    }
    loom_fence(order);
}

/// A fence for the compiler alone.
pub fn compiler_fence(_: Ordering) {
    step();
    come_late();
}

/// Has all processes that are interruptible, and this one, pass a full fence, each at some point
/// between two steps of its own.
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
