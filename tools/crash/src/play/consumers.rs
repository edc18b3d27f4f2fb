//! Roles of consumers.

use std::time::Instant;

use millstream::{End, FrameSource, Gap, Received, SourceRef, SubscribeBuilder, Travel, WaitStrategy};

use super::producers::FAULT;
use crate::fault::Fault;
use crate::ledger::{OTHER, PEER, VICTIM, now};
use crate::pattern::{Pattern, Sequence, frame_position};
use crate::scene::KILLED;
use crate::stage::{ANEW, Holdings, NAME, PATIENCE, Stage, mark, soon};
use crate::verdict::{CANCELLED, COMPLETED, WINDOW, end_code};

/// Elements that a victim takes between its marks.
const TAKEN: u64 = 12;

pub(crate) fn resumable<P: Travel + ?Sized>(stage: &Stage<'_>) -> SubscribeBuilder<P> {
    stage.subscribe::<P>().resumable("night").initial_demand(WINDOW)
}

/// Takes everything, from where the source stands, and notes the end.
pub(crate) fn elements_to_the_end<P: Pattern>(
    stage: &Stage<'_>,
    mut source: SourceRef<P>,
) -> Result<(), Fault> {
    let own = stage.own();
    let mut sequence = Sequence::from(source.position());
    own.set_first(sequence.next);
    own.set_taken(sequence.next);
    stage.reach(1);
    for element in source.by_ref() {
        sequence.take(element.position())?;
        own.set_taken(sequence.next);
    }
    note_end(stage, source.end())
}

pub(crate) fn frames_to_the_end(stage: &Stage<'_>, mut source: FrameSource) -> Result<(), Fault> {
    let own = stage.own();
    let mut sequence = Sequence::from(source.position());
    own.set_first(sequence.next);
    own.set_taken(sequence.next);
    stage.reach(1);
    while let Some(bytes) = source.next() {
        sequence.take(frame_position(&bytes))?;
        own.set_taken(sequence.next);
    }
    note_end(stage, source.end())
}

fn note_end(stage: &Stage<'_>, end: Option<End>) -> Result<(), Fault> {
    stage.own().set_heard(now());
    stage.own().set_end(end_code(end.as_ref()));
    match end {
        Some(End::Failed(fault)) if (fault.code(), fault.message()) != FAULT => {
            Err(Fault::torn(format!("the fault reads {fault}")))
        }
        _ => Ok(()),
    }
}

fn followed<const N: usize>(stage: &Stage<'_>, wait: WaitStrategy, demand: u64) -> Result<(), Fault> {
    let held = Holdings::now()?;
    stage.wait_for(VICTIM, 1)?;
    let builder = stage
        .subscribe::<[u64; N]>()
        .initial_demand(demand)
        .source_wait(wait);
    elements_to_the_end(stage, builder.open()?)?;
    held.are_again()
}

/// Takes what the victim puts.
pub(crate) fn follow<const N: usize>(stage: &Stage<'_>) -> Result<(), Fault> {
    followed::<N>(stage, WaitStrategy::default(), 16)
}

pub(crate) fn follow_parked(stage: &Stage<'_>) -> Result<(), Fault> {
    followed::<1>(stage, WaitStrategy::park(), 16)
}

/// Asks for so little that the producer looks for credit at every put.
pub(crate) fn follow_closely(stage: &Stage<'_>) -> Result<(), Fault> {
    followed::<1>(stage, WaitStrategy::default(), 1)
}

/// Beside a window of four, so that a put finds no room soon.
pub(crate) fn follow_promptly(stage: &Stage<'_>) -> Result<(), Fault> {
    followed::<1>(stage, WaitStrategy::default(), 4)
}

pub(crate) fn follow_frames(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    stage.wait_for(VICTIM, 1)?;
    frames_to_the_end(stage, stage.subscribe::<[u8]>().open()?)?;
    held.are_again()
}

/// Takes what another process puts, which waits for it.
pub(crate) fn follow_the_peer(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    stage.wait_for(PEER, 1)?;
    let builder = stage.subscribe::<[u64; 7]>().initial_demand(WINDOW);
    elements_to_the_end(stage, builder.open()?)?;
    held.are_again()
}

/// As [`follow_the_peer`], once the victim is there.
pub(crate) fn follow_beside(stage: &Stage<'_>) -> Result<(), Fault> {
    stage.wait_for(VICTIM, 1)?;
    follow_the_peer(stage)
}

/// Takes nothing before the producer is dead, and is not waited for.
pub(crate) fn lag(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    stage.wait_for(VICTIM, 1)?;
    let builder = stage.subscribe::<[u64; 1]>().initial_demand(4);
    let mut source = builder.evict_after(std::time::Duration::ZERO).open()?;
    stage.reach(1);
    stage.wait_for(VICTIM, KILLED)?;
    let mut sequence = Sequence::from(source.position());
    for received in source.by_ref() {
        match received {
            Received::Element(element) => sequence.take(element.position())?,
            Received::Gap(Gap { from, count }) => {
                if from != sequence.next || count == 0 {
                    return Err(Fault::lost(format!(
                        "a gap of {count} from {from}, at {}",
                        sequence.next
                    )));
                }
                sequence.next += count;
            }
        }
    }
    stage.own().set_taken(sequence.next);
    note_end(stage, source.end())?;
    drop(source);
    held.are_again()
}

/// A consumer of a rendezvous.
pub(crate) fn meet(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    stage.wait_for(VICTIM, 1)?;
    let mut source = stage.subscribe::<[u64; 7]>().subscriber()?;
    let mut sequence = Sequence::from(0);
    stage.reach(1);
    for value in source.by_ref() {
        sequence.take(value.position())?;
        stage.own().set_taken(sequence.next);
    }
    note_end(stage, source.end())?;
    drop(source);
    held.are_again()
}

/// Waits for somebody to publish, and goes on with who publishes next.
pub(crate) fn connect(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    let own = stage.own();
    stage.reach(1);
    let builder = stage.subscribe::<[u64; 7]>().wait_for(PATIENCE).reconnect();
    let mut source = builder.open()?;
    let mut sequence = Sequence::from(source.position());
    own.set_note(u64::from(sequence.next == 0));
    for element in source.by_ref() {
        let position = element.position();
        if position == Some(ANEW) && sequence.next < ANEW {
            own.set_first(sequence.next);
            sequence = Sequence::from(ANEW);
        }
        sequence.take(position)?;
        own.set_taken(sequence.next);
    }
    note_end(stage, source.end())?;
    drop(source);
    held.are_again()
}

/// Subscribes as soon as the stream is there, whoever publishes it by then.
pub(crate) fn call(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    stage.wait_for(VICTIM, 1)?;
    let source = stage.subscribe::<[u64; 7]>().wait_for(PATIENCE).open()?;
    stage.own().set_first(source.position());
    stage.reach(2);
    elements_to_the_end(stage, source)?;
    held.are_again()
}

fn takes<P: Pattern>(stage: &Stage<'_>, source: &mut SourceRef<P>, count: u64) -> Result<(), Fault> {
    let own = stage.own();
    let mut sequence = Sequence::from(SourceRef::position(source));
    mark();
    for _ in 0..count {
        match source.next() {
            Some(element) => sequence.take(Some(element.label()))?,
            None => return Err(Fault::lost(format!("the stream ended at {}", sequence.next))),
        }
        own.set_taken(sequence.next);
    }
    mark();
    stage.stay()
}

/// Twelve elements, and the credit for them, which wakes the producer.
pub(crate) fn next<const N: usize>(stage: &Stage<'_>) -> Result<(), Fault> {
    stage.wait_for(PEER, 1)?;
    let mut source = resumable::<[u64; N]>(stage).open()?;
    stage.wait_for(PEER, 2)?;
    takes(stage, &mut source, TAKEN)
}

/// Every element is released when the next one is asked for.
pub(crate) fn next_late(stage: &Stage<'_>) -> Result<(), Fault> {
    stage.wait_for(PEER, 1)?;
    let mut source = resumable::<[u64; 1]>(stage).release_on_next().open()?;
    stage.wait_for(PEER, 2)?;
    takes(stage, &mut source, TAKEN)
}

pub(crate) fn next_frame(stage: &Stage<'_>) -> Result<(), Fault> {
    stage.wait_for(PEER, 1)?;
    let mut source = resumable::<[u8]>(stage).open()?;
    stage.wait_for(PEER, 2)?;
    let (own, mut sequence) = (stage.own(), Sequence::from(source.position()));
    mark();
    for _ in 0..TAKEN / 3 {
        // To look at all of its bytes would be most of the instructions.
        match source.next() {
            Some(bytes) => {
                sequence.take(bytes.get(4).map(|low| u64::from(*low)))?;
                // A frame is released when it is dropped.
                own.set_taken(sequence.next);
            }
            None => return Err(Fault::lost(format!("the stream ended at {}", sequence.next))),
        }
    }
    mark();
    stage.stay()
}

pub(crate) fn drain<const N: usize>(stage: &Stage<'_>) -> Result<(), Fault> {
    stage.wait_for(PEER, 1)?;
    let mut source = resumable::<[u64; N]>(stage).open()?;
    stage.wait_for(PEER, 2)?;
    let (own, mut sequence, mut seen) = (stage.own(), Sequence::from(source.position()), Ok(()));
    mark();
    source.drain(TAKEN as usize, |element| {
        if seen.is_ok() {
            seen = sequence.take(Some(element.label()));
        }
        own.set_taken(sequence.next);
    });
    mark();
    seen?;
    stage.stay()
}

/// Takes the last elements, and finds the end.
pub(crate) fn find_the_end(stage: &Stage<'_>) -> Result<(), Fault> {
    stage.wait_for(PEER, 2)?;
    let mut source = resumable::<[u64; 1]>(stage).open()?;
    let (own, mut sequence) = (stage.own(), Sequence::from(source.position()));
    mark();
    for element in source.by_ref() {
        sequence.take(Some(element.label()))?;
        own.set_taken(sequence.next);
    }
    own.set_note(COMPLETED);
    mark();
    stage.stay()
}

/// A consumer that is not to be resumed, some elements after it came.
fn some_way_on(stage: &Stage<'_>) -> Result<SourceRef<[u64; 7]>, Fault> {
    stage.wait_for(PEER, 1)?;
    let mut source = stage.subscribe::<[u64; 7]>().initial_demand(WINDOW).open()?;
    stage.reach(1);
    stage.wait_for(PEER, 2)?;
    let mut sequence = Sequence::from(source.position());
    for element in source.by_ref().take(3) {
        sequence.take(element.position())?;
    }
    stage.own().set_taken(sequence.next);
    Ok(source)
}

pub(crate) fn cancel(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut source = some_way_on(stage)?;
    mark();
    source.cancel();
    stage.own().set_note(CANCELLED);
    mark();
    stage.stay()
}

/// Cancels, and gives everything back.
pub(crate) fn leave(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut source = some_way_on(stage)?;
    mark();
    source.cancel();
    stage.own().set_note(CANCELLED);
    drop(source);
    mark();
    stage.stay()
}

/// The drop of a source that did not cancel.
pub(crate) fn forsake(stage: &Stage<'_>) -> Result<(), Fault> {
    let source = some_way_on(stage)?;
    mark();
    drop(source);
    stage.own().set_note(CANCELLED);
    mark();
    stage.stay()
}

/// One of several.
pub(crate) fn next_of_several(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut source = some_way_on(stage)?;
    takes(stage, &mut source, 5)
}

pub(crate) fn next_of_lossy(stage: &Stage<'_>) -> Result<(), Fault> {
    stage.wait_for(PEER, 1)?;
    let mut source = stage
        .subscribe::<[u64; 7]>()
        .initial_demand(WINDOW)
        .lossy()
        .open()?;
    stage.reach(1);
    stage.wait_for(PEER, 2)?;
    let mut sequence = Sequence::from(source.position());
    mark();
    for _ in 0..6 {
        let element = source.next().and_then(Received::element);
        sequence.take(element.map(|element| element.label()))?;
        stage.own().set_taken(sequence.next);
    }
    mark();
    stage.stay()
}

/// The whole of a subscription.
pub(crate) fn subscribe(stage: &Stage<'_>) -> Result<(), Fault> {
    stage.wait_for(PEER, 1)?;
    let builder = stage
        .subscribe::<[u64; 7]>()
        .initial_demand(WINDOW)
        .wait_for(PATIENCE);
    mark();
    let source = builder.open()?;
    mark();
    let stayed = stage.stay();
    drop(source);
    stayed
}

/// Waits until an observer sees what is asked for.
fn until(stage: &Stage<'_>, what: &str, seen: impl Fn(&Stage<'_>) -> bool) -> Result<(), Fault> {
    let end = soon();
    while !seen(stage) {
        if Instant::now() > end {
            return Err(Fault::hung(what));
        }
        std::thread::yield_now();
    }
    Ok(())
}

/// Takes some, and goes as if it were killed.
pub(crate) fn vanish(stage: &Stage<'_>) -> Result<(), Fault> {
    stage.wait_for(PEER, 1)?;
    let mut source = resumable::<[u64; 7]>(stage).open()?;
    let mut sequence = Sequence::from(source.position());
    for element in source.by_ref().take(6) {
        sequence.take(element.position())?;
    }
    stage.own().set_taken(sequence.next);
    stage.reach(1);
    std::process::exit(0);
}

/// Resumes what the one that vanished has left.
pub(crate) fn resume(stage: &Stage<'_>) -> Result<(), Fault> {
    stage.wait_for(OTHER, 1)?;
    stage.own().set_taken(stage.place(OTHER).taken());
    until(
        stage,
        "the producer does not hear of its consumer's death",
        |stage| {
            let seen = millstream::observe(NAME, Some(stage.dir.clone()));
            seen.is_ok_and(|seen| seen.consumer().is_some_and(|consumer| !consumer.connected))
        },
    )?;
    let builder = resumable::<[u64; 7]>(stage).wait_for(PATIENCE);
    mark();
    let source = builder.open()?;
    mark();
    let stayed = stage.stay();
    drop(source);
    stayed
}

/// Goes over from the first producer of a name to the second.
pub(crate) fn reconnect(stage: &Stage<'_>) -> Result<(), Fault> {
    stage.wait_for(OTHER, 1)?;
    let mut source = stage
        .subscribe::<[u64; 7]>()
        .initial_demand(WINDOW)
        .reconnect()
        .open()?;
    stage.reach(1);
    let mut sequence = Sequence::from(0);
    sequence.take(source.next().and_then(|element| element.position()))?;
    stage.reach(2);
    until(stage, "the first producer does not go", |stage| {
        millstream::observe(NAME, Some(stage.dir.clone())).is_err()
    })?;
    stage.reach(3);
    let mut sequence = Sequence::from(0);
    mark();
    sequence.take(source.next().and_then(|element| element.position()))?;
    mark();
    let stayed = stage.stay();
    drop(source);
    stayed
}
