//! Random operations on a broadcast against a list of what was put.
//!
//! Everything happens on one thread and every consumer replenishes with each element, so the model knows exactly what there is
//! room for: the least that any consumer has asked for, and the buffer.

use millstream::{
    JoinError, JoinPosition, OnNoConsumer, SinkRef, SourceRef, Subscribers, TryNext, TryPutError, broadcast,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Put(u8),
    Slice(u8),
    Join(JoinPosition, u64),
    Leave(usize),
    Take(usize, u8),
    Drain(usize, u8),
}

fn op() -> impl Strategy<Value = Op> {
    let from = prop_oneof![
        3 => Just(JoinPosition::Live),
        2 => Just(JoinPosition::Oldest),
        1 => (0_u64..60).prop_map(JoinPosition::At),
    ];
    prop_oneof![
        4 => (1_u8..20).prop_map(Op::Put),
        2 => (1_u8..40).prop_map(Op::Slice),
        2 => (from, 1_u64..9).prop_map(|(from, window)| Op::Join(from, window)),
        1 => any::<usize>().prop_map(Op::Leave),
        4 => (any::<usize>(), 1_u8..20).prop_map(|(who, count)| Op::Take(who, count)),
        2 => (any::<usize>(), 1_u8..20).prop_map(|(who, count)| Op::Drain(who, count)),
    ]
}

struct Reader {
    source: SourceRef<u64>,
    /// How many elements were put before the one it takes next.
    at: u64,
    window: u64,
}

struct Model {
    sink: SinkRef<u64>,
    subscribers: Subscribers<u64>,
    base: u64,
    buffer: u64,
    history: u64,
    absence: OnNoConsumer,
    /// Elements put; each is its own position.
    put: u64,
    readers: Vec<Reader>,
    /// How far any reader who has left had come.
    heard: u64,
    /// The same, while there is no reader.
    left: Option<u64>,
    unheard: u64,
    /// Room that the sink may still think there is, because a consumer came or went since it looked.
    stale: u64,
}

impl Model {
    fn room(&self) -> u64 {
        let ahead = |reader: &Reader| (reader.at + reader.window + self.buffer).saturating_sub(self.put);
        match self.readers.iter().map(ahead).min() {
            Some(room) => room,
            None if self.absence == OnNoConsumer::Wait => 0,
            None => u64::MAX,
        }
    }

    fn value(&self, count: u64) -> u64 {
        self.base.wrapping_add(count)
    }

    fn put(&mut self) -> Result<(), TestCaseError> {
        let room = self.room();
        match self.sink.try_put(self.value(self.put)) {
            Ok(()) => {
                prop_assert!(room > 0 || self.stale > 0, "put where there is no room");
                self.put += 1;
            }
            Err(TryPutError::Full(back)) => {
                prop_assert_eq!(back, self.value(self.put));
                prop_assert_eq!(room, 0);
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
        self.stale = 0;
        Ok(())
    }

    fn slice(&mut self, count: u8) -> Result<(), TestCaseError> {
        let elements: Vec<u64> = (0..count.into()).map(|i| self.value(self.put + i)).collect();
        let room = self.room();
        let taken = self.sink.try_put_slice(&elements).unwrap() as u64;
        prop_assert!(taken <= room.max(self.stale).min(count.into()));
        if self.stale == 0 {
            prop_assert_eq!(taken, room.min(count.into()));
        }
        self.put += taken;
        if taken > 0 {
            self.stale = 0;
        }
        Ok(())
    }

    fn join(&mut self, from: JoinPosition, window: u64) -> Result<(), TestCaseError> {
        let stale = self.room().min(64);
        let from = match from {
            JoinPosition::At(offset) => JoinPosition::At(self.value((self.put + 3).saturating_sub(offset))),
            other => other,
        };
        let builder = self
            .subscribers
            .subscribe()
            .initial_demand(window)
            .replenish_each()
            .from(from);
        let source = match builder.open() {
            Ok(source) => source,
            Err(JoinError::Full { most }) => {
                prop_assert_eq!(self.readers.len(), most);
                return Ok(());
            }
            Err(JoinError::NotHeld {
                asked,
                oldest,
                newest,
            }) => {
                prop_assert_eq!(newest, self.value(self.put));
                let held = newest.wrapping_sub(oldest);
                prop_assert!(held >= self.history.min(self.put), "{} held", held);
                prop_assert!(newest.wrapping_sub(asked) > held);
                return Ok(());
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        let at = SourceRef::position(&source).wrapping_sub(self.base);
        let behind = self.put - at;
        match from {
            JoinPosition::Live => {
                let expected = match (self.left, self.absence) {
                    (Some(left), OnNoConsumer::Wait) => self.put - left,
                    (Some(left), OnNoConsumer::KeepLatest) if left < self.put => 1,
                    _ => 0,
                };
                prop_assert_eq!(behind, expected);
            }
            JoinPosition::Oldest => prop_assert!(behind >= self.history.min(self.put)),
            JoinPosition::At(position) => prop_assert_eq!(self.value(at), position),
            _ => {}
        }
        if let Some(left) = self.left.take() {
            self.unheard += at.saturating_sub(left);
        }
        self.stale = self.stale.max(stale);
        self.readers.push(Reader { source, at, window });
        Ok(())
    }

    fn leave(&mut self, who: usize) {
        if self.readers.is_empty() {
            return;
        }
        let stale = self.room().min(64);
        let reader = self.readers.swap_remove(who % self.readers.len());
        self.stale = self.stale.max(stale);
        self.heard = self.heard.max(reader.at);
        self.left = self.readers.is_empty().then_some(self.heard);
    }

    fn take(&mut self, who: usize, count: u8, drain: bool) -> Result<(), TestCaseError> {
        if self.readers.is_empty() {
            return Ok(());
        }
        let who = who % self.readers.len();
        let (base, put) = (self.base, self.put);
        let reader = &mut self.readers[who];
        let there = (put - reader.at).min(count.into());
        let mut got = Vec::new();
        if drain {
            reader.source.drain(count.into(), |element| got.push(element));
        } else {
            while got.len() < count.into()
                && let TryNext::Item(element) = reader.source.try_next()
            {
                got.push(element);
            }
        }
        prop_assert!(
            got.iter()
                .copied()
                .eq((0..there).map(|i| base.wrapping_add(reader.at + i)))
        );
        reader.at += there;
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3 * ProptestConfig::default().cases / 2,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_broadcast_is_what_its_model_is(
        base in prop_oneof![Just(0), Just((1 << 32) - 9), Just(u64::MAX - 30)],
        buffer in 1_usize..6,
        history in 0_u64..30,
        absence in prop_oneof![Just(OnNoConsumer::Wait), Just(OnNoConsumer::Drop), Just(OnNoConsumer::KeepLatest)],
        ops in prop::collection::vec(op(), 1..80),
    ) {
        let (sink, subscribers) = broadcast::<u64>()
            .buffer_size(buffer)
            .max_demand(8)
            .history(history)
            .consumers(4)
            .start_position(base)
            .on_no_consumer(absence)
            .build()
            .unwrap();
        let mut model = Model {
            sink,
            subscribers,
            base,
            buffer: buffer as u64,
            history,
            absence,
            put: 0,
            readers: Vec::new(),
            heard: 0,
            left: Some(0),
            unheard: 0,
            stale: 0,
        };
        for op in ops {
            match op {
                Op::Put(count) => {
                    for _ in 0..count {
                        model.put()?;
                    }
                }
                Op::Slice(count) => model.slice(count)?,
                Op::Join(from, window) => model.join(from, window)?,
                Op::Leave(who) => model.leave(who),
                Op::Take(who, count) => model.take(who, count, false)?,
                Op::Drain(who, count) => model.take(who, count, true)?,
            }
            prop_assert_eq!(model.sink.consumers(), model.readers.len());
            let lately = model.left.map_or(0, |left| model.put - left);
            prop_assert_eq!(model.sink.unheard(), model.unheard + lately);
        }
    }
}
