//! JSON as XGBoost writes it: the standard's, but for `NaN` and `Infinity`.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

/// Reads a document. The error says where reading stopped, and why.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let text = without_special_numbers(bytes);
    let mut reader = serde_json::Deserializer::from_slice(&text);
    let document = serde_path_to_error::deserialize(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(document)
}

/// The text with `null` for numbers that JSON does not know. XGBoost up to 3.0 writes `NaN` as the split value of every categorical split;
/// where such a number matters it is refused by the field's own rule.
fn without_special_numbers(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut out: Vec<u8> = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    let mut inside_text = false;
    while let Some(byte) = bytes.get(at) {
        let special = match byte {
            b'"' => {
                inside_text = !inside_text;
                None
            }
            b'\\' if inside_text => {
                at += 2;
                continue;
            }
            b'N' | b'I' | b'-' if !inside_text => ["NaN", "Infinity", "-Infinity"]
                .into_iter()
                .find(|word| bytes[at..].starts_with(word.as_bytes())),
            _ => None,
        };
        if let Some(word) = special {
            out.extend_from_slice(&bytes[copied..at]);
            out.extend_from_slice(b"null");
            at += word.len();
            copied = at;
        } else {
            at += 1;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(bytes);
    }
    out.extend_from_slice(&bytes[copied..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_does_not_know_become_null_outside_of_texts_alone() {
        let cases = [
            ("[NaN,1,-Infinity,Infinity]", "[null,1,null,null]"),
            (
                r#"{"NaN":"Infinity","a\"NaN":NaN}"#,
                r#"{"NaN":"Infinity","a\"NaN":null}"#,
            ),
            ("[-1,\"-Infinity\"]", "[-1,\"-Infinity\"]"),
            ("NaN", "null"),
            ("Na", "Na"),
            ("\"\\", "\"\\"),
        ];
        for (text, expected) in cases {
            let found = without_special_numbers(text.as_bytes());
            assert_eq!(String::from_utf8_lossy(&found), expected);
        }
    }

    #[test]
    fn what_follows_the_document_is_refused() {
        assert!(read::<Vec<u8>>(b"[1] [2]").unwrap_err().contains("trailing characters"));
    }
}
