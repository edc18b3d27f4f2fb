//! Any puts, takes and ends, against what a merge may give at each of them.

use millstream::{EndPolicy, Merge, merge};
use proptest::prelude::*;

use super::{fault, inputs};

#[derive(Clone, Debug)]
enum Step {
    Put { input: usize, by: u64 },
    Take,
    End { input: usize, fails: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => (0..4_usize, 0..5_u64).prop_map(|(input, by)| Step::Put { input, by }),
        20 => Just(Step::Take),
        1 => (0..4_usize, any::<bool>()).prop_map(|(input, fails)| Step::End { input, fails }),
    ];
    proptest::collection::vec(step, 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the order: of each input everything, in its order; and the order's own rule.
    #[test]
    fn every_element_comes_once_and_in_its_order(order in 0..4_usize, fail_fast: bool, steps in steps()) {
        let (mut sinks, sources) = inputs::<4>();
        let merged = merge(sources);
        let merged = match order {
            0 => merged.fair(),
            1 => merged.by_priority(),
            2 => merged.by_arrival(|key| *key / 4),
            _ => merged.ordered_by(|key| *key / 4),
        };
        let policy = if fail_fast { EndPolicy::FailFast } else { EndPolicy::Drain };
        let mut merged = merged.end_policy(policy).build();
        // What was put and not taken, of each input; elements carry their key and their input.
        let mut there = [const { std::collections::VecDeque::new() }; 4];
        let mut keys = [0; 4];
        let mut open = [true; 4];
        let mut failed = false;
        let mut given = Vec::new();
        let mut check = |merged: &mut Merge<u64>, there: &mut [std::collections::VecDeque<u64>; 4]| {
            let item = merged.try_next().item();
            if let Some(element) = item {
                let input = merged.last_input().unwrap();
                assert_eq!(there[input].pop_front(), Some(element));
                let urgent = there.iter().position(|input| !input.is_empty());
                let least = there.iter().filter_map(|input| input.front()).min();
                match order {
                    1 => assert!(urgent.is_none_or(|urgent| input <= urgent)),
                    2 => assert!(least.is_none_or(|least| element / 4 <= least / 4)),
                    3 => assert!(given.last().is_none_or(|last| last / 4 <= element / 4)),
                    _ => {}
                }
                given.push(element);
            }
            item
        };
        for step in steps {
            match step {
                Step::Put { input, by } => {
                    keys[input] += by;
                    let element = keys[input] * 4 + input as u64;
                    if sinks[input].try_put(element).is_ok() {
                        there[input].push_back(element);
                    }
                }
                Step::Take => {
                    let item = check(&mut merged, &mut there);
                    let blocked = order == 3 && (0..4).any(|input| open[input] && there[input].is_empty());
                    prop_assert!(item.is_some() || blocked || failed || there.iter().all(|input| input.is_empty()));
                }
                Step::End { input, fails } => {
                    failed |= fails && open[input];
                    open[input] = false;
                    let _ = if fails { sinks[input].fail(fault()) } else { sinks[input].complete() };
                }
            }
        }
        for sink in &mut sinks {
            let _ = sink.complete();
        }
        // A look that finds a failure may find nothing else.
        let mut looks = 0;
        while merged.end().is_none() && looks < 10_000 {
            looks += usize::from(check(&mut merged, &mut there).is_none());
        }
        // With the first failure told at once, too: what a sink took before it was told is given.
        prop_assert!(there.iter().all(|input| input.is_empty()), "{:?} are left", there);
        prop_assert_eq!(merged.failed_input().is_some(), failed);
        prop_assert!(merged.late() == 0 || order == 2);
    }
}
