//! Random streams: one seed, a purpose, and a stream number each.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// What a stream is for, so that the same seed used for two things does not give correlated draws.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Population,
    Scenario,
    TrafficOrder,
    TrafficTimes,
    Outcomes,
}

impl Purpose {
    /// Arbitrary, fixed for ever: changing one changes every frozen result.
    const fn salt(self) -> u64 {
        match self {
            Purpose::Population => 0x9d3f_60c1_75ab_12e7,
            Purpose::Scenario => 0x27c4_e8b9_0f56_d31d,
            Purpose::TrafficOrder => 0xb15e_2a74_c98d_604b,
            Purpose::TrafficTimes => 0x5e08_97dc_41f2_ab63,
            Purpose::Outcomes => 0xe4a1_3b5f_d67c_0829,
        }
    }
}

/// All the streams of a seed and a purpose.
#[derive(Clone, Debug)]
pub(crate) struct Streams(ChaCha8Rng);

impl Streams {
    pub(crate) fn new(seed: u64, purpose: Purpose) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed ^ purpose.salt()))
    }

    /// The stream of that number, from its start.
    pub(crate) fn stream(&self, number: u64) -> Stream {
        let mut generator = self.0.clone();
        generator.set_stream(number);
        Stream {
            generator,
            spare_normal: None,
        }
    }
}

/// One stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    generator: ChaCha8Rng,
    spare_normal: Option<f64>,
}

impl Stream {
    /// Uniform in `[0, 1)`, a multiple of 2^-53.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    pub(crate) fn uniform(&mut self) -> f64 {
        const STEP: f64 = 1.0 / 9_007_199_254_740_992.0;
        (self.generator.next_u64() >> 11) as f64 * STEP
    }

    /// Uniform in `low..high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Uniform in `0..bound`; 0 when `bound` is 0. The multiply-shift bias is below 2^-32 for any bound that fits a machine.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the product's high half is below the bound"
    )]
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.generator.next_u64()) * bound as u128) >> 64) as usize
    }

    /// True with that probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Exponential with mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -libm::log(1.0 - self.uniform())
    }

    /// Standard normal, by Marsaglia's polar method (G. Marsaglia, T. A. Bray, SIAM Review 6, 1964).
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare_normal.take() {
            return spare;
        }
        loop {
            let (a, b) = (self.between(-1.0, 1.0), self.between(-1.0, 1.0));
            let square = a * a + b * b;
            if square > 0.0 && square < 1.0 {
                let scale = (-2.0 * libm::log(square) / square).sqrt();
                self.spare_normal = Some(b * scale);
                return a * scale;
            }
        }
    }
}

/// The share of a standard normal below `z`.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normals_have_mean_zero_and_deviation_one() {
        let mut stream = Streams::new(1, Purpose::Population).stream(0);
        let draws: Vec<f64> = (0..20_000).map(|_| stream.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.04, "{variance}");
        let below_one = draws.iter().filter(|z| **z < 1.0).count();
        assert!((f64::from(u32::try_from(below_one).unwrap()) / 20_000.0 - normal_cdf(1.0)).abs() < 0.01);
    }

    #[test]
    fn the_normal_distribution_function_matches_its_table() {
        for (z, share) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_542_9),
            (-1.959_963_984_540_054, 0.025),
        ] {
            assert!((normal_cdf(z) - share).abs() < 1e-15, "{z}");
        }
    }

    #[test]
    fn purposes_and_streams_differ() {
        let first = |purpose, number| Streams::new(7, purpose).stream(number).uniform();
        let a = first(Purpose::Population, 0);
        for other in [
            first(Purpose::Population, 1),
            first(Purpose::Scenario, 0),
            first(Purpose::Outcomes, 0),
        ] {
            assert!((a - other).abs() > 0.0);
        }
        assert_eq!(a.to_bits(), first(Purpose::Population, 0).to_bits());
    }
}
