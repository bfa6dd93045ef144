------------------------------- MODULE wakeup -------------------------------
\* SPDX-License-Identifier: GPL-2.0
(***************************************************************************)
(* Senders and one receiver: publishing, going idle, doorbells, delays,    *)
(* waiting for room, and death.  The letters P, C, S, A, R and M are those *)
(* of Documentation/design.rst.                                            *)
(*                                                                         *)
(* A sender has a ring of its own: a lane, or, if it sends by ENQUEUE, the *)
(* inbox.                                                                  *)
(***************************************************************************)
EXTENDS sender, receiver

\* Nothing will happen any more.
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
(* What must hold *)

\* Nobody sleeps for good on an item,
NoLostWakeup == Rest /\ rcv.at = "asleep" => \A s \in Senders : ~HasItem(s)
\* on news of the members,
NoLostNews == Rest /\ rcv.at = "asleep" => mem.members = rcv.members
\* or on room, be it that the receiver has died.
NoLostRoom == Rest => \A s \in Senders : snd[s].at # "asleep"

\* Every item is read once, whole, and in order.
InOrder == rcv.good
\* A member that goes idle is interrupted once at most.
OneDoorbell == krn.due >= 0
\* Who sends to a receiver that has left is told so.
Told == \A s \in Senders : snd[s].late => snd[s].at \notin {"top", "done"}

\* It all comes to an end.
Ends == <>Rest
=============================================================================
