//! Any packets, in any order, to a producer that lives: the first byte says which stream, then each packet has its length
//! before it. Whatever comes, the producer goes on and an honest consumer gets in afterwards. Each input has a stream of its own, for one
//! that asks for a resumable place gets it, and keeps it.
#![no_main]

#[path = "../shared/honest.rs"]
#[allow(dead_code, reason = "shared by several targets")]
mod honest;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use millstream::{OnNoConsumer, publish, subscribe};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType};

/// An answer is taken, or the hang-up, or nothing after a moment.
fn hear(socket: &rustix::fd::OwnedFd) -> bool {
    let mut packet = [0; 1024];
    let moment = Timespec {
        tv_sec: 0,
        tv_nsec: 20_000_000,
    };
    if poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&moment)) != Ok(1) {
        return true;
    }
    matches!(
        rustix::net::recv(socket, &mut packet, RecvFlags::DONTWAIT),
        Ok((1.., _))
    )
}

fuzz_target!(|data: &[u8]| {
    let Some((which, mut rest)) = data.split_first() else {
        return;
    };
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    let dir = DIR.get_or_init(honest::run_dir);
    let is_for_several = which % 2 != 0;
    let (name, builder) = match is_for_several {
        false => ("only", publish::<u64>("only")),
        true => (
            "several",
            publish::<u64>("several")
                .consumers(4)
                .on_no_consumer(OnNoConsumer::Drop),
        ),
    };
    let mut sink = builder.directory(dir).open().unwrap();
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    let address = SocketAddrUnix::new(dir.join(format!("{name}.sock"))).unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    while let Some((len, more)) = rest.split_at_checked(2) {
        let len = usize::from(u16::from_le_bytes([len[0], len[1]])).min(more.len());
        let (packet, more) = more.split_at(len);
        rest = more;
        if rustix::net::send(&socket, packet, SendFlags::NOSIGNAL).is_err() || !hear(&socket) {
            break;
        }
    }
    drop(socket);
    let _ = sink.try_put(1);
    if !is_for_several {
        return;
    }
    let honest = subscribe::<u64>("several")
        .directory(dir)
        .wait_for(Duration::from_secs(5))
        .open()
        .unwrap();
    drop(honest);
});
