//! The bodies of the messages, byte by byte, as the table in [`super`] has them.

#![forbid(unsafe_code)]

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{
    CODES, Consumer, HELLO, Head, Hello, Join, Kind, LONGEST_SCHEMA, REFUSAL, Refusal, Role, WELCOME,
    Welcome, WireError,
};
use crate::process::name::{LONGEST, Name};
use crate::ring::JoinPosition;

const ANY_TYPE: u8 = 1;
const RESUMABLE: u8 = 2;
const MEMBARRIER: u8 = 4;
const CONNECTED: u8 = 8;
const CONSUMER: u8 = 16;
const WAITING: u8 = 32;
const JOIN: u8 = 64;
const DURABLE: u8 = 128;

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
    consumers: U32,
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

/// Of a message that says what it is and no more.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct BareBody {
    kind_of_message: U16,
    zero: U16,
}

/// Behind the schema of a hello.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct JoinTail {
    from: u8,
    gates: u8,
    zero: [u8; 6],
    position: U64,
    evict_after: U64,
}

pub(super) fn put_hello(hello: &Hello, packet: &mut Vec<u8>) {
    let (name, schema) = (short(&hello.subscription), fitting(&hello.schema));
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
            | flag(hello.membarrier, MEMBARRIER)
            | flag(hello.join != Join::default(), JOIN),
        name_len: name.len() as u8,
        zero: U16::ZERO,
        window: hello.window.into(),
        fingerprint: hello.fingerprint,
        schema_len: (schema.len() as u32).into(),
        endian: hello.endian.into(),
    };
    put(packet, &[body.as_bytes(), name, schema]);
    if hello.join != Join::default() {
        put(packet, &[JoinTail::from(hello.join).as_bytes()]);
    }
}

impl From<Join> for JoinTail {
    fn from(join: Join) -> Self {
        let (from, position) = match join.from {
            JoinPosition::Live => (0, 0),
            JoinPosition::Oldest => (1, 0),
            JoinPosition::At(position) => (2, position),
        };
        Self {
            from,
            gates: join.gates.into(),
            zero: [0; 6],
            position: position.into(),
            evict_after: join.evict_after.into(),
        }
    }
}

pub(super) fn put_welcome(welcome: &Welcome, packet: &mut Vec<u8>) {
    let consumer = welcome.consumer.as_ref();
    let name = consumer.map_or(&[][..], |consumer| short(&consumer.subscription));
    let body = WelcomeBody {
        kind_of_message: WELCOME.into(),
        flags: flag(welcome.membarrier, MEMBARRIER)
            | flag(welcome.durable, DURABLE)
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
        consumers: welcome.consumers.into(),
    };
    put(packet, &[body.as_bytes(), name]);
}

pub(super) fn put_refusal(refusal: &Refusal, packet: &mut Vec<u8>) {
    let (name, schema) = (short(&refusal.subscription), fitting(&refusal.schema));
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
        schema_len: (schema.len() as u32).into(),
    };
    put(packet, &[body.as_bytes(), name, schema]);
}

pub(super) fn put_bare(kind: u16, packet: &mut Vec<u8>) {
    let body = BareBody {
        kind_of_message: kind.into(),
        zero: U16::ZERO,
    };
    put(packet, &[body.as_bytes()]);
}

pub(super) fn bare(body: &[u8]) -> Result<(), WireError> {
    let (body, tail) = split::<BareBody>(body)?;
    zero(body.zero.get().into())?;
    tails(tail, 0, 0).map(|_| ())
}

/// How the consumer of a hello takes part, and what stands before that.
fn join(tail: &[u8]) -> Result<(Join, &[u8]), WireError> {
    let Ok((rest, join)) = JoinTail::ref_from_suffix(tail) else {
        return Err(WireError::Field {
            word: "message length",
            value: tail.len() as u64,
        });
    };
    let refused = |word, value| Err(WireError::Field { word, value });
    let from = match (join.from, join.position.get()) {
        (0, 0) => JoinPosition::Live,
        (1, 0) => JoinPosition::Oldest,
        (2, position) => JoinPosition::At(position),
        (from, _) => return refused("where to begin", from.into()),
    };
    if join.gates > 1 {
        return refused("gates", join.gates.into());
    }
    if join.zero != [0; 6] {
        return refused("reserved", 1);
    }
    let join = Join {
        from,
        gates: join.gates == 1,
        evict_after: join.evict_after.get(),
    };
    // What goes without saying is not said.
    if join == Join::default() {
        return refused("flags", JOIN.into());
    }
    Ok((join, rest))
}

pub(super) fn hello(body: &[u8]) -> Result<Hello, WireError> {
    let (body, tail) = split::<HelloBody>(body)?;
    zero(body.zero.get().into())?;
    let flags = flags(body.flags, ANY_TYPE | RESUMABLE | MEMBARRIER | JOIN)?;
    let (join, tail) = if flags & JOIN == 0 {
        (Join::default(), tail)
    } else {
        join(tail)?
    };
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
        join,
    })
}

pub(super) fn welcome(body: &[u8]) -> Result<Welcome, WireError> {
    let (body, tail) = split::<WelcomeBody>(body)?;
    let flags = flags(
        body.flags,
        MEMBARRIER | CONSUMER | RESUMABLE | CONNECTED | DURABLE,
    )?;
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
        durable: flags & DURABLE != 0,
        memory_len: body.memory_len.get(),
        epoch: body.epoch.get(),
        start: body.start.get(),
        start_byte: body.start_byte.get(),
        window: body.window.get(),
        consumer: (flags & CONSUMER != 0).then_some(consumer),
        consumers: body.consumers.get(),
    })
}

pub(super) fn refusal(body: &[u8]) -> Result<Refusal, WireError> {
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

fn flag(condition: bool, flag: u8) -> u8 {
    if condition { flag } else { 0 }
}

/// A name has been checked; the cut is for the length's sake alone.
fn short(name: &str) -> &[u8] {
    let bytes = name.as_bytes();
    &bytes[..bytes.len().min(LONGEST)]
}

fn fitting(schema: &[u8]) -> &[u8] {
    if schema.len() <= LONGEST_SCHEMA {
        schema
    } else {
        &[]
    }
}

fn put(packet: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| packet.extend_from_slice(part));
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
        Ok(name) if name.is_empty() || Name::new(name).is_ok() => name,
        _ => {
            return Err(WireError::Field {
                word: "name",
                value: name_len as u64,
            });
        }
    };
    Ok((name.into(), schema.into()))
}
