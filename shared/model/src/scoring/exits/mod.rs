//! Trees of at most 64 leaves, whatever their shape, for one row at a time: no tree is walked, leaves are ruled out.
//!
//! A set of bits stands for each tree: the leaves that may still be reached, the leftmost one first. A split that sends the row right rules out the
//! leaves on its left. Once every such split has had its say, the first leaf left is the one that the row reaches (Lucchese et al., *QuickScorer*,
//! 2015, <https://doi.org/10.1145/2766462.2767733>).
//!
//! What a column rules out in all trees depends on its value alone, so it is looked up and not worked out: the bounds of a column cut its values into
//! intervals, and a table has rows of bits for them, all trees beside each other. For a customer as many rows of the table are joined by *and* as there
//! are columns, word by word, without a branch and without waiting. A row for every interval would be megabytes: there is one every so many
//! splits, and the few between it and the value are applied one by one. Columns of few values share rows: one for each combination.

mod layout;
mod leaves;
#[cfg(test)]
mod tests;

use std::cell::RefCell;

use self::leaves::Leaves;
use super::ranks::SortedBounds;
use super::split::{Code, ZERO_THRESHOLD, code};
use crate::preprocess::{MAX_COLUMNS, Row};

/// A tree's bits must fit what is read at once.
const MAX_LEAVES: usize = 64;

/// Bits of a word. A tree takes whole words, so they are small.
const WORD_BITS: usize = 16;

/// The words of all trees must stay in the first-level cache.
const MAX_WORDS: usize = 1 << 13;

/// Words that are joined at once.
const BLOCK: usize = 64;

/// A column's index is cut to this, so that the compiler sees it inside the row; validation has checked it already.
const COLUMN_MASK: usize = MAX_COLUMNS - 1;

/// The leaves that a row may still reach. Behind the last tree's word a few more are read.
type Exits = [u16; MAX_WORDS + BLOCK];

thread_local! {
    /// Clearing so much for every row would take longer than the rest.
    static EXITS: RefCell<Exits> = const { RefCell::new([0; MAX_WORDS + BLOCK]) };
}

/// All trees of a member.
#[derive(Debug)]
pub(super) struct ExitTrees {
    /// The instructions of this machine.
    arch: pulp::Arch,
    rounds_to_f32: bool,
    columns: Vec<Column>,
    /// How many rows of the table are joined.
    lookups: usize,
    table: Vec<Block>,
    cuts: Vec<Cut>,
    /// Blocks of words that all trees take together.
    blocks: usize,
    leaves: Leaves,
}

/// Words side by side. A row of the table is one or more of them.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Block([u16; BLOCK]);

/// What a split rules out in one word: the bits that are not in `kept`.
#[derive(Clone, Copy, Debug)]
struct Cut {
    word: u16,
    kept: u16,
}

/// What a value rules out: a row of the table, and the cuts between that row's interval and the value's.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// The first block of the row; of a column that shares rows, its part of that number.
    block: u32,
    from: u32,
    to: u32,
}

impl Found {
    const NONE: Self = Self {
        block: 0,
        from: 0,
        to: 0,
    };
}

/// What the values of a column rule out.
#[derive(Debug)]
struct Column {
    index: usize,
    /// Which of the joined rows is chosen, by this column and those that share it.
    lookup: usize,
    missing: Found,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Numbers {
        bounds: SortedBounds,
        /// By the number of bounds that are at most the value.
        by_rank: Vec<Found>,
        /// For what is as good as zero, where that counts as missing.
        zero: Option<Found>,
    },
    Codes {
        /// By code; the last one stands for all codes that no split lists.
        by_code: Vec<Found>,
        unlisted: Found,
    },
}

/// What is compiled for each set of instructions, so everything that it calls is inlined.
struct Sum<'a> {
    trees: &'a ExitTrees,
    row: &'a Row,
    exits: &'a mut Exits,
}

impl pulp::WithSimd for Sum<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> f64 {
        self.trees.sum_in(self.row, self.exits)
    }
}

impl ExitTrees {
    /// The sum of the leaves that a row reaches: the bits that adding them in tree order gives.
    pub(super) fn sum(&self, row: &Row) -> f64 {
        EXITS.with_borrow_mut(|exits| {
            self.arch.dispatch(Sum {
                trees: self,
                row,
                exits,
            })
        })
    }

    #[inline(always)]
    fn sum_in(&self, row: &Row, exits: &mut Exits) -> f64 {
        // All columns first: what is looked up for one does not wait for the cuts of another.
        let mut all = [Found::NONE; MAX_COLUMNS];
        let mut chosen = [0; MAX_COLUMNS];
        for (found, column) in all.iter_mut().zip(&self.columns) {
            *found = self.find(column, row[column.index & COLUMN_MASK]);
            chosen[column.lookup % MAX_COLUMNS] += found.block as usize;
        }
        let chosen = &chosen[..self.lookups.min(MAX_COLUMNS)];
        exits[..self.blocks * BLOCK].fill(u16::MAX);
        for found in &all[..self.columns.len().min(MAX_COLUMNS)] {
            for cut in &self.cuts[found.from as usize..found.to as usize] {
                exits[usize::from(cut.word) % MAX_WORDS] &= cut.kept;
            }
        }
        match &self.leaves {
            Leaves::InOrder(leaves) => leaves.sum(exits, |block, exits| self.join(block, chosen, exits)),
            Leaves::InAnyOrder(leaves) => {
                for block in 0..self.blocks {
                    self.join(block, chosen, exits);
                }
                leaves.sum(exits)
            }
        }
    }

    /// Joins one block of words of all rows chosen.
    #[inline(always)]
    fn join(&self, block: usize, chosen: &[usize], exits: &mut Exits) {
        if let Some(exits) = exits.as_chunks_mut::<BLOCK>().0.get_mut(block) {
            let mut joined = *exits;
            for first in chosen {
                for (word, own) in joined.iter_mut().zip(&self.table[first + block].0) {
                    *word &= own;
                }
            }
            *exits = joined;
        }
    }

    #[inline(always)]
    fn find(&self, column: &Column, x: f64) -> Found {
        match &column.values {
            Values::Numbers { bounds, by_rank, zero } => {
                #[expect(clippy::cast_possible_truncation, reason = "rounding to 32 bits is what this is for")]
                let x = if self.rounds_to_f32 { f64::from(x as f32) } else { x };
                match zero {
                    Some(zero) if x.abs() <= ZERO_THRESHOLD => *zero,
                    _ if x.is_nan() => column.missing,
                    _ => by_rank[bounds.at_most(x)],
                }
            }
            Values::Codes { by_code, unlisted } => match code(x) {
                Code::Listed(code) => by_code[code.min(by_code.len() - 1)],
                Code::Unlisted => *unlisted,
                Code::Missing => column.missing,
            },
        }
    }
}
