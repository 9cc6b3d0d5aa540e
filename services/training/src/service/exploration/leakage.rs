//! Columns that tell too much: each one on its own against the target, with no model in between.
//!
//! | warning | when |
//! |---|---|
//! | copies the target | at most 50 different values, and every one of them goes with one class only |
//! | gives the target away | ROC-AUC of the column alone has its lower end (DeLong, 95 %) at [`GIVES_AWAY_AUC`] or above |
//! | is suspicious | the same from [`SUSPICIOUS_AUC`] on; or [`PURE_SHARE`] of the rarer class sit in values that hardly anybody else has |
//! | tells by its order | an identifier's, or the row number's, ROC-AUC has its lower end at [`ORDER_AUC`] or above |
//! | looks like an identifier | whole numbers or text, hardly any value twice |
//! | is constant | one value, or [`NEARLY_CONSTANT`] of the rows have the same |
//!
//! The area is taken twice: of the values as they are, and of the churn rate of the value's bin, learnt on the other half of the rows,
//! which sees columns that tell the target without rising or falling with it, categories and gaps. The larger one counts. Behaviour that
//! is merely strong stays well below the limits: on the public bank data the best feature alone reaches 0.85, and its information value
//! is five times the "too good to be true" of credit scoring, which is why that value is shown and decides nothing.

use std::collections::HashMap;

use holdfast_domain::split;
use holdfast_model::metrics::delong;
use holdfast_statistics::information_value;
use serde::Serialize;

use super::ExploreError;
use super::bins::Bins;
use super::frame::{Frame, FrameColumn, MOST_CATEGORIES, Role, Values};

/// A column alone with this area gives the target away.
pub const GIVES_AWAY_AUC: f64 = 0.95;
/// A column alone with this area has to be explained.
pub const SUSPICIOUS_AUC: f64 = 0.9;
/// Share of the rarer class in pure values from which a column has to be explained.
pub const PURE_SHARE: f64 = 0.25;
/// A value, or a bin of values, is pure when this share of its rows is of the rarer class.
pub(super) const PURE_FROM: f64 = 0.95;
/// Fewer rows make no pure value.
pub(super) const PURE_ROWS: u64 = 20;
/// An order that says something about the target.
pub const ORDER_AUC: f64 = 0.55;
/// Share of rows with the commonest value from which a column is nearly constant.
pub const NEARLY_CONSTANT: f64 = 0.995;
/// Share of different values from which whole numbers or text look like an identifier.
const IDENTIFIER_DISTINCT: f64 = 0.99;

/// One column against the target.
#[derive(Clone, Debug, Serialize)]
pub struct Screen {
    /// The column.
    pub name: String,
    /// Whether a model may see it: a feature of the schema.
    pub is_feature: bool,
    /// Whether the schema drops it on import.
    pub is_dropped: bool,
    /// ROC-AUC of the column alone; absent where it cannot be computed.
    pub area: Option<Area>,
    /// Information value, in nats.
    pub information_value: f64,
    /// Share of the rarer class in pure values, 0 to 1.
    pub pure_share: f64,
    /// What is to be said about it.
    pub warnings: Vec<Warning>,
}

/// An area under the ROC curve with its 95 % interval (DeLong); from ½ up, whichever way the column points.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Area {
    /// The area.
    pub auc: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// Something to be said about a column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Warning {
    /// What.
    pub kind: WarningKind,
    /// How grave.
    pub severity: Severity,
    /// In words, without the column's name.
    pub text: String,
}

/// How grave a warning is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Note,
    /// Has to be explained before the column is used.
    Suspicious,
    /// The column must not be used.
    Leak,
}

/// Kinds of warnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// Its values are the target under other names.
    CopiesTarget,
    /// It predicts the target nearly without fault.
    GivesTargetAway,
    /// It predicts too well to be taken at its word.
    PredictsTooWell,
    /// Some of its values are those of one class only.
    PureValues,
    /// The order of an identifier goes with the target.
    OrderTells,
    /// Hardly any value twice.
    Identifier,
    /// One value, or nearly one.
    Constant,
}

/// Every column of the table against the target, the one that tells most first; the row's own number is the last "column" when its order
/// tells something.
pub(super) fn screen(frame: &Frame, seed: u64) -> Result<Vec<Screen>, ExploreError> {
    let mut screens = frame
        .columns
        .iter()
        .map(|column| screen_column(column, &frame.labels, seed))
        .collect::<Result<Vec<_>, _>>()?;
    screens.sort_by(|a, b| strength(b).total_cmp(&strength(a)));
    screens.extend(row_order(&frame.labels)?);
    Ok(screens)
}

fn strength(screen: &Screen) -> f64 {
    screen.area.map_or(0.0, |area| area.auc)
}

fn screen_column(column: &FrameColumn, labels: &[bool], seed: u64) -> Result<Screen, ExploreError> {
    let bins = Bins::of(&column.values, labels);
    let by_value = match &column.values {
        Values::Numbers(values) => area_of_numbers(values, labels)?,
        Values::Categories { .. } => None,
    };
    let by_bin = area_of_bins(&bins, labels, seed)?;
    let area = match (by_value, by_bin) {
        (Some(value), Some(bin)) if bin.lower > value.lower => Some(bin),
        (None, bin) => bin,
        (value, _) => value,
    };
    let mut screen = Screen {
        name: column.name.clone(),
        is_feature: matches!(column.role, Role::Feature(_)),
        is_dropped: column.role == Role::Dropped,
        area,
        information_value: information_value(&bins.left, &bins.stayed)?,
        pure_share: pure_share(&bins),
        warnings: Vec::new(),
    };
    screen.warnings = warnings(column, by_value, &screen, labels);
    Ok(screen)
}

fn warnings(column: &FrameColumn, by_value: Option<Area>, screen: &Screen, labels: &[bool]) -> Vec<Warning> {
    let mut found = Vec::new();
    let mut warn = |kind, severity, text: String| found.push(Warning { kind, severity, text });
    let identifier = looks_like_an_identifier(column);
    if column.role == Role::Key || identifier {
        if identifier && column.role != Role::Key {
            let text = "has hardly any value twice: an identifier teaches a model its rows by heart".to_owned();
            warn(WarningKind::Identifier, Severity::Note, text);
        }
        if let Some(area) = by_value.filter(|area| area.lower >= ORDER_AUC) {
            let text = format!("in its order goes with the target (ROC-AUC {:.3})", area.auc);
            warn(WarningKind::OrderTells, Severity::Note, text);
        }
    }
    let (distinct, commonest) = commonest(column);
    if distinct <= 1 {
        let text = "has one value only and can tell nothing".to_owned();
        warn(WarningKind::Constant, Severity::Note, text);
    } else if commonest >= NEARLY_CONSTANT {
        let text = format!("has the same value in {:.1} % of the rows", commonest * 100.0);
        warn(WarningKind::Constant, Severity::Note, text);
    }
    if copies_target(column, labels) {
        let text = "is the target under another name: every value of it goes with one class only".to_owned();
        warn(WarningKind::CopiesTarget, Severity::Leak, text);
        return found;
    }
    match screen.area {
        Some(area) if area.lower >= GIVES_AWAY_AUC => {
            let text = format!("gives the target away: alone it reaches a ROC-AUC of {:.4}", area.auc);
            warn(WarningKind::GivesTargetAway, Severity::Leak, text);
        }
        Some(area) if area.lower >= SUSPICIOUS_AUC => {
            let text = format!(
                "predicts too well to be taken at its word: alone it reaches a ROC-AUC of {:.3}",
                area.auc
            );
            warn(WarningKind::PredictsTooWell, Severity::Suspicious, text);
        }
        _ if screen.pure_share >= PURE_SHARE => {
            let share = screen.pure_share * 100.0;
            let text =
                format!("has values that hardly anybody but one class has, and {share:.0} % of that class have them");
            warn(WarningKind::PureValues, Severity::Suspicious, text);
        }
        _ => {}
    }
    found
}

/// The area of the values as they are, over the rows that have one.
fn area_of_numbers(values: &[f64], labels: &[bool]) -> Result<Option<Area>, ExploreError> {
    let present = values.iter().zip(labels).filter(|(value, _)| !value.is_nan());
    let (values, labels): (Vec<f64>, Vec<bool>) = present.map(|(value, label)| (*value, *label)).unzip();
    area(&labels, &values)
}

/// The area of the churn rate of each row's bin, as the other half of the rows has it.
fn area_of_bins(bins: &Bins, labels: &[bool], seed: u64) -> Result<Option<Area>, ExploreError> {
    let overall = labels.iter().filter(|label| **label).count() as f64 / labels.len() as f64;
    let mut scores = vec![overall; labels.len()];
    for half in split::stratified_k_fold(labels, 2, seed) {
        let mut counts = vec![(0.0, 0.0); bins.left.len()];
        for row in &half.train {
            let (left, all) = &mut counts[bins.of_row[*row]];
            *left += f64::from(u8::from(labels[*row]));
            *all += 1.0;
        }
        for row in &half.test {
            let (left, all) = counts[bins.of_row[*row]];
            // One row's worth of the overall rate keeps small bins from being certain.
            scores[*row] = (left + overall) / (all + 1.0);
        }
    }
    area(labels, &scores)
}

/// From ½ up; nothing where a class has fewer than two rows.
fn area(labels: &[bool], scores: &[f64]) -> Result<Option<Area>, ExploreError> {
    let left = labels.iter().filter(|label| **label).count();
    if left < 2 || labels.len() - left < 2 {
        return Ok(None);
    }
    let found = delong::auc_interval(labels, scores)?;
    let turned = found.auc < 0.5;
    Ok(Some(Area {
        auc: if turned { 1.0 - found.auc } else { found.auc },
        lower: if turned { 1.0 - found.upper } else { found.lower },
        upper: if turned { 1.0 - found.lower } else { found.upper },
    }))
}

/// Share of the rarer class in bins that are nearly all of that class.
fn pure_share(bins: &Bins) -> f64 {
    let (left, stayed): (u64, u64) = (bins.left.iter().sum(), bins.stayed.iter().sum());
    let (rarer, all) = if left <= stayed {
        (&bins.left, left)
    } else {
        (&bins.stayed, stayed)
    };
    let pure = (0..rarer.len())
        .filter(|bin| bins.rows(*bin) >= PURE_ROWS && rarer[*bin] as f64 >= PURE_FROM * bins.rows(*bin) as f64)
        .map(|bin| rarer[bin])
        .sum::<u64>();
    pure as f64 / all.max(1) as f64
}

/// A value's place in the column, whatever its kind; `None` is missing, which is a value of its own here.
fn value_keys(column: &FrameColumn) -> Vec<Option<u64>> {
    match &column.values {
        Values::Numbers(values) => values
            .iter()
            .map(|v| (!v.is_nan()).then(|| (v + 0.0).to_bits()))
            .collect(),
        Values::Categories { codes, .. } => codes.iter().map(|code| code.map(|code| code as u64)).collect(),
    }
}

fn copies_target(column: &FrameColumn, labels: &[bool]) -> bool {
    let mut classes: HashMap<Option<u64>, [usize; 2]> = HashMap::new();
    for (key, label) in value_keys(column).into_iter().zip(labels) {
        classes.entry(key).or_default()[usize::from(*label)] += 1;
        if classes.len() > MOST_CATEGORIES {
            return false;
        }
    }
    // Few values for the rows there are: with a row or two a value, one class each is no wonder.
    classes.len() >= 2
        && labels.len() >= 10 * classes.len()
        && classes.values().all(|[stayed, left]| *stayed == 0 || *left == 0)
}

/// Different values, and the share of rows that have the commonest one.
fn commonest(column: &FrameColumn) -> (usize, f64) {
    let mut counts: HashMap<Option<u64>, usize> = HashMap::new();
    let keys = value_keys(column);
    for key in &keys {
        *counts.entry(*key).or_default() += 1;
    }
    let most = counts.values().max().copied().unwrap_or(0);
    (counts.len(), most as f64 / keys.len().max(1) as f64)
}

fn looks_like_an_identifier(column: &FrameColumn) -> bool {
    if matches!(column.role, Role::Feature(_)) {
        return false;
    }
    let present = (0..match &column.values {
        Values::Numbers(values) => values.len(),
        Values::Categories { codes, .. } => codes.len(),
    })
        .filter(|row| !column.values.missing(*row))
        .count();
    let whole = match &column.values {
        Values::Numbers(values) => values.iter().all(|value| value.is_nan() || value.fract() == 0.0),
        Values::Categories { .. } => true,
    };
    whole && present >= 50 && column.values.distinct() as f64 >= IDENTIFIER_DISTINCT * present as f64
}

/// The row number, when its order goes with the target: a table that is sorted, or grew over time.
fn row_order(labels: &[bool]) -> Result<Option<Screen>, ExploreError> {
    let numbers: Vec<f64> = (0..labels.len()).map(|row| row as f64).collect();
    let Some(area) = area(labels, &numbers)?.filter(|area| area.lower >= ORDER_AUC) else {
        return Ok(None);
    };
    let bins = Bins::of(&Values::Numbers(numbers), labels);
    Ok(Some(Screen {
        name: "(row number)".to_owned(),
        is_feature: false,
        is_dropped: false,
        area: Some(area),
        information_value: information_value(&bins.left, &bins.stayed)?,
        pure_share: pure_share(&bins),
        warnings: vec![Warning {
            kind: WarningKind::OrderTells,
            severity: Severity::Note,
            text: format!(
                "goes with the target (ROC-AUC {:.3}): the table is in an order that says something, so split it at random and never by position",
                area.auc
            ),
        }],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<bool> {
        (0..1_000).map(|row| row % 5 == 0).collect()
    }

    fn column(name: &str, values: Values) -> FrameColumn {
        FrameColumn {
            name: name.to_owned(),
            role: Role::Unknown,
            values,
        }
    }

    fn kinds(values: Values) -> Vec<WarningKind> {
        let screen = screen_column(&column("x", values), &labels(), 1).unwrap();
        screen.warnings.iter().map(|warning| warning.kind).collect()
    }

    /// A number in 0..1 that has nothing to do with the label.
    fn noise(row: usize) -> f64 {
        ((row * 7_919) % 1_009) as f64 / 1_009.0
    }

    #[test]
    fn a_score_computed_from_the_target_gives_it_away() {
        let labels = labels();
        let score = labels
            .iter()
            .enumerate()
            .map(|(row, label)| noise(row) * 0.5 + f64::from(u8::from(*label)) * 0.48);
        assert_eq!(kinds(Values::Numbers(score.collect())), [WarningKind::GivesTargetAway]);
    }

    #[test]
    fn a_column_that_tells_without_rising_or_falling_is_seen_too() {
        let labels = labels();
        let middle = labels.iter().enumerate().map(|(row, label)| match (label, row % 2) {
            (true, _) => 0.5 + noise(row) * 0.01,
            (false, 0) => noise(row) * 0.45,
            (false, _) => 0.55 + noise(row) * 0.45,
        });
        assert_eq!(kinds(Values::Numbers(middle.collect())), [WarningKind::GivesTargetAway]);
    }

    #[test]
    fn a_value_that_only_leavers_have_is_suspicious() {
        let labels = labels();
        let reason = labels
            .iter()
            .enumerate()
            .map(|(row, label)| (*label && row % 3 == 0).then_some(0));
        let values = Values::Categories {
            codes: reason.collect(),
            names: vec!["moved".to_owned()],
        };
        assert_eq!(kinds(values), [WarningKind::PureValues]);
    }

    #[test]
    fn the_target_under_another_name_is_a_copy() {
        let copy = Values::Categories {
            codes: labels().iter().map(|label| Some(usize::from(*label))).collect(),
            names: vec!["open".to_owned(), "closed".to_owned()],
        };
        assert_eq!(kinds(copy), [WarningKind::CopiesTarget]);
        let labels = labels();
        let gap = labels.iter().map(|label| if *label { 1.0 } else { f64::NAN });
        assert_eq!(kinds(Values::Numbers(gap.collect())), [WarningKind::CopiesTarget]);
    }

    #[test]
    fn strong_behaviour_is_no_leak() {
        // Ranks leavers below stayers in about nine of ten pairs, among values that both have.
        let labels = labels();
        let strong = labels
            .iter()
            .enumerate()
            .map(|(row, label)| noise(row) * if *label { 0.2 } else { 1.0 });
        let screen = screen_column(&column("x", Values::Numbers(strong.collect())), &labels, 1).unwrap();
        assert!(
            screen.area.unwrap().auc > 0.85 && screen.information_value > 1.0,
            "{screen:?}"
        );
        assert!(screen.warnings.is_empty(), "{:?}", screen.warnings);
    }

    #[test]
    fn identifiers_and_constants_are_noted() {
        let ids = (0..1_000).map(|row| 10_000.0 + f64::from(row * 7_919 % 1_009));
        assert_eq!(kinds(Values::Numbers(ids.collect())), [WarningKind::Identifier]);
        let labels = labels();
        let sorted = labels
            .iter()
            .enumerate()
            .map(|(row, label)| row as f64 + f64::from(u8::from(*label)) * 300.0);
        let found = kinds(Values::Numbers(sorted.collect()));
        assert!(found.contains(&WarningKind::OrderTells), "{found:?}");
        assert_eq!(kinds(Values::Numbers(vec![7.0; 1_000])), [WarningKind::Constant]);
    }

    #[test]
    fn a_sorted_table_is_noted_and_a_shuffled_one_is_not() {
        let sorted: Vec<bool> = (0..1_000).map(|row| row < 200).collect();
        assert!(row_order(&sorted).unwrap().is_some());
        assert!(row_order(&labels()).unwrap().is_none());
    }
}
