//! When a consumer leaves its ring alone, told from the stamps alone: nobody runs beside it.

use super::super::filling::{Filling, Seen};
use super::super::headway::Headway;
use crate::{SinkRef, SourceRef};

/// Of a size of which sixteen make a bundle.
type Quote = [u64; 8];

/// Of a source that leaves nothing alone by itself, so that its cursors stay where they are.
fn pair(capacity: usize, start: u64) -> (SinkRef<Quote>, SourceRef<Quote>) {
    pair_of(capacity, start)
}

fn pair_of<T: Send + 'static>(capacity: usize, start: u64) -> (SinkRef<T>, SourceRef<T>) {
    let (sink, mut source) = crate::channel::<T>()
        .buffer_size(capacity / 2)
        .initial_demand(capacity as u64 / 2)
        .start_position(start)
        .build()
        .unwrap();
    source.cold.headway.stop();
    source.set_mark(source.cold.endpoint.mark());
    (sink, source)
}

fn put(sink: &mut SinkRef<Quote>, count: u64) {
    for _ in 0..count {
        sink.put([7; 8]).unwrap();
    }
}

fn take(source: &mut SourceRef<Quote>, count: usize) {
    assert_eq!(source.by_ref().take(count).count(), count);
}

const ALL: u64 = u64::MAX;
const GO_ON: [Seen; 2] = [seen(1, false), seen(16, false)];

const fn seen(step: u64, is_filling: bool) -> Seen {
    Seen { step, is_filling }
}

fn look(filling: &mut Filling, source: &SourceRef<Quote>) -> Seen {
    filling.look(source.ring.pos(), source.ring.spot(), ALL, false)
}

#[test]
fn a_bundle_that_is_half_full_is_left_alone_until_the_next_is_begun() {
    for start in [0, 16, 5, u64::MAX - 20, u64::MAX - 15] {
        let (mut sink, mut source) = pair(64, start);
        let mut filling = Filling::of(&source.ring).unwrap();
        put(&mut sink, 16);
        take(&mut source, 16);
        assert_eq!(look(&mut filling, &source), seen(1, false), "nothing there yet");
        put(&mut sink, 1);
        take(&mut source, 1);
        assert_eq!(look(&mut filling, &source), seen(15, true), "from {start}");
        assert!(!filling.is_over(source.ring.spot()));
        put(&mut sink, 15);
        assert!(!filling.is_over(source.ring.spot()));
        put(&mut sink, 1);
        assert!(filling.is_over(source.ring.spot()));
        assert_eq!(look(&mut filling, &source), seen(15, false), "it is full");
    }
}

#[test]
fn what_was_found_half_full_is_expected_to_be_so_for_a_while() {
    let (mut sink, mut source) = pair(64, 0);
    let mut filling = Filling::of(&source.ring).unwrap();
    put(&mut sink, 17);
    take(&mut source, 17);
    assert_eq!(look(&mut filling, &source), seen(15, true));
    put(&mut sink, 15);
    take(&mut source, 15);
    for _ in 0..16 {
        assert_eq!(look(&mut filling, &source), seen(16, true));
    }
    assert_eq!(look(&mut filling, &source), seen(1, false), "looked at again");
}

#[test]
fn full_bundles_and_what_was_not_asked_for_or_was_waited_for_are_not_left_alone() {
    let (mut sink, mut source) = pair(64, 0);
    let mut filling = Filling::of(&source.ring).unwrap();
    put(&mut sink, 32);
    take(&mut source, 16);
    assert_eq!(look(&mut filling, &source), GO_ON[1]);
    take(&mut source, 1);
    assert_eq!(look(&mut filling, &source), seen(15, false));
    take(&mut source, 15);
    put(&mut sink, 3);
    take(&mut source, 3);
    let (pos, spot) = (source.ring.pos(), source.ring.spot());
    assert_eq!(
        filling.look(pos, spot, 12, false),
        seen(13, false),
        "12 were asked for"
    );
    assert_eq!(filling.look(pos, spot, ALL, true), seen(13, false), "waited for");
    assert_eq!(filling.look(pos, spot, ALL, false), seen(13, true));
    put(&mut sink, 13);
    take(&mut source, 13);
    let (pos, spot) = (source.ring.pos(), source.ring.spot());
    assert_eq!(filling.look(pos, spot, 15, false), GO_ON[0]);
    assert_eq!(filling.look(pos, spot, ALL, true), GO_ON[0]);
    assert_eq!(filling.look(pos, spot, ALL, false), seen(16, true));
}

#[test]
fn rings_of_lines_of_records_and_of_few_bundles_have_none() {
    assert!(Filling::of(&pair(32, 0).1.ring).is_none());
    assert!(Filling::of(&pair(34, 0).1.ring).is_some());
    let lines = crate::channel::<u64>().build().unwrap();
    assert!(Filling::of(&lines.1.ring).is_none());
    let records = crate::channel::<[u64; 17]>().buffer_size(1000).build().unwrap();
    assert!(Filling::of(&records.1.ring).is_none());
}

/// How often a consumer of single puts leaves its ring alone that looks in vain so often before each.
fn pauses<T: Copy + Send + 'static>(element: T, capacity: usize, in_vain: u64) -> usize {
    // More than what goes before the first trial.
    pauses_at(element, capacity, &vec![in_vain; 4_000]).len()
}

/// After how many elements it does, looking in vain so often before each.
fn pauses_at<T: Copy + Send + 'static>(element: T, capacity: usize, in_vain: &[u64]) -> Vec<usize> {
    pauses_by(1, element, capacity, in_vain)
}

/// After how many peeks of so many elements it does, looking in vain so often before each.
fn pauses_by<T: Copy + Send + 'static>(
    by: usize,
    element: T,
    capacity: usize,
    in_vain: &[u64],
) -> Vec<usize> {
    let (mut sink, mut source) = pair_of::<T>(capacity, 0);
    let mut headway = Headway::of(&source.ring);
    let (mut idle, mut pauses) = (0, Vec::new());
    for (count, in_vain) in in_vain.iter().enumerate() {
        idle += in_vain;
        for _ in 0..by {
            sink.put(element).unwrap();
            assert!(source.next().is_some());
        }
        let (pos, spot) = (source.ring.pos(), source.ring.spot());
        if headway.look(pos, spot, ALL, idle) {
            pauses.push(count);
            headway.waive();
        }
    }
    pauses
}

#[test]
fn who_waits_for_each_element_leaves_nothing_alone() {
    for capacity in [64, 200, 1024] {
        assert!(pauses([7_u64; 8], capacity, 0) > 0, "of {capacity}");
        assert!(pauses([7_u64; 7], capacity, 0) > 0, "lines, of {capacity}");
        for in_vain in [70, 200, 900, 5_000] {
            let pauses = pauses([7_u64; 8], capacity, in_vain) + pauses([7_u64; 7], capacity, in_vain);
            assert_eq!(pauses, 0, "of {capacity}, {in_vain} looks in vain");
        }
    }
}

#[test]
fn in_a_small_ring_of_lines_a_distance_is_tried() {
    let at = |capacity, in_vain: &[u64]| pauses_at([7_u64; 7], capacity, in_vain);
    assert!(
        at(200, &[0; 4_000])[0] < 1_000,
        "not tried where it is known to help"
    );
    let first = at(64, &[0; 4_000])[0];
    assert!(first > 2_000, "there are turns without it");
    let mut waits = [0; 4_000];
    waits[first + 1..first + 17].fill(200);
    let after: Vec<_> = at(64, &waits).into_iter().filter(|at| *at > first + 17).collect();
    assert!(after.is_empty(), "that trial was disturbed: {after:?}");
}

#[test]
fn in_a_ring_of_few_bundles_a_distance_of_two_full_ones_is_tried() {
    for capacity in [64, 66, 200] {
        let at = pauses_at([7_u64; 8], capacity, &[0; 8_000]);
        let is_tried = |at: &[usize]| at[1] - at[0] == 32;
        let first = at.windows(2).position(is_tried).unwrap();
        assert!(at[first] > 2_000, "there are turns without it, of {capacity}");
        let gaps: Vec<_> = at[..=first].windows(2).map(|at| at[1] - at[0]).collect();
        assert!(gaps.iter().all(|gap| *gap <= 17), "of {capacity}: {gaps:?}");
        let ends: Vec<_> = at[first..first + 16].iter().map(|at| (at + 1) % 16).collect();
        assert_eq!(ends, [0; 16], "of {capacity}");
    }
}

#[test]
fn from_the_midst_of_a_bundle_its_rest_and_a_full_one_are_a_distance() {
    for by in [3, 5, 7, 11] {
        let after: Vec<_> = pauses_by(by, [7_u64; 8], 64, &[0; 3_000])
            .iter()
            .map(|at| by * (at + 1))
            .collect();
        let next = |pos: usize| {
            (if pos.is_multiple_of(16) {
                pos + 32
            } else {
                pos.next_multiple_of(16) + 16
            })
            .next_multiple_of(by)
        };
        let longest = after
            .chunk_by(|at, then| *then == next(*at))
            .map(<[usize]>::len)
            .max();
        assert!(longest > Some(16), "of a turn of 1,024 by {by}: {after:?}");
    }
}

#[test]
fn two_full_bundles_are_enough_and_what_was_in_vain_is_left_out_once() {
    for (there, helps) in [(33, true), (32, false)] {
        let (mut sink, mut source) = pair(64, 0);
        let mut headway = Headway::of(&source.ring);
        let mut is_due = |source: &mut SourceRef<Quote>, headway: &mut Headway| {
            put(&mut sink, 32);
            take(source, 32);
            headway.look(source.ring.pos(), source.ring.spot(), ALL, 0)
        };
        // Where it finds every bundle empty it keeps from none that is being filled: only the distance can be due.
        assert!(
            (0..1_000).any(|_| is_due(&mut source, &mut headway)),
            "never tried"
        );
        put(&mut sink, there);
        // As a source does that pauses: its place is that of the next element.
        let place = source.ring.place();
        source.ring.set_place(place);
        headway.keep(source.ring.spot());
        assert!(!headway.is_due());
        take(&mut source, there as usize);
        let is_due = headway.look(source.ring.pos(), source.ring.spot(), ALL, 0);
        assert_eq!(is_due, helps, "{there} there");
    }
}
