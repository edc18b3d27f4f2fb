//! Handles and their builders: `SinkRef`, `SourceRef`, and how a stream ends.

mod channel;
mod claim;
mod end;
mod endpoint;
mod error;
mod peek;
mod sink;
mod source;

pub use channel::{ChannelBuilder, ChannelError, channel};
pub use claim::{Claim, EndedMeanwhile};
pub use end::{CloseReason, End, StreamFault};
pub use error::{
    ClaimError, EndError, NotDrained, PutDeadlineError, PutError, PutSliceError, RequestError, TimedOut,
    TryPutError,
};
pub use sink::SinkRef;
pub use peek::{Peek, PeekIter};
pub use source::{SourceRef, TryNext};
