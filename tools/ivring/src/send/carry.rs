// SPDX-License-Identifier: MIT OR Apache-2.0

//! Conversion of messages to items, and the owner of their blocks afterwards, for inboxes and
//! lanes.

use crate::abi::Item;
use crate::error::SendError;
use crate::peer::Peer;
use crate::send::message::Message;
use crate::send::sent::Sent;
use crate::send::unsent::Unsent;
use crate::shared::Shared;

/// Calls `send` with the item of a message to `peer`. Afterwards the receiver has the message's
/// block. If `send` fails, the caller keeps the message.
pub(crate) fn one(
    shared: &Shared,
    peer: Peer,
    message: Message,
    send: impl FnOnce(Item) -> Result<Sent, SendError>,
) -> Result<Sent, Unsent> {
    match item(shared, peer, &message).and_then(send) {
        Ok(sent) => {
            message.hand_over(sent);
            Ok(sent)
        }
        Err(error) => Err(Unsent::new(error, message)),
    }
}

/// The items that carry messages to `peer`.
pub(crate) fn items(
    shared: &Shared,
    peer: Peer,
    messages: &[Message],
) -> Result<Vec<Item>, SendError> {
    let items = messages.iter().map(|message| item(shared, peer, message));
    items.collect()
}

fn item(shared: &Shared, peer: Peer, message: &Message) -> Result<Item, SendError> {
    shared.check_process()?;
    let kept = shared.keep_area(peer);
    if let Some(block) = message.payload() {
        if !block.is_of(shared) {
            return Err(SendError::ForeignBlock);
        }
        // The peer's area must be mapped, because only its indices show when the block is free.
        kept?;
    }
    Ok(message.item())
}
