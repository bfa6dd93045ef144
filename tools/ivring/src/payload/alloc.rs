// SPDX-License-Identifier: MIT OR Apache-2.0

//! Taking a block of the outbox, and waiting for room.

use std::sync::MutexGuard;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::error::{AllocError, FlushError};
use crate::payload::outbox::{Outbox, Place, Unread};
use crate::shared::Shared;

/// The longest time to wait for one receiver while others keep memory too.
const SLICE: Duration = Duration::from_millis(10);

/// Takes a block of at least `len` bytes.
pub(crate) fn alloc(shared: &Shared, len: usize, deadline: Deadline) -> Result<Place, AllocError> {
    let mut outbox = shared.outbox();
    loop {
        let place = outbox.take(len, |ring, end, position| {
            shared.is_done(ring, end, position)
        });
        if let Some(place) = place {
            return Ok(place);
        }
        outbox = wait(shared, outbox, deadline)?;
    }
}

/// Waits until memory may have become free. Polls for a while before it sleeps.
///
/// This waits for one receiver at a time: for the receiver that keeps the most bytes, and for
/// receivers for which waiting was in vain after all others. If another receiver, or a thread that
/// holds a block, could make room too, this waits for at most a [`SLICE`]. So a receiver that has
/// stopped delays the use of memory that others free by at most a slice.
fn wait<'a>(
    shared: &'a Shared,
    mut outbox: MutexGuard<'a, Outbox>,
    deadline: Deadline,
) -> Result<MutexGuard<'a, Outbox>, AllocError> {
    let Some((unread, end)) = outbox.holder(|peer| !shared.would_wait_for_itself(peer)) else {
        if deadline != Deadline::NOW && outbox.holder(|_| true).is_some() {
            return Err(AllocError::WaitsForItself);
        }
        return shared.wait_for_release(outbox, deadline);
    };
    let until = match outbox.holders() {
        1 => deadline,
        _ => deadline.min(Deadline::after(SLICE)),
    };
    let end = end.clone();
    let mut polling = outbox.polling.take_if(|_| deadline != Deadline::NOW);
    drop(outbox);
    let Unread { ring, position } = unread;
    let is_done = || shared.is_done(&ring, &end, position);
    let read = if polling
        .as_mut()
        .is_some_and(|polling| polling.spin(is_done))
    {
        Ok(())
    } else {
        shared.wait_until_read(ring.peer, ring.by_lane, position, until)
    };
    if let Some(polling) = &mut polling {
        polling.woken();
    }
    let mut outbox = shared.outbox();
    outbox.polling = polling.or(outbox.polling.take());
    match read {
        // The progress that was seen counts, even if the receiver changes its words later.
        Ok(()) => outbox.passed(unread),
        Err(FlushError::TimedOut) => {
            outbox.stalled(ring);
            if deadline == Deadline::NOW {
                return Err(AllocError::Full);
            }
            if until == deadline {
                return Err(AllocError::TimedOut);
            }
        }
        Err(FlushError::Interrupted) => return Err(AllocError::Interrupted),
        Err(FlushError::WaitsForItself) => return Err(AllocError::WaitsForItself),
        Err(FlushError::System(error)) => return Err(error.into()),
        Err(
            FlushError::Gone
            | FlushError::Stale
            | FlushError::Closed
            | FlushError::Broken
            | FlushError::NotSent,
        ) => outbox.forget(ring),
    }
    Ok(outbox)
}
