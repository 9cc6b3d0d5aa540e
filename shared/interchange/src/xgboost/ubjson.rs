//! A strict reader of Universal Binary JSON, draft 12, as XGBoost writes it: big-endian numbers, lengths as numbers with a marker of their own,
//! arrays that are typed (`[$d#L…`), counted (`[#L…`) or closed by `]`, objects closed by `}`.
//!
//! It is a `serde` deserializer, so that JSON and UBJSON become the same structs. Whatever the bytes are, it returns: nesting is limited, and no
//! length is believed before it is compared with the bytes that are left, so memory is bounded by a small multiple of the file. What
//! XGBoost never writes is refused: high-precision numbers, characters, typed or counted objects, arrays of a type without a payload.

use std::fmt;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

/// The deepest nesting of arrays and objects. A model has nine levels.
const MAX_NESTING: usize = 32;

/// Reads a document. The error says where reading stopped, and why.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut reader = Reader {
        bytes,
        at: 0,
        nesting: 0,
    };
    let document = serde_path_to_error::deserialize(Item::untyped(&mut reader));
    let at = reader.at;
    let document = document.map_err(|error| format!("{error} (at byte {at})"))?;
    if at < bytes.len() {
        return Err(format!("{} bytes follow the document (at byte {at})", bytes.len() - at));
    }
    Ok(document)
}

struct Reader<'de> {
    bytes: &'de [u8],
    /// The next byte.
    at: usize,
    /// Arrays and objects that are open.
    nesting: usize,
}

#[derive(Debug)]
struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self(problem.to_string())
    }
}

fn error<T>(problem: impl Into<String>) -> Result<T, Error> {
    Err(Error(problem.into()))
}

impl<'de> Reader<'de> {
    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, count: usize) -> Result<&'de [u8], Error> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return error("the file ends too early");
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let taken = self.take(N)?;
        <[u8; N]>::try_from(taken).map_err(|_| Error("the file ends too early".to_owned()))
    }

    fn byte(&mut self) -> Result<u8, Error> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The whole number behind a marker; `None` when the marker is not one of a whole number.
    fn integer(&mut self, marker: u8) -> Result<Option<i64>, Error> {
        Ok(Some(match marker {
            b'i' => i64::from(i8::from_be_bytes(self.array()?)),
            b'U' => i64::from(self.byte()?),
            b'I' => i64::from(i16::from_be_bytes(self.array()?)),
            b'l' => i64::from(i32::from_be_bytes(self.array()?)),
            b'L' => i64::from_be_bytes(self.array()?),
            _ => return Ok(None),
        }))
    }

    /// A length that is followed by at least `unit` bytes for each of what it counts.
    fn length(&mut self, unit: usize) -> Result<usize, Error> {
        let marker = self.byte()?;
        let Some(length) = self.integer(marker)? else {
            return error(format!("marker {} where a length is expected", shown(marker)));
        };
        match usize::try_from(length) {
            Ok(length) if length <= self.left() / unit => Ok(length),
            Ok(_) => error(format!("a length of {length} goes beyond the end of the file")),
            Err(_) => error(format!("a length of {length}")),
        }
    }

    fn text(&mut self) -> Result<&'de str, Error> {
        let length = self.length(1)?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| Error("a text is not UTF-8".to_owned()))
    }

    fn enter(&mut self) -> Result<(), Error> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return error(format!("nested deeper than {MAX_NESTING} levels"));
        }
        Ok(())
    }

    /// The head of an array behind its `[`.
    fn head(&mut self) -> Result<Elements, Error> {
        let mut marker = None;
        if self.peek() == Some(b'$') {
            self.at += 1;
            let of = self.byte()?;
            if size_of_payload(of).is_none() {
                return error(format!("an array of type {}", shown(of)));
            }
            marker = Some(of);
            if self.peek() != Some(b'#') {
                return error("an array with a type and no length");
            }
        }
        let left = if self.peek() == Some(b'#') {
            self.at += 1;
            Some(self.length(marker.and_then(size_of_payload).unwrap_or(1))?)
        } else {
            None
        };
        Ok(Elements { marker, left })
    }
}

/// What is known of an array's elements before they are read.
struct Elements {
    /// Their type, if they have it in common.
    marker: Option<u8>,
    /// How many are left; `None` when a bracket closes the array.
    left: Option<usize>,
}

/// Bytes of a number of this type; `None` for types that are no numbers.
fn size_of_payload(marker: u8) -> Option<usize> {
    match marker {
        b'i' | b'U' => Some(1),
        b'I' => Some(2),
        b'l' | b'd' => Some(4),
        b'L' | b'D' => Some(8),
        _ => None,
    }
}

fn shown(marker: u8) -> String {
    format!("'{}'", char::from(marker).escape_default())
}

/// One value: its marker, if an array has said it already, and its payload.
struct Item<'a, 'de> {
    reader: &'a mut Reader<'de>,
    marker: Option<u8>,
}

impl<'a, 'de> Item<'a, 'de> {
    fn untyped(reader: &'a mut Reader<'de>) -> Self {
        Self { reader, marker: None }
    }
}

impl<'de> Deserializer<'de> for Item<'_, 'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let reader = self.reader;
        let marker = match self.marker {
            Some(marker) => marker,
            None => reader.byte()?,
        };
        if let Some(number) = reader.integer(marker)? {
            return visitor.visit_i64(number);
        }
        match marker {
            b'd' => visitor.visit_f32(f32::from_be_bytes(reader.array()?)),
            b'D' => visitor.visit_f64(f64::from_be_bytes(reader.array()?)),
            b'T' => visitor.visit_bool(true),
            b'F' => visitor.visit_bool(false),
            b'Z' => visitor.visit_unit(),
            b'S' => visitor.visit_borrowed_str(reader.text()?),
            b'[' => {
                reader.enter()?;
                let elements = reader.head()?;
                let value = visitor.visit_seq(Array { reader, elements })?;
                reader.nesting -= 1;
                Ok(value)
            }
            b'{' => {
                reader.enter()?;
                let value = visitor.visit_map(Object { reader })?;
                reader.nesting -= 1;
                Ok(value)
            }
            other => error(format!("marker {} where a value is expected", shown(other))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.marker.is_none() && self.reader.peek() == Some(b'Z') {
            self.reader.at += 1;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Array<'a, 'de> {
    reader: &'a mut Reader<'de>,
    elements: Elements,
}

impl<'de> SeqAccess<'de> for Array<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        match &mut self.elements.left {
            Some(0) => return Ok(None),
            Some(left) => *left -= 1,
            None if self.reader.peek() == Some(b']') => {
                self.reader.at += 1;
                self.elements.left = Some(0);
                return Ok(None);
            }
            None => {}
        }
        let item = Item {
            reader: &mut *self.reader,
            marker: self.elements.marker,
        };
        seed.deserialize(item).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        self.elements.left
    }
}

struct Object<'a, 'de> {
    reader: &'a mut Reader<'de>,
}

impl<'de> MapAccess<'de> for Object<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if self.reader.peek() == Some(b'}') {
            self.reader.at += 1;
            return Ok(None);
        }
        let key = self.reader.text()?;
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(Item::untyped(self.reader))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn long(length: i64) -> Vec<u8> {
        [b"L".as_slice(), &length.to_be_bytes()].concat()
    }

    fn text(text: &str) -> Vec<u8> {
        [long(text.len() as i64), text.as_bytes().to_vec()].concat()
    }

    #[test]
    fn numbers_of_every_width_are_big_endian() {
        let read = |bytes: &[u8]| read::<Vec<i64>>(bytes).unwrap();
        let wide = [
            b"[".as_slice(),
            b"i\xffU\xffI\x01\x00l\x00\x01\x00\x00",
            &long(-2),
            b"]",
        ]
        .concat();
        assert_eq!(read(&wide), [-1, 255, 256, 65_536, -2]);
        assert_eq!(
            read(&[b"[$I#".as_slice(), &long(2), b"\x00\x01\xff\xff"].concat()),
            [1, -1]
        );
        assert_eq!(read(b"[#i\x02i\x05U\x06"), [5, 6]);
    }

    #[test]
    fn typed_arrays_of_floats_are_read_as_they_are() {
        let floats = [
            b"[$d#".as_slice(),
            &long(2),
            &1.5_f32.to_be_bytes(),
            &f32::NAN.to_be_bytes(),
        ]
        .concat();
        let read_floats: Vec<Option<f32>> = read(&floats).unwrap();
        assert_eq!(read_floats[0], Some(1.5));
        assert!(read_floats[1].unwrap().is_nan());
        let doubles = [b"[$D#".as_slice(), &long(1), &0.1_f64.to_be_bytes()].concat();
        assert_eq!(read::<Vec<f64>>(&doubles).unwrap(), [0.1]);
    }

    #[test]
    fn objects_have_texts_as_keys_and_anything_as_values() {
        let bytes = [b"{".as_slice(), &text("a"), b"T", &text("b"), b"F}"].concat();
        let object: BTreeMap<String, bool> = read(&bytes).unwrap();
        assert_eq!(
            object,
            BTreeMap::from([("a".to_owned(), true), ("b".to_owned(), false)])
        );
        let bytes = [b"{".as_slice(), &text("a"), b"Z", &text("b"), b"S", &text("é"), b"}"].concat();
        let object: BTreeMap<String, Option<String>> = read(&bytes).unwrap();
        assert_eq!(object["b"].as_deref(), Some("é"));
        assert_eq!(object["a"], None);
    }

    #[test]
    fn a_length_that_lies_is_refused_before_memory_is_asked_for() {
        let refused = |bytes: &[u8]| read::<Vec<f32>>(bytes).unwrap_err();
        for (length, problem) in [(i64::MAX, "goes beyond"), (3, "goes beyond"), (-1, "a length of -1")] {
            let bytes = [b"[$d#".as_slice(), &long(length), &[0; 11]].concat();
            assert!(refused(&bytes).contains(problem), "{length}: {}", refused(&bytes));
        }
        assert!(refused(&[b"[#".as_slice(), &long(1 << 40)].concat()).contains("goes beyond"));
        assert!(refused(b"[#Sx").contains("where a length is expected"));
    }

    #[test]
    fn what_has_no_payload_cannot_be_repeated_for_free() {
        let bytes = [b"[$T#".as_slice(), &long(i64::MAX)].concat();
        assert!(
            read::<Vec<bool>>(&bytes)
                .unwrap_err()
                .starts_with("an array of type 'T'")
        );
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = vec![b'['; 1_000_000];
        assert!(
            read::<serde::de::IgnoredAny>(&deep)
                .unwrap_err()
                .contains("nested deeper than 32")
        );
    }

    #[test]
    fn errors_say_where() {
        assert_eq!(
            read::<Vec<i64>>(b"[i\x01H").unwrap_err(),
            "[1]: marker 'H' where a value is expected (at byte 4)"
        );
        assert_eq!(
            read::<Vec<i64>>(b"[]i").unwrap_err(),
            "1 bytes follow the document (at byte 2)"
        );
        assert_eq!(
            read::<Vec<i64>>(b"[l\0").unwrap_err(),
            "[0]: the file ends too early (at byte 2)"
        );
    }
}
