//! Receivers behind TLS.

use std::sync::Arc;

use holdfast_api::registry::v1 as wire;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::receiver::app_of_nothing;
use super::{is_delivered, quick, quick_with};
use crate::support::Registry;

/// For localhost and 127.0.0.1, by itself, until 2120. The key opens nothing but this test.
const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/data/localhost.crt");
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/data/localhost.key");

/// Answers 204 to everything over TLS, until the test ends; answers its port.
async fn behind_tls() -> u16 {
    let certificates = vec![CertificateDer::from_pem_file(CERTIFICATE).unwrap()];
    let key = PrivateKeyDer::from_pem_file(KEY).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A caller that does not trust the certificate hangs up.
            if let Ok(stream) = acceptor.accept(stream).await {
                let service = TowerToHyperService::new(app_of_nothing());
                let builder = Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            }
        }
    });
    port
}

async fn test(registry: &mut Registry, url: &str) -> wire::Delivery {
    let (webhook_id, _) = registry.hook(url, "").await;
    let request = wire::TestWebhookRequest {
        webhook_id,
        ..wire::TestWebhookRequest::default()
    };
    registry
        .webhooks
        .test_webhook(request)
        .await
        .unwrap()
        .into_inner()
        .delivery
        .unwrap()
}

#[tokio::test]
async fn a_receiver_whose_certificate_is_trusted_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let settings = quick_with(|webhooks| webhooks.ca_file = Some(CERTIFICATE.into()));
    let mut registry = Registry::start_with(dir.path(), settings).await;
    let port = behind_tls().await;
    for host in ["localhost", "127.0.0.1"] {
        let sent = test(&mut registry, &format!("https://{host}:{port}/")).await;
        assert!(is_delivered(&sent), "{sent:?}");
        assert_eq!(sent.http_status, 204);
    }
    // The certificate names neither this address nor its network.
    let sent = test(&mut registry, &format!("https://127.0.0.2:{port}/")).await;
    assert!(!is_delivered(&sent), "{sent:?}");
    registry.stop().await;
}

#[tokio::test]
async fn a_receiver_whose_certificate_is_not_trusted_is_not_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start_with(dir.path(), quick()).await;
    let port = behind_tls().await;
    let sent = test(&mut registry, &format!("https://localhost:{port}/")).await;
    assert_eq!((sent.state(), sent.http_status), (wire::DeliveryState::Failed, 0));
    assert!(sent.error.starts_with("no TLS connection"), "{}", sent.error);
    registry.stop().await;
}
