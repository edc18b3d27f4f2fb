//! The operations in which a process is killed. One line each: who is killed where, who lives on, who comes after, and what must
//! hold then.

use crate::play::{consumers, durable, heirs, producers};
use crate::stage::Role;
use crate::trace::By;
use crate::verdict::{self, Judge};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Producer,
    Consumer,
}

/// When the heir comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// At once, while the peers live, which need it to come to their end.
    AtOnce,
    /// At every other point it is when the peers have come to their end, so that what they leave is looked at by itself.
    Either,
    /// When the peers are dead, too.
    After,
}

pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) side: Side,
    pub(crate) by: By,
    pub(crate) victim: Role,
    /// Who is there beside the victim, and lives: at most two.
    pub(crate) peers: &'static [Role],
    /// Who comes when the victim is dead.
    pub(crate) heir: Role,
    pub(crate) order: Order,
    pub(crate) judge: Judge,
}

macro_rules! operations {
    ($($name:literal: $side:ident by $by:ident, $victim:expr, [$($peer:expr),*], $heir:expr, $order:ident => $judge:ident;)*) => {
        pub(crate) const ALL: &[Operation] = &[$(Operation {
            name: $name,
            side: Side::$side,
            by: By::$by,
            victim: $victim,
            peers: &[$($peer),*],
            heir: $heir,
            order: Order::$order,
            judge: verdict::$judge,
        }),*];
    };
}

operations! {
    "put-8": Producer by Instruction, producers::put::<1, 9>, [consumers::follow::<1>], heirs::heir, Either => put;
    "put-56": Producer by Instruction, producers::put::<7, 4>, [consumers::follow::<7>], heirs::heir, Either => put;
    "put-64": Producer by Instruction, producers::put::<8, 13>, [consumers::follow::<8>], heirs::heir, Either => put;
    "put-1024": Producer by Instruction, producers::put::<128, 3>, [consumers::follow::<128>], heirs::heir, Either => put;
    "put-full": Producer by Instruction, producers::put_full, [consumers::follow_closely], heirs::heir, Either => put;
    "put-wakes": Producer by Instruction, producers::put_wakes, [consumers::follow_parked], heirs::heir, Either => put;
    "slice-8": Producer by Instruction, producers::put_slice::<1, 20>, [consumers::follow::<1>], heirs::heir, Either => put_together;
    "slice-64": Producer by Instruction, producers::put_slice::<8, 20>, [consumers::follow::<8>], heirs::heir, Either => put_together;
    "slice-late": Producer by Instruction, producers::put_slice_late, [consumers::follow::<1>], heirs::heir, Either => put_together;
    "slice-1024": Producer by Instruction, producers::put_slice::<128, 4>, [consumers::follow::<128>], heirs::heir, Either => put_together;
    "claim": Producer by Instruction, producers::claim, [consumers::follow::<1>], heirs::heir, Either => put_together;
    "frame": Producer by Instruction, producers::frames, [consumers::follow_frames], heirs::heir, Either => put;
    "frame-claim": Producer by Instruction, producers::frame_claim, [consumers::follow_frames], heirs::heir, Either => put_together;
    "complete": Producer by Instruction, producers::complete, [consumers::follow::<7>], heirs::heir, Either => complete;
    "fail": Producer by Instruction, producers::fail, [consumers::follow::<7>], heirs::heir, Either => fail;
    "broadcast-put": Producer by Instruction, producers::broadcast, [consumers::follow::<7>, consumers::follow::<7>], heirs::heir, Either => put_to_both;
    "broadcast-evict": Producer by Instruction, producers::evict, [consumers::follow_promptly, consumers::lag], heirs::heir, Either => evict;
    "rendezvous-put": Producer by Instruction, producers::rendezvous, [consumers::meet, consumers::meet], heirs::heir, Either => put_to_both;
    "next-8": Consumer by Instruction, consumers::next::<1>, [producers::feed::<1>], heirs::resumes::<1>, AtOnce => resumed_within_window;
    "next-56": Consumer by Instruction, consumers::next::<7>, [producers::feed::<7>], heirs::resumes::<7>, AtOnce => resumed_within_window;
    "next-64": Consumer by Instruction, consumers::next::<8>, [producers::feed::<8>], heirs::resumes::<8>, AtOnce => resumed_within_window;
    "next-late": Consumer by Instruction, consumers::next_late, [producers::feed::<1>], heirs::resumes::<1>, AtOnce => resumed_within_one;
    "next-frame": Consumer by Instruction, consumers::next_frame, [producers::feed_frames], heirs::resumes_frames, AtOnce => resumed_within_window;
    "drain-8": Consumer by Instruction, consumers::drain::<1>, [producers::feed::<1>], heirs::resumes::<1>, AtOnce => resumed_within_window;
    "drain-56": Consumer by Instruction, consumers::drain::<7>, [producers::feed::<7>], heirs::resumes::<7>, AtOnce => resumed_within_window;
    "drain-64": Consumer by Instruction, consumers::drain::<8>, [producers::feed::<8>], heirs::resumes::<8>, AtOnce => resumed_within_window;
    "find-end": Consumer by Instruction, consumers::find_the_end, [producers::feed_little], heirs::resumes_the_end, AtOnce => resumed_within_window;
    "cancel": Consumer by Instruction, consumers::cancel, [producers::outlive], heirs::subscribes, AtOnce => left;
    "broadcast-next": Consumer by Instruction, consumers::next_of_several, [producers::outlive_several, consumers::follow_beside], heirs::joins, AtOnce => went;
    "broadcast-lossy": Consumer by Instruction, consumers::next_of_lossy, [producers::outlive_several, consumers::follow_beside], heirs::joins, AtOnce => went;
    "broadcast-cancel": Consumer by Instruction, consumers::cancel, [producers::outlive_several, consumers::follow_beside], heirs::joins, AtOnce => went;
    "subscribe-stores": Consumer by Store, consumers::subscribe, [producers::outlive], heirs::subscribes, AtOnce => came;
    "resume-stores": Consumer by Store, consumers::resume, [producers::feed::<7>, consumers::vanish], heirs::resumes::<7>, AtOnce => resumed_within_window;
    "leave-stores": Consumer by Store, consumers::leave, [producers::outlive], heirs::subscribes, AtOnce => left;
    "join-stores": Consumer by Store, consumers::subscribe, [producers::outlive_several, consumers::follow_the_peer], heirs::joins, AtOnce => went;
    "durable-put": Producer by Instruction, durable::put, [durable::follow::<7>], durable::reopens::<7>, Either => reopened;
    "durable-slice": Producer by Instruction, durable::put_slice, [durable::follow::<1>], durable::reopens::<1>, Either => reopened_together;
    "durable-frame": Producer by Instruction, durable::put_frames, [durable::follow_frames], durable::reopens_frames, Either => reopened;
    "durable-next": Consumer by Instruction, durable::next, [durable::feed_and_vanish], durable::reopens::<7>, After => both_reopened;
    "commit": Consumer by Instruction, durable::commit, [producers::feed::<7>], durable::commits, AtOnce => committed;
    "durable-commit": Consumer by Instruction, durable::commit, [durable::feed_and_vanish], durable::commits_after_both, After => committed;
    "durable-open": Producer by SystemCall, durable::open, [], durable::reopens::<7>, AtOnce => reopened_alone;
    "durable-reopen": Producer by SystemCall, durable::reopen, [durable::put_and_vanish], durable::reopens::<7>, After => reopened_alone;
    "durable-subscribe": Consumer by SystemCall, durable::subscribe, [durable::feed], heirs::resumes::<7>, AtOnce => resumed_within_window;
    "durable-accept": Producer by SystemCall, durable::lend, [durable::subscribe_twice], durable::reopens::<7>, After => reopened_beside;
    "durable-lend": Producer by Lending, durable::lend, [durable::subscribe_twice], durable::reopens::<7>, After => reopened_beside;
    "open": Producer by SystemCall, producers::open, [consumers::connect], heirs::heir_that_serves, AtOnce => published;
    "accept": Producer by SystemCall, producers::accept, [consumers::call], heirs::heir_that_may_serve, AtOnce => accepted;
    "close": Producer by SystemCall, producers::close, [consumers::follow::<7>], heirs::heir, Either => complete;
    "subscribe": Consumer by SystemCall, consumers::subscribe, [producers::outlive], heirs::subscribes, AtOnce => came;
    "resume": Consumer by SystemCall, consumers::resume, [producers::feed::<7>, consumers::vanish], heirs::resumes::<7>, AtOnce => resumed_within_window;
    "leave": Consumer by SystemCall, consumers::leave, [producers::outlive], heirs::subscribes, AtOnce => left;
    "drop": Consumer by SystemCall, consumers::forsake, [producers::outlive], heirs::subscribes, AtOnce => left;
    "reconnect": Consumer by SystemCall, consumers::reconnect, [producers::second_of_two, producers::first_of_two], heirs::subscribes, AtOnce => came;
    "broadcast-join": Consumer by SystemCall, consumers::subscribe, [producers::outlive_several, consumers::follow_the_peer], heirs::joins, AtOnce => went;
    "broadcast-resume": Consumer by SystemCall, consumers::resume, [producers::feed_several, consumers::vanish], heirs::resumes::<7>, AtOnce => resumed_within_window;
    "broadcast-leave": Consumer by SystemCall, consumers::leave, [producers::outlive_several, consumers::follow_beside], heirs::joins, AtOnce => went;
}

pub(crate) fn named(name: &str) -> Option<&'static Operation> {
    ALL.iter().find(|operation| operation.name == name)
}
