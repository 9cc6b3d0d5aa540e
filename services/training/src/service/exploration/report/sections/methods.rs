//! How it was computed.

use super::super::Section;
use super::super::markup::{Element, element, text_in};
use super::super::numerals::percent;
use crate::service::exploration::advice::{IMBALANCED_BELOW, PLAIN_DISTANCE};
use crate::service::exploration::leakage::{GIVES_AWAY_AUC, NEARLY_CONSTANT, ORDER_AUC, PURE_SHARE, SUSPICIOUS_AUC};
use crate::service::exploration::{Exploration, FamilyComparison};

pub(super) fn section(found: &Exploration) -> Section {
    let mut notes = vec![
        note(
            "Rows",
            "Rows without a usable target and later rows of a customer who is there already are left out, so that nobody is learnt from and tested on. Values that the \
             schema refuses count as missing."
                .to_owned(),
        ),
        note(
            "A column on its own",
            format!(
                "ROC-AUC of its values, and of the churn rate of its value’s bin as the other half of the rows has it (up to 20 bins, gaps a bin of their own); the larger one \
                 counts, with DeLong’s interval. Lower end at {GIVES_AWAY_AUC}: leak. At {SUSPICIOUS_AUC}, or {} of the rarer class in values that are 95 % of that class: to be \
                 explained. Order of an identifier or of the rows: from {ORDER_AUC}. Nearly constant: {} of the rows alike. Information values have ½ added to each count; they \
                 are shown and decide nothing, because good behavioural columns exceed the usual limits.",
                percent(PURE_SHARE),
                percent(NEARLY_CONSTANT)
            ),
        ),
        note(
            "Numbers",
            format!(
                "Two-sample Kolmogorov–Smirnov distance and p-value, adjusted over all numbers (Benjamini & Hochberg 1995); Cliff’s delta, called small from 0.147, medium from \
                 0.33 and large from 0.474 (Romano et al. 2006). A distance from {PLAIN_DISTANCE} on is called plain."
            ),
        ),
        note(
            "Categories",
            "Wilson’s 95 % intervals; Pearson’s chi-squared test of independence, adjusted over all category columns; Cramér’s V.".to_owned(),
        ),
        note(
            "Likeness",
            "Spearman’s correlation with mid-ranks, over rows that have both values; near duplicates exceed 0.98 in size by rank, by line (Pearson) or, for categories, by Cramér’s \
             V. Columns computed from two others are found by trying every sum, difference, product and quotient to the column’s own digits."
                .to_owned(),
        ),
    ];
    notes.extend(found.families.as_ref().map(models));
    notes.push(note(
        "Advice",
        format!(
            "Made by fixed rules. Imbalance is spoken of below a churn rate of {}.",
            percent(IMBALANCED_BELOW)
        ),
    ));
    Section {
        anchor: "methods",
        title: "How this was computed",
        body: vec![element("dl").class("methods").children(notes)],
    }
}

fn models(families: &FamilyComparison) -> Element {
    note(
        "Models",
        format!(
            "Parameter sets of the product’s presets, {} folds, {} repetitions. Differences are tested by the corrected resampled t-test (Nadeau & Bengio 2003; Bouckaert & Frank \
             2004): folds share training rows, and the plain paired t-test takes them to be independent and finds far too much. p-values are adjusted over each table (Benjamini & \
             Hochberg 1995); a difference is found below 0.05. Seconds are one fit’s on one thread of this machine, and the only numbers here that another run will not repeat.",
            families.folds, families.repeats
        ),
    )
}

fn note(term: &str, text: String) -> Element {
    element("div").child(text_in("dt", term)).child(text_in("dd", text))
}
