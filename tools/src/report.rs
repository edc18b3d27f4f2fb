//! What is seen of a stream, in a form for machines.

use std::path::PathBuf;

use clap::ValueEnum;
use millstream::{Content, Observation, ObserveError, Schema, State};
use serde::Serialize;

/// Looks at a stream of this user, or of the one that is named.
pub(crate) fn look(
    name: &str,
    user: Option<u32>,
    directory: Option<PathBuf>,
) -> Result<Observation, ObserveError> {
    match user {
        None => millstream::observe(name, directory),
        Some(user) => millstream::observe_from_user(name, user, directory),
    }
}

/// The forms in which streams are described.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people
    #[default]
    Text,
    /// For machines
    Json,
}

/// A stream at one moment.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) name: String,
    pub(crate) state: String,
    /// Hexadecimal: it identifies, and is too large for the numbers of many readers of JSON.
    pub(crate) epoch: String,
    #[serde(rename = "type")]
    pub(crate) kind: Type,
    /// Whether it is in a file, and outlives its processes.
    pub(crate) durable: bool,
    pub(crate) position: Position,
    pub(crate) demand: u64,
    pub(crate) buffered: u64,
    pub(crate) in_flight: u64,
    pub(crate) buffer_size: u64,
    pub(crate) max_demand: u64,
    pub(crate) memory: usize,
    pub(crate) producer: Producer,
    pub(crate) consumers: usize,
    pub(crate) most_consumers: u64,
    /// Of several, the one that is furthest behind.
    pub(crate) consumer: Option<Consumer>,
}

/// How far both sides are. Without a consumer nothing is granted or released.
#[derive(Debug, Serialize)]
pub(crate) struct Position {
    pub(crate) published: u64,
    pub(crate) granted: Option<u64>,
    pub(crate) released: Option<u64>,
}

/// What the stream carries.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Type {
    Frames {
        max_frame: usize,
    },
    Elements {
        name: String,
        size: usize,
        align: usize,
        fingerprint: String,
        schema: String,
        fields: Vec<Field>,
    },
    Unknown,
}

/// A field of the elements.
#[derive(Debug, Serialize)]
pub(crate) struct Field {
    name: String,
    offset: usize,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Producer {
    pub(crate) pid: Option<u32>,
    pub(crate) parked: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Consumer {
    pub(crate) pid: Option<u32>,
    pub(crate) subscription: String,
    pub(crate) connected: bool,
    pub(crate) resumable: bool,
    pub(crate) parked: bool,
    pub(crate) closed: bool,
    pub(crate) window: u64,
}

impl Report {
    pub(crate) fn of(seen: &Observation) -> Self {
        let consumer = seen.consumer();
        Self {
            name: seen.name().into(),
            state: state(seen.state()),
            epoch: format!("{:016x}", seen.epoch()),
            kind: Type::of(&seen.content()),
            durable: seen.is_durable(),
            position: Position {
                published: seen.position(),
                granted: consumer.map(|consumer| consumer.granted),
                released: consumer.map(|consumer| consumer.released),
            },
            demand: seen.demand(),
            buffered: seen.buffered(),
            in_flight: seen.in_flight(),
            buffer_size: seen.buffer_size(),
            max_demand: seen.max_demand(),
            memory: seen.memory(),
            producer: Producer {
                pid: seen.pid(),
                parked: seen.is_producer_parked(),
            },
            consumers: seen.consumers(),
            most_consumers: seen.most_consumers(),
            consumer: consumer.map(|consumer| Consumer {
                pid: consumer.pid,
                subscription: consumer.subscription.clone(),
                connected: consumer.connected,
                resumable: consumer.resumable,
                parked: consumer.parked,
                closed: consumer.closed,
                window: consumer.window,
            }),
        }
    }
}

impl Type {
    fn of(content: &Content) -> Self {
        match content {
            Content::Frames { longest } => Self::Frames { max_frame: *longest },
            Content::Elements(schema) => Self::elements(schema),
            _ => Self::Unknown,
        }
    }

    pub(crate) fn elements(schema: &Schema) -> Self {
        let field = |field: &millstream::Field| Field {
            name: field.name().into(),
            offset: field.offset(),
            kind: field.schema().name().into(),
        };
        Self::Elements {
            name: schema.name().into(),
            size: schema.size(),
            align: schema.align(),
            fingerprint: schema.fingerprint().to_string(),
            schema: schema.to_string(),
            fields: schema.fields().iter().map(field).collect(),
        }
    }

    /// In a word.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Frames { .. } => "frames",
            Self::Elements { name, .. } => name,
            Self::Unknown => "unknown",
        }
    }
}

fn state(state: State) -> String {
    match state {
        State::Open => "open".into(),
        State::Completed => "completed".into(),
        State::Failed => "failed".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// A process as people read it.
pub(crate) fn pid(pid: Option<u32>) -> String {
    pid.map_or_else(|| "?".into(), |pid| pid.to_string())
}
