//! Randomness for identities and jitter; nothing that a plan depends on.

/// 128 random bits.
pub fn bits() -> [u8; 16] {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).expect("the kernel has a random number generator");
    bits
}

/// A random number from 0 to 1.
pub fn unit() -> f64 {
    f64::from(u32::from_le_bytes(bits()[..4].try_into().expect("four bytes"))) / f64::from(u32::MAX)
}
