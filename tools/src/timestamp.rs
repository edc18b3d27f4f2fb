//! Points in time as text.

use std::num::TryFromIntError;

/// Nanoseconds since the Unix epoch of an ISO-8601 date and time with an offset; `None` when the text is none. Exact:
/// what has no such number is refused, not rounded.
pub(crate) fn nanoseconds(text: &str) -> Option<Result<i64, TryFromIntError>> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.as_nanosecond().try_into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_to_the_nanosecond() {
        for (text, expected) in [
            ("2013-01-01 22:00:00.295000+00:00", 1_357_077_600_295_000_000),
            ("2013-01-01T22:00:00.295Z", 1_357_077_600_295_000_000),
            ("2013-01-02T00:00:00.295+02:00", 1_357_077_600_295_000_000),
            ("1970-01-01T00:00:00.000000001Z", 1),
            ("1969-12-31T23:59:59.999999999Z", -1),
            ("2262-04-11T23:47:16.854775807Z", i64::MAX),
        ] {
            assert_eq!(nanoseconds(text), Some(Ok(expected)), "{text}");
        }
        assert!(nanoseconds("2262-04-11T23:47:16.854775808Z").unwrap().is_err());
    }

    #[test]
    fn what_is_no_point_in_time() {
        for text in [
            "",
            "now",
            "2013-01-01",
            "2013-01-01 22:00:00",
            "2013-02-30T00:00:00Z",
            "1.0000000001",
        ] {
            assert_eq!(nanoseconds(text), None, "{text}");
        }
        assert_eq!(nanoseconds("2013-01-01T00:00:00.0000000001Z"), None);
    }
}
