//! Everybody who is compared: one file for each.

#[cfg(feature = "aeron")]
mod aeron;
mod array_queue;
mod bare_blocks;
mod bare_lines;
mod byte_stream;
mod crossbeam_channel;
mod disruptor;
mod eventfd;
mod flume;
mod futex;
mod iceoryx2;
mod kanal;
mod millstream;
mod mio_waker;
mod park;
mod pipe;
mod ringbuf;
mod rtrb;
mod sync_channel;
mod tcp;
mod two_lines;
mod unix_socket;

use crate::contender::Contender;

/// All of them. Their places here are what processes tell each other.
pub(crate) fn all() -> &'static [&'static dyn Contender] {
    &[
        &millstream::Millstream,
        &two_lines::TwoLines,
        &bare_lines::BareLines,
        &bare_blocks::BareBlocks,
        &futex::Futex,
        &eventfd::EventFd,
        &rtrb::Rtrb,
        &ringbuf::Ringbuf,
        &disruptor::Disruptor,
        &array_queue::ArrayQueue,
        &crossbeam_channel::CrossbeamChannel,
        &kanal::Kanal,
        &flume::Flume,
        &sync_channel::SyncChannel,
        &park::Park,
        &mio_waker::MioWaker,
        &iceoryx2::Iceoryx2,
        #[cfg(feature = "aeron")]
        &aeron::Aeron,
        &pipe::Pipe,
        &unix_socket::UnixSocket,
        &tcp::Tcp,
    ]
}
