//! The operations in which a process is killed. One line each: who is killed where, who lives on, who comes after, and what must
//! hold then.

use crate::play::{consumers, heirs, producers};
use crate::stage::Role;
use crate::trace::By;
use crate::verdict::{self, Judge};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Producer,
    Consumer,
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
    /// The peers come to their end whether or not somebody comes, so that what they leave can be looked at by itself.
    pub(crate) alone: bool,
    pub(crate) judge: Judge,
}

macro_rules! operations {
    ($($name:literal: $side:ident by $by:ident, $victim:expr, [$($peer:expr),*], $heir:expr, $alone:literal => $judge:ident;)*) => {
        pub(crate) const ALL: &[Operation] = &[$(Operation {
            name: $name,
            side: Side::$side,
            by: By::$by,
            victim: $victim,
            peers: &[$($peer),*],
            heir: $heir,
            alone: $alone,
            judge: verdict::$judge,
        }),*];
    };
}

operations! {
    "put-8": Producer by Instruction, producers::put::<1, 9>, [consumers::follow::<1>], heirs::heir, true => put;
    "put-56": Producer by Instruction, producers::put::<7, 4>, [consumers::follow::<7>], heirs::heir, true => put;
    "put-1024": Producer by Instruction, producers::put::<128, 3>, [consumers::follow::<128>], heirs::heir, true => put;
    "put-full": Producer by Instruction, producers::put_full, [consumers::follow_closely], heirs::heir, true => put;
    "put-wakes": Producer by Instruction, producers::put_wakes, [consumers::follow_parked], heirs::heir, true => put;
    "slice-8": Producer by Instruction, producers::put_slice::<1, 20>, [consumers::follow::<1>], heirs::heir, true => put_together;
    "slice-1024": Producer by Instruction, producers::put_slice::<128, 4>, [consumers::follow::<128>], heirs::heir, true => put_together;
    "claim": Producer by Instruction, producers::claim, [consumers::follow::<1>], heirs::heir, true => put_together;
    "frame": Producer by Instruction, producers::frames, [consumers::follow_frames], heirs::heir, true => put;
    "frame-claim": Producer by Instruction, producers::frame_claim, [consumers::follow_frames], heirs::heir, true => put_together;
    "complete": Producer by Instruction, producers::complete, [consumers::follow::<7>], heirs::heir, true => complete;
    "fail": Producer by Instruction, producers::fail, [consumers::follow::<7>], heirs::heir, true => fail;
    "broadcast-put": Producer by Instruction, producers::broadcast, [consumers::follow::<7>, consumers::follow::<7>], heirs::heir, true => put_to_both;
    "broadcast-evict": Producer by Instruction, producers::evict, [consumers::follow_promptly, consumers::lag], heirs::heir, true => evict;
    "rendezvous-put": Producer by Instruction, producers::rendezvous, [consumers::meet, consumers::meet], heirs::heir, true => put_to_both;
    "next-8": Consumer by Instruction, consumers::next::<1>, [producers::feed::<1>], heirs::resumes::<1>, false => resumed_within_window;
    "next-56": Consumer by Instruction, consumers::next::<7>, [producers::feed::<7>], heirs::resumes::<7>, false => resumed_within_window;
    "next-late": Consumer by Instruction, consumers::next_late, [producers::feed::<1>], heirs::resumes::<1>, false => resumed_within_one;
    "next-frame": Consumer by Instruction, consumers::next_frame, [producers::feed_frames], heirs::resumes_frames, false => resumed_within_window;
    "drain-8": Consumer by Instruction, consumers::drain::<1>, [producers::feed::<1>], heirs::resumes::<1>, false => resumed_within_window;
    "drain-56": Consumer by Instruction, consumers::drain::<7>, [producers::feed::<7>], heirs::resumes::<7>, false => resumed_within_window;
    "find-end": Consumer by Instruction, consumers::find_the_end, [producers::feed_little], heirs::resumes_the_end, false => resumed_within_window;
    "cancel": Consumer by Instruction, consumers::cancel, [producers::outlive], heirs::subscribes, false => left;
    "broadcast-next": Consumer by Instruction, consumers::next_of_several, [producers::outlive_several, consumers::follow_beside], heirs::joins, false => went;
    "broadcast-lossy": Consumer by Instruction, consumers::next_of_lossy, [producers::outlive_several, consumers::follow_beside], heirs::joins, false => went;
    "broadcast-cancel": Consumer by Instruction, consumers::cancel, [producers::outlive_several, consumers::follow_beside], heirs::joins, false => went;
    "subscribe-stores": Consumer by Store, consumers::subscribe, [producers::outlive], heirs::subscribes, false => came;
    "resume-stores": Consumer by Store, consumers::resume, [producers::feed::<7>, consumers::vanish], heirs::resumes::<7>, false => resumed_within_window;
    "leave-stores": Consumer by Store, consumers::leave, [producers::outlive], heirs::subscribes, false => left;
    "join-stores": Consumer by Store, consumers::subscribe, [producers::outlive_several, consumers::follow_the_peer], heirs::joins, false => went;
    "open": Producer by SystemCall, producers::open, [consumers::connect], heirs::heir_that_serves, false => published;
    "accept": Producer by SystemCall, producers::accept, [consumers::call], heirs::heir_that_may_serve, false => accepted;
    "close": Producer by SystemCall, producers::close, [consumers::follow::<7>], heirs::heir, true => complete;
    "subscribe": Consumer by SystemCall, consumers::subscribe, [producers::outlive], heirs::subscribes, false => came;
    "resume": Consumer by SystemCall, consumers::resume, [producers::feed::<7>, consumers::vanish], heirs::resumes::<7>, false => resumed_within_window;
    "leave": Consumer by SystemCall, consumers::leave, [producers::outlive], heirs::subscribes, false => left;
    "drop": Consumer by SystemCall, consumers::forsake, [producers::outlive], heirs::subscribes, false => left;
    "reconnect": Consumer by SystemCall, consumers::reconnect, [producers::second_of_two, producers::first_of_two], heirs::subscribes, false => came;
    "broadcast-join": Consumer by SystemCall, consumers::subscribe, [producers::outlive_several, consumers::follow_the_peer], heirs::joins, false => went;
    "broadcast-leave": Consumer by SystemCall, consumers::leave, [producers::outlive_several, consumers::follow_beside], heirs::joins, false => went;
}

pub(crate) fn named(name: &str) -> Option<&'static Operation> {
    ALL.iter().find(|operation| operation.name == name)
}
