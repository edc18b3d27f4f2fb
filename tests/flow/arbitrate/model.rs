//! Any numbers on either line, in any order of puts and takes, against what an arbitration may give of them.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use millstream::Feed::{Element, Gap};
use millstream::{End, Feed, LineCounts, TryNext};
use proptest::prelude::*;

use super::lines;

#[derive(Clone, Debug)]
struct Case {
    start: u64,
    window: usize,
    waits: bool,
    says_first: bool,
    /// For each number, how often it comes on either line.
    numbers: Vec<[usize; 2]>,
    /// Which line goes on, or none: a take.
    steps: Vec<Option<bool>>,
}

fn case() -> impl Strategy<Value = Case> {
    let often = || prop_oneof![3 => Just(0_usize), 10 => Just(1), 1 => Just(2), 1 => Just(3)];
    (
        prop_oneof![Just(0), Just(1000), u64::MAX - 60..=u64::MAX],
        prop_oneof![2..6_usize, Just(1024)],
        any::<bool>(),
        any::<bool>(),
        proptest::collection::vec([often(), often()], 1..100),
        proptest::collection::vec(proptest::option::weighted(0.6, any::<bool>()), 0..400),
    )
        .prop_map(|(start, window, waits, says_first, numbers, steps)| Case {
            start,
            window,
            waits,
            says_first,
            numbers,
            steps,
        })
}

/// What the lines have brought, and what has come out of it.
#[derive(Default)]
struct Model {
    start: u64,
    /// Of either line, by distance from the start.
    put: [Vec<u64>; 2],
    given: BTreeSet<u64>,
    missing: HashSet<u64>,
    next: Option<u64>,
}

impl Model {
    fn came(&mut self, item: Feed<u64>) {
        let (from, count) = match item {
            Element(number) => (number, 1),
            Gap { from, count } => (from, count),
        };
        let at = from.wrapping_sub(self.start);
        assert_eq!(*self.next.get_or_insert(at), at, "{item:?} is not the next");
        self.next = Some(at + count);
        match item {
            Element(_) => {
                assert!(self.put.iter().any(|line| line.contains(&at)));
                self.given.insert(at);
            }
            Gap { .. } => {
                assert!(count > 0);
                for at in at..at + count {
                    // By then neither line had brought it.
                    assert!(!self.put.iter().any(|line| line.contains(&at)), "{at} was there");
                    self.missing.insert(at);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2 * ProptestConfig::default().cases, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_number_is_given_once_or_told_as_missing_once(case in case()) {
        let (left, right, feed) = lines();
        let mut feed = feed.window(case.window);
        if !case.waits {
            feed = feed.patience(Duration::ZERO);
        }
        if case.says_first {
            feed = feed.first(case.start);
        }
        let mut feed = feed.build();
        let mut sinks = [left, right];
        let mut model = Model { start: case.start, ..Model::default() };
        if case.says_first {
            model.next = Some(0);
        }
        let mut left = [0, 1].map(|line| {
            let numbers = case.numbers.iter().zip(0_u64..);
            let all: Vec<u64> = numbers.flat_map(|(often, at)| vec![at; often[line]]).collect();
            all.into_iter()
        });
        let mut go_on = |model: &mut Model, line: usize| {
            let at = left[line].next()?;
            sinks[line].try_put(case.start.wrapping_add(at)).unwrap();
            model.put[line].push(at);
            Some(())
        };
        for step in &case.steps {
            match step {
                Some(line) => {
                    go_on(&mut model, usize::from(*line));
                }
                None => {
                    if let TryNext::Item(item) = feed.try_next() {
                        model.came(item);
                    }
                }
            }
        }
        for line in [0, 1] {
            while go_on(&mut model, line).is_some() {}
        }
        sinks.iter_mut().for_each(|sink| sink.complete().unwrap());
        feed.by_ref().for_each(|item| model.came(item));
        prop_assert_eq!(feed.held_back(), 0);
        prop_assert_eq!(feed.end(), Some(End::Completed));
        let brought: BTreeSet<u64> = model.put.iter().flatten().copied().collect();
        let from = model.given.first().copied().unwrap_or(0);
        for at in &brought {
            // Before the first that was given, or told as missing before it came.
            prop_assert!(model.given.contains(at) || model.missing.contains(at) || *at < from);
            prop_assert!(!(model.given.contains(at) && model.missing.contains(at)));
        }
        if case.waits && case.window == 1024 {
            // Nothing was given up but what neither line ever brought.
            prop_assert!(brought.iter().all(|at| model.given.contains(at) || *at < from));
        }
        prop_assert!(case.says_first || model.given.first() == brought.iter().find(|at| **at >= from));
        let counts = [feed.line_a(), feed.line_b()];
        for line in [0, 1] {
            let LineCounts { first, duplicates, late, .. } = counts[line];
            prop_assert_eq!(first + duplicates + late, model.put[line].len() as u64);
            let told = model.put[line].iter().filter(|at| model.missing.contains(at)).count();
            prop_assert_eq!(late, told as u64);
        }
        prop_assert_eq!(counts[0].first + counts[1].first, model.given.len() as u64);
    }
}
