//! The shared pages of a stream, byte by byte. This file is the only one that knows the offsets.
//!
//! A stream's memory begins with its **stream page**, which the producer alone writes; the area with
//! the elements follows at `area_offset`. Every subscription has a **credit page** of its own, which
//! its consumer alone writes. Each side maps the page of the other read-only.
//!
//! ```text
//! stream page, 4096 bytes                        credit page, 4096 bytes
//!    0  header, written once at creation            0  header, written before it is passed on
//!  256  waiting: word by which the producer         128  control: word by which the consumer
//!       says that it is parked                           says that it is parked or has closed
//!  384  end: kind, position, fault                  256  credit: granted, released, released bytes
//!  768  reach: of several consumers, position       384  what a successor goes on from, see below
//!       that the producer does not pass
//!       without a word, and where it is
//!       about to move that
//!  896  evicted: of several consumers, those
//!       that the producer goes on without
//! 2944  boot: of a durable stream, which run
//!       of the machine wrote it last
//! 2960  reserved, zero
//! 3072  rings: how often the producer rang
//!       the consumer, which sleeps on it
//! 3200  reserved, zero
//! 4096  schema, then the area (page aligned)
//! ```
//!
//! Of a credit page, what a successor goes on from follows:
//!
//! ```text
//!  384  subscription: of a durable stream, the bytes of the consumer's name, and the name
//!  512  commits: how often the consumer committed a state
//!  640  slot 0: position, bytes of the state, fingerprint of its type, checksum, state
//! 2304  slot 1: the same. Of the commit with number n, from 1 on, it is slot n % 2
//! 3968  rings: how often the consumer rang the producer, which sleeps on it
//! ```
//!
//! A commit writes the slot that the last one left alone, then adds one to `commits`: by that one store state and position
//! change together.
//!
//! The **rings** of a page are a `u32` and counted up by the page's owner, who then wakes whoever sleeps on it: `futex` asks for no more than
//! to read it. They read 0 where the owner rings by its socket alone, and do not stay there when they go round. Of a stream for several
//! consumers they stay 0.
//!
//! A stream for several consumers has an **attention page** beside them, which all of them and the producer write:
//!
//! ```text
//! attention page, 4096 bytes
//!    0  header, written once at creation
//!  128  attention: bits by which consumers ask the producer to look at their control words
//!  256  reserved, zero
//! ```
//!
//! Everything else has one writer. Whoever writes nonsense there costs the producer a look at words that it checks, or takes
//! a ring away, which is then late: every sleep is bounded.
//!
//! Words that different sides write stand at least 128 bytes apart: two 64-byte lines, because x86-64
//! prefetches lines in pairs. The padding is written out, so no dependency can move a field.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use super::shape::Measured;
use crate::primitive::atomic::AtomicU64;

/// Bytes of each page.
pub(crate) const PAGE: usize = 4096;
/// First bytes of a stream page: not text, and broken by any newline translation (after PNG's).
pub(crate) const STREAM_MAGIC: [u8; 8] = *b"\x89MLS\r\n\x1a\n";
/// First bytes of a credit page.
pub(crate) const CREDIT_MAGIC: [u8; 8] = *b"\x89MLC\r\n\x1a\n";
/// First bytes of an attention page.
pub(crate) const ATTENTION_MAGIC: [u8; 8] = *b"\x89MLA\r\n\x1a\n";
/// Layout version. A different major number means that neither side can read the other.
pub(crate) const MAJOR: u16 = 2;
/// Layout revision within the major version.
pub(crate) const MINOR: u16 = 1;
/// Whether files of this version can be read here: what a revision adds reads as nothing in the files of those before.
pub(crate) fn can_read(major: u16, minor: u16) -> bool {
    major == MAJOR && minor <= MINOR
}

/// Reads differently on a machine of the other byte order.
pub(crate) const ENDIAN_MARK: u32 = 0x0102_0304;
/// Longest message of a fault, in bytes of UTF-8.
pub(crate) const FAULT_MESSAGE: usize = 256;

/// `StreamHeader::kind`: elements of one size, in blocks.
pub(crate) const KIND_ELEMENTS: u32 = 1;
/// `StreamHeader::kind`: frames of bytes.
pub(crate) const KIND_FRAMES: u32 = 2;

/// The header of a stream page. Written before the page is shared, checked once by whoever maps it,
/// copied to private memory and not read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct StreamHeader {
    pub(crate) magic: [u8; 8],
    pub(crate) major: u16,
    pub(crate) minor: u16,
    /// Bytes of this header that have a meaning.
    pub(crate) header_len: u32,
    /// [`KIND_ELEMENTS`] or [`KIND_FRAMES`].
    pub(crate) kind: u32,
    pub(crate) endian: u32,
    /// Bytes of an element; 0 for frames.
    pub(crate) element_size: u32,
    /// Alignment of an element; 1 for frames.
    pub(crate) element_align: u32,
    /// Elements in a block; 0 for frames.
    pub(crate) per_block: u32,
    /// Offset of the first element in its block; 8 for frames.
    pub(crate) first: u32,
    /// Bytes from block to block; 0 for frames.
    pub(crate) stride: u64,
    /// Blocks in the area; 0 for frames.
    pub(crate) blocks: u64,
    /// Where the area begins, from the start of the memory.
    pub(crate) area_offset: u64,
    /// Bytes of the area.
    pub(crate) area_len: u64,
    /// Elements that the producer may hold beyond the demand.
    pub(crate) buffer_size: u64,
    /// The largest window (demand not yet taken) that a consumer may keep.
    pub(crate) max_demand: u64,
    /// Position of the first element.
    pub(crate) base: u64,
    /// Longest frame in bytes; 0 for elements.
    pub(crate) max_frame: u64,
    /// Random number of this incarnation of the name.
    pub(crate) epoch: u64,
    pub(crate) reserved0: u64,
    /// Fingerprint of the element's type, little-endian; zero for frames.
    pub(crate) fingerprint: [u8; 16],
    /// Where the encoded schema begins, from the start of the memory.
    pub(crate) schema_offset: u32,
    /// Bytes of the encoded schema; 0 for frames.
    pub(crate) schema_len: u32,
    /// The most consumers at a time of a stream for several; 0 of a stream for one. Since 1.1.
    pub(crate) consumers: u64,
    /// Elements that the ring holds beyond `buffer_size` and `max_demand`; 0 of a stream for one consumer. Since 1.1.
    pub(crate) history: u64,
    /// [`DURABLE`] or nothing. Since 1.2.
    pub(crate) flags: u64,
    /// Of a durable stream: the fingerprint of the header up to here, and of the schema, half of it. Since 1.2.
    pub(crate) checksum: u64,
    pub(crate) reserved: [u64; 10],
}

impl StreamHeader {
    /// The shape of its blocks, as it says.
    pub(crate) fn shape(&self) -> Measured {
        Measured {
            size: self.element_size as usize,
            per: self.per_block as usize,
            first: self.first as usize,
            stride: self.stride as usize,
        }
    }
}

/// `StreamHeader::flags`: the memory is a file, which outlives the processes.
pub(crate) const DURABLE: u64 = 1;

/// The header of a credit page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct CreditHeader {
    pub(crate) magic: [u8; 8],
    pub(crate) major: u16,
    pub(crate) minor: u16,
    pub(crate) header_len: u32,
    /// The epoch of the stream that this page belongs to.
    pub(crate) epoch: u64,
    /// Position of the first element that this subscription gets.
    pub(crate) start: u64,
    /// For frames: the byte position that belongs to `start`.
    pub(crate) start_byte: u64,
    /// The window agreed at the handshake.
    pub(crate) window: u64,
    /// The number of this consumer among several, plus one; 0 of a stream for one consumer. Since 1.1.
    pub(crate) number: u64,
    pub(crate) reserved: [u64; 9],
}

impl CreditHeader {
    /// Of a subscription to the stream of this epoch that begins at a position and the bytes before it: without a window yet,
    /// nor a number.
    pub(crate) fn new(epoch: u64, start: u64, start_byte: u64) -> Self {
        Self {
            magic: CREDIT_MAGIC,
            major: MAJOR,
            minor: MINOR,
            header_len: size_of::<Self>() as u32,
            epoch,
            start,
            start_byte,
            ..Self::new_zeroed()
        }
    }
}

/// The header of an attention page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct AttentionHeader {
    pub(crate) magic: [u8; 8],
    pub(crate) major: u16,
    pub(crate) minor: u16,
    pub(crate) header_len: u32,
    /// The epoch of the stream that this page belongs to.
    pub(crate) epoch: u64,
    pub(crate) reserved: [u64; 13],
}

/// `EndLine::kind`: the stream goes on.
pub(crate) const END_OPEN: u64 = 0;
/// `EndLine::kind`: the producer completed the stream at `position`.
pub(crate) const END_COMPLETED: u64 = 1;
/// `EndLine::kind`: the producer failed the stream at `position`; the fault says why.
pub(crate) const END_FAILED: u64 = 2;

/// Word that its owner alone writes, on two lines of its own.
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct WordLine {
    pub(crate) word: AtomicU64,
}

/// How a stream ended. Written once: everything else first, then `kind` with Release.
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct EndLine {
    /// Pairs its Release store with the consumer's Acquire load: the rest of the line is then valid.
    pub(crate) kind: AtomicU64,
    /// Position just after the last element.
    pub(crate) position: AtomicU64,
    pub(crate) fault_code: AtomicU64,
    /// Bytes of the message.
    pub(crate) fault_len: AtomicU64,
    /// The message in words of eight bytes, little-endian.
    pub(crate) fault_message: [AtomicU64; FAULT_MESSAGE / 8],
}

/// How far a producer of several consumers may write, see [`History`](super::History). Both only ever grow, but for an
/// intent that comes to nothing.
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct ReachLine {
    /// No element of this position, or of one behind it, was ever written.
    pub(crate) reach: AtomicU64,
    /// The reach, or the one that the producer takes unless somebody has come.
    pub(crate) intent: AtomicU64,
}

/// The page that the producer writes.
#[repr(C, align(4096))]
#[derive(Debug)]
pub(crate) struct StreamPage {
    header: [u64; 32],
    pub(crate) waiting: WordLine,
    pub(crate) end: EndLine,
    /// Zero in a stream for one consumer.
    pub(crate) reach: ReachLine,
    pub(crate) evicted: EvictionLines,
    /// Zero in a stream that is not durable.
    pub(crate) boot: [u64; 2],
    /// Since 2.1.
    pub(crate) rings: WordLine,
}

/// How many evictions the stream page remembers.
const EVICTIONS: usize = 256;

/// Whom the producer of several consumers goes on without: the number of each, plus one, at its remainder by their count. What
/// is overwritten is known by the connection, only later.
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct EvictionLines {
    words: [AtomicU64; EVICTIONS],
}

impl EvictionLines {
    /// The word for the consumer of this number.
    ///
    /// # Safety
    /// The lines are valid for as long as the word is used.
    pub(crate) unsafe fn word(lines: *const Self, number: u64) -> *const AtomicU64 {
        // SAFETY: valid, as the caller promises; the index is within them.
        unsafe { &raw const (*lines).words[(number % EVICTIONS as u64) as usize] }
    }
}

/// Where the boot's number stands in a stream page.
pub(crate) const BOOT: usize = std::mem::offset_of!(StreamPage, boot);
/// Where the reach stands in a stream page.
pub(crate) const REACH: usize = std::mem::offset_of!(StreamPage, reach.reach);
/// Where the intent stands in a stream page.
pub(crate) const INTENT: usize = std::mem::offset_of!(StreamPage, reach.intent);
/// Where the producer's rings stand in a stream page.
pub(crate) const PRODUCER_RINGS: usize = std::mem::offset_of!(StreamPage, rings);

/// What the consumer has let the producer do. Only ever grows (in wrapping arithmetic).
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct CreditLine {
    /// Position up to which the consumer asked for elements.
    pub(crate) granted: AtomicU64,
    /// Position before which the consumer needs nothing any more. Lags behind what it has taken.
    pub(crate) released: AtomicU64,
    /// For frames: bytes of the area before which the consumer needs nothing any more.
    pub(crate) released_bytes: AtomicU64,
}

/// The page that one consumer writes.
#[repr(C, align(4096))]
#[derive(Debug)]
pub(crate) struct CreditPage {
    header: [u64; 16],
    pub(crate) control: WordLine,
    pub(crate) credit: CreditLine,
    pub(crate) subscription: SubscriptionLine,
    pub(crate) commits: WordLine,
    pub(crate) slots: [CommitSlot; 2],
    /// Since 2.1.
    pub(crate) rings: WordLine,
}

/// The name of a durable stream's subscription.
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct SubscriptionLine {
    /// Bytes of the name.
    pub(crate) len: u64,
    pub(crate) name: [u64; 15],
}

/// Most bytes of a state that is committed with a position.
pub(crate) const LARGEST_STATE: usize = 1600;

/// A state, and the position to which it belongs.
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct CommitSlot {
    pub(crate) position: u64,
    /// Bytes of the state.
    pub(crate) len: u64,
    pub(crate) fingerprint: [u64; 2],
    /// Half of the fingerprint of the words above and of the state.
    pub(crate) checksum: u64,
    pub(crate) reserved: [u64; 3],
    pub(crate) state: [u64; LARGEST_STATE / 8],
}

/// Where the words of a credit page stand that a successor goes on from.
pub(crate) const SUBSCRIPTION: usize = std::mem::offset_of!(CreditPage, subscription);
/// Where the number of commits stands in a credit page.
pub(crate) const COMMITS: usize = std::mem::offset_of!(CreditPage, commits);
/// Where the first of the slots for commits stands in a credit page.
pub(crate) const SLOTS: usize = std::mem::offset_of!(CreditPage, slots);
/// Where the consumer's rings stand in a credit page.
pub(crate) const CONSUMER_RINGS: usize = std::mem::offset_of!(CreditPage, rings);

/// The page that the producer and all of its consumers write.
#[repr(C, align(4096))]
#[derive(Debug)]
pub(crate) struct AttentionPage {
    header: [u64; 16],
    pub(crate) attention: WordLine,
}

/// Bits of the attention word that consumers have; those above belong to notices, at which the producer looks at the same
/// time.
pub(crate) const ATTENTION_BITS: u64 = 56;

/// The bit of the attention word by which the consumer of this number says that something is the matter.
pub(crate) fn attention_bit(id: u64) -> u64 {
    1 << (id % ATTENTION_BITS)
}

/// Bits of the words in [`WordLine`]. A parked endpoint writes `PARKED` with a sequence number above
/// [`WORD_SEQUENCE`]'s shift, so that its peer can tell one sleep from the next without writing.
pub(crate) const WORD_PARKED: u64 = 1;
/// The consumer takes nothing any more and has released nothing since: the producer owns the ring.
pub(crate) const WORD_CLOSED: u64 = 2;
/// One unit of the sleep's sequence number.
pub(crate) const WORD_SEQUENCE: u64 = 4;
/// With [`WORD_PARKED`]: it sleeps on the rings of its peer's page, and its socket may stay silent. Since 2.1, so it stands where no number of
/// a sleep of 2.0 comes to, and below the bits of notices.
pub(crate) const WORD_ON_RINGS: u64 = 1 << 55;

/// The word of a parked side's sleep of this number.
pub(crate) fn parked(sleep: u64, on_rings: bool) -> u64 {
    let number = sleep.wrapping_mul(WORD_SEQUENCE) & (WORD_ON_RINGS - 1);
    let rings = if on_rings { WORD_ON_RINGS } else { 0 };
    number | WORD_PARKED | rings
}

impl CreditLine {
    /// The credit of a consumer that starts at `start` and has asked for nothing.
    pub(crate) fn new(start: u64) -> Self {
        Self {
            granted: AtomicU64::new(start),
            released: AtomicU64::new(start),
            released_bytes: AtomicU64::new(0),
        }
    }
}

impl WordLine {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
        }
    }
}

impl ReachLine {
    /// Of a producer that has written nothing, from `base` on.
    pub(crate) fn new(base: u64) -> Self {
        Self {
            reach: AtomicU64::new(base),
            intent: AtomicU64::new(base),
        }
    }
}

impl EndLine {
    pub(crate) fn new() -> Self {
        Self {
            kind: AtomicU64::new(END_OPEN),
            position: AtomicU64::new(0),
            fault_code: AtomicU64::new(0),
            fault_len: AtomicU64::new(0),
            fault_message: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

#[cfg(not(millstream_loom))]
const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(size_of::<StreamHeader>() == 256);
    assert!(size_of::<CreditHeader>() == 128);
    assert!(size_of::<AttentionHeader>() == 128);
    assert!(offset_of!(StreamHeader, consumers) == 144);
    assert!(offset_of!(CreditHeader, number) == 48);
    assert!(size_of::<StreamPage>() == PAGE);
    assert!(size_of::<CreditPage>() == PAGE);
    assert!(offset_of!(StreamPage, waiting) == 256);
    assert!(offset_of!(StreamPage, end) == 384);
    assert!(size_of::<EndLine>() == 384);
    assert!(REACH == 768);
    assert!(INTENT == 776);
    assert!(size_of::<ReachLine>() == 128);
    assert!(offset_of!(StreamPage, evicted) == 896);
    assert!(size_of::<EvictionLines>() == 2048);
    assert!(offset_of!(CreditPage, control) == 128);
    assert!(offset_of!(CreditPage, credit) == 256);
    assert!(SUBSCRIPTION == 384);
    assert!(COMMITS == 512);
    assert!(SLOTS == 640);
    assert!(size_of::<CommitSlot>() == 1664);
    assert!(BOOT == 2944);
    assert!(PRODUCER_RINGS == 3072);
    assert!(CONSUMER_RINGS == 3968);
    assert!(offset_of!(StreamHeader, checksum) == 168);
    assert!(size_of::<AttentionPage>() == PAGE);
    assert!(offset_of!(AttentionPage, attention) == 128);
};
