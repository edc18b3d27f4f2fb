//! Roles of producers.

use std::time::Duration;

use millstream::{PutDeadlineError, PutFrameDeadlineError, SinkRef, StreamFault, WaitStrategy};

use crate::fault::Fault;
use crate::ledger::{HEIR, OTHER, PEER, VICTIM};
use crate::pattern::{LONGEST, Pattern, frame};
use crate::stage::{ANEW, Holdings, NAME, Stage, mark, soon};
use crate::verdict::{COMPLETED, FAILED, reason_code};

/// Elements before the marks, so that those between them do not begin with a block.
const BEFORE: u64 = 5;
/// The stage of a producer of whom everything was released.
pub(crate) const DRAINED: u32 = 5;
/// What a producer feeds that lives on.
pub(crate) const FED: u64 = 64;

fn elements<const N: usize>(from: u64, count: u64) -> Vec<[u64; N]> {
    (from..from + count).map(Pattern::at).collect()
}

/// Publishes, and puts the first elements before the consumers that it names have come.
fn begin<const N: usize>(
    stage: &Stage<'_>,
    buffer: usize,
    consumers: &[usize],
) -> Result<SinkRef<[u64; N]>, Fault> {
    let mut builder = stage.publish::<[u64; N]>().buffer_size(buffer).max_demand(16);
    if consumers.len() > 1 {
        builder = builder.consumers(4);
    }
    let mut sink = builder.open()?;
    stage.reach(1);
    for consumer in consumers {
        stage.wait_for(*consumer, 1)?;
    }
    for position in 0..BEFORE {
        sink.put_deadline(Pattern::at(position), soon())?;
        stage.own().set_acked(position + 1);
    }
    Ok(sink)
}

fn puts<const N: usize>(stage: &Stage<'_>, sink: &mut SinkRef<[u64; N]>, count: u64) -> Result<(), Fault> {
    let (own, some) = (stage.own(), elements::<N>(BEFORE, count));
    own.set_uncertain(1);
    mark();
    for (element, after) in some.into_iter().zip(BEFORE + 1..) {
        sink.put(element)?;
        own.set_acked(after);
    }
    mark();
    stage.stay()
}

/// So many puts of so many words.
pub(crate) fn put<const N: usize, const COUNT: u64>(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut sink = begin::<N>(stage, 16, &[PEER])?;
    puts(stage, &mut sink, COUNT)
}

/// Every put finds the ring full and looks for credit.
pub(crate) fn put_full(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut sink = begin::<1>(stage, 1, &[PEER])?;
    puts(stage, &mut sink, 4)
}

/// The put rings a consumer that sleeps.
pub(crate) fn put_wakes(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut sink = begin::<1>(stage, 16, &[PEER])?;
    let mut seen = millstream::observe(NAME, Some(stage.dir.clone()))?;
    let end = soon();
    while !seen.consumer().is_some_and(|consumer| consumer.parked) {
        if std::time::Instant::now() > end {
            return Err(Fault::hung("the consumer does not park"));
        }
        std::thread::yield_now();
        seen.refresh();
    }
    drop(seen);
    puts(stage, &mut sink, 1)
}

/// Puts so many elements as one slice, between the marks.
fn slice<const N: usize>(
    stage: &Stage<'_>,
    mut sink: SinkRef<[u64; N]>,
    from: u64,
    count: u64,
) -> Result<(), Fault> {
    let (own, some) = (stage.own(), elements::<N>(from, count));
    own.set_uncertain(count);
    mark();
    sink.put_slice(&some)?;
    own.set_acked(from + count);
    own.set_uncertain(0);
    mark();
    stage.stay()
}

pub(crate) fn put_slice<const N: usize, const COUNT: u64>(stage: &Stage<'_>) -> Result<(), Fault> {
    let sink = begin::<N>(stage, 32, &[PEER])?;
    slice(stage, sink, BEFORE, COUNT)
}

/// A slice for which there is room, of which the sink knew only a part when it looked last.
pub(crate) fn put_slice_late(stage: &Stage<'_>) -> Result<(), Fault> {
    const LATE: u64 = 41;
    let mut sink = begin::<1>(stage, 32, &[PEER])?;
    for position in BEFORE..LATE {
        sink.put_deadline(Pattern::at(position), soon())?;
        stage.own().set_acked(position + 1);
    }
    // The window of 16 is open once everything was taken.
    let deadline = soon();
    while sink.demand() < 16 {
        if std::time::Instant::now() > deadline {
            return Err(Fault::hung("the consumer does not take everything"));
        }
        std::thread::yield_now();
    }
    slice(stage, sink, LATE, 20)
}

pub(crate) fn claim(stage: &Stage<'_>) -> Result<(), Fault> {
    const COUNT: u64 = 9;
    let mut sink = begin::<1>(stage, 32, &[PEER])?;
    let (own, some) = (stage.own(), elements::<1>(BEFORE, COUNT));
    own.set_uncertain(COUNT);
    mark();
    let mut claim = sink.claim(some.len())?;
    for element in some {
        claim
            .push(element)
            .map_err(|_| Fault::broken("a claim has no slot for what was claimed"))?;
    }
    claim.commit()?;
    own.set_acked(BEFORE + COUNT);
    own.set_uncertain(0);
    mark();
    stage.stay()
}

pub(crate) fn frames(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut sink = stage
        .publish::<[u8]>()
        .max_frame(LONGEST)
        .buffer_size(16)
        .open()?;
    stage.reach(1);
    stage.wait_for(PEER, 1)?;
    let (own, some): (_, Vec<_>) = (stage.own(), (0..4).map(frame).collect());
    own.set_uncertain(1);
    mark();
    for (bytes, after) in some.iter().zip(1..) {
        sink.put(bytes)?;
        own.set_acked(after);
    }
    mark();
    stage.stay()
}

pub(crate) fn frame_claim(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut sink = stage
        .publish::<[u8]>()
        .max_frame(LONGEST)
        .buffer_size(16)
        .open()?;
    stage.reach(1);
    stage.wait_for(PEER, 1)?;
    sink.put(&frame(0))?;
    let (own, bytes) = (stage.own(), frame(1));
    own.set_acked(1);
    own.set_uncertain(1);
    mark();
    let mut claim = sink.claim(bytes.len())?;
    claim.copy_from_slice(&bytes);
    claim.commit()?;
    own.set_acked(2);
    own.set_uncertain(0);
    mark();
    stage.stay()
}

pub(crate) const FAULT: (u32, &str) = (7, "the line to the exchange is down");

pub(crate) fn complete(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut sink = begin::<7>(stage, 16, &[PEER])?;
    mark();
    sink.complete()?;
    stage.own().set_note(COMPLETED);
    mark();
    stage.stay()
}

pub(crate) fn fail(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut sink = begin::<7>(stage, 16, &[PEER])?;
    let fault = StreamFault::new(FAULT.0, FAULT.1);
    mark();
    sink.fail(fault)?;
    stage.own().set_note(FAILED);
    mark();
    stage.stay()
}

/// Completes, and gives everything back.
pub(crate) fn close(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut sink = begin::<7>(stage, 16, &[PEER])?;
    mark();
    sink.complete()?;
    stage.own().set_note(COMPLETED);
    drop(sink);
    mark();
    stage.stay()
}

/// Everything from the first call on, with a consumer that waits for somebody to publish.
pub(crate) fn open(stage: &Stage<'_>) -> Result<(), Fault> {
    let own = stage.own();
    stage.wait_for(PEER, 1)?;
    mark();
    let mut sink = stage.publish::<[u64; 7]>().open()?;
    own.set_uncertain(1);
    for position in 0..BEFORE {
        sink.put(Pattern::at(position))?;
        own.set_acked(position + 1);
    }
    mark();
    stage.stay()
}

/// Between the marks somebody subscribes.
pub(crate) fn accept(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut sink = stage.publish::<[u64; 7]>().open()?;
    mark();
    stage.reach(1);
    stage.wait_for(PEER, 2)?;
    stage.own().set_uncertain(1);
    for position in 0..BEFORE {
        sink.put(Pattern::at(position))?;
        stage.own().set_acked(position + 1);
    }
    mark();
    stage.stay()
}

pub(crate) fn broadcast(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut sink = begin::<7>(stage, 16, &[PEER, OTHER])?;
    puts(stage, &mut sink, 6)
}

/// One consumer takes nothing and is waited for no longer than no time: some put goes on without it.
pub(crate) fn evict(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut sink = begin::<1>(stage, 4, &[PEER, OTHER])?;
    puts(stage, &mut sink, 8)
}

pub(crate) fn rendezvous(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut publisher = stage.publish::<[u64; 7]>().publisher()?;
    let own = stage.own();
    stage.reach(1);
    for consumer in [PEER, OTHER] {
        stage.wait_for(consumer, 1)?;
    }
    publisher.put_deadline(Pattern::at(0), soon())?;
    own.set_acked(1);
    own.set_uncertain(1);
    let some = elements::<7>(1, 2);
    mark();
    for (element, after) in some.into_iter().zip(2..) {
        publisher.put(element)?;
        own.set_acked(after);
    }
    mark();
    stage.stay()
}

/// Feeds a consumer that is killed and one that resumes it.
pub(crate) fn feed<const N: usize>(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    let builder = stage.publish::<[u64; N]>();
    fed(
        stage,
        builder.buffer_size(8).sink_wait(WaitStrategy::park()).open()?,
        held,
    )
}

/// As [`feed`], where several may consume.
pub(crate) fn feed_several(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    let builder = stage.publish::<[u64; 7]>().consumers(4);
    fed(
        stage,
        builder.buffer_size(8).sink_wait(WaitStrategy::park()).open()?,
        held,
    )
}

fn fed<const N: usize>(stage: &Stage<'_>, mut sink: SinkRef<[u64; N]>, held: Holdings) -> Result<(), Fault> {
    stage.reach(1);
    for position in 0..FED {
        sink.put_deadline(Pattern::at(position), soon())?;
        stage.own().set_acked(position + 1);
        if position == BEFORE * 3 {
            stage.reach(2);
        }
    }
    sink.complete_and_drain(soon())?;
    drop(sink);
    held.are_again()
}

/// As [`feed`], so few that the end comes soon.
pub(crate) fn feed_little(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    let mut sink = stage.publish::<[u64; 1]>().open()?;
    for position in 0..BEFORE {
        sink.put(Pattern::at(position))?;
        stage.own().set_acked(position + 1);
    }
    sink.complete()?;
    stage.reach(2);
    sink.complete_and_drain(soon())?;
    stage.reach(DRAINED);
    drop(sink);
    held.are_again()
}

pub(crate) fn feed_frames(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    let builder = stage.publish::<[u8]>().max_frame(LONGEST).buffer_size(8);
    let mut sink = builder.sink_wait(WaitStrategy::park()).open()?;
    stage.reach(1);
    for position in 0..FED {
        match sink.put_deadline(&frame(position), soon()) {
            Ok(()) => {}
            Err(PutFrameDeadlineError::TimedOut) => return Err(Fault::hung("a frame found no room")),
            Err(error) => return Err(error.into()),
        }
        stage.own().set_acked(position + 1);
        if position == BEFORE * 3 {
            stage.reach(2);
        }
    }
    sink.complete_and_drain(soon())?;
    drop(sink);
    held.are_again()
}

/// Puts until the consumer is gone, then publishes the name anew at once, for who comes next; if the consumer that was to be
/// killed has never come, the first stream is for who comes next.
pub(crate) fn outlive(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    let own = stage.own();
    for from in [0, ANEW] {
        let builder = stage.publish::<[u64; 7]>().buffer_size(8).start_position(from);
        let mut sink = stage.opening(|| builder.sink_wait(WaitStrategy::park()).open())?;
        own.set_acked(from);
        stage.reach(1);
        let mut closed = None;
        for position in from..from + FED {
            match sink.put_deadline(Pattern::at(position), soon()) {
                Ok(()) => own.set_acked(position + 1),
                Err(PutDeadlineError::TimedOut(_)) => return Err(Fault::hung("an element found no room")),
                Err(PutDeadlineError::Closed(back, reason)) => {
                    if back.position() != Some(position) {
                        return Err(Fault::torn(format!("{position} came back as another element")));
                    }
                    closed = Some(reason);
                    break;
                }
                Err(error) => return Err(error.into()),
            }
            if position == from + BEFORE * 3 {
                stage.reach(2);
            }
        }
        match closed {
            Some(reason) if from == 0 => own.set_end(reason_code(reason)),
            Some(reason) => return Err(Fault::broken(format!("the heir's stream was closed: {reason}"))),
            None => match sink.complete_and_drain(soon()) {
                Ok(()) => {
                    drop(sink);
                    return held.are_again();
                }
                // The victim had come, and died with all of it in its window.
                Err(error) if from == 0 && error.reason.is_some() => {
                    own.set_end(error.reason.map_or(0, reason_code));
                }
                Err(error) => return Err(error.into()),
            },
        }
        drop(sink);
    }
    Err(Fault::broken("two streams were closed"))
}

/// One of its two consumers is killed, or one that comes; another one comes.
pub(crate) fn outlive_several(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    let builder = stage
        .publish::<[u64; 7]>()
        .consumers(4)
        .buffer_size(8)
        .max_demand(16);
    let mut sink = builder.sink_wait(WaitStrategy::park()).open()?;
    stage.reach(1);
    stage.wait_for(OTHER, 1)?;
    let mut put = |from: u64, count: u64| -> Result<(), Fault> {
        for position in from..from + count {
            sink.put_deadline(Pattern::at(position), soon())?;
            stage.own().set_acked(position + 1);
        }
        Ok(())
    };
    // As many as who takes nothing does not hold up.
    put(0, 8)?;
    stage.reach(2);
    stage.wait_for(HEIR, 1)?;
    put(8, FED)?;
    let end = soon();
    while sink.consumers() != 2 {
        if std::time::Instant::now() > end {
            return Err(Fault::leaked(format!(
                "{} consumers are seated, where 2 live",
                sink.consumers()
            )));
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    sink.complete_and_drain(soon())?;
    drop(sink);
    held.are_again()
}

/// The first of two producers of a name: it goes when its consumer has come.
pub(crate) fn first_of_two(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut sink = stage.publish::<[u64; 7]>().open()?;
    stage.reach(1);
    stage.wait_for(VICTIM, 1)?;
    sink.put(Pattern::at(0))?;
    stage.wait_for(VICTIM, 2)?;
    // As if it were killed: nobody completes or fails the stream.
    std::process::exit(0);
}

/// The second one, of whom the consumer is killed while it goes over.
pub(crate) fn second_of_two(stage: &Stage<'_>) -> Result<(), Fault> {
    stage.wait_for(VICTIM, 3)?;
    outlive(stage)
}
