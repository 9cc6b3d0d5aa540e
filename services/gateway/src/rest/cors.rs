//! Pages of other origins: none may call unless the settings say which.

use std::time::Duration;

use holdfast_chassis::server::cors::{AllowOrigin, CorsLayer};
use http::{HeaderName, HeaderValue, Method, header};

use crate::settings::CorsSettings;

const EVERYBODY: &str = "*";

/// What the settings allow; `None` for nothing.
pub(crate) fn layer(settings: &CorsSettings) -> Option<CorsLayer> {
    if settings.allowed_origins.is_empty() {
        return None;
    }
    let named = |name| HeaderName::from_static(name);
    let origins = if settings.allowed_origins.iter().any(|origin| origin == EVERYBODY) {
        AllowOrigin::any()
    } else {
        let origins = settings.allowed_origins.iter();
        AllowOrigin::list(origins.filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::ACCEPT,
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            named("idempotency-key"),
            named("inference-header-content-length"),
            named("traceparent"),
            named("tracestate"),
            named("x-request-id"),
        ])
        .expose_headers([
            header::LOCATION,
            header::RETRY_AFTER,
            named("inference-header-content-length"),
            named("x-request-id"),
        ])
        .allow_credentials(settings.allow_credentials)
        .max_age(Duration::from_secs(settings.max_age_seconds));
    Some(layer)
}

/// What is wrong with the settings, if anything.
pub(crate) fn violation(settings: &CorsSettings) -> Option<String> {
    let origins = &settings.allowed_origins;
    if origins.iter().any(|origin| origin == EVERYBODY) {
        if origins.len() > 1 {
            return Some("must not name others beside \"*\"".to_owned());
        }
        return settings.allow_credentials.then(|| {
            "must not be \"*\" together with allow_credentials: every page could act for its reader".to_owned()
        });
    }
    let wrong = origins.iter().find(|origin| !is_origin(origin))?;
    Some(format!(
        "{wrong:?} is no origin; one looks like https://host or https://host:port"
    ))
}

/// As browsers send it: scheme, host and port, lower case, nothing behind.
fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<http::Uri>() else {
        return false;
    };
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return false;
    };
    let plain = rest
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._:[]".contains(c));
    uri.host().is_some() && !rest.is_empty() && plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(origins: &[&str], allow_credentials: bool) -> CorsSettings {
        CorsSettings {
            allowed_origins: origins.iter().map(ToString::to_string).collect(),
            allow_credentials,
            max_age_seconds: 1,
        }
    }

    #[test]
    fn origins_are_as_browsers_send_them() {
        for good in ["https://a.example.com", "http://127.0.0.1:3000", "https://[::1]:8443"] {
            assert_eq!(violation(&settings(&[good], true)), None, "{good}");
        }
        for bad in [
            "a.example.com",
            "https://a.example.com/",
            "HTTPS://A",
            "https://",
            "ftp://a",
            "https://*.example.com",
        ] {
            assert!(violation(&settings(&[bad], false)).is_some(), "{bad}");
        }
    }

    #[test]
    fn everybody_is_alone_and_without_credentials() {
        assert_eq!(violation(&settings(&["*"], false)), None);
        assert!(violation(&settings(&["*"], true)).is_some());
        assert!(violation(&settings(&["*", "https://a"], false)).is_some());
        assert!(layer(&settings(&[], false)).is_none());
    }
}
