//! A producer that answers anything and shares anything, and a consumer or an observer that calls it: words to be changed in a welcome and in
//! pages that were right, and descriptors of which some are not what they should be.
#![no_main]

#[path = "../shared/honest.rs"]
#[allow(dead_code, reason = "shared by several targets")]
mod honest;

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use millstream::{observe, subscribe};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketType,
};

const EPOCH: std::ops::Range<usize> = 104..112;

struct Answer {
    packet: Vec<u8>,
    fds: Vec<OwnedFd>,
}

fn impostor() -> &'static (PathBuf, SyncSender<Answer>) {
    static IMPOSTOR: OnceLock<(PathBuf, SyncSender<Answer>)> = OnceLock::new();
    IMPOSTOR.get_or_init(|| {
        let dir = honest::run_dir();
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let listener = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        rustix::net::bind(&listener, &SocketAddrUnix::new(dir.join("liar.sock")).unwrap()).unwrap();
        rustix::net::listen(&listener, 4).unwrap();
        let (say, answers) = sync_channel::<Answer>(1);
        std::thread::spawn(move || {
            for Answer { packet, fds } in answers {
                let connection = rustix::net::accept(&listener).unwrap();
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
                if !fds.is_empty() {
                    control.push(SendAncillaryMessage::ScmRights(&fds));
                }
                let _ = rustix::net::sendmsg(
                    &connection,
                    &[IoSlice::new(&packet)],
                    &mut control,
                    SendFlags::NOSIGNAL,
                );
            }
        });
        (dir, say)
    })
}

fn memory(image: &[u8], seals: SealFlags) -> OwnedFd {
    let fd = rustix::fs::memfd_create("liar", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC).unwrap();
    rustix::io::write(&fd, image).unwrap();
    rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
    fd
}

/// A welcome that fits to the pages.
fn welcome(image: &[u8]) -> Vec<u8> {
    let mut packet = b"\x89MLH\r\n\x1a\n\x01\x00\x01\x00".to_vec();
    packet.extend(72u32.to_le_bytes());
    packet.extend([2, 0, 0, 0, 1, 0, 0, 0]);
    packet.extend((image.len() as u64).to_le_bytes());
    packet.extend(&image[EPOCH]);
    packet.extend(0u64.to_le_bytes());
    packet.extend(0u64.to_le_bytes());
    packet.extend(8u64.to_le_bytes());
    packet.extend([0; 8]);
    packet
}

fuzz_target!(|data: &[u8]| {
    let Some((head, changes)) = data.split_at_checked(4) else {
        return;
    };
    let (dir, say) = impostor();
    let pages = honest::pages(head[0]);
    let (mut image, mut credit) = (pages.to_vec(), pages[4096..8192].to_vec());
    // A schema stands in the second page.
    image[4096..8192].fill(0);
    image[4096..4100].copy_from_slice(&[1, 1, 8, 8]);
    let mut packet = welcome(&image);
    // Changes to the stream's page, the credit page and the welcome, in turn.
    for (number, change) in changes.chunks(10).enumerate() {
        match number % 3 {
            0 => honest::change(&mut image, change),
            1 => honest::change(&mut credit, change),
            _ => honest::change(&mut packet, change),
        }
    }
    packet.truncate(packet.len().saturating_sub(usize::from(head[1] & 0x0f)));
    let size = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    let (bell, _other) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        rustix::net::SocketFlags::NONBLOCK,
        None,
    )
    .unwrap();
    let mut fds = vec![
        memory(&image, size | SealFlags::FUTURE_WRITE),
        memory(&credit, size),
        bell,
    ];
    let strange: OwnedFd = match head[2] >> 4 {
        0 => rustix::pipe::pipe().unwrap().0,
        1 => std::fs::File::open("/dev/null").unwrap().into(),
        2 => std::fs::File::open("/").unwrap().into(),
        3 => rustix::event::eventfd(0, rustix::event::EventfdFlags::NONBLOCK).unwrap(),
        4 => memory(&image, SealFlags::empty()),
        5 => memory(&image[..100], size | SealFlags::FUTURE_WRITE),
        _ => memory(&credit, size),
    };
    match head[2] & 0x0f {
        at @ 1..=3 => fds[usize::from(at) - 1] = strange,
        at @ 4..=6 => drop(fds.remove(usize::from(at) - 4)),
        7 => fds.push(strange),
        8 => fds.swap(0, 1),
        9 => fds.clear(),
        _ => {}
    }
    say.send(Answer { packet, fds }).unwrap();
    match head[3] % 3 {
        0 => {
            let source = subscribe::<u64>("liar").directory(dir).initial_demand(8).open();
            if let Ok(mut source) = source {
                (0..20).for_each(|_| drop(source.try_next()));
            }
        }
        1 => {
            let source = subscribe::<[u8]>("liar").directory(dir).initial_demand(8).open();
            if let Ok(mut source) = source {
                for _ in 0..20 {
                    if let Ok(Some(frame)) = source.next_deadline(Instant::now()) {
                        assert!(frame.len() <= 64 << 20);
                    }
                }
            }
        }
        _ => {
            if let Ok(mut seen) = observe("liar", Some(dir.clone())) {
                seen.refresh();
                let _ = (seen.position(), seen.buffered(), format!("{seen:?}"));
            }
        }
    }
});
