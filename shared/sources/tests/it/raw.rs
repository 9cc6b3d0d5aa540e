//! Tables as they are: every column, nothing checked, and what cannot be read counted instead of refused.

use std::fs::File;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampSecondArray};
use holdfast_domain::{FieldValue, Schema, Strictness, header_violations};
use holdfast_sources::{RawTable, SourceError, read_raw, write};
use parquet::arrow::ArrowWriter;

use crate::support::{Files, customers};

fn names(table: &RawTable) -> Vec<&str> {
    table.columns().iter().map(|column| column.name()).collect()
}

#[tokio::test]
async fn a_csv_file_comes_with_dropped_unknown_and_repeated_columns() {
    let files = Files::new();
    let text = "CLIENTNUM,Naive_Bayes_1,Shoe_Size,Shoe_Size\n1,0.5,44,\n2,,forty-four, \n";
    let table = read_raw(&files.with("a.csv", text), |_| {}).await.unwrap();
    assert_eq!(names(&table), ["CLIENTNUM", "Naive_Bayes_1", "Shoe_Size", "Shoe_Size"]);
    assert_eq!(table.rows(), 2);
    let [key, bayes, size, again] = table.columns() else {
        panic!("four columns")
    };
    assert_eq!(key.get(1), Ok(FieldValue::Text("2")));
    assert_eq!(bayes.get(0), Ok(FieldValue::Text("0.5")));
    assert_eq!(bayes.get(1), Ok(FieldValue::Missing));
    assert_eq!(size.get(1), Ok(FieldValue::Text("forty-four")));
    assert_eq!(
        (again.get(0), again.get(1)),
        (Ok(FieldValue::Missing), Ok(FieldValue::Missing))
    );
    assert!(key.get(2).is_err(), "there is no third row");
}

#[tokio::test]
async fn a_row_of_another_length_is_counted_and_left_out() {
    let files = Files::new();
    let table = read_raw(&files.with("a.csv", "a,b\n1,2\n3\n4,5\n"), |_| {})
        .await
        .unwrap();
    assert_eq!((table.rows(), table.row_number(0), table.row_number(1)), (2, 1, 3));
    let broken: Vec<String> = table.broken_rows().iter().map(ToString::to_string).collect();
    assert_eq!(broken, ["row 2: line 3 has 1 cells and the header has 2"]);
    assert_eq!(table.more_broken_rows(), 0);
}

#[tokio::test]
async fn parquet_truth_values_are_text_and_times_are_unreadable() {
    let files = Files::new();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("closed", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("key", Arc::new(Int64Array::from(vec![7, 8]))),
        ("at", Arc::new(TimestampSecondArray::from(vec![1, 2]))),
        ("name", Arc::new(StringArray::from(vec!["x", "y"]))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(files.path("a.parquet")).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();

    let table = read_raw(&files.spec("a.parquet"), |_| {}).await.unwrap();
    assert_eq!(names(&table), ["closed", "key", "at", "name"]);
    let [closed, key, at, name] = table.columns() else {
        panic!("four columns")
    };
    assert_eq!(
        (closed.get(0), closed.get(1)),
        (Ok(FieldValue::Text("true")), Ok(FieldValue::Missing))
    );
    assert_eq!(key.get(1), Ok(FieldValue::Integer(8)));
    assert!(at.get(0).is_err() && at.get(1).is_err());
    assert_eq!(name.get(0), Ok(FieldValue::Text("x")));
}

#[tokio::test]
async fn every_kind_of_file_gives_the_same_cells() {
    let files = Files::new();
    let customers = customers(300);
    let schema = Schema::embedded();
    for name in ["bank.csv", "bank.db"] {
        let spec = files.spec(name);
        write(&spec, &customers, schema).await.unwrap();
        let mut seen = 0;
        let table = read_raw(&spec, |rows| seen = rows).await.unwrap();
        assert_eq!((table.rows(), seen), (300, 300), "{name}");
        assert!(header_violations(&names(&table), schema, Strictness::Training).is_empty());
        for (row, customer) in customers.iter().enumerate() {
            let fields = table
                .columns()
                .iter()
                .map(|column| (column.name(), column.get(row).unwrap()));
            assert_eq!(
                schema.customer(fields, Strictness::Training).unwrap(),
                *customer,
                "{name} {row}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_no_table_is_refused_as_ever() {
    let files = Files::new();
    for (name, content) in [
        ("empty.csv", ""),
        ("no.parquet", "PAR1 and no more"),
        ("no.db", "not a database, really"),
    ] {
        let error = read_raw(&files.with(name, content), |_| {}).await.unwrap_err();
        assert!(matches!(error, SourceError::Malformed { .. }), "{name}: {error}");
    }
    let absent = read_raw(&files.spec("absent.csv"), |_| {}).await.unwrap_err();
    assert!(matches!(absent, SourceError::NotFound { .. }), "{absent}");
}
