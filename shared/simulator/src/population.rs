//! Customers out of the bank's statistics.

use std::ops::Range;
use std::sync::LazyLock;

use holdfast_domain::{Customer, CustomerKey, Feature, FeatureVector, Schema, UNKNOWN_CATEGORY};

use crate::bank;
use crate::random::{Purpose, Stream, Streams, normal_cdf};
use crate::segment::{COPULA_SIZE, Segment, level, quantile, short_quantile};
use crate::segments::SEGMENTS;

/// The key of the first simulated customer; the one at place `i` of a population has `FIRST_KEY + i`.
///
/// It lies below every key of the public file, so that both can be used together.
pub const FIRST_KEY: i64 = 700_000_000;

/// The lowest credit limit. The bank's other limits are whole dollars.
const LOWEST_LIMIT: f64 = 1_438.3;

/// The highest credit limit.
const HIGHEST_LIMIT: f64 = 34_516.0;

/// The highest balance that may be carried over.
const BALANCE_CAP: f64 = 2_517.0;

/// Of customers whose balance does not fit their limit, the shares that carry none and whose limit was raised. Fitted by hand to
/// the real file's balances by limit.
const CARRIES_NONE: f64 = 0.1;
/// See [`CARRIES_NONE`].
const LIMIT_RAISED: f64 = 0.65;

/// Months on book of the customers who, whatever their age, all seem to have joined at once.
const JOIN_SPIKE_MONTHS: f64 = 36.0;

/// The first `n` labelled customers of the population of that seed, with keys from [`FIRST_KEY`].
///
/// About one in six has left. The first `n` are the same whatever `n` is.
pub fn customers(n: usize, seed: u64) -> Vec<Customer> {
    customers_between(0..n as u64, seed)
}

/// The customers at the given places of the population of that seed.
///
/// Populations have no end, so `0..10_000` to train on and `10_000..20_000` to predict for are different customers (and different
/// keys) of the same bank.
pub fn customers_between(places: Range<u64>, seed: u64) -> Vec<Customer> {
    let streams = Streams::new(seed, Purpose::Population);
    places
        .map(|place| customer(place, &mut streams.stream(place)))
        .collect()
}

fn customer(place: u64, stream: &mut Stream) -> Customer {
    let segment = &SEGMENTS[level(SEGMENTS.iter().map(|segment| segment.share), stream.uniform())];
    let ranks = Ranks::draw(segment, stream);
    let mut features = FeatureVector::MISSING;
    draw_person(segment, &ranks, stream, &mut features);
    draw_credit(segment, &ranks, stream, &mut features);
    draw_behaviour(segment, &ranks, &mut features);
    let key = FIRST_KEY.saturating_add(i64::try_from(place).unwrap_or(i64::MAX));
    Customer {
        key: Some(CustomerKey(key)),
        label: Some(segment.label),
        features,
    }
}

/// Where the customer stands, 0 to 1, in its segment's distribution of each feature of the copula.
struct Ranks {
    age: f64,
    relationships: f64,
    inactive: f64,
    contacts: f64,
    limit: f64,
    balance: f64,
    amount: f64,
    count: f64,
    amount_change: f64,
    count_change: f64,
}

impl Ranks {
    fn draw(segment: &Segment, stream: &mut Stream) -> Self {
        let independent: [f64; COPULA_SIZE] = std::array::from_fn(|_| stream.normal());
        let scores: [f64; COPULA_SIZE] =
            std::array::from_fn(|row| segment.copula[row].iter().zip(&independent).map(|(a, b)| a * b).sum());
        // The limit is ranked among customers of the same income and tier, where a segment need not be in the middle.
        let limit = segment.limit_mean + segment.limit_deviation * scores[4];
        Self {
            age: normal_cdf(scores[0]),
            relationships: normal_cdf(scores[1]),
            inactive: normal_cdf(scores[2]),
            contacts: normal_cdf(scores[3]),
            limit: normal_cdf(limit),
            balance: normal_cdf(scores[5]),
            amount: normal_cdf(scores[6]),
            count: normal_cdf(scores[7]),
            amount_change: normal_cdf(scores[8]),
            count_change: normal_cdf(scores[9]),
        }
    }
}

fn draw_person(segment: &Segment, ranks: &Ranks, stream: &mut Stream, features: &mut FeatureVector) {
    let codes = &*CODES;
    let age = quantile(&segment.age, ranks.age).round();
    let band = bank::AGE_BANDS.partition_point(|upper| *upper < age);
    let gender = usize::from(!stream.chance(segment.female));
    let income = level(bank::INCOME[gender], stream.uniform());
    let education = level(bank::EDUCATION[usize::from(segment.label)], stream.uniform());
    let marital = level(segment.marital, stream.uniform());
    let joined_with_the_crowd = stream.chance(bank::JOIN_SPIKE_SHARE);
    let months = if joined_with_the_crowd {
        JOIN_SPIKE_MONTHS
    } else {
        // The real file has no customer below 13 months or above 56.
        (age - quantile(&bank::AGE_LESS_MONTHS, stream.uniform()).round()).clamp(13.0, 56.0)
    };
    features.set(Feature::CustomerAge, age);
    features.set(Feature::Gender, codes.gender[gender]);
    features.set(
        Feature::DependentCount,
        count(level(bank::DEPENDENTS[band], stream.uniform())),
    );
    features.set(Feature::EducationLevel, codes.education[education]);
    features.set(Feature::MaritalStatus, codes.marital[marital]);
    features.set(Feature::IncomeCategory, codes.income[income]);
    features.set(Feature::MonthsOnBook, months);
    draw_card(segment, ranks, income, stream, features);
}

fn draw_card(segment: &Segment, ranks: &Ranks, income: usize, stream: &mut Stream, features: &mut FeatureVector) {
    let codes = &*CODES;
    let (card, limit) = if stream.chance(segment.plain_card) {
        (codes.plain_card, plain_limit(income, ranks.limit))
    } else {
        let tier = level(bank::TIER, stream.uniform());
        (
            codes.tier[tier],
            short_quantile(&bank::TIER_LIMIT[income], ranks.limit).round(),
        )
    };
    features.set(Feature::CardCategory, card);
    features.set(Feature::CreditLimit, limit);
}

fn plain_limit(income: usize, rank: f64) -> f64 {
    let (floor, cap) = (bank::LIMIT_FLOOR[income], bank::LIMIT_CAP[income]);
    if rank < floor {
        LOWEST_LIMIT
    } else if rank >= 1.0 - cap {
        HIGHEST_LIMIT
    } else {
        quantile(&bank::PLAIN_LIMIT[income], (rank - floor) / (1.0 - floor - cap)).round()
    }
}

/// The balance, and the two features that follow from it and the limit.
fn draw_credit(segment: &Segment, ranks: &Ranks, stream: &mut Stream, features: &mut FeatureVector) {
    let limit = features.0[Feature::CreditLimit.index()];
    let middle = (1.0 - segment.balance_cap - segment.balance_zero).max(f64::EPSILON);
    let wanted = if ranks.balance < segment.balance_zero {
        0.0
    } else if ranks.balance >= 1.0 - segment.balance_cap {
        BALANCE_CAP
    } else {
        short_quantile(&segment.balance, (ranks.balance - segment.balance_zero) / middle).round()
    };
    // A low limit cannot hold the balance the customer would carry elsewhere. Some then carry none or a part of the limit; for
    // most the bank has raised the limit, so that the lowest limits are left to those who carry nothing.
    let (fate, part) = (stream.uniform(), stream.between(0.3, 0.85));
    let fits = wanted <= 0.85 * limit;
    let balance = match fate {
        _ if fits => wanted,
        fate if fate < CARRIES_NONE => 0.0,
        fate if fate < CARRIES_NONE + LIMIT_RAISED => wanted,
        _ => (part * limit).round(),
    };
    if !fits && balance == wanted {
        features.set(Feature::CreditLimit, (wanted / (0.15 + part)).round());
    }
    features.set(Feature::TotalRevolvingBal, balance);
    derive_credit(features);
}

/// Sets open-to-buy and utilisation from limit and balance, as the bank's own tables have them. Missing inputs give missing
/// results; utilisation of a limit of 0 is 0.
pub(crate) fn derive_credit(features: &mut FeatureVector) {
    let limit = features.0[Feature::CreditLimit.index()];
    let balance = features.0[Feature::TotalRevolvingBal.index()];
    let utilisation = if limit == 0.0 { 0.0 } else { balance / limit };
    // To a tenth of a dollar, which is as fine as limits are: the plain difference shows binary fractions.
    features.set(Feature::AvgOpenToBuy, to_places(limit - balance, 10.0));
    features.set(Feature::AvgUtilizationRatio, to_places(utilisation, 1_000.0));
}

fn draw_behaviour(segment: &Segment, ranks: &Ranks, features: &mut FeatureVector) {
    features.set(
        Feature::TotalRelationshipCount,
        1.0 + count(level(segment.relationships, ranks.relationships)),
    );
    features.set(
        Feature::MonthsInactive12Mon,
        count(level(segment.inactive, ranks.inactive)),
    );
    features.set(
        Feature::ContactsCount12Mon,
        count(level(segment.contacts, ranks.contacts)),
    );
    features.set(Feature::TotalTransAmt, quantile(&segment.amount, ranks.amount).round());
    features.set(Feature::TotalTransCt, quantile(&segment.count, ranks.count).round());
    features.set(
        Feature::TotalAmtChngQ4Q1,
        to_places(quantile(&segment.amount_change, ranks.amount_change), 1_000.0),
    );
    features.set(
        Feature::TotalCtChngQ4Q1,
        to_places(quantile(&segment.count_change, ranks.count_change), 1_000.0),
    );
}

/// Rounds to a multiple of `1 / parts`.
pub(crate) fn to_places(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

#[expect(clippy::cast_precision_loss, reason = "levels number seven at the most")]
fn count(level: usize) -> f64 {
    level as f64
}

/// Category names of the tables as codes of the schema.
struct Codes {
    gender: [f64; 2],
    education: [f64; 7],
    marital: [f64; 4],
    income: [f64; 6],
    plain_card: f64,
    tier: [f64; 3],
}

static CODES: LazyLock<Codes> = LazyLock::new(|| Codes {
    gender: ["F", "M"].map(|name| code(Feature::Gender, name)),
    education: bank::EDUCATIONS.map(|name| code(Feature::EducationLevel, name)),
    marital: bank::MARITAL_STATES.map(|name| code(Feature::MaritalStatus, name)),
    income: bank::INCOMES.map(|name| code(Feature::IncomeCategory, name)),
    plain_card: code(Feature::CardCategory, "Blue"),
    tier: bank::TIERS.map(|name| code(Feature::CardCategory, name)),
});

/// A name the schema does not list would be a fault of this crate; a test sees to it that there is none.
fn code(feature: Feature, name: &str) -> f64 {
    Schema::embedded()
        .category_code(feature, name)
        .map_or(UNKNOWN_CATEGORY, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_of_the_tables_is_in_the_schema() {
        let codes = &*CODES;
        let all = [
            &codes.gender[..],
            &codes.education,
            &codes.marital,
            &codes.income,
            &[codes.plain_card],
            &codes.tier,
        ];
        assert!(all.into_iter().flatten().all(|code| *code >= 0.0));
    }

    #[test]
    fn a_missing_balance_leaves_what_follows_from_it_missing() {
        let mut features = FeatureVector::MISSING;
        features.set(Feature::CreditLimit, 5_000.0);
        derive_credit(&mut features);
        assert_eq!(features.get(Feature::AvgOpenToBuy), None);
        assert_eq!(features.get(Feature::AvgUtilizationRatio), None);
    }
}
