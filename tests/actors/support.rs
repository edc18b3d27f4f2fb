//! Systems, probes and puppets: what every test stands on.

use std::any::Any;
use std::panic::resume_unwind;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel as mpsc};
use std::thread;
use std::time::Duration;

use millstream::{
    Actor, ActorRef, ActorSystem, Context, Failure, Next, Props, ReplyTo, SpawnOptions, SystemRef, Workers,
    receive,
};

/// A deadline that no test reaches: what is still not there by then does not come.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// So many workers, wherever the kernel puts them.
pub(crate) fn system(workers: usize) -> ActorSystem {
    let builder = ActorSystem::builder("test").workers(Workers::unpinned(workers));
    builder.build().unwrap()
}

/// Runs the body on a thread of its own and fails when it hangs.
pub(crate) fn within(body: impl FnOnce() + Send + 'static) {
    let (done, outcome) = mpsc();
    let body = thread::spawn(move || {
        body();
        let _ = done.send(());
    });
    match outcome.recv_timeout(Duration::from_secs(60)) {
        // Disconnected: it panicked.
        Ok(()) | Err(RecvTimeoutError::Disconnected) => joined(body),
        Err(RecvTimeoutError::Timeout) => panic!("it hangs"),
    }
}

/// The result of a thread; its panic goes on here.
pub(crate) fn joined<R>(thread: thread::JoinHandle<R>) -> R {
    thread
        .join()
        .unwrap_or_else(|panic: Box<dyn Any + Send>| resume_unwind(panic))
}

/// Waits for a condition; the watchdog of `within` is the limit.
pub(crate) fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        thread::yield_now();
    }
}

/// Makes a test of each function, with a watchdog.
macro_rules! tests {
    ($($name:ident)+) => {
        mod watched {
            $(
                #[test]
                fn $name() {
                    crate::support::within(super::$name);
                }
            )+
        }
    };
}
pub(crate) use tests;

/// Whether this is the process that was started to run the test of this name alone. In the first one, starts that, and
/// waits until it is over: what a test counts there (threads, descriptors, processor time) is nobody else's.
pub(crate) fn is_alone(name: &str) -> bool {
    const ALONE: &str = "MILLSTREAM_ACTORS_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "no test of the name {name}: {said}");
    false
}

/// An actor that passes on whatever it is told.
pub(crate) fn probe<M: Send + 'static>(system: &SystemRef, name: &str) -> (ActorRef<M>, Receiver<M>) {
    probe_with(system, name, SpawnOptions::new())
}

pub(crate) fn probe_with<M: Send + 'static>(
    system: &SystemRef,
    name: &str,
    options: SpawnOptions<M>,
) -> (ActorRef<M>, Receiver<M>) {
    let (told, heard) = mpsc();
    let probe = move || {
        let told = told.clone();
        receive(move |_, message| {
            let _ = told.send(message);
            Next::Same
        })
    };
    (system.spawn_with(name, probe, options).unwrap(), heard)
}

/// What has happened to a puppet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Created,
    Started,
    Stopped,
    Restarts(Option<String>),
    Restarted,
    Dropped,
    /// A note of the test's own.
    Said(&'static str),
}

type Deed = Box<dyn FnOnce(&mut Puppet, &mut Context<'_, Do>) -> Next<Puppet> + Send>;

/// Something for a puppet to do.
pub(crate) struct Do(Deed);

/// Does on its worker what it is told, and says what happens to it.
pub(crate) struct Puppet {
    told: Sender<Life>,
    /// Messages handled since it was made.
    pub(crate) handled: u64,
}

impl Puppet {
    pub(crate) fn say(&self, what: &'static str) {
        let _ = self.told.send(Life::Said(what));
    }

    fn tell(&self, life: Life) {
        let _ = self.told.send(life);
    }
}

impl Actor for Puppet {
    type Msg = Do;

    fn receive(&mut self, context: &mut Context<'_, Do>, Do(deed): Do) -> Next<Self> {
        self.handled += 1;
        deed(self, context)
    }

    fn on_start(&mut self, _: &mut Context<'_, Do>) {
        self.tell(Life::Started);
    }

    fn on_stop(&mut self, _: &mut Context<'_, Do>) {
        self.tell(Life::Stopped);
    }

    fn before_restart(&mut self, _: &mut Context<'_, Do>, failure: Option<&Failure>) {
        self.tell(Life::Restarts(
            failure.map(|failure| failure.message().to_owned()),
        ));
    }

    fn after_restart(&mut self, _: &mut Context<'_, Do>) {
        self.tell(Life::Restarted);
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        self.tell(Life::Dropped);
    }
}

/// How to make a puppet that says what happens to it.
pub(crate) fn puppet(told: Sender<Life>) -> impl Props<Msg = Do, Actor = Puppet> {
    move || {
        let puppet = Puppet {
            told: told.clone(),
            handled: 0,
        };
        puppet.tell(Life::Created);
        puppet
    }
}

/// A puppet of which nothing but obedience is wanted.
pub(crate) fn mute() -> impl Props<Msg = Do, Actor = Puppet> {
    puppet(mpsc().0)
}

/// Whom a test pulls the strings of.
pub(crate) trait Strings {
    /// Lets it do something. Does not wait.
    fn make(&self, deed: impl FnOnce(&mut Puppet, &mut Context<'_, Do>) -> Next<Puppet> + Send + 'static);

    /// Lets it do something, and waits for what comes of it.
    fn get<R: Send + 'static>(
        &self,
        deed: impl FnOnce(&mut Puppet, &mut Context<'_, Do>) -> R + Send + 'static,
    ) -> R {
        let (told, heard) = mpsc();
        self.make(move |puppet, context| {
            let _ = told.send(deed(puppet, context));
            Next::Same
        });
        heard.recv().unwrap()
    }

    /// Lets it panic.
    fn fail(&self, why: &'static str) {
        self.make(move |_, _| panic!("{why}"));
    }

    /// Holds it, and its worker, up until what is returned is dropped.
    fn hold(&self) -> Sender<()> {
        let (release, released) = mpsc();
        let (begun, begins) = mpsc();
        self.make(move |_, _| {
            let _ = begun.send(());
            let _ = released.recv();
            Next::Same
        });
        begins.recv().unwrap();
        release
    }
}

impl Strings for ActorRef<Do> {
    fn make(&self, deed: impl FnOnce(&mut Puppet, &mut Context<'_, Do>) -> Next<Puppet> + Send + 'static) {
        self.tell(Do(Box::new(deed)));
    }
}

/// Everything said so far, and until the actor is gone.
pub(crate) fn life(heard: Receiver<Life>) -> Vec<Life> {
    heard.iter().collect()
}

/// An actor that answers each question with the number it was asked about.
pub(crate) fn echo(
    system: &SystemRef,
    name: &str,
    options: SpawnOptions<(u64, ReplyTo<u64>)>,
) -> ActorRef<(u64, ReplyTo<u64>)> {
    let echo = || {
        receive(|_, (number, reply): (u64, ReplyTo<u64>)| {
            reply.send(number);
            Next::Same
        })
    };
    system.spawn_with(name, echo, options).unwrap()
}

/// The actor still handles messages, and so does its worker.
pub(crate) fn assert_lives(actor: &ActorRef<Do>) {
    assert!(!actor.is_stopped());
    actor.get(|_, _| ());
}

/// A message that lets a puppet do nothing.
pub(crate) fn nothing() -> Do {
    Do(Box::new(|_, _| Next::Same))
}

/// A message that lets a puppet do something.
pub(crate) fn order(
    deed: impl FnOnce(&mut Puppet, &mut Context<'_, Do>) -> Next<Puppet> + Send + 'static,
) -> Do {
    Do(Box::new(deed))
}
