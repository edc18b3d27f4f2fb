//! The consumer: the actor that subscribes to a producer, and gives out the source.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use super::link::{Linked, Overseer, Reached};
#[cfg(target_os = "linux")]
use super::messages::StreamConsumerMsg as Msg;
use super::messages::{
    ConsumerNews, ConsumerState, GetSource, StreamCancel, StreamConsumerMsg, StreamDemand, StreamProducerMsg,
    StreamSubscribe,
};
use super::refusal::GetSourceError;
#[cfg(target_os = "linux")]
use super::remote::{PublishedStream, Wanted};
use super::upstream::Kind;
use crate::actor::{Actor, AskError, Context, Next, Recipient, ReplyTo, StopReason, Terminated};
use crate::primitive::Mutex;
use crate::stream::{Buffer, Conduit, SinkRef, SourceRef, SourceSettings, StreamFault, TryPutError};
use crate::wait::WaitStrategy;

/// The code of the fault by which a stream ends whose producer sends more than was asked for.
const UNASKED: u32 = 1;

pub(super) type Kept<T> = Arc<Mutex<Option<Standing<T>>>>;

/// The actor.
#[allow(unreachable_pub, reason = "the associated type of a public trait")]
pub struct Consumer<T> {
    upstream: Kind<T>,
    settings: SourceSettings,
    standing: Standing<T>,
    kept: Kept<T>,
}

/// What a consumer has.
pub(super) struct Standing<T> {
    subscription: Subscription<T>,
    /// Who waits for the source.
    asker: Option<ReplyTo<SourceRef<T>>>,
    is_given: bool,
    overseer: Option<Overseer<T>>,
    feed: Option<Feed<T>>,
}

impl<T> Default for Standing<T> {
    fn default() -> Self {
        Self {
            subscription: Subscription::New,
            asker: None,
            is_given: false,
            overseer: None,
            feed: None,
        }
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Consumer")
    }
}

/// How far the subscription has come.
enum Subscription<T> {
    /// Nobody was asked.
    New,
    /// The producer has not answered.
    Begun,
    /// The source is here.
    Reached(SourceRef<T>),
    /// The source was given out.
    Given,
    Refused(GetSourceError),
}

/// The way from a producer of the user's own, whose elements come as messages, to the source.
struct Feed<T> {
    producer: Recipient<StreamProducerMsg<T>>,
    sink: SinkRef<T>,
    /// Demanded of the producer and not come.
    open: u64,
    waker: Waker,
    is_over: bool,
}

impl<T: Send + 'static> Consumer<T> {
    pub(super) fn new(
        upstream: Kind<T>,
        settings: SourceSettings,
        kept: Kept<T>,
        standing: Standing<T>,
    ) -> Self {
        Self {
            upstream,
            settings,
            standing,
            kept,
        }
    }

    fn answered(
        &mut self,
        answer: Result<Linked<T>, AskError>,
        context: &mut Context<'_, StreamConsumerMsg<T>>,
    ) {
        match answer {
            Ok(Linked::Stream(reached)) => self.reached(reached),
            #[cfg(target_os = "linux")]
            Ok(Linked::Named(stream)) => self.reach(stream, context),
            Err(AskError::Refused(why)) => {
                let why = match why.downcast::<GetSourceError>() {
                    Ok(why) => *why,
                    Err(other) => GetSourceError::Refused(other.to_string()),
                };
                self.refused(why);
            }
            // It took the subscription and made no ring of it: it speaks by messages. Had it stopped instead, the watch would
            // have said so before.
            Err(_) if matches!(self.standing.subscription, Subscription::Begun) => self.feed(context),
            Err(_) => {}
        }
    }

    /// Subscribes to a published stream, elsewhere, for that blocks.
    #[cfg(target_os = "linux")]
    fn reach(&mut self, stream: PublishedStream<T>, context: &mut Context<'_, StreamConsumerMsg<T>>) {
        let wanted = Wanted {
            window: self.settings.window,
        };
        let me = context.me().clone();
        let task = move || {
            stream.reach(&wanted).map(|mut reached| {
                reached
                    .source
                    .on_end(Box::new(move |_| me.tell_past(ConsumerNews::Ended.into())));
                reached
            })
        };
        context.spawn_blocking_quietly(task, |reached| {
            let reached = reached.unwrap_or_else(|panicked| Err(panicked.to_string()));
            Msg::from(ConsumerNews::Reached(reached.map(Box::new)))
        });
    }

    fn reached(&mut self, reached: Box<Reached<T>>) {
        self.standing.overseer = Some(reached.overseer);
        self.standing.subscription = Subscription::Reached(reached.source);
        self.settle();
    }

    fn refused(&mut self, why: GetSourceError) {
        if matches!(self.standing.subscription, Subscription::Begun) {
            self.standing.subscription = Subscription::Refused(why);
            self.settle();
        }
    }

    /// Gives whoever waits for the source what there is.
    fn settle(&mut self) {
        let Some(asker) = self.standing.asker.take() else {
            return;
        };
        match std::mem::replace(&mut self.standing.subscription, Subscription::Given) {
            before @ (Subscription::New | Subscription::Begun) => {
                self.standing.subscription = before;
                self.standing.asker = Some(asker);
            }
            Subscription::Refused(why) => {
                asker.refuse(why.clone());
                self.standing.subscription = Subscription::Refused(why);
            }
            Subscription::Given => asker.refuse(GetSourceError::Taken),
            Subscription::Reached(mut source) => {
                source.adopt(self.settings);
                self.standing.is_given = true;
                asker.send(source);
            }
        }
    }

    fn get_source(&mut self, ask: GetSource<T>) {
        if self.standing.is_given || self.standing.asker.is_some() {
            return ask.reply_to.refuse(GetSourceError::Taken);
        }
        self.standing.asker = Some(ask.reply_to);
        self.settle();
    }

    /// Makes the way for a producer that speaks by messages.
    fn feed(&mut self, context: &mut Context<'_, StreamConsumerMsg<T>>) {
        let Kind::Actor(producer) = &self.upstream else {
            return;
        };
        let made = Conduit::new(Buffer::Rendezvous, self.settings.window).map_err(GetSourceError::from);
        let made = made.and_then(|(conduit, source)| {
            let sink = conduit.sink(WaitStrategy::default(), false);
            let sink = sink.map_err(|why| GetSourceError::Refused(why.to_string()))?;
            Ok((conduit, source, sink))
        });
        let (conduit, mut source, sink) = match made {
            Ok(made) => made,
            Err(why) => {
                // It has accepted a consumer that will take nothing.
                producer.tell_past(StreamCancel::new(context.me()).into());
                return self.refused(why);
            }
        };
        let me = context.me().clone();
        source.on_end(Box::new(move |_| me.tell_past(ConsumerNews::Ended.into())));
        self.standing.feed = Some(Feed {
            producer: producer.clone(),
            sink,
            open: 0,
            waker: context.waker(|| ConsumerNews::CreditReady.into()),
            is_over: false,
        });
        let overseer = Overseer::Conduit(conduit);
        self.reached(Box::new(Reached { source, overseer }));
        self.ask_for_more(context);
    }

    /// Demands of a producer that speaks by messages what the source has asked for.
    fn ask_for_more(&mut self, context: &mut Context<'_, StreamConsumerMsg<T>>) {
        let Some(feed) = &mut self.standing.feed else {
            return;
        };
        while !feed.is_over {
            let asked = feed.sink.demand();
            if let Some(more) = std::num::NonZeroU64::new(asked.saturating_sub(feed.open)) {
                feed.producer
                    .tell_past(StreamDemand::new(context.me(), more).into());
                // Not before: the message becomes one of the producer's own by a function of the user's, which may panic.
                feed.open = asked;
            }
            // While something is open the next element brings us here again.
            if feed.open > 0 || feed.sink.is_closed() || !feed.sink.arm(&feed.waker) {
                return;
            }
        }
    }

    fn element(&mut self, element: T, context: &mut Context<'_, StreamConsumerMsg<T>>) -> Option<T> {
        let Some(feed) = &mut self.standing.feed else {
            return Some(element);
        };
        let unasked = feed.open == 0;
        feed.open = feed.open.saturating_sub(1);
        match feed.sink.try_put(element) {
            Ok(()) => {
                self.ask_for_more(context);
                None
            }
            Err(TryPutError::Full(element)) if unasked => {
                let fault = StreamFault::new(UNASKED, "the producer sent more than was asked for");
                // Its one way to have ended before is that the source has.
                let _ = feed.sink.fail(fault);
                Some(element)
            }
            Err(TryPutError::Full(element) | TryPutError::Closed(element, _)) => Some(element),
        }
    }

    /// The producer that speaks by messages ends the stream.
    fn over(&mut self, fault: Option<StreamFault>) {
        if let Some(feed) = &mut self.standing.feed {
            feed.is_over = true;
            // Where the source has ended already, nobody wants to know.
            let _ = match fault {
                None => feed.sink.complete(),
                Some(fault) => feed.sink.fail(fault),
            };
        }
    }

    fn producer_stopped(
        &mut self,
        end: Terminated,
        left: usize,
        context: &mut Context<'_, StreamConsumerMsg<T>>,
    ) {
        self.refused(GetSourceError::ProducerStopped {
            path: end.path.clone(),
        });
        if self.standing.feed.as_ref().is_none_or(|feed| feed.is_over) {
            return;
        }
        if left > 0 && context.me().waiting() > 0 {
            let news = ConsumerNews::Gone(end, left - 1);
            return context.me().tell_past(news.into());
        }
        let code = match end.reason {
            StopReason::Failed(_) => StreamFault::PRODUCER_PANICKED,
            _ => StreamFault::PRODUCER_STOPPED,
        };
        self.over(Some(StreamFault::new(
            code,
            format!("{}: {}", end.path, end.reason),
        )));
    }
}

impl<T: Send + 'static> Actor for Consumer<T> {
    type Msg = StreamConsumerMsg<T>;

    fn on_start(&mut self, context: &mut Context<'_, Self::Msg>) {
        let is_new = matches!(self.standing.subscription, Subscription::New);
        if is_new && self.settings.window == 0 {
            self.standing.subscription = Subscription::Refused(GetSourceError::ZeroDemand);
            return;
        }
        match &self.upstream {
            Kind::Actor(producer) => {
                let producer = producer.clone();
                context.watch_recipient(&producer, StreamConsumerMsg::Terminated);
                if is_new {
                    let me = context.me().clone();
                    let link =
                        ReplyTo::hooked(move |answer| me.tell_past(ConsumerNews::Linked(answer).into()));
                    let consumer = context.me().recipient();
                    let subscribe = StreamSubscribe::linked(consumer, self.settings.window, link);
                    // Where it has stopped, the watch says so.
                    producer.tell_past(subscribe.into());
                }
            }
            #[cfg(target_os = "linux")]
            Kind::Published(stream) if is_new => {
                let stream = stream.clone();
                self.reach(stream, context);
            }
            #[cfg(target_os = "linux")]
            Kind::Published(_) => {}
        }
        if is_new {
            self.standing.subscription = Subscription::Begun;
        }
        // What was to be done when the one before this failed.
        self.ask_for_more(context);
    }

    fn before_restart(&mut self, _: &mut Context<'_, Self::Msg>, _: Option<&crate::actor::Failure>) {
        if let Ok(mut kept) = self.kept.lock() {
            *kept = Some(std::mem::take(&mut self.standing));
        }
    }

    fn receive(&mut self, context: &mut Context<'_, Self::Msg>, message: Self::Msg) -> Next<Self> {
        match message {
            StreamConsumerMsg::GetSource(ask) => {
                self.get_source(ask);
                self.ask_for_more(context);
            }
            StreamConsumerMsg::GetState(ask) => ask.reply_to.send(if self.standing.is_given {
                ConsumerState::Active
            } else {
                ConsumerState::Waiting
            }),
            StreamConsumerMsg::StreamCancel(_) => return Next::Stop,
            StreamConsumerMsg::StreamElement(element) => {
                if let Some(element) = self.element(element.0, context) {
                    return Next::Unhandled(super::messages::StreamElement(element).into());
                }
            }
            StreamConsumerMsg::StreamCompleted(_) => self.over(None),
            StreamConsumerMsg::StreamFailed(failed) => self.over(Some(failed.0)),
            StreamConsumerMsg::Terminated(end) => {
                // One message is handled for a number of those in the cell's run; this is more than that.
                let left = context.me().waiting().saturating_mul(64);
                self.producer_stopped(end, left, context);
            }
            StreamConsumerMsg::News(ConsumerNews::Gone(end, left)) => {
                self.producer_stopped(end, left, context);
            }
            StreamConsumerMsg::News(ConsumerNews::Linked(answer)) => self.answered(answer, context),
            StreamConsumerMsg::News(ConsumerNews::Reached(Ok(reached))) => self.reached(reached),
            StreamConsumerMsg::News(ConsumerNews::Reached(Err(why))) => {
                self.refused(GetSourceError::Unsubscribed(why));
            }
            StreamConsumerMsg::News(ConsumerNews::CreditReady) => self.ask_for_more(context),
            StreamConsumerMsg::News(ConsumerNews::Ended) => return Next::Stop,
        }
        Next::Same
    }

    fn on_stop(&mut self, context: &mut Context<'_, Self::Msg>) {
        if let Some(overseer) = &self.standing.overseer {
            // Of no effect where the stream has ended.
            overseer.cancel();
        }
        if let Some(feed) = &self.standing.feed
            && !feed.is_over
        {
            feed.producer.tell_past(StreamCancel::new(context.me()).into());
        }
    }
}
