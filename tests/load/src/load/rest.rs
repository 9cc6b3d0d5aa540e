//! POST requests over HTTP/1.1 connections that are kept open, one at a time on each.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::{Tally, Window, connect};

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

/// One connection: `requests` in turn until they or the window end. Good is 200 with a body.
///
/// # Errors
/// When the connection breaks or the answer is not HTTP with a `content-length`.
pub fn connection<R: AsRef<[u8]>>(
    address: SocketAddr,
    requests: impl Iterator<Item = R>,
    window: &Window,
) -> Result<Tally> {
    let mut socket = connect(address)?;
    let mut tally = Tally::default();
    let mut buffer = vec![0; 1 << 16];
    for request in requests {
        if !window.is_open() {
            break;
        }
        let began = Instant::now();
        socket.write_all(request.as_ref())?;
        let (status, body) = answer(&mut socket, &mut buffer)?;
        if status == *b"200" && !body.is_empty() {
            tally.answered(window, began, body.len());
        } else {
            let text = format!(
                "{}: {}",
                String::from_utf8_lossy(&status),
                String::from_utf8_lossy(body)
            );
            tally.failed(|| text);
        }
    }
    Ok(tally)
}

/// Reads one answer: its status and its body.
fn answer<'a>(socket: &mut std::net::TcpStream, buffer: &'a mut Vec<u8>) -> Result<([u8; 3], &'a [u8])> {
    let (mut filled, mut head) = (0, None);
    loop {
        if filled == buffer.len() {
            buffer.resize(2 * filled, 0);
        }
        let read = socket.read(&mut buffer[filled..])?;
        ensure!(read > 0, "the server closed the connection");
        filled += read;
        if head.is_none() {
            head = parse_head(&buffer[..filled])?;
        }
        if let Some((status, body, length)) = head
            && filled >= body + length
        {
            ensure!(filled == body + length, "more than one answer to one request");
            return Ok((status, &buffer[body..filled]));
        }
    }
}

/// Status, where the body begins, and how long it is; `None` when the head is not whole.
fn parse_head(bytes: &[u8]) -> Result<Option<([u8; 3], usize, usize)>> {
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
