//! How good it is: ranking first, then the probabilities themselves.

use holdfast_records::evaluation::{Evaluation, Measured};

use super::NO_EVALUATION;
use crate::service::figures::{count, four, p_value, percent_with_interval, with_interval};
use crate::service::model_card::CardFacts;
use crate::service::model_card::document::{Line, Section, Table};
use crate::service::plots::Plot;

type Figure = (&'static str, fn(&Measured) -> String);

/// Rows of the table of figures.
const FIGURES: [Figure; 10] = [
    ("ROC-AUC", |measured| with_interval(&measured.roc_auc)),
    ("PR-AUC (average precision)", |measured| with_interval(&measured.pr_auc)),
    ("F1 at the threshold", |measured| with_interval(&measured.f1)),
    ("precision: labelled customers who leave", |measured| {
        percent_with_interval(&measured.precision)
    }),
    ("recall: leaving customers found", |measured| {
        percent_with_interval(&measured.recall)
    }),
    ("accuracy: labels that are right", |measured| {
        percent_with_interval(&measured.accuracy)
    }),
    ("log-loss, nats", |measured| with_interval(&measured.log_loss)),
    ("Brier score", |measured| with_interval(&measured.brier)),
    ("expected calibration error", |measured| {
        four(measured.calibration_error)
    }),
    ("lift of the top tenth", |measured| {
        with_interval(&measured.top_decile_lift)
    }),
];

/// Figures beside those of the baseline and the champion.
pub(super) fn ranking(facts: &CardFacts, plots: &[Plot]) -> Section {
    let mut section = Section::new("Quality");
    let Some(evaluation) = &facts.evaluation else {
        section.notice(NO_EVALUATION);
        return section;
    };
    let full = &evaluation.full;
    section.text(format!(
        "Measured on {} test customers, {} of whom left; brackets hold 95 % intervals (ROC-AUC: DeLong; shares: Wilson; all others: bootstrap of {} draws).",
        count(full.rows),
        count(full.positives),
        evaluation.replicates
    ));
    section.table(figures(evaluation));
    section.list(comparisons(evaluation));
    if let Some(uses) = facts
        .version
        .decisions
        .iter()
        .rev()
        .find_map(|decision| decision.test_snapshot_uses)
    {
        if uses > 1 {
            section.notice(uses_of_test(uses));
        } else {
            section.text(uses_of_test(uses));
        }
    } else {
        section.notice("How many versions had been judged on this test set before is not recorded.");
    }
    section.plots(plots, &["roc.svg", "precision_recall.svg", "gain.svg", "lift.svg"]);
    section
}

fn figures(evaluation: &Evaluation) -> Table {
    let mut table = Table::new([
        "figure",
        "this version, all features",
        "this version, required features only",
        "logistic baseline",
        "champion then",
    ]);
    let mut subjects = vec![&evaluation.full, &evaluation.required_only, &evaluation.baseline];
    match &evaluation.champion {
        Some(champion) => subjects.push(&champion.measured),
        None => table.head.truncate(subjects.len() + 1),
    }
    for (name, of) in FIGURES {
        let figures = subjects.iter().map(|measured| of(measured).into());
        table.rows.push(std::iter::once(name.into()).chain(figures).collect());
    }
    table
}

fn comparisons(evaluation: &Evaluation) -> Vec<Line> {
    let mut found: Vec<Line> = vec![
        format!(
            "Against the logistic regression that every version must beat: ROC-AUC {} against {}, p = {} of a one-sided DeLong test.",
            four(evaluation.full.roc_auc.value),
            four(evaluation.baseline.roc_auc.value),
            p_value(evaluation.baseline_p_value)
        )
        .into(),
    ];
    match &evaluation.champion {
        Some(champion) => found.push(
            format!(
                "Against version {}, the champion at the time, on the same rows: ROC-AUC differs by {}, p = {} of a one-sided DeLong test for being better; PR-AUC \
                 differs by {}.",
                champion.version,
                with_interval(&champion.roc_auc_delta),
                p_value(champion.roc_auc_p_value),
                with_interval(&champion.pr_auc_delta)
            )
            .into(),
        ),
        None => found.push("There was no champion to compare with.".into()),
    }
    if let Some(window) = &evaluation.newest_window {
        found.push(
            format!(
                "On {} customers of the newest labelled window, {} of whom left: ROC-AUC {} against {} of the champion.",
                count(window.rows),
                count(window.positives),
                with_interval(&window.roc_auc),
                with_interval(&window.champion_roc_auc)
            )
            .into(),
        );
    }
    found
}

fn uses_of_test(uses: u32) -> String {
    match uses {
        0 | 1 => "This is the first version that was judged on this test set.".to_owned(),
        uses => format!(
            "This test set has been used {uses} times, this version included. Figures of the {uses}th version on the same test set are optimistic: the more \
             versions are chosen by it, the less its rows are untouched."
        )
        .replace("2th", "2nd")
        .replace("12nd", "12th")
        .replace("3th", "3rd")
        .replace("13rd", "13th"),
    }
}

/// Whether probabilities can be taken at their word.
pub(super) fn probabilities(facts: &CardFacts, plots: &[Plot]) -> Section {
    let mut section = Section::new("Calibration");
    let Some(evaluation) = &facts.evaluation else {
        section.notice(NO_EVALUATION);
        return section;
    };
    let check = &evaluation.calibration;
    let method = match check.method.as_str() {
        "none" => "Raw probabilities are answered as they are.".to_owned(),
        "platt" => "Probabilities are calibrated by Platt scaling.".to_owned(),
        "isotonic" => "Probabilities are calibrated by isotonic regression.".to_owned(),
        other => format!("Probabilities are calibrated by {other}."),
    };
    section.text(method);
    let mut table = Table::new(["expected calibration error", "before calibration", "as answered"]);
    table.row([
        "on the test rows".into(),
        four(check.error_before).into(),
        four(evaluation.full.calibration_error).into(),
    ]);
    if let Some(held_out) = &check.held_out {
        table.row([
            format!(
                "on {} training rows, scored by fits that had not seen them",
                count(held_out.rows)
            )
            .into(),
            four(held_out.error_before).into(),
            four(held_out.error_after).into(),
        ]);
        table.row([
            "log-loss on the same".into(),
            four(held_out.log_loss_before).into(),
            four(held_out.log_loss_after).into(),
        ]);
    }
    section.table(table);
    let error = evaluation.full.calibration_error;
    let verdict = if error > check.error_by_chance_upper {
        "larger than chance explains"
    } else {
        "within what chance explains"
    };
    section.text(format!(
        "On so few rows even perfect probabilities have an error: {} on average, more than {} in one of twenty tests. The error of {} is {verdict}.",
        four(check.error_by_chance),
        four(check.error_by_chance_upper),
        four(error)
    ));
    if check.held_out.is_none() {
        section.text("Calibration on the training side is not recorded.");
    }
    section.plots(plots, &["reliability.svg"]);
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_counted_in_words_that_read() {
        assert_eq!(
            uses_of_test(1),
            "This is the first version that was judged on this test set."
        );
        for (uses, ordinal) in [
            (2, "2nd"),
            (3, "3rd"),
            (4, "4th"),
            (12, "12th"),
            (13, "13th"),
            (22, "22nd"),
        ] {
            let text = uses_of_test(uses);
            assert!(text.contains(&format!("used {uses} times")), "{text}");
            assert!(text.contains(&format!("of the {ordinal} version")), "{text}");
        }
    }
}
