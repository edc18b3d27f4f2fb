//! Ctrl-C: a request to stop, heeded where it leaves everything in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The longest that anything waits before it looks whether to stop.
pub(crate) const SLICE: Duration = Duration::from_millis(100);

/// Whether the user, or the system, wants this process to end.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    signal: Arc<AtomicUsize>,
}

/// The process was asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted {
    signal: u8,
}

impl Interrupted {
    /// The exit code that shells give a process which a signal ended.
    pub(crate) fn exit_code(self) -> u8 {
        128 | self.signal
    }
}

impl Stop {
    /// From now on SIGINT and SIGTERM ask for an end; the second one forces it.
    pub(crate) fn on_signals() -> anyhow::Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        let asked = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM] {
            // In this order: the first signal finds `asked` unset.
            flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&asked))
                .and_then(|_| flag::register(number, Arc::clone(&asked)))
                .and_then(|_| flag::register_usize(number, Arc::clone(&signal), number as usize))
                .context("handling signals")?;
        }
        Ok(Self { signal })
    }

    /// An error once the end was asked for.
    pub(crate) fn check(&self) -> Result<(), Interrupted> {
        match u8::try_from(self.signal.load(Ordering::Relaxed)) {
            Ok(signal @ 1..) => Err(Interrupted { signal }),
            _ => Ok(()),
        }
    }
}
