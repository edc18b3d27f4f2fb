//! Names and paths of actors.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The longest name of an actor, in bytes.
const MOST_BYTES: usize = 255;

/// Where an actor stands: `/parent/child`.
///
/// ```
/// use millstream::{ActorSystem, Next, receive};
/// let system = ActorSystem::builder("prices").build()?;
/// let actor = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
/// assert_eq!(actor.path().to_string(), "/feed");
/// assert_eq!(actor.path().name(), "feed");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActorPath(Arc<str>);

impl ActorPath {
    /// The path of `name` below `parent`, or at the root.
    pub(super) fn of(parent: Option<&Self>, name: &str) -> Result<Self, InvalidActorName> {
        let wrong = |why| InvalidActorName {
            name: name.to_owned(),
            why,
        };
        if name.is_empty() {
            return Err(wrong("it is empty"));
        }
        if name.len() > MOST_BYTES {
            return Err(wrong("it is longer than 255 bytes"));
        }
        if name.contains(|c: char| c == '/' || c.is_control()) {
            return Err(wrong("it contains a slash or a control character"));
        }
        let parent = parent.map_or("", |path| &*path.0);
        Ok(Self(format!("{parent}/{name}").into()))
    }

    /// The whole path.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, receive};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// let actor = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// assert_eq!(actor.path().as_str(), "/feed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part of the path.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, receive};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// let actor = system.spawn("feed", || receive(|_, _: u32| Next::Same))?;
    /// assert_eq!(actor.path().name(), "feed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl Borrow<str> for ActorPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ActorPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ActorPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A name that no actor can have.
///
/// ```
/// use millstream::{ActorSystem, Next, SpawnError, receive};
/// let system = ActorSystem::builder("prices").build()?;
/// let refused = system.spawn("a/b", || receive(|_, _: u32| Next::Same));
/// assert!(matches!(refused, Err(SpawnError::InvalidName(_))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} cannot be the name of an actor: {why}; use 1 to 255 bytes without slashes or control characters"
)]
pub struct InvalidActorName {
    name: String,
    why: &'static str,
}
