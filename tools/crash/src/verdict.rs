//! What must hold of the whole scene, once all of it is over: from what the dead one had been told, and what the living found.

use millstream::{CloseReason, End};

use crate::fault::Fault;
use crate::ledger::{HEIR, Ledger, OTHER, PEER, Place, VICTIM};
use crate::stage::ANEW;

/// Of `note` and `end`: how a stream ended, as a word of the ledger.
pub(crate) const COMPLETED: u64 = 1;
pub(crate) const FAILED: u64 = 2;
pub(crate) const CANCELLED: u64 = 3;
pub(crate) const PEER_GONE: u64 = 4;
pub(crate) const EVICTED: u64 = 5;
const ANOTHER: u64 = 9;

pub(crate) fn end_code(end: Option<&End>) -> u64 {
    match end {
        None => 0,
        Some(End::Completed) => COMPLETED,
        Some(End::Failed(_)) => FAILED,
        Some(End::Cancelled) => CANCELLED,
        Some(End::PeerGone) => PEER_GONE,
        Some(End::Evicted) => EVICTED,
        Some(_) => ANOTHER,
    }
}

pub(crate) fn reason_code(reason: CloseReason) -> u64 {
    match reason {
        CloseReason::Cancelled => CANCELLED,
        CloseReason::PeerGone => PEER_GONE,
        CloseReason::Completed => COMPLETED,
        CloseReason::Failed => FAILED,
        _ => ANOTHER,
    }
}

pub(crate) type Judge = fn(&Ledger) -> Result<(), Fault>;

/// Everything that was put has been taken, and of what was being put at most as much as that.
fn all_of(victim: &Place, taken: u64) -> Result<(), Fault> {
    let (acked, most) = (victim.acked(), victim.acked() + victim.uncertain());
    if taken < acked {
        return Err(Fault::lost(format!("{acked} were put and {taken} taken")));
    }
    if taken > most {
        return Err(Fault::duplicated(format!(
            "{acked} were put, {most} at most, and {taken} taken"
        )));
    }
    Ok(())
}

fn ended(place: &Place, allowed: &[u64]) -> Result<(), Fault> {
    if allowed.contains(&place.end()) {
        return Ok(());
    }
    Err(Fault::broken(format!(
        "the stream ended by code {}, where {allowed:?} are right",
        place.end()
    )))
}

/// A consumer has taken all that a producer put, and was told that this is all.
fn all_taken(consumer: &Place, producer: &Place) -> Result<(), Fault> {
    ended(consumer, &[COMPLETED])?;
    let (put, taken) = (producer.acked(), consumer.taken());
    if taken != put {
        return Err(Fault::lost(format!(
            "{put} were put, and the consumer came to {taken}"
        )));
    }
    Ok(())
}

/// Whoever goes on from a consumer that was killed leaves no gap, and does over `again` at most.
fn goes_on(from: u64, done: u64, again: u64) -> Result<(), Fault> {
    if from > done {
        return Err(Fault::lost(format!(
            "{done} were done, and the next consumer begins at {from}"
        )));
    }
    if done - from > again {
        return Err(Fault::duplicated(format!(
            "{done} were done, and the next consumer begins at {from}, more than {again} behind"
        )));
    }
    Ok(())
}

/// What was being put together is there together.
fn together(victim: &Place, there: u64) -> Result<(), Fault> {
    let (acked, more) = (victim.acked(), victim.uncertain());
    if there != acked && there != acked + more {
        return Err(Fault::torn(format!(
            "{acked} and {more} together were put, and {there} are there"
        )));
    }
    Ok(())
}

/// A producer was killed in a put.
pub(crate) fn put(ledger: &Ledger) -> Result<(), Fault> {
    all_of(ledger.place(VICTIM), ledger.place(PEER).taken())?;
    ended(ledger.place(PEER), &[PEER_GONE])
}

/// A producer was killed in a put of several elements, which are published together.
pub(crate) fn put_together(ledger: &Ledger) -> Result<(), Fault> {
    put(ledger)?;
    together(ledger.place(VICTIM), ledger.place(PEER).taken())
}

/// A producer was killed in ending the stream; its note is the code of an end that it was told to have come about.
fn ending(ledger: &Ledger, code: u64) -> Result<(), Fault> {
    let (victim, peer) = (ledger.place(VICTIM), ledger.place(PEER));
    all_of(victim, peer.taken())?;
    match victim.note() {
        0 => ended(peer, &[code, PEER_GONE]),
        told => ended(peer, &[told]),
    }
}

pub(crate) fn complete(ledger: &Ledger) -> Result<(), Fault> {
    ending(ledger, COMPLETED)
}

pub(crate) fn fail(ledger: &Ledger) -> Result<(), Fault> {
    ending(ledger, FAILED)
}

/// A producer of several was killed in a put: everybody got the same.
pub(crate) fn put_to_both(ledger: &Ledger) -> Result<(), Fault> {
    put(ledger)?;
    let (one, other) = (ledger.place(PEER), ledger.place(OTHER));
    ended(other, &[PEER_GONE])?;
    if one.taken() != other.taken() {
        return Err(Fault::lost(format!(
            "one consumer took {}, the other {}",
            one.taken(),
            other.taken()
        )));
    }
    Ok(())
}

/// A producer was killed in evicting one of two.
pub(crate) fn evict(ledger: &Ledger) -> Result<(), Fault> {
    put(ledger)?;
    ended(ledger.place(OTHER), &[EVICTED, PEER_GONE])
}

/// A consumer that may be resumed was killed; the heir is to go on without a gap, and do over `again` at most.
fn resumed(ledger: &Ledger, again: u64) -> Result<(), Fault> {
    let (victim, producer, heir) = (ledger.place(VICTIM), ledger.place(PEER), ledger.place(HEIR));
    goes_on(heir.first(), victim.taken(), again)?;
    all_taken(heir, producer)
}

/// A window of elements may be open.
pub(crate) const WINDOW: u64 = 8;

pub(crate) fn resumed_within_window(ledger: &Ledger) -> Result<(), Fault> {
    resumed(ledger, WINDOW)
}

/// Every element is released when the next one is asked for.
pub(crate) fn resumed_within_one(ledger: &Ledger) -> Result<(), Fault> {
    resumed(ledger, 1)
}

/// A consumer that is not to be resumed was killed: its producer was told, and has begun anew.
pub(crate) fn left(ledger: &Ledger) -> Result<(), Fault> {
    let (victim, producer, heir) = (ledger.place(VICTIM), ledger.place(PEER), ledger.place(HEIR));
    match victim.note() {
        0 => ended(producer, &[CANCELLED, PEER_GONE])?,
        told => ended(producer, &[told])?,
    }
    ended(heir, &[COMPLETED])
}

/// A consumer was killed while it came: the next one gets a whole stream, this or the one after.
pub(crate) fn came(ledger: &Ledger) -> Result<(), Fault> {
    let (producer, heir) = (ledger.place(PEER), ledger.place(HEIR));
    let from = heir.first();
    if from != 0 && from != ANEW {
        return Err(Fault::lost(format!("the heir begins at {from}")));
    }
    all_taken(heir, producer)
}

/// One of several consumers was killed: the producer, the other one and the one after noticed nothing.
pub(crate) fn went(ledger: &Ledger) -> Result<(), Fault> {
    let producer = ledger.place(PEER);
    all_taken(ledger.place(OTHER), producer)?;
    all_taken(ledger.place(HEIR), producer)
}

/// A producer was killed while it published: its consumer went on with the next, and missed nothing of either. It notes whether
/// it was with the dead one.
pub(crate) fn published(ledger: &Ledger) -> Result<(), Fault> {
    let (victim, consumer, heir) = (ledger.place(VICTIM), ledger.place(PEER), ledger.place(HEIR));
    // What was put while nobody had subscribed went with its producer.
    if consumer.note() == 1 {
        all_of(victim, consumer.first())?;
    }
    all_taken(consumer, heir)
}

/// A producer was killed while somebody subscribed: who did is with the dead one, or with the next.
pub(crate) fn accepted(ledger: &Ledger) -> Result<(), Fault> {
    let (victim, consumer, heir) = (ledger.place(VICTIM), ledger.place(PEER), ledger.place(HEIR));
    if consumer.first() == 0 {
        all_of(victim, consumer.taken())?;
        return ended(consumer, &[PEER_GONE]);
    }
    all_taken(consumer, heir)
}

/// A producer of a file was killed: the next one goes on behind what was put, and a consumer at what was released.
fn reopened_from(ledger: &Ledger, done: u64) -> Result<(), Fault> {
    let (victim, heir) = (ledger.place(VICTIM), ledger.place(HEIR));
    all_of(victim, heir.first())?;
    goes_on(heir.note(), done, WINDOW)?;
    // Its own elements with the others.
    all_taken(heir, heir)
}

/// Beside a consumer that lived.
pub(crate) fn reopened(ledger: &Ledger) -> Result<(), Fault> {
    let (consumer, heir) = (ledger.place(PEER), ledger.place(HEIR));
    ended(consumer, &[PEER_GONE])?;
    // It may have taken some of the heir's before it was told.
    if consumer.taken() < heir.first() || consumer.taken() > heir.acked() {
        return Err(Fault::lost(format!(
            "the heir began at {} and came to {}, and the consumer to {}",
            heir.first(),
            heir.acked(),
            consumer.taken()
        )));
    }
    reopened_from(ledger, consumer.taken())
}

/// Beside a consumer that may not have come back.
pub(crate) fn reopened_beside(ledger: &Ledger) -> Result<(), Fault> {
    reopened_from(ledger, ledger.place(PEER).taken())
}

/// What was put together is there together.
pub(crate) fn reopened_together(ledger: &Ledger) -> Result<(), Fault> {
    reopened(ledger)?;
    together(ledger.place(VICTIM), ledger.place(HEIR).first())
}

/// Nobody had consumed anything.
pub(crate) fn reopened_alone(ledger: &Ledger) -> Result<(), Fault> {
    reopened_from(ledger, 0)
}

/// A consumer of a file was killed, and its producer after it.
pub(crate) fn both_reopened(ledger: &Ledger) -> Result<(), Fault> {
    let (victim, producer, heir) = (ledger.place(VICTIM), ledger.place(PEER), ledger.place(HEIR));
    if heir.first() != producer.acked() {
        return Err(Fault::lost(format!(
            "{} were put, and the heir begins at {}",
            producer.acked(),
            heir.first()
        )));
    }
    goes_on(heir.note(), victim.taken(), WINDOW)?;
    all_taken(heir, heir)
}

/// A consumer was killed that commits: it stands at its last commit, or at the one that it was about.
pub(crate) fn committed(ledger: &Ledger) -> Result<(), Fault> {
    let (victim, producer, heir) = (ledger.place(VICTIM), ledger.place(PEER), ledger.place(HEIR));
    let (done, from) = (victim.acked(), heir.first());
    if from != done && from != victim.note() {
        let fault = if from < done {
            Fault::duplicated
        } else {
            Fault::lost
        };
        return Err(fault(format!(
            "{done} were committed, and the next one begins at {from}"
        )));
    }
    all_taken(heir, producer)
}
