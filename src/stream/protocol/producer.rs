//! The producer: the actor that has a stream's elements until they are asked for.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use super::link::{Linked, Overseer, Reached};
use super::messages::{
    InputReady, ProducerNews, ProducerState, Push, StreamCancel, StreamConsumerMsg, StreamDemand,
    StreamProducerMsg, StreamSubscribe, name_of,
};
use super::outlet::{Outlet, Passed, Published};
use super::refusal::{GetSinkError, GetSourceError};
use super::stream_producer::Settings;
use crate::actor::{Actor, Context, IoId, Next, Recipient, ReplyTo, StopReason};
use crate::primitive::Mutex;
use crate::stream::{ChannelError, Conduit, SinkRef, SourceRef, SourceSettings, StreamFault, TryPutError};

pub(super) type Kept<T> = Arc<Mutex<Option<Standing<T>>>>;

/// The actor.
#[allow(unreachable_pub, reason = "the associated type of a public trait")]
pub struct Producer<T> {
    settings: Settings<T>,
    kept: Kept<T>,
    standing: Standing<T>,
    /// Descriptors of the published stream's bell that the worker watches.
    watched: Vec<(i32, IoId)>,
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Producer")
    }
}

/// What a producer has.
pub(super) struct Standing<T> {
    conduit: Option<Conduit<T>>,
    /// The stream's source, as long as no consumer has it.
    source: Option<SourceRef<T>>,
    /// Where the actor passes elements on to.
    outlet: Option<Outlet<T>>,
    subscriber: Option<Recipient<StreamConsumerMsg<T>>>,
    /// Sinks that were given out.
    given: u64,
    /// A sink that keeps the stream open until as many were given out as will be asked for.
    holder: Option<SinkRef<T>>,
    /// For what is pushed.
    pushes: Option<SinkRef<T>>,
    waker: Option<Waker>,
    unpublished: Option<String>,
}

impl<T> Default for Standing<T> {
    fn default() -> Self {
        Self {
            conduit: None,
            source: None,
            outlet: None,
            subscriber: None,
            given: 0,
            holder: None,
            pushes: None,
            waker: None,
            unpublished: None,
        }
    }
}

impl<T: Send + 'static> Producer<T> {
    pub(super) fn new(settings: Settings<T>, kept: Kept<T>, standing: Standing<T>) -> Self {
        Self {
            settings,
            kept,
            standing,
            watched: Vec::new(),
        }
    }

    /// The stream, which is made when it is first needed.
    fn conduit(&mut self) -> Result<&Conduit<T>, GetSinkError> {
        if let Some(why) = &self.standing.unpublished {
            return Err(GetSinkError::Unpublished(why.clone()));
        }
        if self.standing.conduit.is_none() {
            self.make_conduit(self.settings.max_demand)?;
        }
        self.standing.conduit.as_ref().ok_or(GetSinkError::NoMemory)
    }

    fn make_conduit(&mut self, window: u64) -> Result<(), ChannelError> {
        let (conduit, source) = Conduit::new(self.settings.buffer, window.max(1))?;
        self.standing.source = Some(source);
        self.standing.conduit = Some(conduit);
        Ok(())
    }

    fn new_sink(&mut self) -> Result<SinkRef<T>, GetSinkError> {
        let (strategy, complete_on_drop) = (self.settings.strategy, self.settings.complete_on_drop);
        let wanted = self.settings.sinks;
        let sink = self.conduit()?.sink(strategy, complete_on_drop)?;
        self.standing.given += 1;
        if self.standing.given >= wanted {
            // The stream ends with the sinks that were given out.
            if let Some(mut holder) = self.standing.holder.take() {
                let _ = holder.complete();
            }
        } else if self.standing.holder.is_none() {
            // Refused where there is no buffer: such a stream has one sink.
            self.standing.holder = self.conduit()?.sink(strategy, true).ok();
        }
        Ok(sink)
    }

    fn push(&mut self, push: Push<T>, context: &mut Context<'_, StreamProducerMsg<T>>) {
        let Push { element, reply_to } = push;
        match (self.try_push(element), reply_to) {
            (Ok(put), Some(reply_to)) => reply_to.send(put),
            (Ok(Ok(())), None) => {}
            (Ok(Err(refused)), None) => context.dead_letter(Push::new(refused.into_inner()).into()),
            (Err((why, _)), Some(reply_to)) => reply_to.refuse(why),
            (Err((_, element)), None) => context.dead_letter(Push::new(element).into()),
        }
    }

    fn try_push(&mut self, element: T) -> Result<Result<(), TryPutError<T>>, (GetSinkError, T)> {
        if self.standing.pushes.is_none() {
            let made = self.conduit().and_then(|conduit| Ok(conduit.attendant()?));
            match made {
                Ok(sink) => self.standing.pushes = Some(sink),
                Err(why) => return Err((why, element)),
            }
        }
        match &mut self.standing.pushes {
            Some(sink) => Ok(sink.try_put(element)),
            None => Ok(Err(TryPutError::Full(element))),
        }
    }

    fn subscribe(&mut self, subscribe: StreamSubscribe<T>, context: &mut Context<'_, StreamProducerMsg<T>>) {
        let refuse =
            |link: Option<ReplyTo<Linked<T>>>, consumer: &Recipient<_>, why: GetSourceError| match link {
                Some(link) => link.refuse(why),
                // A consumer of the user's own is told by the protocol.
                None => consumer
                    .tell_past(super::messages::StreamFailed(StreamFault::new(0, why.to_string())).into()),
            };
        let StreamSubscribe {
            consumer,
            demand,
            window,
            link,
        } = subscribe;
        if let Some(by) = &self.standing.subscriber {
            let by = name_of(by.path());
            return refuse(link, &consumer, GetSourceError::AlreadySubscribed { by });
        }
        if let Some(why) = &self.standing.unpublished {
            return refuse(link, &consumer, GetSourceError::Refused(why.clone()));
        }
        #[cfg(target_os = "linux")]
        if let Some(publishing) = &self.settings.publishing {
            let stream = (publishing.find)(publishing.name.clone(), self.settings.directory.clone());
            match link {
                // The published name has the stream's one seat; who asks here is shown the way there.
                Some(link) => link.send(Linked::Named(stream)),
                None => {
                    let by = format!("the published name {:?}", publishing.name);
                    refuse(None, &consumer, GetSourceError::AlreadySubscribed { by });
                }
            }
            return;
        }
        let most = self.settings.max_demand;
        if window > most {
            let why = GetSourceError::DemandTooLarge { asked: window, most };
            return refuse(link, &consumer, why);
        }
        // Nobody has a sink yet, so the ring can be as large as this consumer needs it.
        if self.standing.conduit.is_none()
            && link.is_some()
            && let Err(why) = self.make_conduit(window)
        {
            return refuse(link, &consumer, why.into());
        }
        let made = self.conduit().cloned();
        let (conduit, mut source) = match (made, self.standing.source.take()) {
            (Ok(conduit), Some(source)) => (conduit, source),
            (Err(why), _) => return refuse(link, &consumer, GetSourceError::Refused(why.to_string())),
            (Ok(_), None) => {
                let by = name_of(consumer.path());
                return refuse(link, &consumer, GetSourceError::AlreadySubscribed { by });
            }
        };
        self.standing.subscriber = Some(consumer.clone());
        // It may leave while nobody touches its source.
        context.watch_recipient(&consumer, StreamProducerMsg::Terminated);
        if let Some(link) = link {
            let me = context.me().clone();
            source.on_end(Box::new(move |_| {
                me.tell_past(ProducerNews::Ended.into());
                consumer.tell_past(super::messages::ConsumerNews::Ended.into());
            }));
            let overseer = Overseer::Conduit(conduit);
            link.send(Linked::Stream(Box::new(Reached { source, overseer })));
            return;
        }
        source.adopt(SourceSettings::by_hand(most));
        if let Some(demand) = std::num::NonZeroU64::new(demand) {
            // It has just begun, and asks by hand.
            let _ = source.request(demand);
        }
        self.standing.source = Some(source);
        self.standing.outlet = Some(Outlet::Messages(consumer));
    }

    fn demand(&mut self, demand: StreamDemand) -> Next<Self> {
        let is_partner = self.is_partner(demand.from);
        match (&self.standing.outlet, &mut self.standing.source) {
            (Some(Outlet::Messages(_)), Some(source)) if is_partner => {
                // One that has ended asks for nothing more.
                let _ = source.request(demand.n);
                Next::Same
            }
            _ => Next::Unhandled(demand.into()),
        }
    }

    fn cancel(&mut self, cancel: StreamCancel) -> Next<Self> {
        let is_taken = match &self.standing.outlet {
            // Its consumer cancels by the published stream.
            Some(Outlet::Published(sink)) => sink.has_consumer(),
            _ => self.standing.subscriber.is_some(),
        };
        if is_taken && !self.is_partner(cancel.from) {
            return Next::Unhandled(cancel.into());
        }
        self.part()
    }

    /// The consumer takes nothing more.
    fn part(&mut self) -> Next<Self> {
        if let Some(conduit) = &self.standing.conduit {
            // Of no effect where the stream has ended.
            conduit.cancel();
        }
        self.standing.outlet = None;
        Next::Stop
    }

    fn is_partner(&self, actor: u64) -> bool {
        self.standing
            .subscriber
            .as_ref()
            .is_some_and(|subscriber| subscriber.id() == actor)
    }

    /// Passes on what the actor itself has to pass on.
    fn pass_on(&mut self, context: &mut Context<'_, StreamProducerMsg<T>>) -> Next<Self> {
        let Standing {
            source: Some(source),
            outlet: Some(outlet),
            waker: Some(waker),
            ..
        } = &mut self.standing
        else {
            return Next::Same;
        };
        let passed = outlet.pass_on(source, waker);
        self.watch_bell(context);
        match passed {
            Passed::All => {}
            Passed::More => context.me().tell_past(InputReady.into()),
            Passed::Done => return self.part(),
            Passed::Left(reason) => {
                // Before parting says that it was cancelled.
                if let Some(conduit) = &self.standing.conduit {
                    conduit.close(reason);
                }
                return self.part();
            }
        }
        Next::Same
    }

    /// Lets the worker watch the descriptors by which a published stream's consumer rings.
    #[cfg(target_os = "linux")]
    fn watch_bell(&mut self, context: &mut Context<'_, StreamProducerMsg<T>>) {
        use std::os::fd::AsRawFd;
        let Some(Outlet::Published(sink)) = &self.standing.outlet else {
            return;
        };
        let bells = sink.bell_fds();
        let numbers: Vec<_> = bells.iter().map(AsRawFd::as_raw_fd).collect();
        if self.watched.iter().map(|(fd, _)| *fd).eq(numbers.iter().copied()) {
            return;
        }
        for (_, io) in self.watched.drain(..) {
            context.unwatch_io(io);
        }
        for bell in &bells {
            match context.watch_any_io(bell, crate::actor::Interest::Readable, |_| InputReady.into()) {
                Ok(io) => self.watched.push((bell.as_raw_fd(), io)),
                Err(refused) => log::error!("a published stream's bell cannot be watched: {refused}"),
            }
        }
        // What rang before is looked for once more.
        context.me().tell_past(InputReady.into());
    }

    #[cfg(not(target_os = "linux"))]
    fn watch_bell(&mut self, _: &mut Context<'_, StreamProducerMsg<T>>) {}

    /// Publishes the stream, if it is to be.
    fn publish(&mut self) {
        let Some(publishing) = &self.settings.publishing else {
            return;
        };
        if self.standing.outlet.is_some() || self.standing.unpublished.is_some() {
            return;
        }
        let published = Published {
            name: &publishing.name,
            directory: self.settings.directory.as_ref(),
            max_demand: self.settings.max_demand,
        };
        let opened = (publishing.open)(&published);
        match opened {
            Err(why) => {
                log::error!("the stream {:?} is not published: {why}", publishing.name);
                self.standing.unpublished = Some(why);
            }
            Ok(sink) => {
                if let Err(why) = self.conduit().map(drop) {
                    self.standing.unpublished = Some(why.to_string());
                    return;
                }
                if let Some(source) = &mut self.standing.source {
                    // What is asked for is asked for by the published stream's consumer.
                    source.adopt(SourceSettings::by_hand(self.settings.max_demand));
                }
                self.standing.outlet = Some(Outlet::Published(sink));
            }
        }
    }

    fn state(&self) -> ProducerState {
        match (
            &self.standing.subscriber,
            &self.standing.outlet,
            &self.settings.publishing,
        ) {
            (Some(by), ..) => ProducerState::Subscribed {
                by: name_of(by.path()),
            },
            (None, Some(Outlet::Published(sink)), Some(publishing)) if sink.has_consumer() => {
                ProducerState::Subscribed {
                    by: format!("the published name {:?}", publishing.name),
                }
            }
            _ => ProducerState::Idle,
        }
    }
}

impl<T: Send + 'static> Actor for Producer<T> {
    type Msg = StreamProducerMsg<T>;

    fn on_start(&mut self, context: &mut Context<'_, Self::Msg>) {
        self.standing.waker = Some(context.waker(|| InputReady.into()));
        self.publish();
        if self.standing.outlet.is_some() {
            self.watch_bell(context);
            // What was to be done when the one before this failed.
            context.me().tell_past(InputReady.into());
        }
        if let Some(consumer) = &self.standing.subscriber {
            context.watch_recipient(consumer, StreamProducerMsg::Terminated);
        }
    }

    fn receive(&mut self, context: &mut Context<'_, Self::Msg>, message: Self::Msg) -> Next<Self> {
        let next = match message {
            StreamProducerMsg::GetSink(ask) => {
                match self.new_sink() {
                    Ok(sink) => ask.reply_to.send(sink),
                    Err(why) => ask.reply_to.refuse(why),
                }
                Next::Same
            }
            StreamProducerMsg::Push(push) => {
                self.push(push, context);
                Next::Same
            }
            StreamProducerMsg::CompleteStream(_) => {
                if let Ok(conduit) = self.conduit() {
                    conduit.complete();
                }
                Next::Same
            }
            StreamProducerMsg::StreamSubscribe(subscribe) => {
                self.subscribe(subscribe, context);
                Next::Same
            }
            StreamProducerMsg::StreamDemand(demand) => self.demand(demand),
            StreamProducerMsg::StreamCancel(cancel) => self.cancel(cancel),
            StreamProducerMsg::GetState(ask) => {
                ask.reply_to.send(self.state());
                Next::Same
            }
            StreamProducerMsg::InputReady(_) => Next::Same,
            StreamProducerMsg::Terminated(_) | StreamProducerMsg::News(ProducerNews::Ended) => self.part(),
        };
        match next {
            Next::Same => self.pass_on(context),
            other => other,
        }
    }

    fn before_restart(&mut self, _: &mut Context<'_, Self::Msg>, _: Option<&crate::actor::Failure>) {
        if let Ok(mut kept) = self.kept.lock() {
            *kept = Some(std::mem::take(&mut self.standing));
        }
    }

    /// What was completed, and has a reader in another process, is passed on to the end.
    fn is_ready_to_stop(&mut self, _: &mut Context<'_, Self::Msg>) -> bool {
        let Standing {
            conduit: Some(conduit),
            outlet: Some(Outlet::Published(sink)),
            ..
        } = &self.standing
        else {
            return true;
        };
        !(conduit.is_complete() && sink.has_consumer() && !sink.is_closed())
    }

    fn on_stop(&mut self, context: &mut Context<'_, Self::Msg>) {
        let fault = match context.stop_reason() {
            Some(StopReason::Failed(failure)) => {
                StreamFault::new(StreamFault::PRODUCER_PANICKED, failure.to_string())
            }
            Some(reason) => StreamFault::new(
                StreamFault::PRODUCER_STOPPED,
                format!("the producer stopped: {reason}"),
            ),
            None => StreamFault::new(StreamFault::PRODUCER_STOPPED, "the producer stopped"),
        };
        if let Some(conduit) = &self.standing.conduit {
            // Of no effect where it has ended.
            conduit.fail(fault.clone());
        }
        if let Some(outlet) = &mut self.standing.outlet
            && self
                .standing
                .source
                .as_ref()
                .is_none_or(|source| source.end().is_none())
        {
            outlet.fail(fault);
        }
    }
}
