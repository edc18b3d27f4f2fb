//! A sum by which words that lay on a disk are known again.

#![forbid(unsafe_code)]

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The sum of these words: FNV-1a (G. Fowler, L. C. Noll, K.-P. Vo, D. Eastlake, T. Hansen, IETF draft-eastlake-fnv), eight
/// bytes at a time, with the high half folded in, to which a multiplication carries nothing back. It finds damage, not
/// forgery.
pub(crate) fn checksum(words: impl IntoIterator<Item = u64>) -> u64 {
    go_on(OFFSET_BASIS, words)
}

/// The sum of these words behind others, whose sum is given.
pub(crate) fn go_on(sum: u64, words: impl IntoIterator<Item = u64>) -> u64 {
    words.into_iter().fold(sum, |sum, word| {
        let sum = (sum ^ word).wrapping_mul(PRIME);
        sum ^ (sum >> 32)
    })
}

/// The words of some bytes, the last one padded with zeroes.
pub(crate) fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_counts() {
        let bytes: Vec<u8> = (0..64).collect();
        let sum = checksum(words(&bytes));
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(checksum(words(&other)), sum, "bit {bit}");
        }
    }
}
