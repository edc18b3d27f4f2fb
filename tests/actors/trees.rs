//! Trees of actors over several workers.

use std::sync::mpsc::channel as mpsc;

use millstream::{ActorStopped, ActorSystem, Behaviour, SpawnOptions, receive, setup};

use crate::support::{LONG, system, tests, until};

tests! {
    a_tree_of_five_by_five_over_workers_stops_from_its_leaves
    a_tree_ends_with_its_system
    a_tree_whose_root_fails
    a_tree_that_is_stopped_while_it_grows
}

const DEPTH: usize = 5;
const WIDTH: usize = 5;
const SIZE: usize = 1 + 5 + 25 + 125 + 625 + 3125;

/// Each level on the next worker, so that every parent has children elsewhere.
fn node(depth: usize, workers: usize, grown: std::sync::mpsc::Sender<()>) -> Behaviour<()> {
    setup(move |context| {
        for number in 0..if depth > 0 { WIDTH } else { 0 } {
            let grown = grown.clone();
            let child = move || node(depth - 1, workers, grown.clone());
            let options = SpawnOptions::new().on_worker((depth + number) % workers);
            // It may be that the system ends at the same time.
            let _ = context.spawn_with(&number.to_string(), child, options);
        }
        let _ = grown.send(());
        receive(|_, ()| panic!("told to"))
    })
}

fn grow(system: &ActorSystem, name: &str) -> (millstream::ActorRef<()>, std::sync::mpsc::Receiver<()>) {
    let (told, grown) = mpsc();
    let workers = system.workers().len();
    let root = system
        .spawn(name, move || node(DEPTH, workers, told.clone()))
        .unwrap();
    (root, grown)
}

fn a_tree_of_five_by_five_over_workers_stops_from_its_leaves() {
    let system = system(3);
    let stopped = system.events().subscribe::<ActorStopped>(2 * SIZE);
    let (root, grown) = grow(&system, "root");
    grown.iter().take(SIZE).for_each(drop);
    assert_eq!(system.actors().len(), SIZE);
    system.stop_and_wait(&root, LONG).unwrap();
    assert_eq!(system.actors(), []);
    let mut seen = std::collections::HashMap::new();
    for order in 0..SIZE {
        let path = stopped.next_deadline(LONG).unwrap().path;
        seen.insert(path.to_string(), order);
    }
    assert_eq!(seen.len(), SIZE);
    until(|| system.workers().iter().all(|worker| worker.actors == 0));
}

fn a_tree_ends_with_its_system() {
    let system = system(2);
    let (root, grown) = grow(&system, "root");
    grown.iter().take(SIZE).for_each(drop);
    let report = system.shutdown(LONG).unwrap();
    assert_eq!(report.dead_letters, 0);
    assert!(root.is_stopped());
}

fn a_tree_whose_root_fails() {
    let system = system(2);
    let (root, grown) = grow(&system, "root");
    grown.iter().take(SIZE).for_each(drop);
    root.tell(());
    system.wait_stopped(&root, LONG).unwrap();
    assert_eq!(system.actors(), []);
}

fn a_tree_that_is_stopped_while_it_grows() {
    for already in [1, 2, 10, 100, 1000, 3000] {
        let system = system(3);
        let (root, grown) = grow(&system, "root");
        grown.iter().take(already).for_each(drop);
        if already % 3 == 1 {
            system.stop_and_wait(&root, LONG).unwrap();
            assert_eq!(system.actors(), []);
        }
        system.shutdown(LONG).unwrap();
    }
}
