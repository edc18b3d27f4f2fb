//! A consumer that keeps a state beside its position, and commits both by one store.

#![forbid(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::time::Instant;

use super::end::End;
use super::endpoint::Vacancy;
use super::error::TimedOut;
use super::source::{SourceRef, TryNext};
use super::subscribe::SubscribeBuilder;
use super::subscribed::{Committing, connect_transactional, released_by_commits};
use crate::element::Element;
use crate::memory::SharedMemory;
use crate::primitive::Arc;
use crate::process::{Commit, Hold, InvalidName, SubscribeError, commit};
use crate::ring::page::LARGEST_STATE;

/// The consumer has taken a whole window since its last commit, and gets nothing more before the next one.
///
/// ```
/// let error = millstream::Uncommitted { elements: 16 };
/// assert!(error.to_string().contains("16"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{elements} elements were taken and not committed, which is the whole window: commit, or ask for a larger `initial_demand`"
)]
pub struct Uncommitted {
    /// Elements taken since the last commit.
    pub elements: u64,
}

/// Why a source that commits has no next element at present.
///
/// ```
/// use millstream::{NextError, Uncommitted};
/// let error = NextError::from(Uncommitted { elements: 16 });
/// assert!(matches!(error, NextError::Uncommitted(_)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NextError {
    /// Nothing more before a commit.
    #[error(transparent)]
    Uncommitted(#[from] Uncommitted),
    /// The deadline passed.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

/// Settings of a subscription that commits; see [`SubscribeBuilder::transactional`].
#[must_use]
pub struct TransactionalBuilder<T, S> {
    subscribe: SubscribeBuilder<T>,
    state: PhantomData<fn() -> S>,
}

impl<T, S> fmt::Debug for TransactionalBuilder<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionalBuilder").finish_non_exhaustive()
    }
}

impl<T: Element, S: Element> TransactionalBuilder<T, S> {
    const FITS: () = assert!(
        size_of::<S>() <= LARGEST_STATE,
        "a state that is committed with a position has at most 1,600 bytes"
    );

    pub(super) fn new(subscribe: SubscribeBuilder<T>) -> Self {
        let () = Self::FITS;
        Self {
            subscribe,
            state: PhantomData,
        }
    }

    /// Subscribes.
    ///
    /// # Errors
    /// See [`SubscribeError`]. `InvalidName` without a name to be [resumed](SubscribeBuilder::resumable) by; `StateType` and
    /// `StatePosition` when what was committed under that name does not fit.
    ///
    /// ```
    /// use millstream::SubscribeError;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let _sink = millstream::publish::<u64>("orders").directory(path).open()?;
    /// let nameless = millstream::subscribe::<u64>("orders").directory(path).transactional::<u64>().open();
    /// assert!(matches!(nameless, Err(SubscribeError::InvalidName(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(self) -> Result<TransactionalSource<T, S>, SubscribeError> {
        let mut settings = self.subscribe.settings()?;
        let Some(subscription) = settings.subscription.clone() else {
            let why = "is empty, and a position is kept under a name (see `resumable`)";
            let name = String::new();
            return Err(InvalidName { name, why }.into());
        };
        settings.transactional = true;
        settings.source.manual = false;
        let window = settings.source.window;
        let Committing {
            connected,
            page,
            hold,
            start,
        } = connect_transactional::<T>(&settings)?;
        let ours = S::fingerprint().to_bytes();
        let standing = Commit::standing(&page, &settings.name)?;
        let state = match &standing {
            None => None,
            Some(Commit { fingerprint, .. }) if *fingerprint != ours => {
                return Err(SubscribeError::StateType {
                    name: settings.name,
                    subscription,
                    ours,
                    found: *fingerprint,
                });
            }
            Some(Commit { position, .. }) if *position != start => {
                return Err(SubscribeError::StatePosition {
                    name: settings.name,
                    subscription,
                    state: *position,
                    position: start,
                });
            }
            Some(Commit { state, .. }) => S::read_from_bytes(state).ok(),
        };
        let source = released_by_commits(connected, start);
        Ok(TransactionalSource {
            source,
            page,
            _hold: hold,
            window,
            committed: start,
            fingerprint: ours,
            state,
        })
    }
}

/// The consumer's handle of a subscription that keeps a state beside its position, and has both change together.
///
/// After [`commit`](Self::commit) the next process of the subscription finds that state, and goes on with the element after the
/// last one taken before it; and so it does however this process ends, at whichever instruction: it finds this commit or the
/// one before, with the position of it. What a state says that is computed from the elements alone is therefore as if each had
/// been processed once. What a consumer does outside of its state (an order sent, a row written) can happen again for what was
/// taken since the last commit; the [position](Self::position) tells it apart.
///
/// Nothing is released but by a commit, and its window (`initial_demand`) is the most that can be taken between two, and that comes
/// again to a successor: who commits every hundredth element asks for 100 or more.
///
/// ```
/// #[millstream::element]
/// #[derive(Debug, Default, PartialEq)]
/// struct Book {
///     trades: u64,
///     volume: u64,
/// }
/// # let dir = tempfile::tempdir()?;
/// # let (run, file) = (&dir.path().join("run"), dir.path().join("trades"));
/// let mut sink = millstream::publish::<u64>("trades").durable(file).directory(run).open()?;
/// sink.put_slice(&[10, 20, 30])?;
/// sink.complete()?;
///
/// let subscription = millstream::subscribe::<u64>("trades").resumable("book").directory(run);
/// let mut source = subscription.transactional::<Book>().open()?;
/// let mut book = source.state().unwrap_or_default();
/// while let Some(size) = source.next()? {
///     book.trades += 1;
///     book.volume += size;
///     source.commit(&book);
/// }
/// assert_eq!(source.state(), Some(Book { trades: 3, volume: 60 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// The hold is dropped last, when the source has said what it leaves.
pub struct TransactionalSource<T: Element, S: Element> {
    source: SourceRef<T>,
    page: Arc<SharedMemory>,
    _hold: Option<Hold>,
    window: u64,
    committed: u64,
    /// Of the state's type.
    fingerprint: [u8; 16],
    state: Option<S>,
}

impl<T: Element, S: Element> fmt::Debug for TransactionalSource<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionalSource")
            .field("position", &self.position())
            .field("committed", &self.committed)
            .finish_non_exhaustive()
    }
}

impl<T: Element, S: Element> TransactionalSource<T, S> {
    /// The state committed last, by this process or by one before it; `None` when none ever was.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let _sink = millstream::publish::<u64>("orders").directory(path).open()?;
    /// let subscription = millstream::subscribe::<u64>("orders").resumable("book").directory(path);
    /// let mut source = subscription.transactional::<u32>().open()?;
    /// assert_eq!(source.state(), None);
    /// source.commit(&7);
    /// assert_eq!(source.state(), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn state(&self) -> Option<S> {
        self.state
    }

    /// The position of the next element.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let mut sink = millstream::publish::<u64>("orders").directory(path).open()?;
    /// # let subscription = millstream::subscribe::<u64>("orders").resumable("book").directory(path);
    /// let mut source = subscription.transactional::<u32>().open()?;
    /// sink.put(5)?;
    /// source.next()?;
    /// assert_eq!((source.position(), source.committed()), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn position(&self) -> u64 {
        self.source.position()
    }

    /// The position of the first element that the committed state does not know of.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let mut sink = millstream::publish::<u64>("orders").directory(path).open()?;
    /// # let subscription = millstream::subscribe::<u64>("orders").resumable("book").directory(path);
    /// let mut source = subscription.transactional::<u32>().open()?;
    /// sink.put(5)?;
    /// source.next()?;
    /// source.commit(&1);
    /// assert_eq!(source.committed(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// How many elements were taken since the last commit.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let mut sink = millstream::publish::<u64>("orders").directory(path).open()?;
    /// # let subscription = millstream::subscribe::<u64>("orders").resumable("book").directory(path);
    /// let mut source = subscription.transactional::<u32>().open()?;
    /// sink.put_slice(&[5, 6])?;
    /// source.next()?;
    /// assert_eq!(source.uncommitted(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn uncommitted(&self) -> u64 {
        self.position().wrapping_sub(self.committed)
    }

    /// Commits the state, and with it everything taken so far. Never waits; also after the end. `kill -9` leaves either this
    /// commit or the one before. It writes the state, some 60 bytes around it, and what a release writes; with
    /// [`durable`](crate::PublishBuilder::durable) that is the page cache, and no wait for the disk.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let mut sink = millstream::publish::<u64>("orders").directory(path).open()?;
    /// # let subscription = millstream::subscribe::<u64>("orders").resumable("book").directory(path);
    /// let mut source = subscription.transactional::<u64>().open()?;
    /// sink.put(5)?;
    /// let sum = source.state().unwrap_or(0) + source.next()?.unwrap();
    /// source.commit(&sum);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn commit(&mut self, state: &S) {
        let position = self.position();
        let stored = commit(&self.page, position, &self.fingerprint, state.as_bytes());
        debug_assert!(stored, "the page is writable, and the state fits");
        self.state = Some(*state);
        self.committed = position;
        // After the commit: nothing is released that a successor would need.
        self.source.release(position);
    }

    /// Takes the next element if there is one. Never waits. `Empty` also where a whole window waits to be committed.
    ///
    /// ```
    /// use millstream::TryNext;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let mut sink = millstream::publish::<u64>("orders").directory(path).open()?;
    /// # let subscription = millstream::subscribe::<u64>("orders").resumable("book").directory(path);
    /// let mut source = subscription.transactional::<u32>().open()?;
    /// sink.put(5)?;
    /// assert_eq!(source.try_next(), TryNext::Item(5));
    /// assert_eq!(source.try_next(), TryNext::Empty);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_next(&mut self) -> TryNext<T> {
        if self.uncommitted() >= self.window {
            return self.source.ended_or_empty();
        }
        self.source.try_next()
    }

    /// Takes the next element, waiting for it. `None` when the stream has ended.
    ///
    /// # Errors
    /// When a whole window waits to be committed, and the stream has not ended.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let mut sink = millstream::publish::<u64>("orders").buffer_size(1).directory(path).open()?;
    /// # let subscription = millstream::subscribe::<u64>("orders").resumable("book").directory(path);
    /// let mut source = subscription.initial_demand(2).transactional::<u32>().open()?;
    /// sink.put_slice(&[5, 6])?;
    /// assert_eq!((source.next()?, source.next()?), (Some(5), Some(6)));
    /// assert_eq!(source.next(), Err(millstream::Uncommitted { elements: 2 }));
    /// source.commit(&0);
    /// sink.put(7)?;
    /// assert_eq!(source.next()?, Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(clippy::should_implement_trait, reason = "it can fail, and be called again")]
    pub fn next(&mut self) -> Result<Option<T>, Uncommitted> {
        match self.ready_or_open()? {
            Some(taken) => Ok(taken),
            None => Ok(self.source.next()),
        }
    }

    /// As [`next`](Self::next), until `deadline` at the latest.
    ///
    /// # Errors
    /// `Uncommitted` as with `next`, `TimedOut` when the deadline passed; the stream then goes on.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use millstream::NextError;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let mut sink = millstream::publish::<u64>("orders").directory(path).open()?;
    /// # let subscription = millstream::subscribe::<u64>("orders").resumable("book").directory(path);
    /// let mut source = subscription.transactional::<u32>().open()?;
    /// let late = source.next_deadline(Instant::now() + Duration::from_millis(1));
    /// assert!(matches!(late, Err(NextError::TimedOut(_))));
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_deadline(&mut self, deadline: Instant) -> Result<Option<T>, NextError> {
        match self.ready_or_open()? {
            Some(taken) => Ok(taken),
            None => Ok(self.source.next_deadline(deadline)?),
        }
    }

    /// The next element or the end, if it is there; `None` if it may be waited for.
    fn ready_or_open(&mut self) -> Result<Option<Option<T>>, Uncommitted> {
        match self.try_next() {
            TryNext::Item(element) => Ok(Some(Some(element))),
            TryNext::End(_) => Ok(Some(None)),
            TryNext::Empty => match self.uncommitted() {
                elements if elements >= self.window => Err(Uncommitted { elements }),
                _ => Ok(None),
            },
        }
    }

    /// How the stream ended; `None` before.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let mut sink = millstream::publish::<u64>("orders").directory(path).open()?;
    /// # let subscription = millstream::subscribe::<u64>("orders").resumable("book").directory(path);
    /// let mut source = subscription.transactional::<u32>().open()?;
    /// sink.complete()?;
    /// assert_eq!(source.next()?, None);
    /// assert_eq!(source.end(), Some(millstream::End::Completed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.source.end()
    }
}

impl<T> SourceRef<T> {
    /// The end, if the next thing to come is that, or nothing.
    fn ended_or_empty(&mut self) -> TryNext<T> {
        while !self.is_ready() {
            match self.vacant() {
                Vacancy::Appeared => {}
                Vacancy::Empty => return TryNext::Empty,
                Vacancy::Ended => return self.ended(),
            }
        }
        TryNext::Empty
    }

    /// Releases what was committed, up to `pos`, which is where the source stands.
    fn release(&mut self, pos: u64) {
        self.cold.endpoint.set_committed(pos);
        let mark = self.cold.endpoint.credit_taken(self.ring.pos());
        self.set_mark(mark);
    }
}
