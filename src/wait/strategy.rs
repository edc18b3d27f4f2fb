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
    BusySpin,
    /// Leaves the stream's memory alone for `pauses` of the processor's pause hint, then looks again and again as
    /// [`BusySpin`](Self::BusySpin) does: more throughput, for a latency of up to that pause.
    ///
    /// A consumer that is faster than its producer otherwise looks at the very cache line that is about to be written, and
    /// takes it away from its writer each time. What gathers meanwhile crosses at the speed of the memory: of elements
    /// of 64 bytes and more nearly twice as many a second (`docs/performance.md`). It pauses once in each wait that finds
    /// nothing, and no clock is read meanwhile, so a deadline may be missed by that much. A pause is 15 to 40 ns. No gain is in it
    /// where less fits into the ring than comes in that time.
    ///
    /// ```
    /// use millstream::WaitStrategy;
    /// let (mut sink, mut source) = millstream::channel::<[u64; 16]>()
    ///     .buffer_size(1024)
    ///     .source_wait(WaitStrategy::Gather { pauses: 32 })
    ///     .build()?;
    /// sink.put([1; 16])?;
    /// sink.complete()?;
    /// let mut sum = 0;
    /// while source.wait_readable() {
    ///     source.drain(1024, |element| sum += element[0]);
    /// }
    /// assert_eq!(sum, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    Gather {
        /// Pause hints after a look that found nothing.
        pauses: u32,
    },
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
            Self::BusySpin | Self::Gather { .. } => true,
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
            WaitStrategy::Gather { pauses } => {
                if taken == 0 {
                    (0..pauses).for_each(|_| hint::spin_loop());
                }
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
            WaitStrategy::BusySpin | WaitStrategy::Gather { .. } => self.taken & 127 == 0,
            // Yielding and parking take longer than the look.
            WaitStrategy::SpinThenYield { spins } | WaitStrategy::SpinThenPark { spins, .. } => {
                self.taken & 15 == 0 || self.taken >= spins
            }
        }
    }
}
