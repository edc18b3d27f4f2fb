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
//! and the ready (4), by the consumer, which ends after 2 bytes of zero. Welcome carries descriptors: to a consumer
//! the memory, its credit page and its end of the doorbell; to an observer the memory and, when there is a
//! consumer, that one's credit page, for reading.
//!
//! What comes in is hostile until it is decoded: every byte has one meaning or the message is refused.

#![forbid(unsafe_code)]

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::name::LONGEST;
use crate::ring::page::{KIND_ELEMENTS, MAJOR, MINOR, StreamHeader};

const MAGIC: [u8; 8] = *b"\x89MLH\r\n\x1a\n";
/// Longest schema that fits into a message.
pub(super) const LONGEST_SCHEMA: usize = 1 << 16;
/// Longest message.
pub(super) const LONGEST_MESSAGE: usize = 72 + LONGEST + LONGEST_SCHEMA;

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
    /// Reads as [`ENDIAN_MARK`] on a machine of the producer's byte order.
    pub(super) endian: u32,
    pub(super) window: u64,
    pub(super) fingerprint: [u8; 16],
    pub(super) subscription: String,
    pub(super) schema: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Welcome {
    /// The producer's process as it knows itself.
    pub(super) pid: u32,
    pub(super) membarrier: bool,
    pub(super) memory_len: u64,
    pub(super) epoch: u64,
    pub(super) start: u64,
    pub(super) start_byte: u64,
    pub(super) window: u64,
    /// For observers: the consumer, to whom `start`, `start_byte` and `window` then belong.
    pub(super) consumer: Option<Consumer>,
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
}

const CODES: [Code; 11] = [
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

const ANY_TYPE: u8 = 1;
const RESUMABLE: u8 = 2;
const MEMBARRIER: u8 = 4;
const CONNECTED: u8 = 8;
const CONSUMER: u8 = 16;
const WAITING: u8 = 32;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Head {
    magic: [u8; 8],
    major: U16,
    minor: U16,
    length: U32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct HelloBody {
    kind_of_message: U16,
    role: u8,
    kind: u8,
    flags: u8,
    name_len: u8,
    zero: U16,
    window: U64,
    fingerprint: [u8; 16],
    schema_len: U32,
    endian: U32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct WelcomeBody {
    kind_of_message: U16,
    flags: u8,
    name_len: u8,
    pid: U32,
    memory_len: U64,
    epoch: U64,
    start: U64,
    start_byte: U64,
    window: U64,
    consumer_pid: U32,
    zero: U32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RefusalBody {
    kind_of_message: U16,
    code: U16,
    pid: U32,
    ours: U64,
    theirs: U64,
    fingerprint: [u8; 16],
    name_len: u8,
    flags: u8,
    zero: U16,
    schema_len: U32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ReadyBody {
    kind_of_message: U16,
    zero: U16,
}

fn flag(condition: bool, flag: u8) -> u8 {
    if condition { flag } else { 0 }
}

impl Message {
    /// The packet. Names are at most [`LONGEST`] and schemas at most [`LONGEST_SCHEMA`] bytes long; a longer
    /// tail is cut, and refused by the other side.
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello(hello) => {
                let (name, schema) = (short(&hello.subscription), &hello.schema);
                let body = HelloBody {
                    kind_of_message: HELLO.into(),
                    role: match hello.role {
                        Role::Consumer => 1,
                        Role::Observer => 2,
                    },
                    kind: match hello.kind {
                        Kind::Any => 0,
                        Kind::Elements => 1,
                        Kind::Frames => 2,
                    },
                    flags: flag(hello.any_type, ANY_TYPE)
                        | flag(hello.resumable, RESUMABLE)
                        | flag(hello.membarrier, MEMBARRIER),
                    name_len: name.len() as u8,
                    zero: U16::ZERO,
                    window: hello.window.into(),
                    fingerprint: hello.fingerprint,
                    schema_len: (schema.len() as u32).into(),
                    endian: hello.endian.into(),
                };
                packet(&[body.as_bytes(), name, schema])
            }
            Self::Welcome(welcome) => {
                let consumer = welcome.consumer.as_ref();
                let name = consumer.map_or(&[][..], |consumer| short(&consumer.subscription));
                let body = WelcomeBody {
                    kind_of_message: WELCOME.into(),
                    flags: flag(welcome.membarrier, MEMBARRIER)
                        | flag(consumer.is_some(), CONSUMER)
                        | flag(consumer.is_some_and(|consumer| consumer.resumable), RESUMABLE)
                        | flag(consumer.is_some_and(|consumer| consumer.connected), CONNECTED),
                    name_len: name.len() as u8,
                    pid: welcome.pid.into(),
                    memory_len: welcome.memory_len.into(),
                    epoch: welcome.epoch.into(),
                    start: welcome.start.into(),
                    start_byte: welcome.start_byte.into(),
                    window: welcome.window.into(),
                    consumer_pid: consumer.map_or(0, |consumer| consumer.pid).into(),
                    zero: U32::ZERO,
                };
                packet(&[body.as_bytes(), name])
            }
            Self::Refusal(refusal) => {
                let name = short(&refusal.subscription);
                let body = RefusalBody {
                    kind_of_message: REFUSAL.into(),
                    code: (refusal.code as u16).into(),
                    pid: refusal.pid.into(),
                    ours: refusal.ours.into(),
                    theirs: refusal.theirs.into(),
                    fingerprint: refusal.fingerprint,
                    name_len: name.len() as u8,
                    flags: flag(refusal.waiting, WAITING),
                    zero: U16::ZERO,
                    schema_len: (refusal.schema.len() as u32).into(),
                };
                packet(&[body.as_bytes(), name, &refusal.schema])
            }
            Self::Ready => packet(&[ReadyBody {
                kind_of_message: READY.into(),
                zero: U16::ZERO,
            }
            .as_bytes()]),
        }
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
            READY => {
                let (body, tail) = split::<ReadyBody>(body)?;
                zero(body.zero.get().into())?;
                tails(tail, 0, 0).map(|_| Self::Ready)
            }
            kind => field("message type", kind.into()),
        }
    }
}

fn hello(body: &[u8]) -> Result<Hello, WireError> {
    let (body, tail) = split::<HelloBody>(body)?;
    zero(body.zero.get().into())?;
    let flags = flags(body.flags, ANY_TYPE | RESUMABLE | MEMBARRIER)?;
    let (subscription, schema) = tails(tail, body.name_len, body.schema_len.get())?;
    Ok(Hello {
        role: match body.role {
            1 => Role::Consumer,
            2 => Role::Observer,
            role => {
                return Err(WireError::Field {
                    word: "role",
                    value: role.into(),
                });
            }
        },
        kind: match body.kind {
            0 => Kind::Any,
            1 => Kind::Elements,
            2 => Kind::Frames,
            kind => {
                return Err(WireError::Field {
                    word: "kind",
                    value: kind.into(),
                });
            }
        },
        any_type: flags & ANY_TYPE != 0,
        resumable: flags & RESUMABLE != 0,
        membarrier: flags & MEMBARRIER != 0,
        endian: body.endian.get(),
        window: body.window.get(),
        fingerprint: body.fingerprint,
        subscription,
        schema,
    })
}

fn welcome(body: &[u8]) -> Result<Welcome, WireError> {
    let (body, tail) = split::<WelcomeBody>(body)?;
    zero(body.zero.get().into())?;
    let flags = flags(body.flags, MEMBARRIER | CONSUMER | RESUMABLE | CONNECTED)?;
    let (subscription, _) = tails(tail, body.name_len, 0)?;
    let consumer = Consumer {
        pid: body.consumer_pid.get(),
        subscription,
        resumable: flags & RESUMABLE != 0,
        connected: flags & CONNECTED != 0,
    };
    let nobody = Consumer {
        pid: 0,
        subscription: String::new(),
        resumable: false,
        connected: false,
    };
    if flags & CONSUMER == 0 && consumer != nobody {
        return Err(WireError::Field {
            word: "flags",
            value: flags.into(),
        });
    }
    Ok(Welcome {
        pid: body.pid.get(),
        membarrier: flags & MEMBARRIER != 0,
        memory_len: body.memory_len.get(),
        epoch: body.epoch.get(),
        start: body.start.get(),
        start_byte: body.start_byte.get(),
        window: body.window.get(),
        consumer: (flags & CONSUMER != 0).then_some(consumer),
    })
}

fn refusal(body: &[u8]) -> Result<Refusal, WireError> {
    let (body, tail) = split::<RefusalBody>(body)?;
    zero(body.zero.get().into())?;
    let code = body.code.get();
    let Some(code) = CODES.into_iter().find(|known| *known as u16 == code) else {
        return Err(WireError::Field {
            word: "code",
            value: code.into(),
        });
    };
    let flags = flags(body.flags, WAITING)?;
    let (subscription, schema) = tails(tail, body.name_len, body.schema_len.get())?;
    Ok(Refusal {
        code,
        pid: body.pid.get(),
        ours: body.ours.get(),
        theirs: body.theirs.get(),
        fingerprint: body.fingerprint,
        subscription,
        waiting: flags & WAITING != 0,
        schema,
    })
}

fn short(name: &str) -> &[u8] {
    let bytes = name.as_bytes();
    &bytes[..bytes.len().min(LONGEST)]
}

fn packet(parts: &[&[u8]]) -> Vec<u8> {
    let length = size_of::<Head>() + parts.iter().map(|part| part.len()).sum::<usize>();
    let head = Head {
        magic: MAGIC,
        major: MAJOR.into(),
        minor: MINOR.into(),
        length: (length as u32).into(),
    };
    let mut packet = Vec::with_capacity(length);
    packet.extend_from_slice(head.as_bytes());
    parts.iter().for_each(|part| packet.extend_from_slice(part));
    packet
}

fn split<T: FromBytes + KnownLayout + Immutable + Unaligned>(body: &[u8]) -> Result<(&T, &[u8]), WireError> {
    T::ref_from_prefix(body).map_err(|_| WireError::Field {
        word: "message length",
        value: (size_of::<Head>() + body.len()) as u64,
    })
}

fn zero(value: u64) -> Result<(), WireError> {
    if value == 0 {
        Ok(())
    } else {
        Err(WireError::Field {
            word: "reserved",
            value,
        })
    }
}

fn flags(flags: u8, known: u8) -> Result<u8, WireError> {
    if flags & !known == 0 {
        Ok(flags)
    } else {
        Err(WireError::Field {
            word: "flags",
            value: flags.into(),
        })
    }
}

/// The name and the schema that follow a body, and nothing else.
fn tails(tail: &[u8], name_len: u8, schema_len: u32) -> Result<(String, Vec<u8>), WireError> {
    let (name_len, schema_len) = (usize::from(name_len), schema_len as usize);
    if name_len > LONGEST {
        return Err(WireError::Field {
            word: "name length",
            value: name_len as u64,
        });
    }
    if schema_len > LONGEST_SCHEMA || name_len + schema_len != tail.len() {
        return Err(WireError::Field {
            word: "schema length",
            value: schema_len as u64,
        });
    }
    let (name, schema) = tail.split_at(name_len);
    let name = match str::from_utf8(name) {
        Ok(name) if name.is_empty() || super::name::Name::new(name).is_ok() => name,
        _ => {
            return Err(WireError::Field {
                word: "name",
                value: name_len as u64,
            });
        }
    };
    Ok((name.into(), schema.into()))
}

#[cfg(test)]
mod tests;
