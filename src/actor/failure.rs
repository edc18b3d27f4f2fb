//! How an actor fails, and why it stopped.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What went wrong in an actor: a panic, or an error of which it said so by [`Next::Fail`](crate::Next::Fail).
///
/// ```
/// use millstream::Failure;
/// let failure = Failure::new("the line is down");
/// assert_eq!(failure.to_string(), "the line is down");
/// assert!(!failure.is_panic());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    message: String,
    panic: bool,
}

impl Failure {
    /// A failure that is no panic.
    ///
    /// ```
    /// assert_eq!(millstream::Failure::new("late").message(), "late");
    /// ```
    pub fn new(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            panic: false,
        }
    }

    /// What a panic left behind. The payload is dropped, which may panic in its turn.
    pub(super) fn of_panic(payload: Box<dyn Any + Send>) -> Self {
        let text = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (None, Some(text)) => text.clone(),
            (None, None) => "a panic without a text".to_owned(),
        };
        // Should the payload's own drop panic, that panic tells nothing more.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(payload))).map_err(std::mem::forget);
        Self {
            message: text,
            panic: true,
        }
    }

    /// What was said.
    ///
    /// ```
    /// assert_eq!(millstream::Failure::new("late").message(), "late");
    /// ```
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether it was a panic.
    ///
    /// ```
    /// assert!(!millstream::Failure::new("late").is_panic());
    /// ```
    #[must_use]
    pub fn is_panic(&self) -> bool {
        self.panic
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.panic {
            f.write_str("panicked: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Calls what is the user's; a panic comes back as a failure. Whatever the panic left half-done must not be used again.
pub(crate) fn fenced<R>(call: impl FnOnce() -> R) -> Result<R, Failure> {
    catch_unwind(AssertUnwindSafe(call)).map_err(Failure::of_panic)
}

/// Does what may panic because a value of the user's is dropped by it; such a panic is logged.
pub(super) fn quietly(act: impl FnOnce()) {
    if let Err(failure) = fenced(act) {
        log::warn!("as a value was dropped: {failure}");
    }
}

/// Why an actor stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// It stopped itself, or somebody stopped it.
    Stopped,
    /// It failed, and was not restarted.
    Failed(Failure),
    /// Its system was shut down.
    Shutdown,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped"),
            Self::Failed(failure) => failure.fmt(f),
            Self::Shutdown => f.write_str("its system was shut down"),
        }
    }
}
