//! Which file is which, by its first bytes.

use std::fmt;

use crate::error::ImportError;

/// The largest file that is read, in bytes: 256 MiB.
pub const MAX_FILE_BYTES: usize = 256 << 20;

/// A format that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// XGBoost's `save_model("model.json")`.
    XgboostJson,
    /// XGBoost's `save_model("model.ubj")`, its default.
    XgboostUbjson,
    /// LightGBM's `save_model("model.txt")` and `model_to_string()`.
    LightgbmText,
}

impl Format {
    /// The format of a file, by its first bytes.
    ///
    /// # Errors
    /// [`ImportError::UnknownFormat`] names the formats that are read, and what the file seems to be instead.
    pub fn detect(bytes: &[u8]) -> Result<Self, ImportError> {
        let text = bytes.trim_ascii_start();
        if text.starts_with(b"tree\n") || text.starts_with(b"tree\r\n") {
            return Ok(Format::LightgbmText);
        }
        if let Some(rest) = text.strip_prefix(b"{") {
            // UBJSON: the first key's length follows at once, as a marker and a number; no JSON object starts with a letter.
            return match rest.trim_ascii_start().first() {
                Some(b'"' | b'}') => Ok(Format::XgboostJson),
                Some(b'L' | b'l' | b'I' | b'U' | b'i') => Ok(Format::XgboostUbjson),
                _ => Err(unknown("an object without a key")),
            };
        }
        Err(unknown(match bytes {
            [] => "the file is empty",
            [0x80, 2..=5, ..] => "this looks like a Python pickle: save the booster with its save_model",
            [b'b', b'i', b'n', b'f', ..] | [0, 0, 0, 0x3f, ..] => {
                "this looks like XGBoost's binary format of before 3.1: load it there and save it as .json or .ubj"
            }
            _ => "the first bytes belong to none of the formats",
        }))
    }
}

fn unknown(found: &str) -> ImportError {
    ImportError::UnknownFormat(format!(
        "{found} (read are XGBoost's .json and .ubj and LightGBM's text, as their save_model writes them)"
    ))
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::XgboostJson => "an XGBoost JSON model",
            Format::XgboostUbjson => "an XGBoost UBJSON model",
            Format::LightgbmText => "a LightGBM text model",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_formats_apart() {
        let detect = |bytes: &[u8]| Format::detect(bytes).unwrap();
        assert_eq!(detect(b"{\"learner\": {}}"), Format::XgboostJson);
        assert_eq!(detect(b" \n{ \n\"version\": []}"), Format::XgboostJson);
        assert_eq!(detect(b"{L\0\0\0\0\0\0\0\x07learner{"), Format::XgboostUbjson);
        assert_eq!(detect(b"tree\nversion=v4\n"), Format::LightgbmText);
        assert_eq!(detect(b"tree\r\nversion=v4\r\n"), Format::LightgbmText);
    }

    #[test]
    fn other_files_are_named_as_what_they_look_like() {
        let refused = |bytes: &[u8]| Format::detect(bytes).unwrap_err().to_string();
        assert!(refused(b"").contains("the file is empty"));
        assert!(refused(b"\x80\x04\x95rest").contains("pickle"));
        assert!(refused(b"binf\0\0").contains("save it as .json or .ubj"));
        assert!(refused(b"{[").contains("an object without a key"));
        assert!(refused(b"CLIENTNUM,Attrition_Flag").contains("none of the formats"));
    }
}
