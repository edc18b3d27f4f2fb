//! Consumers that follow one another on one page, while the producer puts.

use std::thread;
use std::time::{Duration, Instant};

use millstream::PutDeadlineError;

use crate::stage::{Ground, eventually};

/// The page that says how far a consumer has come is the file's, so the next one's words stand where the last one's stood,
/// and ask for less: it begins where that one had released, with a window of its own.
#[test]
fn a_consumer_that_asks_for_less_than_the_one_before_is_not_taken_for_a_liar() {
    let ground = Ground::new();
    let count = 30_000u64;
    let builder = ground.publish::<u64>("orders").durable(ground.beside("orders"));
    let mut sink = builder.buffer_size(8).max_demand(256).open().unwrap();
    let producing = thread::spawn(move || {
        let end = Instant::now() + crate::stage::LONGEST;
        let mut next = 0;
        while next < count {
            assert!(Instant::now() < end, "nothing moves at {next}");
            // Short, so that it looks at the page at every moment of a change.
            match sink.put_deadline(next, Instant::now() + Duration::from_micros(50)) {
                Ok(()) => next += 1,
                Err(PutDeadlineError::TimedOut(_)) => {}
                Err(error) => panic!("at {next}: {error}"),
            }
        }
        sink
    });
    let mut next = 0;
    for round in 0u64.. {
        if next == count {
            break;
        }
        let window = [256, 1, 64, 7][round as usize % 4];
        let builder = || {
            let builder = ground.subscribe::<u64>("orders").resumable("book");
            builder.initial_demand(window)
        };
        let mut source = builder().open().unwrap();
        assert_eq!(
            source.position(),
            next,
            "who leaves in order has released what it took"
        );
        for _ in 0..(1 + round * 31 % 200).min(count - next) {
            assert_eq!(source.next(), Some(next));
            next += 1;
        }
    }
    let sink = producing.join().unwrap();
    eventually(|| sink.demand() == 0);
    assert!(!sink.is_closed());
}
