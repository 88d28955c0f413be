//! Which pairs of numbers the lessons never add or subtract.

/// Operands go from 0 to this.
pub const LARGEST: u32 = 99;

/// One pair in so many is held out.
const HELD_OUT_SHARE: u64 = 10;

/// Whether the lessons leave this pair out: in both orders, as a sum and as a difference.
///
/// The finaliser of SplitMix64 over the ordered pair decides. Source: G. Steele et al., "Fast Splittable
/// Pseudorandom Number Generators" (2014), figure 17.
pub fn is_held_out(a: u32, b: u32) -> bool {
    let mut z = u64::from(a.min(b)) << 32 | u64::from(a.max(b));
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).is_multiple_of(HELD_OUT_SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_pairs_is_held_out_in_both_orders() {
        let pairs = || (0..=LARGEST).flat_map(|a| (0..=LARGEST).map(move |b| (a, b)));
        let n_held_out = pairs().filter(|&(a, b)| is_held_out(a, b)).count();
        assert!((850..1150).contains(&n_held_out), "{n_held_out}");
        assert!(pairs().all(|(a, b)| is_held_out(a, b) == is_held_out(b, a)));
    }
}
