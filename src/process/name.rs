//! Names of streams and of subscriptions.

#![forbid(unsafe_code)]

use std::fmt;

/// Longest name, so that no file name made of it is too long for any file system.
pub(crate) const LONGEST: usize = 80;

/// A name that cannot be used.
///
/// ```
/// let error = millstream::InvalidName { name: "../x".into(), why: "has a character beyond `A-Za-z0-9._-`" };
/// assert!(error.to_string().contains("../x"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name {name:?} {why}: use 1 to {LONGEST} of `A-Za-z0-9._-`, not beginning with a dot")]
pub struct InvalidName {
    /// The name.
    pub name: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// A name that is safe as a part of a file name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn new(name: &str) -> Result<Self, InvalidName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let why = match name.as_bytes() {
            [] => "is empty",
            [b'.', ..] => "begins with a dot",
            bytes if bytes.len() > LONGEST => "is too long",
            bytes if !bytes.iter().copied().all(allowed) => "has a character beyond `A-Za-z0-9._-`",
            _ => return Ok(Self(name.into())),
        };
        Err(InvalidName {
            name: name.into(),
            why,
        })
    }

    /// The file by whose lock the name is held.
    pub(super) fn lock_file(&self) -> String {
        format!("{}.lock", self.0)
    }

    /// The socket on which the holder of the name listens.
    pub(super) fn socket_file(&self) -> String {
        format!("{}.sock", self.0)
    }

    /// The name to which a file in a runtime directory belongs; `None` for junk.
    pub(super) fn of_file(file: &[u8]) -> Option<Self> {
        let file = std::str::from_utf8(file).ok()?;
        let name = file
            .strip_suffix(".lock")
            .or_else(|| file.strip_suffix(".sock"))?;
        Self::new(name).ok()
    }
}

/// Whether a stream or a subscription can have this name.
pub(crate) fn check(name: &str) -> Result<(), InvalidName> {
    Name::new(name).map(|_| ())
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in [
            "a",
            "quotes",
            "A.b-c_9",
            "-",
            "_",
            "a.sock",
            "x..y",
            &"n".repeat(80),
        ] {
            assert_eq!(Name::new(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            ".hidden",
            "a/b",
            "/",
            "a b",
            "ä",
            "a\0",
            "a\n",
            &"n".repeat(81),
        ] {
            assert_eq!(Name::new(bad).unwrap_err().name, bad);
        }
    }

    #[test]
    fn files_belong_to_one_name() {
        let name = Name::new("a.sock").unwrap();
        assert_eq!(Name::of_file(name.socket_file().as_bytes()).as_ref(), Some(&name));
        assert_eq!(Name::of_file(name.lock_file().as_bytes()), Some(name));
        for junk in [
            &b"a"[..],
            b"a.txt",
            b".sock",
            b"..lock",
            b"\xff.sock",
            b"a b.lock",
            b"",
        ] {
            assert_eq!(Name::of_file(junk), None);
        }
    }
}
