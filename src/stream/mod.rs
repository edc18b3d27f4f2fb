//! Handles and their builders: `SinkRef`, `SourceRef`, and how a stream ends.

mod channel;
mod claim;
mod control;
mod end;
mod endpoint;
mod error;
#[cfg(not(millstream_loom))]
mod frame_sink;
#[cfg(not(millstream_loom))]
mod frame_source;
mod peek;
mod reconnect;
mod settings;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod observation;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod publish;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod subscribe;
mod sink;
mod source;

pub use channel::{ChannelBuilder, ChannelError, Payload, channel};
pub use claim::{Claim, EndedMeanwhile};
pub use end::{CloseReason, End, StreamFault};
pub use error::{
    ClaimError, EndError, NotDrained, PutDeadlineError, PutError, PutSliceError, RequestError, TimedOut,
    TryPutError,
};
pub use sink::SinkRef;
#[cfg(not(millstream_loom))]
pub use frame_sink::{
    FrameClaim, FrameSink, PutFrameDeadlineError, PutFrameError, PutFramesError, TryPutFrameError,
};
#[cfg(not(millstream_loom))]
pub use frame_source::{Frame, FrameSource};
pub use peek::{Peek, PeekIter};
pub use source::{SourceRef, TryNext};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use observation::{Content, Observation, ObservedConsumer, State, list, observe};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use publish::{PublishBuilder, Travel, publish};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use subscribe::{SubscribeBuilder, subscribe};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub(crate) use crate::process::{ListError, ObserveError, PublishError, SubscribeError};
