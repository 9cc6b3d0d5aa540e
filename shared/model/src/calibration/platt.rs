//! Platt scaling (Platt 1999, "Probabilistic outputs for support vector machines"), fitted by Newton's method with backtracking as in
//! Lin, Lin & Weng 2007, "A note on Platt's probabilistic outputs for support vector machines".

use super::Calibration;
use crate::ensemble::MAX_MAGNITUDE;
use crate::metrics::MetricError;
use crate::metrics::error::{both_classes, check_scores};

const MOST_STEPS: usize = 100;
/// The fit ends when neither derivative of the loss, in nats over all rows, is further from 0 than this.
const SMALLEST_GRADIENT: f64 = 1e-9;
/// Added to the diagonal of the second derivatives, so that they can be inverted.
const RIDGE: f64 = 1e-12;
const SMALLEST_STEP: f64 = 1e-10;
/// The slope where the labels do not rise with the margins: as good as none.
const FLAT: f64 = 1e-9;

impl Calibration {
    /// Platt scaling with the least log-loss on the rows given. Labels are smoothed as Platt does: (positives + 1) / (positives + 2) for
    /// customers who left, 1 / (negatives + 2) for the others, so that no probability becomes 0 or 1. Where a falling curve would fit better,
    /// the curve is as good as flat.
    ///
    /// # Errors
    /// No rows, lengths that differ, one class only, a margin that is not a finite number.
    pub fn fit_platt(labels: &[bool], margins: &[f64]) -> Result<Self, MetricError> {
        check_scores(labels, margins)?;
        if let Some(row) = margins.iter().position(|margin| !margin.is_finite()) {
            return Err(MetricError::NotANumber { row });
        }
        let targets = SmoothedLabels::of(labels)?.all(labels);
        // Newton's steps need margins of a common size.
        let size = margins.iter().fold(0.0_f64, |most, margin| most.max(margin.abs()));
        let size = if size > 0.0 { size } else { 1.0 };
        let scaled: Vec<f64> = margins.iter().map(|margin| margin / size).collect();
        let (slope, intercept) = minimum(&targets, &scaled);
        let slope = slope / size;
        if slope > 0.0 && slope <= MAX_MAGNITUDE {
            return Ok(Calibration::Platt { slope, intercept });
        }
        let rate = targets.iter().sum::<f64>() / targets.len() as f64;
        Ok(Calibration::Platt {
            slope: FLAT / size,
            intercept: (rate / (1.0 - rate)).ln(),
        })
    }
}

/// What stands for the two labels, so that no answer becomes certain.
#[derive(Clone, Copy, Debug)]
pub(super) struct SmoothedLabels {
    positive: f64,
    negative: f64,
}

impl SmoothedLabels {
    pub(super) fn of(labels: &[bool]) -> Result<Self, MetricError> {
        let classes = both_classes(labels)?;
        let (positives, negatives) = (classes.positives as f64, classes.negatives as f64);
        Ok(Self {
            positive: (positives + 1.0) / (positives + 2.0),
            negative: 1.0 / (negatives + 2.0),
        })
    }

    fn all(self, labels: &[bool]) -> Vec<f64> {
        let of = |label: &bool| if *label { self.positive } else { self.negative };
        labels.iter().map(of).collect()
    }

    /// Mean of rows of which this share is positive.
    pub(super) fn share(self, positive: f64) -> f64 {
        self.negative + positive * (self.positive - self.negative)
    }
}

/// Slope and intercept with the least cross-entropy.
fn minimum(targets: &[f64], margins: &[f64]) -> (f64, f64) {
    let rate = targets.iter().sum::<f64>() / targets.len() as f64;
    let (mut slope, mut intercept) = (0.0, (rate / (1.0 - rate)).ln());
    let mut loss = cross_entropy(targets, margins, slope, intercept);
    for _ in 0..MOST_STEPS {
        let derivatives = Derivatives::at(targets, margins, slope, intercept);
        if derivatives.slope.abs() < SMALLEST_GRADIENT && derivatives.intercept.abs() < SMALLEST_GRADIENT {
            break;
        }
        let (slope_step, intercept_step) = derivatives.newton_step();
        let downhill = derivatives.slope * slope_step + derivatives.intercept * intercept_step;
        let mut step = 1.0;
        loop {
            let (next_slope, next_intercept) = (slope + step * slope_step, intercept + step * intercept_step);
            let next = cross_entropy(targets, margins, next_slope, next_intercept);
            if next < loss + 1e-4 * step * downhill {
                (slope, intercept, loss) = (next_slope, next_intercept, next);
                break;
            }
            step /= 2.0;
            if step < SMALLEST_STEP {
                return (slope, intercept);
            }
        }
    }
    (slope, intercept)
}

fn cross_entropy(targets: &[f64], margins: &[f64], slope: f64, intercept: f64) -> f64 {
    let of_row = |(target, margin): (&f64, &f64)| {
        let z = slope * margin + intercept;
        // ln(1 + e^z) - target × z, without overflow.
        z.max(0.0) + (-z.abs()).exp().ln_1p() - target * z
    };
    targets.iter().zip(margins).map(of_row).sum()
}

/// Derivatives of the cross-entropy.
struct Derivatives {
    slope: f64,
    intercept: f64,
    slope_slope: f64,
    slope_intercept: f64,
    intercept_intercept: f64,
}

impl Derivatives {
    fn at(targets: &[f64], margins: &[f64], slope: f64, intercept: f64) -> Self {
        let mut sums = Self {
            slope: 0.0,
            intercept: 0.0,
            slope_slope: RIDGE,
            slope_intercept: 0.0,
            intercept_intercept: RIDGE,
        };
        for (target, margin) in targets.iter().zip(margins) {
            let probability = crate::math::logistic(slope * margin + intercept);
            let (first, second) = (probability - target, probability * (1.0 - probability));
            sums.slope += first * margin;
            sums.intercept += first;
            sums.slope_slope += second * margin * margin;
            sums.slope_intercept += second * margin;
            sums.intercept_intercept += second;
        }
        sums
    }

    fn newton_step(&self) -> (f64, f64) {
        let determinant = self.slope_slope * self.intercept_intercept - self.slope_intercept * self.slope_intercept;
        (
            (self.slope_intercept * self.intercept - self.intercept_intercept * self.slope) / determinant,
            (self.slope_intercept * self.slope - self.slope_slope * self.intercept) / determinant,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::fixtures::cases;
    use crate::ensemble::Link;

    fn parts(calibration: &Calibration) -> (f64, f64) {
        match calibration {
            Calibration::Platt { slope, intercept } => (*slope, *intercept),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_agrees_with_scikit_learn() {
        for case in cases() {
            let (slope, intercept) = parts(&Calibration::fit_platt(&case.labels, &case.margins).unwrap());
            let theirs = |what: &str| case.value["platt"][what].as_f64().unwrap();
            if theirs("slope") <= 0.0 {
                assert!(slope > 0.0 && slope < 1e-6, "{}: {slope}", case.name);
                continue;
            }
            assert!((slope - theirs("slope")).abs() < 1e-6, "{}: {slope}", case.name);
            assert!(
                (intercept - theirs("intercept")).abs() < 1e-6,
                "{}: {intercept}",
                case.name
            );
            // Their solver stops earlier.
            let loosely = case.value["platt"]["scikit_learn"]["slope"].as_f64().unwrap();
            assert!((slope - loosely).abs() < 1e-4, "{}: {slope}", case.name);
        }
    }

    #[test]
    fn the_mean_probability_is_that_of_the_smoothed_labels() {
        // The derivative by the intercept is 0 at the minimum.
        let margins = [-3.0, -1.0, 0.0, 0.5, 2.0, 4.0];
        let labels = [false, false, true, false, true, true];
        let calibration = Calibration::fit_platt(&labels, &margins).unwrap();
        let answered: f64 = margins
            .iter()
            .map(|margin| calibration.probability(*margin, Link::Logistic))
            .sum();
        assert!((answered - (3.0 * 0.8 + 3.0 * 0.2)).abs() < 1e-9, "{answered}");
    }

    #[test]
    fn margins_of_any_size_are_fitted() {
        let labels: Vec<bool> = (0..40).map(|row| row % 5 > 1 || row > 30).collect();
        let margins: Vec<f64> = (0..40).map(|row| f64::from(row) - 14.0).collect();
        let (slope, intercept) = parts(&Calibration::fit_platt(&labels, &margins).unwrap());
        for factor in [1e-9, 1e9] {
            let scaled: Vec<f64> = margins.iter().map(|margin| margin * factor).collect();
            let other = parts(&Calibration::fit_platt(&labels, &scaled).unwrap());
            assert!(
                (other.0 * factor - slope).abs() < 1e-9 && (other.1 - intercept).abs() < 1e-9,
                "{other:?}"
            );
        }
    }

    #[test]
    fn separated_classes_end_in_a_finite_slope() {
        let calibration = Calibration::fit_platt(&[false, false, true, true], &[-1.0, -0.5, 0.5, 1.0]).unwrap();
        calibration.validate().unwrap();
        assert!(parts(&calibration).0 > 0.5);
    }

    #[test]
    fn margins_that_say_nothing_are_answered_with_the_rate() {
        let calibration = Calibration::fit_platt(&[true, false, false, false], &[2.0; 4]).unwrap();
        calibration.validate().unwrap();
        // Smoothed: one label of 2/3, three of 1/5.
        let rate = (2.0 / 3.0 + 3.0 / 5.0) / 4.0;
        assert!((calibration.probability(2.0, Link::Logistic) - rate).abs() < 1e-6);
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        assert_eq!(Calibration::fit_platt(&[], &[]), Err(MetricError::Empty));
        assert_eq!(
            Calibration::fit_platt(&[true, true], &[0.1, 0.2]),
            Err(MetricError::OneClassOnly { label: true })
        );
        assert_eq!(
            Calibration::fit_platt(&[true, false], &[0.1, f64::INFINITY]),
            Err(MetricError::NotANumber { row: 1 })
        );
    }
}
