//! Random operations on a stream against a queue.
//!
//! The queue knows exactly what may be put: the demand that is open and the buffer. Credit for what was taken may lag by
//! less than half a window; never at all with `replenish_each()`, after a request, or after a look that found nothing.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fmt::Debug;
use std::num::NonZeroU64;

use millstream::{
    Buffer, ClaimError, CloseReason, End, EndError, PutSliceError, RequestError, SinkRef, SourceRef,
    StreamFault, TryNext, TryPutError,
};
use proptest::prelude::*;

trait Numbered: Copy + Debug + PartialEq + Send + 'static {
    fn number(i: u64) -> Self;
}

impl Numbered for u8 {
    fn number(i: u64) -> Self {
        i as u8
    }
}

impl Numbered for u64 {
    fn number(i: u64) -> Self {
        i
    }
}

impl<const N: usize> Numbered for [u64; N] {
    fn number(i: u64) -> Self {
        std::array::from_fn(|at| i ^ ((at as u64) << 32))
    }
}

#[derive(Clone, Debug)]
enum Op {
    Put,
    Slice(usize),
    Claim {
        claimed: usize,
        pushed: usize,
        commit: bool,
    },
    Next,
    Drain(usize),
    Peek {
        max: usize,
        release: usize,
    },
    Request(u64),
    Complete,
    Fail(u32),
    Cancel,
}

#[derive(Clone, Debug)]
struct Case {
    buffer: usize,
    window: u64,
    manual: bool,
    each: bool,
    start: u64,
    ops: Vec<Op>,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        40 => Just(Op::Put),
        20 => (0..40_usize).prop_map(Op::Slice),
        20 => (0..24_usize, 0..24_usize, any::<bool>())
            .prop_map(|(claimed, pushed, commit)| Op::Claim { claimed, pushed, commit }),
        40 => Just(Op::Next),
        20 => (0..40_usize).prop_map(Op::Drain),
        20 => (0..24_usize, 0..24_usize).prop_map(|(max, release)| Op::Peek { max, release }),
        20 => (1..12_u64).prop_map(Op::Request),
        1 => Just(Op::Request(u64::MAX)),
        1 => Just(Op::Complete),
        1 => (0..9_u32).prop_map(Op::Fail),
        1 => Just(Op::Cancel),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let starts = prop_oneof![
        Just(0),
        (0..40_u64).prop_map(|before| (1 << 32) - before),
        (1..40_u64).prop_map(|before| before.wrapping_neg()),
        (0..40_u64).prop_map(|before| (1 << 63) - before),
    ];
    let ops = proptest::collection::vec(op(), 0..120);
    (0..24_usize, 1..24_u64, any::<bool>(), any::<bool>(), starts, ops).prop_map(
        |(buffer, window, manual, each, start, ops)| Case {
            buffer,
            window,
            manual,
            each,
            start,
            ops,
        },
    )
}

struct Run<T> {
    case: Case,
    sink: SinkRef<T>,
    source: SourceRef<T>,
    /// Put and not taken.
    queue: VecDeque<u64>,
    put: u64,
    taken: u64,
    /// Asked for and not taken; `u64::MAX` for ever.
    asked: u64,
    /// What the sink says.
    closed: Option<CloseReason>,
    /// What the source says once it has taken everything.
    end: Option<End>,
    /// Whether the source must have found out.
    told: bool,
}

impl<T: Numbered> Run<T> {
    fn new(case: Case) -> Self {
        let mut builder = millstream::channel::<T>()
            .buffer_size(Buffer::Bounded(case.buffer))
            .initial_demand(case.window)
            .start_position(case.start);
        if case.manual {
            builder = builder.manual_demand();
        }
        if case.each {
            builder = builder.replenish_each();
        }
        let (sink, source) = builder.build().unwrap();
        let asked = if case.manual { 0 } else { u64::MAX };
        let (queue, put, taken) = (VecDeque::new(), 0, 0);
        Self {
            case,
            sink,
            source,
            queue,
            put,
            taken,
            asked,
            closed: None,
            end: None,
            told: false,
        }
    }

    /// How far the sink may go by what the source has told: from the first position on.
    fn granted(&self) -> u64 {
        self.source.granted().wrapping_sub(self.case.start)
    }

    /// How far it may go when the source has told all.
    fn owed(&self) -> u64 {
        self.taken + self.case.window.min(self.asked)
    }

    fn room(&self) -> usize {
        usize::try_from((self.granted() + self.case.buffer as u64).saturating_sub(self.put)).unwrap()
    }

    /// Elements that may be taken now.
    fn open(&self) -> usize {
        self.queue.len().min(usize::try_from(self.asked).unwrap())
    }

    fn accept(&mut self, count: usize) {
        for _ in 0..count {
            self.queue.push_back(self.put);
            self.put += 1;
        }
    }

    fn take(&mut self) -> T {
        self.taken += 1;
        if self.asked != u64::MAX {
            self.asked -= 1;
        }
        T::number(self.queue.pop_front().unwrap())
    }

    fn fresh(&self, count: usize) -> Vec<T> {
        (self.put..).take(count).map(T::number).collect()
    }

    fn finish(&mut self, reason: CloseReason, end: End) -> Result<(), EndError> {
        match self.closed {
            None => {
                self.closed = Some(reason);
                self.end = Some(end);
                Ok(())
            }
            Some(before) if before == reason => Ok(()),
            Some(reason) => Err(EndError { reason }),
        }
    }

    fn step(&mut self, op: &Op) -> Result<(), TestCaseError> {
        match *op {
            Op::Put => {
                let element = T::number(self.put);
                let expected = match self.closed {
                    Some(reason) => Err(TryPutError::Closed(element, reason)),
                    None if self.room() == 0 => Err(TryPutError::Full(element)),
                    None => Ok(()),
                };
                prop_assert_eq!(self.sink.try_put(element), expected);
                self.accept(expected.is_ok().into());
            }
            Op::Slice(count) => {
                let expected = match self.closed {
                    Some(reason) if count > 0 => Err(PutSliceError { written: 0, reason }),
                    _ => Ok(count.min(self.room())),
                };
                prop_assert_eq!(self.sink.try_put_slice(&self.fresh(count)), expected);
                self.accept(expected.unwrap_or(0));
            }
            Op::Claim {
                claimed,
                pushed,
                commit,
            } => self.claim(claimed, pushed, commit)?,
            Op::Next => {
                let found = self.source.try_next();
                if self.end.is_some() && self.queue.is_empty() {
                    self.told = true;
                    prop_assert_eq!(found, TryNext::End(self.end.clone().unwrap()));
                } else if self.open() == 0 {
                    prop_assert_eq!(found, TryNext::Empty);
                    prop_assert_eq!(self.granted(), self.owed(), "who finds nothing has told all");
                } else {
                    prop_assert_eq!(found, TryNext::Item(self.take()));
                }
            }
            Op::Drain(max) => {
                let mut got = vec![];
                let count = self.source.drain(max, |element| got.push(element));
                let expected: Vec<T> = (0..max.min(self.open())).map(|_| self.take()).collect();
                prop_assert_eq!(count, got.len());
                prop_assert_eq!(got, expected);
            }
            Op::Peek { max, release } => {
                let seen = max.min(self.open());
                let peek = self.source.peek(max);
                let expected: Vec<T> = self.queue.iter().take(seen).map(|&i| T::number(i)).collect();
                prop_assert_eq!(peek.len(), seen);
                prop_assert_eq!(peek.iter().copied().collect::<Vec<_>>(), expected);
                prop_assert_eq!(peek.release(release), release.min(seen));
                for _ in 0..release.min(seen) {
                    self.take();
                }
            }
            Op::Request(count) => {
                let expected = match self.source.end() {
                    _ if !self.case.manual => Err(RequestError::Automatic),
                    Some(_) => Err(RequestError::Ended),
                    None => Ok(()),
                };
                prop_assert_eq!(self.source.request(NonZeroU64::new(count).unwrap()), expected);
                if expected.is_ok() {
                    self.asked = self.asked.saturating_add(count);
                    prop_assert_eq!(self.granted(), self.owed(), "a request tells all");
                }
            }
            Op::Complete => {
                let expected = self.finish(CloseReason::Completed, End::Completed);
                prop_assert_eq!(self.sink.complete(), expected);
            }
            Op::Fail(code) => {
                let fault = StreamFault::new(code, "model");
                let expected = self.finish(CloseReason::Failed, End::Failed(fault.clone()));
                prop_assert_eq!(self.sink.fail(fault), expected);
            }
            Op::Cancel => {
                let ended = self.source.end();
                self.source.cancel();
                if ended.is_none() {
                    self.closed.get_or_insert(CloseReason::Cancelled);
                    self.end = Some(End::Cancelled);
                    self.queue.clear();
                    self.told = true;
                }
            }
        }
        self.check()
    }

    fn claim(&mut self, claimed: usize, pushed: usize, commit: bool) -> Result<(), TestCaseError> {
        let max = self.case.buffer + usize::try_from(self.case.window).unwrap();
        let (room, closed) = (self.room(), self.closed);
        let elements = self.fresh(pushed);
        let mut claim = match self.sink.claim(claimed) {
            Ok(claim) => claim,
            Err(error) => {
                let expected = match closed {
                    _ if claimed > max => ClaimError::TooLarge { asked: claimed, max },
                    Some(reason) => ClaimError::Closed(reason),
                    None => ClaimError::Full {
                        asked: claimed,
                        free: room,
                    },
                };
                prop_assert_eq!(error, expected);
                prop_assert!(closed.is_some() || claimed > room);
                return Ok(());
            }
        };
        prop_assert_eq!(claim.len(), claimed);
        for (at, &element) in elements.iter().enumerate() {
            prop_assert_eq!(
                claim.push(element),
                if at < claimed { Ok(()) } else { Err(element) }
            );
        }
        if !commit {
            return Ok(());
        }
        let written = pushed.min(claimed);
        match (claim.commit(), closed) {
            (committed, None) => {
                prop_assert!(claimed <= room);
                prop_assert_eq!(committed, Ok(written));
                self.accept(written);
            }
            (Ok(committed), Some(_)) => prop_assert_eq!(committed, 0),
            (Err(error), Some(reason)) => prop_assert_eq!(error.reason, reason),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.sink.is_closed(), self.closed.is_some());
        prop_assert_eq!(self.source.position(), self.case.start.wrapping_add(self.taken));
        match self.source.end() {
            None => prop_assert!(!self.told),
            end => {
                prop_assert!(self.queue.is_empty());
                prop_assert_eq!(end, self.end.clone());
            }
        }
        if self.closed != Some(CloseReason::Cancelled) {
            prop_assert_eq!(self.sink.position(), self.case.start.wrapping_add(self.put));
        }
        if self.source.end().is_none() {
            let (granted, owed) = (self.granted(), self.owed());
            prop_assert!(granted <= owed, "granted {}, owed {}", granted, owed);
            let lag = if self.case.each {
                0
            } else {
                (self.case.window / 2).saturating_sub(1)
            };
            prop_assert!(owed - granted <= lag, "granted {}, owed {}", granted, owed);
            prop_assert_eq!(self.sink.demand(), granted.saturating_sub(self.put));
        }
        Ok(())
    }
}

fn run<T: Numbered>() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&case(), |case| {
        let ops = case.ops.clone();
        let mut run = Run::<T>::new(case);
        ops.iter().try_for_each(|op| run.step(op))
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn bytes_1() {
    run::<u8>();
}

#[test]
fn bytes_8() {
    run::<u64>();
}

#[test]
fn bytes_48() {
    run::<[u64; 6]>();
}

#[test]
fn bytes_64() {
    run::<[u64; 8]>();
}

#[test]
fn bytes_120() {
    run::<[u64; 15]>();
}

#[test]
fn bytes_264() {
    run::<[u64; 33]>();
}
