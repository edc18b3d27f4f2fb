//! The kernel closes a dead process's sockets once it has taken its memory down: a death is news later, the larger the dead.

use std::time::Instant;

use millstream::End;

use crate::stage::{Ground, LONGEST, Role, Stage, say};

pub(crate) const ROLES: &[(&str, Role)] = &[("weighs", weighs)];

const WEIGHT: usize = 512 << 20;

#[test]
fn a_large_process_is_known_to_be_dead_once_its_memory_is_gone() {
    let ground = Ground::new();
    let producer = ground.start("weighs", &[]);
    producer.expect("HERE");
    let mut source = ground.subscribe::<u64>("s").open().unwrap();
    assert_eq!(source.next(), Some(1));
    let killed = Instant::now();
    producer.shoot();
    assert_eq!((source.next(), source.end()), (None, Some(End::PeerGone)));
    let told = killed.elapsed();
    eprintln!(
        "a producer of {} MiB was killed: told after {told:?}",
        WEIGHT >> 20
    );
    assert!(told < LONGEST);
    drop(source);
    drop(ground.publish::<u64>("s").open().unwrap());
}

fn weighs(stage: &Stage) {
    let memory = vec![1u8; WEIGHT];
    let mut sink = stage.ground.publish::<u64>("s").open().unwrap();
    sink.put(memory[WEIGHT / 2].into()).unwrap();
    say("HERE");
    stage.stay();
}
