//! What a caller of MLflow's API sends: a JSON object, or query arguments of which some are repeated.
//!
//! Read as MLflow's own server reads them: unknown fields are ignored, `null` is absent, whole numbers may be texts, an enum may be its number, NaN and
//! the infinities are texts. Anything else of a wrong type is `INVALID_PARAMETER_VALUE`.

mod json;
mod request;

use std::fmt;
use std::sync::Arc;

use holdfast_api::registry::v1 as wire;
use holdfast_chassis::{Code, Fault};
use json::{Fields, Json};
pub use request::Request;

/// Most characters of a wrong value in a message.
const SHOWN: usize = 100;

/// A request, or an object within it.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    fields: &'a Fields,
    repeated: bool,
    /// Where it stands within the request.
    at: Option<Place>,
    size_bytes: usize,
}

/// Where an object stands, as messages say it: `metrics[3].`
#[derive(Clone, Debug)]
struct Place {
    above: Option<Arc<Place>>,
    name: &'static str,
    index: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = &self.above {
            above.fmt(to)?;
        }
        match self.index {
            Some(index) => write!(to, "{}[{index}].", self.name),
            None => write!(to, "{}.", self.name),
        }
    }
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
            Some(Json::Text(text)) => Ok(text.clone()),
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
            Json::Whole(number) => Some(*number),
            Json::Real(number) => exactly(*number),
            Json::Text(text) => text.trim().parse().ok(),
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
            #[expect(
                clippy::cast_precision_loss,
                reason = "as JSON's whole numbers are read where a real one is asked for"
            )]
            Json::Whole(number) => Some(*number as f64),
            #[expect(clippy::cast_precision_loss, reason = "see above")]
            Json::Large(number) => Some(*number as f64),
            Json::Real(number) => Some(*number),
            // Rust reads "NaN", "Infinity" and "-Infinity" too, whatever the case of the letters.
            Json::Text(text) if !text.is_empty() => text.parse().ok(),
            Json::Text(_) => return Err(self.missing(name)),
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
            Some(Json::Truth(truth)) => Ok(Some(*truth)),
            Some(Json::Text(text)) if self.repeated && text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Json::Text(text)) if self.repeated && text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(other) => Err(self.wrong(name, other)),
        }
    }

    /// One of several names, or its number; `None` when absent.
    pub(super) fn choice(&self, name: &str, choices: &[(&str, i32)]) -> Result<Option<i32>, Fault> {
        let Some(value) = self.one(name) else { return Ok(None) };
        let found = match value {
            Json::Text(text) => {
                let number = text.parse();
                choices
                    .iter()
                    .find(|(choice, number_of)| choice == text || number == Ok(*number_of))
            }
            Json::Whole(number) => choices.iter().find(|(_, choice)| *number == i64::from(*choice)),
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
        let text = |value: &Json| match value {
            Json::Text(text) => Ok(text.clone()),
            other => Err(self.wrong(name, other)),
        };
        self.list(name)?.iter().map(text).collect()
    }

    /// A list of objects.
    pub(super) fn parts(&self, name: &'static str) -> Result<Vec<Asked<'a>>, Fault> {
        let above = self.at.clone().map(Arc::new);
        let list = self.list(name)?.iter().enumerate();
        list.map(|(index, value)| match value {
            Json::Object(fields) => Ok(self.within(fields, above.clone(), name, Some(index))),
            other => Err(self.wrong(name, other)),
        })
        .collect()
    }

    /// An object.
    pub(super) fn part(&self, name: &'static str) -> Result<Option<Asked<'a>>, Fault> {
        match self.one(name) {
            None => Ok(None),
            Some(Json::Object(fields)) => Ok(Some(self.within(fields, self.at.clone().map(Arc::new), name, None))),
            Some(other) => Err(self.wrong(name, other)),
        }
    }

    /// Tags, or what else has a key and a value.
    pub(super) fn tags(&self, name: &'static str) -> Result<Vec<wire::Tag>, Fault> {
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
    pub(super) fn params(&self, name: &'static str) -> Result<Vec<wire::Param>, Fault> {
        let tags = self.tags(name)?.into_iter();
        Ok(tags
            .map(|wire::Tag { key, value }| wire::Param { key, value })
            .collect())
    }

    /// That a field must be there.
    pub(super) fn missing(&self, name: &str) -> Fault {
        invalid(format!(
            "Missing value for required parameter '{}{name}'. See the API docs for more information about request parameters.",
            self.place()
        ))
    }

    fn one(&self, name: &str) -> Option<&'a Json> {
        let value = self.fields.get(name)?;
        let value = if self.repeated {
            match value {
                Json::List(values) => values.first()?,
                _ => return None,
            }
        } else {
            value
        };
        Some(value).filter(|value| **value != Json::Null)
    }

    fn list(&self, name: &str) -> Result<&'a [Json], Fault> {
        match self.fields.get(name) {
            None | Some(Json::Null) => Ok(&[]),
            Some(Json::List(values)) => Ok(values),
            Some(other) => Err(self.wrong(name, other)),
        }
    }

    fn within(
        &self,
        fields: &'a Fields,
        above: Option<Arc<Place>>,
        name: &'static str,
        index: Option<usize>,
    ) -> Asked<'a> {
        Asked {
            fields,
            repeated: false,
            at: Some(Place { above, name, index }),
            size_bytes: self.size_bytes,
        }
    }

    fn place(&self) -> String {
        self.at.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    fn wrong(&self, name: &str, value: &Json) -> Fault {
        invalid(format!(
            "Invalid value {} for parameter '{}{name}' supplied. Hint: Value was of type '{}'. See the API docs for more information about request \
             parameters.",
            shown(&serde_json::to_string(value).unwrap_or_default()),
            self.place(),
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
fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "NoneType",
        Json::Truth(_) => "bool",
        Json::Real(_) => "float",
        Json::Whole(_) | Json::Large(_) => "int",
        Json::Text(_) => "str",
        Json::List(_) => "list",
        Json::Object(_) => "dict",
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
