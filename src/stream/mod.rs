//! Handles and their builders: `SinkRef`, `SourceRef`, and how a stream ends.

mod attend;
mod backoff;
mod broadcast;
mod buffer;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod canceller;
mod channel;
mod claim;
mod cold_source;
mod conduit;
mod control;
mod custody;
mod drain;
mod end;
mod endpoint;
mod error;
mod filling;
#[cfg(not(millstream_loom))]
mod frame_channel;
#[cfg(not(millstream_loom))]
mod frame_error;
#[cfg(not(millstream_loom))]
mod frame_sink;
#[cfg(not(millstream_loom))]
mod frame_source;
mod headway;
mod lane;
mod lanes;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod newest;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod observation;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod observed;
mod parting;
mod peek;
#[cfg(not(millstream_loom))]
mod protocol;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod publish;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod published;
#[cfg(not(millstream_loom))]
mod reclaim;
mod reconnect;
mod settings;
mod sink;
mod slice;
mod source;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod subscribe;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod subscribed;
#[cfg(all(test, not(millstream_loom)))]
mod tests;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod transactional;
mod trial;

#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub(crate) use crate::process::{ListError, ObserveError, PublishError, SubscribeError};
pub(crate) use attend::Attended;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use broadcast::LossySubscribeBuilder;
pub use broadcast::{
    AsyncStream, BroadcastBuilder, BroadcastError, Gap, JoinError, LossyBuilder, LossySource, Publisher,
    Received, RendezvousBuilder, Subscriber, SubscriberBuilder, Subscribers, broadcast, rendezvous,
};
pub use buffer::Buffer;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub(crate) use canceller::Canceller;
pub use channel::{ChannelBuilder, ChannelError, Payload, channel};
pub use claim::{Claim, EndedMeanwhile};
#[cfg(not(millstream_loom))]
pub(crate) use conduit::{Conduit, LaneError};
pub use end::{CloseReason, End, StreamFault};
pub(crate) use endpoint::{Lookout, Patience, Vacancy, Waited};
pub use error::{
    ClaimError, EndError, NotDrained, PutDeadlineError, PutError, PutSliceError, RequestError, TimedOut,
    TryPutError,
};
#[cfg(not(millstream_loom))]
pub use frame_error::{PutFrameDeadlineError, PutFrameError, PutFramesError, TryPutFrameError};
#[cfg(not(millstream_loom))]
pub use frame_sink::{FrameClaim, FrameSink};
#[cfg(not(millstream_loom))]
pub use frame_source::{Frame, FrameSource};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use observation::{Observation, list, list_from_user, observe, observe_from_user};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use observed::{Content, ObservedConsumer, State};
pub use peek::{Peek, PeekIter};
#[cfg(not(millstream_loom))]
pub use protocol::{
    CompleteStream, ConsumerState, GetSink, GetSinkError, GetSource, GetSourceError, GetState, InputReady,
    ProducerState, Push, StreamCancel, StreamCompleted, StreamConsumer, StreamConsumerMsg, StreamDemand,
    StreamElement, StreamFailed, StreamProducer, StreamProducerMsg, StreamSubscribe, Upstream,
    stream_consumer, stream_producer,
};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use protocol::{LookupStreamError, PublishedStream};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use publish::{PublishBuilder, Travel, publish};
#[cfg(not(millstream_loom))]
pub(crate) use settings::SourceSettings;
pub use sink::SinkRef;
pub use source::{SourceRef, TryNext};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use subscribe::{SubscribeBuilder, subscribe};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use transactional::{NextError, TransactionalBuilder, TransactionalSource, Uncommitted};
