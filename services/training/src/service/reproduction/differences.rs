//! Where two artefacts differ, part by part, in words.

use holdfast_model::{Estimator, Member, Model};

/// The parts in which the rebuilt artefact differs from the registered one. Call it only for different bytes: when no part differs, the encoding
/// does.
pub(super) fn between(registered: &Model, rebuilt: &Model) -> Vec<String> {
    let mut found = Vec::new();
    let mut differ = |name: &str, differs: bool, detail: Option<String>| {
        if differs {
            found.push(match detail {
                Some(detail) => format!("{name}: {detail}"),
                None => name.to_owned(),
            });
        }
    };
    let signature = (registered.signature(), rebuilt.signature());
    differ("signature", signature.0 != signature.1, inputs(registered, rebuilt));
    let steps = (registered.preprocessing(), rebuilt.preprocessing());
    differ("preprocessing", steps.0 != steps.1, None);
    let ensembles = (registered.ensemble(), rebuilt.ensemble());
    differ("ensemble", ensembles.0 != ensembles.1, members(registered, rebuilt));
    let calibrations = (registered.calibration(), rebuilt.calibration());
    differ("calibration", calibrations.0 != calibrations.1, None);
    let thresholds = (registered.threshold_policy(), rebuilt.threshold_policy());
    let values = format!("{} registered, {} rebuilt", thresholds.0.value, thresholds.1.value);
    differ("threshold", thresholds.0 != thresholds.1, Some(values));
    differ("profile", registered.profile() != rebuilt.profile(), None);
    differ(
        "golden rows",
        registered.golden_rows() != rebuilt.golden_rows(),
        golden(registered, rebuilt),
    );
    differ(
        "origin",
        registered.origin() != rebuilt.origin(),
        origin(registered, rebuilt),
    );
    if found.is_empty() {
        found.push("encoding: every part is the same, and written to other bytes".to_owned());
    }
    found
}

fn inputs(registered: &Model, rebuilt: &Model) -> Option<String> {
    let (a, b) = (&registered.signature().inputs, &rebuilt.signature().inputs);
    if a.len() != b.len() {
        return Some(format!("{} inputs registered, {} rebuilt", a.len(), b.len()));
    }
    let names: Vec<&str> = a
        .iter()
        .zip(b)
        .filter(|(a, b)| a != b)
        .map(|(a, _)| a.feature.name())
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn members(registered: &Model, rebuilt: &Model) -> Option<String> {
    let (a, b) = (&registered.ensemble().members, &rebuilt.ensemble().members);
    if a.len() != b.len() {
        return Some(format!("{} members registered, {} rebuilt", a.len(), b.len()));
    }
    let other = |place: usize| format!("member {place}{}", trees(&a[place], &b[place]));
    let found: Vec<String> = (0..a.len()).filter(|place| a[*place] != b[*place]).map(other).collect();
    (!found.is_empty()).then(|| found.join("; "))
}

fn trees(registered: &Member, rebuilt: &Member) -> String {
    let (Estimator::Trees(a), Estimator::Trees(b)) = (&registered.estimator, &rebuilt.estimator) else {
        return String::new();
    };
    if a.tree_count() != b.tree_count() {
        return format!(": {} trees registered, {} rebuilt", a.tree_count(), b.tree_count());
    }
    let differing = a.trees().zip(b.trees()).filter(|(a, b)| a != b).count();
    format!(": {differing} of {} trees", a.tree_count())
}

fn golden(registered: &Model, rebuilt: &Model) -> Option<String> {
    let (a, b) = (registered.golden_rows(), rebuilt.golden_rows());
    if a.len() != b.len() {
        return Some(format!("{} rows registered, {} rebuilt", a.len(), b.len()));
    }
    let differing = a.iter().zip(b).filter(|(a, b)| a != b).count();
    Some(format!("{differing} of {} rows", a.len()))
}

fn origin(registered: &Model, rebuilt: &Model) -> Option<String> {
    let (a, b) = (registered.origin(), rebuilt.origin());
    let mut found = Vec::new();
    if a.code_version != b.code_version {
        found.push(format!(
            "code version {} registered, {} rebuilt",
            a.code_version, b.code_version
        ));
    }
    for (name, differs) in [
        ("family", a.family != b.family),
        ("provenance", a.provenance != b.provenance),
        ("run", a.run_id != b.run_id),
        ("training snapshots", a.training_snapshots != b.training_snapshots),
        ("test snapshots", a.test_snapshots != b.test_snapshots),
        ("seed", a.seed != b.seed),
        ("parameters", a.parameters != b.parameters),
    ] {
        if differs {
            found.push(name.to_owned());
        }
    }
    (!found.is_empty()).then(|| found.join(", "))
}
