//! Streams between processes, the producer's side: `publish`.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use super::frame_sink::{self, FrameSink};
use super::published::{Content, Stream};
use super::settings::{SinkSettings, frame_setters, sink_setters};
use super::sink::SinkRef;
use crate::element::{Element, Schema};
use crate::process::PublishError;
use crate::ring::frame::LONGEST;
use crate::ring::shape::{Fixed, Measured};
use crate::ring::{OnNoConsumer, Producer};

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
#[diagnostic::on_unimplemented(
    message = "`{Self}` may not travel between processes: it is neither an `Element` nor `[u8]`",
    note = "put `#[millstream::element]` on a struct of fixed-width numbers and arrays of them"
)]
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
    use super::{OnNoConsumer, PathBuf, Schema, SinkSettings};

    /// Named nowhere outside of this crate, so that nobody else can implement the trait.
    #[derive(Debug)]
    #[allow(unreachable_pub, reason = "an argument of a public trait's method")]
    pub struct Publish {
        pub(crate) name: String,
        pub(crate) sink: SinkSettings,
        pub(crate) max_demand: Option<u64>,
        pub(crate) directory: Option<PathBuf>,
        pub(crate) group: Option<u32>,
        pub(crate) prefault: bool,
        pub(crate) huge_pages: bool,
        pub(crate) schema: Option<Schema>,
        pub(crate) durable: Option<PathBuf>,
        pub(crate) recover_synced: bool,
        pub(crate) audience: Audience,
    }

    /// Whom the stream is for.
    #[derive(Clone, Copy, Debug, Default)]
    #[allow(unreachable_pub, reason = "part of an argument of a public trait's method")]
    pub struct Audience {
        pub(crate) consumers: Option<usize>,
        pub(crate) history: Option<u64>,
        pub(crate) absence: Option<OnNoConsumer>,
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
        group: None,
        prefault: false,
        huge_pages: false,
        schema: None,
        durable: None,
        recover_synced: false,
        audience: sealed::Audience::default(),
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
    group: Option<u32>,
    prefault: bool,
    huge_pages: bool,
    schema: Option<Schema>,
    durable: Option<PathBuf>,
    recover_synced: bool,
    audience: sealed::Audience,
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

    /// Lets members of the group with this number subscribe and observe, besides the user of this process. Default: nobody else.
    ///
    /// It counts who is in the group, as its own or as one of its others, when it connects; everybody else is refused. Such a
    /// process can read the stream, and write nothing but the page of its own credit. It has to trust this user in turn:
    /// [`SubscribeBuilder::from_user`](crate::SubscribeBuilder::from_user).
    ///
    /// The runtime directory is one for the group: it belongs to this user, has that group, and mode 0750. An empty one, or
    /// one that is made now, is given to the group; any other is refused, so that no stream of a private directory comes to be
    /// seen. A durable stream is for this user alone, since a file has no seals: others refuse its memory. All streams in it say
    /// `group`, and the [`directory`](Self::directory) is best said, too: the default one lies,
    /// as a rule, where no other user comes to.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// # let (user, group) = { use std::os::unix::fs::MetadataExt; let own = dir.path().metadata()?; (own.uid(), own.gid()) };
    /// let mut sink = millstream::publish::<u64>("ticks").group(group).directory(path).open()?;
    /// let mut source = millstream::subscribe::<u64>("ticks").from_user(user).directory(path).open()?;
    /// sink.put(7)?;
    /// assert_eq!(source.next(), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn group(mut self, group: u32) -> Self {
        self.group = Some(group);
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

    /// Keeps the stream in the file `path`, which stays when both processes are gone, however they go. Whoever publishes with
    /// this file again goes on at the position after the last element put, and the consumer where it had released; `position`
    /// then says where that is. Beside it lies a second file, `path.position`, with the consumer's position.
    ///
    /// The stream has one consumer, whose position is kept under the name by which it is [resumable]. That one does not end
    /// the stream by cancelling it: it leaves, and comes back. An end that the producer said is taken back when the file is
    /// opened again. Puts are as fast as ever: they write the page cache, and nothing waits for the disk. So `kill -9` of both
    /// sides loses nothing, but the machine's own end loses what had not reached the disk: after it the file is refused.
    /// [`sync`](SinkRef::sync) has the disk keep what was put, and [`recover_synced`](Self::recover_synced) goes back to that.
    ///
    /// Nothing keeps a file from being shortened by a process of this user: who truncates it under a running stream ends
    /// both sides by SIGBUS.
    ///
    /// The file is deleted by nobody but the user.
    ///
    /// [resumable]: crate::SubscribeBuilder::resumable
    ///
    /// ```
    /// use std::time::Duration;
    /// # let dir = tempfile::tempdir()?;
    /// # let (run, file) = (&dir.path().join("run"), &dir.path().join("orders"));
    /// let publish = || millstream::publish::<u64>("orders").durable(file).directory(run).open();
    /// let mut sink = publish()?;
    /// sink.put_slice(&[1, 2, 3])?;
    /// drop(sink); // as if killed
    ///
    /// let mut sink = publish()?;
    /// assert_eq!(sink.position(), 3);
    /// sink.put(4)?;
    /// let mut source = millstream::subscribe::<u64>("orders").resumable("book").directory(run).open()?;
    /// assert_eq!(source.next(), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn durable(mut self, path: impl Into<PathBuf>) -> Self {
        self.durable = Some(path.into());
        self
    }

    /// If the machine has been restarted since the [durable](Self::durable) file was written, goes back to the last
    /// [`sync`](SinkRef::sync) rather than be refused as [`OtherBoot`](crate::DurableError::OtherBoot). Of a file that this run
    /// of the machine wrote, and of a stream that is not durable, it changes nothing.
    ///
    /// What was put after that sync is lost: `position` says where to put again from. What the consumer released or
    /// committed after it comes again, and a state committed after it is the one before, so state and position agree as ever;
    /// but what the consumer did outside of its state for those elements happens a second time.
    ///
    /// The stream is made anew from the snapshot. The files as they were found are not deleted: they stay as
    /// `path.before-recovery` and `path.before-recovery.position` (then `.before-recovery.1`, and so on). They are the user's to
    /// delete. Whoever is killed meanwhile begins again.
    ///
    /// [`open`](Self::open) is refused with `Synced` when there is no snapshot, or one of another stream, and with
    /// what was found when it is damaged.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let (run, file) = (&dir.path().join("run"), &dir.path().join("orders"));
    /// let publish = || millstream::publish::<u64>("orders").durable(file).recover_synced().directory(run).open();
    /// let mut sink = publish()?;
    /// sink.put_slice(&[1, 2, 3])?;
    /// sink.sync()?;
    /// sink.put(4)?;
    /// drop(sink);
    /// # std::os::unix::fs::FileExt::write_all_at(&std::fs::OpenOptions::new().write(true).open(file)?, &[7; 16], 2944)?;
    /// // Here the power fails.
    /// let sink = publish()?;
    /// assert_eq!(sink.position(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recover_synced(mut self) -> Self {
        self.recover_synced = true;
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
            group: self.group,
            prefault: self.prefault,
            huge_pages: self.huge_pages,
            schema: self.schema,
            durable: self.durable,
            recover_synced: self.recover_synced,
            audience: self.audience,
        })
    }
}

/// One producer, many consumers, one copy of the data: for streams of elements, not of frames.
impl<T: Element> PublishBuilder<T> {
    /// Publishes for up to `most` consumers at a time, in this process and others, instead of for one: a broadcast. Each of them
    /// [subscribes](crate::subscribe) as to any stream, has a position and credit of its own, and gets every element that is
    /// put after it joined. Consumers join and leave while the stream runs; the slowest of them paces the producer. One that
    /// leaves, panics or is killed holds nobody up.
    ///
    /// Until the first one comes the producer waits, unless [`on_no_consumer`](Self::on_no_consumer) says otherwise.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let mut sink = millstream::publish::<u64>("ticks").consumers(64).directory(path).open()?;
    /// let subscribe = || millstream::subscribe::<u64>("ticks").directory(path).open();
    /// let (mut one, mut other) = (subscribe()?, subscribe()?);
    /// sink.put(7)?;
    /// assert_eq!((one.next(), other.next()), (Some(7), Some(7)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Frames are for one consumer:
    ///
    /// ```compile_fail
    /// millstream::publish::<[u8]>("lines").consumers(64);
    /// ```
    pub fn consumers(mut self, most: usize) -> Self {
        self.audience.consumers = Some(most);
        self
    }

    /// As [`consumers`](Self::consumers), unless their number was said.
    pub(super) fn for_several(mut self, most: usize) -> Self {
        self.audience.consumers.get_or_insert(most);
        self
    }

    /// Elements that the ring goes on holding after every consumer has released them, for those who join
    /// [at a position](crate::SubscribeBuilder::from) behind. For a stream with [`consumers`](Self::consumers). Default: as many as
    /// the buffer and the largest window together.
    ///
    /// ```
    /// use millstream::{JoinPosition, OnNoConsumer};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let builder = millstream::publish::<u64>("ticks").consumers(2).history(100);
    /// let mut sink = builder.on_no_consumer(OnNoConsumer::Drop).directory(path).open()?;
    /// for i in 0..10_000 {
    ///     sink.put(i)?;
    /// }
    /// let late = millstream::subscribe::<u64>("ticks").from(JoinPosition::Oldest).directory(path).open()?;
    /// assert!(late.position() <= 10_000 - 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn history(mut self, elements: u64) -> Self {
        self.audience.history = Some(elements);
        self
    }

    /// What happens while nobody is subscribed. For a stream with [`consumers`](Self::consumers). Default: the producer waits.
    ///
    /// ```
    /// use millstream::OnNoConsumer;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = &dir.path().join("run");
    /// let builder = millstream::publish::<u64>("ticks").consumers(2).on_no_consumer(OnNoConsumer::KeepLatest);
    /// let mut sink = builder.directory(path).open()?;
    /// sink.put_slice(&[1, 2, 3])?;
    /// let mut late = millstream::subscribe::<u64>("ticks").directory(path).open()?;
    /// assert_eq!(late.next(), Some(3));
    /// assert_eq!(sink.unheard(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_no_consumer(mut self, absence: OnNoConsumer) -> Self {
        self.audience.absence = Some(absence);
        self
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
    let start = stream.begin.position;
    let endpoint = stream.open(settings)?;
    // SAFETY: the place is that of the first position; this is the stream's only producer, and keeps it by its endpoint.
    let ring = unsafe {
        Producer::new(
            Fixed::new(),
            stream.place(Fixed::<T>::new()),
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
    if let Some(schema) = settings.schema.take() {
        let shape = shape_of(&schema, &settings.name)?;
        let stream = Stream::create(&settings, &Content::Blocks(shape, schema.clone()))?;
        let (start, endpoint) = (stream.begin.position, stream.open(settings)?);
        // SAFETY: as in `publish_elements`.
        let ring = unsafe { Producer::new(shape, stream.place(shape), start, endpoint.watch()) };
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
    let ring = stream.frame_producer(&endpoint);
    Ok(FrameSink {
        lane: frame_sink::Lane::Frames(ring),
        endpoint,
        schema: None,
    })
}
