//! What every sink, and every source, can do whatever it carries: the methods are the same, so they are written once.

#![forbid(unsafe_code)]

/// Methods of a sink. It has an `endpoint`, a `pos()`, a `byte()`, and `shut()`, which lets nothing be put any more. `$kind` is
/// what it takes, `$make` begins a channel of that kind and `$put` puts one element, for the examples.
macro_rules! sink_control {
    ($kind:literal, $make:literal, $put:literal) => {
        /// Ends the stream: the consumer gets everything put before, then `End::Completed`. Never waits. Completing twice
        /// is completing once.
        ///
        /// # Errors
        /// When the stream had ended otherwise before.
        ///
        /// ```
        #[doc = concat!("let (mut sink, mut source) = ", $make, ".build()?;")]
        /// sink.complete()?;
        /// assert!(source.next().is_none());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn complete(&mut self) -> Result<(), $crate::EndError> {
            let ended = self.endpoint.complete(self.pos());
            self.shut();
            ended
        }

        /// Completes the stream and waits until the consumer has released everything, or `deadline`.
        ///
        /// A consumer tells what it has released when it finds the stream empty or ended, and about every half or quarter of the window.
        ///
        /// # Errors
        /// How many elements are left, and why when no more of them will be taken.
        ///
        /// ```
        /// use std::time::{Duration, Instant};
        #[doc = concat!("let (mut sink, mut source) = ", $make, ".build()?;")]
        /// let reader = std::thread::spawn(move || while source.next().is_some() {});
        #[doc = $put]
        /// sink.complete_and_drain(Instant::now() + Duration::from_secs(10))?;
        /// reader.join().unwrap();
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn complete_and_drain(&mut self, deadline: std::time::Instant) -> Result<(), $crate::NotDrained> {
            let pos = self.pos();
            if let Err($crate::EndError { reason }) = self.complete() {
                let left = self.endpoint.undrained(pos).0;
                return if left == 0 {
                    Ok(())
                } else {
                    Err($crate::NotDrained {
                        left,
                        reason: Some(reason),
                    })
                };
            }
            self.endpoint.drain(pos, deadline)
        }

        /// Ends the stream with a fault: the consumer gets everything put before, then `End::Failed`. Never waits.
        ///
        /// # Errors
        /// When the stream had ended otherwise before.
        ///
        /// ```
        /// use millstream::StreamFault;
        #[doc = concat!("let (mut sink, mut source) = ", $make, ".build()?;")]
        #[doc = $put]
        /// sink.fail(StreamFault::new(4, "no line"))?;
        /// assert!(source.next().is_some());
        /// assert!(source.next().is_none());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn fail(&mut self, fault: $crate::StreamFault) -> Result<(), $crate::EndError> {
            let ended = self.endpoint.fail(self.pos(), &fault);
            self.shut();
            ended
        }

        /// How many elements the consumer has asked for and not been sent. It may have asked for more meanwhile.
        ///
        /// ```
        #[doc = concat!("let (mut sink, _source) = ", $make, ".initial_demand(4).build()?;")]
        /// assert_eq!(sink.demand(), 4);
        #[doc = $put]
        /// assert_eq!(sink.demand(), 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[must_use]
        pub fn demand(&self) -> u64 {
            self.endpoint.demand(self.pos())
        }

        /// Position of the next element: how many were put, from the stream's first position on.
        ///
        /// ```
        #[doc = concat!("let (mut sink, _source) = ", $make, ".build()?;")]
        #[doc = $put]
        /// assert_eq!(sink.position(), 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[must_use]
        pub fn position(&self) -> u64 {
            self.pos()
        }

        /// Has the disk keep what was put so far, of a [durable](crate::PublishBuilder::durable) stream; gives the position
        /// after it. When the machine itself has ended since (power loss, a crash of the kernel), whoever publishes with
        /// [`recover_synced`](crate::PublishBuilder::recover_synced) goes back to the last sync that has returned `Ok`, or to
        /// one after it: position, elements, and what the consumer had released and committed. Without it, a sync changes nothing.
        ///
        /// Writes every element that the consumer has not released to the file `path.synced`, with a checksum, and waits for the
        /// disk: the cost is that of the elements unread. The first sync also waits for the stream's own file, whole. The
        /// file takes the place of the one before by one step, so a kill leaves the one or the other. Puts cost what they
        /// did, and the consumer goes on meanwhile.
        ///
        /// # Errors
        /// `NotDurable`; `Durable` when the file could not be written. The sync before holds then, and the stream goes on.
        ///
        /// ```
        /// # let dir = tempfile::tempdir()?;
        /// # let (run, file) = (dir.path().join("run"), dir.path().join("orders"));
        #[doc = concat!("let mut sink = millstream::publish::<", $kind, ">(\"orders\").durable(file).directory(run).open()?;")]
        #[doc = $put]
        /// assert_eq!(sink.sync()?, 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[cfg(all(target_os = "linux", not(millstream_loom)))]
        pub fn sync(&mut self) -> Result<u64, $crate::SyncError> {
            self.endpoint.sync(self.pos(), self.byte())
        }

        /// Whether the stream takes nothing any more. Once true it stays so.
        ///
        /// ```
        #[doc = concat!("let (sink, source) = ", $make, ".build()?;")]
        /// assert!(!sink.is_closed());
        /// drop(source);
        /// assert!(sink.is_closed());
        /// # Ok::<(), millstream::ChannelError>(())
        /// ```
        #[must_use]
        pub fn is_closed(&self) -> bool {
            self.endpoint.is_closed()
        }

        /// What the kernel gave when the stream was published with huge pages; `None` within one process.
        ///
        /// ```
        #[doc = concat!("let (sink, _source) = ", $make, ".build()?;")]
        /// assert_eq!(sink.huge_pages(), None);
        /// # Ok::<(), millstream::ChannelError>(())
        /// ```
        #[cfg(all(target_os = "linux", not(millstream_loom)))]
        #[must_use]
        pub fn huge_pages(&self) -> Option<$crate::HugePages> {
            self.endpoint.huge_pages()
        }

        /// The fence between publishing and the look for a parked consumer: what the kernel allowed.
        ///
        /// ```
        #[doc = concat!("let (sink, _source) = ", $make, ".build()?;")]
        /// println!("{}", sink.fence());
        /// # Ok::<(), millstream::ChannelError>(())
        /// ```
        #[must_use]
        pub fn fence(&self) -> $crate::Fence {
            self.endpoint.fence()
        }
    };
}

/// Methods of a source. It has an `endpoint`, a `pos()`, `taken()`, `asked_for()`, `is_ready()`, `wait()`, `hang_up()`, `set_mark()` and `go_on()`; the endpoint and what it
/// reconnects by stand in `$cold`, if that is given.
macro_rules! source_control {
    ($make:literal, $put:literal, $next:literal $(, $cold:ident)?) => {
        /// Waits until an element can be taken without waiting. False when the stream has ended.
        ///
        /// ```
        #[doc = concat!("let (mut sink, mut source) = ", $make, ".build()?;")]
        #[doc = $put]
        /// assert!(source.wait_readable());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[inline]
        pub fn wait_readable(&mut self) -> bool {
            self.is_ready() || self.wait(None) == $crate::stream::endpoint::Waited::Ready
        }

        /// Asks for `count` elements more, in addition to what was asked for before; saturates at `u64::MAX`, which asks for ever.
        ///
        /// For sources built with `manual_demand()`. At most the source's window is open at a time; the rest follows as
        /// elements are taken.
        ///
        /// # Errors
        /// `Automatic` when the source asks by itself, `Ended` when the stream has ended.
        ///
        /// ```
        /// use std::num::NonZeroU64;
        #[doc = concat!("let (mut sink, mut source) = ", $make, ".manual_demand().build()?;")]
        /// assert_eq!(sink.demand(), 0);
        /// source.request(NonZeroU64::new(2).unwrap())?;
        /// assert_eq!(sink.demand(), 2);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn request(&mut self, count: std::num::NonZeroU64) -> Result<(), $crate::RequestError> {
            if self$(.$cold)?.endpoint.is_automatic() {
                return Err($crate::RequestError::Automatic);
            }
            if self$(.$cold)?.endpoint.end().is_some() {
                return Err($crate::RequestError::Ended);
            }
            let pos = self.pos();
            let mark = self$(.$cold)?.endpoint.request(count.get(), pos);
            self.set_mark(mark);
            self.go_on();
            Ok(())
        }

        /// Ends the stream from this side: nothing is taken any more, and the producer is told. Does nothing to a stream
        /// that has ended.
        ///
        /// ```
        #[doc = concat!("let (mut sink, mut source) = ", $make, ".build()?;")]
        #[doc = $put]
        /// source.cancel();
        /// assert!(source.next().is_none());
        /// assert_eq!(source.end(), Some(millstream::End::Cancelled));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn cancel(&mut self) {
            if self$(.$cold)?.endpoint.end().is_some() {
                return;
            }
            self.hang_up();
        }

        /// How the stream ended; `None` as long as that has not been found out by taking.
        ///
        /// ```
        #[doc = concat!("let (sink, mut source) = ", $make, ".build()?;")]
        /// assert_eq!(source.end(), None);
        /// # drop(sink);
        /// # Ok::<(), millstream::ChannelError>(())
        /// ```
        #[must_use]
        pub fn end(&self) -> Option<$crate::End> {
            // A source that goes on with the next producer has not ended.
            let end = self$(.$cold)?
                .endpoint
                .end()
                .filter(|end| **end != $crate::End::PeerGone || self$(.$cold)?.reconnect.is_none());
            end.cloned()
        }

        /// How many producers this source has gone on from, if it was built to [`reconnect`](crate::SubscribeBuilder::reconnect).
        ///
        /// ```
        #[doc = concat!("let (_sink, source) = ", $make, ".build()?;")]
        /// assert_eq!(source.epoch(), 0);
        /// # Ok::<(), millstream::ChannelError>(())
        /// ```
        #[must_use]
        pub fn epoch(&self) -> u64 {
            self$(.$cold)?.reconnect
                .as_ref()
                .map_or(0, |reconnect| reconnect.epoch())
        }

        /// Position of the next element: how many were taken, from the stream's first position on.
        ///
        /// ```
        #[doc = concat!("let (mut sink, mut source) = ", $make, ".build()?;")]
        #[doc = $put]
        #[doc = $next]
        /// assert_eq!(source.position(), 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[must_use]
        pub fn position(&self) -> u64 {
            self.taken()
        }

        /// Position up to which this source has asked for elements. Credit for what was taken follows about every half
        /// window, or when the source finds nothing to take.
        ///
        /// ```
        #[doc = concat!("let (_sink, source) = ", $make, ".initial_demand(4).build()?;")]
        /// assert_eq!(source.granted(), 4);
        /// # Ok::<(), millstream::ChannelError>(())
        /// ```
        #[must_use]
        pub fn granted(&self) -> u64 {
            self.asked_for()
        }
    };
}

pub(super) use {sink_control, source_control};
