//! The real table, where it is there.

use holdfast_domain::{Feature, Schema, validate_table};
use holdfast_sources::{SourceSpec, write};

use crate::support::{Files, train};

#[tokio::test]
async fn the_real_table_reads_whole_valid_and_without_its_leaking_columns() {
    let Some(path) = holdfast_testkit::bank_csv() else {
        return;
    };
    let customers = train(&SourceSpec::Csv { path }).await.unwrap();
    let summary = validate_table(&customers, Schema::embedded()).unwrap();
    assert_eq!((summary.rows, summary.positives), (10_127, 1_627));
    assert_eq!(summary.missing.iter().sum::<usize>(), 0);

    let first = &customers[0];
    assert_eq!(first.key.unwrap().0, 768_805_383);
    assert_eq!(first.label, Some(false));
    assert_eq!(first.features.get(Feature::CreditLimit), Some(12_691.0));
    assert_eq!(first.features.get(Feature::AvgUtilizationRatio), Some(0.061));

    // What is written again has the schema's columns and no others, and the same customers.
    let files = Files::new();
    for name in ["again.csv", "again.db"] {
        let spec = files.spec(name);
        write(&spec, &customers, Schema::embedded()).await.unwrap();
        assert_eq!(train(&spec).await.unwrap(), customers);
    }
    let text = std::fs::read_to_string(files.path("again.csv")).unwrap();
    assert!(!text.contains("Naive_Bayes"));
    assert_eq!(text.lines().next().unwrap().split(',').count(), 21);
}
