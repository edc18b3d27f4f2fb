//! Waiting at all the lanes of a source, by its one bell.

use std::task::Waker;
use std::time::{Duration, Instant};

use crate::ring::Consumer;
use crate::ring::shape::Fixed;
use crate::stream::cold_source::ColdSource;
use crate::stream::end::End;
use crate::stream::endpoint::{ConsumerEndpoint, Lookout, Vacancy, Waited};

/// A source that waits at all of its lanes.
struct Round<'a, T> {
    cold: &'a mut ColdSource<T>,
    /// The cursors of the lane that it reads.
    ring: Consumer<Fixed<T>>,
}

impl<T> Lookout for Round<'_, T> {
    fn stirs(&self) -> bool {
        let stirs = |there| !matches!(there, Ok(false));
        stirs(self.cold.there(&self.ring))
            || self
                .cold
                .lanes
                .as_ref()
                .is_some_and(|lanes| lanes.queue.iter().any(|lane| stirs(lane.there())))
    }

    fn look(&mut self) -> Vacancy {
        self.cold.go_round(&mut self.ring)
    }

    fn park(&mut self, left: Option<Duration>) {
        if let Some(lanes) = &mut self.cold.lanes {
            lanes.bell.take_rings();
        }
        let (vacancy, came) = self.lie_down();
        if vacancy == Vacancy::Empty
            && !came
            && let Some(lanes) = &mut self.cold.lanes
        {
            lanes.bell.sleep(left);
        }
        self.get_up();
    }

    fn give_up(&mut self) {
        self.cold.give_lanes_up(&mut self.ring, End::IdleTimeout);
    }
}

impl<T> Round<'_, T> {
    /// Parks at every lane and looks at all of them once more. Whether lanes came meanwhile, too, whose sinks do not know
    /// yet that the source is parked.
    fn lie_down(&mut self) -> (Vacancy, bool) {
        // By wakers or the parker: all lanes are of this process.
        self.cold.each_lane(|lane| lane.lie_down(false));
        let arrived = |cold: &ColdSource<T>| cold.lanes.as_ref().map(|lanes| lanes.arrived);
        let before = arrived(self.cold);
        if let Some(lanes) = &self.cold.lanes {
            // Between `parked` and the last look, for all lanes at once; pairs with the plain load in `Watch::word`.
            lanes.fence.heavy();
        }
        let vacancy = self.look();
        (vacancy, arrived(self.cold) != before)
    }

    fn get_up(&mut self) {
        self.cold.each_lane(ConsumerEndpoint::get_up);
    }
}

impl<T> ColdSource<T> {
    /// Waits at all lanes.
    pub(in crate::stream) fn wait_at_lanes(
        &mut self,
        ring: Consumer<Fixed<T>>,
        deadline: Option<Instant>,
    ) -> (Waited, u64, Consumer<Fixed<T>>) {
        let Some(lanes) = &self.lanes else {
            return (Waited::Ended, ring.pos(), ring);
        };
        let mut patience = lanes.patience;
        let taken = lanes.taken_elsewhere().wrapping_add(ring.pos());
        let mut round = Round { cold: self, ring };
        let before = patience.looks();
        let waited = patience.wait(taken, deadline, &mut round);
        // The distance to the sink is a matter of the lane that is read.
        let looks = patience.looks().wrapping_sub(before);
        round.cold.endpoint.count_idle_looks(looks);
        let ring = round.ring;
        if let Some(lanes) = &mut self.lanes {
            lanes.patience = patience;
        }
        (waited, self.endpoint.mark(), ring)
    }

    /// As [`ConsumerEndpoint::arm`], at all lanes.
    pub(in crate::stream) fn arm_lanes(
        &mut self,
        ring: Consumer<Fixed<T>>,
        waker: &Waker,
    ) -> (Vacancy, bool, Consumer<Fixed<T>>) {
        if let Some(lanes) = &mut self.lanes {
            lanes.bell.arm(waker);
        }
        let mut round = Round { cold: self, ring };
        let (vacancy, came) = round.lie_down();
        if vacancy != Vacancy::Empty || came {
            round.get_up();
            if let Some(lanes) = &mut round.cold.lanes {
                lanes.bell.disarm();
            }
        }
        (vacancy, came, round.ring)
    }
}
