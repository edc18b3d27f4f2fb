//! What the ledger of a scene says: whether every promise was kept, whatever was killed when.

mod durable;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::ledger::{Fate, Finale, Inc, Ledger, Ses, Session, Word};
use crate::line::{Kind, Manner};
use crate::tally::{Count, Tally};

/// A scene that is over: the processes of each slot that went without a word (killed, mostly), by run.
#[derive(Debug)]
pub(crate) struct Played<'a> {
    pub(crate) kind: Kind,
    pub(crate) stream: u64,
    pub(crate) ledger: &'a Ledger,
    /// Of the producer in slot 0, and the consumers.
    pub(crate) gone: Vec<&'a [bool]>,
}

/// What is told of one incarnation.
#[derive(Clone, Copy, Debug)]
struct Told {
    number: u64,
    published: u64,
    /// The most that can have been published.
    most: u64,
    fate: Fate,
    intent: Fate,
    drained: bool,
    producer_gone: bool,
}

impl Played<'_> {
    fn was_gone(&self, slot: usize, run_and_one: u64) -> bool {
        let run = run_and_one
            .checked_sub(1)
            .and_then(|run| self.gone[slot].get(run as usize));
        run.copied().unwrap_or(false)
    }

    fn told(&self, number: u64) -> Told {
        let row = self.ledger.incarnation(number);
        let published = row.get(Inc::Published);
        Told {
            number,
            published,
            most: row.get(Inc::Trying).max(published),
            fate: Fate::of(row.get(Inc::Fate)),
            intent: Fate::of(row.get(Inc::Intent)),
            drained: row.get(Inc::Drained) != 0,
            producer_gone: self.was_gone(0, row.get(Inc::Run)),
        }
    }

    /// Counts everything, and notes what is wrong.
    pub(crate) fn judge(&self, tally: &mut Tally) {
        let incarnations = self.ledger.get(Word::Incarnations);
        tally.add(Count::Scenes, 1);
        tally.add(Count::Incarnations, incarnations);
        for number in 0..incarnations {
            let told = self.told(number);
            tally.add(
                Count::Published,
                told.published.saturating_sub(self.start(number)),
            );
            match told.fate {
                Fate::Completed => tally.add(Count::Completed, 1),
                Fate::Failed | Fate::Dropped => tally.add(Count::Failed, 1),
                Fate::Running if !told.producer_gone => {
                    self.fault(
                        tally,
                        "wrong",
                        told,
                        "was left open by a producer that was not killed",
                    );
                }
                // The only consumer is gone only if it was killed; of a broadcast none ends the stream.
                Fate::ConsumerGone if !self.any_consumer_gone() => {
                    self.fault(
                        tally,
                        "wrong",
                        told,
                        "was closed because of a death, and no consumer was killed",
                    );
                }
                Fate::Cancelled | Fate::ConsumerGone
                    if matches!(self.kind, Kind::Broadcast | Kind::Rendezvous) || self.kind.is_durable() =>
                {
                    self.fault(tally, "wrong", told, "was ended by a consumer that cannot end it");
                }
                _ => {}
            }
        }
        if self.kind == Kind::Work {
            self.judge_work(tally, incarnations);
        } else if self.kind.is_durable() {
            durable::judge(self, tally, incarnations);
        } else {
            self.judge_sessions(tally);
        }
    }

    /// Where an incarnation of a durable stream went on; others begin at 0.
    fn start(&self, number: u64) -> u64 {
        let start = self.ledger.incarnation(number).get(Inc::Start);
        start.saturating_sub(1)
    }

    fn any_consumer_gone(&self) -> bool {
        self.gone[1..].iter().any(|runs| runs.contains(&true))
    }

    fn fault(&self, tally: &mut Tally, class: &str, told: Told, text: impl std::fmt::Display) {
        let Self { kind, stream, .. } = self;
        let Told {
            number,
            published,
            most,
            ..
        } = told;
        tally.fault(
            class,
            format_args!("{kind} {stream}, incarnation {number} ({published} to {most} published): {text}"),
        );
    }

    fn judge_sessions(&self, tally: &mut Tally) {
        // How far those got who were told that the producer is gone, which must be the same for all.
        let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
        for slot in 1..self.gone.len() {
            let mut before: Option<Session<'_>> = None;
            for number in 0..self.ledger.sessions(slot) {
                let session = self.ledger.session(slot, number);
                let told = self.told(session.get(Ses::Incarnation));
                self.count(tally, session);
                self.judge_bounds(tally, slot, session, told);
                self.judge_first(tally, slot, session, before, told);
                if matches!(
                    Finale::of(session.get(Ses::End)),
                    Finale::PeerGone | Finale::MovedOn
                ) {
                    let next = session.get(Ses::Next);
                    let other = *ends.entry(told.number).or_insert(next);
                    if other != next {
                        let text =
                            format!("its producer died, and one consumer got {other}, the other {next}");
                        self.fault(tally, "lost", told, text);
                    }
                }
                before = Some(session);
            }
        }
    }

    fn count(&self, tally: &mut Tally, session: Session<'_>) {
        let (first, next, missed) = (
            session.get(Ses::First),
            session.get(Ses::Next),
            session.get(Ses::Missed),
        );
        tally.add(Count::Sessions, 1);
        tally.add(Count::Delivered, (next - first).saturating_sub(missed));
        tally.add(Count::Missed, missed);
        match Finale::of(session.get(Ses::End)) {
            Finale::MovedOn => tally.add(Count::Reconnects, 1),
            Finale::Evicted => tally.add(Count::Evictions, 1),
            Finale::Cancelled | Finale::Dropped => tally.add(Count::Leaves, 1),
            _ => {}
        }
    }

    /// Nothing came that was not put; and who was told that all is over had all.
    fn judge_bounds(&self, tally: &mut Tally, slot: usize, session: Session<'_>, told: Told) {
        let next = session.get(Ses::Next);
        let finale = Finale::of(session.get(Ses::End));
        // A put that had not returned may have been heard of; one of a producer that ended in order had.
        let most = match told.fate {
            Fate::Completed | Fate::Failed | Fate::Dropped => told.published,
            Fate::Running | Fate::Cancelled | Fate::ConsumerGone => told.most,
        };
        if next > most {
            let text = format!("slot {slot} got {next}, more than were put");
            self.fault(tally, "torn", told, text);
        }
        let rightly = match finale {
            Finale::Open => self.was_gone(slot, session.get(Ses::Run)),
            Finale::Completed => {
                told.fate == Fate::Completed || told.intent == Fate::Completed && told.producer_gone
            }
            Finale::Failed => {
                let fails = |fate| matches!(fate, Fate::Failed | Fate::Dropped);
                fails(told.fate) || fails(told.intent) && told.producer_gone
            }
            // What was ended before its producer was killed is known as ended.
            Finale::PeerGone | Finale::MovedOn => told.fate == Fate::Running && told.producer_gone,
            Finale::Evicted | Finale::Cancelled | Finale::Dropped => true,
        };
        if !rightly {
            let text = format!(
                "slot {slot} found it {finale:?}, its producer left it {:?}",
                told.fate
            );
            self.fault(tally, "wrong", told, text);
        }
        let over = matches!(
            finale,
            Finale::Completed | Finale::Failed | Finale::PeerGone | Finale::MovedOn
        );
        if over && next < told.published {
            let text = format!("slot {slot} found it {finale:?} at {next}");
            self.fault(tally, "lost", told, text);
        }
        let must_have_drained = told.drained && self.kind.is_for_one();
        if must_have_drained && finale != Finale::Open && finale != Finale::Dropped && next < told.published {
            let text = format!("slot {slot} had {next} when all was said to be released");
            self.fault(tally, "lost", told, text);
        }
    }

    /// The only consumer begins at the beginning, and a successor where the one before had released.
    fn judge_first(
        &self,
        tally: &mut Tally,
        slot: usize,
        session: Session<'_>,
        before: Option<Session<'_>>,
        told: Told,
    ) {
        let first = session.get(Ses::First);
        let before = before.filter(|before| before.get(Ses::Incarnation) == told.number);
        let resumed = session.get(Ses::Manner) == Manner::Resumed as u64;
        let Some(before) = before.filter(|_| resumed) else {
            if self.kind.is_for_one() && first != 0 {
                self.fault(tally, "lost", told, format!("slot {slot} began at {first}"));
            }
            return;
        };
        let next = before.get(Ses::Next);
        let finale = Finale::of(before.get(Ses::End));
        if !self.kind.is_for_one() && !matches!(finale, Finale::Open | Finale::Dropped) {
            // It joined anew: what it had before was over.
            return;
        }
        tally.add(Count::Resumes, 1);
        tally.add(Count::Again, next.saturating_sub(first));
        // Who left in order had released all that it took.
        let again = if finale == Finale::Dropped {
            0
        } else {
            before.get(Ses::Again)
        };
        if first > next {
            let text = format!("slot {slot} went on at {first}, and the one before had got {next}");
            self.fault(tally, "lost", told, text);
        } else if next - first > again {
            let text = format!(
                "slot {slot} went on at {first}, {} back, where {again} may come again",
                next - first
            );
            self.fault(tally, "duplicated", told, text);
        }
    }

    /// Each element of work was done; again only where a worker was killed over it.
    fn judge_work(&self, tally: &mut Tally, incarnations: u64) {
        let mut again = 0;
        for number in 0..incarnations {
            let told = self.told(number);
            let base = self.ledger.incarnation(number).get(Inc::Base);
            for position in 0..told.most {
                let times = self.ledger.handled(base + position);
                again += times.saturating_sub(1);
                tally.add(Count::Delivered, times);
                if times == 0 && told.drained && position < told.published {
                    self.fault(tally, "lost", told, format!("{position} was never worked on"));
                }
            }
        }
        tally.add(Count::Again, again);
        let deaths: usize = self.gone[1..]
            .iter()
            .map(|runs| runs.iter().filter(|gone| **gone).count())
            .sum();
        for slot in 1..self.gone.len() {
            tally.add(Count::Sessions, self.ledger.sessions(slot) as u64);
        }
        if again > deaths as u64 {
            let Self { kind, stream, .. } = self;
            tally.fault(
                "duplicated",
                format_args!("{kind} {stream}: {again} were done again, and {deaths} workers were killed"),
            );
        }
    }
}
