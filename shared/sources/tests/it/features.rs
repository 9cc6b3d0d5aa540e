//! Reading a table for scoring.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int8Array, Int64Array, LargeStringArray,
    RecordBatch, StringArray, UInt16Array, UInt64Array,
};
use holdfast_domain::{
    ColumnRole, Customer, CustomerKey, Feature, FeatureVector, RowBuilder, Schema, Strictness, UNKNOWN_CATEGORY,
};
use holdfast_sources::{FeatureReader, FeatureRows, RefusedRow, SourceSpec, read_raw, write};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::support::{Files, customers};

async fn read(spec: &SourceSpec, chunk_rows: usize, skipped: u64) -> Vec<FeatureRows> {
    let mut reader = FeatureReader::open(spec, Schema::embedded(), chunk_rows, skipped)
        .await
        .unwrap();
    let mut chunks = Vec::new();
    while let Some(pending) = reader.next().await.unwrap() {
        let rows = pending.rows();
        let chunk = pending.decode();
        assert_eq!(
            (chunk.rows, chunk.rows),
            (rows, (chunk.features.len() + chunk.refused.len()) as u64)
        );
        chunks.push(chunk);
    }
    assert!(reader.next().await.unwrap().is_none(), "the end stays the end");
    chunks
}

fn store(files: &Files, name: &str, columns: Vec<(&str, ArrayRef)>) -> SourceSpec {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(1_000))
        .build();
    let file = std::fs::File::create(files.path(name)).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    files.spec(name)
}

fn columns_of(customers: &[Customer]) -> Vec<(&'static str, ArrayRef)> {
    let schema = Schema::embedded();
    let keys: Int64Array = customers.iter().map(|customer| customer.key.map(|key| key.0)).collect();
    let mut columns: Vec<(&str, ArrayRef)> = vec![("CLIENTNUM", Arc::new(keys))];
    for column in schema.columns() {
        let value = |customer: &Customer| customer.features.get(column.feature);
        let array: ArrayRef = if column.categories.is_empty() {
            Arc::new(customers.iter().map(value).collect::<Float64Array>())
        } else {
            let known = |code: f64| (code >= 0.0).then(|| column.categories.get(code as usize)).flatten();
            let name = |code: f64| known(code).map_or("Obsidian", String::as_str);
            Arc::new(
                customers
                    .iter()
                    .map(|customer| value(customer).map(name))
                    .collect::<StringArray>(),
            )
        };
        columns.push((column.name(), array));
    }
    columns
}

#[tokio::test]
async fn every_kind_of_source_gives_the_same_rows_from_any_row_on() {
    let files = Files::new();
    let customers = customers(2_500);
    let specs = ["a.csv", "a.db"].map(|name| files.spec(name));
    for spec in &specs {
        write(spec, &customers, Schema::embedded()).await.unwrap();
    }
    let parquet = store(&files, "a.parquet", columns_of(&customers));
    for spec in specs.iter().chain([&parquet]) {
        for skipped in [0, 1, 999, 1_024, 2_499, 2_500, 9_000] {
            let chunks = read(spec, 512, skipped).await;
            let mut next = skipped + 1;
            let mut features = Vec::new();
            for chunk in chunks {
                assert_eq!(chunk.first_row, next, "{spec} from {skipped}");
                next += chunk.rows;
                assert!(
                    (next - 1) % 512 == 0 || next == 2_501,
                    "a chunk ends at a multiple or at the end"
                );
                assert_eq!(chunk.numbers, (chunk.first_row..next).collect::<Vec<_>>());
                features.extend(chunk.keys.into_iter().zip(chunk.features));
            }
            let expected: Vec<(Option<CustomerKey>, FeatureVector)> = customers
                .iter()
                .skip(usize::try_from(skipped).unwrap())
                .map(|customer| (customer.key, customer.features))
                .collect();
            assert!(features == expected, "{spec} from {skipped}");
        }
    }
}

/// What a row is by the rules of a row, cell by cell.
async fn cell_by_cell(spec: &SourceSpec) -> (Vec<(Option<CustomerKey>, FeatureVector)>, Vec<RefusedRow>) {
    let schema = Schema::embedded();
    let table = read_raw(spec, |_| {}).await.unwrap();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for row in 0..table.rows() {
        let number = table.row_number(row);
        let mut builder = RowBuilder::new(schema, Strictness::Serving);
        for column in table.columns() {
            match schema.role(column.name()) {
                Some(ColumnRole::Target) | None => {}
                Some(role) => builder.set(role, column.get(row).unwrap()),
            }
        }
        let (customer, violations) = builder.finish_with_violations();
        if violations.is_empty() {
            good.push((customer.key, customer.features));
        } else {
            bad.push(RefusedRow {
                row: number,
                key: customer.key,
                violations: violations
                    .into_iter()
                    .map(|violation| violation.in_row(number))
                    .collect(),
            });
        }
    }
    (good, bad)
}

fn replace(columns: &mut [(&'static str, ArrayRef)], feature: Feature, array: ArrayRef) {
    columns.iter_mut().find(|(name, _)| *name == feature.name()).unwrap().1 = array;
}

/// Values that a rule takes, that a rule refuses, and that mean nothing, in every type in turn.
fn odd_columns(rows: usize, turn: usize) -> Vec<(&'static str, ArrayRef)> {
    let mut columns = columns_of(&customers(rows));
    let pick = |values: &[Option<f64>]| -> Vec<Option<f64>> {
        (0..rows).map(|row| values[(row * 7 + turn) % values.len()]).collect()
    };
    let reals = [
        Some(1_500.5),
        None,
        Some(-1.0),
        Some(f64::NAN),
        Some(f64::INFINITY),
        Some(-0.0),
        Some(2_000.0),
    ];
    replace(
        &mut columns,
        Feature::CreditLimit,
        Arc::new(Float64Array::from(pick(&reals))),
    );
    let halves: Float32Array = pick(&reals)
        .into_iter()
        .map(|value| value.map(|value| value as f32))
        .collect();
    replace(&mut columns, Feature::AvgOpenToBuy, Arc::new(halves));
    let whole = [Some(3.0), Some(2.5), None, Some(1e300), Some(-4.0), Some(6.0)];
    replace(
        &mut columns,
        Feature::TotalRelationshipCount,
        Arc::new(Float64Array::from(pick(&whole))),
    );
    let small: Int8Array = pick(&[Some(3.0), Some(-1.0), None, Some(5.0)])
        .into_iter()
        .map(|value| value.map(|value| value as i8))
        .collect();
    replace(&mut columns, Feature::DependentCount, Arc::new(small));
    let large: UInt64Array = (0..rows)
        .map(|row| [Some(40), Some(u64::MAX), None][(row + turn) % 3])
        .collect();
    replace(&mut columns, Feature::TotalTransCt, Arc::new(large));
    let short: UInt16Array = (0..rows)
        .map(|row| [Some(36), Some(60_000)][(row / 5 + turn) % 2])
        .collect();
    replace(&mut columns, Feature::MonthsOnBook, Arc::new(short));
    let decimals =
        Decimal128Array::from_iter((0..rows).map(|row| [Some(12_345_i128), None, Some(-1)][(row + turn) % 3]))
            .with_precision_and_scale(12, 2)
            .unwrap();
    replace(&mut columns, Feature::TotalTransAmt, Arc::new(decimals));
    let written: StringArray = (0..rows)
        .map(|row| [Some("0.5"), Some(" "), Some("half"), None][(row / 3) % 4])
        .collect();
    replace(&mut columns, Feature::AvgUtilizationRatio, Arc::new(written));
    let texts: LargeStringArray = (0..rows)
        .map(|row| [Some("F"), Some("  "), Some("X"), None][row % 4])
        .collect();
    replace(&mut columns, Feature::Gender, Arc::new(texts));
    let names = (0..rows).map(|row| [Some("Blue"), Some("Obsidian"), None, Some(""), Some("Gold")][row % 5]);
    let cards: DictionaryArray<Int32Type> = names.collect();
    replace(&mut columns, Feature::CardCategory, Arc::new(cards));
    let numbers: Float64Array = (0..rows)
        .map(|row| [None, Some(f64::NAN), Some(2.0)][row % 3])
        .collect();
    replace(&mut columns, Feature::MaritalStatus, Arc::new(numbers));
    columns[0].1 = Arc::new(
        (0..rows)
            .map(|row| [Some(row as i64), None, Some(-3)][(row / 2 + turn) % 3])
            .collect::<Int64Array>(),
    );
    // The label is not looked at: a wrong one refuses nothing.
    columns.push(("Attrition_Flag", Arc::new(StringArray::from(vec!["perhaps"; rows]))));
    columns
}

#[tokio::test]
async fn column_by_column_gives_what_cell_by_cell_gives() {
    let files = Files::new();
    for turn in 0..12 {
        let spec = store(&files, &format!("odd-{turn}.parquet"), odd_columns(1_260, turn));
        let (good, bad) = cell_by_cell(&spec).await;
        let chunks = read(&spec, 500, 0).await;
        let found: Vec<_> = chunks
            .iter()
            .flat_map(|chunk| chunk.keys.iter().copied().zip(chunk.features.iter().copied()))
            .collect();
        let refused: Vec<RefusedRow> = chunks.into_iter().flat_map(|chunk| chunk.refused).collect();
        assert!(found == good, "turn {turn}");
        assert_eq!(refused, bad, "turn {turn}");
        assert!(!bad.is_empty(), "turn {turn} has bad rows");
    }
}

#[tokio::test]
async fn a_bad_row_is_set_aside_with_its_number_key_and_rules() {
    let files = Files::new();
    let mut table = customers(10);
    table[3].features.set(Feature::TotalTransCt, -1.0);
    table[3].features.set(Feature::CreditLimit, f64::NAN);
    table[7].features.set(Feature::CardCategory, UNKNOWN_CATEGORY);
    for name in ["bad.csv", "bad.parquet"] {
        let spec = files.spec(name);
        if name.ends_with("csv") {
            write(&spec, &table, Schema::embedded()).await.unwrap();
        } else {
            store(&files, name, columns_of(&table));
        }
        let chunks = read(&spec, 100, 0).await;
        let [chunk] = chunks.as_slice() else {
            panic!("one chunk")
        };
        assert_eq!(chunk.numbers, [1, 2, 3, 5, 6, 7, 8, 9, 10]);
        let [refused] = chunk.refused.as_slice() else {
            panic!("one bad row")
        };
        assert_eq!((refused.row, refused.key), (4, table[3].key));
        let rules: Vec<&str> = refused
            .violations
            .iter()
            .map(|violation| violation.rule.code())
            .collect();
        assert_eq!(rules, ["below_minimum", "required"], "{name}");
        assert_eq!(
            chunk.features[6].get(Feature::CardCategory),
            Some(UNKNOWN_CATEGORY),
            "an unlisted category is none"
        );
    }
}

#[tokio::test]
async fn a_header_that_lacks_a_needed_column_is_refused_at_once() {
    let files = Files::new();
    let spec = files.with("a.csv", "CLIENTNUM,Credit_Limit\n1,2000\n");
    let error = FeatureReader::open(&spec, Schema::embedded(), 10, 0).await.unwrap_err();
    assert!(
        error.to_string().contains("there is no column Total_Trans_Ct"),
        "{error}"
    );
}
