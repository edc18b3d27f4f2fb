//! The way from one worker to another: notes, and messages.
//!
//! A message goes by a ring of stamped lines that has one end on either thread, so it costs neither side a read-modify-write, and the
//! messages of one sender stay in order. What finds that ring full is held by the sender until there is room.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::address::AnyAddress;
use super::failure::quietly;
use super::question::Answered;
use super::worker::Worker;
use crate::ring::lane::{LaneReceiver, LaneSender, lane};
use crate::ring::parcel::{Parcel, wrap};

/// Notes that fit into a lane, a few hundred ready actors (more go by the injector); and messages, a burst (more wait with the
/// sender).
pub(super) const LANE: usize = 1024;

/// What a worker is told.
pub(super) enum Note {
    /// The actor of this number is ready.
    Run(u64),
    /// An actor is to be made here.
    Make(Box<dyn FnOnce(&mut Worker) + Send>),
    /// No actor is left: the worker is to end.
    End,
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(id) => write!(f, "Run({id})"),
            Self::Make(_) => f.write_str("Make"),
            Self::End => f.write_str("End"),
        }
    }
}

/// A message for the actor of this number.
type Message = (u64, Parcel);

/// What came by a lane for an actor whose messages are `M`.
pub(super) enum Arrived<M> {
    Message(M),
    Answer(Box<dyn Answered<M>>),
    /// Nothing that is sent to such an actor.
    Stray(Parcel),
}

/// Unwraps what came for an actor whose messages are `M`.
#[inline]
pub(super) fn unwrap<M: 'static>(parcel: Parcel) -> Arrived<M> {
    match parcel.downcast::<M>() {
        Ok(message) => Arrived::Message(message.into_inner()),
        Err(parcel) => match parcel.downcast::<Box<dyn Answered<M>>>() {
            Ok(answered) => Arrived::Answer(answered.into_inner()),
            Err(stray) => Arrived::Stray(stray),
        },
    }
}

/// A message that found the lane full, and whom it is for. As long as it is here that one can be found: see `Graves`.
struct Held {
    to: Arc<dyn AnyAddress>,
    parcel: Parcel,
}

/// The sender's end of a lane.
pub(super) struct Outbound {
    notes: rtrb::Producer<Note>,
    messages: LaneSender<Message>,
    held: VecDeque<Held>,
}

/// The receiver's end of a lane.
pub(super) struct Inbound {
    pub(super) notes: rtrb::Consumer<Note>,
    pub(super) messages: LaneReceiver<Message>,
}

/// Both ends of a lane. `None` when there is no memory for it.
pub(super) fn ends() -> Option<(Outbound, Inbound)> {
    let (messages, received) = lane(LANE)?;
    let (notes, noted) = rtrb::RingBuffer::new(LANE);
    let outbound = Outbound {
        notes,
        messages,
        held: VecDeque::new(),
    };
    let inbound = Inbound {
        notes: noted,
        messages: received,
    };
    Some((outbound, inbound))
}

impl Outbound {
    /// Sends a note, or gives it back when there is no room.
    pub(super) fn note(&mut self, note: Note) -> Result<(), Note> {
        let pushed = self.notes.push(note);
        pushed.map_err(|rtrb::PushError::Full(note)| note)
    }

    /// Sends a message, after those sent before: if need be when there is room. False when it is held.
    pub(super) fn carry(
        &mut self,
        actor: u64,
        parcel: Parcel,
        address: impl FnOnce() -> Arc<dyn AnyAddress>,
        spent: &mut Vec<Arc<dyn AnyAddress>>,
    ) -> bool {
        let mut message = (actor, parcel);
        if self.held.is_empty() || self.flush(spent) {
            match self.messages.push(message) {
                Ok(()) => return true,
                Err(unsent) => message = unsent,
            }
        }
        let (to, parcel) = (address(), message.1);
        self.held.push_back(Held { to, parcel });
        false
    }

    /// Sends what may overtake messages, or gives it back when there is no room.
    pub(super) fn overtake<T: Send + 'static>(&mut self, actor: u64, value: T) -> Result<(), T> {
        if !self.messages.has_room() {
            return Err(value);
        }
        // There is room: only this end fills it.
        let _ = self.messages.push((actor, wrap(value)));
        Ok(())
    }

    /// Sends what is held, as far as there is room. True when nothing is held any more. Whom it was for is `spent`: to be
    /// dropped when nothing is borrowed.
    pub(super) fn flush(&mut self, spent: &mut Vec<Arc<dyn AnyAddress>>) -> bool {
        while !self.held.is_empty() && self.messages.has_room() {
            if let Some(Held { to, parcel }) = self.held.pop_front() {
                // There is room: only this end fills it.
                let _ = self.messages.push((to.id(), parcel));
                spent.push(to);
            }
        }
        self.held.is_empty()
    }
}

impl Inbound {
    /// Whether nothing has come.
    pub(super) fn is_empty(&mut self) -> bool {
        self.notes.is_empty() && self.messages.is_empty()
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").finish_non_exhaustive()
    }
}

impl Drop for Outbound {
    /// What is held reaches nobody any more.
    fn drop(&mut self) {
        for Held { to, parcel } in self.held.drain(..) {
            quietly(|| to.bury_parcel(parcel));
        }
    }
}
