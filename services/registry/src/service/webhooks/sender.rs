//! One attempt: resolve, check the addresses, connect to one of them, send, read the status. No redirect is followed, no proxy
//! asked, no connection kept: what was checked is what is told.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::Convention;
use super::address::{AddressRules, literal, reach, refusal};
use super::signing::SigningSecret;
use crate::metrics::AttemptOutcome;

const AGENT: &str = concat!("holdfast/", env!("CARGO_PKG_VERSION"));
/// What is read of an answer beyond its status, so that a receiver can end its sentence; it is thrown away.
const MOST_ANSWER_BYTES: usize = 16_384;
const LONGEST_ANSWER: Duration = Duration::from_secs(1);
/// Longest error that is kept, in characters.
const LONGEST_ERROR: usize = 300;

/// Sends. Clones share what they trust.
#[derive(Clone, Debug)]
pub struct Sender {
    rules: AddressRules,
    /// The longest an attempt may take.
    deadline: Duration,
    /// Roots that are trusted beside those of the machine, in PEM.
    ca_file: Option<PathBuf>,
    tls: Arc<OnceCell<Tls>>,
}

/// What is sent, and to whom.
#[derive(Debug)]
pub(super) struct Message<'m> {
    pub(super) url: &'m str,
    pub(super) convention: Convention,
    /// Signed with; not signed without.
    pub(super) secret: Option<&'m SigningSecret>,
    pub(super) delivery_id: &'m str,
    pub(super) body: &'m str,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempted {
    /// HTTP status of the answer; 0 when there was none.
    pub(super) http_status: u16,
    /// Why it failed; empty when it did not.
    pub(super) error: String,
    pub(super) outcome: AttemptOutcome,
}

impl Attempted {
    fn failed(outcome: AttemptOutcome, error: &str) -> Self {
        Self {
            http_status: 0,
            error: error.chars().take(LONGEST_ERROR).collect(),
            outcome,
        }
    }

    fn unreachable(what: &str, error: &dyn std::error::Error) -> Self {
        let mut text = format!("{what}: {error}");
        let mut cause = error.source();
        while let Some(source) = cause {
            text = format!("{text}: {source}");
            cause = source.source();
        }
        Self::failed(AttemptOutcome::Unreachable, &text)
    }

    fn answered(http_status: u16) -> Self {
        let (outcome, error) = match http_status {
            200..=299 => (AttemptOutcome::Delivered, String::new()),
            300..=399 => (
                AttemptOutcome::Refused,
                format!("answered {http_status}: redirects are not followed"),
            ),
            _ => (AttemptOutcome::Refused, format!("answered {http_status}")),
        };
        Self {
            http_status,
            error,
            outcome,
        }
    }
}

impl Sender {
    /// A sender under these rules; an attempt ends after `deadline`.
    pub fn new(rules: AddressRules, deadline: Duration, ca_file: Option<PathBuf>) -> Self {
        Self {
            rules,
            deadline,
            ca_file,
            tls: Arc::default(),
        }
    }

    /// The rules.
    pub(super) fn rules(&self) -> &AddressRules {
        &self.rules
    }

    /// The longest an attempt may take.
    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Makes one attempt, dated `now`.
    pub(super) async fn send(&self, message: &Message<'_>, now: Timestamp) -> Attempted {
        let by = Instant::now() + self.deadline;
        // An answer is heard out beyond the deadline of its head, or a late yes would count as none.
        match tokio::time::timeout_at(by + LONGEST_ANSWER, self.attempt(message, now, by)).await {
            Ok(Ok(status)) => Attempted::answered(status),
            Ok(Err(failed)) => failed,
            Err(_) => self.too_late(),
        }
    }

    fn too_late(&self) -> Attempted {
        let why = format!("no answer within {} ms", self.deadline.as_millis());
        Attempted::failed(AttemptOutcome::TimedOut, &why)
    }

    async fn attempt(&self, message: &Message<'_>, now: Timestamp, by: Instant) -> Result<u16, Attempted> {
        // Once more: the settings may have changed since it was stored.
        let rules = self.rules.parse(message.url);
        let url = rules.map_err(|error| Attempted::failed(AttemptOutcome::Blocked, &error.to_string()))?;
        let request = request(&url, message, now)
            .map_err(|error| Attempted::failed(AttemptOutcome::Unreachable, &format!("cannot be sent: {error}")))?;
        let stream = self.connect(&url, resolve(&url).await?).await?;
        if url.scheme() != "https" {
            return self.exchange(stream, request, by).await;
        }
        let tls = self.tls.get_or_try_init(|| trusted(self.ca_file.clone())).await?;
        let stream = tls
            .0
            .connect(server_name(&url)?, stream)
            .await
            .map_err(|error| Attempted::unreachable("no TLS connection", &error))?;
        self.exchange(stream, request, by).await
    }

    /// Sends the request and answers the status. The head of the answer counts: what follows it is read for a moment only.
    async fn exchange<S>(&self, stream: S, request: Request<Full<Bytes>>, by: Instant) -> Result<u16, Attempted>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let broken = |error: &hyper::Error| Attempted::unreachable("the connection broke", error);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(&error))?;
        let answer = async move {
            let answer = tokio::time::timeout_at(by, sender.send_request(request)).await;
            let answer = answer.map_err(|_| self.too_late())?.map_err(|error| broken(&error))?;
            let status = answer.status().as_u16();
            hear_out(answer).await;
            Ok(status)
        };
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            biased;
            status = &mut answer => status,
            // An ended connection has handed on what it read.
            _ = connection => answer.await,
        }
    }

    /// Connects to the first of the addresses that may be told and answers. The check is of what is connected to: whatever
    /// stands behind a name may change between two looks.
    async fn connect(&self, url: &Url, addresses: Vec<SocketAddr>) -> Result<TcpStream, Attempted> {
        let (mut refused, mut failed) = (None, None);
        for address in addresses {
            if !self.rules.allows(address.ip(), reach(url)) {
                refused = Some(address.ip());
                continue;
            }
            // A part of the deadline each, so that one dead address of several does not use it up.
            match tokio::time::timeout(self.deadline / 3, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failed = Some(Attempted::unreachable(&format!("no connection to {address}"), &error)),
                Err(_) => {
                    let why = format!("no connection to {address} in time");
                    failed = Some(Attempted::failed(AttemptOutcome::TimedOut, &why));
                }
            }
        }
        Err(match (failed, refused) {
            (Some(failed), _) => failed,
            (None, Some(address)) => Attempted::failed(AttemptOutcome::Blocked, &refusal(address)),
            (None, None) => Attempted::failed(AttemptOutcome::Unreachable, "the host has no address"),
        })
    }
}

async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, Attempted> {
    let port = url.port_or_known_default().unwrap_or(443);
    if let Some(address) = literal(url) {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let name = url.host_str().unwrap_or_default();
    let found = lookup_host((name, port)).await;
    let found = found.map_err(|error| Attempted::unreachable("the host cannot be resolved", &error))?;
    Ok(found.collect())
}

fn request(url: &Url, message: &Message<'_>, now: Timestamp) -> crate::error::Result<Request<Full<Bytes>>> {
    let timestamp = now.as_second();
    let sign = |secret: &SigningSecret| secret.sign(message.delivery_id, timestamp, message.body);
    let signature = message.secret.map(sign).transpose()?;
    let [id_name, timestamp_name, signature_name] = match message.convention {
        Convention::StandardWebhooks => ["webhook-id", "webhook-timestamp", "webhook-signature"],
        Convention::Mlflow => ["x-mlflow-delivery-id", "x-mlflow-timestamp", "x-mlflow-signature"],
    };
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut built = Request::post(target)
        .header(HOST, host)
        .header(USER_AGENT, AGENT)
        .header(CONTENT_TYPE, "application/json")
        .header(CONNECTION, "close")
        .header(id_name, message.delivery_id)
        .header(timestamp_name, timestamp);
    if let Some(signature) = signature {
        built = built.header(signature_name, signature);
    }
    let built = built.body(Full::new(Bytes::copy_from_slice(message.body.as_bytes())));
    built.map_err(|error| crate::error::Error::Corrupt(format!("request of a webhook: {error}")))
}

async fn hear_out(answer: Response<hyper::body::Incoming>) {
    let rest = Limited::new(answer.into_body(), MOST_ANSWER_BYTES).collect();
    // The answer is given: neither its length nor its end changes it.
    let _ = tokio::time::timeout(LONGEST_ANSWER, rest).await;
}

fn server_name(url: &Url) -> Result<ServerName<'static>, Attempted> {
    let name = match url.host() {
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()).ok(),
        Some(Host::Ipv4(address)) => Some(ServerName::IpAddress(IpAddr::from(address).into())),
        Some(Host::Ipv6(address)) => Some(ServerName::IpAddress(IpAddr::from(address).into())),
        None => None,
    };
    name.ok_or_else(|| {
        Attempted::failed(
            AttemptOutcome::Unreachable,
            "the host has no name that a certificate can have",
        )
    })
}

struct Tls(TlsConnector);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// TLS that trusts what the machine trusts, and the roots in a file.
async fn trusted(ca_file: Option<PathBuf>) -> Result<Tls, Attempted> {
    let failed = |why: &str| Attempted::failed(AttemptOutcome::Unreachable, why);
    let loaded = tokio::task::spawn_blocking(move || {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = ca_file {
            for root in CertificateDer::pem_file_iter(path)? {
                roots.add_parsable_certificates([root?]);
            }
        }
        Ok::<_, pem::Error>(roots)
    });
    let roots = match loaded.await {
        Ok(Ok(roots)) if roots.is_empty() => return Err(failed("there are no root certificates to trust")),
        Ok(Ok(roots)) => roots,
        Ok(Err(error)) => return Err(failed(&format!("registry.webhooks.ca_file cannot be read: {error:?}"))),
        Err(_) => return Err(failed("the root certificates cannot be read")),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Attempted::unreachable("no TLS", &error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Tls(TlsConnector::from(Arc::new(config))))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_name_that_resolves_to_loopback_is_not_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let sender = Sender::new(AddressRules::default(), Duration::from_secs(10), None);
        let named = Url::parse("https://rebound.example/hook").unwrap();
        let blocked = sender.connect(&named, vec![there]).await.unwrap_err();
        assert_eq!(blocked.outcome, AttemptOutcome::Blocked);
        assert!(
            blocked.error.contains("127.0.0.1 is not a public address"),
            "{}",
            blocked.error
        );

        let meant = Url::parse("http://127.0.0.1/hook").unwrap();
        let (connected, accepted) = tokio::join!(sender.connect(&meant, vec![there]), listener.accept());
        // The first connection that the listener saw is this one.
        assert_eq!(connected.unwrap().local_addr().unwrap(), accepted.unwrap().1);
    }

    #[tokio::test]
    async fn of_several_addresses_those_that_may_be_told_are_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let rules = AddressRules {
            networks: vec!["127.0.0.0/8".parse().unwrap()],
            ..AddressRules::default()
        };
        let sender = Sender::new(rules, Duration::from_secs(10), None);
        let named = Url::parse("https://receiver.example/hook").unwrap();
        let addresses = vec!["169.254.169.254:443".parse().unwrap(), there];
        let connected = sender.connect(&named, addresses).await.unwrap();
        assert_eq!(connected.peer_addr().unwrap(), there);
    }
}
