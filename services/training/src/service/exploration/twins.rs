//! Columns that say what others say: near duplicates, and numbers that are the sum, difference, product or quotient of two others.

use std::collections::BTreeSet;

use holdfast_statistics::{DEFAULT_NEAR_DUPLICATE, association, pearson, spearman};
use serde::Serialize;

use super::ExploreError;
use super::correlations::paired;
use super::frame::{Frame, MOST_CATEGORIES, Role, Values};

/// A rule between columns holds when this share of the rows keeps it.
const HOLDS_FROM: f64 = 0.995;
/// Rows tried before all rows are.
const TRIED_ROWS: usize = 200;
/// With more numeric columns than this, rules between three are not looked for: there are too many.
const MOST_COLUMNS: usize = 40;
/// A rule is looked for in columns with at least this many different values.
const LEAST_DISTINCT: usize = 20;

/// Two columns that say the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Twins {
    /// One.
    pub first: String,
    /// The other.
    pub second: String,
    /// How alike they are, in size above [`DEFAULT_NEAR_DUPLICATE`].
    pub likeness: f64,
    /// What the likeness is: `spearman`, `pearson` or `cramers_v`.
    pub measure: &'static str,
}

/// A column that is made of two others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Identity {
    /// The column.
    pub column: String,
    /// One of the two.
    pub first: String,
    /// −, +, × or ÷.
    pub operation: char,
    /// The other.
    pub second: String,
    /// Share of the rows in which it holds, to the column's own digits.
    pub holds: f64,
}

/// Pairs of columns that say the same, the target's copies left to the leak warnings.
pub(super) fn twins(frame: &Frame) -> Result<Vec<Twins>, ExploreError> {
    let columns: Vec<_> = frame.columns.iter().filter(|column| column.role != Role::Key).collect();
    let mut found = Vec::new();
    for (place, first) in columns.iter().enumerate() {
        for second in &columns[place + 1..] {
            let likeness = match (&first.values, &second.values) {
                (Values::Numbers(a), Values::Numbers(b)) => numbers_alike(a, b)?,
                (Values::Categories { codes: a, names: x }, Values::Categories { codes: b, names: y })
                    if x.len().max(y.len()) <= MOST_CATEGORIES =>
                {
                    categories_alike(a, x.len(), b, y.len())?
                }
                _ => None,
            };
            if let Some((likeness, measure)) = likeness {
                found.push(Twins {
                    first: first.name.clone(),
                    second: second.name.clone(),
                    likeness,
                    measure,
                });
            }
        }
    }
    found.sort_by(|a, b| b.likeness.abs().total_cmp(&a.likeness.abs()));
    Ok(found)
}

fn numbers_alike(first: &[f64], second: &[f64]) -> Result<Option<(f64, &'static str)>, ExploreError> {
    let rank = paired(first, second, spearman)?.map(|rho| (rho, "spearman"));
    let line = paired(first, second, pearson)?.map(|r| (r, "pearson"));
    let closest = [rank, line]
        .into_iter()
        .flatten()
        .max_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
    Ok(closest.filter(|(likeness, _)| likeness.abs() > DEFAULT_NEAR_DUPLICATE))
}

fn categories_alike(
    first: &[Option<usize>],
    first_names: usize,
    second: &[Option<usize>],
    second_names: usize,
) -> Result<Option<(f64, &'static str)>, ExploreError> {
    let mut table = vec![vec![0_u64; second_names + 1]; first_names + 1];
    for (a, b) in first.iter().zip(second) {
        table[a.unwrap_or(first_names)][b.unwrap_or(second_names)] += 1;
    }
    let found = association(&table)?;
    Ok((found.cramers_v > DEFAULT_NEAR_DUPLICATE).then_some((found.cramers_v, "cramers_v")))
}

/// An operation on two columns.
struct Operation {
    symbol: char,
    apply: fn(f64, f64) -> f64,
    commutes: bool,
    /// Sums and differences of three columns are one relation, products and quotients another.
    additive: bool,
}

const OPERATIONS: [Operation; 4] = [
    Operation {
        symbol: '−',
        apply: |a, b| a - b,
        commutes: false,
        additive: true,
    },
    Operation {
        symbol: '÷',
        // Nothing divided by nothing is kept as nothing in tables.
        apply: |a, b| if b == 0.0 { 0.0 } else { a / b },
        commutes: false,
        additive: false,
    },
    Operation {
        symbol: '+',
        apply: |a, b| a + b,
        commutes: true,
        additive: true,
    },
    Operation {
        symbol: '×',
        apply: |a, b| a * b,
        commutes: true,
        additive: false,
    },
];

/// Numeric columns that are made of two others. Of the columns of a relation the one that stands last in the table is taken as the
/// made one.
pub(super) fn identities(frame: &Frame) -> Vec<Identity> {
    let columns: Vec<(&str, &[f64])> = frame
        .columns
        .iter()
        .filter(|column| column.role != Role::Key && column.values.distinct() >= LEAST_DISTINCT)
        .filter_map(|column| match &column.values {
            Values::Numbers(values) => Some((column.name.as_str(), values.as_slice())),
            Values::Categories { .. } => None,
        })
        .collect();
    let mut found = Vec::new();
    if columns.len() > MOST_COLUMNS {
        return found;
    }
    let mut told: BTreeSet<([usize; 3], bool)> = BTreeSet::new();
    for made in (0..columns.len()).rev() {
        let tolerance = Tolerance::of(columns[made].1);
        for operation in &OPERATIONS {
            for first in (0..columns.len()).filter(|first| *first != made) {
                let start = if operation.commutes { first + 1 } else { 0 };
                for second in (start..columns.len()).filter(|second| *second != made && *second != first) {
                    let mut relation = [made, first, second];
                    relation.sort_unstable();
                    if told.contains(&(relation, operation.additive)) {
                        continue;
                    }
                    let (made, first, second) = (columns[made], columns[first], columns[second]);
                    if let Some(holds) = holds(made.1, first.1, second.1, operation, tolerance) {
                        told.insert((relation, operation.additive));
                        found.push(Identity {
                            column: made.0.to_owned(),
                            first: first.0.to_owned(),
                            operation: operation.symbol,
                            second: second.0.to_owned(),
                            holds,
                        });
                    }
                }
            }
        }
    }
    found
}

/// How far from its formula a stored number may be.
#[derive(Clone, Copy)]
enum Tolerance {
    /// Half of the last digit that the column has.
    Digits(f64),
    /// A millionth of the value: the column is not rounded.
    Relative,
}

impl Tolerance {
    fn of(values: &[f64]) -> Self {
        let mut scale = 1.0;
        for _ in 0..=6 {
            let whole = |value: &f64| (value * scale - (value * scale).round()).abs() < 1e-6;
            if values.iter().filter(|value| !value.is_nan()).all(whole) {
                return Tolerance::Digits(0.500_001 / scale);
            }
            scale *= 10.0;
        }
        Tolerance::Relative
    }

    fn allows(self, stored: f64, formula: f64) -> bool {
        let allowed = match self {
            Tolerance::Digits(half) => half,
            Tolerance::Relative => 1e-6 * stored.abs().max(1e-9),
        };
        (stored - formula).abs() <= allowed
    }
}

/// The share of rows that keep the rule, where it is a rule; a column that equals one of the two alone is a twin and no result.
fn holds(made: &[f64], first: &[f64], second: &[f64], operation: &Operation, tolerance: Tolerance) -> Option<f64> {
    let count = |rows: usize| {
        let (mut present, mut kept, mut plain) = (0_usize, 0_usize, 0_usize);
        for row in 0..rows {
            let (stored, a, b) = (made[row], first[row], second[row]);
            if stored.is_nan() || a.is_nan() || b.is_nan() {
                continue;
            }
            present += 1;
            kept += usize::from(tolerance.allows(stored, (operation.apply)(a, b)));
            plain += usize::from(tolerance.allows(stored, a) || tolerance.allows(stored, b) || stored == 0.0);
        }
        let share = |part: usize| part as f64 / present.max(1) as f64;
        (present, share(kept), share(plain))
    };
    let (_, kept, _) = count(made.len().min(TRIED_ROWS));
    if kept < HOLDS_FROM {
        return None;
    }
    let (present, kept, plain) = count(made.len());
    (present >= LEAST_DISTINCT && kept >= HOLDS_FROM && plain < 0.9).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::exploration::frame::FrameColumn;

    fn frame(columns: Vec<(&str, Values)>) -> Frame {
        Frame {
            columns: columns
                .into_iter()
                .map(|(name, values)| FrameColumn {
                    name: name.to_owned(),
                    role: Role::Unknown,
                    values,
                })
                .collect(),
            labels: Vec::new(),
            customers: Vec::new(),
            rows_read: 0,
            without_label: 0,
            repeated_keys: 0,
            problems: Vec::new(),
        }
    }

    fn limit(row: usize) -> f64 {
        1_500.0 + ((row * 7_919) % 30_011) as f64
    }

    fn balance(row: usize) -> f64 {
        ((row * 104_729) % 2_503) as f64
    }

    fn column(of: impl Fn(usize) -> f64) -> Values {
        Values::Numbers((0..600).map(of).collect())
    }

    #[test]
    fn differences_and_rounded_quotients_are_found_and_told_once() {
        let table = frame(vec![
            ("limit", column(limit)),
            ("balance", column(balance)),
            ("open", column(|row| limit(row) - balance(row))),
            ("ratio", column(|row| (balance(row) / limit(row) * 1e3).round() / 1e3)),
        ]);
        let found: Vec<String> = identities(&table)
            .iter()
            .map(|i| format!("{} = {} {} {} in {}", i.column, i.first, i.operation, i.second, i.holds))
            .collect();
        assert_eq!(found, ["ratio = balance ÷ limit in 1", "open = limit − balance in 1"]);
    }

    #[test]
    fn columns_that_have_nothing_to_do_with_each_other_have_no_rule() {
        let noise = |seed: usize| move |row: usize| ((row * seed) % 10_007) as f64 / 7.0;
        let table = frame(vec![
            ("a", column(noise(7_919))),
            ("b", column(noise(5_003))),
            ("c", column(noise(3_001))),
        ]);
        assert!(identities(&table).is_empty());
        assert!(twins(&table).unwrap().is_empty());
    }

    #[test]
    fn near_duplicates_are_found_by_line_and_by_rank_and_in_categories() {
        let codes = |turn: usize| (0..600).map(|row| Some((row + turn) % 3)).collect::<Vec<_>>();
        let names = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let table = frame(vec![
            ("limit", column(limit)),
            ("cents", column(|row| 100.0 * limit(row) + balance(row) / 1e3)),
            ("curve", column(|row| -limit(row).powi(9))),
            (
                "letter",
                Values::Categories {
                    codes: codes(0),
                    names: names.clone(),
                },
            ),
            ("code", Values::Categories { codes: codes(1), names }),
        ]);
        let found: Vec<(String, String, &str)> = twins(&table)
            .unwrap()
            .into_iter()
            .map(|t| (t.first, t.second, t.measure))
            .collect();
        let pair = |a: &str, b: &str| found.iter().find(|(x, y, _)| x == a && y == b).map(|found| found.2);
        assert!(pair("limit", "cents").is_some());
        assert_eq!(pair("limit", "curve"), Some("spearman"));
        assert_eq!(pair("letter", "code"), Some("cramers_v"));
    }
}
