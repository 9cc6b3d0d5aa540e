//! Running estimators on rows of columns: flat arrays, no allocation, no lookup, missing values included.
//!
//! The order of every sum is fixed, so that a row scores to the same bits alone, in a batch and on any machine: a member's leaves
//! are added up from zero in tree order, divided by the number of trees if the mean is asked for, and added to its base margin; members'
//! margins times their weights are added up from zero in member order. A faster kernel (trees interleaved in blocks) belongs in this
//! module and must keep that order.

mod flat;

use crate::ensemble::{Ensemble, Estimator, LogisticCoefficients};
use crate::preprocess::Row;

pub(crate) use flat::FlatTrees;

/// Rows scored together: their columns and sums stay in the first-level cache while a tree is walked for all of them.
pub(crate) const BLOCK_ROWS: usize = 32;

/// An ensemble in the form that is fastest to walk.
#[derive(Debug)]
pub(crate) struct Scorer {
    members: Vec<(f64, Machine)>,
}

/// One member, ready to run.
#[derive(Debug)]
pub(crate) enum Machine {
    Trees(FlatTrees),
    Linear(LogisticCoefficients),
}

impl Scorer {
    /// Packs a validated ensemble.
    pub(crate) fn new(ensemble: &Ensemble) -> Self {
        let members = ensemble.members.iter().map(|member| {
            let machine = match &member.estimator {
                Estimator::Trees(trees) => Machine::Trees(FlatTrees::new(trees)),
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

    /// The margins of up to [`BLOCK_ROWS`] rows, the same bits as [`margin`](Self::margin) gives for each.
    pub(crate) fn margins(&self, rows: &[Row], margins: &mut [f64; BLOCK_ROWS]) {
        margins.fill(0.0);
        let mut of_member = [0.0; BLOCK_ROWS];
        for (weight, machine) in &self.members {
            machine.margins(rows, &mut of_member);
            for (sum, margin) in margins.iter_mut().zip(&of_member[..rows.len().min(BLOCK_ROWS)]) {
                *sum += weight * margin;
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

    fn margins(&self, rows: &[Row], margins: &mut [f64; BLOCK_ROWS]) {
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
