//! The chapters of the report.

mod categories;
mod correlations;
mod engineered;
mod families;
mod leakage;
mod methods;
mod numbers;
mod overview;
mod verdict;

use super::Section;
use crate::service::exploration::Exploration;

/// All chapters that have something to say.
pub(super) fn all(found: &Exploration) -> Vec<Section> {
    let mut sections = vec![
        verdict::section(found),
        overview::section(found),
        leakage::section(found),
        numbers::section(found),
        categories::section(found),
        correlations::section(found),
    ];
    sections.extend(families::section(found));
    sections.extend(engineered::section(found));
    sections.push(methods::section(found));
    sections
}
