//! Tensors of the Open Inference Protocol as columns of fields: typed and raw contents, the numeric types and BYTES.
//!
//! Raw contents are little-endian and row-major; BYTES are a 32-bit length and the bytes, one after the other.

use holdfast_api::open_inference::v2::InferTensorContents;
use holdfast_api::open_inference::v2::model_infer_request::InferInputTensor;
use holdfast_chassis::error::FieldViolation;
use holdfast_domain::{FeatureKind, FieldValue};

/// A column of one input.
#[derive(Debug, PartialEq)]
pub(super) enum Column<'a> {
    /// Numbers; NaN for a missing one.
    Numbers(Vec<f64>),
    /// Whole numbers in full precision.
    Integers(Vec<i64>),
    /// Texts; an empty one is missing.
    Texts(Vec<&'a str>),
}

impl Column<'_> {
    /// Rows.
    pub(crate) fn len(&self) -> usize {
        match self {
            Column::Numbers(values) => values.len(),
            Column::Integers(values) => values.len(),
            Column::Texts(values) => values.len(),
        }
    }

    /// The value in a row.
    pub(crate) fn field(&self, row: usize) -> FieldValue<'_> {
        match self {
            Column::Numbers(values) => match values.get(row) {
                Some(value) if !value.is_nan() => FieldValue::Number(*value),
                _ => FieldValue::Missing,
            },
            Column::Integers(values) => values
                .get(row)
                .map_or(FieldValue::Missing, |value| FieldValue::Integer(*value)),
            Column::Texts(values) => match values.get(row) {
                Some(text) if !text.is_empty() => FieldValue::Text(text),
                _ => FieldValue::Missing,
            },
        }
    }
}

/// Reads one input.
pub(super) fn column<'a>(
    tensor: &'a InferInputTensor,
    raw: Option<&'a [u8]>,
    kind: FeatureKind,
) -> Result<Column<'a>, FieldViolation> {
    let wrong = |part: &str, rule: &str, description: String| {
        FieldViolation::new(format!("inputs.{}.{part}", tensor.name), rule, description)
    };
    let fits = match kind {
        FeatureKind::Categorical => tensor.datatype == "BYTES",
        FeatureKind::Numeric => NUMERIC.contains(&tensor.datatype.as_str()),
    };
    if !fits {
        let allowed = if kind == FeatureKind::Categorical {
            "BYTES".to_owned()
        } else {
            NUMERIC.join(", ")
        };
        let description = format!("is {:?}; a {} feature takes {allowed}", tensor.datatype, kind.name());
        return Err(wrong("datatype", "datatype", description));
    }
    let rows = rows(tensor).ok_or_else(|| {
        wrong(
            "shape",
            "shape",
            format!("is {:?}; allowed are [n] and [n, 1] with n from 0", tensor.shape),
        )
    })?;
    let column = match (raw, &tensor.contents) {
        (Some(_), Some(contents)) if holds_any(contents) => {
            return Err(wrong(
                "contents",
                "both_contents",
                "must not be set beside raw_input_contents".to_owned(),
            ));
        }
        (Some(raw), _) => from_raw(&tensor.datatype, raw),
        (None, Some(contents)) => typed(&tensor.datatype, contents),
        (None, None) => typed(&tensor.datatype, &NO_CONTENTS),
    };
    let column = column.map_err(|problem| wrong("contents", "contents", problem))?;
    if column.len() != rows {
        let description = format!("there are {} values, the shape says {rows}", column.len());
        return Err(wrong("contents", "shape", description));
    }
    Ok(column)
}

const NUMERIC: [&str; 10] = [
    "FP64", "FP32", "INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8",
];

static NO_CONTENTS: InferTensorContents = InferTensorContents {
    bool_contents: Vec::new(),
    int_contents: Vec::new(),
    int64_contents: Vec::new(),
    uint_contents: Vec::new(),
    uint64_contents: Vec::new(),
    fp32_contents: Vec::new(),
    fp64_contents: Vec::new(),
    bytes_contents: Vec::new(),
};

fn holds_any(contents: &InferTensorContents) -> bool {
    *contents != NO_CONTENTS
}

fn rows(tensor: &InferInputTensor) -> Option<usize> {
    match *tensor.shape.as_slice() {
        [rows] | [rows, 1] => usize::try_from(rows).ok(),
        _ => None,
    }
}

fn typed<'a>(datatype: &str, contents: &'a InferTensorContents) -> Result<Column<'a>, String> {
    Ok(match datatype {
        "FP64" => Column::Numbers(contents.fp64_contents.clone()),
        "FP32" => Column::Numbers(contents.fp32_contents.iter().copied().map(f64::from).collect()),
        "INT64" => Column::Integers(contents.int64_contents.clone()),
        "INT32" | "INT16" | "INT8" => Column::Integers(widened(contents.int_contents.iter().copied())),
        "UINT64" => Column::Integers(signed(contents.uint64_contents.iter().copied())?),
        "UINT32" | "UINT16" | "UINT8" => Column::Integers(widened(contents.uint_contents.iter().copied())),
        _ => Column::Texts(
            contents
                .bytes_contents
                .iter()
                .map(|bytes| text(bytes))
                .collect::<Result<_, _>>()?,
        ),
    })
}

fn from_raw<'a>(datatype: &str, raw: &'a [u8]) -> Result<Column<'a>, String> {
    Ok(match datatype {
        "FP64" => Column::Numbers(words(raw, f64::from_le_bytes)?),
        "FP32" => Column::Numbers(words(raw, f32::from_le_bytes)?.into_iter().map(f64::from).collect()),
        "INT64" => Column::Integers(words(raw, i64::from_le_bytes)?),
        "INT32" => Column::Integers(widened(words(raw, i32::from_le_bytes)?)),
        "INT16" => Column::Integers(widened(words(raw, i16::from_le_bytes)?)),
        "INT8" => Column::Integers(widened(words(raw, i8::from_le_bytes)?)),
        "UINT64" => Column::Integers(signed(words(raw, u64::from_le_bytes)?)?),
        "UINT32" => Column::Integers(widened(words(raw, u32::from_le_bytes)?)),
        "UINT16" => Column::Integers(widened(words(raw, u16::from_le_bytes)?)),
        "UINT8" => Column::Integers(widened(raw.iter().copied())),
        _ => Column::Texts(texts(raw)?),
    })
}

fn widened<T: Into<i64>>(values: impl IntoIterator<Item = T>) -> Vec<i64> {
    values.into_iter().map(Into::into).collect()
}

/// No column holds numbers that do not fit 63 bits.
fn signed(values: impl IntoIterator<Item = u64>) -> Result<Vec<i64>, String> {
    let fitting = |value: u64| i64::try_from(value).map_err(|_| format!("{value} is larger than {}", i64::MAX));
    values.into_iter().map(fitting).collect()
}

fn words<const N: usize, T>(raw: &[u8], read: fn([u8; N]) -> T) -> Result<Vec<T>, String> {
    let (words, rest) = raw.as_chunks::<N>();
    if !rest.is_empty() {
        return Err(format!("{} bytes are not a whole number of {N}-byte values", raw.len()));
    }
    Ok(words.iter().copied().map(read).collect())
}

fn texts(mut raw: &[u8]) -> Result<Vec<&str>, String> {
    let mut texts = Vec::new();
    while !raw.is_empty() {
        let (length, rest) = raw.split_first_chunk::<4>().ok_or("the last length is cut off")?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (bytes, rest) = rest.split_at_checked(length).ok_or("the last text is cut off")?;
        texts.push(text(bytes)?);
        raw = rest;
    }
    Ok(texts)
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(datatype: &str, shape: &[i64], contents: Option<InferTensorContents>) -> InferInputTensor {
        InferInputTensor {
            name: "Credit_Limit".to_owned(),
            datatype: datatype.to_owned(),
            shape: shape.to_vec(),
            contents,
            ..InferInputTensor::default()
        }
    }

    fn numbers(datatype: &str, shape: &[i64], raw: &[u8]) -> Result<Vec<f64>, String> {
        let tensor = tensor(datatype, shape, None);
        let column = column(&tensor, Some(raw), FeatureKind::Numeric).map_err(|wrong| wrong.field)?;
        Ok((0..column.len())
            .map(|row| match column.field(row) {
                FieldValue::Number(value) => value,
                FieldValue::Integer(value) => value as f64,
                _ => f64::NAN,
            })
            .collect())
    }

    #[test]
    fn every_numeric_type_reads_the_same_number() {
        assert_eq!(numbers("FP64", &[1], &2.0_f64.to_le_bytes()), Ok(vec![2.0]));
        assert_eq!(numbers("FP32", &[1, 1], &2.0_f32.to_le_bytes()), Ok(vec![2.0]));
        assert_eq!(numbers("INT64", &[1], &2_i64.to_le_bytes()), Ok(vec![2.0]));
        assert_eq!(numbers("INT32", &[1], &2_i32.to_le_bytes()), Ok(vec![2.0]));
        assert_eq!(numbers("INT16", &[1], &2_i16.to_le_bytes()), Ok(vec![2.0]));
        assert_eq!(numbers("INT8", &[2], &[2, 0xff]), Ok(vec![2.0, -1.0]));
        assert_eq!(numbers("UINT64", &[1], &2_u64.to_le_bytes()), Ok(vec![2.0]));
        assert_eq!(numbers("UINT32", &[1], &2_u32.to_le_bytes()), Ok(vec![2.0]));
        assert_eq!(numbers("UINT16", &[1], &2_u16.to_le_bytes()), Ok(vec![2.0]));
        assert_eq!(numbers("UINT8", &[2], &[2, 0xff]), Ok(vec![2.0, 255.0]));
    }

    #[test]
    fn typed_contents_of_every_integer_type_are_read_from_the_list_of_the_protocol() {
        let small = InferTensorContents {
            int_contents: vec![-2],
            uint_contents: vec![3],
            uint64_contents: vec![4],
            int64_contents: vec![5],
            ..InferTensorContents::default()
        };
        for (datatype, value) in [
            ("INT8", -2),
            ("INT16", -2),
            ("INT32", -2),
            ("INT64", 5),
            ("UINT8", 3),
            ("UINT16", 3),
            ("UINT32", 3),
            ("UINT64", 4),
        ] {
            let tensor = tensor(datatype, &[1], Some(small.clone()));
            let column = column(&tensor, None, FeatureKind::Numeric).unwrap();
            assert_eq!(column, Column::Integers(vec![value]), "{datatype}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_tensor_names_the_part() {
        let at = |part: &str| Err(format!("inputs.Credit_Limit.{part}"));
        assert_eq!(numbers("FP64", &[2], &[0; 8]), at("contents"), "too few");
        assert_eq!(numbers("FP64", &[1], &[0; 7]), at("contents"), "cut off");
        assert_eq!(
            numbers("UINT64", &[1], &u64::MAX.to_le_bytes()),
            at("contents"),
            "too large"
        );
        assert_eq!(numbers("FP16", &[1], &[0; 2]), at("datatype"));
        assert_eq!(numbers("BYTES", &[1], &[0; 4]), at("datatype"));
        for shape in [&[1, 2][..], &[], &[-1], &[1, 1, 1]] {
            assert_eq!(numbers("FP64", shape, &[0; 8]), at("shape"));
        }
    }

    #[test]
    fn raw_texts_are_lengths_and_bytes() {
        let mut raw = Vec::new();
        for text in ["F", "", "Post-Graduate"] {
            raw.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
            raw.extend(text.as_bytes());
        }
        assert_eq!(texts(&raw), Ok(vec!["F", "", "Post-Graduate"]));
        for cut in [raw.len() - 1, raw.len() - 14, 2] {
            assert!(texts(&raw[..cut]).is_err(), "{cut}");
        }
    }
}
