// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of the allocator of units against a map of all units.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Checks the invariants, and returns the lengths of the free extents by their starts.
fn check(extents: &Extents, len: u32) -> BTreeMap<u32, u32> {
    let mut free = BTreeMap::new();
    // No other extent can be the one that begins at zero, because unused entries are not linked.
    let linked = |at: u32| extents.table[at as usize].before;
    let mut unused = Vec::new();
    let mut entry = extents.unused;
    while entry != NONE {
        unused.push(entry);
        entry = extents.table[entry as usize].next;
    }
    let in_use = (0..extents.table.len() as u32).filter(|at| !unused.contains(at));
    let mut at = in_use.clone().find(|&at| linked(at) == NONE).unwrap();
    let (mut end, mut before, mut count) = (0, NONE, 0);
    let mut before_is_free = false;
    while at != NONE {
        let extent = &extents.table[at as usize];
        assert_eq!((extent.start, extent.before), (end, before));
        assert!(extent.len > 0);
        assert!(!(extent.free && before_is_free), "free neighbours");
        if extent.free {
            free.insert(extent.start, extent.len);
        }
        (end, before, before_is_free) = (end + extent.len, at, extent.free);
        count += 1;
        at = extent.after;
    }
    assert_eq!(end, len);
    assert_eq!(count, in_use.count());

    let mut listed = 0;
    for power in 0..POWERS {
        for class in 0..CLASSES {
            let mut at = extents.first[power][class];
            assert_eq!(at != NONE, extents.classes[power] & (1 << class) != 0);
            let mut previous = NONE;
            while at != NONE {
                let extent = &extents.table[at as usize];
                assert!(extent.free);
                assert_eq!(extent.previous, previous);
                assert_eq!(class_of(extent.len), (power, class));
                listed += 1;
                (previous, at) = (at, extent.next);
            }
        }
        assert_eq!(
            extents.classes[power] != 0,
            extents.powers & (1 << power) != 0
        );
    }
    assert_eq!(listed, free.len());
    free
}

#[test]
fn classes_are_in_the_order_of_sizes() {
    let mut before = class_of(1);
    for len in (2..5000).chain((13..32).map(|log| 1 << log)) {
        let class = class_of(len);
        assert!(class >= before);
        assert!(class.0 < POWERS && class.1 < CLASSES);
        assert!(
            len >= 32 || class > before,
            "the class of {len} has one size"
        );
        before = class;
    }
    assert_eq!(class_of(u32::MAX), (POWERS - 1, CLASSES - 1));
    for len in 1..5000 {
        let (power, class) = class_above(len).unwrap();
        let mut fits = (len..).filter(|&larger| class_of(larger) == (power, class));
        assert!(class_of(len) <= (power, class));
        assert!(class_of(fits.next().unwrap() - 1) < (power, class));
    }
    assert_eq!(class_above(u32::MAX), None);
}

#[test]
fn the_extent_that_was_freed_last_is_taken_first() {
    let mut extents = Extents::new(100);
    let taken = [(); 10].map(|()| extents.take(10).unwrap());
    assert_eq!(extents.take(1), None);
    // None of these are neighbours.
    for at in [2, 8, 4] {
        extents.free(taken[at]);
    }
    let again = [(); 3].map(|()| extents.take(10).unwrap());
    assert_eq!(again, [taken[4], taken[8], taken[2]]);
    assert_eq!(extents.take(1), None);
}

#[test]
fn an_extent_is_found_in_the_class_below() {
    let mut extents = Extents::new(1021);
    assert_eq!(class_of(1021), class_of(1000));
    let all = extents.take(1021).unwrap();
    extents.free(all);
    assert_eq!(extents.take(1022), None);
    assert!(extents.take(1020).is_some());
    assert_eq!(extents.take(2), None);
    assert!(extents.take(1).is_some());
}

#[derive(Clone, Debug)]
enum Step {
    Take(u32),
    Free(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..6u32).prop_map(Step::Take),
        2 => (1..80u32).prop_map(Step::Take),
        1 => (1..600u32).prop_map(Step::Take),
        4 => any::<usize>().prop_map(Step::Free),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    #[cfg_attr(miri, ignore = "slow, and nothing unsafe is below it")]
    fn as_in_a_map_of_all_units(
        len in 1..600u32,
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let mut extents = Extents::new(len);
        let mut taken: Vec<u32> = Vec::new();
        let mut owners = vec![false; len as usize];
        for step in steps {
            let free = check(&extents, len);
            match step {
                Step::Take(len) => match extents.take(len) {
                    Some(extent) => {
                        prop_assert_eq!(extents.len(extent), len);
                        let start = extents.start(extent) as usize;
                        for owner in &mut owners[start..start + len as usize] {
                            prop_assert!(!*owner);
                            *owner = true;
                        }
                        taken.push(extent);
                    }
                    None => prop_assert!(free.values().all(|&free| free < len)),
                },
                Step::Free(index) if !taken.is_empty() => {
                    let extent = taken.swap_remove(index % taken.len());
                    let start = extents.start(extent) as usize;
                    owners[start..start + extents.len(extent) as usize].fill(false);
                    extents.free(extent);
                }
                Step::Free(_) => {}
            }
            let free: u32 = check(&extents, len).values().sum();
            prop_assert_eq!(free as usize, owners.iter().filter(|&&taken| !taken).count());
        }
        for extent in taken {
            extents.free(extent);
        }
        prop_assert_eq!(check(&extents, len), BTreeMap::from([(0, len)]));
        // A table has at most one entry for each unit.
        prop_assert!(extents.table.len() <= len as usize + 1);
    }
}
