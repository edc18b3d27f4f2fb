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
    /// Looks again and again, each 40 ns or so, a sink at first without a rest, and a worker of an actor system, whose looks take as long: the
    /// lowest latency, and a core of its own, with all of its hardware threads. Looks without a rest in
    /// between would take the line away from whoever is writing it: round trips of 8 bytes took 550 ns rather than 460 on the machine of
    /// `docs/performance.md`.
    ///
    /// Of a stream that carries as much as it can, a consumer that has come right behind its producer leaves the ring alone for some
    /// microseconds, whatever its strategy: both are faster for it (`docs/performance.md`), which in a small ring (of 1 to 9 KiB, or of 34 to 225 elements
    /// of 57 to 128 bytes) it finds out by trying. It goes on after one to three of them in which the producer does not get on.
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

/// How many looks without a pause take as long as one with, or with what `BusySpin` does instead: 15 to 40 ns.
pub(crate) const LOOKS_OF_A_PAUSE: u64 = 8;

/// One wait in progress.
#[derive(Debug)]
pub(crate) struct Turns {
    strategy: WaitStrategy,
    /// Of so many bits that it never ends: a wait by spinning may take days, and looks at rarer words by it.
    taken: u64,
}

impl Turns {
    pub(crate) fn new(strategy: WaitStrategy) -> Self {
        Self { strategy, taken: 0 }
    }

    /// How long they were together, in looks of who spins without a pause: about 4 ns each.
    pub(crate) fn looks(&self) -> u64 {
        self.taken.saturating_mul(LOOKS_OF_A_PAUSE)
    }

    /// Pauses as the strategy says.
    #[inline]
    pub(crate) fn turn(&mut self) -> Turn {
        let taken = self.taken;
        self.taken = taken.wrapping_add(1);
        match self.strategy {
            WaitStrategy::BusySpin => hint::linger(),
            WaitStrategy::SpinThenYield { spins } => {
                if taken < u64::from(spins) {
                    hint::spin_loop();
                } else {
                    thread::yield_now();
                }
            }
            WaitStrategy::SpinThenPark { spins, yields } => {
                if taken < u64::from(spins) {
                    hint::spin_loop();
                } else if taken < u64::from(spins) + u64::from(yields) {
                    thread::yield_now();
                } else {
                    return Turn::Park;
                }
            }
        }
        Turn::Look
    }

    /// As [`turn`](Self::turn), after a look at so much that it took as long as a rest: who spins looks again at once.
    #[inline]
    pub(crate) fn turn_after_a_long_look(&mut self) -> Turn {
        if self.strategy == WaitStrategy::BusySpin {
            self.taken = self.taken.wrapping_add(1);
            return Turn::Look;
        }
        self.turn()
    }

    /// Whether this turn is one at which to read the clock (30 ns) and the rarer words.
    #[inline]
    pub(crate) fn is_round(&self) -> bool {
        let pauses = match self.strategy {
            WaitStrategy::BusySpin => u64::MAX,
            WaitStrategy::SpinThenYield { spins } | WaitStrategy::SpinThenPark { spins, .. } => {
                u64::from(spins)
            }
        };
        // Yielding and parking take longer than the look.
        self.taken & 15 == 0 || self.taken >= pauses
    }
}

#[cfg(all(test, not(millstream_loom)))]
mod tests {
    use super::*;

    #[test]
    fn who_spins_long_goes_on_looking_at_everything() {
        let mut turns = Turns::new(WaitStrategy::BusySpin);
        turns.taken = u64::from(u32::MAX) - 10;
        let rounds = (0..1000).filter(|_| {
            turns.turn();
            turns.is_round()
        });
        assert_eq!(rounds.count(), 62);
    }
}
