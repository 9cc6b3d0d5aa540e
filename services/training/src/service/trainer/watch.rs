//! Looking at rows held out while trees are grown, to stop when they gain nothing more.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use hessboost::metric::Metric;
use holdfast_model::metrics::roc_auc;

use super::sample::Sample;

/// Told the number of trees and the mean ROC-AUC of the rows that are watched; answers whether to go on.
pub(super) type Look<'a> = &'a mut (dyn FnMut(usize, f64) -> ControlFlow<()> + Send);

/// What is watched while trees are grown.
pub(super) struct Watch<'a> {
    /// Rows held out, as the recipe's estimators see them: once or in several forms, of which the mean counts.
    pub(super) rows: &'a [Sample],
    /// Numbers of trees at which to look, ascending.
    pub(super) counts: &'a [usize],
    /// Who looks.
    pub(super) look: Look<'a>,
}

impl Watch<'_> {
    /// The measure that the engine is to take of each form of the rows.
    pub(super) fn metric(&self) -> AreaAtCounts {
        AreaAtCounts {
            counts: self.counts.to_vec(),
            forms: self.rows.len().max(1),
            asked: AtomicUsize::new(0),
        }
    }

    /// Whether the one who looks has seen enough after so many trees. `values` are the engine's measures, form after form, ours the last of each.
    #[expect(clippy::cast_precision_loss, reason = "one form or two")]
    pub(super) fn has_enough(&mut self, trees: usize, values: &[f64]) -> bool {
        if self.counts.binary_search(&trees).is_err() {
            return false;
        }
        let measures = (values.len() / self.rows.len().max(1)).max(1);
        let ours = values.chunks(measures).filter_map(|of_form| of_form.last());
        let mean = ours.sum::<f64>() / self.rows.len().max(1) as f64;
        (self.look)(trees, mean).is_break()
    }
}

/// ROC-AUC, after some numbers of trees only: it sorts all rows, which at every tree would cost as much as the tree.
pub(super) struct AreaAtCounts {
    counts: Vec<usize>,
    forms: usize,
    /// The engine asks once a tree and form, in order, and does not say for which tree.
    asked: AtomicUsize,
}

impl Metric for AreaAtCounts {
    fn name(&self) -> &'static str {
        "area at counts"
    }

    fn maximize(&self) -> bool {
        true
    }

    fn eval(&self, predictions: &[f32], labels: &[f32], _: Option<&[f32]>) -> f64 {
        let trees = self.asked.fetch_add(1, Ordering::Relaxed) / self.forms + 1;
        if self.counts.binary_search(&trees).is_err() {
            return f64::NAN;
        }
        let labels: Vec<bool> = labels.iter().map(|label| *label > 0.5).collect();
        let predictions: Vec<f64> = predictions.iter().map(|answer| f64::from(*answer)).collect();
        roc_auc(&labels, &predictions).unwrap_or(f64::NAN)
    }
}
