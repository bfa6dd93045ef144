// SPDX-License-Identifier: MIT OR Apache-2.0

//! The handlers that a case can register. Each prints first the event that it was called for.

use ivring::{Context, Deadline, Error, Message, NoReply, Peer, ReceivedItem, RequestId};

use crate::lanes::Lanes;
use crate::print::{self, error_name};

pub type Action = fn(&Lanes, &Context<'_, 'static>, &ReceivedItem<'_>);

/// The action that a case means.
pub fn action(name: &str) -> Option<Action> {
    Some(match name {
        "print" => |_, _, _| {},
        "echo" => echo,
        "twice" => |lanes, context, item| {
            echo(lanes, context, item);
            echo(lanes, context, item);
        },
        "refuse" => |_, _, item| failure("refusal", item.refuse(Deadline::NOW)),
        "stop" => |_, context, _| context.stop(),
        "shut" => |_, context, item| context.close_lane(item.peer()),
        "fill" => fill,
        "ask" => ask,
        _ => return None,
    })
}

fn failure<T>(what: &str, result: Result<T, impl Into<Error>>) {
    if let Err(error) = result {
        println!("{what} {}", error_name(&error.into()));
    }
}

/// Answers with the same data.
fn echo(lanes: &Lanes, _: &Context<'_, 'static>, item: &ReceivedItem<'_>) {
    // A mistake of a client must not end the server.
    failure("reply", answer(lanes, item));
}

fn answer(lanes: &Lanes, item: &ReceivedItem<'_>) -> Result<(), Error> {
    let reply = || Message::new(item.port()).inline(item.inline());
    let message = reply()?.reply_to(item);
    let by_lane = lanes.with(item.peer(), |lane| lane.send(message, Deadline::NOW));
    let sent = by_lane.unwrap_or_else(|| Ok(item.reply(reply()?, Deadline::NOW)?));
    sent.map(drop)
}

/// Fills the inbox of its own member, and then waits for room there.
fn fill(_: &Lanes, context: &Context<'_, 'static>, item: &ReceivedItem<'_>) {
    let send = |deadline| context.send(context.own(), Message::new(item.port() + 1), deadline);
    let full = loop {
        match send(Deadline::NOW) {
            Ok(_) => {}
            full => break full,
        }
    };
    failure("fill", full);
    failure("wait", send(Deadline::NEVER));
}

/// Sends a request to the item's sender; the answer comes when this handler has returned.
fn ask(_: &Lanes, context: &Context<'_, 'static>, item: &ReceivedItem<'_>) {
    let request = Message::new(item.port());
    ask_peer(context, item.peer(), request, Deadline::NEVER);
}

fn ask_peer(context: &Context<'_, 'static>, peer: Peer, request: Message, reply: Deadline) {
    let asked = context.request(peer, request, Deadline::NOW, reply, answered);
    failure("request", asked);
}

/// The action of the handler of an answer, after it has printed the answer.
pub fn after_answer(
    then: &str,
    context: &Context<'_, 'static>,
    peer: Peer,
    last: Option<RequestId>,
) {
    match then {
        "stop" => context.stop(),
        "ask" => ask_peer(context, peer, Message::new(1), Deadline::NOW),
        "cancel" => {
            let is_cancelled = last.is_some_and(|last| context.cancel(last));
            println!("cancel {}", if is_cancelled { "ok" } else { "ENOENT" });
        }
        _ => {}
    }
}

pub fn answered(_: &Context<'_, 'static>, reply: Result<&ReceivedItem<'_>, NoReply>) {
    match reply {
        Ok(reply) => print::item("answer", reply),
        Err(error) => println!("answer {}", error_name(&error.into())),
    }
}
