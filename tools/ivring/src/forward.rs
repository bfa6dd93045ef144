// SPDX-License-Identifier: MIT OR Apache-2.0

//! Methods of [`Handle`](crate::Handle) that [`Member`] and [`Context`] have too, because most
//! programs call them. For the other methods a program calls `handle()` first.

use std::time::Duration;

use crate::deadline::Deadline;
use crate::dispatch::context::Context;
use crate::dispatch::threading::Threading;
use crate::error::{AllocError, FlushError, OpenLaneError, SendError, SystemError};
use crate::member::Member;
use crate::payload::block::Block;
use crate::peer::Peer;
use crate::send::lane::Lane;
use crate::send::message::Message;
use crate::send::sent::Sent;
use crate::send::unsent::Unsent;
use crate::send::watched::Watched;

macro_rules! forward {
    ($type:ty $(, $param:ident)?) => {
        impl$(<$param: Threading>)? $type {
            /// This member, like [`Handle::own`](crate::Handle::own).
            pub fn own(&self) -> Peer {
                self.handle().own()
            }

            /// The member in a slot, like [`Handle::peer`](crate::Handle::peer).
            pub fn peer(&self, id: u32) -> Option<Peer> {
                self.handle().peer(id)
            }

            /// Whether a peer is still there, like
            /// [`Handle::is_present`](crate::Handle::is_present).
            pub fn is_present(&self, peer: Peer) -> bool {
                self.handle().is_present(peer)
            }

            /// Takes a block of the outbox, like [`Handle::alloc`](crate::Handle::alloc).
            ///
            /// # Errors
            ///
            /// The errors of [`Handle::alloc`](crate::Handle::alloc).
            pub fn alloc(&self, len: usize, deadline: Deadline) -> Result<Block, AllocError> {
                self.handle().alloc(len, deadline)
            }

            /// Sends a message to a peer's inbox, like [`Handle::send`](crate::Handle::send).
            ///
            /// # Errors
            ///
            /// The errors of [`Handle::send`](crate::Handle::send).
            pub fn send(
                &self,
                peer: Peer,
                message: Message,
                deadline: Deadline,
            ) -> Result<Sent, Unsent> {
                self.handle().send(peer, message, deadline)
            }

            /// Sends a message to a peer's inbox, like
            /// [`Handle::try_send`](crate::Handle::try_send).
            ///
            /// # Errors
            ///
            /// The errors of [`Handle::try_send`](crate::Handle::try_send).
            pub fn try_send(&self, peer: Peer, message: Message) -> Result<Sent, Unsent> {
                self.handle().try_send(peer, message)
            }

            /// Sends a message to a peer's inbox, like
            /// [`Handle::send_timeout`](crate::Handle::send_timeout).
            ///
            /// # Errors
            ///
            /// The errors of [`Handle::send_timeout`](crate::Handle::send_timeout).
            pub fn send_timeout(
                &self,
                peer: Peer,
                message: Message,
                timeout: Duration,
            ) -> Result<Sent, Unsent> {
                self.handle().send_timeout(peer, message, timeout)
            }

            /// Sends a message to a peer's inbox, or watches it, like
            /// [`Handle::send_or_watch`](crate::Handle::send_or_watch).
            ///
            /// # Errors
            ///
            /// The errors of [`Handle::send_or_watch`](crate::Handle::send_or_watch).
            pub fn send_or_watch(&self, peer: Peer, message: Message) -> Result<Sent, Unsent> {
                self.handle().send_or_watch(peer, message)
            }

            /// Takes a watch that is over, like
            /// [`Handle::next_watch`](crate::Handle::next_watch).
            ///
            /// # Errors
            ///
            /// The errors of [`Handle::next_watch`](crate::Handle::next_watch).
            pub fn next_watch(&self) -> Result<Option<Watched>, SystemError> {
                self.handle().next_watch()
            }

            /// Sends messages to a peer's inbox, like
            /// [`Handle::send_all`](crate::Handle::send_all).
            ///
            /// # Errors
            ///
            /// The errors of [`Handle::send_all`](crate::Handle::send_all).
            pub fn send_all(
                &self,
                peer: Peer,
                messages: &mut Vec<Message>,
                deadline: Deadline,
            ) -> Result<Sent, SendError> {
                self.handle().send_all(peer, messages, deadline)
            }

            /// Sends one message to several peers' inboxes, like
            /// [`Handle::multicast`](crate::Handle::multicast).
            ///
            /// # Errors
            ///
            /// The errors of [`Handle::multicast`](crate::Handle::multicast).
            pub fn multicast(
                &self,
                peers: &[Peer],
                message: Message,
                deadline: Deadline,
            ) -> Vec<Result<Sent, SendError>> {
                self.handle().multicast(peers, message, deadline)
            }

            /// Sleeps until the receiver has read what was sent, like
            /// [`Handle::flush`](crate::Handle::flush).
            ///
            /// # Errors
            ///
            /// The errors of [`Handle::flush`](crate::Handle::flush).
            pub fn flush(&self, sent: &Sent, deadline: Deadline) -> Result<(), FlushError> {
                self.handle().flush(sent, deadline)
            }

            /// Opens a lane to a peer, like [`Handle::open_lane`](crate::Handle::open_lane).
            ///
            /// # Errors
            ///
            /// The errors of [`Handle::open_lane`](crate::Handle::open_lane).
            pub fn open_lane(&self, peer: Peer, entries: u32) -> Result<Lane, OpenLaneError> {
                self.handle().open_lane(peer, entries)
            }
        }
    };
}

forward!(Member);
forward!(Context<'_, '_, S>, S);
