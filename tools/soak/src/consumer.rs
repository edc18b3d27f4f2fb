//! A consumer's part: one subscription after another, every element checked, until the scene is over or it is killed.

use millstream::{DirectoryError, End, SubscribeError};

use crate::intake::{Intake, MOST_AT_ONCE, Seen, Step, Take, open};
use crate::ledger::{Finale, Inc, MOST, Of, Ses, Session, Word};
use crate::line::{Kind, Manner};
use crate::part::{Fault, Scene, pause};
use crate::random::Random;

pub(crate) fn consume(scene: &Scene<'_>, random: &mut Random) -> Result<(), Fault> {
    let manner = scene.part.kind.manner(scene.part.slot);
    // When the last producer has gone there is nobody to subscribe to.
    while scene.ledger.get(Word::Done) == 0 {
        let opened = match open(scene, manner, random) {
            Ok(opened) => opened,
            Err(error) if is_passing(&error) => continue,
            Err(error) => return Err(Fault::wrong(format!("not subscribed: {error}"))),
        };
        let mut reader = Reader {
            scene,
            manner,
            noted: None,
            // One that goes on with the next producer begins anew in the middle of a step.
            start: opened.intake.position().filter(|_| !opened.reconnects),
            latest: latest(scene).filter(|_| !opened.reconnects),
            missed_at_first: 0,
            reconnects: opened.reconnects,
            moves: 0,
            next: 0,
            again: opened.window + MOST_AT_ONCE as u64,
            fault: None,
        };
        reader.read(opened.intake, random)?;
    }
    Ok(())
}

/// What says that there is no producer now, or none that has time for this consumer; another try comes.
pub(crate) fn is_passing(error: &SubscribeError) -> bool {
    match error {
        SubscribeError::NotFound { .. }
        | SubscribeError::TimedOut { .. }
        | SubscribeError::Ended { .. }
        | SubscribeError::Unresponsive { .. }
        | SubscribeError::Busy { .. }
        | SubscribeError::PeerGone { .. } => true,
        // The producer's thread has not heard yet that the one before was killed.
        SubscribeError::AlreadySubscribed { .. } | SubscribeError::Full { .. } => true,
        // The first producer makes the directory.
        SubscribeError::Directory(DirectoryError::NotFound { .. }) => true,
        _ => false,
    }
}

/// The newest incarnation, and up to where it may have published by now.
fn latest(scene: &Scene<'_>) -> Option<(u64, u64)> {
    if scene.part.kind.is_durable() {
        // Where the newest one goes on it notes only when it is there.
        return None;
    }
    let number = scene.ledger.get(Word::Incarnations).checked_sub(1)?;
    Some((number, scene.ledger.incarnation(number).get(Inc::Trying)))
}

/// The producer that an element of a durable stream says to be of must have put it: between where it went on and where the
/// next one did.
pub(crate) fn origin(scene: &Scene<'_>, incarnation: u64, position: u64) -> Result<(), Fault> {
    let ledger = scene.ledger;
    let row = ledger.incarnation(incarnation.min(MOST as u64 - 1));
    let from = row.get(Inc::Start);
    // The next one that has gone on, if one has.
    let mut later = incarnation + 1..ledger.get(Word::Incarnations);
    let until = later.find_map(|next| ledger.incarnation(next).get(Inc::Start).checked_sub(1));
    let until = until.unwrap_or(u64::MAX);
    let tried = row.get(Inc::Trying);
    if from != 0 && (from - 1..tried.min(until)).contains(&position) {
        return Ok(());
    }
    Err(Fault::new(
        "torn",
        format!(
            "{position} of incarnation {incarnation}, which began before {from}, tried {tried} and was followed at {until}"
        ),
    ))
}

/// One subscription, and what has come by it.
struct Reader<'a> {
    scene: &'a Scene<'a>,
    manner: Manner,
    /// The session that is noted: the incarnation, and the session's number.
    noted: Option<(u64, usize)>,
    /// Where the source said it begins, if that is sure.
    start: Option<u64>,
    /// The incarnation that was the newest when it had been opened, and what may have been published of it by then.
    latest: Option<(u64, u64)>,
    /// Elements in a gap before the first that tells its incarnation.
    missed_at_first: u64,
    reconnects: bool,
    /// How many incarnations it has gone on from.
    moves: u64,
    next: u64,
    again: u64,
    fault: Option<Fault>,
}

impl Reader<'_> {
    fn session(&self) -> Option<Session<'_>> {
        let (_, number) = self.noted?;
        Some(self.scene.ledger.session(self.scene.part.slot, number))
    }

    fn end_session(&mut self, finale: Finale) {
        if let Some(session) = self.session() {
            session.set(Ses::End, finale as u64);
        }
        self.noted = None;
    }

    fn read(&mut self, mut intake: Box<dyn Intake>, random: &mut Random) -> Result<(), Fault> {
        let ledger = self.scene.ledger;
        let life = match random.below(4) {
            0 => random.between(1, 2000),
            _ => random.between(2000, 200_000),
        };
        let (mut taken, mut how, mut so_often) = (0u64, Take::Next, 0);
        loop {
            if so_often == 0 {
                (how, so_often) = (Take::draw(random), random.between(1, 200));
                pause(random);
            }
            so_often -= 1;
            let how = match how {
                // One that waits for the next producer as well would not see that none comes.
                Take::Next if self.reconnects => Take::Deadline(20),
                how => how,
            };
            let (epoch, noted) = (intake.epoch(), self.noted);
            let step = {
                let reader = &mut *self;
                intake.step(how, &mut |seen| {
                    taken += 1;
                    reader.see(seen);
                })
            };
            if intake.epoch() != epoch && self.noted == noted {
                // It goes on with another producer, of which nothing has come yet, and perhaps nothing will.
                self.end_session(Finale::MovedOn);
                self.moves += 1;
            }
            if self.moves > intake.epoch() {
                let (moves, epoch) = (self.moves, intake.epoch());
                return Err(Fault::new(
                    "torn",
                    format!("{moves} other incarnations within {epoch} epochs"),
                ));
            }
            if let Some(fault) = self.fault.take() {
                return Err(fault);
            }
            match step {
                Step::Ended => return self.ended(intake.end()),
                Step::Nothing if ledger.get(Word::Done) != 0 && self.reconnects => {
                    // It waits for a producer that does not come.
                    drop(intake);
                    self.end_session(Finale::MovedOn);
                    return Ok(());
                }
                Step::Nothing => std::thread::yield_now(),
                Step::Some => {}
            }
            if taken >= life && !ledger.is_finishing() {
                self.leave(intake, random);
                return Ok(());
            }
        }
    }

    fn leave(&mut self, mut intake: Box<dyn Intake>, random: &mut Random) {
        // A subscription that may be resumed is more often left to a successor.
        let cancels = random.once_in(if self.manner == Manner::Resumed { 4 } else { 2 });
        let cancelled = cancels && intake.cancel();
        drop(intake);
        let kept = self.manner == Manner::Resumed && !cancelled;
        self.end_session(if kept { Finale::Dropped } else { Finale::Cancelled });
        self.scene.slot.beat();
    }

    fn ended(&mut self, end: Option<End>) -> Result<(), Fault> {
        let finale = match end {
            Some(End::Completed) => Finale::Completed,
            Some(End::Failed(_)) => Finale::Failed,
            Some(End::PeerGone) => Finale::PeerGone,
            Some(End::Evicted) if self.manner == Manner::Evicted => Finale::Evicted,
            Some(End::PeerCorrupt(corruption)) => {
                return Err(Fault::new("torn", format!("at {}: {corruption}", self.next)));
            }
            end => return Err(Fault::wrong(format!("at {}: ended as {end:?}", self.next))),
        };
        self.end_session(finale);
        self.scene.slot.beat();
        Ok(())
    }

    fn see(&mut self, seen: Seen) {
        if self.fault.is_some() {
            return;
        }
        let seen = match seen {
            Seen::Element(Err(torn)) => Err(Fault::new("torn", torn)),
            Seen::Element(Ok(mark)) if !self.is_of_this_stream(mark.stream) => Err(Fault::new(
                "torn",
                format!("an element of another stream: {mark:?}"),
            )),
            Seen::Element(Ok(mark)) if self.manner == Manner::Worker => {
                self.work(mark.incarnation, mark.position);
                Ok(())
            }
            Seen::Element(Ok(mark)) if self.scene.part.kind.is_durable() => {
                self.take_durable(mark.incarnation, mark.position)
            }
            Seen::Element(Ok(mark)) => self.take(mark.incarnation, mark.position),
            Seen::Gap(gap) => self.miss(gap.from, gap.count),
        };
        self.fault = seen.err();
        self.scene.slot.beat();
    }

    /// The smallest elements have room for eight bits of it.
    fn is_of_this_stream(&self, stream: u64) -> bool {
        let own = self.scene.part.stream;
        stream == own
            || matches!(self.scene.part.kind, Kind::Small | Kind::Rendezvous) && stream == own & 0xff
    }

    fn work(&mut self, incarnation: u64, position: u64) {
        if self.noted.is_none_or(|(noted, _)| noted != incarnation) {
            self.end_session(Finale::MovedOn);
            self.next = 0;
            self.note(incarnation, 0, 0);
        }
        let base = self.scene.ledger.incarnation(incarnation).get(Inc::Base);
        self.scene.ledger.handle(base + position);
        if let Some(session) = self.session() {
            session.set(Ses::Next, session.get(Ses::Next) + 1);
        }
    }

    fn take(&mut self, incarnation: u64, position: u64) -> Result<(), Fault> {
        match self.noted {
            Some((noted, _)) if noted == incarnation => {}
            Some((noted, _)) => {
                self.end_session(Finale::MovedOn);
                self.moves += 1;
                if noted > incarnation {
                    let text = format!("incarnation {incarnation} after {noted}");
                    return Err(Fault::new("duplicated", text));
                }
                self.next = position;
            }
            None => self.next = self.first(incarnation, position)?,
        }
        self.expect(incarnation, position)?;
        self.next = position + 1;
        match self.session() {
            Some(session) => session.set(Ses::Next, self.next),
            None => self.note(incarnation, position - self.missed_at_first, self.missed_at_first),
        }
        Ok(())
    }

    /// Of a stream that goes on with its next producer, which has a part of its positions.
    fn take_durable(&mut self, incarnation: u64, position: u64) -> Result<(), Fault> {
        origin(self.scene, incarnation, position)?;
        if self.noted.is_some() && self.reconnects && position < self.next {
            // It has gone on with the next producer, where it had released.
            self.end_session(Finale::MovedOn);
            self.moves += 1;
        }
        if self.noted.is_none() {
            self.next = self.first(incarnation, position)?;
        }
        self.expect(incarnation, position)?;
        self.next = position + 1;
        match self.session() {
            Some(session) => session.set(Ses::Next, self.next),
            None => self.note(incarnation, position, 0),
        }
        Ok(())
    }

    /// Where the first element of a session must be, as far as that can be told.
    fn first(&self, incarnation: u64, position: u64) -> Result<u64, Fault> {
        let expected = self.start.map_or(position, |start| start + self.missed_at_first);
        let first = position.saturating_sub(self.missed_at_first);
        match self.latest {
            // What was put after the subscription had been opened belongs to it.
            Some((latest, trying)) if latest == incarnation && first > trying => Err(Fault::new(
                "lost",
                format!(
                    "began at {first}, of incarnation {incarnation}, where nothing past {trying} had been put before"
                ),
            )),
            _ => Ok(expected),
        }
    }

    fn expect(&self, incarnation: u64, position: u64) -> Result<(), Fault> {
        let class = match position.cmp(&self.next) {
            std::cmp::Ordering::Equal => return Ok(()),
            std::cmp::Ordering::Less => "duplicated",
            std::cmp::Ordering::Greater => "lost",
        };
        Err(Fault::new(
            class,
            format!(
                "{position} of incarnation {incarnation} came where {} was next",
                self.next
            ),
        ))
    }

    fn miss(&mut self, from: u64, count: u64) -> Result<(), Fault> {
        let Some(session) = self.session() else {
            let start = self.start.unwrap_or(from) + self.missed_at_first;
            self.missed_at_first += count;
            return if from == start {
                Ok(())
            } else {
                Err(Fault::new(
                    "lost",
                    format!("a gap from {from} on where {start} was next"),
                ))
            };
        };
        if from != self.next {
            let text = format!("a gap from {from} on where {} was next", self.next);
            return Err(Fault::new("lost", text));
        }
        session.set(Ses::Missed, session.get(Ses::Missed) + count);
        session.set(Ses::Next, from + count);
        self.next += count;
        Ok(())
    }

    /// Notes a new session, which counts only once it is noted whole.
    fn note(&mut self, incarnation: u64, first: u64, missed: u64) {
        let (ledger, slot) = (self.scene.ledger, self.scene.part.slot);
        let number = ledger.sessions(slot);
        if number + 1 >= MOST {
            self.fault = Some(Fault::wrong("the ledger has no room for another session"));
            return;
        }
        let session = ledger.session(slot, number);
        session.set(Ses::Run, self.scene.part.run + 1);
        session.set(Ses::Incarnation, incarnation);
        session.set(Ses::First, first);
        session.set(Ses::Next, self.next);
        session.set(Ses::Missed, missed);
        session.set(Ses::Again, self.again);
        session.set(Ses::Manner, self.manner as u64);
        self.scene.slot.set(Of::Sessions, number as u64 + 1);
        self.noted = Some((incarnation, number));
        self.missed_at_first = 0;
    }
}
