//! The nineteen features of a customer, in the column order of the BankChurners record.

use std::fmt;

/// How many features a customer has.
pub const FEATURE_COUNT: usize = 19;

/// Whether a feature is a number or one of a list of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FeatureKind {
    /// A number, kept as it is.
    Numeric,
    /// A name out of the schema's category list, kept as its index in that list.
    Categorical,
}

impl FeatureKind {
    /// The word `config/schema.yaml` uses: `numeric` or `categorical`.
    pub const fn name(self) -> &'static str {
        match self {
            FeatureKind::Numeric => "numeric",
            FeatureKind::Categorical => "categorical",
        }
    }
}

/// One feature of a customer. The discriminant is its place in a [`FeatureVector`](crate::FeatureVector).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Feature {
    /// Age in years.
    CustomerAge,
    /// Gender as the bank recorded it.
    Gender,
    /// Number of dependants.
    DependentCount,
    /// Highest education.
    EducationLevel,
    /// Marital status.
    MaritalStatus,
    /// Band of yearly income.
    IncomeCategory,
    /// Product tier of the card.
    CardCategory,
    /// Months since the customer joined.
    MonthsOnBook,
    /// Number of products held.
    TotalRelationshipCount,
    /// Months without activity in the last twelve.
    MonthsInactive12Mon,
    /// Contacts with the bank in the last twelve months.
    ContactsCount12Mon,
    /// Credit limit.
    CreditLimit,
    /// Balance carried from month to month.
    TotalRevolvingBal,
    /// Unused credit, average of the last twelve months.
    AvgOpenToBuy,
    /// Amount spent in the fourth quarter over that of the first.
    TotalAmtChngQ4Q1,
    /// Amount spent in the last twelve months.
    TotalTransAmt,
    /// Transactions in the last twelve months.
    TotalTransCt,
    /// Transactions in the fourth quarter over those of the first.
    TotalCtChngQ4Q1,
    /// Share of the credit limit in use, on average.
    AvgUtilizationRatio,
}

impl Feature {
    /// Every feature, in index order.
    pub const ALL: [Feature; FEATURE_COUNT] = [
        Feature::CustomerAge,
        Feature::Gender,
        Feature::DependentCount,
        Feature::EducationLevel,
        Feature::MaritalStatus,
        Feature::IncomeCategory,
        Feature::CardCategory,
        Feature::MonthsOnBook,
        Feature::TotalRelationshipCount,
        Feature::MonthsInactive12Mon,
        Feature::ContactsCount12Mon,
        Feature::CreditLimit,
        Feature::TotalRevolvingBal,
        Feature::AvgOpenToBuy,
        Feature::TotalAmtChngQ4Q1,
        Feature::TotalTransAmt,
        Feature::TotalTransCt,
        Feature::TotalCtChngQ4Q1,
        Feature::AvgUtilizationRatio,
    ];

    /// The column name as it stands in the BankChurners file.
    pub const fn name(self) -> &'static str {
        match self {
            Feature::CustomerAge => "Customer_Age",
            Feature::Gender => "Gender",
            Feature::DependentCount => "Dependent_count",
            Feature::EducationLevel => "Education_Level",
            Feature::MaritalStatus => "Marital_Status",
            Feature::IncomeCategory => "Income_Category",
            Feature::CardCategory => "Card_Category",
            Feature::MonthsOnBook => "Months_on_book",
            Feature::TotalRelationshipCount => "Total_Relationship_Count",
            Feature::MonthsInactive12Mon => "Months_Inactive_12_mon",
            Feature::ContactsCount12Mon => "Contacts_Count_12_mon",
            Feature::CreditLimit => "Credit_Limit",
            Feature::TotalRevolvingBal => "Total_Revolving_Bal",
            Feature::AvgOpenToBuy => "Avg_Open_To_Buy",
            Feature::TotalAmtChngQ4Q1 => "Total_Amt_Chng_Q4_Q1",
            Feature::TotalTransAmt => "Total_Trans_Amt",
            Feature::TotalTransCt => "Total_Trans_Ct",
            Feature::TotalCtChngQ4Q1 => "Total_Ct_Chng_Q4_Q1",
            Feature::AvgUtilizationRatio => "Avg_Utilization_Ratio",
        }
    }

    /// The feature of that exact column name.
    pub fn from_name(name: &str) -> Option<Feature> {
        Feature::ALL.into_iter().find(|feature| feature.name() == name)
    }

    /// Its place in a feature vector, 0 to 18.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The feature at `index`, if it is below [`FEATURE_COUNT`].
    pub fn from_index(index: usize) -> Option<Feature> {
        Feature::ALL.get(index).copied()
    }

    /// Whether it holds a number or a category.
    pub const fn kind(self) -> FeatureKind {
        match self {
            Feature::Gender
            | Feature::EducationLevel
            | Feature::MaritalStatus
            | Feature::IncomeCategory
            | Feature::CardCategory => FeatureKind::Categorical,
            _ => FeatureKind::Numeric,
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_is_found_by_its_name_and_its_index() {
        for (index, feature) in Feature::ALL.into_iter().enumerate() {
            assert_eq!(feature.index(), index);
            assert_eq!(Feature::from_index(index), Some(feature));
            assert_eq!(Feature::from_name(feature.name()), Some(feature));
        }
        assert_eq!(Feature::from_index(FEATURE_COUNT), None);
        assert_eq!(Feature::from_name("credit_limit"), None);
    }

    #[test]
    fn five_features_are_categorical() {
        let categorical = Feature::ALL.iter().filter(|f| f.kind() == FeatureKind::Categorical);
        assert_eq!(categorical.count(), 5);
    }
}
