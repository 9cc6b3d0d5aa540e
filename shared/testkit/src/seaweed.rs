//! A real S3 server for tests: SeaweedFS in one process, with a temporary directory and free ports of its own.

use std::env;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use crate::{free_ports, workspace_root};

const VARIABLE: &str = "HOLDFAST_WEED";
const BUCKET: &str = "holdfast-test";
const START_ATTEMPTS: usize = 5;
const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Starts the server, and ends it and removes its directory when standard input closes: that is when the [`SeaweedS3`] is dropped or the
/// test's process is gone, however it went (a static is never dropped, and a killed process drops nothing). Ends itself when the server does.
const SUPERVISOR: &str = r#"
directory=$1; shift
exec 3<&0
"$@" </dev/null >"$directory/log" 2>&1 3<&- &
server=$!
{ cat <&3 >/dev/null; kill -9 "$server"; } 2>/dev/null &
watcher=$!
exec 3<&-
wait "$server"; status=$?
kill "$watcher" 2>/dev/null
rm -rf "$directory"
for port in $GRPC_PORTS; do rm -f /tmp/seaweedfs-*-grpc-"$port".sock; done
exit "$status"
"#;

/// A running S3 server with one bucket. Dropping it ends the server.
#[derive(Debug)]
pub struct SeaweedS3 {
    endpoint: String,
    access_key_id: String,
    secret_access_key: String,
    supervisor: Child,
    /// Open as long as the server is to live.
    lifeline: Option<ChildStdin>,
}

impl SeaweedS3 {
    /// Starts a server and waits until it answers and its bucket is there.
    ///
    /// # Panics
    /// When the `weed` program is not found (`make tools` installs it) or does not come up.
    pub async fn start() -> Self {
        let weed = weed();
        let mut last = String::new();
        for _ in 0..START_ATTEMPTS {
            match Self::attempt(&weed).await {
                Ok(server) => return server,
                // Most likely another process took one of the ports meanwhile.
                Err(log) => last = log,
            }
        }
        panic!("the s3 server did not start {START_ATTEMPTS} times; its last log:\n{last}");
    }

    /// One server for all tests of this process, started by the first that asks; it ends with the process. Give each test a prefix or a bucket
    /// of its own.
    ///
    /// # Panics
    /// As [`SeaweedS3::start`].
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<SeaweedS3> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// Where it listens, `http://127.0.0.1:port`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The bucket that is there from the start.
    pub fn bucket(&self) -> &str {
        BUCKET
    }

    /// The access key it takes; requests that are not signed are refused.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The secret that belongs to the access key.
    pub fn secret_access_key(&self) -> &str {
        &self.secret_access_key
    }

    async fn attempt(weed: &Path) -> Result<Self, String> {
        let directory = tempfile::Builder::new()
            .prefix("holdfast-s3-")
            .tempdir()
            .expect("a temporary directory")
            .keep();
        let (access_key_id, secret_access_key) = ("holdfast-test-key".to_owned(), "holdfast-test-secret".to_owned());
        let (arguments, grpc_ports) = arguments(&directory);
        let mut supervisor = Command::new("/bin/sh")
            .args(["-c", SUPERVISOR, "s3-supervisor"])
            .arg(&directory)
            .arg(weed)
            .args(arguments)
            .env("GRPC_PORTS", grpc_ports)
            .env("AWS_ACCESS_KEY_ID", &access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &secret_access_key)
            // Where it puts its log files.
            .env("TMPDIR", &directory)
            .current_dir(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Of its own, so that Ctrl-C on the tests does not reach the supervisor before it has tidied up.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start a shell: {error}"));
        let lifeline = supervisor.stdin.take();
        let mut server = Self {
            endpoint: String::new(),
            access_key_id,
            secret_access_key,
            supervisor,
            lifeline,
        };
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
            if let Some(endpoint) = ready(&log).await {
                server.endpoint = endpoint;
                return Ok(server);
            }
            let ended = server.supervisor.try_wait().expect("the supervisor's state").is_some();
            if ended || Instant::now() > deadline {
                return Err(log);
            }
            sleep(POLL_INTERVAL).await;
        }
    }
}

impl Drop for SeaweedS3 {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // The supervisor kills the server and removes its directory before it ends.
        let _ = self.supervisor.wait();
    }
}

/// The arguments, and the ports beside which the server leaves unix sockets in `/tmp`, whatever it is told.
fn arguments(directory: &Path) -> (Vec<String>, String) {
    let [
        master,
        master_grpc,
        volume,
        volume_grpc,
        filer,
        filer_grpc,
        s3,
        s3_grpc,
        admin,
        admin_grpc,
    ] = free_ports();
    let here = directory.display();
    let mut arguments = vec![
        "-logtostderr=true".to_owned(),
        "mini".to_owned(),
        format!("-dir={here}/data"),
    ];
    arguments.extend(
        [
            "ip=127.0.0.1",
            "ip.bind=127.0.0.1",
            "admin.ui=false",
            "webdav=false",
            "s3.port.iceberg=0",
            "s3.port.lance=0",
            "master.telemetry=false",
            "volume.preStopSeconds=0",
        ]
        .map(|argument| format!("-{argument}")),
    );
    for (flag, port) in [
        ("master.port", master),
        ("master.port.grpc", master_grpc),
        ("volume.port", volume),
        ("volume.port.grpc", volume_grpc),
        ("filer.port", filer),
        ("filer.port.grpc", filer_grpc),
        ("s3.port", s3),
        ("s3.port.grpc", s3_grpc),
        ("admin.port", admin),
        ("admin.port.grpc", admin_grpc),
    ] {
        arguments.push(format!("-{flag}={port}"));
    }
    // Unix sockets, which otherwise lie in the system's temporary directory for ever.
    arguments.push(format!("-filer.localSocket={here}/filer.sock"));
    arguments.push(format!("-s3.localSocket={here}/s3.sock"));
    arguments.push(format!("-bucket={BUCKET}"));
    let grpc_ports = [master_grpc, volume_grpc, filer_grpc, s3_grpc, admin_grpc].map(|port| port.to_string());
    (arguments, grpc_ports.join(" "))
}

/// Written when the filer knows which locks are its own. Locks that are taken before may be lost then, and with them the promise that one of
/// several writers creates an object.
const LOCKS_HOLD: &str = "LockRing: applying master ring update";

/// The address to use once the server has announced itself, keeps its locks, answers, and holds the bucket. The address is read from its log
/// because it moves to another port by itself when one is taken.
async fn ready(log: &str) -> Option<String> {
    if !log.contains(LOCKS_HOLD) {
        return None;
    }
    let address = |name: &str| {
        let line = log.lines().find_map(|line| line.trim().strip_prefix(name))?;
        line.trim().strip_prefix("http://127.0.0.1:")?.parse::<u16>().ok()
    };
    let (s3, filer) = (address("S3 Endpoint:")?, address("Filer UI:")?);
    let bucket_is_there = http_status(filer, &format!("/buckets/{BUCKET}/")).await? == 200;
    let s3_answers = http_status(s3, "/healthz").await? == 200;
    (bucket_is_there && s3_answers).then(|| format!("http://127.0.0.1:{s3}"))
}

async fn http_status(port: u16, path: &str) -> Option<u16> {
    let answer = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.ok()?;
        // "HTTP/1.1 200"
        std::str::from_utf8(&head).ok()?.get(9..)?.parse().ok()
    };
    tokio::time::timeout(Duration::from_secs(5), answer).await.ok()?
}

fn weed() -> PathBuf {
    if let Some(named) = env::var_os(VARIABLE).map(PathBuf::from) {
        assert!(
            named.is_file(),
            "{VARIABLE} names {}, which is no file",
            named.display()
        );
        return named;
    }
    let installed = workspace_root().join(".tools/venv/bin/weed");
    assert!(
        installed.is_file(),
        "the s3 server for tests is not installed: run `make tools`, or name its `weed` program in {VARIABLE}"
    );
    installed
}
