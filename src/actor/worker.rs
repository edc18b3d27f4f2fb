//! A worker: the thread that owns actors, and its turn.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::any_cell::AnyCell;
use super::failure::{fenced, quietly};
use super::graves::Graves;
use super::io::IoTable;
use super::lane::{Inbound, Message, Note};
use super::number::Numbered;
use super::phase::Ran;
use super::poller::{LONGEST_SLEEP, Poller};
use super::route;
use super::system_core::SystemCore;
use super::telemetry::{Tally, Telemetry};
use super::timer::{Due, Timers};
use crate::primitive::atomic::Ordering;
use crate::primitive::time::now;
use crate::ring::parcel::Parcel;
use crate::wait::{Turn, Turns, WaitStrategy};

/// Actors run in a turn before lanes, timers and descriptors are looked at again.
const ACTORS_A_TURN: usize = 256;
/// Notes taken from each lane, and from the injector, in a turn.
const NOTES_A_TURN: usize = 1024;
/// Turns between two looks at the descriptors, while there is work.
const IO_EACH: u32 = 32;

/// What a worker's thread owns.
pub(super) struct Worker {
    pub(super) system: Arc<SystemCore>,
    pub(super) number: usize,
    /// The lanes from the other workers.
    pub(super) incoming: Vec<Inbound>,
    pub(super) strategy: WaitStrategy,
    pub(super) timers: Timers,
    pub(super) io: IoTable,
    pub(super) poller: Poller,
    cells: Numbered<Box<dyn AnyCell>>,
    /// Messages for actors that are to be made here: the note that says so comes by another way.
    early: Numbered<Vec<Parcel>>,
    graves: Graves,
    /// The actor that ran last and has nothing to do, if it was not let go yet: as long as the worker is awake it looks there
    /// itself, so whoever sends to it need not send a note as well. Between two that talk to each other that is most of
    /// the way.
    lingering: Option<u64>,
    tally: Tally,
    ends: bool,
    /// Messages handled in this turn.
    pub(super) handled: u64,
}

impl Worker {
    pub(super) fn new(
        system: Arc<SystemCore>,
        number: usize,
        incoming: Vec<Inbound>,
        strategy: WaitStrategy,
        poller: Poller,
    ) -> Self {
        Self {
            system,
            number,
            incoming,
            strategy,
            timers: Timers::default(),
            io: IoTable::default(),
            poller,
            cells: Numbered::default(),
            early: Numbered::default(),
            graves: Graves::default(),
            lingering: None,
            tally: Tally::new(),
            ends: false,
            handled: 0,
        }
    }

    /// Runs until it is told to end.
    pub(super) fn run(mut self) {
        let mut turns = Turns::new(self.strategy);
        let mut since_io = 0;
        let mut began = now();
        while !self.ends {
            self.telemetry().turn_begins(began);
            if self.turn(began) {
                turns = Turns::new(self.strategy);
                since_io += 1;
                if since_io >= IO_EACH {
                    since_io = 0;
                    self.look_at_descriptors(Duration::ZERO);
                }
                let ended = now();
                let handled = std::mem::take(&mut self.handled);
                self.tally.turn(ended - began, handled);
                self.tally
                    .publish_now_and_then(&self.system.telemetry[self.number], ended);
                began = ended;
                continue;
            }
            let parks = turns.turn_after_a_long_look() == Turn::Park;
            if parks {
                if let Some(actor) = self.lingering.take() {
                    self.let_go(actor);
                }
                self.park();
            } else if turns.is_round() {
                self.look_at_descriptors(Duration::ZERO);
            }
            began = now();
            self.tally
                .publish_now_and_then(&self.system.telemetry[self.number], began);
        }
        self.abandon();
        self.tally.publish(&self.system.telemetry[self.number], now());
    }

    fn telemetry(&self) -> &Telemetry {
        &self.system.telemetry[self.number]
    }

    /// Does what there is to do, once around. False when there was nothing.
    fn turn(&mut self, now: Instant) -> bool {
        let mut busy = false;
        // Before the lanes are emptied, of what had been sent by then at the least.
        let forgotten = self.graves.forgotten(false);
        for lane in 0..self.incoming.len() {
            for _ in 0..NOTES_A_TURN {
                let Some(note) = self.incoming[lane].next_note() else {
                    break;
                };
                busy = true;
                self.take(note);
            }
            for _ in 0..self.incoming[lane].most() {
                let Some(message) = self.incoming[lane].next_message() else {
                    break;
                };
                busy = true;
                self.deliver(message);
            }
        }
        self.graves.close(forgotten);
        for _ in 0..NOTES_A_TURN {
            // Looked at before: a pop that finds nothing has paid for a fence.
            let injector = &self.system.posts[self.number].injector;
            let Some(note) = (!injector.is_empty()).then(|| injector.pop()).flatten() else {
                break;
            };
            busy = true;
            self.take(note);
        }
        while let Some(due) = self.timers.pop(now) {
            busy = true;
            match due {
                Due::Actor { actor, timer } => {
                    if let Some(cell) = self.cells.get(&actor) {
                        cell.timer_is_due(timer);
                    }
                }
                Due::Remind(reminder) => quietly(|| reminder.remind()),
            }
        }
        for _ in 0..route::ready().min(ACTORS_A_TURN) {
            let Some(actor) = route::pop_ready() else { break };
            busy = true;
            self.run_actor(actor);
        }
        if let Some(actor) = self.lingering
            && self.cells.get(&actor).is_some_and(|cell| cell.has_work())
        {
            busy = true;
            self.run_actor(actor);
        }
        busy
    }

    /// Lets an actor go that has nothing to do; what came meanwhile, it does later.
    fn let_go(&mut self, actor: u64) {
        if let Some(cell) = self.cells.get_mut(&actor)
            && !cell.settle()
        {
            cell.set_ready();
            route::push_ready(actor);
        }
    }

    fn take(&mut self, note: Note) {
        match note {
            Note::Run(actor) => route::push_ready(actor),
            Note::Make(make) => make(self),
            Note::End => self.ends = true,
        }
    }

    fn deliver(&mut self, message: Message) {
        let Some((actor, parcel)) = message.open() else {
            return;
        };
        if let Some(cell) = self.cells.get_mut(&actor) {
            if cell.deliver(parcel) && self.lingering != Some(actor) {
                route::push_ready(actor);
            }
        } else if let Err(parcel) = self.graves.bury(actor, parcel) {
            // Who can be sent to is made, alive or in its grave.
            self.early.entry(actor).or_default().push(parcel);
        }
    }

    /// Takes an actor in, which is scheduled.
    pub(super) fn adopt(&mut self, actor: u64, mut cell: Box<dyn AnyCell>) {
        for parcel in self.early.remove(&actor).unwrap_or_default() {
            cell.deliver(parcel);
        }
        cell.set_ready();
        self.cells.insert(actor, cell);
        self.telemetry().actors.fetch_add(1, Ordering::Relaxed);
        route::push_ready(actor);
    }

    fn run_actor(&mut self, actor: u64) {
        let Some(mut cell) = self.cells.remove(&actor) else {
            return;
        };
        if self.lingering == Some(actor) {
            self.lingering = None;
        }
        self.telemetry().at.store(actor, Ordering::Relaxed);
        // All that is the user's is called behind a fence of its own; this one is for what drops a value in between.
        let ran = fenced(|| cell.run(self)).unwrap_or_else(|failure| {
            cell.fail_later(failure);
            Ran::More
        });
        self.telemetry().at.store(0, Ordering::Relaxed);
        match ran {
            Ran::Idle => {
                self.cells.insert(actor, cell);
                if let Some(before) = self.lingering.replace(actor) {
                    self.let_go(before);
                }
            }
            Ran::More => {
                cell.set_ready();
                self.cells.insert(actor, cell);
                route::push_ready(actor);
            }
            Ran::Gone => {
                self.graves.dig(cell.address());
                quietly(|| drop(cell));
                self.telemetry().actors.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Leaves nobody behind who waits: what had not stopped when the deadline of the shutdown passed stops now, children before
    /// their parents.
    fn abandon(&mut self) {
        self.system.posts[self.number].ended.store(1, Ordering::Release);
        // Between that and the last look; pairs with the loads in `route::carry`.
        self.system.fence.heavy();
        self.abandon_cells();
        let (mut notes, mut messages) = (Vec::new(), Vec::new());
        if let Ok(mut remains) = self.system.posts[self.number].remains.lock() {
            // From here on who sends finds them there; what was sent before is found now.
            *remains = std::mem::take(&mut self.incoming);
            for lane in &mut *remains {
                let late = lane.empty();
                notes.extend(late.0);
                messages.extend(late.1);
            }
        }
        for note in notes {
            self.take(note);
        }
        for message in messages {
            self.deliver(message);
        }
        self.abandon_cells();
        for due in self.timers.drain() {
            if let Due::Remind(reminder) = due {
                quietly(|| reminder.give_up());
            }
        }
    }

    /// Stops all actors, and those that are still to be made.
    fn abandon_cells(&mut self) {
        loop {
            for lane in 0..self.incoming.len() {
                while let Some(note) = self.incoming[lane].next_note() {
                    self.take(note);
                }
                while let Some(message) = self.incoming[lane].next_message() {
                    self.deliver(message);
                }
            }
            while let Some(note) = self.system.posts[self.number].injector.pop() {
                self.take(note);
            }
            let Some(youngest) = self.cells.keys().copied().max() else {
                break;
            };
            if let Some(mut cell) = self.cells.remove(&youngest) {
                quietly(|| cell.abandon(self));
                self.graves.dig(cell.address());
                quietly(|| drop(cell));
                self.telemetry().actors.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Sleeps until there is something to do.
    fn park(&mut self) {
        self.tally.publish(&self.system.telemetry[self.number], now());
        let forgotten = self.graves.forgotten(true);
        let post = &self.system.posts[self.number];
        post.parked.store(1, Ordering::Relaxed);
        // Between `parked` and the last look; pairs with the load in `Post::wake`.
        self.system.fence.heavy();
        let is_idle = post.injector.is_empty()
            && self.incoming.iter_mut().all(Inbound::is_empty)
            && route::ready() == 0;
        if is_idle {
            self.graves.close(forgotten);
        }
        let sleep = match self.timers.first() {
            _ if !is_idle => Duration::ZERO,
            Some(first) => first.saturating_duration_since(now()).min(LONGEST_SLEEP),
            None => LONGEST_SLEEP,
        };
        if !sleep.is_zero() {
            self.tally.parked(self.telemetry());
        }
        self.look_at_descriptors(sleep);
        self.system.posts[self.number].parked.store(0, Ordering::Relaxed);
    }

    /// Tells actors which of their descriptors are ready; waits for that as long as `sleep`.
    fn look_at_descriptors(&mut self, sleep: Duration) {
        if sleep.is_zero() && self.io.is_empty() {
            return;
        }
        for (token, readiness) in self.poller.wait(sleep) {
            let actor = self.io.actor(token);
            if let Some(cell) = actor.and_then(|actor| self.cells.get(&actor)) {
                cell.descriptor_is_ready(token.0, readiness);
            }
        }
    }
}
