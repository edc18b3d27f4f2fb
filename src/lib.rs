//! Streams between a producer and a consumer at memory speed, paced by the consumer's demand.

extern crate self as millstream;

mod memory;
mod primitive;
#[cfg(all(target_os = "linux", not(millstream_loom)))]
mod process;
mod ring;
mod stream;
mod wait;

#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use memory::{HugePages, MemoryError};
#[cfg(all(target_os = "linux", not(millstream_loom)))]
pub use process::{
    DirectoryError, InvalidName, ListError, ObserveError, PublishError, SubscribeError, SystemError,
};
pub use ring::Corruption;
pub use stream::{
    ChannelBuilder, ChannelError, Claim, ClaimError, CloseReason, End, EndError, EndedMeanwhile, NotDrained,
    Peek, PeekIter, PutDeadlineError, PutError, PutSliceError, RequestError, SinkRef, SourceRef, StreamFault, TimedOut,
    TryNext, TryPutError, channel,
};
pub use wait::{Fence, WaitStrategy};
