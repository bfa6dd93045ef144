// SPDX-License-Identifier: MIT OR Apache-2.0

//! Makes the C compiler check that `ivring::abi`, which is also the module's, agrees with the
//! header.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::mem::{offset_of, size_of};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use ivring::abi::*;

fn include_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../include/uapi")
}

/// A C file of assertions, and the names in them.
#[derive(Default)]
struct Assertions {
    text: String,
    names: Vec<String>,
}

impl Assertions {
    fn equal(&mut self, c: &str, rust: u64) {
        writeln!(self.text, "_Static_assert(({c}) == {rust}ull, \"{c}\");").unwrap();
    }

    fn constant(&mut self, name: &str, rust: u64) {
        self.equal(&format!("IVRING_{name}"), rust);
        self.names.push(format!("IVRING_{name}"));
    }
}

macro_rules! constants {
    ($to:ident: $($name:ident)*) => { $($to.constant(stringify!($name), $name as u64);)* };
}

/// The size of a struct, and the offset and the size of each of its fields. `[]` marks a field that
/// is an array without a length.
macro_rules! layout {
    ($to:ident: $c:literal $rust:ident { $($field:ident)* } $([$last:ident])?) => {
        let name = concat!("struct ", $c);
        $to.equal(&format!("sizeof({name})"), size_of::<$rust>() as u64);
        $to.names.push(name.to_string());
        let mut end = 0;
        $(
            let (field, offset) = (stringify!($field), offset_of!($rust, $field));
            assert_eq!(offset, end, "a gap before {name}.{field}");
            let size = field_size(|it: &$rust| &raw const it.$field);
            end = offset + size;
            $to.equal(&format!("__builtin_offsetof({name}, {field})"), offset as u64);
            $to.equal(&format!("sizeof((({name} *)0)->{field})"), size as u64);
        )*
        assert_eq!(end, size_of::<$rust>(), "padding, or a field left out, at the end of {name}");
        $(
            let (field, offset) = (stringify!($last), offset_of!($rust, $last));
            $to.equal(&format!("__builtin_offsetof({name}, {field})"), offset as u64);
        )?
    };
}

fn field_size<S, F>(_: impl FnOnce(&S) -> *const F) -> usize {
    size_of::<F>()
}

fn assertions() -> Assertions {
    let mut to = Assertions::default();

    constants!(to: API_VERSION FEATURE_INBOX FEATURE_EVENTFD FEATURE_LANES FEATURE_DELAY);
    constants!(to: FEATURE_WATCH ENQUEUE_WATCH FLUSH_WATCH WATCH_LANE);
    constants!(to: MAX_SLOTS MIN_INBOX_ENTRIES MAX_INBOX_ENTRIES MIN_LANE_ENTRIES);
    constants!(to: MAX_LANE_ENTRIES MIN_OUTBOX_BYTES MAX_OUTBOX_BYTES MAX_BATCH NAME_SIZE);
    constants!(to: INLINE_BYTES MAX_WAKE_DELAY_US ID_ANY DEADLINE_NEVER ITEM_REPLY);
    constants!(to: ITEM_REQUEST ITEM_REFUSED ITEM_FLAGS CREATE_PROCESS ATTACH_PROCESS OPEN_LANE_WAIT);
    constants!(to: MAP_SHIFT MAGIC BUSY IDLE BUSY_UNFENCED DELAYED GONE);
    constants!(to: CREATE_ATTACH ENQUEUE_WAIT WAIT_MEMBERS WAIT_ARMED EVENT_ITEMS EVENT_MEMBERS);
    constants!(to: CREATE_NO_LANES ATTACH_NO_LANES FLUSH_LANE IOC_MAGIC);

    layout!(to: "ivring_item" Item {
        sequence port from flags inline_len from_gen offset length cookie data
    });
    layout!(to: "ivring_region_area" RegionArea {
        magic version slots inbox_entries outbox_bytes members reserved
    } [generation]);
    layout!(to: "ivring_ring_area" RingArea {
        room_wanted room_at pad
    } [item]);
    layout!(to: "ivring_lane_info" LaneInfo { generation entries });
    layout!(to: "ivring_lanes" Lanes { changes woken pad0 } [lane]);
    layout!(to: "ivring_lane_end" LaneEnd { consumer closed pad0 });
    layout!(to: "ivring_member_area" MemberArea {
        state wake_items wake_delay_us pad0 inbox_consumer pad1 members_seen
        max_lane_entries members_wanted pad2 quiet pad3
    } [lane]);
    layout!(to: "ivring_api" Api {
        version max_slots features max_inbox_entries max_batch max_outbox_bytes
        max_lane_entries reserved
    });
    layout!(to: "ivring_create" Create { flags slots inbox_entries mode outbox_bytes name });
    layout!(to: "ivring_attach" Attach { flags region_fd id generation name });
    layout!(to: "ivring_info" Info {
        slots inbox_entries outbox_bytes id generation attached mode uid gid name
    });
    layout!(to: "ivring_stats" Stats {
        items_in items_out rung suppressed spurious full waits room delayed pointless
    });
    layout!(to: "ivring_member_info" MemberInfo { id generation uid reserved stats });
    layout!(to: "ivring_enqueue" Enqueue {
        id generation count flags items deadline done position rung watch
    });
    layout!(to: "ivring_wait" Wait { flags events deadline });
    layout!(to: "ivring_flush" Flush { id generation position flags deadline });
    layout!(to: "ivring_next_watch" NextWatch { id generation flags reserved });
    layout!(to: "ivring_room" Room { from flags });
    layout!(to: "ivring_open_lane" OpenLane { id generation entries flags deadline });
    layout!(to: "ivring_close_lane" CloseLane { from generation });
    layout!(to: "ivring_doorbell" Doorbell { id generation });
    layout!(to: "ivring_eventfd" Eventfd { fd flags });
    layout!(to: "ivring_open_member" OpenMember { id generation });
    constants!(to: MAP_REGION MAP_INBOX MAP_MEMBER MAP_OUTBOX);
    constants!(to: IOC_API IOC_CREATE IOC_ATTACH IOC_INFO IOC_MEMBER_INFO IOC_ENQUEUE IOC_WAIT);
    constants!(to: IOC_EVENTFD IOC_ROOM IOC_FLUSH IOC_OPEN_LANE IOC_CLOSE_LANE IOC_DOORBELL);
    constants!(to: IOC_FENCE IOC_OPEN_MEMBER IOC_NEXT_WATCH);

    let mut function = |name: &str, arguments: &[u32], rust: fn(u32) -> u64| {
        for &argument in arguments {
            to.equal(&format!("IVRING_{name}({argument})"), rust(argument));
        }
        to.names.push(format!("IVRING_{name}"));
    };
    let ids = [0, 1, MAX_SLOTS - 1];
    function("MAP_LANE_TO", &ids, map_lane_to);
    function("MAP_LANE_FROM", &ids, map_lane_from);
    function("LANES_OFFSET", &[2, MAX_INBOX_ENTRIES], lanes_offset);
    to
}

/// The errors of the C compiler for `text`; `None` if there are none.
fn compile(text: &str) -> Option<String> {
    let cc = std::env::var("CC").unwrap_or("cc".to_string());
    let mut cc = Command::new(cc)
        .args(["-std=c11", "-fsyntax-only", "-Wall", "-Werror", "-xc", "-"])
        .arg("-I")
        .arg(include_dir())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a C compiler");
    let mut stdin = cc.stdin.take().unwrap();
    writeln!(stdin, "#include <linux/ivring.h>\n{text}").unwrap();
    drop(stdin);
    let output = cc.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then_some(said)
}

#[test]
fn layout_is_that_of_the_header() {
    if let Some(errors) = compile(&assertions().text) {
        panic!("{errors}");
    }
}

#[test]
fn a_difference_is_found() {
    let mut to = Assertions::default();
    to.constant("MAX_SLOTS", u64::from(MAX_SLOTS) + 1);
    let errors = compile(&to.text).expect("an assertion that fails");
    assert!(errors.contains("IVRING_MAX_SLOTS"), "{errors}");
}

#[test]
fn nothing_of_the_header_is_left_out() {
    let header = fs::read_to_string(include_dir().join("linux/ivring.h")).unwrap();
    let names = assertions().names;
    let mut found = 0;
    for line in header.lines() {
        let name = if let Some(rest) = line.strip_prefix("#define IVRING_") {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            format!("IVRING_{}", &rest[..end.unwrap_or(rest.len())])
        } else if line.starts_with("struct ") && line.ends_with(" {") {
            line.trim_end_matches(" {").to_string()
        } else {
            continue;
        };
        assert!(names.contains(&name), "{name} is not in ivring::abi");
        found += 1;
    }
    assert_eq!(
        found,
        names.len(),
        "every name is defined once, in a form that is recognised"
    );
}
