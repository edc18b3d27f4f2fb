//! The runtime directory: which it is and why, whose, and what lies in it.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileType, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use millstream::{Observation, ObserveError, SubscribeError};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;

use super::check::{Check, State};
use crate::kind;
use crate::report::{Report, pid};
use crate::wording::Verb;

/// A name that nobody publishes, to have the library say what it thinks of the directory.
const NOBODY: &str = "millstream-doctor";
/// As in the library: the longest name there is.
const LONGEST: usize = 80;

/// What is to be known of the directory.
#[derive(Debug, Serialize)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    /// What says that it is this one.
    pub(crate) chosen_by: &'static str,
    pub(crate) owner: Option<u32>,
    /// In octal, as `chmod` takes it.
    pub(crate) mode: Option<String>,
    /// The group whose members may take streams from it.
    pub(crate) group: Option<u32>,
    pub(crate) names: Vec<Name>,
    pub(crate) foreign: Vec<Foreign>,
    pub(crate) checks: Vec<Check>,
}

/// A name under which somebody publishes, or did.
#[derive(Debug, Serialize)]
pub(crate) struct Name {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) life: Life,
}

#[derive(Debug, Serialize)]
#[serde(tag = "life", rename_all = "lowercase")]
pub(crate) enum Life {
    /// Somebody publishes under it.
    Live {
        state: String,
        pid: Option<u32>,
        consumers: usize,
        memory: usize,
    },
    /// Somebody holds it and does not answer.
    Silent { holders: Vec<u32>, error: String },
    /// Its publisher is dead.
    Stale { files: Vec<String> },
}

/// What does not belong into a runtime directory.
#[derive(Debug, Serialize)]
pub(crate) struct Foreign {
    pub(crate) path: PathBuf,
    pub(crate) kind: &'static str,
}

impl Directory {
    pub(crate) fn look(explicit: Option<&Path>) -> Self {
        let (path, chosen_by) = located(explicit);
        let mut directory = Self {
            path,
            chosen_by,
            owner: None,
            mode: None,
            group: None,
            names: Vec::new(),
            foreign: Vec::new(),
            checks: Vec::new(),
        };
        directory.judge();
        if directory.checks.iter().all(|check| check.state == State::Ok) && directory.owner.is_some() {
            match directory.read() {
                Ok(()) => directory.judge_contents(),
                Err(error) => directory.checks.push(Check::attention(
                    "contents",
                    error.to_string(),
                    "the runtime directory has to be readable by its owner",
                )),
            }
        }
        directory
    }

    /// Removes what dead publishers left, by the library's own rules: under the lock of each name.
    pub(crate) fn sweep(&self) -> Result<(), millstream::ListError> {
        if self.stale().next().is_some() {
            let path = Some(self.path.clone());
            match self.group {
                Some(_) => millstream::list_from_user(own(), path)?,
                None => millstream::list(path)?,
            };
        }
        Ok(())
    }

    fn observe(&self, name: &str) -> Result<Observation, ObserveError> {
        let path = Some(self.path.clone());
        match self.group {
            Some(_) => millstream::observe_from_user(name, own(), path),
            None => millstream::observe(name, path),
        }
    }

    /// The names whose publishers are dead.
    pub(crate) fn stale(&self) -> impl Iterator<Item = &str> {
        let stale = |name: &&Name| matches!(name.life, Life::Stale { .. });
        self.names.iter().filter(stale).map(|name| name.name.as_str())
    }

    /// Whether streams can have their names there, in the library's own words.
    fn judge(&mut self) {
        let stat = fs::symlink_metadata(&self.path);
        if let Ok(stat) = &stat {
            self.owner = Some(stat.uid());
            self.mode = Some(format!("{:04o}", stat.mode() & 0o7777));
            // As the library makes it for who publishes for a group.
            let is_for_group = stat.uid() == own() && stat.mode() & 0o077 == 0o050;
            self.group = is_for_group.then(|| stat.gid());
        }
        let error = self.observe(NOBODY).err();
        let whose = match self.group {
            Some(group) => format!("this user's, and group {group} may look into it"),
            None => "this user's alone".into(),
        };
        self.checks.push(match error.as_ref().map(ObserveError::reason) {
            None | Some(SubscribeError::NotFound { .. }) if stat.is_ok() => Check::ok("access", whose),
            None | Some(SubscribeError::NotFound { .. }) => missing(&self.path),
            Some(error) => Check::attention(
                "access",
                "it cannot be used",
                Verb::Doctor.words(&error.to_string()),
            ),
        });
    }

    fn read(&mut self) -> io::Result<()> {
        let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            match name_of(&entry.file_name(), kind) {
                Some(name) => files.entry(name).or_default().push(lossy(&entry.file_name())),
                None => self.foreign.push(Foreign {
                    path: entry.path(),
                    kind: kind::word(kind),
                }),
            }
        }
        self.foreign.sort_by(|one, other| one.path.cmp(&other.path));
        for (name, mut files) in files {
            files.sort();
            if let Some(life) = self.life(&name, files)? {
                self.names.push(Name { name, life });
            }
        }
        Ok(())
    }

    /// How it stands with a name; `None` when it is gone by now.
    fn life(&self, name: &str, files: Vec<String>) -> io::Result<Option<Life>> {
        let lock = self.path.join(format!("{name}.lock"));
        if !is_held(&lock)? {
            let there = |file: &&String| self.path.join(file).symlink_metadata().is_ok();
            let files: Vec<String> = files.iter().filter(there).cloned().collect();
            return Ok((!files.is_empty()).then_some(Life::Stale { files }));
        }
        match self.observe(name) {
            Ok(seen) => {
                let report = Report::of(&seen);
                Ok(Some(Life::Live {
                    state: report.state,
                    pid: report.producer.pid,
                    consumers: report.consumers,
                    memory: report.memory,
                }))
            }
            Err(error) => Ok(fs::metadata(&lock).ok().map(|lock| Life::Silent {
                holders: holders(&lock),
                error: Verb::Doctor.words(&error.to_string()),
            })),
        }
    }

    fn judge_contents(&mut self) {
        let live = |name: &&Name| matches!(name.life, Life::Live { .. });
        let live = self.names.iter().filter(live).count();
        self.checks.push(Check::ok("streams", live.to_string()));
        let stale: Vec<&str> = self.stale().collect();
        self.checks.push(if stale.is_empty() {
            Check::ok("stale", "nothing of dead publishers")
        } else {
            // In nobody's way.
            Check::note(
                "stale",
                format!("left by publishers that died: {}", stale.join(", ")),
                "harmless: such a name is free, and who publishes under it takes it; millstream doctor --sweep removes them",
            )
        });
        for name in &self.names {
            let Life::Silent { holders, error } = &name.life else {
                continue;
            };
            let who = holders
                .iter()
                .map(|holder| pid(Some(*holder)))
                .collect::<Vec<_>>();
            let who = if who.is_empty() {
                "a process that this user cannot see".into()
            } else {
                format!("process {}", who.join(" and "))
            };
            self.checks.push(Check::attention(
                &name.name,
                format!("held by {who}, and nobody answers: {error}"),
                "is it stopped (kill -CONT), or busy starting? A child that a dead publisher forked holds its name, too, until \
                 it ends",
            ));
        }
        self.checks.push(if self.foreign.is_empty() {
            Check::ok("foreign", "nothing else lies there")
        } else {
            let what = self.foreign.iter().map(|foreign| {
                let file = foreign.path.file_name().map(lossy).unwrap_or_default();
                format!("{file} ({})", foreign.kind)
            });
            Check::attention(
                "foreign",
                what.collect::<Vec<_>>().join(", "),
                "millstream did not make these, and passes them over: remove them by hand if nobody needs them",
            )
        });
    }
}

/// This user.
fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Which directory it is, by the library's order, and what says so.
fn located(explicit: Option<&Path>) -> (PathBuf, &'static str) {
    let set = |key| env::var_os(key).filter(|value: &OsString| !value.is_empty());
    if let Some(path) = explicit {
        return (path.into(), "--directory");
    }
    if let Some(path) = set("MILLSTREAM_DIR") {
        return (path.into(), "MILLSTREAM_DIR");
    }
    match set("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(path) if path.is_absolute() => (path.join("millstream"), "XDG_RUNTIME_DIR"),
        _ => {
            let path = env::temp_dir().join(format!("millstream-{}", own()));
            (
                path,
                "the temporary directory, as neither MILLSTREAM_DIR nor XDG_RUNTIME_DIR is set",
            )
        }
    }
}

/// A directory that the first publisher makes, if it can.
fn missing(path: &Path) -> Check {
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    };
    match rustix::fs::access(parent, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
        Ok(()) => Check::ok("access", "not there yet: the first publisher makes it"),
        Err(errno) => Check::attention(
            "access",
            format!("not there, and cannot be made in {}: {errno}", parent.display()),
            "make it with mode 0700, or set MILLSTREAM_DIR to a place of your own",
        ),
    }
}

/// The name to which a file belongs; `None` for anything foreign.
fn name_of(file: &OsString, kind: FileType) -> Option<String> {
    let file = file.to_str()?;
    let name = match (file.strip_suffix(".lock"), file.strip_suffix(".sock")) {
        (Some(name), _) if kind.is_file() => name,
        (_, Some(name)) if kind.is_socket() => name,
        _ => return None,
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let good = (1..=LONGEST).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed);
    good.then(|| name.to_owned())
}

fn lossy(file: &OsStr) -> String {
    file.to_string_lossy().into_owned()
}

/// Whether somebody holds the lock of a name. The look takes it for a moment, shared: a publisher that comes just then tries again.
fn is_held(lock: &Path) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file: File = match rustix::fs::open(lock, flags, Mode::empty()) {
        Ok(file) => file.into(),
        Err(Errno::NOENT) => return Ok(false),
        Err(errno) => return Err(errno.into()),
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}

/// The processes that have a file open, of those into which this user may look.
fn holders(file: &Metadata) -> Vec<u32> {
    let mut holders = Vec::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let descriptors = fs::read_dir(process.path().join("fd"));
        let has = descriptors.into_iter().flatten().flatten().any(|descriptor| {
            // Only what is a file of this kind is followed: a look at others might wait.
            fs::read_link(descriptor.path())
                .is_ok_and(|path| path.extension().is_some_and(|end| end == "lock"))
                && fs::metadata(descriptor.path())
                    .is_ok_and(|found| (found.dev(), found.ino()) == (file.dev(), file.ino()))
        });
        if has {
            holders.push(pid);
        }
    }
    holders.sort_unstable();
    holders
}
