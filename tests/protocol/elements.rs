//! Elements of every size, alignment and kind, within one process.

use std::fmt::Debug;
use std::sync::Arc;
use std::thread;

use millstream::{ChannelError, TryPutError};

use crate::support::{joined, within};

/// Through rings of few blocks, single and in batches, by one thread and by two.
fn travel<T: Debug + PartialEq + Send + 'static>(make: fn(u64) -> T) {
    within(move || {
        for buffer in 0..10 {
            for demand in 1..=10 {
                let (mut sink, mut source) = millstream::channel::<T>()
                    .buffer_size(millstream::Buffer::Bounded(buffer))
                    .initial_demand(demand)
                    .build()
                    .unwrap();
                let room = buffer as u64 + demand;
                let (mut put, mut got) = (0, 0);
                for _ in 0..5 {
                    let before = put;
                    loop {
                        match sink.try_put(make(put)) {
                            Ok(()) => put += 1,
                            Err(TryPutError::Full(back)) => break assert_eq!(back, make(put)),
                            Err(error) => panic!("{error}"),
                        }
                    }
                    assert_eq!(put - before, room);
                    let peek = source.peek(2);
                    assert!(
                        peek.iter()
                            .eq((got..put).take(2).map(make).collect::<Vec<_>>().iter())
                    );
                    assert_eq!(peek.release(0), 0);
                    assert_eq!(source.next(), Some(make(got)));
                    got += 1;
                    let count = source.drain(usize::MAX, |element| {
                        assert_eq!(element, make(got));
                        got += 1;
                    });
                    assert_eq!(count as u64, room - 1);
                    let mut claim = sink.claim(room as usize).unwrap();
                    while claim.push(make(put)).is_ok() {
                        put += 1;
                        if put % 4 == 3 {
                            break;
                        }
                    }
                    claim.commit().unwrap();
                    while let Some(element) = source.try_next().item() {
                        assert_eq!(element, make(got));
                        got += 1;
                    }
                    assert_eq!(got, put);
                }
            }
        }
        for (buffer, demand) in [(0, 1), (3, 4), (64, 64)] {
            let (mut sink, mut source) = millstream::channel::<T>()
                .buffer_size(millstream::Buffer::Bounded(buffer))
                .initial_demand(demand)
                .build()
                .unwrap();
            let producer = thread::spawn(move || {
                for i in 0..2000 {
                    sink.put(make(i)).unwrap();
                }
                sink.complete().unwrap();
            });
            let mut expected = 0;
            for element in source.by_ref() {
                assert_eq!(element, make(expected));
                expected += 1;
            }
            assert_eq!(expected, 2000);
            joined(producer);
        }
    });
}

macro_rules! travels {
    ($($name:ident: $type:ty = $make:expr;)+) => {
        $(
            #[test]
            fn $name() {
                travel::<$type>($make);
            }
        )+
    };
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(16))]
struct Align16(u64);
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(32))]
struct Align32(u8);
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
struct Align64(u64);
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(128))]
struct Align128(u64, [u8; 200]);
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
struct EmptyButAligned;

fn bytes<const N: usize>(i: u64) -> [u8; N] {
    std::array::from_fn(|at| (i as usize * 31 + at) as u8)
}

travels! {
    zero_sized: () = |_| ();
    zero_sized_aligned: EmptyButAligned = |_| EmptyButAligned;
    bytes_1: u8 = |i| i as u8;
    bytes_2: u16 = |i| i as u16;
    bytes_3: [u8; 3] = bytes;
    bytes_7: [u8; 7] = bytes;
    bytes_8: u64 = |i| i;
    bytes_16: u128 = |i| u128::from(i) << 64 | u128::from(!i);
    bytes_24: [u64; 3] = |i| [i, !i, i];
    bytes_28: [u8; 28] = bytes;
    bytes_29: [u8; 29] = bytes;
    bytes_48: [u64; 6] = |i| [i; 6];
    bytes_55: [u8; 55] = bytes;
    bytes_56: [u64; 7] = |i| [i; 7];
    bytes_57: [u8; 57] = bytes;
    bytes_64: [u64; 8] = |i| [i; 8];
    bytes_65: [u8; 65] = bytes;
    bytes_128: [u64; 16] = |i| [i; 16];
    bytes_129: [u8; 129] = bytes;
    bytes_256: [u64; 32] = |i| [i; 32];
    bytes_1024: [u8; 1024] = bytes;
    aligned_16: Align16 = Align16;
    aligned_32: Align32 = |i| Align32(i as u8);
    aligned_64: Align64 = Align64;
    aligned_128: Align128 = |i| Align128(i, bytes(i));
    boxes: Box<u64> = Box::new;
    strings: String = |i| format!("element {i}");
    arcs: Arc<[u64]> = |i| Arc::new([i; 5]);
    options: Option<Vec<u64>> = |i| (i % 3 != 0).then(|| vec![i; (i % 5) as usize]);
    functions: Result<u32, String> = |i| if i % 2 == 0 { Ok(i as u32) } else { Err(i.to_string()) };
}

#[test]
fn elements_lie_aligned() {
    let (mut sink, mut source) = millstream::channel::<Align128>()
        .buffer_size(5)
        .initial_demand(5)
        .build()
        .unwrap();
    for i in 0..10 {
        sink.put(Align128(i, bytes(i))).unwrap();
    }
    for element in source.peek(10).iter() {
        assert_eq!(std::ptr::from_ref(element).addr() % 128, 0);
    }
}

#[test]
fn c2_a_bound_that_cannot_be_held_is_an_error() {
    let most = 1_u64 << 32;
    let error = |buffer, demand| {
        millstream::channel::<u64>()
            .buffer_size(millstream::Buffer::Bounded(buffer))
            .initial_demand(demand)
            .build()
            .map(drop)
            .unwrap_err()
    };
    assert_eq!(
        error(1 << 32, 1),
        ChannelError::TooLarge {
            elements: most + 1,
            most
        }
    );
    assert_eq!(
        error(0, most + 1),
        ChannelError::TooLarge {
            elements: most + 1,
            most
        }
    );
    assert_eq!(
        error(usize::MAX, 1),
        ChannelError::TooLarge {
            elements: u64::MAX,
            most
        }
    );
    assert_eq!(
        error(usize::MAX, u64::MAX),
        ChannelError::TooLarge {
            elements: u64::MAX,
            most
        }
    );
}

#[test]
fn c2_a_ring_without_memory_is_an_error() {
    let builder = millstream::channel::<[u8; 1 << 31]>()
        .buffer_size(1 << 31)
        .initial_demand(1 << 31);
    let (elements, element) = (1 << 32, 1 << 31);
    assert_eq!(
        builder.build().map(drop),
        Err(ChannelError::NoMemory { elements, element })
    );
}

#[test]
fn c34_a_demand_of_nothing_is_refused() {
    for manual in [false, true] {
        let builder = millstream::channel::<u64>().initial_demand(0);
        let builder = if manual { builder.manual_demand() } else { builder };
        assert_eq!(builder.build().map(drop), Err(ChannelError::ZeroDemand));
    }
}
