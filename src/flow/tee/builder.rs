//! How a tee is made.

use std::fmt;

use super::branch::Branch;
use super::trunk::{Policy, Trunk};
use crate::stream::SourceRef;
use crate::wait::WaitStrategy;

/// What a branch does without when it is slower than the others by more than its buffer.
///
/// ```
/// use millstream::Lossy;
/// let (mut sink, source) = millstream::channel::<u64>().build()?;
/// let [mut all, mut newest] = millstream::tee::<2, _>(source)
///     .buffer_size(2)
///     .lossy(1, Lossy::Oldest)
///     .build()?;
/// sink.put_slice(&[1, 2, 3, 4])?;
/// sink.complete()?;
/// assert_eq!(all.by_ref().count(), 4);
/// assert_eq!(newest.by_ref().collect::<Vec<_>>(), [3, 4]);
/// assert_eq!(newest.lost(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lossy {
    /// The oldest elements that it has not taken.
    Oldest,
    /// The newest: what comes while its buffer is full.
    Newest,
}

/// Why a tee could not be made.
///
/// ```
/// use millstream::TeeError;
/// let (_sink, source) = millstream::channel::<u64>().build()?;
/// let refused = millstream::tee::<2, _>(source).buffer_size(0).build();
/// assert_eq!(refused.err(), Some(TeeError::NoBuffer));
/// # Ok::<(), millstream::ChannelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TeeError {
    /// A branch would have nowhere to keep the element that another one has pulled.
    #[error(
        "a tee with a buffer of 0 elements could not give a branch what another has pulled; ask for at least 1"
    )]
    NoBuffer,
    /// A policy for a branch that there is not.
    #[error("branch {branch} was to be lossy, where there are {branches}; they count from 0")]
    NoSuchBranch {
        /// The branch that was named.
        branch: usize,
        /// Branches that there are.
        branches: usize,
    },
}

/// Begins to split a source into `N` branches, of which each gets every element in order, and the end behind them.
///
/// By default every branch gates: the one that has most to take holds the others back, and nothing is lost. A branch that is
/// dropped holds nobody back, and with the last one the source is cancelled. Elements are pulled from the source only when a
/// branch looks for one and has none: then as many as are there and every branch has room for, one by one where
/// somebody else would get what is not taken (a resumable subscription, `release_on_next`, a worker of a work queue).
///
/// ```
/// let (mut sink, source) = millstream::channel::<String>().build()?;
/// let [mut one, other] = millstream::tee::<2, _>(source).buffer_size(64).build()?;
/// let thread = std::thread::spawn(move || other.map(|line| line.len()).sum::<usize>());
/// sink.put("first".into())?;
/// sink.put("second".into())?;
/// sink.complete()?;
/// assert_eq!(one.by_ref().collect::<Vec<_>>(), ["first", "second"]);
/// assert_eq!(one.end(), Some(millstream::End::Completed));
/// assert_eq!(thread.join().unwrap(), 11);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// No branches are none to be had:
///
/// ```compile_fail
/// let (_sink, source) = millstream::channel::<u64>().build().unwrap();
/// let branches = millstream::tee::<0, _>(source).build();
/// ```
pub fn tee<const N: usize, T: Clone + Send>(source: SourceRef<T>) -> TeeBuilder<N, T> {
    const { assert!(N > 0, "a tee has at least one branch") };
    TeeBuilder {
        source,
        buffer: 16,
        policies: [Policy::Gate; N],
        wait: WaitStrategy::default(),
        misnamed: None,
    }
}

/// Settings of a tee; see [`tee`].
#[must_use]
pub struct TeeBuilder<const N: usize, T> {
    source: SourceRef<T>,
    buffer: usize,
    policies: [Policy; N],
    wait: WaitStrategy,
    misnamed: Option<usize>,
}

impl<const N: usize, T> fmt::Debug for TeeBuilder<N, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TeeBuilder")
            .field("source", &self.source)
            .field("buffer", &self.buffer)
            .field("policies", &self.policies)
            .finish_non_exhaustive()
    }
}

impl<const N: usize, T: Clone + Send> TeeBuilder<N, T> {
    /// Elements that a branch may have before it, exactly. Default 16. At least 1.
    ///
    /// ```
    /// use millstream::TryNext;
    /// let (mut sink, source) = millstream::channel::<u64>().build()?;
    /// let [mut fast, mut slow] = millstream::tee::<2, _>(source).buffer_size(1).build()?;
    /// sink.put_slice(&[1, 2])?;
    /// assert_eq!(fast.next(), Some(1));
    /// assert_eq!(fast.try_next(), TryNext::Empty);
    /// assert_eq!(slow.next(), Some(1));
    /// assert_eq!(fast.next(), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn buffer_size(mut self, elements: usize) -> Self {
        self.buffer = elements;
        self
    }

    /// Has a branch, counted from 0, do without elements rather than hold the others back. How many it lost it says by
    /// [`Branch::lost`].
    ///
    /// ```
    /// use millstream::Lossy;
    /// let (mut sink, source) = millstream::channel::<u64>().build()?;
    /// let [mut all, mut first] =
    ///     millstream::tee::<2, _>(source).buffer_size(1).lossy(1, Lossy::Newest).build()?;
    /// sink.put_slice(&[1, 2, 3])?;
    /// sink.complete()?;
    /// assert_eq!(all.by_ref().count(), 3);
    /// assert_eq!(first.by_ref().collect::<Vec<_>>(), [1]);
    /// assert_eq!(first.lost(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lossy(mut self, branch: usize, lossy: Lossy) -> Self {
        match self.policies.get_mut(branch) {
            Some(policy) => *policy = Policy::Lossy(lossy),
            None => self.misnamed = Some(branch),
        }
        self
    }

    /// How a branch waits for another one, which pumps or has to take first. At the source the branches wait as that does; asleep
    /// at one from another process, each by a descriptor of its own, or, as long as this process may open no more, looking each
    /// millisecond.
    ///
    /// ```
    /// use millstream::WaitStrategy;
    /// let (_sink, source) = millstream::channel::<u64>().build()?;
    /// let branches = millstream::tee::<3, _>(source).wait(WaitStrategy::park()).build()?;
    /// # drop(branches);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(mut self, strategy: WaitStrategy) -> Self {
        self.wait = strategy;
        self
    }

    /// Makes the branches.
    ///
    /// # Errors
    /// `NoBuffer`, `NoSuchBranch`. The source is dropped, which cancels its stream.
    ///
    /// ```
    /// let (_sink, source) = millstream::channel::<u64>().build()?;
    /// let [one, two, three] = millstream::tee::<3, _>(source).build()?;
    /// # drop((one, two, three));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn build(self) -> Result<[Branch<T>; N], TeeError> {
        if let Some(branch) = self.misnamed {
            return Err(TeeError::NoSuchBranch { branch, branches: N });
        }
        if self.buffer == 0 {
            return Err(TeeError::NoBuffer);
        }
        let (trunk, stands) = Trunk::new(self.source, self.policies, self.buffer);
        let mut number = 0;
        Ok(stands.map(|stand| {
            let branch = Branch::new(trunk.clone(), number, stand, self.wait);
            number += 1;
            branch
        }))
    }
}
