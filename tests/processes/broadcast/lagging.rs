//! Consumers that the producer does not wait for, or not for ever.

use std::thread;
use std::time::Duration;

use millstream::{Gap, Received, SubscribeError};

use crate::stage::{Actor, Ground, Stage, eventually, say, soon, strategy};

/// Receives what it can, as a lossy consumer or as one that may be evicted: every position is an element, whole, or belongs to
/// one gap. Says where it ended, how much it missed, and how it ended.
pub(super) fn lags(stage: &Stage) {
    let (name, patience): (String, u64) = (stage.arg(0), stage.arg(1));
    let builder = stage.ground.subscribe::<[u64; 8]>(&name).initial_demand(4);
    let mut source = match patience {
        0 => builder.lossy().open(),
        millis => builder.evict_after(Duration::from_millis(millis)).open(),
    }
    .unwrap();
    let mut next = source.position();
    say(next);
    stage.hear();
    for received in source.by_ref() {
        match received {
            Received::Element(element) => {
                assert_eq!(element, [next; 8]);
                next += 1;
            }
            Received::Gap(Gap { from, count }) => {
                assert_eq!(from, next);
                assert!(count > 0);
                next += count;
            }
        }
    }
    say(format_args!("{next} {} {:?}", source.missed(), source.end()));
}

#[test]
fn lossy_consumers_hold_nobody_up_and_know_what_they_missed() {
    let ground = Ground::new();
    let builder = ground.publish::<[u64; 8]>("lossy").consumers(8).buffer_size(8);
    let mut sink = builder.max_demand(8).history(64).open().unwrap();
    let mut lossy: Vec<Actor> = (0..3).map(|_| ground.start("lags", &[&"lossy", &0])).collect();
    lossy.iter().for_each(|consumer| consumer.expect("0"));
    let gating = ground
        .subscribe::<[u64; 8]>("lossy")
        .initial_demand(8)
        .open()
        .unwrap();
    let reader = thread::spawn(move || gating.map(|element| element[7]).eq(0..200_000));
    // Two begin at once, and one when it is far too late.
    lossy[..2].iter_mut().for_each(|consumer| consumer.say("go"));
    for element in 0..200_000 {
        sink.put_deadline([element; 8], soon()).unwrap();
    }
    lossy[2].say("go");
    sink.complete().unwrap();
    assert!(reader.join().unwrap(), "the gating one has everything");
    for (index, consumer) in lossy.iter().enumerate() {
        let end = consumer.hear();
        let words: Vec<&str> = end.split(' ').collect();
        assert_eq!((words[0], words[2]), ("200000", "Some(Completed)"), "{end}");
        assert!(index < 2 || words[1].parse::<u64>().unwrap() > 199_000, "{end}");
    }
}

#[test]
fn who_lets_the_producer_wait_for_too_long_is_evicted() {
    let ground = Ground::new();
    let builder = ground.publish::<[u64; 8]>("evict").consumers(8).buffer_size(8);
    let mut sink = builder.sink_wait(strategy("park")).open().unwrap();
    let mut stuck = ground.start("lags", &[&"evict", &50]);
    stuck.expect("0");
    let mut prompt = ground.start("lags", &[&"evict", &20_000]);
    prompt.expect("0");
    prompt.say("go");
    assert_eq!(sink.consumers(), 2);
    // It takes nothing, as if it were stopped.
    for element in 0..5000 {
        sink.put_deadline([element; 8], soon()).unwrap();
    }
    eventually(|| sink.consumers() == 1);
    stuck.say("go");
    let end = stuck.hear();
    assert!(
        end.starts_with("5000 ") && end.ends_with("Some(Evicted)"),
        "{end}"
    );
    stuck.finish();
    sink.complete_and_drain(soon()).unwrap();
    prompt.expect("5000 0 Some(Completed)");
    // The evicted one does not take the living producer's files for a dead one's.
    assert_eq!(ground.files().len(), 2);
    let again = ground.publish::<u64>("evict").open();
    assert!(
        matches!(again, Err(millstream::PublishError::NameTaken { .. })),
        "{again:?}"
    );
}

#[test]
fn a_stream_for_one_evicts_nobody() {
    let ground = Ground::new();
    let _sink = ground.publish::<u64>("one").open().unwrap();
    let error = ground.subscribe::<u64>("one").lossy().open().unwrap_err();
    assert!(matches!(error, SubscribeError::NotABroadcast { .. }), "{error}");
    let builder = ground.subscribe::<u64>("one").evict_after(Duration::ZERO);
    let error = builder.open().unwrap_err();
    assert!(matches!(error, SubscribeError::NotABroadcast { .. }), "{error}");
}
