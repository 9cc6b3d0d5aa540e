//! Running estimators on rows of columns: flat arrays, no allocation, no lookup, missing values included.
//!
//! The order of every sum is fixed, so that a row scores to the same bits alone, in a batch and on any machine: a member's leaves
//! are added up from zero in tree order, divided by the number of trees if the mean is asked for, and added to its base margin; members'
//! margins times their weights are added up from zero in member order. Every kernel of this module keeps that order.
//!
//! What a member's trees ask is collected when the model is loaded ([`predicates`]), each question once ([`split`]), and answered once a row. Shallow trees
//! are padded and run without a branch, for one row or for hundreds at a time ([`complete`], [`lanes`]); trees of any other shape are walked node by
//! node ([`flat`]). Where no tree has more than 64 leaves, one row is faster still when leaves are ruled out instead ([`exits`]). [`trees`] chooses.

mod complete;
mod exits;
mod flat;
mod lanes;
mod predicates;
mod ranks;
mod split;
mod trees;

use crate::ensemble::{Ensemble, Estimator, LogisticCoefficients};
use crate::preprocess::Row;

pub(crate) use lanes::{Lanes, WORD_ROWS};
pub(crate) use predicates::Predicates;
pub(crate) use split::Question;
pub(crate) use trees::{BLOCK_ROWS, PackedTrees};

/// An ensemble in the form that is fastest to walk.
#[derive(Debug)]
pub(crate) struct Scorer {
    members: Vec<(f64, Machine)>,
}

/// One member, ready to run.
#[derive(Debug)]
pub(crate) enum Machine {
    Trees(Box<PackedTrees>),
    Linear(LogisticCoefficients),
}

impl Scorer {
    /// Packs a validated ensemble.
    pub(crate) fn new(ensemble: &Ensemble) -> Self {
        let members = ensemble.members.iter().map(|member| {
            let machine = match &member.estimator {
                Estimator::Trees(trees) => Machine::Trees(Box::new(PackedTrees::new(trees))),
                Estimator::Logistic(linear) => Machine::Linear(linear.clone()),
            };
            (member.weight, machine)
        });
        Self {
            members: members.collect(),
        }
    }

    /// Weights and members, in the order in which they are added up.
    pub(crate) fn members(&self) -> &[(f64, Machine)] {
        &self.members
    }

    /// The margin of one row.
    pub(crate) fn margin(&self, row: &Row) -> f64 {
        self.members
            .iter()
            .fold(0.0, |sum, (weight, machine)| sum + weight * machine.margin(row))
    }

    /// The margins of rows, the same bits as [`margin`](Self::margin) gives for each; at best [`BLOCK_ROWS`] at once.
    pub(crate) fn margins(&self, rows: &[Row], margins: &mut [f64]) {
        let count = rows.len().min(margins.len());
        let (rows, margins) = (&rows[..count], &mut margins[..count]);
        margins.fill(0.0);
        let mut of_member = [0.0; BLOCK_ROWS];
        for (rows, margins) in rows.chunks(BLOCK_ROWS).zip(margins.chunks_mut(BLOCK_ROWS)) {
            let of_member = &mut of_member[..rows.len()];
            for (weight, machine) in &self.members {
                machine.margins(rows, of_member);
                for (sum, margin) in margins.iter_mut().zip(&*of_member) {
                    *sum += weight * margin;
                }
            }
        }
    }
}

impl Machine {
    fn margin(&self, row: &Row) -> f64 {
        match self {
            Machine::Trees(trees) => trees.margin(row),
            Machine::Linear(linear) => linear.margin(row),
        }
    }

    fn margins(&self, rows: &[Row], margins: &mut [f64]) {
        match self {
            Machine::Trees(trees) => trees.margins(rows, margins),
            Machine::Linear(linear) => {
                for (margin, row) in margins.iter_mut().zip(rows) {
                    *margin = linear.margin(row);
                }
            }
        }
    }
}
