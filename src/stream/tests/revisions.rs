//! Files that an earlier revision of the layout has made.

#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::thread;

use zerocopy::{FromBytes, IntoBytes};

use crate::process::durable_sum;
use crate::ring::page::{BOOT, CONSUMER_RINGS, MINOR, PRODUCER_RINGS, StreamHeader};
use crate::stream::sink::SinkRef;
use crate::stream::source::SourceRef;
use crate::wait::WaitStrategy;

/// A stream in the file of a directory of its own.
struct Ground {
    _parent: tempfile::TempDir,
    file: PathBuf,
    directory: PathBuf,
}

impl Ground {
    fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        Self {
            file: parent.path().join("stream"),
            directory: parent.path().join("run"),
            _parent: parent,
        }
    }

    fn publish(&self) -> SinkRef<u64> {
        crate::publish::<u64>("older")
            .directory(&self.directory)
            .sink_wait(WaitStrategy::park())
            .durable(&self.file)
            .recover_synced()
            .buffer_size(4)
            .max_demand(4)
            .open()
            .unwrap()
    }

    fn subscribe(&self) -> SourceRef<u64> {
        crate::subscribe::<u64>("older")
            .directory(&self.directory)
            .resumable("book")
            .initial_demand(4)
            .source_wait(WaitStrategy::park())
            .open()
            .unwrap()
    }

    /// The stream's file, its header, and the file of its consumer's position.
    fn read(&self) -> (Vec<u8>, StreamHeader, Vec<u8>) {
        let stream = fs::read(&self.file).unwrap();
        let header = StreamHeader::read_from_prefix(&stream).unwrap().0;
        (
            stream,
            header,
            fs::read(self.file.with_extension("position")).unwrap(),
        )
    }

    /// Makes of the files what revision `minor` of the layout had made of them.
    fn put_back(&self, minor: u16) {
        let (mut stream, mut header, mut position) = self.read();
        header.minor = minor;
        let schema = &stream[header.schema_offset as usize..][..header.schema_len as usize];
        header.checksum = durable_sum(&header, schema);
        stream[..size_of::<StreamHeader>()].copy_from_slice(header.as_bytes());
        fs::write(&self.file, stream).unwrap();
        position[10..12].copy_from_slice(minor.as_bytes());
        fs::write(self.file.with_extension("position"), position).unwrap();
    }
}

#[test]
fn a_durable_stream_of_revision_0_goes_on_and_stays_one() {
    assert_eq!(
        MINOR, 1,
        "of a file of this revision, too, something may be missing"
    );
    let ground = Ground::new();
    let mut sink = ground.publish();
    sink.put_slice(&[0, 1, 2]).unwrap();
    drop(sink);
    ground.put_back(0);
    let mut sink = ground.publish();
    let mut source = ground.subscribe();
    let producer = thread::spawn(move || {
        for number in 3..1000 {
            sink.put(number).unwrap();
        }
        sink.sync().unwrap();
        sink
    });
    for number in 0..1000 {
        assert_eq!(source.next(), Some(number));
    }
    drop(producer.join().unwrap());
    let (stream, header, position) = ground.read();
    assert_eq!(header.minor, 0);
    assert_eq!(position[10..12], [0; 2]);
    assert_eq!(
        stream[PRODUCER_RINGS..][..4],
        [0; 4],
        "nobody counts where nobody reads it"
    );
    assert_eq!(position[CONSUMER_RINGS..][..4], [0; 4]);
    let snapshot = fs::read(ground.file.with_extension("synced")).unwrap();
    assert_eq!(snapshot[10..12], [0; 2]);
    drop(source);

    // As if the machine had been started anew.
    let other_boot = fs::OpenOptions::new().write(true).open(&ground.file).unwrap();
    other_boot.write_all_at(&[7; 16], BOOT as u64).unwrap();
    drop(ground.publish());
    let (_, header, position) = ground.read();
    assert_eq!(header.minor, 0);
    assert_eq!(position[10..12], [0; 2]);
}

#[test]
fn what_the_producer_before_has_counted_is_not_the_next_ones() {
    let ground = Ground::new();
    drop(ground.publish());
    let counted = fs::OpenOptions::new().write(true).open(&ground.file).unwrap();
    counted
        .write_all_at(&[57, 0, 0, 0], PRODUCER_RINGS as u64)
        .unwrap();
    let _sink = ground.publish();
    assert_eq!(ground.read().0[PRODUCER_RINGS..][..4], [0; 4]);
}
