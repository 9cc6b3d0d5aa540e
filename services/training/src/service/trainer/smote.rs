//! Synthetic minority rows: SMOTE and, for categories, SMOTE-NC (Chawla, Bowyer, Hall & Kegelmeyer 2002, "SMOTE: synthetic minority
//! over-sampling technique", sections 4.2 and 6.1).
//!
//! A synthetic row lies between a row of the minority, drawn with replacement, and one of its nearest neighbours of the minority: its numbers at
//! a random place on the way, the same for all of them, its categories those of most of the neighbours. Distances are Euclidean over numbers
//! divided by their standard deviation; categories that differ count as the median deviation of the minority's numbers.

use holdfast_domain::Draws;

/// The rows to draw from, row after row; missing is NaN.
pub(super) struct Originals<'a> {
    pub(super) values: &'a [f64],
    pub(super) labels: &'a [bool],
    /// What each column holds.
    pub(super) columns: &'a [Column],
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// A number.
    Number,
    /// A category's code.
    Code,
    /// 0 or 1, one of the columns of a categorical feature; columns of one feature stand side by side and have its place here.
    OneHot(usize),
}

/// How many rows are made, and of what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Smote {
    pub(super) neighbours: usize,
    /// Rows of the minority for each of the majority afterwards.
    pub(super) ratio: f64,
    pub(super) seed: u64,
}

/// Synthetic rows, and the label of all of them.
pub(super) struct Synthetic {
    pub(super) values: Vec<f64>,
    pub(super) label: bool,
}

impl Smote {
    /// Makes as many rows as are missing from the ratio; none when the minority has a single row.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "row counts are far below 2^53"
    )]
    pub(super) fn rows(self, originals: &Originals<'_>) -> Synthetic {
        let positives = originals.labels.iter().filter(|label| **label).count();
        let label = positives * 2 <= originals.labels.len();
        let minority = if label {
            positives
        } else {
            originals.labels.len() - positives
        };
        let wanted = ((originals.labels.len() - minority) as f64 * self.ratio).round() as usize;
        let missing = wanted.saturating_sub(minority);
        let mut synthetic = Synthetic {
            values: Vec::with_capacity(missing * originals.columns.len()),
            label,
        };
        if minority < 2 {
            return synthetic;
        }
        let space = Space::of(originals, label);
        let neighbours = space.neighbours(self.neighbours);
        let mut draws = Draws::of(self.seed);
        for _ in 0..missing {
            let base = draws.below(space.rows.len());
            let near = &neighbours[base];
            let towards = near[draws.below(near.len())];
            let way = draws.unit();
            space.between(base, towards, near, way, &mut synthetic.values);
        }
        synthetic
    }
}

/// The rows of the minority, and how distances are measured between them.
struct Space<'a> {
    rows: Vec<&'a [f64]>,
    columns: &'a [Column],
    /// Standard deviation of each number over all rows; 1 for a constant one.
    scales: Vec<f64>,
    /// Squared distance that a differing category adds.
    penalty: f64,
}

impl<'a> Space<'a> {
    fn of(originals: &Originals<'a>, label: bool) -> Self {
        let columns = originals.columns;
        let all: Vec<&[f64]> = originals.values.chunks_exact(columns.len()).collect();
        let labelled = all.iter().zip(originals.labels);
        let rows: Vec<&[f64]> = labelled.filter(|(_, of)| **of == label).map(|(row, _)| *row).collect();
        let scales: Vec<f64> = (0..columns.len())
            .map(|column| match deviation(&all, column) {
                scale if scale > 0.0 => scale,
                _ => 1.0,
            })
            .collect();
        let numbers = (0..columns.len()).filter(|column| columns[*column] == Column::Number);
        let mut spreads: Vec<f64> = numbers
            .map(|column| deviation(&rows, column) / scales[column])
            .collect();
        spreads.sort_unstable_by(f64::total_cmp);
        let median = match spreads.len() {
            0 => 1.0,
            odd if odd % 2 == 1 => spreads[odd / 2],
            even => f64::midpoint(spreads[even / 2 - 1], spreads[even / 2]),
        };
        Self {
            rows,
            columns,
            scales,
            penalty: median * median,
        }
    }

    /// The nearest rows of each row, nearest first, itself left out; of rows equally far the earlier ones.
    fn neighbours(&self, count: usize) -> Vec<Vec<usize>> {
        let count = count.min(self.rows.len() - 1);
        let of = |row: usize| {
            let others = (0..self.rows.len()).filter(|other| *other != row);
            let mut distances: Vec<(f64, usize)> = others.map(|other| (self.distance(row, other), other)).collect();
            let nearer = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
            if count < distances.len() {
                distances.select_nth_unstable_by(count, nearer);
                distances.truncate(count);
            }
            distances.sort_unstable_by(nearer);
            distances.into_iter().map(|(_, other)| other).collect()
        };
        (0..self.rows.len()).map(of).collect()
    }

    /// Squared distance. A number that one of the two lacks adds nothing; a category that one of them lacks differs.
    fn distance(&self, a: usize, b: usize) -> f64 {
        let mut sum = 0.0;
        for (column, (x, y)) in self.rows[a].iter().zip(self.rows[b]).enumerate() {
            match self.columns[column] {
                Column::Number => {
                    let apart = (x - y) / self.scales[column];
                    if !apart.is_nan() {
                        sum += apart * apart;
                    }
                }
                Column::Code if x.to_bits() == y.to_bits() => {}
                Column::Code => sum += self.penalty,
                // Categories that differ do so in two columns.
                Column::OneHot(_) => sum += (x - y).abs() * self.penalty / 2.0,
            }
        }
        sum
    }

    /// Appends a row on the way from one row to another.
    fn between(&self, base: usize, towards: usize, near: &[usize], way: f64, values: &mut Vec<f64>) {
        let (from, to) = (self.rows[base], self.rows[towards]);
        for (column, kind) in self.columns.iter().enumerate() {
            let value = match kind {
                Column::Number if to[column].is_nan() => from[column],
                Column::Number => from[column] + way * (to[column] - from[column]),
                Column::Code => self.most_frequent(near, column..column + 1)[0],
                Column::OneHot(feature) => {
                    let same = |other: &Column| *other == Column::OneHot(*feature);
                    let first = self.columns.iter().position(same).unwrap_or(column);
                    let width = self.columns[first..].iter().take_while(|other| same(other)).count();
                    self.most_frequent(near, first..first + width)[column - first]
                }
            };
            values.push(value);
        }
    }

    /// What most of the rows hold in some columns; of equally frequent ones what the nearest row has.
    fn most_frequent(&self, near: &[usize], columns: std::ops::Range<usize>) -> &'a [f64] {
        let held = |row: usize| &self.rows[row][columns.clone()];
        let same = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits());
        let mut best = (0, held(near[0]));
        for row in near {
            let frequency = near.iter().filter(|other| same(held(**other), held(*row))).count();
            if frequency > best.0 {
                best = (frequency, held(*row));
            }
        }
        best.1
    }
}

/// Standard deviation of a column over the rows that have a value; 0 where none has.
#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
fn deviation(rows: &[&[f64]], column: usize) -> f64 {
    let values = || rows.iter().map(|row| row[column]).filter(|value| !value.is_nan());
    let count = values().count().max(1) as f64;
    let mean = values().sum::<f64>() / count;
    (values().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: [Column; 2] = [Column::Number, Column::Number];

    /// Rows of two numbers: a few that left around (10, 100), many that stayed around (0, 0).
    fn cloud() -> (Vec<f64>, Vec<bool>) {
        let mut draws = Draws::of(3);
        let mut values = Vec::new();
        let mut labels = Vec::new();
        for row in 0..120 {
            let left = row % 6 == 0;
            let centre = if left { (10.0, 100.0) } else { (0.0, 0.0) };
            values.extend([centre.0 + draws.unit(), centre.1 + 10.0 * draws.unit()]);
            labels.push(left);
        }
        (values, labels)
    }

    fn smote(neighbours: usize, ratio: f64) -> Smote {
        Smote {
            neighbours,
            ratio,
            seed: 8,
        }
    }

    #[test]
    fn as_many_rows_are_made_as_are_missing_from_the_ratio() {
        let (values, labels) = cloud();
        let originals = Originals {
            values: &values,
            labels: &labels,
            columns: &NUMBERS,
        };
        for (ratio, made) in [(1.0, 80), (0.5, 30), (0.2, 0), (0.1, 0)] {
            let synthetic = smote(5, ratio).rows(&originals);
            assert_eq!((synthetic.values.len() / 2, synthetic.label), (made, true), "{ratio}");
        }
    }

    #[test]
    fn the_minority_may_be_those_who_stayed() {
        let (values, labels) = cloud();
        let flipped: Vec<bool> = labels.iter().map(|label| !label).collect();
        let originals = Originals {
            values: &values,
            labels: &flipped,
            columns: &NUMBERS,
        };
        let synthetic = smote(5, 1.0).rows(&originals);
        assert!(!synthetic.label && synthetic.values.chunks(2).all(|row| row[0] >= 10.0));
    }

    #[test]
    fn a_synthetic_row_lies_between_a_row_and_one_of_its_nearest() {
        let (values, labels) = cloud();
        let originals = Originals {
            values: &values,
            labels: &labels,
            columns: &NUMBERS,
        };
        let space = Space::of(&originals, true);
        let neighbours = space.neighbours(3);
        let synthetic = smote(3, 1.0).rows(&originals).values;
        for made in synthetic.chunks(2) {
            let between = (0..space.rows.len()).any(|base| {
                neighbours[base].iter().any(|near| {
                    let (from, to) = (space.rows[base], space.rows[*near]);
                    let way = (made[0] - from[0]) / (to[0] - from[0]);
                    let other = from[1] + way * (to[1] - from[1]);
                    (-1e-9..=1.0).contains(&way) && (other - made[1]).abs() < 1e-6
                })
            });
            assert!(between, "{made:?}");
        }
    }

    #[test]
    fn neighbours_are_the_nearest_in_units_of_each_columns_deviation() {
        // Deviations are 1 and 100: the second row is nearer to the first than the third is.
        let values = [0.0, 0.0, 0.0, 110.0, 2.0, 0.0, 9.0, 0.0, 1.0, 200.0];
        let labels = [true, true, true, false, false];
        let originals = Originals {
            values: &values,
            labels: &labels,
            columns: &NUMBERS,
        };
        let mut space = Space::of(&originals, true);
        space.scales = vec![1.0, 100.0];
        assert_eq!(space.neighbours(2), [[1, 2], [0, 2], [0, 1]]);
        assert!((space.distance(0, 1) - 1.21).abs() < 1e-12 && (space.distance(0, 2) - 4.0).abs() < 1e-12);
    }

    #[test]
    fn categories_are_those_of_most_of_the_neighbours() {
        let columns = [Column::Number, Column::Code, Column::OneHot(2), Column::OneHot(2)];
        // Four near rows, of which three have code 2 and the second category; one far away.
        let values = [
            [1.0, 2.0, 0.0, 1.0],
            [1.1, 2.0, 0.0, 1.0],
            [1.2, 2.0, 0.0, 1.0],
            [1.3, 0.0, 1.0, 0.0],
            [0.0, 1.0, 1.0, 0.0],
            [0.0, 1.0, 1.0, 0.0],
        ];
        let values = values.concat();
        let labels = [true, true, true, true, false, false];
        let originals = Originals {
            values: &values,
            labels: &labels,
            columns: &columns,
        };
        let space = Space::of(&originals, true);
        let near = [1, 2, 3];
        assert_eq!(space.most_frequent(&near, 1..2), [2.0]);
        assert_eq!(space.most_frequent(&near, 2..4), [0.0, 1.0]);
        let mut made = Vec::new();
        space.between(0, 3, &near, 0.5, &mut made);
        assert_eq!(made, [1.15, 2.0, 0.0, 1.0]);
        // A category that differs counts as the median deviation of the minority's numbers, whatever its columns.
        let number = 0.3 / space.scales[0];
        assert!((space.distance(0, 3) - (number * number + 2.0 * space.penalty)).abs() < 1e-12);
    }

    #[test]
    fn missing_values_neither_part_rows_nor_spread() {
        let values = [1.0, f64::NAN, 1.0, 5.0, 3.0, 5.0, 0.0, 0.0];
        let labels = [true, true, true, false];
        let originals = Originals {
            values: &values,
            labels: &labels,
            columns: &NUMBERS,
        };
        let space = Space::of(&originals, true);
        // The first row lacks its second number: the others are as far from it as their first numbers are.
        assert_eq!(space.neighbours(1), [[1], [0], [0]]);
        assert!((space.distance(0, 2) - space.distance(1, 2)).abs() < 1e-12);
        let mut made = Vec::new();
        space.between(1, 0, &[0], 0.5, &mut made);
        assert_eq!(made, [1.0, 5.0]);
        space.between(0, 1, &[1], 0.5, &mut made);
        assert!(made[3].is_nan());
    }

    #[test]
    fn a_minority_of_one_row_makes_none() {
        let originals = Originals {
            values: &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            labels: &[true, false, false],
            columns: &NUMBERS,
        };
        assert!(smote(5, 1.0).rows(&originals).values.is_empty());
    }

    #[test]
    fn the_seed_alone_decides() {
        let (values, labels) = cloud();
        let originals = Originals {
            values: &values,
            labels: &labels,
            columns: &NUMBERS,
        };
        let first = smote(5, 1.0).rows(&originals).values;
        assert_eq!(first, smote(5, 1.0).rows(&originals).values);
        let other = Smote {
            seed: 9,
            ..smote(5, 1.0)
        };
        assert_ne!(first, other.rows(&originals).values);
    }
}
