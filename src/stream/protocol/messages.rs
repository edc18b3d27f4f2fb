//! What producers and consumers tell each other, and what they are asked.

use std::fmt;
use std::num::NonZeroU64;

use super::link::{Linked, Reached};
use crate::actor::{ActorPath, ActorRef, AskError, Recipient, ReplyTo, Terminated};
use crate::stream::{SinkRef, SourceRef, StreamFault, TryPutError};

/// Asks a producer for a sink: `system.ask(&producer, GetSink::new, deadline)`.
///
/// Each one asked for is a sink of its own, with a buffer of the producer's size. What one puts stays in order; the source
/// takes from all of them in turn. The stream is complete when all that were asked for have completed: where more are to come, say
/// how many by [`StreamProducer::sinks`](crate::StreamProducer::sinks). It fails when one of them fails.
pub struct GetSink<T> {
    /// Who gets it.
    pub reply_to: ReplyTo<SinkRef<T>>,
}

impl<T> GetSink<T> {
    /// The question whose answer goes to `reply_to`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use millstream::{ActorSystem, GetSink, SinkRef, stream_producer};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let producer = system.spawn("prices", stream_producer::<f64>())?;
    /// let mut sink: SinkRef<f64> = system.ask(&producer, GetSink::new, Duration::from_secs(5))?;
    /// sink.put(142.5)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(reply_to: ReplyTo<SinkRef<T>>) -> Self {
        Self { reply_to }
    }
}

/// Asks a consumer for its source: `system.ask(&consumer, GetSource::new, deadline)`. From then on there is demand.
///
/// Refused when it was given before.
pub struct GetSource<T> {
    /// Who gets it.
    pub reply_to: ReplyTo<SourceRef<T>>,
}

impl<T> GetSource<T> {
    /// The question whose answer goes to `reply_to`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use millstream::{ActorSystem, GetSource, SourceRef, stream_consumer, stream_producer};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let producer = system.spawn("prices", stream_producer::<f64>())?;
    /// let consumer = system.spawn("reader", stream_consumer(&producer))?;
    /// let source: SourceRef<f64> = system.ask(&consumer, GetSource::new, Duration::from_secs(5))?;
    /// # drop(source);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(reply_to: ReplyTo<SourceRef<T>>) -> Self {
        Self { reply_to }
    }
}

/// Asks a producer or a consumer where it stands: `system.ask(&producer, GetState::new, deadline)`.
pub struct GetState<S> {
    /// Who gets it.
    pub reply_to: ReplyTo<S>,
}

impl<S> GetState<S> {
    /// The question whose answer goes to `reply_to`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use millstream::{ActorSystem, GetState, ProducerState, stream_producer};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let producer = system.spawn("prices", stream_producer::<f64>())?;
    /// let state = system.ask(&producer, GetState::new, Duration::from_secs(5))?;
    /// assert_eq!(state, ProducerState::Idle);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(reply_to: ReplyTo<S>) -> Self {
        Self { reply_to }
    }
}

/// Where a producer stands. One that has stopped answers no more: asking it gives `AskError::Stopped`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProducerState {
    /// It has no consumer, and keeps what is put into its buffer.
    Idle,
    /// It has one.
    Subscribed {
        /// Which: its path, or the name under which the stream is published.
        by: String,
    },
}

/// Where a consumer stands. One that has stopped answers no more: asking it gives `AskError::Stopped`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsumerState {
    /// Nobody has asked for its source: it demands nothing.
    Waiting,
    /// Its source was given out.
    Active,
}

/// Puts one element into a producer's buffer, as a message. To tell a producer more than a few elements, ask it for a sink.
///
/// Where the buffer is full the element comes back to whoever [asked](Push::asking), or becomes a dead letter.
pub struct Push<T> {
    /// The element.
    pub element: T,
    /// Who is told whether it was taken.
    pub reply_to: Option<ReplyTo<Result<(), TryPutError<T>>>>,
}

impl<T> Push<T> {
    /// Puts without a word about what came of it.
    ///
    /// ```
    /// use millstream::{ActorSystem, Push, stream_producer};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let producer = system.spawn("prices", stream_producer::<f64>())?;
    /// producer.tell(Push::new(142.5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(element: T) -> Self {
        Self {
            element,
            reply_to: None,
        }
    }

    /// Puts, and says whether it was taken.
    ///
    /// ```
    /// use std::time::Duration;
    /// use millstream::{ActorSystem, Push, TryPutError, stream_producer};
    /// let system = ActorSystem::builder("prices").build()?;
    /// let producer = system.spawn("prices", stream_producer::<u32>().buffer_size(1))?;
    /// let push = |element| system.ask(&producer, |reply| Push::asking(element, reply), Duration::from_secs(5));
    /// assert_eq!(push(1)?, Ok(()));
    /// assert_eq!(push(2)?, Err(TryPutError::Full(2)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn asking(element: T, reply_to: ReplyTo<Result<(), TryPutError<T>>>) -> Self {
        Self {
            element,
            reply_to: Some(reply_to),
        }
    }
}

/// Completes a producer's stream: its sinks take nothing more, and the consumer gets what was put, then the end. A sink that
/// another thread is using just then may still put one element, which is delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompleteStream;

/// A nudge: there may be something to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputReady;

/// Subscribes to a producer. The first one wins; another is refused.
///
/// A producer of the user's own gets its consumer by [`accept`](Self::accept), and sends it [`StreamElement`]s as it
/// demands them. A consumer of the user's own makes one by [`new`](Self::new).
pub struct StreamSubscribe<T> {
    pub(super) consumer: Recipient<StreamConsumerMsg<T>>,
    pub(super) demand: u64,
    /// The most that will be open at a time, if there is a link.
    pub(super) window: u64,
    /// By which a producer and a consumer of this crate set up a ring. Dropped, it says that there will be none.
    pub(super) link: Option<ReplyTo<Linked<T>>>,
}

impl<T: Send + 'static> StreamSubscribe<T> {
    /// The subscription of `consumer`, which asks for `demand` elements at once and for more by [`StreamDemand`].
    ///
    /// ```
    /// use std::num::NonZeroU64;
    /// use millstream::{
    ///     ActorSystem, Next, Push, StreamConsumerMsg, StreamDemand, StreamSubscribe, receive, setup, stream_producer,
    /// };
    /// let system = ActorSystem::builder("prices").build()?;
    /// let producer = system.spawn("prices", stream_producer::<f64>())?;
    /// producer.tell(Push::new(142.5));
    /// let (told, heard) = std::sync::mpsc::channel();
    /// system.spawn("reader", move || {
    ///     let (told, producer) = (told.clone(), producer.clone());
    ///     setup(move |context| {
    ///         producer.tell(StreamSubscribe::new(context.me(), 1));
    ///         receive(move |context, message| {
    ///             if let StreamConsumerMsg::StreamElement(element) = message {
    ///                 told.send(element.0).unwrap();
    ///                 producer.tell(StreamDemand::new(context.me(), NonZeroU64::MIN));
    ///             }
    ///             Next::Same
    ///         })
    ///     })
    /// })?;
    /// assert_eq!(heard.recv()?, 142.5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(consumer: impl Into<Recipient<StreamConsumerMsg<T>>>, demand: u64) -> Self {
        Self {
            consumer: consumer.into(),
            demand,
            window: 0,
            link: None,
        }
    }

    /// For a producer of the user's own: the consumer, and what it asks for at once.
    ///
    /// ```
    /// use millstream::{
    ///     ActorSystem, GetSource, Next, StreamCompleted, StreamElement, StreamProducerMsg, receive, stream_consumer,
    /// };
    /// # use std::time::Duration;
    /// let system = ActorSystem::builder("prices").build()?;
    /// let producer = system.spawn("counter", || {
    ///     let (mut consumer, mut next) = (None, 0u64);
    ///     receive(move |_, message: StreamProducerMsg<u64>| {
    ///         match message {
    ///             StreamProducerMsg::StreamSubscribe(subscribe) => consumer = Some(subscribe.accept().0),
    ///             StreamProducerMsg::StreamDemand(demand) => {
    ///                 for _ in 0..demand.n.get() {
    ///                     next += 1;
    ///                     consumer.iter().for_each(|consumer| consumer.tell(StreamElement(next).into()));
    ///                 }
    ///             }
    ///             _ => return Next::Stop,
    ///         }
    ///         Next::Same
    ///     })
    /// })?;
    /// let consumer = system.spawn("reader", stream_consumer(&producer))?;
    /// let source = system.ask(&consumer, GetSource::new, Duration::from_secs(5))?;
    /// assert_eq!(source.take(3).collect::<Vec<_>>(), [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn accept(self) -> (Recipient<StreamConsumerMsg<T>>, u64) {
        (self.consumer, self.demand)
    }

    pub(super) fn linked(
        consumer: Recipient<StreamConsumerMsg<T>>,
        window: u64,
        link: ReplyTo<Linked<T>>,
    ) -> Self {
        Self {
            consumer,
            demand: 0,
            window,
            link: Some(link),
        }
    }
}

/// Asks for `n` elements more, by the consumer that has subscribed; what anybody else sends is unhandled.
#[derive(Clone, Debug)]
pub struct StreamDemand {
    /// How many.
    pub n: NonZeroU64,
    /// The number of the actor that sends it.
    pub(super) from: u64,
}

impl StreamDemand {
    /// A demand by `from`. See [`StreamSubscribe::new`] for it at work.
    ///
    /// ```
    /// # use std::num::NonZeroU64;
    /// # use millstream::{ActorSystem, Next, StreamDemand, receive};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// # let me = system.spawn("me", || receive(|_, _: u32| Next::Same))?;
    /// let demand = StreamDemand::new(&me, NonZeroU64::MIN);
    /// assert_eq!(demand.n.get(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new<M: Send + 'static>(from: &ActorRef<M>, n: NonZeroU64) -> Self {
        Self { n, from: from.id() }
    }
}

/// Ends a subscription, by the consumer that has it; by anybody, a producer that has none.
#[derive(Clone, Debug)]
pub struct StreamCancel {
    pub(super) from: u64,
}

impl StreamCancel {
    /// A cancellation by `from`.
    ///
    /// ```
    /// # use millstream::{ActorSystem, Next, StreamCancel, receive, stream_producer};
    /// # let system = ActorSystem::builder("prices").build()?;
    /// # let me = system.spawn("me", || receive(|_, _: u32| Next::Same))?;
    /// # let producer = system.spawn("prices", stream_producer::<f64>())?;
    /// producer.tell(StreamCancel::new(&me));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new<M: Send + 'static>(from: &ActorRef<M>) -> Self {
        Self { from: from.id() }
    }
}

/// One element, from a producer to a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamElement<T>(pub T);

/// The stream is complete: there were no more elements than came before this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCompleted;

/// The stream has failed after the elements that came before this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFailed(pub StreamFault);

/// What only this crate's actors say.
pub(super) enum ProducerNews {
    /// The source has ended.
    Ended,
}

/// As [`ProducerNews`].
pub(super) enum ConsumerNews<T> {
    /// What the producer says to the link.
    Linked(Result<Linked<T>, AskError>),
    /// The published stream was, or was not, reached.
    Reached(Result<Box<Reached<T>>, String>),
    /// The source has ended.
    Ended,
    /// There may be more demand.
    CreditReady,
    /// A producer that speaks by messages has stopped. What it sent before waits in the mailbox, which this overtakes: so it
    /// comes again, so many times at most, until that is handled.
    Gone(Terminated, usize),
}

macro_rules! message {
    ($(#[$doc:meta])* $name:ident, $news:ty: $($(#[$each:meta])* $variant:ident($message:ty)),+ $(,)?) => {
        $(#[$doc])*
        #[non_exhaustive]
        pub enum $name<T> {
            $($(#[$each])* $variant($message),)+
            #[doc(hidden)]
            #[allow(private_interfaces, reason = "what only this crate's actors say")]
            News($news),
        }

        $(impl<T> From<$message> for $name<T> {
            fn from(message: $message) -> Self {
                Self::$variant(message)
            }
        })+

        impl<T> From<$news> for $name<T> {
            fn from(news: $news) -> Self {
                Self::News(news)
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant(_) => stringify!($variant),)+
                    Self::News(_) => "News",
                })
            }
        }
    };
}

message! {
    /// What a producer is told. An actor of the user's own that takes messages made of it can be produced by.
    StreamProducerMsg, ProducerNews:
    /// See [`Push`].
    Push(Push<T>),
    /// See [`CompleteStream`].
    CompleteStream(CompleteStream),
    /// See [`StreamSubscribe`].
    StreamSubscribe(StreamSubscribe<T>),
    /// See [`StreamDemand`].
    StreamDemand(StreamDemand),
    /// See [`StreamCancel`].
    StreamCancel(StreamCancel),
    /// See [`GetSink`].
    GetSink(GetSink<T>),
    /// See [`GetState`].
    GetState(GetState<ProducerState>),
    /// See [`InputReady`].
    InputReady(InputReady),
    /// An actor that it watches has stopped.
    Terminated(Terminated),
}

message! {
    /// What a consumer is told. An actor of the user's own that takes messages made of it can subscribe.
    StreamConsumerMsg, ConsumerNews<T>:
    /// See [`GetSource`].
    GetSource(GetSource<T>),
    /// See [`StreamCancel`].
    StreamCancel(StreamCancel),
    /// See [`StreamElement`].
    StreamElement(StreamElement<T>),
    /// See [`StreamCompleted`].
    StreamCompleted(StreamCompleted),
    /// See [`StreamFailed`].
    StreamFailed(StreamFailed),
    /// See [`GetState`].
    GetState(GetState<ConsumerState>),
    /// An actor that it watches has stopped.
    Terminated(Terminated),
}

macro_rules! debug_by_name {
    ($($name:ident),+) => {
        $(impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        })+
    };
}

debug_by_name!(GetSink, GetSource, GetState, Push, StreamSubscribe);

/// How an actor is named in a state or a refusal.
pub(super) fn name_of(path: &ActorPath) -> String {
    path.to_string()
}
