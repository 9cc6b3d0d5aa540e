//! A program under test: started, listened to, signalled, and never left behind by a test that ends or panics.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// Lines shown when an expectation is not met.
const SHOWN_LINES: usize = 40;

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line that a process wrote, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where to.
    pub stream: Stream,
    /// What; bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// How to start a process.
#[derive(Clone, Debug)]
pub struct ProcessBuilder {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    inherit_environment: bool,
    directory: Option<PathBuf>,
}

impl ProcessBuilder {
    /// A program without arguments, in this process's environment.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            inherit_environment: true,
            directory: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Gives the process none of this process's variables.
    #[must_use]
    pub fn clear_env(mut self) -> Self {
        self.inherit_environment = false;
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Starts it, in a process group of its own and without standard input.
    ///
    /// # Panics
    /// When it cannot be started, or outside a tokio runtime.
    pub fn spawn(self) -> Process {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        if !self.inherit_environment {
            command.env_clear();
        }
        command.envs(self.environment);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.program.display()));
        let name = self
            .program
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let output = Output::default();
        output.follow(Stream::Stdout, child.stdout.take().expect("piped"));
        output.follow(Stream::Stderr, child.stderr.take().expect("piped"));
        Process {
            name,
            child,
            group: group.expect("just started"),
            output,
            status: None,
        }
    }
}

/// A running process; it and its process group are killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    group: Pid,
    output: Output,
    status: Option<ExitStatus>,
}

impl Process {
    /// The process id.
    pub fn id(&self) -> u32 {
        self.group.as_raw().unsigned_abs()
    }

    /// All lines so far, in the order they were read.
    pub fn lines(&self) -> Vec<Line> {
        self.output.lines().clone()
    }

    /// What was written to standard output so far, line by line.
    pub fn stdout(&self) -> Vec<String> {
        self.output.of(Stream::Stdout)
    }

    /// What was written to standard error so far, line by line.
    pub fn stderr(&self) -> Vec<String> {
        self.output.of(Stream::Stderr)
    }

    /// Waits for a line, past or coming, and answers its text. The first line that matches counts, so ask for something that is said once.
    ///
    /// # Panics
    /// When there is none within `timeout`, or both streams have ended without it. The message says `what` was waited for and shows the last lines.
    pub async fn wait_for_line(&self, what: &str, timeout: Duration, mut wanted: impl FnMut(&Line) -> bool) -> String {
        let mut seen = 0;
        let mut changes = self.output.changes.subscribe();
        let found = tokio::time::timeout(timeout, async {
            loop {
                let progress = *changes.borrow_and_update();
                let found = {
                    let lines = self.output.lines();
                    let found = lines
                        .iter()
                        .skip(seen)
                        .find(|line| wanted(line))
                        .map(|line| line.text.clone());
                    seen = lines.len();
                    found
                };
                if found.is_some() || progress.ended == 2 {
                    return found;
                }
                // The sender lives in `self`.
                let _ = changes.changed().await;
            }
        })
        .await;
        match found {
            Ok(Some(text)) => text,
            Ok(None) => panic!("{} ended without {what}{}", self.name, self.tail()),
            Err(_) => panic!(
                "waited {timeout:?} in vain for {what} from {}{}",
                self.name,
                self.tail()
            ),
        }
    }

    /// Asks the process to end (SIGTERM). Does nothing when it has ended.
    pub fn terminate(&mut self) {
        self.signal(Signal::SIGTERM);
    }

    /// Interrupts the process as Ctrl-C does (SIGINT). Does nothing when it has ended.
    pub fn interrupt(&mut self) {
        self.signal(Signal::SIGINT);
    }

    /// Ends the process at once (SIGKILL). Does nothing when it has ended.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
    }

    /// Stops the process from running until [`Process::resume`] (SIGSTOP): its connections stay open and hang.
    pub fn pause(&mut self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets a paused process run on (SIGCONT).
    pub fn resume(&mut self) {
        self.signal(Signal::SIGCONT);
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self
                .child
                .try_wait()
                .unwrap_or_else(|error| panic!("cannot wait for {}: {error}", self.name));
        }
        self.status
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it has not ended within `timeout`; the message shows the last lines.
    pub async fn wait_exit(&mut self, timeout: Duration) -> ExitStatus {
        if let Some(status) = self.status {
            return status;
        }
        match tokio::time::timeout(timeout, self.child.wait()).await {
            Ok(Ok(status)) => {
                self.status = Some(status);
                status
            }
            Ok(Err(error)) => panic!("cannot wait for {}: {error}", self.name),
            Err(_) => panic!("{} has not ended within {timeout:?}{}", self.name, self.tail()),
        }
    }

    /// Waits until both output streams are closed and read to the end: after [`Process::wait_exit`], all that was written is then there.
    ///
    /// # Panics
    /// When something (a child of the process, say) keeps them open beyond `timeout`.
    pub async fn wait_output(&self, timeout: Duration) {
        let mut changes = self.output.changes.subscribe();
        let ended = tokio::time::timeout(timeout, changes.wait_for(|progress| progress.ended == 2)).await;
        assert!(
            ended.is_ok(),
            "output of {} has not ended within {timeout:?}",
            self.name
        );
    }

    // Not after it was reaped: its id may be another process's by then.
    fn signal(&mut self, signal: Signal) {
        if self.exited().is_none() {
            // It can end between the question and the signal; it is then a zombie, and the signal falls into the void.
            let _ = kill(self.group, signal);
        }
    }

    fn tail(&self) -> String {
        let lines = self.output.lines();
        let mut shown = String::from("; its last lines:");
        for line in lines.iter().skip(lines.len().saturating_sub(SHOWN_LINES)) {
            shown.push_str("\n  ");
            shown.push_str(&line.text);
        }
        shown
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The whole group, so that its children go with it; tokio reaps the process itself (`kill_on_drop`). Not after it was reaped: its number may
        // be another group's by then, so children that outlive a process which ended by itself are left alone.
        if self.exited().is_none() {
            let _ = killpg(self.group, Signal::SIGKILL);
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    lines: usize,
    ended: usize,
}

#[derive(Clone, Debug)]
struct Output {
    lines: Arc<Mutex<Vec<Line>>>,
    changes: watch::Sender<Progress>,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            lines: Arc::default(),
            changes: watch::Sender::new(Progress::default()),
        }
    }
}

impl Output {
    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, stream: Stream) -> Vec<String> {
        self.lines()
            .iter()
            .filter(|line| line.stream == stream)
            .map(|line| line.text.clone())
            .collect()
    }

    fn follow(&self, stream: Stream, from: impl AsyncRead + Unpin + Send + 'static) {
        let output = self.clone();
        tokio::spawn(async move {
            let mut from = BufReader::new(from);
            let mut bytes = Vec::new();
            while from.read_until(b'\n', &mut bytes).await.is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&bytes)
                    .trim_end_matches(['\n', '\r'])
                    .to_owned();
                output.lines().push(Line { stream, text });
                output.changes.send_modify(|progress| progress.lines += 1);
                bytes.clear();
            }
            output.changes.send_modify(|progress| progress.ended += 1);
        });
    }
}
