//! The messages of the handshake: one packet is one message. All numbers are little-endian.
//!
//! Every message begins with the same 16 bytes, in this version and in every other:
//!
//! ```text
//!  0  magic   89 4d 4c 48 0d 0a 1a 0a
//!  8  major   u16: other numbers do not understand what follows
//! 10  minor   u16
//! 12  length  u32: bytes of the whole message
//! ```
//!
//! Then, in version 1, a `u16` for the type of the message, at 16, and:
//!
//! ```text
//! hello (1), by the consumer      welcome (2), by the producer     refusal (3), by the producer
//! 18  role          u8            18  flags          u8            18  code           u16
//! 19  kind          u8            19  name length    u8            20  process        u32
//! 20  flags         u8            20  process        u32           24  producer's     u64
//! 21  name length   u8            24  memory length  u64           32  consumer's     u64
//! 22  zero          u16           32  epoch          u64           40  fingerprint    16 bytes
//! 24  window        u64           40  start          u64           56  name length    u8
//! 32  fingerprint   16 bytes      48  start byte     u64           57  flags          u8
//! 48  schema length u32           56  window         u64           58  zero           u16
//! 52  endian mark   u32           64  its process    u32           60  schema length  u32
//! 56  name, schema                68  zero           u32           64  name, schema
//!                                 72  name
//! ```
//!
//! and, of 2 bytes of zero each, the ready (4), by the consumer, and the evicted (5), by a producer that goes on without
//! one of several consumers. Welcome carries descriptors: to a consumer the memory, its credit page, its end of the
//! doorbell and, of a stream for several, the attention page; to an observer the memory and, when there is a consumer,
//! that one's credit page, for reading. Of a stream for several, an observer's welcome has their number at 68 and is about
//! the one that is furthest behind.
//!
//! A hello that asks for more than to follow, live and waited for, has 24 bytes more behind its schema:
//!
//! ```text
//!  0  where to begin  u8: 0 live, 1 oldest, 2 at the position      8  position     u64
//!  1  gates           u8: whether the producer waits for it       16  evict after  u64: nanoseconds, 0 never
//!  2  zero            6 bytes
//! ```
//!
//! What comes in is hostile until it is decoded: every byte has one meaning or the message is refused.

#![forbid(unsafe_code)]

mod body;

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use self::body::{bare, hello, refusal, welcome};
use super::name::LONGEST;
use crate::ring::JoinPosition;
use crate::ring::page::{KIND_ELEMENTS, MAJOR, MINOR, StreamHeader};

const MAGIC: [u8; 8] = *b"\x89MLH\r\n\x1a\n";
/// Longest schema that fits into a message.
pub(super) const LONGEST_SCHEMA: usize = 1 << 16;
/// Longest message.
pub(super) const LONGEST_MESSAGE: usize = 80 + LONGEST + LONGEST_SCHEMA;

/// Who says hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Consumer,
    Observer,
}

/// What a consumer can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whatever the stream carries.
    Any,
    Elements,
    Frames,
}

impl Kind {
    /// What a stream with this header carries.
    pub(super) fn of(header: &StreamHeader) -> Self {
        if header.kind == KIND_ELEMENTS {
            Self::Elements
        } else {
            Self::Frames
        }
    }

    /// In words, for messages.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Elements => "elements",
            Self::Frames => "frames",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) role: Role,
    pub(super) kind: Kind,
    /// The fingerprint does not count.
    pub(super) any_type: bool,
    pub(super) resumable: bool,
    pub(super) membarrier: bool,
    /// Reads as the mark in a stream's header on a machine of the producer's byte order.
    pub(super) endian: u32,
    pub(super) window: u64,
    pub(super) fingerprint: [u8; 16],
    pub(super) subscription: String,
    pub(super) schema: Vec<u8>,
    pub(super) join: Join,
}

/// How a consumer takes part in a stream for several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Join {
    pub(crate) from: JoinPosition,
    /// Whether the producer waits for it.
    pub(crate) gates: bool,
    /// For how many nanoseconds at a time, 0 for ever.
    pub(crate) evict_after: u64,
}

impl Default for Join {
    fn default() -> Self {
        Self {
            from: JoinPosition::Live,
            gates: true,
            evict_after: 0,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Welcome {
    /// The producer's process as it knows itself.
    pub(super) pid: u32,
    pub(super) membarrier: bool,
    /// The memory is a file.
    pub(super) durable: bool,
    pub(super) memory_len: u64,
    pub(super) epoch: u64,
    pub(super) start: u64,
    pub(super) start_byte: u64,
    pub(super) window: u64,
    /// For observers: the consumer, to whom `start`, `start_byte` and `window` then belong.
    pub(super) consumer: Option<Consumer>,
    /// For observers of a stream for several: how many consumers there are.
    pub(super) consumers: u32,
}

/// A consumer, as observers get to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Consumer {
    pub(super) pid: u32,
    pub(super) subscription: String,
    pub(super) resumable: bool,
    pub(super) connected: bool,
}

/// Why a producer says no. `ours` and `theirs` of the refusal are the producer's and the consumer's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Code {
    /// Versions, as major << 16 | minor.
    Version = 1,
    /// The message makes no sense.
    Malformed = 2,
    /// The stream carries what the consumer cannot take.
    Kind = 3,
    /// Fingerprint and schema are the producer's.
    Fingerprint = 4,
    /// The largest window and the one asked for.
    Window = 5,
    /// Process and name are the other consumer's.
    AlreadySubscribed = 6,
    /// The stream has lost its consumer and ends.
    Ended = 7,
    /// Too many handshakes at once.
    Busy = 8,
    /// No memory or descriptors for another subscription.
    Exhausted = 9,
    /// Users.
    User = 10,
    /// The byte order.
    Endian = 11,
    /// The oldest position that is held, and the next one to be published.
    NotHeld = 12,
    /// The most consumers at a time.
    Full = 13,
    /// The stream is for one consumer, and the consumer asks for what only one of several can have.
    Exclusive = 14,
    /// The stream is durable, and the consumer gives no name.
    Durable = 15,
    /// The group whose members may call, and the caller's own. Only who looks for another user's streams ever hears it.
    Group = 16,
}

const CODES: [Code; 16] = [
    Code::Version,
    Code::Malformed,
    Code::Kind,
    Code::Fingerprint,
    Code::Window,
    Code::AlreadySubscribed,
    Code::Ended,
    Code::Busy,
    Code::Exhausted,
    Code::User,
    Code::Endian,
    Code::NotHeld,
    Code::Full,
    Code::Exclusive,
    Code::Durable,
    Code::Group,
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) pid: u32,
    pub(super) ours: u64,
    pub(super) theirs: u64,
    pub(super) fingerprint: [u8; 16],
    pub(super) subscription: String,
    /// The other consumer is gone and its subscription waits to be resumed.
    pub(super) waiting: bool,
    pub(super) schema: Vec<u8>,
}

impl Refusal {
    pub(super) fn new(code: Code) -> Self {
        Self {
            code,
            pid: 0,
            ours: 0,
            theirs: 0,
            fingerprint: [0; 16],
            subscription: String::new(),
            waiting: false,
            schema: Vec::new(),
        }
    }

    pub(super) fn values(code: Code, ours: u64, theirs: u64) -> Self {
        Self {
            ours,
            theirs,
            ..Self::new(code)
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Hello(Hello),
    Welcome(Welcome),
    Refusal(Refusal),
    Ready,
    Evicted,
}

/// Why a packet is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WireError {
    /// Another version of the protocol, whose major number this side does not speak.
    Version { major: u16, minor: u16 },
    /// A field that cannot be right, and what it reads.
    Field { word: &'static str, value: u64 },
}

/// Ours, as a refusal carries it.
pub(super) const OWN_VERSION: u64 = version(MAJOR, MINOR);

pub(super) const fn version(major: u16, minor: u16) -> u64 {
    (major as u64) << 16 | minor as u64
}

const HELLO: u16 = 1;
const WELCOME: u16 = 2;
const REFUSAL: u16 = 3;
const READY: u16 = 4;
const EVICTED: u16 = 5;

/// The 16 bytes with which every message of every version begins.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Head {
    magic: [u8; 8],
    major: U16,
    minor: U16,
    length: U32,
}

impl Message {
    /// The packet. A schema that does not fit is left out.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut packet = Head {
            magic: MAGIC,
            major: MAJOR.into(),
            minor: MINOR.into(),
            length: U32::ZERO,
        }
        .as_bytes()
        .to_vec();
        match self {
            Self::Hello(message) => body::put_hello(message, &mut packet),
            Self::Welcome(message) => body::put_welcome(message, &mut packet),
            Self::Refusal(message) => body::put_refusal(message, &mut packet),
            Self::Ready => body::put_bare(READY, &mut packet),
            Self::Evicted => body::put_bare(EVICTED, &mut packet),
        }
        // At most `LONGEST_MESSAGE`.
        let length = U32::from(packet.len() as u32);
        packet[12..16].copy_from_slice(length.as_bytes());
        packet
    }

    pub(super) fn decode(packet: &[u8]) -> Result<Self, WireError> {
        let field = |word, value| Err(WireError::Field { word, value });
        let Ok((head, body)) = Head::ref_from_prefix(packet) else {
            return field("message length", packet.len() as u64);
        };
        if head.magic != MAGIC {
            return field("magic", u64::from_le_bytes(head.magic));
        }
        if head.major.get() != MAJOR {
            return Err(WireError::Version {
                major: head.major.get(),
                minor: head.minor.get(),
            });
        }
        if head.length.get() as usize != packet.len() {
            return field("message length", head.length.get().into());
        }
        let Ok((kind, _)) = U16::ref_from_prefix(body) else {
            return field("message length", packet.len() as u64);
        };
        match kind.get() {
            HELLO => hello(body).map(Self::Hello),
            WELCOME => welcome(body).map(Self::Welcome),
            REFUSAL => refusal(body).map(Self::Refusal),
            READY => bare(body).map(|()| Self::Ready),
            EVICTED => bare(body).map(|()| Self::Evicted),
            kind => field("message type", kind.into()),
        }
    }
}

#[cfg(test)]
mod tests;
