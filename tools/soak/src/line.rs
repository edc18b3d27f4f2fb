//! The kinds of streams that a scene can be about, and how their consumers take part.

use std::fmt;

use clap::ValueEnum;

use crate::random::Random;

/// What is streamed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Elements of 8 bytes, one consumer.
    Small,
    /// Elements of 56 bytes, one consumer.
    Medium,
    /// Elements of 200 bytes, one consumer.
    Large,
    /// Frames of 24 to 424 bytes, one consumer.
    Frames,
    /// Elements of 56 bytes; whoever is killed as the consumer has a successor that goes on.
    Resumed,
    /// The same with frames.
    ResumedFrames,
    /// Elements of 56 bytes to several consumers, of every manner.
    Broadcast,
    /// Elements of 8 bytes to several consumers, handed over one by one.
    Rendezvous,
    /// Elements of 56 bytes, each to one of several workers.
    Work,
    /// Elements of 56 bytes in a file, in which both sides go on.
    Durable,
    /// The same with frames.
    DurableFrames,
    /// Elements of 56 bytes in a file, and a consumer that commits a state with its position.
    Committed,
}

impl Kind {
    pub(crate) const ALL: [Self; 12] = [
        Self::Small,
        Self::Broadcast,
        Self::Committed,
        Self::ResumedFrames,
        Self::Work,
        Self::Durable,
        Self::Medium,
        Self::Frames,
        Self::Rendezvous,
        Self::DurableFrames,
        Self::Resumed,
        Self::Large,
    ];

    /// The fewest and the most consumers.
    fn consumers(self) -> (u64, u64) {
        match self {
            Self::Broadcast => (3, 5),
            Self::Rendezvous | Self::Work => (2, 3),
            _ => (1, 1),
        }
    }

    /// How many consumers a scene has, where so many processes may take part in all.
    pub(crate) fn cast(self, random: &mut Random, processes: usize) -> usize {
        let (least, most) = self.consumers();
        (random.between(least, most) as usize).min(processes.saturating_sub(2).max(1))
    }

    /// How the consumer in that slot takes part; slot 0 is the producer.
    pub(crate) fn manner(self, slot: usize) -> Manner {
        match (self, slot) {
            (Self::Resumed | Self::ResumedFrames | Self::Durable | Self::DurableFrames, _)
            | (Self::Broadcast, 2) => Manner::Resumed,
            (Self::Committed, _) => Manner::Committer,
            (Self::Broadcast, 3) => Manner::Lossy,
            (Self::Broadcast, 4) => Manner::Evicted,
            (Self::Work, _) => Manner::Worker,
            _ => Manner::Plain,
        }
    }

    /// Whether the stream goes on with the next producer, at the same position.
    pub(crate) fn is_durable(self) -> bool {
        matches!(self, Self::Durable | Self::DurableFrames | Self::Committed)
    }

    /// Whether the consumer is the only one, who ends the stream when it goes.
    pub(crate) fn is_for_one(self) -> bool {
        self.consumers().1 == 1
    }

    /// The name to subscribe to: each worker of a queue has a lane of its own.
    pub(crate) fn name(self, stream: &str, slot: usize) -> String {
        match self {
            Self::Work => format!("{stream}-{slot}"),
            _ => stream.into(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("stream", |value| value.get_name()))
    }
}

/// How a consumer takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Manner {
    Plain,
    Resumed,
    Lossy,
    Evicted,
    Worker,
    Committer,
}
