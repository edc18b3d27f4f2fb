//! The consumers of a stream that has several, as their producer sees them.
//!
//! The producer's limit is the least over those that gate; the cursors know one number, whatever the size of the crowd. By one
//! word, `attention`, any of them says that something is the matter with it (it parked, it closed): the hot path looks at that
//! word as it looks at the control word of a single consumer.

use std::time::{Duration, Instant};

use super::member::{Call, Member};
use super::producer::ProducerEndpoint;
use crate::primitive::Arc;
use crate::primitive::atomic::{AtomicU64, Ordering, fence};
use crate::ring::notice::{ARRIVED, EVICTED};
use crate::ring::page::{EvictionLines, ReachLine, WORD_CLOSED, WORD_PARKED, attention_bit};
use crate::ring::{Corruption, Lobby, News, OnNoConsumer};
use crate::wait::Fence;

/// All of them, and where newcomers wait.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(super) members: Vec<Member>,
    entrance: Entrance,
    words: CrowdWords,
    /// The reach: this side alone stores it.
    reach: u64,
    /// How far the producer goes at a time where nobody gates.
    span: u64,
    absence: OnNoConsumer,
    /// Whether somebody came or went since the cursors were told.
    changed: bool,
    /// Whose heavy side a newcomer issues, in this process.
    fence: Fence,
}

/// Where newcomers come from.
#[derive(Debug)]
pub(crate) enum Entrance {
    Local(Arc<Lobby<Member>>),
    /// The stream is published, and the background thread lets them in.
    #[cfg(all(target_os = "linux", not(millstream_loom)))]
    Published(Arc<Lobby<crate::process::Arrival>>),
}

impl Entrance {
    fn seated(&self) -> usize {
        match self {
            Self::Local(lobby) => lobby.seated(),
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            Self::Published(lobby) => lobby.seated(),
        }
    }

    fn unheard(&self, pos: u64) -> u64 {
        match self {
            Self::Local(lobby) => lobby.unheard(pos),
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            Self::Published(lobby) => lobby.unheard(pos),
        }
    }
}

/// The words that the producer and its consumers share, besides those of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CrowdWords {
    pub(crate) reach: *const ReachLine,
    pub(crate) attention: *const AtomicU64,
    /// Between processes.
    pub(crate) evicted: Option<*const EvictionLines>,
}

// SAFETY: the endpoint keeps what the words belong to; they are only accessed atomically.
unsafe impl Send for Crowd {}

impl Crowd {
    /// # Safety
    /// The words outlive the endpoint that the crowd is given to, whose stream begins at `base`.
    pub(crate) unsafe fn new(
        entrance: Entrance,
        words: CrowdWords,
        base: u64,
        span: u64,
        absence: OnNoConsumer,
        fence: Fence,
    ) -> Self {
        Self {
            members: Vec::new(),
            entrance,
            words,
            reach: base,
            span,
            absence,
            changed: false,
            fence,
        }
    }

    pub(super) fn attention(&self) -> &AtomicU64 {
        // SAFETY: outlives the endpoint, see `new`.
        unsafe { &*self.words.attention }
    }

    /// Whether the consumers are others than before, so that what was known of the room is not true any more.
    pub(super) fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn line(&self) -> &ReachLine {
        // SAFETY: outlives the endpoint, see `new`.
        unsafe { &*self.words.reach }
    }
}

/// What the least over the crowd comes to.
enum Least {
    Limit(u64),
    /// A member whose words cannot be right, by its index.
    Corrupt(usize, Corruption),
    /// A member that has closed and is waited for, by its index.
    Closed(usize),
    /// A member that has held the producer up for too long, by its index.
    Late(usize),
}

impl Crowd {
    /// How far the producer may go from `pos`, as far as is known of the consumers.
    fn least(&mut self, pos: u64, buffer: u64) -> Least {
        let free = pos.wrapping_add(self.span);
        if self.members.is_empty() {
            return Least::Limit(if self.absence == OnNoConsumer::Wait {
                pos
            } else {
                free
            });
        }
        let mut ahead = None::<i64>;
        for (index, member) in self.members.iter_mut().enumerate() {
            if !member.gates {
                continue;
            }
            let granted = match member.ledger.refresh_granted(pos) {
                Ok(granted) => granted,
                Err(corruption) => return Least::Corrupt(index, corruption),
            };
            let room = granted.wrapping_add(buffer).wrapping_sub(pos) as i64;
            // It says so by the attention word, too, which another one may have wiped out.
            if room <= 0 && member.has_closed() {
                return Least::Closed(index);
            }
            if let Some(most) = member.evict_after {
                if room > 0 {
                    member.stuck = None;
                } else if member.stuck.get_or_insert_with(Instant::now).elapsed() >= most {
                    return Least::Late(index);
                }
            }
            ahead = Some(ahead.map_or(room, |least| least.min(room)));
        }
        Least::Limit(ahead.map_or(free, |ahead| pos.wrapping_add(ahead.max(0) as u64)))
    }

    /// When the producer has waited long enough for whom it waits for.
    pub(super) fn next_eviction(&self) -> Option<Duration> {
        let left = |member: &Member| {
            let (most, since) = (member.evict_after?, member.stuck?);
            Some(most.saturating_sub(since.elapsed()))
        };
        self.members.iter().filter_map(left).min()
    }
}

impl ProducerEndpoint {
    /// Has the stream serve many consumers.
    pub(crate) fn set_crowd(&mut self, crowd: Crowd) {
        self.crowd = Some(Box::new(crowd));
    }

    /// How far the producer may go from `pos`, for a crowd: nobody joins behind it, and nobody reads what it overwrites.
    pub(super) fn gather(&mut self, pos: u64) -> u64 {
        loop {
            let Some(crowd) = &mut self.crowd else { return pos };
            let limit = match crowd.least(pos, self.buffer) {
                Least::Limit(limit) => limit,
                Least::Corrupt(index, corruption) => {
                    log::error!("a consumer of several is dismissed: {corruption}");
                    self.dismiss(index, pos);
                    continue;
                }
                Least::Closed(index) => {
                    self.remove(index);
                    continue;
                }
                Least::Late(index) => {
                    self.dismiss(index, pos);
                    continue;
                }
            };
            crowd.changed = false;
            if limit == pos {
                return pos;
            }
            if limit.wrapping_sub(crowd.reach) as i64 <= 0 {
                // Whoever has come starts where this does not write.
                return limit;
            }
            // Pairs with the heavy fence in `Lobby::join`: a newcomer starts where this does not write, or is seen.
            crowd.line().intent.store(limit, Ordering::Release);
            crowd.fence.light();
            // SAFETY: kept alive by `_keep`.
            let notice = unsafe { &*self.lines.notice };
            if notice.load(Ordering::Relaxed) & ARRIVED == 0 {
                crowd.reach = limit;
                crowd.line().reach.store(limit, Ordering::Release);
                // Pairs with the Acquire fence in `History::reach_after_copy`: whoever reads what is written from here on
                // sees the reach.
                fence(Ordering::Release);
                return limit;
            }
            crowd.line().intent.store(crowd.reach, Ordering::Release);
            self.admit();
        }
    }

    /// Takes in who has come, and sees those off who have gone.
    pub(super) fn admit(&mut self) {
        let clear = || {
            self.notice().fetch_and(!ARRIVED, Ordering::AcqRel);
        };
        match self.crowd.as_ref().map(|crowd| &crowd.entrance) {
            None => {}
            Some(Entrance::Local(lobby)) => {
                for news in lobby.take(clear) {
                    match news {
                        News::Came(_, member) => self.seat(member),
                        News::Went(id) => self.see_off(id),
                    }
                }
            }
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            Some(Entrance::Published(lobby)) => {
                for news in lobby.take(clear) {
                    match news {
                        News::Came(id, arrival) => {
                            let member = self.receive(id, arrival);
                            self.seat(member);
                        }
                        News::Went(id) => self.see_off(id),
                    }
                }
            }
        }
    }

    fn seat(&mut self, member: Member) {
        if let Some(crowd) = &mut self.crowd {
            crowd.members.push(member);
            crowd.changed = true;
            // It may have said that something is the matter before anybody knew it.
            let newest = crowd.members.len() - 1;
            self.attend_member(newest);
        }
    }

    fn see_off(&mut self, id: u64) {
        if let Some(index) = self.member(id) {
            self.remove(index);
        }
    }

    /// Attends to whoever asks for attention, after the notice was looked at.
    pub(super) fn attend_crowd(&mut self) {
        let Some(crowd) = &self.crowd else { return };
        if crowd.attention().load(Ordering::Relaxed) == 0 {
            return;
        }
        // Acquire pairs with the Release of who closed.
        let bits = crowd.attention().swap(0, Ordering::AcqRel);
        for index in (0..crowd.members.len()).rev() {
            let asks = |crowd: &Crowd| bits & attention_bit(crowd.members[index].id) != 0;
            if self.crowd.as_deref().is_some_and(asks) {
                self.attend_member(index);
            }
        }
    }

    /// Rings a member that is parked, and lets one go that has closed.
    fn attend_member(&mut self, index: usize) {
        let Some(member) = self.crowd.as_mut().and_then(|crowd| crowd.members.get_mut(index)) else {
            return;
        };
        // Acquire pairs with the Release in `ConsumerEndpoint::shut`.
        let control = member.ledger.control().word.load(Ordering::Acquire);
        if control & WORD_CLOSED != 0 {
            self.remove(index);
        } else if control & WORD_PARKED != 0 && control != member.rung {
            member.rung = control;
            self.ring(index);
        }
    }

    /// Rings every member that is parked, also one that has come just now: who comes later sees what was stored before this
    /// call, by the lobby's lock.
    pub(super) fn wake_crowd(&mut self) {
        self.admit();
        for index in (0..self.crowd.as_ref().map_or(0, |crowd| crowd.members.len())).rev() {
            self.attend_member(index);
        }
    }

    fn ring(&self, index: usize) {
        let Some(member) = self.crowd.as_ref().and_then(|crowd| crowd.members.get(index)) else {
            return;
        };
        match &member.call {
            Call::Local(ringer, _) => ringer.ring(),
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            Call::Remote => self.bell.ring_one(member.id),
        }
    }

    fn member(&self, id: u64) -> Option<usize> {
        let members = &self.crowd.as_ref()?.members;
        members.iter().position(|member| member.id == id)
    }

    /// Goes on without a member.
    fn remove(&mut self, index: usize) -> Option<Member> {
        let crowd = self.crowd.as_mut()?;
        let member = (index < crowd.members.len()).then(|| crowd.members.swap_remove(index))?;
        crowd.changed = true;
        #[cfg(all(target_os = "linux", not(millstream_loom)))]
        if matches!(member.call, Call::Remote) {
            self.bell.dismiss(member.id);
        }
        Some(member)
    }

    /// Goes on without a member that did not leave by itself, and tells it.
    fn dismiss(&mut self, index: usize, pos: u64) {
        let Some(mut member) = self.remove(index) else {
            return;
        };
        let released = member.ledger.refresh_released(pos).unwrap_or(pos);
        if let Some(Entrance::Local(lobby)) = self.crowd.as_ref().map(|crowd| &crowd.entrance) {
            lobby.vacate(member.id, released);
        }
        match &member.call {
            Call::Local(ringer, notice) => {
                // SAFETY: kept by the member.
                unsafe { &**notice }.fetch_or(EVICTED, Ordering::AcqRel);
                ringer.ring();
            }
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            Call::Remote => {
                if let Some(lines) = self.crowd.as_ref().and_then(|crowd| crowd.words.evicted) {
                    // SAFETY: the lines outlive the endpoint, see `Crowd::new`.
                    let word = unsafe { &*EvictionLines::word(lines, member.id) };
                    // Pairs with the Acquire in `ConsumerEndpoint::is_evicted`.
                    word.store(member.id.wrapping_add(1), Ordering::Release);
                }
                self.expel(member.id);
            }
        }
    }

    /// Elements before `pos` that the gating consumers have not released.
    pub(super) fn unreleased(&mut self, pos: u64) -> u64 {
        let Some(crowd) = &mut self.crowd else { return 0 };
        let behind = |member: &mut Member| {
            let released = member.ledger.refresh_released(pos).ok()?;
            (member.gates && !member.has_closed()).then(|| pos.wrapping_sub(released))
        };
        crowd.members.iter_mut().filter_map(behind).max().unwrap_or(0)
    }

    /// What the gating consumers have asked for beyond `pos`: the least of them.
    pub(super) fn crowd_demand(&self, pos: u64) -> Option<u64> {
        let crowd = self.crowd.as_ref()?;
        let mut least = None::<i64>;
        let mut count = |gates: bool, granted: u64| {
            if gates {
                let ahead = granted.wrapping_sub(pos) as i64;
                least = Some(least.map_or(ahead, |least| least.min(ahead)));
            }
        };
        let mut of_member = |member: &Member| count(member.gates, member.ledger.peek_granted());
        crowd.members.iter().for_each(&mut of_member);
        match &crowd.entrance {
            Entrance::Local(lobby) => lobby.each_newcomer(&mut of_member),
            #[cfg(all(target_os = "linux", not(millstream_loom)))]
            Entrance::Published(lobby) => {
                lobby.each_newcomer(&mut |arrival| count(arrival.gates, arrival.granted()));
            }
        }
        Some(least.map_or(0, |least| least.max(0) as u64))
    }

    /// Whether there may be several consumers.
    pub(crate) fn has_crowd(&self) -> bool {
        self.crowd.is_some()
    }

    /// Consumers, of those that the producer has taken in, that get the element before `pos`.
    pub(crate) fn receivers(&self, pos: u64) -> u64 {
        let gets = |member: &&Member| pos.wrapping_sub(member.ledger.start()) as i64 > 0;
        let members = self.crowd.iter().flat_map(|crowd| crowd.members.iter());
        members.filter(gets).count() as u64
    }

    /// Consumers that the producer has taken in.
    pub(crate) fn listeners(&self) -> usize {
        self.crowd
            .as_ref()
            .map_or(self.ledgers.len(), |crowd| crowd.members.len())
    }

    /// Consumers at present.
    pub(crate) fn consumers(&self) -> usize {
        match self.crowd.as_ref().map(|crowd| &crowd.entrance) {
            None => self.has_consumer().into(),
            Some(entrance) => entrance.seated(),
        }
    }

    /// Elements before `pos` that nobody was there to take.
    pub(crate) fn unheard(&self, pos: u64) -> u64 {
        match self.crowd.as_ref().map(|crowd| &crowd.entrance) {
            None => 0,
            Some(entrance) => entrance.unheard(pos),
        }
    }
}
