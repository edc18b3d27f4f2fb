//! Questions and answers.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::deadline::Deadline;
use super::failure::quietly;
use super::reference::{ActorRef, TryTellError};
use super::route::{self, Home};
use super::system_core::SystemCore;
use super::timer::Reminder;
use crate::primitive::{Mutex, hint, thread};

/// Looks at the answer before the asker sleeps. Waking a sleeper takes about as long.
const SPINS: u32 = 300;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The deadline passed first; the actor may still answer, to nobody.
    #[error("no answer came before the deadline")]
    TimedOut,
    /// The actor has stopped, before the question or with the question still waiting.
    #[error("the actor has stopped")]
    Stopped,
    /// The actor's mailbox is full, and rejects messages.
    #[error("the mailbox is full: the actor has not handled what was sent before")]
    Full,
    /// The question was dropped unanswered: the actor stopped, failed, or does not answer it.
    #[error("the question was dropped without an answer: the actor stopped, failed, or does not answer it")]
    Unanswered,
    /// The actor said no, and why.
    #[error("refused: {0}")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// The asker is itself a worker of the system: to wait would keep every actor on it from running.
    #[error(
        "an actor cannot wait for an answer on its worker; use Context::ask, which makes a message of it"
    )]
    OnWorker,
}

/// Where an answer goes.
pub(super) trait Reply<R>: Send {
    fn finish(self: Box<Self>, answer: Result<R, AskError>);
    /// Finishes well, for somebody whose worker is known.
    fn send_home(self: Box<Self>, answer: R, _home: Home) {
        self.finish(Ok(answer));
    }
}

impl<R, F: FnOnce(Result<R, AskError>) + Send> Reply<R> for F {
    fn finish(self: Box<Self>, answer: Result<R, AskError>) {
        self(answer);
    }
}

/// Where the answer to a question goes. Part of the message that asks; dropping it tells the asker that there is no answer.
///
/// ```
/// use std::time::Duration;
/// use millstream::{ActorSystem, Next, ReplyTo, receive};
/// struct Best {
///     reply_to: ReplyTo<f64>,
/// }
/// let system = ActorSystem::builder("prices").build()?;
/// let book = system.spawn("book", || receive(|_, best: Best| {
///     best.reply_to.send(142.5);
///     Next::Same
/// }))?;
/// let best = system.ask(&book, |reply_to| Best { reply_to }, Duration::from_secs(5))?;
/// assert_eq!(best, 142.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ReplyTo<R> {
    reply: Option<Box<dyn Reply<R>>>,
    /// The worker of an actor that asks. Here, so that who answers need not look at what is the asker's.
    home: Option<Home>,
}

impl<R> ReplyTo<R> {
    pub(super) fn new(reply: impl Reply<R> + 'static) -> Self {
        Self::to(None, reply)
    }

    /// As [`new`](Self::new), for an actor of this worker.
    pub(super) fn to(home: Option<Home>, reply: impl Reply<R> + 'static) -> Self {
        let reply = Some(Box::new(reply) as Box<dyn Reply<R>>);
        Self { reply, home }
    }

    pub(crate) fn hooked(hook: impl FnOnce(Result<R, AskError>) + Send + 'static) -> Self {
        Self::new(hook)
    }

    /// Answers. Never waits; nobody may be waiting any more.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use millstream::{ActorSystem, Next, ReplyTo, receive};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// let echo = system.spawn("echo", || receive(|_, (text, reply): (&'static str, ReplyTo<&'static str>)| {
    ///     reply.send(text);
    ///     Next::Same
    /// }))?;
    /// assert_eq!(system.ask(&echo, |reply| ("hello", reply), Duration::from_secs(5))?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(mut self, answer: R) {
        if let Some(home) = self.home
            && let Some(reply) = self.reply.take()
        {
            return reply.send_home(answer, home);
        }
        self.finish(Ok(answer));
    }

    /// Answers that there will be none, and why.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use millstream::{ActorSystem, AskError, Next, ReplyTo, receive};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// let shut = system.spawn("shut", || receive(|_, reply: ReplyTo<u32>| {
    ///     reply.refuse("the market is closed");
    ///     Next::Same
    /// }))?;
    /// let refused = system.ask(&shut, |reply| reply, Duration::from_secs(5)).unwrap_err();
    /// assert_eq!(refused.to_string(), "refused: the market is closed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn refuse(mut self, why: impl Into<Box<dyn Error + Send + Sync>>) {
        self.finish(Err(AskError::Refused(why.into())));
    }

    fn finish(&mut self, answer: Result<R, AskError>) {
        if let Some(reply) = self.reply.take() {
            reply.finish(answer);
        }
    }
}

impl<R> Drop for ReplyTo<R> {
    fn drop(&mut self) {
        self.finish(Err(AskError::Unanswered));
    }
}

impl<R> fmt::Debug for ReplyTo<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyTo")
    }
}

/// Sends a question; where that fails, the reply hears why at once.
pub(super) fn put<M, Q, R>(to: &ActorRef<M>, make: impl FnOnce(ReplyTo<R>) -> Q, reply: ReplyTo<R>)
where
    M: Send + 'static,
    Q: Into<M>,
    R: Send + 'static,
{
    // The question owns the reply: what is known of its fate here is told before the question is dropped.
    let shared = Arc::new(Mutex::new(Some(reply)));
    let passed_on = shared.clone();
    let take = |shared: &Mutex<Option<ReplyTo<R>>>| shared.lock().ok().and_then(|mut reply| reply.take());
    let asked = to.clone();
    let question = make(ReplyTo::hooked(move |answer| {
        let answer = match answer {
            // It waited as the actor stopped, and went with the mailbox.
            Err(AskError::Unanswered) if asked.is_stopped() => Err(AskError::Stopped),
            answer => answer,
        };
        if let Some(mut reply) = take(&passed_on) {
            reply.finish(answer);
        }
    }));
    if let Err(unsent) = to.try_tell(question) {
        let why = match unsent {
            TryTellError::Full(_) => AskError::Full,
            TryTellError::Stopped(_) => AskError::Stopped,
        };
        if let Some(mut reply) = take(&shared) {
            reply.finish(Err(why));
        }
    }
}

/// Where an answer lies until it is fetched.
enum Slot<R> {
    Empty(Option<Waker>),
    Full(Result<R, AskError>),
    Fetched,
}

/// An answer to come: a future, which needs no runtime of a certain kind.
///
/// ```
/// # use std::time::Duration;
/// # use millstream::{ActorSystem, AskError, Next, ReplyTo, receive};
/// # let system = ActorSystem::builder("prices").build()?;
/// # let book = system.spawn("book", || receive(|_, reply: ReplyTo<f64>| {
/// #     reply.send(142.5);
/// #     Next::Same
/// # }))?;
/// let answer = system.ask_later(&book, |reply| reply, Duration::from_secs(5));
/// let later = async move { answer.await.unwrap() };
/// # drop(later);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct Answer<R> {
    slot: Arc<Mutex<Slot<R>>>,
    deadline: Deadline,
    /// Whose worker, of this number, reminds the task when the deadline passes.
    system: Arc<SystemCore>,
    worker: usize,
    is_reminded: bool,
}

impl<R: Send + 'static> Answer<R> {
    /// An answer, and where it comes from.
    pub(super) fn new(deadline: Deadline, system: Arc<SystemCore>, worker: usize) -> (Self, ReplyTo<R>) {
        let slot = Arc::new(Mutex::new(Slot::Empty(None)));
        let filled = slot.clone();
        let reply = ReplyTo::hooked(move |answer| fill(&filled, answer));
        let answer = Self {
            slot,
            deadline,
            system,
            worker,
            is_reminded: false,
        };
        (answer, reply)
    }

    /// The answer, if it is there. `waker` is woken when it comes.
    fn fetch(&self, waker: Option<&Waker>) -> Option<Result<R, AskError>> {
        // A waker is somebody else's, and so is what runs when it is cloned or dropped: outside of the lock.
        let waker = waker.cloned();
        let mut slot = self.slot.lock().ok()?;
        let before = match &*slot {
            Slot::Empty(_) => std::mem::replace(&mut *slot, Slot::Empty(waker)),
            _ => std::mem::replace(&mut *slot, Slot::Fetched),
        };
        drop(slot);
        match before {
            Slot::Full(answer) => Some(answer),
            Slot::Empty(_) => None,
            Slot::Fetched => Some(Err(AskError::Unanswered)),
        }
    }

    /// Waits for the answer: spins a little, then sleeps.
    ///
    /// # Errors
    /// Why there is none: see [`AskError`]. `OnWorker` when the answer is not there and this is a worker of the system.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use millstream::{ActorSystem, Next, ReplyTo, receive};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// # let book = system.spawn("book", || receive(|_, reply: ReplyTo<f64>| {
    /// #     reply.send(142.5);
    /// #     Next::Same
    /// # }))?;
    /// let answer = system.ask_later(&book, |reply| reply, Duration::from_secs(5));
    /// assert_eq!(answer.wait()?, 142.5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(self) -> Result<R, AskError> {
        struct Unpark(thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        for _ in 0..SPINS {
            if let Some(answer) = self.fetch(None) {
                return answer;
            }
            hint::spin_loop();
        }
        if route::is_worker_of(self.system.id) {
            return Err(AskError::OnWorker);
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            if let Some(answer) = self.fetch(Some(&waker)) {
                return answer;
            }
            let left = self.deadline.left(Duration::from_secs(1));
            if left.is_zero() {
                return Err(AskError::TimedOut);
            }
            thread::park_timeout(left);
        }
    }
}

impl<R: Send + 'static> Future for Answer<R> {
    type Output = Result<R, AskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(answer) = self.fetch(Some(context.waker())) {
            return Poll::Ready(answer);
        }
        if self.deadline.has_passed() {
            return Poll::Ready(Err(AskError::TimedOut));
        }
        if !self.is_reminded
            && let Some(at) = self.deadline.instant()
        {
            self.is_reminded = true;
            let reminder = Box::new(Waiting(Arc::downgrade(&self.slot)));
            self.system.remind(self.worker, at, reminder);
        }
        Poll::Pending
    }
}

impl<R> Drop for Answer<R> {
    /// Nobody waits any more, which the reminder is to see, and what may still come is dropped as it comes.
    fn drop(&mut self) {
        let slot = self.slot.lock();
        let before = slot.map(|mut slot| std::mem::replace(&mut *slot, Slot::Fetched));
        drop(before);
    }
}

/// Puts an answer where it is waited for, if it still is.
fn fill<R>(slot: &Mutex<Slot<R>>, answer: Result<R, AskError>) {
    let waker = {
        let Ok(mut slot) = slot.lock() else { return };
        let Slot::Empty(waker) = &mut *slot else { return };
        let waker = waker.take();
        *slot = Slot::Full(answer);
        waker
    };
    if let Some(waker) = waker {
        // An executor's, whose panic is not that of who answers.
        quietly(|| waker.wake());
    }
}

/// A task that awaits an answer until a deadline.
struct Waiting<R>(Weak<Mutex<Slot<R>>>);

impl<R: Send + 'static> Reminder for Waiting<R> {
    fn is_wanted(&self) -> bool {
        let slot = self.0.upgrade();
        slot.is_some_and(|slot| slot.lock().is_ok_and(|slot| matches!(*slot, Slot::Empty(_))))
    }

    /// The task may have moved to another waker since: whichever the slot holds is woken.
    fn remind(&self) {
        let Some(slot) = self.0.upgrade() else { return };
        let waker = match slot.lock().as_deref_mut() {
            Ok(Slot::Empty(waker)) => waker.take(),
            _ => None,
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn give_up(&self) {
        if let Some(slot) = self.0.upgrade() {
            fill(&slot, Err(AskError::Stopped));
        }
    }
}

impl<R> fmt::Debug for Answer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
