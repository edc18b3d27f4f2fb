//! Consumers and observers that lie to a producer, which goes on, and keeps nothing of them.

use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use rustix::fs::FallocateFlags;
use rustix::net::RecvFlags;

use super::settles;
use super::wire::{
    REFUSAL, WELCOME, bare, connect, copies, hello, kind, receive, refusal, send, subscribe, welcome,
};
use crate::hostile::{CONSUMER_RINGS, CONTROL, GRANTED, RELEASED};
use crate::stage::{Actor, Ground};

/// A producer of the stream `target` and of `steady`, which an honest consumer here takes.
struct Scene {
    ground: Ground,
    producer: Actor,
    steady: millstream::SourceRef<u64>,
    held: String,
}

impl Scene {
    fn new(several: bool) -> Self {
        let ground = Ground::new();
        let mut producer = ground.start("deceived_producer", &[&several]);
        producer.expect("HERE");
        let mut steady = ground.subscribe::<u64>("steady").open().unwrap();
        assert_eq!(producer.ask("steady 1"), "ok");
        assert_eq!(steady.next(), Some(0));
        // Behind the hang-up on an observer, nothing of the answer to the consumer before is still in hand.
        let observer = connect(&ground.dir, "steady");
        assert!(send(&observer, &hello(2), &[]));
        assert_eq!(kind(&receive(&observer).0), WELCOME);
        assert!(receive(&observer).0.is_empty());
        let held = producer.ask("holdings");
        Self {
            ground,
            producer,
            steady,
            held,
        }
    }

    fn connect(&self) -> OwnedFd {
        connect(&self.ground.dir, "target")
    }

    /// The other stream flows, an honest consumer gets in, and nothing is left of the liars.
    fn undisturbed(mut self) {
        assert_eq!(self.producer.ask("steady 5"), "ok");
        assert!(self.steady.by_ref().take(5).eq(0..5));
        settles(&mut self.producer, &self.held);
        let honest = self.ground.subscribe::<u64>("target").open().unwrap();
        drop(honest);
    }
}

#[test]
fn every_bit_of_a_hello_may_be_wrong() {
    let scene = Scene::new(true);
    let (mut welcomed, mut refused) = (0, 0);
    for role in [1, 2] {
        let right = hello(role);
        for bit in 0..right.len() * 8 {
            let mut packet = right.clone();
            packet[bit / 8] ^= 1 << (bit % 8);
            let socket = scene.connect();
            assert!(send(&socket, &packet, &[]));
            let (answer, _) = receive(&socket);
            match kind(&answer) {
                WELCOME => welcomed += 1,
                REFUSAL => refused += 1,
                other => panic!("bit {bit}: {other}"),
            }
        }
    }
    println!("{refused} refused; {welcomed} still said what a consumer may say");
    assert!(refused > welcomed);
    scene.undisturbed();
}

#[test]
fn any_message_in_any_order_ends_one_connection_alone() {
    let scene = Scene::new(true);
    let (hole, _other) = super::wire::pair();
    let overlong = vec![1; 150_000];
    let mut unknown = [0u16, 6, 0x100, u16::MAX].map(bare).to_vec();
    // A type that there is, and a body of another.
    unknown.push([&welcome(4096, 1, 1)[..16], &hello(1)[16..]].concat());
    let messages: Vec<(Vec<u8>, usize)> = [
        hello(1),
        hello(2),
        bare(4),
        bare(5),
        welcome(4096, 7, 16),
        refusal(8),
        overlong,
    ]
    .into_iter()
    .chain(unknown)
    .map(|message| (message, 0))
    // Descriptors are not taken from consumers, however many.
    .chain([(hello(1), 1), (bare(4), 1), (bare(4), 64), (hello(1), 64)])
    .collect();
    let mut conversations = 0;
    for first in [None, Some(&messages[0])] {
        for second in &messages {
            for third in &messages {
                let socket = scene.connect();
                for (packet, fds) in first.into_iter().chain([second, third]) {
                    if !send(&socket, packet, &copies(&hole, *fds)) {
                        break;
                    }
                }
                conversations += 1;
                // Whatever it answers comes at once.
                if conversations % 7 == 0 {
                    let _ = receive(&socket);
                }
            }
        }
    }
    println!("{conversations} conversations");
    scene.undisturbed();
}

#[test]
fn a_hang_up_at_each_point_of_the_handshake_leaves_nothing() {
    let scene = Scene::new(true);
    for round in 0..20 {
        drop(scene.connect());
        let half = scene.connect();
        assert!(send(&half, &hello(1)[..20 + round], &[]));
        drop(half);
        let unheard = scene.connect();
        assert!(send(&unheard, &hello(1), &[]));
        drop(unheard);
        let invited = scene.connect();
        assert!(send(&invited, &hello(1), &[]));
        let (answer, fds) = receive(&invited);
        assert_eq!((kind(&answer), fds.len()), (WELCOME, 4));
        drop((invited, fds));
        let (seated, fds) = subscribe(&scene.ground.dir, "target");
        drop((seated, fds));
        let observer = scene.connect();
        assert!(send(&observer, &hello(2), &[]));
        drop(observer);
    }
    scene.undisturbed();
}

#[test]
fn a_message_repeated_after_the_handshake_ends_the_subscription() {
    let mut scene = Scene::new(false);
    for packet in [hello(1), bare(4), bare(5), welcome(4096, 7, 16), vec![0; 100]] {
        let (socket, _fds) = subscribe(&scene.ground.dir, "target");
        assert!(send(&socket, &packet, &[]));
        assert!(receive(&socket).0.is_empty(), "a hang-up");
        let refused = scene.producer.ask("put 20000");
        assert!(refused.contains("PeerGone"), "{refused}");
        assert_eq!(scene.producer.ask("reopen"), "ok");
    }
    scene.undisturbed();
}

#[test]
fn an_observer_that_goes_on_talking_is_hung_up_on() {
    let scene = Scene::new(false);
    for packet in [hello(1), hello(2), bare(4), vec![0; 100]] {
        let socket = scene.connect();
        assert!(send(&socket, &hello(2), &[]));
        let (answer, fds) = receive(&socket);
        assert_eq!(
            (kind(&answer), fds.len()),
            (WELCOME, 1),
            "the memory, and nothing to write"
        );
        send(&socket, &packet, &[]);
        assert!(receive(&socket).0.is_empty());
    }
    scene.undisturbed();
}

#[test]
fn a_credit_page_with_a_hole_is_a_step_back() {
    let mut scene = Scene::new(false);
    let (_socket, fds) = subscribe(&scene.ground.dir, "target");
    let page = mapped(&fds[1]);
    // It asks for some, and is given it.
    // SAFETY: the words of a credit page, mapped here, aligned.
    unsafe { page.add(256).cast::<u64>().write_volatile(4) };
    assert!(scene.producer.ask("put 50").contains("TimedOut"));
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(&fds[1], hole, 0, 4096).unwrap();
    let refused = scene.producer.ask("put 20000");
    assert!(
        refused.contains("PeerCorrupt") && refused.contains("granted"),
        "{refused}"
    );
    assert_eq!(scene.producer.ask("reopen"), "ok");
    // The pages of the stream itself cannot be punched, by nobody.
    let refused = rustix::fs::fallocate(&fds[0], hole, 0, 4096);
    assert!(refused.is_err());
    drop((_socket, fds));
    scene.undisturbed();
}

fn mapped(fd: &OwnedFd) -> *mut u8 {
    let prot = rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE;
    // SAFETY: a mapping at an address of the kernel's choice.
    let page = unsafe {
        rustix::mm::mmap(
            std::ptr::null_mut(),
            4096,
            prot,
            rustix::mm::MapFlags::SHARED,
            fd,
            0,
        )
    };
    page.unwrap().cast()
}

/// Rings all the time, until it is told to stop, by the socket and descriptors that nobody asked for, or by the counter.
fn flood(fds: &[OwnedFd], by_counter: bool, over: &Receiver<()>) -> u64 {
    let (credit, bell) = (&fds[1], &fds[2]);
    let mut rings = 0u64;
    while over.try_recv() == Err(TryRecvError::Empty) {
        rings += 1;
        if by_counter {
            rustix::io::pwrite(credit, &rings.to_ne_bytes(), CONSUMER_RINGS as u64).unwrap();
            continue;
        }
        let fds = if rings.is_multiple_of(64) {
            copies(bell, 3)
        } else {
            Vec::new()
        };
        // A full bell refuses the ring.
        if !send(bell, &[1; 200], &fds) {
            std::thread::yield_now();
        }
    }
    rings
}

#[test]
fn a_flood_of_rings_costs_time_and_nothing_else() {
    for by_counter in [false, true] {
        let mut scene = Scene::new(false);
        let (socket, fds) = subscribe(&scene.ground.dir, "target");
        let (stop, over) = channel();
        let ringer = std::thread::spawn(move || (flood(&fds, by_counter, &over), fds));
        // It has asked for nothing, so the producer waits, and is woken by every ring.
        let begun = Instant::now();
        let refused = scene.producer.ask("put 700");
        assert!(refused.contains("TimedOut"), "{refused}");
        assert!(begun.elapsed() >= Duration::from_millis(650));
        assert_eq!(scene.producer.ask("steady 5"), "ok");
        assert!(scene.steady.by_ref().take(5).eq(0..5));
        drop(stop);
        let (rings, fds) = ringer.join().unwrap();
        println!("{rings} rings");
        drop((socket, fds));
        assert!(scene.producer.ask("put 20000").contains("PeerGone"));
        assert_eq!(scene.producer.ask("reopen"), "ok");
        scene.undisturbed();
    }
}

#[test]
fn a_consumer_of_layout_2_0_is_rung_by_its_socket_in_each_sleep() {
    let mut scene = Scene::new(false);
    let (socket, fds) = subscribe(&scene.ground.dir, "target");
    let write = |offset: usize, word: u64| {
        rustix::io::pwrite(&fds[1], &word.to_ne_bytes(), offset as u64).unwrap();
    };
    for sleep in 1..5 {
        // It has taken what the buffer held, asks for no more, and is parked: the number of its sleep reaches from bit 2 on. It counts no rings.
        write(RELEASED, 16 * (sleep - 1));
        write(GRANTED, 16 * (sleep - 1));
        write(CONTROL, sleep << 2 | 1);
        assert!(scene.producer.ask("put 50").contains("TimedOut"));
        let mut rings = [0; 8];
        let rung = rustix::net::recv(&fds[2], &mut rings[..], RecvFlags::DONTWAIT);
        assert!(matches!(rung, Ok((1, 1))), "sleep {sleep}: {rung:?}");
    }
    drop((socket, fds));
    assert!(scene.producer.ask("put 20000").contains("PeerGone"));
    assert_eq!(scene.producer.ask("reopen"), "ok");
    scene.undisturbed();
}

#[test]
fn words_of_credit_that_lie_are_a_table() {
    let mut scene = Scene::new(false);
    // Sixteen elements of buffer and a window of sixteen: of what is published, nobody can have released more than all, nor ask
    // for more than a window beyond.
    let table: [(usize, u64, &str); 12] = [
        (256, 49, "granted"),
        (256, u64::MAX, "granted"),
        (256, 1 << 63, "granted"),
        (256, (1 << 63) - 1, "granted"),
        (256, 1 << 32, "granted"),
        (256, 0u64.wrapping_sub(1), "granted"),
        (128, 2, "Cancelled"),
        (128, u64::MAX, "Cancelled"),
        (128, 1, "TimedOut"),
        (256, 16, "TimedOut"),
        (0, u64::MAX, "TimedOut"),
        (40, 1 << 40, "TimedOut"),
    ];
    for (offset, value, wanted) in table {
        let (socket, fds) = subscribe(&scene.ground.dir, "target");
        let page = mapped(&fds[1]);
        // SAFETY: a word of a page that is mapped here, aligned.
        unsafe { page.add(offset).cast::<u64>().write_volatile(value) };
        let time = if wanted == "TimedOut" { 100 } else { 20_000 };
        let refused = scene.producer.ask(format_args!("put {time}"));
        assert!(refused.contains(wanted), "{offset} {value}: {refused}");
        drop((socket, fds));
        assert_eq!(scene.producer.ask("reopen"), "ok");
        let _ = page;
    }
    scene.undisturbed();
}
