//! A request as it comes: a body, or query arguments.

use std::collections::BTreeMap;

use holdfast_chassis::{Code, Fault};

use super::json::{Fields, Json};
use super::{Asked, invalid, kind};

/// A request, read.
#[derive(Clone, Debug, Default)]
pub struct Request {
    fields: Fields,
    /// From a query: every field is the list of its values.
    repeated: bool,
    size_bytes: usize,
}

impl Request {
    /// A JSON object. Nothing at all is an empty one, and an object that was made a text is read, as old clients send it.
    ///
    /// # Errors
    /// `InvalidArgument` if it is no JSON object.
    pub fn of_body(bytes: &[u8]) -> Result<Self, Fault> {
        let size_bytes = bytes.len();
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let malformed = |error: serde_json::Error| {
            Fault::new(
                Code::InvalidArgument,
                "MALFORMED_JSON",
                format!("the body is not valid JSON: {error}"),
            )
        };
        let mut read: Json = serde_json::from_slice(bytes).map_err(malformed)?;
        if let Json::Text(text) = &read {
            read = serde_json::from_str(text).map_err(malformed)?;
        }
        match read {
            Json::Object(fields) => Ok(Self {
                fields,
                repeated: false,
                size_bytes,
            }),
            Json::Null => Ok(Self::default()),
            other => Err(invalid(format!("the body must be a JSON object, not {}", kind(&other)))),
        }
    }

    /// Query arguments.
    pub fn of_query(arguments: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut lists: BTreeMap<String, Vec<Json>> = BTreeMap::new();
        for (name, value) in arguments {
            lists.entry(name).or_default().push(Json::Text(value));
        }
        let mut fields = Fields::default();
        for (name, values) in lists {
            fields.set(name, Json::List(values));
        }
        Self {
            fields,
            repeated: true,
            size_bytes: 0,
        }
    }

    /// With a part of the path as a field; it counts more than a field of that name.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let value = Json::Text(value.to_owned());
        let value = if self.repeated { Json::List(vec![value]) } else { value };
        self.fields.set(name.to_owned(), value);
        self
    }

    /// All of it.
    pub fn all(&self) -> Asked<'_> {
        Asked {
            fields: &self.fields,
            repeated: self.repeated,
            at: None,
            size_bytes: self.size_bytes,
        }
    }
}
