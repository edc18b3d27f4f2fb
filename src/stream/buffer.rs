//! How much a producer may hold beyond the demand.

#![forbid(unsafe_code)]

/// How many elements a producer may hold that the consumer has not asked for.
///
/// A number is a bound, but for 0, which is unbounded, as in casty.
///
/// ```
/// use millstream::Buffer;
/// assert_eq!(Buffer::from(16), Buffer::Bounded(16));
/// assert_eq!(Buffer::from(0), Buffer::Unbounded);
/// let (mut sink, _source) = millstream::channel::<u8>()
///     .buffer_size(Buffer::Rendezvous)
///     .initial_demand(1)
///     .build()?;
/// sink.try_put(1)?;
/// assert!(sink.try_put(2).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Buffer {
    /// So many, exactly. A bound of 0 is a rendezvous.
    Bounded(usize),
    /// None: only what was asked for is put.
    Rendezvous,
    /// Any number, as long as there is memory. Within one process, for elements: the memory of a stream between processes
    /// is reserved when it is made, and so is that of frames.
    Unbounded,
}

impl From<usize> for Buffer {
    fn from(size: usize) -> Self {
        match size {
            0 => Self::Unbounded,
            size => Self::Bounded(size),
        }
    }
}

impl Buffer {
    /// Elements beyond the demand for which there is room from the start, and always.
    pub(crate) fn bound(self) -> u64 {
        match self {
            Self::Bounded(size) => size as u64,
            Self::Rendezvous => 0,
            Self::Unbounded => 64,
        }
    }
}
