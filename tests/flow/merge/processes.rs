//! Inputs whose producers are other processes, which die.

use millstream::{End, WaitStrategy, merge};

use super::{in_order, roomy};
use crate::stage::{Ground, Shared, Stage, say};
use crate::support::{tests, until};

tests! {
    it_goes_on_with_the_next_producer_of_a_name
    a_killed_process_loses_nothing_and_holds_nobody_back
}

/// Publishes `0..count` under a name, noting what was taken from it, then stays.
pub(super) fn counts(stage: &Stage) {
    let (name, count): (String, u64) = (stage.arg(0), stage.arg(1));
    let published = Shared::open(&stage.ground.beside(&name));
    let mut sink = stage
        .ground
        .publish::<u64>(&name)
        .buffer_size(256)
        .open()
        .unwrap();
    for element in 0..count {
        sink.put(element).unwrap();
        published.set(element + 1);
    }
    say("DONE");
    let line = stage.hear();
    if line == "complete" {
        sink.complete().unwrap();
        say("COMPLETED");
    }
    stage.stay();
}

fn it_goes_on_with_the_next_producer_of_a_name() {
    let ground = Ground::new();
    // A process that dies is followed by the next one of its name, and the merge sleeps in between.
    let (mut near, one) = roomy().build().unwrap();
    let mut child = ground.start("counts", &[&"again", &"5"]);
    let other = ground.subscribe::<u64>("again").reconnect().open().unwrap();
    let mut merged = merge([one, other]).wait(WaitStrategy::park()).build();
    child.expect("DONE");
    child.kill();
    assert_eq!(merged.by_ref().take(5).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    near.put(77).unwrap();
    assert_eq!(merged.next(), Some(77));
    let mut child = ground.start("counts", &[&"again", &"3"]);
    assert_eq!(merged.by_ref().take(3).collect::<Vec<_>>(), [0, 1, 2]);
    child.expect("DONE");
    child.kill();
    near.put(78).unwrap();
    assert_eq!(merged.next(), Some(78));
    assert_eq!(merged.ends(), [None, None]);
}

fn a_killed_process_loses_nothing_and_holds_nobody_back() {
    for order in 0..4 {
        let ground = Ground::new();
        let mut dying = ground.start("counts", &[&"dying", &u64::MAX]);
        let mut living = ground.start("counts", &[&"living", &50_000]);
        let sources = ["dying", "living"].map(|name| ground.subscribe::<u64>(name).open().unwrap());
        let merged = merge(sources);
        let mut merged = in_order(merged, order).build();
        let mut next = [0_u64, 0];
        for (input, element) in merged.indexed().take(10_000) {
            assert_eq!(element, next[input]);
            next[input] += 1;
        }
        dying.kill();
        let published = Shared::open(&ground.beside("dying"));
        living.say("complete");
        for (input, element) in merged.indexed() {
            assert_eq!(element, next[input]);
            next[input] += 1;
        }
        assert_eq!(next[1], 50_000);
        // It may have been killed between an element and its note.
        assert!((published.get()..=published.get() + 1).contains(&next[0]));
        assert_eq!(merged.ends(), [Some(End::PeerGone), Some(End::Completed)]);
        assert_eq!(
            (merged.end(), merged.failed_input()),
            (Some(End::PeerGone), Some(0))
        );
        living.expect("DONE");
        living.expect("COMPLETED");
        drop(merged);
        until(|| ground.files().iter().all(|file| !file.contains("dying")));
    }
}
