//! Lines of a file or of standard input, read so that a signal is heeded while there is nothing to read.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::stop::SLICE;

/// One line without its newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Counted from 1.
    pub(crate) number: u64,
    pub(crate) bytes: &'a [u8],
    /// Bytes of the input up to its end.
    pub(crate) read: u64,
}

/// The lines of an input.
#[derive(Debug)]
pub(crate) struct Lines {
    file: File,
    name: String,
    buffer: Vec<u8>,
    /// What of the buffer is read and not given out.
    begin: usize,
    end: usize,
    over: bool,
    number: u64,
    given: u64,
    longest: usize,
}

impl Lines {
    /// Opens a file, or standard input for `-`, whose lines have at most `longest` bytes.
    pub(crate) fn open(path: &Path, longest: usize) -> anyhow::Result<Self> {
        let (file, name) = if path.as_os_str() == "-" {
            let fd = io::stdin()
                .as_fd()
                .try_clone_to_owned()
                .context("opening standard input")?;
            (File::from(fd), "standard input".to_owned())
        } else {
            let name = path.display().to_string();
            (File::open(path).with_context(|| format!("opening {name}"))?, name)
        };
        Ok(Self::of(file, name, longest))
    }

    fn of(file: File, name: String, longest: usize) -> Self {
        let buffer = vec![0; 64 << 10];
        Self {
            file,
            name,
            buffer,
            begin: 0,
            end: 0,
            over: false,
            number: 0,
            given: 0,
            longest,
        }
    }

    /// For messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Size of the input, if it is a file.
    pub(crate) fn size(&self) -> Option<u64> {
        self.file
            .metadata()
            .ok()
            .filter(|data| data.is_file())
            .map(|data| data.len())
    }

    /// The next line, `None` after the last. `idle` is called again and again while there is nothing to read; its error
    /// ends the wait.
    pub(crate) fn next(
        &mut self,
        mut idle: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<Line<'_>>> {
        let mut scanned = 0;
        let len = loop {
            let pending = &self.buffer[self.begin..self.end];
            if let Some(at) = memchr::memchr(b'\n', &pending[scanned..]) {
                break scanned + at;
            }
            scanned = pending.len();
            if self.over {
                break scanned;
            }
            if scanned > self.longest {
                break scanned;
            }
            self.fill(&mut idle)?;
        };
        if len == 0 && self.over && self.begin == self.end {
            return Ok(None);
        }
        self.number += 1;
        if len > self.longest {
            let (name, number, longest) = (&self.name, self.number, self.longest);
            bail!(
                "{name}, line {number} is longer than the {longest} bytes that a frame may have (--max-frame)"
            );
        }
        let begin = self.begin;
        // The newline, which the last line need not have.
        self.begin = (begin + len + 1).min(self.end);
        self.given += (self.begin - begin) as u64;
        let bytes = &self.buffer[begin..begin + len];
        Ok(Some(Line {
            number: self.number,
            bytes,
            read: self.given,
        }))
    }

    /// Reads more behind what is there.
    fn fill(&mut self, idle: &mut impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
        if self.begin > 0 {
            self.buffer.copy_within(self.begin..self.end, 0);
            self.end -= self.begin;
            self.begin = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(2 * self.end, 0);
        }
        let refused = || format!("reading {}", self.name);
        while !is_readable(&self.file).with_context(refused)? {
            idle()?;
        }
        match self.file.read(&mut self.buffer[self.end..]) {
            Ok(0) => self.over = true,
            Ok(read) => self.end += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).with_context(refused),
        }
        Ok(())
    }
}

/// Waits a little for something to read. A signal ends the wait.
fn is_readable(file: &File) -> io::Result<bool> {
    let slice = Timespec {
        tv_sec: 0,
        tv_nsec: SLICE.subsec_nanos().into(),
    };
    match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&slice)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    fn lines(text: &[u8], longest: usize) -> Lines {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        file.rewind().unwrap();
        Lines::of(file, "input".into(), longest)
    }

    fn all(text: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = lines(text, 1 << 20);
        let mut all = Vec::new();
        while let Some(line) = lines.next(|| Ok(())).unwrap() {
            all.push(line.bytes.to_vec());
            assert_eq!(line.number, all.len() as u64);
        }
        all
    }

    #[test]
    fn with_and_without_a_last_newline() {
        assert!(all(b"").is_empty());
        assert_eq!(all(b"\n"), [b""]);
        assert_eq!(all(b"a"), [b"a"]);
        assert_eq!(all(b"a\n"), [b"a"]);
        assert_eq!(all(b"a\n\nb\r\n\xff"), [&b"a"[..], b"", b"b\r", b"\xff"]);
    }

    #[test]
    fn lines_beyond_the_buffer() {
        let long = vec![b'x'; 300_000];
        let text = [&long[..], b"y", &long[..]].join(&b'\n');
        assert_eq!(all(&text), [&long[..], b"y", &long[..]]);
    }

    #[test]
    fn an_endless_line_is_not_read_to_its_end() {
        let mut lines = lines(&vec![b'x'; 10 << 20], 100_000);
        let error = lines.next(|| Ok(())).unwrap_err().to_string();
        assert!(
            error.contains("line 1 is longer than the 100000 bytes"),
            "{error}"
        );
        assert!(lines.buffer.len() <= 262_144);
    }

    #[test]
    fn of_exactly_the_longest() {
        assert_eq!(lines(b"abc\n", 3).next(|| Ok(())).unwrap().unwrap().bytes, b"abc");
        assert!(lines(b"abcd\n", 3).next(|| Ok(())).is_err());
    }
}
