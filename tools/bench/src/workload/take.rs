// SPDX-License-Identifier: MIT OR Apache-2.0

//! The cost of receiving an item for a busy receiver: a member reads what it has written into a
//! lane to itself.

use anyhow::Result;
use ivring::abi::Item;
use ivring::{Deadline, RegionOptions};

use crate::measure::now;
use crate::transport::work_item::{decode, encode};
use crate::transport::{self, CAPACITY, STRIDE};

/// Nanoseconds per item, with the Rust library.
pub fn rust() -> Result<f64> {
    let mut member = RegionOptions::new().slots(1).create()?;
    member.set_asymmetric(true);
    let mut lane = member.open_lane(member.own(), CAPACITY as u32)?;
    super::fastest(CAPACITY as u64, || {
        let items = (0..CAPACITY as u64).map(|sequence| transport::Item::new(0, sequence, 0));
        items
            .map(|item| encode(&item))
            .try_for_each(|item: Item| lane.push(&item))?;
        lane.notify()?;
        let start = now();
        let mut next = 0;
        while next < CAPACITY as u64 {
            let mut batch = member.receive(STRIDE);
            while let Some(item) = batch.take()? {
                decode(item.peer().id, item.cookie(), item.inline()).check(next);
                next += 1;
            }
        }
        let elapsed = now() - start;
        lane.wait_room(Deadline::NOW)?;
        Ok(elapsed)
    })
}
