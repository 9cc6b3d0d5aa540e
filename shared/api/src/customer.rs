//! Customers between the wire and the domain.
//!
//! The 19 features are spelled out once, in [`fields`] and [`to_wire`]; gRPC adapters and REST handlers both go
//! through here, so that a feature cannot be bound to the wrong column in one of them. What reads and writes the bytes of a message
//! (`bytes.rs`) goes by the numbers of its fields, which a test holds against these.

use holdfast_domain::{
    CheckedCustomer, ColumnRole, Customer, CustomerKey, Feature, FeatureKind, FeatureVector, FieldValue, Schema,
    UNKNOWN_CATEGORY, Violation,
};

use crate::common::v1 as wire;

pub(crate) mod bytes;

/// Every feature of a wire customer with the value that a
/// [`RowBuilder`](holdfast_domain::RowBuilder) validates. An absent field is
/// [`FieldValue::Missing`].
pub fn fields(customer: &wire::Customer) -> impl Iterator<Item = (Feature, FieldValue<'_>)> + Clone {
    Feature::ALL.into_iter().map(move |feature| {
        let value = match feature.kind() {
            FeatureKind::Numeric => number(customer, feature).map_or(FieldValue::Missing, FieldValue::Number),
            FeatureKind::Categorical => text(customer, feature).map_or(FieldValue::Missing, FieldValue::Text),
        };
        (feature, value)
    })
}

/// Adds a wire customer to others, by the rules of serving.
///
/// # Errors
/// Every violation.
pub fn check_into(
    customers: &mut Vec<CheckedCustomer>,
    customer: &wire::Customer,
    schema: &Schema,
) -> Result<(), Vec<Violation>> {
    let key = customer.customer_key.map_or(FieldValue::Missing, FieldValue::Integer);
    let features = fields(customer).map(|(feature, value)| (ColumnRole::Feature(feature), value));
    schema.check_into(customers, std::iter::once((ColumnRole::Key, key)).chain(features))
}

/// The wire form of a checked customer, with the categories that the schema does not know as they were sent.
pub fn checked_to_wire(customer: &CheckedCustomer, schema: &Schema) -> wire::Customer {
    message(customer.key(), customer.features(), |feature| {
        category(customer, feature, schema)
    })
}

/// The text of a category, as it was sent; `None` when there is none.
fn category<'a>(customer: &'a CheckedCustomer, feature: Feature, schema: &'a Schema) -> Option<&'a str> {
    if customer.features().get(feature)? == UNKNOWN_CATEGORY {
        let mut unlisted = customer.unlisted().iter();
        return Some(unlisted.find(|unlisted| unlisted.feature == feature)?.text.as_str());
    }
    listed(customer.features(), feature, schema)
}

/// The text of a category that the schema knows.
fn listed<'s>(features: &FeatureVector, feature: Feature, schema: &'s Schema) -> Option<&'s str> {
    let code = features.get(feature)?;
    (code >= 0.0).then_some(())?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "category codes are small non-negative integers"
    )]
    schema.category_name(feature, code as usize)
}

/// The wire form of a domain customer. A category the schema does not know is sent as absent.
pub fn to_wire(customer: &Customer, schema: &Schema) -> wire::Customer {
    message(customer.key, &customer.features, |feature| {
        listed(&customer.features, feature, schema)
    })
}

fn message<'a>(
    key: Option<CustomerKey>,
    features: &FeatureVector,
    category: impl Fn(Feature) -> Option<&'a str>,
) -> wire::Customer {
    let number = |feature| features.get(feature);
    let text = |feature| category(feature).map(str::to_owned);
    wire::Customer {
        customer_key: key.map(|key| key.0),
        customer_age: number(Feature::CustomerAge),
        gender: text(Feature::Gender),
        dependent_count: number(Feature::DependentCount),
        education_level: text(Feature::EducationLevel),
        marital_status: text(Feature::MaritalStatus),
        income_category: text(Feature::IncomeCategory),
        card_category: text(Feature::CardCategory),
        months_on_book: number(Feature::MonthsOnBook),
        total_relationship_count: number(Feature::TotalRelationshipCount),
        months_inactive_12_mon: number(Feature::MonthsInactive12Mon),
        contacts_count_12_mon: number(Feature::ContactsCount12Mon),
        credit_limit: number(Feature::CreditLimit),
        total_revolving_bal: number(Feature::TotalRevolvingBal),
        avg_open_to_buy: number(Feature::AvgOpenToBuy),
        total_amt_chng_q4_q1: number(Feature::TotalAmtChngQ4Q1),
        total_trans_amt: number(Feature::TotalTransAmt),
        total_trans_ct: number(Feature::TotalTransCt),
        total_ct_chng_q4_q1: number(Feature::TotalCtChngQ4Q1),
        avg_utilization_ratio: number(Feature::AvgUtilizationRatio),
    }
}

fn number(customer: &wire::Customer, feature: Feature) -> Option<f64> {
    match feature {
        Feature::CustomerAge => customer.customer_age,
        Feature::DependentCount => customer.dependent_count,
        Feature::MonthsOnBook => customer.months_on_book,
        Feature::TotalRelationshipCount => customer.total_relationship_count,
        Feature::MonthsInactive12Mon => customer.months_inactive_12_mon,
        Feature::ContactsCount12Mon => customer.contacts_count_12_mon,
        Feature::CreditLimit => customer.credit_limit,
        Feature::TotalRevolvingBal => customer.total_revolving_bal,
        Feature::AvgOpenToBuy => customer.avg_open_to_buy,
        Feature::TotalAmtChngQ4Q1 => customer.total_amt_chng_q4_q1,
        Feature::TotalTransAmt => customer.total_trans_amt,
        Feature::TotalTransCt => customer.total_trans_ct,
        Feature::TotalCtChngQ4Q1 => customer.total_ct_chng_q4_q1,
        Feature::AvgUtilizationRatio => customer.avg_utilization_ratio,
        Feature::Gender
        | Feature::EducationLevel
        | Feature::MaritalStatus
        | Feature::IncomeCategory
        | Feature::CardCategory => None,
    }
}

fn text(customer: &wire::Customer, feature: Feature) -> Option<&str> {
    match feature {
        Feature::Gender => customer.gender.as_deref(),
        Feature::EducationLevel => customer.education_level.as_deref(),
        Feature::MaritalStatus => customer.marital_status.as_deref(),
        Feature::IncomeCategory => customer.income_category.as_deref(),
        Feature::CardCategory => customer.card_category.as_deref(),
        _ => None,
    }
}
