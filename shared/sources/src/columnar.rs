//! Features out of Arrow columns, column by column: what scoring millions of rows spends its time on beside the trees.
//!
//! Each column is taken in one pass of its own type. A pass takes a value only where it sees that the rules of a row hold; every row with a
//! value that it does not, or with a needed one missing, is taken again cell by cell by the [`RowBuilder`], which decides and says what is
//! wrong. So both ways give the same features and the same violations.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowDictionaryKeyType, ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type,
};
use arrow_array::{Array, DictionaryArray, PrimitiveArray, RecordBatch};
use arrow_schema::DataType;
use holdfast_domain::{
    Column, ColumnRole, CustomerKey, Feature, FeatureKind, FeatureVector, FieldValue, RowBuilder, Schema, Strictness,
};

use crate::features::FeatureRows;
use crate::header::Slot;
use crate::parquet::{Cells, cells};

/// Rows being filled in, and which of them a second look must decide.
struct Filling<'a> {
    vectors: &'a mut [FeatureVector],
    doubtful: &'a mut [bool],
}

/// Features of consecutive batches.
pub(crate) fn decode(first_row: u64, batches: &[RecordBatch], slots: &[Slot], schema: &Schema) -> FeatureRows {
    let total: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let mut rows = FeatureRows::starting_at(first_row);
    rows.keys.reserve(total);
    rows.numbers.reserve(total);
    rows.features.reserve(total);
    for batch in batches {
        let first = first_row + rows.rows;
        decode_batch(first, batch, slots, schema, &mut rows);
        rows.rows += batch.num_rows() as u64;
    }
    rows
}

fn decode_batch(first: u64, batch: &RecordBatch, slots: &[Slot], schema: &Schema, rows: &mut FeatureRows) {
    let count = batch.num_rows();
    let mut keys: Vec<Option<CustomerKey>> = vec![None; count];
    let mut vectors = vec![FeatureVector::MISSING; count];
    let mut doubtful = vec![false; count];
    let mut filling = Filling {
        vectors: &mut vectors,
        doubtful: &mut doubtful,
    };
    for (slot, array) in slots.iter().zip(batch.columns()) {
        match slot {
            Slot::Field(ColumnRole::Feature(feature)) => {
                filling.feature(schema.column(*feature), array.as_ref(), schema);
            }
            Slot::Field(ColumnRole::Key) => fill_keys(array.as_ref(), schema, &mut keys, filling.doubtful),
            Slot::Field(ColumnRole::Target | ColumnRole::Dropped) | Slot::Raw(_) => {}
        }
    }
    for feature in schema.required() {
        for (vector, doubtful) in vectors.iter().zip(&mut doubtful) {
            *doubtful |= vector.0[feature.index()].is_nan();
        }
    }
    let numbers = first..first + count as u64;
    if !doubtful.contains(&true) {
        rows.numbers.extend(numbers);
        rows.keys.append(&mut keys);
        rows.features.append(&mut vectors);
        return;
    }
    let columns: Vec<Cells<'_>> = batch.columns().iter().map(|column| cells(column.as_ref())).collect();
    for (row, number) in numbers.enumerate() {
        if doubtful[row] {
            rows.push(number, by_cells(row, slots, &columns, schema));
        } else {
            rows.numbers.push(number);
            rows.keys.push(keys[row]);
            rows.features.push(vectors[row]);
        }
    }
}

fn by_cells<'s>(row: usize, slots: &[Slot], columns: &[Cells<'_>], schema: &'s Schema) -> RowBuilder<'s> {
    let mut builder = RowBuilder::new(schema, Strictness::Serving);
    for (slot, cells) in slots.iter().zip(columns) {
        if let Slot::Field(role) = slot {
            builder.set(*role, cells.get(row));
        }
    }
    builder
}

impl Filling<'_> {
    fn feature(&mut self, column: &Column, array: &dyn Array, schema: &Schema) {
        match (column.kind, array.data_type()) {
            (FeatureKind::Numeric, DataType::Float64) => self.numbers::<Float64Type>(column, array, |value| value),
            (FeatureKind::Numeric, DataType::Float32) => self.numbers::<Float32Type>(column, array, f64::from),
            (FeatureKind::Numeric, DataType::Int64) => self.numbers::<Int64Type>(column, array, |value| value as f64),
            (FeatureKind::Numeric, DataType::Int32) => self.numbers::<Int32Type>(column, array, f64::from),
            (FeatureKind::Numeric, DataType::Int16) => self.numbers::<Int16Type>(column, array, f64::from),
            (FeatureKind::Numeric, DataType::Int8) => self.numbers::<Int8Type>(column, array, f64::from),
            (FeatureKind::Numeric, DataType::UInt32) => self.numbers::<UInt32Type>(column, array, f64::from),
            (FeatureKind::Numeric, DataType::UInt16) => self.numbers::<UInt16Type>(column, array, f64::from),
            (FeatureKind::Numeric, DataType::UInt8) => self.numbers::<UInt8Type>(column, array, f64::from),
            (FeatureKind::Categorical, DataType::Utf8) => {
                let texts = array.as_string::<i32>();
                self.categories(column.feature, schema, |row| {
                    texts.is_valid(row).then(|| texts.value(row))
                });
            }
            (FeatureKind::Categorical, DataType::LargeUtf8) => {
                let texts = array.as_string::<i64>();
                self.categories(column.feature, schema, |row| {
                    texts.is_valid(row).then(|| texts.value(row))
                });
            }
            (FeatureKind::Categorical, DataType::Utf8View) => {
                let texts = array.as_string_view();
                self.categories(column.feature, schema, |row| {
                    texts.is_valid(row).then(|| texts.value(row))
                });
            }
            (FeatureKind::Categorical, DataType::Dictionary(keys, _)) => match **keys {
                DataType::Int32 => self.dictionary(column.feature, array.as_dictionary::<Int32Type>(), schema),
                DataType::Int8 => self.dictionary(column.feature, array.as_dictionary::<Int8Type>(), schema),
                DataType::Int16 => self.dictionary(column.feature, array.as_dictionary::<Int16Type>(), schema),
                _ => self.cells(column.feature, &cells(array), schema),
            },
            _ => self.cells(column.feature, &cells(array), schema),
        }
    }

    /// Numbers: finite ones in the column's range, whole where it asks for that. NaN and null are missing.
    fn numbers<T: ArrowPrimitiveType>(
        &mut self,
        column: &Column,
        array: &dyn Array,
        to_f64: impl Fn(T::Native) -> f64,
    ) {
        let array: &PrimitiveArray<T> = array.as_primitive();
        let (low, high) = (column.minimum.unwrap_or(f64::MIN), column.maximum.unwrap_or(f64::MAX));
        let index = column.feature.index();
        let whole = |value: f64| !column.integer || is_whole(value);
        let rows = self.vectors.iter_mut().zip(self.doubtful.iter_mut());
        for ((vector, doubtful), value) in rows.zip(array.values().iter()) {
            let value = to_f64(*value);
            let good = value >= low && value <= high && whole(value);
            // Adding zero turns -0.0 into 0.0, as the rules of a row do.
            vector.0[index] = value + 0.0;
            *doubtful |= !good && !value.is_nan();
        }
        if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
            for row in 0..array.len() {
                if nulls.is_null(row) {
                    // What stands in the place of a null means nothing, and may have raised a doubt: a second look settles it.
                    self.vectors[row].0[index] = f64::NAN;
                }
            }
        }
    }

    /// Texts: the code of a category of the schema, or the one of an unlisted one.
    fn categories<'v>(&mut self, feature: Feature, schema: &Schema, text: impl Fn(usize) -> Option<&'v str>) {
        let index = feature.index();
        let known = &schema.column(feature).categories;
        for row in 0..self.vectors.len() {
            let Some(text) = text(row) else { continue };
            match known.iter().position(|category| category == text) {
                Some(code) => self.vectors[row].0[index] = code as f64,
                None => self.cell(row, feature, FieldValue::Text(text), schema),
            }
        }
    }

    /// A dictionary: each of its values is looked at once.
    fn dictionary<K: ArrowDictionaryKeyType>(&mut self, feature: Feature, array: &DictionaryArray<K>, schema: &Schema) {
        let of_values = cells(array.values().as_ref());
        let codes: Vec<Option<f64>> = (0..array.values().len())
            .map(|place| {
                schema
                    .feature_value(feature, of_values.get(place), Strictness::Serving)
                    .ok()
            })
            .collect();
        for row in 0..self.vectors.len() {
            match array.key(row).map(|place| codes.get(place).copied().flatten()) {
                None => {}
                Some(Some(code)) => self.vectors[row].0[feature.index()] = code,
                Some(None) => self.doubtful[row] = true,
            }
        }
    }

    /// Any other type, cell by cell.
    fn cells(&mut self, feature: Feature, cells: &Cells<'_>, schema: &Schema) {
        for row in 0..self.vectors.len() {
            self.cell(row, feature, cells.get(row), schema);
        }
    }

    fn cell(&mut self, row: usize, feature: Feature, value: FieldValue<'_>, schema: &Schema) {
        match schema.feature_value(feature, value, Strictness::Serving) {
            Ok(value) => self.vectors[row].0[feature.index()] = value,
            Err(_) => self.doubtful[row] = true,
        }
    }
}

fn fill_keys(array: &dyn Array, schema: &Schema, keys: &mut [Option<CustomerKey>], doubtful: &mut [bool]) {
    if *array.data_type() == DataType::Int64 && array.null_count() == 0 {
        let values = array.as_primitive::<Int64Type>().values().iter();
        for ((key, doubtful), value) in keys.iter_mut().zip(doubtful).zip(values) {
            *key = Some(CustomerKey(*value));
            *doubtful |= *value < 1;
        }
        return;
    }
    let cells = cells(array);
    for (row, key) in keys.iter_mut().enumerate() {
        match schema.key_value(cells.get(row)) {
            Ok(found) => *key = found,
            Err(_) => doubtful[row] = true,
        }
    }
}

/// Whether a number has no fraction; false beyond what an i64 holds, which a second look decides.
fn is_whole(value: f64) -> bool {
    (value as i64) as f64 == value
}
