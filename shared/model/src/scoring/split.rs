//! What a split asks, in the form in which everything that walks trees takes it.
//!
//! Both comparisons of the format become `x < bound` in double precision, exactly: `float32(x) < s` is a comparison of doubles once the row is
//! rounded to `f32`, and `x <= s` is `x < s.next_up()`.

use crate::ensemble::{Comparison, NodeKind, TreeEnsemble, UnlistedCode};

/// LightGBM's `kZeroThreshold`: what is this near to zero is zero.
pub(super) const ZERO_THRESHOLD: f64 = 1e-35;

/// The question of a split; the answer is whether a row goes left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Question {
    /// Whether a number is less than the bound.
    Less(NumericRule, f64),
    /// Whether a code is in a set.
    In(CodeSet),
}

/// How the splits of a numeric column see its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NumericRule {
    pub(super) column: usize,
    pub(super) missing_left: bool,
    pub(super) zero_is_missing: bool,
}

/// The categories that go left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CodeSet {
    pub(super) column: usize,
    /// One bit a listed code.
    pub(super) left: u64,
    pub(super) missing_left: bool,
    pub(super) unlisted_left: bool,
}

impl Question {
    /// The question of a node of validated trees, `None` for a leaf.
    pub(crate) fn of(trees: &TreeEnsemble, at: usize) -> Option<Self> {
        let nodes = &trees.nodes;
        let missing = nodes.missing_rules[at]?;
        let column = nodes.columns[at] as usize;
        let missing_left = missing.goes_left();
        if nodes.kinds[at] == NodeKind::Categorical {
            let unlisted_left = match trees.unlisted_code {
                UnlistedCode::Left => true,
                UnlistedCode::Right => false,
                UnlistedCode::AsMissing => missing_left,
            };
            return Some(Self::In(CodeSet {
                column,
                left: nodes.left_categories[at],
                missing_left,
                unlisted_left,
            }));
        }
        let value = nodes.values[at];
        let bound = match trees.comparison {
            Comparison::LessThanF32 => value,
            Comparison::LessOrEqualF64 => value.next_up(),
        };
        let rule = NumericRule {
            column,
            missing_left,
            // Code 0 is a category like any other, so this is asked of numeric splits only.
            zero_is_missing: missing.zero_is_missing(),
        };
        Some(Self::Less(rule, bound))
    }
}

impl NumericRule {
    /// Whether `x` counts as missing.
    #[inline]
    pub(super) fn is_missing(self, x: f64) -> bool {
        x.is_nan() | (self.zero_is_missing & (x.abs() <= ZERO_THRESHOLD))
    }
}

impl CodeSet {
    /// Whether `x` goes left. An unlisted code is -1 by construction of the columns; listed ones are whole numbers below 64.
    #[inline]
    pub(super) fn goes_left(self, x: f64) -> bool {
        match code(x) {
            Code::Listed(code) => self.left >> code & 1 == 1,
            Code::Unlisted => self.unlisted_left,
            Code::Missing => self.missing_left,
        }
    }
}

/// What a categorical column holds.
pub(super) enum Code {
    Listed(usize),
    Unlisted,
    Missing,
}

/// Reads the code in a column.
#[inline(always)]
pub(super) fn code(x: f64) -> Code {
    if (0.0..64.0).contains(&x) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 63")]
        return Code::Listed(x as usize);
    }
    if x.is_nan() { Code::Missing } else { Code::Unlisted }
}
