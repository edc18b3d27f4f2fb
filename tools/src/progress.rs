//! How far it is, on a terminal only, and not behind whoever works there: a job in the background says nothing.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two times that the line is written anew.
const PAUSE: Duration = Duration::from_millis(100);

/// A line on standard error, if that is a terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    written: Instant,
}

impl Progress {
    /// `bytes` is the size of the input, if it has one.
    pub(crate) fn new(bytes: Option<u64>) -> Self {
        let bar = is_in_front().then(|| {
            let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr());
            let template = if bytes.is_some() {
                "{bar:30} {percent:>3} %  {msg}"
            } else {
                "{spinner} {msg}"
            };
            bar.with_style(
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        });
        Self {
            bar,
            written: Instant::now(),
        }
    }

    /// So many elements, of so many bytes of the input, are on their way.
    pub(crate) fn sent(&mut self, elements: u64, bytes: u64) {
        let Some(bar) = &self.bar else { return };
        if self.written.elapsed() >= PAUSE {
            self.written = Instant::now();
            bar.set_position(bytes);
            bar.set_message(format!("{elements} elements"));
        }
    }

    /// What is being waited for.
    pub(crate) fn waiting(&mut self, what: impl FnOnce() -> String) {
        let Some(bar) = &self.bar else { return };
        if self.written.elapsed() >= PAUSE {
            self.written = Instant::now();
            bar.set_message(what());
            bar.tick();
        }
    }

    /// Leaves the terminal as it was.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Whether standard error is a terminal whose foreground is ours. Who is sent to the background later goes on.
fn is_in_front() -> bool {
    let stderr = io::stderr();
    stderr.is_terminal()
        && rustix::termios::tcgetpgrp(&stderr).is_ok_and(|front| front == rustix::process::getpgrp())
}
