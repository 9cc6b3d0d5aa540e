//! The distinct questions of a member's trees, each answered once a row and not once a node.
//!
//! A model of 400 trees has some 10,000 splits and a few thousand distinct ones: the same column, the same bound, the same rule for missing
//! values. They are numbered here; a split is then a number, and walking a tree compares nothing any more. Numeric questions of one column
//! and rule stand side by side in the order of their bounds, so that counting answers them all: the bounds that are at most `x`, the first
//! `rank` of them, send the row right, all others left.

use super::complete::{Answers, ROOM};
use super::lanes::{Lanes, WORD_ROWS};
use super::ranks::SortedBounds;
use super::split::{Code, CodeSet, NumericRule, Question, code};
use crate::ensemble::{Comparison, TreeEnsemble};
use crate::preprocess::{MAX_CATEGORIES, MAX_COLUMNS, Row};

/// A column's index is cut to this, so that the compiler sees it inside the row; validation has checked it already.
const COLUMN_MASK: usize = MAX_COLUMNS - 1;

/// Answers that are written at once.
const CHUNK: usize = 32;

/// As many rights as lefts: from the right place on, the answers of a chunk in which a rank lies.
const STEPS: [bool; 2 * CHUNK] = {
    let mut steps = [false; 2 * CHUNK];
    let mut index = 0;
    while index < CHUNK {
        steps[index] = true;
        index += 1;
    }
    steps
};

/// All questions of a member. Numeric ones come first, in the order of `bounds`; `sets` follow.
#[derive(Debug)]
pub(crate) struct Predicates {
    rounds_to_f32: bool,
    ranges: Vec<Range>,
    bounds: Vec<f64>,
    sets: Vec<CodeSet>,
}

/// The numeric questions of one column and rule.
#[derive(Debug)]
struct Range {
    rule: NumericRule,
    start: usize,
    end: usize,
    sorted: SortedBounds,
}

impl Predicates {
    /// Collects the questions of validated trees.
    pub(crate) fn new(trees: &TreeEnsemble) -> Self {
        let mut numeric: Vec<(NumericRule, f64)> = Vec::new();
        let mut sets = Vec::new();
        for at in 0..trees.nodes.len() {
            match Question::of(trees, at) {
                Some(Question::Less(rule, bound)) => numeric.push((rule, bound)),
                Some(Question::In(set)) => sets.push(set),
                None => {}
            }
        }
        // No bound is NaN, and the two zeros ask the same: adding a zero makes them one.
        numeric.iter_mut().for_each(|(_, bound)| *bound += 0.0);
        numeric.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        numeric.dedup();
        sets.sort_unstable();
        sets.dedup();
        let bounds: Vec<f64> = numeric.iter().map(|(_, bound)| *bound).collect();
        let rounds_to_f32 = trees.comparison() == Comparison::LessThanF32;
        let mut ranges = Vec::new();
        let mut start = 0;
        for own in numeric.chunk_by(|one, other| one.0 == other.0) {
            let end = start + own.len();
            ranges.push(Range {
                rule: own[0].0,
                start,
                end,
                sorted: SortedBounds::new(&bounds[start..end], rounds_to_f32),
            });
            start = end;
        }
        Self {
            rounds_to_f32,
            ranges,
            bounds,
            sets,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.bounds.len() + self.sets.len()
    }

    /// The number of a question of the trees that this was made from.
    pub(crate) fn number(&self, question: Question) -> usize {
        match question {
            Question::Less(rule, bound) => {
                let range = &self.ranges[self.ranges.partition_point(|range| range.rule < rule)];
                range.start + self.bounds[range.start..range.end].partition_point(|own| *own < bound)
            }
            Question::In(set) => self.bounds.len() + self.sets.partition_point(|own| *own < set),
        }
    }

    /// Answers all questions for one row: whether it goes right. There must be fewer questions than answers, by [`ROOM`]; what lies behind them is
    /// overwritten.
    pub(super) fn answer_row(&self, row: &Row, right: &mut Answers) {
        for range in &self.ranges {
            let mut rights = self.rank(range, row[range.rule.column & COLUMN_MASK]);
            // Whole chunks are written: what is too much is written again with the next range, and the last one ends long before `right` does.
            for start in (range.start..range.end).step_by(CHUNK) {
                let answers = STEPS[CHUNK - rights.min(CHUNK)..].first_chunk::<CHUNK>();
                if let (Some(chunk), Some(answers)) = (right[start..].first_chunk_mut(), answers) {
                    *chunk = *answers;
                }
                rights = rights.saturating_sub(CHUNK);
            }
        }
        for (right, set) in right[self.bounds.len()..].iter_mut().zip(&self.sets) {
            *right = !set.goes_left(row[set.column & COLUMN_MASK]);
        }
    }

    /// Answers all questions for up to 64 rows a word: by question, a set bit for each row that goes right.
    #[inline(always)]
    pub(crate) fn answer_rows<const WORDS: usize>(&self, rows: &[Row]) -> Vec<Lanes<WORDS>> {
        // Whoever chooses among the answers puts more words behind them.
        let mut right = Vec::with_capacity(self.len() + ROOM);
        right.resize(self.len(), Lanes::NONE);
        let (numeric, sets) = right.split_at_mut(self.bounds.len());
        for range in &self.ranges {
            self.answer_range(range, rows, &mut numeric[range.start..range.end]);
        }
        for (word, rows) in rows.chunks(WORD_ROWS).take(WORDS).enumerate() {
            self.answer_sets(rows, sets, word);
        }
        right
    }

    #[inline(always)]
    fn answer_range<const WORDS: usize>(&self, range: &Range, rows: &[Row], right: &mut [Lanes<WORDS>]) {
        // A row's bit goes to the last bound that sends it right, and from there to all before. Ranks first: bits that meet in one word wait for each other,
        // and the search for the next rank should not wait with them.
        let mut ranks = [0; WORD_ROWS];
        for (word, rows) in rows.chunks(WORD_ROWS).take(WORDS).enumerate() {
            for (rank, row) in ranks.iter_mut().zip(rows) {
                *rank = self.rank(range, row[range.rule.column & COLUMN_MASK]);
            }
            for (bit, rank) in ranks[..rows.len()].iter().enumerate() {
                if let Some(own) = rank.checked_sub(1).and_then(|last| right.get_mut(last)) {
                    own.0[word] |= 1 << bit;
                }
            }
        }
        let mut above = Lanes::NONE;
        for own in right.iter_mut().rev() {
            above.join(own);
            *own = above;
        }
    }

    #[inline(always)]
    fn answer_sets<const WORDS: usize>(&self, rows: &[Row], right: &mut [Lanes<WORDS>], word: usize) {
        let mut column = usize::MAX;
        let mut rows_of = RowsOfCodes::NONE;
        for (right, set) in right.iter_mut().zip(&self.sets) {
            if set.column != column {
                column = set.column;
                rows_of = RowsOfCodes::of(rows, column & COLUMN_MASK);
            }
            right.0[word] = !rows_of.going_left(set);
        }
    }

    /// How many bounds of the range send `x` right.
    #[inline(always)]
    fn rank(&self, range: &Range, x: f64) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "rounding to 32 bits is what this is for")]
        let x = if self.rounds_to_f32 { f64::from(x as f32) } else { x };
        if range.rule.is_missing(x) {
            return if range.rule.missing_left {
                0
            } else {
                range.end - range.start
            };
        }
        range.sorted.at_most(x)
    }
}

/// Of one column: the rows that hold each code, one bit a row.
struct RowsOfCodes {
    listed: [u64; MAX_CATEGORIES],
    unlisted: u64,
    missing: u64,
}

impl RowsOfCodes {
    const NONE: Self = Self {
        listed: [0; MAX_CATEGORIES],
        unlisted: 0,
        missing: 0,
    };

    fn of(rows: &[Row], column: usize) -> Self {
        let mut sorted = Self::NONE;
        for (bit, row) in rows.iter().enumerate() {
            let place = match code(row[column]) {
                Code::Listed(code) => &mut sorted.listed[code % MAX_CATEGORIES],
                Code::Unlisted => &mut sorted.unlisted,
                Code::Missing => &mut sorted.missing,
            };
            *place |= 1 << bit;
        }
        sorted
    }

    fn going_left(&self, set: &CodeSet) -> u64 {
        let mut rows = 0;
        if set.unlisted_left {
            rows |= self.unlisted;
        }
        if set.missing_left {
            rows |= self.missing;
        }
        let mut left = set.left;
        while left != 0 {
            rows |= self.listed[left.trailing_zeros() as usize];
            left &= left - 1;
        }
        rows
    }
}
