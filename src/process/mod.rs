//! Streams between processes: names, the handshake, and the news that a peer is gone.
//!
//! A published stream is a name in the [runtime directory](directory): a [lock file](claim) and a
//! listening [socket](socket). A consumer connects, both sides tell what they are ([wire]), and
//! the producer passes the descriptors of the memory. From then on nothing goes over the connection: that it
//! hangs up is the news that the peer has closed or died. One [background thread](service) for each process
//! listens, answers and hears the hang-ups; endpoints learn of them by a [word](notice).

mod claim;
mod directory;
mod error;
mod geometry;
mod name;
mod notice;
mod socket;
mod wire;

pub use error::{DirectoryError, ListError, ObserveError, PublishError, SubscribeError, SystemError};
pub use name::InvalidName;
