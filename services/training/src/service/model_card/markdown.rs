//! A document as Markdown. Texts from outside cannot become markup.

use super::document::{Block, Document, Line, Span, Table};

/// The text of a document.
pub(super) fn render(document: &Document) -> String {
    let mut out = format!("# {}\n", escaped(&document.title));
    for section in &document.sections {
        out.push_str(&format!("\n## {}\n", escaped(section.heading)));
        for block in &section.blocks {
            out.push('\n');
            render_block(&mut out, block);
        }
    }
    out
}

fn render_block(out: &mut String, block: &Block) {
    match block {
        Block::Text(text) => out.push_str(&format!("{}\n", line(text))),
        Block::Notice(text) => out.push_str(&format!("> **Note.** {}\n", line(text))),
        Block::List(items) => {
            for item in items {
                out.push_str(&format!("- {}\n", line(item)));
            }
        }
        Block::Table(table) => render_table(out, table),
        Block::Command(command) => out.push_str(&format!("```sh\n{}\n```\n", one_line(command))),
        // The pictures are files of their own; here their words must do.
        Block::Plot(plot) => out.push_str(&format!(
            "*{}* (`{}`): {}\n",
            escaped(plot.title),
            plot.file,
            escaped(&plot.description)
        )),
    }
}

fn render_table(out: &mut String, table: &Table) {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    out.push_str(&row(table.head.iter().map(|name| escaped(name)).collect()));
    out.push_str(&row(table.head.iter().map(|_| "---".to_owned()).collect()));
    for cells in &table.rows {
        out.push_str(&row(cells.iter().map(line).collect()));
    }
}

fn line(line: &Line) -> String {
    let spans = line.0.iter().map(|span| match span {
        Span::Plain(text) => escaped(text),
        // What would end the span or the cell is written as plain text.
        Span::Code(text) if text.contains(['`', '|']) || text.is_empty() => escaped(text),
        Span::Code(text) => format!("`{}`", one_line(text)),
    });
    spans.collect()
}

/// Every character that can mean something is escaped; a text stays in its line.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in one_line(text).chars() {
        if "\\`*_{}[]<>#|~&$!".contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::document::Section;
    use super::*;

    #[test]
    fn texts_from_outside_stay_texts() {
        let mut section = Section::new("Data");
        let mut table = Table::new(["what", "value"]);
        let evil = "a|b`c`\n# <script>[x](y) *z*";
        table.row(["source".into(), evil.into()]);
        table.row(["name".into(), Line::code(evil)]);
        section
            .table(table)
            .list(vec![Line::from("see ").and_code("0a1b").and(" of it")]);
        let text = render(&Document {
            title: "Card".to_owned(),
            sections: vec![section],
        });
        let expected = "# Card\n\n## Data\n\n| what | value |\n| --- | --- |\n\
                        | source | a\\|b\\`c\\` \\# \\<script\\>\\[x\\](y) \\*z\\* |\n\
                        | name | a\\|b\\`c\\` \\# \\<script\\>\\[x\\](y) \\*z\\* |\n\n- see `0a1b` of it\n";
        assert_eq!(text, expected);
    }
}
