//! One thing that was looked at, and what to do about it.

use std::fmt;

use serde::Serialize;

/// Whether something is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// It works, and could be better.
    Note,
    /// Something does not work, or lies in the way.
    Attention,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Attention => "attention",
        })
    }
}

/// What was found of one thing.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) found: String,
    /// What to do, unless all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) advice: Option<String>,
}

impl Check {
    pub(crate) fn ok(name: &str, found: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state: State::Ok,
            found: found.into(),
            advice: None,
        }
    }

    pub(crate) fn note(name: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            state: State::Note,
            advice: Some(advice.into()),
            ..Self::ok(name, found)
        }
    }

    pub(crate) fn attention(name: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            state: State::Attention,
            ..Self::note(name, found, advice)
        }
    }
}
