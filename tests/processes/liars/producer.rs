//! Producers that lie to a consumer, and to an observer: the answer, the memory, the descriptors, and what follows.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use super::descriptors::{SIZE, WRITER, memory, strangers, wrong_memory};
use super::settles;
use super::wire::{accept, bare, copies, hello, kind, listen, pair, receive, refusal, send, welcome};
use crate::stage::{Actor, Ground, Mapping};

const WINDOW: u64 = 64;

/// A consumer that calls whoever listens as `liar`, and has an honest stream besides.
struct Scene {
    ground: Ground,
    steady: millstream::SinkRef<u64>,
    consumer: Actor,
    held: String,
    listener: OwnedFd,
    _lock: File,
    /// The memory of a stream of `u64`, and its epoch.
    image: Vec<u8>,
    epoch: u64,
}

/// The next one who says hello. Others only look whether somebody listens, after a producer has hung up.
fn heard(listener: &OwnedFd) -> OwnedFd {
    loop {
        let connection = accept(listener);
        let (packet, _) = receive(&connection);
        if !packet.is_empty() {
            assert_eq!(kind(&packet), 1, "a hello");
            return connection;
        }
    }
}

impl Scene {
    fn new(test: &str) -> Self {
        let ground = Ground::new();
        let steady = ground.publish::<u64>("steady").open().unwrap();
        let model = ground
            .publish::<u64>(test)
            .buffer_size(64)
            .max_demand(WINDOW)
            .open()
            .unwrap();
        let mapping = Mapping::of(test)[0];
        let image = mapping.bytes(0, mapping.len);
        let epoch = mapping.load(104);
        drop(model);
        let consumer = ground.start("deceived_consumer", &[]);
        consumer.expect("HERE");
        let (listener, lock) = listen(&ground.dir, "liar");
        let mut scene = Self {
            ground,
            steady,
            consumer,
            held: String::new(),
            listener,
            _lock: lock,
            image,
            epoch,
        };
        // An honest answer comes through, so that what follows is refused for what is wrong with it.
        let (_ends, outcome) = scene.answer("elements", &scene.welcome(), |fds| fds);
        assert_eq!(outcome, "Ok None", "the liar can be honest");
        assert_eq!(scene.consumer.ask("drop"), "ok");
        scene.held = scene.consumer.ask("holdings");
        scene
    }

    fn welcome(&self) -> Vec<u8> {
        welcome(self.image.len(), self.epoch, WINDOW)
    }

    /// A credit page as it should be.
    fn credit(&self) -> Vec<u8> {
        let mut page = vec![0; 4096];
        page[..8].copy_from_slice(b"\x89MLC\r\n\x1a\n");
        page[8..16].copy_from_slice(&[2, 0, 0, 0, 128, 0, 0, 0]);
        page[16..24].copy_from_slice(&self.epoch.to_le_bytes());
        page[40..48].copy_from_slice(&WINDOW.to_le_bytes());
        page
    }

    /// Answers one call with this packet, and with honest descriptors as they are changed: the liar's ends, and what
    /// the caller says.
    fn answer(
        &mut self,
        verb: &str,
        packet: &[u8],
        change: impl FnOnce(Vec<OwnedFd>) -> Vec<OwnedFd>,
    ) -> ([OwnedFd; 2], String) {
        let (image, credit) = (memory(&self.image, WRITER), memory(&self.credit(), SIZE));
        let (bell, theirs) = pair();
        let fds = match verb {
            "observe" => change(vec![image]),
            _ => change(vec![image, credit, theirs]),
        };
        let (connection, outcome) = self.pass(verb, packet, &fds);
        ([bell, connection], outcome)
    }

    fn pass(&mut self, verb: &str, packet: &[u8], fds: &[OwnedFd]) -> (OwnedFd, String) {
        self.consumer.say(format_args!("{verb} liar"));
        let connection = heard(&self.listener);
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        send(&connection, packet, &fds);
        (connection, self.consumer.hear())
    }

    /// The other stream flows, and nothing is left of the liar.
    fn undisturbed(mut self) {
        assert_eq!(self.consumer.ask("drop"), "ok");
        settles(&mut self.consumer, &self.held);
        self.steady.put_slice(&[1, 2, 3]).unwrap();
        assert_eq!(self.consumer.ask("steady 3"), "3");
        drop(self.ground);
    }
}

#[test]
fn every_wrong_descriptor_is_refused_by_what_is_wrong_with_it() {
    let mut scene = Scene::new("wrong-descriptors");
    let (packet, image, credit) = (scene.welcome(), scene.image.clone(), scene.credit());
    let mut cases = 0;
    for verb in ["elements", "observe"] {
        for (what, fd, wanted) in wrong_memory(&image, WRITER) {
            let (_ends, outcome) = scene.answer(verb, &packet, |mut fds| {
                fds[0] = fd;
                fds
            });
            assert!(
                outcome.contains("Memory(") && outcome.contains(wanted),
                "{what}: {outcome}"
            );
            cases += 1;
        }
    }
    for (what, fd, wanted) in wrong_memory(&credit, SIZE) {
        let (_ends, outcome) = scene.answer("elements", &packet, |mut fds| {
            fds[1] = fd;
            fds
        });
        assert!(
            outcome.contains("Memory(") && outcome.contains(wanted),
            "{what}: {outcome}"
        );
        cases += 1;
    }
    let mut dumb = strangers();
    dumb.push(("memory", memory(&image, WRITER)));
    for (what, fd) in dumb {
        let (_ends, outcome) = scene.answer("elements", &packet, |mut fds| {
            fds[2] = fd;
            fds
        });
        assert!(outcome.contains("doorbell"), "{what} for a bell: {outcome}");
        cases += 1;
    }
    println!("{cases} descriptors refused");
    scene.undisturbed();
}

#[test]
fn too_few_and_too_many_descriptors_are_counted_and_closed() {
    let mut scene = Scene::new("miscounted");
    let packet = scene.welcome();
    let (extra, _other) = pair();
    for count in [0, 1, 2, 4, 5, 8, 60] {
        let (_ends, outcome) = scene.answer("elements", &packet, |mut fds| {
            fds.truncate(count);
            while fds.len() < count {
                fds.push(extra.try_clone().unwrap());
            }
            fds
        });
        assert!(outcome.contains("PeerCorrupt"), "{count}: {outcome}");
    }
    // They also come with what is no welcome.
    for packet in [refusal(8), bare(5), hello(1), vec![0; 30]] {
        for count in [1, 4, 60] {
            let fds: Vec<OwnedFd> = copies(&extra, count)
                .iter()
                .map(|fd| fd.try_clone_to_owned().unwrap())
                .collect();
            let (_connection, outcome) = scene.pass("elements", &packet, &fds);
            assert!(
                outcome.contains("PeerCorrupt") || outcome.contains("Busy"),
                "{outcome}"
            );
        }
    }
    scene.undisturbed();
}

#[test]
fn every_byte_of_a_welcome_may_be_wrong() {
    let mut scene = Scene::new("welcome-bytes");
    let right = scene.welcome();
    let mut accepted = Vec::new();
    for at in 0..right.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut packet = right.clone();
            packet[at] ^= change;
            let (_ends, outcome) = scene.answer("elements", &packet, |fds| fds);
            if outcome.starts_with("Ok") {
                accepted.push(at);
                assert_eq!(scene.consumer.ask("drop"), "ok");
            } else {
                let typed = ["PeerCorrupt", "Version", "Memory("];
                assert!(typed.iter().any(|name| outcome.contains(name)), "{at}: {outcome}");
            }
        }
    }
    accepted.dedup();
    // The minor version, the process as it calls itself, and what is for observers.
    assert!(
        accepted
            .iter()
            .all(|at| [10, 11, 20, 21, 22, 23, 68, 69, 70, 71].contains(at)),
        "{accepted:?}"
    );
    scene.undisturbed();
}

#[test]
fn every_byte_of_the_pages_may_be_wrong() {
    let mut scene = Scene::new("page-bytes");
    let (packet, image, credit) = (scene.welcome(), scene.image.clone(), scene.credit());
    let (mut accepted, mut refused) = (0, 0);
    for at in (0..256).chain(4096..4104).chain(10_000..10_288) {
        for change in [0x01, 0x80, 0xff] {
            // The credit page's bytes stand for those from 10,000 on.
            let (mut memory_bytes, mut credit_bytes) = (image.clone(), credit.clone());
            match at {
                10_000.. => credit_bytes[at - 10_000] ^= change,
                _ => memory_bytes[at] ^= change,
            }
            let (_ends, outcome) = scene.answer("elements", &packet, |mut fds| {
                fds[0] = memory(&memory_bytes, WRITER);
                fds[1] = memory(&credit_bytes, SIZE);
                fds
            });
            if outcome.starts_with("Ok") {
                accepted += 1;
                assert_eq!(scene.consumer.ask("drop"), "ok");
            } else {
                assert!(
                    outcome.contains("PeerCorrupt") || outcome.contains("Version"),
                    "{at}: {outcome}"
                );
                refused += 1;
            }
        }
    }
    // An observer looks at the same headers, and says what it sees or what is wrong.
    for at in 0..256 {
        let mut bytes = image.clone();
        bytes[at] ^= 0xff;
        let (_ends, outcome) = scene.answer("observe", &packet, |_| vec![memory(&bytes, WRITER)]);
        let typed = ["Ok ", "PeerCorrupt", "Version"];
        assert!(typed.iter().any(|name| outcome.contains(name)), "{at}: {outcome}");
    }
    println!("{refused} changed pages refused, {accepted} still consistent");
    assert!(refused > 500, "{refused} refused, {accepted} accepted");
    scene.undisturbed();
}

#[test]
fn an_answer_that_is_none_is_an_error_to_consumer_and_observer() {
    let mut scene = Scene::new("no-answer");
    for verb in ["elements", "observe"] {
        for packet in [
            hello(1),
            hello(2),
            bare(4),
            bare(5),
            bare(0),
            bare(77),
            vec![0; 7],
            vec![9; 150_000],
        ] {
            let (_ends, outcome) = scene.answer(verb, &packet, |fds| fds);
            assert!(outcome.contains("PeerCorrupt"), "{outcome}");
        }
        for code in 0..=40 {
            let (_ends, outcome) = scene.answer(verb, &refusal(code), |_| Vec::new());
            assert!(!outcome.starts_with("Ok"), "{outcome}");
        }
        // A hang-up instead of an answer.
        scene.consumer.say(format_args!("{verb} liar"));
        drop(heard(&scene.listener));
        let outcome = scene.consumer.hear();
        assert!(outcome.contains("PeerGone"), "{outcome}");
    }
    scene.undisturbed();
}

#[test]
fn a_credit_page_that_was_in_use_is_not_taken_again() {
    let mut scene = Scene::new("replayed");
    let packet = scene.welcome();
    let (_bell, theirs) = pair();
    let fds = [
        memory(&scene.image, WRITER),
        memory(&scene.credit(), SIZE),
        theirs,
    ];
    let (_connection, outcome) = scene.pass("elements", &packet, &fds);
    assert_eq!(outcome, "Ok None");
    assert_eq!(scene.consumer.ask("drop"), "ok");
    let (_connection, outcome) = scene.pass("elements", &packet, &fds);
    assert!(outcome.contains("PeerCorrupt"), "{outcome}");
    scene.undisturbed();
}

#[test]
fn holes_in_the_memory_read_as_nothing() {
    let mut scene = Scene::new("sparse");
    let (packet, image) = (scene.welcome(), scene.image.clone());
    // Memory that nobody ever reserved: the length is right, and there is nothing behind the first pages.
    let sparse = memory(&image[..8192], rustix::fs::SealFlags::empty());
    rustix::fs::ftruncate(&sparse, image.len() as u64).unwrap();
    rustix::fs::fcntl_add_seals(&sparse, WRITER).unwrap();
    let (_ends, outcome) = scene.answer("elements", &packet, |mut fds| {
        fds[0] = sparse;
        fds
    });
    assert_eq!(outcome, "Ok None");
    // And all of it, headers too, is a hole.
    let hole = memory(&[], rustix::fs::SealFlags::empty());
    rustix::fs::ftruncate(&hole, image.len() as u64).unwrap();
    rustix::fs::fcntl_add_seals(&hole, WRITER).unwrap();
    let (_ends, outcome) = scene.answer("elements", &packet, |mut fds| {
        fds[0] = hole;
        fds
    });
    assert!(
        outcome.contains("PeerCorrupt") && outcome.contains("magic"),
        "{outcome}"
    );
    scene.undisturbed();
}

#[test]
fn words_after_the_handshake_end_the_stream() {
    let mut scene = Scene::new("afterwards");
    let (packet, image, credit) = (scene.welcome(), scene.image.clone(), scene.credit());
    let (extra, _other) = pair();
    for (words, fds) in [
        (packet.clone(), 3),
        (bare(4), 0),
        (bare(5), 0),
        (bare(5), 60),
        (vec![0; 40], 4),
        (vec![1; 150_000], 0),
    ] {
        let (_bell, theirs) = pair();
        let passed = [memory(&image, WRITER), memory(&credit, SIZE), theirs];
        scene.consumer.say("elements liar");
        let connection = heard(&scene.listener);
        send(&connection, &packet, &passed.each_ref().map(AsFd::as_fd));
        scene.consumer.expect("Ok None");
        assert_eq!(kind(&receive(&connection).0), 4, "it confirms");
        send(&connection, &words, &copies(&extra, fds));
        let ended = scene.consumer.ask("next 20000");
        assert!(
            ended.contains("Some(PeerGone)") || ended.contains("Some(Evicted)"),
            "{ended}"
        );
        assert_eq!(scene.consumer.ask("drop"), "ok");
    }
    scene.undisturbed();
}

#[test]
fn a_hang_up_behind_the_welcome_is_the_end() {
    let mut scene = Scene::new("behind-the-welcome");
    let packet = scene.welcome();
    for _ in 0..20 {
        let (ends, outcome) = scene.answer("elements", &packet, |fds| fds);
        drop(ends);
        assert_eq!(outcome, "Ok None");
        let ended = scene.consumer.ask("next 20000");
        assert!(ended.contains("PeerGone"), "{ended}");
        assert_eq!(scene.consumer.ask("drop"), "ok");
        // Before it has confirmed.
        let (bell, theirs) = pair();
        let fds = [
            memory(&scene.image, WRITER),
            memory(&scene.credit(), SIZE),
            theirs,
        ];
        scene.consumer.say("elements liar");
        let connection = heard(&scene.listener);
        send(&connection, &packet, &fds.each_ref().map(AsFd::as_fd));
        drop((connection, bell));
        let outcome = scene.consumer.hear();
        assert!(outcome.contains("PeerGone") || outcome == "Ok None", "{outcome}");
        assert_eq!(scene.consumer.ask("drop"), "ok");
    }
    scene.undisturbed();
}

#[test]
fn a_flood_of_rings_does_not_hold_a_consumer_beyond_its_deadline() {
    let mut scene = Scene::new("ringing");
    let packet = scene.welcome();
    let (image, credit) = (scene.image.clone(), scene.credit());
    let (bell, theirs) = pair();
    let passed = [memory(&image, WRITER), memory(&credit, SIZE), theirs];
    scene.consumer.say("elements liar");
    let connection = heard(&scene.listener);
    send(&connection, &packet, &passed.each_ref().map(AsFd::as_fd));
    scene.consumer.expect("Ok None");
    let (stop, over) = std::sync::mpsc::channel::<()>();
    let ringer = std::thread::spawn(move || {
        while over.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            let fds = copies(&bell, 2);
            if !send(&bell, &[1; 200], &fds) {
                std::thread::yield_now();
            }
        }
    });
    let begun = Instant::now();
    let nothing = scene.consumer.ask("next 700");
    assert!(nothing.contains("TimedOut"), "{nothing}");
    assert!(begun.elapsed() >= Duration::from_millis(650));
    scene.steady.put_slice(&[1, 2]).unwrap();
    assert_eq!(scene.consumer.ask("steady 2"), "2");
    drop(stop);
    ringer.join().unwrap();
    drop((connection, passed));
    assert!(scene.consumer.ask("next 20000").contains("PeerGone"));
    scene.undisturbed();
}

#[test]
fn a_bell_that_is_another_kind_of_socket_is_only_late() {
    let mut scene = Scene::new("other-sockets");
    let packet = scene.welcome();
    let inet = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (stream, _end) = std::os::unix::net::UnixStream::pair().unwrap();
    for socket in [OwnedFd::from(inet), listening.into(), stream.into()] {
        let (ends, outcome) = scene.answer("elements", &packet, |mut fds| {
            fds[2] = socket;
            fds
        });
        assert_eq!(outcome, "Ok None");
        drop(ends);
        let ended = scene.consumer.ask("next 20000");
        assert!(
            ended.contains("PeerGone"),
            "its hang-up is heard by the connection: {ended}"
        );
        assert_eq!(scene.consumer.ask("drop"), "ok");
    }
    scene.undisturbed();
}
