//! Where a thread sleeps that is explored.

use std::time::Duration;

#[cfg(millstream_loom)]
use loom::sync::{Arc, Condvar, Mutex};
#[cfg(not(millstream_loom))]
use shuttle::sync::{Arc, Condvar, Mutex};

/// A place to sleep of which the sleeper is only ever woken, so that a lost ring is reported as a deadlock.
#[derive(Debug)]
pub(crate) struct Parker(Unparker);

#[derive(Clone, Debug)]
pub(crate) struct Unparker(Arc<(Mutex<bool>, Condvar)>);

impl Parker {
    pub(crate) fn new() -> Self {
        Self(Unparker(Arc::new((Mutex::new(false), Condvar::new()))))
    }

    pub(crate) fn unparker(&self) -> &Unparker {
        &self.0
    }

    pub(crate) fn park_timeout(&self, _: Duration) {
        let (rung, bell) = &*self.0.0;
        let mut rung = rung.lock().unwrap();
        while !*rung {
            rung = bell.wait(rung).unwrap();
        }
        *rung = false;
    }
}

impl Unparker {
    pub(crate) fn unpark(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_one();
    }
}
