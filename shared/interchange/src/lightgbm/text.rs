//! The text of a model: a header of `key=value` lines, blocks of such lines for the trees, `end of trees`, then what training was told.

use std::str::FromStr;

use crate::error::ImportError;
use crate::format::Format;
use crate::imported::MAX_TREES;

/// What is read of the header and of the trees; the rest does not change a prediction.
const KEYS: [&str; 22] = [
    "version",
    "num_class",
    "num_tree_per_iteration",
    "max_feature_idx",
    "objective",
    "average_output",
    "feature_names",
    "feature_infos",
    "tree_sizes",
    "num_leaves",
    "num_cat",
    "split_feature",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
    "leaf_value",
    "leaf_count",
    "internal_count",
    "cat_boundaries",
    "cat_threshold",
    "is_linear",
];

/// A model's text, taken apart and not yet understood.
pub(super) struct Text<'a> {
    pub(super) header: Header<'a>,
    pub(super) trees: Vec<Header<'a>>,
    /// The columns that training was told to treat as categories, as it was told; of the section `parameters`.
    pub(super) categorical_feature: Option<&'a str>,
    /// The last line of what the Python package saves: JSON.
    pub(super) pandas_categorical: Option<&'a str>,
}

/// Lines of `key=value`, or of a key alone.
pub(super) struct Header<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Header<'a> {
    /// The value of a key; empty for a key alone.
    pub(super) fn value(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(found, _)| *found == key).map(|(_, value)| *value)
    }

    /// Whether there is a line of this key.
    pub(super) fn flag(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    pub(super) fn required(&self, key: &str) -> Result<&'a str, ImportError> {
        self.value(key)
            .ok_or_else(|| ImportError::invalid(key, "it is missing"))
    }

    pub(super) fn number<T: FromStr>(&self, key: &str) -> Result<T, ImportError> {
        let text = self.required(key)?;
        text.trim()
            .parse()
            .map_err(|_| ImportError::invalid(key, format!("{:?} is not a number that fits", shortened(text))))
    }

    /// A list of exactly `count` numbers. A list that is longer than its line can be is refused before memory is asked for.
    pub(super) fn numbers<T: FromStr>(&self, key: &str, count: usize) -> Result<Vec<T>, ImportError> {
        let text = self.required(key)?;
        let wrong = |found: usize| ImportError::invalid(key, format!("{found} entries, and {count} are expected"));
        if count > text.len().div_ceil(2) {
            return Err(wrong(text.split_ascii_whitespace().count()));
        }
        let mut numbers = Vec::with_capacity(count);
        for word in text.split_ascii_whitespace() {
            if numbers.len() == count {
                return Err(wrong(text.split_ascii_whitespace().count()));
            }
            let number = word
                .parse()
                .map_err(|_| ImportError::invalid(key, format!("{:?} is not a number that fits", shortened(word))))?;
            numbers.push(number);
        }
        if numbers.len() == count {
            Ok(numbers)
        } else {
            Err(wrong(numbers.len()))
        }
    }

    fn push(&mut self, line: &'a str, number: usize) -> Result<(), ImportError> {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        if !KEYS.contains(&key) {
            return Ok(());
        }
        if self.flag(key) {
            return Err(malformed(format!("line {number}: {key:?} is there twice")));
        }
        self.0.push((key, value));
        Ok(())
    }
}

fn malformed(problem: String) -> ImportError {
    ImportError::malformed(Format::LightgbmText, problem)
}

/// A text short enough for a message.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

impl<'a> Text<'a> {
    /// Takes the text apart.
    pub(super) fn read(text: &'a str) -> Result<Self, ImportError> {
        let mut lines = text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.trim_end()));
        let mut header = Header(Vec::new());
        let mut trees: Vec<Header<'a>> = Vec::new();
        loop {
            let Some((number, line)) = lines.next() else {
                return Err(malformed(
                    "the text ends before its trees do: there is no \"end of trees\"".to_owned(),
                ));
            };
            if line == "end of trees" {
                break;
            }
            if let Some(index) = line.strip_prefix("Tree=") {
                if index != trees.len().to_string() {
                    return Err(malformed(format!(
                        "line {number}: tree {:?} stands at place {}",
                        shortened(index),
                        trees.len()
                    )));
                }
                if trees.len() == MAX_TREES {
                    let problem = format!("supported are at most {MAX_TREES}");
                    return Err(ImportError::unsupported("trees", problem));
                }
                trees.push(Header(Vec::new()));
            } else if !line.is_empty() {
                trees.last_mut().unwrap_or(&mut header).push(line, number)?;
            }
        }
        let announced = header.required("tree_sizes")?.split_ascii_whitespace().count();
        if announced != trees.len() {
            return Err(malformed(format!(
                "{announced} trees are announced, and {} there",
                trees.len()
            )));
        }
        if trees.is_empty() {
            return Err(ImportError::invalid(
                "tree_sizes",
                "there is no tree: the model is not trained",
            ));
        }
        let mut rest = Text {
            header,
            trees,
            categorical_feature: None,
            pandas_categorical: None,
        };
        let mut is_whole = false;
        for (_, line) in lines {
            if line == "end of parameters" {
                is_whole = true;
            } else if let Some(value) = line.strip_prefix("[categorical_feature:") {
                rest.categorical_feature = Some(value.trim_end_matches(']').trim());
            } else if let Some(value) = line.strip_prefix("pandas_categorical:") {
                rest.pandas_categorical = Some(value.trim());
            }
        }
        if is_whole {
            Ok(rest)
        } else {
            // Without what follows the trees, columns of categories would pass for columns of numbers.
            let problem = "the text ends before its parameters do: there is no \"end of parameters\"";
            Err(malformed(problem.to_owned()))
        }
    }
}
