//! Elements and frames that tell their position by every word, so that half of one beside half of another is seen.

use millstream::Element;

use crate::fault::Fault;

/// An element that is made from its position.
pub(crate) trait Pattern: Element {
    fn at(position: u64) -> Self;
    /// `None` when it is torn.
    fn position(&self) -> Option<u64>;
    /// What its first word says, without a look at the others: for a victim, whose every instruction is a point.
    fn label(&self) -> u64;
}

/// Bits that differ in about every second place for neighbours (splitmix64).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The first word has the position in its upper half, and what is made from it in the lower one.
fn head(position: u64) -> u64 {
    position << 32 | mixed(position) >> 32
}

fn word(position: u64, index: usize) -> u64 {
    match index {
        0 => head(position),
        index => mixed(head(position) ^ index as u64),
    }
}

impl<const N: usize> Pattern for [u64; N] {
    fn at(position: u64) -> Self {
        std::array::from_fn(|index| word(position, index))
    }

    fn position(&self) -> Option<u64> {
        let position = self[0] >> 32;
        (*self == Self::at(position)).then_some(position)
    }

    fn label(&self) -> u64 {
        self[0] >> 32
    }
}

/// Bytes of the longest frame.
pub(crate) const LONGEST: usize = 256;

/// The frame at a position; its length depends on it, too.
pub(crate) fn frame(position: u64) -> Vec<u8> {
    let len = 8 + (position * 37 % (LONGEST as u64 - 8)) as usize;
    let mut bytes: Vec<u8> = (0..len.div_ceil(8))
        .flat_map(|index| word(position, index).to_le_bytes())
        .collect();
    bytes.truncate(len);
    bytes
}

pub(crate) fn frame_position(bytes: &[u8]) -> Option<u64> {
    let position = u64::from_le_bytes(*bytes.first_chunk()?) >> 32;
    (bytes == frame(position)).then_some(position)
}

/// Elements that must follow each other without a gap.
pub(crate) struct Sequence {
    pub(crate) next: u64,
}

impl Sequence {
    pub(crate) fn from(next: u64) -> Self {
        Self { next }
    }

    /// Takes the next one.
    pub(crate) fn take(&mut self, position: Option<u64>) -> Result<(), Fault> {
        let Some(position) = position else {
            return Err(Fault::torn(format!(
                "the element at {} is not one that was ever put",
                self.next
            )));
        };
        if position > self.next {
            return Err(Fault::lost(format!("{} to {position} never came", self.next)));
        }
        if position < self.next {
            return Err(Fault::duplicated(format!(
                "{position} came again, where {} was due",
                self.next
            )));
        }
        self.next += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Kind;

    #[test]
    fn an_element_tells_its_position_and_a_mixture_of_two_does_not() {
        let (one, other) = (<[u64; 7]>::at(5), <[u64; 7]>::at(6));
        assert_eq!((one.position(), other.position()), (Some(5), Some(6)));
        for from in 1..7 {
            let mut mixture = one;
            mixture[from..].copy_from_slice(&other[from..]);
            assert_eq!(mixture.position(), None, "from word {from} on");
        }
        assert_eq!([0u64; 7].position(), None, "nor do zeros");
    }

    #[test]
    fn a_frame_tells_its_position_by_every_byte() {
        for position in 0..300 {
            let bytes = frame(position);
            assert_eq!(frame_position(&bytes), Some(position));
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1;
                assert_ne!(frame_position(&damaged), Some(position), "byte {at}");
            }
        }
    }

    #[test]
    fn what_is_out_of_order_has_its_name() {
        let mut sequence = Sequence::from(3);
        assert!(sequence.take(Some(3)).is_ok());
        assert_eq!(
            sequence.take(Some(5)).map_err(|fault| fault.kind),
            Err(Kind::Lost)
        );
        assert_eq!(
            sequence.take(Some(3)).map_err(|fault| fault.kind),
            Err(Kind::Duplicated)
        );
        assert_eq!(sequence.take(None).map_err(|fault| fault.kind), Err(Kind::Torn));
    }
}
