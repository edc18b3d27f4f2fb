//! What the processes of one stream have done, in memory that outlives every one of them: a file that all map.
//!
//! Each word has one writer at a time. A producer notes what it tries before it puts, and what was published after the put has
//! returned; a consumer notes what was delivered to it. So whatever the moment of a kill, the driver can say what must have
//! arrived, and what may have.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use memmap2::MmapRaw;

/// Consumers, and a bad peer.
pub(crate) const SLOTS: usize = 16;
/// Incarnations of a producer, and sessions of a consumer's slot.
pub(crate) const MOST: usize = 4096;
/// Elements of work queues that are counted one by one.
const MOST_HANDLED: usize = 1 << 22;

const ROW: usize = 8;
const INCARNATIONS: usize = 16 + SLOTS * ROW;
const SESSIONS: usize = INCARNATIONS + MOST * ROW;
const HANDLED: usize = SESSIONS + SLOTS * MOST * ROW;
const WORDS: usize = HANDLED + MOST_HANDLED / 8;

/// Words of the whole.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Word {
    /// 0: go on; 1: bring the stream to its end.
    Finish,
    /// Incarnations that were opened.
    Incarnations,
    /// The last producer has ended its stream and is gone.
    Done,
    /// Elements of work queues for which places were taken.
    Handled,
}

/// Words of a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Of {
    /// Grows with everything that the process gets done.
    Beat,
    /// Sessions that were begun.
    Sessions,
}

/// Words of an incarnation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Inc {
    /// Of the producer's slot, and one more, so that 0 is nobody.
    Run,
    /// Puts that have returned.
    Published,
    /// What is published when the put that is under way has returned.
    Trying,
    /// How it was about to end, before it did: a [`Fate`].
    Intent,
    /// How it ended: a [`Fate`]; 0 as long as it has not.
    Fate,
    /// Its consumers had released everything before its end returned.
    Drained,
    /// Where its elements are counted, if they are work.
    Base,
    /// Of a durable stream: the position at which it went on, and one more; 0 as long as it has not.
    Start,
}

/// Words of a session: of one consumer's process with one incarnation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ses {
    /// Of the consumer's slot, and one more.
    Run,
    Incarnation,
    First,
    /// One more than the last position that was delivered.
    Next,
    /// Of those between `First` and `Next`, how many were missed in gaps.
    Missed,
    /// How it ended: a [`Finale`]; 0 as long as it has not.
    End,
    /// How many elements a successor may be given again. Of a consumer that commits: up to where it was about to commit.
    Again,
    /// A [`Manner`](crate::line::Manner), as a number.
    Manner,
}

/// How an incarnation ended, as its producer knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Fate {
    Running,
    Completed,
    Failed,
    Dropped,
    Cancelled,
    ConsumerGone,
}

impl Fate {
    pub(crate) fn of(word: u64) -> Self {
        let all = [
            Self::Running,
            Self::Completed,
            Self::Failed,
            Self::Dropped,
            Self::Cancelled,
        ];
        all.get(word as usize).copied().unwrap_or(Self::ConsumerGone)
    }
}

/// How a session ended, as its consumer knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Finale {
    Open,
    Completed,
    Failed,
    PeerGone,
    /// The source has gone on with the next producer, so this one was gone.
    MovedOn,
    Evicted,
    Cancelled,
    Dropped,
}

impl Finale {
    pub(crate) fn of(word: u64) -> Self {
        let all = [
            Self::Open,
            Self::Completed,
            Self::Failed,
            Self::PeerGone,
            Self::MovedOn,
            Self::Evicted,
            Self::Cancelled,
        ];
        all.get(word as usize).copied().unwrap_or(Self::Dropped)
    }
}

#[derive(Debug)]
pub(crate) struct Ledger(MmapRaw);

/// A few words that belong together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a>(&'a [AtomicU64]);

impl Row<'_> {
    fn get(self, word: usize) -> u64 {
        self.0[word].load(Ordering::Acquire)
    }

    fn set(self, word: usize, value: u64) {
        self.0[word].store(value, Ordering::Release);
    }
}

macro_rules! rows {
    ($($row:ident of $words:ident),+) => {$(
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $row<'a>(Row<'a>);

        impl $row<'_> {
            pub(crate) fn get(self, word: $words) -> u64 {
                self.0.get(word as usize)
            }

            pub(crate) fn set(self, word: $words, value: u64) {
                self.0.set(word as usize, value);
            }
        }
    )+};
}

rows!(Slot of Of, Incarnation of Inc, Session of Ses);

impl Slot<'_> {
    /// Something was done.
    pub(crate) fn beat(self) {
        self.set(Of::Beat, self.get(Of::Beat) + 1);
    }
}

impl Ledger {
    /// Opens the file, and makes it if it is not there.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .with_context(|| format!("the ledger {path:?}"))?;
        file.set_len(WORDS as u64 * 8)
            .with_context(|| format!("the ledger {path:?} of {WORDS} words"))?;
        let map = MmapRaw::map_raw(&file).with_context(|| format!("mapping the ledger {path:?}"))?;
        Ok(Self(map))
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is of so many words, aligned to a page, lives as long as `self`, and every process that has it
        // accesses it by these atomics only.
        unsafe { std::slice::from_raw_parts(self.0.as_mut_ptr().cast::<AtomicU64>(), WORDS) }
    }

    fn row(&self, at: usize) -> Row<'_> {
        Row(&self.words()[at..at + ROW])
    }

    pub(crate) fn get(&self, word: Word) -> u64 {
        self.words()[word as usize].load(Ordering::Acquire)
    }

    pub(crate) fn set(&self, word: Word, value: u64) {
        self.words()[word as usize].store(value, Ordering::Release);
    }

    pub(crate) fn is_finishing(&self) -> bool {
        self.get(Word::Finish) != 0
    }

    pub(crate) fn slot(&self, slot: usize) -> Slot<'_> {
        Slot(self.row(16 + slot * ROW))
    }

    /// An incarnation that was opened.
    pub(crate) fn incarnation(&self, number: u64) -> Incarnation<'_> {
        Incarnation(self.row(INCARNATIONS + number as usize * ROW))
    }

    /// Opens the next incarnation; `None` when the ledger is full.
    pub(crate) fn incarnate(&self, run: u64) -> Option<u64> {
        let number = self.get(Word::Incarnations);
        if number as usize >= MOST {
            return None;
        }
        self.incarnation(number).set(Inc::Run, run + 1);
        // Written by one producer at a time: the driver starts the next when this one is dead.
        self.set(Word::Incarnations, number + 1);
        Some(number)
    }

    pub(crate) fn sessions(&self, slot: usize) -> usize {
        (self.slot(slot).get(Of::Sessions) as usize).min(MOST)
    }

    pub(crate) fn session(&self, slot: usize, number: usize) -> Session<'_> {
        Session(self.row(SESSIONS + (slot * MOST + number) * ROW))
    }

    /// Takes places to count so many elements of work, if there are as many.
    pub(crate) fn reserve_handled(&self, count: u64) -> Option<u64> {
        let base = self.get(Word::Handled);
        if base + count > MOST_HANDLED as u64 {
            return None;
        }
        self.set(Word::Handled, base + count);
        Some(base)
    }

    fn handled_word(&self, at: u64) -> (&AtomicU64, u32) {
        let at = (at as usize).min(MOST_HANDLED - 1);
        (&self.words()[HANDLED + at / 8], at as u32 % 8 * 8)
    }

    /// Counts an element of work, by whichever process.
    pub(crate) fn handle(&self, at: u64) {
        let (word, shift) = self.handled_word(at);
        word.fetch_add(1 << shift, Ordering::AcqRel);
    }

    pub(crate) fn handled(&self, at: u64) -> u64 {
        let (word, shift) = self.handled_word(at);
        word.load(Ordering::Acquire) >> shift & 0xff
    }
}
