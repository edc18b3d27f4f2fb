//! A fork without an exec: the child has copies of the parent's handles and descriptors, and none of its rings.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use millstream::{End, PublishError, SinkRef, SourceRef, TimedOut};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::alone;
use crate::stage::{Ground, Role, Stage, eventually, say, soon};

pub(crate) const ROLES: &[(&str, Role)] = &[
    ("forks", forks),
    ("forks_and_drops", forks_and_drops),
    ("forks_and_stays", forks_and_stays),
    ("executes_and_stays", executes_and_stays),
];

/// Runs `body` in a child, which ends with what it returns.
fn fork(body: impl FnOnce() -> i32) -> Pid {
    // SAFETY: the child goes on with this one thread. What it calls takes no lock that another thread of the parent could
    // hold: there is the test's thread, which waits, and millstream's, which sleeps in the kernel.
    match unsafe { libc::fork() } {
        -1 => panic!("{}", std::io::Error::last_os_error()),
        0 => {
            // SAFETY: so that no child outlives a test that is killed; no memory is passed.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let code = body();
            // SAFETY: ends the child without the destructors and buffers of the parent.
            unsafe { libc::_exit(code) }
        }
        pid => Pid::from_raw(pid).unwrap(),
    }
}

fn outcome(pid: Pid) -> (Option<i32>, Option<i32>) {
    let (_, status) = waitpid(Some(pid), WaitOptions::empty()).unwrap().unwrap();
    (status.exit_status(), status.terminating_signal())
}

#[test]
fn a_child_cannot_disturb_the_streams_of_its_parent() {
    alone("forks");
}

fn forks(stage: &Stage) {
    let ground = &stage.ground;
    let mut sink = ground.publish::<u64>("out").open().unwrap();
    let mut source = ground.subscribe::<u64>("out").open().unwrap();
    let mut taker = ground.start("consumer", &[]);
    let mut far = ground.publish::<u64>("far").open().unwrap();
    assert_eq!(taker.ask("open far"), "ok");
    let mut round = |sink: &mut SinkRef<u64>, source: &mut SourceRef<u64>, element| {
        sink.put(element).unwrap();
        assert_eq!(source.next_deadline(soon()), Ok(Some(element)));
        far.put(element).unwrap();
        assert_eq!(taker.ask("next"), format!("item {element}"));
    };
    round(&mut sink, &mut source, 0);

    // The rings are not in the child: it ends before it has written, or read, anything.
    let child = fork(|| sink.put(99).is_ok().into());
    assert_eq!(outcome(child), (None, Some(libc::SIGSEGV)));
    let child = fork(|| source.next().is_some().into());
    assert_eq!(outcome(child), (None, Some(libc::SIGSEGV)));
    round(&mut sink, &mut source, 1);

    // What it may open is what it opens itself.
    let dir = ground.dir.clone();
    let child = fork(|| {
        let taken = ground.publish::<u64>("out").open().map(drop);
        let mut own = ground.publish::<u64>("own").open().unwrap();
        own.put(5).unwrap();
        let mut source = ground.subscribe::<u64>("own").open().unwrap();
        let served = source.next_deadline(soon()) == Ok(Some(5));
        let refused = matches!(taken, Err(PublishError::NameTaken { .. }));
        drop((own, source));
        if served && refused { 7 } else { 8 }
    });
    assert_eq!(outcome(child), (Some(7), None));
    assert_eq!(millstream::list(Some(dir)).unwrap(), ["far", "out"]);
    round(&mut sink, &mut source, 2);

    sink.complete().unwrap();
    assert_eq!((source.next(), source.end()), (None, Some(End::Completed)));
    drop((sink, far));
    say("done");
}

#[test]
fn a_child_that_drops_its_parents_handles_takes_nothing_away() {
    alone("forks_and_drops");
}

fn forks_and_drops(stage: &Stage) {
    let ground = &stage.ground;
    let mut elements = ground
        .publish::<u64>("elements")
        .complete_on_drop()
        .open()
        .unwrap();
    let mut of_elements = ground.subscribe::<u64>("elements").open().unwrap();
    let mut frames = ground.publish::<[u8]>("frames").open().unwrap();
    let mut of_frames = ground
        .subscribe::<[u8]>("frames")
        .resumable("again")
        .open()
        .unwrap();
    let mut all = ground.publish::<u64>("all").consumers(3).open().unwrap();
    let mut gated = ground.subscribe::<u64>("all").open().unwrap();
    let mut lossy = ground.subscribe::<u64>("all").lossy().open().unwrap();
    for element in 0..20 {
        elements.put(element).unwrap();
        assert_eq!(of_elements.next(), Some(element));
        frames.put(&[7; 100]).unwrap();
        assert_eq!(*of_frames.next().unwrap(), [7; 100]);
        all.put(element).unwrap();
        assert_eq!(gated.next(), Some(element));
        assert_eq!(lossy.next().unwrap().element(), Some(element));
        let mut handles = Some((elements, of_elements, frames, of_frames, all, gated, lossy));
        let child = fork(|| {
            let (elements, mut of_elements, frames, of_frames, all, gated, lossy) = handles.take().unwrap();
            of_elements.cancel();
            drop((elements, of_elements, frames, of_frames, all, gated, lossy));
            0
        });
        assert_eq!(outcome(child), (Some(0), None));
        assert_eq!(ground.files().len(), 6);
        (elements, of_elements, frames, of_frames, all, gated, lossy) = handles.unwrap();
    }
    drop((elements, frames, all));
    assert_eq!(
        (of_elements.next(), of_elements.end()),
        (None, Some(End::Completed))
    );
    drop((of_elements, of_frames, gated, lossy));
    say("done");
}

#[test]
fn a_child_keeps_the_name_of_its_dead_parent_until_it_ends() {
    let ground = Ground::new();
    let mut scene = ground.start("forks_and_stays", &[]);
    scene.expect("HERE");
    let mut source = ground.subscribe::<u64>("s").open().unwrap();
    assert_eq!(scene.ask("put 1"), "ok");
    let child = scene.ask("fork");
    let child = Pid::from_raw(child.parse().unwrap()).unwrap();
    scene.kill();
    // What was published is there; that there will be no more is known when the last descriptor is closed.
    assert_eq!(source.next(), Some(1));
    let later = Instant::now() + Duration::from_millis(300);
    assert_eq!(source.next_deadline(later), Err(TimedOut));
    let taken = ground.publish::<u64>("s").open().map(drop).unwrap_err();
    assert!(matches!(taken, PublishError::NameTaken { .. }), "{taken:?}");
    kill_process(child, Signal::KILL).unwrap();
    assert_eq!((source.next(), source.end()), (None, Some(End::PeerGone)));
    eventually(|| ground.publish::<u64>("s").open().is_ok());
}

/// A producer that forks when it is told to.
fn forks_and_stays(stage: &Stage) {
    let mut sink = stage.ground.publish::<u64>("s").open().unwrap();
    say("HERE");
    loop {
        let line = stage.hear();
        match line.strip_prefix("put ") {
            Some(element) => {
                sink.put(element.parse().unwrap()).unwrap();
                say("ok");
            }
            None => {
                // SAFETY: as in `fork`; the child only waits, and is killed by the test, or with its watchdog below.
                let child = unsafe { libc::fork() };
                if child == 0 {
                    // SAFETY: calls that take no memory. The alarm ends a child that its test has forgotten.
                    unsafe {
                        libc::alarm(60);
                        // The test hears of the parent's end by this pipe.
                        libc::close(1);
                        loop {
                            libc::pause();
                        }
                    }
                }
                say(child);
            }
        }
    }
}

#[test]
fn a_program_that_a_dead_process_had_started_keeps_nothing() {
    let ground = Ground::new();
    let mut scene = ground.start("executes_and_stays", &[]);
    let sleeper: i32 = scene.heard();
    let mut source = ground.subscribe::<u64>("s").open().unwrap();
    scene.kill();
    assert_eq!((source.next(), source.end()), (None, Some(End::PeerGone)));
    drop(ground.publish::<u64>("s").open().unwrap());
    // It had to be there for this to mean something, and is not needed any more.
    kill_process(Pid::from_raw(sleeper).unwrap(), Signal::KILL).unwrap();
}

fn executes_and_stays(stage: &Stage) {
    let _sink = stage.ground.publish::<u64>("s").open().unwrap();
    let mut sleeper = Command::new("sleep")
        .arg("60")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    say(sleeper.id());
    sleeper.wait().unwrap();
}
