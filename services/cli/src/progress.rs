//! Progress on stderr: spinners and bars on a terminal, plain lines elsewhere.

use std::sync::LazyLock;
use std::time::Duration;

use futures::StreamExt as _;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use tokio_util::io::ReaderStream;

use crate::output::note;

/// Steps of a bar that shows a share.
const PARTS: u64 = 1_000;

const TICK: Duration = Duration::from_millis(100);

/// Everything that is shown at the moment: work within work must not draw over it. It draws on a terminal only.
static SHOWN: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// A line that stays, above what moves.
pub(crate) fn line(text: impl AsRef<str>) {
    SHOWN.suspend(|| note(text));
}

/// One piece of work that is shown while it runs. Dropping it takes it off the screen.
#[derive(Debug)]
pub(crate) struct Work {
    bar: ProgressBar,
}

impl Work {
    /// Work of unknown length.
    pub(crate) fn spinner(message: impl Into<String>) -> Self {
        Self::start(
            ProgressBar::no_length(),
            "{spinner:.cyan} {msg} {elapsed:.dim}",
            message.into(),
        )
    }

    /// Work of `length` units, counted in `unit`s.
    pub(crate) fn bar(length: u64, unit: &str, message: impl Into<String>) -> Self {
        let template =
            format!("{{msg}} [{{bar:32.cyan}}] {{human_pos}}/{{human_len}} {unit} {{per_sec:.dim}} {{eta:.dim}}");
        Self::start(ProgressBar::new(length), &template, message.into())
    }

    /// Work that is counted in `unit`s and whose end is not known.
    pub(crate) fn counter(unit: &str, message: impl Into<String>) -> Self {
        let template = format!("{{spinner:.cyan}} {{msg}} {{human_pos}} {unit} {{per_sec:.dim}}");
        Self::start(ProgressBar::no_length(), &template, message.into())
    }

    /// Work of `length` bytes.
    pub(crate) fn bytes(length: u64, message: impl Into<String>) -> Self {
        Self::start(
            ProgressBar::new(length),
            "{msg} [{bar:32.cyan}] {bytes}/{total_bytes}",
            message.into(),
        )
    }

    /// Work that tells how far it is.
    pub(crate) fn percent(message: impl Into<String>) -> Self {
        let template = "{msg} [{bar:32.cyan}] {percent} % {elapsed:.dim}";
        Self::start(ProgressBar::new(PARTS), template, message.into())
    }

    fn start(bar: ProgressBar, template: &str, message: String) -> Self {
        let bar = SHOWN.add(bar);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_message(message);
        bar.enable_steady_tick(TICK);
        Self { bar }
    }

    /// Says how much was done before: it counts as done, and not as fast.
    pub(crate) fn begin_at(&self, done: u64) {
        self.bar.set_position(done);
        self.bar.reset_eta();
        self.bar.reset_elapsed();
    }

    /// Counts on.
    pub(crate) fn advance(&self, by: u64) {
        self.bar.inc(by);
    }

    /// Says how far it is, 0 to 1.
    pub(crate) fn at(&self, share: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a thousand parts"
        )]
        let parts = (share.clamp(0.0, 1.0) * PARTS as f64) as u64;
        self.bar.set_position(parts);
    }

    /// Changes the text.
    pub(crate) fn say(&self, message: impl Into<String>) {
        self.bar.set_message(message.into());
    }

    /// A line that stays, above what moves.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        line(text);
    }

    /// A handle that counts on from elsewhere, for streams.
    pub(crate) fn counting(&self) -> impl Fn(u64) + Send + Sync + 'static + use<> {
        let bar = self.bar.clone();
        move |by| bar.inc(by)
    }
}

/// A file as the body of a request, with work that counts it as it goes; the work is shown as long as it is kept.
pub(crate) fn counted_file(file: tokio::fs::File, length: u64, message: String) -> (Work, reqwest::Body) {
    let work = Work::bytes(length, message);
    let count = work.counting();
    let pieces = ReaderStream::with_capacity(file, 64 << 10).inspect(move |piece| {
        if let Ok(piece) = piece {
            count(piece.len() as u64);
        }
    });
    (work, reqwest::Body::wrap_stream(pieces))
}

impl Drop for Work {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        SHOWN.remove(&self.bar);
    }
}

/// Some lines that are drawn again and again in one place. Dropping it takes them off the screen.
#[derive(Debug)]
pub(crate) struct Panel {
    lines: Vec<ProgressBar>,
}

impl Panel {
    /// So many lines, empty at first.
    pub(crate) fn new(lines: usize) -> Self {
        let line = || {
            let bar = SHOWN.add(ProgressBar::no_length());
            if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
                bar.set_style(style);
            }
            bar
        };
        Self {
            lines: (0..lines).map(|_| line()).collect(),
        }
    }

    /// Changes a line.
    pub(crate) fn set(&self, place: usize, text: String) {
        if let Some(line) = self.lines.get(place) {
            line.set_message(text);
        }
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        for line in &self.lines {
            line.finish_and_clear();
            SHOWN.remove(line);
        }
    }
}
