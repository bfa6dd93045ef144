-------------------------------- MODULE slots --------------------------------
\* SPDX-License-Identifier: GPL-2.0
(***************************************************************************)
(* Members attach and leave. There are two slots, whose members may leave  *)
(* at any step and be followed by other members. One slot is the           *)
(* receiver's. The member of the other slot has a lane to the receiver. A  *)
(* third member always stays attached; it sends to the first receiver by   *)
(* ENQUEUE, and maps its area. See "Coming and going" in                   *)
(* Documentation/design.rst.                                               *)
(*                                                                         *)
(* Memory is sequentially consistent here, because the kernel acts under   *)
(* locks, and all words that user space reads are published with release   *)
(* order. A step is one critical section, or one access to shared memory.  *)
(*                                                                         *)
(* The name of a member is its generation: 1, or 3 for the next member of  *)
(* the slot.                                                               *)
(***************************************************************************)
EXTENDS Integers, Sequences

CONSTANTS
  Items,        \* the number of items that each sender sends
  Without       \* the parts that are removed from the protocol

Members == {1, 3}
Here(generation) == generation \in Members
Has(part) == part \notin Without

VARIABLES
  slot,         \* generations of the slots: "to" is the receiver's, "from" the lane's sender's
  to,           \* the receivers: their own data, and the kernel's data about them
  lane,         \* the lane of each sender, and its receiver
  third,        \* the sender by ENQUEUE
  mapper,       \* the member that maps the first receiver's area
  wrong         \* the faults so far

vars == <<slot, to, lane, third, mapper, wrong>>

\* The area of a receiver. Each receiver gets fresh pages.
AreaOf(r) == IF Has("fresh areas") THEN r ELSE 1

Init ==
  /\ slot = [to |-> 1, from |-> 1]
  /\ to = [r \in Members |->
       [leaves |-> FALSE,       \* whether its slot is already free
        closed |-> FALSE,       \* whether its rings are closed
        inbox |-> <<>>,         \* the items of the inbox in its area: the receiver of each
        lane |-> 0,             \* the sender of the lane that the kernel lists for it
        consumer |-> 0,         \* the consumer index in its end of the lane
        reads |-> 0,            \* the sender of the lane that it has mapped
        index |-> 0,            \* its private index of this lane
        left |-> FALSE]]        \* whether it has noticed that the lane's sender has left
  /\ lane = [s \in Members |-> [open |-> 0, sent |-> 0, read |-> 0]]
  /\ third = [at |-> "find", sent |-> 0, found |-> 0]
  /\ mapper = [at |-> "look", area |-> 0]
  /\ wrong = {}

Blame(what, if) == wrong' = IF if THEN wrong \union {what} ELSE wrong

-----------------------------------------------------------------------------
(* Slots: Region::leave(), Reservation::fill() *)

ReceiverLeaves(r) ==
  /\ slot.to = r
  /\ slot' = [slot EXCEPT !.to = r + 1]
  /\ to' = [to EXCEPT ![r].leaves = TRUE]
  /\ UNCHANGED <<lane, third, mapper, wrong>>

\* Member::close()
ReceiverCloses(r) ==
  /\ to[r].leaves
  /\ to' = [to EXCEPT ![r].closed = TRUE]
  /\ UNCHANGED <<slot, lane, third, mapper, wrong>>

ReceiverFollows ==
  /\ slot.to = 2
  /\ slot' = [slot EXCEPT !.to = 3]
  /\ UNCHANGED <<to, lane, third, mapper, wrong>>

SenderLeaves ==
  /\ Here(slot.from)
  /\ slot' = [slot EXCEPT !.from = @ + 1]
  /\ UNCHANGED <<to, lane, third, mapper, wrong>>

SenderFollows ==
  /\ slot.from = 2
  /\ slot' = [slot EXCEPT !.from = 3]
  /\ UNCHANGED <<to, lane, third, mapper, wrong>>

-----------------------------------------------------------------------------
(* ENQUEUE to the first receiver *)

\* Slots::member(): finds a member by its slot and generation
Find ==
  /\ third.at = "find"
  /\ third' = IF third.sent = Items THEN [third EXCEPT !.at = "done"]
              ELSE IF slot.to = 1 \/ (Here(slot.to) /\ ~Has("generation"))
              THEN [third EXCEPT !.at = "push", !.found = slot.to]
              ELSE [third EXCEPT !.at = "told"]
  /\ UNCHANGED <<slot, to, lane, mapper, wrong>>

\* Inbox::push(): runs under the inbox lock
Push ==
  /\ third.at = "push"
  /\ IF to[third.found].closed /\ Has("closing of the inbox")
     THEN third' = [third EXCEPT !.at = "told"] /\ UNCHANGED <<to, wrong>>
     ELSE /\ to' = [to EXCEPT ![AreaOf(third.found)].inbox = Append(@, 1)]
          /\ third' = [third EXCEPT !.at = "find", !.sent = @ + 1]
          /\ Blame("untold", to[third.found].closed)
  /\ UNCHANGED <<slot, lane, mapper>>

\* A receiver reads its inbox.
Read(r) ==
  /\ slot.to = r
  /\ to[AreaOf(r)].inbox # <<>>
  /\ to' = [to EXCEPT ![AreaOf(r)].inbox = Tail(@)]
  /\ Blame("misled", Head(to[AreaOf(r)].inbox) # r)
  /\ UNCHANGED <<slot, lane, third, mapper>>

-----------------------------------------------------------------------------
(* Mapping the first receiver's area: map_area() of libivring, PeerArea of the crate *)

LookUp ==
  /\ mapper.at \in {"look", "look again"}
  /\ mapper' = [mapper EXCEPT !.at = IF slot.to # 1 THEN "told"
                                     ELSE IF @ = "look" THEN "map" ELSE "mapped"]
  /\ UNCHANGED <<slot, to, lane, third, wrong>>

\* mmap() gets the slot only, not the generation.
Map ==
  /\ mapper.at = "map"
  /\ mapper' = IF Here(slot.to)
               THEN [at |-> IF Has("second look") THEN "look again" ELSE "mapped",
                     area |-> AreaOf(slot.to)]
               ELSE [mapper EXCEPT !.at = "told"]
  /\ UNCHANGED <<slot, to, lane, third, wrong>>

-----------------------------------------------------------------------------
(* A lane from the sender s to the receiver r *)

\* Lanes::add(): lists at most one lane from a slot, until the receiver has closed this lane.
OpenLane(s, r) ==
  /\ slot.from = s /\ slot.to = r
  /\ lane[s].open = 0
  /\ to[r].lane = 0 \/ ~Has("one lane at a time")
  /\ to' = [to EXCEPT ![r].lane = s, ![r].consumer = 0]
  /\ lane' = [lane EXCEPT ![s].open = r]
  /\ UNCHANGED <<slot, third, mapper, wrong>>

Send(s) ==
  /\ slot.from = s
  /\ lane[s].open # 0 /\ lane[s].sent < Items
  /\ lane' = [lane EXCEPT ![s].sent = @ + 1]
  /\ UNCHANGED <<slot, to, third, mapper, wrong>>

\* ivr_incoming_update(), Reader::refresh()
MapLane(r) ==
  /\ slot.to = r
  /\ to[r].lane # 0 /\ to[r].reads = 0
  /\ to' = [to EXCEPT ![r].reads = to[r].lane, ![r].index = to[r].consumer, ![r].left = FALSE]
  /\ UNCHANGED <<slot, lane, third, mapper, wrong>>

ReadLane(r) ==
  LET s == to[r].reads IN
  /\ slot.to = r
  /\ s # 0 /\ to[r].index < lane[s].sent
  /\ to' = [to EXCEPT ![r].index = @ + 1, ![r].consumer = to[r].index + 1]
  /\ lane' = [lane EXCEPT ![s].read = @ + 1]
  /\ UNCHANGED <<slot, third, mapper, wrong>>

\* ivr_incoming_mark_departed(): checks first whether the lane's sender has left, and then whether the lane is
\* empty. In the wrong order it checks first whether the lane is empty.
LookAtSender(r) ==
  LET s == to[r].reads IN
  /\ slot.to = r
  /\ s # 0 /\ ~to[r].left
  /\ IF Has("order of the looks") THEN slot.from # s ELSE lane[s].sent = to[r].index
  /\ to' = [to EXCEPT ![r].left = TRUE]
  /\ UNCHANGED <<slot, lane, third, mapper, wrong>>

\* ivr_incoming_close_departed(), Reader::close_departed(), Lanes::close()
CloseLane(r) ==
  LET s == to[r].reads IN
  /\ slot.to = r
  /\ s # 0 /\ to[r].left
  /\ IF Has("order of the looks") THEN lane[s].sent = to[r].index ELSE slot.from # s
  /\ to' = [to EXCEPT ![r].reads = 0, ![r].lane = IF @ = s THEN 0 ELSE @]
  /\ Blame("forgotten", lane[s].read # lane[s].sent)
  /\ UNCHANGED <<slot, lane, third, mapper>>

-----------------------------------------------------------------------------

Next ==
  \/ \E r \in Members : \/ ReceiverLeaves(r) \/ ReceiverCloses(r) \/ Read(r) \/ MapLane(r)
                    \/ ReadLane(r) \/ LookAtSender(r) \/ CloseLane(r)
  \/ ReceiverFollows \/ SenderLeaves \/ SenderFollows
  \/ Find \/ Push \/ LookUp \/ Map
  \/ \E s \in Members : Send(s) \/ \E r \in Members : OpenLane(s, r)
  \/ UNCHANGED vars    \* it is no error if no step is possible

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* Invariants *)

\* No member reads an item that was sent to an earlier member of its slot.
NoneMisled == "misled" \notin wrong
\* Only the area of the requested member is mapped.
RightArea == mapper.at = "mapped" => mapper.area = 1
\* No item is written into a closed inbox.
NoneUntold == "untold" \notin wrong
\* The consumer index that a sender finds in the receiver's end of its lane belongs to this lane.
NoneMixed ==
  \A s \in Members :
    LET r == lane[s].open IN
    slot.from = s /\ r # 0 /\ slot.to = r => to[r].consumer = lane[s].read
\* A lane whose sender has left is read to its end.
NoneForgotten == "forgotten" \notin wrong
=============================================================================
