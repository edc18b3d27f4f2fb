//! An operator over several inputs as a handle: taking, and waiting at all of them at once.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::inputs::{Inputs, Taken};
use crate::WaitStrategy;
use crate::stream::{End, Lookout, Patience, SourceRef, TimedOut, Vacancy, Waited};

/// What an operator makes of its inputs.
pub(super) trait Operator<T> {
    type Item;

    /// The next item, if it is due. Never waits.
    fn poll(&mut self, inputs: &mut Inputs<T>) -> Taken<Self::Item>;

    /// Whether something that this input brings may make an item due.
    fn waits_at(&self, input: usize) -> bool;

    /// When the last poll found nothing: the moment at which an item may become due though no input brings anything.
    fn due(&self) -> Option<Instant>;
}

/// How an operator waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) strategy: WaitStrategy,
    pub(super) idle: Option<Duration>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            strategy: WaitStrategy::default(),
            // That of a source.
            idle: Some(Duration::from_secs(30)),
        }
    }
}

/// Setters of a builder with `waiting: Waiting`. `$build` makes one, for the examples.
macro_rules! waiting_setters {
    ($build:literal) => {
        /// How long it waits for an input before it ends that input as [`End::IdleTimeout`](crate::End::IdleTimeout). Default
        /// 30 s; `None` waits for ever.
        ///
        /// It takes the place of the sources' own idle timeouts: only time spent waiting counts, and all inputs that are
        /// waited for are ended together.
        ///
        /// ```
        /// # use std::time::Duration;
        /// # let (_sink, a) = millstream::channel::<u64>().build()?;
        /// # let (_other, b) = millstream::channel::<u64>().build()?;
        #[doc = concat!("let mut gathered = ", $build)]
        ///     .idle_timeout(Some(Duration::from_millis(1)))
        ///     .build();
        /// assert_eq!(gathered.next(), None);
        /// assert_eq!(gathered.end(), Some(millstream::End::IdleTimeout));
        /// # Ok::<(), millstream::ChannelError>(())
        /// ```
        pub fn idle_timeout(mut self, timeout: Option<std::time::Duration>) -> Self {
            self.waiting.idle = timeout;
            self
        }

        /// How it waits when no input has anything, in place of the sources' own strategies.
        ///
        /// Asleep it is woken by whichever input brings something, within this process and between processes alike. At
        /// inputs from other processes it sleeps by a descriptor of its own; as long as this process may open no more, it
        /// looks at them each millisecond.
        ///
        /// ```
        /// use millstream::WaitStrategy;
        /// # let (_sink, a) = millstream::channel::<u64>().build()?;
        /// # let (_other, b) = millstream::channel::<u64>().build()?;
        #[doc = concat!("let gathered = ", $build, ".wait(WaitStrategy::park()).build();")]
        /// # drop(gathered);
        /// # Ok::<(), millstream::ChannelError>(())
        /// ```
        pub fn wait(mut self, strategy: $crate::WaitStrategy) -> Self {
            self.waiting.strategy = strategy;
            self
        }
    };
}
pub(super) use waiting_setters;

/// An operator with its inputs.
pub(super) struct Gathering<T, O> {
    pub(super) inputs: Inputs<T>,
    pub(super) operator: O,
    patience: Patience,
    /// Items given.
    given: u64,
    over: bool,
}

impl<T, O: Operator<T>> Gathering<T, O> {
    pub(super) fn new(sources: Vec<SourceRef<T>>, operator: O, waiting: Waiting, fail_fast: bool) -> Self {
        Self {
            inputs: Inputs::new(sources, fail_fast),
            operator,
            patience: Patience::new(waiting.strategy, waiting.idle),
            given: 0,
            over: false,
        }
    }

    /// Whether the end was found out by taking.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    #[inline]
    pub(super) fn poll(&mut self) -> Taken<O::Item> {
        let taken = self.operator.poll(&mut self.inputs);
        match taken {
            Taken::Item(_) => self.given = self.given.wrapping_add(1),
            Taken::Empty => {}
            Taken::Ended => self.over = true,
        }
        taken
    }

    /// `Ok(None)` when everything has ended.
    #[inline]
    pub(super) fn next(&mut self, deadline: Option<Instant>) -> Result<Option<O::Item>, TimedOut> {
        match self.poll() {
            Taken::Item(item) => Ok(Some(item)),
            Taken::Ended => Ok(None),
            Taken::Empty => self.wait(deadline),
        }
    }

    #[cold]
    #[inline(never)]
    fn wait(&mut self, deadline: Option<Instant>) -> Result<Option<O::Item>, TimedOut> {
        loop {
            let (mut patience, given) = (self.patience, self.given);
            let mut post = Post {
                gathering: self,
                found: None,
            };
            let waited = patience.wait(given, deadline, &mut post);
            let found = post.found.take();
            self.patience = patience;
            match waited {
                Waited::Ready => return Ok(found),
                Waited::TimedOut => return Err(TimedOut),
                Waited::Ended if self.over => return Ok(None),
                // Inputs that were silent for too long were ended; the others go on.
                Waited::Ended => {}
            }
        }
    }

    /// Ends all inputs from this side.
    pub(super) fn cancel(&mut self) {
        self.over = true;
        self.inputs.cancel_all(&End::Cancelled, |_| true);
    }
}

/// An operator that waits at its inputs.
struct Post<'a, T, O: Operator<T>> {
    gathering: &'a mut Gathering<T, O>,
    found: Option<O::Item>,
}

impl<T, O: Operator<T>> Lookout for Post<'_, T, O> {
    fn stirs(&self) -> bool {
        let operator = &self.gathering.operator;
        self.gathering.inputs.stir(|input| operator.waits_at(input))
    }

    fn look(&mut self) -> Vacancy {
        match self.gathering.poll() {
            Taken::Item(item) => {
                self.found = Some(item);
                Vacancy::Appeared
            }
            Taken::Empty => Vacancy::Empty,
            Taken::Ended => Vacancy::Ended,
        }
    }

    fn park(&mut self, left: Option<Duration>) {
        let Gathering { inputs, operator, .. } = &mut *self.gathering;
        let due = operator
            .due()
            .map(|due| due.saturating_duration_since(Instant::now()));
        let left = match (left, due) {
            (Some(left), Some(due)) => Some(left.min(due)),
            (left, due) => left.or(due),
        };
        inputs.park(left, |input| operator.waits_at(input));
    }

    fn give_up(&mut self) {
        let Gathering { inputs, operator, .. } = &mut *self.gathering;
        inputs.cancel_all(&End::IdleTimeout, |input| operator.waits_at(input));
    }
}
