//! The area of a stream of elements: blocks of one stamp and some elements, back to back.
//!
//! ```text
//! 0        first                                                   stride
//! +--------+-----------+-----------+-- ... --+---------------------+
//! | stamp  | element 0 | element 1 |         | element per - 1     |
//! +--------+-----------+-----------+-- ... --+---------------------+
//! ```
//!
//! Elements of up to 56 bytes share a line of 64 bytes with their stamp (`stride` = 64). Sixteen larger ones, of up to 128
//! bytes, make a **bundle**: behind a line of its own for the stamp (`first` = 64) they lie against each other, so that
//! those of 64 bytes have a line each. An even larger one is a record by itself (`per` = 1, `stride` = `first` + size), packed
//! against the next. The stamp is the position just after the newest element published in the block; the position of an
//! element alone says where it lies, so producer and consumer walk the blocks in step and share no index. Within one process a
//! bundle's stamp may [tell more](super::Producer::tells_ends): where the batch ends that it was published with.
//!
//! A bundle costs a line for sixteen elements where a stamp for each would cost two, and a batch stores one stamp for sixteen. Measured
//! at 64 bytes against records by themselves, million elements a second at capacities of 1,024 and 64: single puts 74 and 46
//! to 83 and 46, `put_slice` 61 and 36 to 75 and 56, claims 75 and 44 to 91 and 53. At 256 bytes a stamp of its own is a thirtieth
//! of the record, and single puts to a consumer that watches the stamp are better off with it: 22 against 19.

use super::expected::{Expected, MOST_AT_ONCE};
use super::shape::{LINE, Measured, STAMP, Shape};
use crate::primitive::atomic::AtomicU64;
#[cfg(millstream_loom)]
use crate::primitive::{Arc, cell::UnsafeCell};

/// How many lines ahead of its writing the producer asks for ownership; without it each store waits for the consumer's
/// cache in turn. Measured at capacities of 64 and of 1,024 elements of 8, 48 and 1,024 bytes: for elements put one by one, and for
/// claims, 4 are best in a ring of 64 lines, where 16 make runs a tenth slower; in larger rings [up to](AHEAD_OF_LARGE) 16.
const AHEAD: usize = 4;
/// As [`AHEAD`], in a larger ring, whose consumer keeps a distance, where more lines can be in a producer's hands: at a capacity of
/// 1,024 4, 8 and 16 gave single puts of 8 bytes 418, 473 and 410 to 510, and of 1,024 bytes 7.6, 7.6 and 8.0 million a second. So it is
/// this many, and no more than a [sixteenth](SHARE_AHEAD) of the ring.
const AHEAD_OF_LARGE: usize = 16;
/// See [`AHEAD_OF_LARGE`].
const SHARE_AHEAD: usize = 16;
/// As [`AHEAD`], for a batch of elements that share lines, which is copied as fast as the lines come: there 16 are 1.3 times
/// as fast as 4 in one process, and 1.6 times between processes.
const AHEAD_BATCH: usize = 16;
/// As [`AHEAD_BATCH`], where each element is a record of its own: 32 are 1.2 times as fast as 4 at 256 bytes, and 1.4 times in
/// a ring of 64. So it is with records of a [`few lines`](FEW_LINES) that are put one by one to a consumer that maps them for
/// reading only, as one in another process does: 74 against 62 million a second for records of 72 bytes. In one process 4 would be better
/// there (86 against 75), but both settings are to be alike.
const AHEAD_RECORDS: usize = 32;
/// As [`AHEAD`], in bundles: 4, 8, 16 and 32 gave single puts 80, 80, 84 and 83 at 1,024 elements of 64 bytes, and `put_slice` 48, 50,
/// 53 and 49 at 64.
const AHEAD_BUNDLE: usize = 16;
/// Larger records are asked for as others are, when they are put one by one: they take as long to write as their lines take
/// to come.
const FEW_LINES: usize = 8;

/// The most lines of a larger block that ownership is asked for: whoever writes a page in order is served by the processor's own
/// prefetching, and whoever claims it without writing all of it is not to pay for every line.
const AHEAD_MOST: usize = 16;

/// `lines` as bytes ahead in a ring of so many bytes: at most a quarter of it, for the others are being read.
#[inline(always)]
fn ahead(lines: usize, ring: usize) -> usize {
    (lines * LINE).min(ring / 4)
}

/// How many bytes ahead a ring of so many bytes asks for lines while its producer puts one by one. A ring of a few lines has no line
/// ahead that the consumer is not reading.
#[inline(always)]
fn usual_ahead(shape: impl Shape, ring: usize) -> usize {
    let lines = match shape.stride() {
        _ if shape.is_bundle() => AHEAD_BUNDLE,
        stride if (LINE + 1..=FEW_LINES * LINE).contains(&stride) => AHEAD_RECORDS,
        _ => (ring / LINE / SHARE_AHEAD).clamp(AHEAD, AHEAD_OF_LARGE),
    };
    ahead(lines, ring)
}

/// Where the blocks of a stream lie. The memory belongs to somebody else, who keeps it alive.
#[derive(Clone, Debug)]
pub(crate) struct Area {
    begin: *mut u8,
    blocks: usize,
    #[cfg(millstream_loom)]
    shadow: Arc<Shadow>,
}

/// What loom must see: its atomics have another size, so they stand beside the bytes.
#[cfg(millstream_loom)]
#[derive(Debug)]
struct Shadow {
    stamps: Vec<AtomicU64>,
    elements: Vec<UnsafeCell<()>>,
}

impl Area {
    /// The `blocks` blocks that begin at `begin`, whose stamps all read `base`.
    ///
    /// # Safety
    /// `begin` is aligned to a line and to the elements, and valid for reads (for writes too, if a
    /// producer is made of it) of `blocks` strides for as long as any [`Place`] of it is used. All
    /// accesses to the stamps are atomic.
    pub(crate) unsafe fn new(begin: *mut u8, blocks: usize, _shape: impl Shape, _base: u64) -> Self {
        debug_assert!(blocks > 0);
        Self {
            begin,
            blocks,
            #[cfg(millstream_loom)]
            shadow: Arc::new(Shadow {
                stamps: (0..blocks).map(|_| AtomicU64::new(_base)).collect(),
                elements: (0..blocks * _shape.per()).map(|_| UnsafeCell::new(())).collect(),
            }),
        }
    }

    /// How many blocks there are.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    /// The place of the element at position `pos`, which comes `distance` elements after the first of the stream.
    pub(crate) fn place(&self, shape: impl Shape, distance: u64, pos: u64) -> Place {
        let per = shape.per() as u64;
        let number = (distance / per) % self.blocks as u64;
        // It fits: it is below the number of blocks.
        let block = self.begin.wrapping_add(number as usize * shape.stride());
        let edge = pos.wrapping_add(per - distance % per);
        let ring = self.blocks * shape.stride();
        Place {
            block,
            edge,
            origin: origin(shape, block, edge),
            begin: self.begin,
            end: self.begin.wrapping_add(self.blocks * shape.stride()),
            ahead: usual_ahead(shape, ring),
            #[cfg(millstream_loom)]
            index: number as usize,
            #[cfg(millstream_loom)]
            shadow: self.shadow.clone(),
        }
    }
}

/// Where the element at position 0 would lie if all were back to back and `edge` were that just after the last of `block`.
#[inline(always)]
fn origin(shape: impl Shape, block: *mut u8, edge: u64) -> *mut u8 {
    block
        .wrapping_add(shape.first() + shape.per() * shape.size())
        .wrapping_sub((edge as usize).wrapping_mul(shape.size()))
}

/// A walk through the blocks. Within a block of several elements nothing moves but the position of whoever walks: the
/// element at `pos` lies `pos` elements behind the origin. So an element costs one addition, not three.
///
/// In blocks of one element a walk enters the next one as soon as it has [`passed`](Self::passed) an element, for there
/// its position says everything; in others when it [`reach`](Self::reach)es for an element that is not in this one.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    block: *mut u8,
    /// Position just after the last element of the block; of no meaning when that is the only one.
    edge: u64,
    /// As [`origin`] says; of no meaning when the block has one element.
    origin: *mut u8,
    begin: *mut u8,
    end: *mut u8,
    /// How many bytes ahead lines are asked for that are about to be written. None are asked for if 0, but in batches of whole lines.
    ahead: usize,
    #[cfg(millstream_loom)]
    index: usize,
    #[cfg(millstream_loom)]
    shadow: Arc<Shadow>,
}

impl Place {
    /// A place outside of every ring, at which nothing is published after `pos`.
    ///
    /// # Safety
    /// `grave` is valid for as long as the place is used, and reached by nobody else.
    pub(crate) unsafe fn sealed(grave: *mut u64, pos: u64) -> Self {
        const SHAPE: Measured = Measured {
            size: 0,
            per: 1,
            first: STAMP,
            stride: STAMP,
        };
        // SAFETY: valid, and nobody else's.
        unsafe { grave.write(pos) };
        // SAFETY: an aligned word that is valid as long as the place, as the caller promises.
        unsafe { Area::new(grave.cast(), 1, SHAPE, pos) }.place(SHAPE, 0, pos)
    }

    /// The place of the element at position `pos`, which comes `distance` elements after the first of the stream, in the
    /// ring of this place.
    #[cfg(not(millstream_loom))]
    pub(crate) fn another(&self, shape: impl Shape, distance: u64, pos: u64) -> Self {
        let (begin, blocks) = (self.begin, self.blocks(shape));
        Area { begin, blocks }.place(shape, distance, pos)
    }

    /// Position just after the last element of the block, in which the element at `pos` lies, or which it follows.
    #[inline(always)]
    pub(crate) fn edge(&self, shape: impl Shape, pos: u64) -> u64 {
        if shape.per() == 1 {
            return pos.wrapping_add(1);
        }
        self.edge
    }

    /// Where this block begins, and the first and the end of all.
    #[inline(always)]
    pub(super) fn bounds(&self) -> (*mut u8, *mut u8, *mut u8) {
        (self.block, self.begin, self.end)
    }

    /// Blocks of the ring.
    #[inline(always)]
    pub(crate) fn blocks(&self, shape: impl Shape) -> usize {
        (self.end as usize - self.begin as usize) / shape.stride()
    }

    /// Slots of the ring: at least its capacity.
    #[inline(always)]
    pub(crate) fn slots(&self, shape: impl Shape) -> u64 {
        (self.blocks(shape) * shape.per()) as u64
    }

    /// The stamp of this block.
    #[inline(always)]
    pub(crate) fn stamp(&self) -> &AtomicU64 {
        #[cfg(millstream_loom)]
        return &self.shadow.stamps[self.index];
        // SAFETY: a place lies at a block of its area (see `Area::new`), which begins with the stamp, aligned
        // to eight bytes and only accessed atomically.
        #[cfg(not(millstream_loom))]
        unsafe {
            AtomicU64::from_ptr(self.block.cast())
        }
    }

    /// Where the element at `pos` lies, which belongs to this block.
    #[inline(always)]
    pub(crate) fn element(&self, shape: impl Shape, pos: u64) -> *mut u8 {
        if shape.per() == 1 {
            return self.block.wrapping_add(shape.first());
        }
        // Positions and addresses both wrap.
        self.origin
            .wrapping_add((pos as usize).wrapping_mul(shape.size()))
    }

    /// The lines of the element at `pos`, which belongs to this block, where it pays to [ask](Expected) for them.
    #[inline(always)]
    pub(crate) fn expected(&self, shape: impl Shape, pos: u64) -> Expected {
        if shape.is_bundle() {
            Expected::of_bundle(self.element(shape, pos), shape.size())
        } else if shape.is_record() {
            Expected::of_record(self.element(shape, pos), shape.size())
        } else {
            Expected::NOTHING
        }
    }

    /// Where the first element of this block lies.
    #[inline(always)]
    pub(crate) fn first(&self, shape: impl Shape) -> *mut u8 {
        self.block.wrapping_add(shape.first())
    }

    /// Tells loom that the element at `pos` is read.
    #[inline(always)]
    pub(crate) fn reading(&self, _shape: impl Shape, _pos: u64) {
        #[cfg(millstream_loom)]
        self.shadow.elements[self.slot(_shape, _pos)].with(|_| ());
    }

    /// Tells loom that the element at `pos` is written.
    #[inline(always)]
    pub(crate) fn writing(&self, _shape: impl Shape, _pos: u64) {
        #[cfg(millstream_loom)]
        self.shadow.elements[self.slot(_shape, _pos)].with_mut(|_| ());
    }

    #[cfg(millstream_loom)]
    fn slot(&self, shape: impl Shape, pos: u64) -> usize {
        self.index * shape.per() + shape.per() - self.edge(shape, pos).wrapping_sub(pos) as usize
    }

    /// Moves to the next block.
    #[inline(always)]
    pub(crate) fn next_block(&mut self, shape: impl Shape) {
        self.block = self.block.wrapping_add(shape.stride());
        if shape.per() > 1 {
            self.edge = self.edge.wrapping_add(shape.per() as u64);
            // What a block has beside its elements lies between those of two blocks.
            self.origin = self
                .origin
                .wrapping_add(shape.stride() - shape.per() * shape.size());
        }
        if self.block == self.end {
            crate::primitive::hint::keep_branch();
            self.block = self.begin;
            if shape.per() > 1 {
                self.origin = self.origin.wrapping_sub(self.end as usize - self.begin as usize);
            }
        }
        #[cfg(millstream_loom)]
        {
            self.index = (self.index + 1) % self.shadow.stamps.len();
        }
    }

    /// Moves to the block of the element at `pos`: this one or the next.
    #[inline(always)]
    pub(crate) fn reach(&mut self, shape: impl Shape, pos: u64) {
        if shape.per() > 1 && pos == self.edge {
            crate::primitive::hint::keep_branch();
            self.next_block(shape);
        }
    }

    /// Leaves an element behind.
    #[inline(always)]
    pub(crate) fn passed(&mut self, shape: impl Shape) {
        if shape.per() == 1 {
            self.next_block(shape);
        }
    }

    /// Moves to the next block, as the producer does when it is about to write there.
    #[inline(always)]
    pub(crate) fn enter_next(&mut self, shape: impl Shape) {
        self.next_block(shape);
        if self.ahead != 0 {
            self.claim_ahead(shape, self.ahead);
        }
    }

    /// As [`reach`](Self::reach), without a branch: for who puts one by one to a consumer that waits.
    ///
    /// A branch that is taken once in a line is guessed wrongly there, for all that came before are the looks of a wait. What is stored
    /// until that is known goes by the old line: its ownership is asked for, and taken from a consumer that is done with it. Three
    /// elements of that line, when it is used again, come a third later for that: round trips of 8 bytes took 611 ns, and without the branch
    /// 551.
    #[inline(always)]
    pub(crate) fn reach_by_sums(&mut self, shape: impl Shape, pos: u64) {
        let enters = 0_usize.wrapping_sub(usize::from(shape.per() > 1 && pos == self.edge));
        self.block = self.block.wrapping_add(enters & shape.stride());
        self.edge = self.edge.wrapping_add((enters & shape.per()) as u64);
        self.origin = self
            .origin
            .wrapping_add(enters & (shape.stride() - shape.per() * shape.size()));
        let wraps = 0_usize.wrapping_sub(usize::from(self.block == self.end));
        let ring = wraps & (self.end as usize - self.begin as usize);
        self.block = self.block.wrapping_sub(ring);
        self.origin = self.origin.wrapping_sub(ring);
        #[cfg(millstream_loom)]
        {
            self.index = (self.index + (enters & 1)) % self.shadow.stamps.len();
        }
    }

    /// Whether lines are to be asked for ahead, see [`set_asking`](Self::set_asking).
    #[inline(always)]
    pub(crate) fn asks(&self) -> bool {
        self.ahead != 0
    }

    /// Says whether lines are to be asked for [ahead](AHEAD) of what is put one by one, claimed or in bundles; a producer says so for as long as the
    /// credit lasts that it has just read. Where the consumer waits for each element that is put, it would have them
    /// taken away while it fetches the last one: round trips of 8, 64, 256 and 1,024 bytes 670, 710, 770 and 1,190 ns, without it 610, 670,
    /// 740 and 1,050.
    #[inline(always)]
    pub(crate) fn set_asking(&mut self, shape: impl Shape, asks: bool) {
        self.ahead = if asks {
            usual_ahead(shape, self.end as usize - self.begin as usize)
        } else {
            0
        };
    }

    /// As [`enter_next`](Self::enter_next), in the midst of a batch that is written and published at once.
    #[inline(always)]
    pub(crate) fn enter_next_of_batch(&mut self, shape: impl Shape) {
        self.next_block(shape);
        let lines = if shape.per() > 1 {
            AHEAD_BATCH
        } else {
            AHEAD_RECORDS
        };
        self.claim_ahead(shape, ahead(lines, self.end as usize - self.begin as usize));
    }

    /// Asks for ownership of the lines that the producer will write a little later, one for each line of
    /// this block, up to [`AHEAD_MOST`]; of a bundle of that of the next one's stamp, for each element
    /// [asks](Self::claim_ahead_of) for others.
    #[inline(always)]
    fn claim_ahead(&self, shape: impl Shape, distance: usize) {
        if shape.is_bundle() {
            self.claim_line(self.block.wrapping_add(shape.stride()));
            return;
        }
        self.claim_lines(
            self.block.wrapping_add(distance),
            shape.stride().min(AHEAD_MOST * LINE),
        );
    }

    /// In a bundle, asks for ownership of as many lines some way ahead as the element at `at` has, which is about to be written.
    #[inline(always)]
    pub(crate) fn claim_ahead_of(&self, shape: impl Shape, at: *mut u8) {
        if shape.is_bundle() && self.ahead != 0 {
            self.claim_lines(at.wrapping_add(self.ahead), shape.size());
        }
    }

    /// Where no line is asked for [ahead](Self::set_asking), asks for those of this block, a record that is about to be written: the consumer has read
    /// the last one there, and they would come back one after the other. With what the consumer [asks for](Expected) round trips of
    /// 1,024 bytes took 700 ns rather than 1,050, without the 17th line 840.
    #[inline(always)]
    pub(crate) fn claim_own(&self, shape: impl Shape) {
        if shape.is_record() && self.ahead == 0 {
            // From the beginning of its first line on, or the last one is left out wherever a record begins within a line.
            let within = self.block as usize % LINE;
            self.claim_lines(
                self.block.wrapping_sub(within),
                (within + shape.stride()).min(MOST_AT_ONCE),
            );
        }
    }

    /// Asks for ownership of `bytes` from `from` on, which is at most a ring behind its end.
    #[inline(always)]
    fn claim_lines(&self, from: *mut u8, bytes: usize) {
        let mut line = 0;
        while line < bytes {
            self.claim_line(from.wrapping_add(line));
            line += LINE;
        }
    }

    /// Asks for ownership of the line of `at`, which is at most a ring behind the end of this one.
    #[inline(always)]
    fn claim_line(&self, mut at: *mut u8) {
        if at >= self.end {
            crate::primitive::hint::keep_branch();
            at = at.wrapping_sub(self.end as usize - self.begin as usize);
        }
        crate::primitive::hint::prefetch_write(at);
    }
}
