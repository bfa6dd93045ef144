// SPDX-License-Identifier: MIT OR Apache-2.0

//! The lanes of this program. The crate leaves the choice of the ring to its user; this program sends
//! by a lane if it has opened one, as the C library does.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use ivring::{Deadline, Error, Handle, Lane, Peer, SendError};

/// The lanes by the members that they lead to. Clones are the same lanes, for handlers.
#[derive(Clone, Default)]
pub struct Lanes(Rc<RefCell<HashMap<Peer, Lane>>>);

impl Lanes {
    pub fn open(
        &self,
        handle: &Handle,
        peer: Peer,
        entries: u32,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let lane = handle.open_lane_until(peer, entries, deadline)?;
        self.0.borrow_mut().insert(peer, lane);
        Ok(())
    }

    /// Uses the lane to a peer, if there is one. If its receiver has closed the lane, it is dropped,
    /// and what is sent next goes to the inbox.
    pub fn with<T, E: Into<Error>>(
        &self,
        peer: Peer,
        used: impl FnOnce(&mut Lane) -> Result<T, E>,
    ) -> Option<Result<T, Error>> {
        let mut lanes = self.0.borrow_mut();
        let result = used(lanes.get_mut(&peer)?).map_err(Into::into);
        if matches!(result, Err(Error::Send(SendError::Closed))) {
            lanes.remove(&peer);
        }
        Some(result)
    }

    /// Takes the lane out, so that handlers do not find it in use.
    pub fn take(&self, peer: Peer) -> Option<Lane> {
        self.0.borrow_mut().remove(&peer)
    }

    pub fn put_back(&self, lane: Lane) {
        self.0.borrow_mut().insert(lane.peer(), lane);
    }

    pub fn close(&self) {
        self.0.borrow_mut().clear();
    }
}
