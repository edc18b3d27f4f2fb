//! Standard output, buffered, of which a reader may take the first lines only.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Standard output without the buffering by lines.
#[derive(Debug)]
pub(crate) struct Output {
    buffer: BufWriter<File>,
}

impl Output {
    pub(crate) fn stdout() -> anyhow::Result<Self> {
        let fd = io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .context("opening standard output")?;
        Ok(Self {
            buffer: BufWriter::with_capacity(64 << 10, File::from(fd)),
        })
    }

    /// Whether nobody will read what is written from now on.
    pub(crate) fn is_abandoned(&self) -> bool {
        let mut fds = [PollFd::new(self.buffer.get_ref(), PollFlags::empty())];
        let looked = poll(
            &mut fds,
            Some(&Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            }),
        );
        looked.is_ok() && fds[0].revents().contains(PollFlags::ERR)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.buffer.flush()
    }
}

/// Whether an error says that nobody reads standard output any more.
pub(crate) fn is_closed(error: &anyhow::Error) -> bool {
    let io = |cause: &&(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
            || cause
                .downcast_ref::<serde_json::Error>()
                .is_some_and(|error| error.io_error_kind() == Some(io::ErrorKind::BrokenPipe))
    };
    error.chain().any(|cause| io(&cause))
}
