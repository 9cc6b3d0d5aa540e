//! Where the model knows nothing.

use holdfast_domain::Schema;
use holdfast_model::explain::{plain_name, plain_value};
use holdfast_model::profile::ReferenceProfile;
use holdfast_model::{Distribution, Input, InputKind};

use crate::service::figures::percent;
use crate::service::model_card::CardFacts;
use crate::service::model_card::document::{Line, Section, Table};

pub(super) fn section(facts: &CardFacts, schema: &Schema) -> Section {
    let mut section = Section::new("Limits");
    section.text(
        "Outside of what it was trained on the model extrapolates. A prediction names every feature whose value lies outside (out of domain); whoever uses it should \
         look there first.",
    );
    let mut table = Table::new([
        "feature",
        "column",
        "needed",
        "looked at",
        "trained on",
        "missing in training",
    ]);
    let profile = facts.model.profile();
    for input in &facts.model.signature().inputs {
        table.row([
            plain_name(input.feature).into(),
            Line::code(input.feature.name()),
            if input.required { "required" } else { "optional" }.into(),
            if input.used { "yes" } else { "no" }.into(),
            domain(input, schema),
            missing(input, profile).into(),
        ]);
    }
    section.table(table);
    section.list(vec![
        "A category that is not listed counts as missing and is flagged.".into(),
        "Optional features may be left out; the columns \"required features only\" say what that costs.".into(),
        "It was tested on customers of the same time and the same bank as those it learnt from, unless the data section says otherwise. When customers change, its figures \
         change; drift monitoring compares current customers with the training rows."
            .into(),
        "What a feature contributes is what the model goes by, not what makes a customer leave.".into(),
    ]);
    section
}

/// The range, or the categories.
fn domain(input: &Input, schema: &Schema) -> Line {
    match &input.kind {
        InputKind::Numeric { range: None, .. } => "no value at all".into(),
        InputKind::Numeric {
            range: Some((from, to)),
            ..
        } => {
            let written = |value| plain_value(input.feature, value, schema);
            format!("{} to {}", written(*from), written(*to)).into()
        }
        InputKind::Categorical { categories } => categories.join(", ").into(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
fn missing(input: &Input, profile: &ReferenceProfile) -> String {
    let missing = match profile.feature(input.feature) {
        Some(Distribution::Numeric(numbers)) => numbers.missing(),
        Some(Distribution::Categorical(names)) => names.missing(),
        None => return super::NOT_RECORDED.to_owned(),
    };
    percent(missing as f64 / profile.rows.max(1) as f64)
}
