//! A call to a producer: connect, say hello, hear the answer. Within a time, whatever the producer does.

#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::claim::{Incarnation, sweep};
use super::directory::RuntimeDirectory;
use super::error::SystemError;
use super::name::Name;
use super::socket::{self, Peer, Receipt};
use super::subscribe_error::SubscribeError;
use super::wire::{Code, Hello, Kind, LONGEST_MESSAGE, Message, OWN_VERSION, Refusal, Welcome, WireError};
use crate::element::Schema;
use crate::primitive::Arc;
use crate::ring::JoinPosition;
use crate::ring::page::{ENDIAN_MARK, MAJOR, MINOR};

/// Time for an answer: twice what the producer itself allows for a handshake.
const PATIENCE: Duration = Duration::from_secs(2);

/// A producer that said welcome.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) connection: OwnedFd,
    pub(super) welcome: Welcome,
    pub(super) fds: Vec<OwnedFd>,
    pub(super) pid: Option<u32>,
    /// Which publication of the name it is; `None` when it ended at this moment.
    pub(super) incarnation: Option<Incarnation>,
}

/// Calls whoever publishes the name.
pub(super) fn call(
    directory: &Arc<RuntimeDirectory>,
    name: &Name,
    hello: &Hello,
    deadline: Option<Instant>,
) -> Result<Answer, SubscribeError> {
    let system = |what| {
        let path = directory.at(&name.socket_file());
        move |errno| SystemError::new(what, &path, errno)
    };
    let patience = Instant::now() + PATIENCE;
    let until = deadline.map_or(patience, |deadline| deadline.min(patience));
    let connection = match socket::connect(directory, name) {
        Ok(connection) => connection,
        Err(Errno::NOENT | Errno::CONNREFUSED) => {
            // If somebody died here, leave no trace of it. An error changes nothing for the caller.
            if let Err(error) = sweep(directory, name) {
                log::debug!("millstream leaves the files of {name:?}: {error}");
            }
            let path = directory.at(&name.socket_file());
            return Err(SubscribeError::NotFound {
                name: name.to_string(),
                path,
            });
        }
        Err(Errno::AGAIN) => {
            return Err(SubscribeError::Busy {
                name: name.to_string(),
            });
        }
        Err(errno) => return Err(system("connecting to a producer")(errno).into()),
    };
    let incarnation = Incarnation::of(directory, name)?;
    let Peer { pid, uid, .. } = socket::peer(&connection).map_err(system("asking who a producer is"))?;
    let wanted = directory.circle().owner();
    if uid != wanted {
        return Err(SubscribeError::WrongUser {
            name: name.to_string(),
            ours: wanted,
            theirs: uid,
        });
    }
    let gone = || SubscribeError::PeerGone {
        name: name.to_string(),
    };
    match socket::send(&connection, &Message::Hello(hello.clone()).encode(), &[]) {
        // A refusal may have come before the hello was sent.
        Ok(()) | Err(Errno::PIPE | Errno::CONNRESET) => {}
        Err(errno) => return Err(system("calling a producer")(errno).into()),
    }
    if !socket::wait_readable(&connection, until).map_err(system("waiting for a producer"))? {
        return Err(SubscribeError::Unresponsive {
            name: name.to_string(),
            pid,
        });
    }
    let mut packet = vec![0; LONGEST_MESSAGE];
    let corrupt = |word, value| SubscribeError::PeerCorrupt {
        name: name.to_string(),
        word,
        value,
    };
    let received = socket::receive(&connection, &mut packet, socket::MOST_FDS);
    let (len, fds) = match received.map_err(system("hearing a producer"))? {
        Receipt::Packet(len, fds) => (len, fds),
        Receipt::Overlong => return Err(corrupt("message length", u64::MAX)),
        Receipt::WithoutFds => return Err(system("receiving descriptors")(Errno::MFILE).into()),
        Receipt::HungUp | Receipt::Nothing => return Err(gone()),
    };
    match Message::decode(&packet[..len]) {
        Ok(Message::Welcome(welcome)) => Ok(Answer {
            connection,
            welcome,
            fds,
            pid,
            incarnation,
        }),
        Ok(Message::Refusal(refusal)) => Err(refused(name, hello, refusal)),
        Ok(Message::Hello(_) | Message::Ready | Message::Evicted) => Err(corrupt("message type", 0)),
        Err(WireError::Field { word, value }) => Err(corrupt(word, value)),
        Err(WireError::Version { major, minor }) => Err(SubscribeError::Version {
            name: name.to_string(),
            ours: (MAJOR, MINOR),
            theirs: (major, minor),
        }),
    }
}

fn refused(name: &Name, hello: &Hello, refusal: Refusal) -> SubscribeError {
    let Refusal {
        code,
        pid,
        ours,
        theirs,
        fingerprint,
        subscription,
        waiting,
        schema,
    } = refusal;
    let name = name.to_string();
    let corrupt = |word, value| SubscribeError::PeerCorrupt {
        name: name.clone(),
        word,
        value,
    };
    match code {
        Code::Version if ours != OWN_VERSION => {
            let theirs = ((ours >> 16) as u16, ours as u16);
            SubscribeError::Version {
                name,
                ours: (MAJOR, MINOR),
                theirs,
            }
        }
        Code::Kind => SubscribeError::Kind {
            name,
            ours: hello.kind.describe(),
            theirs: match hello.kind {
                Kind::Elements => Kind::Frames.describe(),
                Kind::Any | Kind::Frames => Kind::Elements.describe(),
            },
        },
        Code::Fingerprint => SubscribeError::Fingerprint {
            name,
            ours: hello.fingerprint,
            theirs: fingerprint,
            differences: differences(&hello.schema, &schema),
        },
        Code::Window => SubscribeError::DemandTooLarge {
            name,
            asked: hello.window,
            max: ours,
        },
        Code::AlreadySubscribed => {
            let pid = Some(pid).filter(|pid| *pid != 0);
            SubscribeError::AlreadySubscribed {
                name,
                pid,
                subscription,
                resumable_waiting: waiting,
            }
        }
        Code::Full => SubscribeError::Full { name, most: ours },
        Code::NotHeld => SubscribeError::NotHeld {
            name,
            asked: match hello.join.from {
                JoinPosition::At(asked) => asked,
                JoinPosition::Live | JoinPosition::Oldest => theirs,
            },
            oldest: ours,
            newest: theirs,
        },
        Code::Exclusive => SubscribeError::NotABroadcast { name },
        Code::Durable => SubscribeError::Durable { name },
        Code::Ended => SubscribeError::Ended { name },
        Code::Busy => SubscribeError::Busy { name },
        Code::Exhausted => SubscribeError::ProducerExhausted { name },
        Code::User | Code::Group => SubscribeError::NotAdmitted {
            name,
            user: rustix::process::geteuid().as_raw(),
            own_group: rustix::process::getegid().as_raw(),
            group: (code == Code::Group).then(|| u32::try_from(ours).unwrap_or(u32::MAX)),
        },
        Code::Endian => corrupt("endian", ours.max(ENDIAN_MARK.into())),
        // A producer that does not understand what it must is not in order, whoever is to blame.
        Code::Version | Code::Malformed => corrupt("refusal", theirs),
    }
}

/// Where the types of two encoded schemas differ; empty when either cannot be read.
fn differences(ours: &[u8], theirs: &[u8]) -> Vec<String> {
    match (Schema::decode(ours), Schema::decode(theirs)) {
        (Ok(ours), Ok(theirs)) => ours.difference(&theirs),
        _ => Vec::new(),
    }
}
