//! A server that answers each request with the next line of a script: for what a real S3 server does too rarely to wait for.

use std::sync::{Arc, Mutex};

use holdfast_storage::{S3Settings, S3Store, Secret};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What the server does with a request once it has read it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Answers with a status and, where not empty, an S3 error code.
    Answer(u16, &'static str),
    /// Answers 200 with a `content-length` of 10 and breaks off after 4 bytes.
    HalfABody,
    /// Answers 206 with the bytes of a body of 10 from the fifth on.
    TheRest,
    /// Closes the connection.
    HangUp,
    /// Says nothing.
    Silence,
}

/// One request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
}

impl Request {
    pub(crate) fn has(&self, header: &str) -> bool {
        self.headers.iter().any(|line| line.eq_ignore_ascii_case(header))
    }
}

pub(crate) struct StubServer {
    endpoint: String,
    requests: Arc<Mutex<Vec<Request>>>,
    _tasks: JoinSet<()>,
}

impl StubServer {
    /// After the script's end the last step is repeated.
    pub(crate) async fn start(script: &[Step]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (script, seen) = (script.to_vec(), Arc::clone(&requests));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, script.clone(), Arc::clone(&seen)));
            }
        });
        Self {
            endpoint,
            requests,
            _tasks: tasks,
        }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn settings(&self) -> S3Settings {
        S3Settings {
            bucket: "bucket".to_owned(),
            endpoint: Some(self.endpoint.clone()),
            path_style: true,
            access_key_id: Some("id".to_owned()),
            secret_access_key: Some(Secret::new("secret")),
            ..S3Settings::default()
        }
    }

    pub(crate) async fn store(&self) -> S3Store {
        S3Store::open(&self.settings()).await.unwrap()
    }
}

async fn serve(stream: TcpStream, script: Vec<Step>, seen: Arc<Mutex<Vec<Request>>>) {
    let mut stream = BufReader::new(stream);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        match line.trim_end() {
            "" => break,
            line => headers.push(line.to_owned()),
        }
    }
    let length = headers
        .iter()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let request = Request {
        line: headers.remove(0),
        headers,
    };
    let step = {
        let mut seen = seen.lock().unwrap();
        seen.push(request);
        script[(seen.len() - 1).min(script.len() - 1)]
    };
    let answer = match step {
        Step::HangUp => return,
        Step::Silence => return std::future::pending().await,
        Step::HalfABody => "HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\nhalf".to_owned(),
        Step::TheRest => {
            "HTTP/1.1 206 -\r\ncontent-range: bytes 4-9/10\r\ncontent-length: 6\r\nconnection: close\r\n\r\n-whole"
                .to_owned()
        }
        Step::Answer(status, code) => {
            let body = if code.is_empty() {
                String::new()
            } else {
                format!("<Error><Code>{code}</Code><Message>words</Message></Error>")
            };
            format!(
                "HTTP/1.1 {status} -\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            )
        }
    };
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}
