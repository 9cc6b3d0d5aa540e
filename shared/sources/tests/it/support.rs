//! Customers and files for the tests.

use std::path::PathBuf;

use holdfast_domain::{Customer, CustomerKey, Feature, FeatureKind, FeatureVector, Schema, Strictness};
use holdfast_sources::{SourceError, SourceSpec, read};
use tempfile::TempDir;

/// A directory of the test's own, gone when it ends.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn with(&self, name: &str, content: impl AsRef<[u8]>) -> SourceSpec {
        std::fs::write(self.path(name), content).unwrap();
        self.spec(name)
    }

    pub(crate) fn spec(&self, name: &str) -> SourceSpec {
        SourceSpec::parse(self.path(name).to_str().unwrap()).unwrap()
    }
}

/// Valid customers with every feature different from row to row, and with gaps in the optional ones.
pub(crate) fn customers(count: usize) -> Vec<Customer> {
    let schema = Schema::embedded();
    (0..count)
        .map(|row| {
            let mut features = FeatureVector::MISSING;
            for feature in Feature::ALL {
                let column = schema.column(feature);
                let spread = (row * 7 + feature.index() * 13) % 97;
                if !column.required && spread % 11 == 0 {
                    continue;
                }
                let value = match (column.kind, column.minimum, column.maximum) {
                    (FeatureKind::Numeric, Some(low), Some(high)) => low + (high - low) * (spread as f64 / 97.0),
                    _ => (spread % column.categories.len()) as f64,
                };
                features.set(feature, if column.integer { value.round() } else { value });
            }
            Customer {
                key: Some(CustomerKey(700_000_000 + row as i64)),
                label: Some(row % 5 == 0),
                features,
            }
        })
        .collect()
}

pub(crate) async fn train(spec: &SourceSpec) -> Result<Vec<Customer>, SourceError> {
    read(spec, Schema::embedded(), Strictness::Training).await
}

pub(crate) async fn serve(spec: &SourceSpec) -> Result<Vec<Customer>, SourceError> {
    read(spec, Schema::embedded(), Strictness::Serving).await
}

/// Row, column and rule of every listed violation.
pub(crate) fn problems(error: &SourceError) -> Vec<(Option<u64>, &str, &'static str)> {
    error
        .violations()
        .iter()
        .map(|found| (found.row, found.column.as_str(), found.rule.code()))
        .collect()
}
