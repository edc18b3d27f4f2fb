//! Looking at what is published where the system refuses to be asked.

use millstream::{DirectoryError, ListError, SystemError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::stage::{Ground, Role, Stage, holdings, say};

pub(crate) const ROLES: &[(&str, Role)] = &[("few_files_to_look_with", few_files_to_look_with)];

#[test]
fn a_list_without_descriptors_is_refused_and_never_short() {
    let ground = Ground::new();
    let scene = ground.start("few_files_to_look_with", &[]);
    scene.expect("done");
    scene.finish();
}

/// In a process of its own, whose limit is lowered until everything was refused once.
fn few_files_to_look_with(stage: &Stage) {
    let ground = &stage.ground;
    let _sink = ground.publish::<u64>("plain").open().unwrap();
    let (old, open) = (getrlimit(Resource::Nofile), holdings().0);
    let (mut refused, mut listed) = (0, 0);
    for limit in 3..open + 10 {
        let more = limit as i64 - open as i64;
        let limit = Rlimit {
            current: Some(limit as u64),
            maximum: old.maximum,
        };
        setrlimit(Resource::Nofile, limit).unwrap();
        let names = millstream::list(Some(ground.dir.clone()));
        setrlimit(Resource::Nofile, old).unwrap();
        match names {
            Ok(names) => {
                assert_eq!(names, ["plain"], "with {more} more");
                listed += 1;
            }
            Err(
                ListError::System(SystemError::TooManyFiles { .. })
                | ListError::Directory(DirectoryError::System(SystemError::TooManyFiles { .. })),
            ) => refused += 1,
            Err(error) => panic!("with {more} more: {error:?}"),
        }
    }
    assert!(refused > 0 && listed > 0, "{refused} refused, {listed} listed");
    say("done");
}
