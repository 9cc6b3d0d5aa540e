//! Rank correlations of the numeric features, ordered so that columns that belong together stand together.

use holdfast_domain::Schema;
use holdfast_statistics::{StatisticsError, spearman};
use serde::Serialize;

use super::ExploreError;
use super::frame::{Frame, Values};

/// Pairs below this in size are not listed.
const LISTED_FROM: f64 = 0.3;
/// Most pairs listed.
const LISTED: usize = 12;

/// Spearman's rank correlations, over the rows that have both values.
#[derive(Clone, Debug, Serialize)]
pub struct Correlations {
    /// The columns, in the order in which a clustering by |rho| puts them.
    pub columns: Vec<String>,
    /// One row a column: its correlation with each; absent where it cannot be computed.
    pub matrix: Vec<Vec<Option<f64>>>,
    /// Of each column, its correlation with "left" as 0 and 1.
    pub with_target: Vec<Option<f64>>,
    /// The strongest pairs, by size.
    pub strongest: Vec<Pair>,
}

/// Two columns and their correlation.
#[derive(Clone, Debug, Serialize)]
pub struct Pair {
    /// One.
    pub first: String,
    /// The other.
    pub second: String,
    /// Spearman's rho, −1 to 1.
    pub rho: f64,
}

pub(super) fn correlations(frame: &Frame, schema: &Schema) -> Result<Correlations, ExploreError> {
    let columns: Vec<(&str, &[f64])> = schema
        .columns()
        .iter()
        .filter_map(
            |column| match frame.feature(column.feature).map(|column| &column.values) {
                Some(Values::Numbers(values)) => Some((column.name(), values.as_slice())),
                _ => None,
            },
        )
        .collect();
    let target: Vec<f64> = frame.labels.iter().map(|label| f64::from(u8::from(*label))).collect();
    let count = columns.len();
    let mut matrix = vec![vec![None; count]; count];
    for first in 0..count {
        for second in first..count {
            let rho = rank_correlation(columns[first].1, columns[second].1)?;
            matrix[first][second] = rho;
            matrix[second][first] = rho;
        }
    }
    let order = clustered(&matrix);
    let with_target = order.iter().map(|place| rank_correlation(columns[*place].1, &target));
    let mut strongest: Vec<Pair> = (0..count)
        .flat_map(|first| (first + 1..count).map(move |second| (first, second)))
        .filter_map(|(first, second)| {
            Some(Pair {
                first: columns[first].0.to_owned(),
                second: columns[second].0.to_owned(),
                rho: matrix[first][second].filter(|rho| rho.abs() >= LISTED_FROM)?,
            })
        })
        .collect();
    strongest.sort_by(|a, b| b.rho.abs().total_cmp(&a.rho.abs()));
    strongest.truncate(LISTED);
    Ok(Correlations {
        columns: order.iter().map(|place| columns[*place].0.to_owned()).collect(),
        matrix: order
            .iter()
            .map(|row| order.iter().map(|column| matrix[*row][*column]).collect())
            .collect(),
        with_target: with_target.collect::<Result<_, _>>()?,
        strongest,
    })
}

/// Over the rows that have both values; nothing where a column is constant there.
pub(super) fn rank_correlation(first: &[f64], second: &[f64]) -> Result<Option<f64>, ExploreError> {
    paired(first, second, spearman)
}

/// A correlation over the rows that have both values.
pub(super) fn paired(
    first: &[f64],
    second: &[f64],
    correlation: fn(&[f64], &[f64]) -> Result<f64, StatisticsError>,
) -> Result<Option<f64>, ExploreError> {
    let both = first.iter().zip(second).filter(|(a, b)| !a.is_nan() && !b.is_nan());
    let (first, second): (Vec<f64>, Vec<f64>) = both.unzip();
    match correlation(&first, &second) {
        Ok(found) => Ok(Some(found)),
        Err(StatisticsError::Constant | StatisticsError::Empty) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Leaves of an average-linkage clustering with 1 − |rho| as distance. Where two groups join, they are turned so that their
/// closest ends meet. Deterministic: of equal distances the first counts.
fn clustered(matrix: &[Vec<Option<f64>>]) -> Vec<usize> {
    let distance = |a: usize, b: usize| 1.0 - matrix[a][b].map_or(0.0, f64::abs);
    let mut groups: Vec<Vec<usize>> = (0..matrix.len()).map(|place| vec![place]).collect();
    while groups.len() > 1 {
        let mut best = (f64::INFINITY, 0, 1);
        for first in 0..groups.len() {
            for second in first + 1..groups.len() {
                let pairs = groups[first].len() * groups[second].len();
                let sum: f64 = groups[first]
                    .iter()
                    .flat_map(|a| groups[second].iter().map(move |b| distance(*a, *b)))
                    .sum();
                let average = sum / pairs as f64;
                if average < best.0 {
                    best = (average, first, second);
                }
            }
        }
        let (_, first, second) = best;
        let second = groups.remove(second);
        let joined = join(&groups[first], &second, &distance);
        groups[first] = joined;
    }
    groups.pop().unwrap_or_default()
}

fn join(first: &[usize], second: &[usize], distance: &dyn Fn(usize, usize) -> f64) -> Vec<usize> {
    let turned = |group: &[usize]| group.iter().rev().copied().collect::<Vec<usize>>();
    let ways = [
        (first.to_vec(), second.to_vec()),
        (first.to_vec(), turned(second)),
        (turned(first), second.to_vec()),
        (turned(first), turned(second)),
    ];
    let gap = |way: &(Vec<usize>, Vec<usize>)| match (way.0.last(), way.1.first()) {
        (Some(end), Some(start)) => distance(*end, *start),
        _ => 0.0,
    };
    let closest = ways.into_iter().min_by(|a, b| gap(a).total_cmp(&gap(b)));
    closest.map_or_else(Vec::new, |(mut head, tail)| {
        head.extend(tail);
        head
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_belong_together_stand_together() {
        let rho = |a: usize, b: usize| if a % 2 == b % 2 { Some(0.9) } else { Some(0.1) };
        let matrix: Vec<Vec<Option<f64>>> = (0..6).map(|a| (0..6).map(|b| rho(a, b)).collect()).collect();
        let order = clustered(&matrix);
        let sides: Vec<usize> = order.iter().map(|place| place % 2).collect();
        assert!(sides == [0, 0, 0, 1, 1, 1] || sides == [1, 1, 1, 0, 0, 0], "{order:?}");
        assert!(clustered(&[]).is_empty());
    }

    #[test]
    fn rows_without_one_of_the_values_do_not_count() {
        let first = [1.0, 2.0, f64::NAN, 4.0];
        let second = [1.0, 2.0, 3.0, 9.0];
        let rho = rank_correlation(&first, &second).unwrap().unwrap();
        assert!((rho - 1.0).abs() < 1e-12, "{rho}");
        assert_eq!(rank_correlation(&first, &[7.0; 4]).unwrap(), None);
    }
}
