// SPDX-License-Identifier: GPL-2.0

//! The ioctls that only return information.

use kernel::prelude::*;

use crate::{
    device::endpoint::{Caller, Endpoint},
    os::{
        credentials::{gid_in_current_ns, uid_in_current_ns},
        user::{require, User},
    },
    uapi,
};

pub(crate) fn api(argument: User<uapi::Api>) -> Result {
    argument.write(&uapi::Api {
        version: uapi::API_VERSION,
        max_slots: uapi::MAX_SLOTS,
        features: uapi::FEATURE_INBOX
            | uapi::FEATURE_EVENTFD
            | uapi::FEATURE_LANES
            | uapi::FEATURE_DELAY
            | uapi::FEATURE_WATCH,
        max_inbox_entries: uapi::MAX_INBOX_ENTRIES,
        max_batch: uapi::MAX_BATCH,
        max_outbox_bytes: uapi::MAX_OUTBOX_BYTES,
        max_lane_entries: uapi::MAX_LANE_ENTRIES,
        reserved: 0,
    })
}

pub(crate) fn info(endpoint: &Endpoint, argument: User<uapi::Info>) -> Result {
    let region = endpoint.region.as_ref().ok_or(ENXIO)?;
    let member = endpoint.caller().ok().map(|caller| caller.member);
    argument.write(&uapi::Info {
        slots: region.geometry.slots,
        inbox_entries: region.geometry.inbox_entries,
        outbox_bytes: region.geometry.outbox_bytes,
        id: member.map_or(uapi::ID_ANY, |member| u32::from(member.id.slot)),
        generation: member.map_or(0, |member| member.id.generation),
        attached: region.slots.attached(),
        mode: region.permissions.mode,
        uid: uid_in_current_ns(region.permissions.uid),
        gid: gid_in_current_ns(region.permissions.gid),
        name: region.name.0,
    })
}

pub(crate) fn member_info(caller: Caller<'_>, argument: User<uapi::MemberInfo>) -> Result {
    let asked = argument.read()?;
    require(asked.reserved == 0)?;
    let (generation, member) = caller.region.slots.slot(asked.id)?;
    argument.write(&uapi::MemberInfo {
        id: asked.id,
        generation,
        uid: member
            .as_ref()
            .map_or(0, |member| uid_in_current_ns(member.owner.uid)),
        reserved: 0,
        stats: member.map(|member| member.stats()).unwrap_or_default(),
    })
}
