//! How many of some sorted numbers are at most x.
//!
//! A binary search waits eight times for memory and a comparison. Counting compares sixteen numbers at once with nothing to wait for: first the last
//! number of each block of sixteen, then the one block in which x lies. Numbers of single precision are half as long, so twice as many fit an instruction.

/// Numbers compared at once.
const BLOCK: usize = 16;

/// Sorted numbers, in the precision in which they are compared.
#[derive(Debug)]
pub(super) enum SortedBounds {
    Singles(Blocks<f32>),
    Doubles(Blocks<f64>),
}

/// What a block lacks is filled up with NaN, which is never at most x.
#[derive(Debug)]
pub(super) struct Blocks<T> {
    blocks: Vec<Block<T>>,
    /// The last number of each full block.
    lasts: Vec<Block<T>>,
}

/// One cache line of singles, two of doubles.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Block<T>([T; BLOCK]);

impl SortedBounds {
    /// Takes numbers in ascending order, none of them NaN. Where what is compared is `rounded` to single precision, a bound is as good as the least
    /// single that is not below it, and half as long.
    pub(super) fn new(bounds: &[f64], rounded: bool) -> Self {
        if rounded {
            let singles: Vec<f32> = bounds.iter().map(|bound| not_below(*bound)).collect();
            Self::Singles(Blocks::new(&singles, f32::NAN))
        } else {
            Self::Doubles(Blocks::new(bounds, f64::NAN))
        }
    }

    /// How many numbers are at most `x`; none where `x` is NaN. Where the bounds are singles, callers have a single in `x`: what counts as missing or as
    /// zero is asked of the rounded number, too.
    #[inline(always)]
    pub(super) fn at_most(&self, x: f64) -> usize {
        match self {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a single already, or rounded to one as it has to be"
            )]
            Self::Singles(singles) => singles.at_most(x as f32),
            Self::Doubles(doubles) => doubles.at_most(x),
        }
    }
}

impl<T: Copy + PartialOrd> Blocks<T> {
    fn new(bounds: &[T], nan: T) -> Self {
        let lasts: Vec<T> = bounds.chunks_exact(BLOCK).map(|block| block[BLOCK - 1]).collect();
        let mut blocks = filled(bounds, nan);
        // Where all blocks are full, x may lie behind the last one.
        blocks.resize(lasts.len() + 1, Block([nan; BLOCK]));
        Self {
            blocks,
            lasts: filled(&lasts, nan),
        }
    }

    #[inline(always)]
    fn at_most(&self, x: T) -> usize {
        let full = self.lasts.iter().fold(0, |sum, block| sum + count(block, x));
        let rest = self.blocks.get(full).map_or(0, |block| count(block, x));
        full * BLOCK + rest
    }
}

/// The least single that is not below a double.
#[expect(clippy::cast_possible_truncation, reason = "rounding is what this is for")]
fn not_below(bound: f64) -> f32 {
    let nearest = bound as f32;
    if f64::from(nearest) < bound {
        nearest.next_up()
    } else {
        nearest
    }
}

fn filled<T: Copy>(numbers: &[T], nan: T) -> Vec<Block<T>> {
    let block = |numbers: &[T]| Block(std::array::from_fn(|index| numbers.get(index).copied().unwrap_or(nan)));
    numbers.chunks(BLOCK).map(block).collect()
}

#[inline(always)]
fn count<T: Copy + PartialOrd>(block: &Block<T>, x: T) -> usize {
    block.0.iter().fold(0, |sum, bound| sum + usize::from(*bound <= x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_in_blocks_is_counting() {
        for length in [0, 1, 15, 16, 17, 31, 32, 255, 256, 257, 300, 1_000] {
            let bounds: Vec<f64> = (0..length).map(|index| f64::from(index) * 2.0).collect();
            let sorted = SortedBounds::new(&bounds, false);
            for x in -1..2 * length + 1 {
                let x = f64::from(x);
                let expected = bounds.iter().filter(|bound| **bound <= x).count();
                assert_eq!(sorted.at_most(x), expected, "{x} among {length}");
            }
            assert_eq!(sorted.at_most(f64::NAN), 0);
            assert_eq!(sorted.at_most(f64::MAX), bounds.len());
        }
    }

    #[test]
    fn what_is_rounded_meets_as_many_bounds_in_single_precision() {
        let mut bounds: Vec<f64> = (1..100).map(|index| f64::from(index).sqrt()).collect();
        bounds.extend(["0.1", "1e-46", "1e39", "3.5", "-0.3"].map(|text| text.parse::<f64>().unwrap()));
        bounds.extend([0.1_f32, f32::MAX, f32::MIN_POSITIVE].map(f64::from));
        bounds.sort_by(f64::total_cmp);
        let (singles, doubles) = (SortedBounds::new(&bounds, true), SortedBounds::new(&bounds, false));
        let near = bounds.iter().flat_map(|bound| {
            let single = *bound as f32;
            [single.next_down(), single, single.next_up()]
        });
        for x in near.chain([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, f32::MIN]) {
            assert_eq!(singles.at_most(f64::from(x)), doubles.at_most(f64::from(x)), "{x:e}");
        }
        // What is no single is rounded first.
        assert_eq!(singles.at_most(0.1), singles.at_most(f64::from(0.1_f32)));
    }
}
