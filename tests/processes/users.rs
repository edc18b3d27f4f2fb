//! Processes of other users: refused, unless both sides have said that they are not.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use millstream::{DirectoryError, PublishError, SubscribeError};
use rustix::fs::{Gid, Uid};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use crate::stage::{Actor, Ground, Role, Stage, say, soon};

pub(crate) const ROLES: &[(&str, Role)] = &[
    ("user_producer", producer),
    ("user_consumer", consumer),
    ("user_observer", observer),
];

const OWNER: u32 = 65_534;
const MEMBER: u32 = 54_400;
const STRANGER: u32 = 54_401;
const GROUP: u32 = 54_321;
const OTHER_GROUP: u32 = 54_322;

/// A user with the groups in which it is, its own first.
#[derive(Clone, Copy)]
struct User(u32, &'static [u32]);

const PRODUCER: User = User(OWNER, &[GROUP]);
/// By its own group, and by another one of its.
const MEMBERS: [User; 2] = [User(MEMBER, &[GROUP]), User(MEMBER, &[OTHER_GROUP, 7, GROUP])];
const NO_MEMBER: User = User(STRANGER, &[OTHER_GROUP]);

/// Only root becomes another user.
fn can_change_users(test: &str) -> bool {
    let can = rustix::process::geteuid().is_root();
    if !can {
        // Past the harness, which keeps what a test prints to itself when it passes.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {test} needs root, to start processes of other users"
        );
    }
    can
}

/// A ground in a place that every user comes to, and a copy of this binary there, if they do not come to the binary.
struct Commons {
    ground: Ground,
    binary: PathBuf,
}

impl Commons {
    fn new() -> Self {
        let ground = Ground::new();
        let parent = ground.dir.parent().unwrap();
        // The producer makes its runtime directory in it.
        chown(parent, Some(OWNER), None).unwrap();
        fs::set_permissions(parent, Permissions::from_mode(0o711)).unwrap();
        let mut binary = std::env::current_exe().unwrap();
        let open = |path: &Path| fs::metadata(path).is_ok_and(|at| at.mode() & 0o001 != 0);
        if !binary.ancestors().all(open) {
            let copy = ground.beside("binary");
            fs::copy(&binary, &copy).unwrap();
            fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
            binary = copy;
        }
        Self { ground, binary }
    }

    fn start(&self, user: User, role: &str, args: &[&dyn std::fmt::Display]) -> Actor {
        let User(uid, groups) = user;
        let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
        let mut command = Command::new(&self.binary);
        // SAFETY: three system calls, and no allocation, between fork and exec.
        unsafe {
            command.pre_exec(move || {
                let (uid, gid) = (Uid::from_raw(uid), groups[0]);
                rustix::thread::set_thread_groups(&groups)?;
                rustix::thread::set_thread_res_gid(gid, gid, gid)?;
                rustix::thread::set_thread_res_uid(uid, uid, uid)?;
                Ok(())
            });
        }
        command.current_dir("/");
        self.ground.launch(command, role, args)
    }

    fn mode_and_group(&self, file: &str) -> (u32, u32) {
        let stat = fs::metadata(self.ground.dir.join(file)).unwrap();
        (stat.mode() & 0o7777, stat.gid())
    }
}

/// Publishes for the group given, 0 for nobody, under the tightest umask; then puts what it is told to.
fn producer(stage: &Stage) {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let (name, group): (String, u32) = (stage.arg(0), stage.arg(1));
    let mut builder = stage.ground.publish::<u64>(&name);
    if group != 0 {
        builder = builder.group(group);
    }
    builder = match name.as_str() {
        "durable" => builder.durable(stage.ground.beside("file")),
        _ => builder.consumers(4),
    };
    let mut sink = match builder.open() {
        Ok(sink) => sink,
        Err(error) => return say(format_args!("{error:?} {error}")),
    };
    say("open");
    loop {
        let until: u64 = stage.hear().parse().unwrap();
        for element in 0..until {
            sink.put_deadline(element, soon()).unwrap();
        }
        say("put");
    }
}

/// Takes as many elements as it is told to from the stream of a user, 0 for nobody in particular.
fn consumer(stage: &Stage) {
    let (name, user): (String, String) = (stage.arg(0), stage.arg(1));
    let mut builder = millstream::subscribe::<u64>(&name).directory(&stage.ground.dir);
    if let Ok(user) = user.parse() {
        builder = builder.from_user(user);
    }
    if name == "durable" {
        builder = builder.resumable("book");
    }
    let mut source = match builder.open() {
        Ok(source) => source,
        Err(error) => return say(format_args!("{error:?} {error}")),
    };
    say("open");
    loop {
        let count: usize = stage.hear().parse().unwrap();
        say(source.by_ref().take(count).sum::<u64>());
    }
}

/// Looks at all that a user publishes.
fn observer(stage: &Stage) {
    let (name, user): (String, String) = (stage.arg(0), stage.arg(1));
    let dir = Some(stage.ground.dir.clone());
    match user.parse() {
        Ok(user) => {
            say(format_args!(
                "{:?}",
                millstream::list_from_user(user, dir.clone())
            ));
            let seen = millstream::observe_from_user(&name, user, dir);
            say(format_args!("{:?}", seen.map(|seen| seen.position())));
        }
        Err(_) => {
            say(format_args!("{:?}", millstream::list(dir.clone())));
            let seen = millstream::observe(&name, dir);
            say(format_args!("{:?}", seen.map(|seen| seen.position())));
        }
    }
}

#[track_caller]
fn refused(actor: &Actor, words: &[&str]) {
    let said = actor.hear();
    for word in words {
        assert!(said.contains(word), "{word:?} in {said:?}");
    }
}

#[test]
fn another_user_is_refused_by_default() {
    if !can_change_users("another_user_is_refused_by_default") {
        return;
    }
    let commons = Commons::new();
    let mut sink = commons.ground.publish::<u64>("own").open().unwrap();
    assert_eq!(commons.mode_and_group("").0, 0o700);
    assert_eq!(commons.mode_and_group("own.sock").0, 0o600);
    assert_eq!(commons.mode_and_group("own.lock").0, 0o600);
    let call = |from: &str| commons.start(NO_MEMBER, "user_consumer", &[&"own", &from]);
    refused(&call("-"), &["Permission"]);
    refused(&call("0"), &["Permission"]);
    let looked = commons.start(NO_MEMBER, "user_observer", &[&"own", &"-"]);
    refused(&looked, &["Permission"]);
    refused(&looked, &["Permission"]);
    refused(
        &commons.start(NO_MEMBER, "user_producer", &[&"own", &0]),
        &["Permission"],
    );

    // Somebody opens the directory by hand, then the socket, too.
    fs::set_permissions(&commons.ground.dir, Permissions::from_mode(0o755)).unwrap();
    refused(&call("-"), &["WrongOwner", "owner: 0", "own: 54401"]);
    refused(&call("0"), &["Permission", "own.sock"]);
    refused(
        &commons.start(NO_MEMBER, "user_producer", &[&"other", &0]),
        &["WrongOwner"],
    );
    let socket = commons.ground.dir.join("own.sock");
    fs::set_permissions(socket, Permissions::from_mode(0o666)).unwrap();
    refused(&call("0"), &["NotAdmitted", "user: 54401", "group: None"]);
    let looked = commons.start(NO_MEMBER, "user_observer", &[&"own", &"0"]);
    refused(&looked, &["own"]);
    refused(&looked, &["NotAdmitted", "user: 54401"]);

    fs::set_permissions(&commons.ground.dir, Permissions::from_mode(0o700)).unwrap();
    let mut source = commons.ground.subscribe::<u64>("own").open().unwrap();
    sink.put(7).unwrap();
    assert_eq!(source.next(), Some(7), "whoever has the right is not disturbed");
}

#[test]
fn even_root_takes_nothing_of_another_user_unasked() {
    if !can_change_users("even_root_takes_nothing_of_another_user_unasked") {
        return;
    }
    let commons = Commons::new();
    let producer = commons.start(PRODUCER, "user_producer", &[&"theirs", &0]);
    producer.expect("open");
    let subscribe = || millstream::subscribe::<u64>("theirs").directory(&commons.ground.dir);
    assert!(matches!(
        subscribe().open().unwrap_err(),
        SubscribeError::Directory(DirectoryError::WrongOwner {
            owner: OWNER,
            own: 0,
            ..
        })
    ));
    assert!(matches!(
        subscribe().from_user(OWNER).open().unwrap_err(),
        SubscribeError::NotAdmitted {
            user: 0,
            group: None,
            ..
        }
    ));
    let dir = || Some(commons.ground.dir.clone());
    assert!(millstream::list(dir()).is_err());
    assert!(millstream::observe("theirs", dir()).is_err());
    assert!(millstream::observe_from_user("theirs", OWNER, dir()).is_err());
}

#[test]
fn a_group_gets_in_where_both_sides_say_so_and_nobody_else() {
    if !can_change_users("a_group_gets_in_where_both_sides_say_so_and_nobody_else") {
        return;
    }
    let commons = Commons::new();
    let mut producer = commons.start(PRODUCER, "user_producer", &[&"shared", &GROUP]);
    producer.expect("open");
    assert_eq!(commons.mode_and_group(""), (0o750, GROUP));
    assert_eq!(commons.mode_and_group("shared.sock"), (0o660, GROUP));
    assert_eq!(commons.mode_and_group("shared.lock").0, 0o600);

    let call = |user, from: &dyn std::fmt::Display| commons.start(user, "user_consumer", &[&"shared", from]);
    let mut members: Vec<Actor> = MEMBERS.iter().map(|user| call(*user, &OWNER)).collect();
    // The producer's own user has to say whom it means, too: the directory is not its alone.
    members.push(call(PRODUCER, &OWNER));
    members.iter().for_each(|member| member.expect("open"));
    assert_eq!(producer.ask(10), "put");
    for member in &mut members {
        assert_eq!(member.ask(10), "45");
    }
    refused(&call(PRODUCER, &"-"), &["WrongMode", "0750"]);

    refused(
        &call(MEMBERS[0], &"-"),
        &["WrongOwner", "owner: 65534", "own: 54400"],
    );
    refused(
        &call(MEMBERS[0], &STRANGER),
        &["WrongOwner", "owner: 65534", "own: 54401"],
    );
    refused(&call(NO_MEMBER, &OWNER), &["Permission"]);
    // Whom the modes do not keep out, the kernel's word does.
    let root = User(0, &[0]);
    refused(
        &call(root, &OWNER),
        &["NotAdmitted", "user: 0", "group: Some(54321)"],
    );

    for member in MEMBERS {
        let seen = commons.start(member, "user_observer", &[&"shared", &OWNER]);
        seen.expect(r#"Ok(["shared"])"#);
        seen.expect("Ok(10)");
    }
    let seen = commons.start(MEMBERS[0], "user_observer", &[&"shared", &"-"]);
    refused(&seen, &["WrongOwner"]);
    refused(&seen, &["WrongOwner"]);
    let seen = commons.start(NO_MEMBER, "user_observer", &[&"shared", &OWNER]);
    refused(&seen, &["Permission"]);
    refused(&seen, &["Permission"]);

    // A stream that is closed to the group by hand is none to a list.
    let socket = commons.ground.dir.join("shared.sock");
    fs::set_permissions(&socket, Permissions::from_mode(0o600)).unwrap();
    let seen = commons.start(MEMBERS[0], "user_observer", &[&"shared", &OWNER]);
    seen.expect("Ok([])");
    refused(&seen, &["Permission", "shared.sock"]);
    fs::set_permissions(&socket, Permissions::from_mode(0o660)).unwrap();

    let mut again = members.pop().unwrap();
    drop(members);
    assert_eq!(producer.ask(10), "put");
    assert_eq!(again.ask(10), "45");
}

#[test]
fn a_member_of_the_group_cannot_write_what_is_not_its_own() {
    if !can_change_users("a_member_of_the_group_cannot_write_what_is_not_its_own") {
        return;
    }
    let commons = Commons::new();
    let producer = commons.start(PRODUCER, "user_producer", &[&"shared", &GROUP]);
    producer.expect("open");
    let consumer = commons.start(MEMBERS[0], "user_consumer", &[&"shared", &OWNER]);
    consumer.expect("open");
    for (what, pieces) in [("consumer", 1), ("observer", 2)] {
        let prober = commons.start(MEMBERS[1], "prober", &[&what, &"shared", &OWNER]);
        for _ in 0..pieces {
            prober.expect(crate::readonly::PASSED);
            // It is not its owner, so it cannot even open it anew.
            prober.expect("open EACCES");
        }
        prober.expect("tried");
    }
}

#[test]
fn whoever_listens_in_anothers_directory_is_not_taken_for_its_owner() {
    if !can_change_users("whoever_listens_in_anothers_directory_is_not_taken_for_its_owner") {
        return;
    }
    let commons = Commons::new();
    let producer = commons.start(PRODUCER, "user_producer", &[&"shared", &GROUP]);
    producer.expect("open");
    // Only root can.
    let path = commons.ground.dir.join("planted.sock");
    let listener = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    rustix::net::bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&listener, 4).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let fooled = commons.start(MEMBERS[0], "user_consumer", &[&"planted", &OWNER]);
    refused(&fooled, &["WrongUser", "ours: 65534", "theirs: 0"]);
}

#[test]
fn a_directory_is_given_to_a_group_only_if_nobody_loses_by_it() {
    let ground = Ground::new();
    let parent = fs::metadata(ground.dir.parent().unwrap()).unwrap();
    let (user, group) = (parent.uid(), parent.gid());
    let publish = |dir: &Path, group| {
        let builder = millstream::publish::<u64>("x").group(group).directory(dir);
        builder.open()
    };
    let private = ground.publish::<u64>("private").open().unwrap();
    let PublishError::Directory(error) = publish(&ground.dir, group).unwrap_err() else {
        panic!("a directory with a private stream in it")
    };
    assert!(
        matches!(&error, DirectoryError::NotForGroup { mode: 0o700, group: wanted, .. } if *wanted == group),
        "{error}"
    );
    assert!(error.to_string().contains("chmod 0750"), "{error}");
    assert_eq!(fs::metadata(&ground.dir).unwrap().mode() & 0o7777, 0o700);
    drop(private);

    for mode in [0o770, 0o751, 0o755, 0o710, 0o1777] {
        let dir = ground.beside(&format!("{mode:o}"));
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(mode)).unwrap();
        let error = publish(&dir, group).unwrap_err();
        assert!(
            matches!(error, PublishError::Directory(DirectoryError::NotForGroup { mode: found, .. }) if found == mode),
            "{error}"
        );
        // Nor does anybody take streams from where others could have put them.
        let from = millstream::subscribe::<u64>("x")
            .from_user(user)
            .directory(&dir)
            .open();
        let error = from.unwrap_err();
        match error {
            SubscribeError::Directory(DirectoryError::Writable { mode: found, .. }) => {
                assert!(found == mode && mode & 0o022 != 0);
            }
            SubscribeError::NotFound { .. } => assert_eq!(mode & 0o022, 0),
            other => panic!("{other}"),
        }
    }
    let empty = ground.beside("empty");
    fs::create_dir(&empty).unwrap();
    fs::set_permissions(&empty, Permissions::from_mode(0o700)).unwrap();
    let first = publish(&empty, group).unwrap();
    let mode = fs::metadata(&empty).unwrap().mode() & 0o7777;
    assert_eq!(mode, 0o750);
    let error = publish(&empty, group + 1).unwrap_err();
    assert!(
        matches!(error, PublishError::Directory(DirectoryError::NotForGroup { found, .. }) if found == group),
        "{error}"
    );
    let error = millstream::publish::<u64>("y")
        .directory(&empty)
        .open()
        .unwrap_err();
    assert!(
        matches!(
            error,
            PublishError::Directory(DirectoryError::WrongMode { mode: 0o750, .. })
        ),
        "{error}"
    );
    drop(first);
}

#[test]
fn a_file_of_another_user_is_not_mapped() {
    if !can_change_users("a_file_of_another_user_is_not_mapped") {
        return;
    }
    let commons = Commons::new();
    let producer = commons.start(PRODUCER, "user_producer", &[&"durable", &GROUP]);
    producer.expect("open");
    // Its owner could cut it off under a reader.
    let member = commons.start(MEMBERS[0], "user_consumer", &[&"durable", &OWNER]);
    refused(&member, &["NotSealed"]);
    let looks = |user| {
        let observer = commons.start(user, "user_observer", &[&"durable", &OWNER]);
        observer.expect("Ok([\"durable\"])");
        observer
    };
    refused(&looks(MEMBERS[0]), &["NotSealed"]);
    looks(PRODUCER).expect("Ok(0)");
    commons
        .start(PRODUCER, "user_consumer", &[&"durable", &OWNER])
        .expect("open");
}

#[test]
fn only_a_member_can_give_a_directory_to_a_group() {
    if !can_change_users("only_a_member_can_give_a_directory_to_a_group") {
        return;
    }
    let commons = Commons::new();
    let producer = commons.start(PRODUCER, "user_producer", &[&"x", &OTHER_GROUP]);
    refused(&producer, &["ForeignGroup", "group: 54322", "own: 65534"]);
    assert_eq!(commons.mode_and_group("").0, 0o700);
}

#[test]
fn what_a_dead_producer_of_another_user_left_stays_its_own() {
    if !can_change_users("what_a_dead_producer_of_another_user_left_stays_its_own") {
        return;
    }
    let commons = Commons::new();
    let mut producer = commons.start(PRODUCER, "user_producer", &[&"shared", &GROUP]);
    producer.expect("open");
    let mut consumer = commons.start(MEMBERS[0], "user_consumer", &[&"shared", &OWNER]);
    consumer.expect("open");
    assert_eq!(producer.ask(10), "put");
    producer.kill();
    assert_eq!(consumer.ask(100), "45", "what was published, then the end");
    let seen = commons.start(MEMBERS[0], "user_observer", &[&"shared", &OWNER]);
    seen.expect("Ok([])");
    refused(&seen, &["NotFound"]);
    assert_eq!(commons.ground.files().len(), 2, "a member cannot remove them");
    let producer = commons.start(PRODUCER, "user_producer", &[&"shared", &GROUP]);
    producer.expect("open");
    let again = commons.start(MEMBERS[0], "user_consumer", &[&"shared", &OWNER]);
    again.expect("open");
}
