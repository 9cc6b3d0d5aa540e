//! What a caller of MLflow's API sends: a JSON object, or query arguments of which some are repeated.
//!
//! Read as MLflow's own server reads them: unknown fields are ignored, `null` is absent, whole numbers may be texts, an enum may be its number, NaN and
//! the infinities are texts. Anything else of a wrong type is `INVALID_PARAMETER_VALUE`.

use holdfast_api::registry::v1 as wire;
use holdfast_chassis::{Code, Fault};
use serde_json::{Map, Value};

/// Most characters of a wrong value in a message.
const SHOWN: usize = 100;

/// A request, read.
#[derive(Clone, Debug, Default)]
pub struct Request {
    fields: Map<String, Value>,
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
        let mut read: Value = serde_json::from_slice(bytes).map_err(malformed)?;
        if let Value::String(text) = &read {
            read = serde_json::from_str(text).map_err(malformed)?;
        }
        match read {
            Value::Object(fields) => Ok(Self {
                fields,
                repeated: false,
                size_bytes,
            }),
            Value::Null => Ok(Self::default()),
            other => Err(invalid(format!("the body must be a JSON object, not {}", kind(&other)))),
        }
    }

    /// Query arguments.
    pub fn of_query(arguments: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut fields = Map::new();
        for (name, value) in arguments {
            let values = fields.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(values) = values {
                values.push(Value::String(value));
            }
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
        let value = Value::String(value.to_owned());
        let value = if self.repeated {
            Value::Array(vec![value])
        } else {
            value
        };
        self.fields.insert(name.to_owned(), value);
        self
    }

    /// All of it.
    pub fn all(&self) -> Asked<'_> {
        Asked {
            fields: &self.fields,
            repeated: self.repeated,
            at: String::new(),
            size_bytes: self.size_bytes,
        }
    }
}

/// A request, or an object within it.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    fields: &'a Map<String, Value>,
    repeated: bool,
    /// Where it stands, for messages: `metrics[3].`, or nothing.
    at: String,
    size_bytes: usize,
}

impl<'a> Asked<'a> {
    /// Bytes of the body.
    pub(super) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// A text; empty when absent.
    pub(super) fn text(&self, name: &str) -> Result<String, Fault> {
        match self.one(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(self.wrong(name, other)),
        }
    }

    /// A text, if it was said; it may be empty.
    pub(super) fn text_said(&self, name: &str) -> Result<Option<String>, Fault> {
        match self.one(name) {
            None => Ok(None),
            Some(_) => self.text(name).map(Some),
        }
    }

    /// A text that must not be empty.
    pub(super) fn needed(&self, name: &str) -> Result<String, Fault> {
        match self.text(name)? {
            text if text.is_empty() => Err(self.missing(name)),
            text => Ok(text),
        }
    }

    /// The run, which old clients call otherwise.
    pub(super) fn run_id(&self) -> Result<String, Fault> {
        match self.text("run_id")? {
            text if text.is_empty() => {
                let old = self.text("run_uuid")?;
                if old.is_empty() {
                    Err(self.missing("run_id"))
                } else {
                    Ok(old)
                }
            }
            text => Ok(text),
        }
    }

    /// A whole number.
    pub(super) fn whole(&self, name: &str) -> Result<Option<i64>, Fault> {
        let Some(value) = self.one(name) else { return Ok(None) };
        let read = match value {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(exactly)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        read.map(Some).ok_or_else(|| self.wrong(name, value))
    }

    /// A whole number that must be there.
    pub(super) fn needed_whole(&self, name: &str) -> Result<i64, Fault> {
        self.whole(name)?.ok_or_else(|| self.missing(name))
    }

    /// How many things are wanted; 0, which leaves it to the registry, when absent.
    pub(super) fn count(&self, name: &str) -> Result<u32, Fault> {
        let Some(count) = self.whole(name)? else { return Ok(0) };
        match u32::try_from(count) {
            Ok(count) if count > 0 => Ok(count),
            _ => Err(invalid(format!(
                "Invalid value {count} for parameter '{name}' supplied. It must be a positive integer."
            ))),
        }
    }

    /// A number of a registered version, a text in MLflow.
    pub(super) fn version(&self) -> Result<u32, Fault> {
        let text = self.needed("version")?;
        text.parse()
            .map_err(|_| invalid(format!("Model version must be an integer, got '{}'", shown(&text))))
    }

    /// A number that must be there; NaN and the infinities are texts.
    pub(super) fn needed_real(&self, name: &str) -> Result<f64, Fault> {
        let value = self.one(name).ok_or_else(|| self.missing(name))?;
        let read = match value {
            Value::Number(number) => number.as_f64(),
            // Rust reads "NaN", "Infinity" and "-Infinity" too, whatever the case of the letters.
            Value::String(text) if !text.is_empty() => text.parse().ok(),
            Value::String(_) => return Err(self.missing(name)),
            _ => None,
        };
        read.ok_or_else(|| self.wrong(name, value))
    }

    /// Yes or no; no when absent.
    pub(super) fn truth(&self, name: &str) -> Result<bool, Fault> {
        Ok(self.said(name)?.unwrap_or_default())
    }

    /// Yes or no, if it was said.
    pub(super) fn said(&self, name: &str) -> Result<Option<bool>, Fault> {
        match self.one(name) {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(*truth)),
            Some(Value::String(text)) if self.repeated && text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if self.repeated && text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(other) => Err(self.wrong(name, other)),
        }
    }

    /// One of several names, or its number; `None` when absent.
    pub(super) fn choice(&self, name: &str, choices: &[(&str, i32)]) -> Result<Option<i32>, Fault> {
        let Some(value) = self.one(name) else { return Ok(None) };
        let found = match value {
            Value::String(text) => {
                let number = text.parse();
                choices
                    .iter()
                    .find(|(choice, number_of)| choice == text || number == Ok(*number_of))
            }
            Value::Number(number) => choices
                .iter()
                .find(|(_, choice)| number.as_i64() == Some(i64::from(*choice))),
            _ => None,
        };
        let found = found.ok_or_else(|| self.wrong(name, value))?;
        Ok(Some(found.1))
    }

    /// Which of active and deleted.
    pub(super) fn view(&self, name: &str) -> Result<i32, Fault> {
        let views = [
            ("ACTIVE_ONLY", wire::LifecycleView::ActiveOnly.into()),
            ("DELETED_ONLY", wire::LifecycleView::DeletedOnly.into()),
            ("ALL", wire::LifecycleView::All.into()),
        ];
        Ok(self.choice(name, &views)?.unwrap_or_default())
    }

    /// A list of texts.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, Fault> {
        let text = |value: &Value| match value {
            Value::String(text) => Ok(text.clone()),
            other => Err(self.wrong(name, other)),
        };
        self.list(name)?.iter().map(text).collect()
    }

    /// A list of objects.
    pub(super) fn parts(&self, name: &str) -> Result<Vec<Asked<'a>>, Fault> {
        let list = self.list(name)?.iter().enumerate();
        list.map(|(index, value)| match value {
            Value::Object(fields) => Ok(self.within(fields, &format!("{name}[{index}]"))),
            other => Err(self.wrong(name, other)),
        })
        .collect()
    }

    /// An object.
    pub(super) fn part(&self, name: &str) -> Result<Option<Asked<'a>>, Fault> {
        match self.one(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(self.within(fields, name))),
            Some(other) => Err(self.wrong(name, other)),
        }
    }

    /// Tags, or what else has a key and a value.
    pub(super) fn tags(&self, name: &str) -> Result<Vec<wire::Tag>, Fault> {
        self.parts(name)?.iter().map(Asked::tag).collect()
    }

    /// A key and a value, which may be empty.
    pub(super) fn tag(&self) -> Result<wire::Tag, Fault> {
        Ok(wire::Tag {
            key: self.needed("key")?,
            value: self.text("value")?,
        })
    }

    /// Parameters.
    pub(super) fn params(&self, name: &str) -> Result<Vec<wire::Param>, Fault> {
        let tags = self.tags(name)?.into_iter();
        Ok(tags
            .map(|wire::Tag { key, value }| wire::Param { key, value })
            .collect())
    }

    /// That a field must be there.
    pub(super) fn missing(&self, name: &str) -> Fault {
        invalid(format!(
            "Missing value for required parameter '{}{name}'. See the API docs for more information about request parameters.",
            self.at
        ))
    }

    fn one(&self, name: &str) -> Option<&'a Value> {
        let value = self.fields.get(name)?;
        let value = if self.repeated {
            value.as_array()?.first()?
        } else {
            value
        };
        Some(value).filter(|value| !value.is_null())
    }

    fn list(&self, name: &str) -> Result<&'a [Value], Fault> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(&[]),
            Some(Value::Array(values)) => Ok(values),
            Some(other) => Err(self.wrong(name, other)),
        }
    }

    fn within(&self, fields: &'a Map<String, Value>, name: &str) -> Asked<'a> {
        Asked {
            fields,
            repeated: false,
            at: format!("{}{name}.", self.at),
            size_bytes: self.size_bytes,
        }
    }

    fn wrong(&self, name: &str, value: &Value) -> Fault {
        invalid(format!(
            "Invalid value {} for parameter '{}{name}' supplied. Hint: Value was of type '{}'. See the API docs for more information about request \
             parameters.",
            shown(&value.to_string()),
            self.at,
            kind(value)
        ))
    }
}

/// A value that breaks a rule.
pub(super) fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(Code::InvalidArgument, "INVALID_PARAMETER_VALUE", message)
}

fn exactly(number: f64) -> Option<i64> {
    // Every whole number of this range is a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let whole = number.fract() == 0.0 && number.abs() <= EXACT;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
    whole.then_some(number as i64)
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The type as users of Python know it.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Request {
        Request::of_body(text.as_bytes()).unwrap()
    }

    #[test]
    fn numbers_are_read_as_protobuf_reads_them() {
        let request = body(r#"{"a": 3, "b": "3", "c": 3.0, "d": 3.5, "e": null, "f": 1e300, "g": true}"#);
        let asked = request.all();
        for name in ["a", "b", "c"] {
            assert_eq!(asked.whole(name).unwrap(), Some(3), "{name}");
        }
        assert_eq!(asked.whole("e").unwrap(), None);
        for name in ["d", "f", "g"] {
            assert!(asked.whole(name).is_err(), "{name}");
        }
        assert!(asked.needed_real("g").is_err());
        assert_eq!(asked.needed_real("b").unwrap().to_bits(), 3.0_f64.to_bits());
    }

    #[test]
    fn what_is_no_number_is_a_text() {
        let request = body(r#"{"nan": "NaN", "up": "Infinity", "down": "-Infinity", "bad": "much"}"#);
        let asked = request.all();
        assert!(asked.needed_real("nan").unwrap().is_nan());
        assert_eq!(asked.needed_real("up").unwrap().to_bits(), f64::INFINITY.to_bits());
        assert_eq!(
            asked.needed_real("down").unwrap().to_bits(),
            f64::NEG_INFINITY.to_bits()
        );
        assert!(asked.needed_real("bad").is_err());
    }

    #[test]
    fn a_wrong_value_is_named_with_its_place_and_cut() {
        let request = body(&format!(
            r#"{{"metrics": [{{"key": "a"}}, {{"key": [{}]}}]}}"#,
            "1,".repeat(500) + "1"
        ));
        let parts = request.all().parts("metrics").unwrap();
        let message = parts[1].needed("key").unwrap_err().message;
        assert!(
            message.contains("'metrics[1].key'") && message.contains("'list'"),
            "{message}"
        );
        assert!(message.len() < 400, "{}", message.len());
        assert!(
            parts[0]
                .needed("value")
                .unwrap_err()
                .message
                .contains("'metrics[0].value'")
        );
    }

    #[test]
    fn queries_repeat_and_bodies_list() {
        let pairs = [
            ("order_by", "a"),
            ("order_by", "b"),
            ("max_results", "7"),
            ("archive", "TRUE"),
        ];
        let request = Request::of_query(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let asked = request.all();
        assert_eq!(asked.texts("order_by").unwrap(), ["a", "b"]);
        assert_eq!(asked.text("order_by").unwrap(), "a");
        assert_eq!(asked.count("max_results").unwrap(), 7);
        assert!(asked.truth("archive").unwrap());
        assert!(body(r#"{"archive": "true"}"#).all().truth("archive").is_err());
        assert!(body(r#"{"order_by": "a"}"#).all().texts("order_by").is_err());
    }

    #[test]
    fn bodies_are_objects_or_nothing() {
        for text in ["", "  ", "null", "{}", r#""{}""#] {
            assert_eq!(body(text).all().text("a").unwrap(), "", "{text}");
        }
        for text in ["[]", "3", "{", r#""{""#, r#"{"a": NaN}"#] {
            assert!(Request::of_body(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_enum_is_its_name_or_its_number() {
        for text in [r#"{"view": "ALL"}"#, r#"{"view": 3}"#, r#"{"view": "3"}"#] {
            assert_eq!(
                body(text).all().view("view").unwrap(),
                i32::from(wire::LifecycleView::All),
                "{text}"
            );
        }
        for text in [r#"{"view": "SOME"}"#, r#"{"view": 4}"#, r#"{"view": 0}"#] {
            assert!(body(text).all().view("view").is_err(), "{text}");
        }
    }
}
