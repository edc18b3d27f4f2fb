//! Which way a trial keeps to, told by a clock that goes as the way does.

use std::time::{Duration, Instant};

use super::super::trial::Trial;

/// Nanoseconds for each element with it and without it.
#[derive(Clone, Copy)]
struct Pace {
    on: u64,
    off: u64,
}

const HELPS: Pace = Pace { on: 20, off: 40 };
const HARMS: Pace = Pace { on: 40, off: 20 };
const ALIKE: Pace = Pace { on: 40, off: 41 };

/// A stream that asks each 16 elements.
struct Course {
    trial: Trial,
    pos: u64,
    time: Instant,
    is_on: bool,
}

impl Course {
    fn new(start: u64) -> Self {
        Self {
            trial: Trial::new(16),
            pos: start,
            time: Instant::now(),
            is_on: false,
        }
    }

    /// Goes on by so many looks. The share of them, in percent, with which it was on.
    fn go(&mut self, looks: u32, pace: Pace) -> u32 {
        let on = (0..looks).filter(|_| self.step(pace, true)).count();
        u32::try_from(on).unwrap() * 100 / looks
    }

    fn step(&mut self, pace: Pace, is_calm: bool) -> bool {
        self.pos = self.pos.wrapping_add(16);
        self.time += Duration::from_nanos(16 * if self.is_on { pace.on } else { pace.off });
        self.is_on = self.trial.is_on(self.pos, is_calm, || self.time);
        self.is_on
    }
}

#[test]
fn what_helps_is_kept_and_what_harms_is_left_out() {
    for start in [0, u64::MAX - 5_000] {
        let mut course = Course::new(start);
        assert!(course.go(20_000, HELPS) >= 90);
        assert!(course.go(20_000, HARMS) <= 10);
        assert!(course.go(20_000, HELPS) >= 80);
    }
}

#[test]
fn what_makes_no_difference_is_left_as_it_is() {
    let mut course = Course::new(0);
    assert!(course.go(20_000, ALIKE) <= 10);
    course.go(20_000, HELPS);
    assert!(course.go(20_000, ALIKE) >= 90);
}

#[test]
fn the_longer_one_way_is_better_the_less_often_the_other_is_tried() {
    let mut course = Course::new(0);
    let early = course.go(1_000, HARMS);
    course.go(20_000, HARMS);
    let late = course.go(40_000, HARMS);
    assert!(late < early && late <= 2, "{early} and {late} %");
}

#[test]
fn turns_that_were_disturbed_count_for_nothing() {
    let mut course = Course::new(0);
    for look in 0..20_000 {
        assert!(!course.step(HELPS, look % 16 != 0), "no turn is whole");
    }
    assert!(course.go(20_000, HELPS) >= 90);
}

#[test]
fn a_trial_that_is_disturbed_is_over_and_comes_again() {
    let mut course = Course::new(0);
    let until_on = |course: &mut Course| (0..1_000).position(|_| course.step(HARMS, true));
    assert!(until_on(&mut course).is_some());
    assert!(!course.step(HARMS, false));
    assert!(until_on(&mut course).is_some_and(|looks| looks > 64));
    course.go(20_000, HELPS);
    assert!(course.is_on);
    assert!(
        (0..5_000).any(|_| !course.step(HELPS, true)),
        "without it, for a turn"
    );
    assert!(course.step(HELPS, false));
}

#[test]
fn a_turn_is_of_many_looks_however_far_apart_they_are() {
    for step in [1, 16, 1_000] {
        let mut trial = Trial::new(step);
        let now = Instant::now();
        let looks = (1..).position(|look: u64| trial.is_on(look * step, true, || now));
        assert!(looks.is_some_and(|looks| looks >= 4 * 32), "{step}: {looks:?}");
    }
}
