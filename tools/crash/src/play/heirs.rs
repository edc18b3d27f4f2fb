//! Roles of those who come after the victim's death, at once.

use std::time::{Duration, Instant};

use millstream::{End, JoinPosition, SubscribeError};

use super::consumers::{elements_to_the_end, frames_to_the_end, resumable};
use super::producers::DRAINED;
use crate::fault::Fault;
use crate::ledger::{PEER, VICTIM};
use crate::pattern::Pattern;
use crate::stage::{ANEW, Holdings, PATIENCE, Stage, soon};
use crate::verdict::{COMPLETED, WINDOW};

/// Elements of a stream that takes a name over.
const FEW: u64 = 5;

/// Who takes the name over as soon as its producer was killed. Unless somebody else is served it has a consumer of its own.
fn takes_over<P: Pattern>(
    stage: &Stage<'_>,
    served: fn(&Stage<'_>) -> Result<bool, Fault>,
) -> Result<(), Fault> {
    let held = Holdings::now()?;
    let builder = stage.publish::<P>().start_position(ANEW);
    let mut sink = stage.opening(|| builder.open())?;
    let served = served(stage)?;
    for position in ANEW..ANEW + FEW {
        sink.put_deadline(P::at(position), soon())?;
        stage.own().set_acked(position + 1);
    }
    sink.complete()?;
    if served {
        sink.complete_and_drain(soon())?;
    } else {
        let mut source = stage.subscribe::<P>().open()?;
        for position in ANEW..ANEW + FEW {
            let element = source.next_deadline(soon())?;
            if element.and_then(|element| element.position()) != Some(position) {
                return Err(Fault::lost(format!(
                    "the heir's own element {position} did not come"
                )));
            }
        }
        if source.next().is_some() || source.end() != Some(End::Completed) {
            return Err(Fault::broken("the heir's own stream did not complete"));
        }
    }
    drop(sink);
    held.are_again()
}

pub(crate) fn heir(stage: &Stage<'_>) -> Result<(), Fault> {
    takes_over::<[u64; 7]>(stage, |_| Ok(false))
}

/// For the consumer that lives.
pub(crate) fn heir_that_serves(stage: &Stage<'_>) -> Result<(), Fault> {
    takes_over::<[u64; 7]>(stage, |_| Ok(true))
}

/// For the consumer that lives, unless it is with the dead one.
pub(crate) fn heir_that_may_serve(stage: &Stage<'_>) -> Result<(), Fault> {
    takes_over::<[u64; 7]>(stage, |stage| {
        stage.wait_for(PEER, 2)?;
        Ok(stage.place(PEER).first() == ANEW)
    })
}

/// Resumes the subscription.
pub(crate) fn resumes<const N: usize>(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    let builder = resumable::<[u64; N]>(stage).wait_for(PATIENCE);
    let source = stage.opening(|| builder.open())?;
    elements_to_the_end(stage, source)?;
    held.are_again()
}

pub(crate) fn resumes_frames(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    let builder = resumable::<[u8]>(stage).wait_for(PATIENCE);
    let source = stage.opening(|| builder.open())?;
    frames_to_the_end(stage, source)?;
    held.are_again()
}

/// Resumes a subscription that may have come to its end: then its producer is content, and the stream gone.
pub(crate) fn resumes_the_end(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    let end = soon();
    let source = loop {
        let builder = resumable::<[u64; 1]>(stage).wait_for(Duration::from_millis(50));
        match stage.opening(|| match builder.open() {
            Ok(source) => Ok(Some(source)),
            Err(SubscribeError::TimedOut { .. }) => Ok(None),
            Err(error) => Err(Fault::from(error)),
        })? {
            None if stage.place(PEER).stage() < DRAINED && Instant::now() < end => {}
            opened => break opened,
        }
    };
    match source {
        Some(source) => elements_to_the_end(stage, source)?,
        None => {
            let (own, done) = (stage.own(), stage.place(VICTIM).taken());
            own.set_first(done);
            own.set_taken(done);
            own.set_end(COMPLETED);
        }
    }
    held.are_again()
}

/// Takes a stream from its first element on.
pub(crate) fn subscribes(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    let builder = stage
        .subscribe::<[u64; 7]>()
        .initial_demand(WINDOW)
        .wait_for(PATIENCE);
    let source = stage.opening(|| builder.open())?;
    elements_to_the_end(stage, source)?;
    held.are_again()
}

/// Takes part in a stream of several from here on.
pub(crate) fn joins(stage: &Stage<'_>) -> Result<(), Fault> {
    let held = Holdings::now()?;
    let builder = stage.subscribe::<[u64; 7]>().initial_demand(WINDOW);
    let source = stage.opening(|| builder.from(JoinPosition::Live).open())?;
    elements_to_the_end(stage, source)?;
    held.are_again()
}
