//! How often each category occurs.

use std::collections::BTreeSet;

use crate::error::InvalidPart;
use crate::preprocess::transform::code;

/// Counts by category name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CategoricalProfile {
    pub(super) categories: Vec<String>,
    pub(super) counts: Vec<u64>,
    pub(super) unlisted: u64,
    pub(super) missing: u64,
}

impl CategoricalProfile {
    /// The profile of codes into `categories`; NaN counts as missing, any other number as unlisted.
    pub fn of(codes: impl IntoIterator<Item = f64>, categories: &[String]) -> Self {
        let mut profile = Self {
            categories: categories.to_vec(),
            counts: vec![0; categories.len()],
            unlisted: 0,
            missing: 0,
        };
        for value in codes {
            let counter = match code(value) {
                _ if value.is_nan() => &mut profile.missing,
                Some(code) if code < categories.len() => &mut profile.counts[code],
                _ => &mut profile.unlisted,
            };
            *counter += 1;
        }
        profile
    }

    /// Names, in the schema's order; also those that do not occur.
    pub fn categories(&self) -> &[String] {
        &self.categories
    }

    /// Rows with each name.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Rows with a name that the schema does not list.
    pub fn unlisted(&self) -> u64 {
        self.unlisted
    }

    /// Rows without a value.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Rows with a value, listed or not.
    pub fn present(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.unlisted
    }

    /// Rows with the category of that name; `None` when the profile does not know the name.
    pub fn count(&self, name: &str) -> Option<u64> {
        let index = self.categories.iter().position(|category| category == name)?;
        self.counts.get(index).copied()
    }

    /// The distribution of the rows of both, or `None` when their categories differ.
    pub fn merge(&self, other: &Self) -> Option<Self> {
        (self.categories == other.categories).then(|| Self {
            categories: self.categories.clone(),
            counts: self.counts.iter().zip(&other.counts).map(|(a, b)| a + b).collect(),
            unlisted: self.unlisted + other.unlisted,
            missing: self.missing + other.missing,
        })
    }

    /// Checks a profile that was read.
    pub(super) fn validate(&self, rows: u64) -> Result<(), InvalidPart> {
        if self.categories.len() != self.counts.len() {
            let problem = format!(
                "there are {}, and {} categories",
                self.counts.len(),
                self.categories.len()
            );
            return Err(InvalidPart::new("counts", problem));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.categories.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(InvalidPart::new("categories", format!("{twice:?} is listed twice")));
        }
        let others = [self.missing, self.unlisted];
        let total = self
            .counts
            .iter()
            .chain(&others)
            .try_fold(0_u64, |sum, count| sum.checked_add(*count));
        if total != Some(rows) {
            return Err(InvalidPart::new(
                "counts",
                format!("they, the unlisted and the missing do not add up to {rows} rows"),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_counted_by_name() {
        let names = ["Blue".to_owned(), "Gold".to_owned()];
        let profile = CategoricalProfile::of([0.0, 1.0, 1.0, f64::NAN, -1.0, 2.0, 0.5], &names);
        assert_eq!(profile.counts(), [1, 2]);
        assert_eq!((profile.unlisted(), profile.missing(), profile.present()), (3, 1, 6));
        assert_eq!(profile.count("Gold"), Some(2));
        assert_eq!(profile.count("Silver"), None);
        profile.validate(7).unwrap();
        assert!(profile.validate(8).is_err());
    }
}
