//! Descriptors that are not what a welcome should bring.

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};

pub(super) const SIZE: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);
pub(super) const WRITER: SealFlags = SIZE.union(SealFlags::FUTURE_WRITE);

/// A memfd with those bytes and seals.
pub(super) fn memory(image: &[u8], seals: SealFlags) -> OwnedFd {
    let fd = rustix::fs::memfd_create("liar", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC).unwrap();
    assert_eq!(rustix::io::write(&fd, image).unwrap(), image.len());
    rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
    fd
}

fn again(fd: &OwnedFd, flags: OFlags) -> OwnedFd {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

/// What is no memory at all: by its name, and what stands in for it.
pub(super) fn strangers() -> Vec<(&'static str, OwnedFd)> {
    let (pipe, _) = rustix::pipe::pipe().unwrap();
    let events = rustix::event::eventfd(0, rustix::event::EventfdFlags::NONBLOCK).unwrap();
    vec![
        ("a pipe", pipe),
        ("an eventfd", events),
        ("/dev/null", File::open("/dev/null").unwrap().into()),
        ("/dev/zero", File::open("/dev/zero").unwrap().into()),
        ("a directory", File::open("/").unwrap().into()),
        ("a file", tempfile::tempfile().unwrap().into()),
    ]
}

/// Memory that is not as it must be, where `image` would be right with `seals`: what it is, and a word of the refusal.
pub(super) fn wrong_memory(image: &[u8], seals: SealFlags) -> Vec<(String, OwnedFd, &'static str)> {
    let mut wrong = Vec::new();
    for (what, fd) in strangers() {
        wrong.push((what.to_string(), fd, "WrongLength"));
    }
    wrong.push(("a socket".into(), super::wire::pair().0, "WrongLength"));
    for missing in seals.iter() {
        // Without the seal on seals the others could still be added; the kernel wants it last.
        let fd = memory(image, seals.difference(missing));
        wrong.push((format!("without {missing:?}"), fd, "NotSealed"));
    }
    wrong.push(("unsealed".into(), memory(image, SealFlags::empty()), "NotSealed"));
    wrong.push(("empty".into(), memory(&[], seals), "WrongLength"));
    wrong.push((
        "short by a byte".into(),
        memory(&image[1..], seals),
        "WrongLength",
    ));
    wrong.push((
        "short by a page".into(),
        memory(&image[..image.len() - 4096], seals),
        "WrongLength",
    ));
    wrong.push((
        "long".into(),
        memory(&[image, &[0; 4096]].concat(), seals),
        "WrongLength",
    ));
    let file = tempfile::tempfile().unwrap();
    file.set_len(image.len() as u64).unwrap();
    wrong.push(("a file of that length".into(), file.into(), "NotSealed"));
    // Sealed as it should be, and not to be mapped as it should be.
    let right = memory(image, seals);
    wrong.push((
        "for writing only".into(),
        again(&right, OFlags::WRONLY),
        "NotPermitted",
    ));
    wrong.push(("without content".into(), again(&right, OFlags::PATH), ""));
    wrong
}
