//! What is refused, with the words for it, and what must not disturb a publisher.

use std::fs;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::Instant;

use millstream::{DirectoryError, PublishError, SubscribeError, SystemError};
use rustix::net::{AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketType};

use crate::stage::{Ground, LONGEST, Random};

#[millstream::element(name = "market.Quote")]
struct Quote {
    ts: i64,
    bid: f64,
    ask: f64,
}

mod other {
    #[millstream::element(name = "market.Quote")]
    pub(super) struct Quote {
        pub(super) ts: i64,
        pub(super) bid: f64,
        pub(super) offer: f64,
    }
}

#[test]
fn another_type_is_refused_and_the_field_is_named() {
    let ground = Ground::new();
    let mut producer = ground.start("producer", &[]);
    assert_eq!(producer.ask("open numbers"), "ok");
    let error = ground.subscribe::<i64>("numbers").open().unwrap_err();
    assert!(matches!(error, SubscribeError::Fingerprint { .. }), "{error}");
    assert!(
        error.to_string().contains("u64") && error.to_string().contains("i64"),
        "{error}"
    );

    let mut sink = ground.publish::<Quote>("quotes").open().unwrap();
    let error = ground.subscribe::<other::Quote>("quotes").open().unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, SubscribeError::Fingerprint { ours, theirs, .. } if ours != theirs),
        "{text}"
    );
    assert!(
        text.contains("ask") && text.contains("offer"),
        "both sides' field: {text}"
    );
    sink.put(Quote {
        ts: 1,
        bid: 2.0,
        ask: 3.0,
    })
    .unwrap();
    let mut source = ground.subscribe::<Quote>("quotes").open().unwrap();
    assert_eq!(
        source.next().map(|quote| (quote.ts, quote.bid, quote.ask)),
        Some((1, 2.0, 3.0))
    );
}

#[test]
fn another_kind_and_too_much_demand_are_refused() {
    let ground = Ground::new();
    let mut sink = ground.publish::<u64>("numbers").max_demand(100).open().unwrap();
    let _frames = ground.publish::<[u8]>("frames").open().unwrap();
    let error = ground.subscribe::<u64>("frames").open().unwrap_err();
    assert!(
        matches!(
            error,
            SubscribeError::Kind {
                ours: "elements",
                theirs: "frames",
                ..
            }
        ),
        "{error}"
    );
    let mut consumer = ground.start("consumer", &[]);
    let answer = consumer.ask("open numbers window=101");
    assert!(
        answer.contains("DemandTooLarge") && answer.contains("101") && answer.contains("100"),
        "{answer}"
    );
    let answer = consumer.ask("open numbers window=0");
    assert!(answer.contains("ZeroDemand"), "{answer}");
    assert_eq!(consumer.ask("open numbers window=100"), "ok");
    sink.put(1).unwrap();
    assert_eq!(consumer.ask("next"), "item 1");
}

fn connect(ground: &Ground, name: &str) -> OwnedFd {
    let flags = rustix::net::SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    let address = SocketAddrUnix::new(ground.dir.join(format!("{name}.sock"))).unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    socket
}

fn send(socket: &OwnedFd, packet: &[u8]) {
    let mut none = SendAncillaryBuffer::new(&mut []);
    // A publisher that has closed the connection already has refused it.
    let _ = rustix::net::sendmsg(socket, &[IoSlice::new(packet)], &mut none, SendFlags::NOSIGNAL);
}

/// The answer; empty when the publisher hung up.
fn receive(socket: &OwnedFd) -> Vec<u8> {
    let mut packet = [MaybeUninit::uninit(); 1 << 17];
    match rustix::net::recv(socket, &mut packet[..], RecvFlags::empty()) {
        Ok(((received, _), _)) => received.to_vec(),
        Err(_) => Vec::new(),
    }
}

/// The first 16 bytes of any message, in any version.
fn head(major: u16, minor: u16, length: u32) -> Vec<u8> {
    let mut bytes = b"\x89MLH\r\n\x1a\n".to_vec();
    bytes.extend(major.to_le_bytes());
    bytes.extend(minor.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes
}

#[test]
fn another_version_is_told_both_numbers() {
    let ground = Ground::new();
    let mut producer = ground.start("producer", &[]);
    assert_eq!(producer.ask("open numbers"), "ok");
    for (major, minor, tail) in [(1u16, 7u16, 0usize), (0, 0, 3), (u16::MAX, 1, 500)] {
        let socket = connect(&ground, "numbers");
        let mut packet = head(major, minor, 16 + tail as u32);
        packet.resize(16 + tail, 0xaa);
        send(&socket, &packet);
        let answer = receive(&socket);
        assert_eq!(&answer[..8], b"\x89MLH\r\n\x1a\n");
        assert_eq!(answer[8..10], 2u16.to_le_bytes(), "our major");
        assert_eq!(answer[16..18], 3u16.to_le_bytes(), "a refusal");
        assert_eq!(answer[18..20], 1u16.to_le_bytes(), "for the version");
        let theirs = u64::from(major) << 16 | u64::from(minor);
        assert_eq!(answer[24..32], (2u64 << 16 | 1).to_le_bytes(), "our version");
        assert_eq!(answer[32..40], theirs.to_le_bytes());
        assert_eq!(receive(&socket), b"", "and the connection is closed");
    }
}

#[test]
fn garbage_costs_one_connection() {
    let mut random = Random::new("garbage");
    let ground = Ground::new();
    let mut producer = ground.start("producer", &[]);
    assert_eq!(producer.ask("open numbers"), "ok");
    let mut source = ground.subscribe::<u64>("numbers").open().unwrap();
    for round in 0..300u64 {
        let socket = connect(&ground, "numbers");
        let len = random.of(&[1usize, 7, 15, 16, 17, 55, 56, 60, 72, 500, 66_000]);
        let mut packet: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        if round % 2 == 0 && len >= 20 {
            // A hello to the eye.
            packet[..16].copy_from_slice(&head(2, 0, len as u32));
            packet[16..18].copy_from_slice(&random.of(&[1u16, 1, 2, 3, 4]).to_le_bytes());
            if len >= 56 {
                packet[18] = random.of(&[1, 2, 9]);
                packet[19] = random.of(&[0, 1, 2, 9]);
                packet[22..24].fill(0);
                packet[52..56].copy_from_slice(&0x0102_0304u32.to_le_bytes());
            }
        }
        send(&socket, &packet);
        if round % 3 == 0 {
            drop(receive(&socket));
        }
        drop(socket);
        assert_eq!(producer.ask(format!("put {round} {}", round + 1)), "ok");
        assert_eq!(source.next(), Some(round), "the stream goes on");
    }
}

#[test]
fn a_hundred_silent_connections_do_not_keep_others_out() {
    let ground = Ground::new();
    let mut producer = ground.start("producer", &[]);
    assert_eq!(producer.ask("open numbers"), "ok");
    let silent: Vec<OwnedFd> = (0..100).map(|_| connect(&ground, "numbers")).collect();
    let before = Instant::now();
    let mut source = ground.subscribe::<u64>("numbers").open().unwrap();
    println!(
        "subscribed behind a hundred silent connections after {:?}",
        before.elapsed()
    );
    assert_eq!(producer.ask("put 0 1"), "ok");
    assert_eq!(source.next(), Some(0));
    // Each is answered or hung up on.
    for socket in &silent {
        drop(receive(socket));
    }
}

#[test]
fn a_directory_that_is_not_ours_alone_is_refused() {
    let ground = Ground::new();
    let open = |path: &Path| {
        let error = millstream::publish::<u64>("x")
            .directory(path)
            .open()
            .map(drop)
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains(path.to_str().unwrap()), "the path is told: {text}");
        match error {
            PublishError::Directory(error) => error,
            error => panic!("{error:?}"),
        }
    };
    let beside = |name: &str, mode: u32| {
        let path = ground.beside(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    for mode in [0o755, 0o770, 0o701, 0o1777] {
        let error = open(&beside(&format!("{mode:o}"), mode));
        assert!(
            matches!(error, DirectoryError::WrongMode { mode: found, .. } if found == mode),
            "{error}"
        );
        assert!(error.to_string().contains(&format!("{mode:04o}")), "{error}");
    }
    let target = beside("target", 0o700);
    let link = ground.beside("link");
    symlink(&target, &link).unwrap();
    assert!(matches!(open(&link), DirectoryError::Link { .. }));
    assert_eq!(
        fs::read_dir(&target).unwrap().count(),
        0,
        "nothing is made behind a link"
    );
    let file = ground.beside("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(open(&file), DirectoryError::NotADirectory { .. }));
    assert!(matches!(
        open(&ground.beside("no/such")),
        DirectoryError::NotFound { .. }
    ));
    let foreign = beside("foreign", 0o700);
    if chown(&foreign, Some(54_321), None).is_ok() {
        let error = open(&foreign);
        assert!(
            matches!(error, DirectoryError::WrongOwner { owner: 54_321, .. }),
            "{error}"
        );
    } else {
        println!("NOT TESTED: a directory of another user, which only root can make");
    }
    let error = millstream::publish::<u64>("x")
        .directory("/proc/self")
        .open()
        .map(drop)
        .unwrap_err();
    assert!(matches!(error, PublishError::Directory(_)), "{error}");
    println!("{error}");
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error_that_says_so() {
    let ground = Ground::new();
    let target = ground.beside("mount");
    fs::create_dir(&target).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o500)).unwrap();
    if rustix::process::geteuid().is_root() {
        println!("NOT TESTED: a directory without write permission, which root does not need");
    } else {
        let error = millstream::publish::<u64>("x")
            .directory(&target)
            .open()
            .map(drop)
            .unwrap_err();
        assert!(
            matches!(error, PublishError::System(SystemError::Permission { .. })),
            "{error}"
        );
    }
    // /sys is mounted for reading only in most containers, and takes no new directories elsewhere.
    let error = millstream::publish::<u64>("x")
        .directory("/sys/millstream")
        .open()
        .map(drop)
        .unwrap_err();
    assert!(
        matches!(error, PublishError::Directory(DirectoryError::System(_))),
        "{error:?}"
    );
    println!("{error}");
}

#[test]
fn names_that_are_none() {
    let ground = Ground::new();
    for name in [
        "",
        ".",
        "..",
        ".x",
        "a/b",
        "../x",
        "a b",
        "a\0b",
        "ä",
        &"n".repeat(81),
    ] {
        let error = ground.publish::<u64>(name).open().map(drop).unwrap_err();
        assert!(
            matches!(&error, PublishError::InvalidName(bad) if bad.name == name),
            "{error}"
        );
        let error = ground.subscribe::<u64>(name).open().map(drop).unwrap_err();
        assert!(
            matches!(&error, SubscribeError::InvalidName(bad) if bad.name == name),
            "{error}"
        );
        let error = ground
            .subscribe::<u64>("x")
            .resumable(name)
            .open()
            .map(drop)
            .unwrap_err();
        assert!(matches!(&error, SubscribeError::InvalidName(_)), "{error}");
    }
    assert!(!ground.dir.exists(), "nothing was made for them");
}

#[test]
fn a_name_is_published_once_and_its_holder_is_told() {
    let ground = Ground::new();
    let mut producer = ground.start("producer", &[]);
    assert_eq!(producer.ask("open numbers"), "ok");
    let error = ground.publish::<u64>("numbers").open().map(drop).unwrap_err();
    assert!(
        matches!(error, PublishError::NameTaken { pid, .. } if pid == Some(producer.pid)),
        "{error}"
    );
    assert_eq!(producer.ask("put 0 1"), "ok");
    let mut source = ground.subscribe::<u64>("numbers").open().unwrap();
    assert_eq!(source.next(), Some(0));
}

/// As somebody does who tidies up by hand, or a system that deletes what it takes for old.
#[test]
fn a_name_whose_files_were_deleted_is_free_and_stays_with_who_takes_it() {
    let ground = Ground::new();
    for files in [&["numbers.lock"][..], &["numbers.lock", "numbers.sock"]] {
        let publish = || ground.publish::<u64>("numbers").open();
        let subscribe = || ground.subscribe::<u64>("numbers").open();
        let mut old = publish().unwrap();
        let mut of_old = subscribe().unwrap();
        for file in files {
            fs::remove_file(ground.dir.join(file)).unwrap();
        }
        let mut new = publish().unwrap();
        let mut of_new = subscribe().unwrap();
        // Each pair goes on, and they are not crossed.
        for element in 0..10 {
            old.put(element).unwrap();
            new.put(100 + element).unwrap();
            assert_eq!(of_old.next(), Some(element));
            assert_eq!(of_new.next(), Some(100 + element));
        }
        drop(old);
        assert!(of_old.next().is_none());
        drop(of_old);
        assert_eq!(ground.files().len(), 2, "the name is that of the living");
        assert!(matches!(publish(), Err(PublishError::NameTaken { .. })));
        drop((new, of_new));
        assert_eq!(ground.files().len(), 0);
    }
}

#[test]
fn streams_outlive_their_directory_and_the_next_ones_have_a_new_one() {
    let ground = Ground::new();
    let mut old = ground.start("producer", &[]);
    assert_eq!(old.ask("open numbers"), "ok");
    let mut source = ground.subscribe::<u64>("numbers").reconnect().open().unwrap();
    fs::remove_dir_all(&ground.dir).unwrap();
    assert_eq!(old.ask("put 0 1"), "ok");
    let deadline = Instant::now() + LONGEST;
    assert_eq!(source.next_deadline(deadline), Ok(Some(0)));
    old.kill();
    let mut new = ground.publish::<u64>("numbers").open().unwrap();
    new.put(2).unwrap();
    assert_eq!(source.next_deadline(deadline), Ok(Some(2)));
    assert_eq!(source.epoch(), 1);
}
