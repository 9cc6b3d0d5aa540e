//! A document as one HTML page that needs nothing else: styles and pictures are inside, and nothing in it can run.

use super::document::{Block, Document, Line, Span, Table};
use crate::service::plots::escaped;

/// What a browser may do with the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

const STYLE: &str = "\
:root{color-scheme:light}\
body{margin:0;background:#f6f7f9;color:#1f2937;font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\
main{max-width:66rem;margin:0 auto;padding:2rem 1.5rem 4rem;background:#fff}\
h1{font-size:1.9rem;line-height:1.2;margin:0 0 1rem}\
h2{font-size:1.3rem;margin:2.6rem 0 .6rem;padding-top:.6rem;border-top:1px solid #e3e7ec}\
nav{font-size:.9rem;margin:0 0 1rem}nav a{margin-right:1rem;white-space:nowrap}\
a{color:#005a8f}\
.wide{overflow-x:auto}\
table{border-collapse:collapse;font-size:.9rem;margin:1rem 0}\
th,td{text-align:left;vertical-align:top;padding:.35rem .8rem .35rem 0;border-bottom:1px solid #e3e7ec}\
thead th{border-bottom:2px solid #b9c0ca}tbody th{font-weight:500;min-width:7.5rem}\
code{font:.85em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}code.long{overflow-wrap:anywhere}\
pre{background:#f1f3f6;padding:.8rem 1rem;overflow-x:auto}\
.notice{border-left:4px solid #D55E00;background:#fdf3ec;padding:.6rem 1rem;margin:1rem 0}\
figure{margin:1.4rem 0}figure svg{max-width:100%;height:auto}figcaption{font-size:.85rem;color:#5b6472;max-width:46rem}\
@media print{body{background:#fff}main{max-width:none;padding:0}nav{display:none}figure{break-inside:avoid}}";

/// A code longer than this may be broken anywhere: a digest, not a column's name.
const LONGEST_WORD: usize = 40;

/// The page of a document.
pub(super) fn render(document: &Document) -> String {
    let title = escaped(&document.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<nav aria-label=\"Sections\">\n"
    );
    for section in &document.sections {
        let heading = escaped(section.heading);
        out.push_str(&format!("<a href=\"#{}\">{heading}</a>\n", anchor(section.heading)));
    }
    out.push_str("</nav>\n");
    for section in &document.sections {
        let heading = escaped(section.heading);
        let id = anchor(section.heading);
        out.push_str(&format!(
            "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{heading}</h2>\n"
        ));
        for block in &section.blocks {
            render_block(&mut out, block);
        }
        out.push_str("</section>\n");
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn anchor(heading: &str) -> String {
    heading
        .chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect()
}

fn render_block(out: &mut String, block: &Block) {
    match block {
        Block::Text(text) => out.push_str(&format!("<p>{}</p>\n", line(text))),
        Block::Notice(text) => out.push_str(&format!("<p class=\"notice\" role=\"note\">{}</p>\n", line(text))),
        Block::List(items) => {
            out.push_str("<ul>\n");
            for item in items {
                out.push_str(&format!("<li>{}</li>\n", line(item)));
            }
            out.push_str("</ul>\n");
        }
        Block::Table(table) => render_table(out, table),
        Block::Command(command) => out.push_str(&format!("<pre><code>{}</code></pre>\n", escaped(command))),
        // Drawn from the record by this program: it is no text from outside.
        Block::Plot(plot) => out.push_str(&format!(
            "<figure>\n{}<figcaption>{}</figcaption>\n</figure>\n",
            plot.svg,
            escaped(&plot.description)
        )),
    }
}

fn render_table(out: &mut String, table: &Table) {
    out.push_str("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Table\"><table>\n<thead><tr>");
    for name in &table.head {
        out.push_str(&format!("<th scope=\"col\">{}</th>", escaped(name)));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for cells in &table.rows {
        out.push_str("<tr>");
        for (place, cell) in cells.iter().enumerate() {
            let text = line(&unbroken(cell));
            out.push_str(&if place == 0 {
                format!("<th scope=\"row\">{text}</th>")
            } else {
                format!("<td>{text}</td>")
            });
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n");
}

/// A cell whose intervals and percentages stay in one piece where the column is narrow: "0.99 (0.98 to 1.00)" breaks before its bracket.
fn unbroken(cell: &Line) -> Line {
    let spans = cell.0.iter().map(|span| match span {
        Span::Plain(text) => Span::Plain(joined(text)),
        Span::Code(text) => Span::Code(text.clone()),
    });
    Line(spans.collect())
}

fn joined(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut in_interval = false;
    for (at, character) in text.char_indices() {
        let rest = &text[at + character.len_utf8()..];
        match character {
            '(' => in_interval = rest.starts_with(|next: char| next.is_ascii_digit() || next == '-'),
            ')' => in_interval = false,
            _ => {}
        }
        let stays = character == ' ' && (in_interval || rest.starts_with('%'));
        out.push(if stays { '\u{a0}' } else { character });
    }
    out
}

fn line(line: &Line) -> String {
    let spans = line.0.iter().map(|span| match span {
        Span::Plain(text) => escaped(text),
        Span::Code(text) if text.len() > LONGEST_WORD => format!("<code class=\"long\">{}</code>", escaped(text)),
        Span::Code(text) => format!("<code>{}</code>", escaped(text)),
    });
    spans.collect()
}

#[cfg(test)]
mod tests {
    use super::super::document::Section;
    use super::*;

    #[test]
    fn an_interval_is_not_broken_in_the_middle() {
        assert_eq!(
            joined("92.0 % (88.5 % to 94.5 %) of all (or so)"),
            "92.0\u{a0}% (88.5\u{a0}%\u{a0}to\u{a0}94.5\u{a0}%) of all (or so)"
        );
    }

    #[test]
    fn texts_from_outside_stay_texts() {
        let evil = "</td><script>alert('x')</script>";
        let mut section = Section::new("Data");
        let mut table = Table::new(["what", "value"]);
        table.row([evil.into(), Line::code(evil)]);
        section
            .table(table)
            .text(evil)
            .notice(evil)
            .command(evil.to_owned())
            .list(vec![evil.into()]);
        let page = render(&Document {
            title: evil.to_owned(),
            sections: vec![section],
        });
        assert!(!page.contains("<script>"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;").count(), 8);
        assert!(page.contains("default-src 'none'"));
    }
}
