//! A state that a consumer commits together with its position, as it stands in a credit page.

#![forbid(unsafe_code)]

use std::mem::offset_of;

use super::geometry::Lie;
use super::subscribe_error::SubscribeError;
use crate::memory::SharedMemory;
use crate::ring::checksum::{checksum, words};
use crate::ring::page::{COMMITS, CommitSlot, LARGEST_STATE, PAGE, SLOTS};

/// What a consumer committed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    /// The position of the first element that the state does not know of.
    pub(crate) position: u64,
    /// Of the state's type.
    pub(crate) fingerprint: [u8; 16],
    pub(crate) state: Vec<u8>,
}

impl Commit {
    /// As [`last`](Self::last), for the consumer of the stream called `name`.
    pub(crate) fn standing(page: &SharedMemory, name: &str) -> Result<Option<Self>, SubscribeError> {
        Self::last(page).map_err(|Lie { word, value }| SubscribeError::PeerCorrupt {
            name: name.into(),
            word,
            value,
        })
    }

    /// The commit that stands in the page; `None` when nothing was committed.
    pub(in crate::process) fn last(page: &SharedMemory) -> Result<Option<Self>, Lie> {
        let lie = |word, value| Lie { word, value };
        let number = page.load(COMMITS).unwrap_or(0);
        if number == 0 {
            return Ok(None);
        }
        let slot = slot(number);
        let word = |offset| page.load(slot + offset).unwrap_or(u64::MAX);
        let position = word(offset_of!(CommitSlot, position));
        let len = word(offset_of!(CommitSlot, len));
        let fingerprint = page
            .copy_out(slot + offset_of!(CommitSlot, fingerprint), 16)
            .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
            .unwrap_or_default();
        let state = usize::try_from(len)
            .ok()
            .filter(|len| *len <= LARGEST_STATE)
            .and_then(|len| page.copy_out(slot + offset_of!(CommitSlot, state), len));
        let state = state.ok_or(lie("bytes of the state", len))?;
        let commit = Self {
            position,
            fingerprint,
            state,
        };
        let stands = word(offset_of!(CommitSlot, checksum));
        if stands == sum(commit.position, &commit.fingerprint, &commit.state) {
            Ok(Some(commit))
        } else {
            Err(lie("checksum of the state", stands))
        }
    }

    /// Writes the commit of this number, from 1 on, into the bytes of a credit page in which there is none.
    pub(in crate::process) fn write(&self, number: u64, page: &mut [u8]) {
        let slot = slot(number);
        let words = [
            (COMMITS, number),
            (slot + offset_of!(CommitSlot, position), self.position),
            (slot + offset_of!(CommitSlot, len), self.state.len() as u64),
            (
                slot + offset_of!(CommitSlot, checksum),
                sum(self.position, &self.fingerprint, &self.state),
            ),
        ];
        for (at, word) in words {
            page[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        let at = slot + offset_of!(CommitSlot, fingerprint);
        page[at..at + 16].copy_from_slice(&self.fingerprint);
        let at = slot + offset_of!(CommitSlot, state);
        page[at..at + self.state.len()].copy_from_slice(&self.state);
    }
}

/// Commits a state at a position. Everything up to the last store leaves the commit before it as it is. False when the state is
/// too large, or the page cannot be written.
pub(crate) fn store(page: &SharedMemory, position: u64, fingerprint: &[u8; 16], state: &[u8]) -> bool {
    if state.len() > LARGEST_STATE {
        return false;
    }
    let number = page.load(COMMITS).unwrap_or(0).wrapping_add(1).max(1);
    let slot = slot(number);
    // Each store is a Release, so whoever sees the number sees what is before it. Pairs with the Acquire in `Commit::last`.
    page.store(slot + offset_of!(CommitSlot, position), position)
        && page.store(slot + offset_of!(CommitSlot, len), state.len() as u64)
        && page.copy_in(slot + offset_of!(CommitSlot, fingerprint), fingerprint)
        && page.store(
            slot + offset_of!(CommitSlot, checksum),
            sum(position, fingerprint, state),
        )
        && page.copy_in(slot + offset_of!(CommitSlot, state), state)
        && page.store(COMMITS, number)
}

/// Hands the commits of one page on to another, for a successor.
pub(super) fn hand_on(from: &SharedMemory, to: &SharedMemory) -> bool {
    from.copy_out(COMMITS, PAGE - COMMITS)
        .is_some_and(|bytes| to.copy_in(COMMITS, &bytes))
}

fn sum(position: u64, fingerprint: &[u8; 16], state: &[u8]) -> u64 {
    let head = [position, state.len() as u64];
    checksum(head.into_iter().chain(words(fingerprint)).chain(words(state)))
}

fn slot(number: u64) -> usize {
    SLOTS + (number % 2) as usize * size_of::<CommitSlot>()
}

/// Where a successor goes on: at what was released, or at what was committed if that is further on, by at most `most`, which
/// is what a consumer can have taken and not released.
pub(super) fn resumption(page: &SharedMemory, released: u64, most: u64) -> u64 {
    match Commit::last(page) {
        Ok(Some(commit)) if commit.position.wrapping_sub(released) <= most => commit.position,
        _ => released,
    }
}
