//! Server-sent events, the little of the format that the gateway's need.

use serde_json::Value;

use crate::failure::{Failure, Result};

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    /// Its name, `message` when it has none.
    pub(crate) name: String,
    /// Its data.
    pub(crate) data: Value,
}

/// A stream of events under way.
#[derive(Debug)]
pub(crate) struct Events {
    response: reqwest::Response,
    parser: Parser,
}

impl Events {
    pub(super) fn new(response: reqwest::Response) -> Self {
        Self {
            response,
            parser: Parser::default(),
        }
    }

    /// The next event; `None` when the server has ended the stream. Can be dropped while it waits without losing anything.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.parser.take()? {
                return Ok(Some(event));
            }
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.parser.feed(&bytes),
                Ok(None) => return Ok(None),
                Err(error) => return Err(Failure::new(format!("the stream of events broke off: {error}"))),
            }
        }
    }
}

#[derive(Debug, Default)]
struct Parser {
    bytes: Vec<u8>,
}

impl Parser {
    fn feed(&mut self, bytes: &[u8]) {
        // A line may end in CR LF or LF.
        self.bytes.extend(bytes.iter().filter(|byte| **byte != b'\r'));
    }

    fn take(&mut self) -> Result<Option<Event>> {
        while let Some(end) = self.bytes.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.bytes.drain(..end + 2).collect();
            if let Some(event) = event(&String::from_utf8_lossy(&block))? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }
}

/// The event in a block of lines; none in a comment, which only keeps the connection alive.
fn event(block: &str) -> Result<Option<Event>> {
    let mut name = "message";
    let mut data = Vec::new();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = value,
            "data" => data.push(value),
            _ => {}
        }
    }
    if data.is_empty() {
        return Ok(None);
    }
    let data = serde_json::from_str(&data.join("\n"))
        .map_err(|error| Failure::new(format!("an event is not JSON: {error}")))?;
    Ok(Some(Event {
        name: name.to_owned(),
        data,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_come_out_whole_however_the_bytes_arrive() {
        let text = ": hello\n\nevent: progress\nid: 1\ndata: {\"a\":\ndata: 1}\r\n\r\nevent: done\ndata: {}\n\n";
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let mut events = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                parser.feed(piece);
                while let Some(event) = parser.take().unwrap() {
                    events.push(event);
                }
            }
            let expected = [("progress", json!({"a": 1})), ("done", json!({}))].map(|(name, data)| Event {
                name: name.to_owned(),
                data,
            });
            assert_eq!(events, expected, "in pieces of {size}");
        }
    }
}
