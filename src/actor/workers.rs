//! The builder of a system: its workers, where they run, and how they wait.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::failure::quietly;
use super::lane::{self, Inbound, Outbound};
use super::pinning;
use super::poller::Poller;
use super::route::{Outgoing, Post, set_outgoing};
use super::system::{ActorSystem, SystemRef};
use super::system_core::SystemCore;
use super::worker::Worker;
use crate::primitive::atomic::Ordering;
use crate::primitive::channel::bounded;
use crate::primitive::thread::{self, JoinHandle};
use crate::wait::WaitStrategy;

/// The most workers of a system: between each two of them there is a lane.
const MOST_WORKERS: usize = 256;

/// How many workers, and where.
///
/// ```
/// use millstream::{ActorSystem, Workers};
/// let three = ActorSystem::builder("prices").workers(Workers::unpinned(3)).build()?;
/// assert_eq!(three.workers().len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workers(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Cores(Vec<usize>),
    Count(usize),
    Unpinned(usize),
}

impl Workers {
    /// `count` workers, which the kernel moves about as it likes.
    ///
    /// ```
    /// assert_ne!(millstream::Workers::unpinned(1), millstream::Workers::from(1));
    /// ```
    #[must_use]
    pub fn unpinned(count: usize) -> Self {
        Self(Kind::Unpinned(count))
    }

    /// The core of each worker.
    fn cores(&self) -> Result<Vec<Option<usize>>, BuildError> {
        let asked = match &self.0 {
            Kind::Cores(cores) => cores.len(),
            Kind::Unpinned(count) | Kind::Count(count) => *count,
        };
        if asked == 0 {
            return Err(BuildError::NoWorkers);
        }
        if asked > MOST_WORKERS {
            return Err(BuildError::TooManyWorkers { asked });
        }
        Ok(match &self.0 {
            Kind::Cores(cores) => cores.iter().copied().map(Some).collect(),
            Kind::Unpinned(count) => vec![None; *count],
            Kind::Count(count) => {
                let allowed = pinning::allowed();
                let mut cores = allowed.iter().copied().cycle();
                (0..*count).map(|_| cores.next()).collect()
            }
        })
    }
}

impl From<usize> for Workers {
    /// So many, pinned to the allowed cores one after another.
    fn from(count: usize) -> Self {
        Self(Kind::Count(count))
    }
}

impl From<Vec<usize>> for Workers {
    /// One for each of these cores, pinned to it.
    fn from(cores: Vec<usize>) -> Self {
        Self(Kind::Cores(cores))
    }
}

impl<const N: usize> From<[usize; N]> for Workers {
    /// One for each of these cores, pinned to it.
    fn from(cores: [usize; N]) -> Self {
        Self(Kind::Cores(cores.into()))
    }
}

/// What to do when the kernel refuses to pin a worker to its core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pinning {
    /// Make no system: [`BuildError::Refused`].
    Required,
    /// Let the worker run wherever it may, and [report](crate::SystemRef::downgrades) it.
    Preferred,
}

/// What a system does otherwise than was asked for: see [`SystemRef::downgrades`](crate::SystemRef::downgrades).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Downgrade {
    /// A worker is not pinned.
    Unpinned {
        /// The worker.
        worker: usize,
        /// The core that was asked for.
        core: usize,
        /// The cores on which it may run.
        runs_on: Vec<usize>,
    },
    /// More workers were never to give up their core than there are cores: they would keep each other from running, so they yield.
    Yields {
        /// How many workers.
        workers: usize,
        /// On how many cores.
        cores: usize,
    },
}

impl fmt::Display for Downgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unpinned {
                worker,
                core,
                runs_on,
            } => {
                write!(
                    f,
                    "worker {worker} could not be pinned to core {core}; it runs on {runs_on:?}"
                )
            }
            Self::Yields { workers, cores } => write!(
                f,
                "{workers} workers were never to give up their core, on {cores} cores; they yield between looks"
            ),
        }
    }
}

/// Settings of a system of actors: see [`ActorSystem::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct SystemBuilder {
    name: String,
    workers: Workers,
    pinning: Pinning,
    strategy: WaitStrategy,
    drop_deadline: Duration,
}

impl SystemBuilder {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            workers: Workers::unpinned(1),
            pinning: Pinning::Required,
            strategy: WaitStrategy::default(),
            drop_deadline: Duration::from_secs(5),
        }
    }

    /// How many workers, and where: a list of cores, one worker pinned to each; a number of workers, pinned to the allowed cores
    /// one after another; or [`Workers::unpinned`]. Without this, one that is not pinned.
    ///
    /// Isolated cores can be named.
    ///
    /// ```
    /// use millstream::ActorSystem;
    /// let system = ActorSystem::builder("prices").workers([0]).build()?;
    /// assert_eq!(system.workers()[0].core, Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn workers(mut self, workers: impl Into<Workers>) -> Self {
        self.workers = workers.into();
        self
    }

    /// What to do when a worker cannot be pinned. Without this, it is an error.
    ///
    /// ```
    /// use millstream::{ActorSystem, Pinning};
    /// let system = ActorSystem::builder("prices").workers([100_000]).pinning(Pinning::Preferred).build()?;
    /// assert_eq!(system.downgrades().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pinning(mut self, pinning: Pinning) -> Self {
        self.pinning = pinning;
        self
    }

    /// How a worker waits that has nothing to do. Without this, it spins about as long as waking takes, then parks.
    ///
    /// ```
    /// use millstream::{ActorSystem, WaitStrategy};
    /// let system = ActorSystem::builder("prices").wait(WaitStrategy::park()).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(mut self, strategy: WaitStrategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// How long dropping the system waits for its actors to stop, 5 seconds without this. What has not stopped then is left
    /// to itself, and logged.
    ///
    /// ```
    /// use std::time::Duration;
    /// use millstream::ActorSystem;
    /// let system = ActorSystem::builder("prices").drop_deadline(Duration::from_secs(1)).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drop_deadline(mut self, time: Duration) -> Self {
        self.drop_deadline = time;
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    /// `NoWorkers`, `TooManyWorkers`; `Refused`, when a worker cannot be pinned and pinning is required; `System`, when the kernel gives no
    /// thread or no event queue.
    ///
    /// ```
    /// use millstream::{ActorSystem, BuildError};
    /// assert!(matches!(ActorSystem::builder("prices").workers(0).build(), Err(BuildError::NoWorkers)));
    /// let many = ActorSystem::builder("prices").workers(usize::MAX).build();
    /// assert!(matches!(many, Err(BuildError::TooManyWorkers { .. })));
    /// let refused = ActorSystem::builder("prices").workers([100_000]).build();
    /// assert!(matches!(refused, Err(BuildError::Refused { worker: 0, core: 100_000, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn build(self) -> Result<ActorSystem, BuildError> {
        let cores = self.workers.cores()?;
        let count = cores.len();
        let system = |source| BuildError::System { source };
        let pollers: Vec<_> = (0..count)
            .map(|_| Poller::new())
            .collect::<Result<_, _>>()
            .map_err(system)?;
        let posts = pollers
            .iter()
            .map(|poller| poller.waker().map(Post::new))
            .collect::<Result<_, _>>()
            .map_err(system)?;
        let core = Arc::new(SystemCore::new(self.name.clone(), posts));
        let no_memory = || system(std::io::ErrorKind::OutOfMemory.into());
        let (mut outgoing, incoming) = lanes(count).ok_or_else(no_memory)?;
        let (told, heard) = bounded(count);
        let mut threads: Vec<JoinHandle<()>> = Vec::with_capacity(count);
        let (left, leaving) = bounded(count);
        // How they wait is known when it is known where they run. Those that are told nothing end.
        let (start, begin) = bounded(count);
        let pairs = incoming.into_iter().zip(pollers).zip(&cores);
        for (number, ((incoming, poller), place)) in pairs.enumerate() {
            let (shared, told, place, left) = (core.clone(), told.clone(), *place, left.clone());
            let begin = begin.clone();
            let lanes = std::mem::take(&mut outgoing[number]);
            let run = move || {
                let pinned = place.map_or(Ok(None), |core| pinning::pin(core).map(|()| Some(core)));
                if let Ok(Some(place)) = pinned {
                    let telemetry = &shared.telemetry[number];
                    telemetry.core.store(place as u64 + 1, Ordering::Relaxed);
                }
                let _ = told.send((number, pinned));
                drop(told);
                let Ok(strategy) = begin.recv() else { return };
                set_outgoing(Some(Outgoing::new(shared.clone(), number, lanes)));
                let worker = Worker::new(shared, number, incoming, strategy, poller);
                // What is left at its end is dropped with it.
                quietly(|| worker.run());
                set_outgoing(None);
                let _ = left.send(number);
            };
            // The name of a thread ends at the first NUL, so there is none in it.
            let name = format!("{}-{number}", self.name.replace('\0', ""));
            let named = thread::Builder::new().name(name);
            match named.spawn(run) {
                Ok(thread) => threads.push(thread),
                Err(source) => {
                    drop(start);
                    join(threads);
                    return Err(BuildError::System { source });
                }
            }
        }
        drop(told);
        let mut places: Vec<_> = heard.iter().take(count).collect();
        places.sort_by_key(|(worker, _)| *worker);
        let mut downgrades = Vec::new();
        let mut held = Vec::with_capacity(count);
        for (worker, pinned) in places {
            let (runs_on, core) = match (pinned, cores[worker]) {
                (Err(runs_on), Some(core)) => (runs_on, core),
                (pinned, _) => {
                    held.push(pinned.ok().flatten());
                    continue;
                }
            };
            if self.pinning == Pinning::Required {
                drop(start);
                join(threads);
                return Err(BuildError::Refused {
                    worker,
                    core,
                    runs_on,
                });
            }
            held.push(None);
            downgrades.push(Downgrade::Unpinned {
                worker,
                core,
                runs_on,
            });
        }
        let (strategy, downgrade) = self.strategy_for(&held);
        downgrades.extend(downgrade);
        for _ in 0..count {
            // There is room for all of them, and each worker waits for one.
            let _ = start.send(strategy);
        }
        for downgrade in &downgrades {
            log::warn!("system {}: {downgrade}", self.name);
        }
        core.set_downgrades(downgrades);
        Ok(ActorSystem {
            system: SystemRef(core),
            threads,
            leaving,
            drop_deadline: self.drop_deadline,
        })
    }

    /// How the workers can wait that are pinned to these cores, or to none.
    fn strategy_for(&self, held: &[Option<usize>]) -> (WaitStrategy, Option<Downgrade>) {
        let mut named: Vec<_> = held.iter().flatten().copied().collect();
        let pinned = named.len();
        named.sort_unstable();
        named.dedup();
        // Isolated cores can be named, and are not among those on which a thread may run that is not pinned.
        let mut all = pinning::allowed();
        let allowed = all.len();
        all.extend(&named);
        all.sort_unstable();
        all.dedup();
        let has_room = held.len() <= all.len() && named.len() == pinned;
        if !self.strategy.keeps_the_core() || has_room {
            return (self.strategy, None);
        }
        let downgrade = Downgrade::Yields {
            workers: held.len(),
            cores: if pinned == held.len() {
                named.len()
            } else {
                allowed
            },
        };
        (WaitStrategy::SpinThenYield { spins: 100 }, Some(downgrade))
    }
}

/// The ends of the lanes from each worker to each other one: outgoing by sender and receiver, incoming by receiver. `None` when
/// there is no memory for them.
#[allow(clippy::type_complexity, reason = "a table of either end")]
fn lanes(count: usize) -> Option<(Vec<Vec<Option<Outbound>>>, Vec<Vec<Inbound>>)> {
    let mut incoming: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
    let mut outgoing: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
    for (from, lanes) in outgoing.iter_mut().enumerate() {
        for (to, arrivals) in incoming.iter_mut().enumerate() {
            if from == to {
                lanes.push(None);
                continue;
            }
            let (outbound, inbound) = lane::ends(count * count)?;
            lanes.push(Some(outbound));
            arrivals.push(inbound);
        }
    }
    Some((outgoing, incoming))
}

/// Waits for workers that will not begin.
fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        let _ = thread.join();
    }
}

/// Why a system was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There must be one worker.
    #[error("no workers were asked for; a system has at least one")]
    NoWorkers,
    /// More workers than a system can have: there is a lane between each two.
    #[error("{asked} workers were asked for; a system has 256 at the most")]
    TooManyWorkers {
        /// How many.
        asked: usize,
    },
    /// The kernel does not let a worker run on its core.
    #[error(
        "worker {worker} could not be pinned to core {core}: it may run on {runs_on:?}; name a core that this process \
         may use, or ask for `Pinning::Preferred`"
    )]
    Refused {
        /// The worker.
        worker: usize,
        /// The core that was asked for.
        core: usize,
        /// The cores on which it may run.
        runs_on: Vec<usize>,
    },
    /// The kernel gave no thread, or no event queue.
    #[error("the system could not be started: {source}")]
    System {
        /// What it said.
        source: std::io::Error,
    },
}
