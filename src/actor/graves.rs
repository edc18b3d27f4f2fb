//! Actors of a worker that have stopped: for whom there may still be messages in the lanes.

use std::sync::Arc;

use super::address::AnyAddress;
use super::number::Numbered;
use crate::ring::parcel::Parcel;

/// Graves that are kept, as long as the worker is busy, without a look at who is remembered.
const UNSEEN: usize = 32;

/// Where what comes for the dead is buried.
pub(super) struct Graves {
    of: Numbered<Arc<dyn AnyAddress>>,
    /// So many, and it is time to look which of them can go.
    limit: usize,
}

impl Default for Graves {
    fn default() -> Self {
        Self {
            of: Numbered::default(),
            limit: UNSEEN,
        }
    }
}

impl Graves {
    pub(super) fn dig(&mut self, address: Arc<dyn AnyAddress>) {
        self.of.insert(address.id(), address);
    }

    /// Makes a dead letter of a message; gives it back where there is no such grave.
    pub(super) fn bury(&self, actor: u64, parcel: Parcel) -> Result<(), Parcel> {
        match self.of.get(&actor) {
            Some(address) => {
                address.bury_parcel(parcel);
                Ok(())
            }
            None => Err(parcel),
        }
    }

    /// Those to whom nobody can send any more: what was sent to them lies in the lanes by now, and when these have been emptied the
    /// graves can be closed. Looks when there are many, or, for a worker that is `idle`, few.
    pub(super) fn forgotten(&mut self, idle: bool) -> Vec<u64> {
        if self.of.len() < self.limit && !(idle && self.of.len() < UNSEEN) {
            return Vec::new();
        }
        let graves = self.of.iter_mut();
        // Sees what whoever let go of the last reference did before, as a count that is only read would not.
        let forgotten: Vec<u64> = graves
            .filter_map(|(actor, address)| Arc::get_mut(address).map(|_| *actor))
            .collect();
        self.limit = UNSEEN.max(2 * (self.of.len() - forgotten.len()));
        forgotten
    }

    /// Closes these graves.
    pub(super) fn close(&mut self, forgotten: Vec<u64>) {
        for actor in forgotten {
            drop(self.of.remove(&actor));
        }
    }
}
