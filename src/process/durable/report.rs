//! A look at the files of a durable stream that changes nothing.

#![forbid(unsafe_code)]

use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::{Errno, retry_on_intr};

use super::examined::{Examined, must_be_ours};
use super::snapshot::{self, Snapshot};
use super::{DurableError, DurableFiles, boot};
use crate::element::Schema;
use crate::memory::Access;
use crate::memory::file::{self, Found};
use crate::ring::page::{BOOT, KIND_ELEMENTS};

/// What the files of a durable stream hold; see [`verify`].
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (run, file) = (dir.path().join("run"), dir.path().join("orders"));
/// let mut sink = millstream::publish::<u64>("orders").durable(&file).directory(run).open()?;
/// sink.put_slice(&[1, 2, 3])?;
/// drop(sink);
/// let report = millstream::verify(&file)?;
/// assert_eq!((report.released, report.published), (0, 3));
/// assert_eq!(report.schema.unwrap().name(), "u64");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DurableReport {
    /// Identifies the stream: the same in both of its files.
    pub epoch: u64,
    /// What its elements are; `None` for frames.
    pub schema: Option<Schema>,
    /// Bytes of the stream's file.
    pub bytes: u64,
    /// Elements that the producer may hold beyond the demand.
    pub buffer_size: u64,
    /// The largest window of a consumer.
    pub max_demand: u64,
    /// The longest frame in bytes; 0 for elements.
    pub max_frame: u64,
    /// Position of the first element that the stream ever had.
    pub base: u64,
    /// Where the consumer goes on.
    pub released: u64,
    /// Where the producer goes on. What lies between is held.
    pub published: u64,
    /// Blocks of a batch that the producer was killed in, which was not published; opening the stream takes them back.
    pub unpublished_blocks: u64,
    /// The name of the consumer's subscription; empty when none has come yet.
    pub subscription: String,
    /// How often the consumer committed a state with its position.
    pub commits: u64,
    /// A producer has the stream open: the positions were read while they moved.
    pub in_use: bool,
    /// The machine has been restarted since the stream was written, so that it will not be opened as it is.
    pub other_boot: bool,
    /// The stream as it was synced last.
    pub synced: Synced,
}

/// What lies beside a durable stream for `recover_synced`; see [`verify`].
///
/// ```
/// use millstream::Synced;
/// # let dir = tempfile::tempdir()?;
/// # let (run, file) = (dir.path().join("run"), dir.path().join("orders"));
/// let mut sink = millstream::publish::<u64>("orders").durable(&file).directory(run).open()?;
/// assert!(matches!(millstream::verify(&file)?.synced, Synced::Never));
/// sink.sync()?;
/// assert!(matches!(millstream::verify(&file)?.synced, Synced::Whole(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synced {
    /// The stream was never synced.
    Never,
    /// There is a snapshot, and its checksum is right.
    Whole(SyncedReport),
    /// There is something that cannot be gone back to, for this reason.
    Refused(String),
}

/// What the snapshot of a durable stream holds; see [`verify_synced`].
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (run, file) = (dir.path().join("run"), dir.path().join("orders"));
/// let mut sink = millstream::publish::<u64>("orders").durable(&file).directory(run).open()?;
/// sink.put_slice(&[1, 2, 3])?;
/// sink.sync()?;
/// sink.put(4)?;
/// let report = millstream::verify_synced(&file)?;
/// assert_eq!((report.released, report.published), (0, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncedReport {
    /// Identifies the stream to which it belongs.
    pub epoch: u64,
    /// Bytes of the snapshot.
    pub bytes: u64,
    /// What the consumer had released then.
    pub released: u64,
    /// Where the producer stood: what lies between is in the snapshot.
    pub published: u64,
    /// When a producer goes back to it.
    pub recovery: Recovery,
}

/// When a producer that says [`recover_synced`](crate::PublishBuilder::recover_synced) goes back to a whole snapshot; see
/// [`verify_synced`].
///
/// ```
/// use millstream::Recovery;
/// # let dir = tempfile::tempdir()?;
/// # let (run, file) = (dir.path().join("run"), dir.path().join("orders"));
/// let mut sink = millstream::publish::<u64>("orders").durable(&file).directory(run).open()?;
/// sink.sync()?;
/// drop(sink);
/// assert_eq!(millstream::verify_synced(&file)?.recovery, Recovery::AfterRestart);
/// std::fs::remove_file(&file)?;
/// assert!(matches!(millstream::verify_synced(&file)?.recovery, Recovery::Never(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// As soon as it opens the stream, whose file is of another run of the machine.
    Now,
    /// Once the machine has been restarted: the file is of this run. Damaged or not, it is not gone back from before.
    AfterRestart,
    /// Not with the file as it is, for this reason.
    Never(String),
}

/// Looks at every byte of the snapshot beside the durable stream at `path`, and changes nothing. For a stream that is
/// refused itself; [`verify`] looks at the snapshot, too.
///
/// # Errors
/// `Synced` when the stream was never synced, or what was found that cannot be right; see [`DurableError`].
///
/// ```
/// use millstream::DurableError;
/// # let dir = tempfile::tempdir()?;
/// # let (run, file) = (dir.path().join("run"), dir.path().join("orders"));
/// let sink = millstream::publish::<u64>("orders").durable(&file).directory(run).open()?;
/// assert!(matches!(millstream::verify_synced(&file), Err(DurableError::Synced { .. })));
/// # drop(sink);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify_synced(path: impl AsRef<Path>) -> Result<SyncedReport, DurableError> {
    let path = path.as_ref();
    let Snapshot {
        header, held, bytes, ..
    } = Snapshot::open(path)?;
    Ok(SyncedReport {
        epoch: header.epoch,
        bytes,
        released: held.released,
        published: held.published,
        recovery: recovery(path, header.epoch),
    })
}

/// When the stream at `path` is gone back from to a snapshot of this epoch, by the rules of who opens it.
fn recovery(path: &Path, epoch: u64) -> Recovery {
    let never = |why: &str| Recovery::Never(why.into());
    let (file, stat) = match file::open_for_reading(path) {
        Ok(Found::File(file, stat)) => (file, stat),
        Ok(Found::Missing) => return never("the stream's own file is missing"),
        Ok(Found::Link | Found::Foreign) => {
            return never("there is no regular file in place of the stream's own");
        }
        Err(error) => return never(&format!("the stream's own file cannot be opened: {error}")),
    };
    if let Err(error) = must_be_ours(path, &stat) {
        return never(&error.to_string());
    }
    let looked = boot().and_then(|boot| {
        let is_other = DurableFiles::is_of_other_boot(&file, &boot)?;
        Ok((is_other, DurableFiles::epoch_of(&file)?))
    });
    match looked {
        Err(error) => never(&format!("the stream's own file cannot be read: {error}")),
        Ok((_, Some(found))) if found != epoch => never("it belongs to another stream"),
        Ok((true, _)) => Recovery::Now,
        // It is neither this run's nor another's.
        Ok((false, _)) if u64::try_from(stat.st_size).unwrap_or(0) < (BOOT + 16) as u64 => {
            never("the stream's own file is too short to say which run of the machine it is of")
        }
        Ok((false, _)) => Recovery::AfterRestart,
    }
}

/// What there is for a stream of this epoch.
fn synced(path: &Path, epoch: u64) -> Synced {
    if !snapshot::beside(path).exists() {
        return Synced::Never;
    }
    match verify_synced(path) {
        Ok(report) if report.epoch == epoch => Synced::Whole(report),
        Ok(_) => Synced::Refused("it belongs to another stream".into()),
        Err(error) => Synced::Refused(error.to_string()),
    }
}

/// Looks at every word of the two files of a durable stream, and changes nothing: at whose they are, how long they are, at
/// the header and its checksum, the schema, each stamp, the consumer's position, the committed state's checksum, and at each
/// byte of the snapshot, if there is one. The bytes of the stream's elements bear no checksum, so they are not looked at.
///
/// # Errors
/// What was found that cannot be right; see [`DurableError`].
///
/// ```
/// use millstream::DurableError;
/// # let dir = tempfile::tempdir()?;
/// let file = dir.path().join("orders");
/// std::fs::write(&file, "no stream")?;
/// # use std::os::unix::fs::PermissionsExt;
/// # std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
/// assert!(matches!(millstream::verify(&file), Err(DurableError::Foreign { .. })));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn verify(path: impl AsRef<Path>) -> Result<DurableReport, DurableError> {
    let path = path.as_ref();
    let refused = |what| {
        move |source| DurableError::Io {
            what,
            path: path.into(),
            source,
        }
    };
    let (file, stat) = match file::open_for_reading(path).map_err(refused("opening"))? {
        Found::File(file, stat) => (file, stat),
        Found::Missing => return Err(DurableError::Missing { path: path.into() }),
        Found::Link | Found::Foreign => return Err(DurableError::NotAFile { path: path.into() }),
    };
    // Shared, so that two who verify are not in each other's way; a producer finds the file taken while this one looks.
    let lock = || rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared);
    let in_use = match retry_on_intr(lock) {
        Ok(()) => false,
        Err(Errno::WOULDBLOCK) => true,
        Err(errno) => return Err(refused("locking")(errno.into())),
    };
    let examined = Examined::of(path, file, &stat, Access::ReadOnly)?;
    let holdings = examined.holdings(path);
    let (_, holdings) = match holdings {
        // While they move they may not fit together, from one look to the next.
        Err(_) if in_use => examined.holdings(path)?,
        found => found?,
    };
    let Examined {
        memory,
        header,
        schema,
        position,
    } = examined;
    let boot = boot().map_err(refused("reading the number of this boot for"))?;
    Ok(DurableReport {
        epoch: header.epoch,
        schema: (header.kind == KIND_ELEMENTS)
            .then(|| Schema::decode(&schema).ok())
            .flatten(),
        bytes: memory.len() as u64,
        buffer_size: header.buffer_size,
        max_demand: header.max_demand,
        max_frame: header.max_frame,
        base: header.base,
        released: position.cursor().position,
        published: holdings.position,
        unpublished_blocks: holdings.unpublished,
        subscription: position.name().unwrap_or_default(),
        commits: position.commits(),
        in_use,
        other_boot: memory.copy_out(BOOT, boot.len()).as_deref() != Some(&boot),
        synced: synced(path, header.epoch),
    })
}
