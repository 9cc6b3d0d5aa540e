//! Cliff's delta (Cliff, Psychological Bulletin 114, 1993) and the test that belongs to it (Mann & Whitney 1947).

use statrs::function::erf::erfc;

use super::{Ecdf, StatisticsError, ecdf};

/// Whether one sample tends to larger values than another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MannWhitney {
    /// Pairs in which the first sample's value is the larger one, ties counting half.
    pub u: f64,
    /// Cliff's delta, −1 to 1: how much more often the first sample's value is the larger one of a pair than the smaller one.
    /// 0 when neither tends to be larger, 1 when it always is. It is 2·AUC − 1.
    pub delta: f64,
    /// Probability of a delta at least as far from 0 if both samples come from one distribution: normal approximation with
    /// corrections for ties and continuity, good from about twenty rows in each sample. 1 if all values are equal.
    pub p_value: f64,
}

/// In words, by the usual limits for the size of Cliff's delta (Romano et al. 2006).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffectSize {
    /// Below 0.147.
    Negligible,
    /// Below 0.33.
    Small,
    /// Below 0.474.
    Medium,
    /// From there on.
    Large,
}

impl EffectSize {
    /// The word for a delta.
    #[must_use]
    pub fn of(delta: f64) -> Self {
        match delta.abs() {
            size if size < 0.147 => Self::Negligible,
            size if size < 0.33 => Self::Small,
            size if size < 0.474 => Self::Medium,
            _ => Self::Large,
        }
    }

    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Negligible => "negligible",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }
}

/// Tests two samples. Statistic and p-value as `scipy.stats.mannwhitneyu(first, second, method="asymptotic")`.
///
/// # Errors
/// Samples whose sizes multiply to more than a double counts exactly.
pub fn mann_whitney(first: &Ecdf<'_>, second: &Ecdf<'_>) -> Result<MannWhitney, StatisticsError> {
    let (n, m) = (first.rows(), second.rows());
    if n.checked_mul(m).is_none_or(|pairs| pairs > 1 << 52) {
        return Err(StatisticsError::TooManyRows);
    }
    let (mut twice_u, mut ties) = (0_u64, 0.0);
    let mut before = (0_u64, 0_u64);
    for step in ecdf::merged(first, second) {
        let (here, there) = (step.first - before.0, step.second - before.1);
        // Each of the first sample's values here beats what the second has below, and ties with what it has here.
        twice_u += here * (2 * before.1 + there);
        let tied = (here + there) as f64;
        ties += tied * (tied * tied - 1.0);
        before = (step.first, step.second);
    }
    let (n, m) = (n as f64, m as f64);
    let u = twice_u as f64 / 2.0;
    let all = n + m;
    let variance = n * m / 12.0 * ((all + 1.0) - ties / (all * (all - 1.0)));
    let distance = (u - n * m / 2.0).abs() - 0.5;
    let p_value = if variance > 0.0 {
        // Twice the upper tail of the normal distribution.
        erfc(distance / variance.sqrt() / std::f64::consts::SQRT_2).clamp(0.0, 1.0)
    } else {
        1.0
    };
    Ok(MannWhitney {
        u,
        delta: 2.0 * u / (n * m) - 1.0,
        p_value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{assert_close, associations};

    fn sample(values: &[f64]) -> Ecdf<'static> {
        Ecdf::from_sample(values.to_vec()).unwrap()
    }

    #[test]
    fn a_worked_example() {
        // 3 beats 1 and 2; 2 beats 1 and ties with 2; 5 beats both: U = 2 + 1.5 + 2 = 5.5 of 6, delta = 5/6.
        let test = mann_whitney(&sample(&[3.0, 2.0, 5.0]), &sample(&[1.0, 2.0])).unwrap();
        assert_eq!(test.u, 5.5);
        assert_close(test.delta, 5.0 / 6.0, 1e-15, "delta");
    }

    #[test]
    fn equal_samples_are_at_zero_and_exchanging_them_turns_the_sign() {
        let (a, b) = (sample(&[1.0, 2.0, 3.0]), sample(&[2.0, 4.0]));
        let same = mann_whitney(&a, &a).unwrap();
        assert_eq!((same.delta, same.p_value), (0.0, 1.0));
        let (one, other) = (mann_whitney(&a, &b).unwrap(), mann_whitney(&b, &a).unwrap());
        assert_eq!(one.delta, -other.delta);
        assert_eq!(one.p_value, other.p_value);
        let constant = mann_whitney(&sample(&[1.0, 1.0]), &sample(&[1.0])).unwrap();
        assert_eq!((constant.delta, constant.p_value), (0.0, 1.0));
    }

    #[test]
    fn sizes_have_words() {
        let words: Vec<_> = [0.0, -0.2, 0.4, -0.9]
            .map(|delta| EffectSize::of(delta).word())
            .to_vec();
        assert_eq!(words, ["negligible", "small", "medium", "large"]);
    }

    #[test]
    fn it_agrees_with_scipy() {
        for case in associations("mann_whitney") {
            let test = mann_whitney(&sample(&case.list("first")), &sample(&case.list("second"))).unwrap();
            assert_eq!(test.u, case.number("u"), "{}", case.name());
            assert_close(test.p_value, case.number("p_value"), 1e-9, &case.name());
        }
    }
}
