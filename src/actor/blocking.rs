//! Tasks that block, on threads of their own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::failure::Failure;
use super::system_core::SystemCore;
use crate::primitive::atomic::Ordering;
use crate::primitive::thread;

/// A task that [`spawn_blocking`](crate::Context::spawn_blocking) ran, or was to run, came to no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task {0}")]
pub struct TaskPanicked(Failure);

/// Runs `task` on a thread, and gives what comes of it to `done` there.
pub(super) fn spawn<R: Send + 'static>(
    system: &Arc<SystemCore>,
    name: &str,
    task: impl FnOnce() -> R + Send + 'static,
    done: impl FnOnce(Result<R, TaskPanicked>) + Send + 'static,
) {
    system.tasks.fetch_add(1, Ordering::AcqRel);
    let counted = system.clone();
    let done = Arc::new(crate::primitive::Mutex::new(Some(done)));
    let finish = {
        let done = done.clone();
        move |result| {
            let done = done.lock().ok().and_then(|mut done| done.take());
            if let Some(done) = done {
                // A function of the user's makes a message here.
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| done(result))) {
                    log::warn!("the result of a task: {}", Failure::of_panic(payload));
                }
            }
        }
    };
    let failed = finish.clone();
    let run = move || {
        let result = catch_unwind(AssertUnwindSafe(task));
        finish(result.map_err(|payload| TaskPanicked(Failure::of_panic(payload))));
        counted.tasks.fetch_sub(1, Ordering::AcqRel);
    };
    let named = thread::Builder::new().name(format!("task of {name}"));
    if let Err(refused) = named.spawn(run) {
        system.tasks.fetch_sub(1, Ordering::AcqRel);
        failed(Err(TaskPanicked(Failure::new(format!(
            "got no thread: {refused}"
        )))));
    }
}
