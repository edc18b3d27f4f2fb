//! How long to wait for something.

use std::str::FromStr;
use std::time::{Duration, Instant};

/// A number of seconds, or `forever`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    For(Duration),
    Forever,
}

impl Patience {
    /// The longest that it waits.
    pub(crate) fn duration(self) -> Duration {
        match self {
            Self::For(duration) => duration,
            Self::Forever => Duration::MAX,
        }
    }

    /// When it ends, if it does.
    pub(crate) fn deadline(self) -> Option<Instant> {
        Instant::now().checked_add(self.duration())
    }
}

impl FromStr for Patience {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        text.parse()
            .ok()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .map(Self::For)
            .ok_or_else(|| "expected a number of seconds, or `forever`".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_or_forever() {
        assert_eq!("0".parse(), Ok(Patience::For(Duration::ZERO)));
        assert_eq!("2.5".parse(), Ok(Patience::For(Duration::from_millis(2500))));
        assert_eq!("forever".parse(), Ok(Patience::Forever));
        for wrong in ["", "-1", "NaN", "inf", "1e300", "5s", "Forever"] {
            assert!(wrong.parse::<Patience>().is_err(), "{wrong}");
        }
        assert_eq!(Patience::Forever.deadline(), None);
    }
}
