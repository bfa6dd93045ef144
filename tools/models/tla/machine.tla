------------------------------ MODULE machine -------------------------------
\* SPDX-License-Identifier: GPL-2.0
(***************************************************************************)
(* The state that the parties of wakeup.tla share: memory behind store     *)
(* buffers, and the kernel's own data. The machine is that of x86-TSO      *)
(* (Sewell et al., 2010). Each CPU has a first-in first-out store buffer.  *)
(* A full barrier waits until this buffer is empty, and so does an atomic  *)
(* exchange. Every party has a CPU of its own.                             *)
(***************************************************************************)
EXTENDS Integers, Sequences

CONSTANTS
  Senders,      \* the senders, numbered from 1
  Kernel,       \* the senders that send by ENQUEUE; the others send by lanes
  Batches,      \* the senders that may push several items before they notify the receiver
  Spared,       \* the senders that pass no barrier if they find BUSY_UNFENCED
  Items,        \* the number of items that each sender sends
  Capacity,     \* the capacity of a ring, in items
  WakeItems,    \* wake_items of the receiver, or 0
  Ways,         \* the ways in which the receiver sleeps: "armed", "wait", "poll", "eventfd"
  Unfences,     \* whether the receiver may store BUSY_UNFENCED
  Forgets,      \* whether the receiver leaves IVRING_IOC_ROOM to WAIT and poll()
  Mortal,       \* the parties that may die: senders, and the receiver
  Others,       \* the calls that another task of the member may make once: "poll", "wait"
  Without       \* the parts that are removed from the protocol

R == 0          \* the receiver
CPUs == Senders \union {R}
Last == CHOOSE s \in Senders : \A t \in Senders : t <= s

VARIABLES
  mem,          \* the shared memory
  buf,          \* store buffers
  krn,          \* the kernel's data
  snd,          \* the senders
  rcv           \* the receiver

vars == <<mem, buf, krn, snd, rcv>>

Init ==
  \* The entries of the rings: the sequence, and the other words of the item. The first index is 1.
  /\ mem = [sequence |-> [s \in Senders |-> [i \in 0 .. Capacity - 1 |-> 0]],
            item |-> [s \in Senders |-> [i \in 0 .. Capacity - 1 |-> 0]],
            consumer |-> [s \in Senders |-> 0],
            room |-> [s \in Senders |-> 0],     \* room_at if room_wanted, else 0
            state |-> "BUSY",
            members |-> 0,                      \* the number of changes
            left |-> FALSE]                     \* the receiver's rings are closed
  /\ buf = [c \in CPUs |-> <<>>]
  /\ krn = [sleeper |-> "no",                   \* the receiver on the doorbell's wait queue: no, on, woken
            waits |-> [s \in Senders |-> "no"], \* the senders on the rings' wait queues
            timer |-> FALSE,
            overridden |-> FALSE,               \* a task has stored IDLE, perhaps over a doorbell
            other |-> "here",                   \* the step of the other task
            due |-> 0]                          \* doorbells that may still be rung: one for each IDLE
  /\ snd = [s \in Senders |-> [at |-> "top", sent |-> 0, seen |-> 0, few |-> FALSE,
                               owes |-> FALSE,      \* it has pushed items, and not notified yet
                               dies |-> FALSE, late |-> FALSE]]
  /\ rcv = [at |-> "busy", ring |-> 1, way |-> "armed", unfenced |-> FALSE, members |-> 0,
            consumed |-> [s \in Senders |-> 0], known |-> [s \in Senders |-> 0],
            good |-> TRUE]                      \* all items so far had the expected value

-----------------------------------------------------------------------------
(* Memory *)

Empty(c) == buf[c] = <<>>
Barrier(c, name) == name \in Without \/ Empty(c)
Put(c, store) == buf' = [buf EXCEPT ![c] = Append(@, store)]

Stored(m, store) ==
  LET kind == store[1] who == store[2] value == store[3] IN
  CASE kind = "send" -> [m EXCEPT !.sequence[who][value % Capacity] = value,
                                  !.item[who][value % Capacity] = value]
    [] kind = "sequence" -> [m EXCEPT !.sequence[who][value % Capacity] = value]
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

\* In the kernel: the data after a doorbell, and a task's place on a wait queue after a wakeup.
Rung == [krn EXCEPT !.due = @ - 1]
Woken(at) == IF at = "on" THEN "woken" ELSE at
=============================================================================
