//! POST requests over HTTP/1.1 connections that are kept open, one request at a time on each.
//!
//! One thread has many connections and is told by the system which of them were answered, as wrk does it: a thread for each would take more of
//! the processor for being woken than for asking.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::{PATIENCE, Tally, Window, connect};

/// Connections about which the system tells at once.
const TOLD_AT_ONCE: usize = 256;

/// A request as it goes over the wire.
pub fn request(address: SocketAddr, path: &str, json: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        json.len()
    )
    .into_bytes();
    request.extend_from_slice(json);
    request
}

/// A connection for each of `asked`, with those requests in turn until they or the window end. Good is 200 with a body.
///
/// # Errors
/// When a connection breaks, an answer is not HTTP with a `content-length`, or all wait longer than the longest answer may take.
pub fn connections<I>(address: SocketAddr, asked: impl Iterator<Item = I>, window: &Window) -> Result<Tally>
where
    I: Iterator<Item: AsRef<[u8]>>,
{
    let mut poll = Poll::new()?;
    let mut connections = Vec::new();
    for requests in asked {
        let mut connection = Connection::open(address, requests)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry()
            .register(&mut connection.socket, Token(connections.len()), both)?;
        connections.push(connection);
    }
    let mut tally = Tally::default();
    let mut open = 0;
    for connection in &mut connections {
        open += usize::from(connection.ask(window)?);
    }
    let mut events = Events::with_capacity(TOLD_AT_ONCE);
    while open > 0 {
        if let Err(error) = poll.poll(&mut events, Some(PATIENCE)) {
            ensure!(error.kind() == ErrorKind::Interrupted, error);
            continue;
        }
        ensure!(!events.is_empty(), "no answer for {PATIENCE:?}");
        for event in &events {
            let connection = &mut connections[event.token().0];
            if event.is_writable() {
                connection.send()?;
            }
            if event.is_readable() && connection.receive(window, &mut tally)? {
                open -= usize::from(!connection.ask(window)?);
            }
        }
    }
    Ok(tally)
}

/// A connection and the request that waits for its answer.
struct Connection<I: Iterator> {
    socket: TcpStream,
    requests: I,
    asked: Option<I::Item>,
    /// How much of it is sent.
    sent: usize,
    began: Instant,
    /// What came of the answer, in its first bytes.
    answer: Vec<u8>,
    filled: usize,
    head: Option<Head>,
}

/// Of an answer: its status, where its body begins, and how long that is.
type Head = ([u8; 3], usize, usize);

impl<I> Connection<I>
where
    I: Iterator<Item: AsRef<[u8]>>,
{
    fn open(address: SocketAddr, requests: I) -> Result<Self> {
        let socket = connect(address)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: TcpStream::from_std(socket),
            requests,
            asked: None,
            sent: 0,
            began: Instant::now(),
            answer: vec![0; 1 << 14],
            filled: 0,
            head: None,
        })
    }

    /// Asks the next question, unless there is none or the window has ended: false.
    fn ask(&mut self, window: &Window) -> Result<bool> {
        let now = Instant::now();
        self.asked = if window.is_open_at(now) {
            self.requests.next()
        } else {
            None
        };
        (self.sent, self.began) = (0, now);
        self.send()?;
        Ok(self.asked.is_some())
    }

    /// Sends what the system takes.
    fn send(&mut self) -> Result<()> {
        let request = self.asked.as_ref().map_or(&[][..], AsRef::as_ref);
        while self.sent < request.len() {
            match self.socket.write(&request[self.sent..]) {
                Ok(0) => anyhow::bail!("the server closed the connection"),
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads what has come; whether the answer is whole, and in the tally.
    fn receive(&mut self, window: &Window, tally: &mut Tally) -> Result<bool> {
        loop {
            if self.filled == self.answer.len() {
                self.answer.resize(2 * self.filled, 0);
            }
            match self.socket.read(&mut self.answer[self.filled..]) {
                Ok(0) => anyhow::bail!("the server closed the connection"),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
            if self.head.is_none() {
                self.head = parse_head(&self.answer[..self.filled])?;
            }
            let Some((status, body, length)) = self.head else {
                continue;
            };
            if self.filled < body + length {
                continue;
            }
            ensure!(self.filled == body + length, "more than one answer to one request");
            let text = &self.answer[body..self.filled];
            if status == *b"200" && length > 0 {
                tally.answered(window, self.began, length);
            } else {
                tally.failed(|| {
                    let status = String::from_utf8_lossy(&status);
                    format!("{status}: {}", String::from_utf8_lossy(text))
                });
            }
            (self.filled, self.head) = (0, None);
            return Ok(true);
        }
    }
}

/// `None` when the head is not whole.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let status = bytes.get(9..12).context("an answer without a status")?.try_into()?;
    let length = bytes[..end]
        .split(|byte| *byte == b'\n')
        .find_map(|line| {
            let (name, value) = line.split_at_checked("content-length:".len())?;
            name.eq_ignore_ascii_case(b"content-length:").then_some(value)
        })
        .context("an answer without content-length")?;
    let length = std::str::from_utf8(length)?.trim().parse()?;
    Ok(Some((status, end + 4, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_whatever_the_case_of_its_names() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(parse_head(head).unwrap(), Some((*b"200", head.len() - 5, 5)));
        assert_eq!(parse_head(&head[..40]).unwrap(), None);
        assert!(parse_head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
