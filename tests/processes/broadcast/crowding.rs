//! As many consumers as there are places, and what is left when they have gone.

use millstream::{SubscribeError, TryNext, TryPutError};

use super::consumers;
use crate::stage::{Ground, Stage, eventually, holdings, say, soon};

#[test]
fn sixty_four_consumers_at_once_and_nothing_is_left() {
    let ground = Ground::new();
    let scene = ground.start("crowded", &[]);
    scene.expect("done");
    scene.finish();
    assert_eq!(ground.files(), [""; 0]);
}

/// In a process of its own, whose holdings nobody else changes.
pub(super) fn crowded(stage: &Stage) {
    let ground = &stage.ground;
    let mut puppets = consumers(ground, 4);
    let baseline = holdings();
    for round in 0..3 {
        let mut sink = ground.publish::<u64>("crowd").consumers(64).open().unwrap();
        for consumer in &mut puppets {
            assert_eq!(consumer.ask("open crowd"), "ok");
        }
        let mut sources: Vec<_> = (0..60)
            .map(|_| ground.subscribe::<u64>("crowd").open().unwrap())
            .collect();
        let full = ground.subscribe::<u64>("crowd").open().unwrap_err();
        assert!(matches!(full, SubscribeError::Full { most: 64, .. }), "{full}");
        for element in 0..100 {
            sink.put_deadline(element, soon()).unwrap();
            for source in &mut sources {
                assert_eq!(source.next(), Some(element));
            }
            for consumer in &mut puppets {
                assert_eq!(consumer.ask("next"), format!("item {element}"));
            }
        }
        // Both sides leave first in turn.
        if round % 2 == 0 {
            drop(sources);
            for consumer in &mut puppets {
                assert_eq!(consumer.ask("drop"), "ok");
            }
            drop(sink);
        } else {
            drop(sink);
            for source in &mut sources {
                assert_eq!(source.try_next(), TryNext::End(source.end().unwrap()));
            }
            drop(sources);
            for consumer in &mut puppets {
                assert_eq!(consumer.ask("drop"), "ok");
            }
        }
        eventually(|| holdings() == baseline);
        assert_eq!(ground.files(), [""; 0]);
    }
    // A producer that does nothing holds nothing of those who come and go meanwhile.
    let mut sink = ground.publish::<u64>("idle").consumers(2).open().unwrap();
    drop(ground.subscribe::<u64>("idle").open().unwrap());
    eventually(|| sink.consumers() == 0);
    let before = holdings();
    for _ in 0..50 {
        assert_eq!(puppets[0].ask("open idle"), "ok");
        assert_eq!(puppets[0].ask("drop"), "ok");
        eventually(|| sink.consumers() == 0);
    }
    eventually(|| holdings() == before);
    // Nor of one that is killed, before or after the producer knew of it.
    for knows in [false, true] {
        let mut victim = puppets.pop().unwrap();
        assert_eq!(victim.ask("open idle"), "ok");
        if knows {
            assert_eq!(sink.try_put_slice(&[7; 1000]).unwrap(), 32);
        }
        victim.kill();
        eventually(|| sink.consumers() == 0);
        let refused = sink.try_put(1);
        assert_eq!(refused, Err(TryPutError::Full(1)));
    }
    let let_go = |of: (usize, usize, usize)| {
        let (descriptors, threads, memfds) = holdings();
        descriptors <= of.0 && threads <= of.1 && memfds == of.2
    };
    eventually(|| let_go(before));
    sink.complete().unwrap();
    drop(sink);
    eventually(|| let_go(baseline));
    say("done");
}
