------------------------------ MODULE machine -------------------------------
\* SPDX-License-Identifier: GPL-2.0
(***************************************************************************)
(* What the parties of wakeup.tla share: memory behind store buffers, and  *)
(* what the kernel keeps.  The machine is that of x86-TSO (Sewell et al.,  *)
(* 2010): each CPU has a first-in first-out store buffer, a full barrier   *)
(* waits until it is empty, and so does an atomic exchange.  Every party   *)
(* has a CPU of its own.                                                   *)
(***************************************************************************)
EXTENDS Integers, Sequences

CONSTANTS
  Senders,      \* 1 .. how many
  Kernel,       \* those of them that send by ENQUEUE, the others by lanes
  Spared,       \* those that pass no barrier where they find BUSY_UNFENCED
  Items,        \* how many each of them sends
  Capacity,     \* of a ring
  WakeItems,    \* as wake_items of the receiver, or 0
  Ways,         \* how the receiver sleeps: "armed", "wait", "poll", "eventfd"
  Unfences,     \* whether it may say BUSY_UNFENCED
  Forgets,      \* whether it leaves IVRING_IOC_ROOM to WAIT and poll()
  Mortal,       \* who may die: senders, and the receiver
  Others,       \* what another task of the receiver's member may do once: "poll", "wait"
  Without       \* what is taken out of the protocol

R == 0          \* the receiver
CPUs == Senders \union {R}
Last == CHOOSE s \in Senders : \A t \in Senders : t <= s

VARIABLES
  mem,          \* what the parties share
  buf,          \* store buffers
  krn,          \* the kernel's own
  snd,          \* the senders
  rcv           \* the receiver

vars == <<mem, buf, krn, snd, rcv>>

Init ==
  /\ mem = [producer |-> [s \in Senders |-> 0],
            item |-> [s \in Senders |-> [i \in 0 .. Capacity - 1 |-> 0]],
            consumer |-> [s \in Senders |-> 0],
            room |-> [s \in Senders |-> 0],     \* room_at if room_wanted, else 0
            state |-> "BUSY",
            members |-> 0,                      \* how often they have changed
            left |-> FALSE]                     \* the receiver's rings are closed
  /\ buf = [c \in CPUs |-> <<>>]
  /\ krn = [sleeper |-> "no",                   \* on the doorbell's wait queue: no, on, woken
            waits |-> [s \in Senders |-> "no"], \* and on those of the rings
            timer |-> FALSE,
            overridden |-> FALSE,               \* somebody has gone idle, maybe over a doorbell
            other |-> "here",                   \* where the other task is
            due |-> 0]                          \* doorbells that may be rung: one for an IDLE
  /\ snd = [s \in Senders |-> [at |-> "top", sent |-> 0, seen |-> 0, few |-> FALSE,
                               dies |-> FALSE, late |-> FALSE]]
  /\ rcv = [at |-> "busy", ring |-> 1, way |-> "armed", unfenced |-> FALSE, members |-> 0,
            consumed |-> [s \in Senders |-> 0], known |-> [s \in Senders |-> 0],
            good |-> TRUE]                      \* all items were what they ought to be

-----------------------------------------------------------------------------
(* Memory *)

Empty(c) == buf[c] = <<>>
Barrier(c, name) == name \in Without \/ Empty(c)
Put(c, store) == buf' = [buf EXCEPT ![c] = Append(@, store)]

Stored(m, store) ==
  LET kind == store[1] who == store[2] value == store[3] IN
  CASE kind = "send" -> [m EXCEPT !.producer[who] = value, !.item[who][value % Capacity] = value]
    [] kind = "producer" -> [m EXCEPT !.producer[who] = value]
    [] kind = "item" -> [m EXCEPT !.item[who][value % Capacity] = value]
    [] kind = "consumer" -> [m EXCEPT !.consumer[who] = value]
    [] kind = "room" -> [m EXCEPT !.room[who] = value]
    [] kind = "state" -> [m EXCEPT !.state = value]
    [] kind = "members" -> [m EXCEPT !.members = @ + 1]
    [] kind = "left" -> [m EXCEPT !.left = TRUE]

Drain(c) ==
  /\ ~Empty(c)
  /\ mem' = Stored(mem, Head(buf[c]))
  /\ buf' = [buf EXCEPT ![c] = Tail(@)]
  /\ krn' = [krn EXCEPT !.due = IF Head(buf[c]) = <<"state", R, "IDLE">> THEN 1 ELSE @]
  /\ UNCHANGED <<snd, rcv>>

Sleeps == mem.state \in {"IDLE", "DELAYED"}

\* The kernel: a doorbell is rung; who is on a wait queue is woken.
Rung == [krn EXCEPT !.due = @ - 1]
Woken(at) == IF at = "on" THEN "woken" ELSE at
=============================================================================
