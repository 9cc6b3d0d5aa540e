//! Shapes: their kind in a few words, their fields as a table, an example.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{escaped, inline, list, object, paragraphs, text};

/// References are followed so deep in examples.
const DEPTH: usize = 6;

pub(super) fn write(html: &mut String, name: &str, shape: &Value) {
    let name = escaped(name);
    let _ = write!(
        html,
        "<section class=\"schema\" id=\"shape-{name}\"><h3>{name}</h3>{}",
        paragraphs(text(shape, "description"))
    );
    let parts: Vec<&Value> = list(&shape["allOf"]).collect();
    let fields: Vec<(&str, &Value, bool)> = std::iter::once(shape)
        .chain(parts.iter().copied())
        .flat_map(|part| {
            let needed = |field: &str| list(&part["required"]).any(|needed| needed == field);
            object(&part["properties"]).map(move |(field, kind)| (field, kind, needed(field)))
        })
        .collect();
    let embedded = parts
        .iter()
        .filter(|part| !part["$ref"].is_null())
        .map(|part| kind_of(part));
    let embedded: Vec<String> = embedded.collect();
    if !embedded.is_empty() {
        let _ = write!(html, "<p>With all fields of {}.</p>", embedded.join(" and "));
    }
    if fields.is_empty() {
        if embedded.is_empty() {
            let _ = write!(html, "<p>{}</p>", kind_of(shape));
        }
    } else {
        html.push_str("<table><tr><th>field</th><th>type</th><th></th></tr>");
        for (field, kind, needed) in fields {
            let needed = if needed { " class=\"needed\"" } else { "" };
            let _ = write!(
                html,
                "<tr><td><code{needed}>{}</code></td><td>{}</td><td>{}</td></tr>",
                escaped(field),
                kind_of(kind),
                inline(text(kind, "description"))
            );
        }
        html.push_str("</table>");
    }
    html.push_str("</section>");
}

/// The kind of a value in a few words, with links to named shapes.
pub(super) fn kind_of(schema: &Value) -> String {
    if let Some(name) = named(schema) {
        return format!("<a href=\"#shape-{0}\">{0}</a>", escaped(name));
    }
    let choices: Vec<String> = ["oneOf", "anyOf", "allOf"]
        .iter()
        .flat_map(|key| list(&schema[*key]))
        .map(kind_of)
        .collect();
    if !choices.is_empty() {
        return choices.join(" or ");
    }
    let values: Vec<String> = list(&schema["enum"])
        .map(|value| format!("<code>{}</code>", escaped(&plain(value))))
        .collect();
    if !values.is_empty() {
        return values.join(" or ");
    }
    let kinds: Vec<String> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(plain).collect(),
        Value::String(kind) => vec![kind.clone()],
        _ => vec!["anything".to_owned()],
    };
    let kinds = kinds.iter().map(|kind| match kind.as_str() {
        "array" => format!("list of {}", kind_of(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("map of {}", kind_of(&schema["additionalProperties"]))
        }
        kind => escaped(kind),
    });
    let mut kind = kinds.collect::<Vec<_>>().join(" or ");
    let bound = |name: &str| schema[name].as_f64();
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => _ = write!(kind, ", {least} to {most}"),
        (Some(least), None) => _ = write!(kind, ", from {least}"),
        (None, Some(most)) => _ = write!(kind, ", up to {most}"),
        (None, None) => {}
    }
    kind
}

/// A value that fits the schema: its own example, or one made of its parts; of objects, what must be there or has an example.
pub(super) fn example(schema: &Value, document: &Value) -> Option<Value> {
    if schema.is_null() {
        return None;
    }
    Some(made(schema, document, DEPTH))
}

fn made(schema: &Value, document: &Value, depth: usize) -> Value {
    if let Some(example) = list(&schema["examples"]).next().or_else(|| schema.get("example")) {
        return example.clone();
    }
    if let Some(name) = named(schema) {
        let shape = &document["components"]["schemas"][name];
        return if depth == 0 {
            json!({})
        } else {
            made(shape, document, depth - 1)
        };
    }
    let mut fields = Map::new();
    for part in list(&schema["allOf"]) {
        if let Value::Object(part) = made(part, document, depth) {
            fields.extend(part);
        }
    }
    for (field, kind) in object(&schema["properties"]) {
        let needed = list(&schema["required"]).any(|needed| needed == field);
        if needed {
            fields.insert(field.to_owned(), made(kind, document, depth));
        }
    }
    if !fields.is_empty() {
        return Value::Object(fields);
    }
    if let Some(choice) = ["oneOf", "anyOf"]
        .iter()
        .flat_map(|key| list(&schema[*key]))
        .find(|choice| choice["type"] != "null")
    {
        return made(choice, document, depth);
    }
    if let Some(value) = list(&schema["enum"]).next() {
        return value.clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().cloned().unwrap_or_default(),
        kind => kind.clone(),
    };
    match kind.as_str() {
        Some("string") if schema["format"] == "date-time" => json!("2026-01-02T03:04:05Z"),
        Some("string") => json!("…"),
        Some("boolean") => json!(false),
        Some("integer") => schema.get("minimum").cloned().unwrap_or(json!(0)),
        Some("number") => json!(0.5),
        Some("array") => json!([made(&schema["items"], document, depth)]),
        Some("object") => json!({}),
        _ => Value::Null,
    }
}

fn named(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
