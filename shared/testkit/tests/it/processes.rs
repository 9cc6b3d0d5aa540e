use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use holdfast_testkit::{Process, ProcessBuilder, Stream, eventually};

const SOON: Duration = Duration::from_secs(60);

fn shell(script: &str) -> Process {
    ProcessBuilder::new("/bin/sh")
        .args(["-c", script])
        .env("GREETING", "hello")
        .spawn()
}

fn is_alive(id: u32) -> bool {
    // A zombie has ended. The command line would not do: it is empty for a moment while a process executes another program.
    std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| {
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
    })
}

#[tokio::test]
async fn lines_are_kept_with_their_stream() {
    let mut process = shell("echo $GREETING; echo trouble >&2; printf unfinished");
    assert!(process.wait_exit(SOON).await.success());
    process.wait_output(SOON).await;
    assert_eq!(process.stdout(), ["hello", "unfinished"]);
    assert_eq!(process.stderr(), ["trouble"]);
}

#[tokio::test]
async fn a_line_is_waited_for() {
    let process = shell("echo starting; echo ready at 4711; exec sleep 1000");
    let line = process
        .wait_for_line("the port", SOON, |line| {
            line.stream == Stream::Stdout && line.text.starts_with("ready")
        })
        .await;
    assert_eq!(line, "ready at 4711");
    assert_eq!(
        process
            .wait_for_line("the port again", SOON, |line| line.text.starts_with("ready"))
            .await,
        line
    );
}

#[tokio::test]
#[should_panic(expected = "sh ended without a miracle; its last lines:\n  sorry")]
async fn an_end_without_the_line_shows_the_last_lines() {
    shell("echo sorry")
        .wait_for_line("a miracle", SOON, |line| line.text == "miracle")
        .await;
}

#[tokio::test]
async fn a_process_is_asked_to_end() {
    let mut process = shell("trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done");
    process
        .wait_for_line("readiness", SOON, |line| line.text == "ready")
        .await;
    assert_eq!(process.exited(), None);
    process.terminate();
    assert_eq!(process.wait_exit(SOON).await.code(), Some(7));
    process.wait_output(SOON).await;
    assert_eq!(process.stdout(), ["ready", "bye"]);
    process.terminate();
    process.kill();
}

#[tokio::test]
async fn a_process_is_killed() {
    let mut process = shell("exec sleep 1000");
    process.kill();
    assert_eq!(process.wait_exit(SOON).await.signal(), Some(9));
}

#[tokio::test]
async fn a_dropped_process_takes_its_children_along() {
    let process = shell("sleep 1000 & echo $!; wait");
    let child: u32 = process
        .wait_for_line("the child's id", SOON, |_| true)
        .await
        .parse()
        .unwrap();
    let parent = process.id();
    assert!(is_alive(parent) && is_alive(child));
    drop(process);
    eventually("the end of both", SOON, async || !is_alive(parent) && !is_alive(child)).await;
}

#[tokio::test]
#[should_panic(expected = "cannot start /no/such/program")]
async fn a_missing_program_is_named() {
    ProcessBuilder::new("/no/such/program").spawn();
}
