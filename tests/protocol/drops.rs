//! Every element is dropped exactly once, whoever has it.

use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use millstream::{End, SinkRef, SourceRef, StreamFault, TryNext};

use crate::support::within;

type Pair = (SinkRef<Counted>, SourceRef<Counted>);

/// Its drops are counted by the strong references to a token: a second drop of one element would take away another's.
#[derive(Clone, Debug)]
struct Counted {
    _token: Arc<()>,
    number: u64,
    /// Panics when it is dropped.
    bomb: bool,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.bomb {
            resume_unwind(Box::new("on purpose"));
        }
    }
}

struct Tokens {
    token: Arc<()>,
    next: u64,
}

impl Tokens {
    fn new() -> Self {
        Self {
            token: Arc::new(()),
            next: 0,
        }
    }

    fn make(&mut self) -> Counted {
        self.next += 1;
        Counted {
            _token: self.token.clone(),
            number: self.next - 1,
            bomb: false,
        }
    }

    /// Elements that were made and not dropped.
    fn alive(&self) -> usize {
        Arc::strong_count(&self.token) - 1
    }
}

fn pair(buffer: usize, demand: u64) -> Pair {
    millstream::channel::<Counted>()
        .buffer_size(buffer)
        .initial_demand(demand)
        .build()
        .unwrap()
}

fn quietly<R>(body: impl FnOnce() -> R) -> Result<R, ()> {
    catch_unwind(AssertUnwindSafe(body)).map_err(drop)
}

#[test]
fn c2_what_an_unbounded_stream_holds_is_dropped_once() {
    within(|| {
        for taken in [0, 1, 69, 70, 500, 2000] {
            for sink_first in [true, false] {
                let mut tokens = Tokens::new();
                let (mut sink, mut source) = pair(0, 5);
                for _ in 0..2000 {
                    sink.put(tokens.make()).unwrap();
                }
                for number in 0..taken {
                    assert_eq!(source.next().unwrap().number, number);
                }
                assert_eq!(tokens.alive() as u64, 2000 - taken);
                if sink_first {
                    drop(sink);
                    drop(source);
                } else {
                    drop(source);
                    drop(sink);
                }
                assert_eq!(tokens.alive(), 0, "{taken} taken");
            }
        }
    });
}

#[test]
fn what_is_not_taken_is_dropped_once() {
    within(|| {
        for order in 0..6 {
            for put in 0..20 {
                for take in 0..=put {
                    let mut tokens = Tokens::new();
                    let (mut sink, mut source) = pair(10, 10);
                    for _ in 0..put {
                        sink.put(tokens.make()).unwrap();
                    }
                    let kept: Vec<_> = source.by_ref().take(take).collect();
                    assert_eq!(tokens.alive(), put);
                    match order {
                        0 => drop((sink, source)),
                        1 => drop((source, sink)),
                        2 => {
                            source.cancel();
                            assert_eq!(tokens.alive(), take, "cancelling drops what is there");
                            drop((sink, source));
                        }
                        3 => {
                            sink.complete().unwrap();
                            drop((sink, source));
                        }
                        4 => {
                            sink.fail(StreamFault::new(1, "x")).unwrap();
                            drop((source, sink));
                        }
                        _ => {
                            drop(source);
                            assert!(sink.put(tokens.make()).is_err());
                            drop(sink);
                        }
                    }
                    assert_eq!(tokens.alive(), take);
                    drop(kept);
                    assert_eq!(tokens.alive(), 0);
                }
            }
        }
    });
}

#[test]
fn an_idle_timeout_drops_nothing_twice() {
    let mut tokens = Tokens::new();
    let (mut sink, mut source) = millstream::channel::<Counted>()
        .idle_timeout(Some(std::time::Duration::ZERO))
        .build()
        .unwrap();
    sink.put(tokens.make()).unwrap();
    assert_eq!(source.by_ref().count(), 1);
    assert_eq!(source.end(), Some(End::IdleTimeout));
    assert!(sink.put(tokens.make()).is_err());
    drop((sink, source));
    assert_eq!(tokens.alive(), 0);
}

#[test]
fn a_returned_element_comes_back_alive() {
    let mut tokens = Tokens::new();
    let (mut sink, source) = pair(1, 1);
    sink.put(tokens.make()).unwrap();
    sink.put(tokens.make()).unwrap();
    let back = sink.try_put(tokens.make()).unwrap_err().into_inner();
    assert_eq!(back.number, 2);
    drop(source);
    let back = sink.put(back).unwrap_err().into_inner();
    assert_eq!(back.number, 2);
    assert_eq!(tokens.alive(), 1);
}

#[test]
fn a_claim_drops_what_it_does_not_publish() {
    for before in 0..16 {
        for pushed in 0..=4 {
            let mut tokens = Tokens::new();
            let (mut sink, source) = pair(20, 20);
            for _ in 0..before {
                sink.put(tokens.make()).unwrap();
            }
            let mut claim = sink.claim(4).unwrap();
            for _ in 0..pushed {
                claim.push(tokens.make()).unwrap();
            }
            if pushed == 4 {
                claim.push(tokens.make()).unwrap_err();
            }
            drop(claim);
            assert_eq!(tokens.alive(), before);
            let mut claim = sink.claim(4).unwrap();
            for _ in 0..pushed {
                claim.push(tokens.make()).unwrap();
            }
            assert_eq!(claim.commit(), Ok(pushed));
            assert_eq!(tokens.alive(), before + pushed);
            let mut claim = sink.claim(4).unwrap();
            claim.push(tokens.make()).unwrap();
            drop(source);
            claim.commit().unwrap_err();
            drop(sink);
            assert_eq!(tokens.alive(), 0);
        }
    }
}

#[test]
fn a_panic_in_a_drain_takes_what_it_was_called_with() {
    within(|| {
        for put in 1..20 {
            for at in 0..put {
                let mut tokens = Tokens::new();
                let (mut sink, mut source) = pair(10, 10);
                for _ in 0..put {
                    sink.put(tokens.make()).unwrap();
                }
                let mut seen = vec![];
                let panicked = quietly(|| {
                    source.drain(usize::MAX, |element| {
                        seen.push(element.number);
                        if element.number == at {
                            resume_unwind(Box::new("on purpose"));
                        }
                    })
                });
                assert!(panicked.is_err());
                assert_eq!(seen, (0..=at).collect::<Vec<_>>());
                assert_eq!(source.position(), at + 1);
                assert_eq!(tokens.alive() as u64, put - at - 1);
                // The stream goes on, with the element after it, and with all its credit.
                assert_eq!(sink.position(), put);
                seen.clear();
                source.drain(usize::MAX, |element| seen.push(element.number));
                assert_eq!(seen, (at + 1..put).collect::<Vec<_>>());
                assert_eq!(tokens.alive(), 0);
                for _ in 0..20 {
                    sink.try_put(tokens.make()).unwrap();
                }
                drop((sink, source));
                assert_eq!(tokens.alive(), 0);
            }
        }
    });
}

#[test]
fn a_panic_in_a_body_drops_everything_once() {
    for at in 0..10 {
        let mut tokens = Tokens::new();
        let (mut sink, source) = pair(10, 10);
        for _ in 0..15 {
            sink.put(tokens.make()).unwrap();
        }
        let panicked = quietly(|| {
            for element in source {
                if element.number == at {
                    resume_unwind(Box::new("on purpose"));
                }
            }
        });
        assert!(panicked.is_err());
        assert_eq!(
            tokens.alive(),
            0,
            "the source is gone, and dropped what was there"
        );
        assert!(sink.put(tokens.make()).is_err());
        drop(sink);
        assert_eq!(tokens.alive(), 0);
    }
}

#[test]
fn a_release_drops_what_it_takes() {
    for release in 0..=15 {
        let mut tokens = Tokens::new();
        let (mut sink, mut source) = pair(10, 10);
        for _ in 0..15 {
            sink.put(tokens.make()).unwrap();
        }
        let peek = source.peek(15);
        assert_eq!(
            peek.iter().map(|element| element.number).collect::<Vec<_>>(),
            (0..15).collect::<Vec<_>>()
        );
        assert_eq!(tokens.alive(), 15);
        assert_eq!(peek.release(release), release);
        assert_eq!(tokens.alive(), 15 - release);
        drop((source, sink));
        assert_eq!(tokens.alive(), 0);
    }
}

/// An element whose drop panics while its source is dropped: the others are dropped once at most, and the sink learns
/// of the close.
#[test]
fn an_element_that_panics_when_dropped_is_not_dropped_again() {
    within(|| {
        for at in 0..15 {
            let mut tokens = Tokens::new();
            let (mut sink, mut source) = pair(10, 10);
            for number in 0..15 {
                let mut element = tokens.make();
                element.bomb = number == at;
                sink.put(element).unwrap();
            }
            if at > 3 {
                source.next();
            }
            assert!(quietly(move || drop(source)).is_err());
            // A double drop would free the token's count too early.
            assert!(Arc::strong_count(&tokens.token) >= 1);
            assert!(sink.is_closed(), "also then");
            assert!(sink.put(tokens.make()).is_err());
            drop(sink);
            assert_eq!(tokens.alive(), 0);
        }
    });
}

#[test]
fn an_element_that_panics_when_cancelled_is_not_dropped_again() {
    within(|| {
        for at in 0..15 {
            let mut tokens = Tokens::new();
            let (mut sink, mut source) = pair(10, 10);
            for number in 0..15 {
                let mut element = tokens.make();
                element.bomb = number == at;
                sink.put(element).unwrap();
            }
            assert!(quietly(|| source.cancel()).is_err());
            assert!(sink.is_closed(), "also then");
            assert!(source.next().is_none());
            assert_eq!(source.end(), Some(End::Cancelled));
            drop((sink, source));
            assert_eq!(tokens.alive(), 0);
        }
    });
}

#[test]
fn a_panic_takes_no_more_than_was_asked_for() {
    within(|| {
        let manual = || {
            millstream::channel::<Counted>()
                .buffer_size(8)
                .initial_demand(4)
                .manual_demand()
        };
        for (each, asked, panics_at) in [(false, 2, 1), (true, 3, 0)] {
            for peeked in [false, true] {
                let mut tokens = Tokens::new();
                let builder = if each { manual().replenish_each() } else { manual() };
                let (mut sink, mut source) = builder.build().unwrap();
                for number in 0..6 {
                    let mut element = tokens.make();
                    element.bomb = peeked && number == panics_at;
                    sink.put(element).unwrap();
                }
                source.request(NonZeroU64::new(asked).unwrap()).unwrap();
                let panicked = quietly(|| {
                    if peeked {
                        source.peek(9).release_all();
                    } else {
                        source.drain(9, |element| {
                            if element.number == panics_at {
                                resume_unwind(Box::new("on purpose"));
                            }
                        });
                    }
                });
                assert!(panicked.is_err());
                let mut taken = panics_at + 1;
                while let TryNext::Item(element) = source.try_next() {
                    assert_eq!(element.number, taken);
                    taken += 1;
                }
                assert_eq!(taken, asked);
            }
        }
    });
}
