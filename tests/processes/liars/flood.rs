//! More connections than anybody needs.

use millstream::SubscribeError;

use super::wire::{connect, hello, receive, send};
use crate::stage::{Ground, Stage, eventually, say};

/// Opens as many connections as it is told to, and holds them; every third one says hello, and no more.
pub(super) fn flooder(stage: &Stage) {
    loop {
        let count: usize = stage.hear().parse().unwrap();
        let mut held = Vec::new();
        for number in 0..count {
            let socket = connect(&stage.ground.dir, "target");
            if number % 3 == 0 {
                send(&socket, &hello(1), &[]);
            }
            held.push(socket);
        }
        say("held");
        stage.hear();
        drop(held);
        say("dropped");
    }
}

/// How many sockets a process holds.
fn sockets(holdings: &str) -> usize {
    let (_, rest) = holdings.split_once("\"socket\": ").unwrap();
    rest.split([',', '}']).next().unwrap().parse().unwrap()
}

#[test]
fn hundreds_of_connections_are_bounded_and_keep_nobody_out_for_long() {
    let ground = Ground::new();
    let mut producer = ground.start("deceived_producer", &[&true]);
    producer.expect("HERE");
    let mut steady = ground.subscribe::<u64>("steady").open().unwrap();
    assert_eq!(producer.ask("steady 1"), "ok");
    assert_eq!(steady.next(), Some(0));
    let observer = connect(&ground.dir, "steady");
    send(&observer, &hello(2), &[]);
    receive(&observer);
    assert!(
        receive(&observer).0.is_empty(),
        "nothing before it is still in hand"
    );
    let before = producer.ask("holdings");
    let mut flooder = ground.start("flooder", &[]);
    for _ in 0..2 {
        let spent: u64 = producer.ask("cpu").parse().unwrap();
        assert_eq!(flooder.ask(400), "held");
        let most = sockets(&producer.ask("holdings"));
        // 64 handshakes at once, each with a connection, and of the eight that may be invited a bell.
        assert!(most <= sockets(&before) + 64 + 8 + 1, "{before} became {most}");
        // The other stream goes on all the while.
        for _ in 0..20 {
            assert_eq!(producer.ask("steady 10"), "ok");
            assert!(steady.by_ref().take(10).eq(0..10));
        }
        // Whoever tries again gets in while they are still there: a handshake that is not ended holds a place for a second.
        eventually(|| match ground.subscribe::<u64>("target").open() {
            Ok(_) => true,
            Err(SubscribeError::Full { .. }) => false,
            Err(error) => panic!("{error}"),
        });
        let spent = producer.ask("cpu").parse::<u64>().unwrap() - spent;
        println!(
            "{} ms of processor time for 400 connections and 200 elements",
            spent
        );
        assert!(spent < 5_000, "{spent} ms of processor time");
        flooder.say("enough");
        flooder.expect("dropped");
        super::settles(&mut producer, &before);
    }
}
