//! A stream for several consumers, and those who call and do not come.

use std::time::Instant;

use rustix::io::Errno;

use super::ground::*;
use crate::element::Element;
use crate::primitive::Arc;
use crate::process::SubscribeError;
use crate::process::call::{Answer, call};
use crate::process::directory::{Circle, Missing, RuntimeDirectory};
use crate::process::name::Name;
use crate::process::socket::{self, Receipt};
use crate::process::wire::{Hello, Join, Kind, LONGEST_MESSAGE, Message, Role};
use crate::ring::JoinPosition;
use crate::ring::page::ENDIAN_MARK;
use crate::stream::{SinkRef, publish};

fn hello(subscription: &str) -> Hello {
    Hello {
        role: Role::Consumer,
        kind: Kind::Elements,
        any_type: false,
        resumable: !subscription.is_empty(),
        membarrier: false,
        endian: ENDIAN_MARK,
        window: 4,
        fingerprint: u64::schema().fingerprint().to_bytes(),
        subscription: subscription.into(),
        schema: vec![],
        join: Join::default(),
    }
}

fn sink(ground: &Ground, consumers: usize) -> SinkRef<u64> {
    let builder = publish::<u64>("quotes").consumers(consumers).buffer_size(2);
    builder.directory(&ground.dir).open().unwrap()
}

fn knock(ground: &Ground, hello: &Hello) -> Result<Answer, SubscribeError> {
    let directory = Arc::new(RuntimeDirectory::open(ground.dir.clone(), Missing::Fail, Circle::Own).unwrap());
    call(&directory, &Name::new("quotes").unwrap(), hello, None)
}

/// Knocks until it is let in: the one before may seem to be there for a moment, while another test's child process, which has
/// copies of all descriptors until it runs its program, begins.
fn invited(ground: &Ground, hello: &Hello) -> Answer {
    let mut answer = None;
    eventually(|| {
        answer = knock(ground, hello).ok();
        answer.is_some()
    });
    answer.unwrap()
}

#[test]
fn the_start_is_held_during_the_handshake_and_given_up_with_it() {
    let ground = Ground::new();
    let mut sink = sink(&ground, 1);
    for _ in 0..20 {
        let answer = invited(&ground, &hello(""));
        assert_eq!((answer.fds.len(), answer.welcome.start), (4, 0));
        let full = knock(&ground, &hello("")).unwrap_err();
        assert!(matches!(full, SubscribeError::Full { most: 1, .. }), "{full}");
    }
    let answer = invited(&ground, &hello(""));
    // Nothing was asked for, so the buffer is all the room.
    assert_eq!(sink.try_put_slice(&[7; 10]).unwrap(), 2);
    drop(answer);
    eventually(|| sink.consumers() == 0);
    assert_eq!(sink.try_put_slice(&[7; 10]).unwrap(), 0, "there is nobody");
    // What the dead one left is the next one's.
    let answer = invited(&ground, &hello(""));
    assert_eq!(answer.welcome.start, 0);
}

#[test]
fn who_says_nothing_more_holds_the_producer_up_for_no_longer_than_a_handshake() {
    let ground = Ground::new();
    let mut sink = sink(&ground, 2);
    let _silent = invited(&ground, &hello(""));
    let source = crate::stream::subscribe::<u64>("quotes").directory(&ground.dir);
    let source = source.open().unwrap();
    let reader = std::thread::spawn(move || source.count());
    let begun = Instant::now();
    for element in 0..100 {
        sink.put_deadline(element, begun + WATCHDOG).unwrap();
    }
    sink.complete().unwrap();
    assert_eq!(reader.join().unwrap(), 100);
    assert_eq!(sink.consumers(), 0);
}

#[test]
fn an_heir_that_dies_in_the_handshake_leaves_the_place_to_the_next() {
    let ground = Ground::new();
    let mut sink = sink(&ground, 1);
    let book = || {
        crate::stream::subscribe::<u64>("quotes")
            .resumable("book")
            .directory(&ground.dir)
    };
    drop(book().open().unwrap());
    assert_eq!(sink.try_put_slice(&[0, 1]).unwrap(), 2);
    for _ in 0..10 {
        let answer = invited(&ground, &hello("book"));
        let twice = knock(&ground, &hello("book")).unwrap_err();
        assert!(
            matches!(twice, SubscribeError::AlreadySubscribed { .. }),
            "{twice}"
        );
        assert_eq!(answer.welcome.start, 0);
        drop(answer);
        let _ = sink.try_put(2);
    }
    assert_eq!(sink.consumers(), 1);
    let mut source = book().open().unwrap();
    assert_eq!((source.next(), source.next()), (Some(0), Some(1)));
    assert_eq!(sink.consumers(), 1);
}

#[test]
fn one_that_is_evicted_in_the_handshake_is_told() {
    let ground = Ground::new();
    let mut sink = sink(&ground, 2);
    let mut hello = hello("");
    hello.join.evict_after = 1;
    let answer = knock(&ground, &hello).unwrap();
    assert_eq!(sink.try_put_slice(&[7; 10]).unwrap(), 2);
    // Now it is waited for, for a nanosecond.
    eventually(|| sink.try_put(7).is_err() && sink.consumers() == 0);
    let mut packet = vec![0; LONGEST_MESSAGE];
    assert!(readable(&answer.connection, Instant::now() + WATCHDOG));
    let heard = socket::receive(&answer.connection, &mut packet, 0).unwrap();
    assert!(
        matches!(heard, Receipt::Packet(len, _) if Message::decode(&packet[..len]) == Ok(Message::Evicted)),
        "{heard:?}"
    );
    let heard = socket::receive(&answer.connection, &mut packet, 0).unwrap();
    assert!(matches!(heard, Receipt::HungUp), "{heard:?}");
}

#[test]
fn a_position_that_is_not_held_is_refused_and_takes_no_place() {
    let ground = Ground::new();
    let mut sink = sink(&ground, 1);
    for asked in [1, u64::MAX, 1 << 40] {
        let mut hello = hello("");
        hello.join.from = JoinPosition::At(asked);
        let error = knock(&ground, &hello).unwrap_err();
        assert!(
            matches!(error, SubscribeError::NotHeld { asked: at, oldest: 0, newest: 0, .. } if at == asked),
            "{error}"
        );
    }
    assert_eq!(sink.consumers(), 0);
    assert!(sink.try_put(1).is_err());
}

#[test]
fn one_of_several_that_talks_is_gone_and_the_others_stay() {
    let ground = Ground::new();
    let mut sink = sink(&ground, 2);
    let answer = invited(&ground, &hello(""));
    socket::send(&answer.connection, &Message::Ready.encode(), &[]).unwrap();
    let source = crate::stream::subscribe::<u64>("quotes").directory(&ground.dir);
    let mut source = source.open().unwrap();
    assert_eq!(sink.consumers(), 2);
    match socket::send(&answer.connection, b"and another thing", &[]) {
        Ok(()) | Err(Errno::PIPE) => {}
        Err(errno) => panic!("{errno}"),
    }
    eventually(|| sink.consumers() == 1);
    let mut packet = vec![0; LONGEST_MESSAGE];
    assert!(readable(&answer.connection, Instant::now() + WATCHDOG));
    let heard = socket::receive(&answer.connection, &mut packet, 0).unwrap();
    assert!(matches!(heard, Receipt::HungUp), "{heard:?}");
    for element in 0..50 {
        sink.put_deadline(element, Instant::now() + WATCHDOG).unwrap();
        assert_eq!(source.next(), Some(element));
    }
}
