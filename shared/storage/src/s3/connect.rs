//! The SDK client: TLS by rustls on ring alone, so that the build needs no cmake and no C compiler beyond ring's own.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Credentials, SharedHttpClient};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::settings::{S3Settings, SettingsProblem};

/// What servers other than AWS expect to be signed for when nothing else is said.
const REGION_OF_OTHER_SERVERS: &str = "us-east-1";

pub(super) async fn client(settings: &S3Settings) -> Result<Client> {
    let attempt = Duration::from_millis(settings.timeout_ms);
    let connect = Duration::from_millis(settings.connect_timeout_ms);
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client(settings))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(connect)
                .operation_attempt_timeout(attempt)
                .build(),
        )
        .retry_config(RetryConfig::standard().with_max_attempts(settings.max_attempts));
    if let Some(region) = settings
        .region
        .clone()
        .or_else(|| settings.endpoint.as_ref().map(|_| REGION_OF_OTHER_SERVERS.to_owned()))
    {
        loader = loader.region(Region::new(region));
    }
    if let (Some(id), Some(secret)) = (&settings.access_key_id, &settings.secret_access_key) {
        let token = settings.session_token.as_ref().map(|token| token.expose().to_owned());
        loader = loader.credentials_provider(Credentials::new(
            id,
            Secret::expose(secret),
            token,
            None,
            "holdfast settings",
        ));
    }
    if let Some(endpoint) = &settings.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    let shared = loader.load().await;
    if shared.region().is_none() {
        let message = "is not set, and neither the environment nor the profile names one".to_owned();
        return Err(Error::Settings(vec![SettingsProblem {
            field: "s3.region".to_owned(),
            message,
        }]));
    }
    let config = aws_sdk_s3::config::Builder::from(&shared)
        .force_path_style(settings.path_style)
        .build();
    Ok(Client::from_conf(config))
}

fn http_client(settings: &S3Settings) -> SharedHttpClient {
    let everything_is_plain = settings
        .endpoint
        .as_deref()
        .is_some_and(|endpoint| endpoint.starts_with("http://"))
        && settings.access_key_id.is_some();
    if everything_is_plain {
        // Nothing is to be encrypted, so a machine without root certificates will do.
        Builder::new().build_http()
    } else {
        // Root certificates are the system's, or those of SSL_CERT_FILE.
        Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https()
    }
}
