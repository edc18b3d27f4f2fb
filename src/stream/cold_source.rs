//! The cold side of a source: what it needs beside its cursors.
//!
//! Everything here takes the cursors by value and gives them back by value, for their address must not leave the
//! handle: a cursor whose address is known elsewhere lives in memory, and each element then waits for the one before it.

use std::time::Instant;

use super::end::End;
use super::endpoint::{ConsumerEndpoint, Vacancy, Waited};
use super::peek::Scratch;
use super::reconnect::{Followed, Reconnect, Tried};
use super::source::{Connected, is_there};
use crate::ring::Consumer;
use crate::ring::block::{Fixed, Place};

/// What a source needs beside its cursors.
pub(super) struct ColdSource<T> {
    pub(super) endpoint: Box<ConsumerEndpoint>,
    /// Where `peek` copies elements to that another process could still write; `None` where it need not.
    pub(super) scratch: Option<Scratch<T>>,
    pub(super) reconnect: Option<Reconnect<Connected<T>>>,
    /// Where the next element will come, while nothing more was asked for.
    aside: Option<Place>,
}

impl<T> ColdSource<T> {
    pub(super) fn new(
        endpoint: Box<ConsumerEndpoint>,
        scratch: Option<Scratch<T>>,
        reconnect: Option<Reconnect<Connected<T>>>,
    ) -> Self {
        Self {
            endpoint,
            scratch,
            reconnect,
            aside: None,
        }
    }

    /// Whether nothing more was asked for: the cursors then look at a place where nothing comes.
    #[inline(always)]
    pub(super) fn is_paused(&self) -> bool {
        self.aside.is_some()
    }

    /// Puts the place of the next element aside, unless that was done. Gives one at which nothing comes.
    #[cold]
    #[inline(never)]
    pub(super) fn put_aside(&mut self, place: Place, pos: u64) -> Place {
        self.aside.get_or_insert(place);
        // SAFETY: the grave belongs to the endpoint, which lives as long as the cursors and uses it for nothing else.
        unsafe { Place::sealed(self.endpoint.grave(), pos) }
    }

    /// Takes the place up again that was put aside.
    #[cold]
    #[inline(never)]
    pub(super) fn take_up(&mut self) -> Option<Place> {
        self.aside.take()
    }

    /// What a paused source finds at `pos`, and the position at which to give credit again.
    #[cold]
    #[inline(never)]
    pub(super) fn vacant_paused(&mut self, pos: u64) -> (Vacancy, u64) {
        let Self { endpoint, aside, .. } = self;
        endpoint.vacant_mark(pos, || {
            aside
                .as_ref()
                .map_or(Ok(false), |place| is_there(place.stamp(), pos, place.edge()))
        })
    }

    /// As [`vacant_paused`](Self::vacant_paused), but waits.
    #[cold]
    #[inline(never)]
    pub(super) fn wait_paused(&mut self, pos: u64, deadline: Option<Instant>) -> (Waited, u64) {
        let Self { endpoint, aside, .. } = self;
        endpoint.wait_mark(pos, deadline, || {
            aside
                .as_ref()
                .map_or(Ok(false), |place| is_there(place.stamp(), pos, place.edge()))
        })
    }

    /// The end, unless the source goes on with the next producer.
    #[cold]
    #[inline(never)]
    pub(super) fn ended(&mut self, ring: Consumer<Fixed<T>>) -> (Option<End>, Consumer<Fixed<T>>) {
        match self.follow(false, None) {
            Followed::No => {
                let end = self.endpoint.end().cloned().unwrap_or(End::Cancelled);
                (Some(end), self.sealed(ring))
            }
            Followed::Waiting => (None, self.sealed(ring)),
            Followed::Yes(ring) => (None, ring),
        }
    }

    /// After the end: `None` when the source went on with the next producer.
    #[cold]
    #[inline(never)]
    pub(super) fn wait_to_follow(
        &mut self,
        ring: Consumer<Fixed<T>>,
        deadline: Option<Instant>,
    ) -> (Option<Waited>, Consumer<Fixed<T>>) {
        loop {
            match self.follow(true, deadline) {
                Followed::Yes(ring) => return (None, ring),
                Followed::No => return (Some(Waited::Ended), self.sealed(ring)),
                Followed::Waiting if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                    return (Some(Waited::TimedOut), self.sealed(ring));
                }
                Followed::Waiting => {}
            }
        }
    }

    /// Cursors by which nothing is taken any more.
    fn sealed(&mut self, mut ring: Consumer<Fixed<T>>) -> Consumer<Fixed<T>> {
        self.aside = None;
        // SAFETY: as in `put_aside`.
        unsafe { ring.seal(self.endpoint.grave()) };
        ring
    }

    /// Goes on with the next producer of the name, if the source is to.
    fn follow(&mut self, wait: bool, deadline: Option<Instant>) -> Followed<Consumer<Fixed<T>>> {
        if self.endpoint.end() != Some(&End::PeerGone) {
            return Followed::No;
        }
        let Some(reconnect) = &mut self.reconnect else {
            return Followed::No;
        };
        match reconnect.attempt(wait, deadline) {
            Tried::Connected((mut ring, endpoint)) => {
                self.endpoint = endpoint;
                self.aside = None;
                ring.mark = self.endpoint.mark();
                if ring.mark == ring.pos() {
                    let place = self.put_aside(ring.place(), ring.pos());
                    ring.set_place(place);
                }
                Followed::Yes(ring)
            }
            Tried::Waiting => Followed::Waiting,
            Tried::Over => {
                self.reconnect = None;
                Followed::No
            }
        }
    }

    /// What dropping a source comes to.
    #[cold]
    #[inline(never)]
    #[allow(clippy::boxed_local, reason = "the box is dropped out of line, here")]
    pub(super) fn part(mut self: Box<Self>, mut ring: Consumer<Fixed<T>>) {
        if self.endpoint.is_resumable() {
            self.endpoint.depart(ring.pos());
            return;
        }
        if let Some(place) = self.aside.take() {
            ring.set_place(place);
        }
        hang_up(&mut ring, &mut self.endpoint);
    }
}

/// Drops what is there, cancels and seals: also when an element panics as it is dropped, for the sink must learn of it,
/// and the memory's owner how far elements were dropped.
pub(super) fn hang_up<T>(ring: &mut Consumer<Fixed<T>>, endpoint: &mut ConsumerEndpoint) {
    struct HangUp<'a, T>(&'a mut Consumer<Fixed<T>>, &'a mut ConsumerEndpoint);
    impl<T> Drop for HangUp<'_, T> {
        fn drop(&mut self) {
            self.1.close(End::Cancelled, self.0.pos());
            // SAFETY: the grave belongs to the endpoint, which lives as long as the cursors.
            unsafe { self.0.seal(self.1.grave()) };
        }
    }
    let HangUp(ring, endpoint) = &mut HangUp(ring, endpoint);
    if !std::mem::needs_drop::<T>() {
        return;
    }
    // What is there and will not be taken is the consumer's until the close. It is at most what was granted and buffered;
    // what comes meanwhile is the producer's to drop.
    let mut left = endpoint.most_in_ring();
    while left > 0 && ring.ready() {
        left -= 1;
        // SAFETY: ready.
        drop(unsafe { ring.take(|at| at.cast::<T>().read()) });
    }
}
