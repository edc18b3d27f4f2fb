//! A consumer's part that commits a state with its position: each element counts once, however often both sides are killed.

use std::time::{Duration, Instant};

use millstream::{End, NextError, TransactionalSource, subscribe};

use crate::consumer::{is_passing, origin};
use crate::element::{Medium, Sample};
use crate::intake::{PATIENCE, subscription};
use crate::ledger::{Finale, MOST, Of, Ses, Session, Word};
use crate::line::Manner;
use crate::part::{Fault, Scene, pause, strategy};
use crate::random::Random;

/// What a consumer knows that has processed each element once and in order.
#[millstream::element(name = "soak.Sums")]
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Sums {
    count: u64,
    sum: u64,
    order: u64,
}

impl Sums {
    fn add(&mut self, position: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(position);
        self.order = self.order.wrapping_mul(31).wrapping_add(position + 1);
    }

    fn of(count: u64) -> Self {
        let mut sums = Self::default();
        (0..count).for_each(|position| sums.add(position));
        sums
    }
}

pub(crate) fn consume(scene: &Scene<'_>, random: &mut Random) -> Result<(), Fault> {
    while scene.ledger.get(Word::Done) == 0 {
        let builder = subscribe::<Medium>(scene.part.name())
            .directory(&scene.part.streams)
            .source_wait(strategy(random))
            .idle_timeout(None)
            .initial_demand(random.between(1, 256))
            .wait_for(PATIENCE)
            .resumable(subscription(scene));
        let source = match builder.transactional::<Sums>().open() {
            Ok(source) => source,
            Err(error) if is_passing(&error) => continue,
            Err(error) => return Err(Fault::wrong(format!("not subscribed: {error}"))),
        };
        let (sums, position) = (source.state().unwrap_or_default(), source.position());
        if sums.count != position || sums != Sums::of(position) {
            let text = format!("{sums:?} was committed with position {position}");
            return Err(Fault::new("torn", text));
        }
        let committer = Committer {
            scene,
            source,
            sums,
            session: note(scene, position)?,
        };
        committer.work(random)?;
    }
    Ok(())
}

fn note<'a>(scene: &Scene<'a>, first: u64) -> Result<Session<'a>, Fault> {
    let (ledger, slot) = (scene.ledger, scene.part.slot);
    let number = ledger.sessions(slot);
    if number + 1 >= MOST {
        return Err(Fault::wrong("the ledger has no room for another session"));
    }
    let session = ledger.session(slot, number);
    session.set(Ses::Run, scene.part.run + 1);
    session.set(Ses::First, first);
    session.set(Ses::Next, first);
    session.set(Ses::Again, first);
    session.set(Ses::Manner, Manner::Committer as u64);
    scene.slot.set(Of::Sessions, number as u64 + 1);
    Ok(session)
}

struct Committer<'a> {
    scene: &'a Scene<'a>,
    source: TransactionalSource<Medium, Sums>,
    sums: Sums,
    session: Session<'a>,
}

impl Committer<'_> {
    fn work(mut self, random: &mut Random) -> Result<(), Fault> {
        let (life, mut left) = (random.between(1, 200_000), 0);
        let first = self.sums.count;
        loop {
            if left == 0 {
                pause(random);
                left = random.between(1, 100);
            }
            left -= 1;
            let until = Instant::now() + Duration::from_millis(20);
            match self.source.next_deadline(until) {
                Ok(Some(element)) => self.take(element)?,
                // Nothing comes, or nothing can: then is the time to commit.
                Err(NextError::TimedOut(_) | NextError::Uncommitted(_)) => self.commit(),
                Err(error) => return Err(Fault::wrong(format!("at {}: {error}", self.sums.count))),
                Ok(None) => return self.ended(),
            }
            if random.once_in(40) {
                self.commit();
            }
            if self.sums.count - first >= life && !self.scene.ledger.is_finishing() {
                // What was not committed comes again.
                drop(self.source);
                self.session.set(Ses::End, Finale::Dropped as u64);
                return Ok(());
            }
        }
    }

    fn take(&mut self, element: Medium) -> Result<(), Fault> {
        let mark = element.mark().map_err(|torn| Fault::new("torn", torn))?;
        if mark.stream != self.scene.part.stream {
            let text = format!("an element of another stream: {mark:?}");
            return Err(Fault::new("torn", text));
        }
        origin(self.scene, mark.incarnation, mark.position)?;
        let next = self.sums.count;
        if mark.position != next {
            let class = if mark.position < next {
                "duplicated"
            } else {
                "lost"
            };
            return Err(Fault::new(class, format!("{mark:?} came where {next} was next")));
        }
        self.sums.add(mark.position);
        self.scene.slot.beat();
        Ok(())
    }

    fn commit(&mut self) {
        self.session.set(Ses::Again, self.sums.count);
        self.source.commit(&self.sums);
        self.session.set(Ses::Next, self.sums.count);
    }

    fn ended(mut self) -> Result<(), Fault> {
        self.commit();
        let finale = match self.source.end() {
            Some(End::Completed) => Finale::Completed,
            Some(End::Failed(_)) => Finale::Failed,
            Some(End::PeerGone) => Finale::PeerGone,
            end => {
                let text = format!("at {}: ended as {end:?}", self.sums.count);
                return Err(Fault::wrong(text));
            }
        };
        drop(self.source);
        self.session.set(Ses::End, finale as u64);
        self.scene.slot.beat();
        Ok(())
    }
}
