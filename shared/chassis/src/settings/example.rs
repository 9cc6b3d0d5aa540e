//! The whole commented settings file, put together from the defaults, so that it cannot drift from them.

use std::fmt::Write as _;

use super::COMMON_DEFAULTS;

/// The text of `config.yaml.example`: the common defaults, then each section's defaults (`name`, `body`) indented under its name.
#[must_use]
pub fn example_file(sections: &[(&str, &str)]) -> String {
    let mut text = COMMON_DEFAULTS.trim_end().to_owned();
    text.push('\n');
    for (name, body) in sections {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n{name}:");
        for line in body.trim_end().lines() {
            let _ = if line.trim().is_empty() {
                writeln!(text)
            } else {
                writeln!(text, "  {}", line.trim_end())
            };
        }
    }
    text
}
