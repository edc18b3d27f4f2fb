//! A snapshot that is damaged, that lies, or in whose place is something else, is refused and does no harm.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use millstream::{DurableError, PublishError, SyncError, Synced, verify, verify_synced};
use rustix::fs::{CWD, FileType, Mode};

use crate::power::{beside, restart, write};
use crate::synced::{Scene, frame};

#[test]
fn a_snapshot_damaged_at_any_byte_is_refused() {
    let scene = Scene::synced();
    let snapshot = beside(&scene.file, ".synced");
    let whole = fs::read(&snapshot).unwrap();
    restart(&scene.file);
    for (offset, byte) in (0..).zip(&whole) {
        write(&snapshot, offset, &[byte ^ (1 << (offset % 8))]);
        let error = verify_synced(&scene.file).unwrap_err();
        if offset < 200 || offset % 61 == 0 {
            assert_eq!(scene.refusal().to_string(), error.to_string());
        }
        write(&snapshot, offset, &[*byte]);
    }
    for len in [0, 1, 8, 127, 128, 500, whole.len() - 8, whole.len() - 1] {
        fs::write(&snapshot, &whole[..len]).unwrap();
        let error = scene.refusal();
        assert!(
            matches!(
                error,
                DurableError::Truncated { .. } | DurableError::Foreign { .. }
            ),
            "{len}: {error}"
        );
    }
    fs::write(&snapshot, [&whole[..], &[0; 8]].concat()).unwrap();
    assert!(matches!(scene.refusal(), DurableError::TooLong { .. }));
    fs::write(&snapshot, &whole).unwrap();
    assert!(
        matches!(verify(&scene.file).unwrap().synced, Synced::Whole(synced) if synced.bytes == whole.len() as u64)
    );
    assert_eq!(scene.builder::<u64>().open().unwrap().position(), 10);
}

/// The sum of a snapshot that says something else at a word, as its writer would have made it.
fn forge(snapshot: &mut [u8], at: usize, word: u64) {
    snapshot[at..at + 8].copy_from_slice(&word.to_le_bytes());
    snapshot[16..24].fill(0);
    let (head, rest) = snapshot.split_at(128);
    let sum = sum(&[rest, head]);
    snapshot[16..24].copy_from_slice(&sum.to_le_bytes());
}

/// The sum of the words of these bytes, each padded with zeroes up to whole words.
fn sum(parts: &[&[u8]]) -> u64 {
    let words = parts.iter().flat_map(|part| part.chunks(8));
    words.fold(0xcbf2_9ce4_8422_2325_u64, |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3);
        sum ^ (sum >> 32)
    })
}

#[test]
fn a_snapshot_that_lies_under_a_right_checksum_does_no_harm() {
    let scene = Scene::new();
    let open = || scene.builder::<[u8]>().max_frame(100).open();
    let mut sink = open().unwrap();
    for at in 0..10 {
        sink.put(&frame(at)).unwrap();
    }
    sink.sync().unwrap();
    drop(sink);
    restart(&scene.file);
    let snapshot = beside(&scene.file, ".synced");
    let whole = fs::read(&snapshot).unwrap();
    let (stream, position) = (
        fs::read(&scene.file).unwrap(),
        fs::read(beside(&scene.file, ".position")).unwrap(),
    );
    let mut same = whole.clone();
    forge(&mut same, 40, 10);
    assert!(same == whole, "the forger writes what a sync does");
    let mut refused = 0;
    for at in (24..whole.len()).step_by(8) {
        let word = u64::from_le_bytes(whole[at..at + 8].try_into().unwrap());
        for wrong in [word.wrapping_add(1), word.wrapping_sub(1), 1 << 63, !7] {
            // Most of the words are zeroes that nobody reads.
            if wrong == word || (at > 400 && word == 0 && at % 320 != 0) {
                continue;
            }
            let mut forged = whole.clone();
            forge(&mut forged, at, wrong);
            fs::write(&snapshot, &forged).unwrap();
            match open() {
                Ok(sink) => {
                    assert!(sink.position() <= 10, "{at} {wrong:#x}");
                    drop(sink);
                    fs::write(&scene.file, &stream).unwrap();
                    fs::write(beside(&scene.file, ".position"), &position).unwrap();
                    scene.forget_what_was_kept();
                }
                Err(PublishError::Durable(_)) => {
                    refused += 1;
                    assert!(fs::read(&scene.file).unwrap() == stream, "{at} {wrong:#x}");
                }
                Err(other) => panic!("{at} {wrong:#x}: {other}"),
            }
        }
    }
    assert!(refused > 100, "{refused}");
    fs::write(&snapshot, &whole).unwrap();
    assert_eq!(open().unwrap().position(), 10);
}

/// What is put in place of the stream has to be one that this program can open.
#[test]
fn a_snapshot_of_two_versions_is_refused() {
    const HEADER: usize = 128;
    const CHECKSUM: usize = 168;
    const SCHEMA: usize = 384;
    let scene = Scene::synced();
    let snapshot = beside(&scene.file, ".synced");
    let whole = fs::read(&snapshot).unwrap();
    restart(&scene.file);
    let (major, minor, len) = (8, 10, HEADER + 140);
    let schema_len = u32::from_le_bytes(whole[len..len + 4].try_into().unwrap()) as usize;
    for at in [major, minor] {
        for other in [0, whole[HEADER + at] + 1] {
            let mut forged = whole.clone();
            forged[HEADER + at] = other;
            let schema = &forged[SCHEMA..SCHEMA + schema_len];
            let header = sum(&[&forged[HEADER..HEADER + CHECKSUM], schema]);
            forge(&mut forged, HEADER + CHECKSUM, header);
            fs::write(&snapshot, &forged).unwrap();
            let error = verify_synced(&scene.file).unwrap_err();
            assert!(
                matches!(error, DurableError::Corrupt { .. }),
                "{at} {other}: {error}"
            );
            assert_eq!(scene.refusal().to_string(), error.to_string());
        }
    }
    fs::write(&snapshot, &whole).unwrap();
    assert_eq!(scene.builder::<u64>().open().unwrap().position(), 10);
}

#[test]
fn a_snapshot_that_is_missing_anothers_or_no_file_is_refused() {
    let scene = Scene::synced();
    let snapshot = beside(&scene.file, ".synced");
    let whole = fs::read(&snapshot).unwrap();
    restart(&scene.file);
    let why = |scene: &Scene| match scene.refusal() {
        DurableError::Synced { path, why } => {
            assert_eq!(path, beside(&scene.file, ".synced"));
            why
        }
        other => panic!("{other}"),
    };
    fs::remove_file(&snapshot).unwrap();
    assert_eq!(why(&scene), "is missing");
    assert_eq!(verify(&scene.file).unwrap().synced, Synced::Never);
    symlink(&scene.file, &snapshot).unwrap();
    assert_eq!(why(&scene), "is a link");
    fs::remove_file(&snapshot).unwrap();
    fs::create_dir(&snapshot).unwrap();
    assert_eq!(why(&scene), "is no regular file");
    fs::remove_dir(&snapshot).unwrap();
    // Not by `why`, which reads what lies there.
    for kind in [FileType::Socket, FileType::Fifo] {
        rustix::fs::mknodat(CWD, &snapshot, kind, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let error = verify_synced(&scene.file).unwrap_err();
        let is_told = matches!(
            error,
            DurableError::Synced {
                why: "is no regular file",
                ..
            }
        );
        assert!(is_told, "{kind:?}: {error}");
        fs::remove_file(&snapshot).unwrap();
    }
    let other = Scene::synced();
    fs::copy(beside(&other.file, ".synced"), &snapshot).unwrap();
    assert_eq!(why(&scene), "belongs to another stream");
    assert!(
        matches!(verify(&scene.file).unwrap().synced, Synced::Refused(why) if why.contains("another stream"))
    );
    fs::write(&snapshot, &whole).unwrap();
    fs::set_permissions(&snapshot, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        scene.refusal(),
        DurableError::WrongMode { mode: 0o640, .. }
    ));
    fs::set_permissions(&snapshot, fs::Permissions::from_mode(0o600)).unwrap();
    let larger = scene.builder::<u64>().buffer_size(17).open();
    assert!(matches!(
        larger,
        Err(PublishError::Durable(DurableError::Setting {
            what: "buffer_size",
            ..
        }))
    ));
    let typed = scene.builder::<i64>().open();
    assert!(matches!(
        typed,
        Err(PublishError::Durable(DurableError::WrongType { .. }))
    ));
    let (stream, position) = (fs::read(&scene.file).unwrap(), beside(&scene.file, ".position"));
    fs::remove_file(&scene.file).unwrap();
    assert_eq!(why(&scene), "is there and the stream is not");
    fs::write(&scene.file, stream).unwrap();
    fs::set_permissions(&scene.file, fs::Permissions::from_mode(0o600)).unwrap();
    // The position's file is made again with the stream's.
    fs::remove_file(&position).unwrap();
    assert_eq!(scene.builder::<u64>().open().unwrap().position(), 10);
    assert!(position.exists());
}

#[test]
fn a_sync_writes_over_nothing_that_is_not_this_streams() {
    let scene = Scene::new();
    let snapshot = beside(&scene.file, ".synced");
    let mut old = scene.builder::<u64>().open().unwrap();
    old.put(0).unwrap();
    let foreign = b"accounts that were synced: 1, 2, 3\n";
    fs::write(&snapshot, foreign).unwrap();
    let refused = old.sync().unwrap_err();
    assert!(
        matches!(&refused, SyncError::Durable(DurableError::Foreign { path, .. }) if *path == snapshot),
        "{refused}"
    );
    assert!(fs::read(&snapshot).unwrap() == foreign);
    fs::remove_file(&snapshot).unwrap();
    assert_eq!(old.sync().unwrap(), 1);
    // The files are put aside while their producer lives, and another one begins anew in their place.
    let aside = scene.file.with_file_name("aside");
    fs::rename(&scene.file, &aside).unwrap();
    assert!(old.sync().is_err());
    fs::rename(beside(&scene.file, ".position"), beside(&aside, ".position")).unwrap();
    let begin_anew = || scene.ground.publish::<u64>("others").durable(&scene.file).open();
    // Its first sync would write over the last that there may be.
    let refused = begin_anew().unwrap_err();
    assert!(
        matches!(&refused, PublishError::Durable(DurableError::Synced { path, .. }) if *path == snapshot),
        "{refused}"
    );
    fs::rename(&snapshot, beside(&aside, ".synced")).unwrap();
    let mut new = begin_anew().unwrap();
    new.put_slice(&[7; 5]).unwrap();
    assert_eq!(new.sync().unwrap(), 5);
    let refused = old.sync().unwrap_err();
    assert!(refused.to_string().contains("has its name"), "{refused}");
    assert_eq!(verify_synced(&scene.file).unwrap().published, 5);
    // The streams themselves go on.
    old.put(1).unwrap();
    new.put(7).unwrap();
    drop((old, new));
    assert_eq!(verify(&aside).unwrap().published, 2);
    assert_eq!(verify(&scene.file).unwrap().published, 6);
}
