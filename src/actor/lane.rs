//! The way from one worker to another: notes, and messages.
//!
//! A message goes by a ring of stamped lines that has one end on either thread, so it costs neither side a read-modify-write, and the
//! messages of one sender stay in order. What finds that ring full is spilled into a queue, and so is what follows, until the receiver has
//! emptied that.

use std::fmt;
use std::sync::Arc;

use crossbeam_queue::SegQueue;

use super::question::Answered;
use super::worker::Worker;
use crate::ring::lane::{LaneReceiver, LaneSender, lane};
use crate::ring::parcel::{Parcel, Sealed};

/// Notes that fit into a lane: a few hundred ready actors. More go by the injector.
const NOTES: usize = 1024;
/// The most messages that fit into a lane, a burst, and the least, where there are many lanes. More are spilled.
const MOST_MESSAGES: usize = 1024;
const LEAST_MESSAGES: usize = 64;
/// Messages that fit into all lanes of a system: 16 MiB, which are written as they are allocated.
const MESSAGES_OF_A_SYSTEM: usize = 1 << 18;

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

/// What goes from worker to worker, in order.
pub(super) enum Message {
    /// For the actor of this number.
    Letter(u64, Parcel),
    /// An answer, for whoever asked.
    Answer(Sealed),
}

impl Message {
    /// For which actor it is, and what, on the worker where it has come to.
    #[inline]
    pub(super) fn open(self) -> Option<(u64, Parcel)> {
        match self {
            Self::Letter(actor, parcel) => Some((actor, parcel)),
            Self::Answer(mut answer) => answer.open(),
        }
    }
}

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

/// The sender's end of a lane.
pub(super) struct Outbound {
    notes: rtrb::Producer<Note>,
    messages: LaneSender<Message>,
    spill: Arc<SegQueue<Message>>,
    /// The spill may not be empty.
    spills: bool,
}

/// The receiver's end of a lane.
pub(super) struct Inbound {
    notes: rtrb::Consumer<Note>,
    messages: LaneReceiver<Message>,
    spill: Arc<SegQueue<Message>>,
    /// So many of the spill were seen, and the ring was emptied since: they come next.
    due: usize,
}

/// Both ends of one of `lanes` lanes. `None` when there is no memory for it.
pub(super) fn ends(lanes: usize) -> Option<(Outbound, Inbound)> {
    let capacity = (MESSAGES_OF_A_SYSTEM / lanes.max(1)).clamp(LEAST_MESSAGES, MOST_MESSAGES);
    let (messages, received) = lane(capacity)?;
    let (notes, noted) = rtrb::RingBuffer::new(NOTES);
    let spill = Arc::new(SegQueue::new());
    let outbound = Outbound {
        notes,
        messages,
        spill: spill.clone(),
        spills: false,
    };
    let inbound = Inbound {
        notes: noted,
        messages: received,
        spill,
        due: 0,
    };
    Some((outbound, inbound))
}

impl Outbound {
    /// Sends a note, or gives it back when there is no room.
    pub(super) fn note(&mut self, note: Note) -> Result<(), Note> {
        let pushed = self.notes.push(note);
        pushed.map_err(|rtrb::PushError::Full(note)| note)
    }

    /// Sends a message, after those sent before.
    pub(super) fn carry(&mut self, mut message: Message) {
        // The receiver empties the ring before the spill, so nothing goes by the ring as long as something is there.
        if !self.spills || self.spill.is_empty() {
            self.spills = false;
            match self.messages.push(message) {
                Ok(()) => return,
                Err(unsent) => message = unsent,
            }
        }
        self.spills = true;
        self.spill.push(message);
    }
}

impl Inbound {
    pub(super) fn next_note(&mut self) -> Option<Note> {
        self.notes.pop().ok()
    }

    /// The next message: those of the ring, then as many of the spill as had been there before the ring was emptied. All that
    /// the ring holds meanwhile is older than they are; what comes into either later is younger.
    pub(super) fn next_message(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.messages.pop() {
                return Some(message);
            }
            if self.due > 0 {
                self.due -= 1;
                return self.spill.pop();
            }
            if self.spill.is_empty() {
                return None;
            }
            self.due = self.spill.len();
        }
    }

    /// How many messages there are at the most.
    pub(super) fn most(&self) -> usize {
        MOST_MESSAGES + self.spill.len()
    }

    /// Whether nothing has come.
    pub(super) fn is_empty(&mut self) -> bool {
        self.notes.is_empty() && self.messages.is_empty() && self.spill.is_empty()
    }

    /// All that has come.
    pub(super) fn empty(&mut self) -> (Vec<Note>, Vec<Message>) {
        let notes = std::iter::from_fn(|| self.next_note()).collect();
        (notes, std::iter::from_fn(|| self.next_message()).collect())
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("spilled", &self.spill.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").finish_non_exhaustive()
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn a_message_fills_a_line_with_its_stamp() {
        assert_eq!(size_of::<Message>(), 56);
    }
}
