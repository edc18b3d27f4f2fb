//! Aeron's streams between processes ("aeron:ipc"), by the crate rusteron: Aeron's own C client and media driver.

use std::ffi::CString;
use std::hint::spin_loop;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rusteron_client::{
    Aeron as Client, AeronContext, AeronExclusivePublication, AeronFragmentClosureAssembler, AeronImage,
    AeronOfferError, AeronSubscription, Handlers,
};
use rusteron_media_driver::bindings::aeron_threading_mode_enum::AERON_THREADING_MODE_SHARED;
use rusteron_media_driver::{AeronCError, AeronDriver, AeronDriverContext, EmbeddedMediaDriver};
use tempfile::TempDir;

use super::byte_stream::{each, fill, named, sum, ways};
use crate::contender::{Contender, Figure, Job, Setting, Task, Way, batch};
use crate::flow::{self, BATCH};
use crate::harness::element::expected;
use crate::harness::pinning::{CONSUMER, PRODUCER};
use crate::harness::process::{Ground, Role};
use crate::harness::round_trip::ask;
use crate::sides::pinned;

/// Between processes; both sides poll. The driver is a thread of the first process, on whatever core has time.
pub(crate) struct Aeron;

/// The best of those tried: a longer term falls out of the cache, a shorter one waits for the driver more often.
/// The MTU is the largest there is, so that a message up to [`WHOLE`] bytes is one fragment.
const CHANNEL: &str = "aeron:ipc?term-length=1m|mtu=65504";
/// Bytes of the largest message that is not taken apart and put together again.
const WHOLE: usize = 65504 - HEADER;
/// Bytes before the payload of a fragment; what both take up is a multiple of it.
const HEADER: usize = 32;
/// How long the driver sleeps when there is nothing to do: two cores are taken by those who are measured, and a driver
/// that spins takes one of them away.
const REST: &str = "50us";
const PATIENCE: Duration = Duration::from_secs(10);
/// The streams from who asks or produces, and to it.
const THERE: i32 = 1;
const BACK: i32 = 2;

/// 64 messages by one call, each with a header; the other batch is one message that carries 64 elements.
const BLOCK: &str = "Aeron, 64 an offer_block";
const NAMED: [Way; 3] = named("Aeron, 1 an offer", "Aeron, 64 an offer", "Aeron");
const FLOWS: [Way; 3] = [NAMED[0], NAMED[1], batch(BLOCK)];

/// One end of the two streams. The order matters: what is taken from another goes before it.
struct Ends {
    image: AeronImage,
    assembler: Option<AeronFragmentClosureAssembler>,
    from: AeronSubscription,
    to: AeronExclusivePublication,
    bytes: usize,
    buffer: Vec<u8>,
    // What all of them belong to.
    _client: Client,
}

impl Contender for Aeron {
    fn ways(&self, setting: Setting, task: Task) -> &'static [Way] {
        match ways(setting, task, &NAMED) {
            // One at a time and many: then blocks are a third way.
            [_, _] => &FLOWS,
            ways => ways,
        }
    }

    fn run(&self, way: &str, job: Job) -> Figure {
        let driver = Driver::new();
        let ground = Ground::new();
        let dir = driver.dir.as_str();
        let peer = job.start(&ground, &[&dir]);
        let figure = match job.task {
            Task::Trip { .. } => pinned(
                PRODUCER,
                || Ends::new(dir, [THERE, BACK], job.task, way),
                |ends| Figure::Times(ends.ask_all(job.count)),
            ),
            task => pinned(
                CONSUMER,
                || Ends::new(dir, [BACK, THERE], task, way),
                |ends| {
                    let taken = flow::consume(|| ends.take(), job.count);
                    let all = expected::<1>(job.count).wrapping_mul(task.words() as u64);
                    assert_eq!(taken.sum, all, "what was taken is what was put");
                    Figure::Rate(taken.counted as f64 / taken.time.as_secs_f64() / 1e6)
                },
            ),
        };
        peer.finish();
        figure
    }

    fn play(&self, way: &str, job: Job, role: &mut Role) {
        let dir: String = role.next();
        match job.task {
            Task::Trip { .. } => pinned(
                CONSUMER,
                || Ends::new(&dir, [BACK, THERE], job.task, way),
                |ends| ends.answer(job.count),
            ),
            task => pinned(
                PRODUCER,
                || Ends::new(&dir, [THERE, BACK], task, way),
                |ends| match way {
                    BLOCK => ends.produce_blocks(job.count),
                    _ => ends.produce(elements(way), job.count),
                },
            ),
        }
        role.end();
    }
}

/// The media driver, and the directory by which clients find it.
struct Driver {
    dir: String,
    // It ends before its directory does.
    _driver: EmbeddedMediaDriver,
    _temporary: TempDir,
}

impl Driver {
    fn new() -> Self {
        // What is shared must not be written to a disk by and by.
        let memory = Path::new("/dev/shm");
        let temporary = if memory.is_dir() {
            TempDir::new_in(memory)
        } else {
            TempDir::new()
        };
        let temporary = temporary.expect("a temporary directory can be made");
        let path = temporary.path().join("driver");
        let dir = path.to_str().expect("a temporary path is text").to_owned();
        let context = Self::context(&dir).expect("the driver knows these settings");
        Self {
            dir,
            _driver: AeronDriver::launch_embedded_guard(context, false),
            _temporary: temporary,
        }
    }

    fn context(dir: &str) -> Result<AeronDriverContext, AeronCError> {
        let context = AeronDriverContext::new()?;
        context.set_dir(&text(dir))?;
        context.set_threading_mode(AERON_THREADING_MODE_SHARED)?;
        context.set_shared_idle_strategy(c"sleep-ns")?;
        context.set_shared_idle_strategy_init_args(&text(REST))?;
        Ok(context)
    }
}

impl Ends {
    /// Opens a stream to put to and one to take from, and waits for the other side.
    fn new(dir: &str, [to, from]: [i32; 2], task: Task, way: &str) -> Self {
        let context = AeronContext::new().expect("there is memory");
        context.set_dir(&text(dir)).expect("a directory can be set");
        let client = Client::new(&context).expect("the driver is there");
        client.start().expect("a thread can be started");
        let channel = text(CHANNEL);
        let to = client
            .add_exclusive_publication(&channel, to, PATIENCE)
            .expect("the driver makes streams");
        let from = client
            .add_subscription(&channel, from, Handlers::NONE, Handlers::NONE, PATIENCE)
            .expect("the driver makes streams");
        let image = loop {
            match from.image_at_index(0) {
                Some(image) if to.is_connected() => break image,
                _ => thread::sleep(Duration::from_millis(1)),
            }
        };
        let bytes = 8 * task.words();
        let most = elements(way) * bytes;
        let assembler = || AeronFragmentClosureAssembler::new().expect("there is memory");
        Self {
            image,
            assembler: (most > WHOLE).then(assembler),
            from,
            to,
            bytes,
            buffer: vec![0; most],
            _client: client,
        }
    }

    /// Puts `0..count`, so many elements a message.
    #[inline(never)]
    fn produce(&mut self, each: usize, count: u64) {
        let Self {
            to, bytes, buffer, ..
        } = self;
        let put = |index: u64| {
            let end = (index + each as u64).min(count);
            let message = &mut buffer[..(end - index) as usize * *bytes];
            for (element, index) in message.chunks_exact_mut(*bytes).zip(index..end) {
                fill(element, index);
            }
            until_done(|| to.offer(message));
            end
        };
        flow::produce(put, count);
    }

    /// Puts `0..count`, each a message, in blocks that the caller lays out as they will lie in the stream.
    #[inline(never)]
    fn produce_blocks(&mut self, count: u64) {
        let bytes = self.bytes;
        let constants = self.to.get_constants().expect("the publication is open");
        let term = constants.term_buffer_length as u64;
        let (session, stream) = (constants.session_id, constants.stream_id);
        let frame = (HEADER + bytes).next_multiple_of(HEADER);
        let mut block = vec![0; BATCH * frame];
        let put = |index: u64| {
            let position = self.to.position() as u64;
            let room = (term - position % term) as usize / frame;
            let end = (index + room.min(BATCH) as u64).min(count);
            if end == index {
                // What is left of the term is too short; a plain message fills it up and is in the next.
                fill(&mut self.buffer, index);
                until_done(|| self.to.offer(&self.buffer));
                return index + 1;
            }
            let id = constants.initial_term_id.wrapping_add((position / term) as i32);
            let mut offset = (position % term) as i32;
            let block = &mut block[..(end - index) as usize * frame];
            for (frame, index) in block.chunks_exact_mut(frame).zip(index..end) {
                let (header, payload) = frame.split_at_mut(HEADER);
                // Version 0; a fragment that begins a message and ends it; of the type data.
                let kind = i32::from_le_bytes([0, 0xC0, 1, 0]);
                let fields = [(HEADER + bytes) as i32, kind, offset, session, stream, id];
                for (field, value) in header.as_chunks_mut::<4>().0.iter_mut().zip(fields) {
                    *field = value.to_le_bytes();
                }
                fill(&mut payload[..bytes], index);
                offset += frame.len() as i32;
            }
            until_done(|| AeronOfferError::from_position(self.to.offer_block(block)));
            end
        };
        flow::produce(put, count);
    }

    /// Hands over some of the messages that there are, if any.
    #[inline(always)]
    fn poll(&mut self, mut each: impl FnMut(&[u8])) {
        match &mut self.assembler {
            None => self.image.poll_fn(|message, _| each(message), BATCH),
            Some(assembler) => assembler.poll(&self.from, &mut each, |each, message, _| each(message), BATCH),
        }
        .expect("the stream is open");
    }

    #[inline(always)]
    fn take(&mut self) -> (u64, u64) {
        let (mut total, mut got) = (0_u64, 0);
        self.poll(|message| {
            total = total.wrapping_add(sum(message));
            got += message.len();
        });
        if got == 0 {
            spin_loop();
        }
        (total, (got / self.bytes) as u64)
    }

    /// The sum of the next element.
    #[inline(always)]
    fn receive(&mut self) -> u64 {
        loop {
            let mut got = None;
            self.poll(|message| got = Some(sum(message)));
            match got {
                Some(sum) => break sum,
                None => spin_loop(),
            }
        }
    }

    #[inline(always)]
    fn send(&mut self, index: u64) {
        fill(&mut self.buffer, index);
        until_done(|| self.to.offer(&self.buffer));
    }

    #[inline(never)]
    fn ask_all(&mut self, count: u64) -> hdrhistogram::Histogram<u64> {
        let words = (self.bytes / 8) as u64;
        ask::each(count, |index| {
            self.send(index);
            let returned = self.receive();
            assert_eq!(
                returned,
                index.wrapping_mul(words),
                "what comes back is what was sent"
            );
        })
    }

    #[inline(never)]
    fn answer(&mut self, count: u64) {
        let words = (self.bytes / 8) as u64;
        for index in 0..ask::total(count) {
            let arrived = self.receive();
            assert_eq!(
                arrived,
                index.wrapping_mul(words),
                "what arrives is what was sent"
            );
            self.send(index);
        }
    }
}

/// Elements a message.
fn elements(way: &str) -> usize {
    if way == BLOCK { 1 } else { each(way) }
}

/// Offers again as long as the stream is full, or turns to its next term.
#[inline(always)]
fn until_done(offer: impl Fn() -> Result<i64, AeronOfferError>) {
    loop {
        match offer() {
            Ok(_) => break,
            // Only the driver makes room, and may be waiting for this core.
            Err(AeronOfferError::BackPressured) => thread::yield_now(),
            Err(AeronOfferError::AdminAction) => {}
            Err(error) => panic!("the other side is there until it has all: {error}"),
        }
    }
}

fn text(text: &str) -> CString {
    CString::new(text).expect("there is no zero in it")
}
