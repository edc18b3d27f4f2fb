//! Files that an earlier revision of the layout has made.

#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::thread;

use zerocopy::{FromBytes, IntoBytes};

use crate::process::durable_sum;
use crate::ring::page::{CONSUMER_RINGS, MINOR, StreamHeader};
use crate::wait::WaitStrategy;

/// Makes of a stream's files what revision `minor` of the layout had made of them.
fn put_back(file: &Path, minor: u16) {
    let mut bytes = fs::read(file).unwrap();
    let (mut header, _) = StreamHeader::read_from_prefix(&bytes).unwrap();
    header.minor = minor;
    let schema = &bytes[header.schema_offset as usize..][..header.schema_len as usize];
    header.checksum = durable_sum(&header, schema);
    bytes[..size_of::<StreamHeader>()].copy_from_slice(header.as_bytes());
    fs::write(file, bytes).unwrap();
    let file = file.with_extension("position");
    let mut bytes = fs::read(&file).unwrap();
    bytes[10..12].copy_from_slice(minor.as_bytes());
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_durable_stream_of_revision_0_goes_on_and_its_consumer_does_not_count() {
    assert_eq!(
        MINOR, 1,
        "of a file of this revision, too, something may be missing"
    );
    let ground = tempfile::tempdir().unwrap();
    let (file, directory) = (ground.path().join("stream"), ground.path().join("run"));
    let publish = || {
        crate::publish::<u64>("older")
            .directory(&directory)
            .sink_wait(WaitStrategy::park())
            .durable(&file)
            .buffer_size(4)
            .max_demand(4)
            .open()
            .unwrap()
    };
    let mut sink = publish();
    sink.put_slice(&[0, 1, 2]).unwrap();
    drop(sink);
    put_back(&file, 0);
    let mut sink = publish();
    let mut source = crate::subscribe::<u64>("older")
        .directory(&directory)
        .resumable("book")
        .initial_demand(4)
        .source_wait(WaitStrategy::park())
        .open()
        .unwrap();
    let producer = thread::spawn(move || {
        for number in 3..1000 {
            sink.put(number).unwrap();
        }
        sink
    });
    for number in 0..1000 {
        assert_eq!(source.next(), Some(number));
    }
    drop(producer.join().unwrap());
    let header = StreamHeader::read_from_prefix(&fs::read(&file).unwrap())
        .unwrap()
        .0;
    assert_eq!(header.minor, 0, "it is still readable by those who made it");
    let position = fs::read(file.with_extension("position")).unwrap();
    assert_eq!(position[CONSUMER_RINGS..][..4], [0; 4]);
}
