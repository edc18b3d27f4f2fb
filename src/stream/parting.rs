//! How a source leaves its stream: what is there is dropped, the sink is told, and whoever wanted to know.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::cold_source::{ColdSource, Hook};
use super::end::End;
use super::endpoint::ConsumerEndpoint;
use crate::ring::Consumer;
use crate::ring::shape::Fixed;

impl<T> ColdSource<T> {
    /// What dropping a source comes to.
    #[cold]
    #[inline(never)]
    #[allow(clippy::boxed_local, reason = "the box is dropped out of line, here")]
    pub(super) fn part(mut self: Box<Self>, mut ring: Consumer<Fixed<T>>) {
        if self.endpoint.is_resumable() {
            self.endpoint.depart(ring.pos());
            self.tell();
            return;
        }
        self.hang_up(&mut ring);
    }

    /// Has `hook` called when the stream ends; at once, if it has.
    pub(super) fn on_end(&mut self, hook: Hook, ended: bool) {
        self.hook = Some(hook);
        if ended {
            self.tell();
        }
    }

    /// Calls the hook, once the end is told to the producer.
    pub(super) fn tell(&mut self) {
        let Some(hook) = self.hook.take() else { return };
        let end = self.endpoint.end().cloned().unwrap_or(End::Cancelled);
        // A panic may be unwinding, and a second one would abort the process.
        if catch_unwind(AssertUnwindSafe(|| hook(&end))).is_err() {
            log::error!("what was to be done at the end of a stream has panicked");
        }
    }

    /// Drops what is there, cancels and seals, and tells whoever wanted to know.
    pub(super) fn hang_up(&mut self, ring: &mut Consumer<Fixed<T>>) {
        struct Tell<'a, T>(&'a mut ColdSource<T>);
        impl<T> Drop for Tell<'_, T> {
            fn drop(&mut self) {
                self.0.tell();
            }
        }
        let Tell(cold) = &mut Tell(self);
        if cold.lanes.is_some() {
            cold.close_lanes(ring, End::Cancelled);
        } else {
            cold.hang_up_here(ring, End::Cancelled);
        }
    }

    /// Drops what is there, ends and seals: also when an element panics as it is dropped, for the sink must learn of it,
    /// and the memory's owner how far elements were dropped.
    pub(super) fn hang_up_here(&mut self, ring: &mut Consumer<Fixed<T>>, end: End) {
        struct HangUp<'a, T>(&'a mut Consumer<Fixed<T>>, &'a mut ConsumerEndpoint, End);
        impl<T> Drop for HangUp<'_, T> {
            fn drop(&mut self) {
                self.1.close(self.2.clone(), self.0.pos());
                // SAFETY: the grave belongs to the endpoint, which lives as long as the cursors.
                unsafe { self.0.seal(self.1.grave()) };
            }
        }
        if let Some(place) = self.aside.take() {
            ring.set_place(place);
        }
        self.headway.stop();
        let leaves = self.leaves;
        let HangUp(ring, endpoint, _) = &mut HangUp(ring, &mut self.endpoint, end);
        if !std::mem::needs_drop::<T>() || leaves || endpoint.end().is_some() {
            return;
        }
        // What is there and will not be taken is the consumer's until the close. It is at most what was granted and
        // buffered; what comes meanwhile, and what lies elsewhere, is the memory's owner's to drop.
        let mut left = endpoint.most_in_ring();
        while left > 0 && ring.ready() {
            left -= 1;
            // SAFETY: ready.
            drop(unsafe { ring.take(|at| at.cast::<T>().read()) });
        }
    }
}
