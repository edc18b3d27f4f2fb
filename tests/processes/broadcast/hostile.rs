//! A consumer that writes what it likes into the words that it shares with the producer.

use std::time::Instant;

use millstream::End;

use crate::stage::{Actor, Ground, LONGEST, eventually, soon, strategy};

/// In the page of a stream for several.
const REACH: usize = 768;
const INTENT: usize = 776;
const EVICTED: usize = 896;

#[test]
fn whoever_writes_nonsense_is_dismissed_and_the_others_go_on() {
    use crate::hostile::{CONTROL, GRANTED, RELEASED};
    let ground = Ground::new();
    let builder = ground.publish::<u64>("brave").consumers(8).buffer_size(8);
    let mut sink = builder.sink_wait(strategy("park")).open().unwrap();
    let honest: Vec<Actor> = ["park", "default", "yield"]
        .into_iter()
        .map(|wait| ground.start("follows", &[&"brave", &"live", &"16", &wait]))
        .collect();
    honest.iter().for_each(|consumer| consumer.expect("0"));
    let mut hostile = ground.start("scribbling_consumer", &[]);
    let mut next = 0..;
    for (offset, value) in [
        (GRANTED, u64::MAX),
        (GRANTED, 0),
        (GRANTED, 1 << 40),
        (GRANTED, 1 << 63),
        // Whoever says that it has closed has.
        (CONTROL, 2),
    ] {
        assert_eq!(hostile.ask("elements brave"), "ok");
        assert_eq!(sink.consumers(), 4);
        // It asks for more, so that less is a step back.
        let from = sink.position();
        sink.put_deadline(next.next().unwrap(), soon()).unwrap();
        let value = if offset == GRANTED && value == 0 {
            from.wrapping_sub(1)
        } else {
            value
        };
        assert_eq!(
            hostile.ask(format!("write {RELEASED} {} {offset} {value}", u64::MAX)),
            "ok"
        );
        for element in next.by_ref().take(500) {
            sink.put_deadline(element, soon()).unwrap();
        }
        assert_eq!(hostile.ask("drop"), "ok");
        eventually(|| sink.consumers() == 3);
    }
    sink.complete_and_drain(soon()).unwrap();
    for consumer in honest {
        consumer.expect(&format!("{} Some(Completed)", next.start));
        consumer.finish();
    }
}

#[test]
fn a_flood_of_the_attention_word_takes_nothing_from_anybody() {
    let ground = Ground::new();
    for (round, word) in [u64::MAX, 0, 1 << 62, 1 << 61, 1 << 56, 0x5555]
        .into_iter()
        .enumerate()
    {
        let name = format!("flood{round}");
        let builder = ground.publish::<u64>(&name).consumers(4).buffer_size(8);
        let mut sink = builder.sink_wait(strategy("park")).open().unwrap();
        let mut hostile = ground.start("scribbling_consumer", &[]);
        // It takes nothing, and does not get in the way of this, for it says that it has closed.
        assert_eq!(hostile.ask(format!("elements {name}")), "ok");
        assert_eq!(hostile.ask(format!("flood {word}")), "ok");
        let honest: Vec<Actor> = ["park", "default"]
            .into_iter()
            .map(|wait| ground.start("follows", &[&name, &"live", &"3", &wait]))
            .collect();
        honest.iter().for_each(|consumer| consumer.expect("0"));
        assert_eq!(hostile.ask(format!("write {} 2", crate::hostile::CONTROL)), "ok");
        let leaver = ground.subscribe::<u64>(&name).open().unwrap();
        drop(leaver);
        // Where the word is wiped out all the while, a ring may be 100 ms late.
        for element in 0..100 {
            sink.put_deadline(element, soon()).unwrap();
        }
        // The hostile one may not have been heard of: its hang-up is.
        assert_eq!(hostile.ask("drop"), "ok");
        sink.complete_and_drain(soon()).unwrap();
        for consumer in honest {
            consumer.expect("100 Some(Completed)");
            consumer.finish();
        }
    }
}

#[test]
fn a_producer_of_several_that_lies_hurts_only_its_own_stream() {
    let ground = Ground::new();
    let mut hostile = ground.start("scribbling_producer", &[]);
    let values = [0, 1, 5, 63, 65, 1000, 1 << 40, i64::MAX as u64, 1 << 63, u64::MAX];
    for word in [REACH, INTENT, EVICTED] {
        for value in values {
            let name = format!("several{word}-{value}");
            let what = format!("{word} {value}");
            assert_eq!(hostile.ask(format!("several {name}")), "ok");
            let mut gating = ground.subscribe::<u64>(&name).open().unwrap();
            let mut lossy = ground.subscribe::<u64>(&name).lossy().open().unwrap();
            assert_eq!(hostile.ask("put 5"), "ok");
            let until = || Instant::now() + LONGEST;
            assert_eq!(gating.next_deadline(until()), Ok(Some(0)), "{what}");
            assert_eq!(hostile.ask(format!("write {word} {value}")), "ok");
            assert_eq!(hostile.ask("put 3"), "ok");
            // Who comes now either gets in or is told.
            let late = ground
                .subscribe::<u64>(&name)
                .wait_for(LONGEST / 30)
                .lossy()
                .open();
            drop(late);
            assert_eq!(hostile.ask("put 3"), "ok");
            assert_eq!(hostile.ask("drop"), "ok");
            let mut taken = 1;
            while gating.next_deadline(until()).unwrap().is_some() {
                taken += 1;
                assert!(taken <= 11, "{what}");
            }
            let mut taken = 0;
            while lossy.next().is_some() {
                taken += 1;
                assert!(taken <= 11, "{what}");
            }
            for end in [gating.end(), lossy.end()] {
                assert!(
                    matches!(
                        end,
                        Some(End::Failed(_) | End::PeerCorrupt(_) | End::PeerGone | End::Evicted)
                    ),
                    "{what}: {end:?}"
                );
            }
        }
    }
    assert_eq!(hostile.ask("elements other"), "ok");
}
