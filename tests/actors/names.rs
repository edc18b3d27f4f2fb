//! Rows K2, K4 and K25: names and paths, how actors are found, and by what they do.

use millstream::{LookupError, Next, ServiceKey, SpawnError, SpawnOptions, receive};

use crate::support::{LONG, Strings, mute, probe, probe_with, system, tests, until};

tests! {
    k2_a_name_is_given_once
    k2_a_name_is_free_when_its_actor_has_stopped
    k2_names_that_cannot_be
    k2_messages_wait_for_an_actor_that_has_not_started
    k2_a_child_of_the_same_name_is_refused
    k4_lookup_walks_the_paths
    k4_lookup_checks_the_type
    k25_a_service_is_found_from_its_start_to_its_stop
    k25_services_of_one_name_and_different_messages_are_different
    references_of_two_systems_are_different
}

fn k2_a_name_is_given_once() {
    let system = system(2);
    let actor = system.spawn("a", mute()).unwrap();
    let refused = system.spawn("a", mute()).unwrap_err();
    assert_eq!(
        refused,
        SpawnError::NameTaken {
            path: actor.path().clone()
        }
    );
    assert!(refused.to_string().contains("/a"));
    actor.get(|_, _| ());
    assert_eq!(system.actors(), [actor.path().clone()]);
}

fn k2_a_name_is_free_when_its_actor_has_stopped() {
    let system = system(2);
    for _ in 0..100 {
        let actor = system.spawn("a", mute()).unwrap();
        let end = system.stop_and_wait(&actor, LONG).unwrap();
        assert!(end.is(&actor));
        assert_eq!(end.path.as_str(), "/a");
    }
}

fn k2_names_that_cannot_be() {
    let system = system(1);
    let long = "x".repeat(256);
    for name in ["", "a/b", "/", "a\nb", "a\0", &long] {
        let refused = system.spawn(name, mute());
        assert!(matches!(refused, Err(SpawnError::InvalidName(_))), "{name:?}");
    }
    for name in [" ", ".", "..", "ä", &"x".repeat(255)] {
        assert_eq!(system.spawn(name, mute()).unwrap().path().name(), name);
    }
}

fn k2_messages_wait_for_an_actor_that_has_not_started() {
    let system = system(1);
    let busy = system.spawn("busy", mute()).unwrap();
    let held = busy.hold();
    let (late, heard) = probe::<u32>(&system, "late");
    for number in 0..10u32 {
        late.tell(number);
    }
    assert_eq!(late.waiting(), 10);
    drop(held);
    assert_eq!(
        heard.iter().take(10).collect::<Vec<_>>(),
        (0..10).collect::<Vec<_>>()
    );
    until(|| late.waiting() == 0);
}

fn k2_a_child_of_the_same_name_is_refused() {
    let system = system(1);
    let parent = system.spawn("parent", mute()).unwrap();
    let (child, again, children) = parent.get(|_, context| {
        let child = context.spawn("child", mute()).unwrap();
        (
            child,
            context.spawn("child", mute()).unwrap_err(),
            context.children(),
        )
    });
    assert!(matches!(again, SpawnError::NameTaken { path } if path == *child.path()));
    assert_eq!(children, [child.path().clone()], "the first one stays");
    child.get(|_, _| ());
    // Below another parent the name is another path.
    let other = system.spawn("other", mute()).unwrap();
    let child = other.get(|_, context| context.spawn("child", mute()).unwrap());
    assert_eq!(child.path().as_str(), "/other/child");
}

fn k4_lookup_walks_the_paths() {
    let system = system(2);
    let parent = system.spawn("a", mute()).unwrap();
    let child = parent.get(|_, context| context.spawn("b", mute()).unwrap());
    let grandchild = child.get(|_, context| context.spawn("c", mute()).unwrap());
    assert_eq!(system.lookup("/a").as_ref(), Ok(&parent));
    assert_eq!(system.lookup("/a/b").as_ref(), Ok(&child));
    assert_eq!(system.lookup("/a/b/c").as_ref(), Ok(&grandchild));
    for path in ["", "/", "a", "/b", "/a/", "/a/b/c/d", "/a//b"] {
        let found = system.lookup::<crate::support::Do>(path);
        assert_eq!(
            found,
            Err(LookupError::NotFound {
                path: path.to_owned()
            })
        );
    }
    // Also from inside.
    let found = grandchild.get(|_, context| context.system().lookup::<crate::support::Do>("/a"));
    assert_eq!(found, Ok(parent.clone()));
    system.stop_and_wait(&parent, LONG).unwrap();
    for path in ["/a", "/a/b", "/a/b/c"] {
        assert!(system.lookup::<crate::support::Do>(path).is_err());
    }
    assert_eq!(system.actors(), []);
}

fn k4_lookup_checks_the_type() {
    let system = system(1);
    let (actor, _heard) = probe::<u32>(&system, "a");
    assert_eq!(system.lookup::<u32>("/a"), Ok(actor));
    let other = system.lookup::<u64>("/a").unwrap_err();
    let LookupError::OtherMessages { path, asked, takes } = &other else {
        panic!("{other}")
    };
    assert_eq!((&path[..], *asked, *takes), ("/a", "u64", "u32"));
}

fn k25_a_service_is_found_from_its_start_to_its_stop() {
    let system = system(2);
    let (feeds, books) = (ServiceKey::<u32>::new("feed"), ServiceKey::<u32>::new("book"));
    assert_eq!(system.find(&feeds), []);
    let spawn = |name: &str| {
        let options = SpawnOptions::new().discoverable(feeds.clone());
        probe_with::<u32>(&system, name, options)
    };
    let (one, heard) = spawn("one");
    let (two, _) = spawn("two");
    let both = SpawnOptions::new()
        .discoverable(feeds.clone())
        .discoverable(books.clone());
    let (three, _) = probe_with::<u32>(&system, "three", both);
    assert_eq!(system.find(&feeds), [one.clone(), two.clone(), three.clone()]);
    assert_eq!(system.find(&books), std::slice::from_ref(&three));
    system.find(&feeds)[0].tell(5u32);
    assert_eq!(heard.recv(), Ok(5));
    system.stop_and_wait(&one, LONG).unwrap();
    assert_eq!(system.find(&feeds), [two.clone(), three.clone()]);
    system.stop_and_wait(&three, LONG).unwrap();
    system.stop_and_wait(&two, LONG).unwrap();
    assert_eq!(system.find(&feeds), []);
    assert_eq!(system.find(&books), []);
    // A restart changes nothing; a refused name registers nothing.
    let options = SpawnOptions::new().discoverable(feeds.clone());
    let again = system
        .spawn_with(
            "again",
            || receive(|_, _: u32| Next::Restart),
            options.supervisor(millstream::OneForOne::default()),
        )
        .unwrap();
    again.tell(1u32);
    until(|| again.waiting() == 0);
    let refused = system.spawn_with(
        "again",
        || receive(|_, _: u32| Next::Same),
        SpawnOptions::new().discoverable(feeds.clone()),
    );
    assert!(refused.is_err());
    assert_eq!(system.find(&feeds), [again]);
}

fn k25_services_of_one_name_and_different_messages_are_different() {
    let system = system(1);
    let options = SpawnOptions::new().discoverable(ServiceKey::<u32>::new("feed"));
    let (actor, _heard) = probe_with::<u32>(&system, "a", options);
    assert_eq!(system.find(&ServiceKey::<u64>::new("feed")), []);
    assert_eq!(system.find(&ServiceKey::<u32>::new("feed")), [actor]);
}

fn references_of_two_systems_are_different() {
    let (one, two) = (system(1), system(1));
    let mine = one.spawn("a", mute()).unwrap();
    let other = two.spawn("a", mute()).unwrap();
    assert_ne!(mine, other);
    assert_eq!(mine, mine.clone());
    let end = one.stop_and_wait(&mine, LONG).unwrap();
    assert!(end.is(&mine) && !end.is(&other));
}
