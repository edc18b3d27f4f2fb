//! What a source tells the endpoint of a lane, besides how far it has taken: how to ask, whom to heed, how it all ended.

#![forbid(unsafe_code)]

use super::consumer::ConsumerEndpoint;
use super::demand::Demand;
use super::patience::Patience;
use crate::primitive::atomic::Ordering;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
use crate::process::HangUp;
use crate::ring::page::END_OPEN;
use crate::stream::end::End;
use crate::stream::settings::SourceSettings;

impl ConsumerEndpoint {
    /// By which the connection is ended from outside.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn hang_up(&self) -> Option<&HangUp> {
        self.hang_up.as_ref()
    }

    /// Whether the subscription is that of a process which has forked this one: its memory is not here.
    pub(super) fn is_inherited(&self) -> bool {
        #[cfg(all(target_os = "linux", not(millstream_loom)))]
        return self.hang_up.as_ref().is_some_and(|hang_up| !hang_up.is_own());
        #[cfg(not(all(target_os = "linux", not(millstream_loom))))]
        false
    }

    /// Says by what the connection is ended from outside.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(crate) fn set_hang_up(&mut self, hang_up: HangUp) {
        self.hang_up = Some(hang_up);
    }

    /// Has the notice looked at wherever credit is given.
    pub(crate) fn heed(&mut self) {
        self.heeds = true;
    }

    /// Says whether the source reads other lanes, too.
    pub(crate) fn set_rotates(&mut self, rotates: bool) {
        self.rotates = rotates;
    }

    /// Asks as `demand` says from now on; by itself if `automatic`.
    pub(crate) fn ask_as(&mut self, demand: Demand, automatic: bool) {
        self.demand = demand;
        self.automatic = automatic;
    }

    /// Asks as the adoption says from now on, and gives the credit that follows from it. The window stays what it was agreed to be
    /// when that is smaller.
    pub(crate) fn adopt(&mut self, pos: u64, adoption: SourceSettings) {
        let asked = if adoption.manual {
            self.demand.asked
        } else {
            u64::MAX
        };
        let window = adoption.window.min(self.demand.window);
        let demand = Demand {
            window,
            asked,
            step: if adoption.eager { 1 } else { (window / 2).max(1) },
            lag: self.demand.lag,
            held: self.demand.held,
        };
        self.patience = Patience::new(adoption.strategy, adoption.idle);
        if self.ended.is_none() {
            self.ask_as(demand, !adoption.manual);
            self.credit(pos, 0);
        }
    }

    /// Elements asked for and not taken, as of the last credit.
    pub(crate) fn asked(&self) -> u64 {
        self.demand.asked
    }

    /// Says how the source ended, where that is not how its last lane did.
    pub(crate) fn set_end(&mut self, end: End) {
        self.ended = Some(end);
    }

    /// Whether the producer has ended the stream; what it put before is visible then.
    pub(crate) fn is_ending(&self) -> bool {
        // Pairs with the Release in `ProducerEndpoint::finish`.
        self.end_line().kind.load(Ordering::Acquire) != END_OPEN
    }
}
