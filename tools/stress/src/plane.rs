//! Every step of the control plane between two endpoints, once: what strace fails the system calls of.
//! `millstream-plane DIRECTORY MILLISECONDS` publishes in the directory, subscribes, leaves, resumes, joins, is looked at, and ends. No wait in
//! it lasts longer than the milliseconds. In the directory `DIRECTORY.files` it has a durable stream, which stays: it goes on with what the run
//! before has left there, commits, syncs, opens it again, and goes back to the sync as after a restart of the machine.
//!
//! It ends with 0 if all went well; with 3 if some step was refused, and says by which error; with 4 if an element was lost, doubled or out
//! of its order without any error.

#![forbid(unsafe_code)]

use std::fmt::{Debug, Display};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use millstream::{End, PublishBuilder, SourceRef, SubscribeBuilder, WaitStrategy};

const ELEMENTS: u64 = 12;
/// What the first of two subscriptions of one name takes, before it leaves.
const FIRST: u64 = 5;
/// Where the file of a durable stream says which run of the machine wrote it.
const BOOT: u64 = 2944;

/// Where streams are published, and how long a wait may last.
struct Ground {
    directory: PathBuf,
    patience: Duration,
}

impl Ground {
    fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }
}

/// What came of a step that did not go well.
enum Trouble {
    /// The library, or the kernel, said why.
    Refused(String),
    /// Nobody said anything, and it is wrong.
    Wrong(String),
}

type Outcome<T = ()> = Result<T, Trouble>;

/// A step's error, by its name in the program as well as by its words.
fn refused<E: Debug + Display>(step: &'static str) -> impl Fn(E) -> Trouble {
    move |error| Trouble::Refused(format!("{step}: {error} [{error:?}]"))
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let directory = arguments.next().map(PathBuf::from);
    let patience = arguments.next().and_then(|ms| ms.to_str()?.parse().ok());
    let (Some(directory), Some(patience)) = (directory, patience) else {
        eprintln!("usage: millstream-plane DIRECTORY MILLISECONDS");
        return ExitCode::from(2);
    };
    let ground = Ground {
        directory,
        patience: Duration::from_millis(patience),
    };
    // By a thread of its own: strace counts the calls of each thread by itself, and those of this one have begun with the runtime's.
    match thread::Builder::new().spawn(move || all(&ground)) {
        Ok(thread) => match thread.join() {
            Ok(worst) => ExitCode::from(worst),
            Err(panic) => std::panic::resume_unwind(panic),
        },
        Err(error) => {
            say(&format!("refused: starting a thread: {error}"));
            ExitCode::from(3)
        }
    }
}

/// The system may refuse this, too; the exit code says as much.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn all(ground: &Ground) -> u8 {
    // A mark in what strace writes: what comes before it is not this program's.
    let _ = std::fs::metadata("/millstream-plane-begins");
    let steps: [fn(&Ground) -> Outcome; 5] = [resumed, several, frames, looked_at, kept];
    let mut worst = 0;
    for step in steps {
        // A step that was refused does not keep the next from its turn: the process is to be usable still.
        match step(ground) {
            Ok(()) => {}
            Err(Trouble::Refused(why)) => {
                say(&format!("refused: {why}"));
                worst = worst.max(3);
            }
            Err(Trouble::Wrong(why)) => {
                say(&format!("WRONG: {why}"));
                worst = worst.max(4);
            }
        }
    }
    worst
}

fn publish(ground: &Ground, name: &str) -> PublishBuilder<u64> {
    millstream::publish::<u64>(name)
        .directory(&ground.directory)
        .sink_wait(WaitStrategy::park())
}

fn subscribe(ground: &Ground, name: &str) -> SubscribeBuilder<u64> {
    millstream::subscribe::<u64>(name)
        .directory(&ground.directory)
        .wait_for(ground.patience)
        .idle_timeout(Some(ground.patience))
        .source_wait(WaitStrategy::park())
}

/// Takes elements up to `until`, each of which must be the number of its position.
fn take(source: &mut SourceRef<u64>, until: u64) -> Outcome {
    while SourceRef::position(source) < until {
        let expected = SourceRef::position(source);
        match source.next() {
            Some(element) if element == expected => {}
            Some(element) => {
                return Err(Trouble::Wrong(format!(
                    "element {element} came in the place of {expected}"
                )));
            }
            None if source.end() == Some(End::Completed) => {
                return Err(Trouble::Wrong(format!(
                    "the stream completed at {expected}, not at {until}"
                )));
            }
            None => {
                return Err(Trouble::Refused(format!(
                    "taking element {expected}: {:?}",
                    source.end()
                )));
            }
        }
    }
    Ok(())
}

/// Both halves of a step, in a thread each. What is wrong weighs more than what was refused.
fn both<T: Send>(
    one: impl FnOnce() -> Outcome<T> + Send,
    other: impl FnOnce() -> Outcome + Send,
) -> Outcome<T> {
    thread::scope(|scope| {
        let consumer = thread::Builder::new()
            .spawn_scoped(scope, other)
            .map_err(refused("starting a thread"))?;
        let one = one();
        match (one, consumer.join()) {
            (_, Err(panic)) => std::panic::resume_unwind(panic),
            (Err(Trouble::Wrong(why)), _) | (_, Ok(Err(Trouble::Wrong(why)))) => Err(Trouble::Wrong(why)),
            (Err(trouble), _) | (_, Ok(Err(trouble))) => Err(trouble),
            (Ok(value), Ok(Ok(()))) => Ok(value),
        }
    })
}

/// A consumer that leaves, and goes on where it had released.
fn resumed(ground: &Ground) -> Outcome {
    let mut sink = publish(ground, "resumed")
        .buffer_size(4)
        .max_demand(8)
        .open()
        .map_err(refused("publishing"))?;
    let night = || {
        let builder = subscribe(ground, "resumed").resumable("night").initial_demand(4);
        builder.open().map_err(refused("subscribing"))
    };
    both(
        move || {
            for element in 0..ELEMENTS {
                sink.put_deadline(element, ground.deadline())
                    .map_err(refused("putting"))?;
            }
            sink.complete_and_drain(ground.deadline())
                .map_err(refused("draining"))
        },
        || {
            let mut source = night()?;
            take(&mut source, FIRST)?;
            drop(source);
            let mut source = night()?;
            let resumed = SourceRef::position(&source);
            if resumed > FIRST {
                return Err(Trouble::Wrong(format!(
                    "it was resumed at {resumed}, not at {FIRST}"
                )));
            }
            take(&mut source, ELEMENTS)?;
            match source.next() {
                // Cut off by a failure before it had released the last of the first ones, which so came again, and were looked at.
                None if resumed < FIRST => Err(Trouble::Refused(format!(
                    "it was resumed at {resumed}, not at {FIRST}"
                ))),
                None if source.end() == Some(End::Completed) => Ok(()),
                other => Err(Trouble::Refused(format!(
                    "at the end: {other:?}, {:?}",
                    source.end()
                ))),
            }
        },
    )
}

/// Several consumers, of whom one joins late and one leaves early.
fn several(ground: &Ground) -> Outcome {
    let mut sink = publish(ground, "several")
        .buffer_size(4)
        .max_demand(8)
        .consumers(3)
        .open()
        .map_err(refused("publishing to several"))?;
    let join = || {
        subscribe(ground, "several")
            .initial_demand(4)
            .open()
            .map_err(refused("joining"))
    };
    let (mut one, mut other) = (join()?, join()?);
    both(
        move || {
            for element in 0..ELEMENTS {
                sink.put_deadline(element, ground.deadline())
                    .map_err(refused("putting to several"))?;
            }
            sink.complete_and_drain(ground.deadline())
                .map_err(refused("draining several"))
        },
        move || {
            take(&mut other, FIRST)?;
            other.cancel();
            let late = join();
            take(&mut one, ELEMENTS)?;
            let mut late = late?;
            let all = late.by_ref().count();
            match late.end() {
                Some(End::Completed) if all as u64 <= ELEMENTS => Ok(()),
                end => Err(Trouble::Refused(format!("the late one took {all}: {end:?}"))),
            }
        },
    )
}

/// Frames, a fault, and a producer that is dropped.
fn frames(ground: &Ground) -> Outcome {
    let mut sink = millstream::publish::<[u8]>("frames")
        .directory(&ground.directory)
        .max_frame(64)
        .buffer_size(4)
        .max_demand(4)
        .open()
        .map_err(refused("publishing frames"))?;
    let mut source = millstream::subscribe::<[u8]>("frames")
        .directory(&ground.directory)
        .initial_demand(4)
        .wait_for(ground.patience)
        .idle_timeout(Some(ground.patience))
        .open()
        .map_err(refused("subscribing to frames"))?;
    for at in 0..4_u8 {
        sink.put_deadline(&[at; 40], ground.deadline())
            .map_err(refused("putting a frame"))?;
    }
    drop(sink);
    for at in 0..4_u8 {
        match source.next().map(|frame| *frame == [at; 40]) {
            Some(true) => {}
            Some(false) => return Err(Trouble::Wrong(format!("frame {at} is another"))),
            None => return Err(Trouble::Refused(format!("taking frame {at}: {:?}", source.end()))),
        }
    }
    match source.next().map(|frame| frame.len()) {
        None if matches!(source.end(), Some(End::Failed(_))) => Ok(()),
        other => Err(Trouble::Refused(format!(
            "at the end of frames: {other:?}, {:?}",
            source.end()
        ))),
    }
}

/// What others see of what is published.
fn looked_at(ground: &Ground) -> Outcome {
    let sink = publish(ground, "looked-at")
        .open()
        .map_err(refused("publishing what is looked at"))?;
    let names = millstream::list(Some(ground.directory.clone())).map_err(refused("listing"))?;
    if names != ["looked-at"] && sink.is_closed() {
        return Err(Trouble::Refused(format!(
            "{names:?} are listed, and the sink is closed"
        )));
    }
    if names != ["looked-at"] {
        return Err(Trouble::Wrong(format!("{names:?} are listed")));
    }
    let mut seen =
        millstream::observe("looked-at", Some(ground.directory.clone())).map_err(refused("observing"))?;
    seen.refresh();
    if seen.position() != sink.position() {
        return Err(Trouble::Wrong(format!(
            "the position observed is {}",
            seen.position()
        )));
    }
    Ok(())
}

/// A durable stream in whatever state the run before has left it. Each element is the number of its position.
fn kept(ground: &Ground) -> Outcome {
    let directory = ground.directory.with_extension("files");
    std::fs::create_dir_all(&directory).map_err(refused("making a directory"))?;
    let file = directory.join("orders");
    let open = || {
        publish(ground, "kept")
            .durable(&file)
            .recover_synced()
            .buffer_size(64)
            .max_demand(16)
            .open()
    };
    let mut sink = open().map_err(refused("opening a file"))?;
    let begun = sink.position();
    let synced = begun + FIRST;
    let published = begun + ELEMENTS;
    let committed = Arc::new(AtomicU64::new(0));
    let sink = both(
        move || {
            for element in begun..published {
                sink.put_deadline(element, ground.deadline())
                    .map_err(refused("putting into a file"))?;
                if element + 1 == synced {
                    sink.sync().map_err(refused("syncing"))?;
                }
            }
            Ok(sink)
        },
        || commit(ground, published, &committed),
    )?;
    let position = sink.position();
    drop(sink);
    let reopened = open().map_err(refused("opening a file again"))?;
    if (position, reopened.position()) != (published, published) {
        return Err(Trouble::Wrong(format!(
            "{published} was published, the sink said {position}, and it is opened at {}",
            reopened.position()
        )));
    }
    drop(reopened);
    let report = millstream::verify(&file).map_err(refused("verifying"))?;
    if report.released != committed.load(Ordering::Relaxed) {
        return Err(Trouble::Wrong(format!(
            "{} was committed, and {} is released",
            committed.load(Ordering::Relaxed),
            report.released
        )));
    }
    let stream = OpenOptions::new().write(true).open(&file);
    stream
        .and_then(|stream| stream.write_all_at(&[7; 16], BOOT))
        .map_err(refused("writing another boot"))?;
    let recovered = open().map_err(refused("going back"))?;
    if recovered.position() != synced {
        return Err(Trouble::Wrong(format!(
            "it went back to {}, and {synced} was synced",
            recovered.position()
        )));
    }
    drop(recovered);
    for entry in std::fs::read_dir(&directory).map_err(refused("looking at what is left"))? {
        let name = entry.map_err(refused("looking at what is left"))?.file_name();
        let name = name.to_string_lossy();
        if name.contains("before-recovery") {
            std::fs::remove_file(directory.join(&*name)).map_err(refused("removing what was kept"))?;
        } else if !["orders", "orders.position", "orders.synced"].contains(&&*name) {
            return Err(Trouble::Wrong(format!("{name} is left")));
        }
    }
    Ok(())
}

/// Takes and commits up to `until`. The state is the position.
fn commit(ground: &Ground, until: u64, committed: &AtomicU64) -> Outcome {
    let mut source = subscribe(ground, "kept")
        .resumable("book")
        .initial_demand(16)
        .transactional::<u64>()
        .open()
        .map_err(refused("subscribing to a file"))?;
    if source.state().unwrap_or(0) != source.position() {
        return Err(Trouble::Wrong(format!(
            "the state {:?} stands at {}",
            source.state(),
            source.position()
        )));
    }
    while source.position() < until {
        let expected = source.position();
        match source.next_deadline(ground.deadline()) {
            Ok(Some(element)) if element == expected => source.commit(&(expected + 1)),
            Ok(Some(element)) => {
                return Err(Trouble::Wrong(format!(
                    "element {element} came in the place of {expected}"
                )));
            }
            Ok(None) => {
                return Err(Trouble::Refused(format!(
                    "committing element {expected}: {:?}",
                    source.end()
                )));
            }
            Err(error) => return Err(refused("committing")(error)),
        }
        committed.store(source.committed(), Ordering::Relaxed);
    }
    Ok(())
}
