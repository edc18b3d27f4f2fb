//! Streams between processes, the producer's side: `publish`.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use zerocopy::IntoBytes;

use super::buffer::Buffer;
use super::endpoint::{Audience, ProducerEndpoint, ProducerLines, ProducerSettings};
use super::frame_sink::{self, FrameSink};
use super::settings::{MOST_ELEMENTS, SinkSettings, frame_setters, sink_setters};
use super::sink::SinkRef;
use crate::element::{Element, Schema};
use crate::memory::{MemoryOptions, SharedMemory};
use crate::primitive::Arc;
use crate::process::{Publication, PublicationSettings, PublishError, SystemError};
use crate::ring::block::{Area, Fixed, Measured, Place, Shape};
use crate::ring::frame::{LONGEST, area_for};
use crate::ring::page::{
    ENDIAN_MARK, KIND_ELEMENTS, KIND_FRAMES, MAJOR, MINOR, PAGE, STREAM_MAGIC, StreamHeader, StreamPage,
};
use crate::ring::{FrameArea, FrameProducer, Producer, stamp_all};
use crate::wait::{Doorbell, Fence, Remote};

/// What a stream between processes can carry: any [`Element`](trait@Element), or frames of bytes (`[u8]`).
///
/// ```
/// fn handles<P: millstream::Travel + ?Sized>() {}
/// handles::<u64>();
/// handles::<[u8]>();
/// ```
///
/// What must not travel does not compile:
///
/// ```compile_fail
/// millstream::publish::<String>("names");
/// ```
pub trait Travel: 'static {
    /// The producer's handle.
    type Sink;
    /// The consumer's handle.
    type Source;

    #[doc(hidden)]
    fn publish(settings: sealed::Publish) -> Result<Self::Sink, PublishError>;

    #[doc(hidden)]
    fn subscribe(
        settings: super::subscribe::sealed::Subscribe,
    ) -> Result<Self::Source, super::SubscribeError>;
}

pub(super) mod sealed {
    use super::{PathBuf, Schema, SinkSettings};

    /// Named nowhere outside of this crate, so that nobody else can implement the trait.
    #[derive(Debug)]
    #[allow(unreachable_pub, reason = "an argument of a public trait's method")]
    pub struct Publish {
        pub(crate) name: String,
        pub(crate) sink: SinkSettings,
        pub(crate) max_demand: Option<u64>,
        pub(crate) directory: Option<PathBuf>,
        pub(crate) prefault: bool,
        pub(crate) huge_pages: bool,
        pub(crate) schema: Option<Schema>,
    }
}

/// Begins a stream of `T` under `name`, for a consumer in another process (or in this one); of frames for `[u8]`.
///
/// Elements put before a consumer comes wait for it. One producer publishes a name at a time; when its process ends,
/// however it ends, the name is free.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = &dir.path().join("run");
/// let mut sink = millstream::publish::<u64>("ticks").directory(path).open()?;
/// sink.put(7)?;
///
/// let mut source = millstream::subscribe::<u64>("ticks").directory(path).open()?;
/// assert_eq!(source.next(), Some(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn publish<P: Travel + ?Sized>(name: impl Into<String>) -> PublishBuilder<P> {
    PublishBuilder {
        sink: SinkSettings::default(),
        name: name.into(),
        max_demand: None,
        directory: None,
        prefault: false,
        huge_pages: false,
        schema: None,
        payload: PhantomData,
    }
}

/// Settings of a published stream; see [`publish`].
#[must_use]
pub struct PublishBuilder<P: ?Sized> {
    sink: SinkSettings,
    name: String,
    max_demand: Option<u64>,
    directory: Option<PathBuf>,
    prefault: bool,
    huge_pages: bool,
    schema: Option<Schema>,
    payload: PhantomData<fn(&P)>,
}

impl<P: ?Sized> fmt::Debug for PublishBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishBuilder")
            .field("name", &self.name)
            .field("sink", &self.sink)
            .finish_non_exhaustive()
    }
}

impl<P: Travel + ?Sized> PublishBuilder<P> {
    sink_setters!();
    frame_setters!();

    /// The largest window that a consumer may ask for. Memory for it is reserved now. Default: as many elements as a
    /// mebibyte holds, between 16 and 1,024.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let sink = millstream::publish::<u64>("deep").max_demand(65_536).directory(dir.path().join("run")).open()?;
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_demand(mut self, elements: u64) -> Self {
        self.max_demand = Some(elements);
        self
    }

    /// The runtime directory, in which names stand. Default: `$MILLSTREAM_DIR`, else `$XDG_RUNTIME_DIR/millstream`,
    /// else `millstream-UID` in the temporary directory. It must belong to this user and be closed to others.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let sink = millstream::publish::<u64>("ticks").directory(dir.path().join("run")).open()?;
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// Touches every page of the memory now, so that no put meets a page fault.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let sink = millstream::publish::<u64>("warm").prefault().directory(dir.path().join("run")).open()?;
    /// # drop(sink);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prefault(mut self) -> Self {
        self.prefault = true;
        self
    }

    /// Asks the kernel for huge pages. Whether it gave any, [`SinkRef::huge_pages`] says.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// let sink = millstream::publish::<u64>("huge").huge_pages().directory(dir.path().join("run")).open()?;
    /// println!("{:?}", sink.huge_pages());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn huge_pages(mut self) -> Self {
        self.huge_pages = true;
        self
    }

    /// Publishes the stream.
    ///
    /// # Errors
    /// See [`PublishError`]. Nothing is left behind.
    ///
    /// ```
    /// use millstream::PublishError;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let first = millstream::publish::<u64>("ticks").directory(path).open()?;
    /// let second = millstream::publish::<u64>("ticks").directory(path).open();
    /// assert!(matches!(second, Err(PublishError::NameTaken { .. })));
    /// # drop(first);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(self) -> Result<P::Sink, PublishError> {
        P::publish(sealed::Publish {
            name: self.name,
            sink: self.sink,
            max_demand: self.max_demand,
            directory: self.directory,
            prefault: self.prefault,
            huge_pages: self.huge_pages,
            schema: self.schema,
        })
    }
}

impl PublishBuilder<[u8]> {
    /// Publishes elements of a type that this program knows by its schema alone: every frame is one element.
    ///
    /// ```
    /// use millstream::{Element, Schema};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let mut sink = millstream::publish::<[u8]>("n").schema(u64::schema()).directory(path).open()?;
    /// sink.put(&7u64.to_le_bytes())?;
    /// let mut source = millstream::subscribe::<u64>("n").directory(path).open()?;
    /// assert_eq!(source.next(), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn schema(mut self, schema: Schema) -> Self {
        self.schema = Some(schema);
        self
    }
}

/// The memory of a stream, laid out, filled in and sealed, and what its producer needs to know of it.
struct Stream {
    memory: Arc<SharedMemory>,
    header: StreamHeader,
    schema: Vec<u8>,
}

/// What fills the area.
enum Content {
    Blocks(Measured, Schema),
    Frames { longest: usize },
}

impl Stream {
    fn create(settings: &sealed::Publish, content: &Content) -> Result<Self, PublishError> {
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
        let max_demand = settings
            .max_demand
            .unwrap_or_else(|| ((1 << 20) / size.max(1) as u64).clamp(16, 1024));
        let elements = settings.sink.buffer.bound().saturating_add(max_demand);
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
            reserved: [0; 14],
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
        let options = MemoryOptions {
            prefault: settings.prefault,
            huge_pages: settings.huge_pages,
        };
        let memory = SharedMemory::create(name, len, options)?;
        if let Content::Blocks(shape, _) = content
            && settings.sink.start != 0
        {
            stamp_all(
                memory.as_ptr().wrapping_add(area_offset),
                blocks,
                *shape,
                settings.sink.start,
            );
        }
        let written = memory.copy_in(0, header.as_bytes()) && memory.copy_in(PAGE, &schema);
        debug_assert!(written, "the memory has room for its header and schema");
        memory.seal_for_writer_only()?;
        Ok(Self {
            memory: Arc::new(memory),
            header,
            schema,
        })
    }

    fn area(&self) -> *mut u8 {
        // The offset was computed as a usize.
        self.memory
            .as_ptr()
            .wrapping_add(self.header.area_offset as usize)
    }

    /// Gives the stream its name, and its producer an endpoint.
    fn open(&self, settings: sealed::Publish) -> Result<Box<ProducerEndpoint>, PublishError> {
        let membarrier = Fence::register_machine();
        let publication = Publication::open(PublicationSettings {
            dir: settings.directory,
            name: settings.name,
            header: self.header,
            schema: self.schema.clone(),
            memory: self.memory.clone(),
            membarrier,
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
        let endpoint = unsafe {
            ProducerEndpoint::new(ProducerSettings {
                lines: ProducerLines {
                    waiting,
                    end,
                    notice: notice.word(),
                },
                base: self.header.base,
                buffer: self.header.buffer_size,
                complete_on_drop: settings.sink.complete_on_drop,
                strategy: settings.sink.strategy,
                fence: if membarrier { Fence::Machine } else { Fence::Full },
                bell: Doorbell::Remote(Remote::new(bell, None)),
                audience: Audience::Published(publication, self.memory.huge_pages()),
                ledger: None,
                keep: Box::new((self.memory.clone(), notice)),
            })
        };
        Ok(Box::new(endpoint))
    }

    /// Elements that the ring holds.
    fn capacity(&self) -> usize {
        // Checked when the stream was made.
        (self.header.buffer_size + self.header.max_demand) as usize
    }

    fn first(&self, shape: impl Shape) -> Place {
        // SAFETY: the area has as many blocks of this shape, aligned to a page, and the endpoint keeps the memory.
        let area = unsafe { Area::new(self.area(), self.header.blocks as usize, shape, self.header.base) };
        area.place(shape, 0, self.header.base)
    }
}

/// A number that tells one incarnation of a name from the next: random keys of the standard library's hasher.
fn epoch() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id()).max(1)
}

/// The shape of blocks of a type known by its schema.
fn shape_of(schema: &Schema, name: &str) -> Result<Measured, PublishError> {
    Measured::of(schema.size(), schema.align()).ok_or_else(|| PublishError::TooLarge {
        name: name.into(),
        elements: 1,
        most: 0,
    })
}

pub(super) fn publish_elements<T: Element>(settings: sealed::Publish) -> Result<SinkRef<T>, PublishError> {
    let stream = Stream::create(&settings, &Content::Blocks(Fixed::<T>::measured(), T::schema()))?;
    let start = settings.sink.start;
    let endpoint = stream.open(settings)?;
    // SAFETY: the place is that of the first position; this is the stream's only producer, and keeps it by its endpoint.
    let ring = unsafe {
        Producer::new(
            Fixed::new(),
            stream.first(Fixed::<T>::new()),
            start,
            endpoint.watch(),
        )
    };
    Ok(SinkRef {
        ring,
        endpoint,
        capacity: stream.capacity(),
    })
}

pub(super) fn publish_frames(mut settings: sealed::Publish) -> Result<FrameSink, PublishError> {
    let start = settings.sink.start;
    if let Some(schema) = settings.schema.take() {
        let shape = shape_of(&schema, &settings.name)?;
        let stream = Stream::create(&settings, &Content::Blocks(shape, schema.clone()))?;
        let endpoint = stream.open(settings)?;
        // SAFETY: as in `publish_elements`.
        let ring = unsafe { Producer::new(shape, stream.first(shape), start, endpoint.watch()) };
        return Ok(FrameSink {
            lane: frame_sink::Lane::Records(ring),
            endpoint,
            schema: Some(schema),
        });
    }
    let longest = settings.sink.max_frame;
    if longest > LONGEST {
        return Err(PublishError::FrameTooLong {
            name: settings.name,
            asked: longest,
            most: LONGEST,
        });
    }
    let stream = Stream::create(&settings, &Content::Frames { longest })?;
    let endpoint = stream.open(settings)?;
    // SAFETY: the area is zeroed, as long as the header says, and kept by the endpoint; this is its only producer.
    let ring = unsafe {
        let area = FrameArea::new(stream.area(), stream.header.area_len as usize);
        FrameProducer::new(area, longest, start, endpoint.watch())
    };
    Ok(FrameSink {
        lane: frame_sink::Lane::Frames(ring),
        endpoint,
        schema: None,
    })
}
