//! Published streams as an observer sees them: who takes part, and where they stand.

use std::path::PathBuf;

use super::observed::{Content, ObservedConsumer, State};
use super::{ListError, ObserveError};
use crate::element::Schema;
use crate::primitive::atomic::Ordering;
use crate::process;
use crate::ring::page::{
    CreditPage, DURABLE, END_COMPLETED, END_FAILED, END_OPEN, KIND_FRAMES, StreamPage, WORD_CLOSED,
    WORD_PARKED,
};

/// A published stream, looked at without taking part. Looking again is [`refresh`](Self::refresh).
///
/// The memory is mapped for reading; the producer and its consumer notice nothing. Positions are read one after the
/// other from a stream that goes on, so each is true for its own moment.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = &dir.path().join("run");
/// let mut sink = millstream::publish::<u64>("ticks").directory(path).open()?;
/// sink.put_slice(&[1, 2, 3])?;
/// let seen = millstream::observe("ticks", Some(path.into()))?;
/// assert_eq!((seen.position(), seen.buffered()), (3, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Observation {
    name: String,
    content: Content,
    pub(super) seen: process::Observation,
    position: u64,
    state: State,
    producer_parked: bool,
    consumer: Option<ObservedConsumer>,
}

/// Looks at the stream published under `name`, in `directory` or the default runtime directory.
///
/// # Errors
/// See [`ObserveError`].
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// assert!(millstream::observe("nobody", Some(dir.path().join("run"))).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn observe(name: &str, directory: Option<PathBuf>) -> Result<Observation, ObserveError> {
    look(process::observe(directory, None, name)?, name)
}

/// As [`observe`], at a stream of the user with this number, who publishes it for a [group](crate::PublishBuilder::group) of
/// this process.
///
/// # Errors
/// See [`ObserveError`]. The directory must belong to that user, and the producer must admit this process. A durable stream of
/// another user is refused: its owner could cut the file off under this process.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = &dir.path().join("run");
/// # let (user, group) = { use std::os::unix::fs::MetadataExt; let own = dir.path().metadata()?; (own.uid(), own.gid()) };
/// let sink = millstream::publish::<u64>("ticks").group(group).directory(path).open()?;
/// assert_eq!(millstream::observe_from_user("ticks", user, Some(path.into()))?.position(), 0);
/// # drop(sink);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn observe_from_user(
    name: &str,
    user: u32,
    directory: Option<PathBuf>,
) -> Result<Observation, ObserveError> {
    look(process::observe(directory, Some(user), name)?, name)
}

fn look(seen: process::Observation, name: &str) -> Result<Observation, ObserveError> {
    let header = &seen.header;
    let corrupt = |word, value| {
        ObserveError::from(super::SubscribeError::PeerCorrupt {
            name: name.to_string(),
            word,
            value,
        })
    };
    let content = if header.kind == KIND_FRAMES {
        Content::Frames {
            longest: header.max_frame as usize,
        }
    } else {
        let schema = Schema::decode(&seen.schema)
            .map_err(|_| corrupt("schema length", u64::from(header.schema_len)))?;
        Content::Elements(schema)
    };
    let mut observation = Observation {
        name: name.into(),
        content,
        position: header.base,
        state: State::Open,
        producer_parked: false,
        consumer: None,
        seen,
    };
    observation.refresh();
    Ok(observation)
}

/// The names that are published in `directory`, or in the default runtime directory, in order.
///
/// # Errors
/// When the directory cannot be used, or the system does not let this process find out who has a name of it: a list is
/// never short. A directory that does not exist holds no names.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = &dir.path().join("run");
/// let sink = millstream::publish::<u64>("ticks").directory(path).open()?;
/// assert_eq!(millstream::list(Some(path.into()))?, ["ticks"]);
/// # drop(sink);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn list(directory: Option<PathBuf>) -> Result<Vec<String>, ListError> {
    process::list(directory, None)
}

/// The names that the user with this number publishes in `directory` and that answer this process, in order.
///
/// What that user's dead producers left is passed over, and left there.
///
/// # Errors
/// When the directory cannot be used, or belongs to somebody else. One that does not exist holds no names.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = &dir.path().join("run");
/// # let (user, group) = { use std::os::unix::fs::MetadataExt; let own = dir.path().metadata()?; (own.uid(), own.gid()) };
/// let sink = millstream::publish::<u64>("ticks").group(group).directory(path).open()?;
/// assert_eq!(millstream::list_from_user(user, Some(path.into()))?, ["ticks"]);
/// # drop(sink);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn list_from_user(user: u32, directory: Option<PathBuf>) -> Result<Vec<String>, ListError> {
    process::list(directory, Some(user))
}

impl Observation {
    /// Reads everything that changes again.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let mut sink = millstream::publish::<u64>("ticks").directory(path).open()?;
    /// let mut seen = millstream::observe("ticks", Some(path.into()))?;
    /// sink.put(1)?;
    /// seen.refresh();
    /// assert_eq!(seen.position(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn refresh(&mut self) {
        let page = self.seen.memory.as_ptr().cast::<StreamPage>();
        // SAFETY: a mapped stream page, of which only atomic words are referred to.
        let (waiting, end) = unsafe { (&(*page).waiting, &(*page).end) };
        self.producer_parked = waiting.word.load(Ordering::Relaxed) & WORD_PARKED != 0;
        let (kind, end_position) = (
            end.kind.load(Ordering::Acquire),
            end.position.load(Ordering::Relaxed),
        );
        self.state = match kind {
            END_OPEN => State::Open,
            END_COMPLETED => State::Completed,
            END_FAILED => State::Failed,
            other => State::Unknown(other),
        };
        let mut released_bytes = 0;
        self.consumer = self.seen.consumer.as_ref().map(|consumer| {
            let page = consumer.credit.as_ptr().cast::<CreditPage>();
            // SAFETY: a mapped credit page, of which only atomic words are referred to.
            let (control, credit) = unsafe { (&(*page).control, &(*page).credit) };
            let word = control.word.load(Ordering::Relaxed);
            released_bytes = credit.released_bytes.load(Ordering::Acquire);
            ObservedConsumer {
                pid: consumer.pid,
                subscription: consumer.subscription.clone(),
                resumable: consumer.resumable,
                connected: consumer.connected,
                window: consumer.window,
                start: consumer.start,
                granted: credit.granted.load(Ordering::Acquire),
                released: credit.released.load(Ordering::Acquire),
                parked: word & WORD_PARKED != 0,
                closed: word & WORD_CLOSED != 0,
            }
        });
        let header = &self.seen.header;
        let from = self
            .consumer
            .as_ref()
            .map_or(header.base, |consumer| consumer.released);
        self.position = match (&self.content, self.state) {
            (_, State::Completed | State::Failed) => end_position,
            (Content::Elements(_), _) => self.newest_stamp(header, from),
            (Content::Frames { longest }, _) => self.newest_frame(header, *longest, from, released_bytes),
        };
    }

    /// The stream's name.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let sink = millstream::publish::<u64>("ticks").directory(path).open()?;
    /// assert_eq!(millstream::observe("ticks", Some(path.into()))?.name(), "ticks");
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the stream carries.
    ///
    /// ```
    /// use millstream::{Content, Element};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let sink = millstream::publish::<u64>("ticks").directory(path).open()?;
    /// let seen = millstream::observe("ticks", Some(path.into()))?;
    /// assert_eq!(seen.content(), Content::Elements(u64::schema()));
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn content(&self) -> Content {
        self.content.clone()
    }

    /// Whether the stream goes on.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let mut sink = millstream::publish::<u64>("ticks").directory(path).open()?;
    /// sink.complete()?;
    /// assert_eq!(millstream::observe("ticks", Some(path.into()))?.state(), millstream::State::Completed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The producer's process, if the system tells.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let sink = millstream::publish::<u64>("ticks").directory(path).open()?;
    /// assert_eq!(millstream::observe("ticks", Some(path.into()))?.pid(), Some(std::process::id()));
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.seen.pid
    }

    /// The number of this incarnation of the name.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let sink = millstream::publish::<u64>("ticks").directory(path).open()?;
    /// assert_ne!(millstream::observe("ticks", Some(path.into()))?.epoch(), 0);
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.seen.epoch
    }

    /// Whether the stream is in a file, and outlives its processes; see [`durable`](crate::PublishBuilder::durable).
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (path, file) = (&dir.path().join("run"), dir.path().join("ticks"));
    /// let sink = millstream::publish::<u64>("ticks").durable(file).directory(path).open()?;
    /// assert!(millstream::observe("ticks", Some(path.into()))?.is_durable());
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.seen.header.flags & DURABLE != 0
    }

    /// Position after the newest element published.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let sink = millstream::publish::<u64>("ticks").start_position(9).directory(path).open()?;
    /// assert_eq!(millstream::observe("ticks", Some(path.into()))?.position(), 9);
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether the producer sleeps, waiting for room.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let sink = millstream::publish::<u64>("ticks").directory(path).open()?;
    /// assert!(!millstream::observe("ticks", Some(path.into()))?.is_producer_parked());
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_producer_parked(&self) -> bool {
        self.producer_parked
    }

    /// The consumer, if there is one.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let sink = millstream::publish::<u64>("ticks").directory(path).open()?;
    /// assert!(millstream::observe("ticks", Some(path.into()))?.consumer().is_none());
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn consumer(&self) -> Option<&ObservedConsumer> {
        self.consumer.as_ref()
    }

    /// Elements asked for and not published.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let sink = millstream::publish::<u64>("ticks").directory(path).open()?;
    /// # let source = millstream::subscribe::<u64>("ticks").initial_demand(5).directory(path).open()?;
    /// assert_eq!(millstream::observe("ticks", Some(path.into()))?.demand(), 5);
    /// # drop((sink, source));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn demand(&self) -> u64 {
        self.consumer
            .as_ref()
            .map_or(0, |consumer| ahead(consumer.granted, self.position))
    }

    /// Elements published beyond what was asked for.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let mut sink = millstream::publish::<u64>("ticks").directory(path).open()?;
    /// sink.put(1)?;
    /// assert_eq!(millstream::observe("ticks", Some(path.into()))?.buffered(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn buffered(&self) -> u64 {
        if self.consumer.is_none() && self.is_for_several() {
            return 0;
        }
        let granted = self
            .consumer
            .as_ref()
            .map_or(self.seen.header.base, |consumer| consumer.granted);
        ahead(self.position, granted)
    }

    /// Elements asked for, published, and not released.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let mut sink = millstream::publish::<u64>("ticks").directory(path).open()?;
    /// # let source = millstream::subscribe::<u64>("ticks").directory(path).open()?;
    /// sink.put(1)?;
    /// assert_eq!(millstream::observe("ticks", Some(path.into()))?.in_flight(), 1);
    /// # drop(source);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.consumer.as_ref().map_or(0, |consumer| {
            ahead(self.position, consumer.released).saturating_sub(ahead(self.position, consumer.granted))
        })
    }

    /// Consumers at present, those included that the producer does not wait for. Of several, [`consumer`](Self::consumer) is the
    /// one that is furthest behind of those that it waits for, as they stood at the first look.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let mut sink = millstream::publish::<u64>("ticks").consumers(8).directory(path).open()?;
    /// let mut one = millstream::subscribe::<u64>("ticks").directory(path).open()?;
    /// let mut other = millstream::subscribe::<u64>("ticks").replenish_each().directory(path).open()?;
    /// sink.put(1)?;
    /// assert_eq!(other.next(), Some(1));
    /// let seen = millstream::observe("ticks", Some(path.into()))?;
    /// assert_eq!((seen.consumers(), seen.most_consumers()), (2, 8));
    /// assert_eq!(seen.consumer().unwrap().released, 0);
    /// # drop(one);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn consumers(&self) -> usize {
        if self.is_for_several() {
            self.seen.consumers
        } else {
            self.consumer.as_ref().is_some_and(|one| one.connected).into()
        }
    }

    /// The most consumers at a time.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let sink = millstream::publish::<u64>("ticks").directory(path).open()?;
    /// assert_eq!(millstream::observe("ticks", Some(path.into()))?.most_consumers(), 1);
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn most_consumers(&self) -> u64 {
        self.seen.header.consumers.max(1)
    }

    fn is_for_several(&self) -> bool {
        self.seen.header.consumers > 0
    }

    /// Elements that the producer may hold beyond the demand.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let sink = millstream::publish::<u64>("ticks").buffer_size(3).directory(path).open()?;
    /// assert_eq!(millstream::observe("ticks", Some(path.into()))?.buffer_size(), 3);
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn buffer_size(&self) -> u64 {
        self.seen.header.buffer_size
    }

    /// The largest window that a consumer may ask for.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let sink = millstream::publish::<u64>("ticks").max_demand(30).directory(path).open()?;
    /// assert_eq!(millstream::observe("ticks", Some(path.into()))?.max_demand(), 30);
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn max_demand(&self) -> u64 {
        self.seen.header.max_demand
    }

    /// Bytes of the stream's shared memory.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let sink = millstream::publish::<u64>("ticks").directory(path).open()?;
    /// assert!(millstream::observe("ticks", Some(path.into()))?.memory() > 4096);
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn memory(&self) -> usize {
        self.seen.memory.len()
    }
}

/// How far `position` is ahead of `other`; 0 when it is behind.
fn ahead(position: u64, other: u64) -> u64 {
    (position.wrapping_sub(other) as i64).max(0) as u64
}
