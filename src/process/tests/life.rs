//! Publish and subscribe in one process.

use std::fs;
use std::time::{Duration, Instant};

use rustix::io::{read, write};

use super::ground::*;
use crate::process::geometry::{CONTROL, GRANTED, RELEASED, RELEASED_BYTES};
use crate::process::notice::ARRIVED;
use crate::process::subscription::{Subscription, SubscriptionSettings};
use crate::process::{GONE, Kind, list, observe};
use crate::process::{PublishError, SubscribeError};
use crate::ring::page::{KIND_FRAMES, StreamHeader, WORD_CLOSED};

#[test]
fn a_consumer_comes_and_goes() {
    let ground = Ground::new();
    let publication = ground.publish("quotes").unwrap();
    assert_eq!((ground.files(), bits(publication.notice())), (2, 0));
    assert!(publication.take_arrival().is_none());
    let subscription = ground.subscribe("quotes").unwrap();
    let base = header().base;
    assert_eq!(
        (subscription.start, subscription.start_byte, subscription.window),
        (base, 0, 16)
    );
    assert_eq!(
        (subscription.header, &subscription.schema[..], subscription.epoch),
        (header(), SCHEMA, 77)
    );
    assert_eq!(
        (subscription.pid, subscription.membarrier),
        (Some(std::process::id()), true)
    );

    let arrival = await_arrival(&publication);
    assert_eq!(bits(publication.notice()), 0);
    assert!(publication.take_arrival().is_none());
    assert_eq!((arrival.start, arrival.start_byte, arrival.window), (base, 0, 16));
    assert_eq!(
        (&arrival.subscription[..], arrival.resumable, arrival.membarrier),
        ("", false, false)
    );
    assert_eq!(arrival.pid, Some(std::process::id()));
    assert_eq!(arrival.credit.load(GRANTED), Some(base));
    write_credit(&subscription, 11, 3);
    assert_eq!(
        (arrival.credit.load(GRANTED), arrival.credit.load(RELEASED)),
        (Some(11), Some(3))
    );
    assert!(
        !arrival.credit.store(GRANTED, 1),
        "the producer only reads the page"
    );
    assert!(
        !subscription.memory.store(0, 1),
        "the consumer only reads the memory"
    );

    write(&subscription.bell, b"x").unwrap();
    assert_eq!(read(&arrival.bell, &mut [0; 8]), Ok(1));
    write(&arrival.bell, b"y").unwrap();
    assert_eq!(read(&subscription.bell, &mut [0; 8]), Ok(1));

    subscription.credit.store(CONTROL, WORD_CLOSED);
    drop(subscription);
    await_bits(publication.notice(), GONE);
    assert_eq!(read(&arrival.bell, &mut [0; 8]), Ok(0), "the doorbell hangs up");
    assert!(matches!(
        ground.subscribe("quotes"),
        Err(SubscribeError::Ended { .. })
    ));
    drop(publication);
    assert_eq!(ground.files(), 0);
    let error = ground.subscribe("quotes").unwrap_err();
    assert!(
        matches!(&error, SubscribeError::NotFound { path, .. } if *path == ground.dir.join("quotes.sock"))
    );
}

#[test]
fn a_producer_goes() {
    let ground = Ground::new();
    let publication = ground.publish("quotes").unwrap();
    let subscription = ground.subscribe("quotes").unwrap();
    assert_eq!(bits(subscription.link.notice()), 0);
    drop(publication);
    assert_eq!(ground.files(), 0);
    await_bits(subscription.link.notice(), GONE);
    assert_eq!(subscription.memory.load(8192), Some(0), "the mapping stays");
    let again = ground.publish("quotes").unwrap();
    drop(subscription);
    assert_eq!(
        ground.files(),
        2,
        "the old subscription's end does not touch the new publication"
    );
    drop(again);
    assert_eq!(ground.files(), 0);
}

#[test]
fn a_name_is_published_once() {
    let ground = Ground::new();
    let publication = ground.publish("quotes").unwrap();
    let error = ground.publish("quotes").unwrap_err();
    let own = std::process::id();
    assert!(
        matches!(error, PublishError::NameTaken { pid, .. } if pid == Some(own)),
        "{error}"
    );
    let _subscription = ground.subscribe("quotes").unwrap();
    await_arrival(&publication);
    let _other = ground.publish("trades").unwrap();
    assert_eq!(
        list(Some(ground.dir.clone()), None).unwrap(),
        ["quotes", "trades"]
    );
    drop(publication);
    ground.publish("quotes").unwrap();
}

#[test]
fn a_second_consumer_is_refused_and_the_first_undisturbed() {
    let ground = Ground::new();
    let publication = ground.publish("quotes").unwrap();
    let first = Subscription::open(SubscriptionSettings {
        subscription: Some("day".into()),
        ..ground.subscription("quotes")
    })
    .unwrap();
    let deadline = Some(Instant::now() + WATCHDOG);
    for deadline in [None, deadline] {
        let error = Subscription::open(SubscriptionSettings {
            deadline,
            ..ground.subscription("quotes")
        });
        let error = error.unwrap_err();
        assert!(
            matches!(&error, SubscribeError::AlreadySubscribed { pid, subscription, resumable_waiting: false, .. }
                if *pid == Some(std::process::id()) && subscription == "day"),
            "{error}"
        );
    }
    await_arrival(&publication);
    assert_eq!(bits(publication.notice()) | bits(first.link.notice()), 0);
}

#[test]
fn a_resumable_subscription_goes_on_where_it_was() {
    let ground = Ground::new();
    let publication = ground.publish("quotes").unwrap();
    let observed = || {
        observe(Some(ground.dir.clone()), None, "quotes")
            .unwrap()
            .consumer
    };
    assert!(observed().is_none());
    let base = header().base;
    for round in 0..10u64 {
        let start = base.wrapping_add(round * 5);
        let subscription = ground.resume("quotes", "night").unwrap();
        assert_eq!((subscription.start, subscription.start_byte), (start, round * 64));
        let arrival = await_arrival(&publication);
        assert_eq!(
            (arrival.start, arrival.start_byte, arrival.resumable),
            (start, round * 64, true)
        );
        assert_eq!(arrival.subscription, "night");
        write_credit(&subscription, start.wrapping_add(16), start.wrapping_add(5));
        subscription.credit.store(RELEASED_BYTES, (round + 1) * 64);
        let seen = observed().unwrap();
        assert!(seen.connected && seen.resumable);
        assert_eq!(
            (seen.subscription.as_str(), seen.start, seen.window),
            ("night", start, 16)
        );
        assert_eq!(seen.credit.load(RELEASED), Some(start.wrapping_add(5)));
        assert!(!seen.credit.store(RELEASED, 0));
        drop(subscription);
        // The same name gets in at once, however fast; another has to know that this one is awaited.
        if round % 2 == 0 {
            eventually(|| observed().is_some_and(|consumer| !consumer.connected));
            for other in [ground.resume("quotes", "day"), ground.subscribe("quotes")] {
                assert!(matches!(
                    other.unwrap_err(),
                    SubscribeError::AlreadySubscribed { subscription, resumable_waiting: true, .. }
                        if subscription == "night"
                ));
            }
        }
        assert_eq!(bits(publication.notice()) & GONE, 0);
    }
    // Resumed, it may end for good.
    let subscription = ground.subscription("quotes");
    let last = SubscriptionSettings {
        subscription: Some("night".into()),
        ..subscription
    };
    drop(Subscription::open(last).unwrap());
    await_bits(publication.notice(), GONE);
}

#[test]
fn an_arrival_that_was_not_taken_is_replaced_by_its_resumption() {
    let ground = Ground::new();
    let publication = ground.publish("quotes").unwrap();
    let base = header().base;
    for round in 0..3u64 {
        let subscription = ground.resume("quotes", "night").unwrap();
        let next = base.wrapping_add(round + 1);
        write_credit(&subscription, next, next);
        drop(subscription);
    }
    let _last = ground.resume("quotes", "night").unwrap();
    eventually(|| {
        bits(publication.notice()) & ARRIVED != 0
            && publication
                .take_arrival()
                .is_some_and(|arrival| arrival.start == base.wrapping_add(3))
    });
}

#[test]
fn a_consumer_killed_between_its_two_words_is_resumed() {
    let (base, buffer) = (header().base, header().buffer_size);
    for ahead in [1, buffer] {
        let ground = Ground::new();
        let publication = ground.publish("quotes").unwrap();
        let subscription = ground.resume("quotes", "night").unwrap();
        let released = base.wrapping_add(ahead);
        write_credit(&subscription, base, released);
        drop(subscription);
        let _next = ground.resume("quotes", "night").unwrap();
        eventually(|| {
            publication
                .take_arrival()
                .is_some_and(|arrival| arrival.start == released)
        });
    }
}

#[test]
fn a_closed_or_damaged_resumable_subscription_ends_the_stream() {
    let base = header().base;
    let (window, buffer) = (16, header().buffer_size);
    for (control, granted, released, bytes) in [
        (WORD_CLOSED, base, base, 0),
        (0, base.wrapping_sub(1), base.wrapping_sub(1), 0),
        (0, base, base.wrapping_add(buffer + 1), 0),
        (0, base.wrapping_add(window + 1), base, 0),
        (0, base, base, 7),
        (0, base, base, u64::MAX - 7),
    ] {
        let ground = Ground::new();
        let publication = ground.publish("quotes").unwrap();
        let subscription = ground.resume("quotes", "night").unwrap();
        write_credit(&subscription, granted, released);
        subscription.credit.store(RELEASED_BYTES, bytes);
        subscription.credit.store(CONTROL, control);
        drop(subscription);
        await_bits(publication.notice(), GONE);
        assert!(matches!(
            ground.resume("quotes", "night"),
            Err(SubscribeError::Ended { .. })
        ));
    }
}

#[test]
fn what_does_not_fit_is_refused_with_both_sides_values() {
    let ground = Ground::new();
    let publication = ground.publish("quotes").unwrap();
    let open = |change: fn(&mut SubscriptionSettings)| {
        let mut settings = ground.subscription("quotes");
        change(&mut settings);
        Subscription::open(settings)
    };
    let error = open(|s| s.fingerprint = [9; 16]).unwrap_err();
    assert!(
        matches!(error, SubscribeError::Fingerprint { ours, theirs, .. } if ours == [9; 16] && theirs == [3; 16])
    );
    let error = open(|s| s.kind = Kind::Frames).unwrap_err();
    assert!(matches!(
        error,
        SubscribeError::Kind {
            ours: "frames",
            theirs: "elements",
            ..
        }
    ));
    for window in [0, 401, u64::MAX] {
        let mut settings = ground.subscription("quotes");
        settings.window = window;
        let error = Subscription::open(settings).unwrap_err();
        assert!(
            matches!(error, SubscribeError::DemandTooLarge { asked, max: 400, .. } if asked == window),
            "{error}"
        );
    }
    for bad in [Some(""), Some("a b")] {
        let mut settings = ground.subscription("quotes");
        settings.subscription = bad.map(Into::into);
        assert!(matches!(
            Subscription::open(settings),
            Err(SubscribeError::InvalidName(_))
        ));
    }
    assert!(matches!(
        open(|s| s.resumable = true),
        Err(SubscribeError::InvalidName(_))
    ));
    assert!(matches!(
        open(|s| s.name = "../quotes".into()),
        Err(SubscribeError::InvalidName(_))
    ));
    assert_eq!(bits(publication.notice()), 0, "nobody has come");

    let settings =
        |s: &mut SubscriptionSettings| (s.any_type, s.fingerprint, s.kind) = (true, [0; 16], Kind::Any);
    let subscription = open(settings).unwrap();
    assert_eq!(subscription.schema, SCHEMA);
    drop(subscription);

    assert!(matches!(ground.publish("x y"), Err(PublishError::InvalidName(_))));
}

#[test]
fn frames_are_taken_as_frames() {
    let ground = Ground::new();
    let frames = StreamHeader {
        kind: KIND_FRAMES,
        element_size: 0,
        element_align: 1,
        per_block: 0,
        stride: 0,
        blocks: 0,
        max_frame: 1,
        max_demand: 100,
        fingerprint: [0; 16],
        schema_len: 0,
        ..header()
    };
    let mut settings = ground.publication("log");
    settings.header = frames;
    settings.schema = vec![];
    settings.memory = crate::primitive::Arc::new(stream_memory(&frames));
    let _publication = crate::process::Publication::open(settings).unwrap();
    assert!(matches!(
        ground.subscribe("log"),
        Err(SubscribeError::Kind { theirs: "frames", .. })
    ));
    let subscription = SubscriptionSettings {
        kind: Kind::Frames,
        ..ground.subscription("log")
    };
    assert_eq!(Subscription::open(subscription).unwrap().header, frames);
}

#[test]
fn waiting_for_a_stream() {
    let ground = Ground::new();
    let waited = Duration::from_millis(30);
    let settings = |deadline| SubscriptionSettings {
        deadline: Some(Instant::now() + deadline),
        ..ground.subscription("quotes")
    };
    let error = Subscription::open(settings(waited)).unwrap_err();
    assert!(
        matches!(error, SubscribeError::TimedOut { waited: took, .. } if took >= waited),
        "{error}"
    );
    assert!(!ground.dir.exists(), "who only looks makes nothing");
    let subscription = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| Subscription::open(settings(WATCHDOG)));
        let publication = ground.publish("quotes").unwrap();
        let subscription = waiting.join().unwrap().unwrap();
        await_arrival(&publication);
        subscription
    });
    await_bits(subscription.link.notice(), GONE);
}

#[test]
fn junk_in_the_directory_is_passed_over() {
    let ground = Ground::new();
    assert_eq!(list(Some(ground.dir.clone()), None).unwrap(), [""; 0]);
    let publication = ground.publish("quotes").unwrap();
    for junk in ["notes.txt", ".hidden.sock", "a b.lock"] {
        fs::write(ground.dir.join(junk), "").unwrap();
    }
    fs::create_dir(ground.dir.join("folder.lock")).unwrap();
    fs::create_dir(ground.dir.join("folder.sock")).unwrap();
    fs::write(ground.dir.join("dead.lock"), "").unwrap();
    assert_eq!(list(Some(ground.dir.clone()), None).unwrap(), ["quotes"]);
    assert!(
        !ground.dir.join("dead.lock").exists(),
        "what a dead publisher left is swept"
    );
    assert!(ground.dir.join("notes.txt").exists());
    let error = observe(Some(ground.dir.clone()), None, "folder").unwrap_err();
    assert!(
        matches!(error.reason(), SubscribeError::NotFound { .. }),
        "{error}"
    );
    drop(publication);
    assert_eq!(list(Some(ground.dir.clone()), None).unwrap(), [""; 0]);
}

#[test]
fn observers_cost_nothing() {
    let ground = Ground::new();
    let publication = ground.publish("quotes").unwrap();
    for _ in 0..200 {
        let observation = observe(Some(ground.dir.clone()), None, "quotes").unwrap();
        assert_eq!((observation.header, &observation.schema[..]), (header(), SCHEMA));
        assert_eq!(
            (observation.pid, observation.epoch),
            (Some(std::process::id()), 77)
        );
        assert!(!observation.memory.store(8192, 1));
    }
    assert_eq!(bits(publication.notice()), 0);
    assert!(observe(Some(ground.dir.clone()), None, "trades").is_err());
}

#[test]
fn streams_come_and_go_in_many_threads() {
    let ground = Ground::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let ground = &ground;
            scope.spawn(move || {
                for _ in 0..50 {
                    let name = format!("stream-{thread}");
                    let publication = ground.publish(&name).unwrap();
                    let subscription = ground.subscribe(&name).unwrap();
                    await_arrival(&publication);
                    if thread % 2 == 0 {
                        drop(publication);
                        await_bits(subscription.link.notice(), GONE);
                    } else {
                        drop(subscription);
                        await_bits(publication.notice(), GONE);
                    }
                }
            });
        }
    });
    assert_eq!(ground.files(), 0);
}
