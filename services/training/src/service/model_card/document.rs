//! A document before it is Markdown or HTML. Its texts are plain: whoever writes them down escapes them.

use serde::{Serialize, Serializer};

use crate::service::plots::Plot;

/// A document. Its JSON form is part of the public surface: names are only added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Document {
    pub(super) title: String,
    pub(super) sections: Vec<Section>,
}

/// A part of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Section {
    pub(super) heading: &'static str,
    pub(super) blocks: Vec<Block>,
}

impl Section {
    pub(super) fn new(heading: &'static str) -> Self {
        Self {
            heading,
            blocks: Vec::new(),
        }
    }

    pub(super) fn text(&mut self, text: impl Into<Line>) -> &mut Self {
        self.blocks.push(Block::Text(text.into()));
        self
    }

    /// A text that must not be overlooked.
    pub(super) fn notice(&mut self, text: impl Into<Line>) -> &mut Self {
        self.blocks.push(Block::Notice(text.into()));
        self
    }

    pub(super) fn list(&mut self, items: Vec<Line>) -> &mut Self {
        self.blocks.push(Block::List(items));
        self
    }

    pub(super) fn table(&mut self, table: Table) -> &mut Self {
        self.blocks.push(Block::Table(table));
        self
    }

    pub(super) fn command(&mut self, command: String) -> &mut Self {
        self.blocks.push(Block::Command(command));
        self
    }

    pub(super) fn plots(&mut self, plots: &[Plot], files: &[&str]) -> &mut Self {
        for file in files {
            if let Some(plot) = plots.iter().find(|plot| plot.file == *file) {
                self.blocks.push(Block::Plot(plot.clone()));
            }
        }
        self
    }
}

/// A piece of a section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Block {
    Text(Line),
    Notice(Line),
    List(Vec<Line>),
    Table(Table),
    Command(String),
    #[serde(serialize_with = "plot_by_name")]
    Plot(Plot),
}

/// Pictures are files of their own.
fn plot_by_name<S: Serializer>(plot: &Plot, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Named<'a> {
        file: &'a str,
        title: &'a str,
        description: &'a str,
    }
    Named {
        file: &plot.file,
        title: plot.title,
        description: &plot.description,
    }
    .serialize(serializer)
}

/// A table; the first cell of a row names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Table {
    pub(super) head: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Line>>,
}

impl Table {
    pub(super) fn new<const N: usize>(head: [&'static str; N]) -> Self {
        Self {
            head: head.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [Line; N]) {
        self.rows.push(Vec::from(cells));
    }
}

/// Text in one line, parts of it to be read letter by letter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line(pub(super) Vec<Span>);

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Plain(String),
    /// A digest, a name, a value.
    Code(String),
}

impl Line {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "digests and numbers are made where they are named"
    )]
    pub(super) fn code(text: impl ToString) -> Self {
        Self(vec![Span::Code(text.to_string())])
    }

    /// This text, then that name.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "digests and numbers are made where they are named"
    )]
    pub(super) fn and_code(mut self, text: impl ToString) -> Self {
        self.0.push(Span::Code(text.to_string()));
        self
    }

    pub(super) fn and(mut self, text: impl Into<String>) -> Self {
        self.0.push(Span::Plain(text.into()));
        self
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self(vec![Span::Plain(text.to_owned())])
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self(vec![Span::Plain(text)])
    }
}

/// As data a line is its text.
impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = self
            .0
            .iter()
            .map(|span| match span {
                Span::Plain(text) | Span::Code(text) => text.as_str(),
            })
            .collect();
        serializer.serialize_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_data_a_document_has_its_texts_and_names_its_plots() {
        let plot = Plot {
            file: "roc.svg".to_owned(),
            title: "ROC",
            description: "A curve.".to_owned(),
            svg: "<svg/>".to_owned(),
        };
        let mut table = Table::new(["fact", "value"]);
        table.row(["snapshot".into(), Line::code("0a1b")]);
        let mut section = Section::new("Data");
        section
            .text(Line::from("see ").and_code("0a1b"))
            .table(table)
            .plots(&[plot], &["roc.svg", "gain.svg"]);
        let document = Document {
            title: "Card".to_owned(),
            sections: vec![section],
        };
        let expected = serde_json::json!({"title": "Card", "sections": [{"heading": "Data", "blocks": [
            {"text": "see 0a1b"},
            {"table": {"head": ["fact", "value"], "rows": [["snapshot", "0a1b"]]}},
            {"plot": {"file": "roc.svg", "title": "ROC", "description": "A curve."}},
        ]}]});
        assert_eq!(serde_json::to_value(document).unwrap(), expected);
    }
}
