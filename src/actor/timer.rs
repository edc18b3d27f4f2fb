//! Timers of a worker.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::body::Make;
use super::context::Context;
use crate::primitive::time::now;

/// A timer that is set: when, and a number that tells those of one moment apart.
pub(super) type TimerKey = (Instant, u64);

/// What is due.
pub(super) enum Due {
    /// The timer of this number of this actor.
    Actor { actor: u64, timer: u64 },
    /// Somebody outside wanted to be reminded.
    Remind(Box<dyn Reminder>),
}

/// Somebody outside of the worker who waits until a moment, but as a rule not that long.
pub(super) trait Reminder: Send {
    /// Whether anybody still waits.
    fn is_wanted(&self) -> bool;
    /// It is time.
    fn remind(&self);
    /// It will never be time: the worker ends.
    fn give_up(&self);
}

/// Reminders at least between two looks for those that are not wanted any more.
const REMINDERS: usize = 64;

/// What is to happen when, on one worker.
#[derive(Default)]
pub(super) struct Timers {
    due: BTreeMap<TimerKey, Due>,
    set: u64,
    /// Reminders to be set until those not wanted are looked for.
    until_look: usize,
}

impl Timers {
    pub(super) fn set(&mut self, at: Instant, what: Due) -> TimerKey {
        self.set += 1;
        let key = (at, self.set);
        self.due.insert(key, what);
        key
    }

    /// Sets a reminder. Who waits does not come back to say that it is over (that would cost a note a question), so those not
    /// wanted any more are dropped now and then: never more of them are kept than there are timers, or `REMINDERS`.
    pub(super) fn remind(&mut self, at: Instant, reminder: Box<dyn Reminder>) {
        if self.until_look == 0 {
            self.due.retain(|_, due| match due {
                Due::Remind(reminder) => reminder.is_wanted(),
                Due::Actor { .. } => true,
            });
            self.until_look = self.due.len().max(REMINDERS);
        }
        self.until_look -= 1;
        self.set(at, Due::Remind(reminder));
    }

    /// All that is set; for the end.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Due> {
        std::mem::take(&mut self.due).into_values()
    }

    pub(super) fn cancel(&mut self, key: TimerKey) {
        self.due.remove(&key);
    }

    /// When the first one is due.
    pub(super) fn first(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// The first one, if it is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Due> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

/// When a timer that is due each `interval` is due next: ticks that were missed are not made up for.
pub(super) fn next_tick(at: Instant, interval: Duration, now: Instant) -> Option<Instant> {
    let next = at.checked_add(interval)?;
    if next > now {
        Some(next)
    } else {
        now.checked_add(interval)
    }
}

impl<M: Send + 'static> Context<'_, M> {
    /// Sends itself a message made by `make` each `interval`, the first after one interval. A timer of the same key is
    /// replaced. Ticks that come too late are not made up for.
    ///
    /// Timers end with the actor, and when it is restarted. They are as exact as the worker is idle: it looks at them once a turn,
    /// and sleeps in whole milliseconds.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use millstream::{ActorSystem, Next, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("ticker", || setup(|context| {
    ///     context.every("tick", Duration::from_millis(10), || "tick");
    ///     receive(|_, _: &'static str| Next::Same)
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn every(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        interval: Duration,
        make: impl FnMut() -> M + 'static,
    ) {
        // A timer that is always due would keep the worker from everything else.
        let interval = interval.max(Duration::from_micros(1));
        self.set(key.into(), interval, Make::Each(interval, Box::new(make)));
    }

    /// Sends itself `message` once, `delay` from now. A timer of the same key is replaced.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use millstream::{ActorSystem, Next, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("late", || setup(|context| {
    ///     context.after("wake", Duration::from_millis(10), "wake");
    ///     receive(|_, _: &'static str| Next::Stop)
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn after(&mut self, key: impl Into<Cow<'static, str>>, delay: Duration, message: M) {
        self.set(key.into(), delay, Make::Once(Box::new(move || Some(message))));
    }

    fn set(&mut self, key: Cow<'static, str>, delay: Duration, make: Make<M>) {
        match now().checked_add(delay) {
            Some(at) => {
                self.body.set_timer(self.worker, at, Some(key), make);
            }
            // Later than can be told: never.
            None => self.cancel_timer(key),
        }
    }

    /// Cancels the timer of this key, if there is one.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use millstream::{ActorSystem, Next, receive, setup};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// system.spawn("late", || setup(|context| {
    ///     context.after("wake", Duration::from_millis(10), "wake");
    ///     context.cancel_timer("wake");
    ///     receive(|_, _: &'static str| Next::Stop)
    /// }))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel_timer(&mut self, key: impl Into<Cow<'static, str>>) {
        if let Some(timer) = self.body.keys.get(&key.into()).copied() {
            self.body.cancel_timer(self.worker, timer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::Arc;

    /// Is wanted as long as somebody else holds it.
    struct Held(Arc<()>);

    impl Reminder for Held {
        fn is_wanted(&self) -> bool {
            Arc::strong_count(&self.0) > 1
        }
        fn remind(&self) {}
        fn give_up(&self) {}
    }

    #[test]
    fn reminders_that_nobody_wants_do_not_stay_until_their_time() {
        let mut timers = Timers::default();
        let at = Instant::now() + Duration::from_secs(3600);
        let actor = Due::Actor { actor: 1, timer: 1 };
        let key = timers.set(at, actor);
        let wanted: Vec<_> = (0..100).map(|_| Arc::new(())).collect();
        for one in &wanted {
            timers.remind(at, Box::new(Held(one.clone())));
        }
        for _ in 0..100_000 {
            timers.remind(at, Box::new(Held(Arc::new(()))));
        }
        assert!(
            timers.due.len() <= 2 * (wanted.len() + 1) + REMINDERS,
            "{}",
            timers.due.len()
        );
        let wants = |due: &Due| matches!(due, Due::Remind(reminder) if reminder.is_wanted());
        assert_eq!(timers.due.values().filter(|due| wants(due)).count(), wanted.len());
        assert!(timers.due.contains_key(&key), "what is an actor's stays");
    }
}
