//! What the version is, in short, and what it is for.

use holdfast_domain::Schema;
use holdfast_model::Provenance;

use super::{NO_EVALUATION, moment, recorded};
use crate::service::figures::{count, four, percent, with_interval};
use crate::service::model_card::CardFacts;
use crate::service::model_card::document::{Line, Section, Table};

pub(super) fn summary(facts: &CardFacts) -> Section {
    let mut section = Section::new("Summary");
    let version = &facts.version;
    let mut table = Table::new(["fact", "value"]);
    table.row(["model".into(), Line::code(&version.model)]);
    table.row(["version".into(), version.version.to_string().into()]);
    table.row(["artefact (SHA-256)".into(), facts_digest(facts)]);
    table.row([
        "size".into(),
        format!("{} bytes", count(version.artifact_size_bytes)).into(),
    ]);
    table.row(["kind of model".into(), kind(facts).into()]);
    table.row(["standing".into(), standing(facts)]);
    table.row(["made".into(), moment(version.created_at)]);
    table.row(["asked for by".into(), recorded(&version.created_by)]);
    table.row(["run".into(), Line::code(&version.run_id)]);
    table.row(["code version".into(), Line::code(&facts.model.origin().code_version)]);
    section.table(table);
    match &facts.evaluation {
        Some(evaluation) => section.list(headlines(evaluation)),
        None => section.notice(NO_EVALUATION),
    };
    section
}

fn facts_digest(facts: &CardFacts) -> Line {
    facts
        .version
        .artifact_digest
        .map_or_else(|| super::NOT_RECORDED.into(), Line::code)
}

/// What the estimators are, by the artefact.
fn kind(facts: &CardFacts) -> String {
    let members = facts.model.ensemble().members.len();
    let family = facts.version.family.replace('_', " ");
    let averaged = if members > 1 {
        format!(", {members} fits averaged")
    } else {
        String::new()
    };
    let origin = match facts.model.origin().provenance {
        Provenance::Trained => "",
        Provenance::ImportedXgboost => ", imported from an XGBoost model",
        Provenance::ImportedLightgbm => ", imported from a LightGBM model",
    };
    format!("{family}{averaged}{origin}")
}

fn standing(facts: &CardFacts) -> Line {
    match &facts.champion {
        Some(champion) if champion.id.version == facts.version.version => {
            format!("champion, generation {}", champion.generation).into()
        }
        Some(champion) => format!("not champion; version {} is", champion.id.version).into(),
        None => "not champion; there is none".into(),
    }
}

/// What matters most, one sentence each.
fn headlines(evaluation: &holdfast_records::evaluation::Evaluation) -> Vec<Line> {
    let (full, required) = (&evaluation.full, &evaluation.required_only);
    let counts = &full.confusion;
    let called = counts.true_positives + counts.false_positives;
    vec![
        format!(
            "On {} test customers, {} of whom left and none of whom it was trained on, it ranks leaving above staying customers with a ROC-AUC of {}; \
             with the required features only, {}.",
            count(full.rows),
            count(full.positives),
            with_interval(&full.roc_auc),
            with_interval(&required.roc_auc)
        )
        .into(),
        format!(
            "At its threshold it labels {} of these customers as leaving: {} of the {} who left are among them, and {} who stayed.",
            count(called),
            count(counts.true_positives),
            count(full.positives),
            count(counts.false_positives)
        )
        .into(),
        format!(
            "Its probabilities are off by {} on average (expected calibration error {}).",
            percent(full.calibration_error),
            four(full.calibration_error)
        )
        .into(),
        "Figures in brackets are 95 % intervals.".into(),
    ]
}

pub(super) fn purpose(facts: &CardFacts, schema: &Schema) -> Section {
    let mut section = Section::new("Purpose");
    section.text(
        Line::from(
            "For a customer with a credit card, the model answers the probability that the customer leaves. In the table it learns from, that is the column ",
        )
        .and_code(&schema.target().name)
        .and(format!(": {}", schema.target().description)),
    );
    section.list(vec![
        "Meant for: choosing which customers to call or to make an offer to, and telling a call agent which facts speak for leaving.".into(),
        "Not meant for: granting, pricing or ending credit, or any other decision against a customer.".into(),
        "Not meant for: customers of another bank or product than those in the training table.".into(),
    ]);
    let requested = facts
        .run
        .as_ref()
        .and_then(|run| run.tags.get("holdfast.requested_by"))
        .map_or(facts.version.created_by.as_str(), String::as_str);
    let trigger = facts.run.as_ref().and_then(|run| run.tags.get("holdfast.trigger"));
    let mut table = Table::new(["who", "name"]);
    table.row(["owner".into(), super::NOT_RECORDED.into()]);
    table.row(["asked for the training".into(), recorded(requested)]);
    table.row(["what started it".into(), recorded(trigger.map_or("", String::as_str))]);
    section.table(table);
    section
}
