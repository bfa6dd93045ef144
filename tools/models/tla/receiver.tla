------------------------------ MODULE receiver ------------------------------
\* SPDX-License-Identifier: GPL-2.0
(***************************************************************************)
(* The receiver. A step is one access to shared memory, or one critical    *)
(* section in the kernel. The comment above a step names the functions     *)
(* that the step models.                                                   *)
(***************************************************************************)
EXTENDS machine

To(at) == rcv' = [rcv EXCEPT !.at = at, !.ring = 1]
NextRing == rcv' = [rcv EXCEPT !.ring = @ + 1]
ring == rcv.ring
IsThere(s, index) == mem.sequence[s][index % Capacity] = index
HasItem(s) == IsThere(s, rcv.consumed[s] + 1)
\* The last items that a walk may find. It finds an item only after all earlier ones, and may stop earlier.
Found(s) == {last \in rcv.consumed[s] + 1 .. Items :
               \A index \in rcv.consumed[s] + 1 .. last : IsThere(s, index)}

\* The receiver reads its own store if that is still in its buffer. So it never reads a state that is
\* older than its own last store.
OwnState ==
  LET own == SelectSeq(buf[R], LAMBDA store : store[1] = "state") IN
  IF own = <<>> THEN mem.state ELSE own[Len(own)][3]

\* State::busy(), ivr_state_busy()
Busy ==
  /\ rcv.at = "busy"
  /\ IF OwnState \in {"BUSY", "BUSY_UNFENCED"} THEN UNCHANGED buf
     ELSE Put(R, <<"state", R, "BUSY">>)
  /\ To("turn")
  /\ UNCHANGED <<mem, krn, snd>>

\* Receiver::turn(), ivr_receiver_next(), ivr_refresh_members()
Turn ==
  /\ rcv.at = "turn"
  /\ IF ring > Last
     THEN IF mem.members # rcv.members
          THEN rcv' = [rcv EXCEPT !.members = mem.members, !.ring = 1] /\ UNCHANGED krn
          ELSE \E way \in Ways :
                 /\ rcv' = [rcv EXCEPT !.way = way, !.ring = 1,
                                       !.at = IF way = "eventfd" THEN "armed" ELSE way]
                 \* The eventfd has been read before. It takes the place of the wait queue.
                 /\ krn' = IF way = "eventfd" THEN [krn EXCEPT !.sleeper = "on"] ELSE krn
     ELSE /\ UNCHANGED krn
          /\ IF rcv.known[ring] = rcv.consumed[ring] /\ ~HasItem(ring)
             THEN NextRing
             ELSE \E last \in IF rcv.known[ring] = rcv.consumed[ring] THEN Found(ring)
                              ELSE {rcv.known[ring]} :
                    rcv' = [rcv EXCEPT !.at = IF "C" \in Without THEN "consume" ELSE "copy",
                                       !.known[ring] = last]
  /\ UNCHANGED <<mem, buf, snd>>

\* RingReader::item(), ivr_ring_copy()
Copy ==
  /\ rcv.at = "copy"
  /\ LET index == rcv.consumed[ring] + IF "C" \in Without THEN 0 ELSE 1 IN
     rcv' = [rcv EXCEPT !.good = @ /\ mem.item[ring][index % Capacity] = index,
                        !.at = IF "C" \in Without THEN "room barrier" ELSE "consume"]
  /\ UNCHANGED <<mem, buf, krn, snd>>

\* RingReader::advance(), ivr_ring_consume()
Consume ==
  /\ rcv.at = "consume"
  /\ Put(R, <<"consumer", ring, rcv.consumed[ring] + 1>>)
  /\ rcv' = [rcv EXCEPT !.consumed[ring] = @ + 1,
                        !.at = IF "C" \in Without THEN "copy" ELSE "room barrier"]
  /\ UNCHANGED <<mem, krn, snd>>

\* The reader omits the barrier while it knows of more items, because another look follows.
RoomFence ==
  /\ rcv.at = "room barrier"
  /\ rcv.consumed[ring] = rcv.known[ring] => Barrier(R, "R of the reader")
  /\ rcv' = [rcv EXCEPT !.at = "room look"]
  /\ UNCHANGED <<mem, buf, krn, snd>>

RoomIsDue(s) == mem.room[s] # 0 /\ mem.room[s] <= rcv.consumed[s]

RoomLook ==
  /\ rcv.at = "room look"
  /\ rcv' = [rcv EXCEPT !.at = IF RoomIsDue(ring) /\ ~Forgets THEN "room" ELSE "handled"]
  /\ UNCHANGED <<mem, buf, krn, snd>>

\* Progress::tell(): runs under the lock under which the sender sets room_wanted. Here one task waits
\* for a ring. The tests with loom have several waiting tasks.
NotifyRoom(s) ==
  /\ Empty(R)
  /\ snd[s].at # "room barrier"
  /\ \A i \in 1 .. Len(buf[s]) : buf[s][i][1] # "room"
  /\ mem' = [mem EXCEPT !.room[s] = 0]
  /\ krn' = IF mem.room[s] # 0 THEN [krn EXCEPT !.waits[s] = Woken(@)] ELSE krn

Room ==
  /\ rcv.at = "room"
  /\ NotifyRoom(ring)
  /\ rcv' = [rcv EXCEPT !.at = "handled"]
  /\ UNCHANGED <<buf, snd>>

\* State::handled(), ivr_state_handled()
Handled ==
  /\ rcv.at = "handled"
  /\ \/ UNCHANGED buf /\ To("turn")
     \/ /\ Unfences /\ ~rcv.unfenced
        /\ Put(R, <<"state", R, "BUSY_UNFENCED">>)
        /\ rcv' = [rcv EXCEPT !.unfenced = TRUE, !.at = "turn", !.ring = 1]
  /\ UNCHANGED <<mem, krn, snd>>

\* State::arm(), ivr_arm()
Arm ==
  /\ rcv.at = "armed"
  /\ Put(R, <<"state", R, "IDLE">>)
  /\ To(IF rcv.unfenced /\ "A of arming" \notin Without THEN "fence" ELSE "arm barrier")
  /\ UNCHANGED <<mem, krn, snd>>

ArmBarrier ==
  /\ rcv.at = "arm barrier"
  /\ Barrier(R, "S of arming")
  /\ rcv' = [rcv EXCEPT !.unfenced = FALSE, !.at = "last look"]
  /\ UNCHANGED <<mem, buf, krn, snd>>

\* IVRING_IOC_FENCE: each CPU passes its barrier in turn.
Fence ==
  /\ rcv.at = "fence"
  /\ Empty(R)
  /\ IF ring > Last
     THEN rcv' = [rcv EXCEPT !.unfenced = FALSE, !.at = "last look", !.ring = 1]
     ELSE Empty(ring) /\ NextRing
  /\ UNCHANGED <<mem, buf, krn, snd>>

LastLook ==
  /\ rcv.at = "last look"
  /\ IF IF ring > Last THEN mem.members # rcv.members ELSE HasItem(ring)
     THEN Put(R, <<"state", R, "BUSY">>) /\ To("turn")
     ELSE /\ UNCHANGED buf
          /\ IF ring <= Last THEN NextRing
             ELSE To(CASE rcv.way = "eventfd" -> "asleep"
                       [] "queue" \in Without -> "state look"
                       [] OTHER -> "queue")
  /\ UNCHANGED <<mem, krn, snd>>

\* Member::wait() of a caller that has armed: queues the task before it looks
QueueArmed ==
  /\ rcv.at = "queue"
  /\ Empty(R)
  /\ krn' = [krn EXCEPT !.sleeper = "on"]
  /\ To(IF "queue" \in Without THEN "asleep" ELSE "state look")
  /\ UNCHANGED <<mem, buf, snd>>

StateLook ==
  /\ rcv.at = "state look"
  /\ LET rung == ~Sleeps \/ (krn.overridden /\ "overridden" \notin Without) IN
     \* The state is not read again and stays unchanged, because another task may have stored the IDLE.
     /\ To(IF rung THEN "busy" ELSE IF "queue" \in Without THEN "queue" ELSE "asleep")
     /\ krn' = IF rung THEN [krn EXCEPT !.overridden = FALSE, !.sleeper = "no"] ELSE krn
  /\ UNCHANGED <<mem, buf, snd>>

\* The steps of WAIT: look, go idle, queue, read the state, look again, sleep.
\* The steps of poll(): queue, look, go idle, look again, sleep.
StartOfPoll ==
  /\ rcv.at = "poll"
  /\ Empty(R)
  /\ krn' = [krn EXCEPT !.sleeper = "on"]
  /\ To("look of poll")
  /\ UNCHANGED <<mem, buf, snd>>

\* Caller::events(), which notifies waiting senders if the member did not
KernelLooks ==
  /\ rcv.at \in {"wait", "look of wait", "look of poll", "last look of poll"}
  /\ IF IF ring > Last THEN mem.members # rcv.members ELSE HasItem(ring)
     THEN To("end of wait") /\ UNCHANGED <<mem, krn>>
     ELSE IF ring <= Last
     THEN /\ NextRing
          /\ IF RoomIsDue(ring) THEN NotifyRoom(ring) ELSE UNCHANGED <<mem, krn>>
     ELSE /\ To(CASE rcv.at = "wait" -> "idle of wait"
                  [] rcv.at = "look of wait" ->
                     IF "state first" \in Without THEN "state of wait" ELSE "asleep"
                  [] rcv.at = "look of poll" -> "idle of poll"
                  [] rcv.at = "last look of poll" -> "asleep")
          /\ UNCHANGED <<mem, krn>>
  /\ UNCHANGED <<buf, snd>>

\* State::go_idle(): a compare and exchange. If the state is DELAYED, only a load and a barrier. If
\* barrier S is removed, only a store.
GoneIdle ==
  IF mem.state = "DELAYED" /\ "delay that stays" \notin Without THEN UNCHANGED <<mem, krn>>
  ELSE /\ mem' = [mem EXCEPT !.state = "IDLE"]
       /\ krn' = [krn EXCEPT !.due = 1, !.overridden = @ \/ mem.state # "IDLE"]

GoIdle ==
  /\ rcv.at \in {"idle of wait", "idle of poll"}
  /\ LET next == IF rcv.at = "idle of wait" THEN "queue of wait" ELSE "last look of poll" IN
     IF "S of going idle" \in Without
     THEN Put(R, <<"state", R, "IDLE">>) /\ To(next) /\ UNCHANGED <<mem, krn>>
     ELSE /\ Empty(R)
          /\ GoneIdle
          /\ UNCHANGED buf
          /\ To(IF mem.state # "BUSY_UNFENCED" \/ "A of the kernel" \in Without THEN next
                ELSE IF rcv.at = "idle of wait" THEN "barriers of wait" ELSE "barriers of poll")
  /\ UNCHANGED snd

\* ivring_barrier_on_all_cpus()
Barriers ==
  /\ rcv.at \in {"barriers of wait", "barriers of poll"}
  /\ IF ring <= Last THEN Empty(ring) /\ NextRing
     ELSE To(IF rcv.at = "barriers of wait" THEN "queue of wait" ELSE "last look of poll")
  /\ UNCHANGED <<mem, buf, krn, snd>>

QueueOfWait ==
  /\ rcv.at = "queue of wait"
  /\ "S of going idle" \in Without \/ Empty(R)
  /\ krn' = [krn EXCEPT !.sleeper = "on"]
  /\ To(IF "state first" \in Without THEN "look of wait" ELSE "state of wait")
  /\ UNCHANGED <<mem, buf, snd>>

\* State::sleeps_before_look()
StateOfWait ==
  /\ rcv.at = "state of wait"
  /\ To(IF OwnState \notin {"IDLE", "DELAYED"} THEN "wait"
        ELSE IF "state first" \in Without THEN "asleep" ELSE "look of wait")
  /\ UNCHANGED <<mem, buf, krn, snd>>

Woke ==
  /\ rcv.at = "asleep"
  /\ krn.sleeper = "woken"
  /\ To(CASE rcv.way = "armed" -> "queue" [] rcv.way = "wait" -> "queue of wait"
          [] rcv.way = "poll" -> "poll" [] rcv.way = "eventfd" -> "end of wait")
  /\ UNCHANGED <<mem, buf, krn, snd>>

\* WAIT stores BUSY. poll() and a read of the eventfd do not change the state, and Busy follows them.
EndOfWait ==
  /\ rcv.at = "end of wait"
  /\ Empty(R)
  /\ mem' = IF rcv.way \notin {"poll", "eventfd"} /\ Sleeps THEN [mem EXCEPT !.state = "BUSY"] ELSE mem
  /\ krn' = [krn EXCEPT !.sleeper = "no"]
  /\ To("busy")
  /\ UNCHANGED <<buf, snd>>

\* Another task of the member: a poll() that does not find the requested events, or a WAIT that does not
\* find them before its deadline. This task stores nothing in user space.
OtherGoesIdle ==
  /\ krn.other = "here"
  /\ \E what \in Others :
       LET next == IF what = "poll" THEN "gone" ELSE "end of wait" IN
       IF mem.state = "DELAYED" /\ "delay that stays" \notin Without
       THEN krn' = [krn EXCEPT !.other = next] /\ UNCHANGED mem
       ELSE /\ mem' = [mem EXCEPT !.state = "IDLE"]
            /\ krn' = [krn EXCEPT !.due = 1,
                                  !.other = IF mem.state = "IDLE" THEN next ELSE IF what = "poll" THEN "flag of poll" ELSE "flag of wait"]
  /\ UNCHANGED <<buf, snd, rcv>>

\* The rest of Member::go_idle(), if IDLE has replaced another state: it sets the flag, and then wakes the
\* wait queue. The lock of the wait queue orders these two.
OtherWakes ==
  /\ krn.other \in {"flag of poll", "flag of wait"}
  /\ krn' = [krn EXCEPT !.overridden = TRUE,
                        !.sleeper = IF krn.overridden \/ rcv.way = "eventfd"
                                       \/ "wake of going idle" \in Without
                                    THEN @ ELSE Woken(@),
                        !.other = IF @ = "flag of poll" THEN "gone" ELSE "end of wait"]
  /\ UNCHANGED <<mem, buf, snd, rcv>>

\* The end of Member::wait(): an exchange, and a doorbell if the exchange succeeds.
OtherEnds ==
  /\ krn.other = "end of wait"
  /\ mem' = IF Sleeps THEN [mem EXCEPT !.state = "BUSY"] ELSE mem
  /\ krn' = [krn EXCEPT !.other = IF Sleeps /\ "ring of WAIT" \notin Without
                                  THEN "ring" ELSE "gone",
                        !.due = IF Sleeps THEN @ - 1 ELSE @]
  /\ UNCHANGED <<buf, snd, rcv>>

OtherRings ==
  /\ krn.other = "ring"
  /\ krn' = [krn EXCEPT !.other = "gone", !.sleeper = Woken(@)]
  /\ UNCHANGED <<mem, buf, snd, rcv>>

\* Member::close(): closes the rings, wakes the waiting tasks, and then stores GONE.
Leave ==
  /\ R \in Mortal
  /\ rcv.at \in {"busy", "turn", "copy", "consume", "room barrier", "room look", "handled",
                 "armed", "arm barrier", "last look", "asleep"}
  /\ Put(R, <<"left", R, 0>>)
  /\ To("leave")
  /\ UNCHANGED <<mem, krn, snd>>

WakeWaiters ==
  /\ rcv.at = "leave"
  /\ Empty(R)
  /\ krn' = IF "waking of waiters" \in Without THEN krn
            ELSE [krn EXCEPT !.waits = [s \in Senders |-> Woken(@[s])]]
  /\ To("say gone")
  /\ UNCHANGED <<mem, buf, snd>>

SayGone ==
  /\ rcv.at = "say gone"
  /\ IF "GONE" \in Without THEN UNCHANGED buf ELSE Put(R, <<"state", R, "GONE">>)
  /\ To("gone")
  /\ UNCHANGED <<mem, krn, snd>>

Receiver ==
  \/ Busy \/ Turn \/ Copy \/ Consume \/ RoomFence \/ RoomLook \/ Room \/ Handled
  \/ Arm \/ ArmBarrier \/ Fence \/ LastLook \/ QueueArmed \/ StateLook
  \/ StartOfPoll \/ KernelLooks \/ GoIdle \/ Barriers \/ QueueOfWait \/ StateOfWait
  \/ Woke \/ EndOfWait \/ Leave \/ WakeWaiters \/ SayGone
  \/ OtherGoesIdle \/ OtherWakes \/ OtherEnds \/ OtherRings
=============================================================================
