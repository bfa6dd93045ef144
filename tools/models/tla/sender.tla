------------------------------- MODULE sender -------------------------------
\* SPDX-License-Identifier: GPL-2.0
(***************************************************************************)
(* A sender. A step is one access to shared memory, or one critical        *)
(* section in the kernel. The comment above a step names the functions     *)
(* that the step models.                                                   *)
(***************************************************************************)
EXTENDS machine

Go(s, at) == snd' = [snd EXCEPT ![s].at = at]
Back(s) == Go(s, IF snd[s].dies THEN "dead" ELSE "top")
HasRead(s) == mem.consumer[s] > snd[s].sent - Capacity
Few(s, sent) == sent - mem.consumer[s] < WakeItems

\* The first step of RingWriter::notify() and ivr_lane_notify(), and of ENQUEUE after its last item
Notify(s) == CASE s \in Kernel -> "kernel barrier" [] s \in Spared -> "light look" [] OTHER -> "barrier"

\* RingWriter::push(), ivr_lane_push(): stores the item, and its sequence last. Some senders may push more
\* items before they notify the receiver, but notify before they wait for room and before they stop.
Push(s) ==
  /\ snd[s].at = "top"
  /\ LET next == snd[s].sent + 1
         seen == IF s \in Kernel THEN mem.consumer[s] ELSE snd[s].seen
     IN
     IF snd[s].sent = Items \/ (s \in Kernel /\ mem.left) \/ snd[s].sent - seen = Capacity
     THEN /\ snd' = [snd EXCEPT ![s].owes = FALSE,
                     ![s].at = IF snd[s].owes THEN Notify(s)
                               ELSE IF snd[s].sent = Items THEN "done"
                               ELSE IF s \in Kernel /\ mem.left THEN "failed" ELSE "full"]
          /\ UNCHANGED buf
     ELSE
       /\ \E owes \in IF s \in Batches /\ next < Items THEN BOOLEAN ELSE {FALSE} :
            snd' = [snd EXCEPT ![s].sent = next, ![s].few = Few(s, next), ![s].owes = owes,
                    ![s].late = rcv.at = "gone" /\ Empty(R),
                    ![s].at = IF owes THEN "top" ELSE Notify(s)]
       /\ IF "P" \in Without
          THEN buf' = [buf EXCEPT ![s] = @ \o <<<<"sequence", s, next>>, <<"item", s, next>>>>]
          ELSE Put(s, <<"send", s, next>>)
  /\ UNCHANGED <<mem, krn, rcv>>

\* RingWriter::notify(), ivr_lane_notify()
LightLook(s) ==
  /\ snd[s].at = "light look"
  /\ IF mem.state = "BUSY_UNFENCED" THEN Back(s) ELSE Go(s, "barrier")
  /\ UNCHANGED <<mem, buf, krn, rcv>>

\* RingWriter::must_ring(), ivr_lane_ring()
SenderBarrier(s) ==
  /\ snd[s].at = "barrier"
  /\ Barrier(s, "S of a lane")
  /\ Go(s, "look")
  /\ UNCHANGED <<mem, buf, krn, rcv>>

Look(s) ==
  /\ snd[s].at = "look"
  /\ IF \/ mem.state \in {"BUSY", "BUSY_UNFENCED"}
        \/ mem.state = "DELAYED" /\ Few(s, snd[s].sent)
     THEN Back(s) ELSE Go(s, "doorbell")
  /\ UNCHANGED <<mem, buf, krn, rcv>>

\* doorbell() of rust/device/lane.rs. The lane is empty if the consumer index is the sender's own
\* index, because the sender sees its own stores. The entry of this consumer index was not used
\* again, because for this the sender has to see a later consumer index first.
Doorbell(s) ==
  /\ snd[s].at = "doorbell"
  /\ IF mem.left THEN Go(s, "failed")
     ELSE IF snd[s].sent = mem.consumer[s] THEN Back(s)
     ELSE snd' = [snd EXCEPT ![s].few = Few(s, snd[s].sent), ![s].at = "kernel barrier"]
  /\ UNCHANGED <<mem, buf, krn, rcv>>

\* State::due()
KernelBarrier(s) ==
  /\ snd[s].at = "kernel barrier"
  /\ Barrier(s, IF snd[s].dies THEN "M of the leaver" ELSE "S of ENQUEUE")
  /\ Go(s, "kernel look")
  /\ UNCHANGED <<mem, buf, krn, rcv>>

KernelLook(s) ==
  /\ snd[s].at = "kernel look"
  /\ IF mem.state = "IDLE" /\ snd[s].few THEN Go(s, "delay")
     ELSE IF Sleeps /\ ~snd[s].few THEN Go(s, "ring")
     ELSE Back(s)
  /\ UNCHANGED <<mem, buf, krn, rcv>>

Delay(s) ==
  /\ snd[s].at = "delay"
  /\ Empty(s)
  /\ IF mem.state = "IDLE"
     THEN mem' = [mem EXCEPT !.state = "DELAYED"] /\ Go(s, "timer")
     ELSE Back(s) /\ UNCHANGED mem
  /\ UNCHANGED <<buf, krn, rcv>>

\* delay::start()
StartTimer(s) ==
  /\ snd[s].at = "timer"
  /\ krn' = [krn EXCEPT !.timer = "timer" \notin Without]
  /\ Back(s)
  /\ UNCHANGED <<mem, buf, rcv>>

\* State::turn_busy(): two exchanges
Ring(s) ==
  /\ snd[s].at \in {"ring", "ring delayed"}
  /\ Empty(s)
  /\ LET from == IF snd[s].at = "ring" THEN "IDLE" ELSE "DELAYED" IN
     IF mem.state = from \/ "compare and exchange" \in Without
     THEN mem' = [mem EXCEPT !.state = "BUSY"] /\ krn' = Rung /\ Go(s, "wake")
     ELSE /\ IF from = "IDLE" THEN Go(s, "ring delayed") ELSE Back(s)
          /\ UNCHANGED <<mem, krn>>
  /\ UNCHANGED <<buf, rcv>>

\* Doorbell::ring()
Wake(s) ==
  /\ snd[s].at = "wake"
  /\ krn' = [krn EXCEPT !.sleeper = Woken(@)]
  /\ Back(s)
  /\ UNCHANGED <<mem, buf, rcv>>

\* Bell::run()
Timer ==
  /\ krn.timer
  /\ IF mem.state = "DELAYED"
     THEN /\ mem' = [mem EXCEPT !.state = "BUSY"]
          /\ krn' = [Rung EXCEPT !.timer = FALSE, !.sleeper = Woken(@)]
     ELSE /\ krn' = [krn EXCEPT !.timer = FALSE]
          /\ UNCHANGED mem
  /\ UNCHANGED <<buf, snd, rcv>>

\* RingWriter::refresh(), ivr_lane_refresh()
Full(s) ==
  /\ snd[s].at = "full"
  /\ IF HasRead(s)
     THEN snd' = [snd EXCEPT ![s].seen = mem.consumer[s], ![s].at = "top"]
     ELSE Go(s, "queue")
  /\ UNCHANGED <<mem, buf, krn, rcv>>

\* Progress::wait(): queues the task before it looks
Queue(s) ==
  /\ snd[s].at = "queue"
  /\ Empty(s)
  /\ krn' = [krn EXCEPT !.waits[s] = "on"]
  /\ Go(s, "check")
  /\ UNCHANGED <<mem, buf, rcv>>

Check(s) ==
  /\ snd[s].at \in {"check", "check again"}
  /\ Go(s, IF HasRead(s) THEN "full"
           ELSE IF mem.left /\ (snd[s].at = "check" \/ s \notin Kernel) THEN "failed"
           ELSE IF snd[s].at = "check" THEN "want" ELSE "asleep")
  /\ UNCHANGED <<mem, buf, krn, rcv>>

\* Room::want()
Want(s) ==
  /\ snd[s].at = "want"
  /\ Put(s, <<"room", s, snd[s].sent - Capacity + 1>>)
  /\ Go(s, "room barrier")
  /\ UNCHANGED <<mem, krn, rcv>>

RoomBarrier(s) ==
  /\ snd[s].at = "room barrier"
  /\ Barrier(s, "R of the sender")
  /\ Go(s, "check again")
  /\ UNCHANGED <<mem, buf, krn, rcv>>

WakeUp(s) ==
  /\ snd[s].at = "asleep"
  /\ krn.waits[s] = "woken"
  /\ Go(s, "queue")
  /\ UNCHANGED <<mem, buf, krn, rcv>>

\* Region::leave(): publishes members, and then rings as a sender does
Die(s) ==
  /\ s \in Mortal
  /\ ~snd[s].dies
  /\ snd[s].at \in {"top", "light look", "barrier", "look", "full", "asleep", "done"}
  /\ Put(s, <<"members", s, 0>>)
  /\ snd' = [snd EXCEPT ![s].dies = TRUE, ![s].few = FALSE, ![s].at = "kernel barrier"]
  /\ UNCHANGED <<mem, krn, rcv>>

Sender(s) ==
  \/ Push(s) \/ LightLook(s) \/ SenderBarrier(s) \/ Look(s) \/ Doorbell(s)
  \/ KernelBarrier(s) \/ KernelLook(s) \/ Delay(s) \/ StartTimer(s) \/ Ring(s) \/ Wake(s)
  \/ Full(s) \/ Queue(s) \/ Check(s) \/ Want(s) \/ RoomBarrier(s) \/ WakeUp(s)
  \/ Die(s)
=============================================================================
