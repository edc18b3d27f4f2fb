//! The question of an actor, which goes there and comes back: one allocation, made and freed by the worker that asks. Whoever
//! answers sends it home together with the answer, so that what is shared of either actor is counted by one thread alone.

use std::sync::Arc;

use super::ask::{AskError, Reply};
use super::failure::quietly;
use super::messages::Signal;
use super::reference::ActorRef;
use super::route::{self, Home};
use crate::primitive::Mutex;
use crate::ring::parcel::{Envelope, Parcel, is_small, seal, wrap};

/// What makes a message of the answer, for whoever comes first, the answer or the timer.
pub(super) struct Map<F>(Arc<Mutex<Option<F>>>);

impl<F> Map<F> {
    pub(super) fn new(map: F) -> Self {
        Self(Arc::new(Mutex::new(Some(map))))
    }

    pub(super) fn take(&self) -> Option<F> {
        self.0.lock().ok().and_then(|mut map| map.take())
    }
}

impl<F> Clone for Map<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// A question on its way.
pub(super) struct Question<M, N, R, F> {
    pub(super) asker: ActorRef<M>,
    pub(super) asked: ActorRef<N>,
    /// The timer of its deadline, if it has one.
    pub(super) timer: u64,
    pub(super) map: Map<F>,
    pub(super) answer: Result<R, AskError>,
}

/// A question on its way home, with its answer, until it is opened.
struct Homecoming<M, N, R, F>(Option<Answering<M, N, R, F>>);
type Answering<M, N, R, F> = (Box<Question<M, N, R, F>>, R);

impl<M, N, R, F> Envelope for Homecoming<M, N, R, F>
where
    M: Send + 'static,
    N: Send + 'static,
    R: Send + 'static,
    F: FnOnce(Result<R, AskError>) -> M + Send + 'static,
{
    fn open(&mut self) -> Option<(u64, Parcel)> {
        let (mut question, answer) = self.0.take()?;
        question.answer = Ok(answer);
        let asker = question.asker.id();
        let answered: Box<dyn Answered<M>> = question;
        Some((asker, wrap(answered)))
    }

    fn turn_back(&mut self) {
        if let Some((question, answer)) = self.0.take() {
            question.finish(Ok(answer));
        }
    }
}

/// A question that has come home.
pub(super) trait Answered<M>: Send {
    fn asker(&self) -> &ActorRef<M>;
    fn timer(&self) -> u64;
    /// The message of it, if the deadline did not make one before. Calls the user's function.
    fn into_message(self: Box<Self>) -> Option<M>;
}

impl<M, N, R, F> Answered<M> for Question<M, N, R, F>
where
    M: Send + 'static,
    N: Send + 'static,
    R: Send,
    F: FnOnce(Result<R, AskError>) -> M + Send,
{
    fn asker(&self) -> &ActorRef<M> {
        &self.asker
    }

    fn timer(&self) -> u64 {
        self.timer
    }

    fn into_message(self: Box<Self>) -> Option<M> {
        match self.map.take() {
            Some(map) => Some(map(self.answer)),
            None => {
                // A late answer, whose drop is nobody's failure.
                quietly(|| drop(self));
                None
            }
        }
    }
}

impl<M, N, R, F> Reply<R> for Question<M, N, R, F>
where
    M: Send + 'static,
    N: Send + 'static,
    R: Send + 'static,
    F: FnOnce(Result<R, AskError>) -> M + Send + 'static,
{
    fn finish(mut self: Box<Self>, answer: Result<R, AskError>) {
        self.answer = match answer {
            // It waited as the actor stopped, and went with the mailbox.
            Err(AskError::Unanswered) if self.asked.is_stopped() => Err(AskError::Stopped),
            answer => answer,
        };
        let asker = &self.asker.address;
        let (system, worker, actor) = (asker.system.id, asker.worker, asker.id);
        let home: Box<dyn Answered<M>> = self;
        // By the lane, if there is one, for less; by any other thread as all that must not be lost.
        if let Err(home) = route::carry_parcel(system, worker, actor, home) {
            let asker = home.asker().clone();
            asker.address.signal(Signal::Answered(home));
        }
    }

    /// The question stays as it is until it is at home again: its lines are those of the worker that asks, and to and fro they would
    /// take as long as the answer.
    fn send_home(self: Box<Self>, answer: R, home: Home) {
        // One that does not fit beside it would need an allocation here that is freed there.
        if !is_small::<Homecoming<M, N, R, F>>() {
            return self.finish(Ok(answer));
        }
        if let Err(mut envelope) = route::bring(home, seal(Homecoming(Some((self, answer))))) {
            envelope.turn_back();
        }
    }
}
