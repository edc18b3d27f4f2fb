//! Peers that do everything wrong.

use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::Instant;

use rustix::io::Errno;

use super::ground::*;
use crate::memory::{MemoryError, MemoryOptions, SharedMemory};
use crate::primitive::Arc;
use crate::process::SubscribeError;
use crate::process::call::call;
use crate::process::directory::{Circle, Missing, RuntimeDirectory};
use crate::process::name::Name;
use crate::process::socket::{self, Receipt};
use crate::process::subscription::{Subscription, SubscriptionSettings};
use crate::process::wire::{Code, Hello, Join, Kind, LONGEST_MESSAGE, Message, Refusal, Role, Welcome};
use crate::ring::page::{ENDIAN_MARK, StreamHeader};

fn directory(ground: &Ground) -> Arc<RuntimeDirectory> {
    Arc::new(RuntimeDirectory::open(ground.dir.clone(), Missing::Create, Circle::Own).unwrap())
}

fn connect(ground: &Ground) -> OwnedFd {
    let end = Instant::now() + WATCHDOG;
    loop {
        match socket::connect(&directory(ground), &Name::new("quotes").unwrap()) {
            Ok(connection) => return connection,
            Err(Errno::AGAIN) if Instant::now() < end => thread::yield_now(),
            Err(errno) => panic!("{errno}"),
        }
    }
}

fn hello() -> Hello {
    Hello {
        role: Role::Consumer,
        kind: Kind::Elements,
        any_type: false,
        resumable: false,
        membarrier: false,
        endian: ENDIAN_MARK,
        window: 16,
        fingerprint: header().fingerprint,
        subscription: String::new(),
        schema: vec![],
        join: Join::default(),
    }
}

/// The next packet, or `None` at the hang-up.
fn hear(connection: &OwnedFd) -> Option<Message> {
    let mut packet = vec![0; LONGEST_MESSAGE];
    assert!(
        readable(connection, Instant::now() + WATCHDOG),
        "neither an answer nor a hang-up"
    );
    match socket::receive(connection, &mut packet, 3).unwrap() {
        Receipt::Packet(len, _) => Some(Message::decode(&packet[..len]).unwrap()),
        Receipt::HungUp => None,
        other => panic!("{other:?}"),
    }
}

fn refusal(connection: &OwnedFd) -> Code {
    match hear(connection) {
        Some(Message::Refusal(refusal)) => {
            assert_eq!(hear(connection), None, "a hang-up follows");
            refusal.code
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn garbage_is_refused_at_once_and_disturbs_nobody() {
    let ground = Ground::new();
    let publication = ground.publish("quotes").unwrap();
    let _subscription = ground.subscribe("quotes").unwrap();
    let _arrival = await_arrival(&publication);
    let mut garbage = vec![vec![0], vec![0xff; 16], vec![7; 100_000], Message::Ready.encode()];
    garbage.push(Message::Refusal(Refusal::new(Code::Busy)).encode());
    let honest = Message::Hello(hello()).encode();
    garbage.extend((1..honest.len()).step_by(7).map(|len| honest[..len].to_vec()));
    for packet in garbage {
        let connection = connect(&ground);
        socket::send(&connection, &packet, &[]).unwrap();
        assert_eq!(refusal(&connection), Code::Malformed);
    }
    let connection = self::connect(&ground);
    socket::send(&connection, &honest, &[connection.as_fd()]).unwrap();
    assert_eq!(
        refusal(&connection),
        Code::Malformed,
        "descriptors are not taken from strangers"
    );

    let mut newer = honest.clone();
    newer[8] = 9;
    let connection = self::connect(&ground);
    socket::send(&connection, &newer, &[]).unwrap();
    match hear(&connection) {
        Some(Message::Refusal(Refusal {
            code: Code::Version,
            ours: 0x2_0001,
            theirs: 0x9_0001,
            ..
        })) => {}
        other => panic!("{other:?}"),
    }
    let foreign = Hello {
        endian: ENDIAN_MARK.swap_bytes(),
        ..hello()
    };
    let connection = self::connect(&ground);
    socket::send(&connection, &Message::Hello(foreign).encode(), &[]).unwrap();
    assert_eq!(refusal(&connection), Code::Endian);
    let nameless = Hello {
        resumable: true,
        ..hello()
    };
    let connection = self::connect(&ground);
    socket::send(&connection, &Message::Hello(nameless).encode(), &[]).unwrap();
    assert_eq!(refusal(&connection), Code::Malformed);
    assert_eq!(bits(publication.notice()), 0);
}

#[test]
fn half_open_connections_are_closed_after_a_time() {
    let ground = Ground::new();
    let publication = ground.publish("quotes").unwrap();
    let begun = Instant::now();
    let silent: Vec<_> = (0..64).map(|_| connect(&ground)).collect();
    let one_more = connect(&ground);
    assert_eq!(refusal(&one_more), Code::Busy);
    assert!(matches!(
        ground.subscribe("quotes"),
        Err(SubscribeError::Busy { .. })
    ));
    let deadline = Some(Instant::now() + WATCHDOG);
    let subscription = Subscription::open(SubscriptionSettings {
        deadline,
        ..ground.subscription("quotes")
    });
    let _subscription = subscription.unwrap();
    assert!(silent.iter().all(|connection| hear(connection).is_none()));
    assert!(begun.elapsed().as_millis() >= 1000);
    await_arrival(&publication);
}

#[test]
fn a_consumer_that_dies_in_the_handshake_ends_nothing() {
    let ground = Ground::new();
    let publication = ground.publish("quotes").unwrap();
    let name = Name::new("quotes").unwrap();
    for _ in 0..20 {
        let answer = call(&directory(&ground), &name, &hello(), None).unwrap();
        let other = ground.subscribe("quotes");
        assert!(matches!(other, Err(SubscribeError::AlreadySubscribed { .. })));
        drop(answer);
        let gone = connect(&ground);
        socket::send(&gone, &Message::Hello(hello()).encode(), &[]).unwrap();
    }
    // Whoever says hello twice is confused.
    let confused = connect(&ground);
    socket::send(&confused, &Message::Hello(hello()).encode(), &[]).unwrap();
    assert!(matches!(hear(&confused), Some(Message::Welcome(_))));
    socket::send(&confused, &Message::Hello(hello()).encode(), &[]).unwrap();
    assert_eq!(refusal(&confused), Code::Malformed);
    assert_eq!(bits(publication.notice()), 0);
    let _subscription = ground.subscribe("quotes").unwrap();
    await_arrival(&publication);
}

#[test]
fn a_consumer_that_talks_after_the_handshake_is_gone() {
    let ground = Ground::new();
    let publication = ground.publish("quotes").unwrap();
    let name = Name::new("quotes").unwrap();
    let answer = call(&directory(&ground), &name, &hello(), None).unwrap();
    socket::send(&answer.connection, &Message::Ready.encode(), &[]).unwrap();
    await_arrival(&publication);
    assert_eq!(bits(publication.notice()), 0);
    socket::send(&answer.connection, b"and another thing", &[]).unwrap();
    await_bits(publication.notice(), crate::process::GONE);
    assert_eq!(hear(&answer.connection), None);
}

/// Answers one call as a producer would, or rather not.
fn impostor(answer: &[u8], fds: &[&OwnedFd]) -> SubscribeError {
    let ground = Ground::new();
    let listener = socket::listen(&directory(&ground), &Name::new("quotes").unwrap()).unwrap();
    thread::scope(|scope| {
        let consumer = scope.spawn(|| ground.subscribe("quotes").unwrap_err());
        assert!(readable(&listener, Instant::now() + WATCHDOG));
        let connection = socket::accept(&listener).unwrap().unwrap();
        assert!(matches!(hear(&connection), Some(Message::Hello(_))));
        let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
        if !answer.is_empty() {
            socket::send(&connection, answer, &fds).unwrap();
        }
        drop(connection);
        consumer.join().unwrap()
    })
}

fn welcome() -> Welcome {
    Welcome {
        pid: 1,
        membarrier: false,
        durable: false,
        memory_len: LEN as u64,
        epoch: 77,
        start: header().base,
        start_byte: 0,
        window: 16,
        consumer: None,
        consumers: 0,
    }
}

/// The lie that a consumer finds when the producer passes this.
fn lie(welcome: Welcome, header: &StreamHeader, credit: &SharedMemory) -> &'static str {
    let memory = stream_memory(header).fd().try_clone_to_owned().unwrap();
    let credit = credit.fd().try_clone_to_owned().unwrap();
    let (bell, _other) = socket::pair().unwrap();
    match impostor(&Message::Welcome(welcome).encode(), &[&memory, &credit, &bell]) {
        SubscribeError::PeerCorrupt { word, .. } => word,
        other => panic!("{other}"),
    }
}

/// A credit page as an honest producer makes it, with one word changed.
fn credit_page(at: usize, change: u64) -> SharedMemory {
    let page = SharedMemory::create("test", 4096, MemoryOptions::default()).unwrap();
    let base = header().base;
    for (offset, word) in [
        (0, u64::from_le_bytes(*b"\x89MLC\r\n\x1a\n")),
        (8, 2 | 128 << 32),
        (16, 77),
        (24, base),
        (40, 16),
        (256, base),
        (264, base),
    ] {
        page.store(offset, word);
    }
    page.store(at, page.load(at).unwrap() ^ change);
    page.seal_size().unwrap();
    page
}

#[test]
fn a_producer_that_answers_nonsense_is_corrupt() {
    assert!(matches!(impostor(b"", &[]), SubscribeError::PeerGone { .. }));
    for (answer, wanted) in [
        (vec![0; 20], "magic"),
        (vec![1; 3], "message length"),
        (vec![1; 200_000], "message length"),
        (Message::Ready.encode(), "message type"),
        (Message::Hello(hello()).encode(), "message type"),
        (
            Message::Refusal(Refusal::new(Code::Malformed)).encode(),
            "refusal",
        ),
        (Message::Welcome(welcome()).encode(), "descriptors"),
    ] {
        let error = impostor(&answer, &[]);
        assert!(
            matches!(error, SubscribeError::PeerCorrupt { word, .. } if word == wanted),
            "{error}"
        );
    }
    let mut newer = Message::Welcome(welcome()).encode();
    newer[8] = 3;
    let error = impostor(&newer, &[]);
    assert!(
        matches!(
            error,
            SubscribeError::Version {
                ours: (2, 1),
                theirs: (3, 1),
                ..
            }
        ),
        "{error}"
    );
    let refusal = Refusal::values(Code::Version, 3 << 16 | 1, 2 << 16);
    let error = impostor(&Message::Refusal(refusal).encode(), &[]);
    assert!(
        matches!(
            error,
            SubscribeError::Version {
                ours: (2, 1),
                theirs: (3, 1),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_producer_that_lies_about_its_pages_is_corrupt() {
    let honest = credit_page(512, 0);
    assert_eq!(
        lie(
            Welcome {
                window: 17,
                ..welcome()
            },
            &header(),
            &honest
        ),
        "credit window"
    );
    assert_eq!(
        lie(
            Welcome {
                window: 17,
                ..welcome()
            },
            &header(),
            &credit_page(40, 1)
        ),
        "window"
    );
    assert_eq!(
        lie(
            Welcome {
                epoch: 78,
                ..welcome()
            },
            &header(),
            &honest
        ),
        "epoch"
    );
    assert_eq!(
        lie(
            Welcome {
                start: 0,
                ..welcome()
            },
            &header(),
            &honest
        ),
        "credit start"
    );
    assert_eq!(
        lie(
            Welcome {
                start_byte: 8,
                ..welcome()
            },
            &header(),
            &honest
        ),
        "credit start_byte"
    );
    let other = StreamHeader {
        fingerprint: [4; 16],
        ..header()
    };
    assert_eq!(lie(welcome(), &other, &honest), "fingerprint");
    let other = StreamHeader {
        max_demand: 15,
        ..header()
    };
    assert_eq!(lie(welcome(), &other, &honest), "window");
    let other = StreamHeader {
        blocks: 65,
        ..header()
    };
    assert_eq!(lie(welcome(), &other, &honest), "blocks");
    for (at, wanted) in [
        (0, "credit magic"),
        (8, "credit major"),
        (12, "credit header_len"),
        (16, "credit epoch"),
        (24, "credit start"),
        (32, "credit start_byte"),
        (40, "credit window"),
        (128, "control"),
        (256, "granted"),
        (264, "released"),
        (272, "released bytes"),
    ] {
        let change = if at == 12 { 1 << 32 } else { 1 };
        assert_eq!(lie(welcome(), &header(), &credit_page(at & !7, change)), wanted);
    }
    // No start before the stream's first position.
    let early = Welcome {
        start: header().base - 1,
        ..welcome()
    };
    let page = credit_page(24, header().base ^ early.start);
    assert_eq!(lie(early, &header(), &page), "credit start");
}

#[test]
fn a_producer_that_passes_unsafe_memory_is_refused() {
    let answer = Message::Welcome(welcome()).encode();
    let own = |memory: &SharedMemory| memory.fd().try_clone_to_owned().unwrap();
    let (bell, _other) = socket::pair().unwrap();
    let honest = own(&stream_memory(&header()));
    let credit = own(&credit_page(512, 0));
    let open = own(&SharedMemory::create("test", LEN, MemoryOptions::default()).unwrap());
    let short = SharedMemory::create("test", 2048, MemoryOptions::default()).unwrap();
    short.seal_size().unwrap();
    let short = own(&short);
    for (fds, sealed) in [
        ([&open, &credit, &bell], false),
        ([&credit, &credit, &bell], true),
        ([&honest, &short, &bell], true),
        ([&honest, &honest, &bell], true),
        ([&bell, &credit, &bell], true),
    ] {
        match impostor(&answer, &fds) {
            SubscribeError::Memory(MemoryError::NotSealed { .. }) => assert!(!sealed),
            SubscribeError::Memory(MemoryError::WrongLength { .. }) => assert!(sealed),
            other => panic!("{other}"),
        }
    }
    let error = impostor(&answer, &[&honest, &credit, &honest]);
    assert!(
        matches!(error, SubscribeError::PeerCorrupt { word: "doorbell", .. }),
        "{error}"
    );
    let error = impostor(&answer, &[&honest, &credit]);
    assert!(
        matches!(
            error,
            SubscribeError::PeerCorrupt {
                word: "descriptors",
                value: 2,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_producer_that_never_answers_is_waited_for_until_the_deadline() {
    let ground = Ground::new();
    let _listener = socket::listen(&directory(&ground), &Name::new("quotes").unwrap()).unwrap();
    let _claim = crate::process::claim::Claim::take(&directory(&ground), &Name::new("other").unwrap());
    let deadline = Some(Instant::now() + std::time::Duration::from_millis(50));
    let error = Subscription::open(SubscriptionSettings {
        deadline,
        ..ground.subscription("quotes")
    });
    match error.unwrap_err() {
        SubscribeError::TimedOut { last, .. } => assert!(last.contains("does not answer"), "{last}"),
        other => panic!("{other}"),
    }
    match ground.subscribe("quotes").unwrap_err() {
        SubscribeError::Unresponsive { pid, .. } => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other}"),
    }
}
