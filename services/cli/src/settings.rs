//! The settings that services and commands share, for commands that reach S3 by themselves.

use std::path::{Path, PathBuf};

use holdfast_chassis::settings::{Common, SettingsSources};
use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::stack::{Ports, StackOptions};

/// The settings of files and environment.
pub(crate) fn common(config: Option<PathBuf>, data_dir: Option<&Path>) -> Result<Common> {
    let directory = data_dir.map(|directory| ("data_dir".to_owned(), Value::from(directory.to_string_lossy())));
    let options = StackOptions {
        sources: SettingsSources::from_process(config, directory.into_iter().collect()),
        http: None,
        ports: Ports::Settings,
    };
    options.common().map_err(|error| Failure::usage(format!("{error:#}")))
}
