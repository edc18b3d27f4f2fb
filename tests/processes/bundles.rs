//! Elements that share a stamp by sixteen, between two processes.

use millstream::{End, WaitStrategy};

use crate::stage::{Ground, Role, Stage, say, strategy};

pub(crate) const ROLES: &[(&str, Role)] = &[("bundles", produce)];

type Quote = [u64; 8];

const MANY: u64 = 200_000;
/// A ring of some bundles, and one of many.
const CAPACITIES: [usize; 2] = [64, 1024];

fn quote(number: u64) -> Quote {
    std::array::from_fn(|word| number.wrapping_mul(word as u64 + 1))
}

fn produce(stage: &Stage) {
    let (how, wait): (String, String) = (stage.arg(0), stage.arg(1));
    for capacity in CAPACITIES {
        let mut sink = stage
            .ground
            .publish::<Quote>(&format!("bundles-{capacity}"))
            .buffer_size(capacity / 2)
            .max_demand(capacity as u64 / 2)
            .sink_wait(strategy(&wait))
            .open()
            .unwrap();
        let mut next = 0;
        while next < MANY {
            match how.as_str() {
                "put" => {
                    sink.put(quote(next)).unwrap();
                    next += 1;
                }
                "slice" => {
                    let batch: Vec<Quote> = (next..next + 50).map(quote).collect();
                    sink.put_slice(&batch).unwrap();
                    next += 50;
                }
                _ => {
                    let Ok(mut claim) = sink.claim(20) else { continue };
                    for element in next..next + 20 {
                        claim.push(quote(element)).unwrap();
                    }
                    next += claim.commit().unwrap() as u64;
                }
            }
        }
        sink.complete().unwrap();
        say("complete");
        assert_eq!(stage.hear(), "next");
    }
}

#[test]
fn every_way_of_putting_and_taking_keeps_the_order() {
    for (how, wait) in [
        ("put", "spin"),
        ("put", "park"),
        ("slice", "yield"),
        ("claim", "spin"),
    ] {
        for take in ["next", "drain", "peek"] {
            let ground = Ground::new();
            let mut producer = ground.start("bundles", &[&how, &wait]);
            for capacity in CAPACITIES {
                let mut source = ground
                    .subscribe::<Quote>(&format!("bundles-{capacity}"))
                    .initial_demand(capacity as u64 / 2)
                    .source_wait(WaitStrategy::SpinThenYield { spins: 100 })
                    .open()
                    .unwrap();
                let mut expected = 0;
                while expected < MANY {
                    let mut check = |element: Quote| {
                        assert_eq!(element, quote(expected), "{how} and {take}");
                        expected += 1;
                    };
                    match take {
                        "next" => check(source.next().unwrap()),
                        "drain" => drop(source.drain(100, check)),
                        _ => {
                            let peek = source.peek(100);
                            peek.iter().copied().for_each(&mut check);
                            peek.release_all();
                        }
                    }
                }
                assert_eq!(source.next(), None);
                assert_eq!(source.end(), Some(End::Completed));
                producer.expect("complete");
                producer.say("next");
            }
            producer.finish();
        }
    }
}
