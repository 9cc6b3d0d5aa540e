//! Quoted texts and lists of them.

pub(super) const SINGLE: char = '\'';
pub(super) const DOUBLE: char = '"';
pub(super) const BACKTICK: char = '`';

/// Length in bytes of the quoted text that `text` begins with, quotes included; `None` when it is never closed.
///
/// A doubled quote and, but for backticks, a quote behind a backslash do not close it, unless nothing else does.
pub(super) fn quoted_len(text: &str, quote: char) -> Option<usize> {
    let mut last = None;
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().copied();
        let escapes = c == '\\' && quote != BACKTICK;
        match next {
            Some((behind, q)) if q == quote && (c == quote || escapes) => {
                chars.next();
                last = Some(if escapes { behind + 1 } else { at + 1 });
            }
            _ if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    last
}

/// Length in bytes of the list in brackets that `text` begins with; `None` when there is none or it is never closed.
pub(super) fn list_len(text: &str) -> Option<usize> {
    let mut at = text.strip_prefix('(').map(|_| 1)?;
    loop {
        let rest = text.get(at..)?;
        match rest.chars().next()? {
            ')' => return Some(at + 1),
            quote @ (SINGLE | DOUBLE) => at += python_len(rest, quote)?,
            c => at += c.len_utf8(),
        }
    }
}

/// Length of a text in the quotes of Python, in which MLflow's lists are written: a backslash takes any character with it.
fn python_len(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return Some(at + 1);
        }
    }
    None
}

/// The texts of a list in brackets, at least one.
pub(super) fn unlisted(list: &str) -> Result<Vec<String>, String> {
    let ill_formed = || "expected a non-empty list of quoted strings, but got an ill-formed list".to_owned();
    let inner = list.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let mut rest = inner.ok_or_else(ill_formed)?.trim();
    let mut texts = Vec::new();
    while let Some(quote @ (SINGLE | DOUBLE)) = rest.chars().next() {
        let len = python_len(rest, quote).ok_or_else(ill_formed)?;
        let (quoted, behind) = rest.split_at(len);
        texts.push(unescaped(quoted.get(1..len - 1).unwrap_or_default())?);
        let behind = behind.trim_start();
        match behind.strip_prefix(',') {
            Some(behind) => rest = behind.trim_start(),
            None => {
                rest = behind;
                break;
            }
        }
    }
    match (rest.is_empty(), texts.is_empty()) {
        (true, false) => Ok(texts),
        (true, true) => Err("expected a non-empty list of quoted strings, but got an empty list".to_owned()),
        (false, _) => Err(ill_formed()),
    }
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if matches!(c, '\n' | '\r') {
            return Err("a string of a list must be on one line".to_owned());
        }
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some(c @ ('\\' | '\'' | '"')) => plain.push(c),
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some(c @ ('a' | 'b' | 'f' | 'v' | 'x' | 'u' | 'U' | 'N' | '0'..='7')) => {
                return Err(format!("the escape '\\{c}' is not supported in a list"));
            }
            // What is no escape stays as it is, as in Python.
            Some(c) => plain.extend(['\\', c]),
            None => plain.push('\\'),
        }
    }
    Ok(plain)
}
