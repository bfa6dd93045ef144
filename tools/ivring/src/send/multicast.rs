// SPDX-License-Identifier: MIT OR Apache-2.0

//! One message to several peers.

use crate::deadline::Deadline;
use crate::error::SendError;
use crate::peer::Peer;
use crate::send::handle::Handle;
use crate::send::message::Message;
use crate::send::sent::Sent;

impl Handle {
    /// Sends one message to several peers' inboxes, with one copy of its block. Peers that have
    /// room get the message at once. Then the call waits for room in the inboxes of the others, in
    /// their order, until the deadline.
    ///
    /// Returns a result for each peer, in the order of `peers`. The message is not returned. Its
    /// block is free again when all peers that got the message have read it or have left. To send
    /// by lanes, use a [`SharedBlock`](crate::SharedBlock).
    ///
    /// ```no_run
    /// use ivring::{Deadline, Member, Message};
    ///
    /// # fn main() -> ivring::Result<()> {
    /// let member = Member::join("example", None, Deadline::NOW)?;
    /// let mut block = member.alloc(4, Deadline::NEVER)?;
    /// block.copy_from_slice(b"news");
    /// let peers: Vec<_> = member.handle().peers().collect();
    /// let message = Message::new(7).block(block);
    /// let results = member.multicast(&peers, message, Deadline::NOW);
    /// for (peer, result) in peers.iter().zip(results) {
    ///     if let Err(error) = result {
    ///         eprintln!("{peer:?} did not get the message: {error}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// For each peer, the errors of [`Handle::send`].
    pub fn multicast(
        &self,
        peers: &[Peer],
        message: Message,
        deadline: Deadline,
    ) -> Vec<Result<Sent, SendError>> {
        let message = message.into_shared();
        let send = |peer, deadline| {
            let copy = message.copy_of_shared();
            self.send(peer, copy, deadline).map_err(SendError::from)
        };
        let at_once = peers.iter().map(|&peer| send(peer, Deadline::NOW));
        let mut results: Vec<_> = at_once.collect();
        for (result, &peer) in results.iter_mut().zip(peers) {
            if *result == Err(SendError::Full) && deadline != Deadline::NOW {
                *result = send(peer, deadline);
            }
        }
        results
    }
}
