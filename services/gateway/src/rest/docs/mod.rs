//! The description of all routes as a page for people: made once from the same document that programs get, without scripts, and nothing of it comes from
//! elsewhere, so that it works without a network.

mod operation;
mod schema;

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, header};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// How the page looks.
const STYLE: &str = include_str!("style.css");

/// The page.
static PAGE: LazyLock<String> = LazyLock::new(|| {
    // What we wrote ourselves can be read.
    let document = serde_json::to_value(super::description()).unwrap_or_default();
    page_of(&document)
});

/// What the page may load: the style that stands in it, and nothing else.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// This description as a page.
#[utoipa::path(get, path = "/docs", tag = "status", responses((status = 200, description = "A page", body = String, content_type = "text/html")))]
pub(super) async fn page() -> Response {
    let fixed = HeaderValue::from_static;
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
        (header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
        (header::X_FRAME_OPTIONS, fixed("DENY")),
        (header::REFERRER_POLICY, fixed("no-referrer")),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            fixed("same-origin"),
        ),
    ];
    (headers, Html(PAGE.as_str())).into_response()
}

/// A route of the document.
struct Route<'d> {
    method: &'d str,
    path: &'d str,
    operation: &'d Value,
}

impl Route<'_> {
    fn id(&self) -> &str {
        text(self.operation, "operationId")
    }
}

fn page_of(document: &Value) -> String {
    let about = &document["info"];
    let (mut nav, mut main) = (String::new(), String::new());
    for tag in list(&document["tags"]) {
        let name = text(tag, "name");
        let _ = write!(nav, "<h2>{}</h2><ul>", escaped(name));
        let _ = write!(
            main,
            "<h2>{}</h2><p class=\"about\">{}.</p>",
            escaped(&capitalised(name)),
            escaped(text(tag, "description"))
        );
        for route in routes(document).filter(|route| list(&route.operation["tags"]).any(|tag| tag == name)) {
            let _ = write!(
                nav,
                "<li><a href=\"#{}\"><span class=\"method {}\">{}</span>{}</a></li>",
                route.id(),
                route.method,
                route.method.to_uppercase(),
                // All but a few begin alike.
                escaped(route.path.strip_prefix("/api/v1").unwrap_or(route.path))
            );
            operation::write(&mut main, &route, document);
        }
        nav.push_str("</ul>");
    }
    main.push_str("<h2>Shapes</h2><p class=\"about\">What bodies and answers are made of. An asterisk marks what must be there.</p>");
    for (name, shape) in object(&document["components"]["schemas"]) {
        schema::write(&mut main, name, shape);
    }
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}: REST</title><style>{STYLE}</style></head><body>\
         <nav><div class=\"name\">{title}</div><div class=\"soft\">version {version}</div>{nav}</nav>\
         <main><h1>{title}: REST</h1>{about}<p>For programs: <a href=\"/openapi.json\">/openapi.json</a></p>{main}</main></body></html>\n",
        title = escaped(text(about, "title")),
        version = escaped(text(about, "version")),
        about = paragraphs(text(about, "description")),
    )
}

fn routes(document: &Value) -> impl Iterator<Item = Route<'_>> {
    object(&document["paths"]).flat_map(|(path, item)| {
        object(item).map(move |(method, operation)| Route {
            method,
            path,
            operation,
        })
    })
}

fn object(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}

fn list(value: &Value) -> std::slice::Iter<'_, Value> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

fn text<'d>(value: &'d Value, name: &str) -> &'d str {
    value[name].as_str().unwrap_or_default()
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Text as paragraphs; what stands in backticks is code.
fn paragraphs(text: &str) -> String {
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty());
    paragraphs
        .map(|paragraph| format!("<p>{}</p>", inline(paragraph)))
        .collect()
}

fn inline(text: &str) -> String {
    let mut html = String::new();
    for (place, part) in text.split('`').enumerate() {
        let part = escaped(part);
        let _ = if place % 2 == 1 {
            write!(html, "<code>{part}</code>")
        } else {
            write!(html, "{part}")
        };
    }
    html
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_in_the_page_comes_from_elsewhere_and_nothing_runs() {
        for forbidden in ["<script", "src=", "url(", "@import", "style=\"", "javascript:"] {
            assert!(!PAGE.contains(forbidden), "{forbidden}");
        }
        assert!(!PAGE.contains("https://"), "links lead to our own pages only");
    }

    #[test]
    fn every_route_and_every_shape_is_there_and_every_link_leads_somewhere() {
        let document = serde_json::to_value(crate::rest::description()).unwrap();
        for route in routes(&document) {
            assert!(PAGE.contains(&format!("id=\"{}\"", route.id())), "{}", route.id());
        }
        let links = PAGE
            .split("href=\"#")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap());
        for link in links {
            assert!(PAGE.contains(&format!("id=\"{link}\"")), "#{link} leads nowhere");
        }
    }

    #[test]
    fn text_of_the_document_cannot_become_markup() {
        let document = json!({
            "info": {"title": "<b>", "version": "1", "description": "`<i>` & \"so\""},
            "tags": [{"name": "t", "description": "<u>"}],
            "paths": {"/<p>": {"get": {"tags": ["t"], "operationId": "x", "summary": "<s>", "responses": {}}}},
        });
        let page = page_of(&document);
        for raw in ["<b>", "<i>", "<u>", "/<p>", "<s>"] {
            assert!(!page.contains(raw), "{raw}");
        }
        assert!(page.contains("<code>&lt;i&gt;</code> &amp; &quot;so&quot;"), "{page}");
    }
}
