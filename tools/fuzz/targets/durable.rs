//! Any bytes as the files of a durable stream, and files that were right with words changed, cut off or lengthened: looked at,
//! opened by a producer, gone back to as they were synced, and gone on with by a consumer.
#![no_main]

#[path = "../shared/honest.rs"]
#[allow(dead_code, reason = "shared by several targets")]
mod honest;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use millstream::{PublishBuilder, SubscribeBuilder, Travel, publish, subscribe};

struct Stage {
    run: PathBuf,
    file: PathBuf,
    position: PathBuf,
    synced: PathBuf,
    /// Of elements, and of frames.
    honest: [Files; 2],
}

/// The stream's file, the position's, and the snapshot.
#[derive(Clone)]
struct Files {
    stream: Vec<u8>,
    position: Vec<u8>,
    synced: Vec<u8>,
}

/// Where the stream's file says which run of the machine wrote it.
const BOOT: usize = 2944;

fn builder<P: Travel + ?Sized>(run: &Path, file: &Path) -> PublishBuilder<P> {
    publish::<P>("durable")
        .durable(file)
        .directory(run)
        .buffer_size(8)
        .max_demand(8)
        .max_frame(64)
}

fn consumer<P: Travel + ?Sized>(run: &Path) -> SubscribeBuilder<P> {
    subscribe::<P>("durable")
        .resumable("book")
        .directory(run)
        .initial_demand(8)
}

fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let run = honest::run_dir();
        fs::create_dir(&run).unwrap();
        fs::set_permissions(&run, Permissions::from_mode(0o700)).unwrap();
        let [file, position, synced] = ["file", "file.position", "file.synced"].map(|name| run.join(name));
        let take = || {
            let [stream, position, synced] = [&file, &position, &synced].map(|path| {
                let bytes = fs::read(path).unwrap();
                fs::remove_file(path).unwrap();
                bytes
            });
            Files {
                stream,
                position,
                synced,
            }
        };
        let mut sink = builder::<u64>(&run, &file).open().unwrap();
        let mut source = consumer::<u64>(&run).open().unwrap();
        sink.put_slice(&[1, 2, 3, 4, 5]).unwrap();
        let _ = (source.next(), source.next());
        sink.sync().unwrap();
        drop((source, sink));
        let elements = take();
        let mut sink = builder::<[u8]>(&run, &file).open().unwrap();
        let mut source = consumer::<[u8]>(&run).open().unwrap();
        for len in [3, 0, 64, 17] {
            sink.put(&[7; 64][..len]).unwrap();
        }
        let _ = source.next().map(|frame| frame.len());
        sink.sync().unwrap();
        drop((source, sink));
        let honest = [elements, take()];
        Stage {
            run,
            file,
            position,
            synced,
            honest,
        }
    })
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

fuzz_target!(|data: &[u8]| {
    let Some((head, rest)) = data.split_at_checked(4) else {
        return;
    };
    let stage = stage();
    let frames = head[0] & 1 == 1;
    let Files {
        stream: mut file,
        mut position,
        mut synced,
    } = stage.honest[usize::from(frames)].clone();
    let goes_back = head[0] & 8 != 0;
    if goes_back {
        // The machine was started again, and the snapshot is what is changed.
        file[BOOT..][..16].fill(7);
        if head[0] & 2 != 0 {
            synced = rest.to_vec();
        } else {
            rest.chunks(10)
                .for_each(|change| honest::change(&mut synced, change));
        }
        match head[2] % 8 {
            0 => synced.truncate(usize::from(head[3]) * 32),
            1 => synced.resize(synced.len() + usize::from(head[3]), 0),
            // Nothing of the stream has reached the disk.
            2 => file[..BOOT].fill(0),
            _ => {}
        }
        // Without it nearly every change would be found by the sum alone.
        if head[0] & 4 != 0 {
            millstream::fuzzing::seal_snapshot(&mut synced);
        }
    } else {
        if head[0] & 2 != 0 {
            file = rest.to_vec();
        } else {
            for (number, change) in rest.chunks(10).enumerate() {
                let to = if (head[1] >> (number % 8)) & 1 == 0 {
                    &mut file
                } else {
                    &mut position
                };
                honest::change(to, change);
            }
        }
        // Without it nearly every change of the header would be found by its sum alone.
        if head[0] & 4 != 0 {
            millstream::fuzzing::seal(&mut file);
        }
        match head[2] % 8 {
            0 => file.truncate(usize::from(head[3]) * 64),
            1 => position.truncate(usize::from(head[3]) * 16),
            2 => file.resize(file.len() + usize::from(head[3]), 0),
            _ => {}
        }
    }
    write(&stage.file, &file);
    write(&stage.position, &position);
    write(&stage.synced, &synced);
    let _ = millstream::verify(&stage.file).map(|report| format!("{report:?}"));
    let _ = millstream::verify_synced(&stage.file).map(|report| format!("{report:?}"));
    if frames {
        let mut builder = builder::<[u8]>(&stage.run, &stage.file);
        if goes_back {
            builder = builder.recover_synced();
        }
        if let Ok(mut sink) = builder.open() {
            let _ = (sink.try_put(b"more"), sink.try_put(b"again"));
            if let Ok(mut source) = consumer::<[u8]>(&stage.run).open() {
                for _ in 0..12 {
                    if let Ok(Some(frame)) = source.next_deadline(std::time::Instant::now()) {
                        assert!(frame.len() <= 64);
                    }
                }
            }
        }
    } else {
        let mut builder = builder::<u64>(&stage.run, &stage.file);
        if goes_back {
            builder = builder.recover_synced();
        }
        if let Ok(mut sink) = builder.open() {
            let _ = (sink.try_put(6), sink.try_put(7));
            if let Ok(mut source) = consumer::<u64>(&stage.run).open() {
                for _ in 0..12 {
                    let _ = source.try_next();
                }
            }
        }
    }
    // What was found before going back, too.
    for entry in fs::read_dir(&stage.run).unwrap().flatten() {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && entry.file_name().to_string_lossy().starts_with("file") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
});
