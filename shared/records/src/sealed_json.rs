//! Canonical JSON with a checksum inside: how small records are stored.
//!
//! Canonical: keys sorted by their bytes, no white space, numbers and strings as `serde_json` writes them. The member
//! `checksum` is the SHA-256 of the canonical JSON of all other members. A reader refuses bytes that are not canonical, so a
//! record has exactly one byte sequence, and any flipped byte is found.

use bytes::Bytes;
use holdfast_domain::Digest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::FormatError;

const CHECKSUM: &str = "checksum";

/// A record whose checksum holds.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The format version it was written with.
    pub(crate) version: u32,
    /// All members but the checksum.
    pub(crate) body: Value,
}

/// The stored bytes of a record; it must serialize to an object with a `format_version`.
pub(crate) fn encode<T: Serialize>(record: &T) -> Result<Bytes, FormatError> {
    let unstorable = |why: String| FormatError::Unstorable(why);
    let Value::Object(mut members) = serde_json::to_value(record).map_err(|error| unstorable(error.to_string()))?
    else {
        return Err(unstorable("a record must be an object".to_owned()));
    };
    let checksum = checksum_of(&members);
    members.insert(CHECKSUM.to_owned(), Value::String(checksum.to_string()));
    Ok(canonical(&members).into())
}

/// Checks bytes and takes them apart.
pub(crate) fn open(bytes: &[u8]) -> Result<Opened, FormatError> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| FormatError::Malformed(format!("it is not JSON: {error}")))?;
    let Value::Object(mut members) = value else {
        return Err(FormatError::malformed("it is not a JSON object"));
    };
    let is_canonical = canonical(&members) == bytes;
    let Some(Value::String(stored)) = members.remove(CHECKSUM) else {
        return Err(FormatError::malformed("it carries no checksum"));
    };
    if !is_canonical || stored != checksum_of(&members).to_string() {
        return Err(FormatError::Checksum);
    }
    let version = members
        .get("format_version")
        .and_then(Value::as_u64)
        .and_then(|version| u32::try_from(version).ok());
    let version = version.ok_or_else(|| FormatError::malformed("it has no format version"))?;
    Ok(Opened {
        version,
        body: Value::Object(members),
    })
}

/// The record in stored bytes, of a kind that has one format version so far.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8], kind: &'static str, version: u32) -> Result<T, FormatError> {
    let opened = open(bytes)?;
    if opened.version != version {
        return Err(FormatError::UnsupportedVersion {
            kind,
            found: opened.version,
            newest: version,
        });
    }
    serde_json::from_value(opened.body).map_err(FormatError::malformed)
}

fn checksum_of(members: &Map<String, Value>) -> Digest {
    Digest::of(&canonical(members))
}

fn canonical(members: &Map<String, Value>) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write_object(members, &mut out);
    out
}

fn write_object(members: &Map<String, Value>, out: &mut Vec<u8>) {
    // Whether a `Map` is sorted depends on a feature that any crate in the build may switch on; so it is sorted here.
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| name.as_bytes());
    out.push(b'{');
    for (position, (name, value)) in sorted.into_iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_value(&Value::String(name.clone()), out);
        out.push(b':');
        write_value(value, out);
    }
    out.push(b'}');
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(members) => write_object(members, out),
        Value::Array(items) => {
            out.push(b'[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                write_value(item, out);
            }
            out.push(b']');
        }
        // `Value` writes a scalar without white space, and writing to memory cannot fail.
        scalar => out.extend_from_slice(scalar.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Sample {
        zebra: f64,
        format_version: u32,
        name: &'static str,
        list: Vec<Option<u8>>,
    }

    fn sample() -> Bytes {
        encode(&Sample {
            zebra: 0.1,
            format_version: 1,
            name: "a \"b\" é",
            list: vec![Some(1), None],
        })
        .unwrap()
    }

    #[test]
    fn members_are_sorted_and_the_checksum_covers_them() {
        let text = String::from_utf8(sample().to_vec()).unwrap();
        let body = r#"{"format_version":1,"list":[1,null],"name":"a \"b\" é","zebra":0.1}"#;
        let expected = body.replacen('{', &format!("{{\"checksum\":\"{}\",", Digest::of(body.as_bytes())), 1);
        assert_eq!(text, expected);
        let opened = open(text.as_bytes()).unwrap();
        assert_eq!(opened.version, 1);
        assert_eq!(opened.body["zebra"], 0.1);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let bytes = sample();
        for position in 0..bytes.len() {
            assert!(open(&bytes[..position]).is_err());
            for bit in 0..8 {
                let mut flipped = bytes.to_vec();
                flipped[position] ^= 1 << bit;
                assert!(open(&flipped).is_err(), "bit {bit} of byte {position}");
            }
        }
    }

    #[test]
    fn another_spelling_of_the_same_record_is_refused() {
        let spaced = String::from_utf8(sample().to_vec())
            .unwrap()
            .replace("\"list\":[1", "\"list\": [1");
        assert_eq!(open(spaced.as_bytes()).unwrap_err(), FormatError::Checksum);
    }
}
