//! Waiting for a producer without an end.
#![cfg(target_os = "linux")]

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

#[test]
fn a_wait_too_long_for_the_clock_is_a_wait() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let (done, opened) = channel();
    let subscriber = {
        let path = path.clone();
        thread::spawn(move || {
            let source = millstream::subscribe::<u64>("ticks")
                .wait_for(Duration::MAX)
                .directory(path)
                .open();
            done.send(source).unwrap();
        })
    };
    match opened.recv_timeout(Duration::from_millis(100)) {
        Err(RecvTimeoutError::Timeout) => {}
        other => panic!("it did not wait: {other:?}"),
    }
    let mut sink = millstream::publish::<u64>("ticks")
        .directory(path)
        .open()
        .unwrap();
    sink.put(7).unwrap();
    let mut source = opened.recv_timeout(Duration::from_secs(20)).unwrap().unwrap();
    assert_eq!(source.next(), Some(7));
    subscriber.join().unwrap();
}
