//! Rows in order of their score, tied rows together: what all ranking metrics walk over.

/// Rows with one score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tie {
    pub(crate) score: f64,
    pub(crate) positives: u64,
    pub(crate) negatives: u64,
}

impl Tie {
    pub(crate) fn rows(&self) -> u64 {
        self.positives + self.negatives
    }
}

/// Groups of tied rows, highest score first. Scores must not be NaN.
pub(crate) fn ties_from_the_top(labels: &[bool], scores: &[f64]) -> Vec<Tie> {
    let mut rows: Vec<(f64, bool)> = scores.iter().copied().zip(labels.iter().copied()).collect();
    rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    // By `==`, so that -0 and 0 are tied.
    rows.chunk_by(|a, b| a.0 == b.0)
        .map(|tied| {
            let positives = tied.iter().filter(|row| row.1).count() as u64;
            Tie {
                score: tied[0].0,
                positives,
                negatives: tied.len() as u64 - positives,
            }
        })
        .collect()
}

/// Row numbers by falling score, and where each group of tied rows ends.
pub(super) struct Order {
    pub(super) rows: Vec<usize>,
    pub(super) ends: Vec<usize>,
}

/// As [`ties_from_the_top`], keeping the rows. Scores must not be NaN.
pub(super) fn order_from_the_top(scores: &[f64]) -> Order {
    let mut rows: Vec<usize> = (0..scores.len()).collect();
    rows.sort_unstable_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut ends = Vec::new();
    let mut end = 0;
    for tied in rows.chunk_by(|&a, &b| scores[a] == scores[b]) {
        end += tied.len();
        ends.push(end);
    }
    Order { rows, ends }
}

/// The groups of an order in which row i counts `weights[i]` times; a group's score is left at 0.
pub(super) fn weighted_ties<'a>(
    order: &'a Order,
    labels: &'a [bool],
    weights: &'a [u64],
) -> impl Iterator<Item = Tie> + 'a {
    let mut start = 0;
    order.ends.iter().map(move |&end| {
        let mut tie = Tie {
            score: 0.0,
            positives: 0,
            negatives: 0,
        };
        for &row in &order.rows[start..end] {
            *(if labels[row] {
                &mut tie.positives
            } else {
                &mut tie.negatives
            }) += weights[row];
        }
        start = end;
        tie
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tied_rows_are_one_group_whatever_their_sign_of_zero() {
        let ties = ties_from_the_top(&[true, false, true, false], &[0.0, 0.7, -0.0, -1.0]);
        let groups: Vec<_> = ties.iter().map(|t| (t.score, t.positives, t.negatives)).collect();
        assert_eq!(groups, [(0.7, 0, 1), (0.0, 2, 0), (-1.0, 0, 1)]);
    }

    #[test]
    fn the_order_keeps_the_rows_and_the_ends_of_ties() {
        let order = order_from_the_top(&[0.2, 0.9, 0.2]);
        assert_eq!(order.rows[0], 1);
        assert_eq!(order.ends, [1, 3]);
    }
}
