//! What came for an actor by lanes, and waits on its worker.

use std::collections::VecDeque;

use super::address::Address;
use super::failure::quietly;
use super::lane::{Arrived, unwrap};
use super::messages::Signal;
use super::question::Answered;
use crate::ring::parcel::Parcel;

/// What came for an actor by lanes.
pub(super) struct Arrivals<M> {
    messages: VecDeque<M>,
    answers: VecDeque<Box<dyn Answered<M>>>,
    /// The worker knows that something waits: the actor is among the ready, or it lingers.
    are_known: bool,
    /// In this run what waits elsewhere comes before what is here, so that neither waits for the other for ever.
    is_mailbox_first: bool,
}

impl<M: Send + 'static> Arrivals<M> {
    pub(super) fn new() -> Self {
        Self {
            messages: VecDeque::new(),
            answers: VecDeque::new(),
            are_known: false,
            is_mailbox_first: false,
        }
    }

    /// Takes something in. False when the worker knows already that something waits.
    pub(super) fn take_in(&mut self, address: &Address<M>, parcel: Parcel) -> bool {
        match unwrap(parcel) {
            Arrived::Message(message) => {
                self.messages.push_back(message);
                address.set_arrived(self.messages.len());
            }
            Arrived::Answer(answered) => self.answers.push_back(answered),
            Arrived::Stray(stray) => {
                quietly(|| drop(stray));
                return false;
            }
        }
        !std::mem::replace(&mut self.are_known, true)
    }

    /// The actor runs.
    pub(super) fn begin_run(&mut self) {
        self.are_known = false;
        self.is_mailbox_first ^= true;
    }

    /// Whether the worker will let the actor run; else it is to be told of what comes.
    pub(super) fn set_known(&mut self, are_known: bool) {
        self.are_known = are_known;
    }

    /// The answer, if it is here, for which this timer is the deadline: it came before that.
    pub(super) fn answer_before(&mut self, timer: u64) -> Option<Box<dyn Answered<M>>> {
        let mut answers = self.answers.iter();
        let at = answers.position(|answered| answered.timer() == timer)?;
        self.answers.remove(at)
    }

    /// Whether something waits; messages count if the actor still takes any.
    pub(super) fn has_work(&self, takes_messages: bool) -> bool {
        !self.answers.is_empty() || takes_messages && !self.messages.is_empty()
    }

    /// The next signal, of those that wait elsewhere or of the answers here.
    pub(super) fn next_signal(&mut self, address: &Address<M>) -> Option<Signal<M>> {
        let mut answered = || self.answers.pop_front().map(Signal::Answered);
        if self.is_mailbox_first {
            address.next_signal().or_else(answered)
        } else {
            answered().or_else(|| address.next_signal())
        }
    }

    /// The next message, of these or of the mailbox.
    pub(super) fn next_message(&mut self, address: &Address<M>) -> Option<M> {
        if self.is_mailbox_first {
            address.next_message().or_else(|| self.pop(address))
        } else {
            self.pop(address).or_else(|| address.next_message())
        }
    }

    fn pop(&mut self, address: &Address<M>) -> Option<M> {
        let message = self.messages.pop_front()?;
        address.set_arrived(self.messages.len());
        Some(message)
    }

    /// The actor has stopped: what waits goes where things for the dead go.
    pub(super) fn bury(&mut self, address: &Address<M>) {
        while let Some(message) = self.pop(address) {
            address.bury_one(message);
        }
        for answered in self.answers.drain(..) {
            address.bury_answer(answered);
        }
    }
}
