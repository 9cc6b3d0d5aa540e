//! Running the plan on a row: no allocation, no lookup by name.

use holdfast_domain::{FEATURE_COUNT, FeatureVector};

use super::plan::{MAX_SLOTS, Operation, Preprocessor};
use super::{MAX_COLUMNS, MAX_VALUE, Row};

impl Preprocessor {
    /// Fills `row` with the columns of a customer. Training calls it as well, so that a model is scored on what it was trained on, to the bit.
    pub fn transform(&self, features: &FeatureVector, row: &mut Row) {
        let mut slots = [f64::NAN; MAX_SLOTS];
        for (slot, value) in slots[..FEATURE_COUNT].iter_mut().zip(features.0) {
            *slot = bounded_or_missing(value);
        }
        for operation in &self.operations {
            apply(operation, &mut slots);
        }
        for (column, slot) in row.iter_mut().zip(&self.outputs) {
            *column = slots[*slot];
        }
    }

    /// The columns of a customer, as a fresh row.
    pub fn row(&self, features: &FeatureVector) -> Row {
        let mut row = [f64::NAN; MAX_COLUMNS];
        self.transform(features, &mut row);
        row
    }
}

fn apply(operation: &Operation, slots: &mut [f64; MAX_SLOTS]) {
    match operation {
        Operation::Ratio {
            into,
            numerator,
            denominator,
            when_zero,
        } => {
            let divisor = slots[*denominator];
            slots[*into] = if divisor == 0.0 {
                *when_zero
            } else {
                bounded_or_missing(slots[*numerator] / divisor)
            };
        }
        Operation::Product { into, factors } => {
            slots[*into] = bounded_or_missing(factors.iter().fold(1.0, |product, factor| product * slots[*factor]));
        }
        Operation::Ordinal { slot, codes, unlisted } => {
            let value = slots[*slot];
            if !value.is_nan() {
                slots[*slot] = code(value)
                    .and_then(|code| codes.get(code))
                    .copied()
                    .unwrap_or(*unlisted);
            }
        }
        Operation::OneHot {
            slot,
            first,
            count,
            hot,
        } => {
            slots[*first..*first + *count].fill(0.0);
            if let Some(Some(own)) = code(slots[*slot]).and_then(|code| hot.get(code)) {
                slots[*own] = 1.0;
            }
        }
        Operation::Impute { slot, value } => {
            if slots[*slot].is_nan() {
                slots[*slot] = *value;
            }
        }
        Operation::Scale { slot, mean, scale } => slots[*slot] = bounded_or_missing((slots[*slot] - mean) / scale),
    }
}

/// The bound keeps every sum and product that an estimator forms finite.
fn bounded_or_missing(value: f64) -> f64 {
    if value.abs() <= MAX_VALUE { value } else { f64::NAN }
}

/// The schema's code in a categorical feature, or `None` for missing, unknown, and what is no code at all.
pub(crate) fn code(value: f64) -> Option<usize> {
    if !(0.0..1e6).contains(&value) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to a million")]
    let code = value as usize;
    #[expect(
        clippy::cast_precision_loss,
        clippy::float_cmp,
        reason = "below a million, and codes are whole numbers"
    )]
    let whole = code as f64 == value;
    whole.then_some(code)
}
