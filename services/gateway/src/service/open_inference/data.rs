//! The values of a tensor as JSON has them, and as inference takes them: raw, little-endian, in row-major order.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Above this, not every whole number is a 64-bit float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The values of a tensor, flat or nested in the text, flat here. `null` is a missing value.
#[derive(Debug, PartialEq)]
pub(crate) enum Data {
    /// Nothing but so many nulls.
    Nulls(usize),
    /// Whole numbers, none missing.
    Integers(Vec<i64>),
    /// Numbers; NaN, which JSON cannot write, for null.
    Numbers(Vec<f64>),
    /// Texts as raw contents have them: a length of four bytes, then the bytes; null is an empty one.
    Texts(Vec<u8>),
    /// What no tensor holds, in words.
    Unfit(&'static str),
}

impl Data {
    /// The raw contents, and the datatype that they have: that of the tensor, except that whole numbers of which some are missing go as FP64,
    /// which has a NaN.
    pub(super) fn raw(self, datatype: &str) -> Result<(String, Vec<u8>), String> {
        if let Self::Unfit(what) = self {
            return Err(what.to_owned());
        }
        match datatype {
            "FP64" => self.numbers(datatype, f64::to_le_bytes),
            // As inference reads FP32: the nearest 32-bit number.
            "FP32" => self.numbers(datatype, |number| (number as f32).to_le_bytes()),
            "INT64" => self.integers(datatype, i64::to_le_bytes),
            "INT32" => self.integers(datatype, i32::to_le_bytes),
            "INT16" => self.integers(datatype, i16::to_le_bytes),
            "INT8" => self.integers(datatype, i8::to_le_bytes),
            "UINT64" => self.integers(datatype, u64::to_le_bytes),
            "UINT32" => self.integers(datatype, u32::to_le_bytes),
            "UINT16" => self.integers(datatype, u16::to_le_bytes),
            "UINT8" => self.integers(datatype, u8::to_le_bytes),
            "BYTES" => match self {
                Self::Nulls(count) => Ok((datatype.to_owned(), vec![0; 4 * count])),
                Self::Texts(raw) => Ok((datatype.to_owned(), raw)),
                _ => Err("holds numbers; BYTES takes texts".to_owned()),
            },
            // Inference refuses it, and names the datatypes that it takes.
            other => Ok((other.to_owned(), Vec::new())),
        }
    }

    fn numbers<const N: usize>(self, datatype: &str, write: fn(f64) -> [u8; N]) -> Result<(String, Vec<u8>), String> {
        let numbers = match self {
            Self::Nulls(count) => vec![f64::NAN; count],
            Self::Integers(values) => values.into_iter().map(|value| value as f64).collect(),
            Self::Numbers(values) => values,
            _ => return Err(format!("holds texts; {datatype} takes numbers")),
        };
        Ok((datatype.to_owned(), numbers.into_iter().flat_map(write).collect()))
    }

    fn integers<T: TryFrom<i64>, const N: usize>(
        self,
        datatype: &str,
        write: fn(T) -> [u8; N],
    ) -> Result<(String, Vec<u8>), String> {
        let fitting = |value: i64| T::try_from(value).map_err(|_| format!("{value} is no {datatype}"));
        if let Self::Integers(values) = self {
            let mut raw = Vec::with_capacity(values.len() * N);
            for value in values {
                raw.extend(write(fitting(value)?));
            }
            return Ok((datatype.to_owned(), raw));
        }
        if let Self::Numbers(values) = &self {
            for value in values.iter().filter(|value| !value.is_nan()) {
                if value.fract() != 0.0 || value.abs() >= EXACT {
                    return Err(format!("{value} is no whole number of at most 53 bits"));
                }
                fitting(*value as i64)?;
            }
        }
        self.numbers("FP64", f64::to_le_bytes)
            .map_err(|_| format!("holds texts; {datatype} takes whole numbers"))
    }

    fn push_null(&mut self) {
        match self {
            Self::Nulls(count) => *count += 1,
            Self::Integers(_) => self.push_number(f64::NAN),
            Self::Numbers(values) => values.push(f64::NAN),
            Self::Texts(raw) => raw.extend([0; 4]),
            Self::Unfit(_) => {}
        }
    }

    fn push_integer(&mut self, value: i64) {
        match self {
            Self::Nulls(0) => *self = Self::Integers(vec![value]),
            Self::Integers(values) => values.push(value),
            _ => self.push_number(value as f64),
        }
    }

    fn push_number(&mut self, value: f64) {
        match self {
            Self::Nulls(count) => {
                let mut values = vec![f64::NAN; *count];
                values.push(value);
                *self = Self::Numbers(values);
            }
            Self::Integers(values) => {
                let mut numbers: Vec<f64> = values.iter().map(|value| *value as f64).collect();
                numbers.push(value);
                *self = Self::Numbers(numbers);
            }
            Self::Numbers(values) => values.push(value),
            Self::Texts(_) => *self = Self::Unfit("mixes texts and numbers"),
            Self::Unfit(_) => {}
        }
    }

    fn push_text(&mut self, text: &str) {
        if let Self::Nulls(count) = self {
            *self = Self::Texts(vec![0; 4 * *count]);
        }
        match self {
            Self::Texts(raw) => {
                // A body is far smaller than four gibibytes.
                raw.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
                raw.extend(text.as_bytes());
            }
            Self::Unfit(_) => {}
            _ => *self = Self::Unfit("mixes texts and numbers"),
        }
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Data;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of values, flat or nested")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Data, A::Error> {
                let mut data = Data::Nulls(0);
                Values(&mut data).visit_seq(list)?;
                Ok(data)
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// One value, or a list of values, appended to the data.
struct Values<'a>(&'a mut Data);

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Values(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.push_null();
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.0.push_integer(value);
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.0.push_integer(value),
            Err(_) => self.0.push_number(value as f64),
        }
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.0.push_number(value);
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.push_text(text);
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        *self.0 = Data::Unfit("holds true or false; no input does");
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        *self.0 = Data::Unfit("holds an object; values are needed");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(text: &str) -> Data {
        serde_json::from_str(text).unwrap()
    }

    fn floats(raw: &[u8]) -> Vec<u64> {
        let (words, rest) = raw.as_chunks::<8>();
        assert!(rest.is_empty());
        words.iter().map(|word| u64::from_le_bytes(*word)).collect()
    }

    #[test]
    fn nested_lists_are_flat_in_their_order() {
        assert_eq!(data("[[1], [2, [3]], []]"), Data::Integers(vec![1, 2, 3]));
        assert_eq!(data("[]"), Data::Nulls(0));
        for no_list in ["5", "\"a\"", "{}", "null"] {
            assert!(serde_json::from_str::<Data>(no_list).is_err(), "{no_list}");
        }
    }

    #[test]
    fn numbers_keep_their_bits_and_null_is_nan() {
        let (datatype, raw) = data("[0.1, 5, null]").raw("FP64").unwrap();
        assert_eq!(datatype, "FP64");
        assert_eq!(floats(&raw), [0.1_f64, 5.0, f64::NAN].map(f64::to_bits));
        let (_, raw) = data("[null, 0.1]").raw("FP32").unwrap();
        assert_eq!(
            raw,
            [f32::NAN.to_le_bytes(), 0.1_f32.to_le_bytes()].concat(),
            "rounded as a 32-bit number"
        );
    }

    #[test]
    fn whole_numbers_keep_all_bits_unless_one_is_missing() {
        let most = i64::MAX;
        let (datatype, raw) = data(&format!("[{most}]")).raw("INT64").unwrap();
        assert_eq!((datatype.as_str(), raw), ("INT64", most.to_le_bytes().to_vec()));
        let (datatype, raw) = data("[7, null]").raw("INT32").unwrap();
        assert_eq!(datatype, "FP64");
        assert_eq!(floats(&raw), [7.0, f64::NAN].map(f64::to_bits));
        assert!(data(&format!("[{most}, null]")).raw("INT64").is_err());
        assert_eq!(data("[255]").raw("UINT8").unwrap().1, [255]);
        for (text, datatype) in [
            ("[300]", "INT8"),
            ("[-1]", "UINT16"),
            ("[1.5]", "INT64"),
            ("[1e300]", "INT64"),
        ] {
            assert!(data(text).raw(datatype).is_err(), "{text} as {datatype}");
        }
    }

    #[test]
    fn texts_are_lengths_and_bytes_and_null_is_an_empty_one() {
        let raw = |text: &str| data(text).raw("BYTES").unwrap().1;
        assert_eq!(raw(r#"["F", null]"#), [1, 0, 0, 0, b'F', 0, 0, 0, 0]);
        assert_eq!(raw(r#"[null, "\u00e4"]"#), [0, 0, 0, 0, 2, 0, 0, 0, 0xc3, 0xa4]);
    }

    #[test]
    fn what_does_not_fit_the_datatype_is_said() {
        for (text, datatype) in [
            ("[\"5\"]", "FP64"),
            ("[\"5\"]", "INT8"),
            ("[5]", "BYTES"),
            ("[5, \"F\"]", "BYTES"),
            ("[\"F\", 5]", "BYTES"),
            ("[true]", "FP64"),
            ("[{\"a\": 1}]", "FP64"),
        ] {
            assert!(data(text).raw(datatype).is_err(), "{text} as {datatype}");
        }
    }
}
