//! The identity of an element's type.
#![forbid(unsafe_code)]

use std::fmt;

/// Identifies a schema in 128 bits: two processes whose fingerprints are equal mean the same type.
///
/// It is the FNV-1a hash of the schema's canonical encoding, 128 bits wide (G. Fowler, L. C. Noll,
/// K.-P. Vo, D. Eastlake, T. Hansen, "The FNV Non-Cryptographic Hash Algorithm", IETF
/// draft-eastlake-fnv). It finds mistakes, not attackers: who wants two schemas of one fingerprint
/// can construct them, and gains nothing by it, because a peer may write any bytes anyway.
///
/// It prints as the hash does in that document: 32 hexadecimal digits, the most significant first.
///
/// ```
/// use millstream::{Element, Fingerprint};
///
/// let fingerprint = u64::fingerprint();
/// assert_eq!(Fingerprint::from_bytes(fingerprint.to_bytes()), fingerprint);
/// assert_eq!(fingerprint.to_string().len(), 32);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    const OFFSET_BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = (1 << 88) + (1 << 8) + 0x3b;

    pub(super) fn of(bytes: &[u8]) -> Self {
        let hash = bytes.iter().fold(Self::OFFSET_BASIS, |hash, &byte| {
            (hash ^ u128::from(byte)).wrapping_mul(Self::PRIME)
        });
        Self(hash.to_le_bytes())
    }

    /// The fingerprint of these 16 bytes, the least significant first.
    ///
    /// ```
    /// let one = millstream::Fingerprint::from_bytes(1_u128.to_le_bytes());
    /// assert_eq!(one.to_string(), "00000000000000000000000000000001");
    /// ```
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes, the least significant first, as they stand in shared memory.
    ///
    /// ```
    /// use millstream::Fingerprint;
    /// assert_eq!(Fingerprint::from_bytes([7; 16]).to_bytes(), [7; 16]);
    /// ```
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_le_bytes(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::Fingerprint;

    #[test]
    fn published_vectors() {
        assert_eq!(
            Fingerprint::of(b"").to_string(),
            "6c62272e07bb014262b821756295c58d"
        );
        assert_eq!(
            Fingerprint::of(b"a").to_string(),
            "d228cb696f1a8caf78912b704e4a8964"
        );
        assert_eq!(
            Fingerprint::of(b"foobar").to_string(),
            "343e1662793c64bf6f0d3597ba446f18"
        );
    }
}
