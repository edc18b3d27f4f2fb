//! How those who sleep are woken: by counters in the pages, and by sockets where the kernel of one side has no sleep on several counters.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::{env, io};

use millstream::{SinkRef, SourceRef, WaitStrategy};

use crate::hostile::{CONTROL, PRODUCER_RINGS};
use crate::stage::{Ground, Mapping, Role, Stage, credit_page, eventually, say};

pub(crate) const ROLES: &[(&str, Role)] = &[("sleepers", echo)];

/// A ring that is lost costs a tenth of a second, the longest sleep: so many are more than the watchdog's patience.
const ROUNDS: u64 = 1000;
/// Where a stream page has its epoch.
const EPOCH: usize = 104;
const PARKED: u64 = 1;
const ON_RINGS: u64 = 1 << 55;

fn publish(ground: &Ground, name: &str) -> SinkRef<u64> {
    let builder = ground.publish::<u64>(name).sink_wait(WaitStrategy::park());
    builder.buffer_size(1).max_demand(1).open().unwrap()
}

fn subscribe(ground: &Ground, name: &str) -> SourceRef<u64> {
    let builder = ground.subscribe::<u64>(name).idle_timeout(None);
    let builder = builder.initial_demand(1).source_wait(WaitStrategy::park());
    builder.open().unwrap()
}

fn stream_page(name: &str) -> Mapping {
    let mut page = None;
    eventually(|| {
        page = Mapping::of(name).pop();
        page.is_some()
    });
    page.unwrap()
}

/// Puts once the consumer sleeps. Gives the word with which it slept.
fn put_to_sleeper(sink: &mut SinkRef<u64>, credit: &Mapping, number: u64) -> u64 {
    let mut word = 0;
    eventually(|| {
        word = credit.load(CONTROL);
        word & PARKED != 0
    });
    sink.put(number).unwrap();
    word
}

fn echo(stage: &Stage) {
    let (to, from): (String, String) = (stage.arg(0), stage.arg(1));
    let mut back = publish(&stage.ground, &from);
    let there = subscribe(&stage.ground, &to);
    say("HERE");
    let credit = credit_page(stream_page(&from).load(EPOCH));
    for number in there {
        put_to_sleeper(&mut back, &credit, number);
    }
    say("END");
}

/// Has `futex_waitv` refused in the process that the command becomes, as in kernels before Linux 5.16.
fn refuse_sleeps_on_several(command: &mut Command) {
    let filter = || -> io::Result<()> {
        let step = |code: u32, jt, jf, k| libc::sock_filter {
            code: code as u16,
            jt,
            jf,
            k,
        };
        let number = std::mem::offset_of!(libc::seccomp_data, nr) as u32;
        let mut steps = [
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, number),
            step(
                libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
                0,
                1,
                libc::SYS_futex_waitv as u32,
            ),
            step(
                libc::BPF_RET | libc::BPF_K,
                0,
                0,
                libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32,
            ),
            step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog {
            len: steps.len() as u16,
            filter: steps.as_mut_ptr(),
        };
        // SAFETY: two system calls that change nothing but what this process may call; the program lives until both are done.
        let set = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(
                    libc::PR_SET_SECCOMP,
                    libc::SECCOMP_MODE_FILTER,
                    &raw const program,
                ) == 0
        };
        set.then_some(()).ok_or_else(io::Error::last_os_error)
    };
    // SAFETY: two system calls, and no allocation, between fork and exec.
    unsafe { command.pre_exec(filter) };
}

/// Sends numbers there and back, each to somebody who sleeps. Gives what each side counted, and whether the other slept on the count.
fn go(refused: bool) -> ([u64; 2], bool) {
    let ground = Ground::new();
    let mut command = Command::new(env::current_exe().unwrap());
    if refused {
        refuse_sleeps_on_several(&mut command);
    }
    let [to, from] = ["there", "back"].map(|way| format!("sleepers-{way}-{refused}"));
    let other = ground.launch(command, "sleepers", &[&to, &from]);
    let mut there = publish(&ground, &to);
    let mut back = subscribe(&ground, &from);
    other.expect("HERE");
    let pages = [to, from].map(|name| stream_page(&name));
    let credit = credit_page(pages[0].load(EPOCH));
    let mut word = 0;
    for number in 0..ROUNDS {
        word = put_to_sleeper(&mut there, &credit, number);
        assert_eq!(back.next(), Some(number));
    }
    let counted = pages.map(|page| page.load(PRODUCER_RINGS));
    there.complete().unwrap();
    other.expect("END");
    (counted, word & ON_RINGS != 0)
}

#[test]
fn sleepers_are_woken_by_counters() {
    let (counted, on_rings) = go(false);
    // Where this kernel has no such sleep nobody counts.
    if counted != [0, 0] {
        assert!(
            on_rings && counted.iter().all(|rings| *rings > ROUNDS / 2),
            "{counted:?}"
        );
    }
}

#[test]
fn sleepers_are_woken_by_sockets_where_one_side_cannot_sleep_on_counters() {
    let (counted, on_rings) = go(true);
    assert!(!on_rings && counted[0] <= 1 && counted[1] == 0, "{counted:?}");
}
