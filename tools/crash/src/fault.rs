//! What can be found wrong.

use std::fmt;

/// Which promise was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Lost = 1,
    Duplicated,
    Torn,
    Hung,
    Leaked,
    /// Anything else: a refusal where there should be none, a wrong reason, a panic.
    Broken,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Lost,
        Self::Duplicated,
        Self::Torn,
        Self::Hung,
        Self::Leaked,
        Self::Broken,
    ];

    pub(crate) fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == code)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

macro_rules! kinds {
    ($($name:ident $kind:ident)*) => {
        $(pub(crate) fn $name(text: impl Into<String>) -> Self {
            Self { kind: Kind::$kind, text: text.into() }
        })*
    };
}

impl Fault {
    kinds! {
        lost Lost
        duplicated Duplicated
        torn Torn
        hung Hung
        leaked Leaked
        broken Broken
    }

    pub(crate) fn by(self, who: &str) -> Self {
        Self {
            text: format!("{who}: {}", self.text),
            ..self
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.text)
    }
}

/// Whatever the library refuses, where it has promised not to.
impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::broken(error.to_string())
    }
}
