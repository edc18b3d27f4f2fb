//! A process that may not open another descriptor: what runs goes on, what is asked for waits or is refused, and all is well
//! once descriptors are free again.

use std::fs::File;
use std::time::Duration;

use millstream::{PublishError, SubscribeError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::alone;
use crate::stage::{Role, Stage, eventually, holdings, say};

pub(crate) const ROLES: &[(&str, Role)] = &[("full_table", full_table)];

#[test]
fn a_producer_without_descriptors_goes_on_and_answers_late() {
    alone("full_table");
}

fn full_table(stage: &Stage) {
    let ground = &stage.ground;
    let mut sink = ground.publish::<u64>("runs").open().unwrap();
    let mut next = ground.publish::<u64>("waits").open().unwrap();
    let mut taker = ground.start("consumer", &[]);
    let mut late = ground.start("consumer", &[]);
    assert_eq!(taker.ask("open runs"), "ok");
    eventually(|| sink.demand() == 16);
    let old = getrlimit(Resource::Nofile);
    let current = Some(holdings().0 as u64 + 8);
    setrlimit(Resource::Nofile, Rlimit { current, ..old }).unwrap();
    // Not one more is to be had, whichever numbers are free.
    let mut fillers: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();

    late.say("open waits");
    taker.say("take 20000");
    for element in 0..20_000 {
        sink.put(element).unwrap();
    }
    taker.expect("Some(0) Some(19999) true");
    let error = ground.publish::<u64>("more").open().map(drop).unwrap_err();
    assert!(error.to_string().contains("ulimit -n"), "{error}");
    assert!(
        matches!(
            error,
            PublishError::Directory(_) | PublishError::System(_) | PublishError::Memory(_)
        ),
        "{error:?}"
    );
    let builder = millstream::subscribe::<u64>("runs").directory(&ground.dir);
    let error = builder.wait_for(Duration::ZERO).open().map(drop).unwrap_err();
    assert!(error.to_string().contains("ulimit -n"), "{error}");
    assert!(
        matches!(
            error,
            SubscribeError::Directory(_) | SubscribeError::System(_) | SubscribeError::Memory(_)
        ),
        "{error:?}"
    );
    assert_eq!(late.said(), None, "it waits to be let in");

    // With one it is let in, and told that there are none for its subscription.
    drop(fillers.pop());
    let refused = late.hear();
    assert!(refused.starts_with("error ProducerExhausted"), "{refused}");
    assert!(!next.is_closed(), "it has not been a consumer");
    drop(fillers);
    setrlimit(Resource::Nofile, old).unwrap();
    assert_eq!(late.ask("open waits"), "ok");
    next.put(7).unwrap();
    assert_eq!(late.ask("next"), "item 7");
    sink.put(20_000).unwrap();
    assert_eq!(taker.ask("next"), "item 20000");
    drop((sink, next));
    say("done");
}
