//! What the streams carry: elements that say which ones they are, with a checksum over all of their bytes.

use millstream::Element;

use crate::random::mix;

/// Which element this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) stream: u64,
    /// The producer's incarnation, counted over the life of the stream's name.
    pub(crate) incarnation: u64,
    pub(crate) position: u64,
}

impl Mark {
    fn sum(self) -> u64 {
        mix(self.position ^ mix(self.incarnation ^ mix(self.stream + 1)))
    }

    fn filler(self, index: usize) -> u64 {
        self.sum().rotate_left(index as u32 % 64) ^ index as u64
    }
}

/// An element that can be made for its place, and found out to be another or none.
pub(crate) trait Sample: Element + Copy {
    fn make(mark: Mark) -> Self;

    /// Which one it is, or what is wrong with it.
    fn mark(&self) -> Result<Mark, String>;
}

/// Eight bytes: stream, incarnation and position, and twelve bits of checksum.
#[millstream::element(name = "soak.Small")]
#[derive(Debug)]
pub(crate) struct Small {
    word: u64,
}

impl Sample for Small {
    fn make(mark: Mark) -> Self {
        let place =
            (mark.stream & 0xff) << 44 | (mark.incarnation & 0xfff) << 32 | mark.position & 0xffff_ffff;
        let mark = Mark {
            stream: mark.stream & 0xff,
            ..mark
        };
        Self {
            word: place | (mark.sum() & 0xfff) << 52,
        }
    }

    fn mark(&self) -> Result<Mark, String> {
        let mark = Mark {
            stream: self.word >> 44 & 0xff,
            incarnation: self.word >> 32 & 0xfff,
            position: self.word & 0xffff_ffff,
        };
        if Self::make(mark).word == self.word {
            Ok(mark)
        } else {
            Err(format!("{:016x} is no element", self.word))
        }
    }
}

macro_rules! filled {
    ($what:literal, $name:ident, $schema:literal, $words:literal) => {
        #[doc = $what]
        #[millstream::element(name = $schema)]
        #[derive(Debug)]
        pub(crate) struct $name {
            stream: u32,
            incarnation: u32,
            position: u64,
            filler: [u64; $words],
            sum: u64,
        }

        impl Sample for $name {
            fn make(mark: Mark) -> Self {
                Self {
                    stream: mark.stream as u32,
                    incarnation: mark.incarnation as u32,
                    position: mark.position,
                    filler: std::array::from_fn(|index| mark.filler(index)),
                    sum: mark.sum(),
                }
            }

            fn mark(&self) -> Result<Mark, String> {
                let mark = Mark {
                    stream: self.stream.into(),
                    incarnation: self.incarnation.into(),
                    position: self.position,
                };
                let whole = (0..$words).all(|index| self.filler[index] == mark.filler(index));
                if whole && self.sum == mark.sum() {
                    Ok(mark)
                } else {
                    Err(format!("{self:x?} is torn"))
                }
            }
        }
    };
}

filled!("56 bytes, as a quote has.", Medium, "soak.Medium", 4);
filled!(
    "200 bytes, more than one line of the processor.",
    Large,
    "soak.Large",
    22
);

/// The longest frame.
pub(crate) const LONGEST_FRAME: usize = 24 + 400;

/// The frame of a place: its length and every byte tell which one it is.
pub(crate) fn write_frame(mark: Mark, frame: &mut Vec<u8>) {
    frame.clear();
    let sum = mark.sum();
    frame.extend((mark.stream as u32).to_le_bytes());
    frame.extend((mark.incarnation as u32).to_le_bytes());
    frame.extend(mark.position.to_le_bytes());
    frame.extend(sum.to_le_bytes());
    let more = sum as usize % (LONGEST_FRAME - 23);
    frame.extend((0..more).map(|index| (sum >> (index % 8 * 8)) as u8 ^ index as u8));
}

pub(crate) fn read_frame(frame: &[u8], scratch: &mut Vec<u8>) -> Result<Mark, String> {
    let torn = || {
        format!(
            "a frame of {} bytes is torn: {:02x?}",
            frame.len(),
            &frame[..frame.len().min(32)]
        )
    };
    let word = |from: usize, to: usize| {
        let mut bytes = [0; 8];
        bytes[..to - from].copy_from_slice(frame.get(from..to)?);
        Some(u64::from_le_bytes(bytes))
    };
    let (Some(stream), Some(incarnation), Some(position)) = (word(0, 4), word(4, 8), word(8, 16)) else {
        return Err(torn());
    };
    let mark = Mark {
        stream,
        incarnation,
        position,
    };
    write_frame(mark, scratch);
    if scratch == frame { Ok(mark) } else { Err(torn()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark {
        stream: 7,
        incarnation: 3,
        position: 70_000,
    };

    #[test]
    fn an_element_says_which_one_it_is_and_a_flipped_bit_is_seen() {
        assert_eq!(Small::make(MARK).mark(), Ok(MARK));
        assert_eq!(Medium::make(MARK).mark(), Ok(MARK));
        assert_eq!(Large::make(MARK).mark(), Ok(MARK));
        assert_eq!(
            (size_of::<Small>(), size_of::<Medium>(), size_of::<Large>()),
            (8, 56, 200)
        );
        let torn = |bit: u32| Medium {
            position: MARK.position ^ 1 << bit,
            ..Medium::make(MARK)
        };
        assert!((0..64).all(|bit| torn(bit).mark().is_err()));
        let mut mixed = Large::make(MARK);
        mixed.filler[21] = MARK.filler(20);
        assert!(mixed.mark().is_err());
    }

    #[test]
    fn a_frame_says_which_one_it_is_and_a_flipped_bit_is_seen() {
        let (mut frame, mut scratch) = (Vec::new(), Vec::new());
        write_frame(MARK, &mut frame);
        assert!(frame.len() <= LONGEST_FRAME);
        assert_eq!(read_frame(&frame, &mut scratch), Ok(MARK));
        for bit in 0..frame.len() * 8 {
            frame[bit / 8] ^= 1 << (bit % 8);
            assert!(read_frame(&frame, &mut scratch).is_err());
            frame[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(read_frame(&frame[..20], &mut scratch).is_err());
    }
}
