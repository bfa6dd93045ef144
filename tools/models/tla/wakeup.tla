------------------------------- MODULE wakeup -------------------------------
\* SPDX-License-Identifier: GPL-2.0
(***************************************************************************)
(* Senders and one receiver: pushing, going idle, doorbells, delays,       *)
(* waiting for room, and death. The letters P, C, S, A, R and M are those  *)
(* of Documentation/design.rst.                                            *)
(*                                                                         *)
(* Each sender has a ring of its own: a lane, or an inbox if it sends by   *)
(* ENQUEUE.                                                                *)
(***************************************************************************)
EXTENDS sender, receiver

\* No further step is possible.
Rest ==
  /\ \A c \in CPUs : Empty(c)
  /\ \A s \in Senders : \/ snd[s].at \in {"done", "failed", "dead"}
                        \/ snd[s].at = "asleep" /\ krn.waits[s] = "on"
  /\ rcv.at = "gone" \/ (rcv.at = "asleep" /\ krn.sleeper = "on")
  /\ ~krn.timer
  /\ krn.other \in {"here", "gone"}

Next ==
  \/ \E c \in CPUs : Drain(c)
  \/ \E s \in Senders : Sender(s)
  \/ Receiver
  \/ Timer
  \/ Rest /\ UNCHANGED vars

Spec == Init /\ [][Next]_vars /\ WF_vars(Next)

-----------------------------------------------------------------------------
(* Invariants *)

\* The receiver does not sleep for ever while a ring holds an item.
NoLostWakeup == Rest /\ rcv.at = "asleep" => \A s \in Senders : ~HasItem(s)
\* The receiver does not sleep for ever after the members have changed.
NoLostNews == Rest /\ rcv.at = "asleep" => mem.members = rcv.members
\* No sender waits for room for ever, even if the receiver has died.
NoLostRoom == Rest => \A s \in Senders : snd[s].at # "asleep"

\* Every item is read once, whole, and in order.
InOrder == rcv.good
\* Each time that a member goes idle, it is interrupted at most once.
OneDoorbell == krn.due >= 0
\* A sender that sends to a receiver that has left gets an error.
Told == \A s \in Senders : snd[s].late /\ ~snd[s].owes => snd[s].at \notin {"top", "done"}

\* Every run comes to an end.
Ends == <>Rest
=============================================================================
