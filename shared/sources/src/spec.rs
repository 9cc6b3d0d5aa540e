//! Naming a source: `file.csv`, `file.parquet`, `file.db?table=customers`, `sqlite:///path?table=…`, `s3://bucket/key.parquet`, and the
//! URLs of database servers.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::SourceError;

/// The table that is meant when a database is named without one.
pub const DEFAULT_TABLE: &str = "customers";

/// What can be read today, for messages.
pub(crate) const WORKS_TODAY: &str = "what works is a .csv or .parquet file, one in S3 such as s3://bucket/customers.parquet, or an SQLite database such as bank.db?table=customers";

/// Where a table of customers is. Its text form never shows a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSpec {
    /// A CSV file with a header.
    Csv {
        /// The file.
        path: PathBuf,
    },
    /// A Parquet file.
    Parquet {
        /// The file.
        path: PathBuf,
    },
    /// A table or view of an SQLite database.
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// The table or view.
        table: TableName,
    },
    /// A CSV or Parquet file in S3, to be fetched before it is read ([`fetch`](crate::fetch)).
    S3(S3Object),
    /// A table of a MySQL server. Parsed, not readable yet.
    MySql(ServerUrl),
    /// A table of a Postgres server. Parsed, not readable yet.
    Postgres(ServerUrl),
}

/// A file in a bucket: `s3://bucket/folder/customers.parquet`. Nothing is percent-decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Object {
    /// The bucket.
    pub bucket: String,
    /// The object's name in it.
    pub key: String,
    /// What its ending says it is.
    pub format: ObjectFormat,
}

/// What a file in a bucket holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectFormat {
    /// A CSV file with a header.
    Csv,
    /// A Parquet file.
    Parquet,
}

impl S3Object {
    /// Reads `s3://bucket/key.csv` or `s3://bucket/key.parquet`.
    ///
    /// # Errors
    /// [`SourceError::InvalidSpec`] that says what is missing.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let named = text
            .split_once("://")
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("s3"))
            .and_then(|(_, rest)| rest.split_once('/'))
            .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty());
        let Some((bucket, key)) = named else {
            return Err(invalid(
                text,
                "a bucket and an object in it are needed: s3://bucket/customers.parquet",
            ));
        };
        let format = match ending(key).as_str() {
            "csv" => ObjectFormat::Csv,
            "parquet" => ObjectFormat::Parquet,
            _ => return Err(invalid(text, "an object's name must end in .csv or .parquet")),
        };
        Ok(Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            format,
        })
    }
}

impl fmt::Display for S3Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// The name of a database table: letters, digits and underscores, not starting with a digit, at most 63 characters.
///
/// Narrower than databases allow, because the name becomes part of a statement and cannot be a bound parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName(String);

impl TableName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`SourceError::InvalidSpec`] for any other characters or length.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let starts_well = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if starts_well && text.len() <= 63 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            Ok(Self(text.to_owned()))
        } else {
            let reason = "a table name has 1 to 63 letters, digits and underscores, and does not start with a digit";
            Err(SourceError::InvalidSpec {
                text: text.to_owned(),
                reason: reason.to_owned(),
            })
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The URL of a database server. `Display` and `Debug` leave out the password and everything after the path.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// The URL with its password, for connecting.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let rest = rest.split_once('?').map_or(rest, |(before, _)| before);
        // The last @ ends the user's part: a password may hold one that nobody escaped.
        match rest.rsplit_once('@') {
            Some((user, host)) => {
                let user = user.split_once(':').map_or(user, |(name, _)| name);
                write!(f, "{scheme}://{user}:***@{host}")
            }
            None => write!(f, "{scheme}://{rest}"),
        }
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({self})")
    }
}

impl SourceSpec {
    /// Reads the text form.
    ///
    /// The file's ending decides its kind: `.csv`, `.parquet`, or `.db`, `.sqlite`, `.sqlite3` for SQLite, where `?table=NAME` picks the
    /// table (else [`DEFAULT_TABLE`]). `sqlite://PATH` takes any ending. `file://PATH` is a path too. Nothing is percent-decoded.
    ///
    /// # Errors
    /// [`SourceError::InvalidSpec`] that says what is allowed.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme.to_ascii_lowercase().as_str() {
                "sqlite" => sqlite(text, rest),
                "file" => by_ending(text, rest),
                "s3" => S3Object::parse(text).map(SourceSpec::S3),
                "mysql" | "mariadb" => Ok(SourceSpec::MySql(ServerUrl(text.to_owned()))),
                "postgres" | "postgresql" => Ok(SourceSpec::Postgres(ServerUrl(text.to_owned()))),
                other => {
                    let shown = ServerUrl(text.to_owned()).to_string();
                    let reason = format!("{other}:// is not a known kind; {WORKS_TODAY}");
                    Err(SourceError::InvalidSpec { text: shown, reason })
                }
            };
        }
        match text.strip_prefix("sqlite:") {
            Some(rest) => sqlite(text, rest),
            None => by_ending(text, text),
        }
    }

    /// The file, where the source is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            SourceSpec::Csv { path } | SourceSpec::Parquet { path } | SourceSpec::Sqlite { path, .. } => Some(path),
            SourceSpec::S3(_) | SourceSpec::MySql(_) | SourceSpec::Postgres(_) => None,
        }
    }
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceSpec::Csv { path } | SourceSpec::Parquet { path } => write!(f, "{}", path.display()),
            SourceSpec::Sqlite { path, table } => write!(f, "sqlite://{}?table={table}", path.display()),
            SourceSpec::S3(object) => write!(f, "{object}"),
            SourceSpec::MySql(url) | SourceSpec::Postgres(url) => write!(f, "{url}"),
        }
    }
}

impl FromStr for SourceSpec {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        Self::parse(text)
    }
}

fn invalid(text: &str, reason: impl Into<String>) -> SourceError {
    SourceError::InvalidSpec {
        text: text.to_owned(),
        reason: reason.into(),
    }
}

fn ending(path: &str) -> String {
    let ending = Path::new(path).extension().and_then(|ending| ending.to_str());
    ending.unwrap_or("").to_ascii_lowercase()
}

fn by_ending(text: &str, path: &str) -> Result<SourceSpec, SourceError> {
    match ending(path).as_str() {
        "csv" => return Ok(SourceSpec::Csv { path: path.into() }),
        "parquet" => return Ok(SourceSpec::Parquet { path: path.into() }),
        _ => {}
    }
    let file = path.rsplit_once('?').map_or(path, |(file, _)| file);
    match ending(file).as_str() {
        "db" | "sqlite" | "sqlite3" => sqlite(text, path),
        _ if text.is_empty() => Err(invalid(text, format!("it is empty; {WORKS_TODAY}"))),
        _ => Err(invalid(text, format!("its ending says nothing known; {WORKS_TODAY}"))),
    }
}

fn sqlite(text: &str, rest: &str) -> Result<SourceSpec, SourceError> {
    let (path, query) = rest.rsplit_once('?').unwrap_or((rest, ""));
    if path.is_empty() || path == ":memory:" {
        return Err(invalid(text, "the path of a database file is needed"));
    }
    let mut table = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("table", name)) if table.is_none() => table = Some(TableName::parse(name)?),
            _ => {
                return Err(invalid(
                    text,
                    format!("{pair:?} is not understood after the ?; allowed is table=NAME, once"),
                ));
            }
        }
    }
    let table = match table {
        Some(table) => table,
        None => TableName::parse(DEFAULT_TABLE)?,
    };
    Ok(SourceSpec::Sqlite {
        path: path.into(),
        table,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> SourceSpec {
        SourceSpec::parse(text).unwrap()
    }

    fn table(path: &str, table: &str) -> SourceSpec {
        SourceSpec::Sqlite {
            path: path.into(),
            table: TableName::parse(table).unwrap(),
        }
    }

    #[test]
    fn the_ending_decides_the_kind_of_file() {
        assert_eq!(parse("a/b.csv"), SourceSpec::Csv { path: "a/b.csv".into() });
        assert_eq!(parse("B.CSV"), SourceSpec::Csv { path: "B.CSV".into() });
        assert_eq!(
            parse("what?.csv"),
            SourceSpec::Csv {
                path: "what?.csv".into()
            }
        );
        assert_eq!(
            parse("file:///a/b.parquet"),
            SourceSpec::Parquet {
                path: "/a/b.parquet".into()
            }
        );
        assert_eq!(parse("bank.db"), table("bank.db", "customers"));
        assert_eq!(
            parse("bank.sqlite3?table=clients_2"),
            table("bank.sqlite3", "clients_2")
        );
        assert_eq!(parse("sqlite:///var/bank?table=t"), table("/var/bank", "t"));
        assert_eq!(parse("sqlite://bank.db"), table("bank.db", "customers"));
        assert_eq!(parse("sqlite:bank.db"), table("bank.db", "customers"));
    }

    #[test]
    fn the_text_form_reads_back() {
        for text in [
            "a/b.csv",
            "b.parquet",
            "s3://bucket/folder/a.parquet",
            "sqlite:///var/bank?table=t",
            "sqlite://bank.db?table=customers",
        ] {
            assert_eq!(parse(text).to_string(), text);
        }
    }

    #[test]
    fn passwords_are_never_shown() {
        for text in [
            "mysql://app:s3cr@t@db:3306/bank?password=s3cret",
            "postgresql://app:s3cret@db/bank",
        ] {
            let spec = parse(text);
            let shown = format!("{spec} {spec:?}");
            assert!(!shown.contains("s3cr") && shown.contains("app:***@db"), "{shown}");
        }
        let error = SourceSpec::parse("oracle://app:s3cret@db/bank")
            .unwrap_err()
            .to_string();
        assert!(
            !error.contains("s3cret") && error.contains("oracle:// is not a known kind"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_source_is_refused_with_what_is_allowed() {
        for text in [
            "",
            "customers",
            "customers.xlsx",
            "s3://bucket",
            "s3:///a.csv",
            "s3://bucket/a.xlsx",
            "sqlite://",
            "sqlite::memory:",
        ] {
            let error = SourceSpec::parse(text).unwrap_err().to_string();
            assert!(error.contains("is not a source: "), "{error}");
        }
        for query in [
            "table=a;drop",
            "table=",
            "table=1a",
            "table=\"a\"",
            "tabel=a",
            "table=a&table=b",
            "mode=rwc",
            "table=a b",
        ] {
            assert!(SourceSpec::parse(&format!("bank.db?{query}")).is_err(), "{query}");
        }
    }
}
