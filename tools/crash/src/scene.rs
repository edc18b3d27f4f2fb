//! One scene: everybody is started, the victim is killed at its point, whoever comes after comes at once, and all of it is checked.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::fault::Fault;
use crate::ledger::{HEIR, Ledger, OTHER, PEER, VICTIM, now};
use crate::operation::{Operation, Order};
use crate::stage::{Role, Stage};
use crate::trace::{Children, Killed, give_up};
use crate::verdict::PEER_GONE;

/// The stage of a victim that is dead.
pub(crate) const KILLED: u32 = 99;
/// Nothing takes longer than this, or it hangs.
const WATCHDOG: Duration = Duration::from_secs(10);

/// What the scenes are played in.
pub(crate) struct Ground {
    base: PathBuf,
    ledger: Ledger,
    children: Children,
}

/// How a scene went.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    pub(crate) killed: Killed,
    /// How long after the death a consumer was told, at most; of scenes in which that is known.
    pub(crate) heard: Option<Duration>,
    /// How long it took the heir to publish, or to subscribe.
    pub(crate) opened: Duration,
}

impl Ground {
    pub(crate) fn new(base: &Path) -> Result<Self, Fault> {
        Ok(Self {
            base: base.to_path_buf(),
            ledger: Ledger::new()?,
            children: Children::default(),
        })
    }

    fn dir(&self) -> PathBuf {
        self.base.join("run")
    }

    fn start(&mut self, index: usize, role: Role) -> Result<Pid, Fault> {
        let stage = Stage {
            dir: self.dir(),
            ledger: &self.ledger,
            index,
        };
        self.children.start(|| {
            if index == VICTIM
                && let Err(fault) = give_up()
            {
                stage.own().accuse(&fault);
                return 1;
            }
            stage.play(role)
        })
    }

    /// Plays the scene of one point. Where that is beyond the last one, the victim is killed at its second mark.
    pub(crate) fn play(
        &mut self,
        operation: &Operation,
        point: u64,
    ) -> (Option<Killed>, Result<Played, Fault>) {
        self.ledger.clear();
        let mut killed = None;
        let played = self.act(operation, point, &mut killed);
        let cleared = self.children.kill_all();
        if played.is_err() {
            // So that the next scene has a clean ground; it is the fault that counts.
            let _ = fs::remove_dir_all(self.dir());
        }
        self.forget_files();
        (killed, cleared.and(played))
    }

    fn act(&mut self, operation: &Operation, point: u64, seen: &mut Option<Killed>) -> Result<Played, Fault> {
        let mut peers = Vec::new();
        for (index, role) in (PEER..).zip(operation.peers) {
            peers.push((index, self.start(index, *role)?));
        }
        let victim = self.start(VICTIM, operation.victim)?;
        let until = Instant::now() + WATCHDOG;
        let killed = self.children.kill_at(victim, operation.by, point, until);
        let killed = killed.map_err(|fault| self.blamed(fault).by("before the kill"))?;
        *seen = Some(killed.clone());
        let died = now();
        self.ledger.place(VICTIM).reach(KILLED);
        if let Some(fault) = self.ledger.place(VICTIM).fault() {
            return Err(fault.by("the victim, while it lived"));
        }

        let until = Instant::now() + WATCHDOG;
        let alone = match operation.order {
            Order::AtOnce => false,
            Order::Either => point % 2 == 1,
            Order::After => true,
        };
        if alone {
            self.finish(&peers, until)?;
            // Who saw another end may have gone before the death.
            if peers
                .iter()
                .all(|(index, _)| self.ledger.place(*index).end() == PEER_GONE)
            {
                self.swept("when the last consumer had gone")?;
            }
        }
        let heir = self.start(HEIR, operation.heir)?;
        self.finish(&[(HEIR, heir)], until)?;
        self.finish(&peers, until)?;
        (operation.judge)(&self.ledger)?;
        self.swept("when all had gone")?;
        if self.dir().exists() {
            fs::remove_dir(self.dir())?;
        }
        let heard = (PEER..HEIR).map(|index| self.ledger.place(index).heard());
        let heard = heard.max().unwrap_or(0).saturating_sub(died);
        let heard = (operation.order == Order::Either).then_some(heard);
        Ok(Played {
            killed,
            heard: heard.map(Duration::from_nanos),
            opened: Duration::from_nanos(self.ledger.place(HEIR).opened_in()),
        })
    }

    /// A durable stream is its user's to delete.
    fn forget_files(&self) {
        let file = durable_file(&self.dir());
        for file in [file.with_extension("position"), file] {
            // There is none in most scenes.
            let _ = fs::remove_file(file);
        }
    }

    /// Waits for the good end of some.
    fn finish(&mut self, some: &[(usize, Pid)], until: Instant) -> Result<(), Fault> {
        for (index, pid) in some {
            let code = self.children.finish(*pid, until);
            let code = code.map_err(|fault| self.blamed(fault.by(name_of(*index))))?;
            if code != Some(0) {
                let fault = Fault::broken(format!("it ended with {code:?}"));
                return Err(self.blamed(fault.by(name_of(*index))));
            }
        }
        Ok(())
    }

    /// What all of them have found wrong, or else the fault that was found from outside. The first is that of the living: who waits
    /// for somebody that has failed fails, too.
    fn blamed(&self, otherwise: Fault) -> Fault {
        let order = [PEER, OTHER, HEIR, VICTIM];
        let found: Vec<Fault> = order
            .into_iter()
            .filter_map(|index| Some(self.ledger.place(index).fault()?.by(name_of(index))))
            .collect();
        let Some(first) = found.first() else {
            return otherwise;
        };
        let texts: Vec<&str> = found.iter().map(|fault| fault.text.as_str()).collect();
        Fault {
            kind: first.kind,
            text: texts.join("; "),
        }
    }

    /// Nothing is left in the runtime directory.
    fn swept(&self, when: &str) -> Result<(), Fault> {
        let Ok(files) = fs::read_dir(self.dir()) else {
            return Ok(());
        };
        let left: Vec<_> = files
            .filter_map(Result::ok)
            .map(|file| file.file_name().to_string_lossy().into_owned())
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        Err(Fault::leaked(format!("{left:?} were left {when}")))
    }
}

/// Where the scenes of durable streams have theirs.
pub(crate) fn durable_file(dir: &Path) -> PathBuf {
    dir.with_file_name("durable")
}

fn name_of(index: usize) -> &'static str {
    match index {
        VICTIM => "the victim",
        PEER => "the peer",
        HEIR => "the heir",
        _ => "the other",
    }
}
