//! Of shuttle, which knows one order of memory, draws which thread goes on, and knows nothing of time.

pub(crate) use shuttle::sync::{Mutex, MutexGuard};

pub(crate) mod atomic {
    #![allow(clippy::disallowed_types, reason = "the one place that names them")]
    pub(crate) use std::sync::atomic::{Ordering, compiler_fence, fence};

    /// A word as it is without shuttle, before each access to which another thread may have its turn.
    #[repr(transparent)]
    #[derive(Debug, Default)]
    pub(crate) struct AtomicU64(std::sync::atomic::AtomicU64);

    /// Lets another thread have its turn, if the schedule says so. Not as giving way does, which tells the scheduler that
    /// this thread has nothing to do.
    fn step() {
        if shuttle::current::try_get_current_task().is_some() {
            // Of nobody else: several runs may go on at once, in threads of their own.
            shuttle::sync::atomic::AtomicBool::new(false).load(Ordering::SeqCst);
        }
    }

    macro_rules! stepping {
        ($($name:ident)*) => {
            $(pub(crate) fn $name(&self, value: u64, order: Ordering) -> u64 {
                step();
                self.0.$name(value, order)
            })*
        };
    }

    impl AtomicU64 {
        pub(crate) const fn new(value: u64) -> Self {
            Self(std::sync::atomic::AtomicU64::new(value))
        }

        /// # Safety
        /// As of the standard library's.
        pub(crate) const unsafe fn from_ptr<'a>(at: *mut u64) -> &'a Self {
            // SAFETY: as the caller promises; the two types have the same layout.
            unsafe { &*at.cast() }
        }

        pub(crate) fn load(&self, order: Ordering) -> u64 {
            step();
            self.0.load(order)
        }

        pub(crate) fn store(&self, value: u64, order: Ordering) {
            step();
            self.0.store(value, order);
        }

        stepping! { swap fetch_add fetch_sub fetch_and fetch_or }
    }
}

pub(crate) mod thread {
    pub(crate) use shuttle::thread::{Builder, JoinHandle, Thread, current, park_timeout, yield_now};
    pub(crate) use shuttle::thread_local as local;
}

/// As crossbeam's, but that no deadline passes: whoever waits for what never comes is stuck, and reported. What is sent is never more than
/// there is room for, so the capacity means nothing.
pub(crate) mod channel {
    use std::collections::VecDeque;
    use std::time::{Duration, Instant};

    pub(crate) use crossbeam_channel::{RecvError, RecvTimeoutError, SendError};
    use shuttle::sync::{Arc, Condvar, Mutex, MutexGuard};

    #[derive(Debug)]
    struct Channel<T> {
        state: Mutex<State<T>>,
        comes: Condvar,
    }

    #[derive(Debug)]
    struct State<T> {
        waiting: VecDeque<T>,
        senders: usize,
        receivers: usize,
    }

    #[derive(Debug)]
    pub(crate) struct Sender<T>(Arc<Channel<T>>);

    #[derive(Debug)]
    pub(crate) struct Receiver<T>(Arc<Channel<T>>);

    pub(crate) fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        let state = State {
            waiting: VecDeque::with_capacity(capacity),
            senders: 1,
            receivers: 1,
        };
        let channel = Arc::new(Channel {
            state: Mutex::new(state),
            comes: Condvar::new(),
        });
        (Sender(channel.clone()), Receiver(channel))
    }

    impl<T> Channel<T> {
        fn lock(&self) -> MutexGuard<'_, State<T>> {
            self.state.lock().unwrap()
        }
    }

    impl<T> Sender<T> {
        pub(crate) fn send(&self, value: T) -> Result<(), SendError<T>> {
            let mut state = self.0.lock();
            if state.receivers == 0 {
                return Err(SendError(value));
            }
            state.waiting.push_back(value);
            self.0.comes.notify_one();
            Ok(())
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn recv(&self) -> Result<T, RecvError> {
            let mut state = self.0.lock();
            loop {
                if let Some(value) = state.waiting.pop_front() {
                    return Ok(value);
                }
                if state.senders == 0 {
                    return Err(RecvError);
                }
                state = self.0.comes.wait(state).unwrap();
            }
        }

        pub(crate) fn recv_deadline(&self, _: Instant) -> Result<T, RecvTimeoutError> {
            self.recv().map_err(|RecvError| RecvTimeoutError::Disconnected)
        }

        pub(crate) fn recv_timeout(&self, _: Duration) -> Result<T, RecvTimeoutError> {
            self.recv().map_err(|RecvError| RecvTimeoutError::Disconnected)
        }

        pub(crate) fn iter(&self) -> impl Iterator<Item = T> {
            std::iter::from_fn(|| self.recv().ok())
        }
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            self.0.lock().senders += 1;
            Self(self.0.clone())
        }
    }

    impl<T> Clone for Receiver<T> {
        fn clone(&self) -> Self {
            self.0.lock().receivers += 1;
            Self(self.0.clone())
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            self.0.lock().senders -= 1;
            self.0.comes.notify_all();
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            self.0.lock().receivers -= 1;
        }
    }
}

/// A clock that stands still but for a nanosecond with each look, so that a schedule runs twice the same way, and for what it is made to
/// skip. One for each run, which is a thread to the standard library.
pub(crate) mod time {
    use std::cell::Cell;
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    std::thread_local! {
        static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    pub(crate) fn now() -> Instant {
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        skip(Duration::from_nanos(1));
        *BEGAN.get_or_init(Instant::now) + PASSED.get()
    }

    /// Time passes, as far as anybody here can tell.
    pub(crate) fn skip(time: Duration) {
        PASSED.set(PASSED.get() + time);
    }
}
