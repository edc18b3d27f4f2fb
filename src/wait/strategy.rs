//! What an endpoint does while there is nothing to do.

#![forbid(unsafe_code)]

use crate::primitive::{hint, thread};

/// How one endpoint waits for the other. Each end of a stream chooses for itself.
///
/// ```
/// use millstream::WaitStrategy;
///
/// let (sink, source) = millstream::channel::<u64>()
///     .sink_wait(WaitStrategy::park())
///     .source_wait(WaitStrategy::BusySpin)
///     .build()?;
/// # drop((sink, source));
/// # Ok::<(), millstream::ChannelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitStrategy {
    /// Looks again and again without a pause: the lowest latency, and a core of its own.
    ///
    /// Of a stream that carries as much as it can, a consumer leaves the ring alone for up to a microsecond, whatever its
    /// strategy, where it has come right behind its producer: both are faster for it (`docs/performance.md`).
    BusySpin,
    /// Spins `spins` times with the processor's pause hint, then gives the core away between looks.
    SpinThenYield {
        /// Looks before the first yield.
        spins: u32,
    },
    /// Spins, yields, then sleeps until the peer rings. Costs no processor time while asleep, and the
    /// peer a system call to wake it.
    SpinThenPark {
        /// Looks before the first yield.
        spins: u32,
        /// Yields before the first sleep.
        yields: u32,
    },
}

impl WaitStrategy {
    /// Sleeps at once when there is nothing to do.
    ///
    /// ```
    /// use millstream::WaitStrategy;
    /// assert_eq!(WaitStrategy::park(), WaitStrategy::SpinThenPark { spins: 0, yields: 0 });
    /// ```
    #[must_use]
    pub const fn park() -> Self {
        Self::SpinThenPark { spins: 0, yields: 0 }
    }

    /// Whether it never gives its core to another thread.
    pub(crate) const fn keeps_the_core(self) -> bool {
        match self {
            Self::BusySpin => true,
            Self::SpinThenYield { .. } | Self::SpinThenPark { .. } => false,
        }
    }
}

impl Default for WaitStrategy {
    /// Spins about as long as waking a sleeper takes, yields a few times, then parks.
    fn default() -> Self {
        // 300 pauses of 15 ns are about 4.5 us, one wake-up of a sleeping thread on the machines measured.
        Self::SpinThenPark {
            spins: 300,
            yields: 8,
        }
    }
}

/// What to do after a look that found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The pause is over: look again.
    Look,
    /// Sleep until rung.
    Park,
}

/// One wait in progress.
#[derive(Debug)]
pub(crate) struct Turns {
    strategy: WaitStrategy,
    taken: u32,
}

impl Turns {
    pub(crate) fn new(strategy: WaitStrategy) -> Self {
        Self { strategy, taken: 0 }
    }

    /// How many there were.
    pub(crate) fn taken(&self) -> u32 {
        self.taken
    }

    /// Pauses as the strategy says.
    #[inline]
    pub(crate) fn turn(&mut self) -> Turn {
        let taken = self.taken;
        self.taken = taken.saturating_add(1);
        match self.strategy {
            WaitStrategy::BusySpin => {
                #[cfg(millstream_loom)]
                hint::spin_loop();
            }
            WaitStrategy::SpinThenYield { spins } => {
                if taken < spins {
                    hint::spin_loop();
                } else {
                    thread::yield_now();
                }
            }
            WaitStrategy::SpinThenPark { spins, yields } => {
                if taken < spins {
                    hint::spin_loop();
                } else if taken < spins.saturating_add(yields) {
                    thread::yield_now();
                } else {
                    return Turn::Park;
                }
            }
        }
        Turn::Look
    }

    /// Whether this turn is one at which to read the clock (30 ns) and the rarer words.
    #[inline]
    pub(crate) fn is_round(&self) -> bool {
        match self.strategy {
            WaitStrategy::BusySpin => self.taken & 127 == 0,
            // Yielding and parking take longer than the look.
            WaitStrategy::SpinThenYield { spins } | WaitStrategy::SpinThenPark { spins, .. } => {
                self.taken & 15 == 0 || self.taken >= spins
            }
        }
    }
}
