//! Handles and their builders: `SinkRef`, `SourceRef`, and how a stream ends.

mod buffer;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
#[allow(dead_code, reason = "as the conduit")]
mod canceller;
mod channel;
mod claim;
mod cold_source;
#[allow(dead_code, reason = "the actors hold it")]
mod conduit;
mod control;
#[allow(dead_code, reason = "as the conduit")]
mod custody;
mod end;
mod endpoint;
mod error;
#[cfg(not(millstream_loom))]
mod frame_channel;
#[cfg(not(millstream_loom))]
mod frame_error;
#[cfg(not(millstream_loom))]
mod frame_sink;
#[cfg(not(millstream_loom))]
mod frame_source;
#[allow(dead_code, reason = "as the conduit")]
mod lanes;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod newest;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod observation;
mod peek;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod publish;
mod reconnect;
mod settings;
mod sink;
mod source;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod subscribe;
#[cfg(all(test, not(millstream_loom)))]
mod tests;

#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub(crate) use crate::process::{ListError, ObserveError, PublishError, SubscribeError};
pub use buffer::Buffer;
pub use channel::{ChannelBuilder, ChannelError, Payload, channel};
pub use claim::{Claim, EndedMeanwhile};
pub use end::{CloseReason, End, StreamFault};
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
pub use observation::{Content, Observation, ObservedConsumer, State, list, observe};
pub use peek::{Peek, PeekIter};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use publish::{PublishBuilder, Travel, publish};
pub use sink::SinkRef;
pub use source::{SourceRef, TryNext};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use subscribe::{SubscribeBuilder, subscribe};
