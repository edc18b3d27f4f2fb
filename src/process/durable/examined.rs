//! The files of a durable stream, of which every word was looked at.

#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::Stat;
use zerocopy::FromBytes;

use super::position::{Cursor, PositionFile};
use super::{DurableError, sum};
use crate::element::Schema;
use crate::memory::{Access, SharedMemory};
use crate::process::geometry::{self, Lie};
use crate::ring::page::{DURABLE, KIND_ELEMENTS, MAJOR, MINOR, STREAM_MAGIC, StreamHeader, can_read};
use crate::ring::recovery::Holdings;

#[derive(Debug)]
pub(super) struct Examined {
    pub(super) memory: SharedMemory,
    /// A private copy.
    pub(super) header: StreamHeader,
    pub(super) schema: Vec<u8>,
    pub(super) position: PositionFile,
}

/// Refuses a file that others could have written.
pub(super) fn must_be_ours(path: &Path, stat: &Stat) -> Result<(), DurableError> {
    let own = rustix::process::geteuid().as_raw();
    if stat.st_uid != own {
        return Err(DurableError::WrongOwner {
            path: path.into(),
            owner: stat.st_uid,
            own,
        });
    }
    let mode = stat.st_mode & 0o7777;
    if mode & 0o077 != 0 {
        return Err(DurableError::WrongMode {
            path: path.into(),
            mode,
        });
    }
    Ok(())
}

/// Refuses a stream, given by its header and schema, that is not the one asked for.
pub(super) fn must_be(
    path: &Path,
    (found, schema_found): (&StreamHeader, &[u8]),
    (asked, schema): (&StreamHeader, &[u8]),
) -> Result<(), DurableError> {
    if (found.kind, found.fingerprint) != (asked.kind, asked.fingerprint) {
        let differences = match (Schema::decode(schema), Schema::decode(schema_found)) {
            (Ok(ours), Ok(found)) => ours.difference(&found),
            _ => vec!["one carries elements, the other frames".into()],
        };
        return Err(DurableError::WrongType {
            path: path.into(),
            ours: asked.fingerprint,
            found: found.fingerprint,
            differences,
        });
    }
    for (what, found, asked) in [
        ("buffer_size", found.buffer_size, asked.buffer_size),
        ("max_demand", found.max_demand, asked.max_demand),
        ("max_frame", found.max_frame, asked.max_frame),
        ("start_position", found.base, asked.base),
    ] {
        if found != asked {
            return Err(DurableError::Setting {
                path: path.into(),
                what,
                found,
                asked,
            });
        }
    }
    Ok(())
}

impl Examined {
    /// Looks at an open file: what it begins with, whose it is, how long it is, and then at each word.
    pub(super) fn of(path: &Path, fd: OwnedFd, stat: &Stat, access: Access) -> Result<Self, DurableError> {
        let have = u64::try_from(stat.st_size).unwrap_or(0);
        // Read rather than mapped: the file may be shorter.
        let mut head = [0; size_of::<StreamHeader>()];
        let read = rustix::io::pread(&fd, &mut head, 0).map_err(|errno| DurableError::Io {
            what: "reading",
            path: path.into(),
            source: errno.into(),
        })?;
        let begins = &head[..read.min(STREAM_MAGIC.len())];
        if begins.is_empty() || !STREAM_MAGIC.starts_with(begins) {
            return Err(DurableError::Foreign {
                path: path.into(),
                found: begins.to_vec(),
            });
        }
        // Only now: nobody should change whose a file is that is something else.
        must_be_ours(path, stat)?;
        let truncated = |need| DurableError::Truncated {
            path: path.into(),
            have,
            need,
        };
        let header = StreamHeader::read_from_bytes(&head).ok();
        let Some(header) = header.filter(|_| read == head.len()) else {
            return Err(truncated(head.len() as u64));
        };
        if !can_read(header.major, header.minor) {
            return Err(DurableError::Version {
                path: path.into(),
                found: (header.major, header.minor),
                ours: (MAJOR, MINOR),
            });
        }
        let corrupt = |Lie { word, value }| DurableError::Corrupt {
            path: path.into(),
            word,
            value,
        };
        if header.flags & DURABLE == 0 {
            return Err(corrupt(Lie {
                word: "flags",
                value: header.flags,
            }));
        }
        let need = header.area_offset.checked_add(header.area_len);
        let need = need.ok_or(corrupt(Lie {
            word: "area_len",
            value: header.area_len,
        }))?;
        if have < need {
            return Err(truncated(need));
        }
        if have > need {
            return Err(DurableError::TooLong {
                path: path.into(),
                have,
                need,
            });
        }
        let memory = SharedMemory::of_file(fd, have, access)?;
        let (header, schema) = geometry::stream(&memory).map_err(corrupt)?;
        if header.checksum != sum(&header, &schema) {
            return Err(corrupt(Lie {
                word: "checksum of the header",
                value: header.checksum,
            }));
        }
        if header.kind == KIND_ELEMENTS && Schema::decode(&schema).is_err() {
            return Err(corrupt(Lie {
                word: "schema",
                value: schema.len() as u64,
            }));
        }
        let position = PositionFile::open(path, &header)?;
        Ok(Self {
            memory,
            header,
            schema,
            position,
        })
    }

    /// What the consumer has released, and what the stream holds from there on.
    pub(super) fn holdings(&self, path: &Path) -> Result<(Cursor, Holdings), DurableError> {
        let contradiction = |corruption| DurableError::Contradiction {
            path: path.into(),
            corruption,
        };
        let Cursor { position, byte } = self.position.released();
        let position = geometry::position_at(&self.memory, &self.header, position, byte);
        let holdings = Holdings::of(&self.memory, &self.header, (position, byte)).map_err(contradiction)?;
        // What was committed was published before.
        let held = holdings.position.wrapping_sub(position);
        if let Some(committed) = self.position.committed_ahead()
            && committed.wrapping_sub(position) > held
        {
            return Err(DurableError::Corrupt {
                path: path.into(),
                word: "position of the state",
                value: committed,
            });
        }
        Ok((Cursor { position, byte }, holdings))
    }
}
