//! The leaves that are reached, added up.
//!
//! Floating-point sums depend on their order, and what a model answers must not. But most sums here are exact: the leaves of most engines are numbers
//! of 24 bits, multiples of some power of two, and a double has 53 bits. Where no sum of leaves can need more, every order gives the same bits. Then
//! trees of as many words lie beside each other: where a tree's bits and leaves are need not be looked up, and no addition waits for the one before.

use super::{Exits, MAX_LEAVES, MAX_WORDS, WORD_BITS};

/// The most words of a tree.
const MOST_WORDS: usize = MAX_LEAVES / WORD_BITS;

/// Sums that are made beside each other.
const SUMS: usize = 4;

/// The leaves of all trees.
#[derive(Debug)]
pub(super) enum Leaves {
    /// Their sums may be rounded.
    InOrder(InOrder),
    /// Their sums are exact.
    InAnyOrder(InAnyOrder),
}

impl Leaves {
    /// Takes the leaves of the trees, in the order in which their words are, and where the words of each begin.
    pub(super) fn new<'a>(trees: impl Iterator<Item = (usize, &'a [f64])>, in_any_order: bool) -> Option<Self> {
        Some(if in_any_order {
            Self::InAnyOrder(InAnyOrder::new(trees))
        } else {
            Self::InOrder(InOrder::new(trees)?)
        })
    }
}

/// Words that a tree of so many leaves takes.
pub(super) fn words_of(leaves: usize) -> usize {
    leaves.div_ceil(WORD_BITS)
}

/// Leaves that are added tree by tree.
#[derive(Debug)]
pub(super) struct InOrder {
    places: Vec<Place>,
    /// Per block of words, how many trees end in it.
    ending: Vec<usize>,
    /// Tree by tree, from left to right.
    leaves: Vec<f64>,
}

/// Where a tree's bits and leaves begin.
#[derive(Clone, Copy, Debug)]
struct Place {
    word: u32,
    leaf: u32,
}

impl InOrder {
    fn new<'a>(trees: impl Iterator<Item = (usize, &'a [f64])>) -> Option<Self> {
        let (mut places, mut ending, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for (word, leaves) in trees {
            places.push(Place {
                word: u32::try_from(word).ok()?,
                leaf: u32::try_from(all.len()).ok()?,
            });
            ending.resize((word + words_of(leaves.len())).div_ceil(super::BLOCK), 0);
            *ending.last_mut()? += 1;
            all.extend(leaves);
        }
        Some(Self {
            places,
            ending,
            leaves: all,
        })
    }

    /// The sum of the leaves that are left once every block has been joined.
    #[inline(always)]
    pub(super) fn sum(&self, exits: &mut Exits, join: impl Fn(usize, &mut Exits)) -> f64 {
        let mut places = &*self.places;
        let mut sum = 0.0;
        for (block, ending) in self.ending.iter().enumerate() {
            join(block, exits);
            // A tree's leaf is added as soon as its bits are there: the sum waits for itself, the bits of the trees behind do not wait for it.
            let own;
            (own, places) = places.split_at(*ending);
            let (fours, rest) = own.as_chunks::<4>();
            for four in fours {
                let leaves = four.map(|place| self.leaf(place, exits));
                sum = leaves.iter().fold(sum, |sum, leaf| sum + leaf);
            }
            sum = rest.iter().fold(sum, |sum, place| sum + self.leaf(*place, exits));
        }
        sum
    }

    #[inline(always)]
    fn leaf(&self, place: Place, exits: &Exits) -> f64 {
        // Whatever the bits behind the tree's own are: one of its own is set, and comes first.
        let word = place.word as usize % MAX_WORDS;
        let words = [exits[word], exits[word + 1], exits[word + 2], exits[word + 3]];
        self.leaves[place.leaf as usize + first_left(words)]
    }
}

/// The place of the first bit that is set.
#[inline(always)]
fn first_left<const WORDS: usize>(words: [u16; WORDS]) -> usize {
    let bits = words
        .iter()
        .rev()
        .fold(0, |bits, word| bits << WORD_BITS | u64::from(*word));
    bits.trailing_zeros() as usize
}

/// Leaves that are added as they come: those of trees of one word, of two, and so on.
#[derive(Debug)]
pub(super) struct InAnyOrder([Alike; MOST_WORDS]);

/// Trees of as many words.
#[derive(Debug, Default)]
struct Alike {
    /// Where their words begin.
    first: usize,
    trees: usize,
    /// Tree by tree, from left to right; each has as many as bits.
    leaves: Vec<f64>,
}

impl InAnyOrder {
    /// Trees of fewer words come first.
    fn new<'a>(trees: impl Iterator<Item = (usize, &'a [f64])>) -> Self {
        let mut all: [Alike; MOST_WORDS] = Default::default();
        for (word, leaves) in trees {
            let words = words_of(leaves.len());
            let alike = &mut all[words - 1];
            if alike.trees == 0 {
                alike.first = word;
            }
            alike.trees += 1;
            alike.leaves.extend(leaves);
            alike.leaves.resize(alike.trees * words * WORD_BITS, 0.0);
        }
        Self(all)
    }

    /// The sum of the leaves that are left. Apart from what is compiled for wide instructions, which make look-ups slower.
    #[inline(never)]
    pub(super) fn sum(&self, exits: &Exits) -> f64 {
        let [one, two, three, four] = &self.0;
        let (one, two) = (one.sum::<1, 16>(exits), two.sum::<2, 32>(exits));
        let (three, four) = (three.sum::<3, 48>(exits), four.sum::<4, 64>(exits));
        (one + two) + (three + four)
    }
}

impl Alike {
    #[inline(always)]
    fn sum<const WORDS: usize, const LEAVES: usize>(&self, exits: &Exits) -> f64 {
        // Slices of arrays, so that nothing is checked tree by tree.
        let words = exits[self.first..][..self.trees * WORDS].as_chunks::<WORDS>().0;
        let leaves = self.leaves.as_chunks::<LEAVES>().0;
        // One of the bits is set; the compiler does not know.
        let leaf = |words: &[u16; WORDS], leaves: &[f64; LEAVES]| leaves[first_left(*words).min(LEAVES - 1)];
        let ((words, words_left), (leaves, leaves_left)) = (words.as_chunks::<SUMS>(), leaves.as_chunks::<SUMS>());
        let mut sums = [0.0; SUMS];
        for (words, leaves) in words.iter().zip(leaves) {
            for (sum, (words, leaves)) in sums.iter_mut().zip(words.iter().zip(leaves)) {
                *sum += leaf(words, leaves);
            }
        }
        let left = words_left
            .iter()
            .zip(leaves_left)
            .map(|(words, leaves)| leaf(words, leaves));
        left.chain(sums).sum()
    }
}

/// Whether no sum of one leaf of each tree is rounded, in whatever order it is made, nor any part of it.
pub(super) fn sums_are_exact<'a>(trees: impl Iterator<Item = &'a [f64]>) -> bool {
    let mut largest = 0.0;
    let mut last_bit = i32::MAX;
    for leaves in trees {
        largest += leaves.iter().fold(0.0, |largest: f64, leaf| largest.max(leaf.abs()));
        let others = leaves.iter().filter(|leaf| **leaf != 0.0);
        last_bit = others.map(|leaf| exponent_of_last_bit(*leaf)).fold(last_bit, i32::min);
    }
    // What no sum exceeds is itself a rounded sum: a bit is left for that.
    last_bit == i32::MAX || exponent(largest) + 1 < last_bit + MANTISSA_BITS
}

/// Bits of a double's mantissa, the leading one included.
const MANTISSA_BITS: i32 = 53;

/// The exponent of a number's leading bit; that of the smallest normal number where it is smaller.
fn exponent(number: f64) -> i32 {
    // Eleven bits, behind the sign.
    let biased = (number.to_bits() >> (MANTISSA_BITS - 1) & 0x7ff) as i32;
    biased.max(1) - 1_023
}

/// The exponent of the last bit that is set in a number that is not 0.
fn exponent_of_last_bit(number: f64) -> i32 {
    let fraction = number.to_bits() & ((1 << (MANTISSA_BITS - 1)) - 1);
    let below = if fraction == 0 {
        MANTISSA_BITS - 1
    } else {
        fraction.trailing_zeros() as i32
    };
    exponent(number) - (MANTISSA_BITS - 1) + below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are_exact(trees: &[&[f64]]) -> bool {
        sums_are_exact(trees.iter().copied())
    }

    #[test]
    fn the_last_bit_that_is_set_is_found_in_large_numbers_and_in_the_smallest() {
        for (number, exponent) in [
            (1.0, 0),
            (-1.5, -1),
            (96.0, 5),
            (0.1, -55),
            (f64::from(0.1_f32), -27),
            (f64::MIN_POSITIVE, -1_022),
            (f64::MIN_POSITIVE / 4.0, -1_024),
            (5e-324, -1_074),
            (f64::MAX, 971),
        ] {
            assert_eq!(exponent_of_last_bit(number), exponent, "{number:e}");
        }
    }

    #[test]
    fn sums_of_short_numbers_are_exact_until_they_are_too_large_for_the_smallest_of_them() {
        let single = f64::from(0.1_f32);
        assert!(are_exact(&[]));
        assert!(are_exact(&[&[0.0], &[0.0, -0.0]]));
        assert!(are_exact(&[&[single, -2.0], &[f64::from(3e-4_f32), 0.0]]));
        assert!(!are_exact(&[&[0.1], &[0.2]]));
        assert!(!are_exact(&[&[single], &[f64::from(1e-30_f32)]]));
        // 2^52 - 1 and 1/2 need 53 bits; of 2^53 and 1/2 the sum is rounded, of their sizes too.
        let large = 2.0_f64.powi(52);
        assert!(are_exact(&[&[large / 4.0 - 1.0], &[0.5]]));
        assert!(!are_exact(&[&[large * 2.0], &[0.5]]));
        assert!(!are_exact(&[&[-large * 2.0], &[0.5]]));
        // Many that are small each.
        assert!(!are_exact(&[&[1.0 + f64::EPSILON * 4.0][..]; 9]));
        assert!(are_exact(&[&[1.0 + f64::EPSILON * 16.0][..]; 7]));
    }

    #[test]
    fn what_is_said_to_be_exact_is_the_same_in_any_order() {
        let leaves: Vec<f64> = (1_u32..400)
            .map(|at| f64::from((at * at % 977) as f32 * 1.7e-4 - 0.05))
            .collect();
        let trees: Vec<&[f64]> = leaves.chunks(1).collect();
        assert!(are_exact(&trees));
        let sum: f64 = leaves.iter().sum();
        let backwards: f64 = leaves.iter().rev().sum();
        let mut sorted = leaves.clone();
        sorted.sort_by(f64::total_cmp);
        assert_eq!(
            (sum.to_bits(), sum.to_bits()),
            (backwards.to_bits(), sorted.iter().sum::<f64>().to_bits())
        );
    }
}
