use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use holdfast_testkit::{Postgres, ProcessBuilder, eventually, eventually_some};

const SOON: Duration = Duration::from_secs(60);
const INNER: &str = "HOLDFAST_TESTKIT_INNER_POSTGRES";

/// Runs only as the child of the test below, which kills it.
#[tokio::test]
async fn a_process_that_holds_a_postgres() {
    if let Some(announcement) = std::env::var_os(INNER) {
        let server = Postgres::start().await;
        let announcement = std::path::PathBuf::from(announcement);
        let unfinished = announcement.with_extension("part");
        std::fs::write(&unfinished, server.socket().to_str().unwrap()).unwrap();
        std::fs::rename(unfinished, announcement).unwrap();
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn a_postgres_ends_with_its_process_even_when_that_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    // Where root runs the test, another user keeps its cluster in here.
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let announcement = directory.path().join("socket");
    let mut holder = ProcessBuilder::new(std::env::current_exe().unwrap())
        .args(["--exact", "postgres::a_process_that_holds_a_postgres"])
        .env(INNER, &announcement)
        .env("TMPDIR", directory.path())
        .spawn();
    let socket = eventually_some("the server", SOON, async || std::fs::read_to_string(&announcement).ok()).await;
    let mut connection = UnixStream::connect(socket).unwrap();
    holder.kill();
    holder.wait_exit(SOON).await;
    connection.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(connection.read(&mut [0]).unwrap_or_default(), 0);
    eventually("the removal of its directory", SOON, async || {
        let mut left = std::fs::read_dir(directory.path()).unwrap();
        left.all(|entry| {
            !entry
                .unwrap()
                .file_name()
                .to_string_lossy()
                .starts_with("holdfast-postgres-")
        })
    })
    .await;
}

#[tokio::test]
async fn databases_of_one_postgres_differ() {
    let server = Postgres::start().await;
    assert_ne!(server.database().await, server.database().await);
    let directory = server.socket().parent().unwrap().to_owned();
    drop(server);
    assert!(!directory.exists());
}
