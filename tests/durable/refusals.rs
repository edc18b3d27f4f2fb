//! Files that are not what they should be are refused with what was found, and left as they are.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use millstream::{DurableError, PublishBuilder, PublishError, SinkRef};
use rustix::fs::{CWD, FileType, Mode};

use crate::power::{beside, write};
use crate::stage::Ground;

/// A stream with some elements released, some held, and a state.
struct Scene {
    ground: Ground,
    file: PathBuf,
}

fn position(file: &Path) -> PathBuf {
    beside(file, ".position")
}

impl Scene {
    fn new() -> Self {
        let ground = Ground::new();
        let file = ground.beside("orders");
        let scene = Self { ground, file };
        let mut sink = scene.open().unwrap();
        let subscribe = || scene.ground.subscribe::<u64>("orders").resumable("book");
        let mut source = subscribe().transactional::<u64>().open().unwrap();
        for element in 0..40 {
            sink.put(element).unwrap();
            if element < 30 {
                source.next().unwrap();
                source.commit(&element);
            }
        }
        scene
    }

    fn builder(&self) -> PublishBuilder<u64> {
        let builder = self.ground.publish::<u64>("orders").durable(&self.file);
        builder.buffer_size(16).max_demand(32)
    }

    fn open(&self) -> Result<SinkRef<u64>, PublishError> {
        self.builder().open()
    }

    /// What opening and verifying say, which is the same; nothing is changed by either.
    #[track_caller]
    fn refusal(&self) -> DurableError {
        let before = (fs::read(&self.file).ok(), fs::read(position(&self.file)).ok());
        let error = match self.open() {
            Err(PublishError::Durable(error)) => error,
            other => panic!("{other:?}"),
        };
        let verified = millstream::verify(&self.file).unwrap_err();
        assert_eq!(error.to_string(), verified.to_string());
        let after = (fs::read(&self.file).ok(), fs::read(position(&self.file)).ok());
        assert!(before == after, "a refused file is left as it was");
        error
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        write(&self.file, offset, bytes);
    }
}

#[test]
fn what_is_whole_is_opened() {
    let scene = Scene::new();
    let report = millstream::verify(&scene.file).unwrap();
    assert_eq!((report.released, report.published), (30, 40));
    assert_eq!(
        (report.commits, report.in_use, report.other_boot),
        (30, false, false)
    );
    assert_eq!(scene.open().unwrap().position(), 40);
}

#[test]
fn a_truncated_file_is_refused_at_every_length() {
    let scene = Scene::new();
    let whole = fs::read(&scene.file).unwrap();
    for len in [0, 1, 7, 8, 100, 255, 256, 4095, 4096, 8191, whole.len() - 1] {
        fs::write(&scene.file, &whole[..len]).unwrap();
        let error = scene.refusal();
        match len {
            0 => assert!(matches!(error, DurableError::Foreign { .. }), "{len}: {error}"),
            _ => assert!(
                matches!(error, DurableError::Truncated { have, need, .. } if have == len as u64 && need > have),
                "{len}: {error}"
            ),
        }
    }
    let mut long = whole.clone();
    long.push(0);
    fs::write(&scene.file, &long).unwrap();
    assert!(matches!(scene.refusal(), DurableError::TooLong { .. }));
    fs::write(&scene.file, &whole).unwrap();
    assert_eq!(scene.open().unwrap().position(), 40);
}

#[test]
fn every_byte_of_the_header_counts() {
    let scene = Scene::new();
    let whole = fs::read(&scene.file).unwrap();
    for offset in 0..256 {
        for flip in [1, 0x80, 0xff] {
            scene.write(offset, &[whole[offset as usize] ^ flip]);
            scene.refusal();
        }
        scene.write(offset, &whole[offset as usize..][..1]);
    }
    // And of the schema.
    let len = u32::from_le_bytes(whole[140..144].try_into().unwrap());
    let schema = &whole[4096..][..len as usize];
    for (offset, byte) in (4096..).zip(schema) {
        scene.write(offset, &[byte ^ 1]);
        scene.refusal();
        scene.write(offset, &[*byte]);
    }
    assert_eq!(scene.open().unwrap().position(), 40);
}

#[test]
fn a_foreign_file_an_older_and_a_newer_version_are_named() {
    let scene = Scene::new();
    let whole = fs::read(&scene.file).unwrap();
    scene.write(0, b"#!/bin/s");
    assert!(matches!(scene.refusal(), DurableError::Foreign { found, .. } if found == b"#!/bin/s"));
    scene.write(0, &whole[..8]);
    for (offset, value, found) in [
        (8, 0_u16, (0, 1)),
        (8, 1, (1, 1)),
        (8, 3, (3, 1)),
        (10, 2, (2, 2)),
    ] {
        scene.write(offset, &value.to_le_bytes());
        let error = scene.refusal();
        assert!(
            matches!(error, DurableError::Version { found: version, ours: (2, 1), .. } if version == found),
            "{error}"
        );
        scene.write(0, &whole[..16]);
    }
}

#[test]
fn another_type_and_other_settings_are_refused() {
    let scene = Scene::new();
    let other = scene
        .ground
        .publish::<i64>("orders")
        .buffer_size(16)
        .max_demand(32);
    let error = other.durable(&scene.file).open().unwrap_err();
    assert!(
        matches!(&error, PublishError::Durable(DurableError::WrongType { differences, .. }) if !differences.is_empty()),
        "{error}"
    );
    let frames = scene.ground.publish::<[u8]>("orders").durable(&scene.file).open();
    assert!(matches!(
        frames,
        Err(PublishError::Durable(DurableError::WrongType { .. }))
    ));
    let larger = scene.builder().buffer_size(17).open();
    assert!(matches!(
        larger,
        Err(PublishError::Durable(DurableError::Setting {
            what: "buffer_size",
            found: 16,
            asked: 17,
            ..
        }))
    ));
    let several = scene.builder().consumers(2).open();
    assert!(matches!(several, Err(PublishError::DurableForOne { .. })));
}

#[test]
fn stamps_and_positions_that_contradict_each_other_are_refused() {
    let scene = Scene::new();
    let whole = fs::read(&scene.file).unwrap();
    let report = millstream::verify(&scene.file).unwrap();
    let area = 8192;
    let blocks = (whole.len() as u64 - area) / 64;
    for block in 0..blocks {
        let offset = area + block * 64;
        let stamp = &whole[offset as usize..][..8];
        // Far ahead, and far behind.
        for wrong in [u64::from_le_bytes(stamp.try_into().unwrap()) + 700, 1 << 60] {
            scene.write(offset, &wrong.to_le_bytes());
            let error = scene.refusal();
            assert!(
                matches!(&error, DurableError::Contradiction { corruption, .. } if corruption.word == "stamp"),
                "{error}"
            );
        }
        scene.write(offset, stamp);
    }
    let beside = position(&scene.file);
    let credit = fs::read(&beside).unwrap();
    // Released: beyond what was published, before the stream, and a lap back.
    for wrong in [report.published + 1, report.published + 10_000, u64::MAX, 1 << 63] {
        write(&beside, 264, &wrong.to_le_bytes());
        scene.refusal();
    }
    fs::write(&beside, credit).unwrap();
    assert_eq!(scene.open().unwrap().position(), 40);
}

#[test]
fn a_damaged_state_is_refused() {
    let scene = Scene::new();
    let beside = position(&scene.file);
    let credit = fs::read(&beside).unwrap();
    // The 30th commit lies in slot 0.
    for offset in [640, 648, 656, 672, 704] {
        write(&beside, offset, &[credit[offset as usize] ^ 2]);
        let error = scene.refusal();
        assert!(matches!(error, DurableError::Corrupt { .. }), "{offset}: {error}");
        write(&beside, offset, &credit[offset as usize..][..1]);
    }
    // A position without the name whose it is would be nobody's for ever.
    write(&beside, 384, &[0; 8]);
    let error = scene.refusal();
    assert!(
        matches!(error, DurableError::Corrupt { word, value: 0, .. } if word.contains("name")),
        "{error}"
    );
    write(&beside, 384, &credit[384..392]);
    assert_eq!(scene.open().unwrap().position(), 40);
}

#[test]
fn the_positions_file_is_missing_short_or_another_streams() {
    let scene = Scene::new();
    let beside = position(&scene.file);
    let credit = fs::read(&beside).unwrap();
    fs::remove_file(&beside).unwrap();
    assert!(matches!(
        scene.refusal(),
        DurableError::Position {
            why: "is missing",
            ..
        }
    ));
    symlink(&scene.file, &beside).unwrap();
    assert!(matches!(
        scene.refusal(),
        DurableError::Position { why: "is a link", .. }
    ));
    fs::remove_file(&beside).unwrap();
    for kind in [FileType::Socket, FileType::Fifo] {
        rustix::fs::mknodat(CWD, &beside, kind, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let error = scene.open().unwrap_err();
        assert!(
            matches!(
                error,
                PublishError::Durable(DurableError::Position {
                    why: "is no regular file",
                    ..
                })
            ),
            "{kind:?}: {error}"
        );
        fs::remove_file(&beside).unwrap();
    }
    let private = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&beside, &credit[..4095]).unwrap();
    private(&beside);
    assert!(matches!(
        scene.refusal(),
        DurableError::Truncated {
            have: 4095,
            need: 4096,
            ..
        }
    ));
    let other = Scene::new();
    fs::copy(position(&other.file), &beside).unwrap();
    assert!(matches!(
        scene.refusal(),
        DurableError::Position {
            why: "belongs to another stream",
            ..
        }
    ));
    fs::write(&beside, &credit).unwrap();
    assert_eq!(scene.open().unwrap().position(), 40);
}

#[test]
fn another_boot_is_told() {
    let scene = Scene::new();
    scene.write(2944, &[7; 16]);
    assert!(matches!(
        scene.open(),
        Err(PublishError::Durable(DurableError::OtherBoot { .. }))
    ));
    assert!(millstream::verify(&scene.file).unwrap().other_boot);
}

#[test]
fn what_is_no_file_of_this_user_is_refused() {
    let scene = Scene::new();
    let whole = fs::read(&scene.file).unwrap();
    fs::set_permissions(&scene.file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(
        scene.refusal(),
        DurableError::WrongMode { mode: 0o644, .. }
    ));
    fs::remove_file(&scene.file).unwrap();
    let elsewhere = scene.ground.beside("elsewhere");
    fs::write(&elsewhere, whole).unwrap();
    symlink(&elsewhere, &scene.file).unwrap();
    assert!(matches!(scene.refusal(), DurableError::NotAFile { .. }));
    fs::remove_file(&scene.file).unwrap();
    fs::create_dir(&scene.file).unwrap();
    let error = scene.open().unwrap_err();
    assert!(
        matches!(error, PublishError::Durable(DurableError::NotAFile { .. })),
        "{error}"
    );
    fs::remove_dir(&scene.file).unwrap();
    rustix::fs::mknodat(CWD, &scene.file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let error = scene.open().unwrap_err();
    assert!(
        matches!(error, PublishError::Durable(DurableError::NotAFile { .. })),
        "{error}"
    );
    fs::remove_file(&scene.file).unwrap();
    assert!(matches!(
        millstream::verify(&scene.file),
        Err(DurableError::Missing { .. })
    ));
}

#[test]
fn a_place_that_cannot_have_it_is_told_and_nothing_is_left() {
    let scene = Scene::new();
    let nowhere = scene.ground.beside("no").join("such").join("place");
    let error = scene
        .ground
        .publish::<u64>("x")
        .durable(&nowhere)
        .open()
        .unwrap_err();
    assert!(matches!(error, PublishError::Durable(_)), "{error}");
    let directory = format!("{:?}", nowhere.parent().unwrap());
    assert!(error.to_string().contains(&directory), "{error}");
    // A position that an interrupted making left is in nobody's way.
    let fresh = scene.ground.beside("fresh");
    drop(scene.ground.publish::<u64>("x").durable(&fresh).open().unwrap());
    fs::remove_file(&fresh).unwrap();
    let mut sink = scene.ground.publish::<u64>("x").durable(&fresh).open().unwrap();
    sink.put(1).unwrap();
    assert_eq!(millstream::verify(&fresh).unwrap().published, 1);
}

#[test]
fn a_batch_that_its_producer_was_killed_in_is_taken_back() {
    let scene = Scene::new();
    // The first block of a batch from 40 on is stamped last, those behind it before.
    scene.write(8192 + 6 * 64, &49_u64.to_le_bytes());
    scene.write(8192 + 7 * 64, &52_u64.to_le_bytes());
    let report = millstream::verify(&scene.file).unwrap();
    assert_eq!((report.published, report.unpublished_blocks), (40, 2));
    let mut sink = scene.open().unwrap();
    assert_eq!(sink.position(), 40);
    sink.put_slice(&[40, 41]).unwrap();
    let mut source = scene
        .ground
        .subscribe::<u64>("orders")
        .resumable("book")
        .open()
        .unwrap();
    for element in 30..42 {
        assert_eq!(source.next(), Some(element));
    }
    assert_eq!(source.try_next(), millstream::TryNext::Empty);
    assert_eq!(millstream::verify(&scene.file).unwrap().unpublished_blocks, 0);
}
