//! What the gate decided, check by check.

use super::moment;
use crate::service::model_card::CardFacts;
use crate::service::model_card::document::{Line, Section, Table};
use crate::service::registry::DecisionFacts;

pub(super) fn section(facts: &CardFacts) -> Section {
    let mut section = Section::new("The gate's decision");
    let Some((last, before)) = facts.version.decisions.split_last() else {
        section.notice("The gate has not judged this version.");
        return section;
    };
    section.text(format!(
        "The gate decides by fixed rules whether a version may become champion. Its last word: {}.",
        verdict(last)
    ));
    let mut table = Table::new(["check", "passed", "in words"]);
    for check in &last.checks {
        table.row([
            check.name.replace('_', " ").into(),
            if check.passed { "yes" } else { "no" }.into(),
            check.message.as_str().into(),
        ]);
    }
    section.table(table);
    let mut facts_of_it = Table::new(["fact", "value"]);
    facts_of_it.row(["decided".into(), moment(last.decided_at)]);
    facts_of_it.row(["judged against".into(), against(last)]);
    facts_of_it.row(["test snapshot".into(), Line::code(&last.test_snapshot)]);
    let uses = last
        .test_snapshot_uses
        .map_or_else(|| super::NOT_RECORDED.to_owned(), |uses| uses.to_string());
    facts_of_it.row(["versions judged on it, this one included".into(), uses.into()]);
    facts_of_it.row([
        "evidence and policy (SHA-256)".into(),
        Line::code(&last.evaluation_digest),
    ]);
    section.table(facts_of_it);
    let measured_against = facts
        .evaluation
        .as_ref()
        .map(|evaluation| evaluation.champion.as_ref().map(|champion| champion.version));
    if measured_against.is_some_and(|champion| champion != last.champion_version) {
        section.notice(
            "The champion changed between the evaluation and this decision: the comparison in the section on quality is with another version than the one judged against.",
        );
    }
    if !before.is_empty() {
        let earlier = before.iter().map(|decision| {
            let line = moment(decision.decided_at).and(format!(": {}, judged against ", verdict(decision)));
            Line([line.0, against(decision).0].concat())
        });
        section
            .text("Earlier decisions about this version:")
            .list(earlier.collect());
    }
    section
}

fn verdict(decision: &DecisionFacts) -> &'static str {
    if decision.accepted { "accepted" } else { "rejected" }
}

fn against(decision: &DecisionFacts) -> Line {
    match (decision.champion_version, decision.champion_generation.0) {
        (_, 0) => "no champion".into(),
        (Some(version), generation) => format!("version {version}, champion of generation {generation}").into(),
        (None, generation) => format!("the champion of generation {generation}").into(),
    }
}
