//! Roles of streams in a file, where both may die, and of states that are committed with a position.

use std::fs;
use std::path::PathBuf;

use millstream::{End, FrameSink, PublishBuilder, SinkRef, SubscribeError, Travel};

use super::consumers::resumable;
use super::producers::FED;
use crate::fault::Fault;
use crate::ledger::{PEER, VICTIM};
use crate::pattern::{LONGEST, Pattern, Sequence, frame, frame_position};
use crate::scene::{KILLED, durable_file};
use crate::stage::{Holdings, PATIENCE, Stage, mark, soon};
use crate::verdict::{COMPLETED, end_code};

const BEFORE: u64 = 5;
/// What an heir puts after what it finds.
const MORE: u64 = 5;
/// A peer has ended, and given everything back.
const DONE: u32 = 5;

type Element = [u64; 7];
/// What is committed: it tells the position that it belongs to by every word.
type State = [u64; 8];

fn file(stage: &Stage<'_>) -> PathBuf {
    durable_file(&stage.dir)
}

fn publish<P: Travel + ?Sized>(stage: &Stage<'_>) -> PublishBuilder<P> {
    stage
        .publish::<P>()
        .durable(file(stage))
        .buffer_size(32)
        .max_demand(16)
}

fn begin(stage: &Stage<'_>) -> Result<SinkRef<Element>, Fault> {
    let mut sink = publish::<Element>(stage).open()?;
    stage.reach(1);
    stage.wait_for(PEER, 1)?;
    for position in 0..BEFORE {
        sink.put_deadline(Pattern::at(position), soon())?;
        stage.own().set_acked(position + 1);
    }
    Ok(sink)
}

pub(crate) fn put(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut sink = begin(stage)?;
    let own = stage.own();
    let some: Vec<Element> = (BEFORE..BEFORE + 4).map(Pattern::at).collect();
    own.set_uncertain(1);
    mark();
    for (element, after) in some.into_iter().zip(BEFORE + 1..) {
        sink.put(element)?;
        own.set_acked(after);
    }
    mark();
    stage.stay()
}

pub(crate) fn put_slice(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut sink = publish::<[u64; 1]>(stage).open()?;
    stage.reach(1);
    stage.wait_for(PEER, 1)?;
    let some: Vec<[u64; 1]> = (0..BEFORE + 20).map(Pattern::at).collect();
    let (before, some) = some.split_at(BEFORE as usize);
    sink.put_slice(before)?;
    let own = stage.own();
    own.set_acked(BEFORE);
    own.set_uncertain(20);
    mark();
    sink.put_slice(some)?;
    own.set_acked(BEFORE + 20);
    own.set_uncertain(0);
    mark();
    stage.stay()
}

pub(crate) fn put_frames(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut sink = publish::<[u8]>(stage).max_frame(LONGEST).open()?;
    stage.reach(1);
    stage.wait_for(PEER, 1)?;
    let (own, some): (_, Vec<_>) = (stage.own(), (0..3).map(frame).collect());
    own.set_uncertain(1);
    mark();
    for (bytes, after) in some.iter().zip(1..) {
        sink.put(bytes)?;
        own.set_acked(after);
    }
    mark();
    stage.stay()
}

/// The file is made, and taken.
pub(crate) fn open(stage: &Stage<'_>) -> Result<(), Fault> {
    let own = stage.own();
    mark();
    let mut sink = publish::<Element>(stage).open()?;
    own.set_uncertain(1);
    sink.put(Pattern::at(0))?;
    own.set_acked(1);
    mark();
    let stayed = stage.stay();
    drop(sink);
    stayed
}

/// What another one left is taken over.
pub(crate) fn reopen(stage: &Stage<'_>) -> Result<(), Fault> {
    let own = stage.own();
    stage.wait_for(PEER, DONE)?;
    let pid = stage.place(PEER).note();
    let end = soon();
    // A process that is dead and not reaped has given everything back.
    while fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        if std::time::Instant::now() > end {
            return Err(Fault::hung("the first producer does not go"));
        }
        std::thread::yield_now();
    }
    let acked = stage.place(PEER).acked();
    own.set_acked(acked);
    mark();
    let mut sink = publish::<Element>(stage).open()?;
    own.set_uncertain(1);
    sink.put(Pattern::at(acked))?;
    own.set_acked(acked + 1);
    mark();
    let stayed = stage.stay();
    drop(sink);
    stayed
}

/// Puts some and goes as if it were killed.
pub(crate) fn put_and_vanish(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut sink = publish::<Element>(stage).open()?;
    for position in 0..BEFORE {
        sink.put(Pattern::at(position))?;
        stage.own().set_acked(position + 1);
    }
    stage.own().set_note(std::process::id().into());
    stage.reach(DONE);
    std::process::exit(0);
}

/// Feeds the victim, and goes as if it were killed with it.
pub(crate) fn feed_and_vanish(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut sink = publish::<Element>(stage).open()?;
    stage.reach(1);
    for position in 0..BEFORE * 4 {
        sink.put_deadline(Pattern::at(position), soon())?;
        stage.own().set_acked(position + 1);
    }
    stage.reach(2);
    stage.wait_for(VICTIM, KILLED)?;
    std::process::exit(0);
}

/// Feeds whoever resumes the subscription, and lives.
pub(crate) fn feed(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    let mut sink = publish::<Element>(stage).open()?;
    stage.reach(1);
    for position in 0..FED {
        sink.put_deadline(Pattern::at(position), soon())?;
        stage.own().set_acked(position + 1);
    }
    sink.complete_and_drain(soon())?;
    drop(sink);
    held.are_again()
}

/// Lends the page to one that has released something before.
pub(crate) fn lend(stage: &Stage<'_>) -> Result<(), Fault> {
    let mut sink = publish::<Element>(stage).open()?;
    for position in 0..BEFORE {
        sink.put(Pattern::at(position))?;
        stage.own().set_acked(position + 1);
    }
    stage.reach(1);
    stage.wait_for(PEER, 2)?;
    mark();
    stage.reach(2);
    stage.wait_for(PEER, 3)?;
    mark();
    let stayed = stage.stay();
    drop(sink);
    stayed
}

/// Takes some, and comes back while its producer is killed.
pub(crate) fn subscribe_twice(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    stage.wait_for(VICTIM, 1)?;
    let mut source = resumable::<Element>(stage).open()?;
    let mut sequence = Sequence::from(source.position());
    for element in source.by_ref().take(3) {
        sequence.take(element.position())?;
    }
    stage.own().set_taken(sequence.next);
    drop(source);
    stage.reach(2);
    stage.wait_for(VICTIM, 2)?;
    let end = soon();
    let source = loop {
        match resumable::<Element>(stage).open() {
            Ok(source) => break Some(source),
            // The producer has not heard of the end of the first one.
            Err(SubscribeError::AlreadySubscribed { .. }) if std::time::Instant::now() < end => {}
            Err(SubscribeError::PeerGone { .. } | SubscribeError::NotFound { .. }) => break None,
            Err(error) => return Err(error.into()),
        }
    };
    if let Some(mut source) = source {
        stage.reach(3);
        for element in source.by_ref() {
            sequence.take(element.position())?;
            stage.own().set_taken(sequence.next);
        }
        stage.own().set_end(end_code(source.end().as_ref()));
    }
    held.are_again()
}

/// The consumer's page is taken out of its file.
pub(crate) fn subscribe(stage: &Stage<'_>) -> Result<(), Fault> {
    stage.wait_for(PEER, 1)?;
    let builder = resumable::<Element>(stage);
    mark();
    let source = builder.open()?;
    mark();
    let stayed = stage.stay();
    drop(source);
    stayed
}

/// Takes what the victim puts, and what comes after it in the same file until the death is told.
pub(crate) fn follow<const N: usize>(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    stage.wait_for(VICTIM, 1)?;
    let mut source = resumable::<[u64; N]>(stage).open()?;
    let mut sequence = Sequence::from(source.position());
    stage.reach(1);
    for element in source.by_ref() {
        sequence.take(element.position())?;
        stage.own().set_taken(sequence.next);
    }
    followed(stage, source.end(), source, held)
}

pub(crate) fn follow_frames(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    stage.wait_for(VICTIM, 1)?;
    let mut source = resumable::<[u8]>(stage).open()?;
    let mut sequence = Sequence::from(source.position());
    stage.reach(1);
    while let Some(bytes) = source.next() {
        sequence.take(frame_position(&bytes))?;
        stage.own().set_taken(sequence.next);
    }
    followed(stage, source.end(), source, held)
}

fn followed<S>(stage: &Stage<'_>, end: Option<End>, source: S, held: Holdings) -> Result<(), Fault> {
    stage.own().set_heard(crate::ledger::now());
    stage.own().set_end(end_code(end.as_ref()));
    drop(source);
    held.are_again()?;
    stage.reach(DONE);
    Ok(())
}

/// A consumer of a file, killed with its producer.
pub(crate) fn next(stage: &Stage<'_>) -> Result<(), Fault> {
    stage.wait_for(PEER, 1)?;
    let mut source = resumable::<Element>(stage).open()?;
    stage.wait_for(PEER, 2)?;
    let mut sequence = Sequence::from(source.position());
    mark();
    for element in source.by_ref().take(9) {
        sequence.take(Some(element.label()))?;
        stage.own().set_taken(sequence.next);
    }
    mark();
    let stayed = stage.stay();
    drop(source);
    stayed
}

/// Takes three and commits, twice. It has noted what it is about to commit, and says so when it has.
pub(crate) fn commit(stage: &Stage<'_>) -> Result<(), Fault> {
    stage.wait_for(PEER, 1)?;
    let mut source = resumable::<Element>(stage).transactional::<State>().open()?;
    stage.wait_for(PEER, 2)?;
    let mut sequence = Sequence::from(source.position());
    let states = [State::at(3), State::at(6)];
    mark();
    for state in states {
        for _ in 0..3 {
            sequence.take(source.next()?.map(|element| element.label()))?;
        }
        stage.own().set_note(sequence.next);
        source.commit(&state);
        stage.own().set_acked(sequence.next);
    }
    mark();
    let stayed = stage.stay();
    drop(source);
    stayed
}

/// Who opens the file after a death: it says where, puts some, and as its own consumer takes all that is there.
pub(crate) fn reopens<const N: usize>(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    let own = stage.own();
    let mut sink = stage.opening(|| publish::<[u64; N]>(stage).open())?;
    let from = sink.position();
    own.set_first(from);
    for position in from..from + MORE {
        sink.put_deadline(Pattern::at(position), soon())?;
        own.set_acked(position + 1);
    }
    wait_for_the_living(stage)?;
    let mut source = resumable::<[u64; N]>(stage).open()?;
    let mut sequence = Sequence::from(source.position());
    own.set_note(sequence.next);
    // The consumer that lived may have taken all of it.
    own.set_taken(sequence.next);
    sink.complete()?;
    for element in source.by_ref() {
        sequence.take(element.position())?;
        own.set_taken(sequence.next);
    }
    own.set_end(end_code(source.end().as_ref()));
    drop((source, sink));
    examined(stage)?;
    held.are_again()
}

pub(crate) fn reopens_frames(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    let own = stage.own();
    let mut sink: FrameSink = stage.opening(|| publish::<[u8]>(stage).max_frame(LONGEST).open())?;
    let from = sink.position();
    own.set_first(from);
    for position in from..from + MORE {
        sink.put_deadline(&frame(position), soon())?;
        own.set_acked(position + 1);
    }
    wait_for_the_living(stage)?;
    let mut source = resumable::<[u8]>(stage).open()?;
    let mut sequence = Sequence::from(source.position());
    own.set_note(sequence.next);
    // The consumer that lived may have taken all of it.
    own.set_taken(sequence.next);
    sink.complete()?;
    while let Some(bytes) = source.next() {
        sequence.take(frame_position(&bytes))?;
        own.set_taken(sequence.next);
    }
    own.set_end(end_code(source.end().as_ref()));
    drop((source, sink));
    examined(stage)?;
    held.are_again()
}

/// A consumer that outlives its producer has the position's file until it has ended.
fn wait_for_the_living(stage: &Stage<'_>) -> Result<(), Fault> {
    if stage.place(PEER).stage() == 1 {
        stage.place(PEER).wait_for(DONE, PATIENCE)?;
    }
    Ok(())
}

/// What lies there is whole, all of it was taken, and there is nothing else.
fn examined(stage: &Stage<'_>) -> Result<(), Fault> {
    let report = millstream::verify(file(stage))?;
    if (report.released, report.published) != (stage.own().acked(), stage.own().acked()) {
        return Err(Fault::broken(format!("after everything was taken: {report:?}")));
    }
    let beside = file(stage).parent().map(fs::read_dir).transpose()?;
    let files = beside.into_iter().flatten().count();
    // The two of the stream, and the runtime directory.
    if files != 3 {
        return Err(Fault::leaked(format!(
            "{files} files beside the stream's, where 3 belong"
        )));
    }
    Ok(())
}

/// Commits as the next process: from the file, or from the producer that lives.
fn goes_on(stage: &Stage<'_>, to: u64) -> Result<(), Fault> {
    let own = stage.own();
    let builder = resumable::<Element>(stage).wait_for(PATIENCE);
    let mut source = builder.transactional::<State>().open()?;
    let from = source.position();
    own.set_first(from);
    let stands = source.state().map(|state| state.position());
    match stands {
        None if from == 0 => {}
        Some(Some(position)) if position == from => {}
        Some(None) => return Err(Fault::torn("the state is none that was ever committed")),
        _ => return Err(Fault::broken(format!("the state {stands:?} stands at {from}"))),
    }
    let mut sequence = Sequence::from(from);
    while sequence.next < to {
        let Some(element) = source.next()? else {
            return Err(Fault::lost(format!("the stream ended at {}", sequence.next)));
        };
        sequence.take(element.position())?;
        source.commit(&State::at(sequence.next));
    }
    own.set_taken(sequence.next);
    own.set_end(COMPLETED);
    Ok(())
}

pub(crate) fn commits_after_both(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    let sink = stage.opening(|| publish::<Element>(stage).open())?;
    stage.own().set_acked(sink.position());
    goes_on(stage, sink.position())?;
    drop(sink);
    examined(stage)?;
    held.are_again()
}

/// Beside the producer that lives, all that it feeds.
pub(crate) fn commits(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    goes_on(stage, FED)?;
    held.are_again()
}
