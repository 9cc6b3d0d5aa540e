//! What every bootstrap here draws with: a small generator that is the same everywhere, draws within each class, percentiles.

/// Steele, Lea & Flood 2014: small, fast, and the same everywhere.
pub(super) struct SplitMix64(pub(super) u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound` > 0; the bias of the multiplication is below bound / 2⁶⁴.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// Uniform in [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Rows drawn with replacement within each class, so that both stay present and their shares stay as they are.
pub(super) struct StratifiedDraws {
    random: SplitMix64,
    classes: [Vec<usize>; 2],
    weights: Vec<u64>,
}

impl StratifiedDraws {
    pub(super) fn new(labels: &[bool], seed: u64) -> Self {
        let rows_of = |class: bool| (0..labels.len()).filter(|&row| labels[row] == class).collect();
        Self {
            random: SplitMix64(seed),
            classes: [rows_of(true), rows_of(false)],
            weights: vec![0; labels.len()],
        }
    }

    /// How often each row was drawn.
    pub(super) fn draw(&mut self) -> &[u64] {
        self.weights.fill(0);
        for class in &self.classes {
            for _ in class {
                self.weights[class[self.random.below(class.len())]] += 1;
            }
        }
        &self.weights
    }
}

/// Linear interpolation between the order statistics, as numpy's default. `sorted` is not empty.
pub(super) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = position.floor();
    let low = sorted[below as usize];
    let high = sorted[position.ceil() as usize];
    low + (position - below) * (high - low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        let mut random = SplitMix64(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_draw_keeps_the_classes_as_they_are() {
        let labels: Vec<bool> = (0..90).map(|row| row % 9 == 0).collect();
        let mut draws = StratifiedDraws::new(&labels, 4);
        for _ in 0..20 {
            let weights = draws.draw();
            let positives: u64 = (0..90).filter(|row| labels[*row]).map(|row| weights[row]).sum();
            assert_eq!((positives, weights.iter().sum::<u64>()), (10, 90));
        }
    }

    #[test]
    fn percentiles_are_numpys() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(
            [0.0, 0.5, 0.75, 1.0].map(|share| percentile(&sorted, share)),
            [1.0, 3.0, 5.0, 8.0]
        );
    }
}
