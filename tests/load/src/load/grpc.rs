//! Unary gRPC calls over HTTP/2, many streams on each connection.
//!
//! A client that does no more than load needs: frames are written by hand and headers are bytes made once. It tells the server to keep no table of
//! headers (`SETTINGS_HEADER_TABLE_SIZE` 0), so that every answer spells its `grpc-status` out and it can be read without one.

use std::collections::{HashMap, VecDeque};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::time::Instant;

use anyhow::{Result, bail, ensure};

use super::{Tally, Window, connect};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Largest frame that either side sends before it is told otherwise (RFC 9113, section 4.2).
const LARGEST_FRAME: usize = 16_384;
/// What a window is before it is told otherwise (RFC 9113, section 6.9.2).
const FIRST_WINDOW: i64 = 65_535;
/// Room that the server is given on the connection, and what is given again when half of it is used.
const RECEIVE_WINDOW: u32 = 1 << 30;
/// `grpc-status` as every server sends it: Huffman-coded, with its length before it (RFC 7541, appendix B).
const STATUS_NAME: &[u8] = b"\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f";
/// The value `0`, Huffman-coded or plain.
const OK: [&[u8]; 2] = [b"\x81\x07", b"\x010"];

/// What is called, and how much at once.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Where the server listens.
    pub address: SocketAddr,
    /// `/package.Service/Method`.
    pub path: &'a str,
    /// Messages with their five bytes of gRPC framing, sent in turn.
    pub messages: &'a [Vec<u8>],
    /// Calls at once on each connection.
    pub streams: usize,
}

/// One connection: calls until the window closes. Good is a message, and trailers with `grpc-status` 0.
///
/// # Errors
/// When the connection breaks or the server says that it will.
pub fn connection(call: &Call<'_>, place: usize, window: &Window) -> Result<Tally> {
    let mut connection = Connection::open(call, place, window)?;
    for _ in 0..call.streams {
        connection.ask();
    }
    connection.flush()?;
    while !connection.asked.is_empty() {
        connection.receive()?;
        connection.flush()?;
    }
    Ok(connection.tally)
}

/// A call that waits for its answer.
struct Asked {
    began: Instant,
    answer_bytes: usize,
}

/// A message that is not wholly sent.
struct Sending {
    stream: u32,
    message: usize,
    sent: usize,
    window: i64,
}

struct Connection<'a> {
    call: &'a Call<'a>,
    until: &'a Window,
    socket: TcpStream,
    out: Vec<u8>,
    input: Vec<u8>,
    unread: Range<usize>,
    asked: HashMap<u32, Asked>,
    sending: VecDeque<Sending>,
    next_stream: u32,
    next_message: usize,
    /// What may be sent on the connection, and on a new stream.
    window: i64,
    stream_window: i64,
    received: u32,
    tally: Tally,
}

impl<'a> Connection<'a> {
    fn open(call: &'a Call<'a>, place: usize, until: &'a Window) -> Result<Self> {
        let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        // No header table, no push, and streams as wide as the connection.
        let mut settings = Vec::new();
        for (name, value) in [(1_u16, 0_u32), (2, 0), (4, RECEIVE_WINDOW)] {
            settings.extend(name.to_be_bytes());
            settings.extend(value.to_be_bytes());
        }
        frame(&mut out, SETTINGS, 0, 0, &settings);
        frame(&mut out, WINDOW_UPDATE, 0, 0, &RECEIVE_WINDOW.to_be_bytes());
        Ok(Self {
            call,
            until,
            socket: connect(call.address)?,
            out,
            input: vec![0; 1 << 20],
            unread: 0..0,
            asked: HashMap::new(),
            sending: VecDeque::new(),
            next_stream: 1,
            next_message: place * call.streams,
            window: FIRST_WINDOW,
            stream_window: FIRST_WINDOW,
            received: 0,
            tally: Tally::default(),
        })
    }

    /// Begins one call.
    fn ask(&mut self) {
        let stream = self.next_stream;
        self.next_stream += 2;
        let began = Instant::now();
        let headers = headers(stream == 1, self.call);
        frame(&mut self.out, HEADERS, END_HEADERS, stream, &headers);
        self.asked.insert(stream, Asked { began, answer_bytes: 0 });
        self.sending.push_back(Sending {
            stream,
            message: self.next_message % self.call.messages.len(),
            sent: 0,
            window: self.stream_window,
        });
        self.next_message += 1;
        self.send();
    }

    /// Puts as much of the waiting messages into frames as windows allow.
    fn send(&mut self) {
        while let Some(sending) = self.sending.front_mut() {
            let message = &self.call.messages[sending.message];
            let room = self.window.min(sending.window).min(LARGEST_FRAME as i64);
            let room = usize::try_from(room).unwrap_or(0);
            if room == 0 {
                return;
            }
            let end = message.len().min(sending.sent + room);
            let part = &message[sending.sent..end];
            self.window -= part.len() as i64;
            sending.window -= part.len() as i64;
            sending.sent = end;
            let is_last = end == message.len();
            let flags = if is_last { END_STREAM } else { 0 };
            frame(&mut self.out, DATA, flags, sending.stream, part);
            if is_last {
                self.sending.pop_front();
            }
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.socket.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// Waits for bytes and takes every frame that is whole.
    fn receive(&mut self) -> Result<()> {
        let read = self.socket.read(&mut self.input[self.unread.end..])?;
        ensure!(read > 0, "the server closed the connection");
        self.unread.end += read;
        while let Some(head) = self.input[self.unread.clone()].first_chunk::<9>() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let (kind, flags) = (head[3], head[4]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
            let payload = self.unread.start + 9..self.unread.start + 9 + length;
            if payload.end > self.unread.end {
                break;
            }
            self.unread.start = payload.end;
            self.take(kind, flags, stream, payload)?;
        }
        self.input.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        Ok(())
    }

    fn take(&mut self, kind: u8, flags: u8, stream: u32, payload: Range<usize>) -> Result<()> {
        match kind {
            DATA => {
                if let Some(asked) = self.asked.get_mut(&stream) {
                    asked.answer_bytes += payload.len();
                }
                self.make_room(payload.len());
                if flags & END_STREAM != 0 {
                    self.end(stream, false, &[]);
                }
            }
            HEADERS if flags & END_STREAM != 0 => {
                let trailers = self.input[payload].to_vec();
                self.end(stream, says_ok(&trailers), &trailers);
            }
            RST_STREAM => self.end(stream, false, b"the stream was reset"),
            SETTINGS if flags & ACK == 0 => {
                self.settings(payload);
                frame(&mut self.out, SETTINGS, ACK, 0, &[]);
            }
            PING if flags & ACK == 0 => {
                let payload = self.input[payload].to_vec();
                frame(&mut self.out, PING, ACK, 0, &payload);
            }
            WINDOW_UPDATE => self.widen(stream, payload),
            GOAWAY => bail!("the server ends the connection"),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, stream: u32, ok: bool, said: &[u8]) {
        let Some(asked) = self.asked.remove(&stream) else {
            return;
        };
        if ok && asked.answer_bytes > 5 {
            self.tally.answered(self.until, asked.began, asked.answer_bytes - 5);
        } else {
            self.tally
                .failed(|| format!("{} bytes, then {}", asked.answer_bytes, said.escape_ascii()));
        }
        if self.until.is_open() {
            self.ask();
        }
    }

    /// Lets the server send on.
    fn make_room(&mut self, bytes: usize) {
        self.received += u32::try_from(bytes).unwrap_or(0);
        if self.received > RECEIVE_WINDOW / 2 {
            let given = self.received.to_be_bytes();
            frame(&mut self.out, WINDOW_UPDATE, 0, 0, &given);
            self.received = 0;
        }
    }

    fn settings(&mut self, payload: Range<usize>) {
        for setting in self.input[payload].chunks_exact(6) {
            if setting[..2] == [0, 4] {
                let window = i64::from(u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]));
                let more = window - self.stream_window;
                self.stream_window = window;
                self.sending.iter_mut().for_each(|sending| sending.window += more);
            }
        }
        self.send();
    }

    fn widen(&mut self, stream: u32, payload: Range<usize>) {
        let Some(more) = self.input[payload].first_chunk::<4>() else {
            return;
        };
        let more = i64::from(u32::from_be_bytes(*more));
        if stream == 0 {
            self.window += more;
        } else if let Some(sending) = self.sending.iter_mut().find(|sending| sending.stream == stream) {
            sending.window += more;
        }
        self.send();
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// A call's headers. The first call of a connection spells them out for the server's table; later ones name their places in it.
fn headers(is_first: bool, call: &Call<'_>) -> Vec<u8> {
    // :method POST and :scheme http stand in the static table (RFC 7541, appendix A).
    let mut block = vec![0x83, 0x86];
    if !is_first {
        block.extend([0xc1, 0xc0, 0xbf, 0xbe]);
        return block;
    }
    let address = call.address.to_string();
    // :path is entry 4, :authority 1, content-type 31; te has none.
    for (name, value) in [
        (&[0x44][..], call.path),
        (&[0x41], &address),
        (&[0x5f], "application/grpc"),
        (&[0x40, 2, b't', b'e'], "trailers"),
    ] {
        block.extend_from_slice(name);
        block.push(u8::try_from(value.len()).unwrap_or(0));
        block.extend_from_slice(value.as_bytes());
    }
    block
}

fn says_ok(trailers: &[u8]) -> bool {
    let name = trailers
        .windows(STATUS_NAME.len())
        .position(|bytes| bytes == STATUS_NAME);
    name.is_some_and(|place| {
        let value = &trailers[place + STATUS_NAME.len()..];
        OK.iter().any(|ok| value.starts_with(ok))
    })
}

/// Messages cut from a file in which they stand one after the other, each with its five bytes of framing.
///
/// # Errors
/// When the file is cut short or holds none.
pub fn messages(bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
    let (mut rest, mut messages) = (bytes, Vec::new());
    while let Some(head) = rest.first_chunk::<5>() {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        ensure!(rest.len() >= 5 + length, "the last message is cut short");
        let (message, after) = rest.split_at(5 + length);
        messages.push(message.to_vec());
        rest = after;
    }
    ensure!(rest.is_empty() && !messages.is_empty(), "there is no whole message");
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_other_than_ok_is_seen() {
        let with = |value: &[u8]| [b"\x88\x5f", STATUS_NAME, value].concat();
        assert!(says_ok(&with(b"\x81\x07")) && says_ok(&with(b"\x010")));
        // 8, RESOURCE_EXHAUSTED, and 13, INTERNAL, Huffman-coded and plain.
        for value in [&b"\x81\xf3"[..], b"\x018", b"\x82\x0b\x3f", b"\x0213"] {
            assert!(!says_ok(&with(value)), "{value:?}");
        }
        assert!(!says_ok(b"\x88"));
    }

    #[test]
    fn messages_are_cut_by_their_framing() {
        let bytes = [&[0, 0, 0, 0, 2, 7, 7][..], &[0, 0, 0, 0, 0]].concat();
        assert_eq!(messages(&bytes).unwrap(), [bytes[..7].to_vec(), bytes[7..].to_vec()]);
        assert!(messages(&bytes[..6]).is_err() && messages(&[]).is_err());
    }
}
