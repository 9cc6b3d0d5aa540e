//! A whole process: flags, signals, exit codes, the health command. It runs `examples/minimal_service.rs`.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use holdfast_chassis::health_command::{HealthError, check};
use holdfast_chassis::{Action, ServiceArgs};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn command(args: &[&str]) -> Command {
    let deps = std::env::current_exe().unwrap();
    let program: PathBuf = deps
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/minimal_service");
    assert!(
        program.exists(),
        "{} is missing: run `cargo test` without --test, which builds the examples",
        program.display()
    );
    let mut command = Command::new(program);
    command.args(args).env_clear().current_dir(std::env::temp_dir());
    command
}

fn output(args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command(args).output().unwrap();
    (
        status.code(),
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

/// A started service; killed if the test ends before it does.
struct Service {
    child: Child,
    log: BufReader<ChildStderr>,
    admin: SocketAddr,
}

impl Service {
    fn start(args: &[&str]) -> Self {
        let mut child = command(args).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let line = line_with(&mut log, "listening");
        let admin = line["admin"].as_str().unwrap().parse().unwrap();
        Self { child, log, admin }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    fn wait_for_log(&mut self, message: &str) {
        line_with(&mut self.log, message);
    }

    fn exit_code(&mut self) -> Option<i32> {
        // Reading on lets the child write its last lines.
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Already gone in the usual case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line_with(log: &mut impl BufRead, message: &str) -> serde_json::Value {
    let mut line = String::new();
    while log.read_line(&mut line).unwrap() > 0 {
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        if json["message"] == message {
            return json;
        }
        line.clear();
    }
    panic!("the process ended without saying {message:?}");
}

#[test]
fn signals_end_the_process_cleanly() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut service = Service::start(&[]);
        service.signal(signal);
        assert_eq!(service.exit_code(), Some(0), "{signal}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut service = Service::start(&["--set", "registry.stubborn=true"]);
    while check(service.admin, Duration::from_secs(5)).is_err() {}
    service.signal(Signal::SIGINT);
    service.wait_for_log("shutting down");
    service.signal(Signal::SIGINT);
    assert_eq!(service.exit_code(), Some(130));
}

#[test]
fn a_failure_is_exit_code_1_and_wrong_settings_or_usage_2() {
    let (code, _, stderr) = output(&["--set=registry.fail=true"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("asked to fail"), "{stderr}");

    let (code, _, stderr) = output(&["--set", "registry.bnid=1"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        stderr.contains("registry.bnid (command line): unknown key; did you mean `bind`?"),
        "{stderr}"
    );

    let (code, stdout, stderr) = output(&["--portt"]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert_eq!(stderr, "minimal-service: unexpected argument \"--portt\"; see --help\n");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (code, _, stderr) = output(&["--set", &format!("registry.bind={}", taken.local_addr().unwrap())]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("cannot listen on"), "{stderr}");
}

#[test]
fn help_teaches_and_settings_are_shown() {
    let (code, stdout, _) = output(&["--help"]);
    assert_eq!(code, Some(0));
    for taught in [
        "HOLDFAST_REGISTRY__BIND=",
        "--print-settings",
        "  max_concurrent_requests: 8\n",
        "Exit codes",
    ] {
        assert!(stdout.contains(taught), "{taught} is missing in {stdout}");
    }
    let (code, stdout, _) = output(&["--print-settings", "--set", "telemetry.log_filter=debug"]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("log_filter: debug"), "{stdout}");
    assert!(stdout.contains("max_concurrent_requests: 8"), "{stdout}");
    assert_eq!(
        output(&["--version"]).1,
        format!("minimal-service {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn the_health_command_tells_a_ready_service_from_one_that_is_not_there() {
    let service = Service::start(&[]);
    let address = service.admin.to_string();
    while check(service.admin, Duration::from_secs(5)).is_err() {}
    let (code, stdout, stderr) = output(&["health", "--address", &address]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("nothing to wait for"), "{stdout}");
    drop(service);

    let (code, _, stderr) = output(&["health", "--address", &address]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("no answer from"), "{stderr}");
    let (code, _, stderr) = output(&["health"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("--address"), "{stderr}");
}

#[test]
fn a_server_that_never_answers_is_not_healthy() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = check(silent.local_addr().unwrap(), Duration::from_millis(20)).unwrap_err();
    assert!(matches!(refused, HealthError::NoAnswer { .. }), "{refused}");
}

#[test]
fn the_command_line_is_parsed_whole() {
    let parse = |args: &[&str]| ServiceArgs::parse(args.iter().map(ToString::to_string));
    let args = parse(&[
        "--config=a.yaml",
        "--set",
        "a.b=[1, x]",
        "--set",
        "c=",
        "--print-settings",
    ])
    .unwrap();
    assert_eq!(args.config, Some(PathBuf::from("a.yaml")));
    assert_eq!(args.overrides[0], ("a.b".to_owned(), serde_json::json!([1, "x"])));
    assert_eq!(args.overrides[1], ("c".to_owned(), serde_json::Value::Null));
    assert_eq!(args.action, Action::PrintSettings);
    let health = parse(&["health", "--timeout-ms", "5"]).unwrap().action;
    assert_eq!(
        health,
        Action::Health {
            address: None,
            timeout: Duration::from_millis(5)
        }
    );
    for wrong in [
        &["--config"][..],
        &["--set", "x"],
        &["--timeout-ms", "5"],
        &["health", "--address", "x"],
        &["extra"],
    ] {
        assert!(parse(wrong).is_err(), "{wrong:?}");
    }
}
