//! How to make it again.

use holdfast_model::Provenance;

use crate::service::model_card::CardFacts;
use crate::service::model_card::document::{Line, Section, Table};

pub(super) fn section(facts: &CardFacts) -> Section {
    let mut section = Section::new("How to reproduce");
    let origin = facts.model.origin();
    let version = &facts.version;
    let made_of = match origin.provenance {
        Provenance::Trained => "The same snapshots, parameters and seed give",
        Provenance::ImportedXgboost | Provenance::ImportedLightgbm => {
            section.notice(
                "This version was imported: its trees were trained elsewhere, and how is not known here. The file they came in is kept; calibration and threshold \
                 were chosen here, on the snapshots named above.",
            );
            "The same file, snapshots, parameters and seed give"
        }
    };
    section.text(format!(
        "{made_of} the same bytes, with any number of threads and the same version of the code ({}). This command makes the version again and compares:",
        origin.code_version
    ));
    section.command(format!(
        "holdfast models reproduce {} --model {}",
        version.version, version.model
    ));
    let mut table = Table::new(["parameter", "value"]);
    table.row(["seed".into(), Line::code(origin.seed)]);
    for (name, value) in &origin.parameters {
        table.row([Line::code(name), Line::code(value)]);
    }
    section.table(table);
    section
}
