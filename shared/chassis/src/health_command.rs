//! `holdfast-<service> health`: what a container's healthcheck runs. A plain HTTP GET of `/readyz` with a deadline and the standard library alone, because
//! it runs every few seconds in an image without curl.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The deadline unless the command line sets another.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// More than this is no answer of `/readyz`.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Why a service is not healthy.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// Nobody answers, or too slowly.
    #[error("no answer from {address}: {source}")]
    NoAnswer {
        /// The admin address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Whoever answers does not speak HTTP.
    #[error("{address} does not answer in HTTP")]
    NotHttp {
        /// The admin address.
        address: SocketAddr,
    },
    /// The service is there, and not ready.
    #[error("not ready ({status}): {body}")]
    NotReady {
        /// The HTTP status.
        status: u16,
        /// The body of `/readyz`, which names the conditions.
        body: String,
    },
    /// The admin port is 0 in the settings, so only the running process knows it.
    #[error("the admin port is chosen at start; name it with --address HOST:PORT")]
    UnknownPort,
}

/// Asks the admin server at `address` whether the service is ready; returns the body of `/readyz`.
///
/// # Errors
/// [`HealthError`] if it is not, or cannot be asked, within `timeout`.
pub fn check(address: SocketAddr, timeout: Duration) -> Result<String, HealthError> {
    if address.port() == 0 {
        return Err(HealthError::UnknownPort);
    }
    let address = reachable(address);
    let answer = get_readyz(address, timeout).map_err(|source| HealthError::NoAnswer { address, source })?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok());
    match status {
        Some(200) => Ok(body.to_owned()),
        Some(status) => Err(HealthError::NotReady {
            status,
            body: body.to_owned(),
        }),
        None => Err(HealthError::NotHttp { address }),
    }
}

/// A server bound to every address is asked on loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

fn get_readyz(address: SocketAddr, timeout: Duration) -> std::io::Result<Vec<u8>> {
    let deadline = Instant::now() + timeout;
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_write_timeout(Some(timeout))?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while answer.len() < MAX_ANSWER_BYTES {
        // The deadline holds for the whole answer: a server that drips bytes is not healthy.
        let left = deadline
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero());
        let Some(left) = left else {
            return Err(std::io::ErrorKind::TimedOut.into());
        };
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut part)? {
            0 => break,
            read => answer.extend_from_slice(&part[..read]),
        }
    }
    Ok(answer)
}
