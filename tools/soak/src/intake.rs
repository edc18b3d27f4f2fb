//! Where elements are taken: every kind of source by the same few calls.

use std::time::{Duration, Instant};

use millstream::{
    End, FrameSource, Gap, JoinPosition, LossySource, Received, SourceRef, SubscribeError, Subscriber,
    TimedOut, TryNext, subscribe,
};

use crate::element::{Large, Mark, Medium, Sample, Small, read_frame};
use crate::line::{Kind, Manner};
use crate::part::{Scene, strategy};
use crate::random::Random;

/// How elements are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Take {
    Next,
    Try,
    Deadline(u64),
    Drain(usize),
    Peek(usize),
}

/// The most elements that are taken at once.
pub(crate) const MOST_AT_ONCE: usize = 64;

impl Take {
    pub(crate) fn draw(random: &mut Random) -> Self {
        match random.below(10) {
            0..4 => Self::Next,
            4 => Self::Try,
            5..7 => Self::Deadline(random.below(20)),
            7..9 => Self::Drain(1 + random.below(MOST_AT_ONCE as u64) as usize),
            _ => Self::Peek(1 + random.below(MOST_AT_ONCE as u64) as usize),
        }
    }
}

/// What was delivered.
#[derive(Debug)]
pub(crate) enum Seen {
    Element(Result<Mark, String>),
    Gap(Gap),
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Some,
    Nothing,
    Ended,
}

pub(crate) trait Intake {
    /// Takes what is next, and hands it to `see`.
    fn step(&mut self, how: Take, see: &mut dyn FnMut(Seen)) -> Step;
    fn end(&self) -> Option<End>;
    /// Where it is, if it can say so.
    fn position(&self) -> Option<u64>;
    /// How many producers it has gone on from.
    fn epoch(&self) -> u64;
    /// Leaves for good; false where there is no other way than being dropped.
    fn cancel(&mut self) -> bool;
}

/// A subscription, and what was drawn for it.
pub(crate) struct Opened {
    pub(crate) intake: Box<dyn Intake>,
    pub(crate) window: u64,
    pub(crate) reconnects: bool,
}

/// How long a subscription waits for a producer before the order of the driver is looked at again.
pub(crate) const PATIENCE: Duration = Duration::from_millis(200);

pub(crate) fn open(scene: &Scene<'_>, manner: Manner, random: &mut Random) -> Result<Opened, SubscribeError> {
    match scene.part.kind {
        Kind::Small => elements::<Small>(scene, manner, random),
        Kind::Medium | Kind::Resumed | Kind::Broadcast | Kind::Work | Kind::Durable | Kind::Committed => {
            elements::<Medium>(scene, manner, random)
        }
        Kind::Large => elements::<Large>(scene, manner, random),
        Kind::Frames | Kind::ResumedFrames | Kind::DurableFrames => frames(scene, manner, random),
        Kind::Rendezvous => {
            let builder = subscribe::<Small>(scene.part.name())
                .directory(&scene.part.streams)
                .source_wait(strategy(random))
                .idle_timeout(None)
                .wait_for(PATIENCE);
            let subscriber = builder.subscriber()?;
            Ok(Opened {
                intake: Box::new(subscriber),
                window: 1,
                reconnects: false,
            })
        }
    }
}

/// The name under which a slot's consumers succeed each other.
pub(crate) fn subscription(scene: &Scene<'_>) -> String {
    format!("slot{}", scene.part.slot)
}

macro_rules! drawn {
    ($builder:expr, $scene:ident, $manner:ident, $random:ident) => {{
        let window = $random.between(1, 256);
        let reconnects = matches!($manner, Manner::Plain | Manner::Resumed) && $random.once_in(2);
        let mut builder = $builder
            .directory(&$scene.part.streams)
            .source_wait(strategy($random))
            .idle_timeout(None)
            .initial_demand(window)
            .wait_for(PATIENCE);
        if $manner == Manner::Resumed {
            builder = builder.resumable(subscription($scene));
        }
        if reconnects {
            builder = builder.reconnect();
        }
        if $random.once_in(3) {
            builder = builder.replenish_each();
        }
        (builder, window, reconnects)
    }};
}

fn elements<T: Sample>(
    scene: &Scene<'_>,
    manner: Manner,
    random: &mut Random,
) -> Result<Opened, SubscribeError> {
    let (mut builder, mut window, reconnects) =
        drawn!(subscribe::<T>(scene.part.name()), scene, manner, random);
    if scene.part.kind == Kind::Broadcast && random.once_in(4) {
        builder = builder.from(JoinPosition::Oldest);
    }
    let intake: Box<dyn Intake> = match manner {
        Manner::Lossy => Box::new(builder.lossy().open()?),
        Manner::Evicted => {
            let patience = Duration::from_millis(random.between(1, 200));
            Box::new(builder.evict_after(patience).open()?)
        }
        Manner::Worker => {
            window = 1;
            Box::new(builder.initial_demand(window).release_on_next().open()?)
        }
        Manner::Plain | Manner::Resumed | Manner::Committer => Box::new(builder.open()?),
    };
    Ok(Opened {
        intake,
        window,
        reconnects,
    })
}

fn frames(scene: &Scene<'_>, manner: Manner, random: &mut Random) -> Result<Opened, SubscribeError> {
    let (builder, window, reconnects) = drawn!(subscribe::<[u8]>(scene.part.name()), scene, manner, random);
    Ok(Opened {
        intake: Box::new(Frames {
            source: builder.open()?,
            scratch: Vec::new(),
        }),
        window,
        reconnects,
    })
}

fn soon(millis: u64) -> Instant {
    Instant::now() + Duration::from_millis(millis)
}

/// What a look found, as a wait of no time says it.
fn at_once<T>(found: TryNext<T>) -> Result<Option<T>, TimedOut> {
    match found {
        TryNext::Item(item) => Ok(Some(item)),
        TryNext::Empty => Err(TimedOut),
        TryNext::End(_) => Ok(None),
    }
}

/// The step of who took one, if there was one.
fn one<T>(next: Result<Option<T>, TimedOut>, see: impl FnOnce(T)) -> Step {
    match next {
        Ok(Some(item)) => {
            see(item);
            Step::Some
        }
        Ok(None) => Step::Ended,
        Err(TimedOut) => Step::Nothing,
    }
}

/// The step of who took as many as there were.
fn some(count: usize, end: Option<End>) -> Step {
    match (count, end) {
        (0, Some(_)) => Step::Ended,
        (0, None) => Step::Nothing,
        _ => Step::Some,
    }
}

impl<T: Sample> Intake for SourceRef<T> {
    fn step(&mut self, how: Take, see: &mut dyn FnMut(Seen)) -> Step {
        let next = match how {
            Take::Next => Ok(Iterator::next(self)),
            Take::Deadline(millis) => self.next_deadline(soon(millis)),
            Take::Try => at_once(self.try_next()),
            Take::Drain(most) => {
                let count = self.drain(most, |element: T| see(Seen::Element(element.mark())));
                return some(count, self.end());
            }
            Take::Peek(most) => {
                let peek = self.peek(most);
                for element in &peek {
                    see(Seen::Element(element.mark()));
                }
                let count = peek.release_all();
                return some(count, self.end());
            }
        };
        one(next, |element| see(Seen::Element(element.mark())))
    }

    fn end(&self) -> Option<End> {
        self.end()
    }

    fn position(&self) -> Option<u64> {
        Some(self.position())
    }

    fn epoch(&self) -> u64 {
        self.epoch()
    }

    fn cancel(&mut self) -> bool {
        self.cancel();
        true
    }
}

struct Frames {
    source: FrameSource,
    scratch: Vec<u8>,
}

impl Intake for Frames {
    fn step(&mut self, how: Take, see: &mut dyn FnMut(Seen)) -> Step {
        let Self { source, scratch } = self;
        let next = match how {
            Take::Next => Ok(source.next()),
            Take::Deadline(millis) => source.next_deadline(soon(millis)),
            Take::Try => at_once(source.try_next()),
            Take::Drain(most) => {
                let count = source.drain(most, |frame| see(Seen::Element(read_frame(frame, scratch))));
                return some(count, source.end());
            }
            Take::Peek(_) => {
                let seen = source.peek().map(|frame| read_frame(frame, scratch));
                let Some(seen) = seen else {
                    return some(0, source.end());
                };
                // What was looked at is what is taken.
                match source.try_next() {
                    TryNext::Item(frame) if read_frame(&frame, scratch) == seen => Ok(Some(frame)),
                    other => {
                        let text = format!("peeked at {seen:?}, then took {other:?}");
                        see(Seen::Element(Err(text)));
                        return Step::Some;
                    }
                }
            }
        };
        one(next, |frame| see(Seen::Element(read_frame(&frame, scratch))))
    }

    fn end(&self) -> Option<End> {
        self.source.end()
    }

    fn position(&self) -> Option<u64> {
        Some(self.source.position())
    }

    fn epoch(&self) -> u64 {
        self.source.epoch()
    }

    fn cancel(&mut self) -> bool {
        self.source.cancel();
        true
    }
}

fn received<T: Sample>(received: Received<T>) -> Seen {
    match received {
        Received::Element(element) => Seen::Element(element.mark()),
        Received::Gap(gap) => Seen::Gap(gap),
    }
}

impl<T: Sample> Intake for LossySource<T> {
    fn step(&mut self, how: Take, see: &mut dyn FnMut(Seen)) -> Step {
        let next = match how {
            Take::Next => Ok(Iterator::next(self)),
            Take::Deadline(millis) => self.next_deadline(soon(millis)),
            Take::Try | Take::Peek(_) => at_once(self.try_next()),
            Take::Drain(most) => {
                let count = self.drain(most, |one| see(received(one)));
                return some(count, self.end());
            }
        };
        one(next, |next| see(received(next)))
    }

    fn end(&self) -> Option<End> {
        self.end()
    }

    fn position(&self) -> Option<u64> {
        Some(self.position())
    }

    fn epoch(&self) -> u64 {
        0
    }

    fn cancel(&mut self) -> bool {
        self.cancel();
        true
    }
}

impl Intake for Subscriber<Small> {
    fn step(&mut self, how: Take, see: &mut dyn FnMut(Seen)) -> Step {
        let next = match how {
            Take::Next | Take::Drain(_) | Take::Peek(_) => Ok(Iterator::next(self)),
            Take::Deadline(millis) => self.next_deadline(soon(millis)),
            Take::Try => at_once(self.try_next()),
        };
        one(next, |element| see(Seen::Element(element.mark())))
    }

    fn end(&self) -> Option<End> {
        self.end()
    }

    fn position(&self) -> Option<u64> {
        None
    }

    fn epoch(&self) -> u64 {
        0
    }

    fn cancel(&mut self) -> bool {
        false
    }
}
