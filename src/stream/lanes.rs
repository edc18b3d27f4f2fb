//! The lanes of a source that several sinks feed: a ring for each sink, read in rotation.
//!
//! The source has one lane before it, with its cursors and its endpoint, and goes on to the next where it finds nothing
//! or gives credit; the others wait in a queue. It waits at all of them, by one bell. The first lane has the window, the
//! others a buffer alone, so there is never more under way beyond the buffers than one window. What was asked for by hand
//! goes along from lane to lane.

mod round;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::cold_source::ColdSource;
use super::end::{CloseReason, End};
use super::endpoint::{ConsumerEndpoint, Demand, Patience, Vacancy};
use super::lane::{Lane, Overseen};
use super::settings::SourceSettings;
use crate::primitive::Arc;
use crate::primitive::atomic::Ordering;
use crate::ring::Consumer;
use crate::ring::notice::{CANCEL, COMPLETE, FAIL, LANES};
use crate::ring::shape::Fixed;
use crate::wait::{Doorbell, Fence, WaitStrategy};

/// What a source of several lanes needs beside the lane that it reads.
pub(super) struct Lanes<T> {
    overseen: Arc<Overseen<T>>,
    /// The others, the next first.
    queue: VecDeque<Lane<T>>,
    /// Whether the lane that is read is the first, which has the window.
    is_first: bool,
    /// Whether the lane that is read is the overseer's own.
    attends: bool,
    /// Whether a lane has ended.
    has_retired: bool,
    window: u64,
    max_window: u64,
    /// The bound of each buffer.
    buffer: u64,
    eager: bool,
    automatic: bool,
    pub(super) patience: Patience,
    /// At which the source sleeps; every sink rings it.
    bell: Doorbell,
    fence: Fence,
    /// Elements taken from lanes that have ended.
    past: u64,
    /// How the first of those ended that was not completed.
    fault: Option<End>,
    /// Lanes that came.
    arrived: u64,
}

impl<T> Lanes<T> {
    pub(super) fn new(
        overseen: Arc<Overseen<T>>,
        bell: Doorbell,
        fence: Fence,
        buffer: u64,
        max_window: u64,
    ) -> Self {
        Self {
            overseen,
            queue: VecDeque::new(),
            is_first: true,
            attends: false,
            has_retired: false,
            window: 0,
            max_window,
            buffer,
            eager: false,
            automatic: false,
            patience: Patience::new(WaitStrategy::default(), None),
            bell,
            fence,
            past: 0,
            fault: None,
            arrived: 0,
        }
    }

    /// Elements taken from other lanes than the one that is read.
    pub(super) fn taken_elsewhere(&self) -> u64 {
        let waiting = self.queue.iter().map(|lane| lane.ring.pos());
        waiting.fold(self.past, u64::wrapping_add)
    }

    /// Elements granted to other lanes than the one that is read.
    pub(super) fn granted_elsewhere(&self) -> u64 {
        let waiting = self.queue.iter().map(|lane| lane.endpoint.granted());
        waiting.fold(self.past, u64::wrapping_add)
    }

    /// Whether an element is there in a lane that is not read just now.
    #[cfg(not(millstream_loom))]
    pub(super) fn others_hold(&self) -> bool {
        self.queue.iter().any(|lane| matches!(lane.there(), Ok(true)))
    }

    /// How a lane asks when `asked` is open.
    fn demand(&self, is_first: bool, is_alone: bool, asked: u64) -> Demand {
        let window = if is_first { self.window } else { 0 };
        let half = if is_alone {
            // Where there is no window, credit is due for what leaves the buffer.
            if window == 0 { self.buffer } else { window }
        } else {
            // A turn ends where credit is due, and all lanes have turns of one length.
            match (self.window, self.buffer) {
                (0, only) | (only, 0) => only,
                (window, buffer) => window.min(buffer),
            }
        } / 2;
        Demand {
            window,
            asked,
            step: if self.eager { 1 } else { half.max(1) },
            lag: 0,
            held: 0,
        }
    }

    fn notice(&self) -> u64 {
        // Pairs with the Release in `Oversight::end` and `announce_lane`.
        self.overseen.oversight.notice().load(Ordering::Acquire)
    }

    /// Whether there is one sink, and nothing was said from outside.
    fn is_quiet(&self) -> bool {
        self.queue.is_empty() && !self.attends && self.notice() == 0
    }

    /// No more elements than this are there in the other lanes.
    pub(super) fn most_elsewhere(&self) -> u64 {
        let most = |most: u64, lane: &Lane<T>| most.saturating_add(lane.most());
        let here = self.queue.iter().fold(0, most);
        if self.notice() & LANES == 0 {
            return here;
        }
        self.overseen.desk().iter().fold(here, most)
    }

    /// Whether all sinks have ended but the overseer's own.
    fn is_deserted(&self) -> bool {
        self.attends && self.has_retired && self.queue.is_empty() && self.notice() & LANES == 0
    }

    /// Takes the lanes from the desk into the rotation.
    fn collect(&mut self) {
        // First the bit, then the desk: a lane that comes in between sets it again.
        self.overseen.oversight.heard_of_lanes();
        let arrived = std::mem::take(&mut *self.overseen.desk());
        for mut lane in arrived {
            lane.endpoint.heed();
            lane.endpoint.set_rotates(true);
            self.arrived = self.arrived.wrapping_add(1);
            self.queue.push_back(lane);
        }
    }
}

/// What a source of lanes does. `self.lanes` is there.
impl<T> ColdSource<T> {
    /// Looks at the lanes, beginning behind the present one. Leaves the one that has something present.
    pub(super) fn go_round(&mut self, ring: &mut Consumer<Fixed<T>>) -> Vacancy {
        let Some(lanes) = &mut self.lanes else {
            return Vacancy::Empty;
        };
        if self.endpoint.end().is_some() {
            return Vacancy::Ended;
        }
        // Whoever is here has no more business at the grave.
        if let Some(place) = self.aside.take() {
            ring.set_place(place);
        }
        if lanes.is_quiet() {
            // One sink, as most streams have: as if there were no lanes.
            self.keep_distance(ring);
            match self.look_here(ring) {
                Vacancy::Ended => {}
                vacancy => return vacancy,
            }
            if self.retire(ring).is_none() {
                return Vacancy::Ended;
            }
        }
        let Some(lanes) = &mut self.lanes else {
            return Vacancy::Empty;
        };
        if lanes.is_deserted() {
            lanes
                .overseen
                .oversight
                .end(lanes.fault.clone().unwrap_or(End::Completed));
        }
        let notice = lanes.notice();
        self.headway.waive();
        if notice & LANES != 0 {
            lanes.collect();
            self.endpoint.set_rotates(!lanes.queue.is_empty());
        }
        if notice & CANCEL != 0 {
            self.give_lanes_up(ring, End::Cancelled);
            return Vacancy::Ended;
        }
        let over = notice & (COMPLETE | FAIL) != 0;
        let mut left = lanes.queue.len() + 1;
        self.endpoint.credit(ring.pos(), 0);
        while left > 0 {
            self.turn(ring);
            match self.look_at_lane(ring, over) {
                Vacancy::Appeared => return Vacancy::Appeared,
                Vacancy::Empty => left -= 1,
                Vacancy::Ended => match self.retire(ring) {
                    Some(lanes) => left = left.min(lanes),
                    None => return Vacancy::Ended,
                },
            }
        }
        Vacancy::Empty
    }

    /// What there is in the present lane.
    fn look_here(&mut self, ring: &mut Consumer<Fixed<T>>) -> Vacancy {
        if self.unbounded.is_some() {
            *ring = self.moved_on(ring.clone());
        }
        let expected = self.expected(ring);
        let (endpoint, there) = self.around(ring);
        endpoint.vacant_mark(ring.pos(), expected, there).0
    }

    /// Goes on to the next lane, if there is another. The present one has given its credit.
    fn turn(&mut self, ring: &mut Consumer<Fixed<T>>) {
        let Some(lanes) = &mut self.lanes else { return };
        let Some(mut lane) = lanes.queue.pop_front() else {
            return;
        };
        self.change(ring, &mut lane, false);
        if let Some(lanes) = &mut self.lanes {
            lanes.queue.push_back(lane);
        }
    }

    /// Changes the present lane for another, which from now on may be the only one.
    fn change(&mut self, ring: &mut Consumer<Fixed<T>>, lane: &mut Lane<T>, is_alone: bool) {
        let Some(lanes) = &mut self.lanes else { return };
        // Its telescope looks into the ring that is left here, which may be gone soon.
        self.headway.stop();
        let asked = self.endpoint.asked();
        std::mem::swap(ring, &mut lane.ring);
        std::mem::swap(&mut self.endpoint, &mut lane.endpoint);
        std::mem::swap(&mut self.unbounded, &mut lane.unbounded);
        std::mem::swap(&mut lanes.is_first, &mut lane.is_first);
        std::mem::swap(&mut lanes.attends, &mut lane.attends);
        let demand = lanes.demand(lanes.is_first, is_alone, asked);
        self.endpoint.ask_as(demand, lanes.automatic);
    }

    /// What there is in the present lane. `over`: the stream was ended from outside, so a lane without anything ends.
    fn look_at_lane(&mut self, ring: &mut Consumer<Fixed<T>>, over: bool) -> Vacancy {
        let Some(lanes) = &self.lanes else {
            return Vacancy::Empty;
        };
        let oversight = Arc::clone(&lanes.overseen.oversight);
        loop {
            *ring = self.moved_on(ring.clone());
            let pos = ring.pos();
            // Also where nothing was taken: by hand, more may have been asked for while another lane was read.
            self.endpoint.credit(pos, 0);
            let expected = self.expected(ring);
            let (endpoint, there) = self.around(ring);
            let vacancy = endpoint.vacant_mark(pos, expected, &there).0;
            if vacancy != Vacancy::Empty || !over {
                return vacancy;
            }
            // The sink that does not see the word from outside after this fence stored its stamp before it, so that the
            // looks below find it; the other asks under the lock what became of its element.
            endpoint.heavy();
            let ruling = oversight.ruling();
            match there() {
                Ok(false) if endpoint.is_ending() => {}
                Ok(false) => {
                    endpoint.shut(End::Completed, pos);
                    drop(ruling);
                    endpoint.announce();
                    return Vacancy::Ended;
                }
                // It is there, and was not asked for.
                Ok(true) if endpoint.open(pos) == 0 => return Vacancy::Empty,
                Ok(true) | Err(_) => {}
            }
        }
    }

    /// Leaves the present lane, which has ended, for another. How many there are; `None` if that was the last one, and the
    /// source has ended with it.
    fn retire(&mut self, ring: &mut Consumer<Fixed<T>>) -> Option<usize> {
        let lanes = self.lanes.as_mut()?;
        let end = self.endpoint.end().cloned().unwrap_or(End::Cancelled);
        if end != End::Completed {
            // The other sinks take nothing more; what they have put is delivered before the end.
            lanes.overseen.oversight.end(end.clone());
            lanes.fault.get_or_insert(end);
        }
        lanes.has_retired = true;
        while lanes.queue.is_empty() {
            let overseen = Arc::clone(&lanes.overseen);
            let mut ruling = overseen.oversight.ruling();
            // A lane comes to the desk under the ruling's lock.
            if overseen.desk().is_empty() {
                // Who completes the stream completes what has not ended: a sink that had failed has failed all the same.
                let end = match (ruling.verdict.clone(), lanes.fault.take()) {
                    (None | Some(End::Completed), Some(fault)) => fault,
                    (verdict, _) => verdict.unwrap_or(End::Completed),
                };
                ruling.closed = Some(CloseReason::of(&end));
                drop(ruling);
                self.endpoint.set_end(end);
                return None;
            }
            drop(ruling);
            lanes.collect();
        }
        // The one that was read last: its turn comes last.
        let mut lane = lanes.queue.pop_back()?;
        let is_alone = lanes.queue.is_empty();
        self.change(ring, &mut lane, is_alone);
        let lanes = self.lanes.as_mut()?;
        lanes.past = lanes.past.wrapping_add(lane.ring.pos());
        self.endpoint.set_rotates(!lanes.queue.is_empty());
        Some(lanes.queue.len() + 1)
    }

    /// Ends the stream of all lanes from this side: drops what is there, tells every sink.
    pub(super) fn close_lanes(&mut self, ring: &mut Consumer<Fixed<T>>, end: End) {
        let Some(lanes) = &mut self.lanes else { return };
        {
            let mut ruling = lanes.overseen.oversight.ruling();
            ruling.closed.get_or_insert(CloseReason::of(&end));
        }
        // No lane comes any more.
        lanes.collect();
        let others = std::mem::take(&mut lanes.queue);
        lanes.past = others
            .iter()
            .map(|lane| lane.ring.pos())
            .fold(lanes.past, u64::wrapping_add);
        // Should an element panic as it is dropped, the lanes that are left close as they are dropped themselves.
        self.hang_up_here(ring, end);
        others.into_iter().for_each(Lane::hang_up);
    }

    /// As [`close_lanes`](Self::close_lanes), in a look. A panic of an element that is dropped is caught: it would keep the
    /// cursors here from their handle, whose own would go on to stand where elements were dropped or returned.
    fn give_lanes_up(&mut self, ring: &mut Consumer<Fixed<T>>, end: End) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.close_lanes(ring, end))) {
            log::error!("an element has panicked as it was dropped at the end of its stream");
            // Nor is the payload's own drop to panic.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(payload))).map_err(std::mem::forget);
        }
    }

    /// Asks as the adoption says from now on, and gives the credit that follows from it.
    pub(super) fn adopt(&mut self, pos: u64, adoption: SourceSettings) {
        let Some(lanes) = &mut self.lanes else {
            self.endpoint.adopt(pos, adoption);
            return;
        };
        lanes.eager = adoption.eager;
        lanes.automatic = !adoption.manual;
        lanes.patience = Patience::new(adoption.strategy, adoption.idle);
        lanes.window = adoption.window.min(lanes.max_window);
        if self.endpoint.end().is_some() {
            return;
        }
        let asked = if adoption.manual {
            self.endpoint.asked()
        } else {
            u64::MAX
        };
        self.endpoint.ask_as(
            lanes.demand(lanes.is_first, lanes.queue.is_empty(), asked),
            lanes.automatic,
        );
        self.endpoint.credit(pos, 0);
        self.spread();
    }

    /// Tells the first lane what was asked for while another is read. The present one has given its credit.
    pub(super) fn spread(&mut self) {
        let Some(lanes) = &mut self.lanes else { return };
        let (asked, automatic) = (self.endpoint.asked(), lanes.automatic);
        let demand = lanes.demand(true, lanes.queue.is_empty(), asked);
        if let Some(lane) = lanes.queue.iter_mut().find(|lane| lane.is_first) {
            lane.endpoint.ask_as(demand, automatic);
            lane.endpoint.credit(lane.ring.pos(), 0);
        }
    }

    fn each_lane(&mut self, each: fn(&mut ConsumerEndpoint)) {
        each(&mut self.endpoint);
        if let Some(lanes) = &mut self.lanes {
            lanes.queue.iter_mut().for_each(|lane| each(&mut lane.endpoint));
        }
    }
}
