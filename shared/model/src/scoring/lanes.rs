//! One bit for each row of a block, 64 rows a word.
//!
//! Everything here is a loop over a few words, which the compiler turns into the vector instructions of whatever machine it compiles for.

/// Rows of a word.
pub(crate) const WORD_ROWS: usize = 64;

/// Bit i of word w is that of row 64 w + i.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes<const WORDS: usize>(pub(crate) [u64; WORDS]);

/// A value for each row, in the order of [`turn`]: row 64 w + 8 i + j stands at `[j][w][i]`.
pub(super) type Turned<T, const WORDS: usize> = [[[T; 8]; WORDS]; 8];

impl<const WORDS: usize> Lanes<WORDS> {
    /// No row's bit is set.
    pub(crate) const NONE: Self = Self([0; WORDS]);

    /// Per row, the bit of `right` where `answer` is set, else the bit of `left`.
    #[inline(always)]
    pub(super) fn choose(answer: &Self, left: &Self, right: &Self) -> Self {
        let (answer, left, right) = (&answer.0, &left.0, &right.0);
        Self(std::array::from_fn(|word| {
            left[word] ^ ((left[word] ^ right[word]) & answer[word])
        }))
    }

    /// Adds the rows of `other`.
    #[inline(always)]
    pub(super) fn join(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own |= other;
        }
    }
}

/// Turns 8 bits a row into a byte a row; bit k comes from `bits[k]`. Three rounds swap the blocks beside the diagonal of 8×8 bits: of 4×4,
/// 2×2 and 1×1 bits.
#[inline(always)]
pub(super) fn turn<const WORDS: usize>(bits: &mut [Lanes<WORDS>; 8], bytes: &mut Turned<u8, WORDS>) {
    for first in [0, 1, 2, 3] {
        swap::<4, WORDS>(bits, first, 0x0f0f_0f0f_0f0f_0f0f);
    }
    for first in [0, 1, 4, 5] {
        swap::<2, WORDS>(bits, first, 0x3333_3333_3333_3333);
    }
    for first in [0, 2, 4, 6] {
        swap::<1, WORDS>(bits, first, 0x5555_5555_5555_5555);
    }
    for (bytes, words) in bytes.iter_mut().zip(bits) {
        for (bytes, word) in bytes.iter_mut().zip(words.0) {
            *bytes = word.to_le_bytes();
        }
    }
}

/// Swaps the high blocks of one word with the low ones of the word `DISTANCE` behind it.
#[inline(always)]
fn swap<const DISTANCE: usize, const WORDS: usize>(bits: &mut [Lanes<WORDS>; 8], first: usize, low: u64) {
    let (one, other) = (bits[first].0, bits[first + DISTANCE].0);
    for word in 0..WORDS {
        let swapped = ((one[word] >> DISTANCE) ^ other[word]) & low;
        bits[first].0[word] = one[word] ^ (swapped << DISTANCE);
        bits[first + DISTANCE].0[word] = other[word] ^ swapped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turning_puts_bit_k_of_a_row_into_bit_k_of_its_byte() {
        for row in 0..2 * WORD_ROWS {
            for k in 0..8 {
                let mut bits = [Lanes::<2>::NONE; 8];
                bits[k].0[row / 64] = 1 << (row % 64);
                let mut bytes = [[[0; 8]; 2]; 8];
                turn(&mut bits, &mut bytes);
                assert_eq!(bytes[row % 8][row / 64][row / 8 % 8], 1 << k, "row {row}, bit {k}");
                let others = bytes.as_flattened().as_flattened().iter().filter(|byte| **byte != 0);
                assert_eq!(others.count(), 1, "row {row}, bit {k}");
            }
        }
    }
}
