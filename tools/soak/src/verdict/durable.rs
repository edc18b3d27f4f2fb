//! A stream that goes on with every producer: one row of positions, of which each was delivered, whoever died.

use crate::ledger::{Finale, Inc, Ses, Session};
use crate::line::Manner;
use crate::tally::{Count, Tally};

use super::{Played, Told};

pub(super) fn judge(played: &Played<'_>, tally: &mut Tally, incarnations: u64) {
    let Some(last) = judge_producers(played, tally, incarnations) else {
        return;
    };
    let next = judge_consumers(played, tally, last).unwrap_or(0);
    if !last.drained {
        let text = "the last producer had not everything released";
        played.fault(tally, "wrong", last, text);
    } else if next != last.published {
        played.fault(tally, "lost", last, format!("the consumer got {next}"));
    }
}

/// Each goes on behind all that had been published, and before what had not been put. Returns the last one.
fn judge_producers(played: &Played<'_>, tally: &mut Tally, incarnations: u64) -> Option<Told> {
    let mut before: Option<Told> = None;
    for number in 0..incarnations {
        let told = played.told(number);
        // One that was killed before it had opened the file has put nothing.
        if played.ledger.incarnation(number).get(Inc::Start) == 0 {
            continue;
        }
        let start = played.start(number);
        let (least, most) = before.map_or((0, 0), |before| (before.published, before.most));
        if start < least {
            let text = format!("went on at {start}, and {least} had been published");
            played.fault(tally, "lost", told, text);
        } else if start > most {
            let text = format!("went on at {start}, and {most} had been put at most");
            played.fault(tally, "torn", told, text);
        }
        before = Some(told);
    }
    before
}

/// Each goes on where the one before had released, or had committed. Returns how far the last one came.
fn judge_consumers(played: &Played<'_>, tally: &mut Tally, last: Told) -> Option<u64> {
    let slot = 1;
    let mut before: Option<Session<'_>> = None;
    for number in 0..played.ledger.sessions(slot) {
        let session = played.ledger.session(slot, number);
        let (first, next) = (session.get(Ses::First), session.get(Ses::Next));
        tally.add(Count::Sessions, 1);
        tally.add(Count::Delivered, next - first);
        match Finale::of(session.get(Ses::End)) {
            Finale::MovedOn => tally.add(Count::Reconnects, 1),
            Finale::Cancelled | Finale::Dropped => tally.add(Count::Leaves, 1),
            Finale::Open if !played.was_gone(slot, session.get(Ses::Run)) => {
                let text = "a consumer that was not killed did not say how it ended";
                played.fault(tally, "wrong", last, text);
            }
            _ => {}
        }
        if next > last.most {
            let text = format!("the consumer got {next}, more than were put");
            played.fault(tally, "torn", last, text);
        }
        match before.replace(session) {
            Some(before) => judge_successor(played, tally, last, before, first),
            None if first != 0 => {
                played.fault(
                    tally,
                    "lost",
                    last,
                    format!("the first consumer began at {first}"),
                );
            }
            None => {}
        }
    }
    before.map(|session| session.get(Ses::Next))
}

fn judge_successor(played: &Played<'_>, tally: &mut Tally, last: Told, before: Session<'_>, first: u64) {
    tally.add(Count::Resumes, 1);
    let next = before.get(Ses::Next);
    if before.get(Ses::Manner) == Manner::Committer as u64 {
        // What was about to be committed was, or was not.
        let tried = before.get(Ses::Again);
        if first < next {
            let text = format!("the commit at {next}: the next one found {first}");
            played.fault(tally, "lost", last, text);
        } else if first != next && first != tried {
            let text = format!("a commit at {first} where {next} was committed and {tried} tried");
            played.fault(tally, "torn", last, text);
        }
        return;
    }
    tally.add(Count::Again, next.saturating_sub(first));
    let again = match Finale::of(before.get(Ses::End)) {
        // Who left in order had released all that it took.
        Finale::Dropped => 0,
        _ => before.get(Ses::Again),
    };
    if first > next {
        let text = format!("the consumer went on at {first}, and the one before had got {next}");
        played.fault(tally, "lost", last, text);
    } else if next - first > again {
        let back = next - first;
        let text = format!("the consumer went on at {first}, {back} back, where {again} may come again");
        played.fault(tally, "duplicated", last, text);
    }
}
