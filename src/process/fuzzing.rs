//! What a stranger sends and shares, for fuzz targets: it is decoded and checked, and nothing comes of it.

#![forbid(unsafe_code)]

use zerocopy::{FromBytes, IntoBytes};

use super::durable::sum;
use super::geometry;
use super::wire::{Message, Welcome};
use crate::element::Schema;
use crate::memory::{MemoryOptions, SharedMemory};
use crate::ring::page::{PAGE, StreamHeader};

/// Decodes a packet. One that is a message encodes to a packet that is the same message.
pub(crate) fn message(packet: &[u8]) {
    if let Ok(message) = Message::decode(packet) {
        assert_eq!(Message::decode(&message.encode()), Ok(message));
    }
}

/// Makes the sum in the header of a durable stream's file right again.
pub(crate) fn seal(file: &mut [u8]) {
    let Ok((mut header, _)) = StreamHeader::read_from_prefix(file) else {
        return;
    };
    let begin = header.schema_offset as usize;
    let schema = file.get(begin..begin.saturating_add(header.schema_len as usize));
    header.checksum = sum(&header, schema.unwrap_or_default());
    let bytes = header.as_bytes();
    file[..bytes.len()].copy_from_slice(bytes);
}

/// Makes the length and the sum in the head of a snapshot right again.
pub(crate) fn seal_snapshot(snapshot: &mut [u8]) {
    super::durable::seal_snapshot(snapshot);
}

/// Shared memory that shows whatever it is given, byte for byte.
#[derive(Debug)]
pub(crate) struct Pages(SharedMemory);

impl Pages {
    pub(crate) const LEN: usize = 3 * PAGE;

    pub(crate) fn new() -> Option<Self> {
        let memory = SharedMemory::create("fuzzing", Self::LEN, MemoryOptions::default());
        memory.ok().map(Self)
    }

    /// Checks `image` as the pages of a stream, of a consumer's credit and of attention.
    pub(crate) fn check(&self, image: &[u8]) {
        let mut whole = image.to_vec();
        whole.resize(Self::LEN, 0);
        assert!(self.0.copy_in(0, &whole));
        let Ok((header, schema)) = geometry::stream(&self.0) else {
            return;
        };
        assert!(header.area_offset + header.area_len <= Self::LEN as u64);
        let _ = Schema::decode(&schema);
        let word = |at| self.0.load(at).unwrap_or(0);
        let welcome = Welcome {
            pid: 1,
            membarrier: false,
            durable: false,
            memory_len: Self::LEN as u64,
            epoch: header.epoch,
            start: word(24),
            start_byte: word(32),
            window: word(40),
            consumer: None,
            consumers: 0,
        };
        // The second page is where an image has its credit or attention page.
        let second = self.0.copy_out(PAGE, PAGE).unwrap_or_default();
        assert!(self.0.copy_in(0, &second));
        let _ = geometry::credit(&self.0, &header, &welcome);
        let _ = geometry::attention(&self.0, &header);
    }
}
