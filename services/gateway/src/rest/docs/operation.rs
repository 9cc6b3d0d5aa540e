//! One route: what it takes, what it answers, how it is called.

use std::fmt::Write as _;

use serde_json::Value;

use super::schema::{example, kind_of};
use super::{Route, escaped, inline, list, object, paragraphs, text};

/// Where callers of the examples find the gateway.
const ADDRESS: &str = "http://127.0.0.1:8080";

/// The media types of lines, which are sent as they come.
const LINES: &str = "application/x-ndjson";

pub(super) fn write(html: &mut String, route: &Route<'_>, document: &Value) {
    let operation = route.operation;
    let _ = write!(
        html,
        "<details class=\"route\"><summary><span class=\"method {method}\">{upper}</span><code class=\"path\">{path}</code>\
         <span class=\"what\">{summary}</span></summary><div id=\"{id}\"><p>{summary}</p>{description}",
        method = route.method,
        upper = route.method.to_uppercase(),
        path = escaped(route.path),
        summary = inline(text(operation, "summary")),
        id = route.id(),
        description = paragraphs(text(operation, "description")),
    );
    parameters(html, operation);
    body(html, &operation["requestBody"], document);
    answers(html, operation, document);
    let _ = write!(
        html,
        "<h3>Try it</h3><pre>{}</pre></div></details>",
        escaped(&curl(route, document))
    );
}

fn parameters(html: &mut String, operation: &Value) {
    let mut parameters = list(&operation["parameters"]).peekable();
    if parameters.peek().is_none() {
        return;
    }
    html.push_str("<h3>Parameters</h3><table><tr><th>name</th><th>in</th><th>type</th><th></th></tr>");
    for parameter in parameters {
        let needed = if parameter["required"] == true {
            " class=\"needed\""
        } else {
            ""
        };
        let _ = write!(
            html,
            "<tr><td><code{needed}>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(text(parameter, "name")),
            escaped(text(parameter, "in")),
            kind_of(&parameter["schema"]),
            inline(text(parameter, "description")),
        );
    }
    html.push_str("</table>");
}

fn body(html: &mut String, body: &Value, document: &Value) {
    if body.is_null() {
        return;
    }
    let _ = write!(html, "<h3>Body</h3>{}", paragraphs(text(body, "description")));
    for (media_type, content) in object(&body["content"]) {
        let shape = if content["schema"].is_null() {
            "bytes".to_owned()
        } else {
            kind_of(&content["schema"])
        };
        let _ = write!(
            html,
            "<p><code>{}</code> <span class=\"kind\">{shape}</span></p>",
            escaped(media_type)
        );
        sample(html, media_type, &content["schema"], document);
    }
}

fn answers(html: &mut String, operation: &Value, document: &Value) {
    html.push_str("<h3>Answers</h3>");
    for (status, answer) in object(&operation["responses"]) {
        let name = if status == "default" { "4xx 5xx" } else { status };
        let _ = write!(
            html,
            "<p><span class=\"status\">{name}</span> {}",
            inline(text(answer, "description"))
        );
        for (media_type, content) in object(&answer["content"]) {
            let _ = write!(
                html,
                " <span class=\"kind\"><code>{}</code> {}</span>",
                escaped(media_type),
                kind_of(&content["schema"])
            );
        }
        html.push_str("</p>");
        if status.starts_with('2') {
            for (media_type, content) in object(&answer["content"]) {
                sample(html, media_type, &content["schema"], document);
            }
        }
    }
}

/// An example of a body of JSON; other types say nothing of their content.
fn sample(html: &mut String, media_type: &str, schema: &Value, document: &Value) {
    let Some(example) = example(schema, document) else {
        return;
    };
    let text = match media_type {
        LINES => serde_json::to_string(&example),
        "application/json" => serde_json::to_string_pretty(&example),
        _ => return,
    };
    let _ = write!(html, "<pre>{}</pre>", escaped(&text.unwrap_or_default()));
}

fn curl(route: &Route<'_>, document: &Value) -> String {
    let url = format!("{ADDRESS}{}", route.path);
    if route.method == "get" {
        return format!("curl '{url}'");
    }
    let Some((media_type, content)) = object(&route.operation["requestBody"]["content"]).next() else {
        return format!("curl -X POST '{url}'");
    };
    let data = match (media_type, example(&content["schema"], document)) {
        ("application/json", Some(example)) => format!("-d '{example}'"),
        (LINES, _) => "--no-buffer -X POST -T customers.ndjson".to_owned(),
        ("text/csv", _) => "--data-binary @customers.csv".to_owned(),
        _ => "--data-binary @file".to_owned(),
    };
    format!("curl '{url}' \\\n  -H 'content-type: {media_type}' \\\n  {data}")
}
