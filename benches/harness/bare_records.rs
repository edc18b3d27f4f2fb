//! A round trip of records, which have a stamp and more than a line, written by hand, with nothing but elements and stamps.
//!
//! The consumer reads them by a second mapping of the same memory, as one in another process does. It is one that it could write to, or one for
//! reading only, as millstream's is between processes: on some processors that alone makes a difference. Ownership of lines is asked for where they
//! can be written on both sides, for elsewhere it makes trips longer. Like
//! [`bare_lines`](super::bare_lines) it promises nothing, and is unsafe for anybody but this bench.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};

use hdrhistogram::Histogram;
use memmap2::{Mmap, MmapMut, MmapOptions};
use rustix::fs::{MemfdFlags, memfd_create};

use super::bare_lines::prefetch_write;
use super::element::{Words, for_width, make, sum};
use super::round_trip::{ask, face_to_face};

/// Records of a ring, as many as the rings of the other rows have.
const RECORDS: u64 = 32;
/// Bytes of a line.
const LINE: usize = 64;
/// Multiplications between two looks at a stamp, as millstream's consumers that spin.
const REST: u32 = 50;

/// How the consumer maps what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mapped {
    /// As the producer does.
    ToBeWritten,
    /// For reading only.
    ToBeRead,
}

/// The round trips of `count` records of so many words.
pub(crate) fn measure(words: usize, mapped: Mapped, count: u64) -> Histogram<u64> {
    for_width!(words, W => {
        let (mut there, mut back) = (Memory::new(size_of::<Record<W>>(), mapped), Memory::new(size_of::<Record<W>>(), mapped));
        let (there, back) = (there.ring::<W>(), back.ring::<W>());
        let (there, back) = (&there, &back);
        // Of 1,024 bytes: 750 to 850 rather than 900 to 1,110 ns with it, but 1,270 to 1,290 rather than 1,100 to 1,190 mapped to be read.
        let claims = mapped == Mapped::ToBeWritten;
        face_to_face(
            // SAFETY: the only consumer of one ring and the only producer of the other.
            move || unsafe { answer(there, back, claims, count) },
            // SAFETY: the other way round.
            move || unsafe { ask_all(there, back, claims, count) },
        )
    })
}

/// A stamp, and an element.
#[repr(C)]
struct Record<const W: usize>(u64, Words<W>);

/// The memory of a ring, mapped twice.
struct Memory {
    produced: MmapMut,
    consumed: Consumed,
}

/// The consumer's mapping.
enum Consumed {
    ToBeWritten(MmapMut),
    ToBeRead(Mmap),
}

impl Memory {
    fn new(record: usize, mapped: Mapped) -> Self {
        let file = memfd_create("millstream-bench", MemfdFlags::CLOEXEC).expect("the kernel has memory");
        let file = File::from(file);
        let bytes = record * RECORDS as usize;
        file.set_len(bytes as u64).expect("the memory can be had");
        let options = || {
            let mut options = MmapOptions::new();
            options.len(bytes).populate();
            options
        };
        // SAFETY: nobody else has the file, and all accesses are by raw pointers to what the stamps give away.
        unsafe {
            Self {
                produced: options().map_mut(&file).expect("it can be mapped"),
                consumed: match mapped {
                    Mapped::ToBeWritten => {
                        Consumed::ToBeWritten(options().map_mut(&file).expect("it can be mapped twice"))
                    }
                    Mapped::ToBeRead => {
                        Consumed::ToBeRead(options().map(&file).expect("it can be mapped twice"))
                    }
                },
            }
        }
    }

    fn ring<const W: usize>(&mut self) -> Ring<W> {
        Ring {
            produced: self.produced.as_mut_ptr().cast(),
            consumed: match &mut self.consumed {
                Consumed::ToBeWritten(map) => map.as_mut_ptr().cast_const().cast(),
                Consumed::ToBeRead(map) => map.as_ptr().cast(),
            },
        }
    }
}

/// The records of a ring as its two sides see them.
struct Ring<const W: usize> {
    produced: *mut Record<W>,
    consumed: *const Record<W>,
}

// SAFETY: the producer writes by one pointer what the consumer reads by the other once it is stamped.
unsafe impl<const W: usize> Sync for Ring<W> {}

impl<const W: usize> Ring<W> {
    /// # Safety
    /// The one producer of the ring, of which one record at most is on its way.
    #[inline(always)]
    unsafe fn put(&self, pos: u64, element: Words<W>, claims: bool) {
        let record = self.produced.wrapping_add((pos % RECORDS) as usize);
        if claims {
            claim(record);
        }
        // SAFETY: a record of the ring, which its consumer is done with.
        unsafe {
            (&raw mut (*record).1).write(element);
            AtomicU64::from_ptr(record.cast()).store(pos + 1, Ordering::Release);
        }
    }

    /// # Safety
    /// The one consumer of the ring.
    #[inline(always)]
    unsafe fn next(&self, pos: u64, claims: bool) -> Words<W> {
        let record = self.consumed.wrapping_add((pos % RECORDS) as usize);
        // SAFETY: a record of the ring, whose stamp is only loaded, by a load that suits a mapping for reading only.
        while unsafe { AtomicU64::from_ptr(record.cast_mut().cast()) }.load(Ordering::Acquire) != pos + 1 {
            rest();
        }
        if claims {
            claim(record.cast_mut());
        }
        // SAFETY: stamped.
        unsafe { (&raw const (*record).1).read() }
    }
}

/// Asks for ownership of the lines of a record.
#[inline(always)]
fn claim<const W: usize>(record: *mut Record<W>) {
    for at in (0..size_of::<Record<W>>()).step_by(LINE) {
        prefetch_write(record.cast::<u8>().wrapping_add(at));
    }
}

/// Waits a little, without a look at memory.
#[inline(always)]
fn rest() {
    let mut value = 3_u64;
    for _ in 0..REST {
        value = in_register(value.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    }
}

/// A value that the compiler has to have here, but not in memory.
#[inline(always)]
fn in_register(value: u64) -> u64 {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    {
        let mut value = value;
        // SAFETY: no instruction at all.
        unsafe {
            std::arch::asm!("/* {0} */", inout(reg) value, options(nomem, nostack, preserves_flags));
        }
        value
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    std::hint::black_box(value)
}

/// # Safety
/// The one producer `there` and the one consumer `back`.
#[inline(never)]
unsafe fn ask_all<const W: usize>(
    there: &Ring<W>,
    back: &Ring<W>,
    claims: bool,
    count: u64,
) -> Histogram<u64> {
    ask::each(count, |index| {
        // SAFETY: by the caller; the answer to the last one has come.
        let element = unsafe {
            there.put(index, make(index), claims);
            back.next(index, claims)
        };
        assert_eq!(
            sum(&element),
            index.wrapping_mul(W as u64),
            "what comes back is what was sent"
        );
    })
}

/// # Safety
/// The one consumer `there` and the one producer `back`.
#[inline(never)]
unsafe fn answer<const W: usize>(there: &Ring<W>, back: &Ring<W>, claims: bool, count: u64) {
    for index in 0..ask::total(count) {
        // SAFETY: by the caller.
        unsafe {
            let element = there.next(index, claims);
            back.put(index, element, claims);
        }
    }
}
