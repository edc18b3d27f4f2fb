//! Descriptors: an actor can own a socket, and its worker watches it.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel as mpsc};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream::{
    Actor, ActorRef, ActorSystem, Context, Interest, IoId, Next, OneForOne, Readiness, SpawnOptions,
    WaitStrategy,
};

use crate::support::{LONG, Strings, mute, order, system, tests, until};

tests! {
    a_worker_that_sleeps_wakes_for_a_socket
    a_socket_is_heard_while_the_worker_is_busy
    a_server_of_actors
    what_is_watched_no_more_is_not_told
    readiness_that_was_told_can_still_be_given_up
    a_restart_and_a_stop_let_go_of_descriptors
    a_descriptor_is_watched_once_on_a_worker
    a_closed_descriptor_takes_no_other_ones_watch_along
    a_hang_up_is_told
    many_sockets_at_once
}

/// Reads a stream whenever it is ready, and passes on what it read.
struct Reader {
    socket: UnixStream,
    told: std::sync::mpsc::Sender<Vec<u8>>,
}

impl Actor for Reader {
    type Msg = Readiness;

    fn on_start(&mut self, context: &mut Context<'_, Readiness>) {
        context
            .watch_io(&self.socket, Interest::Readable, |ready| ready)
            .unwrap();
    }

    fn receive(&mut self, _: &mut Context<'_, Readiness>, ready: Readiness) -> Next<Self> {
        assert!(ready.readable);
        let mut bytes = [0; 64];
        loop {
            match self.socket.read(&mut bytes) {
                Ok(0) => return Next::Stop,
                Ok(length) => self.told.send(bytes[..length].to_vec()).unwrap(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Next::Same,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn reader(system: &ActorSystem, name: &str) -> (ActorRef<Readiness>, UnixStream, Receiver<Vec<u8>>) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let (told, heard) = mpsc();
    let reader = move || Reader {
        socket: near.try_clone().unwrap(),
        told: told.clone(),
    };
    (system.spawn(name, reader).unwrap(), far, heard)
}

fn a_worker_that_sleeps_wakes_for_a_socket() {
    for strategy in [
        WaitStrategy::park(),
        WaitStrategy::BusySpin,
        WaitStrategy::SpinThenYield { spins: 10 },
    ] {
        let system = ActorSystem::builder("test").wait(strategy).build().unwrap();
        let (actor, mut far, heard) = reader(&system, "reader");
        for number in 0..100u8 {
            if strategy == WaitStrategy::park() && number % 20 == 0 {
                let parks = system.workers()[0].parks;
                until(|| system.workers()[0].parks > parks);
            }
            far.write_all(&[number]).unwrap();
            assert_eq!(heard.recv().unwrap(), [number]);
        }
        drop(far);
        system.wait_stopped(&actor, LONG).unwrap();
    }
}

fn a_socket_is_heard_while_the_worker_is_busy() {
    let system = system(1);
    let busy = system.spawn("busy", mute()).unwrap();
    fn again(context: &mut Context<'_, crate::support::Do>) -> Next<crate::support::Puppet> {
        context.me().make(|_, context| again(context));
        Next::Same
    }
    busy.make(|_, context| again(context));
    let (_, mut far, heard) = reader(&system, "reader");
    for number in 0..100u8 {
        far.write_all(&[number]).unwrap();
        assert_eq!(heard.recv().unwrap(), [number]);
    }
}

fn a_server_of_actors() {
    let system = system(2);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let server = system.spawn("server", mute()).unwrap();
    server.get(move |_, context| {
        let listener = std::sync::Arc::new(listener);
        let accepts = listener.clone();
        let mut count = 0;
        let accept = move |_| {
            let mut streams = Vec::new();
            while let Ok((stream, _)) = accepts.accept() {
                count += 1;
                streams.push((count, stream));
            }
            order(move |_, context| {
                for (count, stream) in streams {
                    stream.set_nonblocking(true).unwrap();
                    let options = SpawnOptions::new().on_worker(count % 2);
                    context
                        .spawn_with(&count.to_string(), echo(stream), options)
                        .unwrap();
                }
                Next::Same
            })
        };
        context.watch_io(&*listener, Interest::Readable, accept).unwrap();
    });
    let mut clients: Vec<_> = (0..10).map(|_| TcpStream::connect(address).unwrap()).collect();
    for round in 0..20u8 {
        for client in &mut clients {
            client.write_all(&[round; 100]).unwrap();
        }
        for client in &mut clients {
            let mut answer = [0; 100];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(answer, [round; 100]);
        }
    }
    drop(clients);
    until(|| server.get(|_, context| context.children().is_empty()));
}

/// An actor that sends back what it reads.
fn echo(
    stream: TcpStream,
) -> impl millstream::Props<Msg = Readiness, Actor = millstream::Behaviour<Readiness>> {
    let mut stream = Some(stream);
    move || {
        let stream = stream.take().unwrap();
        millstream::setup(move |context| {
            context.watch_io(&stream, Interest::Both, |ready| ready).unwrap();
            millstream::receive(move |_, _| {
                let mut bytes = [0; 33];
                loop {
                    match (&stream).read(&mut bytes) {
                        Ok(0) => return Next::Stop,
                        Ok(length) => (&stream).write_all(&bytes[..length]).unwrap(),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => return Next::Same,
                        Err(_) => return Next::Stop,
                    }
                }
            })
        })
    }
}

/// Lets the puppet watch one end; told whenever that is ready.
fn watched(actor: &ActorRef<crate::support::Do>, near: &UdpSocket) -> (IoId, Receiver<Readiness>) {
    let (told, heard) = mpsc();
    let near = near.try_clone().unwrap();
    let id = actor.get(move |_, context| {
        let ready = move |readiness| {
            told.send(readiness).unwrap();
            crate::support::nothing()
        };
        let id = context.watch_io(&near, Interest::Readable, ready).unwrap();
        // The description stays open by the test's own descriptor; this one closes behind the worker's back.
        std::mem::forget(near);
        id
    });
    (id, heard)
}

fn socket() -> (UdpSocket, impl Fn()) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    (socket, move || {
        sender.send_to(b"x", address).unwrap();
    })
}

fn what_is_watched_no_more_is_not_told() {
    let system = system(1);
    let actor = system.spawn("actor", mute()).unwrap();
    let (near, send) = socket();
    let (id, heard) = watched(&actor, &near);
    send();
    heard.recv().unwrap();
    actor.get(move |_, context| {
        context.unwatch_io(id);
        context.unwatch_io(id);
    });
    assert!(heard.recv().is_err(), "the closure is gone");
    send();
    let (_, again) = watched(&actor, &near);
    assert!(again.recv().unwrap().readable);
}

/// Two descriptors are ready at once, and the message of either gives both up: nothing comes of the other one.
fn readiness_that_was_told_can_still_be_given_up() {
    let system = system(1);
    let actor = system.spawn("actor", mute()).unwrap();
    let (near, send) = socket();
    let (told, heard) = mpsc();
    actor.get(move |_, context| {
        let ids = Arc::new(Mutex::new(Vec::new()));
        for _ in 0..2 {
            let (told, own, twin) = (told.clone(), ids.clone(), near.try_clone().unwrap());
            let ready = move |_: Readiness| {
                let (told, ids) = (told.clone(), own.clone());
                order(move |_, context| {
                    told.send(()).unwrap();
                    ids.lock()
                        .unwrap()
                        .drain(..)
                        .for_each(|id| context.unwatch_io(id));
                    Next::Same
                })
            };
            ids.lock()
                .unwrap()
                .push(context.watch_io(&twin, Interest::Readable, ready).unwrap());
            std::mem::forget(twin);
        }
        send();
    });
    heard.recv().unwrap();
    actor.get(|_, _| ());
    assert_eq!(heard.iter().count(), 0);
}

fn a_restart_and_a_stop_let_go_of_descriptors() {
    let system = system(1);
    let options = SpawnOptions::new().supervisor(OneForOne::default());
    let actor = system.spawn_with("actor", mute(), options).unwrap();
    let (near, send) = socket();
    let (_, heard) = watched(&actor, &near);
    actor.fail("broken");
    assert!(heard.recv().is_err());
    let (_, heard) = watched(&actor, &near);
    send();
    heard.recv().unwrap();
    system.stop_and_wait(&actor, LONG).unwrap();
    assert!(heard.recv().is_err());
    let other = system.spawn("other", mute()).unwrap();
    let (_, heard) = watched(&other, &near);
    assert!(heard.recv().unwrap().readable);
}

fn a_descriptor_is_watched_once_on_a_worker() {
    let system = system(1);
    let actor = system.spawn("actor", mute()).unwrap();
    let (near, send) = socket();
    let (told, heard) = mpsc();
    let kind = actor.get(move |_, context| {
        let ready = move |_| {
            told.send(()).unwrap();
            crate::support::nothing()
        };
        context.watch_io(&near, Interest::Readable, ready).unwrap();
        let again = context
            .watch_io(&near, Interest::Readable, |_| panic!("refused"))
            .unwrap_err();
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let regular = context
            .watch_io(&file, Interest::Readable, |_| panic!("refused"))
            .unwrap_err();
        std::mem::forget(near);
        (again.kind(), regular.kind())
    });
    assert_eq!(kind, (ErrorKind::AlreadyExists, ErrorKind::InvalidInput));
    send();
    heard.recv().unwrap();
}

/// One actor closes its descriptor without a word; another one gets the same number for its own, and keeps its watch
/// when the first one stops.
fn a_closed_descriptor_takes_no_other_ones_watch_along() {
    let system = system(1);
    let careless = system.spawn("careless", mute()).unwrap();
    let careful = system.spawn("careful", mute()).unwrap();
    let (told, heard) = mpsc();
    let (near, send) = socket();
    let (given, gave) = mpsc();
    careless.get(move |_, context| {
        let (old, _) = socket();
        context
            .watch_io(&old, Interest::Readable, |_| crate::support::nothing())
            .unwrap();
        use std::os::fd::AsRawFd;
        given.send(old.as_raw_fd()).unwrap();
    });
    let number = gave.recv().unwrap();
    let same = careful.get(move |_, context| {
        // The lowest free number is the next one; other tests may take it, so hold on to whatever comes.
        let mut others = Vec::new();
        let near = loop {
            use std::os::fd::AsRawFd;
            let copy = near.try_clone().unwrap();
            if copy.as_raw_fd() == number {
                break copy;
            }
            others.push(copy);
            if others.len() > 200 {
                return false;
            }
        };
        let ready = move |_| {
            told.send(()).unwrap();
            crate::support::nothing()
        };
        context.watch_io(&near, Interest::Readable, ready).unwrap();
        std::mem::forget((near, others));
        true
    });
    system.stop_and_wait(&careless, LONG).unwrap();
    if same {
        send();
        heard.recv().unwrap();
    }
}

fn a_hang_up_is_told() {
    let system = system(1);
    let actor = system.spawn("actor", mute()).unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let (told, heard) = mpsc();
    actor.get(move |_, context| {
        let ready = move |readiness: Readiness| {
            told.send(readiness).unwrap();
            crate::support::nothing()
        };
        context.watch_io(&near, Interest::Both, ready).unwrap();
        std::mem::forget(near);
    });
    assert!(heard.recv().unwrap().writable);
    drop(far);
    let ready = heard.recv().unwrap();
    assert!(ready.closed && ready.readable);
}

fn many_sockets_at_once() {
    let system = system(2);
    let mut readers: Vec<_> = (0..100)
        .map(|number| reader(&system, &number.to_string()))
        .collect();
    // More than the worker takes from the kernel at a time.
    for (actor, _, _) in &readers {
        until(|| actor.waiting() == 0);
    }
    for round in 0..10u8 {
        for (_, far, _) in &mut readers {
            far.write_all(&[round]).unwrap();
        }
        for (_, _, heard) in &readers {
            assert_eq!(heard.recv_timeout(Duration::from_secs(30)).unwrap(), [round]);
        }
    }
}
