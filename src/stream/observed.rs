//! What an observer is told of a stream: what it carries, whether it goes on, and who its consumer is.

#![forbid(unsafe_code)]

use crate::element::Schema;

/// What a stream carries.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = &dir.path().join("run");
/// let sink = millstream::publish::<[u8]>("lines").directory(path).open()?;
/// assert_eq!(millstream::observe("lines", Some(path.into()))?.content(), millstream::Content::Frames { longest: 65_536 });
/// # drop(sink);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Elements of one type.
    Elements(Schema),
    /// Frames of bytes.
    Frames {
        /// The longest, in bytes.
        longest: usize,
    },
}

/// Whether a stream goes on, as its producer's page says.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = &dir.path().join("run");
/// let sink = millstream::publish::<u64>("ticks").directory(path).open()?;
/// assert_eq!(millstream::observe("ticks", Some(path.into()))?.state(), millstream::State::Open);
/// # drop(sink);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It goes on.
    Open,
    /// The producer completed it.
    Completed,
    /// The producer failed it.
    Failed,
    /// The page says something else.
    Unknown(u64),
}

/// The consumer of an observed stream; of several, the one that is furthest behind of those that the producer waits for.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = &dir.path().join("run");
/// # let sink = millstream::publish::<u64>("ticks").directory(path).open()?;
/// # let source = millstream::subscribe::<u64>("ticks").directory(path).open()?;
/// let seen = millstream::observe("ticks", Some(path.into()))?;
/// assert_eq!(seen.consumer().unwrap().pid, Some(std::process::id()));
/// # drop((sink, source));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObservedConsumer {
    /// Its process, if the system tells.
    pub pid: Option<u32>,
    /// The name of its subscription; may be empty.
    pub subscription: String,
    /// Whether a successor may go on.
    pub resumable: bool,
    /// False when it is gone and its subscription waits for a successor.
    pub connected: bool,
    /// Elements that it may have asked for and not taken.
    pub window: u64,
    /// Position of the first element that it gets.
    pub start: u64,
    /// Position up to which it has asked.
    pub granted: u64,
    /// Position before which it needs nothing any more, as it last said.
    pub released: u64,
    /// Whether it sleeps.
    pub parked: bool,
    /// Whether it has cancelled.
    pub closed: bool,
}
