//! Random draws that never change: `ChaCha8` words, and what is made of them written out here, because a library's `shuffle` may change its
//! draws between releases, and then no run could be reproduced.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A seeded source of draws.
#[derive(Clone, Debug)]
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// The draws of a seed.
    pub fn of(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number in `0..bound`, each equally likely; 0 for a bound of 0. Draws beyond the largest multiple of `bound` are thrown away.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 {
            return 0;
        }
        let bound = bound as u64;
        let usable = u64::MAX - u64::MAX % bound;
        loop {
            let draw = self.0.next_u64();
            if draw < usable {
                return (draw % bound) as usize;
            }
        }
    }

    /// A number in [0, 1), a multiple of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Any number of 64 bits: a seed for something else.
    pub fn seed(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Brings items into a random order, each equally likely (Fisher & Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let chosen = self.below(last + 1);
            items.swap(last, chosen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draws_never_change() {
        let mut draws = Draws::of(42);
        let numbers: Vec<usize> = (0..8).map(|_| draws.below(100)).collect();
        assert_eq!(numbers, [37, 12, 20, 66, 44, 38, 8, 12]);
        let mut letters = ["a", "b", "c", "d", "e"];
        draws.shuffle(&mut letters);
        assert_eq!(
            (letters.concat().as_str(), draws.seed()),
            ("ebcad", 17_653_354_571_726_536_749)
        );
    }

    #[test]
    fn numbers_stay_below_their_bound_and_reach_all_of_it() {
        let mut draws = Draws::of(7);
        let mut counts = [0; 5];
        for _ in 0..5_000 {
            counts[draws.below(5)] += 1;
            assert!((0.0..1.0).contains(&draws.unit()));
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
        assert_eq!(draws.below(0), 0);
    }
}
