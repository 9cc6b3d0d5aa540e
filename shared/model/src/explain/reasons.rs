//! Reasons in plain language: the features that push a customer most, as sentences a call agent can say.

use holdfast_domain::{FEATURE_COUNT, Feature, FeatureVector, Schema};

use super::Explanation;
use super::phrases;
use crate::preprocess::transform::code;
use crate::profile::{Distribution, ReferenceProfile};

/// Which way a feature pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Towards leaving.
    TowardsAttrition,
    /// Towards staying.
    AwayFromAttrition,
}

/// How a value compares with the training rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Below the median.
    Low,
    /// At the median, or there is no median to compare with.
    Typical,
    /// Above the median.
    High,
    /// A category: categories have no order.
    Category,
    /// A category that the schema does not list.
    UnlistedCategory,
    /// No value.
    Missing,
}

/// One reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// The feature.
    pub feature: Feature,
    /// What it adds to the margin.
    pub contribution: f64,
    /// Which way that pushes.
    pub direction: Direction,
    /// How the value compares with the training rows.
    pub level: Level,
    /// "Made fewer transactions than most customers (42; typical 67)".
    pub text: String,
}

impl Reason {
    /// A code that stays the same between model versions: the feature's name and the level, `TOTAL_TRANS_CT_LOW`.
    pub fn code(&self) -> String {
        let level = match self.level {
            Level::Low => "LOW",
            Level::Typical => "TYPICAL",
            Level::High => "HIGH",
            Level::Category => "CATEGORY",
            Level::UnlistedCategory => "UNLISTED_CATEGORY",
            Level::Missing => "MISSING",
        };
        format!("{}_{level}", self.feature.name().to_ascii_uppercase())
    }
}

/// What is typical, per feature: prepared once, when the model is loaded.
#[derive(Debug)]
pub(crate) struct ReasonContext([Typical; FEATURE_COUNT]);

#[derive(Debug)]
enum Typical {
    Median(Option<f64>),
    /// Name and share of the training rows, by the schema's code.
    Categories(Vec<(String, Option<f64>)>),
}

impl ReasonContext {
    pub(crate) fn new(profile: &ReferenceProfile, schema: &Schema) -> Self {
        Self(Feature::ALL.map(|feature| match profile.feature(feature) {
            Some(Distribution::Numeric(numbers)) => Typical::Median(numbers.median()),
            Some(Distribution::Categorical(names)) => {
                #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
                let share = |name: &String| {
                    let present = names.present();
                    (present > 0).then(|| names.count(name).unwrap_or(0) as f64 / present as f64)
                };
                Typical::Categories(
                    schema
                        .column(feature)
                        .categories
                        .iter()
                        .map(|name| (name.clone(), share(name)))
                        .collect(),
                )
            }
            None => Typical::Median(None),
        }))
    }

    /// The `count` strongest reasons in one direction, strongest first; equal ones in feature order.
    pub(crate) fn strongest(
        &self,
        explanation: &Explanation,
        features: &FeatureVector,
        direction: Direction,
        count: usize,
    ) -> Vec<Reason> {
        let sign = match direction {
            Direction::TowardsAttrition => 1.0,
            Direction::AwayFromAttrition => -1.0,
        };
        let mut pushing: Vec<Feature> = Feature::ALL
            .into_iter()
            .filter(|feature| sign * explanation.contribution(*feature) > 0.0)
            .collect();
        pushing.sort_by(|a, b| (sign * explanation.contribution(*b)).total_cmp(&(sign * explanation.contribution(*a))));
        pushing.truncate(count);
        let reason = |feature: Feature| {
            let (level, text) = self.sentence(feature, features.get(feature));
            Reason {
                feature,
                contribution: explanation.contribution(feature),
                direction,
                level,
                text,
            }
        };
        pushing.into_iter().map(reason).collect()
    }

    fn sentence(&self, feature: Feature, value: Option<f64>) -> (Level, String) {
        let Some(value) = value else {
            return (Level::Missing, format!("{} is not known", phrases::noun(feature)));
        };
        match (&self.0[feature.index()], phrases::of(feature)) {
            (Typical::Median(median), Some(wording)) => number_sentence(value, *median, wording),
            (Typical::Categories(names), _) => category_sentence(feature, value, names),
            (Typical::Median(_), None) => category_sentence(feature, value, &[]),
        }
    }
}

fn number_sentence(value: f64, median: Option<f64>, wording: &phrases::Wording) -> (Level, String) {
    let text = phrases::number(value, wording.style);
    let (level, phrase) = match median {
        Some(median) if value < median => (Level::Low, wording.low),
        Some(median) if value > median => (Level::High, wording.high),
        _ => (Level::Typical, wording.typical),
    };
    let typical = median
        .filter(|_| level != Level::Typical)
        .map(|median| phrases::number(median, wording.style));
    (
        level,
        match typical {
            Some(typical) => format!("{phrase} ({text}; typical {typical})"),
            None => format!("{phrase} ({text})"),
        },
    )
}

fn category_sentence(feature: Feature, value: f64, names: &[(String, Option<f64>)]) -> (Level, String) {
    let noun = phrases::noun(feature);
    match code(value).and_then(|code| names.get(code)) {
        None => (Level::UnlistedCategory, format!("{noun} is none of the usual ones")),
        Some((name, None)) => (Level::Category, format!("{noun}: {name}")),
        Some((name, Some(share))) => {
            let percent = share * 100.0;
            let share = if percent > 0.0 && percent < 1.0 {
                "under 1 %".to_owned()
            } else {
                format!("{percent:.0} %")
            };
            (Level::Category, format!("{noun}: {name} (as {share} of customers)"))
        }
    }
}
