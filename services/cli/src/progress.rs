//! Progress on stderr: spinners and bars on a terminal, plain lines elsewhere.

use std::sync::LazyLock;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::output::note;

const TICK: Duration = Duration::from_millis(100);

/// Everything that is shown at the moment: work within work must not draw over it. It draws on a terminal only.
static SHOWN: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

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

    fn start(bar: ProgressBar, template: &str, message: String) -> Self {
        let bar = SHOWN.add(bar);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_message(message);
        bar.enable_steady_tick(TICK);
        Self { bar }
    }

    /// Counts on.
    pub(crate) fn advance(&self, by: u64) {
        self.bar.inc(by);
    }

    /// Changes the text.
    pub(crate) fn say(&self, message: impl Into<String>) {
        self.bar.set_message(message.into());
    }

    /// A line that stays, above what moves.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        SHOWN.suspend(|| note(text));
    }

    /// A handle that counts on from elsewhere, for streams.
    pub(crate) fn counting(&self) -> impl Fn(u64) + Send + Sync + 'static + use<> {
        let bar = self.bar.clone();
        move |by| bar.inc(by)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        SHOWN.remove(&self.bar);
    }
}
