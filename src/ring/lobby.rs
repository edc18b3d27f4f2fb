//! Where those wait who come to a ring of several consumers, until its producer takes them in.
//!
//! A producer need not be running for a consumer to join: whoever joins decides by itself where it starts, from what the
//! producer has allowed itself. It announces itself first and then reads the [intent](super::history); the producer stores a
//! new intent first and then looks for announcements. So one of the two sees the other: either the newcomer starts where the
//! producer does not write, or the producer asks in here, behind the newcomer, before it goes on.

#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::sync::PoisonError;

use super::history::History;
use super::shape::Shape;
use crate::primitive::{Mutex, MutexGuard};

/// Where a consumer that joins a running stream begins.
///
/// ```
/// use millstream::JoinPosition;
///
/// let (mut sink, subscribers) = millstream::broadcast::<u64>().on_no_consumer(millstream::OnNoConsumer::Drop).build()?;
/// sink.put_slice(&[10, 11, 12])?;
/// let mut all = subscribers.subscribe().from(JoinPosition::Oldest).open()?;
/// let mut some = subscribers.subscribe().from(JoinPosition::At(2)).open()?;
/// let mut new = subscribers.subscribe().open()?;
/// sink.put(13)?;
/// assert_eq!((all.next(), some.next(), new.next()), (Some(10), Some(12), Some(13)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinPosition {
    /// With what is put after it joined.
    #[default]
    Live,
    /// With the oldest element that the ring still holds: at least the stream's `history`, if so many were put.
    Oldest,
    /// With the element at this position, if the ring still holds it.
    At(u64),
}

/// What a broadcast comes to while nobody is subscribed.
///
/// ```
/// use millstream::OnNoConsumer;
///
/// let (mut sink, subscribers) = millstream::broadcast::<u64>().on_no_consumer(OnNoConsumer::KeepLatest).build()?;
/// sink.put_slice(&[1, 2, 3])?;
/// let mut late = subscribers.subscribe().open()?;
/// assert_eq!(late.next(), Some(3));
/// assert_eq!(sink.unheard(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnNoConsumer {
    /// The producer waits for a consumer: a put finds no room. What the last consumer left untaken is there for the next one
    /// that joins live, so nothing is lost between the two.
    #[default]
    Wait,
    /// Elements are put for nobody, and [counted](crate::SinkRef::unheard). Who joins at [`Oldest`](crate::JoinPosition::Oldest) finds
    /// those that the ring still holds.
    Drop,
    /// As `Drop`, but the newest is kept for the next consumer that joins live.
    KeepLatest,
}

/// A position that cannot be joined at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotHeld {
    pub(crate) oldest: u64,
    pub(crate) newest: u64,
}

/// Why nobody was let in.
#[derive(Debug)]
pub(crate) enum Refused<E> {
    /// All places are taken.
    Full,
    Position(NotHeld),
    Other(E),
}

/// What a newcomer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// A number of its own.
    pub(crate) id: u64,
    pub(crate) start: u64,
}

/// What is told to the producer.
#[derive(Debug)]
pub(crate) enum News<A> {
    /// Who has come, by its number, and what it brought.
    Came(u64, A),
    Went(u64),
}

/// See the module. `A` is what a newcomer brings for the producer.
#[derive(Debug)]
pub(crate) struct Lobby<A> {
    hall: Mutex<Hall<A>>,
    most: usize,
    absence: OnNoConsumer,
}

#[derive(Debug)]
struct Hall<A> {
    news: Vec<News<A>>,
    /// By their numbers.
    seated: HashSet<u64>,
    next: u64,
    /// The furthest position that one of those who have gone had released.
    heard: u64,
    /// Position from which on nobody has been there to take anything.
    deserted: Option<u64>,
    /// Elements that nobody was there to take, before that.
    unheard: u64,
}

impl<A> Lobby<A> {
    /// For at most `most` consumers at a time, of a stream that begins at `base`.
    pub(crate) fn new(most: usize, base: u64, absence: OnNoConsumer) -> Self {
        Self {
            hall: Mutex::new(Hall {
                news: Vec::new(),
                seated: HashSet::new(),
                next: 0,
                heard: base,
                deserted: Some(base),
                unheard: 0,
            }),
            most,
            absence,
        }
    }

    fn hall(&self) -> MutexGuard<'_, Hall<A>> {
        // Nothing panics while it holds the lock but what `make` does, before anything is changed.
        self.hall.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most consumers at a time.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Consumers at present, those included that the producer has not taken in.
    pub(crate) fn seated(&self) -> usize {
        self.hall().seated.len()
    }

    /// Lets a consumer in. `announce` sets the bit of the producer's notice, `fence` is the heavy side of the fence, and
    /// `make` makes what is for the producer.
    pub(crate) fn join<S: Shape, E>(
        &self,
        history: &History<S>,
        from: JoinPosition,
        announce: impl FnOnce(),
        fence: impl FnOnce(),
        make: impl FnOnce(Entry) -> Result<A, E>,
    ) -> Result<Entry, Refused<E>> {
        let mut hall = self.hall();
        if hall.seated.len() >= self.most {
            return Err(Refused::Full);
        }
        // Under the lock, so that whoever takes the news clears this bit; and before the intent is read, see the module.
        announce();
        fence();
        let reach = history.intent();
        let oldest = history.oldest(reach);
        let newest = history.newest(oldest, reach);
        let ahead = |pos: u64, of: u64| pos.wrapping_sub(of) as i64;
        let start = match from {
            JoinPosition::Oldest => oldest,
            JoinPosition::At(pos) if ahead(pos, oldest) >= 0 && ahead(newest, pos) >= 0 => pos,
            JoinPosition::At(_) => return Err(Refused::Position(NotHeld { oldest, newest })),
            JoinPosition::Live => match hall.deserted {
                Some(since) if ahead(newest, since) > 0 => {
                    let wanted = match self.absence {
                        OnNoConsumer::Wait => since,
                        OnNoConsumer::Drop => newest,
                        OnNoConsumer::KeepLatest => newest.wrapping_sub(1),
                    };
                    if ahead(wanted, oldest) >= 0 {
                        wanted
                    } else {
                        oldest
                    }
                }
                _ => newest,
            },
        };
        let entry = Entry { id: hall.next, start };
        let newcomer = make(entry).map_err(Refused::Other)?;
        if let Some(since) = hall.deserted.take() {
            let unheard = ahead(start, since).max(0) as u64;
            hall.unheard = hall.unheard.wrapping_add(unheard);
        }
        hall.next = hall.next.wrapping_add(1);
        hall.seated.insert(entry.id);
        hall.news.push(News::Came(entry.id, newcomer));
        Ok(entry)
    }

    /// Lets a consumer in, in the place of one that is gone and for which the producer has waited all the same, from a position
    /// that was held for that one.
    pub(crate) fn succeed<E>(
        &self,
        (id, start): (u64, u64),
        announce: impl FnOnce(),
        make: impl FnOnce(Entry) -> Result<A, E>,
    ) -> Result<Entry, E> {
        let mut hall = self.hall();
        let entry = Entry { id: hall.next, start };
        let heir = make(entry)?;
        hall.next = hall.next.wrapping_add(1);
        hall.seated.remove(&id);
        hall.seated.insert(entry.id);
        hall.news.push(News::Came(entry.id, heir));
        // Both are heard of together, so the place is never without somebody to be waited for.
        hall.strike(id);
        announce();
        Ok(entry)
    }

    /// Tells the producer that a consumer is gone; of one that it never took in, no trace is left.
    pub(crate) fn go(&self, id: u64, announce: impl FnOnce()) {
        let mut hall = self.hall();
        hall.strike(id);
        // In any case, for nobody may be left now.
        announce();
    }

    /// Gives a place up: that of a consumer which had released everything before `released`. A second time is of no effect. Of
    /// one that the producer never took in, no trace is left.
    pub(crate) fn vacate(&self, id: u64, released: u64) {
        let mut hall = self.hall();
        if !hall.seated.remove(&id) {
            return;
        }
        hall.forget(id);
        if released.wrapping_sub(hall.heard) as i64 > 0 {
            hall.heard = released;
        }
        if hall.seated.is_empty() {
            hall.deserted = Some(hall.heard);
        }
    }

    /// Shows those to `visit` that the producer has not taken in.
    pub(crate) fn each_newcomer(&self, visit: &mut impl FnMut(&A)) {
        for news in &self.hall().news {
            if let News::Came(_, newcomer) = news {
                visit(newcomer);
            }
        }
    }

    /// What is new. `clear` clears the bit of the notice.
    pub(crate) fn take(&self, clear: impl FnOnce()) -> Vec<News<A>> {
        let mut hall = self.hall();
        // Under the lock, so that the bit of who comes next is not cleared with it.
        clear();
        std::mem::take(&mut hall.news)
    }

    /// How many elements before `pos` nobody was there to take.
    pub(crate) fn unheard(&self, pos: u64) -> u64 {
        let hall = self.hall();
        let lately = hall.deserted.map_or(0, |since| pos.wrapping_sub(since));
        hall.unheard.wrapping_add(lately)
    }
}

impl<A> Hall<A> {
    /// Takes the news of who came back. Whether there were any.
    fn forget(&mut self, id: u64) -> bool {
        let came = |news: &News<A>| matches!(news, News::Came(other, _) if *other == id);
        let index = self.news.iter().position(came);
        index.map(|index| self.news.remove(index)).is_some()
    }

    fn strike(&mut self, id: u64) {
        if !self.forget(id) {
            self.news.push(News::Went(id));
        }
    }
}
