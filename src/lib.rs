//! Streams between a producer and a consumer at memory speed, paced by the consumer's demand.
//!
//! | To | Begin with |
//! |---|---|
//! | stream between two threads | [`channel`] gives a [`SinkRef`] and a [`SourceRef`] |
//! | stream between two processes | [`publish`] here, [`subscribe`] there; `#[millstream::element]` for what may travel |
//! | stream to many threads, or to many processes | [`broadcast`]; [`PublishBuilder::consumers`] |
//! | send bytes, or what only a schema describes | the same with `[u8]`: [`FrameSink`], [`FrameSource`] |
//! | share work out to many consumers | [`work_queue`] |
//! | give every element to several consumers | [`tee`] |
//! | read the latest of each key, at leisure | [`conflate`] |
//! | keep a stream in a file that outlives both processes | [`PublishBuilder::durable`] |
//! | process each element exactly once | [`SubscribeBuilder::transactional`] |
//! | look at what is published | [`list`], [`observe`] |
//! | read several streams as one | [`merge`] |
//! | read the two lines of a feed | [`arbitrate`] |
//! | run actors on pinned workers | [`ActorSystem::builder`], [`receive`] or the trait [`Actor`] |
//! | supervise them | [`SpawnOptions::supervisor`], [`OneForOne`] |
//! | own a socket in an actor | [`Context::watch_io`] |
//! | see what actors do | [`SystemRef::events`], [`SystemRef::workers`], [`SpawnOptions::spy`] |
//! | set streams up by actors, as casty does | [`stream_producer`], [`stream_consumer`], [`GetSink`], [`GetSource`] |
//! | do that between processes | [`StreamProducer::published`], [`SystemRef::lookup_stream`] |

#![cfg_attr(
    millstream_loom,
    allow(
        dead_code,
        unused_imports,
        reason = "loom checks the part of the crate that has an order of memory"
    )
)]

// The macros name this crate as its users do, also in its own code.
extern crate self as millstream;

#[cfg(not(millstream_loom))]
mod actor;
mod element;
mod flow;
/// What fuzz targets reach of the inside; see `tools/fuzz`.
#[cfg(all(fuzzing, target_os = "linux"))]
#[doc(hidden)]
pub mod fuzzing;
mod memory;
mod primitive;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod process;
mod ring;
mod stream;
mod wait;

#[cfg(not(millstream_loom))]
pub use actor::{
    Actor, ActorPath, ActorRef, ActorRestarted, ActorStarted, ActorStopped, ActorSystem, Answer, AskError,
    Behaviour, BuildError, Context, DeadLetter, Deadline, Directive, Downgrade, EventSubscription, Events,
    Failure, Interest, InvalidActorName, IoId, LookupError, Mailbox, Next, NotStopped, OneForOne, Overflow,
    Pinning, Props, Readiness, Recipient, ReplyTo, ServiceKey, ShutdownReport, ShutdownTimeout, SpawnError,
    SpawnOptions, SpyEvent, StopReason, Supervisor, SystemBuilder, SystemRef, TaskPanicked, Terminated,
    TryTellError, UnhandledMessage, WatchId, WorkerReport, Workers, receive, setup,
};
pub use element::{Element, Field, Fingerprint, Kind, Scalar, Schema, SchemaError, Value, ValueError};
#[cfg(not(millstream_loom))]
pub use flow::{
    ArbitrateBuilder, Arbitrated, ConflateBuilder, ConflateError, Conflated, EndPolicy, Feed, Indexed,
    Latest, LineCounts, Merge, MergeBuilder, NotALane, WorkQueue, WorkQueueBuilder, WorkSink, arbitrate,
    conflate, merge, work_queue,
};
pub use flow::{Branch, Lossy, TeeBuilder, TeeError, tee};
#[cfg(not(millstream_loom))]
/// The crate of the histogram in a [`WorkerReport`].
pub use hdrhistogram;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use memory::{HugePages, MemoryError};
/// Implements [`Element`](trait@Element) for a struct whose fields are elements.
///
/// For who wants to write every trait by hand; [`#[millstream::element]`](macro@element) writes them
/// all. The struct has `#[repr(C)]` or `#[repr(transparent)]`, no parameters, and derives the traits of
/// [`zerocopy`] that [`Element`](trait@Element) asks for. The schema has the name of the type; where
/// two programs call one type differently, `#[element(name = "...")]` gives it one.
///
/// ```
/// use millstream::Element;
/// use millstream::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
///
/// #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Element)]
/// #[zerocopy(crate = "millstream::zerocopy")]
/// #[element(name = "market.Tick")]
/// #[repr(C)]
/// struct Tick {
///     price: f64,
///     size: u64,
/// }
///
/// assert_eq!(Tick::schema().name(), "market.Tick");
/// ```
pub use millstream_derive::Element;
/// Makes a struct an [`Element`](trait@Element).
///
/// It adds `#[repr(C)]` if the struct has no `repr`, derives `Clone`, `Copy`, and `FromBytes`,
/// `IntoBytes`, `Immutable` and `KnownLayout` of [`zerocopy`] (the user needs no dependency on it), and
/// implements [`Element`](trait@Element). What the struct derives below the attribute is not derived
/// twice. The schema has the name of the type, or that of `#[millstream::element(name = "...")]`.
///
/// ```
/// use millstream::Element;
///
/// #[millstream::element]
/// #[derive(Debug, PartialEq)]
/// struct Quote {
///     ts: i64,
///     bid: f64,
///     ask: f64,
/// }
///
/// #[millstream::element(name = "market.Trade")]
/// struct Trade {
///     quote: Quote,
///     venue: [u8; 8],
/// }
///
/// assert_eq!(Trade::schema().name(), "market.Trade");
/// assert_eq!(Trade::schema().size(), 32);
/// ```
///
/// Padding is refused, with the field that needs it:
///
/// ```compile_fail
/// #[millstream::element]
/// struct Trade {
///     size: u32,
///     price: f64,
/// }
/// ```
pub use millstream_derive::element;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use process::{
    DirectoryError, DurableError, DurableReport, InvalidName, ListError, ObserveError, PublishError,
    Recovery, SubscribeError, SyncError, Synced, SyncedReport, SystemError, verify, verify_synced,
};
pub use ring::{Corruption, JoinPosition, OnNoConsumer};
pub use stream::{
    AsyncStream, BroadcastBuilder, BroadcastError, Gap, JoinError, LossyBuilder, LossySource, Publisher,
    Received, RendezvousBuilder, Subscriber, SubscriberBuilder, Subscribers, broadcast, rendezvous,
};
pub use stream::{
    Buffer, ChannelBuilder, ChannelError, Claim, ClaimError, CloseReason, End, EndError, EndedMeanwhile,
    NotDrained, Payload, Peek, PeekIter, PutDeadlineError, PutError, PutSliceError, RequestError, SinkRef,
    SourceRef, StreamFault, TimedOut, TryNext, TryPutError, channel,
};
#[cfg(not(millstream_loom))]
pub use stream::{
    CompleteStream, ConsumerState, GetSink, GetSinkError, GetSource, GetSourceError, GetState, InputReady,
    ProducerState, Push, StreamCancel, StreamCompleted, StreamConsumer, StreamConsumerMsg, StreamDemand,
    StreamElement, StreamFailed, StreamProducer, StreamProducerMsg, StreamSubscribe, Upstream,
    stream_consumer, stream_producer,
};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use stream::{
    Content, LossySubscribeBuilder, NextError, Observation, ObservedConsumer, PublishBuilder, State,
    SubscribeBuilder, TransactionalBuilder, TransactionalSource, Travel, Uncommitted, list, list_from_user,
    observe, observe_from_user, publish, subscribe,
};
#[cfg(not(millstream_loom))]
pub use stream::{
    Frame, FrameClaim, FrameSink, FrameSource, PutFrameDeadlineError, PutFrameError, PutFramesError,
    TryPutFrameError,
};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use stream::{LookupStreamError, PublishedStream};
pub use wait::{Fence, WaitStrategy};
/// The crate whose traits prove that any bytes are a valid element and back.
pub use zerocopy;

/// The examples of the README, as tests.
#[cfg(all(doctest, target_os = "linux"))]
#[doc = include_str!("../README.md")]
struct Readme;
