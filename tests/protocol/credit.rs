//! Demand, buffer and window: what may be put, and what may be taken.

use std::num::NonZeroU64;

use millstream::{CloseReason, End, PutDeadlineError, RequestError, TryNext, TryPutError};

use crate::support::{Config, SIZES, Setting, fill, protocol, taken};

protocol! {
    c1_nothing_flows_before_it_is_demanded
    c3_the_buffer_is_exact
    c3_elements_sent_do_not_count_against_the_buffer
    c4_a_cancel_before_any_demand_stops_the_producer
    c7_elements_put_before_demand_are_kept_in_order
    c8_a_demand_delivers_as_much_and_its_surplus_carries_over
    c9_demands_add_up
    c9_demand_saturates
    c9_only_a_manual_source_asks_by_hand
    c10_a_full_stream_gives_the_element_back_and_goes_on
    c26_the_defaults_are_16_and_16
    c33_the_window_bounds_what_is_out
    c36_taking_replenishes_at_once_when_asked_to
    c37_credit_may_lag_but_never_exceeds
    c51_a_demand_is_not_lost_when_nobody_looks
    positions_count_from_the_start_position
}

fn many(count: u64) -> NonZeroU64 {
    NonZeroU64::new(count).unwrap()
}

fn c1_nothing_flows_before_it_is_demanded<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(3, 16).manual());
    assert_eq!(sink.demand(), 0);
    let mut next = 0;
    assert_eq!(fill(&mut sink, &mut next), 3, "the buffer alone");
    assert_eq!(source.try_next(), TryNext::Empty);
    assert_eq!(source.drain(9, |_| panic!("not demanded")), 0);
    assert!(source.peek(9).is_empty());
    source.request(many(1)).unwrap();
    assert_eq!(source.try_next(), TryNext::Item(0));
    assert_eq!(source.try_next(), TryNext::Empty);
}

fn c3_the_buffer_is_exact<S: Setting>() {
    for start in [0, u64::from(u32::MAX) - 3, u64::MAX - 3] {
        for (buffer, demand) in SIZES {
            let (mut sink, mut source) = S::pair(Config::new(buffer, demand).start(start));
            let mut next = 0;
            let room = buffer as u64 + demand;
            assert_eq!(
                fill(&mut sink, &mut next),
                room,
                "buffer {buffer}, demand {demand}"
            );
            assert_eq!(fill(&mut sink, &mut next), 0);
            assert_eq!(taken(&mut source), (0..room).collect::<Vec<_>>());
            // Whoever found nothing has given all credit back.
            assert_eq!(fill(&mut sink, &mut next), room);
        }
    }
}

fn c3_elements_sent_do_not_count_against_the_buffer<S: Setting>() {
    for (buffer, demand) in SIZES {
        let (mut sink, mut source) = S::pair(Config::new(buffer, demand).manual());
        let mut next = 0;
        assert_eq!(fill(&mut sink, &mut next), buffer as u64);
        for asked in 1..=demand {
            source.request(many(1)).unwrap();
            assert_eq!(fill(&mut sink, &mut next), 1, "{asked} asked for of {demand}");
        }
        // Taking alone makes no room when demand is by hand.
        assert_eq!(source.try_next(), TryNext::Item(0));
        assert_eq!(fill(&mut sink, &mut next), 0);
    }
}

fn c4_a_cancel_before_any_demand_stops_the_producer<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(4, 4).manual());
    sink.try_put(1).unwrap();
    source.cancel();
    assert!(sink.is_closed());
    assert_eq!(
        sink.try_put(2),
        Err(TryPutError::Closed(2, CloseReason::Cancelled))
    );
    assert_eq!(source.request(many(1)), Err(RequestError::Ended));
}

fn c7_elements_put_before_demand_are_kept_in_order<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(20, 20).manual());
    for i in 0..20 {
        sink.try_put(i).unwrap();
    }
    source.request(many(20)).unwrap();
    assert_eq!(taken(&mut source), (0..20).collect::<Vec<_>>());
}

fn c8_a_demand_delivers_as_much_and_its_surplus_carries_over<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(10, 10).manual());
    for i in 0..10 {
        sink.try_put(i).unwrap();
    }
    source.request(many(3)).unwrap();
    assert_eq!(taken(&mut source), [0, 1, 2]);
    source.request(many(2)).unwrap();
    assert_eq!(source.peek(9).iter().copied().collect::<Vec<_>>(), [3, 4]);
    let mut got = vec![];
    assert_eq!(source.drain(9, |element| got.push(element)), 2);
    assert_eq!(got, [3, 4]);
    source.request(many(8)).unwrap();
    assert_eq!(taken(&mut source), [5, 6, 7, 8, 9]);
    assert_eq!(sink.demand(), 3, "the surplus");
    for i in 10..14 {
        sink.try_put(i).unwrap();
    }
    assert_eq!(taken(&mut source), [10, 11, 12]);
    source.request(many(1)).unwrap();
    assert_eq!(taken(&mut source), [13]);
}

fn c9_demands_add_up<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(0, 10).manual());
    source.request(many(2)).unwrap();
    assert_eq!(sink.demand(), 2);
    source.request(many(3)).unwrap();
    assert_eq!(sink.demand(), 5);
    // Beyond the window the rest follows as elements are taken.
    source.request(many(7)).unwrap();
    assert_eq!(sink.demand(), 10);
    let mut next = 0;
    let mut got = vec![];
    while fill(&mut sink, &mut next) > 0 {
        got.append(&mut taken(&mut source));
    }
    assert_eq!(got, (0..12).collect::<Vec<_>>());
}

fn c9_demand_saturates<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(0, 4).manual());
    source.request(many(u64::MAX - 1)).unwrap();
    source.request(many(u64::MAX)).unwrap();
    source.request(many(1)).unwrap();
    assert_eq!(sink.demand(), 4, "the window bounds it");
    let mut next = 0;
    for _ in 0..100 {
        assert!(fill(&mut sink, &mut next) > 0);
        assert!(!taken(&mut source).is_empty());
    }
}

fn c9_only_a_manual_source_asks_by_hand<S: Setting>() {
    let (_sink, mut source) = S::pair(Config::new(1, 4));
    assert_eq!(source.request(many(1)), Err(RequestError::Automatic));
    assert_eq!(source.granted(), 4);
}

fn c10_a_full_stream_gives_the_element_back_and_goes_on<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(1, 1));
    sink.try_put(1).unwrap();
    sink.try_put(2).unwrap();
    for _ in 0..3 {
        assert_eq!(sink.try_put(3), Err(TryPutError::Full(3)));
        let now = std::time::Instant::now();
        assert_eq!(sink.put_deadline(3, now), Err(PutDeadlineError::TimedOut(3)));
        assert_eq!(sink.try_put_slice(&[3, 4]), Ok(0));
    }
    assert!(!sink.is_closed());
    assert_eq!(taken(&mut source), [1, 2]);
    sink.try_put(3).unwrap();
    assert_eq!(taken(&mut source), [3]);
}

fn c26_the_defaults_are_16_and_16<S: Setting>() {
    // The defaults of the builder in one process; another setting shares them.
    let (mut sink, source) = millstream::channel::<u64>().build().unwrap();
    assert_eq!(sink.demand(), 16);
    assert_eq!(source.granted(), 16);
    assert_eq!(fill(&mut sink, &mut 0), 32);
}

fn c33_the_window_bounds_what_is_out<S: Setting>() {
    for (_, demand) in SIZES {
        let (mut sink, mut source) = S::pair(Config::new(0, demand));
        let mut next = 0;
        for _ in 0..50 {
            fill(&mut sink, &mut next);
            assert!(sink.position() - source.position() <= demand);
            assert!(source.granted() - source.position() <= demand);
            let Some(_) = source.try_next().item() else {
                panic!("a full window has an element")
            };
        }
    }
}

fn c36_taking_replenishes_at_once_when_asked_to<S: Setting>() {
    for (buffer, demand) in SIZES {
        let (mut sink, mut source) = S::pair(Config::new(buffer, demand).each());
        let mut next = 0;
        let room = buffer as u64 + demand;
        assert_eq!(fill(&mut sink, &mut next), room);
        for expected in 0..3 * room {
            // Credit is given when the element is taken, not when the body that works on it comes back.
            assert_eq!(source.next(), Some(expected));
            assert_eq!(fill(&mut sink, &mut next), 1);
        }
    }
}

fn c37_credit_may_lag_but_never_exceeds<S: Setting>() {
    for (buffer, demand) in SIZES {
        let (mut sink, mut source) = S::pair(Config::new(buffer, demand));
        let mut next = 0;
        for _ in 0..200 {
            fill(&mut sink, &mut next);
            let open = source.granted() - source.position();
            assert!(open <= demand);
            assert!(
                open >= demand - demand / 2,
                "it lags by at most half a window: {open} of {demand}"
            );
            assert!(sink.position() <= source.granted() + buffer as u64);
            let Some(_) = source.try_next().item() else {
                panic!("there is one")
            };
        }
    }
}

fn c51_a_demand_is_not_lost_when_nobody_looks<S: Setting>() {
    let (mut sink, mut source) = S::pair(Config::new(0, 1000).manual());
    for _ in 0..1000 {
        source.request(many(1)).unwrap();
    }
    assert_eq!(fill(&mut sink, &mut 0), 1000);
    assert_eq!(taken(&mut source).len(), 1000);
    assert_eq!(source.end(), None::<End>);
}

fn positions_count_from_the_start_position<S: Setting>() {
    for start in [0, 5, u64::from(u32::MAX) - 1, u64::MAX - 1, u64::MAX, 1 << 63] {
        let (mut sink, mut source) = S::pair(Config::new(2, 4).start(start));
        assert_eq!((sink.position(), source.position()), (start, start));
        assert_eq!(source.granted(), start.wrapping_add(4));
        let mut next = 0;
        for _ in 0..20 {
            fill(&mut sink, &mut next);
            taken(&mut source);
            assert_eq!(sink.position(), start.wrapping_add(next));
            assert_eq!(source.position(), start.wrapping_add(next));
        }
    }
}

#[test]
fn elements_that_share_a_stamp_are_credited_each_quarter_of_a_window() {
    /// The most of a window of `window` that was taken and not released.
    fn lag<const W: usize>(window: u64) -> u64 {
        let (mut sink, mut source) = millstream::channel::<[u64; W]>()
            .initial_demand(window)
            .build()
            .unwrap();
        let mut most = 0;
        for _ in 0..3 * window {
            while sink.try_put([0; W]).is_ok() {}
            most = most.max(window - (source.granted() - source.position()));
            assert!(source.try_next().item().is_some());
        }
        most
    }
    // Of a line, of a bundle, with a stamp each.
    assert_eq!((lag::<1>(64), lag::<8>(64), lag::<7>(64)), (15, 15, 31));
    assert_eq!((lag::<1>(1024), lag::<8>(1024), lag::<32>(1024)), (255, 255, 511));
    // Not more often than each eighth element, or half the window if that is less.
    assert_eq!(
        (lag::<1>(32), lag::<1>(16), lag::<1>(7), lag::<1>(1)),
        (7, 7, 2, 0)
    );
}
