//! How far a producer may go.

use std::fmt;
use std::time::Instant;

#[cfg(not(millstream_loom))]
use super::audience::Audience;
use super::producer::ProducerEndpoint;
use crate::primitive::atomic::Ordering;
use crate::ring::block::Place;
use crate::ring::{Corruption, Ledger, Watch};
use crate::stream::end::CloseReason;
use crate::wait::{Fence, WaitStrategy};

/// Looks of about 2 ns each. Loom explores every one.
const CREDIT_LOOKS: u32 = if cfg!(millstream_loom) { 1 } else { 64 };

/// What a look for room found. `limit` equals the position asked about when there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) limit: u64,
    pub(crate) watch: Watch,
}

/// What ended a wait for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Granted {
    Room,
    Closed(CloseReason),
    TimedOut,
}

/// Makes a larger ring: takes the least capacity and the position from which on it is used, gives its capacity and where
/// its first element goes.
pub(super) struct Grower(Grow);

/// See [`Grower`].
pub(crate) type Grow = Box<dyn FnMut(usize, u64) -> Option<(usize, Place)> + Send>;

impl fmt::Debug for Grower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Grower")
    }
}

impl ProducerEndpoint {
    /// How far the producer may go from `pos`; the limit is `pos` when there is no room or the stream is closed.
    #[cold]
    #[inline(never)]
    pub(crate) fn room(&mut self, pos: u64) -> Room {
        self.look(pos);
        let limit = match self.closed {
            Some(_) => pos,
            None => self.limit(pos).unwrap_or_else(|corruption| {
                self.close(CloseReason::PeerCorrupt(corruption));
                pos
            }),
        };
        Room {
            limit,
            watch: self.watch(),
        }
    }

    /// How far the producer may go from `pos` by the credit of its one consumer, in at most so many looks; `pos` if no further, or if
    /// anything else is to be attended to. What [`room`](Self::room) finds, for less. And whether the consumer waits there.
    ///
    /// Registers alone go in and out. Cursors that go by memory are read there in other pieces than they were written, which a
    /// processor does only once all stores before have left its queue: those of the elements put last, whose lines are
    /// still on their way from the consumer's cache.
    #[cold]
    #[inline(never)]
    pub(crate) fn credited(&mut self, pos: u64, looks: u32) -> (u64, bool) {
        let [ledger] = self.ledgers.as_mut_slice() else {
            return (pos, false);
        };
        // As `watch` does: what is due after every publication is not to be passed by.
        if self.closed.is_some() || self.grower.is_some() || self.fence == Fence::Full {
            return (pos, false);
        }
        // SAFETY: kept alive by `_keep`.
        let notice = unsafe { &*self.lines.notice };
        for _ in 0..looks {
            let word = notice.load(Ordering::Relaxed) | ledger.control().word.load(Ordering::Relaxed);
            if word != self.quiet {
                return (pos, false);
            }
            let Ok(granted) = ledger.refresh_granted(pos) else {
                return (pos, false);
            };
            let ahead = granted.wrapping_add(self.buffer).wrapping_sub(pos);
            if ahead as i64 > 0 {
                return (pos.wrapping_add(ahead), ledger.waits_at(pos));
            }
        }
        (pos, false)
    }

    /// How often a put that has to wait looks at the credit alone, before it looks at everything.
    #[inline(always)]
    pub(crate) fn looks_at_credit(&self) -> u32 {
        match self.strategy {
            WaitStrategy::BusySpin => CREDIT_LOOKS,
            WaitStrategy::SpinThenYield { .. } | WaitStrategy::SpinThenPark { .. } => 1,
        }
    }

    /// Makes the stream unbounded.
    pub(crate) fn set_grower(&mut self, grow: Grow) {
        self.grower = Some(Grower(grow));
    }

    /// Whether a full ring goes on elsewhere.
    #[inline(always)]
    pub(crate) fn grows(&self) -> bool {
        self.grower.is_some()
    }

    /// Where the ring goes on from `pos`, with room for at least `least` elements. `None` when it is bounded, or closed, or
    /// when there is no memory.
    #[cold]
    #[inline(never)]
    pub(crate) fn grow(&mut self, least: usize, pos: u64) -> Option<Place> {
        if self.closed.is_some() {
            return None;
        }
        let Grower(grow) = self.grower.as_mut()?;
        // Room for the window beside those.
        let window = self.ledgers.first().map_or(0, Ledger::window);
        let least = least.saturating_add(usize::try_from(window).unwrap_or(usize::MAX));
        let (capacity, place) = grow(least, pos)?;
        self.buffer = (capacity as u64).saturating_sub(window);
        self.floor = pos.wrapping_add(capacity as u64);
        Some(place)
    }

    fn limit(&mut self, pos: u64) -> Result<u64, Corruption> {
        if self.crowd.is_some() {
            return Ok(self.gather(pos));
        }
        let mut ahead = None::<i64>;
        for ledger in &mut self.ledgers {
            let granted = match ledger.refresh_granted(pos) {
                Ok(granted) => granted,
                // No lie: until the next one has arrived, what the last one had granted holds.
                Err(_) if self.audience.has_passed_on(self.lent) => ledger.granted(),
                Err(corruption) => return Err(corruption),
            };
            // A resumed consumer may stand behind what was granted to the one before it.
            let room = granted.wrapping_add(self.buffer).wrapping_sub(pos) as i64;
            ahead = Some(ahead.map_or(room, |least| least.min(room)));
        }
        let ahead = ahead.unwrap_or_else(|| self.vacant.wrapping_add(self.buffer).wrapping_sub(pos) as i64);
        let ahead = ahead.max(self.floor.wrapping_sub(pos) as i64);
        Ok(pos.wrapping_add(ahead.max(0) as u64))
    }

    /// Of the elements before `pos`, how many the consumer, which takes nothing any more, has left to the producer, and how
    /// far the first of them is from the start of the stream. None of a stream that was sealed, or that somebody oversees.
    #[cfg(not(millstream_loom))]
    pub(crate) fn left_behind(&mut self, pos: u64) -> (u64, u64) {
        if self.ended || self.is_durable || self.grows() || matches!(self.audience, Audience::Overseen(_)) {
            return (0, 0);
        }
        let left = match self.undrained(pos) {
            (_, None) => 0,
            // What the peer said last that can be right.
            (u64::MAX, _) => self
                .ledgers
                .first()
                .map_or(0, |ledger| pos.wrapping_sub(ledger.released())),
            (left, Some(_)) => left,
        };
        (left, pos.wrapping_sub(left).wrapping_sub(self.vacant))
    }

    /// Elements that the producer may put beyond the demand.
    #[cfg(not(millstream_loom))]
    pub(crate) fn buffer(&self) -> u64 {
        self.buffer
    }

    /// Waits for room at `pos`.
    #[cold]
    #[inline(never)]
    pub(crate) fn wait_room(&mut self, pos: u64, deadline: Option<Instant>) -> (Granted, Room) {
        self.wait_until(pos, deadline, |_, room| room.limit != pos)
    }

    /// As [`wait_room`](Self::wait_room), but where there is no consumer there is none to wait for.
    pub(crate) fn wait_asked(&mut self, pos: u64, deadline: Option<Instant>) -> (Granted, Room) {
        self.wait_until(pos, deadline, |endpoint, room| {
            room.limit != pos || endpoint.listeners() == 0
        })
    }

    /// Looks for room at `pos` until it is `enough`.
    #[inline(always)]
    fn wait_until(
        &mut self,
        pos: u64,
        deadline: Option<Instant>,
        enough: impl Fn(&Self, Room) -> bool,
    ) -> (Granted, Room) {
        let mut room = self.room(pos);
        if enough(self, room) {
            return (Granted::Room, room);
        }
        let granted = self.wait(deadline, |endpoint| {
            room = endpoint.room(pos);
            enough(endpoint, room)
        });
        (granted, room)
    }

    /// Bytes of frames that the consumer has released, of `byte` written.
    #[cold]
    #[inline(never)]
    pub(crate) fn released_bytes(&mut self, byte: u64) -> u64 {
        let released = self
            .ledgers
            .iter_mut()
            .map(|ledger| ledger.refresh_released_bytes(byte))
            .min_by_key(|released| match released {
                Ok(bytes) => *bytes,
                Err(_) => 0,
            });
        match released {
            None => 0,
            Some(Ok(bytes)) => bytes,
            Some(Err(corruption)) => {
                self.close(CloseReason::PeerCorrupt(corruption));
                0
            }
        }
    }

    /// The demand that is open beyond `pos`, counted in elements.
    pub(crate) fn demand(&self, pos: u64) -> u64 {
        if let Some(demand) = self.crowd_demand(pos) {
            return demand;
        }
        #[cfg(all(target_os = "linux", not(millstream_loom)))]
        if let Audience::Published(publication, _) = &self.audience
            && let Some(granted) = publication.arriving_grant()
        {
            return (granted.wrapping_sub(pos) as i64).max(0) as u64;
        }
        self.ledgers
            .iter()
            .map(|ledger| ledger.peek_granted().wrapping_sub(pos) as i64)
            .min()
            .map_or(0, |ahead| ahead.max(0) as u64)
    }
}
