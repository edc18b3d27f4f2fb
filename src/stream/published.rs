//! A published stream's memory, and how it gets its name and its producer an endpoint.

use std::path::PathBuf;

use zerocopy::{FromZeros, IntoBytes};

use super::broadcast::history_for;
use super::buffer::Buffer;
use super::endpoint::{
    Audience, Crowd, CrowdWords, Entrance, ProducerEndpoint, ProducerLines, ProducerSettings,
};
use super::publish::sealed;
use super::settings::{MOST_ELEMENTS, usual_demand};
use crate::element::Schema;
use crate::memory::{MemoryOptions, SharedMemory};
use crate::primitive::Arc;
use crate::process::{
    Assembly, Cursor, DurableFiles, PositionFile, Publication, PublicationSettings, PublishError, SyncPoint,
    SystemError, durable_sum,
};
use crate::ring::block::{Area, Place};
use crate::ring::frame::area_for;
use crate::ring::page::{
    ATTENTION_MAGIC, AttentionHeader, AttentionPage, DURABLE, ENDIAN_MARK, INTENT, KIND_ELEMENTS,
    KIND_FRAMES, MAJOR, MINOR, PAGE, REACH, STREAM_MAGIC, StreamHeader, StreamPage,
};
use crate::ring::shape::{Measured, Shape};
use crate::ring::{FrameArea, FrameConsumer, FrameProducer, History, Lobby, OnNoConsumer, stamp_all};
use crate::wait::{Doorbell, Fence, Remote};

/// The memory of a stream, laid out, filled in and sealed, and what its producer needs to know of it.
pub(super) struct Stream {
    memory: Arc<SharedMemory>,
    pub(super) header: StreamHeader,
    schema: Vec<u8>,
    /// Where the producer begins, and what the consumer had released by then: of a durable stream, where they stopped.
    pub(super) begin: Cursor,
    released: Cursor,
    /// Of a durable stream: its path, and its consumer's position.
    file: Option<(PathBuf, PositionFile)>,
}

/// What fills the area.
pub(super) enum Content {
    Blocks(Measured, Schema),
    Frames { longest: usize },
}

/// The header of a stream, its schema encoded, and the bytes of its memory.
struct Layout {
    header: StreamHeader,
    schema: Vec<u8>,
    len: usize,
}

impl Layout {
    fn of(settings: &sealed::Publish, content: &Content) -> Result<Self, PublishError> {
        let name = &settings.name;
        // Before any memory is asked for, which is named after the stream.
        crate::process::check_name(name)?;
        if settings.sink.buffer == Buffer::Unbounded {
            return Err(PublishError::UnboundedNotShareable { name: name.clone() });
        }
        let (size, schema) = match content {
            Content::Blocks(shape, schema) => (shape.stride / shape.per, schema.encode()),
            Content::Frames { longest } => (*longest, Vec::new()),
        };
        let max_demand = settings.max_demand.unwrap_or_else(|| usual_demand(size));
        let span = settings.sink.buffer.bound().saturating_add(max_demand);
        let (consumers, history) = match settings.audience {
            sealed::Audience {
                consumers: None,
                history: None,
                absence: None,
            } => (0, 0),
            sealed::Audience {
                consumers,
                history,
                absence,
            } => match consumers {
                None | Some(0) => return Err(PublishError::NoConsumers { name: name.clone() }),
                Some(most) => {
                    let absence = absence.unwrap_or_default();
                    (most as u64, history_for(history, span, absence))
                }
            },
        };
        let elements = span.saturating_add(history);
        let too_large = || PublishError::TooLarge {
            name: name.clone(),
            elements,
            most: MOST_ELEMENTS,
        };
        if elements > MOST_ELEMENTS || elements == 0 {
            return Err(too_large());
        }
        let capacity = usize::try_from(elements).map_err(|_| too_large())?;
        let (blocks, area_len) = match content {
            Content::Blocks(shape, _) => {
                let blocks = shape.blocks(capacity).ok_or_else(too_large)?;
                (blocks, blocks.checked_mul(shape.stride).ok_or_else(too_large)?)
            }
            Content::Frames { longest } => (0, area_for(capacity, *longest).ok_or_else(too_large)?),
        };
        let area_offset = PAGE + schema.len().next_multiple_of(PAGE);
        let len = area_offset.checked_add(area_len).ok_or_else(too_large)?;
        let schema_len = u32::try_from(schema.len()).map_err(|_| too_large())?;
        let mut header = StreamHeader {
            magic: STREAM_MAGIC,
            major: MAJOR,
            minor: MINOR,
            header_len: size_of::<StreamHeader>() as u32,
            kind: KIND_FRAMES,
            endian: ENDIAN_MARK,
            element_size: 0,
            element_align: 1,
            per_block: 0,
            first: 8,
            stride: 0,
            blocks: 0,
            area_offset: area_offset as u64,
            area_len: area_len as u64,
            buffer_size: settings.sink.buffer.bound(),
            max_demand,
            base: settings.sink.start,
            max_frame: 0,
            epoch: epoch(),
            reserved0: 0,
            fingerprint: [0; 16],
            schema_offset: if schema_len == 0 { 0 } else { PAGE as u32 },
            schema_len,
            consumers,
            history,
            flags: 0,
            checksum: 0,
            reserved: [0; 10],
        };
        match content {
            Content::Frames { longest } => header.max_frame = *longest as u64,
            Content::Blocks(shape, schema) => {
                let narrow = |value: usize| u32::try_from(value).map_err(|_| too_large());
                header.kind = KIND_ELEMENTS;
                header.element_size = narrow(shape.size)?;
                header.element_align = narrow(schema.align())?;
                header.per_block = narrow(shape.per)?;
                header.first = narrow(shape.first)?;
                header.stride = shape.stride as u64;
                header.blocks = blocks as u64;
                header.fingerprint = schema.fingerprint().to_bytes();
            }
        }
        Ok(Self { header, schema, len })
    }

    /// Writes what a stream begins with into its memory, which is all zeroes.
    fn fill(&self, memory: &SharedMemory) {
        let header = &self.header;
        if header.kind == KIND_ELEMENTS && header.base != 0 {
            // What was just laid out fits.
            let area = memory.as_ptr().wrapping_add(header.area_offset as usize);
            stamp_all(area, header.blocks as usize, header.shape(), header.base);
        }
        let reach = if header.consumers == 0 { 0 } else { header.base };
        let written = memory.copy_in(0, header.as_bytes())
            && memory.copy_in(PAGE, &self.schema)
            && memory.store(REACH, reach)
            && memory.store(INTENT, reach);
        debug_assert!(written, "the memory has room for its header and schema");
    }
}

impl Stream {
    pub(super) fn create(settings: &sealed::Publish, content: &Content) -> Result<Self, PublishError> {
        let mut layout = Layout::of(settings, content)?;
        let options = MemoryOptions {
            prefault: settings.prefault,
            huge_pages: settings.huge_pages,
        };
        let Some(path) = &settings.durable else {
            let memory = SharedMemory::create(&settings.name, layout.len, options)?;
            layout.fill(&memory);
            memory.seal_for_writer_only()?;
            let Layout { header, schema, .. } = layout;
            let begin = Cursor {
                position: header.base,
                byte: 0,
            };
            return Ok(Self {
                memory: Arc::new(memory),
                header,
                schema,
                begin,
                released: begin,
                file: None,
            });
        };
        if layout.header.consumers != 0 {
            return Err(PublishError::DurableForOne {
                name: settings.name.clone(),
            });
        }
        layout.header.flags = DURABLE;
        layout.header.checksum = durable_sum(&layout.header, &layout.schema);
        // Where it is does not change with the directory in which the process works.
        let path = &std::path::absolute(path)
            .map_err(|error| SystemError::of_process("looking for the working directory", error))?;
        let recover = settings.recover_synced;
        let files = DurableFiles::open(path, &layout.header, &layout.schema, recover, || {
            let memory = SharedMemory::create_file(path, layout.len, options)?;
            layout.fill(&memory);
            Ok(memory)
        })?;
        Ok(Self {
            memory: Arc::new(files.memory),
            header: files.header,
            schema: layout.schema,
            begin: files.published,
            released: files.released,
            file: Some((path.clone(), files.position)),
        })
    }

    pub(super) fn area(&self) -> *mut u8 {
        // The offset was computed as a usize.
        self.memory
            .as_ptr()
            .wrapping_add(self.header.area_offset as usize)
    }

    /// Gives the stream its name, and its producer an endpoint.
    pub(super) fn open(&self, settings: sealed::Publish) -> Result<Box<ProducerEndpoint>, PublishError> {
        let membarrier = Fence::register_machine();
        let absence = settings.audience.absence.unwrap_or_default();
        let assembly = self.assemble(absence)?;
        let publication = Publication::open(PublicationSettings {
            dir: settings.directory,
            name: settings.name,
            group: settings.group,
            header: self.header,
            schema: self.schema.clone(),
            memory: self.memory.clone(),
            membarrier,
            assembly: assembly.clone(),
            position: self.file.as_ref().map(|(_, position)| position.clone()),
        })?;
        let notice = publication.notice().clone();
        let bell = notice
            .bell()
            .try_clone_to_owned()
            .map_err(|error| SystemError::of_process("copying a bell", error))?;
        let page = self.memory.as_ptr().cast::<StreamPage>();
        // SAFETY: the memory begins with the stream page; no reference is made to it.
        let (waiting, end) = unsafe { (&raw const (*page).waiting, &raw const (*page).end) };
        // SAFETY: the endpoint keeps the memory and the notice, to which the lines belong.
        let mut endpoint = unsafe {
            ProducerEndpoint::new(ProducerSettings {
                lines: ProducerLines {
                    waiting,
                    end,
                    notice: notice.word(),
                },
                base: self.released.position,
                buffer: self.header.buffer_size,
                complete_on_drop: settings.sink.complete_on_drop,
                strategy: settings.sink.strategy,
                fence: if membarrier { Fence::Machine } else { Fence::Full },
                bell: Doorbell::Remote(Remote::new(bell)),
                audience: Audience::Published(publication, self.memory.huge_pages()),
                ledger: None,
                keep: Box::new((self.memory.clone(), notice, assembly.clone())),
            })
        };
        if let Some((path, position)) = &self.file {
            let (memory, schema) = (self.memory.clone(), self.schema.clone());
            // SAFETY: the memory was laid out by this header, or checked against it; the endpoint's owner is its producer.
            let point =
                unsafe { SyncPoint::new(path.clone(), memory, self.header, schema, position.clone()) };
            endpoint.set_durable(point);
        }
        if let Some(Assembly { lobby, attention, .. }) = assembly {
            let attention = attention.as_ptr().cast::<AttentionPage>();
            // SAFETY: the memories begin with these pages; no reference is made to them.
            let words = unsafe {
                CrowdWords {
                    reach: &raw const (*page).reach,
                    attention: &raw const (*attention).attention.word,
                    evicted: Some(&raw const (*page).evicted),
                }
            };
            let span = self.capacity() as u64;
            let (entrance, fence) = (Entrance::Published(lobby), Fence::within_process());
            // SAFETY: the endpoint keeps both memories, to which the words belong.
            endpoint
                .set_crowd(unsafe { Crowd::new(entrance, words, self.header.base, span, absence, fence) });
        }
        Ok(Box::new(endpoint))
    }

    /// What several consumers share, if the stream is for several.
    fn assemble(&self, absence: OnNoConsumer) -> Result<Option<Assembly>, PublishError> {
        let header = &self.header;
        if header.consumers == 0 {
            return Ok(None);
        }
        let attention = SharedMemory::create("millstream-attention", PAGE, MemoryOptions::default())?;
        let attention_header = AttentionHeader {
            magic: ATTENTION_MAGIC,
            major: MAJOR,
            minor: MINOR,
            header_len: size_of::<AttentionHeader>() as u32,
            epoch: header.epoch,
            ..AttentionHeader::new_zeroed()
        };
        // It lies within the page.
        attention.copy_in(0, attention_header.as_bytes());
        attention.seal_size()?;
        let shape = header.shape();
        let page = self.memory.as_ptr().cast::<StreamPage>();
        // SAFETY: the memory begins with the stream page, of which no reference is made; so many blocks of this shape lie in
        // it, and whoever is given an assembly has the memory.
        let history = unsafe {
            let area = Area::new(self.area(), header.blocks as usize, shape, header.base);
            History::new(area, shape, header.base, &raw const (*page).reach)
        };
        let most = usize::try_from(header.consumers).unwrap_or(usize::MAX);
        Ok(Some(Assembly {
            lobby: Arc::new(Lobby::new(most, header.base, absence)),
            history,
            attention: Arc::new(attention),
        }))
    }

    /// Elements that the producer may be ahead of a consumer.
    pub(super) fn capacity(&self) -> usize {
        // Checked when the stream was made.
        (self.header.buffer_size + self.header.max_demand) as usize
    }

    /// Where the producer's first element goes.
    pub(super) fn place(&self, shape: impl Shape) -> Place {
        let (base, position) = (self.header.base, self.begin.position);
        // SAFETY: the area has as many blocks of this shape, aligned to a page, and the endpoint keeps the memory.
        let area = unsafe { Area::new(self.area(), self.header.blocks as usize, shape, base) };
        area.place(shape, position.wrapping_sub(base), position)
    }

    /// A producer of frames, behind those that the stream holds.
    pub(super) fn frame_producer(&self, endpoint: &ProducerEndpoint) -> FrameProducer {
        let (longest, Cursor { position, byte }) = (self.header.max_frame as usize, self.begin);
        // SAFETY: the area is as long as the header says, and kept by the endpoint; this is its only producer. Before `begin`
        // lies what was published, and behind it a cleared header.
        unsafe {
            let area = FrameArea::new(self.area(), self.header.area_len as usize);
            let last = FrameConsumer::new(area, longest, position, byte);
            FrameProducer::resume(last, self.released.byte, endpoint.watch())
        }
    }
}

/// A number that tells one incarnation of a name from the next: random keys of the standard library's hasher.
fn epoch() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id()).max(1)
}
