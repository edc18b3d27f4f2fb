//! What is dealt to whom: the lanes, and what workers have left.

use std::collections::VecDeque;
use std::task::Waker;

use crate::stream::{CloseReason, NotDrained, SinkRef, StreamFault, TryPutError};
use crate::wait::Bells;

/// Elements dealt between two looks for workers that have gone without a word, while there is demand.
const SWEEP: u32 = 64;

/// How a queue ends for its workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Completed,
    Failed(StreamFault),
}

impl Ending {
    pub(super) fn reason(&self) -> CloseReason {
        match self {
            Self::Completed => CloseReason::Completed,
            Self::Failed(_) => CloseReason::Failed,
        }
    }

    /// Ends a lane so.
    pub(super) fn seal<T>(&self, sink: &mut SinkRef<T>) {
        // A worker that has gone meanwhile needs no end.
        let _ = match self {
            Self::Completed => sink.complete(),
            Self::Failed(fault) => sink.fail(fault.clone()),
        };
    }
}

/// The way to one worker.
pub(super) struct Lane<T> {
    number: u64,
    sink: SinkRef<T>,
    /// Whether its worker is in this process and was made here, so that it says when it goes.
    is_ours: bool,
    /// Whether its end is written.
    is_sealed: bool,
}

impl<T> Lane<T> {
    /// What its worker has asked for, at least. A look at its words takes a line of memory from it, so as long as the sink knows
    /// of some demand that will do.
    fn demand(&self) -> u64 {
        match (self.is_sealed, self.sink.known_room()) {
            (true, _) => 0,
            (false, 0) => self.sink.demand(),
            (false, known) => known,
        }
    }
}

/// The state of a work queue, which its sink and its workers share.
pub(super) struct Deals<T> {
    lanes: Vec<Lane<T>>,
    /// What workers left that have gone: dealt before anything else.
    left: VecDeque<T>,
    /// Lane at which the next look for demand begins.
    turn: usize,
    /// Number of the next lane.
    next: u64,
    puts: u32,
    dealt_again: u64,
    ending: Option<Ending>,
    /// Whether every lane has its end, or nothing is left to be dealt.
    is_over: bool,
    /// Whether lanes to other processes stay open after the end until everything is released.
    pub(super) is_draining: bool,
    /// Whether the sink is gone.
    pub(super) is_abandoned: bool,
    /// Whether a worker that asks for more, or goes, is to look after what is left.
    is_restless: bool,
}

impl<T> Deals<T> {
    pub(super) fn new() -> Self {
        Self {
            lanes: Vec::new(),
            left: VecDeque::new(),
            turn: 0,
            next: 0,
            puts: 0,
            dealt_again: 0,
            ending: None,
            is_over: false,
            is_draining: false,
            is_abandoned: false,
            is_restless: false,
        }
    }

    pub(super) fn is_restless(&self) -> bool {
        self.is_restless
    }

    pub(super) fn dealt_again(&self) -> u64 {
        self.dealt_again
    }

    /// The number that the next lane has.
    pub(super) fn next_number(&self) -> u64 {
        self.next
    }

    /// Adds a lane, or ends it at once if nothing will be dealt any more.
    pub(super) fn add(&mut self, mut sink: SinkRef<T>, is_ours: bool) {
        let number = self.next;
        self.next = number.wrapping_add(1);
        let is_sealed = match &self.ending {
            Some(ending) if self.is_over => {
                ending.seal(&mut sink);
                true
            }
            _ => false,
        };
        if !(is_sealed && is_ours) {
            self.lanes.push(Lane {
                number,
                sink,
                is_ours,
                is_sealed,
            });
        }
    }

    /// Takes the lanes out that others made.
    pub(super) fn take_foreign(&mut self) -> Vec<SinkRef<T>> {
        let (ours, foreign) = std::mem::take(&mut self.lanes)
            .into_iter()
            .partition(|lane| lane.is_ours);
        self.lanes = ours;
        foreign.into_iter().map(|lane: Lane<T>| lane.sink).collect()
    }

    /// Elements that are lost if nobody joins.
    pub(super) fn stranded(&self) -> usize {
        if self.lanes.is_empty() { self.left.len() } else { 0 }
    }

    fn open(&self) -> impl Iterator<Item = &Lane<T>> {
        self.lanes.iter().filter(|lane| !lane.is_sealed)
    }

    pub(super) fn demand(&self) -> u64 {
        let asked = self
            .open()
            .map(|lane| lane.sink.demand())
            .fold(0, u64::saturating_add);
        asked.saturating_sub(self.left.len() as u64)
    }

    pub(super) fn consumers(&self) -> usize {
        self.open()
            .filter(|lane| lane.sink.has_consumer() && !lane.sink.is_closed())
            .count()
    }

    /// Says how the queue ends. The reason for which it has ended, if that is another.
    pub(super) fn end(&mut self, ending: Ending) -> Result<(), CloseReason> {
        match &self.ending {
            None => {
                self.ending = Some(ending);
                Ok(())
            }
            Some(before) if before.reason() == ending.reason() => Ok(()),
            Some(before) => Err(before.reason()),
        }
    }

    /// Deals an element that the sink was given.
    pub(super) fn offer(&mut self, element: T, waker: &Waker) -> Result<(), TryPutError<T>> {
        if let Some(ending) = &self.ending {
            return Err(TryPutError::Closed(element, ending.reason()));
        }
        self.puts = self.puts.wrapping_add(1);
        if self.puts.is_multiple_of(SWEEP) {
            self.sweep();
        }
        if !self.left.is_empty() {
            self.rest(waker);
        }
        let refused = if self.left.is_empty() {
            self.deal(element).err()
        } else {
            Some(element)
        };
        let Some(element) = refused else { return Ok(()) };
        self.sweep();
        if !self.left.is_empty() {
            self.rest(waker);
        }
        Err(TryPutError::Full(element))
    }

    /// Gives an element to the worker that has asked for most; else it comes back.
    fn deal(&mut self, mut element: T) -> Result<(), T> {
        let mut index = self.thirstiest();
        // Words of other processes may change between a look and the next, so a refusal is no promise for any other lane.
        let mut tries = self.lanes.len();
        while let Some(at) = index
            && tries > 0
        {
            tries -= 1;
            let Some(lane) = self.lanes.get_mut(at) else { break };
            match lane.sink.try_put(element) {
                Ok(()) => {
                    self.turn = at + 1;
                    return Ok(());
                }
                Err(TryPutError::Full(back)) => {
                    element = back;
                    self.turn = at + 1;
                }
                Err(TryPutError::Closed(back, _)) => {
                    element = back;
                    self.bury(at);
                }
            }
            index = self.thirstiest();
        }
        Err(element)
    }

    /// The open lane with the most demand; of equals the next in turn.
    fn thirstiest(&self) -> Option<usize> {
        let (before, from) = self
            .lanes
            .split_at_checked(self.turn)
            .unwrap_or((&self.lanes, &[]));
        let in_turn = (self.turn..).zip(from).chain(before.iter().enumerate());
        let mut most = 0;
        let mut best = None;
        for (at, lane) in in_turn {
            let demand = lane.demand();
            if demand > most {
                (most, best) = (demand, Some(at));
            }
        }
        best
    }

    /// Forgets a lane whose worker takes nothing any more, and keeps what it left.
    fn bury(&mut self, at: usize) {
        let mut lane = self.lanes.remove(at);
        let left = lane.sink.reclaim();
        self.dealt_again = self.dealt_again.wrapping_add(left.len() as u64);
        self.left.extend(left);
    }

    /// Forgets the lane of this number, if it is still here.
    pub(super) fn bury_number(&mut self, number: u64) {
        if let Some(at) = self.lanes.iter().position(|lane| lane.number == number) {
            self.bury(at);
        }
    }

    /// Looks for workers that have gone.
    fn sweep(&mut self) {
        let mut at = 0;
        while let Some(lane) = self.lanes.get_mut(at) {
            if !lane.is_sealed && lane.sink.close_reason().is_some() {
                self.bury(at);
            } else {
                at += 1;
            }
        }
    }

    /// Does what can be done now: deals what was left, ends what can end.
    fn tend(&mut self) {
        self.sweep();
        while let Some(element) = self.left.pop_front() {
            if let Err(element) = self.deal(element) {
                self.left.push_front(element);
                break;
            }
        }
        let Some(ending) = &self.ending else { return };
        let is_dealt = self.left.is_empty();
        let is_released = is_dealt && {
            // What its worker has not taken may yet have to go to another.
            let mut lanes = self.lanes.iter_mut().filter(|lane| !lane.is_sealed);
            lanes.all(|lane| lane.sink.undrained().0 == 0)
        };
        for lane in self.lanes.iter_mut().filter(|lane| !lane.is_sealed) {
            let at_once = !lane.is_ours && (self.is_abandoned || (is_dealt && !self.is_draining));
            if at_once || is_released {
                ending.seal(&mut lane.sink);
                lane.is_sealed = true;
            }
        }
        self.is_over |= is_dealt && self.lanes.iter().all(|lane| lane.is_sealed);
    }

    /// [Tends](Self::tend), and has `waker` woken by the workers of this process as long as there will be more to do. Not by
    /// the others: the sink may sleep at their bells, which arming empties.
    pub(super) fn rest(&mut self, waker: &Waker) {
        // Each round but the last has dealt something, ended a lane or forgotten one.
        loop {
            self.tend();
            self.is_restless = !self.left.is_empty() || (self.ending.is_some() && !self.is_over);
            if !self.is_restless {
                return;
            }
            let wants_demand = !self.left.is_empty();
            let mut news = false;
            for lane in &mut self.lanes {
                if lane.is_ours && !lane.is_sealed {
                    news |= if wants_demand {
                        lane.sink.arm(waker)
                    } else {
                        lane.sink.arm_close(waker)
                    };
                }
            }
            if news {
                continue;
            }
            // Who released something before it was armed did not ring.
            self.tend();
            self.is_restless = !self.left.is_empty() || (self.ending.is_some() && !self.is_over);
            if !self.is_restless || wants_demand != self.left.is_empty() {
                return;
            }
        }
    }

    /// Has `waker`, or one of the bells, ring when a worker asks for more or goes.
    pub(super) fn arm(&mut self, waker: &Waker) -> Bells {
        #[cfg_attr(not(target_os = "linux"), allow(unused_mut))]
        let mut bells = Bells::default();
        for lane in &mut self.lanes {
            if lane.is_sealed {
                lane.sink.arm_close(waker);
            } else {
                lane.sink.arm(waker);
            }
            #[cfg(target_os = "linux")]
            bells.add(&lane.sink.bell_fds());
        }
        bells
    }

    /// As [`arm`](Self::arm), also for whoever releases what it has.
    pub(super) fn arm_release(&mut self, waker: &Waker) -> Bells {
        #[cfg_attr(not(target_os = "linux"), allow(unused_mut))]
        let mut bells = Bells::default();
        for lane in &mut self.lanes {
            lane.sink.arm_close(waker);
            #[cfg(target_os = "linux")]
            bells.add(&lane.sink.bell_fds());
        }
        bells
    }

    /// What is not released by any worker; `Ok` when it is nothing, an error with a reason when no more of it will be.
    pub(super) fn drained(&mut self) -> Result<(), NotDrained> {
        let mut left = self.left.len() as u64;
        let mut lost = None;
        for lane in &mut self.lanes {
            let (some, reason) = lane.sink.undrained();
            left = left.saturating_add(some);
            // What lies in a lane that has its end is not dealt again.
            if some > 0 && lane.is_sealed {
                lost = lost.or(reason);
            }
        }
        if left == 0 && self.is_over {
            return Ok(());
        }
        Err(NotDrained { left, reason: lost })
    }
}
