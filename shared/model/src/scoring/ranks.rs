//! How many of some sorted numbers are at most x.
//!
//! A binary search waits eight times for memory and a comparison. Counting compares sixteen numbers at once with nothing to wait for: first the last
//! number of each block of sixteen, then the one block in which x lies.

/// Numbers compared at once.
const BLOCK: usize = 16;

/// Sorted numbers. What a block lacks is filled up with NaN, which is never at most x.
#[derive(Debug)]
pub(super) struct SortedBounds {
    blocks: Vec<[f64; BLOCK]>,
    /// The last number of each full block.
    lasts: Vec<[f64; BLOCK]>,
}

impl SortedBounds {
    /// Takes numbers in ascending order, none of them NaN.
    pub(super) fn new(bounds: &[f64]) -> Self {
        let lasts: Vec<f64> = bounds.chunks_exact(BLOCK).map(|block| block[BLOCK - 1]).collect();
        let mut blocks = filled(bounds);
        // Where all blocks are full, x may lie behind the last one.
        blocks.resize(lasts.len() + 1, [f64::NAN; BLOCK]);
        Self {
            blocks,
            lasts: filled(&lasts),
        }
    }

    /// How many numbers are at most `x`; none where `x` is NaN.
    #[inline(always)]
    pub(super) fn at_most(&self, x: f64) -> usize {
        let full = self.lasts.iter().fold(0, |sum, block| sum + count(block, x));
        let rest = self.blocks.get(full).map_or(0, |block| count(block, x));
        full * BLOCK + rest
    }
}

fn filled(numbers: &[f64]) -> Vec<[f64; BLOCK]> {
    let block = |numbers: &[f64]| std::array::from_fn(|index| numbers.get(index).copied().unwrap_or(f64::NAN));
    numbers.chunks(BLOCK).map(block).collect()
}

#[inline(always)]
fn count(block: &[f64; BLOCK], x: f64) -> usize {
    block.iter().fold(0, |sum, bound| sum + usize::from(*bound <= x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_in_blocks_is_counting() {
        for length in [0, 1, 15, 16, 17, 31, 32, 255, 256, 257, 300, 1_000] {
            let bounds: Vec<f64> = (0..length).map(|index| f64::from(index) * 2.0).collect();
            let sorted = SortedBounds::new(&bounds);
            for x in -1..2 * length + 1 {
                let x = f64::from(x);
                let expected = bounds.iter().filter(|bound| **bound <= x).count();
                assert_eq!(sorted.at_most(x), expected, "{x} among {length}");
            }
            assert_eq!(sorted.at_most(f64::NAN), 0);
            assert_eq!(sorted.at_most(f64::MAX), bounds.len());
        }
    }
}
