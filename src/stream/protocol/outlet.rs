//! Where a producer's elements go that do not go to a consumer's source by themselves.
//!
//! The producer reads its stream itself then, and passes on as much as there is demand for: to a sink that is published,
//! or as messages to a consumer that speaks the protocol itself.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::task::Waker;

use super::messages::{StreamCompleted, StreamConsumerMsg, StreamElement, StreamFailed};
use crate::actor::Recipient;
use crate::stream::{CloseReason, End, SinkRef, SourceRef, StreamFault, TryNext, TryPutError};

/// Elements passed on in one go, before the worker's other actors have their turn.
const A_GO: u64 = 1024;

/// Under which name a producer's elements can be had, and how that is brought about.
pub(super) struct Publishing<T> {
    pub(super) name: String,
    pub(super) open: fn(&Published<'_>) -> Result<SinkRef<T>, String>,
    /// The stream as a consumer in this process finds it.
    #[cfg(target_os = "linux")]
    pub(super) find: fn(String, Option<PathBuf>) -> super::remote::PublishedStream<T>,
}

/// What is to be published.
pub(super) struct Published<'a> {
    pub(super) name: &'a str,
    pub(super) directory: Option<&'a PathBuf>,
    pub(super) max_demand: u64,
}

impl<T> Clone for Publishing<T> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            open: self.open,
            #[cfg(target_os = "linux")]
            find: self.find,
        }
    }
}

/// How passing on went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// All that could be passed on was. The waker says when there is more to do.
    All,
    /// There is more to do at once.
    More,
    /// There will be nothing more to do.
    Done,
    /// The other side takes nothing any more.
    Left(CloseReason),
}

/// Where elements go.
pub(super) enum Outlet<T> {
    /// To an actor, as messages.
    Messages(Recipient<StreamConsumerMsg<T>>),
    /// To whoever subscribes to the name.
    Published(SinkRef<T>),
}

impl<T: Send + 'static> Outlet<T> {
    /// Passes on what is there and was asked for.
    pub(super) fn pass_on(&mut self, source: &mut SourceRef<T>, waker: &Waker) -> Passed {
        match self {
            Self::Messages(to) => pass_to_actor(to, source, waker),
            Self::Published(sink) => pass_to_sink(sink, source, waker),
        }
    }

    /// Ends with a fault, if it has not ended.
    pub(super) fn fail(&mut self, fault: StreamFault) {
        match self {
            Self::Messages(to) => to.tell_past(StreamFailed(fault).into()),
            Self::Published(sink) => {
                // It had ended before otherwise, and said so.
                let _ = sink.fail(fault);
            }
        }
    }
}

fn pass_to_actor<T: Send + 'static>(
    to: &Recipient<StreamConsumerMsg<T>>,
    source: &mut SourceRef<T>,
    waker: &Waker,
) -> Passed {
    for _ in 0..A_GO {
        match source.try_next() {
            // By the way that the end takes, which must not overtake it; and there was demand, so no mailbox may refuse it.
            TryNext::Item(element) => to.tell_first(StreamElement(element).into()),
            TryNext::Empty if source.arm(waker) => {}
            TryNext::Empty => return Passed::All,
            TryNext::End(End::Completed) => {
                to.tell_past(StreamCompleted.into());
                return Passed::Done;
            }
            TryNext::End(End::Failed(fault)) => {
                to.tell_past(StreamFailed(fault).into());
                return Passed::Done;
            }
            TryNext::End(_) => return Passed::Done,
        }
    }
    Passed::More
}

fn pass_to_sink<T: Send + 'static>(
    sink: &mut SinkRef<T>,
    source: &mut SourceRef<T>,
    waker: &Waker,
) -> Passed {
    let mut left = A_GO;
    while left > 0 {
        if let Some(end) = source.end() {
            return settle(sink, &end, waker);
        }
        if let Some(reason) = sink.close_reason() {
            return Passed::Left(reason);
        }
        // The published ring has no buffer of its own: its room is its demand, and what its reader asks for is asked of the
        // sinks, so that what nobody asked for stays in their buffers.
        let room = sink.demand();
        if let Some(more) = NonZeroU64::new(room.saturating_sub(source.asked())) {
            // It has not ended, and asks by hand.
            let _ = source.request(more);
        }
        let mut batch = room.min(left);
        if batch == 0 {
            // An end is told whether or not anything was asked for. But where an element waits for demand, the end comes
            // after it, and each put would wake this actor for nothing.
            if !source.holds() && source.arm(waker) {
                left -= 1;
                continue;
            }
            if sink.arm(waker) {
                left -= 1;
                continue;
            }
            return Passed::All;
        }
        left -= batch;
        while batch > 0 {
            batch -= 1;
            match source.try_next() {
                TryNext::Item(element) => match sink.try_put(element) {
                    Ok(()) => {}
                    Err(TryPutError::Full(_)) => return Passed::Left(CloseReason::Cancelled),
                    Err(TryPutError::Closed(_, reason)) => return Passed::Left(reason),
                },
                TryNext::Empty if source.arm(waker) => {}
                // A reader that leaves is noticed even if nothing is put, and more demand is told to the sinks.
                TryNext::Empty if sink.arm_close(waker) || sink.demand() > source.asked() => break,
                TryNext::Empty => return Passed::All,
                TryNext::End(_) => break,
            }
        }
    }
    Passed::More
}

/// Ends the published stream as its source did, and waits until its reader has taken everything.
fn settle<T: Send + 'static>(sink: &mut SinkRef<T>, end: &End, waker: &Waker) -> Passed {
    let ended = match end {
        End::Completed => sink.complete(),
        End::Failed(fault) => sink.fail(fault.clone()),
        _ => return Passed::Done,
    };
    if ended.is_err() || sink.arm_close(waker) {
        Passed::Done
    } else {
        Passed::All
    }
}
