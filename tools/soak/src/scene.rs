//! One stream from its first process to its last: chaos for a while, then an orderly end, then the verdict.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::actor::Actor;
use crate::ledger::{Inc, Ledger, Of, SLOTS, Word};
use crate::line::Kind;
use crate::part::{FAULTY, Part, Role, VANISHED, durable_file, faults_file, stream_name};
use crate::random::Random;
use crate::tally::{Count, Tally};
use crate::verdict::Played;

/// How long a process may get nothing done while all of its stream are alive and at work.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is waited for between two looks.
const TURN: Duration = Duration::from_millis(2);

/// What a scene is to be.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) stream: u64,
    pub(crate) consumers: usize,
    pub(crate) vandal: bool,
    pub(crate) seed: u64,
    pub(crate) chaos: Duration,
    pub(crate) dir: PathBuf,
}

impl Plan {
    pub(crate) fn processes(&self) -> usize {
        1 + self.consumers + usize::from(self.vandal)
    }

    fn ledger(&self) -> PathBuf {
        self.dir.join(format!("{}.ledger", stream_name(self.stream)))
    }

    fn cast(&self) -> Vec<Actor> {
        let part = |role, slot| Part {
            role,
            kind: self.kind,
            stream: self.stream,
            slot,
            run: 0,
            consumers: self.consumers,
            seed: self.seed,
            streams: streams(&self.dir),
            ledger: self.ledger(),
        };
        let mut actors = vec![Actor::new(part(Role::Producer, 0))];
        actors.extend((1..=self.consumers).map(|slot| Actor::new(part(Role::Consumer, slot))));
        if self.vandal {
            actors.push(Actor::new(part(Role::Vandal, SLOTS - 1)));
        }
        actors
    }

    /// Plays it, and says what came of it.
    pub(crate) fn play(&self) -> Tally {
        let mut tally = Tally::default();
        if let Err(error) = self.perform(&mut tally) {
            tally.fault("wrong", format_args!("{} {}: {error:#}", self.kind, self.stream));
        }
        tally
    }

    fn perform(&self, tally: &mut Tally) -> anyhow::Result<()> {
        let path = self.ledger();
        let ledger = Ledger::open(&path)?;
        let mut stage = Stage {
            plan: self,
            ledger: &ledger,
            actors: self.cast(),
            random: Random::of(self.seed, &[self.stream]),
            tally,
        };
        let sound = stage.chaos()? && stage.finish()?;
        let Stage { actors, tally, .. } = stage;
        note_faults(&path, tally);
        tally.add(Count::Attacks, ledger.slot(SLOTS - 1).get(Of::Beat));
        // What was broken off says nothing more.
        if sound && tally.faults.is_empty() {
            let gone = actors.iter().filter(|actor| actor.role() != Role::Vandal);
            let played = Played {
                kind: self.kind,
                stream: self.stream,
                ledger: &ledger,
                gone: gone.map(|actor| actor.gone.as_slice()).collect(),
            };
            played.judge(tally);
            self.look_for_leftovers(tally)?;
        }
        if self.kind.is_durable() {
            self.take_away_durable(&path, &ledger, tally)?;
        }
        fs::remove_file(&path).with_context(|| format!("removing {path:?}"))?;
        let _ = fs::remove_file(faults_file(&path));
        Ok(())
    }

    /// The files of a durable stream are whole, and hold what the ledger says; then they have done their work.
    fn take_away_durable(&self, path: &Path, ledger: &Ledger, tally: &mut Tally) -> anyhow::Result<()> {
        let file = durable_file(path);
        if tally.faults.is_empty() {
            let report = millstream::verify(&file).with_context(|| format!("verifying {file:?}"))?;
            let last = ledger.get(Word::Incarnations) - 1;
            let published = ledger.incarnation(last).get(Inc::Published);
            if (report.published, report.released) != (published, published) {
                let text = format!("{} {}: {published} were put, {report:?}", self.kind, self.stream);
                tally.fault("lost", text);
            }
        }
        let own = file.file_name().and_then(|own| own.to_str()).unwrap_or_default();
        for name in files(&self.dir)?.iter().filter(|name| name.starts_with(own)) {
            fs::remove_file(self.dir.join(name)).with_context(|| format!("removing {name:?}"))?;
        }
        Ok(())
    }

    /// The last producer ended its stream in order, so nothing of its name is left.
    fn look_for_leftovers(&self, tally: &mut Tally) -> anyhow::Result<()> {
        let own = |file: &str| {
            let rest = file.strip_prefix(&stream_name(self.stream));
            rest.is_some_and(|rest| rest.starts_with(['.', '-']))
        };
        for file in files(&streams(&self.dir))? {
            if own(&file) {
                tally.fault(
                    "leaked",
                    format_args!("{} {}: the file {file}", self.kind, self.stream),
                );
            }
        }
        Ok(())
    }
}

/// The runtime directory of all scenes.
pub(crate) fn streams(dir: &Path) -> PathBuf {
    dir.join("run")
}

/// Files in a directory, if there is one.
pub(crate) fn files(dir: &Path) -> anyhow::Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Ok(Vec::new());
    };
    let name = |entry: std::io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    entries.map(name).collect()
}

fn note_faults(ledger: &Path, tally: &mut Tally) {
    let noted = fs::read_to_string(faults_file(ledger)).unwrap_or_default();
    tally.faults.extend(noted.lines().map(Into::into));
}

/// A scene being played, as its driver sees it.
struct Stage<'a> {
    plan: &'a Plan,
    ledger: &'a Ledger,
    actors: Vec<Actor>,
    random: Random,
    tally: &'a mut Tally,
}

impl Stage<'_> {
    /// Kills, stops and restarts, until its time is over. False when something is wrong.
    fn chaos(&mut self) -> anyhow::Result<bool> {
        let end = Instant::now() + self.plan.chaos;
        while Instant::now() < end {
            let rest = match self.random.below(4) {
                0 => self.random.below(20),
                1..3 => self.random.between(20, 120),
                _ => self.random.between(120, 400),
            };
            if !self.idle(Duration::from_millis(rest))? || !self.act()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn act(&mut self) -> anyhow::Result<bool> {
        let one = self.random.below(self.actors.len() as u64) as usize;
        let rest = match self.random.below(4) {
            0 => Duration::from_millis(self.random.below(150)),
            _ => Duration::ZERO,
        };
        match self.random.below(16) {
            0..8 => self.kill(one, rest)?,
            8..10 => self.kill(0, rest)?,
            10..12 => {
                let longest = if self.random.once_in(3) { 2000 } else { 100 };
                let how_long = Duration::from_millis(self.random.between(1, longest));
                if self.actors[one].stop(how_long) {
                    self.tally.add(Count::Stops, 1);
                }
            }
            12 => {
                self.tally.add(Count::Restarts, 1);
                for index in 0..self.actors.len() {
                    self.kill(index, rest)?;
                }
            }
            _ => return self.quiet(),
        }
        Ok(true)
    }

    fn kill(&mut self, index: usize, rest: Duration) -> anyhow::Result<()> {
        let what = match self.actors[index].role() {
            Role::Producer => Count::ProducersKilled,
            Role::Consumer => Count::ConsumersKilled,
            Role::Vandal => Count::BadPeersKilled,
        };
        if self.actors[index].kill(rest)? {
            self.tally.add(what, 1);
        }
        Ok(())
    }

    /// Lets some time pass, in which processes end, are started and go on.
    fn idle(&mut self, how_long: Duration) -> anyhow::Result<bool> {
        let end = Instant::now() + how_long;
        loop {
            if !self.tend()? {
                return Ok(false);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(true);
            }
            std::thread::sleep(left.min(TURN));
        }
    }

    /// Starts who is due, and lets go on who was stopped for long enough. False when a process ended that should not have.
    fn tend(&mut self) -> anyhow::Result<bool> {
        let finishing = self.ledger.is_finishing();
        for actor in &mut self.actors {
            actor.go_on_if_due();
            let mut has_vanished = false;
            if let Some(status) = actor.ended()? {
                let code = status.code();
                if code == Some(VANISHED.into()) {
                    self.tally.add(Count::Vanished, 1);
                    has_vanished = true;
                } else if code == Some(FAULTY.into()) {
                    return Ok(false);
                } else if code != Some(0) || !finishing {
                    let text = format!("{} ended by itself with {status}", actor.part.who());
                    self.tally.fault("wrong", text);
                    return Ok(false);
                }
            }
            // A producer that vanished before it knew of the end has the last stream still to bring.
            if !finishing || has_vanished {
                actor.start_if_due()?;
            }
        }
        Ok(true)
    }

    /// Waits until each process of the stream has got something done: whoever sleeps for ever is found out before a kill
    /// of another wakes it.
    fn quiet(&mut self) -> anyhow::Result<bool> {
        self.tally.add(Count::Quiets, 1);
        let beats: Vec<u64> = self.beats();
        let mut since = Instant::now();
        loop {
            if !self.idle(TURN)? {
                return Ok(false);
            }
            let now = self.beats();
            let waiting: Vec<usize> = (0..beats.len())
                .filter(|slot| now[*slot] == beats[*slot])
                .collect();
            if waiting.is_empty() {
                return Ok(true);
            }
            if !self.actors.iter().all(Actor::is_at_work) {
                since = Instant::now();
            }
            if since.elapsed() > PATIENCE {
                self.hung(&waiting);
                return Ok(false);
            }
        }
    }

    fn beats(&self) -> Vec<u64> {
        let slots = 0..=self.plan.consumers;
        slots.map(|slot| self.ledger.slot(slot).get(Of::Beat)).collect()
    }

    /// Everybody is alive again and at work, the producer completes, and all come to their ends.
    fn finish(&mut self) -> anyhow::Result<bool> {
        // The bad peer may go on to the very end, and is killed as well as any.
        let mut everybody = || -> anyhow::Result<bool> {
            for actor in &mut self.actors {
                actor.go_on();
            }
            Ok(self.tend()? && self.actors.iter().all(Actor::is_there))
        };
        let start = Instant::now();
        while !everybody()? {
            if start.elapsed() > PATIENCE {
                return Ok(false);
            }
            std::thread::sleep(TURN);
        }
        self.ledger.set(Word::Finish, 1);
        let end = Instant::now() + PATIENCE;
        while self.actors.iter().any(Actor::is_there) {
            if !self.idle(TURN)? {
                return Ok(false);
            }
            if Instant::now() > end {
                let waiting: Vec<usize> = (0..self.actors.len())
                    .filter(|at| self.actors[*at].is_there())
                    .collect();
                self.hung(&waiting);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Notes who hangs, and where, as far as a debugger is there to say it.
    fn hung(&mut self, waiting: &[usize]) {
        let finishing = self.ledger.is_finishing();
        let who: Vec<String> = waiting.iter().map(|at| self.actors[*at].part.who()).collect();
        let text = format!(
            "{} {}{}: nothing done for {PATIENCE:?} by {}",
            self.plan.kind,
            self.plan.stream,
            if finishing { ", at its end" } else { "" },
            who.join(" and ")
        );
        self.tally.fault("hung", text);
        for pid in self.actors.iter().filter_map(Actor::pid) {
            let stacks = Command::new("gdb")
                .args(["-batch", "-ex", "thread apply all bt", "-p", &pid.to_string()])
                .output();
            match stacks {
                Ok(output) => eprintln!("process {pid}:\n{}", String::from_utf8_lossy(&output.stdout)),
                Err(error) => eprintln!("process {pid}: SKIPPED: no stacks, gdb does not run ({error})"),
            }
        }
    }
}
