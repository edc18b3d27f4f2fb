//! A process that measures one contender at one task, and the second process of those that take two.

use std::env;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::contender::Job;
use crate::harness::element_flow::Flow;
use crate::harness::frame_flow::FrameFlow;
use crate::harness::process::Role;
use crate::harness::round_trip;
use crate::measured::Measured;
use crate::rivals;
use crate::seam::{self, SeamFile};

const JOB: &str = "MILLSTREAM_COMPARE_JOB";
/// No measurement takes as long; without it, a side whose other side has died would spin for ever.
const LONGEST: Duration = Duration::from_secs(60);

/// Has a child process do the job.
pub(crate) fn start(job: Job, seam: &SeamFile) -> anyhow::Result<Measured> {
    let (name, path) = seam.environment()?;
    let mut child = Command::new(env::current_exe()?)
        .env(JOB, serde_json::to_string(&job)?)
        .env(name, path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let mut stdout = child.stdout.take().context("its output is a pipe")?;
    stdout.read_to_string(&mut line)?;
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    serde_json::from_str(&line).with_context(|| format!("the child said {line:?}"))
}

/// The job for which this process was started, if so.
pub(crate) fn job() -> anyhow::Result<Option<Job>> {
    let Some(job) = env::var_os(JOB) else {
        return Ok(None);
    };
    let job = job.to_str().context("a job is text")?;
    Ok(Some(serde_json::from_str(job)?))
}

/// Does the job and tells the parent.
pub(crate) fn measure(job: Job) -> anyhow::Result<()> {
    limit();
    seam::join()?;
    let contender = rivals::all()[job.contender];
    let way = contender.ways(job.setting, job.task)[job.way].name;
    let figure = contender.run(way, job);
    let measured = Measured::new(&figure, seam::page().around(), seam::page().preempted());
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

/// Does the other side's part.
pub(crate) fn play(role: &mut Role) -> anyhow::Result<()> {
    limit();
    seam::join()?;
    match role.next::<String>().as_str() {
        Flow::ROLE => Flow::play(role),
        FrameFlow::ROLE => FrameFlow::play(role),
        round_trip::ROLE => round_trip::play(role),
        Job::ROLE => {
            let job: Job = serde_json::from_str(&role.next::<String>())?;
            let contender = rivals::all()[job.contender];
            let way = contender.ways(job.setting, job.task)[job.way].name;
            contender.play(way, job, role);
        }
        other => anyhow::bail!("there is no role {other:?}; both processes must be the same program"),
    }
    Ok(())
}

fn limit() {
    thread::spawn(|| {
        thread::sleep(LONGEST);
        eprintln!("still not done after {} s", LONGEST.as_secs());
        std::process::exit(102);
    });
}
