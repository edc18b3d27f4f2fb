//! The runtime directory, in which published streams have their names: ours alone, or shared with whom we named, or refused.

#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};

use super::error::{DirectoryError, SystemError};

/// What to do when the directory is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Create,
    Fail,
}

/// Who is to be let into a runtime directory, and whose it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Circle {
    /// This user's, closed to everybody else.
    Own,
    /// This user's, open for reading to the members of a group.
    ForGroup(u32),
    /// That user's, who alone can write it.
    OfUser(u32),
}

impl Circle {
    /// Where a consumer, or an observer, takes streams from: from its own user, unless it says from whom.
    pub(super) fn from_user(user: Option<u32>) -> Self {
        user.map_or(Self::Own, Self::OfUser)
    }

    /// The user to whom the directory belongs, and the producers in it.
    pub(super) fn owner(self) -> u32 {
        match self {
            Self::Own | Self::ForGroup(_) => rustix::process::geteuid().as_raw(),
            Self::OfUser(user) => user,
        }
    }
}

/// An open runtime directory. Everything in it is reached through this descriptor, so that renaming or
/// replacing the directory cannot lead anybody elsewhere.
#[derive(Debug)]
pub(super) struct RuntimeDirectory {
    fd: OwnedFd,
    path: PathBuf,
    circle: Circle,
}

impl RuntimeDirectory {
    /// Where the directory is: `explicit`, else as the environment says.
    pub(super) fn locate(explicit: Option<&Path>) -> PathBuf {
        let set = |key| env::var_os(key).filter(|value| !value.is_empty());
        located(
            explicit,
            set("MILLSTREAM_DIR").as_deref(),
            set("XDG_RUNTIME_DIR").as_deref(),
        )
    }

    /// Opens the directory at `path` after the look that it lets in whom `circle` says, and nobody else.
    pub(super) fn open(path: PathBuf, missing: Missing, circle: Circle) -> Result<Self, DirectoryError> {
        // Without a trailing slash, which would have the kernel follow a link in spite of O_NOFOLLOW.
        let path: PathBuf = path.components().collect();
        if missing == Missing::Create {
            match retry_on_intr(|| rustix::fs::mkdir(&path, Mode::RWXU)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(refusal(path, "creating the runtime directory", errno)),
            }
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match retry_on_intr(|| rustix::fs::open(&path, flags, Mode::empty())) {
            Ok(fd) => fd,
            Err(errno) => return Err(refusal(path, "opening the runtime directory", errno)),
        };
        let stat = match rustix::fs::fstat(&fd) {
            Ok(stat) => stat,
            Err(errno) => {
                return Err(SystemError::new("looking at the runtime directory", &path, errno).into());
            }
        };
        let own = circle.owner();
        if stat.st_uid != own {
            return Err(DirectoryError::WrongOwner {
                path,
                owner: stat.st_uid,
                own,
            });
        }
        let mode = stat.st_mode & 0o7777;
        match circle {
            Circle::Own if mode & 0o077 != 0 => return Err(DirectoryError::WrongMode { path, mode }),
            Circle::OfUser(_) if mode & 0o022 != 0 => return Err(DirectoryError::Writable { path, mode }),
            Circle::ForGroup(group) if !lets_in(&stat, group) => let_in(&fd, &path, &stat, group)?,
            _ => {}
        }
        Ok(Self { fd, path, circle })
    }

    pub(super) fn circle(&self) -> Circle {
        self.circle
    }

    /// Whether this user can remove what dead producers left in it.
    pub(super) fn is_own(&self) -> bool {
        self.circle.owner() == rustix::process::geteuid().as_raw()
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The path of a file in the directory, for messages.
    pub(super) fn at(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    /// Looks at a file without following links; `None` when there is none.
    pub(super) fn look(&self, file: &str) -> Result<Option<Stat>, SystemError> {
        match retry_on_intr(|| rustix::fs::statat(&self.fd, file, AtFlags::SYMLINK_NOFOLLOW)) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(SystemError::new("looking for a file", &self.at(file), errno)),
        }
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, file: &str) -> Result<(), SystemError> {
        match retry_on_intr(|| rustix::fs::unlinkat(&self.fd, file, AtFlags::empty())) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(SystemError::new("removing a file", &self.at(file), errno)),
        }
    }

    /// The names of the files in the directory, as bytes.
    pub(super) fn files(&self) -> Result<Vec<Vec<u8>>, SystemError> {
        let refused = |errno| SystemError::new("reading the runtime directory", &self.path, errno);
        let mut files = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(refused)? {
            files.push(entry.map_err(refused)?.file_name().to_bytes().to_vec());
        }
        Ok(files)
    }
}

fn is_empty(fd: &OwnedFd, path: &Path) -> Result<bool, SystemError> {
    let refused = |errno| SystemError::new("reading the runtime directory", path, errno);
    for entry in Dir::read_from(fd).map_err(refused)? {
        if !matches!(entry.map_err(refused)?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the group, and nobody else, is let in.
fn lets_in(stat: &Stat, group: u32) -> bool {
    stat.st_mode & 0o077 == 0o050 && stat.st_gid == group
}

/// Lets a group into a directory that nobody uses yet. Whoever had one for himself does not lose that by a stream for others.
fn let_in(fd: &OwnedFd, path: &Path, stat: &Stat, group: u32) -> Result<(), DirectoryError> {
    if stat.st_mode & 0o077 == 0 && is_empty(fd, path)? {
        return give_to_group(fd, path, group);
    }
    // Somebody else may have let it in meanwhile, and used it.
    let refused = |errno| SystemError::new("looking at the runtime directory", path, errno);
    let stat = rustix::fs::fstat(fd).map_err(refused)?;
    if lets_in(&stat, group) {
        return Ok(());
    }
    Err(DirectoryError::NotForGroup {
        path: path.into(),
        mode: stat.st_mode & 0o7777,
        found: stat.st_gid,
        group,
    })
}

/// The group first: what it was before is not let in for a moment.
fn give_to_group(fd: &OwnedFd, path: &Path, group: u32) -> Result<(), DirectoryError> {
    rustix::fs::fchown(fd, None, Some(Gid::from_raw(group))).map_err(|errno| match errno {
        Errno::PERM => DirectoryError::ForeignGroup {
            path: path.into(),
            group,
            own: rustix::process::geteuid().as_raw(),
        },
        _ => SystemError::new("giving the runtime directory to a group", path, errno).into(),
    })?;
    rustix::fs::fchmod(fd, Mode::RWXU | Mode::RGRP | Mode::XGRP)
        .map_err(|errno| SystemError::new("letting a group into the runtime directory", path, errno))?;
    Ok(())
}

fn located(explicit: Option<&Path>, own: Option<&OsStr>, session: Option<&OsStr>) -> PathBuf {
    match (explicit, own, session) {
        (Some(path), _, _) => path.to_path_buf(),
        (None, Some(path), _) => path.into(),
        // The specification of XDG has relative paths ignored.
        (None, None, Some(path)) if Path::new(path).is_absolute() => Path::new(path).join("millstream"),
        _ => env::temp_dir().join(format!("millstream-{}", rustix::process::geteuid().as_raw())),
    }
}

/// The error for `errno`: what stands at `path` tells more than the number.
fn refusal(path: PathBuf, what: &'static str, errno: Errno) -> DirectoryError {
    match errno {
        Errno::NOENT => DirectoryError::NotFound { path },
        Errno::NOTDIR | Errno::LOOP => {
            let stat = rustix::fs::statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW);
            match stat.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
                Ok(FileType::Symlink) => DirectoryError::Link { path },
                _ => DirectoryError::NotADirectory { path },
            }
        }
        _ => SystemError::new(what, &path, errno).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn open(path: &Path) -> Result<RuntimeDirectory, DirectoryError> {
        RuntimeDirectory::open(path.to_path_buf(), Missing::Create, Circle::Own)
    }

    #[test]
    fn the_nearest_setting_counts() {
        let (own, session) = (Some(OsStr::new("/own")), Some(OsStr::new("/run/user/7")));
        assert_eq!(located(Some(Path::new("/x")), own, session), Path::new("/x"));
        assert_eq!(located(None, own, session), Path::new("/own"));
        assert_eq!(located(None, None, session), Path::new("/run/user/7/millstream"));
        let uid = rustix::process::geteuid().as_raw();
        for session in [None, Some(OsStr::new("relative"))] {
            assert_eq!(
                located(None, None, session),
                env::temp_dir().join(format!("millstream-{uid}"))
            );
        }
    }

    #[test]
    fn made_for_this_user_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("run");
        let error = RuntimeDirectory::open(path.clone(), Missing::Fail, Circle::Own).unwrap_err();
        assert!(
            matches!(&error, DirectoryError::NotFound { path: at } if *at == path),
            "{error}"
        );
        let directory = open(&path).unwrap();
        assert_eq!(directory.path, path);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o700);
        open(&path).unwrap();
        let error = open(&parent.path().join("no/such")).unwrap_err();
        assert!(matches!(error, DirectoryError::NotFound { .. }), "{error}");
    }

    #[test]
    fn open_to_others_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        for mode in [0o701, 0o710, 0o704, 0o777, 0o1777] {
            fs::set_permissions(parent.path(), fs::Permissions::from_mode(mode)).unwrap();
            let error = open(parent.path()).unwrap_err();
            assert!(
                matches!(error, DirectoryError::WrongMode { mode: found, .. } if found == mode),
                "{error}"
            );
            assert!(error.to_string().contains("chmod"), "{error}");
        }
    }

    #[test]
    fn links_and_files_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("target");
        open(&target).unwrap();
        let link = parent.path().join("link");
        symlink(&target, &link).unwrap();
        for path in [
            link.clone(),
            parent.path().join("link/"),
            parent.path().join("link/."),
        ] {
            let error = open(&path).unwrap_err();
            assert!(
                matches!(&error, DirectoryError::Link { path } if *path == link),
                "{error}"
            );
        }
        let dangling = parent.path().join("dangling");
        symlink(parent.path().join("nowhere"), &dangling).unwrap();
        let error = open(&dangling).unwrap_err();
        assert!(matches!(error, DirectoryError::Link { .. }), "{error}");
        assert!(!parent.path().join("nowhere").exists());
        let file = parent.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = open(&file).unwrap_err();
        assert!(matches!(error, DirectoryError::NotADirectory { .. }), "{error}");
        let error = open(&file.join("below")).unwrap_err();
        assert!(matches!(error, DirectoryError::NotADirectory { .. }), "{error}");
    }

    #[test]
    fn of_another_owner_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        // Only root can give a directory away.
        if std::os::unix::fs::chown(parent.path(), Some(12345), None).is_ok() {
            let error = open(parent.path()).unwrap_err();
            assert!(
                matches!(error, DirectoryError::WrongOwner { owner: 12345, .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn many_let_a_group_in_at_once() {
        let group = rustix::process::getegid().as_raw();
        for round in 0..50 {
            let parent = tempfile::tempdir().unwrap();
            let path = parent.path().join("run");
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let path = &path;
                    scope.spawn(move || {
                        RuntimeDirectory::open(path.clone(), Missing::Create, Circle::ForGroup(group))
                            .unwrap();
                        // It is in use from here on.
                        fs::write(path.join(format!("{round}-{thread}.lock")), "").unwrap();
                    });
                }
            });
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o750);
        }
    }
}
