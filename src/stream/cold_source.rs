//! The cold side of a source: what it needs beside its cursors.
//!
//! Everything here takes the cursors by value and gives them back by value, for their address must not leave the
//! handle: a cursor whose address is known elsewhere lives in memory, and each element then waits for the one before it.

use std::task::Waker;
use std::time::Instant;

#[cfg(all(target_os = "linux", not(millstream_loom)))]
use super::canceller::Canceller;
use super::end::End;
use super::endpoint::{ConsumerEndpoint, Vacancy, Waited};
use super::headway::Headway;
use super::lanes::Lanes;
use super::peek::Scratch;
use super::reconnect::{Followed, Reconnect, Tried};
use super::source::{Connected, is_there};
use crate::primitive::Arc;
use crate::ring::block::Place;
use crate::ring::shape::{Fixed, Shape};
use crate::ring::{Consumer, Corruption, Expected, HeapRing, Spot};

/// As good as never, counted in elements.
const NEVER: u64 = 1 << 62;

/// Whether the next element is there: at the cursors, or where its place was put aside, or where the stream goes on.
fn is_anywhere<T>(
    ring: &Consumer<Fixed<T>>,
    aside: &Option<Place>,
    unbounded: &Option<Arc<HeapRing<T>>>,
) -> Result<bool, Corruption> {
    let pos = ring.pos();
    let here = match aside {
        Some(place) => is_there(place.stamp(), pos, ring.highest_stamp_at(place))?,
        None => is_there(ring.stamp(), pos, ring.highest_stamp())?,
    };
    Ok(here || unbounded.as_ref().is_some_and(|all| all.continues(pos)))
}

/// What a source needs beside its cursors.
pub(super) struct ColdSource<T> {
    pub(super) endpoint: Box<ConsumerEndpoint>,
    /// Of a source that is not special, how far it stays behind.
    pub(super) headway: Headway,
    /// Where `peek` copies elements to that another process could still write; `None` where it need not.
    pub(super) scratch: Option<Scratch<T>>,
    pub(super) reconnect: Option<Reconnect<Connected<T>>>,
    /// The ring, if it is unbounded: it may go on in another place.
    pub(super) unbounded: Option<Arc<HeapRing<T>>>,
    /// Where the next element will come, while nothing more was asked for, somebody else has a word, or the source keeps its distance.
    pub(super) aside: Option<Place>,
    /// Whether the source is special even when nothing is put aside.
    special: bool,
    /// The other lanes, and what all of them share, if several sinks may feed the source.
    pub(super) lanes: Option<Box<Lanes<T>>>,
    pub(super) hook: Option<Hook>,
    /// Whether what is there when the source is dropped is the producer's to deal out again.
    pub(super) leaves: bool,
    /// Whoever may cancel the subscription, if somebody asked for that.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    canceller: Option<Canceller>,
}

/// What somebody wants done when a source's stream ends.
pub(crate) type Hook = Box<dyn FnOnce(&End) + Send>;

impl<T> ColdSource<T> {
    pub(super) fn new(
        ring: &Consumer<Fixed<T>>,
        mut endpoint: Box<ConsumerEndpoint>,
        scratch: Option<Scratch<T>>,
        reconnect: Option<Reconnect<Connected<T>>>,
        unbounded: Option<Arc<HeapRing<T>>>,
    ) -> Self {
        let mut headway = pace(ring, &mut endpoint);
        // An unbounded stream goes from place to place.
        if unbounded.is_some() {
            headway.stop();
        }
        Self {
            endpoint,
            headway,
            scratch,
            reconnect,
            special: unbounded.is_some(),
            unbounded,
            aside: None,
            lanes: None,
            hook: None,
            leaves: false,
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            canceller: None,
        }
    }

    /// Has the source read lanes, beginning with the one that it has.
    pub(super) fn set_lanes(&mut self, lanes: Lanes<T>) {
        self.endpoint.heed();
        self.special = true;
        self.lanes = Some(Box::new(lanes));
    }

    /// Whether more is to be looked at than the stamp before the cursors: the source pauses, and the cursors look at
    /// a place where nothing comes, or the stream is unbounded and may go on elsewhere, or it has lanes.
    pub(super) fn is_special(&self) -> bool {
        self.aside.is_some() || self.special
    }

    /// Sets the position at which something is due, which may be a look ahead before `mark`; where that is here, the source
    /// pauses: at no cost to the hot path, its cursors look at a place where nothing comes.
    #[inline]
    pub(super) fn set_mark(&mut self, ring: &mut Consumer<Fixed<T>>, mark: u64) {
        let mark = self.headway.nearer(ring.pos(), mark);
        self.set_near_mark(ring, mark);
    }

    /// As [`set_mark`](Self::set_mark), where the next look ahead is no nearer.
    #[inline(always)]
    pub(super) fn set_near_mark(&mut self, ring: &mut Consumer<Fixed<T>>, mark: u64) {
        ring.set_mark(mark);
        let pos = ring.pos();
        if mark == pos {
            let place = self.put_aside(ring.place(), pos);
            ring.set_place(place);
        }
    }

    /// What is due where the mark was reached: credit, or a look ahead. Returns the next mark, or the position of the cursors where
    /// the source pauses.
    #[cold]
    #[inline(never)]
    pub(super) fn passed(&mut self, pos: u64, spot: Spot) -> u64 {
        // The end: nothing is due any more, and the cursors may look at a place outside of the ring.
        if self.endpoint.end().is_some() {
            return pos.wrapping_add(NEVER);
        }
        // Nothing was taken since the source paused.
        if self.aside.is_some() {
            return pos;
        }
        let mut mark = self.endpoint.mark();
        if pos.wrapping_sub(mark) as i64 >= 0 {
            mark = self.endpoint.credit_taken(pos);
        }
        if mark == pos
            || self
                .headway
                .look(pos, spot, self.endpoint.open(pos), self.endpoint.idle_looks())
        {
            return pos;
        }
        self.headway.nearer(pos, mark)
    }

    /// Puts the place of the next element aside, unless that was done. Gives one at which nothing comes.
    #[cold]
    #[inline(never)]
    fn put_aside(&mut self, place: Place, pos: u64) -> Place {
        self.aside.get_or_insert(place);
        // SAFETY: the grave belongs to the endpoint, which lives as long as the cursors and uses it for nothing else.
        unsafe { Place::sealed(self.endpoint.grave(), pos) }
    }

    /// Takes the place up again that was put aside.
    #[cold]
    #[inline(never)]
    pub(super) fn take_up(&mut self) -> Option<Place> {
        if self.lanes.is_some() {
            // It waits for the next look, which begins with another lane: else who asks for one element at a time would get
            // them all from one sink.
            self.spread();
            return None;
        }
        self.headway.waive();
        self.aside.take()
    }

    /// What there is at the next element, where the hot look found nothing.
    #[cold]
    #[inline(never)]
    pub(super) fn look(&mut self, ring: Consumer<Fixed<T>>) -> (Vacancy, Consumer<Fixed<T>>) {
        let (vacancy, mark, mut ring) = if self.is_special() {
            self.vacant(ring)
        } else {
            let expected = self.expected(&ring);
            let (endpoint, there) = self.around(&ring);
            let (vacancy, mark) = endpoint.vacant_mark(ring.pos(), expected, there);
            (vacancy, mark, ring)
        };
        self.set_mark(&mut ring, mark);
        (vacancy, ring)
    }

    /// Waits for the next element, where the hot look found nothing; the whole of it is one call, so that a loop over a
    /// source has one place at which its cursors leave the registers.
    #[cold]
    #[inline(never)]
    pub(super) fn refill(
        &mut self,
        mut ring: Consumer<Fixed<T>>,
        deadline: Option<Instant>,
    ) -> (Waited, Consumer<Fixed<T>>) {
        loop {
            let (waited, mark);
            (waited, mark, ring) = if self.is_special() {
                self.wait(ring, deadline)
            } else {
                let expected = self.expected(&ring);
                let (endpoint, there) = self.around(&ring);
                let (waited, mark) = endpoint.wait_mark(ring.pos(), deadline, expected, there);
                (waited, mark, ring)
            };
            self.set_mark(&mut ring, mark);
            match waited {
                Waited::Ready if !ring.ready() => {}
                Waited::Ended => {
                    let (waited, followed) = self.wait_to_follow(ring, deadline);
                    ring = followed;
                    if let Some(waited) = waited {
                        return (waited, ring);
                    }
                }
                _ => return (waited, ring),
            }
        }
    }

    /// What a [special](Self::is_special) source finds, and the position at which to give credit again.
    #[cold]
    #[inline(never)]
    fn vacant(&mut self, ring: Consumer<Fixed<T>>) -> (Vacancy, u64, Consumer<Fixed<T>>) {
        if self.lanes.is_some() {
            let mut ring = ring;
            let vacancy = self.go_round(&mut ring);
            return (vacancy, self.endpoint.mark(), ring);
        }
        let ring = self.taken_up(ring);
        let expected = self.expected(&ring);
        let (endpoint, there) = self.around(&ring);
        let (vacancy, mark) = endpoint.vacant_mark(ring.pos(), expected, there);
        (vacancy, mark, ring)
    }

    /// As [`vacant`](Self::vacant), but waits.
    #[cold]
    #[inline(never)]
    fn wait(
        &mut self,
        ring: Consumer<Fixed<T>>,
        deadline: Option<Instant>,
    ) -> (Waited, u64, Consumer<Fixed<T>>) {
        if self.lanes.is_some() {
            return self.wait_at_lanes(ring, deadline);
        }
        let ring = self.taken_up(ring);
        let expected = self.expected(&ring);
        let (endpoint, there) = self.around(&ring);
        let (waited, mark) = endpoint.wait_mark(ring.pos(), deadline, expected, there);
        (waited, mark, ring)
    }

    /// Has `waker` woken once when there may be something, unless there is now: then anything but `Empty`, or news of another
    /// lane.
    #[cold]
    #[inline(never)]
    pub(super) fn arm(
        &mut self,
        ring: Consumer<Fixed<T>>,
        waker: &Waker,
    ) -> (Vacancy, bool, u64, Consumer<Fixed<T>>) {
        if self.lanes.is_some() {
            let (vacancy, news, ring) = self.arm_lanes(ring, waker);
            return (vacancy, news, self.endpoint.mark(), ring);
        }
        let ring = self.taken_up(ring);
        let (endpoint, there) = self.around(&ring);
        let (vacancy, mark) = endpoint.arm(ring.pos(), waker, there);
        (vacancy, false, mark, ring)
    }

    /// The cursors at the place that was put aside, unless it waits for demand, or where the stream goes on.
    fn taken_up(&mut self, mut ring: Consumer<Fixed<T>>) -> Consumer<Fixed<T>> {
        if self.endpoint.open(ring.pos()) > 0
            && let Some(place) = self.aside.take()
        {
            ring.set_place(place);
            self.keep_distance(&ring);
        }
        self.moved_on(ring)
    }

    /// The lines of the next element, unless its place is put aside: then the cursors are elsewhere.
    pub(super) fn expected(&self, ring: &Consumer<Fixed<T>>) -> Expected {
        match self.aside {
            Some(_) => Expected::NOTHING,
            None => ring.expected(),
        }
    }

    /// Keeps the distance to the producer, if that is what the source has paused for.
    pub(super) fn keep_distance(&mut self, ring: &Consumer<Fixed<T>>) {
        if self.headway.is_due() && !self.endpoint.is_over() {
            self.endpoint.settle(ring.pos());
            self.headway.keep(ring.spot());
        }
    }

    /// Whether the next element is there, wherever it comes.
    pub(super) fn there(&self, ring: &Consumer<Fixed<T>>) -> Result<bool, Corruption> {
        is_anywhere(ring, &self.aside, &self.unbounded)
    }

    /// No more elements than this are there.
    pub(super) fn most_there(&self, ring: &Consumer<Fixed<T>>) -> u64 {
        match &self.aside {
            _ if self.special => self.most_in_all(ring),
            Some(place) => place.slots(ring.shape()),
            None => ring.slots(),
        }
    }

    /// As [`most_there`](Self::most_there), of an unbounded stream or one of lanes.
    #[cold]
    #[inline(never)]
    fn most_in_all(&self, ring: &Consumer<Fixed<T>>) -> u64 {
        let here = match &self.aside {
            _ if self.unbounded.is_some() => self.endpoint.most_in_ring(),
            Some(place) => place.slots(ring.shape()),
            None => ring.slots(),
        };
        let elsewhere = self.lanes.as_ref().map_or(0, |lanes| lanes.most_elsewhere());
        here.saturating_add(elsewhere)
    }

    /// Whether an element is there in any lane, asked for or not.
    #[cfg(not(millstream_loom))]
    pub(super) fn holds(&self, ring: &Consumer<Fixed<T>>) -> bool {
        matches!(self.there(ring), Ok(true)) || self.lanes.as_ref().is_some_and(|lanes| lanes.others_hold())
    }

    /// The endpoint, and whether the next element is there, wherever it comes.
    pub(super) fn around<'a>(
        &'a mut self,
        ring: &'a Consumer<Fixed<T>>,
    ) -> (
        &'a mut ConsumerEndpoint,
        impl Fn() -> Result<bool, Corruption> + use<'a, T>,
    ) {
        let Self {
            endpoint,
            aside,
            unbounded,
            ..
        } = self;
        let (aside, unbounded) = (&*aside, &*unbounded);
        (endpoint, move || is_anywhere(ring, aside, unbounded))
    }

    /// The cursors, moved on to where an unbounded stream goes on.
    pub(super) fn moved_on(&mut self, mut ring: Consumer<Fixed<T>>) -> Consumer<Fixed<T>> {
        let next = self.unbounded.as_ref().and_then(|all| all.follow(ring.pos()));
        match (next, &mut self.aside) {
            (Some(next), Some(aside)) => *aside = next,
            (Some(next), None) => ring.set_place(next),
            (None, _) => {}
        }
        ring
    }

    /// The end, unless the source goes on with the next producer.
    #[cold]
    #[inline(never)]
    pub(super) fn ended(&mut self, ring: Consumer<Fixed<T>>) -> (Option<End>, Consumer<Fixed<T>>) {
        match self.follow(false, None) {
            Followed::No => {
                let end = self.endpoint.end().cloned().unwrap_or(End::Cancelled);
                let ring = self.sealed(ring);
                self.tell();
                (Some(end), ring)
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
                Followed::No => {
                    let ring = self.sealed(ring);
                    self.tell();
                    return (Some(Waited::Ended), ring);
                }
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
        self.headway.stop();
        // SAFETY: as in `put_aside`.
        unsafe { ring.seal(self.endpoint.grave()) };
        ring
    }

    /// Goes on with the next producer of the name, if the source is to.
    fn follow(&mut self, wait: bool, deadline: Option<Instant>) -> Followed<Consumer<Fixed<T>>> {
        if self.endpoint.end() != Some(&End::PeerGone) {
            return Followed::No;
        }
        #[cfg(all(target_os = "linux", not(millstream_loom)))]
        if self.canceller.as_ref().is_some_and(Canceller::is_cancelled) {
            self.endpoint.set_end(End::Cancelled);
            return Followed::No;
        }
        let Some(reconnect) = &mut self.reconnect else {
            return Followed::No;
        };
        match reconnect.attempt(wait, deadline) {
            Tried::Connected((mut ring, endpoint)) => {
                self.endpoint = endpoint;
                #[cfg(all(target_os = "linux", not(millstream_loom)))]
                self.be_cancellable();
                self.aside = None;
                self.headway = pace(&ring, &mut self.endpoint);
                let mark = self.endpoint.mark();
                self.set_mark(&mut ring, mark);
                Followed::Yes(ring)
            }
            Tried::Waiting => Followed::Waiting,
            Tried::Over => {
                self.reconnect = None;
                Followed::No
            }
        }
    }

    /// By which the subscription is cancelled from any thread; `None` within one process.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    pub(super) fn canceller(&mut self) -> Option<Canceller> {
        if self.canceller.is_none() {
            self.canceller = Some(Canceller::new(self.endpoint.hang_up()?.clone()));
            self.endpoint.heed();
        }
        self.canceller.clone()
    }

    /// Tells the canceller of a new connection.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    fn be_cancellable(&mut self) {
        if let (Some(canceller), Some(connection)) = (&self.canceller, self.endpoint.hang_up().cloned()) {
            self.endpoint.heed();
            canceller.follow(connection);
        }
    }
}

/// The distance that a consumer of this ring keeps, which is told how often to give credit.
fn pace<T>(ring: &Consumer<Fixed<T>>, endpoint: &mut ConsumerEndpoint) -> Headway {
    if ring.shape().per() > 1 {
        endpoint.quicken();
    }
    let mut headway = Headway::of(ring);
    // What is held back is not to be given for a pause.
    if endpoint.holds_back() {
        headway.stop();
    }
    headway
}
