//! A real Postgres for tests: a cluster in a temporary directory of its own, reached through a unix socket in it.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

const VARIABLE: &str = "HOLDFAST_POSTGRES";
/// Where Debian keeps the programs, one folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";
const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Makes and starts the cluster, and ends it and removes its directory when standard input closes, as the supervisor of
/// the S3 server does. Postgres refuses to run as root: root becomes the package's user. Nothing is synced to disk, and
/// text is ordered as in English and not by bytes, so that a test sees where an order was left to the database.
const SUPERVISOR: &str = r#"
directory=$1 programs=$2
exec 3<&0
drop=
if [ "$(id -u)" = 0 ]; then
  chown postgres "$directory"
  drop="setpriv --reuid=postgres --regid=postgres --init-groups"
fi
cd "$directory" || exit 1
$drop "$programs/initdb" --pgdata="$directory/data" --username=postgres --auth=trust --encoding=UTF8 \
  --locale=C.UTF-8 --locale-provider=icu --icu-locale=en-US --no-sync --no-instructions >log 2>&1 </dev/null 3<&- || exit 1
$drop "$programs/postgres" -D "$directory/data" -k "$directory" -c listen_addresses= -c max_connections=200 \
  -c fsync=off -c full_page_writes=off >>log 2>&1 </dev/null 3<&- &
server=$!
{ cat <&3 >/dev/null; kill -QUIT "$server"; } 2>/dev/null &
watcher=$!
exec 3<&-
wait "$server"; status=$?
kill "$watcher" 2>/dev/null
cd / && rm -rf "$directory"
exit "$status"
"#;

/// A running Postgres. Dropping it ends it.
#[derive(Debug)]
pub struct Postgres {
    directory: PathBuf,
    programs: PathBuf,
    databases: AtomicU32,
    supervisor: Child,
    /// Open as long as the server is to live.
    lifeline: Option<ChildStdin>,
}

impl Postgres {
    /// Makes a cluster and waits until it takes connections: about a second.
    ///
    /// # Panics
    /// When Postgres is not found (`make tools` installs it) or does not come up.
    pub async fn start() -> Self {
        let programs = programs();
        let directory = tempfile::Builder::new()
            .prefix("holdfast-postgres-")
            .tempdir()
            .expect("a temporary directory")
            .keep();
        let mut supervisor = Command::new("/bin/sh")
            .args(["-c", SUPERVISOR, "postgres-supervisor"])
            .args([&directory, &programs])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Of its own, so that Ctrl-C on the tests does not reach the supervisor before it has tidied up.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start a shell: {error}"));
        let mut server = Self {
            lifeline: supervisor.stdin.take(),
            directory,
            programs,
            databases: AtomicU32::new(0),
            supervisor,
        };
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let log = std::fs::read_to_string(server.directory.join("log")).unwrap_or_default();
            if log.contains("database system is ready to accept connections") {
                return server;
            }
            let ended = server.supervisor.try_wait().expect("the supervisor's state").is_some();
            assert!(
                !ended && Instant::now() < deadline,
                "postgres did not start; its log:\n{log}"
            );
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Makes an empty database and answers its URL.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let made = tokio::process::Command::new(self.programs.join("createdb"))
            .args(["--username=postgres", &name])
            .arg("--host")
            .arg(&self.directory)
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap_or_else(|error| panic!("cannot start createdb: {error}"));
        assert!(
            made.status.success(),
            "createdb failed: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        format!("postgres://postgres@localhost/{name}?host={}", self.directory.display())
    }

    /// The unix socket it listens on.
    pub fn socket(&self) -> PathBuf {
        self.directory.join(".s.PGSQL.5432")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // The supervisor ends the server and removes its directory before it ends.
        let _ = self.supervisor.wait();
    }
}

/// The folder of the programs: the one named, else that of Debian's newest version.
fn programs() -> PathBuf {
    let is_complete = |folder: &Path| folder.join("initdb").is_file() && folder.join("createdb").is_file();
    if let Some(named) = env::var_os(VARIABLE).map(PathBuf::from) {
        assert!(
            is_complete(&named),
            "{VARIABLE} names {}, which has no initdb and createdb",
            named.display()
        );
        return named;
    }
    let versions = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse::<u32>().ok()?,
                entry.path().join("bin"),
            ))
        })
        .filter(|(_, folder)| is_complete(folder))
        .max();
    let (_, folder) = newest.unwrap_or_else(|| {
        panic!(
            "postgres is not installed in {DEBIAN}: run `make tools`, or name the folder of its programs in {VARIABLE}"
        )
    });
    folder
}
