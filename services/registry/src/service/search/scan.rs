//! Text into raw clauses: what every kind of search has in common.
//!
//! MLflow parses filters with a library that groups the tokens of SQL in general, so that its grammar is written nowhere; this one was taken from its
//! behaviour, and the conformance suite compares the two over generated filters.

use super::quotes::{BACKTICK, DOUBLE, SINGLE, list_len, quoted_len, unlisted};

/// A clause before anybody knows what its names mean.
#[derive(Debug)]
pub(super) struct RawClause<'a> {
    /// The clause as it was written.
    pub(super) text: &'a str,
    /// What is tested.
    pub(super) subject: Subject<'a>,
    /// The test.
    pub(super) test: RawTest<'a>,
}

/// What is tested: `key` or `prefix.key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subject<'a> {
    /// What stands before the first dot.
    pub(super) prefix: Option<&'a str>,
    /// The key, without quotes.
    pub(super) key: &'a str,
}

/// A test before anybody knows whether it fits what is tested.
#[derive(Debug)]
pub(super) enum RawTest<'a> {
    /// A comparator, in upper case, and a value.
    Compare(String, RawValue<'a>),
    /// `IN`
    In(Vec<String>),
    /// `NOT IN`
    NotIn(Vec<String>),
    /// `IS NULL`
    Null,
    /// `IS NOT NULL`
    NotNull,
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawValue<'a> {
    /// In quotes; without them.
    Text(&'a str),
    /// A number without fraction or exponent.
    Integer(&'a str),
    /// Another number.
    Float(&'a str),
    /// Neither.
    Other(&'a str),
}

impl<'a> RawValue<'a> {
    /// How an error names it.
    pub(super) fn shown(self) -> String {
        match self {
            Self::Text(text) => format!("'{text}'"),
            Self::Integer(text) | Self::Float(text) | Self::Other(text) => text.to_owned(),
        }
    }
}

/// The clauses of a filter; none when it is empty.
pub(super) fn clauses(text: &str) -> Result<Vec<RawClause<'_>>, String> {
    if !text.is_empty() && text.trim().is_empty() {
        return Err(format!("invalid filter '{text}', could not be parsed"));
    }
    let mut scanner = Scanner { rest: text };
    let mut clauses = Vec::<RawClause<'_>>::new();
    let mut joined = true;
    loop {
        scanner.skip_blanks();
        if scanner.rest.is_empty() {
            return Ok(clauses);
        }
        if scanner.take_word(&["and"]).is_some() {
            joined = true;
            continue;
        }
        let clause = scanner.clause()?;
        // Two comparisons may stand side by side; MLflow takes the missing AND for granted. Before a list or IS NULL it does so after IS NULL alone.
        let alone = matches!(clause.test, RawTest::Compare(..))
            || matches!(
                clauses.last().map(|before| &before.test),
                Some(RawTest::Null | RawTest::NotNull)
            );
        if !joined && !alone {
            return Err(invalid_clause(clause.text));
        }
        clauses.push(clause);
        joined = false;
    }
}

/// The subject of an order and the word behind it, in lower case.
pub(super) fn order(text: &str) -> Result<(Subject<'_>, Option<String>), String> {
    let unparsed = || format!("invalid order_by clause '{text}', could not be parsed");
    let mut scanner = Scanner { rest: text };
    let subject = scanner.subject().map_err(|_| unparsed())?;
    if scanner.rest.is_empty() {
        return Ok((subject, None));
    }
    let blanks = scanner.skip_blanks();
    let word = scanner.take_while(is_word);
    if blanks == 0 || word.is_empty() || !scanner.rest.is_empty() {
        return Err(unparsed());
    }
    Ok((subject, Some(word.to_lowercase())))
}

fn invalid_clause(found: &str) -> String {
    format!(
        "invalid clause(s) in filter string: '{found}'. Clauses are '<key> <comparator> <value>', joined by AND; OR and brackets are not supported"
    )
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The rest of the text.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    /// Takes `len` bytes, which end between two characters.
    fn take(&mut self, len: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        self.take(self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len()))
    }

    fn skip_blanks(&mut self) -> usize {
        self.take_while(char::is_whitespace).len()
    }

    /// Takes one of `words`, which are in lower case, when the next word is one.
    fn take_word(&mut self, words: &[&'static str]) -> Option<&'static str> {
        let len = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        let (next, behind) = self.rest.split_at_checked(len)?;
        // Before a dot it is a name, whatever it says.
        if behind.trim_start().starts_with('.') {
            return None;
        }
        let word = words.iter().find(|word| next.eq_ignore_ascii_case(word))?;
        self.rest = behind;
        Some(word)
    }

    /// What stands next, for an error.
    fn snippet(&self) -> &'a str {
        let len = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        self.rest.get(..len).unwrap_or_default()
    }

    fn clause(&mut self) -> Result<RawClause<'a>, String> {
        let start = self.rest;
        let written = |rest: &str| start.get(..start.len() - rest.len()).unwrap_or(start);
        let subject = self.subject()?;
        let named = written(self.rest);
        self.skip_blanks();
        let operator = self.take_while(|c| "<>=~!".contains(c));
        let test = if operator.is_empty() {
            match self.take_word(&["like", "ilike", "rlike", "regexp", "not", "in", "is"]) {
                Some("in") => RawTest::In(self.list()?),
                Some("is") => self.null()?,
                Some("not") => self.negated()?,
                Some(operator) => self.compare(operator.to_uppercase())?,
                None if self.rest.is_empty() || named != written(self.rest) => return Err(invalid_clause(named)),
                None => return Err(odd_key(named, self.snippet())),
            }
        } else {
            self.compare(operator.to_owned())?
        };
        Ok(RawClause {
            text: written(self.rest),
            subject,
            test,
        })
    }

    /// `key`, `prefix.key`, and both with quotes.
    fn subject(&mut self) -> Result<Subject<'a>, String> {
        let attribute = |key| Subject { prefix: None, key };
        let first = match self.rest.chars().next() {
            Some(quote @ (BACKTICK | DOUBLE)) => {
                let inner = self.quoted(quote)?;
                if quote == DOUBLE {
                    return Ok(attribute(inner));
                }
                inner
            }
            Some(c) if is_word(c) && !c.is_numeric() => self.take_while(is_word),
            _ => return Err(invalid_clause(self.snippet())),
        };
        let Some(behind) = self.rest.strip_prefix('.') else {
            return Ok(attribute(first));
        };
        self.rest = behind;
        let key = self.key(first)?;
        if key.is_empty() {
            return Err(format!("the key behind '{first}.' is empty"));
        }
        Ok(Subject {
            prefix: Some(first),
            key,
        })
    }

    fn key(&mut self, prefix: &str) -> Result<&'a str, String> {
        let Some(quote @ (BACKTICK | DOUBLE | SINGLE)) = self.rest.chars().next() else {
            return self.bare_key();
        };
        let inner = self.quoted(quote)?;
        if self.rest.starts_with('.') {
            return Err(format!(
                "the key behind '{prefix}.' must have one pair of quotes around all of it"
            ));
        }
        let within = inner
            .strip_prefix(BACKTICK)
            .and_then(|rest| rest.strip_suffix(BACKTICK));
        Ok(match within {
            Some(within) if quote != BACKTICK => within,
            _ => inner,
        })
    }

    /// Words with dots between them. A part that reads as a number is none of a key, as in MLflow: such keys need quotes.
    fn bare_key(&mut self) -> Result<&'a str, String> {
        let key = self.take_while(|c| is_word(c) || c == '.');
        match key.split('.').find(|part| is_numeric(part)) {
            Some(part) => Err(format!(
                "the key '{key}' has a part '{part}' that reads as a number: put the key in backticks"
            )),
            None => Ok(key),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<&'a str, String> {
        let Some(len) = quoted_len(self.rest, quote) else {
            return Err(format!("a quote is not closed: {}", self.snippet()));
        };
        let taken = self.take(len);
        Ok(taken.get(1..len - 1).unwrap_or_default())
    }

    fn compare(&mut self, operator: String) -> Result<RawTest<'a>, String> {
        self.skip_blanks();
        let value = match self.rest.chars().next() {
            Some(quote @ (SINGLE | DOUBLE)) => RawValue::Text(self.quoted(quote)?),
            Some(c) if c.is_ascii_digit() || c == '-' || c == '.' => self.number(),
            Some('(') => RawValue::Other(self.take(list_len(self.rest).unwrap_or(self.rest.len()))),
            Some(_) => {
                let other = self.snippet();
                self.take(other.len());
                RawValue::Other(other)
            }
            None => return Err(format!("nothing stands behind the comparator '{operator}'")),
        };
        Ok(RawTest::Compare(operator, value))
    }

    fn number(&mut self) -> RawValue<'a> {
        let negative = usize::from(self.rest.starts_with('-'));
        let digits = |from: usize| {
            let rest = self.rest.get(from..).unwrap_or_default();
            rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())
        };
        let at = |position: usize| self.rest.get(position..).and_then(|rest| rest.chars().next());
        let whole = digits(negative);
        let mut end = negative + whole;
        let mut fraction = 0;
        let point = at(end) == Some('.');
        if point {
            fraction = digits(end + 1);
            end += 1 + fraction;
        }
        // An exponent needs digits on both sides of the point, and no "+".
        let exponent = matches!(at(end), Some('e' | 'E')) && whole > 0 && (!point || fraction > 0);
        if exponent {
            let sign = usize::from(at(end + 1) == Some('-'));
            let power = digits(end + 1 + sign);
            if power > 0 {
                return RawValue::Float(self.take(end + 1 + sign + power));
            }
        }
        let ends_here = !at(end).is_some_and(is_word);
        match (ends_here && whole + fraction > 0, point) {
            (true, false) => RawValue::Integer(self.take(end)),
            (true, true) => RawValue::Float(self.take(end)),
            (false, _) => {
                let other = self.snippet();
                RawValue::Other(self.take(other.len()))
            }
        }
    }

    fn negated(&mut self) -> Result<RawTest<'a>, String> {
        self.skip_blanks();
        match self.take_word(&["in", "like", "ilike", "rlike", "regexp"]) {
            Some("in") => Ok(RawTest::NotIn(self.list()?)),
            Some(operator) => self.compare(format!("NOT {}", operator.to_uppercase())),
            None => Err(invalid_clause("NOT")),
        }
    }

    /// What follows `IS`. MLflow wants one blank between NOT and NULL.
    fn null(&mut self) -> Result<RawTest<'a>, String> {
        self.skip_blanks();
        let negated = self.take_word(&["not"]).is_some();
        if negated {
            match self.rest.strip_prefix(' ') {
                Some(rest) => self.rest = rest,
                None => return Err(invalid_clause("IS NOT")),
            }
        }
        match (self.take_word(&["null"]), negated) {
            (None, _) => Err(invalid_clause("IS")),
            (Some(_), false) => Ok(RawTest::Null),
            (Some(_), true) => Ok(RawTest::NotNull),
        }
    }

    fn list(&mut self) -> Result<Vec<String>, String> {
        self.skip_blanks();
        let len = list_len(self.rest).ok_or_else(|| {
            "IN must be followed by a list of quoted strings in brackets, for example ('a', 'b')".to_owned()
        })?;
        unlisted(self.take(len))
    }
}

fn odd_key(named: &str, behind: &str) -> String {
    format!(
        "invalid comparison clause, expected an identifier, found '{named}{behind}': keys with other characters than letters, digits, '_' and '.' must be in backticks"
    )
}

/// Whether a part of a bare key would be read as a number and not as a name: digits alone, with an exponent, or hexadecimal.
fn is_numeric(part: &str) -> bool {
    let behind = part.trim_start_matches(|c: char| c.is_ascii_digit());
    if behind.len() == part.len() {
        return false;
    }
    let starts = |tail: &str, wanted: fn(&char) -> bool| tail.chars().next().is_some_and(|c| wanted(&c));
    match behind.chars().next() {
        None => true,
        Some('e' | 'E') => starts(&behind[1..], char::is_ascii_digit),
        Some('x' | 'X') if part.starts_with('0') && part.len() == behind.len() + 1 => {
            starts(&behind[1..], char::is_ascii_hexdigit)
        }
        Some(c) => !(c == '_' || c.is_ascii_alphabetic() || ('\u{c0}'..='\u{fc}').contains(&c)),
    }
}
