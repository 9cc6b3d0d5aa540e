//! The gate's checks, one function each.

use super::evidence::{Evaluation, PairedComparison, Quality};
use super::{CurrentChampion, GateCheck, GatePolicy};

fn check(name: &str, passed: bool, measured: f64, limit: f64, message: String) -> GateCheck {
    GateCheck {
        name: name.to_owned(),
        passed,
        measured,
        limit,
        message,
    }
}

/// Every number is finite, in its range and consistent with the others.
pub(super) fn numbers_are_possible(evaluation: &Evaluation) -> GateCheck {
    let mut wrong = Vec::new();
    possible("full", &evaluation.full, &mut wrong);
    possible("required_only", &evaluation.required_only, &mut wrong);
    possible("baseline", &evaluation.baseline, &mut wrong);
    if !(0.0..=1.0).contains(&evaluation.baseline_p_value) {
        wrong.push("baseline_p_value is not a probability".to_owned());
    }
    for (name, other) in [
        ("required_only", &evaluation.required_only),
        ("baseline", &evaluation.baseline),
    ] {
        if (other.rows, other.positives) != (evaluation.full.rows, evaluation.full.positives) {
            wrong.push(format!("{name} was measured on other rows than full"));
        }
    }
    for (name, paired) in [
        ("champion", &evaluation.champion),
        ("newest_window", &evaluation.newest_window),
    ] {
        if let Some(paired) = paired {
            possible_pair(name, paired, &mut wrong);
        }
    }
    for slice in evaluation.slices.iter().filter(|slice| !slice.too_small) {
        possible(
            &format!("slice {} = {}", slice.column, slice.group),
            &slice.quality,
            &mut wrong,
        );
    }
    if let Some(paired) = &evaluation.champion
        && (paired.snapshot != evaluation.test_snapshot || paired.candidate_quality != evaluation.full)
    {
        wrong.push("champion was compared on other rows than the test snapshot".to_owned());
    }
    let message = if wrong.is_empty() {
        "every number is finite, in range and consistent".to_owned()
    } else {
        wrong.join("; ")
    };
    #[expect(clippy::cast_precision_loss, reason = "a handful of findings")]
    let count = wrong.len() as f64;
    check("numbers_are_possible", wrong.is_empty(), count, 0.0, message)
}

fn possible(name: &str, quality: &Quality, wrong: &mut Vec<String>) {
    let shares = [
        ("roc_auc", quality.roc_auc),
        ("roc_auc_lower", quality.roc_auc_lower),
        ("roc_auc_upper", quality.roc_auc_upper),
        ("pr_auc", quality.pr_auc),
        ("brier", quality.brier),
        ("calibration_error", quality.calibration_error),
        ("f1", quality.f1),
        ("accuracy", quality.accuracy),
        ("precision", quality.precision),
        ("recall", quality.recall),
    ];
    for (field, value) in shares {
        if !(0.0..=1.0).contains(&value) {
            wrong.push(format!("{name}.{field} is {value}, not between 0 and 1"));
        }
    }
    if !quality.log_loss.is_finite() || quality.log_loss < 0.0 {
        wrong.push(format!("{name}.log_loss is {}, not a finite loss", quality.log_loss));
    }
    if quality.positives == 0 || quality.positives >= quality.rows {
        wrong.push(format!(
            "{name} has {} positives in {} rows",
            quality.positives, quality.rows
        ));
    }
    if !(quality.roc_auc_lower <= quality.roc_auc && quality.roc_auc <= quality.roc_auc_upper) {
        wrong.push(format!("{name}.roc_auc lies outside its own interval"));
    }
}

fn possible_pair(name: &str, paired: &PairedComparison, wrong: &mut Vec<String>) {
    possible(&format!("{name}.candidate"), &paired.candidate_quality, wrong);
    possible(&format!("{name}.champion"), &paired.champion_quality, wrong);
    let (candidate, champion) = (&paired.candidate_quality, &paired.champion_quality);
    if (candidate.rows, candidate.positives) != (champion.rows, champion.positives) {
        wrong.push(format!("{name} was measured on different rows"));
    }
    let delta = candidate.roc_auc - champion.roc_auc;
    if (delta - paired.auc_delta).abs() > 1e-9 {
        wrong.push(format!("{name}.auc_delta is {}, not {delta}", paired.auc_delta));
    }
    if !(0.0..=1.0).contains(&paired.p_value) {
        wrong.push(format!("{name}.p_value is not a probability"));
    }
    if !paired.auc_delta_standard_error.is_finite() || paired.auc_delta_standard_error < 0.0 {
        wrong.push(format!("{name}.auc_delta_standard_error is not a finite error"));
    }
}

#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
pub(super) fn enough_positives(evaluation: &Evaluation, policy: &GatePolicy) -> GateCheck {
    let (found, least) = (evaluation.full.positives, policy.min_positives);
    let message = format!("{found} customers who left in the test rows, at least {least} needed");
    check("enough_positives", found >= least, found as f64, least as f64, message)
}

pub(super) fn beats_baseline(evaluation: &Evaluation, policy: &GatePolicy) -> GateCheck {
    let delta = evaluation.full.roc_auc - evaluation.baseline.roc_auc;
    let p_value = evaluation.baseline_p_value;
    let message = format!(
        "ROC-AUC {:.4} against {:.4} of the logistic baseline (p = {p_value:.3e}, needs p < {})",
        evaluation.full.roc_auc, evaluation.baseline.roc_auc, policy.alpha
    );
    let passed = delta > 0.0 && p_value < policy.alpha;
    check("beats_baseline", passed, p_value, policy.alpha, message)
}

pub(super) fn calibrated(evaluation: &Evaluation, policy: &GatePolicy) -> GateCheck {
    let (measured, limit) = (evaluation.full.calibration_error, policy.max_calibration_error);
    let message = format!("expected calibration error {measured:.4}, at most {limit} allowed");
    check("calibrated", measured <= limit, measured, limit, message)
}

/// The worst group that is large enough to judge. A group counts as worse only when the upper end of its 95 % interval
/// is: a hundred customers of one age say little about a difference of a few points.
pub(super) fn slices(evaluation: &Evaluation, policy: &GatePolicy) -> GateCheck {
    let limit = policy.max_slice_gap;
    let gap = |quality: &Quality| evaluation.full.roc_auc - quality.roc_auc_upper;
    let worst = evaluation
        .slices
        .iter()
        .filter(|slice| !slice.too_small)
        .max_by(|a, b| gap(&a.quality).total_cmp(&gap(&b.quality)));
    let Some(worst) = worst else {
        return check(
            "slices",
            true,
            0.0,
            limit,
            "no group is large enough to judge".to_owned(),
        );
    };
    let (measured, quality) = (gap(&worst.quality), &worst.quality);
    let message = format!(
        "{} = {} does worst: ROC-AUC {:.4}, at most {:.4} by its 95 % interval, which is {measured:+.4} below that of all rows, {limit} allowed",
        worst.column, worst.group, quality.roc_auc, quality.roc_auc_upper
    );
    check("slices", measured <= limit, measured, limit, message)
}

/// The evidence is about the champion in force and not about one that has been replaced since.
pub(super) fn compared_with(evaluation: &Evaluation, champion: &CurrentChampion) -> GateCheck {
    let in_force = champion.model.version.0;
    let compared = evaluation.champion.as_ref().map(|paired| &paired.champion);
    let windows_too = evaluation
        .newest_window
        .as_ref()
        .is_none_or(|paired| paired.champion == champion.model);
    let passed = compared == Some(&champion.model) && windows_too;
    let version = compared.map_or(0, |model| model.version.0);
    let message = if passed {
        format!("compared with version {in_force}, the champion in force")
    } else {
        format!("compared with version {version}, but version {in_force} is the champion in force: evaluate again")
    };
    check(
        "champion_is_current",
        passed,
        f64::from(version),
        f64::from(in_force),
        message,
    )
}

pub(super) fn better_than_champion(evaluation: &Evaluation, policy: &GatePolicy) -> GateCheck {
    let name = "better_than_champion";
    let Some(paired) = &evaluation.champion else {
        return check(
            name,
            false,
            0.0,
            policy.alpha,
            "not compared with the champion".to_owned(),
        );
    };
    let (delta, p_value) = (paired.auc_delta, paired.p_value);
    let significant = delta > 0.0 && p_value < policy.alpha;
    let message = format!(
        "ROC-AUC {:.4} against {:.4} of the champion on {} rows: {delta:+.4} (p = {p_value:.3e}); needs p < {} or a gain of {}",
        paired.candidate_quality.roc_auc,
        paired.champion_quality.roc_auc,
        paired.candidate_quality.rows,
        policy.alpha,
        policy.auc_margin
    );
    check(
        name,
        significant || delta >= policy.auc_margin,
        p_value,
        policy.alpha,
        message,
    )
}

pub(super) fn not_worse_on_newest_window(evaluation: &Evaluation, policy: &GatePolicy) -> Option<GateCheck> {
    let paired = evaluation.newest_window.as_ref()?;
    let (delta, limit) = (paired.auc_delta, -policy.window_margin);
    let message = format!(
        "ROC-AUC {:.4} against {:.4} of the champion on the newest labelled window of {} rows: {delta:+.4}, at least {limit:+} needed",
        paired.candidate_quality.roc_auc, paired.champion_quality.roc_auc, paired.candidate_quality.rows
    );
    Some(check(
        "not_worse_on_newest_window",
        delta >= limit,
        delta,
        limit,
        message,
    ))
}
