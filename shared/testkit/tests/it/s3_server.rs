use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::time::Duration;

use holdfast_testkit::{ProcessBuilder, SeaweedS3, eventually, eventually_some};

const SOON: Duration = Duration::from_secs(60);
const INNER: &str = "HOLDFAST_TESTKIT_INNER";

fn connect(endpoint: &str) -> TcpStream {
    let stream = TcpStream::connect(endpoint.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

/// The other side of the connection is gone: a later connection could meet whoever was given the port next.
fn wait_for_its_end(mut connection: TcpStream) {
    match connection.read(&mut [0]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        outcome => panic!("the server lives: {outcome:?}"),
    }
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let server = SeaweedS3::start().await;
    let connection = connect(server.endpoint());
    drop(server);
    wait_for_its_end(connection);
}

/// Runs only as the child of the test below, which kills it.
#[tokio::test]
async fn a_process_that_holds_the_shared_server() {
    if let Some(announcement) = std::env::var_os(INNER) {
        let server = SeaweedS3::shared().await;
        let announcement = std::path::PathBuf::from(announcement);
        let unfinished = announcement.with_extension("part");
        std::fs::write(&unfinished, server.endpoint()).unwrap();
        std::fs::rename(unfinished, announcement).unwrap();
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn the_shared_server_ends_with_its_process_even_when_that_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let announcement = directory.path().join("endpoint");
    let mut holder = ProcessBuilder::new(std::env::current_exe().unwrap())
        .args(["--exact", "s3_server::a_process_that_holds_the_shared_server"])
        .env(INNER, &announcement)
        .env("TMPDIR", directory.path())
        .spawn();
    let endpoint = eventually_some("the server", SOON, async || std::fs::read_to_string(&announcement).ok()).await;
    let connection = connect(&endpoint);
    holder.kill();
    holder.wait_exit(SOON).await;
    wait_for_its_end(connection);
    eventually("the removal of its directory", SOON, async || {
        std::fs::read_dir(directory.path())
            .unwrap()
            .all(|entry| !entry.unwrap().file_name().to_string_lossy().starts_with("holdfast-s3-"))
    })
    .await;
}
