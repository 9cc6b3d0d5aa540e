//! The rules of the columns packed together: a row that keeps them, as nearly all do, is checked without a look at the columns and their texts.

use crate::customer::Strictness;
use crate::feature::{FEATURE_COUNT, Feature};
use crate::validate::whole;

use super::Column;

/// Of every column, what its values must keep to, and which rows need one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rules {
    numbers: [NumberRule; FEATURE_COUNT],
    /// One bit per feature.
    needed_for_training: u32,
    needed_for_serving: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct NumberRule {
    minimum: f64,
    maximum: f64,
    integer: bool,
}

impl NumberRule {
    /// The rule of a column that holds no numbers.
    const NONE: Self = Self {
        minimum: f64::INFINITY,
        maximum: f64::NEG_INFINITY,
        integer: false,
    };
}

impl Rules {
    pub(super) fn of(columns: &[Column]) -> Self {
        let mut rules = Self {
            numbers: [NumberRule::NONE; FEATURE_COUNT],
            needed_for_training: 0,
            needed_for_serving: 0,
        };
        for column in columns {
            let index = column.feature.index();
            // Without a range it is left to the check that names what is wrong.
            if let (Some(minimum), Some(maximum)) = (column.minimum, column.maximum) {
                rules.numbers[index] = NumberRule {
                    minimum,
                    maximum,
                    integer: column.integer,
                };
            }
            rules.needed_for_training |= u32::from(!column.nullable) << index;
            rules.needed_for_serving |= u32::from(column.required) << index;
        }
        rules
    }

    /// The number, if it surely keeps the rules of its column. Of one that does not, nothing is said: it may only be unusual.
    #[inline]
    pub(crate) fn kept(&self, feature: Feature, number: f64) -> Option<f64> {
        let rule = &self.numbers[feature.index()];
        // A comparison with NaN is false, and the bounds are finite.
        let within = rule.minimum <= number && number <= rule.maximum;
        (within && (!rule.integer || whole(number).is_some())).then_some(number)
    }

    /// The features that a row needs, a bit each.
    #[inline]
    pub(crate) fn needed(&self, strictness: Strictness) -> u32 {
        match strictness {
            Strictness::Training => self.needed_for_training,
            Strictness::Serving => self.needed_for_serving,
        }
    }
}
