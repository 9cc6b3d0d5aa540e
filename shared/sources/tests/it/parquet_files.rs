//! Parquet: the physical types that other tools write, and files that are damaged.

use std::fs::File;
use std::sync::Arc;

use arrow_array::types::{Int8Type, Int32Type};
use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int8Array, Int32Array,
    Int64Array, LargeStringArray, RecordBatch, StringArray, StringViewArray, UInt16Array, UInt64Array,
};
use holdfast_domain::{Customer, Feature, FeatureKind, FieldValue, Schema};
use holdfast_sources::SourceSpec;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::support::{Files, customers, problems, serve, train};

fn store(files: &Files, name: &str, columns: Vec<(&str, ArrayRef)>, compression: Compression) -> SourceSpec {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(1_000))
        .build();
    let mut writer = ArrowWriter::try_new(
        File::create(files.path(name)).unwrap(),
        batch.schema(),
        Some(properties),
    )
    .unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    files.spec(name)
}

/// The columns a data frame would have: integers, floats and plain text.
fn columns(customers: &[Customer]) -> Vec<(&'static str, ArrayRef)> {
    let schema = Schema::embedded();
    let text = |index: usize| -> ArrayRef {
        let values = customers
            .iter()
            .map(|customer| match schema.fields(customer).nth(index) {
                Some((_, FieldValue::Text(text))) => Some(text.to_owned()),
                _ => None,
            });
        Arc::new(values.collect::<StringArray>())
    };
    let mut columns: Vec<(&'static str, ArrayRef)> = vec![
        (
            "CLIENTNUM",
            Arc::new(
                customers
                    .iter()
                    .map(|customer| customer.key.map(|key| key.0))
                    .collect::<Int64Array>(),
            ),
        ),
        ("Attrition_Flag", text(1)),
    ];
    for feature in Feature::ALL {
        let column: ArrayRef = match feature.kind() {
            FeatureKind::Numeric => Arc::new(
                customers
                    .iter()
                    .map(|c| c.features.get(feature))
                    .collect::<Float64Array>(),
            ),
            FeatureKind::Categorical => text(feature.index() + 2),
        };
        columns.push((feature.name(), column));
    }
    columns
}

fn replaced(mut columns: Vec<(&'static str, ArrayRef)>, name: &str, array: &ArrayRef) -> Vec<(&'static str, ArrayRef)> {
    for column in &mut columns {
        if column.0 == name {
            column.1 = Arc::clone(array);
        }
    }
    columns
}

#[tokio::test]
async fn floats_and_text_read_whatever_the_compression() {
    let files = Files::new();
    let customers = customers(2_500);
    let compressions = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(Default::default()),
        Compression::LZ4_RAW,
    ];
    for compression in compressions {
        let spec = store(&files, "a.parquet", columns(&customers), compression);
        assert_eq!(train(&spec).await.unwrap(), customers, "{compression:?}");
    }
}

#[tokio::test]
async fn columns_of_any_integer_float_decimal_and_text_type_read_alike() {
    let files = Files::new();
    let base = columns(&customers(3));
    let ages: Vec<ArrayRef> = vec![
        Arc::new(Int8Array::from(vec![Some(40), None, Some(60)])),
        Arc::new(Int32Array::from(vec![Some(40), None, Some(60)])),
        Arc::new(UInt16Array::from(vec![Some(40), None, Some(60)])),
        Arc::new(UInt64Array::from(vec![Some(40), None, Some(60)])),
        Arc::new(Float32Array::from(vec![Some(40.0), None, Some(60.0)])),
        Arc::new(Float64Array::from(vec![40.0, f64::NAN, 60.0])),
        Arc::new(
            Decimal128Array::from(vec![Some(4_000), None, Some(6_000)])
                .with_precision_and_scale(12, 2)
                .unwrap(),
        ),
        Arc::new(StringArray::from(vec![Some("40"), None, Some("60.0")])),
    ];
    for array in ages {
        let kind = array.data_type().clone();
        let spec = store(
            &files,
            "a.parquet",
            replaced(base.clone(), "Customer_Age", &array),
            Compression::SNAPPY,
        );
        let read: Vec<_> = train(&spec)
            .await
            .unwrap()
            .iter()
            .map(|c| c.features.get(Feature::CustomerAge))
            .collect();
        assert_eq!(read, [Some(40.0), None, Some(60.0)], "{kind}");
    }
    let cards: Vec<ArrayRef> = vec![
        Arc::new(LargeStringArray::from(vec![Some("Gold"), None, Some("Blue")])),
        Arc::new(StringViewArray::from(vec![Some("Gold"), None, Some("Blue")])),
        Arc::new(
            [Some("Gold"), None, Some("Blue")]
                .into_iter()
                .collect::<DictionaryArray<Int8Type>>(),
        ),
        Arc::new(
            [Some("Gold"), None, Some("Blue")]
                .into_iter()
                .collect::<DictionaryArray<Int32Type>>(),
        ),
    ];
    for array in cards {
        let kind = array.data_type().clone();
        let spec = store(
            &files,
            "a.parquet",
            replaced(base.clone(), "Card_Category", &array),
            Compression::SNAPPY,
        );
        let read: Vec<_> = train(&spec)
            .await
            .unwrap()
            .iter()
            .map(|c| c.features.get(Feature::CardCategory))
            .collect();
        assert_eq!(read, [Some(2.0), None, Some(0.0)], "{kind}");
    }
    let nothing: ArrayRef = Arc::new([None::<&str>; 3].into_iter().collect::<DictionaryArray<Int32Type>>());
    let spec = store(
        &files,
        "a.parquet",
        replaced(base, "Card_Category", &nothing),
        Compression::SNAPPY,
    );
    assert!(
        train(&spec)
            .await
            .unwrap()
            .iter()
            .all(|c| c.features.get(Feature::CardCategory).is_none())
    );
}

#[tokio::test]
async fn leaking_columns_are_not_even_decoded_and_odd_types_are_named() {
    let files = Files::new();
    let customers = customers(60);
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![true; 60]));
    let mut extended = columns(&customers);
    extended.insert(3, ("Naive_Bayes_1", Arc::clone(&flags)));
    let spec = store(&files, "a.parquet", extended, Compression::SNAPPY);
    assert_eq!(train(&spec).await.unwrap(), customers);

    let spec = store(
        &files,
        "b.parquet",
        replaced(columns(&customers), "Gender", &flags),
        Compression::SNAPPY,
    );
    let error = train(&spec).await.unwrap_err();
    assert_eq!(problems(&error), [(None, "Gender", "not_a_number")]);
    assert!(
        error
            .to_string()
            .contains("Gender is stored as Boolean; a column of numbers or text is needed"),
        "{error}"
    );
}

#[tokio::test]
async fn bad_values_are_named_by_row_column_and_rule() {
    let files = Files::new();
    let mut customers = customers(1_500);
    customers[1_234].features.set(Feature::CreditLimit, -1.0);
    customers[1_235].features.set(Feature::CreditLimit, f64::INFINITY);
    let spec = store(&files, "a.parquet", columns(&customers), Compression::SNAPPY);
    let error = train(&spec).await.unwrap_err();
    assert_eq!(
        problems(&error),
        [
            (Some(1_235), "Credit_Limit", "below_minimum"),
            (Some(1_236), "Credit_Limit", "not_finite")
        ]
    );
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_never_a_panic_of_the_process() {
    let files = Files::new();
    store(&files, "good.parquet", columns(&customers(200)), Compression::SNAPPY);
    let good = std::fs::read(files.path("good.parquet")).unwrap();
    for length in (0..good.len()).step_by(good.len() / 60) {
        assert!(
            serve(&files.with("cut.parquet", &good[..length])).await.is_err(),
            "cut to {length}"
        );
    }
    for position in (0..good.len()).step_by(good.len() / 200) {
        let mut flipped = good.clone();
        flipped[position] ^= 0xff;
        // Parquet has no checksums by default, so a flipped value may read as another one; it must only never take us down.
        let _ = serve(&files.with("flipped.parquet", &flipped)).await;
    }
    let error = serve(&files.with("text.parquet", "CLIENTNUM\n1\n")).await.unwrap_err();
    assert!(
        error.to_string().contains("it is not a readable Parquet file"),
        "{error}"
    );
}
